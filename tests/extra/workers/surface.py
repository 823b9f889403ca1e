"""A bot on discord.py whose gateway is the fleet: what its authors use, one after the other.

    python surface.py Bot|AutoShardedBot|Client|AutoShardedClient

Ends with 0 and a line for each, or with what is not so. `bridge.py` runs it.
"""

import asyncio
import math
import os
import sys

import discord
from discord.ext import commands

sys.path.insert(0, os.environ["BRIDGE"])
import fleet  # noqa: E402

KINDS = ["Bot", "AutoShardedBot", "Client", "AutoShardedClient"]
kind = sys.argv[1]
intents = discord.Intents(guilds=True, members=True, messages=True, message_content=True, voice_states=True)
options = {"intents": intents}
if kind.endswith("Bot"):
    options["command_prefix"] = "?"
of = commands if kind.endswith("Bot") else discord
bot = getattr(of, kind)(**options)
fleet.attach(bot)
heard, sharded, shards = [], kind.startswith("AutoSharded"), int(os.environ["SHARDS"])
checked = []


def holds(what, true):
    checked.append(what)
    assert true, f"{kind}: {what} is not so"


async def refuses(what, awaitable, *errors):
    try:
        await awaitable
    except errors as error:
        return holds(what, str(error))
    holds(what, False)


for name in ("connect", "ready", "message", "member_join", "typing", "shard_connect", "shard_ready",
             "guild_available", "guild_join", "error", "socket_event_type", "resumed"):
    def note(name):
        async def hear(*arguments):
            heard.append((name, arguments))
        hear.__name__ = f"on_{name}"
        bot.event(hear)
    note(name)


def count(name):
    return sum(1 for said, _ in heard if said == name)


async def setup_hook():
    heard.append(("setup_hook", ()))

bot.setup_hook = setup_hook


async def before(token):
    holds("is_ready() before", not bot.is_ready())
    holds("latency before", math.isnan(bot.latency))
    holds("is_ws_ratelimited() before", bot.is_ws_ratelimited() is False)
    holds("is_closed() before", not bot.is_closed())
    return asyncio.create_task(bot.start(token))


async def session():
    await asyncio.wait_for(asyncio.shield(wait_ready()), 60)
    await asyncio.sleep(1)
    holds("wait_until_ready()", bot.is_ready())
    holds("setup_hook", count("setup_hook") == 1)
    holds("on_connect", count("connect") == 1)
    holds("on_ready once", count("ready") == 1)
    holds("on_error never", not count("error"))
    holds("user", bot.user and bot.user.bot)
    holds("application", bot.application and bot.application_id == bot.application.id)
    holds("intents", bot.intents == intents)
    holds("shard_count", bot.shard_count == shards)
    holds("shard_id", getattr(bot, "shard_id", None) is None)
    holds("latency", 0 < bot.latency < 5)
    holds("is_ws_ratelimited()", bot.is_ws_ratelimited() is False)
    holds("is_closed()", not bot.is_closed())
    if sharded:
        holds("shards", sorted(bot.shards) == list(range(shards)))
        holds("latencies", [shard for shard, _ in bot.latencies] == list(range(shards)))
        info = bot.get_shard(1)
        holds("get_shard()", info.id == 1 and info.shard_count == shards and not info.is_closed())
        holds("ShardInfo.latency", info.latency < 5 and not info.is_ws_ratelimited())
        holds("get_shard() of none", bot.get_shard(shards) is None)
        holds("on_shard_ready", count("shard_ready") == shards == count("shard_connect"))
        await info.disconnect()
        await info.reconnect()
        holds("ShardInfo.disconnect() leaves it", not info.is_closed())
    guild = guilds()
    await members(guild)
    await presence(guild)
    await events(guild)


async def wait_ready():
    while bot.user is None:
        await asyncio.sleep(0.05)
    await bot.wait_until_ready()


def guilds():
    holds("guilds", len(bot.guilds) == 2 * shards)
    for guild in bot.guilds:
        holds("guild.shard_id", guild.shard_id == (guild.id >> 22) % shards)
    holds("guilds of every shard", {guild.shard_id for guild in bot.guilds} == set(range(shards)))
    # All members of one guild are told once in 30 s: each kind has its own.
    guild = bot.guilds[KINDS.index(kind)]
    channel = guild.text_channels[0]
    holds("get_guild()", bot.get_guild(guild.id) is guild)
    holds("get_channel()", bot.get_channel(channel.id) is channel)
    holds("guild.me", guild.me.id == bot.user.id)
    holds("guild.default_role", guild.default_role and guild.roles)
    holds("guild.owner_id", guild.owner_id and guild.name and guild.member_count)
    holds("permissions_for()", channel.permissions_for(guild.me) is not None)
    holds("users", bot.get_user(bot.user.id) and bot.users)
    holds("get_all_channels()", channel in list(bot.get_all_channels()))
    holds("get_all_members()", guild.me in list(bot.get_all_members()))
    holds("emojis, stickers, cached_messages", bot.emojis is not None and bot.stickers is not None
          and bot.cached_messages is not None)
    holds("private_channels, voice_clients", not bot.private_channels and not bot.voice_clients)
    return guild


