"""The folder that a program starts in where its configuration names none: empty, new for each start, and
ours.

Law of this file: whoever wrote in the folder of one start has written in that of no other (law 3). A launcher
(`npx`, `python -m`) runs what it finds in the folder that it starts in, with the server's credentials, so not
even what the same server left there may be there at its next start.
"""

import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from mcpguard.config.user_state import state_folder
from mcpguard.core.errors import UpstreamError

KEPT_SECONDS = 7 * 86400
"""How long a folder in which a server left files stays."""

_SCRIPTS = (".py", ".pyz", ".js", ".mjs", ".cjs", ".ts", ".mts", ".sh", ".rb", ".jar", ".php")
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def default_root() -> Path:
    """Where they are: `servers` in the user's state folder."""
    return state_folder("servers")


class OwnFolder(Struct, frozen=True):
    """Where one server starts; each start has a folder of its own in `root/server`."""

    root: Path
    server: str

    def make(self) -> str:
        """A new, empty folder of mode 0700. Raises UpstreamError where others could write in it."""
        above = self.root / self.server
        try:
            for folder in (self.root, above):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                facts = folder.lstat()
                if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & _OTHERS:
                    raise UpstreamError(
                        f"it would start in {above}, and {folder} is a link or can be changed by others: "
                        "remove it, and mcpguard creates it again"
                    )
            made = above / f"{os.getpid()}-{os.urandom(8).hex()}"
            made.mkdir(mode=0o700)
            return str(made)
        except OSError as problem:
            raise UpstreamError(
                f"no folder for it to start in could be made in {above}: {problem.strerror}; make it "
                "writable, or name a folder with `cwd`"
            ) from None

    def leave(self, folder: str) -> str:
        """The server has ended. What the operator should know, "" for nothing."""
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            return ""
        except OSError:
            return (
                f"it left files in the folder that it started in, {folder}, which is removed after a week: "
                "set `cwd` to start it in a permanent folder"
            )
        return ""


def sweep(root: Path) -> None:
    """Remove what servers left a week ago and more, unless the mcpguard that made it still runs."""
    oldest = time.time() - KEPT_SECONDS
    for folder in root.glob("*/*-*"):
        with suppress(OSError, ValueError):
            if folder.lstat().st_mtime < oldest and not _runs(int(folder.name.partition("-")[0])):
                from shutil import rmtree  # It brings three compressors along.

                rmtree(folder)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def relative_command(command: str) -> bool:
    """Whether `command` is a path that depends on the folder that it is started in."""
    return os.sep in command and not os.path.isabs(command)


def relative_arguments(args: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The arguments that are, or end in, a path which depends on the folder that the program is started in,
    as far as their form shows it, each with its index."""
    for index, word in enumerate(args):
        path = word.partition("=")[2] if word.startswith("-") else word
        # In a line for a shell the path is its last word; in a path with spaces it is the whole.
        absolute = os.path.isabs(word) or os.path.isabs(word.rpartition(" ")[2])
        plain = not word.startswith("-") and ":" not in word and not absolute
        dots = path in (".", "..") or path.startswith(("./", "../"))
        if dots or (plain and word.endswith(_SCRIPTS)):
            yield index, path


def not_from_here(words: Sequence[str]) -> str:
    """The warning about relative paths in the command and its arguments."""
    return (
        f"{' and '.join(words)} depend{'s' * (len(words) == 1)} on the folder that the server starts in, "
        "which is an empty one of mcpguard's: give the full path, or name a folder with `cwd`"
    )
