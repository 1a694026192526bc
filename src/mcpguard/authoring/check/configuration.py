"""All checks of `mcpguard check` on one configuration; those on approvals and on what mcpguard itself uses (a
key, headers of sinks, the program of alerts) are here.

Law of this file: without `live` nothing is started, nothing is left behind and no value is printed; nobody is
alerted and nothing is signed or sent. A broken configuration file hides the rest, and a policy that does not
load hides what only all of them together can show; everything else is reported together.
"""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

from msgspec import structs

from mcpguard.adapters.audit.signing import SigningKey, private_key
from mcpguard.adapters.credentials import value_of
from mcpguard.adapters.store import default_folder
from mcpguard.adapters.store.connections import parameters
from mcpguard.adapters.store.sqlite import FILE, FORM
from mcpguard.adapters.store.upkeep import problem_of
from mcpguard.adapters.system.guarded import found, not_found
from mcpguard.adapters.system.own_process import operating_system_user
from mcpguard.adapters.system.shipped import command_for_extra, version_of
from mcpguard.adapters.system.terminal import counted, from_here
from mcpguard.adapters.upstreams.process.own_folder import default_root
from mcpguard.authoring.check.codes import problems, shown, wrong
from mcpguard.authoring.check.lints import LintSubject, lint
from mcpguard.authoring.check.servers import Plain, chosen, clients, servers, split
from mcpguard.authoring.findings import Finding, Report, Severity, fine, inspected, passes
from mcpguard.authoring.snapshot import Snapshot, read_snapshot, refused_when_validated
from mcpguard.config.loading import Config, config_option, evidence_folder, load_config
from mcpguard.config.policies import present, read_document
from mcpguard.config.terms import DESKTOP, NotifyTerms
from mcpguard.core.document.constraints import Path as Way
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import ConfigError, CredentialError, DocumentError, McpGuardError, PolicyError
from mcpguard.core.policy.compiled import CompiledPolicy, PolicySet
from mcpguard.core.redaction.redactor import OPT_IN, Redactor
from mcpguard.core.secret import CredentialRef, sole_reference

FREE_BYTES = 100 * 1024 * 1024
FREE_FILES = 1000
"""With less than that left, a disk is nearly full."""


def try_own(place: Way, ref: CredentialRef, redactor: Redactor) -> None:
    """Read the value of `ref`, which mcpguard itself uses at `place`, and have it held. Raises McpGuardError
    if there is none, and for a key that cannot sign."""
    signs = place == ("audit", "key")
    secret = private_key(partial(value_of, ref), ref) if signs else value_of(ref)
    redactor.hold(str(ref), secret)
    if signs:
        SigningKey(secret)


def own(config: Config, document: Document, redactor: Redactor) -> Iterator[Finding]:
    """Each that is missing. What alerts of approvals use has a code of its own."""
    for place, ref in config.own_references:
        if place[0] == "approvals":
            continue
        try:
            try_own(place, ref, redactor)
        except McpGuardError as error:
            said = str(error)
            yield wrong("C116", document.problem(place, said if str(ref) in said else f"{ref}: {said}"))
    command = config.alerts.command if config.alerts else None
    if command and found(command[0], os.environ.get("PATH")) is None:
        said = not_found(command[0], os.environ.get("PATH"))
        yield wrong("C116", document.problem(("alerts", "command"), said))


_ROOT = "os-user:root"


def approvals(config: Config, compiled: list[CompiledPolicy]) -> Iterator[Finding]:
    """Each rule that asks, where nobody could answer."""
    for one in compiled:
        for index, rule in enumerate(one.policy.rules):
            if rule.ask is None:
                continue
            at = ("rules", index, "ask")
            if rule.ask.proof is not None:
                if said := _holders(config, rule.ask.approvers):
                    yield wrong("C111", one.document.problem((*at, "proof"), said))
                if find_spec("webauthn") is None:
                    said = f"the package `webauthn` is missing: run `{command_for_extra('passkeys')}`"
                    yield wrong("C120", one.document.problem((*at, "proof"), said))
            elif rule.ask.approvers and (said := _unreachable(config, rule.ask.approvers)):
                yield shown("C113", one.document.problem((*at, "approvers"), said))


def alerts(config: Config, document: Document) -> Iterator[Finding]:
    """Each entry of `approvals.notify` that reaches nobody."""
    for index, entry in enumerate(config.approvals.targets):
        if said := _mute(entry):
            yield wrong("C112", document.problem(("approvals", "notify", index), said))


