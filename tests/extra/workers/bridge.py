"""A bot whose gateway is the fleet, and whose REST is the simulator's."""

import asyncio
import json
import os
import pathlib
import subprocess
import sys

from fleet import ROOT, TOKEN, until
from trouble import there


async def bridge(it, client, name, command, api, huge):
    """Begins at now; answers a message over REST, hears its own message, answers an interaction, sends a
    command, and reads what was compressed. `huge()` makes such events, and says of which guilds they are."""
    process = it.run(name, *command, env={"DISCORD_API": api, "DISCORD_TOKEN": TOKEN})

    def said(word):
        text = (it.folder / f"{name}.out").read_text()
        return [line for line in text.split("\n")[:-1] if line.startswith(word)]
    await there(client, name.replace(".", "-"))
    if name == "discord.py":
        await until("it is ready", lambda: said("READY"))
        assert said("READY")[0].endswith(f" {it.shards} shards"), said("READY")
        assert len(said("GUILD ")) == 2 * it.shards, said("GUILD ")
    await asyncio.sleep(2)
    assert not said("MESSAGE_CREATE"), "it handles events from before it was there"
    wanted = await huge()
    await until(f"{name} reads its guilds", lambda: wanted <= {line.split()[1] for line in said("GUILD_CREATE")})
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
          f"reads {len(wanted)} compressed GUILD_CREATE", flush=True)


async def refused(it, client, command, api):
    """The discord.js bot's handler sends a command that the fleet refuses: the bot says so and lives on."""
    # Begins at now: its first message is one of ours.
    await client.jetstream().delete_consumer("DISCORD", "discord-js")
    process = it.run("refused", *command, env={"DISCORD_API": api, "DISCORD_TOKEN": TOKEN})
    here, elsewhere = it.guild(0), it.guild(1)
    said = it.folder / "refused.log"
    await there(client, "discord-js")
    for _ in range(100):
        # Of shard 0, and names a guild of shard 1: so the command that it sends is for the wrong shard.
        wrong = {**message(elsewhere, elsewhere["id"]), "content": "hello"}
        it.post("/sim/event", {"event": "MESSAGE_CREATE", "guild_id": here["id"], "data": wrong})
        await asyncio.sleep(0.2)
        if "wrong_shard" in said.read_text():
            break
    assert "wrong_shard" in said.read_text(), said.read_text()
    heard = (it.folder / "refused.out").stat().st_size
    it.post("/sim/event", {"event": "MESSAGE_CREATE", "guild_id": here["id"]})
    await until("it hears more", lambda: (it.folder / "refused.out").stat().st_size > heard)
    assert process.poll() is None and "    at " not in said.read_text(), said.read_text()
    process.kill()
    process.wait()
    print("discord.js: a refused command is told, and the bot lives on", flush=True)


def surface(it, api, folder):
    """What authors use of discord.py's four clients, and of @discordjs/core's."""
    here = pathlib.Path(__file__).parent
    env = {**os.environ, "NATS_URL": it.nats, "DISCORD_API": f"{api}/v10", "DISCORD_TOKEN": TOKEN,
           "SHARDS": str(it.shards), "BRIDGE": str(ROOT / "examples/discord.py")}
    kinds = ("Bot", "AutoShardedBot", "Client", "AutoShardedClient")
    programs = [["node", folder / "discord.js/surface.js"], *([sys.executable, here / "surface.py", kind] for kind in kinds)]
    for n, command in enumerate(programs):
        mine = {**env, "FLEET_DURABLE": f"surface-{n}", **({"DISCORD_API": api} if command[0] == "node" else {})}
        done = subprocess.run([str(part) for part in command], env=mine, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        print(done.stdout.strip(), flush=True)


def message(guild, channel):
    author = {"id": "600000000000000001", "username": "somebody", "discriminator": "0", "avatar": None,
              "global_name": None}
    text = """{"type":0,"tts":false,"timestamp":"2026-01-01T00:00:00+00:00","pinned":false,"mentions":[],
        "mention_roles":[],"mention_everyone":false,"flags":0,"edited_timestamp":null,"embeds":[],
        "content":"!ping","components":[],"attachments":[],"id":"1460000000000000001"}"""
    member = {"roles": [], "joined_at": "2026-01-01T00:00:00+00:00", "deaf": False, "mute": False, "flags": 0}
    return {**json.loads(text), "channel_id": channel, "guild_id": guild["id"], "author": author,
            "member": member}
