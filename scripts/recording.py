#!/usr/bin/env python3
"""Draw `docs/images/demo.svg`, the real output of `mcpguard demo` in a terminal with its real colours, and
`docs/images/approval.svg`, a call of an agent that a person approves.

`.venv-dev/bin/python scripts/recording.py` plays both and writes the pictures. Tests play them too, and fail
if a picture is not what this script draws from that output.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from mcpguard.demo.stage import DemoFolder, stage

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "demo.svg"
APPROVAL = ROOT / "docs" / "images" / "approval.svg"
COLUMNS = 88

_SETTLED = (
    (r"\b\d{8}T\d{6}Z-\d+-[0-9a-f]{8}", "20260801T090000Z-4242-5f0c9a1e"),  # a chain
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-08-01 09:00:00"),
    (r"\b[0-9a-f]{40}\b", "b7d1c4a09e52f83d6a17c05be94f2d8361ea70c5"),  # a commit
    (r"\b[0-9a-f]{8}(?=…)", "9c41d6e2"),  # the beginning of a digest
    (r"(?<=\[invocation )[0-9a-f]{12}-\d+", "3f9a61c2-19"),
    (r"\(\d+ KB\)", "(8 KB)"),
    (r"\bline \d\b", "line 5"),  # of the chain: credentials are read beside the first requests
    (r"\b[0-9a-f]{12}\b", "4f1c09aa7d31"),  # a ticket
    (r"\b\d+ s +(?=os-user:)", "2 s    "),
    (r"(?<=been waiting for )\d+ s", "3 s"),
    (r"PRINCIPAL +(?=AGENT)", "PRINCIPAL    "),
    (r"os-user:[^\s;]+ +(?=editor  )", "os-user:ada  "),
    (r"os-user:[^\s;]+", "os-user:ada"),
)
"""What differs from one session to the next, and what the picture has in its place."""


def recorded(
    command: list[str], environment: dict[str, str], columns: int, folder: Path = ROOT, typed: str = ""
) -> str:
    """What `command` prints on a terminal of that many columns, escape sequences included. `typed` is what a
    person answers where it asks.

    SystemExit with that text if the command fails.
    """
    terminal, its_side = pty.openpty()
    fcntl.ioctl(its_side, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**environment, "TERM": "xterm-256color", "PYTHONUTF8": "1"},
        stdin=its_side if typed else subprocess.DEVNULL,
        stdout=its_side,
        stderr=its_side,
    )
    os.close(its_side)
    parts = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
            if typed and b"".join(parts).endswith(b"[y/N] "):
                os.write(terminal, typed.encode())
                typed = ""
    except OSError:  # Linux reports the end so.
        pass
    finally:
        os.close(terminal)
        code = process.wait()
    text = b"".join(parts).decode().replace("\r\n", "\n")
    if code:
        raise SystemExit(f"{' '.join(command)} ended with {code}:\n{text}")
    return text


def settled(text: str) -> str:
    """`text` with stand-ins for what differs from one session to the next."""
    for pattern, stand_in in _SETTLED:
        text = re.sub(pattern, stand_in, text)
    return text


class Run(NamedTuple):
    """Characters of one line with one look: its first column, and the parameters of its escape sequence."""

    column: int
    text: str
    look: str


def runs(line: str) -> Iterator[Run]:
    """The runs of one line of a terminal's output, but for blanks."""
    column, look = 0, ""
    for part in re.split(r"(\x1b\[[\d;]*m)", line):
        if part.startswith("\x1b"):
            look = part[2:-1].strip("0")
            continue
        for word in re.finditer(r"\S(?:.*\S)?", part):
            yield Run(column + word.start(), word[0], look)
        column += len(part)


_CELL = 8.4, 19.0
"""Width of a column and height of a line, at 14 px."""
_MARGIN, _BAR, _ROWS = 18.0, 34.0, 32
_INKS = {"1": "b", "2": "d", "31": "r", "32": "g", "33": "y", "35": "m", "36": "c"}
_STYLE = """\
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
text{fill:#c9d1d9;white-space:pre}
.b{fill:#f0f6fc;font-weight:600}.d{fill:#6e7681}.r{fill:#ff7b72}.g{fill:#56d364}.y{fill:#e3b341}.m{fill:#d2a8ff}
.c{fill:#79c0ff}
"""


