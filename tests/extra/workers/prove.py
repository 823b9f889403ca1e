"""Every example worker: shares a durable consumer with two more, one is killed, nothing is skipped; each
sends a command, and reads what was compressed. The ordered one keeps each shard's order through it all.
Then what befalls them: slow handlers, consumers that are deleted, a NATS without a fleet. Then the bridges.
Needs nats-py, zstandard and discord.py."""

import asyncio
import json
import os
import pathlib
import subprocess
import sys

import nats
import zstandard
from nats.js.api import ConsumerConfig, DeliverPolicy

from bridge import bridge, refused, surface
from fleet import ROOT, TOKEN, fleet, until
from ordered import ordered
from trouble import alone, begins, behind, deleted, ordered_deleted, slow

FILTER = "discord.*.MESSAGE_CREATE"
PY = [sys.executable, ROOT / "examples/discord.py/bot.py"]
# A message may be no larger; compressed, the huge event is half of it, and fits.
MAX_PAYLOAD, HUGE = "1MB", 1_600_000


async def stored(client, filter_subject=FILTER):
    """Messages of the stream itself, read by a consumer of our own."""
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
    events = await client.jetstream().pull_subscribe(filter_subject, stream="DISCORD", config=config)
    left = (await events.consumer_info()).num_pending
    messages = []
    while left > 0:
        for msg in await events.fetch(min(left, 500), timeout=10):
            left -= 1
            messages.append(msg)
            await msg.ack()
    return messages


def ids(messages):
    return [msg.headers["Nats-Msg-Id"] for msg in messages]


async def settled(it, client):
    """Ids of the stream once nothing is added to it any more."""
    it.traffic(0)
    before, now = None, ids(await stored(client))
    while before != now:
        await asyncio.sleep(1)
        before, now = now, ids(await stored(client))
    assert len(now) == len(set(now)), "an event is stored twice"
    return now


def handled(it, name):
    text = (it.folder / f"{name}.out").read_text()
    # The last line of one that was killed may be half a line.
    return [line.split()[0] for line in text.split("\n")[:-1]]


async def share(it, client, language, command):
    names = [f"{language}-{n}" for n in range(3)]
    it.traffic(300)
    running = {name: it.run(name, *command) for name in names}
    await until(f"three {language} workers work", lambda: all(len(handled(it, n)) > 20 for n in names))
    running[names[1]].kill()
    await until(f"two {language} workers go on", lambda: len(handled(it, names[0])) > 200)
    there = await settled(it, client)

    def union():
        return set().union(*(handled(it, name) for name in names))
    await until(f"{language} skips nothing", lambda: union() >= set(there))
    counts = {name: len(handled(it, name)) for name in names}
    twice = sum(counts.values()) - len(union())
    for process in running.values():
        process.kill()
        process.wait()
    print(f"{language}: {len(there)} stored, 0 skipped, {twice} handled twice, shares {counts}; "
          f"{names[1]} was killed with -9", flush=True)


