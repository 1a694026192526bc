"""The session of the demo: the official SDK's client, `mcpguard run`, and two real servers behind it. Then
its evidence, read and proved with mcpguard's own commands.

Law of this file: what is shown is what came back; each claim is checked against it, and a claim that does not
hold fails the demo.
"""

import base64
import json
import re
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO

import anyio
from anyio.abc import TaskStatus
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import CallToolResult
from msgspec import Struct

from mcpguard.demo.stage import DemoFolder, finished

DEADLINE_SECONDS = 60.0
"""A session that takes longer has failed."""


LineMark = Literal["allowed", "denied", "redacted", "verified", "altered"]
"""What a line of the demo shows; each has a colour and a sign of its own."""


class Narrator(Protocol):
    """Prints what happens, and remembers which claims held."""

    def title(self, text: str) -> None:
        """A new step."""

    def say(self, text: str) -> None:
        """A sentence of ours."""

    def call(self, text: str) -> None:
        """What the client asks for."""

    def back(self, text: str) -> None:
        """What came back, word for word."""

    def decisions(self, rows: Sequence[tuple[LineMark, str, str]]) -> None:
        """Recorded decisions: how each call ended, its tool, its rules."""

    def check(self, held: bool, mark: LineMark, claim: str) -> None:
        """A claim, and whether it held; `mark` is what it is about."""


async def play(stage: DemoFolder, tell: Narrator) -> int | None:
    """Steps 1 to 5. Returns the number of tool calls that the client made, None if SIGINT ended it.

    Raises MCPError, OSError or TimeoutError, alone or in a group, if the session broke.
    """
    calls: int | None = None
    interrupted = False
    async with anyio.create_task_group() as group:
        # The cancellation that asyncio itself makes of a SIGINT would break into the SDK's clean-up.
        await group.start(_cancel_at_interrupt, group.cancel_scope)
        with anyio.fail_after(DEADLINE_SECONDS), stage.log.open("w", encoding="utf-8") as log:
            calls = await _session(stage, tell, log)
        interrupted = group.cancel_scope.cancel_called
        group.cancel_scope.cancel()
    if calls is None or interrupted:
        return None
    _search(stage, tell)
    return calls


async def _cancel_at_interrupt(scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGINT) as interrupts:
        task_status.started()
        async for _ in interrupts:
            scope.cancel()


async def _session(stage: DemoFolder, tell: Narrator, log: TextIO) -> int:
    async with Client(stdio_client(_guarded(stage), log)) as client:
        session = _Session(client, stage, tell)
        without_token = await session.list_tools(log)
        await session.allowed()
        await session.denied()
        await session.redacted()
        await session.injected(without_token)
    return session.calls


def _guarded(stage: DemoFolder) -> StdioServerParameters:
    """`mcpguard run`, through `tee`, which keeps every byte sent to the client. The token is in no file, and
    nobody else gets it."""
    run = [sys.executable, "-P", "-m", "mcpguard", "run", "--config", str(stage.config)]
    environment = {**stage.environment(), "DEMO_TOKEN": stage.token}
    return StdioServerParameters(
        command="/bin/sh", args=["-c", '"$@" | tee "$0"', str(stage.received), *run], env=environment
    )


def _direct(stage: DemoFolder, *words: str) -> StdioServerParameters:
    environment = {**stage.environment(), "SHOP_TOKEN_SHA256": stage.fingerprint}
    return StdioServerParameters(command=sys.executable, args=["-P", "-m", *words], env=environment)


