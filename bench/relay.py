"""Side by side over stdio: direct, FastMCP's proxy, a plain SDK proxy, and mcpguard with everything on.

    python bench/relay.py            # one table; about three minutes
    python bench/relay.py --quick    # fewer rounds
    python bench/relay.py --readme   # writes it into docs/speed.md and README.md too

All subjects live in one run and take turns in each round, so that a busy minute hits them alike; read the
ratios, not the milliseconds. mcpguard runs with three CEL rules, a held credential, redaction both of it and
of all token formats, and the chained audit log.
"""

import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import readme

HERE = Path(__file__).parent
UPSTREAM = [sys.executable, str(HERE / "subjects" / "echo_server.py")]
POLICY = """
version: 1
policy: bench
rules:
  - {id: read, effect: allow, tools: ["*"], when: 'tool.annotations.readOnlyHint == true'}
  - {id: not-forbidden, effect: deny, tools: ["*"], when: 'has(args.text) && args.text == "forbidden"'}
  - {id: size, effect: deny, tools: ["*"], when: 'has(args.size) && args.size > 50000000'}
"""
AIMS = {"p50": 0.14, "p99": 0.20, "1 MB": 0.62, "init": 0.15, "memory": 0.45}


def guarded(folder, upstream):
    """mcpguard with everything on, in front of this command; `bench/relay_http.py` uses it too."""
    (folder / "policy.yaml").write_text(POLICY)
    server = {"command": upstream[0], "args": upstream[1:], "env": {"TOKEN": "${env:BENCH_TOKEN}"}}
    config = {
        "version": 1,
        "servers": {"bench": server},
        "policies": ["policy.yaml"],
        "audit": {"path": "audit"},
    }
    (folder / "mcpguard.yaml").write_text(json.dumps(config))
    program = str(Path(sys.executable).with_name("mcpguard"))
    return [program, "run", "--config", str(folder / "mcpguard.yaml")]


def subjects(folder):
    return {
        "direct": UPSTREAM,
        "FastMCP proxy": [sys.executable, str(HERE / "subjects" / "fastmcp_proxy.py"), *UPSTREAM],
        "SDK proxy": [sys.executable, str(HERE / "subjects" / "sdk_proxy.py"), *UPSTREAM],
        "mcpguard": guarded(folder, UPSTREAM),
    }


