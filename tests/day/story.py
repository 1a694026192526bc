"""The day, played: the four clients move in, make their calls, and move out again, with what the commands print."""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

import anyio
import mcp
import pytest
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

from mcpguard.adapters.system.terminal import table
from mcpguard.cli import main
from mcpguard.cli.onboarding import first_look
from mcpguard.config.loading import find_config
from tests.day import played
from tests.day.calls import DAY, HARM, Call, Outcome
from tests.day.machine import TOKEN, Machine
from tests.packs.web import sites


class Seen(NamedTuple):
    """What became of a call, the rules that say so, and the text that the client got."""

    call: Call
    outcome: Outcome
    rules: str
    text: str


class Day:
    """The machine of the day, with what its person does."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.config = find_config(None, os.environ)
        self.seen: list[Seen] = []
        self.said: dict[str, str] = {}
        """What a verb printed the first time, and `approve` that of each tool."""
        self.imported = ""
        """The configuration as the import wrote it."""

    def run(self, *words: str) -> str:
        """What `mcpguard` prints for these words; the first time of each verb is kept."""
        out = io.StringIO()
        with redirect_stdout(out):
            assert main(list(words)) == 0, out.getvalue()
        self.said.setdefault(words[0], out.getvalue())
        return out.getvalue()

    def play(self) -> None:
        """The whole day."""
        self.move_in()
        for client in dict.fromkeys(call.client for call in DAY):
            self.seen += anyio.run(self.session, client, [c for c in [*DAY, *HARM] if c.client == client])
        self.config.write_text(self.imported)
        self.run("undo")

    def move_in(self) -> None:
        """Import all clients. A call that needs a person is refused at once here, and made again."""
        self.run("import", "--yes", "--to", "file")
        self.run("check")
        self.imported = self.config.read_text()
        at_once = self.imported.replace("approvals:\n", "approvals:\n  wait_seconds: 0\n")
        self.config.write_text(at_once)

    async def session(self, client: str, calls: list[Call]) -> list[Seen]:
        """All calls of a client, in one session of the SDK's client."""
        entry = self.machine.started(client)
        variables = {**self.machine.variables, **entry.get("env", {})}
        started = StdioServerParameters(command=entry["command"], args=entry["args"], env=variables)
        with open(self.machine.home / f"{client}.log", "w") as errors, anyio.fail_after(80):
            async with stdio_client(started, errlog=errors) as streams, ClientSession(*streams) as session:
                await session.initialize()
                names = await self.names(session, {call.tool for call in calls if not call.harmful})
                return [await self.made(session, names, call) for call in calls]

    async def names(self, session: ClientSession, wanted: set[str]) -> set[str]:
        """The names of all tools, once slow servers are there as well."""
        while True:
            names = {tool.name for tool in (await session.list_tools()).tools}
            if wanted <= {name.partition("__")[2] or name for name in names}:
                return names
            await anyio.sleep(0.2)

    async def made(self, session: ClientSession, names: set[str], call: Call) -> Seen:
        """One call, made again once its person has approved it, which they do where it is ordinary."""
        seen = await self.tried(session, names, call)
        if call.harmful or seen.outcome != "asked":
            return seen
        ticket = re.search(r"\(ticket ([0-9a-f]+)\)", seen.text)
        assert ticket, seen
        words = [word for name in call.free for word in ("--any", name)]
        printed = self.run("approve", ticket[1], "--for-session", *words)
        self.said.setdefault(f"approve {call.tool}", printed)
        again = await self.tried(session, names, call)
        return seen if again.outcome == "passes" else again

    async def tried(self, session: ClientSession, names: set[str], call: Call) -> Seen:
        """One call as it is."""
        prefixed = f"{call.server}__{call.tool}"
        try:
            result = await session.call_tool(
                prefixed if prefixed in names else call.tool, self.machine.filled(call.args)
            )
        except mcp.MCPError as error:
            return Seen(call, "refused", "", error.error.message)
        text = " ".join(getattr(part, "text", "") for part in result.content)
        assert "canary" not in text
        assert TOKEN not in text
        if not result.is_error or "by mcpguard" not in text:
            failed = result.is_error or text.startswith(("Database error", "Error"))
            return Seen(call, "fails" if failed else "passes", "", text)
        rules = re.search(r"by mcpguard \(([^)]*)\)", text)
        return Seen(call, "asked" if "(ticket " in text else "refused", rules[1] if rules else "", text)


WORDS = {"passes": "passed", "asked": "asked", "refused": "refused", "fails": "failed at their server"}


def summary(seen: list[Seen]) -> str:
    """The table, and what it comes to."""
    rows = [("CLIENT", "SERVER", "CALL", "RESULT", "RULES")]
    rows += [(one.call.client, one.call.server, one.call.tool, one.outcome, one.rules) for one in seen]
    counts = [
        Counter(one.outcome for one in seen if one.call.harmful is harmful) for harmful in (False, True)
    ]
    said = [", ".join(f"{one} {WORDS[outcome]}" for outcome, one in count.items()) for count in counts]
    return f"{table(rows)}\n\n{counts[0].total()} ordinary calls: {said[0]}\n{counts[1].total()} harmful calls: {said[1]}"


def day(folder: Path) -> Day:
    """The day on a machine in `folder`, whose environment is as if it were the person's own meanwhile."""
    with pytest.MonkeyPatch.context() as patch, sites(folder, played.HOSTS, played.answer) as web:
        machine = Machine(folder / "home", folder / "bin", web.url, web.authority)
        machine.furnish()  # Before the home is another: the servers are installed below ours.
        for name in [*os.environ]:
            if name.startswith(("XDG_", "MCPGUARD_")):
                patch.delenv(name)
        for name, value in machine.variables.items():
            patch.setenv(name, value)
        patch.chdir(machine.home)
        patch.setenv("COLUMNS", "160")  # What is printed wraps where the folder has a long name.
        patch.setattr(first_look, "SECONDS", 150.0)  # A machine that runs tests is busy.
        patch.setattr("mcpguard.cli.parser.at_terminal", lambda: True)
        patch.setattr("builtins.input", lambda prompt: "y")
        found = Day(machine)
        found.play()
        return found
