"""The life of an upstream, in values: when it may be started again, and how it is.

Law of this file: nothing here acts; it says what may be done and what is.
"""

import os
from collections.abc import Callable

from msgspec import Struct

from mcpguard.adapters.relay.turn import Turn
from mcpguard.core.errors import InspectionError
from mcpguard.core.model import Permit
from mcpguard.gateway.ports import Listener
from mcpguard.protocol import eras

FIRST_SECONDS = 0.5
"""How long after its first failure an upstream is left alone."""
MOST_SECONDS = 60.0
"""The longest that it is left alone; a life of this length ends the series of failures."""

SHOWN = 200
"""Characters of a broken message that the operator sees."""


class Terms(Struct, frozen=True, kw_only=True):
    """Everything that one upstream is told once.

    `listener` is whom it is greeted for, and who hears it.
    `report(name, line)` takes the operator's lines; `clean` takes out of a text what must not be seen.
    `changed()` is called when the state of the upstream changes; `noted(what, detail)` takes what an
    auditor wants to know of its life, inspected.
    `lane` is the credential that this process was started with, "" for the server's own; None where each
    request says which it is sent with. Nothing is listed from a lane with a credential, so there is nothing
    to list again.
    `start_seconds` bounds start and greeting together, `call_seconds` one request, `message_bytes` one
    message.
    """

    name: str
    turn: Turn
    listener: Listener
    report: Callable[[str, str], None]
    clean: Callable[[str], str]
    start_seconds: float
    call_seconds: float
    message_bytes: int
    changed: Callable[[], None] = lambda: None
    noted: Callable[[str, str], None] = lambda _what, _detail: None
    lane: str | None = None


class SessionMemory(Struct):
    """What outlives a conversation: the requests of `prepare` by method, the resources that are subscribed,
    and the most verbose level of logs that any request of a modern client has wanted so far."""

    prepared: dict[str, Permit]
    uris: dict[str, None]
    wanted: str | None = None

    @property
    def level(self) -> str | None:
        """The level of log messages that a legacy client has set, None for none."""
        permit = self.prepared.get(eras.SET_LEVEL)
        level = (permit.invocation.params or {}).get("level") if permit is not None else None
        return level if type(level) is str else None

    def want(self, level: str) -> None:
        """Take the level of one request; an unknown one changes nothing."""
        levels = eras.LEVELS
        if level in levels and (self.wanted is None or levels.index(level) < levels.index(self.wanted)):
            self.wanted = level


def lasting(seconds: float) -> str:
    """A length of time in words."""
    return "1 second" if seconds == 1 else f"{seconds:g} seconds"


def inspected(clean: Callable[[str], str], text: str) -> str:
    """`text` without what must not be seen; all of it is withheld where that cannot be found out."""
    try:
        return clean(text) if text else ""
    except InspectionError:
        return "withheld, since it could not be inspected"


def jitter() -> float:
    """From 0.8 to below 1.2, so that what failed together does not come back together."""
    return 0.8 + 0.4 * os.urandom(1)[0] / 256


class Backoff:
    """How long to leave alone what has failed: 0.5 s, and each time twice as long, up to a minute."""

    def __init__(self, spread: Callable[[], float] = jitter) -> None:
        """`spread` gives a factor for each pause."""
        self._spread = spread
        self._failures = 0
        self._until = 0.0

    def failed(self, now: float, healthy: bool) -> float:
        """It has failed or ended at `now` (monotonic seconds); `healthy` says that it had served before.
        Gives the pause in seconds."""
        self._failures = 0 if healthy else self._failures
        pause = min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(self._failures, 16)) * self._spread()
        self._failures += 1
        self._until = now + pause
        return pause

    def remaining(self, now: float) -> float:
        """Seconds until the next try, 0 or less if it may be now."""
        return self._until - now
