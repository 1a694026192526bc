"""`mcpguard audit show`: the last records in readable form; with an ID, one call's whole story in plain
words, and whether its chain can be believed.

Law of this file: each line is checked by its own hash, which proves less than `mcpguard audit verify`.
"""

from __future__ import annotations

from argparse import Namespace
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from textwrap import wrap
from typing import Any

from msgspec import to_builtins
from msgspec.json import Decoder

from mcpguard.adapters.audit.calls import CallRecords, ChainLine, calls_by_id, counted_in
from mcpguard.adapters.audit.checking import LineCheck, last_of_all
from mcpguard.adapters.audit.reader import chain_files, examined, file_name, sound_lines
from mcpguard.adapters.system.terminal import counted, plain, style, table
from mcpguard.authoring.asking.story import headline, places_of, story_of
from mcpguard.cli.audit.query import FILTERS, matching_lines, same_place
from mcpguard.cli.audit.rows import trust, warn_rivals, width
from mcpguard.config.loading import evidence_folder
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import decoded
from mcpguard.core.evidence.records import DENIED_IN_SHADOW, Decided
from mcpguard.core.evidence.verification import ChainReport
from mcpguard.core.legible import utc

_WIDEST, _TOPIC = 110, 13


def tell(path: Path, args: Namespace) -> int:
    """Print the story of the call `args.id`; 1 where a chain that it stands in was altered. Raises
    AuditError."""
    call_id = args.id
    call = calls_by_id(path, [call_id]).get(call_id)
    if call is None or call.decision is None:
        raise AuditError(_missing(path, call_id, same_place(args)))
    if several := call.several(call_id):
        raise AuditError(plain(several))
    decision = call.decision.record
    brought = decision.label_causes.values() if isinstance(decision, Decided) else ()
    causes = calls_by_id(path, set(brought)) if brought else {}
    reports = {file_name(file): examined(file) for file in {one.file: None for one in places_of(call)}}
    if args.json:
        _print_json(call, causes, reports)
    else:
        _print_text(call, causes, reports)
    if call.rivals:
        warn_rivals(call.rivals, same_place(args))
    return 1 if call.rivals or not all(report.intact for report in reports.values()) else 0


def _missing(path: Path, call_id: str, place: str) -> str:
    if counted := counted_in(path, call_id):
        return f"{plain(call_id)} {counted}"
    altered: dict[str, None] = {}
    for file in chain_files(path):
        deque(sound_lines(file, altered), 0)
    lost = f"; it may be in a file that cannot be read ({plain(next(iter(altered)))})" if altered else ""
    of_wrap = evidence_folder(None)
    if path.resolve() != of_wrap.resolve() and of_wrap.is_dir():
        lost += f"; what `mcpguard wrap` recorded is in {of_wrap}"
    lists = f"`mcpguard audit show{place}` lists the last records"
    return f"no call {plain(call_id)} in {path}{lost}: {lists}. Another configuration? `--config FILE`"


def _print_text(call: CallRecords, causes: dict[str, CallRecords], reports: dict[str, ChainReport]) -> None:
    room = width(_WIDEST) - _TOPIC
    print(style(plain(headline(call)), "bold"))
    for paragraph in story_of(call, causes, reports):
        first, *rest = wrap(plain(paragraph.text), room, break_on_hyphens=False, break_long_words=True)
        print(f"{style(paragraph.topic.ljust(_TOPIC), 'cyan')}{first}")
        for line in rest:
            print(f"{' ' * _TOPIC}{line}")


def _print_json(call: CallRecords, causes: dict[str, CallRecords], reports: dict[str, ChainReport]) -> None:
    from mcpguard.cli.audit.outputs import CallStory

    made = CallStory.model_validate(
        {
            "summary": headline(call),
            "story": story_of(call, causes, reports),
            "asked": _line(call.asked),
            "decision": _line(call.decision),
            "outcome": _line(call.outcome),
            "intact": {file: report.intact for file, report in reports.items()},
        }
    )
    print(made.model_dump_json())


def _line(line: ChainLine | None) -> dict[str, object] | None:
    if line is None:
        return None
    return {"file": file_name(line.file), "line": line.number, "record": to_builtins(line.record)}


def show(path: Path, args: Namespace) -> int:
    """Print records, or the story of a call; 1 where something was altered. Raises AuditError."""
    if args.id is not None:
        return tell(path, args)
    having = b'"observed":' if args.observed else b""
    if args.rebuild or any(getattr(args, name) for name in FILTERS):
        found, altered = matching_lines(path, args, having)
    else:
        found, altered = _last(path, args.n, having)
        if not args.json and len(found) == args.n > len(_folded(map(_row, found))):
            found, altered = _last(path, args.n * _ROOM, having)
    if not (found or args.json) and (args.observed or any(getattr(args, name) for name in FILTERS)):
        print("no record matches")
    _print(found, args)
    return trust(altered, same_place(args))


