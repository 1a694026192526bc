"""Side by side over HTTP: the SDK's server directly, FastMCP's proxy, PyPI's `mcp-proxy`, and mcpguard.

    python bench/relay_http.py                                   # one table an era; about two minutes
    python bench/relay_http.py --quick                           # fewer rounds
    python bench/relay_http.py --mcp-proxy VENV/bin/mcp-proxy    # it needs an older SDK, so a venv of its own

All subjects live in one run and take turns in each round, so that a busy minute hits them alike: read the
ratios, not the milliseconds. Each proxy has the same upstream, over standard input and output: a small one,
so that the proxies are what counts, or with `--sdk-upstream` the SDK's own server, which then is most of each
figure. The first row is the SDK's server over HTTP, without a proxy.
mcpguard runs with three CEL rules, a held credential, redaction of it and of all token formats, and the
chained audit log. A subject that does not speak an era has no row in it.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from relay import HERE, guarded, percentile

SERVER = [sys.executable, str(HERE / "subjects" / "sdk_server.py")]
SMALL = [sys.executable, str(HERE / "subjects" / "echo_server.py")]
BASE = "FastMCP proxy"
AIMS = {"modern": 0.50, "legacy": 0.40}
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


def subjects(folder, mcp_proxy, upstream):
    """The command of each subject, with the port that it is told to take."""
    fastmcp = [sys.executable, str(HERE / "subjects" / "fastmcp_proxy_http.py"), "{port}", *upstream]
    found = {"SDK server, direct": [*SERVER, "{port}"], BASE: fastmcp}
    if mcp_proxy:
        found["mcp-proxy"] = [mcp_proxy, "--port", "{port}", "--", *upstream]
    return {**found, "mcpguard": [*guarded(folder, upstream), "--http", "127.0.0.1:{port}"]}


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


def connected(running, era):
    """A warm connection to each subject that speaks the era."""
    found = {}
    for name, subject in running.items():
        try:
            connection = Connection(subject.port, era)
            connection.send(connection.request("tools/list", {}))
            connection.sequential(100, "echo", {"text": "warm"})
            found[name] = connection
        except Refused as refused:
            print(f"{name} does not speak the {era} era: {refused}", file=sys.stderr)
    return found


def measure(connections, rounds, calls):
    """The median over rounds of each figure, by subject."""
    keys = ("p50", "p99", "20 KB", "1 MB")
    rows = {name: {key: [] for key in keys} for name in connections}
    for _ in range(rounds):
        for name, connection in connections.items():
            times = connection.sequential(calls, "echo", {"text": "x" * 200})
            rows[name]["p50"].append(statistics.median(times))
            rows[name]["p99"].append(percentile(times, 0.99))
            for key, count, size in (("20 KB", 20, 20_000), ("1 MB", 5, 1_000_000)):
                rows[name][key].append(statistics.median(connection.sequential(count, "big", {"size": size})))
    return {name: {key: statistics.median(row[key]) for key in keys} for name, row in rows.items()}


def show(era, table):
    print(
        f"\n{era} era\n\n| | p50 ms | p99 ms | 20 KB ms | 1 MB ms | p50 / {BASE} |\n|---|---|---|---|---|---|"
    )
    for name, row in table.items():
        ratio = f"{row['p50'] / table[BASE]['p50']:.3g} x" if BASE in table else ""
        print(f"| {name} | {' | '.join(f'{value:.3g}' for value in row.values())} | {ratio} |")
    print(f"| aim for mcpguard | | | | | {AIMS[era]} x |", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sdk-upstream", action="store_true")
    parser.add_argument("--mcp-proxy", default=shutil.which("mcp-proxy"), metavar="PROGRAM")
    options = parser.parse_args()
    running = {}
    upstream = [*SERVER, "stdio"] if options.sdk_upstream else SMALL
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name, command in subjects(Path(folder), options.mcp_proxy, upstream).items():
                running[name] = Subject(command)
            for era in AIMS:
                connections = connected(running, era)
                show(era, measure(connections, 3 if options.quick else 15, 100 if options.quick else 300))
                for connection in connections.values():
                    connection.close()
        finally:
            for subject in running.values():
                subject.close()


if __name__ == "__main__":
    main()
