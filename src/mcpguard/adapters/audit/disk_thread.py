"""A thread that stores evidence, so that the loop does not wait for a disk."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue

RETRY_SECONDS = 0.5
"""How often it is tried whether evidence can be written again."""
GATHER_SECONDS = 0.002
"""How long "group" gathers."""
STALL_SECONDS = 5.0
"""A write in a thread that takes longer has failed for those who wait for it."""
HOLD_SECONDS = 10.0
"""The same for one that everything else waits for."""
TRUST_SECONDS = 0.05
"""How long after a write the next one of "flush" is done where everything else is."""
MANY = 8
"""Records from which on "flush" has a thread write them."""
END_SECONDS = 3.0
"""How long the last records may take when the process ends."""


class DiskThread:
    """One thread, which does one thing after another. Nobody waits for it at the end of the process, as the
    threads of an executor are waited for: a disk may hang. It begins with the first thing to do."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = SimpleQueue()
        self._begun = False

    def submit(self, work: Callable[[], None]) -> "Future[None]":
        """Do `work` after what was submitted before."""
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._run, name="mcpguard-audit", daemon=True).start()
        future: Future[None] = Future()
        self._work.put((future, work))
        return future

    def within(self, seconds: float, work: Callable[[], None]) -> "Future[None]":
        """Do `work`, and wait for that so long at most."""
        future = self.submit(work)
        wait([future], seconds)
        return future

    def end(self) -> None:
        """End after what was submitted before."""
        self._work.put(None)

    def _run(self) -> None:
        while (one := self._work.get()) is not None:
            future, work = one
            try:
                work()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(None)
            del one, future, work  # What was stored is not kept until there is more.
