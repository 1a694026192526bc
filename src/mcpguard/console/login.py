"""Who may see the page: a link that works once, and the cookie that it is exchanged for.

Law of this file: a link and a cookie are 256 bits of the system's chance, live in this process alone and are
compared in constant time; a link is used up by the first who brings it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hmac import compare_digest

from msgspec import Struct

LINK_SECONDS = 120.0
IDLE_SECONDS = 12 * 3600.0
MOST_VISITS = 16
"""How many browsers are let in at a time; the one that was quiet for longest has to come again."""


class Visit(Struct):
    """A browser that came by a link. `csrf` has to be in each form that it sends."""

    key: str
    csrf: str
    used: float


class Visits:
    """Links and visits of this process. `now` gives seconds that only go on."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._link = ""
        self._ends = 0.0
        self._visits: list[Visit] = []

    def link(self) -> str:
        """A new key, which takes the place of one that was not used."""
        self._link = secrets.token_urlsafe(32)
        self._ends = self._now() + LINK_SECONDS
        return self._link

    def opens(self, key: str) -> bool:
        """Whether the link with this key would let somebody in now."""
        return bool(self._link) and _same(key, self._link) and self._now() < self._ends

    def enter(self, key: str) -> Visit | None:
        """The visit of whoever brings this key; None where it is not the link's, was used, or has expired."""
        if not self.opens(key):
            return None
        self._link = ""
        visit = Visit(secrets.token_urlsafe(32), secrets.token_urlsafe(32), self._now())
        self._visits = sorted([*self._visits, visit], key=lambda one: one.used)[-MOST_VISITS:]
        return visit

    def visit(self, key: str, by_person: bool = True) -> Visit | None:
        """The visit with this cookie; None if no person used it in the last twelve hours.
        What a page asks for by itself is no use."""
        now = self._now()
        self._visits = [one for one in self._visits if now - one.used < IDLE_SECONDS]
        for one in self._visits:
            if _same(key, one.key):
                one.used = now if by_person else one.used
                return one
        return None

    def leave(self, visit: Visit) -> None:
        self._visits = [one for one in self._visits if one is not visit]


def _same(given: str, right: str) -> bool:
    return compare_digest(given.encode("utf-8", "surrogatepass"), right.encode())
