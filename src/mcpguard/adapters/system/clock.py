"""The real clock."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial


class SystemClock:
    """Implements `ports.Clock`."""

    now = staticmethod(partial(datetime.now, UTC))
    """See `ports.Clock.now`."""

    seconds = staticmethod(time.perf_counter)
    """See `ports.Clock.seconds`."""

    def later(self, seconds: float, then: Callable[[], None]) -> Callable[[], None]:
        return asyncio.get_running_loop().call_later(seconds, then).cancel
