"""`mcpguard approvals`: the calls that wait for a person; `approve` and `deny` answer them."""

from __future__ import annotations

import argparse
import json
import shutil
import time
import unicodedata
from typing import TYPE_CHECKING

from mcpguard.adapters.system.terminal import at_terminal, plain, style, table
from mcpguard.cli.parser import add_config, configured
from mcpguard.core.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpguard.config.loading import Config
    from mcpguard.core.policy.tickets import Ticket, Verdict

EXAMPLES = ("mcpguard approvals", "mcpguard approvals --json")

MOST_READABLE = 262_144
"""So many characters the arguments may take that are shown a member a line."""
MIN_ROOM = 20
_MORE = "> "
"""Before what continues a line."""

_HEAD = ("TICKET", "WAITS", "PRINCIPAL", "AGENT", "CALL", "RULE")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_config(parser)


def execute(args: argparse.Namespace) -> int:
    """0."""
    from mcpguard.serve.interventions import store_of

    waiting = store_of(configured(args.config)).waiting()
    if args.json:
        from mcpguard.cli.outputs import WaitingTickets

        print(WaitingTickets.model_validate({"waiting": waiting}).model_dump_json())
    elif not waiting:
        print("no call waits for an approval")
    else:
        print(table([_HEAD, *map(_row, waiting)]))
    return 0


def _row(one: Ticket) -> tuple[str, ...]:
    waits = f"{max(0, time.time() - one.created):.0f} s"
    return one.id, waits, one.principal, one.agent or "", one.summary, ", ".join(one.rules)


def answer(args: argparse.Namespace, verdict: Verdict, reason: str = "") -> int:
    """Show the call to the person at the terminal and answer its ticket. Raises SessionError where there is
    no terminal or no such ticket, AuditError where no evidence can be left; then nothing is answered."""
    from mcpguard.adapters.system.identity import groups_of_user, operating_system_user
    from mcpguard.core.policy.tickets import TicketAnswer
    from mcpguard.serve.interventions import give, store_of, waiting_ticket

    if not at_terminal():
        raise SessionError("an approval is for a person, so it needs a terminal")
    config: Config = configured(args.config)
    store = store_of(config)
    ticket = waiting_ticket(store, args.ticket)
    _show(ticket)
    verb = "approve" if verdict == "approved" else "deny"
    if not _confirmed(f"{verb} {plain(ticket.summary)}? [y/N] "):
        print("not answered")
        return 1
    who = operating_system_user()
    by = f"{who.source}:{who.id}"
    give(config, store, ticket, TicketAnswer(verdict, by, "terminal", groups_of_user(), reason))
    print(style("approved: the call goes on" if verdict == "approved" else "denied", "green"))
    return 0


def _confirmed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def _show(ticket: Ticket) -> None:
    agent = f" with {ticket.agent}" if ticket.agent else ""
    print(style(plain(ticket.summary), "bold"))
    print(f"  by {plain(ticket.principal + agent)}; asked by {plain(', '.join(ticket.rules))}")
    print(f"  {style(plain(ticket.message), 'yellow')}")
    for line in _readable(ticket.shown).split("\n"):
        print("\n".join(_folded(plain(line))))


def _readable(shown: str) -> str:
    """The arguments, a member a line; as they are where that would be far more text."""
    try:
        lines = json.dumps(json.loads(shown), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return shown
    return lines if len(lines) <= MOST_READABLE else shown


def _folded(line: str) -> Iterator[str]:
    """The line in pieces that fit the terminal, so that none looks like a line of its own: all but the first
    are marked."""
    room = max(MIN_ROOM, shutil.get_terminal_size().columns - len(_MORE))
    start, used, mark = 0, 0, " " * len(_MORE)
    for at, character in enumerate(line):
        wide = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used + wide > room:
            yield mark + line[start:at]
            start, used, mark = at, 0, _MORE
        used += wide
    yield mark + line[start:]
