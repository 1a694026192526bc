"""Reading evidence back: the chains of a folder and their lines."""

from __future__ import annotations

import errno
import os
import stat
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from msgspec import Struct
from msgspec.structs import replace

from mcpguard.adapters.system.files import without_waiting
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import GENESIS, MAX_LINE, SEAL, SUFFIXES
from mcpguard.core.evidence.records import HANDED_ON
from mcpguard.core.expressions import expression

if TYPE_CHECKING:
    from mcpguard.core.evidence.verification import ChainReport, Removal, Signature


_FIRST_LINES = 16
"""In this many lines a chain has a record, whatever was altered."""
MOST_ODD = 100
"""After this many lines that are not records a chain is read no further: a file of noise, or one that unpacks
to noise, must not hold up a reader."""
_RECORD = b'{"kind":"'
_PLANTED = {
    errno.ELOOP: "it is a broken link",
    errno.ENOENT: "it is a broken link",
    errno.ENXIO: "it is not a file",
}
"""What stands in for a chain that no writer makes, by the error of opening it."""


class NothingRecorded(AuditError):
    """There is no evidence yet: no folder, or none of its chains."""


class NoChain(AuditError):
    """Something that no writer makes: another thing under the name of a chain, or a chain that cannot be read
    to its end. `why` is what follows a colon."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"the audit file {path} cannot be read: {why}")
        self.why = why


class Removed(AuditError):
    """A chain that is not there any more, in neither form."""


def chain_files(path: Path) -> list[Path]:
    """The chains at `path`, oldest first: its `*.jsonl` and `*.jsonl.gz` if it is a folder, else the file
    itself.

    Raises AuditError if there is none, the folder cannot be read, or the file is not a chain.
    """
    if path.is_file():
        _must_be_chain(path)
        return [path]
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith(SUFFIXES))
    except OSError as error:
        raise unlisted(path, error) from None
    if not names:
        raise NothingRecorded(f"no audit log in {path}: it has no .jsonl file; {_NOTHING}")
    # One that is being compressed may be there twice for a moment.
    return [path / name for name in names if not (name.endswith(".gz") and name[:-3] in names)]


def unlisted(path: Path, error: OSError) -> AuditError:
    """Why no chains were found there."""
    said = f"no audit log at {path}: {error.strerror}"
    return (
        NothingRecorded(f"{said}; {_NOTHING}") if isinstance(error, FileNotFoundError) else AuditError(said)
    )


_NOTHING = "nothing is on record yet, or the evidence was removed; another configuration? `--config FILE`"


def _must_be_chain(path: Path) -> None:
    # An altered chain is one all the same: what it begins with may be gone.
    broken: dict[str, None] = {}
    first = list(islice(sound_lines(path, broken), _FIRST_LINES))
    if broken and path.name.endswith(SUFFIXES):
        return  # Who reads it says so.
    if not first and not broken:
        raise AuditError(f"{path} is empty: it contains no evidence")
    if not any(line.startswith(_RECORD) for line in first):
        raise AuditError(f"{path} is not evidence of mcpguard: its first line is not an `opened` record")


def file_name(path: Path) -> str:
    """The name of a file as a text that can be printed and stored: bytes that are not UTF-8 are escaped."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def chain_name(path: Path) -> str:
    """The name by which other chains know it, compressed or not."""
    return file_name(path).removesuffix(".gz")


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """A chain to read from, compressed or not, even if it was compressed a moment ago. Raises AuditError
    if it cannot be read to its end, NoChain if no writer leaves it like that."""
    try:
        path, file = open_chain(path)
        with file:
            _must_be_alone(path)
            yield _inside(path, file)
    except OSError as error:
        raise unread(path, error) from None
    except (EOFError, zlib.error):
        raise NoChain(path, _DAMAGED) from None


_DAMAGED = "it is damaged"


def unread(path: Path, error: OSError) -> AuditError:
    """Why a chain cannot be read."""
    if error.errno is None:  # gzip found it.
        return NoChain(path, _DAMAGED)
    if error.errno in _PLANTED and os.path.lexists(path):
        return NoChain(path, _PLANTED[error.errno])
    if error.errno == errno.ENOENT:
        return Removed(f"the audit file {path} cannot be read: {error.strerror}")
    return AuditError(f"the audit file {path} cannot be read: {error.strerror}")


