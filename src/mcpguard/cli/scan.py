"""`mcpguard scan`: secrets in files, folders, the input and the history of git."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mcpguard.adapters.system.files import write_whole
from mcpguard.adapters.system.terminal import plain
from mcpguard.cli.parser import add_config, completed_for, configured, to_stderr
from mcpguard.config.user_state import state_folder
from mcpguard.scan.files import files
from mcpguard.scan.history import history, staged
from mcpguard.scan.sources import STDIN, ScanError, ScanSource, Skipped

if TYPE_CHECKING:
    from mcpguard.core.redaction.redactor import Redactor
    from mcpguard.scan.leaks import FileExceptions
    from mcpguard.scan.run import Scan, SourcedLeak

EXAMPLES = (
    "mcpguard scan                                       (the current folder, without what git ignores)",
    "mcpguard scan src notes.txt --held",
    "kubectl logs deploy/api | mcpguard scan --stdin",
    "mcpguard scan --git                                 (all that was ever committed)",
    "mcpguard scan --git main..HEAD --format sarif",
    "mcpguard scan --staged                              (before a commit)",
    "mcpguard scan --write-exceptions scan-exceptions.yaml",
)

_HISTORY = "--all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        type=Path,
        help="files and folders, or the repository (default: the current folder)",
    )
    _add_what(parser)
    _add_which(parser)
    add_config(parser)
    exceptions = parser.add_mutually_exclusive_group()
    exceptions.add_argument(
        "--exceptions",
        metavar="FILE",
        type=Path,
        help="a file that lists accepted secrets, each with a reason",
    )
    exceptions.add_argument(
        "--write-exceptions",
        metavar="FILE",
        type=Path,
        help="write a new exceptions file that covers all findings",
    )
    parser.add_argument(
        "--format", choices=("text", "json", "sarif"), default="text", help="how to print it (default: text)"
    )
    parser.add_argument(
        "--json", action="store_const", dest="format", const="json", help="the same as `--format json`"
    )


def _add_what(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--stdin", action="store_true", help="scan standard input instead")
    what.add_argument(
        "--git",
        nargs="?",
        const=_HISTORY,
        metavar="RANGE",
        help="scan what the commits in RANGE added, such as main..HEAD (default: all commits)",
    )
    what.add_argument("--staged", action="store_true", help="scan staged changes instead")
    parser.add_argument("--no-ignore", action="store_true", help="also scan files that git ignores")


def _add_which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kinds",
        metavar="KIND[,KIND]",
        help="find only these, such as jwt, held, secret, personal or high-entropy (default: secret)",
    )
    parser.add_argument(
        "--entropy",
        action="store_true",
        help="also report strings that look random, as notes that do not change the exit code",
    )
    parser.add_argument(
        "--held",
        action="store_true",
        help="also find the credentials of the configuration, in any encoding: this resolves them",
    )


def execute(args: argparse.Namespace) -> int:
    """0 where nothing was found, 1 where something was, 2 where nothing was and something could not be read.
    Raises ScanError, and DocumentError for a file of exceptions that cannot be used."""
    from mcpguard.core.redaction.redactor import Redactor
    from mcpguard.scan.leaks import FileExceptions
    from mcpguard.scan.run import Scan

    kinds = _kinds(args)
    excepted = None if args.exceptions is None else FileExceptions(args.exceptions)
    if args.write_exceptions is not None and os.path.lexists(args.write_exceptions):
        raise ScanError(f"{plain(str(args.write_exceptions))} exists: write to another file, and merge them")
    redactor = Redactor(os.urandom(32))
    unresolved = _held(args.config, redactor) if args.held else 0
    progress = _Progress(sys.stderr)
    scan = Scan(redactor, kinds, excepted, progress.tick)
    found = list(_printed(scan.run(_sources(args)), args.format, progress))
    progress.clear()
    _report(args, scan, found)
    _print_notes(scan, excepted)
    if args.write_exceptions is not None:
        _write(args.write_exceptions, found)
        return 0
    if scan.found:
        return 1
    return 2 if scan.skipped or unresolved else 0


def _kinds(args: argparse.Namespace) -> frozenset[str]:
    from mcpguard.core.redaction.detectors import GROUPS, HELD
    from mcpguard.scan.leaks import ENTROPY
    from mcpguard.scan.run import DEFAULT, KINDS

    named = [] if args.kinds is None else [name.strip() for name in args.kinds.split(",")]
    args.held |= HELD in named
    for name in named:
        if name not in KINDS and name not in GROUPS:
            raise ScanError(
                f"no kind is called {plain(name)!r}: `mcpguard help reference/detectors` lists them"
            )
    wanted = frozenset[str]().union(*(GROUPS.get(name, {name}) for name in named)) or DEFAULT
    return wanted | {ENTROPY} if args.entropy else wanted


def _sources(args: argparse.Namespace) -> Iterable[ScanSource | Skipped]:
    if args.git == "":
        raise ScanError(
            "the range of `--git` is empty: write one such as main..HEAD, or leave it out for all"
        )
    if args.stdin:
        if args.paths:
            raise ScanError("with `--stdin` no PATH is read: leave one of them out")
        return [ScanSource(STDIN, STDIN, lambda: nullcontext(sys.stdin.buffer))]
    if not (args.git or args.staged):
        # What an import seals for `mcpguard undo` has marks of secrets, which look like some.
        return files(args.paths or [Path()], args.no_ignore, state_folder("moves"))
    if len(args.paths) > 1:
        raise ScanError("name one repository at most: its history is scanned as a whole")
    folder = args.paths[0] if args.paths else Path()
    if not folder.is_dir():
        raise ScanError(f"{plain(str(folder))}: there is no such folder")
    return staged(folder) if args.staged else history(folder, args.git)


def _held(config: str | None, redactor: Redactor) -> int:
    """Have the values of the configuration held; how many there are that could not be resolved."""
    from mcpguard.cli.secret_check import check

    failed = [one for one in check(configured(config), completed_for(config), redactor) if not one.ok]
    for one in failed:
        to_stderr(f"not looked for: {plain(one.reference)}: {plain(one.said)}")
    return len(failed)


def _printed(found: Iterator[SourcedLeak], form: str, progress: _Progress) -> Iterator[SourcedLeak]:
    """What is found; as text it is printed as soon as it is."""
    from mcpguard.scan.run import as_line

    for one in found:
        if form == "text" and not one.excepted:
            progress.clear()
            print(as_line(one), flush=True)
        yield one


def _report(args: argparse.Namespace, scan: Scan, found: list[SourcedLeak]) -> None:
    from mcpguard.scan.run import as_sarif, totals

    if args.format == "sarif":
        print(as_sarif(scan, found))
    elif args.format == "json":
        print(_as_json(scan, found))
    else:
        print(totals(scan, found, _what(args)))


def _what(args: argparse.Namespace) -> tuple[str, str]:
    """What one source is called, and several."""
    if args.git:
        return "object of git", "objects of git"
    one = "version" if args.staged else "input" if args.stdin else "file"
    return one, f"{one}s"


def _as_json(scan: Scan, found: list[SourcedLeak]) -> str:
    from msgspec import structs

    from mcpguard.cli.outputs import ScanFinding, ScanReport, ScanUnread

    findings = []
    for one in found:
        fields = structs.asdict(one.leak)
        del fields["mark"]
        place = {"path": one.source.path, "commit": one.source.commit}
        findings.append(ScanFinding(level=one.level, excepted=one.excepted, **place, **fields))
    return ScanReport(
        ok=not scan.found,
        findings=tuple(findings),
        unread=tuple(ScanUnread(path=one.path, why=one.why) for one in scan.skipped),
        sources=scan.sources,
        bytes=scan.bytes,
    ).model_dump_json()


def _print_notes(scan: Scan, excepted: FileExceptions | None) -> None:
    """What a person has to know besides, on standard error."""
    for one in scan.skipped:
        to_stderr(f"{plain(one.path)}: {plain(one.why)}")
    for said in excepted.unused() if excepted else ():
        to_stderr(f"this exception no longer covers anything: {plain(said)}")


def _write(path: Path, found: list[SourcedLeak]) -> None:
    from mcpguard.scan.leaks import as_exceptions

    folder = Path(os.path.abspath(path)).parent
    leaks = [(one.source.file, one.leak) for one in found if one.counts]
    text = as_exceptions(leaks, folder, datetime.now(UTC).date())
    try:
        write_whole(path, text.encode(), 0o644)
    except OSError as error:
        raise ScanError(f"{plain(str(path))} cannot be written: {error.strerror}") from None
    to_stderr(f"wrote {plain(str(path))}: judge each exception, and give its reason")


class _Progress:
    """A line on standard error for whoever waits: on a terminal it is written over, else one a minute."""

    _AFTER, _EVERY, _RARELY = 1.0, 0.2, 60.0

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._person = stream.isatty()
        self._shown = False
        self._next = time.monotonic() + (self._AFTER if self._person else self._RARELY)

    def tick(self, scan: Scan) -> None:
        from mcpguard.scan.run import size

        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (self._EVERY if self._person else self._RARELY)
        text = f"mcpguard: {scan.sources:,} read ({size(scan.bytes)}), {scan.found:,} found"
        self._stream.write(f"\r{text}\x1b[K" if self._person else f"{text}\n")
        self._stream.flush()
        self._shown = self._person

    def clear(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False
