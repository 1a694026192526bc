"""One call in flight: a coroutine that is resumed in the same turn in which its answer arrives.

Law of this file: no task, no future and no pass through the event loop for a call whose every step
has its value at once or gets it from a `Wait`. That is what lets the whole path be written as one
plain coroutine (`gateway/gateway.py`) and still cost microseconds. An asyncio future may be awaited as well
(a scan in a thread); the flight then resumes from that future's callback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Cancelled(Exception):
    """Thrown into a flight whose caller no longer wants the answer. `args[0]` is the reason."""


class Wait(Generic[T]):
    """A value that will be there later; any number of flights may await it.

    `set` and `fail` resume the waiting flights at once, in the order in which they came. The first
    of the two wins; later ones are ignored.
    """

    __slots__ = ("_error", "_resumes", "_value", "done")

    def __init__(self) -> None:
        self.done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._resumes: list[Callable[[Wait[Any]], None]] = []

    @property
    def value(self) -> T | None:
        """What was given, None while nothing was or an error."""
        return self._value

    def set(self, value: T) -> None:
        """Give the value and resume who waits."""
        if not self.done:
            self.done = True
            self._value = value
            self._wake()

    def fail(self, error: BaseException) -> None:
        """Give an error instead: it is raised at each `await`."""
        if not self.done:
            self.done = True
            self._error = error
            self._wake()

    def _wake(self) -> None:
        resumes, self._resumes = self._resumes, []
        for resume in resumes:
            resume(self)

    def then(self, resume: Callable[[Wait[Any]], None]) -> None:
        """Call `resume(self)` once the value is there (at once if it is)."""
        if self.done:
            resume(self)
        else:
            self._resumes.append(resume)

    def __await__(self) -> Generator[Wait[T], None, T]:
        if not self.done:
            yield self
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]


class Flight:
    """Drives one coroutine. It starts when constructed and may be over when the constructor returns.

    An exception that leaves the coroutine goes to the event loop's exception handler: the path
    itself turns every failure into a refusal, so one that gets here is a defect.
    """

    __slots__ = ("_coroutine", "_waiting", "over")

    def __init__(self, coroutine: Coroutine[Any, None, None]) -> None:
        self.over = False
        self._coroutine = coroutine
        self._waiting: object = None
        self._step(None)

    def _resumed(self, wait: object) -> None:
        if wait is self._waiting:
            self._step(None)

    def _step(self, error: BaseException | None) -> None:
        self._waiting = None
        try:
            waiting = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
        except StopIteration:
            self.over = True
            return
        except Exception as defect:
            self.over = True
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a flight ended with an exception", "exception": defect}
            )
            return
        self._waiting = waiting
        if isinstance(waiting, Wait):
            waiting.then(self._resumed)
        else:
            waiting._asyncio_future_blocking = False
            waiting.add_done_callback(self._resumed)

    def cancel(self, reason: str) -> None:
        """Raise `Cancelled(reason)` where the flight waits; nothing happens if it is over."""
        self.interrupt(Cancelled(reason))

    def interrupt(self, error: Exception) -> None:
        """Raise `error` where the flight waits; nothing happens if it is over."""
        if not self.over:
            self._step(error)


def as_future(wait: Wait[T]) -> asyncio.Future[T]:
    """A future of the running loop for `wait`, so that an ordinary task can await it."""
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def resume(done: Wait[T]) -> None:
        if future.done():
            return
        if done._error is not None:
            future.set_exception(done._error)
        else:
            future.set_result(done._value)  # type: ignore[arg-type]

    wait.then(resume)
    return future
