"""`mcpguard audit export`: evidence in the format of another tool, once or for as long as it grows."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from mcpguard.adapters.audit.reader import chain_files
from mcpguard.adapters.system.terminal import plain
from mcpguard.cli.audit.query import same_place
from mcpguard.cli.audit.rows import warn
from mcpguard.cli.parser import WHEN, moment, to_stderr
from mcpguard.config.terms import SinkFormat
from mcpguard.core.errors import TelemetryError

if TYPE_CHECKING:
    from mcpguard.adapters.audit.following import FollowedLine
    from mcpguard.adapters.telemetry.exporting import Exporter


_REMOVED = (
    "were removed before they were all exported with this cursor: export more often than "
    "`audit.keep_days` and `audit.keep_bytes` remove them"
)


def add_export(parser: argparse.ArgumentParser) -> None:
    """The options of `audit export`."""
    parser.add_argument(
        "--format",
        choices=get_args(SinkFormat),
        default="jsonl",
        help="the format (default: jsonl, records as they are)",
    )
    parser.add_argument(
        "--to",
        metavar="FILE|URL",
        default="-",
        help="a file to append to, or a URL: https://, http://, syslog+tcp://HOST:PORT, "
        "syslog+udp://HOST:PORT or syslog+unix:///dev/log (default: standard output)",
    )
    parser.add_argument(
        "--since",
        type=moment,
        metavar="TIME",
        help=f"leave out calls that ended before {WHEN}",
    )
    parser.add_argument("--follow", action="store_true", help="keep exporting new records")
    parser.add_argument(
        "--cursor",
        type=Path,
        metavar="FILE",
        help="save the position in FILE, and continue from there the next time",
    )


def export(path: Path, args: argparse.Namespace) -> int:
    """0; 1 where a line was altered, or removed before it was exported. Raises TelemetryError where the
    destination takes nothing, unless it follows."""
    from mcpguard.adapters.audit.checking import CheckedFollowing
    from mcpguard.adapters.system.own_process import machine_name
    from mcpguard.adapters.telemetry.exporting import Exporter, sink_of
    from mcpguard.config.evidence import taken_for_chain

    host = machine_name()
    alone = path.is_file()
    if "://" not in args.to and taken_for_chain(path.parent if alone else path, args.to):
        raise TelemetryError(f"{args.to} would be mistaken for a chain of this evidence: name another folder")
    if not args.follow or alone:
        chain_files(path)  # It raises if this is not a chain, or does not exist.
    warned = partial(warn, place=same_place(args))
    source = CheckedFollowing(path, args.cursor, from_start=True, alone=alone, warn=warned)
    sink = sink_of(args.to, args.format, host)
    said: list[tuple[str, str]] = []
    report = _print_problem if args.follow else lambda line, level: said.append((line, level))
    exporter = Exporter(args.to, args.format, source, sink, host, report, since=args.since)
    if args.follow:
        exporter.run()
    else:
        _once(exporter, said, flush=args.cursor is None)
    for name in source.removed:
        to_stderr(f"chains up to {plain(name)} {_REMOVED}")
    return 1 if source.check.altered or source.removed else 0


def _once(exporter: Exporter[FollowedLine], said: list[tuple[str, str]], *, flush: bool) -> None:
    try:
        while exporter.step():
            pass
        # Where it failed, the last line says so, and the error says it again.
        for line, level in said[:-1] if exporter.state.since else said:
            _print_problem(line, level)
        if exporter.state.standby:
            raise TelemetryError("another process exports with this cursor")
        if exporter.state.since:
            raise TelemetryError(exporter.state.problem)
        if flush:
            exporter.flush()
    finally:
        exporter.close()


def _print_problem(line: str, _level: str) -> None:
    to_stderr(plain(line))
