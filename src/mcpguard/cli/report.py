"""`mcpguard report`: the access review, as a page, as JSON, or in short.

Law of this file: whatever it prints or writes went through the inspection of everything that leaves.
"""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from mcpguard.adapters.audit.reader import NothingRecorded, chain_files
from mcpguard.adapters.system.files import write_whole
from mcpguard.adapters.system.terminal import counted, plain, style, table
from mcpguard.cli.parser import add_config, add_since, add_snapshot, configured_if_any, same_config, to_stderr
from mcpguard.config.loading import Config, evidence_folder
from mcpguard.config.policies import builtin_read_only, load_policies
from mcpguard.core.advised import completed_in
from mcpguard.core.errors import McpGuardError

if TYPE_CHECKING:
    from mcpguard.authoring.report.review import AccessReview

EXAMPLES = (
    "mcpguard report",
    "mcpguard report --since 90d --html review.html",
    "mcpguard report --snapshot snapshot.json --html review.html",
    "mcpguard report --json",
)


class ReportError(McpGuardError):
    """There is nothing to report about, or the page cannot be written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add_since(parser, "30d")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write the page to FILE")
    add_snapshot(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_config(parser)


def execute(args: argparse.Namespace) -> int:
    """0; 1 where evidence was altered or is missing. Raises ConfigError, PolicyError, AuditError and
    ReportError."""
    review = _reviewed(args)
    if args.html is not None:
        _write(args.html, review)
    if args.json:
        print(review.model_dump_json())
    elif args.html is None:
        _print(review, same_config(args.config))
    return 0 if review.evidence.intact else 1


def _reviewed(args: argparse.Namespace) -> AccessReview:
    import msgspec

    from mcpguard.authoring.explain.hypothesis import snapshot_of
    from mcpguard.authoring.report.assembly import Period, reviewed
    from mcpguard.authoring.report.review import AccessReview
    from mcpguard.core.redaction.redactor import OPT_IN, Redactor
    from mcpguard.doctor.diagnosis import diagnose
    from mcpguard.doctor.surroundings import here

    configured = configured_if_any(args.config)
    config = _without_configuration() if configured is None else configured
    policies = builtin_read_only() if configured is None else load_policies(config.policies, OPT_IN)
    policies = policies.observing(config.observe)
    now = datetime.now(UTC)
    if args.since > now:
        raise ReportError("--since is in the future: a review is about what has happened")
    machine = diagnose(here(Path.cwd()), None if configured is None else str(config.path))
    period = Period(args.since, now)
    found = reviewed(config, policies, snapshot_of(args), machine, period)
    # Names come from everywhere: a client calls itself what it likes.
    said = completed_in(found.model_dump(mode="json"), lambda: same_config(args.config))
    said = Redactor(os.urandom(32)).inspect(said).payload
    return AccessReview.model_validate(msgspec.json.decode(said))


def _without_configuration() -> Config:
    """What a review is of where only `mcpguard wrap` was used. Raises ReportError where it was not."""
    folder = evidence_folder(None)
    try:
        chain_files(folder)
    except NothingRecorded:
        raise ReportError(
            "a report needs a configuration, which does not exist yet, or records of `mcpguard wrap`: create "
            f"the configuration with `mcpguard import`. {folder} has no records"
        ) from None
    to_stderr(
        f"note: there is no configuration, so this is only about what is on record in {folder}, "
        "with the built-in policy of `mcpguard wrap`; `mcpguard import` creates one"
    )
    return Config(Path("no configuration"), {})


def _write(path: Path, review: AccessReview) -> None:
    from mcpguard.authoring.report.page import page

    try:
        write_whole(path, page(review).encode())
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error.strerror}") from None


def _print(review: AccessReview, option: str) -> None:
    from mcpguard.authoring.report.review import State, looks

    colours = {"bad": "red", "look": "yellow", "good": "green"}
    print(style(f"Access review, {review.since:%Y-%m-%d} to {review.made:%Y-%m-%d} (UTC)", "bold"))
    size = f"{counted(len(review.servers), 'server')}, {counted(len(review.principals), 'principal')}"
    print(f"{plain(review.config)}: {size}")
    print()
    for one in looks(review):
        said = {"bad": "act ", "look": "look", "good": "good"}[one.level]
        print(f"  {style(said, colours[one.level])}  {plain(one.text)}")
    print()
    rows: list[tuple[str, ...]] = [
        ("CONTROLS", "MET", "PARTLY", "NOT MET", "NOT APPLICABLE", "A PROXY CANNOT")
    ]
    for index, tier in enumerate(("Foundation", "Enterprise", "Advanced")):
        states = [one.tiers[index].state for one in review.posture]
        rows.append((tier, *(str(states.count(state)) for state in get_args(State))))
    print(table(rows))
    print()
    print(f"the whole review: `mcpguard report --html FILE{option}`, or --json")
