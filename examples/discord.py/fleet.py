"""discord.py without its gateway: events come from the fleet, what it sends goes to the fleet.

    bot = commands.Bot(…)    # or discord.Client, or one of the two AutoSharded ones
    fleet.attach(bot)
    bot.run(TOKEN)           # or start()

What each part of a bot does on a fleet is in ../README.md. It uses inner parts of discord.py (`_connection`
and, of the AutoSharded ones, `__shards`), so the version is pinned in requirements.txt.
"""

import asyncio
import json
import logging
import os
import time

import discord
import zstandard
from discord.http import Route
from discord.shard import Shard
from nats.errors import Error, NoRespondersError
from nats.errors import TimeoutError as NoAnswer
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from pull import STREAM, Away, Pull, connect

SUBJECT = os.environ.get("FLEET_SUBJECT", "discord.*.*")
DURABLE = os.environ.get("FLEET_DURABLE", "discord-py")
PATIENCE = 60  # seconds that a command is sent again for, where the fleet says when
MEMBERS = 120  # seconds for all members of a guild
LEARN = 60  # seconds to read at the start what the stream knows of guilds
# What a cache is made of.
GUILDS = ["discord.*.GUILD_MEMBER_ADD", "discord.*.GUILD_MEMBER_REMOVE"] + [
    f"discord.*.{what}_{how}" for what in ("GUILD", "GUILD_ROLE", "CHANNEL", "THREAD")
    for how in ("CREATE", "UPDATE", "DELETE")
]
# Answers to commands: for whoever asked, and now, whatever else waits.
ANSWERS = ("GUILD_MEMBERS_CHUNK", "RATE_LIMITED", "VOICE_SERVER_UPDATE")

log = logging.getLogger("fleet")


class Refused(discord.ClientException):
    """The fleet did not send a command; `reply` says why, and when to try again."""

    def __init__(self, reply):
        super().__init__(f"{reply['reason']}: {reply['detail']}")
        self.reply = reply


class Unanswered(discord.ClientException):
    """Nobody knows whether a command was sent."""


def attach(bot):
    """The bot's gateway is the fleet from now on."""
    if api := os.environ.get("DISCORD_API"):
        Route.BASE = api
    gateway = Gateway(bot)
    bot.connect, bot.upstream = gateway.connect, gateway.upstream()


