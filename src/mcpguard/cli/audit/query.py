"""`mcpguard audit query`: the calls on record that match a condition and filters; and filters for its kin."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from mcpguard.adapters.audit.indexing import microseconds
from mcpguard.adapters.system.terminal import plain, style
from mcpguard.cli.audit.rows import call_line, trust, warn_rivals, width
from mcpguard.cli.parser import WHEN, moment, same_config, to_stderr
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.bounds import only_counted

if TYPE_CHECKING:
    from mcpguard.adapters.audit.index import AuditIndex
    from mcpguard.authoring.asking.matching import FoundCall
    from mcpguard.authoring.asking.question import CallQuestion, Filters

FILTERS = ("since", "until", "denied", "tool", "server", "principal", "actor", "session", "rule")


def add_query(parser: argparse.ArgumentParser) -> None:
    """The arguments of `query`."""
    parser.add_argument(
        "condition",
        nargs="?",
        default="",
        metavar="CEL",
        help='a condition, such as \'effect == "deny" && args.path.startsWith("/etc")\' (default: all calls)',
    )
    parser.add_argument(
        "-n", type=positive, default=20, metavar="N", help="the last N that match (default: 20)"
    )
    add_filters(parser)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """`--since` and what else narrows the calls, and `--rebuild`."""
    parser.add_argument("--since", type=_time, metavar="TIME", help=f"only calls since then: {WHEN}")
    parser.add_argument("--until", type=_time, metavar="TIME", help=f"before then: {WHEN}")
    parser.add_argument("--denied", action="store_true", help="only what was denied")
    parser.add_argument("--tool", metavar="NAME", default="", help="only calls of this tool")
    parser.add_argument("--server", metavar="NAME", default="", help="only calls of this server")
    parser.add_argument(
        "--principal", metavar="ID", default="", help="only calls by this principal: SOURCE:ID or ID"
    )
    parser.add_argument(
        "--actor",
        metavar="AGENT",
        default="",
        help="only calls that this agent made for a person, according to the token",
    )
    parser.add_argument(
        "--session",
        metavar="NAME",
        default="",
        help="only calls of this session; a prefix of 8 or more characters is enough",
    )
    parser.add_argument(
        "--rule",
        metavar="RULE",
        default="",
        help="only calls decided by this rule: POLICY/ID, POLICY or ID",
    )
    parser.add_argument(
        "--rebuild", action="store_true", help="rebuild the index of calls from the chains first"
    )


def positive(text: str) -> int:
    """The type of `-n`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a whole number of at least 1")
    return min(int(text), sys.maxsize)  # No folder has more, and no deque takes more.


def _time(text: str) -> int:
    return microseconds(moment(text))


def filters_of(args: argparse.Namespace) -> Filters:
    """What the options say."""
    from mcpguard.authoring.asking.question import Filters

    given = {name: getattr(args, name) for name in FILTERS}
    return Filters(**{name: value for name, value in given.items() if value is not None})


@contextmanager
def opened(path: Path, args: argparse.Namespace) -> Iterator[AuditIndex]:
    """The index; a person at a terminal reads that it takes a while, and at the end what was not read. Raises
    AuditError."""
    from mcpguard.adapters.audit.index import DAMAGED, AuditIndex, is_there

    if sys.stderr.isatty() and (args.rebuild or not is_there(path)) and any(path.glob("*.jsonl*")):
        print(style("reading the chains into an index, once ...", "dim", sys.stderr), file=sys.stderr)
    try:
        with closing(AuditIndex(path, args.rebuild)) as index:
            yield index
            _note_files(index, same_place(args))
    except DAMAGED:
        raise AuditError("the index of calls is damaged: run the command again with --rebuild") from None


def warn_unknown(index: AuditIndex, question: CallQuestion) -> None:
    """Say it on standard error where a filter or the condition names what is nowhere on record."""
    for sentence in question.unknown(list(index.facts().values())):
        to_stderr(f"note: {plain(sentence)}")


