"""A real Chromium, driven over its debugging protocol; nothing but the standard library."""

import base64
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars
--disable-background-networking --disable-component-update --disable-sync --disable-extensions
--disable-dev-shm-usage --no-proxy-server --remote-debugging-port=0 about:blank""".split()


class Browser:
    """One window. Console messages of level error, and failed requests, gather in `errors`."""

    def __init__(self, width=1280, height=900):
        self.profile = tempfile.mkdtemp()
        self.log = open(os.path.join(self.profile, "log"), "w+")
        program = shutil.which("chromium")
        size = f"--window-size={width},{height}"
        self.process = subprocess.Popen(
            [program, f"--user-data-dir={self.profile}/data", size, *FLAGS], stderr=self.log, stdout=self.log
        )
        self.errors, self.counter, self.rest = [], 0, b""
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self):
        host, path = re.match(r"ws://([^/]+)(/.*)", self._address()).groups()
        self._open(host, path)
        target = self.call("Target.createTarget", url="about:blank")
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _address(self):
        for _ in range(600):
            found = re.search(r"ws://\S+", open(self.log.name).read())
            if found:
                return found.group()
            assert self.process.poll() is None, open(self.log.name).read()
            time.sleep(0.1)
        raise TimeoutError("chromium opens no debugging port")

    def _open(self, host, path):
        name, port = host.rsplit(":", 1)
        self.socket = socket.create_connection((name, int(port)), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self.rest:
            self.rest += self.socket.recv(4096)
        self.rest = self.rest.split(b"\r\n\r\n", 1)[1]

    def _read(self, count):
        while len(self.rest) < count:
            more = self.socket.recv(1 << 16)
            assert more, "chromium has gone"
            self.rest += more
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def _message(self):
        text, final = b"", False
        while not final:
            first, length = self._read(2)
            final = bool(first & 0x80)
            if length == 126:
                (length,) = struct.unpack(">H", self._read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._read(8))
            text += self._read(length)
        return json.loads(text)

    def call(self, method, **parameters):
        self.counter += 1
        call = {"id": self.counter, "method": method, "params": parameters}
        if hasattr(self, "session"):
            call["sessionId"] = self.session
        body, mask = json.dumps(call).encode(), os.urandom(4)
        head = struct.pack(">BBQ", 0x81, 0xFF, len(body)) + mask
        self.socket.sendall(head + bytes(b ^ mask[i % 4] for i, b in enumerate(body)))
        while True:
            answer = self._message()
            if answer.get("id") == self.counter:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._heard(answer)

    def _heard(self, event):
        method, told = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(told["exceptionDetails"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.errors.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif method == "Runtime.consoleAPICalled" and told["type"] == "error":
            self.errors.append(json.dumps(told["args"]))

    def visit(self, url):
        self.call("Page.navigate", url=url)

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, what, expression, limit=60):
        """Waits until the page says yes."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            found = self.evaluate(expression)
            if found:
                return found
            time.sleep(0.2)
        raise TimeoutError(f"not within {limit} s: {what}\n{self.evaluate('document.body.innerText')}")

    def appear(self, scheme, width=1280, height=900):
        """Light or dark, and a size; a phone is narrow."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def screenshot(self, path):
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=False)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.profile, ignore_errors=True)
