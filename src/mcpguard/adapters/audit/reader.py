"""Reading evidence back: the chains of a folder and their lines."""

from __future__ import annotations

import os
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from msgspec import Struct

from mcpguard.adapters.system.files import state_folder, without_waiting
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import GENESIS, MAX_LINE, SEAL

if TYPE_CHECKING:
    from mcpguard.config.loading import Config
    from mcpguard.core.evidence.verification import ChainReport, Removal, Signature


_FIRST_LINES = 16
"""In so many lines a chain has a record, whatever was altered."""


class NothingRecorded(AuditError):
    """There is no evidence yet: no folder, or none of its chains."""


def default_folder() -> Path:
    """Where the evidence goes if the configuration does not say: `audit` in the user's state folder."""
    return state_folder("audit")


def evidence_folder(config: Config | None) -> Path:
    """Where the evidence of a configuration is."""
    return config.audit.path if config is not None and config.audit else default_folder()


def chain_files(path: Path) -> list[Path]:
    """The chains at `path`, oldest first: its `*.jsonl` and `*.jsonl.gz` if it is a folder, else the file
    itself.

    Raises AuditError where there is none, the folder cannot be read, or the file is no chain.
    """
    if path.is_file():
        _must_be_chain(path)
        return [path]
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith((".jsonl", ".jsonl.gz")))
    except OSError as error:
        raise unlisted(path, error) from None
    if not names:
        raise NothingRecorded(f"no audit log in {path}: it has no .jsonl file")
    # One that is being compressed may be there twice for a moment.
    return [path / name for name in names if not (name.endswith(".gz") and name[:-3] in names)]


def unlisted(path: Path, error: OSError) -> AuditError:
    """Why no chains were found there."""
    kind = NothingRecorded if isinstance(error, FileNotFoundError) else AuditError
    return kind(f"no audit log at {path}: {error.strerror}")


def _must_be_chain(path: Path) -> None:
    # An altered chain is one all the same: what it begins with may be gone.
    first = list(islice(lines(path), _FIRST_LINES))
    if not first:
        raise AuditError(f"{path} is empty: it contains no evidence")
    if not any(line.startswith(b'{"kind":"') for line in first):
        raise AuditError(f"{path} is no evidence of mcpguard: its first line is not an `opened` record")


def chain_name(path: Path) -> str:
    """The name by which other chains know it, compressed or not."""
    return path.name.removesuffix(".gz")


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """A chain to read from, compressed or not. Raises AuditError where it cannot be read to its end."""
    try:
        with open(path, "rb", opener=without_waiting) as file:
            if path.suffix == ".gz":
                import gzip

                with gzip.open(file) as inside:
                    yield cast("BinaryIO", inside)
            else:
                yield file
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise AuditError(f"the audit file {path} cannot be read: {reason}") from None


def unpacked_size(path: Path) -> int:
    """The bytes of a chain; of a compressed one those that it says it had, modulo 4 GiB. Raises OSError."""
    if path.suffix != ".gz":
        return path.stat().st_size
    with open(path, "rb", opener=without_waiting) as file:
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(4), "little")


def lines(path: Path, start: int = 0) -> Generator[bytes, None, None]:
    """The lines of one chain with their LF, in pieces of at most `MAX_LINE` bytes, from `start` on, in bytes
    of what is not compressed.

    Raises AuditError where the file cannot be read.
    """
    with unpacked(path) as file:
        if start:
            file.seek(start)
        yield from iter(partial(file.readline, MAX_LINE), b"")


def head(path: Path) -> str:
    """The hash of the last whole line of a chain, not verified; GENESIS where it has none."""
    last = b""
    for line in lines(path):
        if line.endswith(b"\n"):
            last = line
    return last[-SEAL:][len(',"hash":"') : -3].decode(errors="replace") or GENESIS


def _holding(path: Path) -> Iterator[bytes]:
    """Those lines of a chain that may hold heads of others: its first one and its checkpoints."""
    with unpacked(path) as file:
        yield file.readline(MAX_LINE)
        rest = b"\n"
        while block := file.read(1 << 20):
            data = rest + block
            at = 0
            while (at := data.find(_CHECKPOINT, at)) >= 0:
                end = data.find(b"\n", at + 1)
                if end < 0:
                    break
                yield data[at + 1 : end + 1]
                at = end
            rest = data[max(at, len(data) - MAX_LINE) :] if at >= 0 else data[-len(_CHECKPOINT) :]


_CHECKPOINT = b'\n{"kind":"checkpoint"'