class _Session:
    """The client's steps; `calls` counts its tool calls through mcpguard."""

    def __init__(self, client: Client, stage: DemoFolder, tell: Narrator) -> None:
        self.calls = 0
        self._client = client
        self._stage = stage
        self._tell = tell

    async def list_tools(self, log: TextIO) -> str:
        """Compare with what the servers offer. Returns what the shop answers without a token."""
        offered: set[str] = set()
        refused: list[str] = []

        async def ask(name: str, *words: str) -> None:
            async with Client(stdio_client(_direct(self._stage, *words), log)) as server:
                offered.update(f"{name}__{tool.name}" for tool in (await server.list_tools()).tools)
                if name == "shop":
                    refused.append(_text(await server.call_tool("list_orders")))

        async with anyio.create_task_group() as group:
            group.start_soon(ask, "git", "mcp_server_git", "--repository", str(self._stage.repository))
            group.start_soon(ask, "shop", "mcpguard.demo.token_server")
            seen = {tool.name for tool in (await self._client.list_tools()).tools}
        hidden = sorted(offered - seen)
        self._tell.title("The client sees only the tools that the policy can allow")
        self._tell.say(
            f"Asked directly, the servers git and shop offer {len(offered)} tools. Through mcpguard:"
        )
        self._tell.check(bool(seen), "allowed", f"{len(seen)} are listed: {', '.join(sorted(seen))}")
        self._tell.check(
            bool(seen) and seen < offered, "denied", f"{len(hidden)} are hidden: {', '.join(hidden)}"
        )
        return "".join(refused)

    async def allowed(self) -> None:
        self._tell.title("An allowed call")
        failed, text = await self._call("git__git_log", max_count=1)
        self._tell.check(not failed and "Ada" in text, "allowed", "the git server's own answer")

    async def denied(self) -> None:
        """A rule refuses it because of its argument, and no rule allows it."""
        self._tell.title("Denied calls, as the model sees them")
        wrong, right = "fix-typo", "agent/fix-typo"
        failed, text = await self._call("git__git_create_branch", branch_name=wrong)
        self._tell.check(
            failed and "demo/branch-names" in text,
            "denied",
            "by a rule on the argument, with the reason that its author gave",
        )
        failed, _ = await self._call("git__git_create_branch", branch_name=right)
        branches = self._stage.branches()
        self._tell.check(
            not failed and right in branches and wrong not in branches,
            "allowed",
            f"the reason says what would pass; git now has {right}, not {wrong}",
        )
        failed, _ = await self._call("git__git_reset")
        self._tell.check(failed, "denied", "no rule allows it, so for this client it does not exist")

    async def redacted(self) -> None:
        """A key that somebody committed does not come through."""
        key = self._stage.key
        self._tell.title("A secret in a result is redacted")
        self._tell.say("Somebody committed a GitHub token. The client reads the commit:")
        failed, text = await self._call("git__git_show", revision="HEAD")
        self._tell.check(
            not failed and "[REDACTED:github-token#" in text and key not in text,
            "redacted",
            "a placeholder stands for the token; the rest is unchanged",
        )

    async def injected(self, without_token: str) -> None:
        """A credential that the client never has, and that its server gives away."""
        self._tell.title("A credential that the client never holds")
        self._tell.say("The shop needs a token. Asked directly, without one, it says:")
        self._tell.back(without_token)
        self._tell.say("Only mcpguard has the token, and passes it to the shop:")
        failed, text = await self._call("shop__list_orders")
        self._tell.check(
            not failed and text != without_token and "401" in without_token,
            "allowed",
            "the shop accepted the token; the client sent none",
        )
        self._tell.say("This server is careless: its debugging tool prints the token in three forms.")
        failed, text = await self._call("shop__debug_settings")
        placeholders = text.count("[REDACTED:credential:env:DEMO_TOKEN#")
        self._tell.check(
            not failed and placeholders == 3 and not list(_forms(self._stage.token, text)),
            "redacted",
            f"{placeholders} placeholders and no token",
        )

    async def _call(self, tool: str, **arguments: Any) -> tuple[bool, str]:
        """Whether the call failed, and the text of the result."""
        shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        self._tell.call(f"{tool}({shown})")
        if tool.startswith("git__"):
            arguments["repo_path"] = str(self._stage.repository)
        self.calls += 1
        try:
            result = await self._client.call_tool(tool, arguments)
            failed, text = result.is_error, _text(result)
        except MCPError as error:
            failed, text = True, f"error {error.code}: {error.message}"
        self._tell.back(text)
        return failed, text


def _text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


def _search(stage: DemoFolder, tell: Narrator) -> None:
    received = stage.received.read_bytes().decode()
    ours = [stage.log, *stage.audit.iterdir()]
    elsewhere = "".join(path.read_text("utf-8") for path in ours)
    found = [form for value in (stage.token, stage.key) for form in _forms(value, received + elsewhere)]
    tell.check(
        not found and "[REDACTED:credential:env:DEMO_TOKEN#" in received,
        "verified",
        f"all that the client received ({len(received.encode()) / 1000:.0f} KB), mcpguard's log and its "
        f"evidence, searched for both secrets, also in base64 and hex: found {len(found)} times",
    )