def ask(it, language, command, payload):
    done = subprocess.run(
        [str(part) for part in (*command, payload)], capture_output=True, text=True, timeout=60,
        cwd=it.folder, env={**os.environ, "NATS_URL": it.nats},
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    reply = json.loads(done.stdout.splitlines()[-1])
    assert reply["kind"] == "accepted" and reply["shard"] == 0, reply
    print(f"{language}: a command is accepted by shard {reply['shard']}", flush=True)


async def oversize(it, client):
    """Events larger than NATS takes: how long each is once it is decoded, by id; and their guilds."""
    before = await packed(client)
    it.post("/sim/fault", {"fault": "huge_event", "bytes": HUGE})
    while len(now := await packed(client)) < len(before) + it.shards:
        await asyncio.sleep(0.5)
    new = {id: text for id, text in now.items() if id not in before}
    lengths = {id: len(text) for id, text in now.items()}
    assert all(lengths[id] > HUGE * 0.99 for id in new), lengths
    return lengths, {json.loads(text)["d"]["id"] for text in new.values()}


async def packed(client):
    """What is compressed in the stream, by id."""
    messages = await stored(client, "discord.*.GUILD_CREATE")
    texts = {}
    for msg in messages:
        if "Content-Encoding" in msg.headers:
            assert msg.headers["Content-Encoding"] == "zstd", msg.headers
            texts[msg.headers["Nats-Msg-Id"]] = zstandard.ZstdDecompressor().decompress(msg.data)
    return texts


async def decodes(it, language, command, lengths):
    """What a worker says of each of them."""
    name = f"{language}-zstd"
    process = it.run(name, *command)
    wanted = {f"{id} {length} bytes" for id, length in lengths.items()}

    def said():
        lines = (it.folder / f"{name}.out").read_text().splitlines()
        return {" ".join([line.split()[0], *line.split()[2:]]) for line in lines if " " in line}
    await until(f"{language} reads what was compressed", lambda: said() >= wanted)
    process.kill()
    process.wait()
    print(f"{language}: {len(lengths)} compressed events read, byte for byte as long as sent", flush=True)


async def main(binary, nats_server, examples, node):
    rust, node = pathlib.Path(examples), pathlib.Path(node)
    python, javascript = ROOT / "examples/python/worker.py", node / "javascript/worker.js"
    programs = {"python": [sys.executable, python], "javascript": ["node", javascript]}

    def worker(language, durable, begin="all", events=FILTER):
        if language == "rust":
            return [rust / "consumer", events, durable, begin]
        return [*programs[language], "--filter", events, "--durable", durable, "--from", begin]
    languages = ["rust", *programs]
    commands = {"rust": [rust / "command"], **{of: [*programs[of], "--command"] for of in programs}}
    async with fleet(binary, nats_server, max_payload=MAX_PAYLOAD) as it:
        client = await nats.connect(it.nats)
        info = json.dumps({"op": 43, "d": {"guild_id": it.guild(0)["id"], "fields": ["status"]}})
        for language in languages:
            await share(it, client, language, worker(language, f"share-{language}"))
            ask(it, language, commands[language], info)
        lengths, _ = await oversize(it, client)
        for language in languages:
            await decodes(it, language, worker(language, f"zstd-{language}", events="discord.*.GUILD_CREATE"), lengths)
        await slow(it, {language: worker(language, f"slow-{language}") for language in languages})
        for language in languages:
            await begins(it, client, language, lambda *of: worker(language, *of))
            durable = f"deleted-{language}"
            was = await deleted(it, client, durable, worker(language, durable), durable, 0)
            skipped = set(await settled(it, client)) - was
            assert not skipped, f"{language} skips {len(skipped)}"
        await ordered_deleted(it, client, rust / "ordered")
        await bots(it, client, node)
        here = {"DISCORD_TOKEN": TOKEN, "PATH": os.environ["PATH"]}
        alone(it, {
            **{f"{of} --command": ([*commands[of], info], here, "nobody answers on fleet.discord") for of in programs},
            **{f"{of} worker": (worker(of, "alone"), here, "does the fleet run") for of in programs},
            "discord.js bot": (js(node), {**here, "DISCORD_API": f"{it.sim}/api"}, "does the fleet run"),
            "discord.py bot": (PY, {**here, "DISCORD_API": f"{it.sim}/api/v10"}, "does it run"),
        })
        broken = it.verdict()["violations"]
        assert not broken, broken
        await client.close()
    async with fleet(binary, nats_server, shards=8) as it:
        client = await nats.connect(it.nats)
        await ordered(it, rust / "ordered", lambda: settled(it, client))
        await client.close()
    print("ok: every worker, every bridge")


def js(node):
    return ["node", node / "discord.js/bot.js"]


async def bots(it, client, node):
    api = f"{it.sim}/api"

    async def huge():
        return (await oversize(it, client))[1]
    for name, command, base in (("discord.js", js(node), api), ("discord.py", PY, f"{api}/v10")):
        await bridge(it, client, name, command, base, huge)
        env = {"DISCORD_API": base, "DISCORD_TOKEN": TOKEN}
        await deleted(it, client, f"{name}-deleted", command, name.replace(".", "-"), 1, env)
        env |= {"FLEET_DURABLE": f"backlog-{name[-2:]}", "BRIDGE": str(ROOT / "examples/discord.py")}
        # All members of a guild are told once in 30 s.
        env["GUILD"] = it.guild(0 if name == "discord.js" else 1)["id"]
        here = pathlib.Path(__file__).parent
        program = ["node", node / "discord.js/backlog.js"] if name == "discord.js" else [sys.executable, here / "backlog.py"]
        await behind(it, client, env["FLEET_DURABLE"], program, env)
    await refused(it, client, js(node), api)
    surface(it, api, node)


asyncio.run(main(*sys.argv[1:]))
