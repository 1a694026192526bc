"""Files that change while mcpguard serves: taken whole, or not at all.

Law of this file: files that cannot be loaded never replace what is in force, and a file that is being
written is not loaded: two checks in a row must find it unchanged, or, if that never happens, its text
must be the same before and after it was read. Whatever happens, it is checked again. Loading is slow, and a
check may hang with its disk, so both run in a thread (law 8); the loaded result is applied in the loop.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Generic, TypeVar

from msgspec import Struct

from mcpguard.adapters.system.disk import DiskThread, to_loop
from mcpguard.config.policies import read_document
from mcpguard.core.errors import DocumentError
from mcpguard.gateway.ports import Clock

LOOK_SECONDS = 0.5
"""How often the files are looked at; a change is in force after two looks."""

SETTLE_SECONDS = 5.0
"""For how long a change may be left alone because the files do not look the same twice."""

Look = tuple[tuple[int, int, int, int] | None, ...]
"""What tells a file from what it was, for each file; None for one that is not there. Who copies may
keep size, time and inode, but nobody sets `ctime`."""

T = TypeVar("T")
R = TypeVar("R")

Beside = Callable[[Callable[[], Any], Callable[[Callable[[], Any]], None]], None]
"""Does work elsewhere, then calls with what gives its result, or raises what it raised; one after another."""


def in_thread(thread: DiskThread, loop: asyncio.AbstractEventLoop) -> Beside:
    """Work is done in `thread`, a little at a time, and what follows in `loop`."""

    def beside(work: Callable[[], T], then: Callable[[Callable[[], T]], None]) -> None:
        thread.submit(lambda: with_pauses(work)).add_done_callback(
            lambda done: to_loop(loop, then, done.result)
        )

    return beside


WORK_SECONDS, PAUSE_SECONDS = 0.002, 0.003
"""How long a thread beside the loop works at a time, and pauses then."""


def with_pauses(work: Callable[[], T]) -> T:
    """Do `work` with a pause after each WORK_SECONDS: a call lets go of the interpreter some ten times, and
    each time it would wait until this thread lets go of it."""
    began = time.monotonic()

    def pause(*_: object) -> None:
        nonlocal began
        if time.monotonic() - began > WORK_SECONDS:
            time.sleep(PAUSE_SECONDS)
            began = time.monotonic()

    # It is called at each call of a function in this thread, so what reads and compiles need not know of it.
    sys.setprofile(pause)
    try:
        return work()
    finally:
        sys.setprofile(None)


def look_at(paths: Sequence[Path]) -> Look:
    """How the files look now. Taken before they are loaded, it lets no change slip by."""
    found: list[tuple[int, int, int, int] | None] = []
    for path in paths:
        try:
            about = os.stat(path)
            found.append((about.st_mtime_ns, about.st_size, about.st_ino, about.st_ctime_ns))
        except OSError:
            found.append(None)
    return tuple(found)


def _texts_of(paths: Sequence[Path]) -> list[str]:
    """Digests of what is written in the files; "" for what cannot be read."""
    found: list[str] = []
    for path in paths:
        try:
            found.append(sha256(read_document(path, DocumentError).encode()).hexdigest())
        except DocumentError:
            found.append("")
    return found


class _Loaded(Struct, Generic[T]):
    """What files gave that looked the same before and after: `value`, or what is wrong with them."""

    paths: tuple[Path, ...]
    """Those to look at from now on: with problems, also those that have them."""
    look: Look
    value: T | DocumentError | None
    """None where their text is what was loaded last."""
    texts: list[str]


class FileWatch(Generic[T]):
    """Looks at the files until it is closed."""

    def __init__(
        self,
        paths: Sequence[Path],
        loaded: Look,
        load: Callable[[], T],
        clock: Clock,
        changed: Callable[[T], None],
        refused: Callable[[DocumentError], None],
        beside: Beside,
        waits: Callable[[float], None],
        unsettled: Callable[[bool], None],
    ) -> None:
        """`loaded` is how the files looked before what is in force was loaded. `load()` reads them, done by
        `beside`; `changed(found)` takes what it gave, `refused(problems)` hears once of each change that
        cannot be taken. `waits(seconds)` hears for how long the files have not answered, 0 once they do.
        `unsettled(late)` hears that a change was not taken since they change all the time, False once it
        is."""
        self._own = self._paths = tuple(paths)
        self._load = load
        self._clock = clock
        self._changed = changed
        self._refused = refused
        self._beside = beside
        self._waits = waits
        self._unsettled = unsettled
        self._changing: float | None = None
        """Since when there is a change that was not taken, None for none."""
        self._late = False
        self._texts: list[str] = []
        """Digests of what was loaded last because of its text; none where it was for its look."""
        self._since: float | None = None
        """When the look or the load began that is not over, None for none."""
        self._closed = False
        self._asked: Callable[[], None] | None = None
        """What follows once the files were loaded because somebody asked for it; None where nobody has."""
        self._taken = self._seen = loaded
        self._stop: Callable[[], None] = clock.later(LOOK_SECONDS, self._again)

    def close(self) -> None:
        self._closed = True
        self._stop()

    def now(self, then: Callable[[], None]) -> None:
        """Load the files, changed or not, and call `then()` when what they are is in force or refused. If one
        is being written they are loaded when that is over."""
        self._asked = then
        self._take_asked()

    def _again(self) -> None:
        self._stop = self._clock.later(LOOK_SECONDS, self._again)
        if self._since is None:
            paths = self._paths
            self._do(lambda: look_at(paths), self._looked)
        else:
            self._waits(self._clock.seconds() - self._since)

    def _looked(self, found: Callable[[], Look]) -> None:
        look, seen, now = found(), self._seen, self._clock.seconds()
        self._seen = look
        if look == self._taken:
            self._settles()
            return
        since = self._changing = now if self._changing is None else self._changing
        if look == seen and now - since < SETTLE_SECONDS:
            self._take(look)
        elif now - since >= SETTLE_SECONDS:
            self._take(None, by_text=True)

    def _take_asked(self) -> None:
        if self._asked is not None and self._since is None and not self._closed:
            self._take(None)

    def _take(self, look: Look | None, by_text: bool = False) -> None:
        """Load the files where they look like this, None for as they are; `by_text` if their text, not their
        look, is the same before and after."""
        then, self._asked = self._asked, None
        paths = self._paths
        self._do(lambda: self._read(paths, look, by_text), lambda found: self._loaded(found, then, by_text))

    def _settles(self, late: bool = False) -> None:
        self._changing = self._changing if late else None
        if late != self._late:
            self._late = late
            self._unsettled(late)

    def _do(self, work: Callable[[], R], then: Callable[[Callable[[], R]], None]) -> None:
        self._since = self._clock.seconds()

        def done(found: Callable[[], R]) -> None:
            self._since = None
            if self._closed:
                return
            self._waits(0.0)
            try:
                then(found)
            finally:
                self._take_asked()

        self._beside(work, done)

    def _read(self, paths: tuple[Path, ...], look: Look | None, by_text: bool) -> _Loaded[T] | None:
        """What `paths` give; None where one is being written."""
        while True:
            before, texts = look_at(paths), _texts_of(paths) if by_text else []
            if look not in (None, before):
                return None
            if by_text and texts == self._texts:
                return _Loaded(paths, before, None, texts)
            wrong: set[Path] = set()
            value: T | DocumentError
            try:
                value = self._load()
            except DocumentError as error:
                value = error
                wrong = {Path(name) for one in error.problems for name in (one.source, one.other) if name}
            kept = (*self._own, *sorted(wrong.difference(self._own)))
            if wrong.issubset(paths):
                break
            # What mends them counts too, and may come while the others are loaded.
            paths, look = kept, None
        if (_texts_of(paths) != texts) if by_text else (look_at(paths) != before):
            return None
        about = dict(zip(paths, before, strict=True))
        return _Loaded(kept, tuple(about[path] for path in kept), value, texts)

    def _loaded(
        self, found: Callable[[], _Loaded[T] | None], then: Callable[[], None] | None, by_text: bool
    ) -> None:
        try:
            loaded = found()
            if loaded is not None or by_text:
                self._settles(loaded is None)
            if loaded is not None:
                self._decide(loaded)
        finally:
            if then is not None:
                then()

    def _decide(self, loaded: _Loaded[T]) -> None:
        self._paths = loaded.paths
        self._taken = self._seen = loaded.look
        self._texts = loaded.texts
        if isinstance(loaded.value, DocumentError):
            self._refused(loaded.value)
        elif loaded.value is not None:
            self._changed(loaded.value)
