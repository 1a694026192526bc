"""All checks of `mcpguard check` on one configuration.

Law of this file: without `live` nothing is started, nothing is left behind and no value is printed; a broken
configuration file hides the rest, and a policy that does not load what only all of them together can show;
everything else is reported together.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

from msgspec import structs

from mcpguard.adapters.system.shipped import is_shipped
from mcpguard.authoring.check.approvals import approvals
from mcpguard.authoring.check.codes import problems, wrong
from mcpguard.authoring.check.credentials import chosen, split
from mcpguard.authoring.check.lints import LintSubject, lint
from mcpguard.authoring.check.own import own
from mcpguard.authoring.check.servers import clients, servers
from mcpguard.authoring.findings import Finding, Report, Severity, fine, inspected, passes
from mcpguard.authoring.snapshot import Snapshot, read_snapshot
from mcpguard.config.loading import Config, evidence_folder, load_config
from mcpguard.config.policies import present, read_document
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import ConfigError, DocumentError, PolicyError
from mcpguard.core.policy.compiled import CompiledPolicy, PolicySet
from mcpguard.core.redaction.redactor import OPT_IN, Redactor


def checked(path: Path, snapshot: Path | None, fail_on: Severity, *, live: bool) -> Report:
    """Everything that is found in the configuration at `path`; it is not `ok` from `fail_on` on.

    `snapshot` is a file with what its servers offer; with `live` they are asked, which starts them. Raises
    DocumentError where `snapshot` cannot be read or is not a snapshot.
    """
    redactor = Redactor(os.urandom(32))
    offers = None if snapshot is None else _read(snapshot)
    found = list(_findings(path, redactor, offers, live))
    # Not before all checks are done: what one learns to hold, another could quote.
    findings = tuple(inspected(one, redactor) for one in found)
    return Report(findings, passes(findings, fail_on))


def _read(path: Path) -> Snapshot:
    return read_snapshot(read_document(path, DocumentError), str(path))


def _findings(path: Path, redactor: Redactor, snapshot: Snapshot | None, live: bool) -> Iterator[Finding]:
    try:
        config = load_config(path)
        document = Document(read_document(path, ConfigError), str(path), ConfigError)
    except ConfigError as error:
        yield from problems("C001", error)
        return
    yield fine(str(path), "the configuration is well-formed")
    yield from _observation(config, document)
    if live:
        snapshot, lost = _asked(config, document)
        yield from lost
    yield from _policies(config, document, snapshot)
    yield from servers(config, document, redactor)
    yield from clients(config, document)
    yield from own(config, document, redactor)
    yield _evidence(config)


def _observation(config: Config, document: Document) -> Iterator[Finding]:
    if config.observe is None:
        return
    state = config.observe.at(datetime.now(UTC))
    if state == "on":
        place = document.problem(("observe",), "")
        yield fine(place, f"observing {config.observe.said}: policies are recorded and not enforced")
        return
    ended = f"policies are observed until {config.observe.until}"
    place = document.problem(("observe", "until"), f"{ended}, which has passed" if state == "over" else ended)
    yield wrong("C005" if state == "over" else "C004", place)


def _asked(config: Config, document: Document) -> tuple[Snapshot, list[Finding]]:
    from mcpguard.authoring.survey import survey

    snapshot, failed = survey(config, [*config.served])
    places = [document.problem(("servers", name), said) for name, said in failed.items()]
    return snapshot, [wrong("C105", place) for place in places]


def _policies(config: Config, document: Document, snapshot: Snapshot | None) -> Iterator[Finding]:
    """Each policy file, and what is found in those that are right in themselves."""
    compiled: list[CompiledPolicy] = []
    yield from _load(config, compiled)
    try:
        PolicySet(compiled)
    except PolicyError as error:
        yield from problems("P001", error)
    if not config.policies:
        place = document.problem(("policies",), "there are no `policies`, so every call is refused")
        yield wrong("C002", place)
    yield from chosen(config, compiled)
    yield from split(config, compiled)
    yield from approvals(config, document, compiled)
    yield from _lints(config, document, compiled, snapshot)


def _load(config: Config, compiled: list[CompiledPolicy]) -> Iterator[Finding]:
    for file in present(config.policies):
        try:
            one = file.load(OPT_IN)
        except PolicyError as error:
            yield from problems("P001", error)
            continue
        compiled.append(one)
        count = len(one.rules)
        yield fine(str(file.path), f"policy {one.policy.policy}: {count} rule{'s' * (count != 1)}")


def _lints(
    config: Config, document: Document, compiled: list[CompiledPolicy], snapshot: Snapshot | None
) -> Iterator[Finding]:
    served = {name: not server.disabled for name, server in config.servers.items()}
    whole = len(compiled) == len(present(config.policies))
    found = lint(LintSubject(compiled, datetime.now(UTC), served, document, snapshot, whole))
    # What is to be said of a pack that nobody has changed was said when it was made.
    as_made = {str(file.path) for file in present(config.policies) if _is_as_made(file.path)}
    found = [one for one in found if one.severity != "note" or one.file not in as_made]
    yield from (one for one in found if one.file != document.source)
    # A line of the configuration may contain a credential.
    yield from (structs.replace(one, excerpt="") for one in found if one.file == document.source)


def _is_as_made(path: Path) -> bool:
    try:
        return is_shipped(path.read_text("utf-8"))
    except (OSError, ValueError):
        return False


def _evidence(config: Config) -> Finding:
    folder = evidence_folder(config)
    if reason := trouble(folder):
        return wrong("C201", str(folder), f"the audit folder cannot be used: {reason}")
    return fine(str(folder), "evidence can be written")


def nearest(folder: Path) -> Path:
    """`folder`, or the nearest one above it that exists: `run` makes the rest."""
    return next(one for one in (folder, *folder.parents) if one.exists())


def trouble(folder: Path) -> str:
    """Why no evidence can be written to `folder`, "" where it can. Tried and not asked, since a mode says
    little of a full or a read-only disk; leaves nothing behind."""
    try:
        # A full disk makes files, and takes nothing into them.
        with TemporaryFile(dir=nearest(folder)) as file:
            file.write(bytes(4096))
            file.flush()
        if folder.exists():
            os.listdir(folder)
    except OSError as error:
        return error.strerror or "it cannot be written"
    return ""
