"""`mcpguard doctor`: what on this machine bypasses mcpguard, or weakens it, each with its fix."""

import argparse
from pathlib import Path

from mcpguard.authoring.findings import SEVERITIES
from mcpguard.cli.parser import add_config
from mcpguard.doctor.codes import DOCTOR_CODES

EXAMPLES = (
    "mcpguard doctor",
    "mcpguard doctor --config mcpguard.yaml --json",
    "mcpguard doctor --ignore D401 --fail-on error",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add_config(parser, ", else the one that a client starts mcpguard with")
    parser.add_argument(
        "--project",
        metavar="FOLDER",
        type=Path,
        help="the project folder to check as well (default: the current folder)",
    )
    parser.add_argument(
        "--fail-on",
        choices=SEVERITIES,
        default="warning",
        help="exit with 1 for findings of this severity or worse (default: warning)",
    )
    parser.add_argument(
        "--ignore",
        metavar="CODE",
        choices=DOCTOR_CODES,
        action="append",
        default=[],
        help="leave out findings with this code (may be repeated)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(args: argparse.Namespace) -> int:
    """0 where nothing was found, 1 where something was, 2 where nothing was and something could not be
    checked. Raises ConfigError where a configuration was named that is missing."""
    from mcpguard.authoring.rendering import as_paragraphs
    from mcpguard.cli.outputs import DoctorReport
    from mcpguard.doctor.diagnosis import diagnose
    from mcpguard.doctor.surroundings import here

    report = diagnose(here(args.project or Path.cwd()), args.config, args.ignore, args.fail_on)
    print(DoctorReport.model_validate(report).model_dump_json() if args.json else as_paragraphs(report))
    if not report.ok:
        return 1
    return 2 if report.unchecked else 0
