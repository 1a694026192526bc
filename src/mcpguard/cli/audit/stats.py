"""`mcpguard audit stats`: counts, durations and bytes of calls by server, tool, principal and the like."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mcpguard.adapters.system.terminal import plain, style
from mcpguard.cli.audit import query
from mcpguard.cli.audit.rows import amount, duration, fitted, sparkline, trust, width
from mcpguard.core.evidence.bounds import only_counted

if TYPE_CHECKING:
    from mcpguard.authoring.asking.figures import AuditFigures

BY = ("server", "tool", "principal", "actor", "rule", "cause", "client", "observed")
_FIXED = (("CALLS", 6), ("DENIED", 7), ("WITHHELD", 9), ("OBSERVED", 8), ("P50", 8), ("P95", 8), ("BYTES", 6))


def add_stats(parser: argparse.ArgumentParser) -> None:
    """The arguments of `stats`."""
    parser.add_argument("--by", choices=BY, default="server", help="what to count by (default: server)")
    parser.add_argument(
        "-n",
        type=query.positive,
        default=20,
        metavar="N",
        help="the N entries with the most calls (default: 20)",
    )
    query.add_filters(parser)


def stats(path: Path, args: argparse.Namespace) -> int:
    """Print the figures, most calls first. Raises AuditError."""
    from mcpguard.authoring.asking.figures import PARTS, figures_by
    from mcpguard.authoring.asking.matching import only_counted_of
    from mcpguard.authoring.asking.question import CallQuestion

    question = CallQuestion("", query.filters_of(args))
    with query.opened(path, args) as index:
        found = figures_by(index, question, args.by)
        folded = only_counted_of(index, question)
        if not found:
            query.warn_unknown(index, question)
    if args.json:
        from mcpguard.cli.audit.outputs import AuditStatistics

        made = {"by": args.by, "rows": found[: args.n], "folded": folded}
        print(AuditStatistics.model_validate(made).model_dump_json())
        return trust(index.altered, query.same_place(args))
    for line in _lines(found[: args.n], args.by, PARTS) if found else ():
        print(line.rstrip())
    if not found:
        print("no call on record matches")
    elif len(found) > args.n:
        print(style(f"{len(found) - args.n} more: -n {len(found)}", "dim"))
    if folded:
        print(only_counted(folded))
    return trust(index.altered, query.same_place(args))


def _lines(found: list[AuditFigures], by: str, parts: int) -> list[str]:
    fixed = [one for one in _FIXED if one[0] != "OBSERVED" or any(figures.observed for figures in found)]
    room = max(12, width() - sum(wide + 1 for _, wide in fixed))
    wide = max(12, *(len(plain(one.name)) for one in found))
    # Two names that are cut alike say less than a row without its bars.
    bars = min(parts, room - wide - 1) if wide + 10 <= room else 0
    wide = min(wide, room)
    over_time = "OVER TIME" if bars else ""
    head = " ".join([by.upper().ljust(wide), *(name.rjust(size) for name, size in fixed), over_time])
    return [style(head.rstrip(), "bold"), *(_line(one, fixed, wide, bars, parts) for one in found)]


def _line(one: AuditFigures, fixed: list[tuple[str, int]], wide: int, bars: int, parts: int) -> str:
    cells = {
        "CALLS": amount(one.calls),
        "DENIED": amount(one.denied) if one.denied else "",
        "WITHHELD": amount(one.withheld) if one.withheld else "",
        "OBSERVED": amount(one.observed) if one.observed else "",
        "P50": "" if one.p50 is None else duration(one.p50),
        "P95": "" if one.p95 is None else duration(one.p95),
        "BYTES": amount(one.bytes),
    }
    right = [cells[name].rjust(size) for name, size in fixed]
    counts: dict[int, int] = {}
    for part, count in enumerate(one.over_time):
        counts[part * bars // parts] = counts.get(part * bars // parts, 0) + count
    over_time = style(sparkline(counts, bars), "cyan") if bars else ""
    return " ".join([fitted(one.name, wide), *right, over_time])