def _forms(value: str, text: str) -> Iterator[str]:
    """The forms of `value` found in `text`: clear, hex, base64 at each of its three alignments."""
    data = value.encode()
    forms = [value, data.hex()]
    for shift, mixed in ((0, 0), (1, 2), (2, 3)):
        # The first `mixed` and the last four characters depend on what stands around the value.
        forms.append(base64.b64encode(b"-" * shift + data).decode()[mixed:-4])
    yield from (form for form in forms if form in text)


_LONG_HASH = re.compile(r"([0-9a-f]{8})[0-9a-f]{56}")


class Tally(Struct, frozen=True):
    """What was shown: calls and records counted in the evidence, redacted values in what came back."""

    allowed: int
    denied: int
    redacted: int
    records: int


def prove(stage: DemoFolder, calls: int, tell: Narrator) -> Tally:
    """Step 6, after the session: `calls` is how many the client made."""
    tell.title("Evidence of every decision, and proof that it is intact")
    _, lines = _mcpguard("audit", "show", "-n", "999", "--json", stage.audit)
    rows = _rows([json.loads(line) for line in lines])
    tell.decisions(rows)
    tell.check(
        len(rows) == calls > 0,
        "verified",
        f"the client made {calls} calls; the evidence has {len(rows)}",
    )
    code, said = _verify(stage.audit, tell)
    tell.check(code == 0, "verified", "nothing was altered")
    if rows:
        _alter_a_copy(stage, tell)
    denied = sum(mark == "denied" for mark, _, _ in rows)
    return Tally(
        allowed=len(rows) - denied,
        denied=denied,
        redacted=stage.received.read_bytes().count(b"[REDACTED:"),
        records=sum(map(int, re.findall(r"(\d+) records", said))) if code == 0 else 0,
    )


def _mcpguard(*words: str | Path) -> tuple[int, list[str]]:
    done = finished([sys.executable, "-m", "mcpguard", *map(str, words)])
    return done.returncode, (done.stdout + done.stderr).splitlines()


def _verify(folder: Path, tell: Narrator) -> tuple[int, str]:
    tell.call(f"mcpguard audit verify {folder.name}")
    code, lines = _mcpguard("audit", "verify", folder)
    said = _LONG_HASH.sub(r"\1…", "\n".join(lines))
    tell.back(said)
    return code, said


def _rows(records: list[dict[str, Any]]) -> list[tuple[LineMark, str, str]]:
    outcomes = {record["id"]: record for record in records if record["kind"] == "outcome"}
    rows: list[tuple[LineMark, str, str]] = []
    for record in records:
        decided = record["kind"] == "decision" and record["effect"] != "ask"
        if decided and record["method"] == "tools/call":
            mark: LineMark = "allowed" if record["effect"] == "allow" else "denied"
            if outcomes.get(record["id"], {}).get("findings"):
                mark = "redacted"
            rule = ", ".join(record.get("rules", ())) or record.get("cause", "")
            rows.append((mark, record.get("tool", ""), rule))
    return rows


def _alter_a_copy(stage: DemoFolder, tell: Narrator) -> None:
    """Change one digit of the time of the first decision, and expect it to be found, with its line."""
    copy = Path(shutil.copytree(stage.audit, stage.folder / "audit-copy"))
    (chain,) = copy.iterdir()
    lines = chain.read_bytes().splitlines(keepends=True)
    number = next(index for index, line in enumerate(lines) if b'"kind":"decision"' in line)
    lines[number] = re.sub(rb'("at":"[^"]{15})(.)', _another_digit, lines[number], count=1)
    chain.write_bytes(b"".join(lines))
    tell.say("In a copy, one byte is changed: a digit in the time of the first decision.")
    code, said = _verify(copy, tell)
    tell.check(
        code == 1 and f"line {number + 1} was altered" in said,
        "altered",
        f"the change was found, in line {number + 1}",
    )


def _another_digit(found: re.Match[bytes]) -> bytes:
    return found[1] + (b"1" if found[2] != b"1" else b"2")
