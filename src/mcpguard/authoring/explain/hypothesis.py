"""A hypothetical request out of the options of `mcpguard explain`: what the gateway would decide on.

Law of this file: no message quotes an argument or a claim; both may hold a credential.
"""

import json
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from mcpguard.adapters.system.own_process import operating_system_user
from mcpguard.authoring.explain.explainer import InspectedResult, KnownFacts, explain, no_such
from mcpguard.authoring.explain.explanation import Explanation
from mcpguard.authoring.explain.unknown import Unknown
from mcpguard.authoring.snapshot import Offer, Snapshot, read_snapshot
from mcpguard.config.loading import Config, Server
from mcpguard.config.policies import read_document
from mcpguard.config.servers import viewers
from mcpguard.core.errors import ConfigError, Problem, did_you_mean
from mcpguard.core.model import Invocation, Json, Listed, Permit, Principal
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.pdp import decide
from mcpguard.core.policy.session import Session, StoredSession
from mcpguard.core.policy.terms import ACTIONS, EXTENSION
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.protocol.catalogue import KINDS, Catalogue
from mcpguard.protocol.methods import FROM_CLIENT, FROM_UPSTREAM

_METHODS = {"tool": "tools/call", "prompt": "prompts/get", "resource": "resources/read"}
_SESSION = StoredSession.__struct_fields__
_NAMED = ", ".join(_SESSION)
OS_USER = "os-user"
"""The source of whoever is known by the operating system: without groups and claims."""

_FITS = "{}, and the arguments match its schema (--snapshot FILE)"
_LISTS = "{} (--snapshot FILE)"
_NOTHING_HELD = "it contains no credential that mcpguard holds: those are not read here"
_ABSENT = "according to the snapshot, the server has nothing with that name"


def an_object(text: str) -> dict[str, Json]:
    """A JSON object. Raises ArgumentTypeError, which does not quote it."""
    try:
        found: dict[str, Json] = msgspec.json.decode(text, type=dict[str, Any])
        json.loads(text, object_pairs_hook=_once)
    except _Twice:
        raise ArgumentTypeError(
            "it has the same key twice, and a call with such a value is refused"
        ) from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise ArgumentTypeError('it must be a JSON object, such as \'{"path": "/srv"}\'') from None
    return found


class _Twice(Exception):
    """A key stands twice in one object."""


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        raise _Twice


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


class RequestTarget(Struct, frozen=True):
    """What a request is for. `known` says whether it is as its server lists it; `absent` that the server does
    not have it."""

    listed: Listed
    known: bool = False
    absent: bool = False


class Supposition(Struct, frozen=True):
    """A request to explain, and what it is for."""

    invocation: Invocation
    target: RequestTarget | None


def asked_by(options: Namespace, config: Config | None) -> Supposition:
    """The request that the options describe, under `config` as its client sees it. Raises ConfigError for
    options that name nothing to decide."""
    kind = next((kind for kind in _METHODS if getattr(options, kind)), "")
    if not options.server or not (kind or options.action):
        raise _problem(
            "give the id of a recorded call, or name a request: --server NAME with --tool NAME, --prompt, "
            "--resource or --action"
        )
    if options.action:
        _check_action(options.action, kind, None if config is None else config.servers.get(options.server))
    method = options.action or _METHODS[kind]
    args = arguments_of(options) or {}
    if options.resource and method.startswith("resources/"):
        args = {"uri": options.resource, **args}  # As the request itself has it.
    target = target_of(options, options.server, kind, getattr(options, kind), config) if kind else None
    invocation = Invocation(
        id="explain",
        method=method,
        principal=principal_of(options),
        now=options.now or datetime.now(UTC),
        agent=options.agent or (config.agent if config else None),
        server=options.server,
        target=None if target is None else target.listed,
        args=args,
        params={"arguments": args},
    )
    return Supposition(invocation, target)


