"""A thread that stores evidence, so that the loop does not wait for a disk."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue


class DiskThread:
    """One thread, which does one thing after another. Nobody waits for it at the end of the process, as the
    threads of an executor are waited for: a disk may hang."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="mcpguard-audit", daemon=True).start()

    def submit(self, work: Callable[[], None]) -> "Future[None]":
        """Do `work` after what was submitted before."""
        future: Future[None] = Future()
        self._work.put((future, work))
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