def _last(path: Path, most: int, having: bytes) -> tuple[list[bytes], Iterable[str]]:
    """The last lines, and the chains that were altered."""
    check = LineCheck()
    return last_of_all(chain_files(path), most, check, having), check.altered


def _print(last: Sequence[bytes], args: Namespace) -> None:
    if args.json:
        for line in last:
            print(line.decode(errors="replace").rstrip("\n"))
    elif last:
        rows = _folded(map(_row, last))[-args.n :]
        print(table(rows))
        refused = [row[_ID] for row in rows if row[1:3] == ("decision", "deny")]
        if refused:
            asked = f"{plain(refused[-1])}{same_place(args)}`"
            # `explain` reads the evidence of a configuration, and no other.
            why = "why, and by which line of which policy: `mcpguard explain"
            print(style(f"{why if args.path is None else 'why: `mcpguard audit show'} {asked}", "dim"))


_ROOM = 4
"""How many records are read for each line, where several fold into one: they are not to take the place of
others."""
_SAME = ("notice", "upstream-ended")
_NAMED = 5


def _folded(rows: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """With one row for servers that were ended one after the other, as all are when a client leaves."""
    folded: list[tuple[str, ...]] = []
    names: list[str] = []
    for row in rows:
        if folded and row[1:3] == folded[-1][1:3] == _SAME and row[_ID:] == folded[-1][_ID:]:
            names.append(row[_ID - 1])
            more = len(names) - _NAMED
            said = ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
            folded[-1] = (*folded[-1][: _ID - 1], said, *row[_ID:])
        else:
            names = [row[_ID - 1]]
            folded.append(row)
    return folded


_ID = 4
"""The column with the id of a call. What has any length is in the last one, which is not padded."""


def _row(line: bytes) -> tuple[str, ...]:
    record = decoded(Decoder(dict[str, Any]).decode, line)
    if record is None:
        return ("", "unreadable", "", "", "", "")

    def first(*names: str) -> str:
        found = next((record[name] for name in names if record.get(name)), "")
        return ", ".join(map(str, found)) if isinstance(found, (list, dict)) else str(found)

    where = "/".join(part for part in (first("server"), first("tool", "method")) if part)
    if chosen := first("credential"):
        where = f"{where} with {chosen}"
    asker = first("principal")
    if first("kind") == "decision" and not asker.startswith("os-user:"):
        # Over HTTP several come to one process; on stdio the first record says who it is.
        by = f"{actor} for {asker}" if (actor := first("actor")) else asker
        where = f"{where or first('method')} by {by}"
    return (
        _at(first("at")),
        first("kind"),
        first("effect", "status", "what", "reason", "version"),
        where or first("method", "principal"),
        first("id"),
        _observed(record)
        or first("rules", "cause")
        or _done(record)
        or _checkpoint(record)
        or first("error", "detail", "policies")
        .removeprefix(f"upstream '{record.get('server')}' ")
        # Digests of what was asked are for programs: `--json` has them.
        .partition(", sha256 of the arguments ")[0],
    )


def _at(text: str) -> str:
    """The time of a record; the text itself where it is none, as in a line that somebody altered."""
    try:
        return utc(datetime.fromisoformat(text))
    except ValueError:
        return text[:20]


def _checkpoint(record: dict[str, Any]) -> str:
    if record.get("kind") != "checkpoint":
        return ""
    said = [f"signed by {record['key']}"] if record.get("signature") and record.get("key") else []
    if isinstance(heads := record.get("heads"), list):
        said.append(f"holds the heads of {counted(len(heads), 'other chain')}")
    if until := record.get("removed_until"):
        count = record.get("removed")
        chains = counted(count, "old chain") if isinstance(count, int) else "old chains"
        said.append(f"{chains} removed, up to {until}")
    return "; ".join(said)


_DONE = {"findings": "removed", "unredacted": "left", "neutralised": "neutralised"}


def _done(record: dict[str, Any]) -> str:
    """What was done to a result, or to a notification."""
    done = {said: record[name] for name, said in _DONE.items() if record.get(name)}
    return "; ".join(f"{said} {', '.join(map(str, found))}" for said, found in done.items())


def _observed(record: dict[str, Any]) -> str:
    """What policies that are only observed, or in shadow mode, would have done."""
    verb = "refused" if record.get("kind") == "decision" else "withheld"
    would, shadow = record.get("observed"), str(record.get("shadow"))
    if not isinstance(would, dict):
        denied = DENIED_IN_SHADOW in shadow and record.get("effect") != "deny"
        return f"would be {verb}, if not in shadow mode ({shadow})" if denied else ""
    rules = would.get("rules")
    by = ", ".join(map(str, rules)) if isinstance(rules, list) else ""
    cause = "" if by and would.get("cause") == "rule" else str(would.get("cause"))
    return f"would be {verb} ({' '.join(filter(None, (cause, by)))})"
