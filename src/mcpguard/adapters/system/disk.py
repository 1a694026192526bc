"""Work that may wait for a disk, in a thread, so that the loop waits for a bounded time or not at all; and a
thread that answers where the loop cannot, while a disk hangs under its own write.

Law of this file: as long as the loop turns, it is asked whether it does, at most once a second, and nothing
else is done. While it does not, probes of life are answered, everything else on a new connection is told
to come back, and a signal to end is obeyed.
"""

import asyncio
import errno
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Literal, TypeVar

T = TypeVar("T")

HOLD_SECONDS = 10.0
"""How long everything else waits for a piece of work; then it counts as failed."""
TRUST_SECONDS = 0.05
"""For this long after the disk has answered, work is done without a thread: a thread costs more than a write,
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
        """Do `work`, and wait for it for at most this long."""
        future = self.submit(work)
        with suppress(TimeoutError):
            future.exception(seconds)
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
        Raises OSError if the disk has not responded for HOLD_SECONDS, and then at once for as long as it does
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
        raise OSError(errno.ETIMEDOUT, "the disk has not responded for several seconds")

    def end(self) -> None:
        """End the thread; it starts again with the next work."""
        self._thread.end()

    def _trusted(self, found: T) -> T:
        self._trusted_until = time.monotonic() + TRUST_SECONDS
        return found


def to_loop(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *given: object) -> None:
    """Have `loop` call it, from any thread; nothing happens where the loop has ended meanwhile."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *given)


STUCK_SECONDS = 1.0
"""A loop that has not turned for this long is blocked."""
END_SECONDS = 3.0
"""A signal to end is obeyed without the loop if it is blocked for this long afterwards."""
REQUEST_SECONDS = 0.5
"""How long a probe may take to say what it wants."""
LOOK_SECONDS = 5.0
"""How often it is asked where nothing comes from outside."""
LIVE = (b"/livez", b"/healthz")
_ENDING = frozenset({signal.SIGTERM, signal.SIGINT})


class Standby:
    """One per process that serves."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, report: Callable[[str, Literal["info", "warning"]], None]
    ) -> None:
        """`report` takes a line for the operator, and its level, in any thread."""
        self._loop = loop
        self._report = report
        self._listener: socket.socket | None = None
        # Where asyncio's handlers of signals write their numbers, which it reads when the loop turns. Its
        # public interface does not give this end.
        self._woken: socket.socket | None = getattr(loop, "_ssock", None)
        self._ended = threading.Event()
        self._told_at = 0.0

    def start(self, listener: int | None = None) -> None:
        """Begin; `listener` is the descriptor that clients connect to over HTTP."""
        if listener is not None:
            self._listener = socket.socket(fileno=os.dup(listener))
        if self._woken is not None:
            threading.Thread(target=self._run, name="mcpguard-standby", daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        if self._listener is not None:
            self._listener.close()

    def _run(self) -> None:
        with suppress(OSError, ValueError):  # The loop or the listener was closed: the process ends.
            while not self._ended.is_set():
                watched = [one for one in (self._woken, self._listener) if one is not None]
                select.select(watched, [], [], LOOK_SECONDS)
                turned = self._ping()
                # Twice, since a whole process that was stopped for a while was not blocked.
                held = not turned.wait(STUCK_SECONDS) and not turned.wait(STUCK_SECONDS / 4)
                if held and not self._ended.is_set():
                    self._stand_in(turned)
                self._ended.wait(STUCK_SECONDS)

    def _ping(self) -> threading.Event:
        turned = threading.Event()
        to_loop(self._loop, turned.set)
        return turned

    # --- the loop is blocked ---------------------------------------------------------------------

    def _stand_in(self, turned: threading.Event) -> None:
        began = time.monotonic()
        self._report(
            "the event loop is blocked, for example by a disk that does not respond: nothing is served now",
            "warning",
        )
        while not turned.wait(0.05) and not self._ended.is_set():
            self._obey()
            if self._listener is not None and select.select([self._listener], [], [], 0.05)[0]:
                self._answer(self._listener)
        if not self._ended.is_set():
            seconds = time.monotonic() - began + STUCK_SECONDS
            self._report(f"the event loop runs again, after {seconds:.1f} s", "info")

    def _obey(self) -> None:
        assert self._woken is not None  # noqa: S101 - without it there is no thread
        try:
            numbers = self._woken.recv(4096, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if _ENDING.isdisjoint(numbers):
            return
        self._told_at = self._told_at or time.monotonic()
        if time.monotonic() - self._told_at >= END_SECONDS:
            said = "asked to stop, but the event loop is blocked: stopping without the last records"
            self._report(said, "warning")
            # What was started is ended by the watchdog of each, as after a kill.
            os._exit(1)

    def _answer(self, listener: socket.socket) -> None:
        try:
            connection, _peer = listener.accept()
        except BlockingIOError:  # The loop was quicker.
            return
        with suppress(OSError), connection:
            connection.settimeout(REQUEST_SECONDS)
            words = connection.recv(4096).split(b"\r\n", 1)[0].split(b" ")
            live = len(words) > 1 and words[0] in (b"GET", b"HEAD") and words[1] in LIVE
            status, text = (b"200 OK", b"ok") if live else (b"503 Service Unavailable", b"blocked")
            head = b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n" % (status, len(text))
            body = b"" if words[0] == b"HEAD" else text
            connection.sendall(head + b"retry-after: 1\r\nconnection: close\r\n\r\n" + body)
