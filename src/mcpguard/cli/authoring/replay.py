"""`mcpguard replay`: decide recorded calls again, under other policies, and show what would change."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from mcpguard.adapters.system.terminal import broken, counted, plain, style, table
from mcpguard.authoring.replay.past import past
from mcpguard.cli.parser import add_config, add_since, add_snapshot, configured_if_any, same_config, to_stderr
from mcpguard.config.loading import Config, evidence_folder
from mcpguard.config.policies import PolicyFile, builtin_read_only, load_policies
from mcpguard.core.errors import AuditError, PolicyError
from mcpguard.core.evidence.bounds import only_counted

if TYPE_CHECKING:
    from mcpguard.authoring.replay.report import ReplayReport
    from mcpguard.core.policy.compiled import PolicySet

EXAMPLES = (
    "mcpguard replay --policy policies/git.yaml --since 7d",
    "mcpguard replay --config new/mcpguard.yaml --audit ~/audit --strict",
    "mcpguard replay                                     (the policies as they are now)",
)

_EVIDENCE = re.compile(r"\.jsonl(\.gz)?$")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "--policy",
        metavar="FILE",
        type=Path,
        nargs="+",
        default=[],
        help="the policies, all of them (default: those of the configuration)",
    )
    add_since(parser, None)
    parser.add_argument("--server", metavar="NAME", help="decisions about this server only")
    add_snapshot(parser)
    parser.add_argument(
        "--audit", metavar="PATH", type=Path, help="the evidence (default: that of the configuration)"
    )
    parser.add_argument(
        "--strict", action="store_true", help="also exit with 1 if something cannot be determined"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_config(parser)


def execute(args: argparse.Namespace) -> int:
    """0; 1 where something is not at least as strict as it was, or a chain was altered, with `--strict` where
    something cannot be determined. Raises AuditError where `--policy` names evidence."""
    from mcpguard.authoring.explain.hypothesis import snapshot_of
    from mcpguard.authoring.replay.replaying import Replay

    evidence = next((file for file in args.policy if file.is_dir() or _EVIDENCE.search(file.name)), None)
    if evidence is not None:
        raise AuditError(
            f"{evidence} is not a policy: evidence is named with `--audit {quote(str(evidence))}`"
        )
    config = None if args.policy and args.audit and not args.config else configured_if_any(args.config)
    if config is None and not args.policy:
        said = "there is no configuration, so recorded calls are replayed under the policy of `mcpguard wrap`"
        print(broken(f"note: {said}", sys.stderr), file=sys.stderr)
    policies, before = _policies(args.policy, config)
    folder: Path = args.audit or evidence_folder(config)
    replay = Replay(policies, before, snapshot_of(args), args.since, _observed(config))
    report = replay.take(past(folder, args.since, args.server, outcomes=replay.reviewing, aside=replay.aside))
    if args.json:
        print(report.model_dump_json())
    else:
        _print(report)
    place = f" {quote(str(args.audit))}" if args.audit else same_config(args.config)
    for name in report.altered:
        to_stderr(
            f"{plain(name)} was altered, or written by a newer mcpguard, so it is not replayed; `mcpguard "
            f"audit verify{place}` says which"
        )
    failed = bool(report.loosens or report.altered)
    if report.unsaid and not (failed or args.strict):
        unknown = counted(report.unsaid, "decision")
        to_stderr(f"{unknown} may be less strict than before; `--strict` makes that exit code 1")
    return 1 if failed or (args.strict and report.unsaid) else 0


def _policies(files: list[Path], config: Config | None) -> tuple[PolicySet, list[PolicySet]]:
    """Those to replay under, and others that may have been in force. Raises PolicyError."""
    from mcpguard.core.redaction.detectors import OPT_IN

    given = load_policies([PolicyFile(file) for file in files], OPT_IN) if files else None
    try:
        present = builtin_read_only() if config is None else load_policies(config.policies, OPT_IN)
    except PolicyError:
        if given is None:
            raise
        return given, []  # The present ones only help to say more.
    return (present, []) if given is None else (given, [present])


def _observed(config: Config | None) -> frozenset[str]:
    """The servers for which policies are only observed, now or in time to come."""
    from datetime import UTC, datetime

    if config is None or config.observe is None or config.observe.at(datetime.now(UTC)) == "over":
        return frozenset()
    return config.observe.servers


def _print(report: ReplayReport) -> None:
    from mcpguard.authoring.replay.report import summary, tables, unsaid

    colours = {"L": "red", "A": "red", "C": "yellow"}
    for title, rows in tables(report):
        print(style(title, colours.get(title[0], "bold")))
        print(table(rows))
        print()
    for why, rows in unsaid(report):
        print(broken(f"{style('CANNOT BE DETERMINED', 'yellow')}: {plain(why)}"))
        print(table(rows))
        print()
    for note in report.notes:
        print(broken(f"note: {plain(note)}"))
    print(broken(style(summary(report), "red" if report.loosens else "bold")))
    if report.folded:
        print(only_counted(report.folded))
