"""A client's configuration moves in, its entry is run as the client would run it, and it moves out again.

As a program it does that inside a private D-Bus session with a real GNOME Keyring (see test_live.py). What is
mcpguard for the person's commands is given; the client starts what was written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

ROOT = Path(__file__).parents[2]
SECRET = "s3cr3t-of-the-echo-server"
DEADLINE = 60.0
# What a person would write after the first look: every tool of this server may be called.
POLICY = "version: 1\npolicy: all\nowner: me\nrules:\n  - {id: all, effect: allow, server: echo}\n"


def mcpguard(program: Sequence[str], *words: str) -> str:
    done = subprocess.run([*program, *words], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done.stdout


def client_has(home: Path) -> Path:
    """The file of a client with the echo server and its secret, with a comment that only a person writes."""
    path = home / ".cursor" / "mcp.json"
    path.parent.mkdir(parents=True)
    entry = {
        "command": sys.executable,
        "args": [str(ROOT / "tests/servers/echo.py")],
        "env": {"TOKEN": SECRET},
    }
    path.write_text(f'{{\n  // mine\n  "mcpServers": {{ "echo": {json.dumps(entry)} }},\n}}\n')
    return path


async def asked(entry: dict[str, Any]) -> tuple[list[str], str, str]:
    """What a client of the SDK sees through `entry`: the tools, the length of the secret, and the secret."""
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    with anyio.fail_after(DEADLINE):
        # The SDK passes PATH, HOME and little more on. A session's bus is found at its usual place, and this
        # one is elsewhere.
        bus = {key: value for key, value in os.environ.items() if key == "DBUS_SESSION_BUS_ADDRESS"}
        started = StdioServerParameters(command=entry["command"], args=entry["args"], env=bus)
        # Its default is what standard error was when the SDK was imported, which may be closed by now.
        transport = stdio_client(started, sys.__stderr__)
        async with Client(transport) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            length = (await client.call_tool("secret_length", {})).content[0]
            leaked = await client.call_tool("leak", {})
            return tools, length.text, leaked.model_dump_json()  # type: ignore[union-attr]


def round_trip(home: Path, program: Sequence[str], *words: str) -> None:
    """All of it; an assertion that fails is this program's exit."""
    path = client_has(home)
    before = path.read_bytes()
    mcpguard(program, "import", "--yes", *words)
    text = path.read_text()
    assert SECRET not in text
    assert "// mine" in text
    (line,) = [line for line in text.splitlines() if '"mcpguard"' in line]
    entry = json.loads(f"{{{line.partition('{')[2].strip().rstrip(',').removesuffix('}')}}}")["mcpguard"]
    assert os.path.isabs(entry["command"])
    (policy,) = Path(entry["args"][entry["args"].index("--config") + 1]).parent.glob("policies/echo.yaml")
    policy.write_text(POLICY)
    tools, length, leaked = anyio.run(asked, entry)
    assert "secret_length" in tools
    assert length == str(len(SECRET))
    assert SECRET not in leaked
    mcpguard(program, "undo")
    assert path.read_bytes() == before


if __name__ == "__main__":
    round_trip(Path(os.environ["HOME"]), sys.argv[1:])
    assert json.loads(mcpguard(sys.argv[1:], "secret", "list", "--json")) == []
    print("moved in and out: all well")
