"""Policy files that change while mcpguard serves: taken whole, or not at all.

Law of this file: what cannot be loaded never takes the place of what is in force, and a file that is being
written is not read: it must look the same at two looks in a row.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mcpguard.core.errors import PolicyError
from mcpguard.core.policy import PolicySet
from mcpguard.ports import Clock

LOOK_SECONDS = 0.5
"""How often the files are looked at; a change is in force after two looks."""

_Look = tuple[tuple[int, int, int] | None, ...]


class PolicyWatch:
    """Looks at the files until it is closed."""

    def __init__(
        self,
        paths: Sequence[Path],
        load: Callable[[], PolicySet],
        clock: Clock,
        changed: Callable[[PolicySet], None],
        refused: Callable[[PolicyError], None],
    ) -> None:
        """`load()` reads the files; `changed(policies)` takes what it gave, `refused(problems)` hears once of
        each change that cannot be taken."""
        self._paths = paths
        self._load = load
        self._clock = clock
        self._changed = changed
        self._refused = refused
        self._taken = self._seen = self._look()
        self._stop: Callable[[], None] = clock.later(LOOK_SECONDS, self._again)

    def close(self) -> None:
        """Look no more."""
        self._stop()

    def _again(self) -> None:
        look = self._look()
        if look != self._taken and look == self._seen:
            self._taken = look
            self._take()
        self._seen = look
        self._stop = self._clock.later(LOOK_SECONDS, self._again)

    def _take(self) -> None:
        try:
            policies = self._load()
        except PolicyError as problems:
            self._refused(problems)
        else:
            self._changed(policies)

    def _look(self) -> _Look:
        found: list[tuple[int, int, int] | None] = []
        for path in self._paths:
            try:
                about = os.stat(path)
                found.append((about.st_mtime_ns, about.st_size, about.st_ino))
            except OSError:
                found.append(None)
        return tuple(found)
