"""One call in flight: a coroutine that is resumed in the same turn in which its answer arrives.

Law of this file: no task, no future and no pass through the event loop for a call whose every step
has its value at once or gets it from a `Wait`. That is what lets the whole path be written as one
plain coroutine (`gateway/path.py`) and still cost microseconds. An asyncio future may be awaited as well
(a scan in a thread); the flight then resumes from that future's callback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

from msgspec import Struct, field

T = TypeVar("T")


class Cancelled(Exception):
    """Thrown into a flight whose caller no longer wants the answer. `args[0]` is the reason."""


class Wait(Struct, Generic[T], eq=False, kw_only=True):
    """A value that will be there later; any number of flights may await it.

    `set` and `fail` resume the waiting flights at once, in the order in which they came. The first
    of the two wins; later ones are ignored.
    """

    done: bool = False
    _value: T | None = None
    _error: BaseException | None = None
    _resumes: list[Callable[[Wait[Any]], None]] = field(default_factory=list)

    @property
    def value(self) -> T | None:
        """What was given, None while nothing was or an error."""
        return self._value

    @property
    def ok(self) -> bool:
        """Whether the value is there."""
        return self.done and self._error is None

    def set(self, value: T) -> None:
        """Give the value and resume whoever waits."""
        if not self.done:
            self.done = True
            self._value = value
            resumes, self._resumes = self._resumes, []
            for resume in resumes:
                resume(self)

    def fail(self, error: BaseException) -> None:
        """Give an error instead: it is raised at each `await`."""
        if not self.done:
            self.done = True
            self._error = error
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


class Flight(Struct, eq=False):
    """Drives one coroutine. It starts when constructed and may be over when the constructor returns.

    `ended(error)` is called once it is over, with the exception that left the coroutine, None for none;
    without it an exception goes to the event loop's exception handler.
    """

    _coroutine: Coroutine[Any, Any, object]
    _ended: Callable[[BaseException | None], None] | None = None
    _waiting: object = None
    over: bool = False

    def __post_init__(self, wait: object = None, error: Exception | None = None) -> None:
        """Go on: at the beginning, when `wait`, for which it waits, is over, or with `error` thrown in."""
        if wait is not self._waiting or self.over:
            return
        self._waiting = None
        try:
            waiting = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
        except StopIteration:
            self._end(None)
        except (Exception, asyncio.CancelledError) as left:
            self._end(left)
        else:
            self._waiting = waiting
            resumes = getattr(waiting, "_resumes", None)  # `isinstance` takes four times as long.
            if resumes is not None:
                resumes.append(self._resume)
            else:
                waiting._asyncio_future_blocking = False
                waiting.add_done_callback(self._resume)

    _resume = __post_init__

    def _end(self, error: BaseException | None) -> None:
        self.over = True
        ended, self._ended = self._ended, None  # Whoever is told may hold this flight: no cycle is left.
        if ended is not None:
            ended(error)
        elif error is not None:
            # The path itself turns every failure into a refusal, so this is a defect.
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a flight ended with an exception", "exception": error}
            )

    def cancel(self, reason: str) -> None:
        """Raise `Cancelled(reason)` where the flight waits; nothing happens if it is over."""
        self.interrupt(Cancelled(reason))

    def interrupt(self, error: Exception) -> None:
        """Raise `error` where the flight waits; nothing happens if it is over."""
        self._resume(self._waiting, error)


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
