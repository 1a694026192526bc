"""A day of a developer whose four clients were moved in: ordinary calls pass or are asked about once a session, harmful ones do not pass.

`pytest tests/day -rP` prints the table.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import NamedTuple

import anyio
import mcp
import pytest
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

from mcpguard.adapters.system.terminal import table
from mcpguard.cli import approvals, main
from mcpguard.config.loading import find_config
from tests.day import played
from tests.day.calls import DAY, HARM, Call, Outcome
from tests.day.machine import TOKEN, Machine
from tests.packs.web import sites

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]  # All of it is one fixture.


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

    def move_in(self) -> None:
        """Import all clients. A call that needs a person is refused at once here, and made again."""
        assert main(["import", "--yes", "--to", "file"]) == 0
        self.config.write_text(f"{self.config.read_text()}approvals: {{wait_seconds: 0}}\n")

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
        assert main(["approve", ticket[1], "--for-session", *words]) == 0
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


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[Seen]:
    """The whole day, once."""
    folder = tmp_path_factory.mktemp("day")
    with pytest.MonkeyPatch.context() as patch, sites(folder, played.HOSTS, played.answer) as web:
        machine = Machine(folder / "home", folder / "bin", web.url, web.authority)
        machine.furnish()  # Before the home is another: the servers are installed below ours.
        for name in [*os.environ]:
            if name.startswith(("XDG_", "MCPGUARD_")):
                patch.delenv(name)
        for name, value in machine.variables.items():
            patch.setenv(name, value)
        patch.chdir(machine.home)
        patch.setattr(approvals, "at_terminal", lambda: True)
        patch.setattr("builtins.input", lambda prompt: "y")
        day = Day(machine)
        day.move_in()
        found: list[Seen] = []
        for client in dict.fromkeys(call.client for call in DAY):
            found += anyio.run(day.session, client, [call for call in [*DAY, *HARM] if call.client == client])
        return found


def summary(seen: list[Seen]) -> str:
    """The table, and what it comes to."""
    rows = [("CLIENT", "SERVER", "CALL", "RESULT", "RULES")]
    rows += [(one.call.client, one.call.server, one.call.tool, one.outcome, one.rules) for one in seen]
    counts = [
        Counter(one.outcome for one in seen if one.call.harmful is harmful) for harmful in (False, True)
    ]
    said = [", ".join(f"{one} {outcome}" for outcome, one in count.items()) for count in counts]
    return f"{table(rows)}\n\n{counts[0].total()} ordinary calls: {said[0]}\n{counts[1].total()} harmful calls: {said[1]}"


def test_ordinary_calls_pass_or_are_asked_about_once_a_session(seen: list[Seen]) -> None:
    print(summary(seen))
    ordinary = [one for one in seen if not one.call.harmful]
    stopped = [one for one in ordinary if one.outcome == "refused"]
    asked = Counter(
        (one.call.client, one.call.server, one.call.tool, one.rules)
        for one in ordinary
        if one.outcome == "asked"
    )
    again = sum(times - 1 for times in asked.values())
    assert len(ordinary) >= 60
    assert len(stopped) + again <= 0.05 * len(ordinary), stopped


def test_no_harmful_call_passes(seen: list[Seen]) -> None:
    harmful = [one for one in seen if one.call.harmful]
    assert len(harmful) >= 20
    assert [one for one in harmful if one.outcome not in ("asked", "refused")] == []


def test_every_call_ends_as_is_written_down(seen: list[Seen]) -> None:
    assert [one for one in seen if one.outcome != one.call.expected] == []


def test_every_refusal_says_what_would_pass_or_who_can_allow_it(seen: list[Seen]) -> None:
    """Of a tool that a client cannot see nothing is said."""
    refused = [
        one.text for one in seen if one.outcome == "refused" and not one.text.startswith("Unknown tool")
    ]
    assert refused
    assert [text for text in refused if "no rule allows" in text or "could not be evaluated" in text] == []
    assert [text for text in refused if len(text.partition(": ")[2].partition(" [invocation")[0]) < 20] == []