class Gateway:
    """Takes the place of `connect()`: feeds the bot until it is closed."""

    def __init__(self, bot):
        self.bot, self.state = bot, bot._connection
        self.client, self.ended = None, asyncio.Event()
        self.latency, self.limited_until = float("nan"), 0.0

    def upstream(self, shard=None):
        return Upstream(self, shard)

    async def connect(self, *, reconnect=True):
        self.ended.clear()
        self.client = await connect()
        tasks = []
        try:
            await self.cut()
            # Members are asked for with guild.chunk(): for every guild at each start is too much.
            self.state._chunk_guilds = False
            # First the places in the stream, then what was known before them: so nothing is missed.
            events, answers = Pull(self.client, of_all(), self.event), Pull(self.client, mine(), self.answer)
            await events.begin()
            await answers.begin()
            await self.learn(events.last)
            self.ready()
            runs = (events.run(), answers.run(), self.measure(), self.ended.wait())
            tasks = [asyncio.ensure_future(run) for run in runs]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await self.client.close()

    async def cut(self):
        """How many shards there are, and what stands for each."""
        try:
            topology = await (await self.client.jetstream().key_value("discord_state")).get("topology")
        except Error as error:
            raise Away(f"no fleet at this NATS ({error}): does it run, and on this NATS?") from None
        count = json.loads(topology.value)["shards"]
        bot = self.bot
        bot.shard_count = self.state.shard_count = count
        bot.ws = bot.upstream
        if isinstance(bot, discord.AutoShardedClient):
            bot._reconnect, self.state.shard_ids = True, range(count)
            shards = {id: OfFleet(self.upstream(id), bot, lambda _: None) for id in range(count)}
            bot._AutoShardedClient__shards.update(shards)

    async def learn(self, last):
        """The guilds: from the stream what it has up to our place in it, from REST the names of the others."""
        dispatch, self.state.dispatch = self.state.dispatch, lambda *_, **__: None
        try:
            await asyncio.wait_for(self.read_guilds(last), LEARN)
        except (Error, asyncio.TimeoutError) as error:
            log.warning("guilds are not read to the end (%s): they come with their next event", error)
        finally:
            self.state.dispatch = dispatch
        try:
            named = {guild.id: guild async for guild in self.bot.fetch_guilds(limit=None)}
        except discord.HTTPException as error:
            return log.warning("no list of guilds: %s", error)
        for guild in list(self.state.guilds):
            if guild.id not in named:
                self.state._remove_guild(guild)
        for guild in named.values():
            if not self.bot.get_guild(guild.id):
                guild.unavailable = True  # but for its name
                self.state._add_guild(guild)

    async def read_guilds(self, last):
        config = ConsumerConfig(
            name=f"discord-py-guilds-{os.urandom(4).hex()}", filter_subjects=GUILDS, inactive_threshold=60,
            ack_policy=AckPolicy.NONE, mem_storage=True, num_replicas=1,
        )
        jetstream = self.client.jetstream()
        info = await jetstream.add_consumer(STREAM, config)
        messages = await jetstream.pull_subscribe_bind(info.name, stream=STREAM)
        left = info.num_pending
        while left > 0:
            for msg in await messages.fetch(min(left, 100), timeout=10):
                left -= 1
                if msg.metadata.sequence.stream <= last:
                    self.event(msg)
        await messages.unsubscribe()
        await jetstream.delete_consumer(STREAM, info.name)

    def ready(self):
        dispatch = self.bot.dispatch
        dispatch("connect")
        if isinstance(self.bot, discord.AutoShardedClient):
            for shard in range(self.bot.shard_count):
                dispatch("shard_connect", shard)
                dispatch("shard_ready", shard)
        self.state.call_handlers("ready")
        dispatch("ready")

    async def measure(self):
        """The way to NATS and back, for `latency`."""
        while True:
            start = time.perf_counter()
            try:
                await self.client.flush(5)
                self.latency = time.perf_counter() - start
            except Error:
                self.latency = float("inf")
            await asyncio.sleep(10)

    def event(self, msg):
        """For one process of those that share the events. A handler runs as a task of its own: an event
        whose handler fails is not fed again."""
        _, shard, event = msg.subject.split(".")
        if event not in ANSWERS:
            self.feed(int(shard), event, msg)

    def answer(self, msg):
        _, shard, event = msg.subject.split(".")
        self.feed(int(shard), event, msg)

    def feed(self, shard, event, msg):
        payload = json.loads(body(msg))
        if event == "FLEET_GAP":
            # Events are missing before this one. `on_fleet_gap(gap)` may fetch what matters over REST.
            self.bot.dispatch("fleet_gap", payload)
            return
        data = payload["d"]
        self.bot.dispatch("socket_event_type", event)
        try:
            if event == "READY":
                self.begin_session(shard, data)
            elif event == "RATE_LIMITED":
                self.limited(data)
            # As the subject names it: a `t` that cannot stand there may be anything.
            elif parse := self.state.parsers.get(event):
                if event == "RESUMED":
                    data["__shard_id__"] = shard
                parse(data)
        except Exception:
            log.exception("%s of shard %s is not understood", event, shard)

    def begin_session(self, shard, data):
        """READY of discord.py forgets every shard's guilds. This one drops those of its own that are gone;
        the others come as GUILD_CREATE."""
        named = {int(guild["id"]) for guild in data["guilds"]}
        for guild in list(self.state.guilds):
            if guild.shard_id == shard and guild.id not in named:
                self.state._remove_guild(guild)
        for guild in data["guilds"]:
            if not self.bot.get_guild(int(guild["id"])):
                self.state._add_guild_from_data(guild)
        self.bot.dispatch("shard_ready", shard)

    def limited(self, data):
        """Discord did not answer a request for members."""
        meta = data.get("meta") or {}
        detail = f"Discord answers again in {data.get('retry_after')} s"
        self.give_up(meta.get("nonce"), Refused({"reason": "limited", "detail": detail}))

    def give_up(self, nonce, error):
        """Whoever waits for these members waits no longer, and the next one asks anew."""
        for key, request in list(self.state._chunk_requests.items()):
            if nonce and request.nonce == nonce:
                del self.state._chunk_requests[key]
                for waiter in request.waiters:
                    if not waiter.done():
                        waiter.set_exception(error)


