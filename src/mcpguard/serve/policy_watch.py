"""Policy files that change while mcpguard serves: taken whole, or not at all.

Law of this file: what cannot be loaded never takes the place of what is in force, and a file that is being
written is not read: it must look the same at two looks in a row. Whatever happens, it looks again.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mcpguard.core.errors import PolicyError
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.gateway.ports import Clock

LOOK_SECONDS = 0.5
"""How often the files are looked at; a change is in force after two looks."""

Look = tuple[tuple[int, int, int] | None, ...]
"""What tells a file from what it was, for each file; None for one that is not there."""


def look_at(paths: Sequence[Path]) -> Look:
    """How the files look now. Taken before they are loaded, it lets no change slip by."""
    found: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            about = os.stat(path)
            found.append((about.st_mtime_ns, about.st_size, about.st_ino))
        except OSError:
            found.append(None)
    return tuple(found)


class PolicyWatch:
    """Looks at the files until it is closed."""

    def __init__(
        self,
        paths: Sequence[Path],
        loaded: Look,
        load: Callable[[], PolicySet],
        clock: Clock,
        changed: Callable[[PolicySet], None],
        refused: Callable[[PolicyError], None],
    ) -> None:
        """`loaded` is how the files looked before those in force were loaded. `load()` reads the files;
        `changed(policies)` takes what it gave, `refused(problems)` hears once of each change that cannot be
        taken."""
        self._paths = paths
        self._load = load
        self._clock = clock
        self._changed = changed
        self._refused = refused
        self._taken = self._seen = loaded
        self._stop: Callable[[], None] = clock.later(LOOK_SECONDS, self._again)

    def close(self) -> None:
        """Look no more."""
        self._stop()

    def _again(self) -> None:
        self._stop = self._clock.later(LOOK_SECONDS, self._again)
        look, seen = look_at(self._paths), self._seen
        self._seen = look
        if look != self._taken and look == seen:
            self._take(look)

    def _take(self, look: Look) -> None:
        try:
            found: PolicySet | PolicyError = self._load()
        except PolicyError as problems:
            found = problems
        if look_at(self._paths) != look:
            return  # It was written while it was read.
        self._taken = look
        if isinstance(found, PolicySet):
            self._changed(found)
        else:
            self._refused(found)
