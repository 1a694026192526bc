"""The table of pins, in either database: how servers defined their tools and prompts, and what was accepted.

Law of this file: nothing that a server lists takes away what is known of it, so that it cannot make a changed
definition count as a first one. Where there is no more room, what is new is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mcpguard.adapters.store.tickets import Database, alone
from mcpguard.core.model import Listed
from mcpguard.core.policy.pins import MOST_TEXT, Hold, Pin, Standing, standing
from mcpguard.protocol.jsonrpc import ordered
from mcpguard.protocol.names import alike

MOST_NAMES = 20_000
"""How many definitions are remembered of one server and kind."""
MOST_HELD = 8
"""How many definitions of one name that nobody has accepted, and how many that were: the latest."""
MOST_TEXTS = 1 << 25
"""Bytes that are kept of all definitions of one server and kind; past them, only
their digests."""
_AT_ONCE = 50

TABLE = (
    "CREATE TABLE IF NOT EXISTS pins ("
    " server TEXT NOT NULL, place TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,"
    " digest TEXT NOT NULL, accepted INTEGER NOT NULL, since REAL NOT NULL, by_whom TEXT NOT NULL,"
    " text BLOB NOT NULL, PRIMARY KEY (server, place, kind, name, digest)"
    ")"
)
_KNOWN = (
    "SELECT name, digest, accepted FROM pins WHERE server = ? AND place = ? AND kind = ? AND name IN ({})"
    " ORDER BY since"
)
_COUNT = "SELECT count(*) FROM pins WHERE server = ? AND place = ? AND kind = ?"
_NAMES = "SELECT DISTINCT name FROM pins WHERE server = ? AND kind = ?"
_TEXTS = "SELECT sum(length(text)) FROM pins WHERE server = ? AND place = ? AND kind = ?"
_ALL = "SELECT * FROM pins ORDER BY server, kind, name, since"
_OPEN = (
    "SELECT * FROM pins WHERE (server, place, kind, name) IN"
    " (SELECT server, place, kind, name FROM pins WHERE accepted = 0) ORDER BY server, kind, name, since"
)
_FULL = "SELECT DISTINCT server, place FROM pins GROUP BY server, place, kind HAVING count(*) >= ?"
_INSERT = "INSERT INTO pins VALUES "
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
_HELD = (
    "SELECT 1 FROM pins"
    " WHERE server = ? AND place = ? AND kind = ? AND name = ? AND digest = ? AND accepted = 0"
)
_ACCEPT = (
    "UPDATE pins SET accepted = 1, since = ?, by_whom = ?"
    " WHERE server = ? AND place = ? AND kind = ? AND name = ? AND digest = ?"
)
_REMOVE = "DELETE FROM pins WHERE server = ? AND place = ? AND kind = ? AND name = ? AND digest = ?"
_OTHERS = "DELETE FROM pins WHERE server = ? AND place = ? AND kind = ? AND name = ? AND accepted = 0"
_FORGET = "DELETE FROM pins WHERE server = ?"

_Known = dict[str, dict[str, bool]]
"""By name: whether each digest was accepted, the latest last."""


def pin(
    database: Database, place: str, listed: Sequence[Listed], hold: Hold, now: float
) -> tuple[bool, dict[str, Standing]]:
    """Whether anything was stored, and as `ports.Store.pin`."""
    known = _known(database, place, listed)
    found = _standings(known, listed, hold)
    is_back = _with_others_held(known, listed)
    if not is_back and not any(one.is_new for one in found.values()):
        return False, found
    where = listed[0].server, place, listed[0].kind
    if _count(database, where) >= MOST_NAMES:  # Nothing is locked for what cannot be stored.
        return False, _changed({name: _unstored(one, hold) for name, one in found.items()})
    with alone(database):
        known = _known(database, place, listed)
        found = _standings(known, listed, hold)
        count = _count(database, where)
        left = _room_for_texts(database, where, count + len(listed))
        rows = list[tuple[object, ...]]()
        for one in listed:
            if (new := found.get(one.name)) is None or not new.is_new:
                continue
            if count + len(rows) >= MOST_NAMES:
                found[one.name] = _unstored(new, hold)
                continue
            text = ordered({**one.descriptor, "name": one.name})[: max(0, min(MOST_TEXT, left))]
            left -= len(text)
            rows.append((one.server, place, one.kind, one.name, one.digest, int(not new.held), now, "", text))
            _make_room(database, place, one, known.get(one.name, {}), not new.held)
        for one in is_back:
            database.execute(_OTHERS, (one.server, place, one.kind, one.name))
        for at in range(0, len(rows), _AT_ONCE):
            some = rows[at : at + _AT_ONCE]
            cells = tuple(cell for row in some for cell in row)
            database.execute(_INSERT + ", ".join([_ROW] * len(some)), cells)
    return True, _changed(found)


def _changed(found: dict[str, Standing]) -> dict[str, Standing]:
    return {name: one for name, one in found.items() if one.held or one.before}


def _unstored(one: Standing, hold: Hold) -> Standing:
    """How a definition stands if there is no room to remember it."""
    return Standing(held=hold != "report", is_full=True) if one.is_new else one


def _count(database: Database, where: tuple[str, str, str]) -> int:
    return int(database.execute(_COUNT, where).fetchone()[0])


def _room_for_texts(database: Database, where: tuple[str, str, str], count: int) -> int:
    """Bytes; where so many definitions fit however long they are, they are not added up."""
    if count * MOST_TEXT <= MOST_TEXTS:
        return MOST_TEXTS
    return MOST_TEXTS - int(database.execute(_TEXTS, where).fetchone()[0] or 0)


def _known(database: Database, place: str, listed: Sequence[Listed]) -> _Known:
    """What is known of these names."""
    known: _Known = {}
    names = [one.name for one in listed]
    where = listed[0].server, place, listed[0].kind, *names
    for name, digest, accepted in database.execute(
        _KNOWN.format(", ".join("?" * len(names))), where
    ).fetchall():
        known.setdefault(name, {})[digest] = bool(accepted)
    return known


def _standings(known: _Known, listed: Iterable[Listed], hold: Hold) -> dict[str, Standing]:
    none: dict[str, bool] = {}
    found = ((one.name, standing(known.get(one.name, none), one.digest, hold)) for one in listed)
    return {name: one for name, one in found if one is not None}


def _with_others_held(known: _Known, listed: Iterable[Listed]) -> list[Listed]:
    """Those that are accepted as they are listed now, of whose names another definition is held: there is
    nothing to decide about that any more."""
    here = ((one, known.get(one.name, {})) for one in listed)
    return [one for one, digests in here if digests.get(one.digest) and not all(digests.values())]


def _make_room(database: Database, place: str, one: Listed, known: dict[str, bool], accepted: bool) -> None:
    """Remove the oldest definitions of a name that stand as the next one does, where there are too many."""
    alike_ones = [digest for digest, was in known.items() if was is accepted]
    for digest in alike_ones[: max(0, len(alike_ones) - MOST_HELD + 1)]:
        database.execute(_REMOVE, (one.server, place, one.kind, one.name, digest))


def has_listed(database: Database, server: str, kind: str, name: str) -> bool:
    """See `ports.Store.has_listed`."""
    wanted = alike(name)
    return any(alike(str(one)) == wanted for (one,) in database.execute(_NAMES, (server, kind)).fetchall())


def every(database: Database, open_only: bool) -> list[Pin]:
    """All definitions that are known, or those of names of which one is held; by server and name, the latest
    of each name last."""
    return [_pin(*row) for row in database.execute(_OPEN if open_only else _ALL).fetchall()]


def full(database: Database) -> list[tuple[str, str]]:
    """The servers, each with its place, of which no more definitions can be remembered."""
    return [(str(server), str(place)) for server, place in database.execute(_FULL, (MOST_NAMES,)).fetchall()]


def _pin(server: str, place: str, kind: str, name: str, digest: str, *more: Any) -> Pin:
    accepted, since, by, text = more
    text = bytes(text).decode("utf-8", "replace")
    return Pin(server, place, kind, name, digest, bool(accepted), since, by, text)


def accepted(database: Database, chosen: Sequence[Pin], by: str, now: float) -> bool:
    """Accept these definitions, for `by`, and forget the others of their names that are held; false, and
    nothing is changed, where one of them is not held any more."""
    names = [(one.server, one.place, one.kind, one.name) for one in chosen]
    with alone(database):
        for one, name in zip(chosen, names, strict=True):
            if database.execute(_HELD, (*name, one.digest)).fetchone() is None:
                return False
        for one, name in zip(chosen, names, strict=True):
            database.execute(_ACCEPT, (now, by, *name, one.digest))
            database.execute(_OTHERS, name)
    return True


def forgotten(database: Database, server: str) -> bool:
    """Forget how a server of that name defined anything; false where nothing is known of it."""
    return bool(database.execute(_FORGET, (server,)).rowcount)
