"""`mcpguard audit tail`: the last calls, and with `-f` each further one as it ends, live.

Law of this file: a call that was denied is shown at once, an allowed one when its outcome is there, or as
running when that takes a while. Nothing is read from the index: what is shown was written just now.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate
from operator import itemgetter
from pathlib import Path

from msgspec import Struct

from mcpguard.adapters.audit.calls import read_record
from mcpguard.adapters.audit.checking import CheckedFollowing, LineCheck, written_until
from mcpguard.adapters.audit.following import FollowedLine, Following
from mcpguard.adapters.audit.reader import chain_files, chain_name, sound_lines
from mcpguard.adapters.system.terminal import plain
from mcpguard.cli.audit.query import positive, same_place
from mcpguard.cli.audit.rows import call_line, notice_line, trust, warn, width
from mcpguard.cli.parser import to_stderr
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.records import Decided, Noticed, Outcome

LOOK_SECONDS = 0.25
PATIENCE_SECONDS = 2.0
"""What runs longer is shown as running."""
_MOST_OPEN = 10_000
_AT_ONCE = 1_000


class _RunningCall(Struct):
    decision: Decided
    since: float
    shown: bool = False


class LineTail:
    """Turns lines of chains into lines for a person."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], _RunningCall] = {}
        """The first chain of a process and the id of a call: a planted chain ends no call of another."""
        self.at = datetime.min.replace(tzinfo=UTC)
        """When the last line was written, as it says."""

    def taken(self, line: bytes, now: float, origin: str = "") -> str | None:
        """What to print of a line that was read at `now`, in seconds on any clock; None for nothing. `origin`
        is the first chain of the process that wrote it."""
        record = read_record(line)
        self.at = self.at if record is None else record.at
        if isinstance(record, Noticed):
            return notice_line(record, width())
        if isinstance(record, Decided) and record.effect == "allow":
            self._open[origin, record.id] = _RunningCall(record, now)
            if len(self._open) > _MOST_OPEN:
                del self._open[next(iter(self._open))]
            return None
        if isinstance(record, Decided):
            return call_line(record, None, width())
        if isinstance(record, Outcome) and (call := self._open.pop((origin, record.id), None)) is not None:
            return call_line(call.decision, record, width())
        return None

    def slow(self, now: float, patience: float = PATIENCE_SECONDS) -> Iterator[str]:
        """A line for each call that has run for this long, once."""
        for call in self._open.values():
            if not call.shown and now - call.since >= patience:
                call.shown = True
                yield call_line(call.decision, None, width())


def add_tail(parser: argparse.ArgumentParser) -> None:
    """The arguments of `tail`."""
    parser.add_argument("-f", "--follow", action="store_true", help="keep printing new calls until Ctrl-C")
    parser.add_argument(
        "-n", type=positive, default=10, metavar="N", help="begin with the last N lines (default: 10)"
    )


def tail(path: Path, args: argparse.Namespace) -> int:
    """Print the last lines, and follow; 1 where a line was altered. Raises AuditError where there is nothing
    and nothing is followed."""
    warned = partial(warn, place=same_place(args))
    following = CheckedFollowing(path, own=False, alone=path.is_file(), warn=warned)
    check = LineCheck()
    try:
        begun = args.follow and _begin(following)
        for line in _last(path, args, check):
            print(line)
        trust(check.altered, same_place(args))
        if args.follow:
            _follow(following, begun, args.json)
    except KeyboardInterrupt:
        pass
    return 1 if check.altered or following.check.altered else 0


def _last(path: Path, args: argparse.Namespace, check: LineCheck) -> list[str]:
    try:
        files = chain_files(path)
    except AuditError as problem:
        if args.follow and not path.is_file():
            to_stderr(plain(str(problem)))
            return []
        raise
    found: list[tuple[datetime, str]] = []
    # Several processes may write at a time, and the one that began last is not the one that wrote last.
    for written, file in sorted(((written_until(one), one) for one in files), reverse=True):
        if len(found) >= args.n and written < found[-args.n][0].timestamp():
            break
        found = sorted([*found, *_of_file(file, args.json, check)], key=itemgetter(0))
    return [said for _, said in found[-args.n :]]


def _of_file(file: Path, as_json: bool, check: LineCheck) -> list[tuple[datetime, str]]:
    """What is printed of a chain, and when it was written."""
    seen = LineTail()
    found: list[tuple[datetime, str]] = []
    for line in _checked(file, check):
        said = seen.taken(line, 0.0)
        if as_json or said is not None:
            found.append((seen.at, _text(line) if as_json or said is None else said))
    found += () if as_json else ((seen.at, said) for said in seen.slow(0.0, 0.0))
    # What was written while the clock was ahead was written before it was set back.
    return list(accumulate(reversed(found), lambda after, one: (min(after[0], one[0]), one[1])))[::-1]


def _checked(file: Path, check: LineCheck) -> Iterator[bytes]:
    at = 0
    for line in sound_lines(file, check.altered):
        if line.endswith(b"\n"):
            check.take(chain_name(file), at, line)
        at += len(line)
        yield line


def _begin(following: Following) -> bool:
    """Whether it could; the folder comes with the first process."""
    try:
        return following.begin() is not None
    except AuditError:
        return False


def _follow(following: Following, begun: bool, as_json: bool) -> None:
    seen = LineTail()
    while True:
        begun = begun or _begin(following)
        for line in _new(following) if begun else ():
            origin = following.origin(line.file)
            said = _text(line.data) if as_json else seen.taken(line.data, time.monotonic(), origin)
            if said is not None:
                print(said)
        for said in () if as_json else seen.slow(time.monotonic()):
            print(said)
        sys.stdout.flush()
        time.sleep(LOOK_SECONDS)


def _new(following: Following) -> Iterator[FollowedLine]:
    while True:
        try:
            lines = following.read(_AT_ONCE)
        except AuditError:  # It is being removed, or was damaged, which `audit verify` says.
            return
        following.keep(lines, {})
        yield from lines
        if len(lines) < _AT_ONCE:
            return


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\n")
