"""A fleet on the simulator: nats-server, `shardfleet sim`, `shardfleet up`, a REST that records.

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
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "a-token-for-the-simulator"
INTENTS = '["GUILDS","GUILD_MEMBERS","GUILD_MESSAGES","GUILD_VOICE_STATES","GUILD_MESSAGE_TYPING"]'
LIMIT = 90  # seconds: a busy machine


class Fleet:
    def __init__(self, binary, nats_server, shards, rate):
        self.binary, self.nats_server = binary, nats_server
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
            f'listen: "127.0.0.1:{port}"\nmax_payload: 8MB\njetstream {{ store_dir: {store} }}\n'
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
        return json.load(urllib.request.urlopen(f"{self.sim}/sim/state", timeout=10))

    def verdict(self):
        return json.load(urllib.request.urlopen(f"{self.sim}/sim/verdict", timeout=30))

    def traffic(self, rate):
        body = json.dumps({"events_per_second": rate}).encode()
        request = urllib.request.Request(
            f"{self.sim}/sim/traffic", body, {"content-type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).read()

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
async def fleet(binary, nats_server, shards=2, rate=200):
    it = Fleet(binary, nats_server, shards, rate)
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


class Rest:
    """Discord's REST as far as a bot that answers needs it: takes everything, records the writes."""

    def __init__(self):
        rest = self
        self.writes = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, value):
                body = json.dumps(value).encode() if value is not None else b""
                self.send_response(status)
                if body:
                    self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                bot = {"id": "700000000000000001", "username": "bot", "discriminator": "0",
                       "avatar": None, "bot": True}
                if self.path.endswith("/users/@me"):
                    return self.answer(200, bot)
                if self.path.endswith("/applications/@me"):
                    return self.answer(200, {
                        "id": bot["id"], "name": "bot", "description": "", "icon": None, "flags": 0,
                        "rpc_origins": [], "bot_public": True, "bot_require_code_grant": False,
                        "owner": bot, "team": None, "verify_key": "", "summary": "",
                    })
                self.answer(404, {"message": "404: Not Found", "code": 0})

            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length") or 0))
                rest.writes.append(self.path)
                if "with_response=" not in self.path or "with_response=false" in self.path:
                    return self.answer(204, None)
                self.answer(200, {"interaction": {
                    "id": self.path.split("/interactions/")[1].split("/")[0], "type": 2,
                    "response_message_loading": False, "response_message_ephemeral": True,
                }})

            do_PUT = do_PATCH = do_POST

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_):
                """A bot that is ended in the middle of a request."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
