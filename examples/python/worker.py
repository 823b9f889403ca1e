"""A worker: a durable consumer that any number of these programs share, and a command upstream.

    python worker.py                          # reads events for ever
    python worker.py --command '{"op":43,…}'  # sends one command, and tells the fleet's answer

Run it as often as you like: each event goes to one of them. Kill one with -9: what it had not
acknowledged goes to the others after ACK_WAIT. An event may come twice, and is skipped never.
"""

import argparse
import asyncio
import json
import os
import sys

import nats
import zstandard
from nats.js.api import AckPolicy, ConsumerConfig

from pull import pull

ACK_WAIT = 10  # seconds that an event may take


def body(msg):
    """The event's own bytes: one that was too large for NATS is compressed."""
    if (msg.headers or {}).get("Content-Encoding") == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(msg.data)
    return msg.data


def handle(msg, out):
    event = msg.subject.rsplit(".", 1)[1]
    text = body(msg)
    data = json.loads(text)
    if event == "FLEET_GAP":
        # Events are missing before this one: drop what you know of the shard's guilds.
        print(f"gap: {data['reason']} after {data['session']}:{data['last_seq']}", file=sys.stderr)
    # Nats-Msg-Id is unique: whatever you do with an event, do it once for each of these.
    out.write(f"{msg.headers['Nats-Msg-Id']} {msg.subject} {len(text)} bytes\n")


async def work(client, filter_subject, durable, out):
    config = ConsumerConfig(
        durable_name=durable, filter_subject=filter_subject, ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT, max_ack_pending=10_000,
    )
    await client.jetstream().add_consumer("DISCORD", config)

    async def one(msg):
        handle(msg, out)
        out.flush()
        # After the work, never before it.
        await msg.ack()

    await pull(client, "DISCORD", durable, one)


async def command(client, payload):
    while True:
        answer = await client.request("fleet.discord.command", payload.encode(), timeout=10)
        reply = json.loads(answer.data)
        print(json.dumps(reply), flush=True)
        if reply["kind"] != "refused":
            return 0
        if "retry_after_ms" not in reply:
            return 1
        await asyncio.sleep(reply["retry_after_ms"] / 1000)


async def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--filter", default="discord.*.MESSAGE_CREATE")
    arguments.add_argument("--durable", default="example-python")
    arguments.add_argument("--command")
    options = arguments.parse_args()
    client = await nats.connect(
        os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), max_reconnect_attempts=-1
    )
    if options.command:
        code = await command(client, options.command)
        await client.close()
        return code
    await work(client, options.filter, options.durable, sys.stdout)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
