"""git, as far as it only reads: nothing that a repository configures runs, and nothing is fetched.

Law of this file: a repository may be anybody's, so no filter, hook, monitor or program of its configuration
is called.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from mcpguard.adapters.system.guarded import found
from mcpguard.scan.sources import ScanError

_QUIET = (
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "protocol.allow=never"),
    "--no-replace-objects",
    "--no-pager",
)
_VARIABLES = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
_PIECE = 1 << 16


class Git:
    """The repository that `folder` is in."""

    def __init__(self, folder: Path) -> None:
        """Raises ScanError where git is missing."""
        program = found("git", os.environ.get("PATH"))
        if program is None:
            raise ScanError("git is not installed, or is not in PATH")
        self.folder = folder
        self.warnings: list[str] = []
        """What commands said that did not fail, such as which folder they could not read."""
        self._words = (program, "-C", str(folder), *_QUIET)

    def does(self, *words: str) -> bool:
        with TemporaryFile() as said, self._started(words, said) as process:
            process.communicate()
        return process.returncode == 0

    def parts(self, *words: str) -> Iterator[bytes]:
        """What a command prints, as it comes, in the parts that end in NUL. Raises ScanError with git's own
        sentence where it fails."""
        with TemporaryFile() as said:
            with self._started(words, said) as process:
                try:
                    yield from _parts(_there(process.stdout))
                    failed = process.wait()
                finally:
                    process.kill()
            said.seek(0)
            told = said.read()
            if failed:
                raise ScanError(_sentence(told))
            self.warnings += told.decode("utf-8", "replace").splitlines()

    @contextmanager
    def talking(self, *words: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """What a command reads, and what it prints, until the block ends."""
        with TemporaryFile() as said, self._started(words, said) as process:
            try:
                yield _there(process.stdin), _there(process.stdout)
            finally:
                process.kill()

    def _started(self, words: tuple[str, ...], said: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._words, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env=os.environ | _VARIABLES,
        )


def _parts(out: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while piece := out.read(_PIECE):
        *parts, rest = (rest + piece).split(b"\0")
        yield from parts
    if rest:
        yield rest


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ScanError("git has no standard input or output")
    return pipe


def _sentence(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines() or ["it failed without saying why"]
    first = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[0])
    return f"git: {first.removeprefix('fatal: ').removeprefix('error: ')}"