def open_chain(path: Path) -> tuple[Path, BinaryIO]:
    """The file, or its compressed form. Raises OSError, NoChain."""
    try:
        file = open(path, "rb", buffering=0, opener=without_waiting)  # noqa: SIM115 - who reads closes it
    except IsADirectoryError:
        raise NoChain(path, "it is a folder") from None
    except FileNotFoundError:
        if path.suffix == ".gz" or os.path.lexists(path):
            raise
        return open_chain(packed(path))
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise NoChain(path, "it is not a file")
    if path.suffix == ".gz" and not status.st_size:
        file.close()
        raise NoChain(path, _DAMAGED)
    return path, BufferedReader(file)


def packed(path: Path) -> Path:
    """The path of the compressed form of a chain."""
    return path.with_name(f"{path.name}.gz")


def _inside(path: Path, file: BinaryIO) -> BinaryIO:
    if path.suffix != ".gz":
        return file
    import gzip

    return cast("BinaryIO", gzip.GzipFile(fileobj=file))


def _must_be_alone(path: Path) -> None:
    """Raise NoChain if the other form of the chain exists too and differs: while a chain is compressed, both
    exist for a moment."""
    other = path.with_suffix("") if path.suffix == ".gz" else packed(path)
    if not os.path.lexists(other):
        return
    with suppress(FileNotFoundError):
        with open_chain(path)[1] as one, open_chain(other)[1] as two:
            left, right = _inside(path, one), _inside(other, two)
            blocks = iter(lambda: (left.read(1 << 20), right.read(1 << 20)), (b"", b""))
            if all(mine == theirs for mine, theirs in blocks):
                return
        raise NoChain(
            path, f"{other.name} is next to it and differs; move one of them away to read the other"
        )


def lines(path: Path, start: int = 0) -> Generator[bytes, None, None]:
    """The lines of one chain with their LF, from `start` on, in bytes of what is not compressed.

    Raises AuditError if the file cannot be read, NoChain if it is not as a writer leaves it, which includes
    a line longer than `MAX_LINE` and more than `MOST_ODD` lines that are not records.
    """
    odd = 0
    with unpacked(path) as file:
        if start:
            file.seek(start)
        for line in iter(partial(file.readline, MAX_LINE), b""):
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                raise NoChain(path, _TOO_LONG)
            if not line.startswith(_RECORD):
                odd += 1
                if odd > MOST_ODD:
                    raise NoChain(path, f"more than {MOST_ODD} of its lines are not records")
            yield line


_TOO_LONG = "a line is longer than 1 MiB"


def sound_lines(path: Path, altered: dict[str, None], start: int = 0) -> Iterator[bytes]:
    """The lines of one chain, as far as it can be read; where it is not as a writer leaves it, its name is
    added to `altered`. Raises AuditError."""
    try:
        yield from lines(path, start)
    except NoChain:
        altered[chain_name(path)] = None


def examined(path: Path, expected: Iterable[str] = (), by: Signature | None = None) -> ChainReport:
    """What `verify` finds in one chain; not being readable to its end is a flaw. Raises AuditError."""
    from mcpguard.core.evidence.verification import Flaw, verify

    broken: list[str] = []
    report = verify(_until_broken(path, broken), expected, chain_name(path), by)
    at = report.records + 1
    flaws = [Flaw(at, f"and the rest cannot be read: {why}") for why in broken]
    return replace(report, flaws=(*flaws, *report.flaws)) if broken else report


def _until_broken(path: Path, broken: list[str]) -> Iterator[bytes]:
    try:
        yield from lines(path)
    except NoChain as problem:
        broken.append(problem.why)


