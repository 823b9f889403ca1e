"""The same story for every library: log in, hear events, be interrupted, lose nothing, be refused."""

import asyncio
import os
import sys
import time

import aiohttp

SIM = os.environ["SIM_URL"]
REFUSALS = os.environ["SIM_REFUSALS_URL"]
TOKEN = os.environ["SIM_TOKEN"]
INTENTS = 53608447
KINDS = [
    "MESSAGE_CREATE",
    "MESSAGE_REACTION_ADD",
    "VOICE_STATE_UPDATE",
    "PRESENCE_UPDATE",
    "INTERACTION_CREATE",
    "TYPING_START",
    "GUILD_MEMBER_ADD",
]


async def call(method, path, body=None, base=SIM):
    headers = {"authorization": f"Bot {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.request(method, base + path, json=body) as answer:
            assert answer.ok, f"{method} {path}: {answer.status} {await answer.text()}"
            return await answer.json() if answer.status != 204 else None


async def get(path, base=SIM):
    return await call("GET", path, base=base)


async def fault(base=SIM, **body):
    return await call("POST", "/sim/fault", body, base)


async def emit(event, **more):
    return await call("POST", "/sim/event", {"event": event, **more})


async def until(what, wanted, limit=30.0):
    end = time.monotonic() + limit
    while True:
        found = wanted()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"never: {what}"
        await asyncio.sleep(0.05)


def step(text):
    print(f"  {text}", flush=True)


async def state(base=SIM):
    return await get("/sim/state", base)


class Client:
    """What a library's adapter has to offer."""

    def __init__(self):
        self.seen = {}
        self.errors = []

    def note(self, name, guild, user, **more):
        self.seen.setdefault(name, []).append({"guild": str(guild), "user": user, **more})

    def of(self, name):
        return self.seen.get(name, [])


async def interruptions(client, channel):
    number = 0

    def numbers():
        mine = [one["content"] for one in client.of("MESSAGE_CREATE")]
        return [int(text[2:]) for text in mine if text and text.startswith("n-")]

    for what, body in [
        ("told to reconnect", {"fault": "reconnect"}),
        ("socket lost", {"fault": "drop"}),
        ("closed with 4000", {"fault": "close", "code": 4000}),
        ("invalid session, resumable", {"fault": "invalidate", "resumable": True}),
    ]:
        resumes = (await state())["resumes"]
        await fault(**body)
        for _ in range(50):
            await call("POST", f"/api/v10/channels/{channel}/messages", {"content": f"n-{number}"})
            number += 1

        async def resumed():
            return (await state())["resumes"] >= resumes + 2

        await until(f"{what}: resumed", resumed, 60)
        await until(f"{what}: all messages", lambda: len(numbers()) >= number)
        assert numbers() == list(range(number)), f"{what}: {numbers()}"
        step(f"{what}: resumed, 50 messages meanwhile, none lost, none twice")
        await asyncio.sleep(0.5)


async def story(name, make):
    client = make(SIM)
    await client.start()
    await until("all guilds", lambda: client.guilds() == 6)
    began = time.monotonic()
    step("logged in, 2 shards ready, 6 guilds")
    guild = (await get("/api/v10/users/@me/guilds"))[0]["id"]
    channels = await get(f"/api/v10/guilds/{guild}/channels")
    channel = next(one["id"] for one in channels if one["type"] == 0)
    for event in KINDS:
        before = len(client.of(event))
        await emit(event, guild_id=guild, count=5)

        def heard():
            new = client.of(event)[before:]
            return len([one for one in new if one["guild"] == guild and one["user"]]) >= 5

        try:
            await until(event, heard)
        except AssertionError:
            raise AssertionError(f"{event} for {guild}: {client.of(event)[before:]} {client.errors}") from None
    step("message, reaction, voice, presence, interaction, typing and member events, each with guild and user")
    posted = str(await client.post(int(channel), "posted over REST"))
    await until("own message", lambda: any(one["id"] == posted for one in client.of("MESSAGE_CREATE")))
    step("a posted message came back as MESSAGE_CREATE")
    await client.reply()
    await until("reply", lambda: any(one["content"] == "pong" for one in client.of("MESSAGE_CREATE")))
    step("an interaction was answered")
    assert await client.members(int(guild)) > 1
    step("members came in chunks")
    await interruptions(client, channel)

    # A library without a limiter of its own would identify twice within five seconds.
    await asyncio.sleep(max(0.0, 5.5 - (time.monotonic() - began)))
    identifies = (await state())["identifies"]
    await fault(fault="invalidate", resumable=False)

    async def again():
        now = await state()
        return now["identifies"] == identifies + 2 and now["ready"] == 2

    await until("identified again", again, 90)
    mark = len(client.of("MESSAGE_CREATE"))
    await emit("MESSAGE_CREATE", count=3)
    await until("alive", lambda: len(client.of("MESSAGE_CREATE")) > mark)
    step("session invalidated: identified again")

    await fault(fault="outage", for_ms=1500)
    await until("outage", lambda: client.guilds() == 0)
    await until("back", lambda: client.guilds() == 6)
    step("guild outage: gone and back")

    await emit("all", count=2)
    mark = len(client.of("MESSAGE_CREATE"))
    await emit("MESSAGE_CREATE", guild_id=guild)
    await until("alive after every event", lambda: len(client.of("MESSAGE_CREATE")) > mark)
    assert not client.errors, client.errors
    step("all 79 dispatches: no error")

    verdict = await get("/sim/verdict")
    # Both ask for all members of a large guild at every GUILD_CREATE, also twice within 30 s.
    others = [one for one in verdict["violations"] if one["rule"] != "members_rate"]
    assert not others, others
    hasty = len(verdict["violations"])
    step(f"verdict ok but for {hasty} x members_rate: {verdict['sent']} dispatches, {verdict['resumes']} resumes, {verdict['identifies']} identifies")
    await client.stop()

    for code in [4004, 4010, 4011, 4012, 4013, 4014]:
        refused = make(REFUSALS)
        await refused.start()
        before = (await state(REFUSALS))["connections"]
        await fault(REFUSALS, fault="close", code=code)
        await asyncio.wait_for(refused.refused(), 15)
        await asyncio.sleep(0.7)
        after = (await state(REFUSALS))["connections"]
        assert after <= before, f"{code}: {after - before} connections after a fatal close"
        await refused.stop()
    step("fatal close codes 4004, 4010 to 4014: gave up, no new connection")

    for code, rule in [(401, None), (4010, "bad_shard"), (4011, "sharding_required"), (4014, "disallowed_intents")]:
        base = os.environ[f"SIM_{code}_URL"]
        refused = make(base)
        try:
            await asyncio.wait_for(refused.start(), 15)
            await asyncio.wait_for(refused.refused(), 15)
        except asyncio.TimeoutError:
            raise AssertionError(f"{code}: it does not give up") from None
        except Exception as error:
            step(f"{code}: {type(error).__name__}")
        await asyncio.sleep(1.5)
        seen = await get("/sim/verdict", base)
        assert seen["connections"] <= (0 if code == 401 else 2), f"{code}: {seen['connections']} connections"
        assert bool(seen["violations"]) == (code != 401), f"{code}: {seen['violations']}"
        assert {one["rule"] for one in seen["violations"]} <= {rule}, f"{code}: {seen['violations']}"
        assert not seen["sessions"], f"{code}: it has a session"
        await refused.stop()
    step("its own token, shards and intents refused (401, 4010, 4011, 4014): gave up")


def main(name, make):
    asyncio.run(story(name, make))
    sys.stdout.flush()
    os._exit(0)
