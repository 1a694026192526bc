"""`mcpguard session`: what each principal with each agent did so far; a person clears a label or a limit, or
ends it."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from typing import TYPE_CHECKING

from mcpguard.adapters.system.terminal import broken, counted, plain, style, table
from mcpguard.cli.parser import add_config, configured, person_for, same_config
from mcpguard.core.errors import SessionError
from mcpguard.core.legible import utc
from mcpguard.core.policy.session import stated_under

if TYPE_CHECKING:
    from mcpguard.adapters.store.sessions import KnownSession

EXAMPLES = (
    "mcpguard session list",
    "mcpguard session show 4f1c09aa",
    "mcpguard session clear private",
    "mcpguard session clear files/few",
    "mcpguard session end 4f1c09aa",
)

SHOWN = 8
"""How many characters of a session's name are shown; fewer are enough where they are clear."""
NONE = "no session is stored: no rule has needed one yet"
EARLIER = "stored by an earlier version: listed once the next call has taken over labels and limits"
_HEAD = ("SESSION", "PRINCIPAL", "AGENT", "CALLS", "LABELS", "FACTS", "LAST USED", "CONNECTED")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    verbs = parser.add_subparsers(dest="what", required=True, metavar="list|show|clear|end")
    listing = verbs.add_parser("list", help="all sessions, the most recently used first")
    showing = verbs.add_parser("show", help="one session: its labels and what caused each, limits, calls")
    clearing = verbs.add_parser("clear", help="remove a label from a session, or reset a limit")
    clearing.add_argument(
        "name", metavar="NAME", help="the label, or the rule with the limit (POLICY/RULE), as `show` lists it"
    )
    ending = verbs.add_parser("end", help="start a session over; limits keep counting")
    for one in (showing, clearing, ending):
        one.add_argument(
            "session", metavar="SESSION", nargs="?", default="", help="as listed, if there are several"
        )
    for one in (listing, showing):
        one.add_argument("--json", action="store_true", help="print JSON")
    for one in (listing, showing, clearing, ending):
        add_config(one)


def execute(args: argparse.Namespace) -> int:
    """0; 2 where there is no such session, label or state, or where a change is not made from a terminal."""
    from mcpguard.serve.interventions import clear_state, earlier_sessions, end_session, store_of

    config, option = configured(args.config), same_config(args.config)
    count = earlier_sessions(config)
    earlier = f"{counted(count, 'session')} {EARLIER}" if count else ""
    with closing(store_of(config)) as store:
        if args.what == "list":
            known = store.known()
            if args.json:
                from mcpguard.cli.outputs import SessionList

                print(SessionList.model_validate({"sessions": known}).model_dump_json())
            else:
                rows = [table([_HEAD, *map(_row, known)])] if known else []
                print("\n".join([*rows, earlier] if earlier else rows or [NONE]))
        elif args.what == "show":
            _print_one(
                _chosen(store.known(args.session), args.session, option, earlier or NONE), args.json, option
            )
        else:
            by = person_for(f"`mcpguard session {args.what}`")
            session = _chosen(store.known(args.session), args.session, option, earlier or NONE)
            short = f"session {session.name[:SHOWN]}"
            if args.what == "clear":
                clear_state(config, store, session, args.name, by)
                print(f"{style('cleared', 'green')} {plain(args.name)} of {short}")
            else:
                end_session(config, store, session, by)
                print(f"{style('ended', 'green')} {short}: it starts over with the next call")
    return 0


def _chosen(known: list[KnownSession], name: str, option: str, none: str) -> KnownSession:
    found = [one for one in known if one.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise SessionError(_not_stored(name, option) if name else none)
    names = ", ".join(one.name[:SHOWN] for one in found)
    raise SessionError(f"say which session: {names} (`mcpguard session list{option}`)")


def _not_stored(name: str, option: str) -> str:
    shown = plain(name)
    return (
        f"no session {shown!r} is stored (`mcpguard session list{option}`): one is stored only if a rule "
        "needs it. Its calls are in the evidence: "
        f"`mcpguard audit query --session {shown}{option}`"
    )


# --- what is shown -------------------------------------------------------------------------------


def _row(one: KnownSession) -> tuple[str, ...]:
    kept = one.state
    counted = ("?", "cannot be read", "")
    if kept is not None:
        counted = (str(kept.calls), ", ".join(kept.labels), ", ".join(kept.facts))
    is_open = "yes" if one.open else "no"
    return one.name[:SHOWN], one.principal, one.agent or "", *counted, utc(one.used), is_open


def _print_one(one: KnownSession, as_json: bool, option: str) -> None:
    if as_json:
        from mcpguard.cli.outputs import SessionShown

        print(SessionShown.model_validate(one).model_dump_json())
        return
    from mcpguard.serve.interventions import described

    print(broken(f"{style(described(one), 'bold')}, last used {utc(one.used)}"))
    kept = one.state
    if kept is None:
        ends = f"`mcpguard session end {one.name[:SHOWN]}{option}`"
        print(f"It cannot be read, so calls that depend on it are refused: {ends} starts a new session.")
        return
    for label in kept.labels:
        cause = kept.causes.get(label)
        why = "" if cause is None else f"  by {cause.what} at {utc(cause.at)}, call {cause.call}"
        rules = "" if cause is None else f" ({', '.join(cause.rules)})"
        print(broken(f"label {style(plain(label), 'yellow')}{plain(why + rules)}", indent=6))
    if kept.labels:
        clears = f"`mcpguard session clear LABEL {one.name[:SHOWN]}{option}`"
        said = f"a label stays until the session ends, or until you clear it: {clears}"
        print(broken(f"      {said}", indent=6))
    for fact in kept.facts:
        files = stated_under(kept.origins.get(fact, ()))
        where = f"  stated under {', '.join(files)}, and valid there" if files else ""
        print(broken(f"fact  {plain(fact + where)}", indent=6))
    for ticket in kept.approvals:
        print(f"approval {plain(ticket)} (`mcpguard approvals{option}`)")
    used = kept.used(time.time())
    for key, amount in used.items():
        print(f"limit {plain(key)}: {amount} used")
    if used:
        clears = f"`mcpguard session clear RULE {one.name[:SHOWN]}{option}`"
        print(f"      clearing a limit resets it to zero: {clears}")
    print(f"{kept.calls} calls" + (":" if kept.tools else ""))
    for tool, count in sorted(kept.tools.items(), key=lambda item: -item[1]):
        print(f"  {count:>6}  {plain(tool)}")