def _check_action(action: str, kind: str, server: Server | None) -> None:
    """Raise ConfigError for a method that no rule decides, or that is about something which is not named."""
    named = {method: kind for kind, method in _METHODS.items()}
    if action in named and not kind:
        raise _problem(f"name what `{action}` is for: --{named[action]} NAME")
    if kind == "tool" and action != _METHODS[kind]:
        raise _problem(f"`{action}` has no tool: leave --tool out")
    declared = () if server is None else [one for methods in server.extensions.values() for one in methods]
    row = FROM_CLIENT.get(action) or FROM_UPSTREAM.get(action)
    # Without a configuration any other method may be one of an extension.
    if action in declared or action in ACTIONS - {EXTENSION} or not (row or server or action == EXTENSION):
        return
    why = "mcpguard refuses it" if row is None else f"it is {row.treatment.value}"
    hint = did_you_mean(action, [*ACTIONS - {EXTENSION}, *declared]) if row is None else ""
    raise _problem(f"no rule decides `{action}`: {why}" + (f"; {hint}" if hint else ""))


def principal_of(options: Namespace) -> Principal:
    """Who asks: who started us, where the options do not say."""
    return Principal(
        options.principal or operating_system_user().id,
        options.source or OS_USER,
        tuple(options.group or ()),
        options.claims or {},
    )


def target_of(options: Namespace, server: str, kind: str, name: str, config: Config | None) -> RequestTarget:
    """The thing of that name as `server` lists it: by the snapshot of the options if it is there, with the
    annotations that they give. Raises ConfigError for a name that no server can list."""
    snapshot, alone = snapshot_of(options), _by_its_own_name(kind, config)
    offer = None if snapshot is None else snapshot.servers.get(server)
    found: Listed | None = None
    entry: dict[str, Json] = {KINDS[kind].id_key: name}
    if offer is not None:
        entries = list(getattr(offer, f"{kind}s"))
        found = _named(_catalogued(server, kind, entries, offer.templates, alone), kind, name)
        entry = next((one for one in entries if one.get(KINDS[kind].id_key) == name), entry)
    if options.annotations is not None:
        entry = {**entry, "annotations": options.annotations}
    elif found is not None:
        return RequestTarget(found, known=True)
    made = next(_catalogued(server, kind, [entry], (), alone).offered(kind, _all), None)
    if made is None:
        raise _problem(f"no server can list a {kind} by that name: it is too long or not printable")
    return RequestTarget(made, known=found is not None, absent=offer is not None and found is None)


def _by_its_own_name(kind: str, config: Config | None) -> bool:
    """Whether the client knows a thing of this kind as its server names it."""
    if config is None or config.prefix is None or kind == "resource":
        return config is None or len(config.servers) == 1
    return config.prefix == "when-needed"


def _named(catalogue: Catalogue, kind: str, name: str) -> Listed | None:
    if kind == "resource":
        return catalogue.resource(name, _all)
    return next((one for one in catalogue.offered(kind, _all) if one.name == name), None)


def _all(_entry: Listed) -> bool:
    return True


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
    return list(_catalogued(server, kind, entries, (), True).offered(kind, _all))


def _catalogued(
    server: str, kind: str, entries: list[Json], templates: Iterable[Json], alone: bool
) -> Catalogue:
    # With another server names are prefixed, and a URI that no server lists belongs to none.
    catalogue = Catalogue((server,) if alone else (server, ""))
    lists = [(kind, entries)] + ([("template", list(templates))] if kind == "resource" else [])
    for name, listed in lists:
        catalogue.replace(server, KINDS[name], catalogue.read(server, KINDS[name], listed, listed)[0])
    return catalogue


