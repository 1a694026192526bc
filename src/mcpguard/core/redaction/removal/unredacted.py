"""What stays although it has the format of a secret: exceptions of a policy, by kind and place.

Law of this file: an exception is about a format, never about a held value, and what it lets through is told.
"""

from collections.abc import Callable, Mapping

from mcpguard.core.model import Detection
from mcpguard.core.redaction.leaves import Layout, Leaves, Order

EXCEPT = "-"
"""Begins an exception among the kinds that are asked for: "-KIND" or "-KIND PATH"."""


def exception(kind: str, path: str = "") -> str:
    """The exception for this kind, at the JSON Pointer `path` and below it; "*" in it is any one member."""
    return f"{EXCEPT}{kind} {path}".rstrip()


def exception_in_words(one: str) -> str:
    """An exception as a person reads it."""
    return one.removeprefix(EXCEPT)


def kinds_in(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `wanted` that are not exceptions."""
    return tuple(one for one in wanted if not one.startswith(EXCEPT))


class ExceptionsInForce:
    """The exceptions among what is `wanted`; `kinds` are the others. `found` is what they let through."""

    def __init__(self, wanted: tuple[str, ...]) -> None:
        self.kinds = kinds_in(wanted)
        self.found: dict[Detection, None] = {}
        self._paths: dict[str, list[list[str]]] = {}
        for one in wanted:
            if not one.startswith(EXCEPT):
                continue
            kind, _, path = one.removeprefix(EXCEPT).partition(" ")
            self._paths.setdefault(kind, []).append(path.split("/")[1:])

    def covers(self, kind: str) -> bool:
        """Whether there is any exception for this kind."""
        return kind in self._paths

    def over(self, leaves: Leaves, order: Order) -> "Stays":
        """What it covers in a text that is made of the `leaves` in this order."""
        if not self._paths:
            return nothing
        return CoveredSpans(self, leaves.pointers(), order, Layout(order.arranged(leaves.parts()))).stays

    def lets(self, kind: str, place: str) -> bool:
        """Whether something of this kind stays at the JSON Pointer `place`; "" is that of a name."""
        steps = place.split("/")[1:]
        return any(
            len(path) <= len(steps)
            and all(want in ("*", step) for want, step in zip(path, steps, strict=False))
            for path in self._paths[kind]
        )


Stays = Callable[[int, int, str], bool]
"""Whether what is found from a start to an end stays, by its kind."""


def nothing(_start: int, _end: int, _kind: str) -> bool:
    """A Stays without exceptions."""
    return False


class CoveredSpans:
    """The exceptions, for one order of the leaves."""

    def __init__(
        self, unredacted: ExceptionsInForce, places: Mapping[int, str], order: Order, layout: Layout
    ) -> None:
        self._unredacted = unredacted
        self._places = places
        self._order = order
        self._layout = layout

    def stays(self, start: int, end: int, kind: str) -> bool:
        """A Stays: all leaves that it lies in must be covered."""
        if not self._unredacted.covers(kind):
            return False
        touched = [place for place, _, _ in self._layout.touched(start, end)]
        places = [self._places.get(self._order.part(place), "") for place in touched]
        if not all(self._unredacted.lets(kind, place) for place in places):
            return False
        self._unredacted.found |= {Detection(kind, place): None for place in places}
        return True
