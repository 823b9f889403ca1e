// A bot on @discordjs/core with a backlog: asks for members at once, and tells what it heard before they came.

import { Client } from "@discordjs/core";
import { REST } from "@discordjs/rest";
import { FleetGateway } from "./fleet.js";

const { DISCORD_API: api, DISCORD_TOKEN: token, FLEET_DURABLE: durable, GUILD: guild_id } = process.env;
const gateway = await FleetGateway.connect({ durable });
const client = new Client({ rest: new REST({ version: "10", api }).setToken(token), gateway });
let heard = 0;
gateway.on("dispatch", () => {
  heard += 1;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3); // a busy bot
});
gateway.run();
const start = performance.now();
const asked = new Promise((resolve) => gateway.once("dispatch", resolve)).then(() =>
  client.requestGuildMembers({ guild_id, query: "", limit: 0 }, 30_000),
);
console.log("members", (await asked).members.length, heard, (performance.now() - start) / 1000);
