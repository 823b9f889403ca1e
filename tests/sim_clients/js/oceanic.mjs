import { Client } from 'oceanic.js';
import { INTENTS, TOKEN, story } from './harness.mjs';

story('oceanic.js', async base => {
  const client = new Client({
    auth: `Bot ${TOKEN}`,
    gateway: { intents: INTENTS, maxShards: 2, getAllUsers: false },
    rest: { baseURL: `${base}/api/v10` },
  });
  const seen = {}, errors = [];
  let interaction;
  const note = (name, guild, user, more) => (seen[name] ??= []).push({ guild, user, ...more });
  client.on('messageCreate', m => note('MESSAGE_CREATE', m.guildID, m.author?.id, { id: m.id, content: m.content }));
  client.on('messageReactionAdd', (m, user) => note('MESSAGE_REACTION_ADD', m.guildID, user.id));
  client.on('interactionCreate', i => { interaction = i; note('INTERACTION_CREATE', i.guildID, i.user.id); });
  client.on('typingStart', (channel, user) => note('TYPING_START', channel.guildID ?? channel.guild?.id, user.id));
  client.on('guildMemberAdd', m => note('GUILD_MEMBER_ADD', m.guildID, m.id));
  client.on('packet', p => ['PRESENCE_UPDATE', 'VOICE_STATE_UPDATE'].includes(p.t) && note(p.t, p.d.guild_id, p.d.user_id ?? p.d.user.id));
  // A close is told as an error too; anything else would be one.
  client.on('error', error => error?.name === 'GatewayError' || errors.push(String(error?.stack ?? error)));
  return {
    start: async () => { const ready = new Promise(done => client.once('ready', done)); await client.connect(); await ready; },
    stop: () => client.disconnect(false),
    guilds: () => client.guilds.filter(guild => !guild.unavailable).length,
    seen: name => seen[name] ?? [],
    errors,
    post: async (channel, content) => (await client.rest.channels.createMessage(channel, { content })).id,
    reply: () => interaction.createMessage({ content: 'pong' }),
    members: async guild => (await client.guilds.get(guild).fetchMembers()).length,
    refused: () => new Promise(done => { client.on('shardDisconnect', done); client.on('error', done); }),
  };
});
