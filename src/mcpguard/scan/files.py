"""The files in folders, as sources; and git, which lists them and only reads.

Law of this file: no link is followed but one that was named, only regular files are opened, and what cannot
be read is reported. A repository may be anybody's, so no filter, hook, monitor or program of its
configuration is called, and nothing is fetched.
"""

import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, BinaryIO

from mcpguard.adapters.system.guarded import found
from mcpguard.scan.sources import ScanError, ScanSource, Skipped

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
    lines = said.decode("utf-8", "replace").strip().splitlines() or ["it failed without a message"]
    first = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[0])
    return f"git: {first.removeprefix('fatal: ').removeprefix('error: ')}"


_GIT = ".git"
_LIST = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")


def files(
    paths: Sequence[Path], ignored: bool = False, own: Path | None = None
) -> Iterator[ScanSource | Skipped]:
    """All files of `paths`, which are files and folders, each once. What git ignores in its repositories is
    left out, unless `ignored`; so is what is in `.git`, and in the folder `own`, which is mcpguard's."""
    left_out = "" if own is None else os.path.join(os.path.realpath(own), "")
    seen: set[str | Skipped] = set()
    for path in paths:
        real, named = os.path.realpath(path), os.path.abspath(path)
        for one in _in(path, ignored):
            # Below what was named no link is followed, so this is what each file really is.
            what = one if isinstance(one, Skipped) else real + one.file.removeprefix(named)
            if what in seen or (left_out and isinstance(what, str) and what.startswith(left_out)):
                continue
            seen.add(what)
            yield one


def _in(path: Path, ignored: bool) -> Iterator[ScanSource | Skipped]:
    if path.is_dir():
        yield from _folder(path, ignored)
    elif path.is_file():
        yield _source(path, follow=True)
    elif not path.exists():
        said = ": `mcpguard scan --stdin` reads standard input" if path == Path("-") else ""
        yield Skipped(shown(path), f"there is no such file or folder{said}")
    else:
        yield Skipped(shown(path), "not a regular file: pipe its contents to `mcpguard scan --stdin`")


def _folder(folder: Path, ignored: bool) -> Iterator[ScanSource | Skipped]:
    git = None if ignored else _repository(folder)
    names = _walked(folder) if git is None else _listed(git)
    for name in names:
        if isinstance(name, Skipped):
            yield name
            continue
        path = folder / name
        try:
            kind = os.lstat(path).st_mode
        except FileNotFoundError:
            continue  # It was deleted, and git does not know it yet.
        except OSError as error:
            yield _skipped(path, error)
            continue
        if stat.S_ISDIR(kind):  # A repository within the repository.
            yield from _folder(path, ignored)
        elif stat.S_ISREG(kind):
            yield _source(path)


def _repository(folder: Path) -> Git | None:
    """The repository that has the files of this folder, if one has."""
    try:
        git = Git(folder)
    except ScanError:
        return None
    if not git.does("rev-parse", "--show-toplevel") or git.does("check-ignore", "-q", "."):
        return None
    return git


def _listed(git: Git) -> Iterator[str | Skipped]:
    yield from dict.fromkeys(os.fsdecode(name) for name in git.parts(*_LIST))
    yield from (Skipped(shown(git.folder), f"git: {said}") for said in git.warnings)


def _walked(folder: Path) -> Iterator[str | Skipped]:
    unread: list[OSError] = []
    for where, folders, names in os.walk(folder, onerror=unread.append):
        folders[:] = sorted(name for name in folders if name != _GIT)
        for name in sorted(names):
            yield os.path.relpath(os.path.join(where, name), folder)
    yield from (_skipped(Path(str(error.filename)), error) for error in unread)


def _skipped(path: Path, error: OSError) -> Skipped:
    return Skipped(shown(path), why(error))


def why(error: OSError) -> str:
    """Why something cannot be read."""
    return f"cannot be read: {(error.strerror or 'the system does not say why').lower()}"


def shown(path: Path) -> str:
    """A path as reports call it: names need not be UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def _source(path: Path, follow: bool = False) -> ScanSource:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)

    def opened() -> BinaryIO:
        return open(path, "rb", buffering=0, opener=lambda name, _: os.open(name, flags))

    return ScanSource(shown(path), os.path.abspath(path), opened)
