"""What was ever committed to a repository of git, as sources: each version of a file once, and what commits
and tags say.

Law of this file: each version is named by the first commit that has it, in merges too. What no branch, tag
or stash leads to is not found.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

from mcpguard.adapters.system.terminal import plain
from mcpguard.scan.files import Git, shown
from mcpguard.scan.sources import COMMIT, TAG, ScanError, ScanSource, Skipped

EVERYTHING = "--all"
"""As `revisions`: all branches, tags and stashes."""

_RAW = ("--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
_LOG = ("log", "--reverse", *_RAW, "-c", "--root", "--no-show-signature", "--encoding=UTF-8")
# NUL ends each part, and no message has one.
_SAID = "--format=%x01%H%x00%B%n%an <%ae>%n%cn <%ce>%x00"
_TAGS = (
    "for-each-ref",
    "--format=%(objecttype)%00%(*objectname)%00%(refname:strip=2)%00"
    "%(contents)%0a%(taggername) %(taggeremail)%00",
    "refs/tags",
)
_STAGED = ("diff", "--cached", *_RAW)
_SUBMODULE = b"160000"
_NOTHING = b"0"


def history(folder: Path, revisions: str = EVERYTHING) -> Iterator[ScanSource | Skipped]:
    """The versions of files that the commits of `revisions` (gitrevisions(7)) brought, oldest first. Raises
    ScanError where there is no repository, or no such revision."""
    git = _repository(folder)
    if revisions == EVERYTHING and b"true\n" in git.parts("rev-parse", "--is-shallow-repository"):
        yield Skipped(shown(folder), "this clone is shallow, so older commits are not read")
    if revisions != EVERYTHING:
        _check(git, revisions)
        yield from _sources(git, (*_LOG, _SAID, "--end-of-options", revisions, "--"))
    else:
        yield from _sources(git, (*_LOG, _SAID, EVERYTHING, "--"))
        yield from _tags(git)


def _check(git: Git, revisions: str) -> None:
    """Raise ScanError in git's own words for what is not a range, before anything is read."""
    try:
        list(git.parts("rev-list", "--max-count=1", "--end-of-options", revisions, "--"))
    except ScanError:
        if not os.path.lexists(revisions):
            raise
        path = plain(revisions)
        raise ScanError(
            f"{path} is a path, and `--git` takes a range of commits: `mcpguard scan {path} --git` scans the "
            "history of the repository that it is in"
        ) from None


def staged(folder: Path) -> Iterator[ScanSource]:
    """What the next commit would bring. Raises ScanError where there is no repository."""
    yield from _sources(_repository(folder), _STAGED)


def _repository(folder: Path) -> Git:
    git = Git(folder)
    if not git.does("rev-parse", "--git-dir"):
        raise ScanError(f"{folder} is not in a repository of git, or in one of another user")
    return git


def _sources(git: Git, words: tuple[str, ...]) -> Iterator[ScanSource]:
    top = next(_lines(git, "rev-parse", "--show-toplevel"), git.folder)
    seen: set[bytes] = set()
    with git.talking("cat-file", "--batch") as (ask, answer):
        for commit, path, blob in _versions(git, words):
            if path is None:
                yield _text_source(COMMIT, COMMIT, blob, commit)
            elif blob not in seen:
                seen.add(blob)
                yield ScanSource(shown(path), str(top / path), _Blob(blob, ask, answer).opened, commit)


def _lines(git: Git, *words: str) -> Iterator[Path]:
    try:
        for part in git.parts(*words):
            yield Path(part.decode("utf-8", "surrogateescape").rstrip("\n"))
    except ScanError:
        return  # A repository without files has no top.


def _text_source(path: str, name: str, text: bytes, commit: str) -> ScanSource:
    return ScanSource(path, name, lambda: nullcontext(io.BytesIO(text)), commit)


def _tags(git: Git) -> Iterator[ScanSource]:
    """What the tags say that say something."""
    parts = git.parts(*_TAGS)
    for kind in parts:
        commit, name, text = next(parts, b""), next(parts, b""), next(parts, b"")
        if kind.strip() == b"tag":
            path = TAG.replace(">", f" {name.decode('utf-8', 'replace')}>")
            yield _text_source(path, TAG, text, commit.decode())


def _versions(git: Git, words: tuple[str, ...]) -> Iterator[tuple[str, Path | None, bytes]]:
    """(commit, path, blob) of each version, as often as it came in; for what a commit says itself, which
    comes before, that in place of the blob, and no path."""
    commit = ""
    parts = git.parts(*words)
    for part in parts:
        head = part.lstrip(b"\n")
        if head.startswith(b"\x01"):
            commit = head[1:].decode()
            yield commit, None, next(parts, b"")
        elif head.startswith(b":"):
            path = Path(next(parts, b"").decode("utf-8", "surrogateescape"))
            # One mode and one blob for each parent, then those of the result.
            parents = len(head) - len(head.lstrip(b":"))
            words_of = head.lstrip(b":").split(b" ")
            mode, blob = words_of[parents], words_of[2 * parents + 1]
            if mode != _SUBMODULE and blob.strip(_NOTHING):
                yield commit, path, blob


class _Blob:
    """One blob, read from the process that gives them one after the other."""

    def __init__(self, name: bytes, ask: IO[bytes], answer: IO[bytes]) -> None:
        self._name = name
        self._ask = ask
        self._answer = answer
        self._left = 0

    @contextmanager
    def opened(self) -> Iterator["_Blob"]:
        self._ask.write(self._name + b"\n")
        self._ask.flush()
        said = self._answer.readline().split()
        if len(said) != 3:
            raise FileNotFoundError(2, "not in this clone")
        self._left = int(said[2])
        yield self
        while self.read(1 << 20):
            pass
        self._answer.read(1)

    def read(self, size: int, /) -> bytes:
        """At most this many bytes of it."""
        piece = self._answer.read(min(size, self._left))
        self._left -= len(piece)
        return piece
