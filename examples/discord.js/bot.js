// A bot on @discordjs/core whose gateway is a fleet: answers /commands, and messages that say !ping.
//
//   NATS_URL=… DISCORD_TOKEN=… node bot.js

import { Client, GatewayDispatchEvents, MessageFlags } from "@discordjs/core";
import { REST } from "@discordjs/rest";
import { Away, FleetGateway } from "./fleet.js";

// At the start there is nothing to do without NATS, and its text says what to look at.
const orEnd = (error) => {
  if (!(error instanceof Away)) throw error;
  console.error(error.message);
  process.exit(1);
};

const api = process.env.DISCORD_API;
const rest = new REST({ version: "10", ...(api && { api }) }).setToken(process.env.DISCORD_TOKEN);
const gateway = await FleetGateway.connect().catch(orEnd);
const client = new Client({ rest, gateway });
// A handler that fails is told, and ends nothing. Without this, Node ends the process: for a command that
// the fleet refused (Refused) or nobody answered (Unanswered), and for what REST refuses.
client.on("error", (error) => console.error(`a handler failed: ${error.message}`));
const me = await client.api.users.getCurrent();
let asked = false;

client.on(GatewayDispatchEvents.GuildCreate, ({ data: guild }) => {
  console.log("GUILD_CREATE", guild.id, guild.members.length, "members");
});

client.on(GatewayDispatchEvents.MessageCreate, async ({ data: message, shardId, api }) => {
  if (message.author.id === me.id) return console.log("own MESSAGE_CREATE", message.id);
  console.log("MESSAGE_CREATE", message.id, message.content.length, "characters");
  if (message.content === "!ping") {
    const sent = await api.channels.createMessage(message.channel_id, { content: "pong" });
    console.log("posted", sent.id);
  }
  if (message.guild_id && !asked) {
    // Once, to show the way upstream: op 43 by the shard of this guild.
    asked = true;
    const reply = await gateway.send(shardId, {
      op: 43,
      d: { guild_id: message.guild_id, fields: ["status"] },
    });
    console.log("command", JSON.stringify(reply));
  }
});

client.on(GatewayDispatchEvents.InteractionCreate, async ({ data: interaction, api }) => {
  console.log("INTERACTION_CREATE", interaction.id);
  try {
    // Within three seconds, or Discord has forgotten it.
    await api.interactions.reply(interaction.id, interaction.token, {
      content: "pong",
      flags: MessageFlags.Ephemeral,
    });
    console.log("answered", interaction.id);
  } catch (error) {
    console.log("not answered", interaction.id, error.message);
  }
});

await gateway.run().catch(orEnd);
