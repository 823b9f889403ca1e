"""Figures: the round trip of commands, and how fast a Python worker reads. Reported, not judged: they
say as much of the machine as of the program. Needs nats-py.

    python figures.py target/release/shardfleet .tools/bin/nats-server
"""

import asyncio
import json
import pathlib
import sys
import time

import nats
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from fleet import fleet, until

ROOT = pathlib.Path(__file__).resolve().parents[3]
SHARDS = 16
RATE, SECONDS = 100, 15
EVENTS = 50_000


async def guild(client, shard):
    """One of the shard, once it is loaded."""
    while True:
        try:
            subject = f"discord.{shard}.GUILD_CREATE"
            message = await client.jetstream().get_last_msg("DISCORD", subject)
            return json.loads(message.data)["d"]["id"]
        except NotFoundError:
            await asyncio.sleep(0.1)


async def round_trips(client):
    """100 commands a second, each 10 ms after the last; op 43 over shards that have room for 85 a minute."""
    guilds = [await guild(client, shard) for shard in range(SHARDS)]
    took, refused = [], 0

    async def one(guild):
        nonlocal refused
        payload = json.dumps({"op": 43, "d": {"guild_id": guild, "fields": ["status"]}}).encode()
        asked = time.perf_counter()
        answer = await client.request("fleet.discord.command", payload, timeout=10)
        took.append(time.perf_counter() - asked)
        refused += json.loads(answer.data)["kind"] != "accepted"

    # 85 a minute and shard: so many at this pace before the first is refused.
    count = min(RATE * SECONDS, 85 * SHARDS)
    start, tasks = time.perf_counter(), []
    for n in range(count):
        await asyncio.sleep(max(0, start + n / RATE - time.perf_counter()))
        tasks.append(asyncio.create_task(one(guilds[n % SHARDS])))
    await asyncio.gather(*tasks)
    took.sort()
    at = lambda share: f"{took[min(len(took) - 1, int(len(took) * share))] * 1000:.2f} ms"
    print(f"commands: {count} at {RATE}/s over {SHARDS} shards, {refused} refused; "
          f"p50 {at(0.5)}, p99 {at(0.99)}, max {at(1)}", flush=True)


async def reading(it, client):
    """Events of the stream, already there, through a durable consumer with an ack each."""
    it.traffic(5000)
    await until("there are events to read", lambda: it.state()["sent"] > EVENTS, limit=120)
    it.traffic(0)
    config = ConsumerConfig(ack_wait=30, max_ack_pending=50_000)
    events = await client.jetstream().pull_subscribe(
        "discord.>", "figures", stream="DISCORD", config=config,
        pending_msgs_limit=-1, pending_bytes_limit=-1,
    )
    total, start, cpu = 0, time.perf_counter(), time.process_time()
    while total < EVENTS:
        for msg in await events.fetch(1000, timeout=10):
            json.loads(msg.data)
            await msg.ack()
            total += 1
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(f"python: {total} events parsed and acknowledged in {seconds:.2f} s: {total / seconds:.0f}/s; "
          f"{cpu:.2f} s of CPU: {total / cpu:.0f} a CPU second", flush=True)


async def sharing(it):
    """Three workers, all there before the first event: how evenly they share what comes."""
    it.traffic(0)
    names = [f"share-{n}" for n in range(3)]
    worker = ROOT / "examples/python/worker.py"
    for name in names:
        it.run(name, sys.executable, worker, "--filter", "discord.*.*", "--durable", "share")
    count = lambda name: len((it.folder / f"{name}.out").read_text().splitlines())
    # What the stream holds already is read first: it goes to whoever asked first.
    before = -1
    while before != (before := sum(map(count, names))) or before < EVENTS:
        await asyncio.sleep(2)
    old = [count(name) for name in names]
    it.traffic(600)
    await until("new events are shared", lambda: sum(map(count, names)) > before + 6000)
    print("three workers share", sum(map(count, names)) - before, "new events:",
          [count(name) - was for name, was in zip(names, old)], flush=True)


async def main(binary, nats_server):
    async with fleet(binary, nats_server, shards=SHARDS, rate=200) as it:
        client = await nats.connect(it.nats)
        await round_trips(client)
        await reading(it, client)
        await sharing(it)
        print("rules broken:", it.verdict()["violations"])
        await client.close()


asyncio.run(main(*sys.argv[1:]))
