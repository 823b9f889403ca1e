"""A bot on discord.py with a backlog: asks for members at once, and tells what it heard before they came."""

import os
import sys
import time

import discord

sys.path.insert(0, os.environ["BRIDGE"])
import fleet  # noqa: E402

bot = discord.Client(intents=discord.Intents(guilds=True, members=True, messages=True))
fleet.attach(bot)
heard = 0


@bot.event
async def on_socket_event_type(event):
    global heard
    heard += 1
    time.sleep(0.003)  # a busy bot


@bot.event
async def on_ready():
    start = time.monotonic()
    members = await bot.get_guild(int(os.environ["GUILD"])).chunk()
    print("members", len(members), heard, time.monotonic() - start, flush=True)


bot.run(os.environ["DISCORD_TOKEN"])
