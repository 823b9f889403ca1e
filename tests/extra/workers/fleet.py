"""A fleet on the simulator: nats-server, `shardfleet sim`, `shardfleet up`.

Everything listens on loopback, in a folder of its own, and ends with the block.
"""

import asyncio
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import urllib.request

TOKEN = "a-token-for-the-simulator"
INTENTS = '["GUILDS","GUILD_MEMBERS","GUILD_MESSAGES","GUILD_VOICE_STATES","GUILD_MESSAGE_TYPING","MESSAGE_CONTENT"]'
LIMIT = 90  # seconds: a busy machine
ROOT = pathlib.Path(__file__).resolve().parents[3]


class Fleet:
    def __init__(self, binary, nats_server, shards, rate, max_payload):
        self.binary, self.nats_server = (pathlib.Path(at).resolve() for at in (binary, nats_server))
        self.max_payload = max_payload
        self.shards, self.rate = shards, rate
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="workers-"))
        self.processes = []

    def run(self, name, *command, env=None, out=None):
        """A process that ends with the fleet."""
        log = open(self.folder / f"{name}.log", "ab")
        stdout = open(self.folder / f"{name}.out", "ab") if out is None else out
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SHARDFLEET_", "DISCORD_"))}
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=stdout, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
            env={**clean, "NATS_URL": getattr(self, "nats", ""), **(env or {})},
        )
        self.processes.append(process)
        return process

    async def start(self):
        port = free_port()
        self.nats = f"nats://127.0.0.1:{port}"
        conf = self.folder / "nats.conf"
        store = json.dumps(str(self.folder / "store"))
        conf.write_text(
            f'listen: "127.0.0.1:{port}"\nmax_payload: {self.max_payload}\njetstream {{ store_dir: {store} }}\n'
        )
        self.run("nats", self.nats_server, "-c", conf)
        self.run(
            "sim", self.binary, "sim", "--listen=127.0.0.1:0", f"--token={TOKEN}",
            f"--shards={self.shards}", "--max-concurrency=16", f"--events-per-second={self.rate}",
            "--guilds-per-shard=2",
        )
        said = await until("the simulator listens", lambda: self.said("sim", "//"))
        self.sim = "http://" + said.rsplit("//", 1)[1]
        self.run(
            "up", self.binary, "up",
            env={
                "DISCORD_TOKEN": TOKEN,
                "SHARDFLEET_DISCORD__API": f"{self.sim}/api/v10",
                "SHARDFLEET_DISCORD__INTENTS": INTENTS,
                "SHARDFLEET_FLEET__SHARDS": str(self.shards),
                "SHARDFLEET_WEB__LISTEN": "127.0.0.1:0",
            },
        )
        await until("every shard is ready", lambda: self.state()["ready"] == self.shards)

    def said(self, name, word):
        lines = (self.folder / f"{name}.out").read_text().splitlines()
        return next((line for line in lines if word in line), None)

    def state(self):
        return self.get("/sim/state")

    def guild(self, shard):
        """One of the shard."""
        guilds = self.get("/api/v10/users/@me/guilds")
        return next(guild for guild in guilds if (int(guild["id"]) >> 22) % self.shards == shard)

    def verdict(self):
        return self.get("/sim/verdict")

    def traffic(self, rate):
        self.post("/sim/traffic", {"events_per_second": rate})

    def post(self, path, value):
        """To the simulator."""
        head = {"content-type": "application/json", "authorization": f"Bot {TOKEN}"}
        request = urllib.request.Request(self.sim + path, json.dumps(value).encode(), head)
        return json.load(urllib.request.urlopen(request, timeout=10))

    def get(self, path):
        """From the simulator."""
        request = urllib.request.Request(self.sim + path, headers={"authorization": f"Bot {TOKEN}"})
        return json.load(urllib.request.urlopen(request, timeout=10))

    def stop(self):
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.asynccontextmanager
async def fleet(binary, nats_server, shards=2, rate=200, max_payload="8MB"):
    it = Fleet(binary, nats_server, shards, rate, max_payload)
    try:
        await it.start()
        yield it
    except BaseException:
        for log in sorted(it.folder.glob("*.log")):
            print(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]))
        raise
    finally:
        it.stop()


async def until(what, look, limit=LIMIT):
    end = asyncio.get_running_loop().time() + limit
    while True:
        try:
            if found := look():
                return found
        except OSError:
            pass
        assert asyncio.get_running_loop().time() < end, f"not within {limit} s: {what}"
        await asyncio.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