def _holders(config: Config, approvers: tuple[str, ...]) -> str:
    """Why none of the passkeys can approve; "" where one can."""
    passkeys = config.approvals.passkeys
    if not passkeys:
        return "`approvals.passkeys` of the configuration is empty: `mcpguard console` adds a passkey"
    known = [{one.person, *(f"group:{group}" for group in one.groups)} for one in passkeys]
    if approvers and all(one.isdisjoint(approvers) for one in known):
        return f"no passkey in the configuration belongs to {' or '.join(approvers)}"
    return ""


def _unreachable(config: Config, approvers: tuple[str, ...]) -> str:
    """Why nobody who can open the state file is an approver; "" where somebody could be."""
    me = operating_system_user().text
    # Who is in a group is not known here: whoever serves may be.
    if any(one in (me, _ROOT) or one.startswith("group:") for one in approvers):
        return ""
    if not _holders(config, approvers):
        return ""
    return (
        f"without a passkey only the user that serves can answer; that is {me} if you run mcpguard, who is "
        "not an approver: add a passkey of an approver (`mcpguard console`), or run mcpguard as an approver"
    )


def _mute(entry: NotifyTerms) -> str:
    """Why no alert could be sent to it; "" where one could."""
    if entry.to == DESKTOP:
        program = "osascript" if sys.platform == "darwin" else "notify-send"
        missing = found(program, os.environ.get("PATH")) is None
        return f"`{program}` was not found; on Linux it belongs to libnotify" if missing else ""
    if find_spec("apprise") is None:
        return f"the package `apprise` is missing: run `{command_for_extra('notify')}`"
    try:
        value_of(sole_reference(entry.to))
    except CredentialError as error:
        return str(error)
    return ""


def checked(
    path: Path,
    snapshot: Path | None,
    fail_on: Severity,
    plain: Plain,
    *,
    live: bool = False,
    files_only: bool = False,
) -> Report:
    """Everything that is found in the configuration at `path`; it is not `ok` from `fail_on` on.

    `plain` finds credentials by their names. `snapshot` is a file with what its servers offer; with `live`
    they are asked, which starts them. With `files_only` nothing is looked for that only a machine has, and no
    code about it is found. Raises DocumentError where `snapshot` cannot be read or is not one.
    """
    redactor = Redactor(os.urandom(32))
    text = None if snapshot is None else read_document(snapshot, DocumentError)
    offers = None if text is None else read_snapshot(text, str(snapshot))
    every = _findings(path, redactor, offers, plain, live, files_only)
    found = [one for one in every if not (files_only and one.machine)]
    # Not before all checks are done: what one learns to hold, another could quote.
    option = partial(config_option, path.absolute(), os.environ)
    findings = tuple(
        inspected(structs.replace(one, file=from_here(one.file)), redactor, option) for one in found
    )
    return Report(findings, passes(findings, fail_on))


def _findings(
    path: Path, redactor: Redactor, snapshot: Snapshot | None, plain: Plain, live: bool, files_only: bool
) -> Iterator[Finding]:
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
    elif snapshot is not None:
        yield from _not_in(snapshot, config, document)
    if snapshot is not None:
        yield from _refused(snapshot, config, document)
        yield from _untold(snapshot, config, document)
    yield from _policies(config, document, snapshot)
    answered = snapshot.servers if live and snapshot is not None else None
    yield from servers(config, document, redactor, plain, files_only=files_only, answered=answered)
    yield from clients(config, document)
    if not files_only:
        yield from alerts(config, document)
        yield from own(config, document, redactor)
        yield _evidence(config)
        yield from _room(config)
        yield from _sessions(config, document)
        yield from _starting(config)


def _observation(config: Config, document: Document) -> Iterator[Finding]:
    if config.observe is None:
        return
    state = config.observe.at(datetime.now(UTC))
    said = config.observe.reported(state)
    if state == "on":
        yield fine(document.problem(("observe",), ""), said)
    else:
        yield wrong("C005" if state == "over" else "C004", document.problem(("observe", "until"), said))


def _asked(config: Config, document: Document) -> tuple[Snapshot, list[Finding]]:
    from mcpguard.authoring.snapshot import survey

    snapshot, failed = survey(config, [*config.served])
    places = [document.problem(("servers", name), said) for name, said in failed.items()]
    return snapshot, [wrong("C105", place) for place in places]