class Proof(Struct, frozen=True):
    """What was found of the chains at a place. `reports` are by name, oldest first; `missing` are the names
    of chains that are gone although another one holds a head of them, or one was kept elsewhere. `removed`
    says what was removed on purpose; `vouched` up to which line it is sure who wrote each. `held` has the
    chain by which one is held that is not signed."""

    reports: dict[str, ChainReport]
    missing: list[str]
    removed: Removal | None
    vouched: dict[str, int]
    held: dict[str, str]


def proof(
    path: Path, kept: Mapping[str, Iterable[str]], removed_until: str = "", by: Signature | None = None
) -> Proof:
    """Verify the chains at `path` and how they hang together.

    `kept` maps names of chains to hashes that were kept elsewhere and must still be there; chains with names
    up to `removed_until` may be gone. With `by`, which checks signatures, what none vouches for is a flaw.
    A missing chain whose head was kept is excused by a statement of removal only if that is signed.
    Raises AuditError.
    """
    from mcpguard.core.evidence.between import forked, held, joined, removed, signed, vouched
    from mcpguard.core.evidence.verification import anchors, verify

    expected = {name: set(heads) for name, heads in kept.items()}
    files = chain_files(path)
    for file in files if path.is_dir() else ():
        for line in _holding(file):
            for claim in anchors(line):
                expected.setdefault(claim.file, set()).add(claim.head)
    reports = {}
    for file in files:
        name = chain_name(file)
        reports[name] = verify(lines(file), expected.pop(name, ()), name, by)
    sure = vouched(reports, kept)
    gone = removed(reports, None if by is None else sure)
    until = max(removed_until, "" if gone is None else gone.until)
    missing = sorted(
        name for name in expected if name > (removed_until if name in kept and by is None else until)
    )
    found = forked(joined(reports))
    if by is None:
        return Proof(found, missing, gone, sure, {})
    holders = {name: holder for name, holder in held(reports, sure).items() if not sure[name]}
    return Proof(signed(found, sure), missing, gone, sure, holders)


def line_at(path: Path, start: int) -> bytes:
    """The line that begins at `start`, or what is left of it; b"" at the end. Raises AuditError."""
    found = lines(path, start)
    try:
        return next(found, b"")
    finally:
        found.close()


class LineReader:
    """Reads lines of chains by their places. Keeps the last chains open, a compressed one unpacked in a file
    that has no name, and of each the block that was read last, since what is asked next often stands before
    it."""

    def __init__(self) -> None:
        self._open: dict[Path, tuple[IO[bytes], int, bytes]] = {}

    def close(self) -> None:
        """Let go of the files."""
        for file, *_ in self._open.values():
            file.close()
        self._open.clear()

    def line(self, path: Path, start: int) -> bytes:
        """The line that begins at `start`, or what is left of it; b"" at the end. Raises AuditError."""
        known = self._open.pop(path, None)
        file, begin, block = self._open[path] = (_whole(path), 0, b"") if known is None else known
        end = block.find(b"\n", start - begin) if start >= begin else -1
        if end < 0:
            begin = max(0, start - _BEFORE)
            block = _piece(path, file, _BEFORE + _AFTER, begin)
            end = block.find(b"\n", start - begin)
        self._open[path] = file, begin, block
        if len(self._open) > _MOST_OPEN:
            self._open.pop(next(iter(self._open)))[0].close()
        if end >= 0:
            return block[start - begin : end + 1]
        whole = _piece(path, file, MAX_LINE, start)
        return whole[: whole.find(b"\n") + 1] or whole


_BEFORE, _AFTER = 96 << 10, 32 << 10
_MOST_OPEN = 8


def _whole(path: Path) -> IO[bytes]:
    """A chain to read from at any place."""
    if path.suffix != ".gz":
        try:
            return open(path, "rb", opener=without_waiting)
        except OSError as error:
            raise AuditError(f"the audit file {path} cannot be read: {error.strerror}") from None
    import shutil
    import tempfile

    with unpacked(path) as packed:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - who reads closes it
        shutil.copyfileobj(packed, file, 1 << 20)
        file.flush()
        return file


def _piece(path: Path, file: IO[bytes], size: int, start: int) -> bytes:
    try:
        return os.pread(file.fileno(), size, start)
    except OSError as error:
        raise AuditError(f"the audit file {path} cannot be read: {error.strerror}") from None


def verified(
    path: Path, kept: Mapping[str, Iterable[str]], removed_until: str = ""
) -> tuple[dict[str, ChainReport], list[str]]:
    """The reports and the missing chains of a `proof`."""
    found = proof(path, kept, removed_until)
    return found.reports, found.missing
