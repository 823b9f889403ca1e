"""A worker: a durable consumer that any number of these programs share, and a command upstream.

    python worker.py                          # reads events for ever
    python worker.py --from new               # a durable that is not there yet begins at now
    python worker.py --command '{"op":43,…}'  # sends one command, and tells the fleet's answer

Run it as often as you like: each event goes to one of them. Kill one with -9: what it had not
acknowledged goes to the others after ACK_WAIT. An event may come twice, and is skipped never.
"""

import argparse
import asyncio
import json
import sys

import zstandard
from nats.errors import NoRespondersError, TimeoutError
from nats.js.api import ConsumerConfig, DeliverPolicy

from pull import Away, connect, pull

ACK_WAIT = 10  # seconds that an event may take
TRIES = 5  # of a command that the fleet bids us to send again


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


async def work(client, options, out):
    config = ConsumerConfig(
        durable_name=options.durable, filter_subject=options.filter, ack_wait=ACK_WAIT,
        max_ack_pending=10_000, deliver_policy=DeliverPolicy(options.begin),
    )

    def one(msg):
        handle(msg, out)
        out.flush()

    await pull(client, config, one)


async def command(client, payload):
    for _ in range(TRIES):
        answer = await client.request("fleet.discord.command", payload.encode(), timeout=10)
        reply = json.loads(answer.data)
        print(json.dumps(reply), flush=True)
        if reply["kind"] != "refused":
            return 0
        if "retry_after_ms" not in reply:
            return 1
        await asyncio.sleep(reply["retry_after_ms"] / 1000)
    return 1


async def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--filter", default="discord.*.MESSAGE_CREATE")
    arguments.add_argument("--durable", default="example-python")
    arguments.add_argument("--from", dest="begin", choices=["all", "new"], default="all")
    arguments.add_argument("--command")
    options = arguments.parse_args()
    client = None
    try:
        client = await connect()
        if options.command:
            return await command(client, options.command)
        await work(client, options, sys.stdout)
    except Away as error:
        return str(error)
    except (NoRespondersError, TimeoutError):
        return "nobody answers on fleet.discord.command: does a gateway run, and is the fleet's name discord?"
    finally:
        if client:
            await client.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
