"""discord.py, two shards, its default transport (zlib-stream)."""

import asyncio
import logging

import discord
import discord.gateway
import discord.http
import yarl

import harness


class Errors(logging.Handler):
    def __init__(self, client):
        super().__init__(logging.ERROR)
        self.client = client

    def emit(self, record):
        self.client.errors.append(self.format(record))


class Bot(discord.AutoShardedClient):
    def __init__(self, client):
        intents = discord.Intents(**{name: True for name, _ in discord.Intents.all()})
        super().__init__(intents=intents, shard_count=2, enable_raw_presences=True)
        self.client = client
        self.interaction = None

    async def on_message(self, message):
        guild = message.guild.id if message.guild else None
        self.client.note("MESSAGE_CREATE", guild, message.author.id, id=str(message.id), content=message.content)

    async def on_raw_reaction_add(self, payload):
        self.client.note("MESSAGE_REACTION_ADD", payload.guild_id, payload.user_id)

    async def on_interaction(self, interaction):
        self.interaction = interaction
        self.client.note("INTERACTION_CREATE", interaction.guild_id, interaction.user.id)

    async def on_raw_typing(self, payload):
        self.client.note("TYPING_START", payload.guild_id, payload.user_id)

    async def on_member_join(self, member):
        self.client.note("GUILD_MEMBER_ADD", member.guild.id, member.id)

    async def on_voice_state_update(self, member, _before, _after):
        self.client.note("VOICE_STATE_UPDATE", member.guild.id, member.id)

    async def on_raw_presence_update(self, payload):
        self.client.note("PRESENCE_UPDATE", payload.guild_id, payload.user_id)

    async def on_error(self, name, *_args):
        import traceback

        self.client.errors.append(f"{name}: {traceback.format_exc()}")


class Client(harness.Client):
    def __init__(self, base):
        super().__init__()
        discord.http.Route.BASE = f"{base}/api/v10"
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(base.replace("http", "ws", 1))
        self.bot = Bot(self)
        self.task = None
        logging.getLogger("discord").addHandler(Errors(self))

    async def start(self):
        self.task = asyncio.create_task(self.bot.start(harness.TOKEN))
        await harness.until("ready", lambda: self.bot.is_ready() or self.task.done(), 60)
        if self.task.done():
            self.task.result()

    async def stop(self):
        await self.bot.close()

    def guilds(self):
        return len([guild for guild in self.bot.guilds if not guild.unavailable])

    async def post(self, channel, text):
        return (await self.bot.get_channel(channel).send(text)).id

    async def reply(self):
        await self.bot.interaction.response.send_message("pong")

    async def members(self, guild):
        return len(await self.bot.get_guild(guild).query_members("a", limit=50)) + len(
            await self.bot.get_guild(guild).chunk(cache=False)
        )

    async def refused(self):
        try:
            await self.task
        except (discord.ConnectionClosed, discord.PrivilegedIntentsRequired):
            return


harness.main("discord.py", Client)
