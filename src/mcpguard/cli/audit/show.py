"""`mcpguard audit show`: the last records in readable form.

Law of this file: each line is checked by its own hash, which proves less than `mcpguard audit verify`.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from msgspec import DecodeError
from msgspec.json import Decoder

from mcpguard.adapters.audit.checking import LineCheck, last_of_all
from mcpguard.adapters.audit.reader import chain_files
from mcpguard.adapters.system.terminal import counted, plain, style, table
from mcpguard.cli.audit.query import FILTERS, matching_lines
from mcpguard.cli.audit.rows import trust


def show(path: Path, args: Namespace) -> int:
    """Print records, or the story of a call; 1 where something was altered. Raises AuditError."""
    if args.id is not None:
        from mcpguard.cli.audit.story import tell

        return tell(path, args.id, args.json)
    having = b'"observed":' if args.observed else b""
    if args.rebuild or any(getattr(args, name) for name in FILTERS):
        found, altered = matching_lines(path, args, having)
    else:
        found, altered = _last(path, args.n, having)
    if not (found or args.json) and (args.observed or any(getattr(args, name) for name in FILTERS)):
        print("no record matches")
    _print(found, args.json)
    return trust(altered)


def _last(path: Path, count: int, having: bytes) -> tuple[list[bytes], Iterable[str]]:
    """The last `count` lines that have `having` in them, and the chains with one that was altered."""
    check = LineCheck()
    return last_of_all(chain_files(path), count, check, having), check.altered


def _print(last: Sequence[bytes], as_json: bool) -> None:
    if as_json:
        for line in last:
            print(line.decode(errors="replace").rstrip("\n"))
    elif last:
        rows = [_row(line) for line in last]
        print(table(rows))
        refused = [row[_ID] for row in rows if row[1:3] == ("decision", "deny")]
        if refused:
            print(
                style(
                    f"why, and by which line of which policy: `mcpguard explain {plain(refused[-1])}`", "dim"
                )
            )


_ID = 4
"""The column with the id of a call. What has any length is in the last one, which is not padded."""


def _row(line: bytes) -> tuple[str, ...]:
    try:
        record: dict[str, Any] = Decoder(dict[str, Any]).decode(line)
    except (DecodeError, UnicodeDecodeError, RecursionError):
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
        where = f"{where or first('method')} by {asker}"
    return (
        first("at")[:19],
        first("kind"),
        first("effect", "status", "what", "reason", "version"),
        where or first("method", "principal"),
        first("id"),
        _observed(record)
        or first("rules", "cause")
        or _done(record)
        or _checkpoint(record)
        or first("error", "detail", "policies").removeprefix(f"upstream '{record.get('server')}' "),
    )


def _checkpoint(record: dict[str, Any]) -> str:
    if record.get("kind") != "checkpoint":
        return ""
    said = [f"signed by {record['key']}"] if record.get("signature") and record.get("key") else []
    if isinstance(heads := record.get("heads"), list):
        said.append(f"holds the heads of {counted(len(heads), 'other chain')}")
    if until := record.get("removed_until"):
        said.append(f"{_removed(record.get('removed'))} removed, up to {until}")
    return "; ".join(said)


def _removed(count: object) -> str:
    return counted(count, "old chain") if isinstance(count, int) else "old chains"


_DONE = {"findings": "removed", "unredacted": "left", "neutralised": "neutralised"}


def _done(record: dict[str, Any]) -> str:
    """What was done to a result, or to a notification."""
    done = {said: record[name] for name, said in _DONE.items() if record.get(name)}
    return "; ".join(f"{said} {', '.join(map(str, found))}" for said, found in done.items())


def _observed(record: dict[str, Any]) -> str:
    """What policies that are only observed would have done."""
    would = record.get("observed")
    if not isinstance(would, dict):
        return ""
    rules = would.get("rules")
    by = ", ".join(map(str, rules)) if isinstance(rules, list) else ""
    cause = "" if by and would.get("cause") == "rule" else str(would.get("cause"))
    verb = "refused" if record.get("kind") == "decision" else "withheld"
    return f"would be {verb} ({' '.join(filter(None, (cause, by)))})"