def _note_files(index: AuditIndex, place: str) -> None:
    """Say on standard error which chains were not read, and why, and which are in doubt; `place` is
    `same_place`."""
    for names in index.rivals.values():
        warn_rivals(names, place)
    for name, whole in index.copies.items():
        to_stderr(f"note: {plain(name)} is a copy of {plain(whole)}, whose calls are counted once")
    for name in index.removed:
        said = f"{plain(name)} was removed while it was read, so some of its calls may be missing here"
        to_stderr(f"note: {said}")


def same_place(args: argparse.Namespace) -> str:
    """What a command that is suggested needs after it to read the same evidence."""
    return same_config(args.config) if args.path is None else f" {quote(str(args.path))}"


def query(path: Path, args: argparse.Namespace) -> int:
    """Print the calls that match, the oldest first; after Ctrl-C those that were found until then. Raises
    AuditError."""
    from mcpguard.authoring.asking.matching import found, only_counted_of
    from mcpguard.authoring.asking.question import CallQuestion

    question = CallQuestion(args.condition, filters_of(args))
    with opened(path, args) as index:
        calls: list[FoundCall] = []
        interrupted = False
        try:
            calls += islice(found(index, question, _looking), args.n)
        except KeyboardInterrupt:
            if args.json:
                raise
            interrupted = True
            to_stderr("note: interrupted: older calls were not looked at")
        calls.reverse()
        folded = only_counted_of(index, question)
        if not calls and not interrupted:
            question.check()
            warn_unknown(index, question)
    if question.failed:
        said = f"the condition could not be evaluated for {question.failed} of the calls that were looked at"
        to_stderr(f"note: {said}, so they count as not matching")
    if args.json:
        _print_json(calls, folded)
    else:
        _print_rows(calls, same_place(args))
        if folded:
            print(only_counted(folded))
    code = trust(index.altered, same_place(args))
    return 130 if interrupted else code


def _looking(looked: int, left: int) -> None:
    """Say at once that it takes a while; at a terminal, the next line of standard error overwrites how far
    it is."""
    from mcpguard.authoring.asking.matching import MANY, WHOLE

    if looked == WHOLE:
        said = f"{left:,} calls{' or more' * (left == MANY)}"
        to_stderr(
            f"note: no index narrows this condition, so up to {said} are looked at one by one; "
            "--since, --server, --tool and --session narrow it, and Ctrl-C prints what was found until then"
        )
    elif sys.stderr.isatty():
        said = f"looked at {looked:,} calls so far ...\r"
        print(style(said, "dim", sys.stderr), end="", file=sys.stderr, flush=True)


def matching_lines(path: Path, args: argparse.Namespace, having: bytes) -> tuple[list[bytes], Iterable[str]]:
    """The last `args.n` records of calls that the filters match, as lines that have `having` in them, and the
    chains that were altered."""
    from mcpguard.authoring.asking.matching import found
    from mcpguard.authoring.asking.question import CallQuestion

    question = CallQuestion("", filters_of(args))
    lines: list[bytes] = []
    with opened(path, args) as index:
        for call in found(index, question):
            lines[:0] = [line for line in call.raw if having in line]
            if len(lines) >= args.n:
                break
        if not lines:
            warn_unknown(index, question)
    return lines[-args.n :], index.altered


def _print_rows(calls: list[FoundCall], place: str) -> None:
    columns, years = width(), {call.decision.at.year for call in calls}
    for call in calls:
        print(call_line(call.decision, call.outcome, columns, 0 if len(years) > 1 else 5))
    if calls:
        last_id = plain(calls[-1].decision.id)
        print(style(f"everything recorded about one of them: `mcpguard audit show {last_id}{place}`", "dim"))
    else:
        print("no call on record matches")


def _print_json(calls: list[FoundCall], folded: int) -> None:
    from mcpguard.authoring.asking.matching import printable
    from mcpguard.cli.audit.outputs import QueriedCalls

    made = QueriedCalls.model_validate({"calls": [printable(call) for call in calls], "folded": folded})
    print(made.model_dump_json())
