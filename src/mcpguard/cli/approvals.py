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
    from mcpguard.core.policy.tickets import Ticket, TicketState

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
    from mcpguard.cli.session import store_of

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
    return one.id, waits, one.principal, one.agent or "", _call(one), ", ".join(one.rules)


def _call(one: Ticket) -> str:
    return f"{one.method} {one.server}/{one.target}"


def answer(args: argparse.Namespace, state: TicketState, reason: str = "") -> int:
    """Show the call to the person at the terminal and answer its ticket. Raises SessionError where there is
    no terminal or no such ticket, AuditError where no evidence can be left; then nothing is answered."""
    from mcpguard.adapters.system.identity import operating_system_user
    from mcpguard.cli.session import note_of, store_of

    if not at_terminal():
        raise SessionError("an approval is for a person, so it needs a terminal")
    config: Config = configured(args.config)
    store = store_of(config)
    ticket = store.known_ticket(args.ticket)
    if ticket is None or ticket.state != "waiting" or ticket.expires <= time.time():
        raise SessionError(f"no call waits by the ticket {args.ticket!r} (`mcpguard approvals`)")
    _show(ticket)
    verb = "approve" if state == "approved" else "deny"
    if not _confirmed(f"{verb} {plain(_call(ticket))}? [y/N] "):
        print("not answered")
        return 1
    who = operating_system_user()
    by = f"{who.source}:{who.id}"
    what = "approval-given" if state == "approved" else "approval-refused"
    note_of(config, what, f"ticket {ticket.id} of {ticket.principal} by {by}")
    try:
        if not store.answer(ticket.id, state, by, reason):
            raise SessionError(f"the ticket {ticket.id} was answered by somebody else, or has expired")
    except SessionError as problem:
        note_of(config, "approval-void", f"ticket {ticket.id} by {by}: {problem}")
        raise
    print(style("approved: the call goes on" if state == "approved" else "denied", "green"))
    return 0


def _confirmed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def _show(ticket: Ticket) -> None:
    agent = f" with {ticket.agent}" if ticket.agent else ""
    print(style(plain(_call(ticket)), "bold"))
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
