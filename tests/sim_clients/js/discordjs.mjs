import { Client, Events, GatewayIntentBits, Partials } from 'discord.js';
import { INTENTS, TOKEN, story } from './harness.mjs';

story('discord.js', async base => {
  const client = new Client({
    intents: Object.values(GatewayIntentBits).filter(bit => typeof bit === 'number'),
    partials: [Partials.Message, Partials.Channel, Partials.Reaction, Partials.User, Partials.GuildMember],
    shards: [0, 1], shardCount: 2,
    rest: { api: `${base}/api` },
  });
  const seen = {}, errors = [];
  let interaction;
  const note = (name, guild, user, more) => (seen[name] ??= []).push({ guild, user, ...more });
  client.on(Events.MessageCreate, m => note('MESSAGE_CREATE', m.guildId, m.author?.id, { id: m.id, content: m.content }));
  client.on(Events.MessageReactionAdd, (r, user) => note('MESSAGE_REACTION_ADD', r.message.guildId, user.id, { emoji: r.emoji.name }));
  client.on(Events.VoiceStateUpdate, (_, s) => note('VOICE_STATE_UPDATE', s.guild.id, s.id));
  client.on(Events.InteractionCreate, i => { interaction = i; note('INTERACTION_CREATE', i.guildId, i.user.id, { name: i.commandName }); });
  client.on(Events.TypingStart, t => note('TYPING_START', t.guild?.id, t.user.id));
  client.on(Events.GuildMemberAdd, m => note('GUILD_MEMBER_ADD', m.guild.id, m.id));
  // Its presence event fires for members in its cache only: look at the packet.
  client.on(Events.Raw, p => p.t === 'PRESENCE_UPDATE' && note(p.t, p.d.guild_id, p.d.user.id));
  client.on(Events.Error, error => errors.push(String(error)));
  return {
    start: async () => { const ready = new Promise(done => client.once(Events.ClientReady, done)); await client.login(TOKEN); await ready; },
    stop: () => client.destroy(),
    guilds: () => client.guilds.cache.filter(guild => guild.available).size,
    seen: name => seen[name] ?? [],
    errors,
    post: async (channel, content) => (await (await client.channels.fetch(channel)).send(content)).id,
    reply: () => interaction.reply('pong'),
    members: async guild => (await client.guilds.cache.get(guild).members.fetch()).size,
    refused: () => new Promise(done => { client.on(Events.ShardDisconnect, done); client.on(Events.Invalidated, done); client.on(Events.Error, done); }),
  };
});
