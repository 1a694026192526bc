"""The real clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime


class SystemClock:
    """Implements `ports.Clock`."""

    def now(self) -> datetime:
        """See `ports.Clock.now`."""
        return datetime.now(UTC)

    seconds = staticmethod(time.perf_counter)
    """See `ports.Clock.seconds`."""

    def later(self, seconds: float, then: Callable[[], None]) -> Callable[[], None]:
        """See `ports.Clock.later`."""
        return asyncio.get_running_loop().call_later(seconds, then).cancel
