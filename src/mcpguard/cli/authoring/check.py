"""`mcpguard check`: everything that is wrong with a configuration, reported before a client finds out."""

import argparse
import os
from pathlib import Path

from mcpguard.authoring.findings import Severity, as_lines, as_sarif
from mcpguard.cli.parser import add_config
from mcpguard.config.loading import find_config
from mcpguard.core.errors import McpGuardError
from mcpguard.core.uncollected import uncollected

EXAMPLES = (
    "mcpguard check",
    "mcpguard check --config mcpguard.yaml --json",
    "mcpguard check --files-only --snapshot snapshot.json --strict --sarif",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add_config(parser)
    offers = parser.add_mutually_exclusive_group()
    offers.add_argument(
        "--snapshot",
        metavar="FILE",
        help="compare rules with the tools and schemas in this file, made by `mcpguard snapshot`",
    )
    offers.add_argument(
        "--live", action="store_true", help="compare rules with what the servers offer now; this starts them"
    )
    parser.add_argument(
        "--files-only",
        action="store_true",
        help="check the files only, and skip what depends on this machine, such as credential values, "
        "programs and folders: for review and CI",
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings as well")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--sarif", action="store_true", help="print SARIF 2.1.0, for code review")


def execute(args: argparse.Namespace) -> int:
    """0 where `mcpguard run` would serve everything (warnings allowed), 1 where it would not; with
    `--files-only` as far as the files say. Raises DocumentError where the file of `--snapshot` is not one,
    and McpGuardError for options that exclude each other."""
    from mcpguard.authoring.check.configuration import checked
    from mcpguard.doctor.plain_text import places_in

    if args.live and args.files_only:
        raise McpGuardError(
            "`--live` starts the servers on this machine, which `--files-only` leaves out: use `--snapshot`"
        )
    snapshot = None if args.snapshot is None else Path(args.snapshot)
    path = find_config(args.config, os.environ)
    with uncollected():  # Nearly all that is made stays until the end, which is soon.
        fail_on: Severity = "warning" if args.strict else "error"
        report = checked(path, snapshot, fail_on, places_in, live=args.live, files_only=args.files_only)
    if args.json:
        from mcpguard.cli.outputs import CheckReport

        print(CheckReport.model_validate(report).model_dump_json())
    else:
        print(as_sarif(report) if args.sarif else as_lines(report.findings))
    return 0 if report.ok else 1
