import { REST } from '@discordjs/rest';
import { CompressionMethod, WebSocketManager, WebSocketShardEvents } from '@discordjs/ws';
import { INTENTS, TOKEN, story } from './harness.mjs';

story('@discordjs/ws', async base => {
  const rest = new REST({ api: `${base}/api`, version: '10' }).setToken(TOKEN);
  const manager = new WebSocketManager({
    token: TOKEN, intents: INTENTS, rest, shardCount: 2, compression: CompressionMethod.ZlibNative,
    fetchGatewayInformation: () => rest.get('/gateway/bot'),
  });
  const seen = {}, errors = [], guilds = new Set(), chunks = {};
  manager.on(WebSocketShardEvents.Dispatch, ({ t, d }) => {
    d ??= {};
    if (t === 'GUILD_CREATE') guilds.add(d.id);
    if (t === 'GUILD_DELETE') guilds.delete(d.id);
    if (t === 'GUILD_MEMBERS_CHUNK' && d.nonce === 'all') (chunks[d.guild_id] ??= []).push(d);
    (seen[t] ??= []).push({ guild: d.guild_id, user: d.user_id ?? d.author?.id ?? d.user?.id ?? d.member?.user?.id, id: d.id, content: d.content });
  });
  manager.on(WebSocketShardEvents.Error, error => errors.push(String(error)));
  return {
    start: async () => {
      const ready = new Promise(done => { let left = 2; manager.on(WebSocketShardEvents.Ready, () => --left || done()); });
      await manager.connect();
      await ready;
    },
    stop: () => manager.destroy(),
    guilds: () => guilds.size,
    seen: name => seen[name] ?? [],
    errors,
    post: async (channel, content) => (await rest.post(`/channels/${channel}/messages`, { body: { content } })).id,
    members: async guild => {
      const shard = Number((BigInt(guild) >> 22n) % 2n);
      await manager.send(shard, { op: 8, d: { guild_id: guild, query: '', limit: 0, nonce: 'all' } });
      for (;;) {
        const got = chunks[guild] ?? [];
        if (got.length && got.length === got[0].chunk_count) return got.reduce((sum, one) => sum + one.members.length, 0);
        await new Promise(done => setTimeout(done, 50));
      }
    },
    refused: () => new Promise(done => manager.on(WebSocketShardEvents.Error, done)),
  };
});
