"""What one principal with one agent has done so far: counts, labels, facts, and what limits have used up.

Law of this file: a session only grows until it ends, so no call and no reconnect can remove anything from
it. Time windows outlast the session, so waiting does not reset them. A decision holds the session
exclusively, so limits are exact for simultaneous calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec
from msgspec import Struct, structs

from mcpguard.core.model import Charge, Invocation, Json, Permit, Principal
from mcpguard.core.policy.terms import window_of

NAME_LENGTH = 32
"""How many characters (hex) the name of a session has."""
PARTS = 60
"""A window is counted in this many parts; the oldest counts until it is wholly over."""


class ServerPlaces(Struct, frozen=True):
    """Which servers the names in a configuration stand for. `config` is its file, "" for none; `servers` has
    by name the sha256 (hex) of how one is started or reached, and with which credentials. The folder of its
    client follows behind a blank where a server starts there."""

    config: str = ""
    servers: Mapping[str, str] = {}

    def of(self, server: str) -> str:
        """Which one `server` is, "" where nothing is known of it."""
        return self.servers.get(server, "")

    def origin(self, server: str) -> str:
        """The same among the servers of all configurations: the file, and in a second line which server."""
        return f"{self.config}\n{self.of(server)}"


NO_PLACES = ServerPlaces()


def stated_under(origins: Iterable[str]) -> list[str]:
    """The files of the configurations in them."""
    return list(dict.fromkeys(one.partition("\n")[0] for one in origins))


def without_folder(place: str) -> str:
    """Which server it is, wherever its client started it."""
    return place.partition(" ")[0]


class LabelCause(Struct, frozen=True):
    """Why a session has a label: the call that brought it, when that was made (seconds since 1970, UTC), what
    it was for and the rules that say so."""

    call: str
    at: float
    what: str
    rules: tuple[str, ...]


class StoredSession(Struct):
    """A session as it is stored. `tools` counts calls by "server/tool". `spent` has for each limit the parts
    of its window in use: [part, amount], the oldest first. `causes` are by label, as far as known.
    `approvals` are the tickets, by id, that were approved for as long as the session lasts. `origins` has by
    fact the servers whose calls stated it, as `ServerPlaces.origin` has them."""

    calls: int = 0
    tools: dict[str, int] = {}
    labels: list[str] = []
    facts: list[str] = []
    spent: dict[str, list[tuple[int, int]]] = {}
    causes: dict[str, LabelCause] = {}
    approvals: list[str] = []
    origins: dict[str, list[str]] = {}

    def ended(self, now: float) -> StoredSession:
        """What is left where the session ended before `now`: the windows that are not over."""
        counting = self.used(now)
        spent = {key: parts for key, parts in self.spent.items() if key in counting and _seconds(key)}
        return StoredSession(spent=spent)

    def joined(self, other: StoredSession) -> StoredSession:
        """The stricter of both in each part, where both are of one session: all labels and the most that was
        used, but only the facts that both have, and the approvals of this one."""
        spent = {key: self._most_spent(other, key) for key in self.spent | other.spent}
        return StoredSession(
            max(self.calls, other.calls),
            {
                tool: max(self.tools.get(tool, 0), other.tools.get(tool, 0))
                for tool in self.tools | other.tools
            },
            list(dict.fromkeys([*self.labels, *other.labels])),
            [fact for fact in self.facts if fact in other.facts],
            spent,
            other.causes | self.causes,
            self.approvals,
        )

    def _most_spent(self, other: StoredSession, key: str) -> list[tuple[int, int]]:
        some, more = dict(self.spent.get(key, ())), dict(other.spent.get(key, ()))
        return [(part, max(some.get(part, 0), more.get(part, 0))) for part in sorted(some | more)]

    def without_label(self, label: str) -> StoredSession:
        """What is left once it does not have that label any more."""
        labels = [one for one in self.labels if one != label]
        causes = {name: cause for name, cause in self.causes.items() if name != label}
        return structs.replace(self, labels=labels, causes=causes)

    def used(self, now: float) -> dict[str, int]:
        """What counts against limits at `now`, where anything does, by their keys: "policy/rule", unit and
        window."""
        found = {key: _sum(_counting(parts, _seconds(key), now)) for key, parts in self.spent.items()}
        return {key: amount for key, amount in found.items() if amount}

    def without_limit(self, rule: str) -> StoredSession:
        """What is left once nothing counts against the limit of that "policy/rule" any more."""
        spent = {key: parts for key, parts in self.spent.items() if key.partition(" ")[0] != rule}
        return structs.replace(self, spent=spent)


def name_of(principal: Principal, agent: str | None) -> str:
    """What the session of `principal` with `agent` is called where sessions are stored."""
    key = msgspec.json.encode([principal.source, principal.id, agent])
    return sha256(key).hexdigest()[:NAME_LENGTH]


def who_began(session: str, text: str, agent: str | None) -> tuple[str, str] | None:
    """The source and the id of the principal whose `session` with `agent` this is, `text` being the two as
    records write them. Both may have a colon: the name of the session says where one ends. None for a session
    of somebody else."""
    for at, character in enumerate(text):
        if character == ":" and name_of(Principal(text[at + 1 :], text[:at]), agent) == session:
            return text[:at], text[at + 1 :]
    return None


def _seconds(key: str) -> int:
    # The key of a charge ends in its window as written.
    return window_of(key.rpartition(" ")[2]) or 0


def _sum(parts: list[tuple[int, int]]) -> int:
    return sum(amount for _, amount in parts)


def _counting(parts: list[tuple[int, int]], seconds: int, now: float) -> list[tuple[int, int]]:
    """Those in a window of `seconds` that ends `now`; all where the window is the session."""
    first = (now - seconds) * PARTS / seconds if seconds else -1
    return [one for one in parts if one[0] + 1 > first]


class Session:
    """The state of a session, for one decision."""

    __slots__ = ("kept", "places")

    def __init__(self, kept: StoredSession | None = None, places: ServerPlaces = NO_PLACES) -> None:
        """`places` are the servers that it is for; without any all facts count."""
        self.kept = kept or StoredSession()
        self.places = places

    @property
    def facts(self) -> list[str]:
        """Those that calls of these servers stated: what others found out, also one of the same name, allows
        nothing here."""
        kept, places = self.kept, self.places
        if not kept.facts or not places.servers:
            return kept.facts
        here = {places.origin(server) for server in places.servers}
        return [fact for fact in kept.facts if not here.isdisjoint(kept.origins.get(fact, ()))]

    def view(self) -> dict[str, Json]:
        """`session` as conditions see it."""
        kept = self.kept
        return {"calls": kept.calls, "tools": kept.tools, "labels": kept.labels, "facts": self.facts}

    def room(self, charge: Charge, now: datetime) -> bool:
        """Whether `charge` still fits. Bytes are charged when they come back, so here one must be left."""
        return self.used(charge, now) + max(charge.amount, 1 if charge.unit == "bytes" else 0) <= charge.most

    def used(self, charge: Charge, now: datetime) -> int:
        return _sum(self._in_window(charge, now))

    def after(self, permit: Permit) -> Session:
        """The session as it would be once the call was admitted; this one stays as it is."""
        kept = self.kept
        copy = Session(
            StoredSession(
                kept.calls,
                dict(kept.tools),
                list(kept.labels),
                list(kept.facts),
                {key: list(parts) for key, parts in kept.spent.items()},
                dict(kept.causes),
                list(kept.approvals),
                {fact: list(origins) for fact, origins in kept.origins.items()},
            ),
            self.places,
        )
        copy.admit(permit)
        return copy

    def without(self, invocation: Invocation) -> Session:
        """The session for deciding again on a call that was counted: without that count, and without what
        limits have used up."""
        kept, key = self.kept, _tool_key(invocation)
        tools = {name: count - (name == key) for name, count in kept.tools.items()}
        counted = {name: count for name, count in tools.items() if count > 0}
        return Session(
            StoredSession(
                max(0, kept.calls - _is_call(invocation)),
                counted,
                kept.labels,
                kept.facts,
                origins=kept.origins,
            ),
            self.places,
        )

    def free_at(self, charge: Charge, now: datetime) -> datetime | None:
        """When `charge` fits, if nothing else is charged until then: `now` where it does, None where time
        does not help."""
        if self.room(charge, now):
            return now
        for part, _ in self._in_window(charge, now) if charge.seconds else ():
            # A part is over when the window begins behind it; a microsecond more covers the rounding.
            over = (part + 1 + PARTS) * charge.seconds / PARTS
            at = datetime.fromtimestamp(over, now.tzinfo) + timedelta(microseconds=1)
            if self.room(charge, at):
                return at
        return None

    def admit(self, permit: Permit) -> None:
        """Count a call that may be made, with what it costs and adds."""
        invocation, kept = permit.invocation, self.kept
        kept.calls += _is_call(invocation)
        key = _tool_key(invocation)
        if key is not None:
            kept.tools[key] = kept.tools.get(key, 0) + 1
        for charge in permit.charges:
            self.charge(charge, invocation.now)
        self.add(permit.labels, permit.facts, permit)

    def add(
        self,
        labels: tuple[str, ...],
        facts: tuple[str, ...],
        permit: Permit | None = None,
        rules: tuple[str, ...] = (),
    ) -> None:
        """Remember these labels and facts; `permit` is for the call that brings them, `rules` are those on
        its result."""
        if permit is not None:
            for label in labels:
                if label not in self.kept.labels:
                    self.kept.causes[label] = _cause(permit, rules)
            for fact in facts if self.places.servers else ():
                origin = self.places.origin(permit.invocation.server)
                origins = self.kept.origins.setdefault(fact, [])
                origins += [origin] if origin not in origins else []
        for known, new in ((self.kept.labels, labels), (self.kept.facts, facts)):
            known += [one for one in new if one not in known]

    def charge(self, charge: Charge, now: datetime) -> None:
        """Use up `charge`, whether there is room or not."""
        parts = self._in_window(charge, now)
        part = int(now.timestamp() * PARTS // charge.seconds) if charge.seconds else 0
        if parts and parts[-1][0] >= part:
            parts[-1] = (parts[-1][0], parts[-1][1] + charge.amount)
        else:
            parts.append((part, charge.amount))
        self.kept.spent[charge.key] = parts

    def _in_window(self, charge: Charge, now: datetime) -> list[tuple[int, int]]:
        return _counting(self.kept.spent.get(charge.key, []), charge.seconds, now.timestamp())


def _cause(permit: Permit, rules: tuple[str, ...]) -> LabelCause:
    call, target = permit.invocation, permit.invocation.target
    what = call.method
    if target is not None:
        # A URI that a client asked for may hold what must not be seen.
        what = f"{call.server}/{target.name if target.inspected else what}"
    return LabelCause(call.id, call.now.timestamp(), what[:300], tuple(sorted({*permit.rules, *rules})))


def _is_call(invocation: Invocation) -> bool:
    """Asking about a task is not another call: how often a client has to ask is up to the server."""
    return not invocation.method.startswith("tasks/")


def _tool_key(invocation: Invocation) -> str | None:
    target = invocation.target
    return f"{invocation.server}/{target.name}" if target is not None and target.kind == "tool" else None
