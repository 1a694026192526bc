"""Policy files on disk -> one PolicySet.

Law of this file: all files are read and all their mistakes told before anything is refused; a policy
that cannot be read is never left out.
"""

from collections.abc import Iterable
from pathlib import Path

from mcpguard.core.conditions.cel import Engine
from mcpguard.core.errors import DocumentError, PolicyError, Problem
from mcpguard.core.policy.compiled import CompiledPolicy, PolicySet, compile_policy

SIZE_LIMIT = 1 << 20
"""The largest file that a person wrote, in bytes."""


def load_policies(paths: Iterable[Path], kinds: frozenset[str], cel: Engine | None = None) -> PolicySet:
    """The policies in the files at `paths`; `kinds` are the names that `redact` may hold.

    Raises PolicyError with the mistakes of all files.
    """
    compiled: list[CompiledPolicy] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            text = read_document(path, PolicyError)
            compiled.append(compile_policy(text, str(path), kinds, cel))
        except PolicyError as error:
            problems += error.problems
    if problems:
        raise PolicyError(problems)
    return PolicySet(compiled)


def builtin_read_only() -> PolicySet:
    """The packaged policy that allows the tools that declare themselves read-only."""
    # Imported where it is needed: it brings tempfile, random and three compressors along.
    from importlib import resources

    text = resources.files("mcpguard.config").joinpath("read_only.yaml").read_text("utf-8")
    return PolicySet([compile_policy(text, "read_only.yaml (built in)", frozenset())])


def read_document(path: Path, error: type[DocumentError]) -> str:
    """The text of the file at `path`, a byte order mark left out. Raises `error` with one problem
    where it is missing, unreadable, above SIZE_LIMIT, no regular file or not UTF-8."""
    try:
        if path.exists() and not path.is_file():
            raise error([Problem(str(path), 0, 0, "not a regular file")])
        with path.open("rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError as failure:
        reason = failure.strerror or "unreadable"
        raise error([Problem(str(path), 0, 0, f"cannot be read: {reason}")]) from None
    if len(data) > SIZE_LIMIT:
        raise error([Problem(str(path), 0, 0, f"larger than {SIZE_LIMIT} bytes")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = data.count(b"\n", 0, failure.start) + 1
        raise error([Problem(str(path), line, 1, "not UTF-8")]) from None
