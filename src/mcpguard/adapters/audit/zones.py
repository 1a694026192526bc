"""What the calls of a passage have at each place of their arguments: which kinds of values, and the least and
the greatest of them (a zone map).

Law of this file: a value that one of the calls has is always inside. What is not known, such as what is
deeper than is looked at, may be anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from math import inf
from os.path import commonprefix
from typing import Any

from msgspec import Struct, msgpack
from msgspec.structs import replace

NULL, FALSE, TRUE, NUMBER, STRING, LIST, MAP = (1 << place for place in range(7))
_KINDS = {type(None): NULL, int: NUMBER, float: NUMBER, str: STRING, list: LIST, dict: MAP}
_LONGEST, _LAST = 32, 12
"""The characters that are kept of the beginning and of the end of a text."""
LAST_CHARACTER = "\U0010ffff"
_EXACT = 10**15
"""A number of this size or more is taken for any such number: an engine may round it."""
_MOST_LEVELS, _MOST_MEMBERS = 5, 256
_MOST_BYTES = 16 << 10
"""Of what is stored of a passage."""


class Zone(Struct, frozen=True, array_like=True):
    """The values at one place: of which `kinds` they are, and whether some of the maps around it lack it
    (`absent`).

    `numbers` and `sizes` (of texts, lists and maps) are the least and the greatest. All texts are between the
    first two of `texts`, and end with the third. `items` are the elements of lists, `members` those of
    maps; where `unlisted`, there may be others.
    """

    kinds: int = 0
    absent: bool = False
    numbers: tuple[float, float] | None = None
    sizes: tuple[int, int] | None = None
    texts: tuple[str, str, str] | None = None
    items: Zone | None = None
    members: dict[str, Zone] = {}
    unlisted: bool = False

    def member(self, key: str) -> Zone | None:
        """What maps here have of that name; None where that is not known."""
        if found := self.members.get(key):
            return found
        return None if self.unlisted and self.kinds & MAP else Zone(absent=True)

    def element(self) -> Zone | None:
        """What lists here contain; None where that is not known, and for maps, whose elements are keys."""
        return None if self.kinds & MAP or self.unlisted else self.items or Zone()


Zones = dict[str, Zone]
"""By the name that conditions have for it."""
_packed = msgpack.Encoder().encode
_unpacked = msgpack.Decoder(Zones).decode


def packed(zones: Zones) -> bytes:
    """What is stored; b"", which says nothing, of what is too much."""
    stored = _packed(zones)
    return stored if len(stored) <= _MOST_BYTES else b""


def unpacked(stored: bytes) -> Zones:
    """Of what `packed` gave."""
    return _unpacked(stored) if stored else {}


def zone_of(values: Sequence[Any], levels: int = _MOST_LEVELS, room: list[int] | None = None) -> Zone:
    """That of these values of JSON. It looks at that many `levels` of members and elements, and at no more
    members than there is `room` for."""
    room = room or [_MOST_MEMBERS]
    some: dict[type, Sequence[Any]] = {kind: () for kind in set(map(type, values))}
    for kind in some:
        some[kind] = values if len(some) == 1 else [one for one in values if type(one) is kind]
    texts, lists, maps = (some.get(kind, ()) for kind in (str, list, dict))
    sizes = {*map(len, texts), *map(len, lists), *map(len, maps)}
    numbers = [edge for kind in (int, float) if kind in some for edge in (min(some[kind]), max(some[kind]))]
    elements = list(chain.from_iterable(lists)) if levels else []
    columns = _columns(maps) if levels else {}
    listed = list(islice(columns.items(), room[0]))
    room[0] -= len(listed)
    return Zone(
        _kinds(some),
        numbers=_widened(min(numbers), max(numbers)) if numbers else None,
        sizes=(min(sizes), max(sizes)) if sizes else None,
        texts=_around(texts) if texts else None,
        items=zone_of(elements, levels - 1, room) if elements else None,
        members={
            key: replace(zone_of(column, levels - 1, room), absent=len(column) < len(maps))
            for key, column in listed
        },
        unlisted=len(columns) > len(listed) or not levels,
    )


def _kinds(some: Mapping[type, Sequence[Any]]) -> int:
    found = 0
    for kind, values in some.items():
        if kind is bool:
            found |= (TRUE if True in values else 0) | (FALSE if False in values else 0)
        else:
            found |= _KINDS[kind]
    return found


def joined(one: Zone, other: Zone) -> Zone:
    """That of the values of both."""
    lacking = [zone for zone in (one, other) if zone.kinds & MAP]
    members = {
        key: replace(
            joined(*found) if len(found) == 2 else found[0],
            absent=any(zone.absent for zone in found) or len(found) < len(lacking),
        )
        for key in one.members | other.members
        if (found := [zone.members[key] for zone in lacking if key in zone.members])
        and all(key in zone.members or not zone.unlisted for zone in lacking)
    }
    texts = [zone.texts for zone in (one, other) if zone.texts]
    return Zone(
        one.kinds | other.kinds,
        one.absent or other.absent,
        numbers=_edges(one.numbers, other.numbers),
        sizes=_edges(one.sizes, other.sizes),
        texts=(min(texts)[0], max(text[1] for text in texts), _end(text[2] for text in texts))
        if texts
        else None,
        items=joined(one.items, other.items) if one.items and other.items else one.items or other.items,
        members=dict(islice(members.items(), _MOST_MEMBERS)),
        unlisted=one.unlisted or other.unlisted or len(members) > _MOST_MEMBERS,
    )


def _columns(maps: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The values of each member of these maps. Maps with the same members are taken apart together."""
    alike: dict[tuple[str, ...], list[Iterable[Any]]] = {}
    for one in maps:
        alike.setdefault(tuple(one), []).append(one.values())
    columns: dict[str, list[Any]] = {}
    for keys, rows in alike.items():
        for key, column in zip(keys, zip(*rows, strict=True), strict=True):
            columns.setdefault(key, []).extend(column)
    return columns


def _edges(one: tuple[Any, Any] | None, other: tuple[Any, Any] | None) -> Any:
    """What includes both ranges."""
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])


def _widened(least: float, greatest: float) -> tuple[float, float]:
    low = -inf if least <= -_EXACT else min(least, _EXACT)
    return low, inf if greatest >= _EXACT else max(greatest, -_EXACT)


def _around(texts: Iterable[str]) -> tuple[str, str, str]:
    least, greatest = min(texts), max(texts)
    above = greatest[:_LONGEST] + LAST_CHARACTER
    if len(greatest) <= _LONGEST or above < greatest:
        above = greatest
    return least[:_LONGEST], above, _end({text[-_LAST:] for text in texts})


def _end(texts: Iterable[str]) -> str:
    """What all of them end with."""
    return commonprefix([text[::-1] for text in texts])[::-1]  # noqa: RUF071 - of characters