def svg(text: str) -> str:
    """The picture of the demo: a terminal that shows `text` page after page, and begins again."""
    pages = _pages(settled(text).rstrip("\n").split("\n"))
    lines = [
        _drawn(number * _ROWS + row, line)
        for number, page in enumerate(pages)
        for row, line in enumerate(page)
        if line
    ]
    body = ['<g class="s">', *lines, "</g>"]
    return _framed(
        "mcpguard demo", "A session of mcpguard demo in a terminal", _ROWS, _motion(len(pages)), body
    )


def approval_svg(text: str) -> str:
    """The picture of an approval: a terminal in which the parts of `text`, which form feeds separate, appear
    one after the other."""
    row, body = 0, []
    parts = settled(text).rstrip("\n").split("\f")
    for number, part in enumerate(parts):
        lines = part.rstrip("\n").split("\n")
        drawn = [_drawn(row + index, line) for index, line in enumerate(lines) if line]
        body += [f'<g class="p p{number}">', *drawn, "</g>"]
        row += len(lines)
    label = "An agent's call waits until a person approves it at a terminal"
    return _framed("an approval", label, row, _appearing(len(parts)), body)


def _framed(title: str, label: str, rows: int, motion: str, body: list[str]) -> str:
    """A terminal. It stands still for readers who ask for less motion. Its own dark ground suits light and
    dark pages."""
    width, height = COLUMNS * _CELL[0] + 2 * _MARGIN, _BAR + rows * _CELL[1] + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="{label}">',
        f"<style>\n{_STYLE}{motion}</style>",
        f'<rect x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="9"'
        ' fill="#0d1117" stroke="#30363d"/>',
        *(
            f'<circle cx="{20 + 20 * index}" cy="17" r="5.5" fill="{ink}"/>'
            for index, ink in enumerate(("#ff7b72", "#e3b341", "#56d364"))
        ),
        f'<text class="d" x="{width / 2:g}" y="22" text-anchor="middle">{title}</text>',
        f'<svg y="{_BAR:g}" width="{width:g}" height="{rows * _CELL[1]:g}">' + body[0],
        *body[1:-1],
        f"{body[-1]}</svg>\n</svg>\n",
    ]
    return "\n".join(parts)


def _drawn(number: int, line: str) -> str:
    spans = []
    for run in runs(line):
        ink = "".join(f' class="{_INKS[look]}"' for look in [run.look] if look in _INKS)
        # Whatever font the reader has, each run begins and ends at its columns.
        place = f'x="{_MARGIN + run.column * _CELL[0]:g}" textLength="{len(run.text) * _CELL[0]:g}"'
        spans.append(f"<tspan {place}{ink}>{escape(run.text, quote=False)}</tspan>")
    return f'<text y="{(number + 0.75) * _CELL[1]:g}">{"".join(spans)}</text>'


def _pages(lines: list[str]) -> list[list[str]]:
    """As many whole steps of the demo on each page as fit."""
    heads = [number for number, line in enumerate(lines) if re.match(r"\x1b\[1m\d\. ", line)]
    pages = [lines[: heads[0]]]
    for start, end in zip(heads, [*heads[1:], len(lines)], strict=True):
        step = lines[start:end]
        if len(pages[-1]) + len(step) - (not step[-1]) <= _ROWS:
            pages[-1] += step
        else:
            pages.append(step)
    return pages


def _motion(pages: int) -> str:
    """Keyframes: seven seconds for each page, and one from each to the next."""
    frames = []
    for number in range(pages):
        begin, end = 100 * number / pages, 100 * (number + 7 / 8) / pages
        frames.append(f"{begin:.4g}%,{end:.4g}%{{transform:translateY({-number * _ROWS * _CELL[1]:g}px)}}")
    return (
        f".s{{animation:s {8 * pages}s ease-in-out infinite}}\n"
        f"@keyframes s{{{''.join(frames)}}}\n"
        "@media (prefers-reduced-motion:reduce){.s{animation:none}}\n"
    )


