// The same story for every library: log in, hear events, be interrupted, lose nothing, be refused.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

export const SIM = process.env.SIM_URL;
export const REFUSALS = process.env.SIM_REFUSALS_URL;
export const TOKEN = process.env.SIM_TOKEN;
export const INTENTS = 53608447;

async function call(base, method, path, body) {
  const response = await fetch(base + path, {
    method,
    headers: { authorization: `Bot ${TOKEN}`, 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
}
export const get = (path, base = SIM) => call(base, 'GET', path);
export const post = (path, body, base = SIM) => call(base, 'POST', path, body);
export const fault = (body, base = SIM) => post('/sim/fault', body, base);
export const emit = (event, more = {}) => post('/sim/event', { event, ...more });

export async function until(what, wanted, limit = 30_000) {
  const end = Date.now() + limit;
  for (;;) {
    const found = await wanted();
    if (found) return found;
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await sleep(50);
  }
}

/// `client` has: start(), stop(), guilds(), seen (name → list of {guild, ...}), post(channel, text) → id,
/// members(guild) → count, reply?(interaction), refused(code) → resolves when the library gave up.
export async function story(name, make) {
  const step = text => console.log(`  ${text}`);
  const client = await make(SIM);
  await client.start();
  await until('all guilds', () => client.guilds() === 6);
  const began = Date.now();
  step('logged in, 2 shards ready, 6 guilds');

  const guilds = await get('/api/v10/users/@me/guilds');
  const guild = guilds[0].id;
  const channel = (await get(`/api/v10/guilds/${guild}/channels`)).find(one => one.type === 0).id;
  for (const event of ['MESSAGE_CREATE', 'MESSAGE_REACTION_ADD', 'VOICE_STATE_UPDATE', 'PRESENCE_UPDATE', 'INTERACTION_CREATE', 'TYPING_START', 'GUILD_MEMBER_ADD']) {
    const before = client.seen(event).length;
    await emit(event, { guild_id: guild, count: 5 });
    await until(event, () => client.seen(event).slice(before).filter(one => one.guild === guild && one.user).length >= 5);
  }
  step('message, reaction, voice, presence, interaction, typing and member events, each with guild and user');

  const id = await client.post(channel, 'posted over REST');
  await until('own message', () => client.seen('MESSAGE_CREATE').some(one => one.id === id && one.content === 'posted over REST'));
  step('a posted message came back as MESSAGE_CREATE');
  if (client.reply) {
    await client.reply();
    await until('reply', () => client.seen('MESSAGE_CREATE').some(one => one.content === 'pong'));
    step('an interaction was answered');
  }
  assert.ok(await client.members(guild) > 1);
  step('members came in chunks');

  let number = 0;
  const interrupted = async (what, body, more) => {
    const { resumes } = await get('/sim/state');
    const first = number;
    await fault(body);
    for (; number < first + 50; number++) await post(`/api/v10/channels/${channel}/messages`, { content: `n-${number}` });
    await until(`${what}: resumed`, async () => (await get('/sim/state')).resumes >= resumes + 2);
    const numbers = () => client.seen('MESSAGE_CREATE').filter(one => /^n-/.test(one.content)).map(one => Number(one.content.slice(2)));
    await until(`${what}: all messages`, () => numbers().length >= number);
    assert.deepEqual(numbers(), [...Array(number).keys()], `${what}: in order, none twice`);
    step(`${what}: resumed, 50 messages meanwhile, none lost, none twice`);
    await sleep(500);
  };
  await interrupted('told to reconnect', { fault: 'reconnect' });
  await interrupted('socket lost', { fault: 'drop' });
  await interrupted('closed with 4000', { fault: 'close', code: 4000 });
  await interrupted('invalid session, resumable', { fault: 'invalidate', resumable: true });

  // A library without a limiter of its own would identify twice within five seconds.
  await sleep(Math.max(0, 5500 - (Date.now() - began)));
  const { identifies } = await get('/sim/state');
  await fault({ fault: 'invalidate', resumable: false });
  await until('identified again', async () => (await get('/sim/state')).identifies === identifies + 2, 60_000);
  await until('ready again', async () => (await get('/sim/state')).ready === 2);
  const before = client.seen('MESSAGE_CREATE').length;
  await emit('MESSAGE_CREATE', { count: 3 });
  await until('alive', () => client.seen('MESSAGE_CREATE').length > before);
  step('session invalidated: identified again');

  await fault({ fault: 'outage', for_ms: 1500 });
  await until('outage', () => client.guilds() === 0 || client.available?.() === 0);
  await until('back', () => client.guilds() === 6 && (client.available?.() ?? 6) === 6);
  step('guild outage: gone and back');

  await emit('all', { count: 2 });
  const mark = client.seen('MESSAGE_CREATE').length;
  await emit('MESSAGE_CREATE', { guild_id: guild });
  await until('alive after every event', () => client.seen('MESSAGE_CREATE').length > mark);
  assert.deepEqual(client.errors, []);
  step('all 79 dispatches: no error');

  const verdict = await get('/sim/verdict');
  assert.deepEqual(verdict.violations, [], `${name} broke rules`);
  step(`verdict ok: ${verdict.sent} dispatches, ${verdict.resumes} resumes, ${verdict.identifies} identifies`);
  await client.stop();

  for (const code of [4004, 4010, 4011, 4012, 4013, 4014]) {
    const refused = await make(REFUSALS);
    const gaveUp = refused.refused();
    await refused.start();
    const { connections } = await get('/sim/state', REFUSALS);
    await fault({ fault: 'close', code }, REFUSALS);
    await Promise.race([gaveUp, sleep(10_000).then(() => { throw new Error(`${code}: it does not give up`); })]);
    await sleep(700);
    const after = (await get('/sim/state', REFUSALS)).connections;
    assert.ok(after <= connections, `${code}: ${after - connections} connections after a fatal close`);
    await refused.stop();
  }
  step('fatal close codes 4004, 4010 to 4014: gave up, no new connection');

  for (const [code, rule] of [[401, undefined], [4010, 'bad_shard'], [4011, 'sharding_required'], [4014, 'disallowed_intents']]) {
    const base = process.env[`SIM_${code}_URL`];
    const refused = await make(base);
    const gaveUp = refused.refused();
    await Promise.race([
      refused.start().then(() => { throw new Error(`${code}: it logged in`); }, () => {}),
      gaveUp,
      sleep(15_000).then(() => { throw new Error(`${code}: it does not give up`); }),
    ]);
    await sleep(1500);
    const { connections, violations } = await get('/sim/verdict', base);
    // Two shards, and under load discord.js was seen to connect a third time; then no more.
    const most = code === 401 ? 0 : 4;
    assert.ok(connections <= most, `${code}: ${connections} connections, ${JSON.stringify(violations)}`);
    await sleep(700);
    assert.equal((await get('/sim/state', base)).connections, connections, `${code}: it goes on`);
    assert.equal(violations.length > 0, code !== 401, `${code}: refused by the gateway`);
    assert.ok(violations.every(one => one.rule === rule), `${code}: ${JSON.stringify(violations)}`);
    await refused.stop();
  }
  step('its own token, shards and intents refused (401, 4010, 4011, 4014): gave up');
  process.exit(0);
}

process.on('unhandledRejection', error => { console.error(error); process.exit(1); });
