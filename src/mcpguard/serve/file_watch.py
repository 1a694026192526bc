"""Files that change while mcpguard serves: taken whole, or not at all.

Law of this file: what cannot be loaded never takes the place of what is in force, and a file that is being
written is not read: it must look the same at two looks in a row. Whatever happens, it looks again. Loading
takes long, so it is done beside serving (law 8), and what is loaded is taken in the loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from mcpguard.adapters.system.disk import DiskThread, to_loop
from mcpguard.core.errors import DocumentError
from mcpguard.gateway.ports import Clock

LOOK_SECONDS = 0.5
"""How often the files are looked at; a change is in force after two looks."""

Look = tuple[tuple[int, int, int, int] | None, ...]
"""What tells a file from what it was, for each file; None for one that is not there. Who copies may
keep size, time and inode, but nobody sets `ctime`."""

T = TypeVar("T")

Beside = Callable[[Callable[[], T], Callable[[Callable[[], T]], None]], None]
"""Does work elsewhere, then calls with what gives its result, or raises what it raised; one after another."""


def in_thread(thread: DiskThread, loop: asyncio.AbstractEventLoop) -> Beside[Any]:
    """Work is done in `thread`, and what follows in `loop`."""

    def beside(work: Callable[[], T], then: Callable[[Callable[[], T]], None]) -> None:
        thread.submit(work).add_done_callback(lambda done: to_loop(loop, then, done.result))

    return beside


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
        beside: Beside[T],
    ) -> None:
        """`loaded` is how the files looked before what is in force was loaded. `load()` reads them, done by
        `beside`; `changed(found)` takes what it gave, `refused(problems)` hears once of each change that
        cannot be taken."""
        self._paths = paths
        self._load = load
        self._clock = clock
        self._changed = changed
        self._refused = refused
        self._beside = beside
        self._loading = self._closed = False
        self._asked: Callable[[], None] | None = None
        """What follows once the files were loaded because somebody asked for it; None where nobody has."""
        self._taken = self._seen = loaded
        self._stop: Callable[[], None] = clock.later(LOOK_SECONDS, self._again)

    def close(self) -> None:
        self._closed = True
        self._stop()

    def look_also_at(self, paths: Sequence[Path]) -> None:
        """From now on a change of these counts too, instead of those that were named before."""
        self._paths = (self._paths[0], *paths)
        self._taken = self._seen = look_at(self._paths)

    def now(self, then: Callable[[], None]) -> None:
        """Load the files, changed or not, and call `then()` when what they are is in force or refused. If one
        is being written they are loaded when that is over."""
        self._asked = then
        if not self._loading:
            self._take(look_at(self._paths))

    def _again(self) -> None:
        self._stop = self._clock.later(LOOK_SECONDS, self._again)
        look, seen = look_at(self._paths), self._seen
        self._seen = look
        if look != self._taken and look == seen and not self._loading:
            self._take(look)

    def _take(self, look: Look) -> None:
        self._loading = True
        then, self._asked = self._asked, None
        self._beside(self._load, lambda found: self._loaded(found, look, then))

    def _loaded(self, found: Callable[[], T], look: Look, then: Callable[[], None] | None) -> None:
        self._loading = False
        if self._closed:
            return
        try:
            self._decide(found, look)
        finally:
            if then is not None:
                then()
            if self._asked is not None and not (self._closed or self._loading):
                self._take(look_at(self._paths))

    def _decide(self, found: Callable[[], T], look: Look) -> None:
        problems: DocumentError | None = None
        try:
            loaded = found()
        except DocumentError as error:
            problems = error
        if look_at(self._paths) != look:
            return  # It was written while it was read.
        self._taken = look
        if problems is None:
            self._changed(loaded)
        else:
            self._refused(problems)
