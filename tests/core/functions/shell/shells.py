"""Real shells that run a line in a folder of its own, and what they did there.

Instead of programs there are stand-ins that write down how they were called. A shell is left out if this
machine does not have it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.core.functions.shell.shell_lines import PROGRAMS
from tests.wire.session import ready

SHELLS = {
    "bash": ["bash", "-c"],
    "dash": ["dash", "-c"],
    "busybox": ["busybox", "sh", "-c"],
    "zsh": ["zsh", "-f", "-c"],
}
REAL = ("env", "xargs", "find", "nice", "nohup", "timeout", "sh", "bash")
"""Programs that are no stand-ins, since shell() looks through them."""

_CONTENT = {
    "a.txt": "of a",
    "b.py": "of b",
    "c.py": "of c",
    "sub/d.txt": "of d",
    "-x": "of x",
    ".hid": "of hid",
}
_STAND_IN = r"""#!{shell}
read -r in
printf '%s\0' "${{0##*/}}" "$(pwd -P)" "$in" "$@" "END OF CALL" >> "$CALLS"
echo found -x
"""


class Call(NamedTuple):
    """One call of a program: where, with which first line of its input, and with which arguments."""

    program: str
    folder: str
    input: str
    args: tuple[str, ...]


class Done(NamedTuple):
    """What a line did: the programs that it called, and the files that it made, changed or removed."""

    calls: list[Call]
    changed: set[str]


def present() -> list[str]:
    """The shells of this machine."""
    return [name for name, argv in SHELLS.items() if shutil.which(argv[0])]


class Stage:
    """A folder for lines to run in. `dispose` removes nothing: the folder is one of pytest's."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "programs"
        self.calls = folder / "calls"
        self.root = folder / "root"
        self.programs.mkdir()
        stand_in = _STAND_IN.format(shell=shutil.which("dash") or "/bin/sh")
        for name in PROGRAMS:
            (self.programs / name).write_text(stand_in)
            (self.programs / name).chmod(0o755)
        for name in REAL:
            (self.programs / name).symlink_to(str(shutil.which(name)))
        self.before: dict[str, str] = {}

    def run(self, shell: str, line: str) -> Done:
        """What `shell` does with `line`."""
        if self.now() != _CONTENT:
            shutil.rmtree(self.root, ignore_errors=True)
            for name, text in _CONTENT.items():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                (self.root / name).write_text(text + "\n")
        self.calls.write_bytes(b"")
        argv = [str(shutil.which(SHELLS[shell][0])), *SHELLS[shell][1:], line]
        environment = {
            "PATH": str(self.programs),
            "CALLS": str(self.calls),
            "HOME": str(self.root),
            "LC_ALL": "C.UTF-8",
        }
        reads, ended = os.pipe()
        held = fcntl.fcntl(ended, fcntl.F_DUPFD, 200)  # Out of the way of a line's own descriptors.
        os.close(ended)
        with subprocess.Popen(
            argv, cwd=self.root, env=environment, start_new_session=True, pass_fds=(held,),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process, os.fdopen(reads):  # fmt: skip
            os.close(held)
            # It ends when all that the line started has ended, in the background as well.
            if not ready([reads], [], 10)[0]:
                os.killpg(process.pid, signal.SIGKILL)
        now = self.now()
        changed = {name for name in now.keys() | _CONTENT.keys() if now.get(name) != _CONTENT.get(name)}
        return Done(self.called(), changed)

    def now(self) -> dict[str, str]:
        """The files of the folder, with what they hold."""
        files = [path for path in self.root.rglob("*") if path.is_file()]
        return {
            str(path.relative_to(self.root)): path.read_text("utf-8").removesuffix("\n") for path in files
        }

    def called(self) -> list[Call]:
        fields = self.calls.read_bytes().decode("utf-8", "surrogateescape").split("\0")
        found: list[Call] = []
        while "END OF CALL" in fields:
            end = fields.index("END OF CALL")
            program, folder, given, *args = fields[:end]
            where = os.path.relpath(folder, self.root)
            found.append(Call(program, where, given, tuple(args)))
            del fields[: end + 1]
        return found
