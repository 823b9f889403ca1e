"""A bot whose gateway is the fleet, and whose REST is the simulator's."""

import json

from fleet import TOKEN, until


async def bridge(it, name, command, api, huge):
    """Answers a message over REST, hears its own message, answers an interaction, sends a command, and
    reads what was compressed."""
    process = it.run(name, *command, env={"DISCORD_API": api, "DISCORD_TOKEN": TOKEN})

    def said(word):
        text = (it.folder / f"{name}.out").read_text()
        return [line for line in text.split("\n")[:-1] if line.startswith(word)]
    await until(f"{name} reads its guilds", lambda: huge <= {line.split()[1] for line in said("GUILD_CREATE")})
    guild = it.guild(0)
    channel = next(c["id"] for c in it.get(f"/api/v10/guilds/{guild['id']}/channels") if c["type"] == 0)
    it.post("/sim/event", {"event": "MESSAGE_CREATE", "guild_id": guild["id"], "data": message(guild, channel)})
    it.post("/sim/event", {"event": "INTERACTION_CREATE", "guild_id": guild["id"]})
    await until(f"{name} hears a message", lambda: said("MESSAGE_CREATE"))
    await until(f"{name}'s command is answered", lambda: said("command"))
    assert '"accepted"' in said("command")[0], said("command")
    await until(f"{name} posts", lambda: said("posted"))
    posted = said("posted")[0].split()[1]
    kept = it.get(f"/api/v10/channels/{channel}/messages/{posted}")
    assert kept["content"] == "pong" and kept["author"].get("bot"), kept
    await until(f"{name} hears its own message", lambda: f"own MESSAGE_CREATE {posted}" in said("own"))
    await until(f"{name} has an interaction answered", lambda: said("answered"))
    # Its answer is a message, too.
    await until(f"{name} hears its own answer", lambda: len(said("own")) >= 2)
    assert not said("not answered"), said("not answered")
    process.terminate()
    process.wait()
    print(f"{name}: posts what comes back as MESSAGE_CREATE, answers INTERACTION_CREATE, sends a command, "
          f"reads {len(said('GUILD_CREATE'))} GUILD_CREATE of which {len(huge)} were compressed", flush=True)


def message(guild, channel):
    author = {"id": "600000000000000001", "username": "somebody", "discriminator": "0", "avatar": None,
              "global_name": None}
    text = """{"type":0,"tts":false,"timestamp":"2026-01-01T00:00:00+00:00","pinned":false,"mentions":[],
        "mention_roles":[],"mention_everyone":false,"flags":0,"edited_timestamp":null,"embeds":[],
        "content":"!ping","components":[],"attachments":[],"id":"1460000000000000001"}"""
    member = {"roles": [], "joined_at": "2026-01-01T00:00:00+00:00", "deaf": False, "mute": False, "flags": 0}
    return {**json.loads(text), "channel_id": channel, "guild_id": guild["id"], "author": author,
            "member": member}
