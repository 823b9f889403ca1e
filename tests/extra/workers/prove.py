"""Every example worker: shares a durable consumer with two more, one is killed, nothing is skipped; and
each sends a command. Needs nats-py."""

import asyncio
import json
import os
import pathlib
import subprocess
import sys

import nats
from nats.js.api import ConsumerConfig, DeliverPolicy

from fleet import Rest, fleet, until

FILTER = "discord.*.MESSAGE_CREATE"
ROOT = pathlib.Path(__file__).resolve().parents[3]


async def stored(client):
    """Ids of the stream itself, read by a consumer of our own."""
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
    events = await client.jetstream().pull_subscribe(FILTER, stream="DISCORD", config=config)
    left = (await events.consumer_info()).num_pending
    ids = []
    while left > 0:
        for msg in await events.fetch(min(left, 500), timeout=10):
            left -= 1
            ids.append(msg.headers["Nats-Msg-Id"])
            await msg.ack()
    return ids


async def a_guild(client):
    message = await client.jetstream().get_last_msg("DISCORD", "discord.0.GUILD_CREATE")
    return json.loads(message.data)["d"]["id"]


def handled(it, name):
    text = (it.folder / f"{name}.out").read_text()
    # The last line of one that was killed may be half a line.
    return [line.split()[0] for line in text.split("\n")[:-1]]


async def share(it, client, language, command):
    names = [f"{language}-{n}" for n in range(3)]
    it.traffic(300)
    running = {name: it.run(name, *command) for name in names}
    await until(f"three {language} workers work", lambda: all(len(handled(it, n)) > 20 for n in names))
    running[names[1]].kill()
    await until(f"two {language} workers go on", lambda: len(handled(it, names[0])) > 200)
    it.traffic(0)
    ids = []

    async def settled():
        nonlocal ids
        before = await stored(client)
        await asyncio.sleep(1)
        ids = await stored(client)
        return before == ids

    while not await settled():
        pass
    def union():
        return set().union(*(handled(it, name) for name in names))
    await until(f"{language} skips nothing", lambda: union() >= set(ids))
    counts = {name: len(handled(it, name)) for name in names}
    assert len(ids) == len(set(ids)), "an event is stored twice"
    twice = sum(counts.values()) - len(union())
    for process in running.values():
        process.kill()
        process.wait()
    print(f"{language}: {len(ids)} stored, 0 skipped, {twice} handled twice, shares {counts}; "
          f"{names[1]} was killed with -9", flush=True)


def ask(it, language, command, payload):
    done = subprocess.run(
        [str(part) for part in (*command, payload)], capture_output=True, text=True, timeout=60,
        cwd=it.folder, env={**os.environ, "NATS_URL": it.nats},
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    reply = json.loads(done.stdout.splitlines()[-1])
    assert reply["kind"] == "accepted" and reply["shard"] == 0, reply
    print(f"{language}: a command is accepted by shard {reply['shard']}", flush=True)


async def bridge(it, rest, name, command):
    before = len(rest.writes)
    it.traffic(400)
    process = it.run(
        name, *command, env={"DISCORD_API": rest.url, "DISCORD_TOKEN": "not-used-by-the-stub"}
    )
    def seen(word):
        return it.said(name, word)
    await until(f"{name} hears a message", lambda: seen("MESSAGE_CREATE"))
    await until(f"{name} hears an interaction", lambda: seen("INTERACTION_CREATE"))
    await until(f"{name}'s command is answered", lambda: seen("accepted"))
    await until(
        f"{name} answers the interaction",
        lambda: any("/interactions/" in path for path in rest.writes[before:]),
    )
    await until(f"{name} has its answer taken", lambda: seen("answered"))
    assert "not answered" not in (it.folder / f"{name}.out").read_text()
    it.traffic(0)
    process.terminate()
    process.wait()
    print(f"{name}: reacts to MESSAGE_CREATE and INTERACTION_CREATE, its command is accepted", flush=True)


async def main(binary, nats_server, examples, node):
    rest = Rest()
    async with fleet(binary, nats_server) as it:
        client = await nats.connect(it.nats)
        python, javascript = ROOT / "examples/python/worker.py", pathlib.Path(node) / "javascript/worker.js"
        workers = {
            "rust": [pathlib.Path(examples) / "consumer", FILTER],
            "python": [sys.executable, python],
            "javascript": ["node", javascript],
        }
        commands = {
            "rust": [pathlib.Path(examples) / "command"],
            "python": [sys.executable, python, "--command"],
            "javascript": ["node", javascript, "--command"],
        }
        for language, command in workers.items():
            await share(it, client, language, command)
            guild = await a_guild(client)
            info = json.dumps({"op": 43, "d": {"guild_id": guild, "fields": ["status"]}})
            ask(it, language, commands[language], info)
        js, py = pathlib.Path(node) / "discord.js/bot.js", ROOT / "examples/discord.py/bot.py"
        await bridge(it, rest, "discord.js", ["node", js])
        await bridge(it, rest, "discord.py", [sys.executable, py])
        broken = it.verdict()["violations"]
        assert not broken, broken
        await client.close()
    print("ok: every worker, every bridge")


asyncio.run(main(*sys.argv[1:]))
