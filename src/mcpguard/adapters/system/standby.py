"""A thread that answers where the event loop cannot: while a disk hangs under the loop's own write.

Law of this file: as long as the loop turns, it is asked whether it does, at most once a second, and nothing
else is done. While it does not, probes of life are answered, everything else on a new connection is told
to come back, and a signal to end is obeyed.
"""

import asyncio
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

HELD_SECONDS = 1.0
"""A loop that has not turned for so long is held up."""
END_SECONDS = 3.0
"""A signal to end is obeyed without the loop if it is held up for so long afterwards."""
REQUEST_SECONDS = 0.5
"""How long a probe may take to say what it wants."""
LOOK_SECONDS = 5.0
"""How often it is asked where nothing comes from outside."""
LIVE = (b"/livez", b"/healthz")
_ENDING = frozenset({signal.SIGTERM, signal.SIGINT})


class Standby:
    """One per process that serves."""

    def __init__(self, loop: asyncio.AbstractEventLoop, report: Callable[[str], None]) -> None:
        """`report` takes a line for the operator, in any thread."""
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
                # Twice, since a whole process that was stopped for a while has not been held up.
                held = not turned.wait(HELD_SECONDS) and not turned.wait(HELD_SECONDS / 4)
                if held and not self._ended.is_set():
                    self._stand_in(turned)
                self._ended.wait(HELD_SECONDS)

    def _ping(self) -> threading.Event:
        turned = threading.Event()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(turned.set)
        return turned

    # --- the loop is held up ---------------------------------------------------------------------

    def _stand_in(self, turned: threading.Event) -> None:
        began = time.monotonic()
        self._report("the event loop is held up, as by a disk that does not answer: nothing is served now")
        while not turned.wait(0.05) and not self._ended.is_set():
            self._obey()
            if self._listener is not None and select.select([self._listener], [], [], 0.05)[0]:
                self._answer(self._listener)
        if not self._ended.is_set():
            self._report(f"the event loop turns again, after {time.monotonic() - began + HELD_SECONDS:.1f} s")

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
            self._report("told to end, and the event loop is held up: ending without the last records")
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
            status, text = (b"200 OK", b"ok") if live else (b"503 Service Unavailable", b"held up")
            head = b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n" % (status, len(text))
            body = b"" if words[0] == b"HEAD" else text
            connection.sendall(head + b"retry-after: 1\r\nconnection: close\r\n\r\n" + body)