def blocks(path: Path, size: int = 1 << 20) -> Iterator[bytes]:
    """A chain in pieces of whole lines, of some `size` bytes each; an incomplete line at its end is the last
    piece. Raises AuditError, and NoChain, also if a line is longer than `MAX_LINE`."""
    rest = b""
    with unpacked(path) as file:
        # Whatever can be unpacked before the first damage is yielded.
        while block := cast("BufferedReader", file).read1(size):
            whole, end, after = (rest + block).rpartition(b"\n")
            if end:
                yield whole + end
            rest = after
            if len(rest) > MAX_LINE:
                raise NoChain(path, _TOO_LONG)
        if rest:
            yield rest


def head(path: Path) -> str:
    """The hash of the last whole line of a chain, not verified; GENESIS where it has none. Raises
    AuditError."""
    last = b""
    for line in lines(path):
        if line.endswith(b"\n"):
            last = line
    return last[-SEAL:][len(',"hash":"') : -3].decode(errors="replace") or GENESIS


def _holding(path: Path) -> Iterator[bytes]:
    """Those lines of a chain that may hold heads of others: its first one and its checkpoints."""
    first = True
    with suppress(NoChain):  # Whoever verifies it says so.
        for block in blocks(path):
            at = 0 if first or block.startswith(_CHECKPOINT) else block.find(b"\n" + _CHECKPOINT) + 1 or -1
            first = False
            while at >= 0:
                end = block.find(b"\n", at)
                yield block[at : end + 1]
                at = block.find(b"\n" + _CHECKPOINT, end) + 1 or -1


_CHECKPOINT = b'{"kind":"checkpoint"'


class FolderProof(Struct, frozen=True):
    """What was found of the chains at a place. `reports` are by name, oldest first; `missing` are the names
    of chains that are gone although another one holds a head of them, or one was kept elsewhere. `removed`
    says what was removed on purpose, `claimed` also where that is not proven; `vouched` up to which line it
    is sure who wrote each. `held` has the chain by which one is held that is not signed, `renamed` the
    present names of missing ones, `doubts` why one of several chains was planted, although each is intact."""

    reports: dict[str, ChainReport]
    missing: list[str]
    removed: Removal | None
    claimed: Removal | None
    vouched: dict[str, int]
    held: dict[str, str]
    renamed: dict[str, str]
    doubts: dict[str, list[str]]


def proof(
    path: Path, kept: Mapping[str, Iterable[str]], removed_until: str = "", by: Signature | None = None
) -> FolderProof:
    """Verify the chains at `path` and how they hang together.

    `kept` maps names of chains to hashes that were kept elsewhere and must still be there; chains with names
    up to `removed_until` may be gone. With `by`, which checks signatures, what none vouches for is a flaw.
    Raises AuditError, NothingRecorded where no head was kept.
    """
    from mcpguard.core.evidence import between
    from mcpguard.core.evidence.verification import anchors

    expected = {name: set(heads) for name, heads in kept.items()}
    files: list[Path] = []
    with suppress(NothingRecorded) if kept else nullcontext():
        files = chain_files(path)
    for file in files if path.is_dir() else ():
        for line in _holding(file):
            for claim in anchors(line):
                expected.setdefault(claim.file, set()).add(claim.head)
    reports = {}
    for file in files:
        name = chain_name(file)
        reports[name] = examined(file, expected.pop(name, ()), by)
    sure = between.vouched(reports, kept)
    gone = said = between.removed(reports, None)
    if by is not None or kept:
        # Whoever removes chains could write such a record, too.
        gone = between.removed(reports, sure if by is None else between.vouched(reports, {}))
    until = max(removed_until, "" if gone is None else gone.until)
    missing = sorted(name for name in expected if name > until)
    ends = {report.head: name for name, report in reports.items() if report.records}
    renamed = {name: ends[head] for name in missing for head in expected[name] if head in ends}
    doubts = between.doubts(_claims(files, reports), sure)
    found, holders = between.forked(between.joined(reports, renamed)), dict[str, str]()
    if by is not None:
        found = between.signed(found, sure)
        holders = {name: one for name, one in between.held(reports, sure).items() if not sure[name]}
    return FolderProof(found, missing, gone, said, sure, holders, renamed, doubts)


