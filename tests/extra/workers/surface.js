// A bot on @discordjs/core whose gateway is the fleet: what its authors use, one after the other.
//
//   node surface.js     beside fleet.js; ends with 0, or with what is not so

import { setTimeout as sleep } from "node:timers/promises";
import { Client, GatewayDispatchEvents as Events } from "@discordjs/core";
import { REST } from "@discordjs/rest";
import { FleetGateway, Refused, Unanswered } from "./fleet.js";

const { DISCORD_API: api, DISCORD_TOKEN: token, SHARDS } = process.env;
const checked = new Set();

function holds(what, isSo) {
  checked.add(what);
  if (!isSo) throw new Error(`${what} is not so`);
}

async function refuses(what, promise, kind) {
  const error = await promise.then(() => null, (error) => error);
  holds(what, error instanceof kind && error.message.length > 10);
}

// One event, or a fault after 20 s.
function next(event, check = () => true) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${event}`)), 20_000);
    const hear = (props) => {
      if (!check(props.data)) return;
      clearTimeout(late);
      client.off(event, hear);
      resolve(props);
    };
    client.on(event, hear);
  });
}

const rest = new REST({ version: "10", api }).setToken(token);
const gateway = await FleetGateway.connect({ durable: "surface-js" });
const client = new Client({ rest, gateway });
const running = gateway.run();
await sleep(2000);

holds("rest, gateway, api", client.rest === rest && client.gateway === gateway && client.api);
holds("gateway.getShardCount()", (await gateway.getShardCount()) === Number(SHARDS));
const me = await client.api.users.getCurrent();
holds("api.users.getCurrent()", me.bot);
const guild = (await client.api.users.getGuilds()).at(-1); // whose members nobody asked for lately
holds("api.guilds.get()", (await client.api.guilds.get(guild.id)).id === guild.id);
const channel = (await client.api.guilds.getChannels(guild.id)).find(({ type }) => type === 0);
holds("api.guilds.getChannels()", channel);

const shard = Number((BigInt(guild.id) >> 22n) % BigInt(SHARDS));
const created = next(Events.MessageCreate, (data) => data.content === "surface");
const sent = await client.api.channels.createMessage(channel.id, { content: "surface" });
const { data, shardId, api: given } = await created;
holds("on(MessageCreate): data, shardId, api", data.id === sent.id && shardId === shard && given === client.api);
holds("data.author, guild_id", data.author.id === me.id && data.guild_id === guild.id);
const updated = next(Events.MessageUpdate, (data) => data.id === sent.id);
await client.api.channels.editMessage(channel.id, sent.id, { content: "more" });
holds("on(MessageUpdate)", (await updated).data.content === "more");
const deleted = next(Events.MessageDelete, (data) => data.id === sent.id);
await client.api.channels.deleteMessage(channel.id, sent.id);
holds("on(MessageDelete)", (await deleted).shardId === shard);

const everybody = await client.requestGuildMembers({ guild_id: guild.id, query: "", limit: 0 });
holds("requestGuildMembers()", everybody.members.some(({ user }) => user.id === me.id));
let chunks = 0;
for await (const { members } of client.requestGuildMembersIterator({ guild_id: guild.id, user_ids: [me.id] })) {
  chunks += members.length;
}
holds("requestGuildMembersIterator()", chunks === 1);
if (Map.groupBy) {
  // Without it, in Node 20, the client itself cannot.
  const sounds = await client.requestSoundboardSounds({ guild_ids: [guild.id] });
  holds("requestSoundboardSounds()", sounds.has(guild.id));
}
await client.updateVoiceState({ guild_id: guild.id, channel_id: null, self_mute: false, self_deaf: false });
holds("updateVoiceState()", true);
await client.updatePresence(shard, { since: null, activities: [], status: "idle", afk: false });
holds("updatePresence()", true);
await refuses("a refusal is told", gateway.send(0, { op: 9, d: {} }), Refused);
await refuses("silence is told", client.updatePresence(99, { status: "idle" }), Unanswered);

let failed = 0;
client.once(Events.MessageCreate, () => {
  failed += 1;
  throw new Error("on purpose");
});
const after = next(Events.MessageCreate, (data) => data.content === "after");
await client.api.channels.createMessage(channel.id, { content: "one whose handler fails" });
await client.api.channels.createMessage(channel.id, { content: "after" });
holds("a handler that throws ends nothing", (await after) && failed === 1);
await gateway.close();
await running;
holds("close()", gateway.nc.isClosed());
console.log(`Client: ${checked.size} of what its authors use`);
