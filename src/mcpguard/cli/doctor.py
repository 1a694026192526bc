"""`mcpguard doctor`: what on this machine goes around mcpguard, or weakens what it promises, each with its
fix.

Law of this file: nothing is changed or started, no value is printed, and a check that fails hides no other
one.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mcpguard.doctor.codes import AILMENTS, SEVERITIES
from mcpguard.doctor.finding import Finding, Seen, Unseen

if TYPE_CHECKING:
    from mcpguard.doctor.report import Report
    from mcpguard.doctor.surroundings import Subject, Surroundings

EXAMPLES = (
    "mcpguard doctor",
    "mcpguard doctor --config mcpguard.yaml --json",
    "mcpguard doctor --ignore D401 --fail-on error",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration (default: $MCPGUARD_CONFIG, else mcpguard.yaml in your configuration folder, "
        "else the one that a client starts mcpguard with)",
    )
    parser.add_argument(
        "--project",
        metavar="FOLDER",
        type=Path,
        help="the folder whose clients' files are looked at too (default: the current one)",
    )
    parser.add_argument(
        "--fail-on",
        choices=SEVERITIES,
        default="warning",
        help="exit code 1 for findings of this severity and worse (warning)",
    )
    parser.add_argument(
        "--ignore",
        metavar="CODE",
        choices=AILMENTS,
        action="append",
        default=[],
        help="leave a code out, for what is accepted (may be repeated)",
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def execute(args: argparse.Namespace) -> int:
    """0 where nothing was found, 1 where something was, 2 where nothing was and something could not be looked
    at. Raises ConfigError where a configuration was named that is not there."""
    from mcpguard.doctor.report import as_json, as_lines
    from mcpguard.doctor.surroundings import here

    report = diagnose(here(args.project or Path.cwd()), args)
    print(as_json(report) if args.json else as_lines(report))
    if not report.ok:
        return 1
    return 2 if report.unseen else 0


def diagnose(at: Surroundings, args: argparse.Namespace) -> Report:
    """All checks on the machine `at`."""
    from mcpguard.config.loading import find_config
    from mcpguard.core.redaction.redactor import Redactor
    from mcpguard.doctor.clients import configuration_in_use
    from mcpguard.doctor.report import Report, in_order, inspected
    from mcpguard.doctor.surroundings import examined

    redactor = Redactor(os.urandom(32))
    named = bool(args.config or at.environ.get("MCPGUARD_CONFIG"))
    path = find_config(args.config, at.environ)
    if not named and not os.path.lexists(path):
        path = configuration_in_use(at) or path
    subject = examined(at, path, redactor, named=named)
    seen = list(everything(subject, checks()))
    # Not before all checks are done: what one finds, another could quote.
    findings = in_order([inspected(one, redactor) for one in seen if isinstance(one, Finding)])
    unseen = dict.fromkeys(one for one in seen if isinstance(one, Unseen))
    clean = tuple(Unseen(redactor.inspect_text(one.what), redactor.inspect_text(one.why)) for one in unseen)
    told = tuple(one for one in findings if one.code not in args.ignore)
    bad = SEVERITIES[: SEVERITIES.index(args.fail_on) + 1]
    ok = all(one.ailment.severity not in bad for one in told)
    return Report(told, clean, len(findings) - len(told), ok)


Check = Callable[["Subject"], Iterable[Seen]]


def checks() -> dict[str, Check]:
    """What is looked at -> what looks. A check gives its findings, and what it could not look at."""
    from mcpguard.doctor import (
        clients,
        evidence,
        installation,
        isolation,
        keychain,
        lifetime,
        permissions,
        plain_text,
    )

    return {
        "the clients": clients.check,
        "profiles and files of variables": plain_text.check,
        "the rights on files": permissions.check,
        "the life of credentials and policies": lifetime.check,
        "the keychain": keychain.check,
        "the isolation of servers": isolation.check,
        "the evidence": evidence.check,
        "mcpguard itself": installation.check,
    }


def everything(subject: Subject, checks: dict[str, Check]) -> Iterator[Seen]:
    """What all of `checks` give; one that fails is one more thing that could not be looked at."""
    for what, check in checks.items():
        try:
            yield from check(subject)
        except Exception as defect:
            # Its message may quote a value.
            yield Unseen(what, f"the check failed ({type(defect).__name__}): please report it")
