"""Events of a durable pull consumer, asked for ahead.

`fetch()` of nats-py costs a task and a timer for each event, which is more than all else together; a
subscription with a handler does not. So this asks as JetStream is asked, with a subscription of its own:

    await pull(client, "DISCORD", "my-durable", handle)

<https://docs.nats.io/reference/reference-protocols/nats_api_reference#pulling-messages>
"""

import asyncio
import json

BATCH = 500  # events asked for ahead: a worker that has many leaves others none
EXPIRES = 10  # seconds after which the server says that it forgets a request


async def pull(client, stream, durable, handle, batch=BATCH):
    """Awaits `handle(msg)` for each event, one after the other, for ever. Acknowledging is its own."""
    inbox = client.new_inbox()
    request = json.dumps({"batch": batch, "expires": EXPIRES * 10**9}).encode()
    # So many were asked for and have not come; and when the server last said anything.
    left, heard = 0, 0.0
    now = asyncio.get_running_loop().time

    async def ask():
        nonlocal left
        left += batch
        await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}", request, reply=inbox)

    async def take(msg):
        nonlocal left, heard
        heard = now()
        status = (msg.headers or {}).get("Status")
        if status is None:
            left -= 1
        elif status == "100":
            return  # an idle heartbeat
        else:
            # A request is over, and what is left of it with it. Without a number, all of them are.
            left -= int(msg.headers.get("Nats-Pending-Messages", left))
            if status not in ("404", "408"):
                await asyncio.sleep(1)  # nobody serves the consumer just now
        # At half, so that the next are on their way while these are worked on.
        if left <= batch // 2:
            await ask()
        if status is None:
            await handle(msg)

    await client.subscribe(inbox, cb=take, pending_msgs_limit=-1, pending_bytes_limit=-1)
    while True:
        # A request is lost where the server or the connection is.
        if now() - heard > EXPIRES * 1.5:
            left, heard = 0, now()
            await ask()
        await asyncio.sleep(1)
