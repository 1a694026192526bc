"""Reading evidence back: the chains of a folder and their lines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mcpguard.adapters.system.files import state_folder
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import MAX_LINE

if TYPE_CHECKING:
    from mcpguard.core.evidence.verification import ChainReport


def default_folder() -> Path:
    """Where the evidence goes if the configuration does not say: `audit` in the user's state folder."""
    return state_folder("audit")


def chain_files(path: Path) -> list[Path]:
    """The chains at `path`, oldest first: its `*.jsonl` if it is a folder, else the file itself.

    Raises AuditError where there is none or the folder cannot be read.
    """
    if path.is_file():
        return [path]
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith(".jsonl"))
    except OSError as error:
        raise AuditError(f"no audit log at {path}: {error.strerror}") from None
    if not names:
        raise AuditError(f"no audit log in {path}: it has no .jsonl file")
    return [path / name for name in names]


def _without_waiting(path: str, flags: int) -> int:
    # A planted FIFO must not hang a verifier.
    return os.open(path, flags | os.O_NONBLOCK)


def lines(path: Path) -> Iterator[bytes]:
    """The lines of one chain with their LF, in pieces of at most `MAX_LINE` bytes.

    Raises AuditError where the file cannot be read.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            while line := file.readline(MAX_LINE):
                yield line
    except OSError as error:
        raise AuditError(f"the audit file {path} cannot be read: {error.strerror}") from None


def verified(
    path: Path, kept: Mapping[str, Iterable[str]], removed_until: str = ""
) -> tuple[dict[str, ChainReport], list[str]]:
    """Verify the chains at `path` and how they hang together.

    `kept` maps names of chains to hashes that were kept elsewhere and must still be there. Gives a report
    a chain, oldest first, and the names of chains that are gone although another one anchors them or
    `kept` names them; names up to `removed_until` may be gone (retention). Raises AuditError.
    """
    from mcpguard.core.evidence.verification import anchors, joined, verify

    expected = {name: set(heads) for name, heads in kept.items()}
    files = chain_files(path)
    for file in files if path.is_dir() else ():
        for claim in anchors(next(lines(file), b"")):
            expected.setdefault(claim.file, set()).add(claim.head)
    reports = {file.name: verify(lines(file), expected.pop(file.name, ())) for file in files}
    return joined(reports), sorted(name for name in expected if name > removed_until)
