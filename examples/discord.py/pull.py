"""Events of a durable pull consumer, no more at a time than can be done in time.

    config = ConsumerConfig(durable_name="mine", filter_subject="discord.*.MESSAGE_CREATE", ack_wait=10)
    await pull(client, config, handle)

`handle(msg)` may be `async` or not. An event is acknowledged when it returns; when it raises, the event
comes again after `ack_wait`. Where somebody deleted the consumer it is made anew and goes on behind the
last event that was handled here.

`fetch()` of nats-py costs a task and a timer for each event, which is more than all else together. So
this asks as JetStream is asked, with a subscription of its own:
<https://docs.nats.io/reference/reference-protocols/nats_api_reference#pulling-messages>
"""

import asyncio
import collections
import inspect
import json
import os
import sys

import nats
from nats.errors import Error, NoRespondersError
from nats.js.api import AckPolicy, DeliverPolicy
from nats.js.errors import APIError, NotFoundError

STREAM = "DISCORD"
BATCH = 500  # no more events are asked for ahead
EXPIRES = 10  # seconds after which the server forgets a request
HEARTBEAT = 1  # seconds after which it says that it is there, without events too
SILENT = 3  # seconds without a word from it, after which we look whether the consumer is there


class Away(Exception):
    """What we want is not there at the start; the text says what to look at."""


async def connect():
    """To NATS_URL. Without a NATS at the start that is an error; one that goes away later is waited for."""
    last = None

    async def said(error):
        nonlocal last
        if str(error) != last:
            last = str(error)
            print(f"NATS: {last}", file=sys.stderr)

    url = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
    try:
        return await asyncio.wait_for(nats.connect(url, max_reconnect_attempts=-1, error_cb=said), 10)
    except (OSError, Error, asyncio.TimeoutError) as error:
        reason = last or str(error)
        raise Away(f"no NATS lets us in ({reason}): is it up, and is it what NATS_URL names?") from None


async def pull(client, config, handle):
    """Handles event after event, for ever."""
    events = Pull(client, config, handle)
    await events.begin()
    await events.run()


class Pull:
    def __init__(self, client, config, handle):
        self.client, self.config, self.handle = client, config, handle
        self.ack_wait = config.ack_wait or 30
        self.inbox = client.new_inbox()
        self.now = asyncio.get_running_loop().time
        self.waiting, self.arrived = collections.deque(), asyncio.Event()
        # So many were asked for and have not come; when the server last said anything; it says no.
        self.asked, self.heard, self.refused = 0, 0.0, False
        # Seconds for an event, lately: ten at first, more when they are seen to be fast.
        self.pace = self.ack_wait / 40
        # The stream by its birthday, and how far we are in it: an event, or a sequence.
        self.born, self.last = None, 0

    async def begin(self):
        """Sees to it that the consumer is there. For the caller, who may have something to do first."""
        await self.client.subscribe(
            self.inbox, cb=self.take, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        try:
            await self.make()
        except (NotFoundError, NoRespondersError) as error:
            raise Away(
                f"no stream {STREAM} at this NATS ({error}): does the fleet run, and on this NATS?"
            ) from None

    async def run(self):
        while True:
            await self.ask()
            if self.waiting:
                await self.work(*self.waiting.popleft())
                continue
            self.arrived.clear()
            try:
                await asyncio.wait_for(self.arrived.wait(), HEARTBEAT)
            except asyncio.TimeoutError:
                pass
            if self.refused or (self.asked and self.now() - self.heard > SILENT):
                await self.look()

    async def ask(self):
        # What is here and on its way has to be done within a fraction of ack_wait.
        room = max(1, min(BATCH, int(self.ack_wait / 4 / self.pace)))
        more = room - self.asked - len(self.waiting)
        # At half, so that the next are on their way while these are worked on.
        if more <= room // 2 or self.refused:
            return
        if not self.asked:
            self.heard = self.now()
        self.asked += more
        request = {"batch": more, "expires": EXPIRES * 10**9, "idle_heartbeat": HEARTBEAT * 10**9}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self.config.durable_name}"
        await self.client.publish(subject, json.dumps(request).encode(), reply=self.inbox)

    async def take(self, msg):
        self.heard = self.now()
        status = (msg.headers or {}).get("Status")
        if status is None:
            self.asked -= 1
            self.waiting.append((self.heard, msg))
        elif status == "100":
            return  # the heartbeat
        else:
            # A request is over, and what is left of it with it. Without a number, all of them are.
            self.asked = max(0, self.asked - int(msg.headers.get("Nats-Pending-Messages", self.asked)))
            # Other than "nothing there" and "its time is over": deleted, or nobody serves it just now.
            self.refused = status not in ("404", "408")
        self.arrived.set()

    async def work(self, came, msg):
        start = self.now()
        if start - came > self.ack_wait / 2:
            return  # it was here too long: the server gives it again, to whoever has time
        acks = self.config.ack_policy != AckPolicy.NONE
        if acks and start - came > self.ack_wait / 10:
            await msg.in_progress()  # its time begins now
        try:
            done = self.handle(msg)
            if inspect.isawaitable(done):
                await done
        except Exception as error:
            print(f"{msg.subject}: {type(error).__name__}: {error}; it comes again", file=sys.stderr)
        else:
            if acks:
                await msg.ack()  # after the work, never before it
        self.last = msg
        took = self.now() - start
        self.pace = max(took, self.pace * 0.9)
        if took > 0.001:
            await asyncio.sleep(0)  # so that the ack leaves, and others come

    async def look(self):
        """Until the consumer is there, made anew or not."""
        said = False
        while True:
            await asyncio.sleep(HEARTBEAT)
            while self.waiting:  # a refusal overtakes the last events
                await self.work(*self.waiting.popleft())
            try:
                return await self.make()
            except (Error, asyncio.TimeoutError) as error:
                if not said:
                    print(f"consumer {self.config.durable_name}: {error}; tried every second", file=sys.stderr)
                said = True

    async def make(self):
        jetstream, name = self.client.jetstream(), self.config.durable_name
        stream = await jetstream.stream_info(STREAM)
        try:
            # One that is there goes on where it is, whoever made it.
            there = (await jetstream.consumer_info(STREAM, name)).config
            begin = {"deliver_policy": there.deliver_policy, "opt_start_seq": there.opt_start_seq}
        except NotFoundError:
            begin = self.place(stream)
            if self.born:
                where = f"event {begin['opt_start_seq']}" if "opt_start_seq" in begin else "the first event"
                print(f"consumer {name} was deleted: made anew, from {where} of the stream on", file=sys.stderr)
        info = await jetstream.add_consumer(STREAM, self.config.evolve(**begin))
        if self.born != stream.created:
            self.born, self.last = stream.created, info.ack_floor.stream_seq
        self.asked, self.heard, self.refused = 0, self.now(), False

    def place(self, stream):
        if not self.born:
            return {}  # as configured
        last = self.last if isinstance(self.last, int) else self.last.metadata.sequence.stream
        if self.born == stream.created and last <= stream.state.last_seq:
            return {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": last + 1}
        return {"deliver_policy": DeliverPolicy.ALL}  # another stream: all of it is new
