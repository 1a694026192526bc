"""`mcpguard check`: everything that is wrong with a configuration, told before a client finds out.

Law of this file: without `--live` nothing is started, nothing is left behind and no value is printed; a
broken configuration file hides the rest, everything else is told together.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from mcpguard.authoring.check.remark import Remark, fine, problems, wrong
from mcpguard.core.errors import ConfigError, DocumentError

if TYPE_CHECKING:
    from mcpguard.authoring.snapshot import Snapshot
    from mcpguard.config.loading import Config
    from mcpguard.core.document.reading import Document
    from mcpguard.core.redaction.redactor import Redactor

EXAMPLES = (
    "mcpguard check",
    "mcpguard check --config mcpguard.yaml --json",
    "mcpguard check --snapshot snapshot.json --strict --sarif",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration (default: $MCPGUARD_CONFIG, else mcpguard.yaml in your configuration folder)",
    )
    offers = parser.add_mutually_exclusive_group()
    offers.add_argument(
        "--snapshot",
        metavar="FILE",
        help="what the servers offer, from `mcpguard snapshot`: compare rules with tools and their schemas",
    )
    offers.add_argument(
        "--live", action="store_true", help="the same, asking the servers now; this starts them"
    )
    parser.add_argument("--strict", action="store_true", help="exit code 1 for warnings too")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--sarif", action="store_true", help="for code review: SARIF 2.1.0")


def execute(args: argparse.Namespace) -> int:
    """0 where `mcpguard run` would serve everything (warnings allowed), 1 where it would not. Raises
    DocumentError where the file of `--snapshot` is none."""
    from mcpguard.authoring.check import report
    from mcpguard.config.loading import find_config
    from mcpguard.core.redaction.redactor import Redactor

    redactor = Redactor(os.urandom(32))
    snapshot = None if args.snapshot is None else _read(Path(args.snapshot))
    found = list(_remarks(find_config(args.config, os.environ), redactor, snapshot, args.live))
    # Authors put credentials in places where nobody looks for one, such as a command or a condition.
    remarks = [_inspected(one, redactor) for one in found]
    bad = ("error", "warning") if args.strict else ("error",)
    ok = all(remark.level not in bad for remark in remarks)
    if args.json:
        print(report.as_json(remarks, ok))
    else:
        print(report.as_sarif(remarks) if args.sarif else report.as_lines(remarks))
    return 0 if ok else 1


def _inspected(one: Remark, redactor: Redactor) -> Remark:
    texts = {key: redactor.inspect_text(getattr(one, key)) for key in ("file", "message", "excerpt")}
    return structs.replace(one, **texts)


def _read(path: Path) -> Snapshot:
    from mcpguard.authoring.snapshot import read_snapshot
    from mcpguard.config.policies import read_document

    return read_snapshot(read_document(path, DocumentError), str(path))


def _remarks(path: Path, redactor: Redactor, snapshot: Snapshot | None, live: bool) -> Iterator[Remark]:
    from mcpguard.authoring.check.policies import policies
    from mcpguard.authoring.check.servers import servers
    from mcpguard.config.loading import load_config
    from mcpguard.config.policies import read_document
    from mcpguard.core.document.reading import Document

    try:
        config = load_config(path)
        document = Document(read_document(path, ConfigError), str(path), ConfigError)
    except ConfigError as error:
        yield from problems("C001", error)
        return
    yield fine(str(path), "the configuration is well-formed")
    if live:
        snapshot, lost = _asked(config, document)
        yield from lost
    yield from policies(config, document, snapshot)
    yield from servers(config, document, redactor)
    yield from _audit(config)


def _asked(config: Config, document: Document) -> tuple[Snapshot, list[Remark]]:
    from mcpguard.authoring.survey import survey

    snapshot, failed = survey(config, [one for one, server in config.servers.items() if not server.disabled])
    places = [document.problem(("servers", name), said) for name, said in failed.items()]
    return snapshot, [wrong("C105", place) for place in places]


def _audit(config: Config) -> Iterator[Remark]:
    from mcpguard.adapters.audit.reader import default_folder
    from mcpguard.authoring.check.audit_folder import trouble

    folder = config.audit.path if config.audit else default_folder()
    if reason := trouble(folder):
        yield wrong("C201", str(folder), f"the audit folder cannot be used: {reason}")
    else:
        yield fine(str(folder), "evidence can be written")
