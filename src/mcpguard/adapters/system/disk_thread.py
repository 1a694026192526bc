"""A thread that does what may wait for a disk, so that the loop does not, or not without end."""

import errno
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

HOLD_SECONDS = 10.0
"""What everything else waits for has failed if it takes longer."""
TRUST_SECONDS = 0.05
"""How long after the disk has answered the next thing is done where everything else is: a thread costs more
than a write, which most likely ends where the one before did a moment ago."""


class DiskThread:
    """One thread, which does one thing after another. Nobody waits for it at the end of the process, as the
    threads of an executor are waited for: a disk may hang. It begins with the first thing to do."""

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
        """Do `work`, and wait for that so long at most."""
        future = self.submit(work)
        wait([future], seconds)
        return future

    def end(self) -> None:
        """End after what was submitted before; what is submitted later begins again."""
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
            del one, future, work  # What was stored is not kept until there is more.


class WaitedDisk:
    """Does what has to be done before anything else, and gives up where the disk hangs: in a thread that is
    waited for, unless the disk answered a moment ago."""

    def __init__(self, name: str, back: Callable[[], None]) -> None:
        """`back()` is called when what was given up has ended, before anything else is done."""
        self._thread = DiskThread(name)
        self._back = back
        self._trusted_until = 0.0
        self._hung: Future[Any] | None = None

    def do(self, work: Callable[[], T]) -> T:
        """Gives and raises what `work` does. Raises OSError where the disk has not answered for HOLD_SECONDS,
        and at once as long as it does not; the work that it hangs at may still be done."""
        if self._hung is not None and self._hung.done():
            self._hung = None
            self._back()
        if self._hung is None:
            if time.monotonic() < self._trusted_until:
                return self._trusted(work())
            future = self._thread.within(HOLD_SECONDS, work)
            if future.done():
                return self._trusted(future.result())
            self._hung = future
        raise OSError(errno.ETIMEDOUT, "the disk has not answered for seconds")

    def _trusted(self, found: T) -> T:
        self._trusted_until = time.monotonic() + TRUST_SECONDS
        return found
