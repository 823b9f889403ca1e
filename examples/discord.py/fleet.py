"""discord.py without its gateway: events come from the fleet, what it sends goes to the fleet.

    bot = discord.Client(intents=…)        # or commands.Bot
    asyncio.run(fleet.run(bot, TOKEN))

It uses two inner parts of discord.py, `_connection.parsers` and `_connection._get_websocket`, so the
version is pinned in requirements.txt. One process takes every shard: READY of shard 5 of 16 adds its
guilds to those known. There is no cache from before this process started, other than what is still in
the stream: handlers get partial objects for guilds that it has not seen.
"""

import asyncio
import json
import os

import nats
import zstandard
from discord.http import Route
from nats.errors import TimeoutError as NothingThere
from nats.js.api import ConsumerConfig

SUBJECT = os.environ.get("FLEET_SUBJECT", "discord.*.*")
DURABLE = os.environ.get("FLEET_DURABLE", "discord-py")


class Refused(Exception):
    """The fleet did not send a command; `reply` says why, and when to try again."""

    def __init__(self, reply):
        super().__init__(f"{reply['reason']}: {reply['detail']}")
        self.reply = reply


class Upstream:
    """What discord.py takes for a shard's websocket: its commands go to the fleet."""

    def __init__(self, client):
        self.client = client

    async def send(self, op, data):
        payload = json.dumps({"op": op, "d": data}).encode()
        answer = await self.client.request("fleet.discord.command", payload, timeout=10)
        reply = json.loads(answer.data)
        if reply["kind"] == "refused":
            raise Refused(reply)
        return reply

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
        await self.send(8, data)

    async def change_presence(self, *, activity=None, status=None, since=0.0):
        activities = [activity.to_dict()] if activity else []
        await self.send(3, {
            "since": int(since * 1000) or None, "activities": activities,
            "status": str(status or "online"), "afk": False,
        })


async def run(bot, token):
    """Logs in over REST, then feeds the bot until it is cancelled."""
    if api := os.environ.get("DISCORD_API"):
        Route.BASE = api
    url = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
    client = await nats.connect(url, max_reconnect_attempts=-1)
    bot.upstream = Upstream(client)
    async with bot:
        await bot.login(token)
        state = bot._connection
        state._get_websocket = lambda *_, **__: bot.upstream
        bot.ws = bot.upstream
        config = ConsumerConfig(ack_wait=30, max_ack_pending=5000)
        events = await client.jetstream().pull_subscribe(
            SUBJECT, DURABLE, stream="DISCORD", config=config
        )
        while True:
            try:
                batch = await events.fetch(200, timeout=5)
            except NothingThere:
                continue
            for msg in batch:
                feed(bot, msg)
                # A handler runs as a task of its own: an event whose handler dies is not fed again.
                await msg.ack()
            await asyncio.sleep(0)


def feed(bot, msg):
    if (msg.headers or {}).get("Content-Encoding") == "zstd":
        # It was too large for NATS.
        payload = json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(msg.data))
    else:
        payload = json.loads(msg.data)
    if msg.subject.endswith(".FLEET_GAP"):
        # Events are missing before this one. `on_fleet_gap(gap)` may fetch what matters over REST.
        bot.dispatch("fleet_gap", payload)
        return
    # As the subject names it: a `t` that cannot stand there may be anything.
    event = msg.subject.rsplit(".", 1)[-1]
    parse = bot._connection.parsers.get(event)
    if event == "READY":
        # It would forget every other shard's guilds; those of this shard come as GUILD_CREATE.
        return
    if parse:
        parse(payload["d"])
