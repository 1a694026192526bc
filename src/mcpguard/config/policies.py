"""Policy files on disk -> one PolicySet.

Law of this file: all files are read and all their mistakes reported before anything is refused; a policy
that cannot be read is never left out.
"""

from __future__ import annotations

import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from mcpguard.core.errors import DocumentError, PolicyError, Problem
from mcpguard.core.model import Json

if TYPE_CHECKING:
    from mcpguard.config.file import PolicyEntry
    from mcpguard.core.conditions.cel import Engine
    from mcpguard.core.policy.compiled import CompiledPolicy, PolicySet

Way = tuple[str | int, ...]
SIZE_LIMIT = 1 << 20
"""The largest file that a person wrote, in bytes."""


class PolicyFile(Struct, frozen=True):
    """A policy file and the values of the policy's params. One that is `written_later` need not be there.
    `named` is the file that names it, and where in it."""

    path: Path
    params: dict[str, Json] = {}
    written_later: bool = False
    named: tuple[Path, Way] | None = None

    def load(self, kinds: frozenset[str] | None = None, cel: Engine | None = None) -> CompiledPolicy:
        """The policy; see `compile_policy`. Raises PolicyError with all mistakes, those of `params` and a
        missing file where the policy is named."""
        from mcpguard.core.policy.compiled import compile_policy

        if self.named is not None and not os.path.lexists(self.path):
            raise PolicyError([self._at(*self.named, "there is no such file")])
        text = read_document(self.path, PolicyError)
        misset = None if self.named is None else partial(self._misset, *self.named)
        return compile_policy(text, str(self.path), kinds, cel, self.params, misset)

    def _misset(self, file: Path, way: Way, name: str, said: str) -> Problem:
        return self._at(file, (*way, "params", name), said)

    def _at(self, file: Path, way: Way, said: str) -> Problem:
        """`said` of this file, where `file` names it."""
        from mcpguard.core.document.reading import Document

        inside = self.path.is_relative_to(file.parent)
        said = f"{self.path.relative_to(file.parent) if inside else self.path}: {said}"
        try:
            found = Document(read_document(file, PolicyError), str(file), PolicyError).problem(way, said)
        except PolicyError:  # It is being written.
            found = Problem(str(file), 0, 0, said)
        found.excerpt = ""  # A line of a configuration may contain a credential.
        found.other = str(self.path)
        return found


def policy_files(
    source: Path, written: Iterable[str | PolicyEntry], way: Way = ("policies",)
) -> tuple[PolicyFile, ...]:
    """What the file `source` names at `way`."""
    entries = [(one, {}) if isinstance(one, str) else (one.file, one.params) for one in written]
    return tuple(
        PolicyFile(source.parent / os.path.expanduser(file), params, named=(source, (*way, index)))
        for index, (file, params) in enumerate(entries)
    )


def with_own(files: tuple[PolicyFile, ...], own: Path | None) -> tuple[PolicyFile, ...]:
    """`files` and the person's own one, which may be among them."""
    if own is None:
        return files
    others = [file for file in files if file.path != own]
    known = next((file for file in files if file.path == own), PolicyFile(own))
    return (*others, structs.replace(known, written_later=True))


def present(files: Iterable[PolicyFile]) -> list[PolicyFile]:
    """`files` without those that are written later and are not there yet."""
    return [file for file in files if not file.written_later or os.path.lexists(file.path)]


def load_policies(
    files: Iterable[PolicyFile], kinds: frozenset[str] | None = None, cel: Engine | None = None
) -> PolicySet:
    """The policies in `files`; `kinds` are the names that `redact` may hold.

    Raises PolicyError with the mistakes of all files.
    """
    from mcpguard.core.policy.compiled import PolicySet

    compiled: list[CompiledPolicy] = []
    problems: list[Problem] = []
    for file in present(files):
        try:
            compiled.append(file.load(kinds, cel))
        except PolicyError as error:
            problems += error.problems
    if problems:
        raise PolicyError(problems)
    return PolicySet(compiled)


def builtin_read_only(cel: Engine | None = None) -> PolicySet:
    """The packaged policy that allows the tools that declare themselves read-only."""
    # Imported where it is needed: it brings tempfile, random and three compressors along.
    from importlib import resources

    from mcpguard.core.policy.compiled import PolicySet, compile_policy

    text = resources.files("mcpguard.config").joinpath("read_only.yaml").read_text("utf-8")
    return PolicySet([compile_policy(text, "read_only.yaml (built in)", frozenset(), cel)])


def read_document(path: Path, error: type[DocumentError]) -> str:
    """The text of the file at `path`, a byte order mark left out. Raises `error` with one problem where it is
    missing, unreadable, above SIZE_LIMIT, no regular file or not UTF-8."""
    try:
        if path.exists() and not path.is_file():
            said = "a folder, not a file: name a file in it" if path.is_dir() else "not a regular file"
            raise error([Problem(str(path), 0, 0, said)])
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError as failure:
        reason = failure.strerror or "unreadable"
        remedy = ": let this user read it" if isinstance(failure, PermissionError) else ""
        raise error([Problem(str(path), 0, 0, f"cannot be read: {reason}{remedy}")]) from None
    if len(data) > SIZE_LIMIT:
        raise error([Problem(str(path), 0, 0, f"larger than {SIZE_LIMIT} bytes")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = data.count(b"\n", 0, failure.start) + 1
        said = "UTF-16, not UTF-8" if data[:2] in (BOM_UTF16_LE, BOM_UTF16_BE) else "not UTF-8"
        raise error([Problem(str(path), line, 1, f"{said}: save it as UTF-8 text")]) from None
