"""Figures: the round trip of commands, and how fast a Python worker reads. A quiet machine and a release
build, or they say nothing. Needs nats-py and zstandard.

    python figures.py target/release/shardfleet .tools/bin/nats-server [--strict]

Ends by itself within a minute; with --strict with 1 where a figure is missed.
"""

import asyncio
import json
import sys
import time

import nats
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from fleet import ROOT, fleet, until

sys.path.insert(0, str(ROOT / "examples/python"))
from pull import pull  # noqa: E402

SHARDS = 16
RATE, SECONDS = 100, 12  # op 43: a shard takes 85 a minute
EVENTS = 30_000
MOST_MS, FEWEST = 5.0, 10_000
LIMIT = 58


async def guild(client, shard):
    """One of the shard, once it is loaded."""
    while True:
        try:
            subject = f"discord.{shard}.GUILD_CREATE"
            message = await client.jetstream().get_last_msg("DISCORD", subject)
            return json.loads(message.data)["d"]["id"]
        except NotFoundError:
            await asyncio.sleep(0.1)


async def alone(client):
    """The server by itself, asked as often: what the machine adds to any round trip."""
    took = []
    for _ in range(RATE * 3):
        asked = time.perf_counter()
        await client.request("$JS.API.INFO", b"", timeout=10)
        took.append((time.perf_counter() - asked) * 1000)
        await asyncio.sleep(1 / RATE)
    p50, p99 = percentiles(took)
    print(f"nats-server alone: p50 {p50:.2f} ms, p99 {p99:.2f} ms", flush=True)


def percentiles(took):
    return [sorted(took)[int(len(took) * share)] for share in (0.5, 0.99)]


async def round_trips(client):
    """A command every 10 ms, over shards in turn, by way of whichever gateway hears it."""
    guilds = [await guild(client, shard) for shard in range(SHARDS)]
    took, refused = [], 0

    async def one(guild):
        nonlocal refused
        payload = json.dumps({"op": 43, "d": {"guild_id": guild, "fields": ["status"]}}).encode()
        asked = time.perf_counter()
        answer = await client.request("fleet.discord.command", payload, timeout=10)
        took.append((time.perf_counter() - asked) * 1000)
        refused += json.loads(answer.data)["kind"] != "accepted"

    start, tasks = time.perf_counter(), []
    for n in range(RATE * SECONDS):
        await asyncio.sleep(max(0, start + n / RATE - time.perf_counter()))
        tasks.append(asyncio.create_task(one(guilds[n % SHARDS])))
    await asyncio.gather(*tasks)
    p50, p99 = percentiles(took)
    print(f"commands: {len(took)} at {RATE}/s over {SHARDS} shards, {refused} refused; "
          f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {max(took):.2f} ms", flush=True)
    return judge(f"p99 of commands under {MOST_MS:.0f} ms", p99 < MOST_MS and not refused)


async def reading(it, client):
    """Events of the stream, already there, through a durable consumer with an ack each."""
    it.traffic(5000)
    await until("there are events to read", lambda: it.state()["sent"] > EVENTS + 5000, limit=30)
    it.traffic(0)
    config = ConsumerConfig(durable_name="figures", ack_wait=30, max_ack_pending=50_000)
    total, done = 0, asyncio.Event()

    def one(msg):
        nonlocal total
        json.loads(msg.data)
        total += 1
        if total == EVENTS:
            done.set()

    start, cpu = time.perf_counter(), time.process_time()
    reader = asyncio.create_task(pull(client, config, one))
    await done.wait()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    reader.cancel()
    print(f"python: {EVENTS} events parsed and acknowledged in {seconds:.2f} s: {EVENTS / seconds:.0f}/s; "
          f"{cpu:.2f} s of CPU: {EVENTS / cpu:.0f} a CPU second", flush=True)
    return judge(f"a Python reader at {FEWEST}/s or more", EVENTS / seconds >= FEWEST)


def judge(figure, met):
    print(f"{'met' if met else 'MISSED'}: {figure}", flush=True)
    return met


async def main(binary, nats_server, *flags):
    async with asyncio.timeout(LIMIT), fleet(binary, nats_server, shards=SHARDS, rate=200) as it:
        client = await nats.connect(it.nats)
        await alone(client)
        met = [await round_trips(client), await reading(it, client)]
        met.append(judge("no rule of Discord's broken", not it.verdict()["violations"]))
        await client.close()
    return "--strict" in flags and not all(met)


sys.exit(asyncio.run(main(*sys.argv[1:])))