class Upstream:
    """What discord.py takes for a shard's websocket: its commands go to the fleet."""

    def __init__(self, gateway, shard):
        self.gateway, self.shard_id, self.open = gateway, shard, True
        self.subject = "fleet.discord.command" + ("" if shard is None else f".{shard}")

    async def send(self, op, data):
        """The fleet's answer. Sent again where the fleet says when, for as long as PATIENCE."""
        payload = json.dumps({"op": op, "d": data}).encode()
        end = time.monotonic() + PATIENCE
        while True:
            try:
                answer = await self.gateway.client.request(self.subject, payload, timeout=10)
            except (NoRespondersError, NoAnswer) as error:
                what = "does a gateway run, and is the fleet's name discord?"
                raise Unanswered(f"nobody answers on {self.subject} ({error}): {what}") from None
            reply = json.loads(answer.data)
            if reply["kind"] != "refused":
                return reply
            again = time.monotonic() + reply.get("retry_after_ms", PATIENCE * 2000) / 1000
            if again > end:
                raise Refused(reply)
            self.gateway.limited_until = again
            await asyncio.sleep(again - time.monotonic())

    async def voice_state(self, guild_id, channel_id, self_mute=False, self_deaf=False):
        await self.send(4, {
            "guild_id": str(guild_id), "channel_id": channel_id and str(channel_id),
            "self_mute": self_mute, "self_deaf": self_deaf,
        })

    async def request_chunks(self, guild_id, query=None, *, limit, user_ids=None, presences=False,
                             nonce=None):
        data = {"guild_id": str(guild_id), "presences": presences, "limit": limit}
        if nonce:
            data["nonce"] = nonce
        if user_ids:
            data["user_ids"] = [str(user) for user in user_ids]
        else:
            data["query"] = query or ""
        late = asyncio.TimeoutError(f"not all members of guild {guild_id} came within {MEMBERS} s")
        asyncio.get_running_loop().call_later(MEMBERS, self.gateway.give_up, nonce, late)
        try:
            await self.send(8, data)
        except Exception as error:
            self.gateway.give_up(nonce, error)
            raise

    async def change_presence(self, *, activity=None, status=None, since=0.0):
        activities = [activity.to_dict()] if activity else []
        await self.send(3, {
            "since": int(since * 1000) or None, "activities": activities,
            "status": str(status or "online"), "afk": False,
        })

    @property
    def latency(self):
        return self.gateway.latency

    def is_ratelimited(self):
        return time.monotonic() < self.gateway.limited_until

    async def close(self, code=1000):
        self.open = False
        self.gateway.ended.set()


class OfFleet(Shard):
    """A shard of the fleet: when it connects is not a bot's affair."""

    async def disconnect(self):
        log.warning("shard %s is the fleet's: it stays connected (shardfleet drain stops a process)", self.id)

    async def reconnect(self):
        log.warning("shard %s is the fleet's: it connects by itself", self.id)


def of_all():
    """What all processes of this bot share. A durable that is new begins at now: what was before is stale."""
    return ConsumerConfig(
        durable_name=DURABLE, filter_subject=SUBJECT, ack_wait=30, max_ack_pending=5000,
        deliver_policy=DeliverPolicy.NEW,
    )


def mine():
    """This process's own, and gone a minute after it."""
    return ConsumerConfig(
        durable_name=f"{DURABLE}-answers-{os.urandom(4).hex()}",
        filter_subjects=[f"discord.*.{event}" for event in ANSWERS], ack_policy=AckPolicy.NONE,
        deliver_policy=DeliverPolicy.NEW, inactive_threshold=60, mem_storage=True, num_replicas=1,
    )


def body(msg):
    """The event's own bytes: one that was too large for NATS is compressed."""
    if (msg.headers or {}).get("Content-Encoding") == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(msg.data)
    return msg.data