def _appearing(parts: int) -> str:
    """Keyframes: a part more every three seconds, and all of them for six at the end."""
    whole = 3 * parts + 6
    frames = [
        f"@keyframes p{number}{{0%,{300 * number / whole:.4g}%{{opacity:0}}"
        f"{300 * number / whole + 1:.4g}%,100%{{opacity:1}}}}\n.p{number}{{animation-name:p{number}}}"
        for number in range(1, parts)
    ]
    return (
        f".p{{animation:{whole}s infinite}}\n"
        + "\n".join(frames)
        + "\n@media (prefers-reduced-motion:reduce){.p{animation:none}}\n"
    )


# --- an approval ----------------------------------------------------------------------------------

_RULES = """\
version: 1
policy: team
rules:
  - id: branch
    effect: ask
    server: git
    tools: [git_create_branch]
    message: Others see the branch.
"""
_CALL = {"repo_path": ".", "branch_name": "agent/fix-typo"}


def approved(environment: dict[str, str]) -> str:
    """What happens when an agent makes a call that a person must approve: the agent's side, and the person's
    commands as they print. Form feeds separate the parts."""
    with stage() as made:
        (made.folder / "team.yaml").write_text(_RULES, "utf-8")
        git = {
            "command": sys.executable,
            "args": ["-m", "mcp_server_git", "--repository", str(made.repository)],
            "cwd": str(made.repository),
            "env": made.environment(),
        }
        config = {"version": 1, "agent": "editor", "servers": {"git": git}, "policies": ["team.yaml"]}
        config |= {"audit": {"path": "audit"}, "session": {"path": "sessions"}}
        made.config.write_text(json.dumps(config), "utf-8")
        return "\f\n".join(_approved(made, {**environment, "MCPGUARD_CONFIG": str(made.config)}))


def _approved(made: DemoFolder, environment: dict[str, str]) -> Iterator[str]:
    serving = subprocess.Popen(
        [sys.executable, "-m", "mcpguard", "run"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    agent = _Agent(serving)
    try:
        agent.send("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}}, 1)
        agent.heard(lambda said: said.get("id") == 1)
        call = {"name": "git_create_branch", "arguments": _CALL, "_meta": {"progressToken": 1}}
        agent.send("tools/call", call, 2)
        waits = agent.heard(lambda said: said.get("method") == "notifications/progress")["params"]["message"]
        (ticket,) = re.findall(r"[0-9a-f]{12}", waits)
        yield f"\x1b[36magent\x1b[0m  git_create_branch {json.dumps(_CALL)}\n       \x1b[2m{waits}\x1b[0m\n"
        for words in (["approvals"], ["approve", ticket]):
            said = recorded([sys.executable, "-m", "mcpguard", *words], environment, COLUMNS, typed="y\n")
            yield f"\x1b[1m$ mcpguard {' '.join(words)}\x1b[0m\n{said}"
        done = agent.heard(lambda said: said.get("id") == 2)["result"]["content"][0]["text"]
        yield f"\x1b[36magent\x1b[0m  {done}\n"
        if _CALL["branch_name"] not in made.branches():
            raise SystemExit("the branch was not made")
    finally:
        assert serving.stdin is not None
        serving.stdin.close()
        serving.wait(20)
        assert serving.stdout is not None
        serving.stdout.close()


class _Agent:
    """A client of `serving`."""

    def __init__(self, serving: subprocess.Popen[bytes]) -> None:
        self._serving = serving

    def send(self, method: str, params: dict[str, Any], request_id: int) -> None:
        """Make a request."""
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        assert self._serving.stdin is not None
        self._serving.stdin.write(json.dumps(message).encode() + b"\n")
        self._serving.stdin.flush()

    def heard(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next message that is `wanted`; SystemExit where mcpguard ends before."""
        assert self._serving.stdout is not None
        for line in self._serving.stdout:
            said: dict[str, Any] = json.loads(line)
            if wanted(said):
                return said
        raise SystemExit("mcpguard has ended")


def main() -> int:
    """Play and draw."""
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    demo = recorded([sys.executable, "-m", "mcpguard", "demo"], environment, COLUMNS)
    for file, picture in ((PICTURE, svg(demo)), (APPROVAL, approval_svg(approved(environment)))):
        file.parent.mkdir(exist_ok=True)
        file.write_text(picture, "utf-8")
        print(f"{file.relative_to(ROOT)}: {len(picture.encode()):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