def _not_in(snapshot: Snapshot, config: Config, document: Document) -> Iterator[Finding]:
    for name in config.served:
        if name not in snapshot.servers:
            said = f"the snapshot does not have {name}, so rules about it are not compared with its tools"
            command = f"`mcpguard snapshot{config_option(config.path, os.environ)}`"
            place = document.problem(("servers", name), f"{said}: make a new one with {command}")
            yield wrong("C121", place)


def _refused(snapshot: Snapshot, config: Config, document: Document) -> Iterator[Finding]:
    for name, said in refused_when_validated(snapshot).items():
        if name in config.servers:
            yield wrong("C118", document.problem(("servers", name), said))


def _untold(snapshot: Snapshot, config: Config, document: Document) -> Iterator[Finding]:
    for name in config.served:
        if (
            name in snapshot.servers
            and snapshot.servers[name].instructions
            and not config.servers[name].eager
        ):
            said = f"{name} has instructions for the model: clients get them only with `eager: true`"
            yield wrong("C123", document.problem(("servers", name), said))


_RENEW = "`mcpguard import --policies` shows what is different, and replaces it if you agree"


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
    yield from approvals(config, compiled)
    served = {name: not server.disabled for name, server in config.servers.items()}
    whole = len(compiled) == len(present(config.policies))
    found = lint(LintSubject(compiled, datetime.now(UTC), served, document, snapshot, whole))
    # What is to be said of a pack that nobody has changed was said when it was made.
    versions = {one.document.source: version_of(one.document.text) for one in compiled}
    as_made = {source for source, version in versions.items() if version is not None}
    found = [one for one in found if one.severity != "note" or one.file not in as_made]
    yield from (one for one in found if one.file != document.source)
    for source, version in versions.items():
        if version is not None and not version.is_newest:
            said = f"a copy of the pack {version.name} of an earlier version: {_RENEW}"
            yield wrong("C124", source, said)
    # A line of the configuration may contain a credential.
    yield from (structs.replace(one, excerpt="") for one in found if one.file == document.source)


def _load(config: Config, compiled: list[CompiledPolicy]) -> Iterator[Finding]:
    for file in present(config.policies):
        try:
            one = file.load(OPT_IN)
        except PolicyError as error:
            yield from problems("P001", error)
            continue
        compiled.append(one)
        count = len(one.rules)
        yield fine(str(file.path), f"policy {one.policy.policy}: {counted(count, 'rule')}")


def _evidence(config: Config) -> Finding:
    folder = evidence_folder(config)
    if reason := trouble(folder):
        return wrong("C201", str(folder), f"the audit folder cannot be used: {reason}")
    return fine(str(folder), "evidence can be written")


def _room(config: Config) -> Iterator[Finding]:
    sessions = [] if config.session_postgres else [config.session_folder or default_folder()]
    for folder, said in lacking_room(evidence_folder(config), *sessions):
        yield wrong("C204", str(folder), said)


def _sessions(config: Config, document: Document) -> Iterator[Finding]:
    if config.session_postgres is not None:
        try:
            parameters(partial(value_of, config.session_postgres))
        except ConnectionError as problem:
            yield wrong("C202", document.problem(("session", "postgres"), str(problem)))
        return
    file = (config.session_folder or default_folder()) / FILE
    if reason := problem_of(file, FORM, write=False):
        yield wrong("C202", str(file.parent), reason)


def _starting(config: Config) -> Iterator[Finding]:
    served = [config.servers[name] for name in config.served]
    if any(one.command and one.cwd is None and not one.in_client_folder for one in served):
        root = default_root()
        if reason := trouble(root):
            said = "the folder that servers without `cwd` start in cannot be used"
            yield wrong("C203", str(root), f"{said}: {reason}")


def nearest(folder: Path) -> Path:
    """`folder`, or the nearest one above it that exists: `run` makes the rest."""
    return next(one for one in (folder, *folder.parents) if one.exists())


def lacking_room(*folders: Path) -> Iterator[tuple[Path, str]]:
    """Those of `folders` whose disk is nearly full, once for each disk, with how little is left."""
    disks = {os.stat(nearest(one)).st_dev: one for one in reversed(folders)}
    for folder in disks.values():
        disk = os.statvfs(nearest(folder))
        if (free := disk.f_bavail * disk.f_frsize) < FREE_BYTES:
            yield folder, f"{free // (1024 * 1024)} MiB are free"
        elif disk.f_files and disk.f_favail < FREE_FILES:  # One without a limit of files says 0.
            yield folder, f"{counted(disk.f_favail, 'more file')} can be made (`df -i`)"


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
