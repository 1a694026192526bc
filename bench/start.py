"""Milliseconds of CPU of a start: of `mcpguard run` until it has answered, and of short commands.

    python bench/start.py [PYTHON ...]      # interpreters whose mcpguard takes turns, or this one

The server behind it is twenty lines of Python, and not counted in what `run` takes until it has answered.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROUNDS = 10
SERVER = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                  "serverInfo": {"name": "echo", "version": "1"}}
    elif message.get("method") == "tools/list":
        result = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
    else:
        result = {"content": [{"type": "text", "text": "hello"}]}
    if "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""
FILES = {
    "server.py": SERVER,
    "policy.yaml": "version: 1\npolicy: echo\nrules: [{id: a, effect: allow, server: echo, tools: [echo]}]\n",
    "mistake.yaml": "version: 1\nservers: {}\npolicies: []\nno-such-key: 1\n",
}
CLIENT = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
ASKED = (
    ("run, initialize", "initialize", CLIENT),
    ("run, first list", "tools/list", {}),
    ("run, first call", "tools/call", {"name": "echo", "arguments": {}}),
)
COMMANDS = (
    ("--version",),
    ("check", "--config", "mcpguard.yaml"),
    ("run", "--config", "mistake.yaml"),
    ("secret", "list"),
    ("audit", "verify"),
)


def spent(pid):
    """The CPU of a process that runs (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2) * 1000


def running(python, folder, environment):
    command = [python, "-m", "mcpguard", "run", "--config", "mcpguard.yaml"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=folder, env=environment, **pipes) as process:
        for number, (name, method, params) in enumerate(ASKED):
            ask = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            process.stdin.write(json.dumps(ask).encode() + b"\n")
            process.stdin.flush()
            if b'"result"' not in process.stdout.readline():
                sys.exit(f"{name}: no answer")
            yield name, spent(process.pid)
            if number == 0:
                process.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')


def commands(python, folder, environment):
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for words in COMMANDS:
        process = subprocess.Popen([python, "-m", "mcpguard", *words], cwd=folder, env=environment, **silent)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        yield " ".join(words), (usage.ru_utime + usage.ru_stime) * 1000


def prepared(folder):
    """The files in `folder`, and an environment in which nothing else is written."""
    server = {"command": sys.executable, "args": ["-I", "-S", str(folder / "server.py")]}
    configuration = {"version": 1, "servers": {"echo": server}, "policies": ["policy.yaml"]}
    for name, text in (FILES | {"mcpguard.yaml": json.dumps(configuration)}).items():
        (folder / name).write_text(text)
    folders = {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("STATE", "CONFIG", "CACHE", "DATA")}
    return {"PATH": os.environ["PATH"], "HOME": str(folder), **folders}


def main():
    pythons = sys.argv[1:] or [sys.executable]
    figures = {}
    with tempfile.TemporaryDirectory() as temporary:
        places = []
        for number in range(len(pythons)):
            folder = Path(temporary, str(number))
            folder.mkdir()
            places.append((pythons[number], folder, prepared(folder)))
        for again in range(ROUNDS + 1):
            for place in places:
                for name, cost in (*running(*place), *commands(*place)):
                    if again:  # The first round compiles.
                        figures.setdefault(name, {}).setdefault(place[0], []).append(cost)
    for name, by_python in figures.items():
        columns = (f"{min(costs):6.0f} best {median(costs):6.0f} median" for costs in by_python.values())
        print(f"{name:28}", " |".join(columns))


if __name__ == "__main__":
    main()
