"""Files that change while mcpguard serves: taken whole, or not at all.

Law of this file: what cannot be loaded never takes the place of what is in force, and a file that is being
written is not read: it must look the same at two looks in a row. Whatever happens, it looks again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from mcpguard.core.errors import DocumentError
from mcpguard.gateway.ports import Clock

LOOK_SECONDS = 0.5
"""How often the files are looked at; a change is in force after two looks."""

Look = tuple[tuple[int, int, int, int] | None, ...]
"""What tells a file from what it was, for each file; None for one that is not there. Who copies may
keep size, time and inode, but nobody sets `ctime`."""

T = TypeVar("T")


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
    ) -> None:
        """`loaded` is how the files looked before what is in force was loaded. `load()` reads them;
        `changed(found)` takes what it gave, `refused(problems)` hears once of each change that cannot be
        taken."""
        self._paths = paths
        self._load = load
        self._clock = clock
        self._changed = changed
        self._refused = refused
        self._taken = self._seen = loaded
        self._stop: Callable[[], None] = clock.later(LOOK_SECONDS, self._again)

    def close(self) -> None:
        self._stop()

    def look_also_at(self, paths: Sequence[Path]) -> None:
        """From now on a change of these counts too, instead of those that were named before."""
        self._paths = (self._paths[0], *paths)
        self._taken = self._seen = look_at(self._paths)

    def now(self) -> None:
        """Load the files, changed or not. If one is being written they are loaded when that is over."""
        self._take(look_at(self._paths))

    def _again(self) -> None:
        self._stop = self._clock.later(LOOK_SECONDS, self._again)
        look, seen = look_at(self._paths), self._seen
        self._seen = look
        if look != self._taken and look == seen:
            self._take(look)

    def _take(self, look: Look) -> None:
        problems: DocumentError | None = None
        try:
            found = self._load()
        except DocumentError as error:
            problems = error
        if look_at(self._paths) != look:
            return  # It was written while it was read.
        self._taken = look
        if problems is None:
            self._changed(found)
        else:
            self._refused(problems)
