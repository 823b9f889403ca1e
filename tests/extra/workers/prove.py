"""Every example worker: shares a durable consumer with two more, one is killed, nothing is skipped; each
sends a command, and reads what was compressed. The ordered one keeps each shard's order through it all.
Then the bridges. Needs nats-py and zstandard."""

import asyncio
import json
import os
import pathlib
import subprocess
import sys

import nats
import zstandard
from nats.js.api import ConsumerConfig, DeliverPolicy

from bridge import bridge
from fleet import ROOT, fleet, until
from ordered import ordered

FILTER = "discord.*.MESSAGE_CREATE"
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
    it.post("/sim/fault", {"fault": "huge_event", "bytes": HUGE})
    packed = []
    async def look():
        nonlocal packed
        messages = await stored(client, "discord.*.GUILD_CREATE")
        packed = [msg for msg in messages if "Content-Encoding" in msg.headers]
        return len(packed) >= it.shards
    while not await look():
        await asyncio.sleep(0.5)
    lengths, guilds = {}, set()
    for msg in packed:
        assert msg.headers["Content-Encoding"] == "zstd", msg.headers
        text = zstandard.ZstdDecompressor().decompress(msg.data)
        guilds.add(json.loads(text)["d"]["id"])
        lengths[msg.headers["Nats-Msg-Id"]] = len(text)
    assert sum(length > HUGE * 0.99 for length in lengths.values()) == it.shards, lengths
    return lengths, guilds


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
    rust = pathlib.Path(examples)
    async with fleet(binary, nats_server, max_payload=MAX_PAYLOAD) as it:
        client = await nats.connect(it.nats)
        python, javascript = ROOT / "examples/python/worker.py", pathlib.Path(node) / "javascript/worker.js"
        workers = {
            "rust": [rust / "consumer", FILTER],
            "python": [sys.executable, python],
            "javascript": ["node", javascript],
        }
        commands = {
            "rust": [rust / "command"],
            "python": [sys.executable, python, "--command"],
            "javascript": ["node", javascript, "--command"],
        }
        guilds = "discord.*.GUILD_CREATE"
        readers = {
            "rust": [rust / "consumer", guilds, "zstd-rust"],
            "python": [sys.executable, python, "--filter", guilds, "--durable", "zstd-python"],
            "javascript": ["node", javascript, "--filter", guilds, "--durable", "zstd-javascript"],
        }
        guild = it.guild(0)["id"]
        info = json.dumps({"op": 43, "d": {"guild_id": guild, "fields": ["status"]}})
        for language, command in workers.items():
            await share(it, client, language, command)
            ask(it, language, commands[language], info)
        lengths, huge = await oversize(it, client)
        for language, command in readers.items():
            await decodes(it, language, command, lengths)
        js, py = pathlib.Path(node) / "discord.js/bot.js", ROOT / "examples/discord.py/bot.py"
        await bridge(it, "discord.js", ["node", js], f"{it.sim}/api", huge)
        await bridge(it, "discord.py", [sys.executable, py], f"{it.sim}/api/v10", huge)
        broken = it.verdict()["violations"]
        assert not broken, broken
        await client.close()
    async with fleet(binary, nats_server, shards=8) as it:
        client = await nats.connect(it.nats)
        await ordered(it, rust / "ordered", lambda: settled(it, client))
        await client.close()
    print("ok: every worker, every bridge")


asyncio.run(main(*sys.argv[1:]))