async def members(guild):
    # Somebody may have asked within the 30 s: then it waits.
    everybody = await asyncio.wait_for(guild.chunk(), 45)
    holds("guild.chunk()", guild.me in everybody)
    some = await guild.query_members(user_ids=[bot.user.id])
    holds("query_members(user_ids)", [member.id for member in some] == [bot.user.id])
    holds("query_members(query)", await guild.query_members(everybody[0].name[:2], limit=5))
    holds("get_member()", guild.get_member(everybody[0].id))
    holds("fetch_member()", (await guild.fetch_member(everybody[0].id)).id == everybody[0].id)
    await guild.change_voice_state(channel=None)
    holds("change_voice_state()", True)
    if kind.endswith("Bot"):
        holds("MemberConverter", await converted(guild, everybody[0]))


async def converted(guild, member):
    return await commands.MemberConverter().query_member_by_id(bot, guild, member.id)


async def presence(guild):
    await bot.change_presence(activity=discord.Game("chess"), status=discord.Status.idle)
    holds("change_presence()", guild.me is not None)
    reply = await bot.upstream.send(43, {"guild_id": str(guild.id), "fields": ["status"]})
    holds("upstream.send()", reply["kind"] == "accepted")
    await refuses("a refusal is told", bot.upstream.send(9, {}), fleet.Refused, discord.ClientException)
    nobody = fleet.Upstream(bot.upstream.gateway, 99)
    await refuses("silence is told", nobody.send(3, {}), fleet.Unanswered)


async def events(guild):
    channel = guild.text_channels[0]
    waiting = asyncio.create_task(bot.wait_for("message", check=lambda m: m.content == "surface", timeout=20))
    await asyncio.sleep(0)
    sent = await channel.send("surface")
    message = await waiting
    holds("wait_for('message')", message.id == sent.id)
    holds("message.guild, channel, author", message.guild is guild and message.channel is channel
          and message.author == bot.user and isinstance(message.author, discord.Member))
    holds("cached_messages", message in bot.cached_messages)
    edited = asyncio.create_task(bot.wait_for("message_edit", timeout=20))
    await asyncio.sleep(0)
    await sent.edit(content="more")
    holds("on_message_edit with both", [m.content for m in await edited] == ["surface", "more"])
    gone = asyncio.create_task(bot.wait_for("message_delete", timeout=20))
    await asyncio.sleep(0)
    await sent.delete()
    holds("on_message_delete", (await gone).id == sent.id)
    holds("fetch_guild(), fetch_channel()", (await bot.fetch_guild(guild.id)).id == guild.id
          and (await bot.fetch_channel(channel.id)).id == channel.id)
    holds("fetch_user()", (await bot.fetch_user(bot.user.id)).id == bot.user.id)
    holds("on_socket_event_type", count("socket_event_type"))
    holds("on_error never", not count("error"))


async def main():
    async with bot:
        task = await before(os.environ["DISCORD_TOKEN"])
        inner = asyncio.create_task(session())
        done, _ = await asyncio.wait({task, inner}, return_when=asyncio.FIRST_COMPLETED)
        for ended in done:
            ended.result()
        await bot.close()
        holds("close()", bot.is_closed())
        await asyncio.wait_for(task, 10)
        holds("start() ends", True)
    holds("close() twice", bot.is_closed())
    print(f"{kind}: {len(set(checked))} of what its authors use", flush=True)


async def first_error():
    """What went wrong first is what is told, whatever close() meets."""
    os.environ["NATS_URL"] = "nats://127.0.0.1:1"
    again = getattr(of, kind)(**options)
    fleet.attach(again)
    try:
        async with again:
            await again.start(os.environ["DISCORD_TOKEN"])
    except fleet.Away as error:
        assert "NATS_URL" in str(error), error
        return
    raise AssertionError("it starts without NATS")


asyncio.run(main())
asyncio.run(first_error())
