"""hikari, two shards, its default transport (zlib-stream)."""

import asyncio
import logging

import hikari

import harness


class Client(harness.Client):
    def __init__(self, base):
        super().__init__()
        self.bot = hikari.GatewayBot(
            harness.TOKEN,
            intents=hikari.Intents.ALL,
            banner=None,
            logs=None,
            rest_url=f"{base}/api/v10",
            suppress_optimization_warning=True,
        )
        self.interaction = None
        self.task = None
        note, listen = self.note, self.bot.event_manager.subscribe

        async def message(event: hikari.MessageCreateEvent):
            guild = getattr(event, "guild_id", None)
            note("MESSAGE_CREATE", guild, event.author_id, id=str(event.message_id), content=event.content or "")

        async def reaction(event: hikari.GuildReactionAddEvent):
            note("MESSAGE_REACTION_ADD", event.guild_id, event.user_id)

        async def interaction(event: hikari.InteractionCreateEvent):
            self.interaction = event.interaction
            note("INTERACTION_CREATE", event.interaction.guild_id, event.interaction.user.id)

        async def typing(event: hikari.GuildTypingEvent):
            note("TYPING_START", event.guild_id, event.user_id)

        async def member(event: hikari.MemberCreateEvent):
            note("GUILD_MEMBER_ADD", event.guild_id, event.user_id)

        async def voice(event: hikari.VoiceStateUpdateEvent):
            note("VOICE_STATE_UPDATE", event.guild_id, event.state.user_id)

        async def presence(event: hikari.PresenceUpdateEvent):
            note("PRESENCE_UPDATE", event.guild_id, event.user_id)

        async def failed(event: hikari.ExceptionEvent):
            self.errors.append(repr(event.exception))

        for kind, listener in [
            (hikari.MessageCreateEvent, message),
            (hikari.GuildReactionAddEvent, reaction),
            (hikari.InteractionCreateEvent, interaction),
            (hikari.GuildTypingEvent, typing),
            (hikari.MemberCreateEvent, member),
            (hikari.VoiceStateUpdateEvent, voice),
            (hikari.PresenceUpdateEvent, presence),
            (hikari.ExceptionEvent, failed),
        ]:
            listen(kind, listener)

    async def start(self):
        await self.bot.start(shard_count=2, shard_ids=[0, 1], check_for_updates=False)
        self.task = asyncio.create_task(self.bot.join())

    async def stop(self):
        if self.bot.is_alive:
            await self.bot.close()

    def guilds(self):
        return len(self.bot.cache.get_available_guilds_view())

    async def post(self, channel, text):
        return (await self.bot.rest.create_message(channel, text)).id

    async def reply(self):
        kind = hikari.ResponseType.MESSAGE_CREATE
        await self.interaction.create_initial_response(kind, "pong")

    async def members(self, guild):
        found = []

        async def chunk(event: hikari.MemberChunkEvent):
            found.append(len(event.members))

        self.bot.event_manager.subscribe(hikari.MemberChunkEvent, chunk)
        await self.bot.request_guild_members(guild, include_presences=False)
        await harness.until("members", lambda: found)
        return sum(found)

    async def refused(self):
        try:
            await self.task
        except hikari.HikariError:
            return


# What a refused shard says of its end is expected here.
for name in ["hikari", "asyncio"]:
    logging.getLogger(name).setLevel(logging.CRITICAL)
harness.main("hikari", Client)
