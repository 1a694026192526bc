"""The real clock, and one that nobody sets."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from msgspec import Struct


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


def uptime() -> Uptime:
    """Now."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return Uptime(_boot(), time.clock_gettime(clock))


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:  # Not Linux: then the second in which it started says which start it was.
        return str(round(time.time() - time.monotonic(), -1))
