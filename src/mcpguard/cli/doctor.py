"""`mcpguard doctor`: what on this machine bypasses mcpguard, or weakens it, each with its fix."""

import argparse
from datetime import UTC, date, datetime
from pathlib import Path

from mcpguard.adapters.system.terminal import plain
from mcpguard.authoring.findings import SEVERITIES, Report, as_paragraphs
from mcpguard.cli.parser import add_config
from mcpguard.doctor.codes import DOCTOR_CODES

EXAMPLES = (
    "mcpguard doctor",
    "mcpguard doctor --config mcpguard.yaml --json",
    "mcpguard doctor --ignore D401 --fail-on error",
    "mcpguard doctor --accept D102 --reason 'rotated in January' --until 2027-01-31",
    "mcpguard doctor --withdraw D102",
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
    _add_accepting(parser)


def _add_accepting(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("accept a finding that is known and stays, instead of checking")
    both = group.add_mutually_exclusive_group()
    both.add_argument("--accept", metavar="CODE", choices=DOCTOR_CODES, help="accept findings with this code")
    both.add_argument("--withdraw", metavar="CODE", choices=DOCTOR_CODES, help="withdraw an acceptance")
    group.add_argument(
        "--subject", default="", help="only this server or file, as `--json` prints it (default: all)"
    )
    group.add_argument("--reason", metavar="TEXT", help="why: needed for `--accept`")
    group.add_argument("--until", metavar="DATE", help="the last day, such as 2027-01-31: needed for errors")


def execute(args: argparse.Namespace) -> int:
    """0 where nothing is to do now, 1 where something is, 2 where nothing is and something could not be
    checked. Raises ConfigError where a configuration was named that is missing, and AcceptError."""
    from mcpguard.cli.outputs import DoctorReport
    from mcpguard.doctor.diagnosis import diagnose, withdraw_acceptance
    from mcpguard.doctor.surroundings import here

    at = here(args.project or Path.cwd())
    if args.withdraw:
        withdraw_acceptance(at.state, args.withdraw, args.subject)
        print(f"withdrawn: {args.withdraw} counts again")
        return 0
    report = diagnose(at, args.config, args.ignore, args.fail_on)
    if args.accept:
        return _accept(args, report, at.state)
    print(DoctorReport.model_validate(report).model_dump_json() if args.json else as_paragraphs(report))
    if not report.ok:
        return 1
    return 2 if report.unchecked else 0


def _accept(args: argparse.Namespace, report: Report, state: Path) -> int:
    from mcpguard.doctor.diagnosis import Acceptance, AcceptError, keep_acceptance

    if not args.reason:
        raise AcceptError("say why with `--reason TEXT`: it is shown whenever the finding is")
    today = datetime.now(UTC).date()
    until = _day(args.until, today)
    if until is None and DOCTOR_CODES[args.accept].severity == "error":
        raise AcceptError(f"{args.accept} is an error, which is accepted only `--until` a date")
    one = Acceptance(code=args.accept, reason=args.reason, since=today, subject=args.subject, until=until)
    covered = [each for each in report.findings if one.covers(each)]
    if not covered:
        raise AcceptError(f"nothing with {args.accept} and this subject is found, so nothing was accepted")
    keep_acceptance(state, one)
    for each in covered:
        print(f"accepted: {plain(each.where)}: {plain(each.message)}")
    return 0


def _day(text: str | None, today: date) -> date | None:
    from mcpguard.doctor.diagnosis import AcceptError

    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise AcceptError("write the date as in 2027-01-31") from None
    if day < today:
        raise AcceptError(f"{day} has passed: name a day that is still to come")
    return day
