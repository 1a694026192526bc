"""For which servers the policies are only observed: what they refuse is recorded and goes on, until a day.

Law of this file: only a configuration says so, of servers by the names that it gives them; it lasts at most
MOST_DAYS, and before and after them it changes nothing.
"""

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

MOST_DAYS = 31
"""How many days ahead its last day may be."""

_DAY = timedelta(days=1)

ObservedNow = Literal["too far ahead", "on", "over"]


class Observation(Struct, frozen=True):
    """`end` is the first moment after its last day, in UTC."""

    servers: frozenset[str]
    end: datetime

    def at(self, now: datetime) -> ObservedNow:
        """How it is then. One that ends too far ahead has not begun, so that a clock which is set back, or a
        wrong year, makes none of it."""
        if now >= self.end:
            return "over"
        return "on" if now >= self.end - (MOST_DAYS + 1) * _DAY else "too far ahead"

    def covers(self, server: str, now: datetime) -> bool:
        """Whether what the policies refuse of this server goes on."""
        return server in self.servers and self.at(now) == "on"

    @property
    def until(self) -> str:
        """Its last day, YYYY-MM-DD."""
        return (self.end - _DAY).date().isoformat()

    @property
    def said(self) -> str:
        """Which servers, until when."""
        return f"{', '.join(sorted(self.servers))} until the end of {self.until} (UTC)"
