"""The request that a record is about, and what the record does not say about it.

Law of this file: what a record does not have is unknown, never empty. Arguments are those of the recorded
call where their digest proves it; where something was taken out of them, the members it was in are unknown.
"""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache
from hashlib import sha256

from msgspec import Struct

from mcpguard.authoring.explain.hypothesis import OS_USER, in_snapshot, listed
from mcpguard.authoring.explain.unknown import Unknown
from mcpguard.authoring.snapshot import Snapshot
from mcpguard.core.evidence.records import KIND_USED, Decided
from mcpguard.core.model import Caller, Invocation, Json, Listed, Principal, split_principal
from mcpguard.core.policy.session import StoredSession, who_began
from mcpguard.core.redaction.removal.neutral import TERMINAL
from mcpguard.core.redaction.removal.placeholder import carries_placeholder
from mcpguard.gateway.recorder import MOST_NAME
from mcpguard.protocol.catalogue import KINDS
from mcpguard.protocol.jsonrpc import encode

_EMPTY = sha256(b"{}").hexdigest()
_SESSION = frozenset({"labels", "facts"})
_AGENT = frozenset({"agent"})
_WHO = frozenset({"id", "source"})
_OF_TOKEN = frozenset({"groups", "claims"})
_NOTHING = frozenset[str]()


class AllMembersBut(Struct, frozen=True):
    """All members but these."""

    names: frozenset[str]

    def __contains__(self, name: object) -> bool:
        return name is not None and name not in self.names


class PastRequest(Struct, frozen=True):
    """A recorded request, as far as the record shows it. `key` is the same for requests of which the same is
    unknown; `intact` says whether the arguments are those of the recorded call."""

    invocation: Invocation
    session: StoredSession
    unknown: Unknown
    key: tuple[object, ...]
    intact: bool


class Requests:
    """Makes requests of records; `snapshot` has what servers list."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self._snapshot = snapshot
        self._targets: dict[tuple[str, str, str], tuple[Listed | None, Listed | None]] = {}

    def of(self, record: Decided) -> PastRequest:
        who, known_who = _principal(record)
        caller, known_client = _client(record)
        target, known_target = self._target(record)
        args, lost = _arguments(record)
        key = (known_who, known_client, known_target, None if target is None else target.kind, lost)
        invocation = Invocation(
            id=record.id,
            method=record.method,
            principal=who,
            now=record.at,
            agent=record.agent,
            server=record.server,
            target=target,
            args=args,
            # A placeholder of ours that stands for what was taken out was not sent.
            params=None if args is None or lost != _NOTHING else {"arguments": args},
            caller=caller,
        )
        session = StoredSession(labels=list(record.session_labels), facts=list(record.session_facts))
        return PastRequest(invocation, session, _unknown(*key), key, lost == _NOTHING)

    def _target(self, record: Decided) -> tuple[Listed | None, frozenset[str] | None]:
        """What it is for, and which members of that are known, None for all."""
        kind = "tool" if record.tool else KIND_USED.get(record.method, "")
        name = record.tool or record.subject
        if not kind or not name:
            return None, None
        made, offered = self._listed(record.server, kind, name)
        if offered is not None and record.tool_digest and offered.digest == record.tool_digest:
            return offered, None
        if made is None or (kind != "tool" and _altered(name)):
            return made, _NOTHING
        return made, frozenset({KINDS[kind].id_key})

    def _listed(self, server: str, kind: str, name: str) -> tuple[Listed | None, Listed | None]:
        """The thing of this name, and the same as the snapshot has it."""
        found = self._targets.get((server, kind, name))
        if found is None:
            made = next(iter(listed(server, kind, [{KINDS[kind].id_key: name}])), None)
            all_of = [] if self._snapshot is None else in_snapshot(self._snapshot, server, kind)
            offered = next((one for one in all_of if one.name == name), None)
            found = self._targets[server, kind, name] = made, offered
        return found


@lru_cache(maxsize=1024)
def _unknown(
    who: frozenset[str] | None,
    client: frozenset[str] | None,
    target: frozenset[str] | None,
    kind: str | None,
    lost: frozenset[str] | None,
) -> Unknown:
    known: dict[str, Container[object]] = {"session": _SESSION}
    given = (("principal", who), ("client", client), (kind or "", target))
    known |= {name: members for name, members in given if members is not None}
    if lost != _NOTHING:
        known["args"] = _NOTHING if lost is None else AllMembersBut(lost)
    return Unknown(known)


def _principal(record: Decided) -> tuple[Principal, frozenset[str] | None]:
    """Who asked, and what is known of it, None for everything."""
    who, known = _named(record.principal, record.agent, record.session)
    if record.groups is None or record.claims is None or known is None:
        return who, known
    found = Principal(who.id, who.source, record.groups, record.claims)
    return found, None if known else _OF_TOKEN


@lru_cache(maxsize=1024)
def _named(text: str, agent: str | None, session: str) -> tuple[Principal, frozenset[str] | None]:
    """The same without groups and claims. Where a source and an id may both hold a colon, the session says
    which is which; earlier versions did not record it."""
    found = who_began(session, text, agent)
    source, who = found or split_principal(text)
    if source == OS_USER:
        return Principal(who, source), None
    certain = found is not None or text.count(":") == text.count("://") + 1
    return Principal(who, source), _WHO if certain else _NOTHING


def _client(record: Decided) -> tuple[Caller, frozenset[str] | None]:
    """What the client said about itself, and what is known of it, None for everything."""
    name, _, release = record.client.partition("/")
    whole = bool(record.client) and "/" not in release and not _altered(record.client)
    return Caller(name=name, release=release), None if whole else _AGENT


def _altered(text: str) -> bool:
    """Whether inspection may have changed it, or it was cut."""
    return len(text) >= MOST_NAME or carries_placeholder(text)


def _arguments(record: Decided) -> tuple[dict[str, Json] | None, frozenset[str] | None]:
    """The arguments, and the names of the members that are not as they were, None for all of them."""
    if not record.args:
        return None, _NOTHING
    if record.arguments is None:
        return {}, _NOTHING if record.args == _EMPTY else None
    if sha256(encode(record.arguments)).hexdigest() == record.args:
        return record.arguments, _NOTHING
    if TERMINAL in record.arguments_neutralised or any(map(carries_placeholder, record.arguments)):
        # What is dropped leaves no trace of its place, and a member of another name is another one.
        return record.arguments, None
    lost = frozenset(name for name, value in record.arguments.items() if carries_placeholder(value))
    return record.arguments, lost or None
