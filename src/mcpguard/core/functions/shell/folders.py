"""The folders that the commands of a line could run in: the first one, and those that `cd` enters.

Law of this file: a folder is forgotten only where a command runs for certain in another one, so each file is
named once for each folder that it could be in.
"""

from __future__ import annotations

from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.paths.path_within import path_within

MOST = 8
"""How many folders are followed."""


class Folders:
    """`entered`: all folders but the first. `unknown`: whether there are others, nobody knows which."""

    def __init__(self, folder: str = "") -> None:
        if folder and not folder.startswith("/"):
            raise FunctionError("shell() needs `folder` to be an absolute path")
        self.start = folder.rstrip("/") or folder
        self.here = {self.start}
        self.seen = {self.start}
        self.entered: set[str] = set()
        self.unknown = False
        self.divided = False

    @property
    def at_start(self) -> bool:
        """Whether a command can run in no other folder than the first."""
        return not self.unknown and self.here == {self.start}

    def files(self, name: str) -> set[str]:
        """`name` as it is called from the first folder, once for each folder that it could be in."""
        return {_join(folder, name) for folder in self.here}

    def holds(self, name: str) -> bool:
        """Whether a file is certainly the first folder, or below it."""
        try:
            return path_within(name, self.start or ".")
        except FunctionError:
            return False

    def enter(self, name: str) -> None:
        """A command of the line changes the folder; it may fail."""
        found = {_join(folder, name.rstrip("/") or name) for folder in self.here}
        self.here = {self.start if folder in (".", self.start) else folder for folder in found}
        self.seen |= self.here
        self.entered |= self.here - {self.start}
        if self.divided:
            self.anywhere()
        self.unknown = self.unknown or len(self.seen) > MOST

    def elsewhere(self, name: str) -> bool:
        """Whether a program that is told to work in the folder `name` does so in another than the first."""
        found = {_join(folder, name.rstrip("/") or name) for folder in self.here} - {".", self.start}
        self.entered |= found
        return bool(found)

    def lose(self) -> None:
        """A command of the line changes the folder, nobody knows to which."""
        self.unknown = True

    def divide(self) -> None:
        """From here on, and in what stands before, `cd` may have changed the folder only of what it is in."""
        self.divided = True
        self.anywhere()

    def anywhere(self) -> None:
        """What follows does not depend on whether the folder was changed."""
        self.here = set(self.seen)


def _join(folder: str, name: str) -> str:
    if name.startswith("/") or not folder:
        return name
    return folder if name == "." else f"{folder.rstrip('/')}/{name}"
