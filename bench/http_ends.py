"""The two ends of the HTTP benchmark: a server that is measured, and a client that costs next to nothing."""

import json
import os
import socket
import subprocess
import time

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "b", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
START_SECONDS = 30


class Refused(Exception):
    """The subject answered with an error; it does not speak the era."""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


class Subject:
    """A running server; ended with `close`."""

    def __init__(self, command):
        self.port = free_port()
        env = {**os.environ, "BENCH_TOKEN": "bench-token-7c1f0a94e2"}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # An installed program has its bytecode.
        words = [word.format(port=self.port) for word in command]
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env
        )
        end = time.monotonic() + START_SECONDS
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > end:
                self.close()
                raise RuntimeError(f"{words} does not listen")
            time.sleep(0.05)

    def _listens(self):
        with socket.socket() as trying:
            return trying.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Connection:
    """A raw keep-alive client in one era: no library, so that its own cost is small and the same for all."""

    def __init__(self, port, era):
        self.era, self.ids, self.session = era, 0, ""
        self.port, self.host = port, f"127.0.0.1:{port}"
        self.open()
        if era == "legacy":
            self._handshake()

    def open(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reading = self.socket.makefile("rb")

    def _handshake(self):
        hello = {
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": {"name": "b", "version": "1"},
        }
        headers, _ = self.send(self.request("initialize", hello))
        self.session = f"Mcp-Session-Id: {headers[b'mcp-session-id']}\r\nMCP-Protocol-Version: {LEGACY}\r\n"
        self.send(self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}))

    def request(self, method, params):
        self.ids += 1
        own = {**params, "_meta": META} if self.era == "modern" else params
        return self.post({"jsonrpc": "2.0", "id": self.ids, "method": method, "params": own})

    def post(self, message):
        extra = self.session
        if self.era == "modern":
            extra = f"MCP-Protocol-Version: {MODERN}\r\nMcp-Method: {message['method']}\r\n"
            name = message["params"].get("name")
            extra += f"Mcp-Name: {name}\r\n" if name else ""
        body = json.dumps(message, separators=(",", ":")).encode()
        head = (
            f"POST /mcp HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json, text/event-stream\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def send(self, data):
        """The headers and the body of the answer, read to its end."""
        self.socket.sendall(data)
        line, headers = self.reading.readline, {}
        status = line()
        while (row := line()) not in (b"\r\n", b""):
            name, _, value = row.partition(b":")
            headers[name.lower()] = value.strip().decode()
        if headers.get(b"transfer-encoding") == "chunked":
            body = b"".join(self._chunks())
        else:
            body = self.reading.read(int(headers.get(b"content-length", 0)))
        if status[9:10] != b"2":
            raise Refused(f"{status!r} {body[:200]!r}")
        return headers, body

    def _chunks(self):
        while size := int(self.reading.readline(), 16):
            yield self.reading.read(size)
            self.reading.readline()
        self.reading.readline()

    def sequential(self, count, name, args):
        """How many milliseconds each of `count` calls took."""
        calls = [self.request("tools/call", {"name": name, "arguments": args}) for _ in range(count)]
        self.close()  # While the others had their turn, a server may have closed what was idle.
        self.open()
        self.send(self.request("tools/call", {"name": name, "arguments": args}))
        times = []
        for data in calls:
            begun = time.perf_counter()
            _, body = self.send(data)
            times.append((time.perf_counter() - begun) * 1000)
        if b'"result"' not in body or b'"isError":true' in body:
            raise Refused(body[:300])
        return times

    def close(self):
        self.reading.close()
        self.socket.close()
