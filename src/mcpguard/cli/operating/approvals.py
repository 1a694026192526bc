"""`mcpguard approvals`: the calls that wait for a person, what nobody has answered, and the answers in force;
a person ends one.
`approve` and `deny` answer what waits."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING

from msgspec import structs

from mcpguard.adapters.store import default_folder
from mcpguard.adapters.system.own_process import groups_of_user
from mcpguard.adapters.system.terminal import coloured, plain, style, table
from mcpguard.cli.parser import add_config, configured, confirmed, person_for, same_config
from mcpguard.config.loading import Config
from mcpguard.core.errors import PolicyError, SessionError
from mcpguard.core.legible import utc
from mcpguard.core.policy.tickets import Ticket, TicketAnswer

if TYPE_CHECKING:
    from mcpguard.adapters.store.state import SharedState
    from mcpguard.core.document.printed import Printed
    from mcpguard.serve.interventions import TicketCheck

    Said = Callable[[Ticket, str, tuple[str, ...]], TicketAnswer]
    """The answer to a ticket, by whom ("SOURCE:ID") with which groups."""

EXAMPLES = ("mcpguard approvals", "mcpguard approvals --json", "mcpguard approvals end 4f1c09aa7d31")

_HEAD = ("TICKET", "WAITS", "PRINCIPAL", "AGENT", "CALL", "RULE")
_UNANSWERED = ("UNANSWERED", "UNTIL", "PRINCIPAL", "AGENT", "CALL", "RULE")
_REFUSED = ("REFUSED", "UNTIL", "PRINCIPAL", "AGENT", "CALL", "BY")
_UNREADABLE = ("CANNOT BE READ", "PRINCIPAL", "STATE")
_IN_FORCE = ("APPROVED", "UNTIL", "USES", "PRINCIPAL", "AGENT", "CALL", "ANY VALUE OF", "BY")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "what",
        metavar="end",
        nargs="?",
        choices=["end"],
        help="end an approval or a refusal: the next such call needs a new answer",
    )
    parser.add_argument("ticket", metavar="TICKET", nargs="?", help="its ticket, as listed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_config(parser)


def execute(args: argparse.Namespace) -> int:
    """0; 2 where there is no such approval, or where it is not ended from a terminal."""
    from mcpguard.serve.interventions import TicketCheck, store_of

    config = configured(args.config)
    with closing(store_of(config)) as store:
        if args.what:
            return _end(config, store, args.ticket, args.config)
        since = store.waited_for()
        waiting, in_force, refused = store.waiting(), store.approved(), store.denied()
        unreadable = store.unreadable()
    check = TicketCheck(config, lambda: _digest(config))
    if args.json:
        from mcpguard.cli.outputs import ApprovalInForce, RefusalInForce, WaitingTicket, WaitingTickets

        shown = {
            "waiting": [_described(WaitingTicket, one, check, since.get(one.id)) for one in waiting],
            "in_force": [_described(ApprovalInForce, one, check) for one in in_force],
            "refused": [_described(RefusalInForce, one, check) for one in refused],
            "unreadable": [structs.asdict(one) for one in unreadable],
        }
        print(WaitingTickets.model_validate(shown).model_dump_json())
        return 0
    folder = plain(str(config.session_postgres or config.session_folder or default_folder()))
    now = [one for one in waiting if one.id in since]
    rows = [_row(one, _void_answer(one, check) or _span(since[one.id])) for one in now]
    print(_table(_HEAD, rows, config, now) or f"no call waits for an approval in {folder}")
    if left := [one for one in waiting if one.id not in since]:
        print("\nno call waits for these any more; an approval is valid for the same call made again:")
        print(_table(_UNANSWERED, [_row(one, _until(one, check)) for one in left], config, left))
    if in_force:
        print()
        print(_table(_IN_FORCE, [_in_force(one, check) for one in in_force], config, in_force))
    if refused:
        print()
        print(_table(_REFUSED, [_refused(one, check) for one in refused], config, refused))
    if unreadable:
        ends = f"`mcpguard approvals end TICKET{same_config(args.config)}`"
        print(f"\nthe calls of these are refused until {ends} removes them, and are then asked about again:")
        print(table([_UNREADABLE, *((one.id, one.principal, one.state) for one in unreadable)]))
    return 0


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]], config: Config, of: list[Ticket]) -> str:
    """The rows of these tickets, with the configuration of each where one is of another than `config`; "" for
    none."""
    from mcpguard.serve.interventions import other_config

    others = [other_config(config, one) for one in of]
    if any(others):
        head = (*head, "CONFIGURATION")
        rows = [(*row, other) for row, other in zip(rows, others, strict=True)]
    return table([head, *rows]) if rows else ""


def _end(config: Config, store: SharedState, ticket_id: str | None, option: str | None) -> int:
    from mcpguard.serve.interventions import end_answer

    if ticket_id is None:
        lists = f"`mcpguard approvals{same_config(option)}`"
        raise SessionError(f"say which approval or refusal to end; list them with {lists}")
    end_answer(config, store, ticket_id, person_for("`mcpguard approvals end`"))
    print(f"{style('ended', 'green')} {plain(ticket_id)}: the next such call is asked about")
    return 0


def _span(since: float) -> str:
    return f"{max(0, time.time() - since):.0f} s"


def _row(one: Ticket, how: str) -> tuple[str, ...]:
    return one.id, how, one.principal, one.acting, one.summary, ", ".join(one.rules)


def _digest(config: Config) -> str:
    """That of the policies as they are written now, for tickets; "" where they do not load."""
    from mcpguard.config.policies import load_policies
    from mcpguard.core.redaction.detectors import OPT_IN

    try:
        return load_policies(config.policies, OPT_IN).asking
    except PolicyError:
        return ""


def _in_force(one: Ticket, check: TicketCheck) -> tuple[str, ...]:
    by = "" if one.answer is None else f"{one.answer.by} ({one.answer.via})"
    free = "" if one.answer is None else _listed(one.answer.free)
    uses = "once" if one.lasts == "once" else str(one.uses)
    return one.id, _until(one, check), uses, one.principal, one.acting, one.summary, free, by


def _until(one: Ticket, check: TicketCheck) -> str:
    until = utc(one.ends) + (" or the session's end" if one.lasts == "session" else "")
    return _void_answer(one, check) or until


def _void_answer(one: Ticket, check: TicketCheck) -> str:
    from mcpguard.serve.interventions import void_answer

    why = check.void(one)
    return void_answer(why) if why else ""


def _refused(one: Ticket, check: TicketCheck) -> tuple[str, ...]:
    by = "" if one.answer is None else f"{one.answer.by} ({one.answer.via})"
    return one.id, _until(one, check), one.principal, one.acting, one.summary, by


def _described(
    kind: type[Printed], one: Ticket, check: TicketCheck, since: float | None = None
) -> dict[str, object]:
    """What the ticket, and its answer, have by the names of `kind`."""
    also = {"ticket": one.id, "ends": one.ends, "void": bool(check.void(one)), "waits_since": since}
    known = also | structs.asdict(one) | ({} if one.answer is None else structs.asdict(one.answer))
    return {name: known[name] for name in kind.model_fields}


def _listed(names: Iterable[str]) -> str:
    # A letter that only looks like an ASCII one is shown as its escape.
    return ", ".join(name if name.isascii() else ascii(name) for name in names)


def answer(args: argparse.Namespace, said: Said, always: tuple[str, ...] | None = None) -> int:
    """Show the call to the person at the terminal and answer its ticket as `said`; with `always` a rule is
    written that approves it for good, with any value of these arguments. Raises SessionError where there is
    no terminal, no such ticket, or the answer would not count, AuditError where no evidence can be left, and
    as `authoring.suggest.apply`; then nothing is answered."""
    from mcpguard.serve.interventions import give, must_count, store_of, taken_or_ended, waiting_ticket

    who = person_for("approving or denying a call")
    config: Config = configured(args.config)
    with closing(store_of(config)) as store:
        lists = f"; `mcpguard approvals{same_config(args.config)}` lists what can be answered"
        ticket = waiting_ticket(store, args.ticket, lists)
        given = said(ticket, who, groups_of_user())
        must_count(config, ticket, given)
        _show(config, store, ticket)
        void = _void(config, ticket) if always is None and given.verdict == "approved" else ""
        if void:
            print(style(void, "yellow"))
        question = _question(ticket, given) if always is None else _standing(config, ticket, always)
        if not confirmed(question):
            print("not answered")
            return 1
        if always is not None:
            from mcpguard.authoring.suggest import apply

            made = apply(config, ticket, always, given.by)
            print(f"{style('written', 'green')} {made.rule} to {plain(str(config.own_policy))}")
        give(config, store, ticket, given)
        became = "denied"
        if always is not None:
            taken_or_ended(config, store, ticket, who)
            became = "approved: the rule lets the call through"
        elif given.verdict == "approved":
            became = f"approved, but {void}" if void else _became(store, ticket)
    print(style(became, "green"))
    return 0


def _void(config: Config, ticket: Ticket) -> str:
    """Why an approval of the ticket counts for nothing; "" where it counts."""
    from mcpguard.serve.interventions import TicketCheck, void_ticket

    why = TicketCheck(config, lambda: _digest(config)).void(ticket)
    return void_ticket(why) if why else ""


def _became(store: SharedState, ticket: Ticket) -> str:
    """What an approval led to, in a sentence."""
    from mcpguard.serve.interventions import taken

    if taken(store, ticket.id):
        return "approved: the call goes on"
    now = store.known_ticket(ticket.id) or ticket
    return f"approved, but no call is waiting for it now; the same call goes through until {utc(now.ends)}"


def _standing(config: Config, ticket: Ticket, free: tuple[str, ...]) -> str:
    from mcpguard.authoring.own_policy import own_policy
    from mcpguard.authoring.suggest import proposal

    shown = coloured(proposal(own_policy(config), ticket, free).diff)
    return f"{shown}\nwrite this and approve {plain(ticket.summary)}? [y/N] "


def _question(ticket: Ticket, given: TicketAnswer) -> str:
    """What the person is asked; it says all that the answer would allow."""
    from mcpguard.console.terminal import folded_text

    if given.lasts == "once":
        return f"{'approve' if given.verdict == 'approved' else 'deny'} {plain(ticket.summary)}? [y/N] "
    until = f"until {utc(given.until)}"
    fixed = [name for name in ticket.parts if name not in given.free]
    hosts = [name for name in ticket.hosts if name in given.free]
    lines = [
        f"This allows {ticket.summary} as often as {ticket.who} calls it,",
        f"  {until}" if given.lasts == "time" else f"  until the session ends, and {until} at the latest,",
        f"  with any value of: {_listed(given.free)}" if given.free else "",
        f"  with the host that is shown in: {_listed(hosts)}" if hosts else "",
        f"  with the values shown of: {_listed(fixed)}" if given.free and fixed else "",
        "  with every argument as shown" if not given.free else "",
        "unless the policies, the entry of the server or what it lists change.",
    ]
    said = [one for line in lines if line for one in folded_text(plain(line))]
    return "\n".join([*said, "approve? [y/N] "])


def _show(config: Config, store: SharedState, ticket: Ticket) -> None:
    from mcpguard.console.desk import Rulebook
    from mcpguard.console.terminal import show
    from mcpguard.serve.interventions import TicketCheck, how_it_waits

    states = [one.state for one in store.known(ticket.session)]
    labels = [label for state in states if state is not None for label in state.labels]
    void = TicketCheck(config, lambda: _digest(config)).void(ticket)
    waits = how_it_waits(ticket, store.waited_for().get(ticket.id), void)
    show(ticket, Rulebook(config).rules(ticket.rules), labels, waits)
