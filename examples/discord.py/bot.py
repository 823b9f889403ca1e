"""A bot on discord.py whose gateway is a fleet: answers /commands, and messages that say !ping.

    NATS_URL=… DISCORD_TOKEN=… python bot.py
"""

import json
import os
import sys

import discord
from discord.ext import commands

import fleet

bot = commands.Bot(command_prefix="?", intents=discord.Intents.default())
fleet.attach(bot)
asked = False


def say(*words):
    print(*words, flush=True)


@bot.event
async def on_ready():
    # Of what the stream and REST know; more comes as it happens.
    say("READY", bot.user.id, bot.shard_count, "shards")
    for guild in bot.guilds:
        say("GUILD", guild.id, len(guild.channels), "channels")


@bot.event
async def on_guild_available(guild):
    say("GUILD_CREATE", guild.id, len(guild.members), "members")


@bot.event
async def on_guild_join(guild):
    await on_guild_available(guild)


@bot.event
async def on_message(message):
    global asked
    if message.author.id == bot.user.id:
        return say("own MESSAGE_CREATE", message.id)
    say("MESSAGE_CREATE", message.id, len(message.content), "characters")
    if message.content == "!ping":
        sent = await message.channel.send("pong")
        say("posted", sent.id)
    if message.guild and not asked:
        # Once, to show the way upstream: op 43 by the shard of this guild.
        asked = True
        reply = await bot.upstream.send(43, {"guild_id": str(message.guild.id), "fields": ["status"]})
        say("command", json.dumps(reply))


@bot.tree.command(description="answers pong")
async def ping(interaction):
    say("INTERACTION_CREATE", interaction.id)
    try:
        # Within three seconds, or Discord has forgotten it.
        await interaction.response.send_message("pong", ephemeral=True)
        say("answered", interaction.id)
    except discord.HTTPException as error:
        say("not answered", interaction.id, type(error).__name__, error)


if __name__ == "__main__":
    try:
        bot.run(os.environ["DISCORD_TOKEN"])
    except fleet.Away as error:
        sys.exit(str(error))