class Session:
    """A raw client: no SDK, so that its own cost is small and the same for all."""

    def __init__(self, command):
        env = {**os.environ, "BENCH_TOKEN": "bench-token-7c1f0a94e2"}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # An installed program has its bytecode.
        started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
        )
        self.ids = 0
        hello = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "b", "version": "1"},
        }
        self.ask("initialize", hello)
        self.started_ms = (time.perf_counter() - started) * 1000
        self.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        self.ask("tools/list", {})

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def line(self, method, params):
        self.ids += 1
        body = {"jsonrpc": "2.0", "id": self.ids, "method": method, "params": params}
        return json.dumps(body, separators=(",", ":")).encode() + b"\n"

    def ask(self, method, params):
        self.write(self.line(method, params))
        while True:
            answer = self.process.stdout.readline()
            if not answer:
                raise RuntimeError(f"{self.process.args} ended")
            if b'"id":' in answer[:80] or b'"id":' in answer[-80:]:
                return answer

    def sequential(self, count, name, args):
        lines = [self.line("tools/call", {"name": name, "arguments": args}) for _ in range(count)]
        read, write, flush = self.process.stdout.readline, self.process.stdin.write, self.process.stdin.flush
        times = []
        for line in lines:
            begun = time.perf_counter()
            write(line)
            flush()
            answer = read()
            times.append((time.perf_counter() - begun) * 1000)
        if b'"result"' not in answer or b'"isError":true' in answer:
            raise RuntimeError(answer[:300])
        return times

    def pipelined(self, count):
        data = b"".join(
            self.line("tools/call", {"name": "echo", "arguments": {"text": "x" * 200}}) for _ in range(count)
        )
        out, back = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(out, False)
        begun, sent, seen = time.perf_counter(), 0, 0
        while seen < count:
            readable, writable, _ = select.select([back], [out] if sent < len(data) else [], [], 30)
            if readable:
                seen += os.read(back, 1 << 20).count(b"\n")
            if writable:
                sent += os.write(out, data[sent : sent + 65536])
        os.set_blocking(out, True)
        return count / (time.perf_counter() - begun)

    def tree(self):
        """Memory in MB (PSS: shared pages are split among their users) of the proxy and what it started,
        the benchmark's upstream left out. Needs root: mcpguard shows its memory to nobody else."""
        total, left = 0, [self.process.pid]
        while left:
            pid = left.pop()
            left += [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            if pid == self.process.pid or b"echo_server.py" not in words:
                total += int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0])
        return total / 1024

    def stalled(self, count=4000, size=100_000):
        """How many MB the tree grows while nobody reads `count` results of `size` bytes."""
        self.sequential(20, "big", {"size": size})
        before = self.tree()
        data = b"".join(
            self.line("tools/call", {"name": "big", "arguments": {"size": size}}) for _ in range(count)
        )
        out, back = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(out, False)
        sent, peak, still = 0, before, 0
        while still < 20:  # Until nothing moved for two seconds.
            _, writable, _ = select.select([], [out] if sent < len(data) else [], [], 0.1)
            moved = os.write(out, data[sent : sent + 65536]) if writable else 0
            sent += moved
            grown = self.tree()
            still = 0 if moved or grown > peak + 1 else still + 1
            peak = max(peak, grown)
        seen = 0
        while seen < count:
            readable, writable, _ = select.select([back], [out] if sent < len(data) else [], [], 60)
            if writable:
                sent += os.write(out, data[sent : sent + 65536])
            if readable:
                seen += os.read(back, 1 << 20).count(b"\n")
            if not readable and not writable:
                raise RuntimeError("no answers after the stall")
            peak = max(peak, self.tree()) if seen % 400 == 0 else peak
        os.set_blocking(out, True)
        return peak - before

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure(commands, rounds, calls):
    rows = {name: {key: [] for key in ("p50", "p99", "20 KB", "1 MB", "pipe", "init")} for name in commands}
    for _ in range(max(5, rounds // 2)):
        for name, command in commands.items():
            session = Session(command)
            rows[name]["init"].append(session.started_ms)
            session.close()
    sessions = {name: Session(command) for name, command in commands.items()}
    for session in sessions.values():
        session.sequential(200, "echo", {"text": "warm"})
    for _ in range(rounds):
        for name, session in sessions.items():
            times = session.sequential(calls, "echo", {"text": "x" * 200})
            rows[name]["p50"].append(statistics.median(times))
            rows[name]["p99"].append(percentile(times, 0.99))
            rows[name]["20 KB"].append(statistics.median(session.sequential(50, "big", {"size": 20_000})))
            rows[name]["1 MB"].append(statistics.median(session.sequential(10, "big", {"size": 1_000_000})))
            rows[name]["pipe"].append(session.pipelined(2_000 if name != "FastMCP proxy" else 300))
    table = {
        name: {key: statistics.median(values) for key, values in row.items()} for name, row in rows.items()
    }
    time.sleep(2)  # What is kept for a burst is not what a process costs.
    for name, session in sessions.items():
        table[name]["memory"] = session.tree()
    for session in sessions.values():
        session.close()
    return table


def stalled(commands):
    grown = {}
    for name in ("FastMCP proxy", "mcpguard"):
        session = Session(commands[name])
        grown[name] = session.stalled(1_000 if name == "FastMCP proxy" else 4_000)
        session.close()
    return grown


KEYS = ("p50", "p99", "20 KB", "1 MB", "pipe", "init", "memory")


def written(table, grown):
    """The figures as docs/speed.md has them."""
    lines = ["| | p50 ms | p99 ms | 20 KB ms | 1 MB ms | pipelined/s | initialize ms | memory MB |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, row in table.items():
        cells = [f"{row[key]:,.0f}" if key == "pipe" else f"{row[key]:.3g}" for key in KEYS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    ratios = [f"{table['mcpguard'][key] / table['FastMCP proxy'][key]:.3g} x" for key in KEYS]
    lines.append(f"| **mcpguard / FastMCP proxy** | {' | '.join(ratios)} |")
    if grown:
        lines.append("")
        lines.append(
            f"Stalled reader, 100 KB results: mcpguard grew {grown['mcpguard']:.1f} MB over 4,000, "
            f"FastMCP's proxy {grown['FastMCP proxy']:.0f} MB over 1,000."
        )
    return "\n".join(lines)


def show_aims(table):
    aims = ", ".join(f"{key} {value}" for key, value in AIMS.items())
    print(f"\nAims for mcpguard / FastMCP proxy: {aims}, pipelined 40; a stalled reader: 10 MB.")
    print(f"mcpguard / direct: p50 {table['mcpguard']['p50'] / table['direct']['p50']:.2f} x")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-stall", action="store_true")
    readme.add_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commands = subjects(Path(folder))
        table = measure(commands, 4 if options.quick else 15, 300 if options.quick else 1_000)
        tables = written(table, {} if options.no_stall else stalled(commands))
    print(tables)
    show_aims(table)
    if options.readme:
        readme.write(options.readme, "stdio", tables)


if __name__ == "__main__":
    main()