def _claims(files: Iterable[Path], reports: Mapping[str, ChainReport]) -> dict[str, dict[str, int]]:
    """What only one chain can say, and in which line each says it: that it decides a call, or continues a
    chain."""
    from mcpguard.core.evidence.between import overlapping
    from mcpguard.core.evidence.verification import decisions

    found: dict[str, dict[str, int]] = {}
    for report_name, report in reports.items():
        if report.continues:
            found.setdefault(f"continues the chain {report.continues}", {})[report_name] = 1
    likely = overlapping(reports)
    paths = {chain_name(file): file for file in files}
    for name, firsts in likely.items():
        for number, line in enumerate(sound_lines(paths[name], {}), 1):
            if call := decisions(line, firsts):
                found.setdefault(f"decides the call {call}", {}).setdefault(name, number)
    return found


def line_at(path: Path, start: int) -> bytes:
    """The line that begins at `start`, or what is left of it; b"" at the end. Raises AuditError."""
    found = lines(path, start)
    try:
        return next(found, b"")
    finally:
        found.close()


def verified(
    path: Path, kept: Mapping[str, Iterable[str]], removed_until: str = ""
) -> tuple[dict[str, ChainReport], list[str]]:
    """The reports and the missing chains of a `proof`."""
    found = proof(path, kept, removed_until)
    return found.reports, found.missing


def last_line(path: Path) -> bytes:
    """The last whole line of a chain, b"" without one. Raises AuditError."""
    end = b""
    with unpacked(path) as file:
        if path.suffix != ".gz":
            file.seek(max(0, file.seek(0, os.SEEK_END) - 2 * MAX_LINE))
        while block := file.read(1 << 20):
            end = (end + block)[-2 * MAX_LINE :]
    whole = end[: end.rfind(b"\n") + 1]
    return whole[whole.rfind(b"\n", 0, -1) + 1 :]


def handed_on(path: Path) -> bool:
    """Whether the last record of a chain says that its process went on in another one. Raises AuditError."""
    from mcpguard.core.evidence.verification import closing

    with suppress(NoChain, Removed):
        return closing(last_line(path)) in HANDED_ON
    return False


def origin(name: str, files: Mapping[str, Path], known: Mapping[str, str]) -> str:
    """The name of the first chain of the process that wrote the chain `name`, as far back as `files` go;
    `known` are those that were found before. Raises AuditError."""
    passed: set[str] = set()
    while name not in passed:
        if name in known:
            return known[name]
        passed.add(name)
        name = chain_before(name, files) or name
    return name  # Chains that continue each other: no writer makes them.


def chain_before(name: str, files: Mapping[str, Path]) -> str:
    """The name, in `files`, of the chain that the chain `name` continues; "" for none. Raises AuditError.

    That a chain claims to continue another one is not enough: whoever plants one could end the calls of a
    process that was killed. The chain before has to say that it was continued.
    """
    from mcpguard.core.evidence.verification import continued

    first = first_line(files[name])
    found = continued(first)
    if found and found not in files:
        found = _renamed(found, first, files)
    return found if found in files and handed_on(files[found]) else ""


def _renamed(name: str, first: bytes, files: Mapping[str, Path]) -> str:
    """The present name of a chain that the next one, which begins with the line `first`, calls `name`: the
    latest that the same process began, by its number, if it ends with the hash that is on record."""
    from mcpguard.core.evidence.verification import anchors

    process, begun = _BEGUN.match(first), []
    for other, file in files.items():
        line = first_line(file)
        one = _BEGUN.match(line)
        if one and process and one[2] == process[2] and one[1] <= process[1] and line != first:
            begun.append((one[1], other))
    found = max(begun, default=(b"", ""))[1]
    heads = [anchor.head for anchor in anchors(first) if anchor.file == name]
    return found if found and last_line(files[found])[-67:-3].decode(errors="replace") in heads else ""


_BEGUN = expression(rb'\{"kind":"opened","at":"([^"]*)","version":"[^"]*","pid":(\d+),')


def first_line(file: Path) -> bytes:
    """That of a chain, b"" where it cannot be read."""
    with suppress(NoChain, Removed):
        return line_at(file, 0)
    return b""
