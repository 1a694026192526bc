"""Work that may wait for a disk, in a thread, so that the loop waits for a bounded time or not at all."""

import errno
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

HOLD_SECONDS = 10.0
"""How long everything else waits for a piece of work; then it counts as failed."""
TRUST_SECONDS = 0.05
"""For so long after the disk has answered, work is done without a thread: a thread costs more than a write,
and if the last write did not hang, this one is unlikely to."""


class DiskThread:
    """One thread, which does one piece of work after another and starts with the first. Unlike the threads of
    an executor, it is not joined at the end of the process: a disk may hang."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], object]] | None] = SimpleQueue()
        self._begun = False

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Do `work` after what was submitted before."""
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        future: Future[T] = Future()
        self._work.put((future, work))
        return future

    def within(self, seconds: float, work: Callable[[], T]) -> Future[T]:
        """Do `work`, and wait for it for at most so long."""
        future = self.submit(work)
        wait([future], seconds)
        return future

    def end(self) -> None:
        """End after what was submitted before; the thread starts again with whatever is submitted later."""
        if self._begun:
            self._begun = False
            self._work.put(None)

    def _run(self) -> None:
        while (one := self._work.get()) is not None:
            future, work = one
            try:
                found = work()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(found)
                del found
            del one, future, work  # Nothing is kept alive while the thread waits for more.


class WaitedDisk:
    """Does work that everything else has to wait for, and gives up if the disk hangs: in a thread, unless the
    disk answered a moment ago."""

    def __init__(self, name: str) -> None:
        self._thread = DiskThread(name)
        self._trusted_until = 0.0
        self._hung: Future[Any] | None = None

    def do(self, work: Callable[[], T], back: Callable[[], None]) -> T:
        """Return or raise what `work` does; `back()` is called first if work that was given up has finished.
        Raises OSError if the disk has not answered for HOLD_SECONDS, and then at once for as long as it does
        not answer; the work that hangs may still be done later."""
        if self._hung is not None and self._hung.done():
            self._hung = None
            back()
        if self._hung is None:
            if time.monotonic() < self._trusted_until:
                return self._trusted(work())
            future = self._thread.within(HOLD_SECONDS, work)
            if future.done():
                return self._trusted(future.result())
            self._hung = future
        raise OSError(errno.ETIMEDOUT, "the disk has not answered for seconds")

    def end(self) -> None:
        """End the thread; it starts again with the next work."""
        self._thread.end()

    def _trusted(self, found: T) -> T:
        self._trusted_until = time.monotonic() + TRUST_SECONDS
        return found