def unknown_of(options: Namespace, asked: Supposition, config: Config | None, counted: bool) -> Unknown:
    """What the options and the configuration do not say about a request; `counted` says whether the session
    is wholly known."""
    who, target = asked.invocation.principal, asked.target
    known = {"client": frozenset({"agent"})}
    if who.source != OS_USER:
        given = {"groups": options.group, "claims": options.claims}
        known["principal"] = frozenset(
            {"id", "source", *(name for name, one in given.items() if one is not None)}
        )
    if not counted:
        known["session"] = frozenset({"labels", "facts"})
    if target is not None and not target.known:
        more = () if options.annotations is None else ("annotations", "firstAnnotations")
        known[target.listed.kind] = frozenset({KINDS[target.listed.kind].id_key, *more})
    return Unknown(known, assumed=tuple(_assumed(asked, config)))


def _assumed(asked: Supposition, config: Config | None) -> Iterator[str]:
    target = asked.target
    if target is not None and not target.known:
        listed_ = f"the server lists this {target.listed.kind}"
        yield _FITS.format(listed_) if target.listed.kind == "tool" else _LISTS.format(listed_)
    if config is not None and asked.invocation.agent is None and asked.invocation.server:
        yield from _assumed_of_client(asked.invocation.server, config)
    if config is not None and (config.credentials or any(one.credentials for one in config.servers.values())):
        yield _NOTHING_HELD


def _assumed_of_client(server: str, config: Config) -> Iterator[str]:
    """What is assumed of a client that is not named: that it sees `server`, unless all do."""
    lists = {name: (one.servers, *one.projects.values()) for name, one in config.clients.items()}
    if all(server in some for each in lists.values() for some in each if some):
        return
    seeing = viewers(config.clients, server)
    if seeing:
        yield f"the client is {' or '.join(seeing)}: others do not see the server `{server}` (--agent NAME)"
    else:
        yield f"the client sees the server `{server}`, which `clients` shows to nobody"


def session_of(options: Namespace, live: StoredSession | None = None) -> Session:
    """The session that the options describe, which begins as the `live` one. Raises ConfigError for a file
    that is not a session."""
    kept = live or StoredSession()
    if options.session is not None:
        text = read_document(options.session, ConfigError)
        try:
            kept = msgspec.json.decode(text, type=StoredSession)
            unknown = set(msgspec.json.decode(text)).difference(_SESSION)
        except (msgspec.DecodeError, RecursionError):
            said = "not a session: a JSON object with calls, tools, labels, facts and spent"
            raise ConfigError([Problem(str(options.session), 0, 0, said)]) from None
        if unknown:
            name = min(unknown)
            said = f"a session has no `{name}`; {did_you_mean(name, _SESSION) or f'it has {_NAMED}'}"
            raise ConfigError([Problem(str(options.session), 0, 0, said)])
    session = Session(kept)
    session.add(tuple(options.label), tuple(options.fact))
    return session


def _problem(said: str) -> ConfigError:
    return ConfigError([Problem("explain", 0, 0, said)])


def explained(
    policies: PolicySet,
    invocation: Invocation,
    session: Session | None,
    result: Path | None,
    redactor: Redactor,
    known: KnownFacts,
) -> Explanation:
    """The explanation of a call, and of its result where there is a file with one, inspected as the gateway
    would for this call."""
    given: InspectedResult | None = None
    if result is not None:
        value = _result_in(result)
        verdict = decide(policies, invocation, session, approved=known.approved)
        if isinstance(verdict, Permit):
            clean = redactor.inspect(value, verdict.redact + verdict.unredacted)
            given = InspectedResult(clean.value, clean.findings)
    return explain(policies, invocation, session, given, known)


def absent(asked: Supposition) -> Explanation:
    """The explanation of a request for what the snapshot of its server does not have."""
    target = asked.invocation.target
    message = "" if target is None else no_such(target.kind, target.exposed)
    return Explanation(effect="deny", cause="unknown", why=_ABSENT, message=message, listed=False)


def _result_in(file: Path) -> dict[str, Json]:
    try:
        return msgspec.json.decode(read_document(file, ConfigError), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise ConfigError([Problem(str(file), 0, 0, "a result is a JSON object")]) from None
