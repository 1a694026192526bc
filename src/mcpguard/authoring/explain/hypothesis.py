"""A hypothetical request out of the options of `mcpguard explain`: what the gateway would decide on.

Law of this file: no message quotes an argument or a claim; both may hold a credential.
"""

import sys
from argparse import ArgumentTypeError, Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from mcpguard.adapters.system.identity import operating_system_user
from mcpguard.authoring.explain.explainer import Result, explain
from mcpguard.authoring.explain.explanation import Explanation
from mcpguard.authoring.snapshot import Offer, Snapshot, read_snapshot
from mcpguard.config.policies import read_document
from mcpguard.core.errors import ConfigError, Problem
from mcpguard.core.model import Invocation, Json, Listed, Permit, Principal
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.pdp import decide
from mcpguard.core.policy.session import Session, StoredSession
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.protocol.catalogue import KINDS, Catalogue

_METHODS = {"tool": "tools/call", "prompt": "prompts/get", "resource": "resources/read"}


def an_object(text: str) -> dict[str, Json]:
    """A JSON object. Raises ArgumentTypeError, which does not quote it."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeError, RecursionError):
        raise ArgumentTypeError('it must be a JSON object, such as \'{"path": "/srv"}\'') from None


def arguments_of(options: Namespace) -> dict[str, Json] | None:
    """The arguments that the options give, None for none. Raises ConfigError for a file without an object."""
    name: str | None = options.args_file
    if name is None:
        given: dict[str, Json] | None = options.args
        return given
    text = sys.stdin.read() if name == "-" else read_document(Path(name), ConfigError)
    try:
        return an_object(text)
    except ArgumentTypeError as error:
        raise ConfigError([Problem(name, 0, 0, str(error))]) from None


def invocation_of(options: Namespace, agent: str | None) -> Invocation:
    """The request that the options describe; `agent` is the label of the configuration. Raises ConfigError
    for options that name nothing to decide."""
    kind = next((kind for kind in _METHODS if getattr(options, kind)), "")
    if not options.server or not (kind or options.action):
        raise _problem("name the request: --server NAME with --tool NAME, --prompt, --resource or --action")
    args = arguments_of(options) or {}
    return Invocation(
        id="explain",
        method=options.action or _METHODS[kind],
        principal=principal_of(options),
        now=options.now or datetime.now(UTC),
        agent=options.agent or agent,
        server=options.server,
        target=target_of(options, options.server, kind, getattr(options, kind)) if kind else None,
        args=args,
        params={"arguments": args},
    )


def principal_of(options: Namespace) -> Principal:
    """Who asks: who started us, where the options do not say."""
    return Principal(
        options.principal or operating_system_user().id,
        options.source or "os-user",
        tuple(options.group or ()),
        options.claims or {},
    )


def target_of(options: Namespace, server: str, kind: str, name: str) -> Listed:
    """The thing of that name as `server` lists it: by the snapshot of the options if it is there, with the
    annotations that they give. Raises ConfigError for a name that no server can list."""
    entry: dict[str, Json] = {KINDS[kind].id_key: name}
    snapshot = snapshot_of(options)
    if snapshot is not None:
        known = (one.descriptor for one in in_snapshot(snapshot, server, kind) if one.name == name)
        entry = next(known, entry)
    if options.annotations is not None:
        entry = {**entry, "annotations": options.annotations}
    found = listed(server, kind, [entry])
    if not found:
        raise _problem(f"no server can list a {kind} of that name: it is too long or not printable")
    return found[0]


def snapshot_of(options: Namespace) -> Snapshot | None:
    """The snapshot that the options name. Raises DocumentError for a file that is not a snapshot."""
    if options.snapshot is None:
        return None
    return read_snapshot(read_document(options.snapshot, ConfigError), str(options.snapshot))


def in_snapshot(snapshot: Snapshot, server: str, kind: str) -> list[Listed]:
    """What `server` offers of a kind, by a snapshot."""
    offer = snapshot.servers.get(server, Offer())
    return listed(server, kind, list(getattr(offer, f"{kind}s")))


def listed(server: str, kind: str, entries: list[Json]) -> list[Listed]:
    """What `server` offers when it lists these `entries`, those left out that could not be offered."""
    catalogue = Catalogue((server,))
    catalogue.replace(server, KINDS[kind], entries, entries)
    return list(catalogue.offered(kind, lambda _: True))


def session_of(options: Namespace, live: StoredSession | None = None) -> Session:
    """The session that the options describe, which begins as the `live` one. Raises ConfigError for a file
    that is not a session."""
    kept = live or StoredSession()
    if options.session is not None:
        try:
            kept = msgspec.json.decode(read_document(options.session, ConfigError), type=StoredSession)
        except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
            said = "not a session: a JSON object with calls, tools, labels, facts and spent"
            raise ConfigError([Problem(str(options.session), 0, 0, said)]) from None
    session = Session(kept)
    session.add(tuple(options.label), tuple(options.fact))
    return session


def _problem(said: str) -> ConfigError:
    return ConfigError([Problem("explain", 0, 0, said)])


def explained(
    policies: PolicySet, invocation: Invocation, session: Session, result: Path | None, redactor: Redactor
) -> Explanation:
    """The explanation of a call, and of its result where there is a file with one."""
    given = None if result is None else _result(policies, invocation, session, result, redactor)
    return explain(policies, invocation, session, given)


def _result(
    policies: PolicySet, invocation: Invocation, session: Session, file: Path, redactor: Redactor
) -> Result | None:
    """The result in `file`, inspected as the gateway would for this call; None where it is refused."""
    try:
        value = msgspec.json.decode(read_document(file, ConfigError), type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        raise ConfigError([Problem(str(file), 0, 0, "a result is a JSON object")]) from None
    verdict = decide(policies, invocation, session)
    if not isinstance(verdict, Permit):
        return None
    clean = redactor.inspect(value, verdict.redact)
    return Result(clean.value, clean.findings)
