"""The real clock, and one that nobody sets."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path

from msgspec import Struct

STEP_SECONDS = 10.0
"""A clock that jumps by this much from one moment to the next was set; time services adjust it by less."""
TOLD_SECONDS = 3600.0
"""How long it stays a warning."""
SET_BACK = (
    "the clock was set back by {}: records keep their order, but their times repeat, and limits "
    "release nothing until the clock has caught up"
)
SET_FORWARD = "the clock was set forward by {}: limits, approvals and tokens expire that much earlier"


class SystemClock:
    """Implements `ports.Clock`."""

    now = staticmethod(partial(datetime.now, UTC))
    """See `ports.Clock.now`."""

    seconds = staticmethod(time.perf_counter)
    """See `ports.Clock.seconds`."""

    def later(self, seconds: float, then: Callable[[], None]) -> Callable[[], None]:
        return asyncio.get_running_loop().call_later(seconds, then).cancel


class Uptime(Struct, frozen=True):
    """A time that nobody sets: seconds since the machine started, of that start."""

    boot: str
    seconds: float


def elapsed() -> float:
    """Seconds of a clock that goes on while the machine sleeps, as leases do at their sources."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def uptime() -> Uptime:
    """Now."""
    return Uptime(_boot(), elapsed())


class SetClocks:
    """Notices when somebody sets the clock of the machine."""

    def __init__(
        self,
        told: Callable[[str], None],
        wall: Callable[[], float] = time.time,
        running: Callable[[], float] = elapsed,
    ) -> None:
        """`told` gets a sentence, once each time; `wall()` gives seconds since 1970, `running()` seconds of a
        monotonic clock."""
        self._told = told
        self._wall = wall
        self._running = running
        self._apart = wall() - running()
        self._warning, self._until = "", 0.0

    def look(self) -> str:
        """A warning for the operator, "" if the clock was not set within TOLD_SECONDS."""
        now = self._running()
        apart = self._wall() - now
        step, self._apart = apart - self._apart, apart
        if abs(step) >= STEP_SECONDS:
            by = timedelta(seconds=round(abs(step)))
            self._warning, self._until = (
                (SET_BACK if step < 0 else SET_FORWARD).format(by),
                now + TOLD_SECONDS,
            )
            self._told(self._warning)
        return self._warning if now < self._until else ""


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:  # Not Linux: then the second in which it started says which start it was.
        return str(round(time.time() - time.monotonic(), -1))
