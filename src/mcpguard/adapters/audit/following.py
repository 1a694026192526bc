"""Following the chains of a folder: whoever exports evidence goes on where it stopped, and misses nothing.

Law of this file: a place is kept only after what was read up to there has arrived, so what a sink did not
take is read again, by this process or a later one. One process at a time follows for one cursor.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from sys import maxsize

from msgspec import DecodeError, Struct, json

from mcpguard.adapters.audit.reader import NoChain, chain_name, lines, origin, packed, unlisted
from mcpguard.adapters.system.files import take_lock, write_whole
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.chain import SUFFIXES

MOST_BYTES = 4 << 20
"""How much is read at once, unless a single line is longer."""
MOST_GONE = 64
"""Of how many chains that are gone, the latest ones, it is known how far they were read: a folder that was
moved away, or replaced, may come back."""
_CLOSED = b'{"kind":"closed"'


class FollowedLine(Struct, frozen=True, gc=False):
    """A whole line of a chain, its LF included. `file` is the name of the chain, compressed or not; `end` is
    the byte after the line."""

    file: str
    end: int
    data: bytes

    @property
    def start(self) -> int:
        """Where it begins."""
        return self.end - len(self.data)


class ReadPositions(Struct):
    """How far each chain was read: bytes, -1 for a chain that is over. `open` are lines that are read again
    by whoever goes on, since what belongs to them was not there yet: the id of a call -> its chain, and where
    its line begins. `listed` is the last name of a chain that was there."""

    read: dict[str, int] = {}
    open: dict[str, tuple[str, int]] = {}
    listed: str = ""


_places = json.Decoder(ReadPositions).decode


def unread(cursor: Path, chain: Path, most: int = maxsize) -> int:
    """How many records in the file `chain` whoever goes on from `cursor` has yet to receive, at most `most`.
    None where there is no cursor yet: what is there before it is made is not for it."""
    try:
        places = _places(cursor.read_bytes())
    except FileNotFoundError:
        return 0
    except (DecodeError, UnicodeDecodeError, OSError):
        places = ReadPositions()
    name = chain_name(chain)
    waiting = sum(where == name for where, _ in places.open.values())
    at = places.read.get(name, 0)
    with suppress(AuditError):  # Nobody gets what cannot be read.
        rest = lines(chain, at) if at >= 0 else ()
        waiting += sum(line.endswith(b"\n") for line in islice(rest, most))
    return min(waiting, most)


class Following:
    """Reads the chains of `folder` (with `alone` the one chain that it is) on from `cursor`, a file that is
    made when something is kept; None for a cursor that ends with the process.

    What was in the folder before a cursor was made is not read, unless `from_start`, or it is a chain of this
    process and `own`. Not thread-safe.
    """

    def __init__(
        self,
        folder: Path,
        cursor: Path | None = None,
        *,
        from_start: bool = False,
        own: bool = True,
        only_own: bool = False,
        alone: bool = False,
    ) -> None:
        """With `only_own` no other process's chains are read."""
        self._alone = alone
        self._only = f"-{os.getpid()}-" if only_own else ""
        self._folder = folder
        self._own = own
        self._cursor = cursor
        self._from_start = from_start
        self._before: dict[str, tuple[Path, int]] | None = None
        self._lock = -1
        self._places: ReadPositions | None = None
        self._origins: dict[str, str] = {}
        self.left: set[str] = set()
        """Chains that are not read any further."""
        self.listed: set[str] = set()
        """Chains that were there at some time since `begin`."""
        self.listed_before = ""
        """The last name of a chain that was there before."""

    def from_now(self) -> None:
        """A cursor that is made later begins here: whoever calls `begin` in a thread may come to it late."""
        with suppress(AuditError):  # Then it begins where the folder can be read.
            self._before = self._present()

    def begin(self) -> list[FollowedLine] | None:
        """Take the cursor; None where another process has it. Gives the lines that are still open.

        Raises OSError where the state folder cannot be used, AuditError where the cursor cannot be read.
        """
        if self._places is None:
            if self._cursor is not None:
                self._cursor.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                try:
                    self._lock = take_lock(self._cursor.with_suffix(".lock"), 0.0, 0.0)
                except BlockingIOError:
                    return None
            self._places = self._kept()
            if self._places is None:
                self._places = self._new()
                self._places.listed = max(self._present(), default="")
                self.keep([], {})  # What is recorded from now on is not before it, whoever reads it.
            self.listed_before = self._places.listed or max(self._places.read, default="")
        return list(self._reopened(self._places))

    def read(self, most: int) -> list[FollowedLine]:
        """The next lines of all chains, at most `most` and some MOST_BYTES, in the order of each chain; none
        if nothing is new. Until `keep`, the same lines are read again.

        Raises AuditError; of a chain that cannot be read only where nothing else is new.
        """
        places = self._begun()
        found: list[FollowedLine] = []
        room = MOST_BYTES
        damaged: AuditError | None = None
        now = self._present()
        self.listed.update(now)
        places.listed = max(now, default=places.listed)
        for name in sorted(now):
            at = places.read.get(name, 0)
            path, size = now[name]
            if name in self.left or self._unchanged(path, at, size):
                continue
            if at >= 0 and room > 0 and len(found) < most:
                try:
                    for line in islice(self._lines(name, path, at), most - len(found)):
                        found.append(line)
                        room -= len(line.data)
                        if room <= 0:
                            break
                except NoChain as problem:
                    damaged = self.spoiled(name, problem) or damaged
                except AuditError as problem:
                    damaged = problem
        self._forget(now)
        if damaged is not None and not found:
            raise damaged
        return found

    def spoiled(self, name: str, problem: NoChain) -> AuditError | None:
        """What `read` raises for a chain that no writer left so, if nothing else is new; None for nothing."""
        return problem

    def passed(self, path: Path) -> None:
        """Called for what has the name of a chain but is not a file, so that nothing can be read from it."""

    def origin(self, name: str) -> str:
        """The first chain of the process that wrote the chain `name`, of which a line was read."""
        found = self._origins.get(name)
        if found is None:
            with suppress(AuditError):
                files = {one: path for one, (path, _) in self._present().items()}
                found = origin(name, files, self._origins) if name in files else None
            found = self._origins[name] = name if found is None else found
        return found

    def lag(self) -> int:
        """How many bytes are unread, as far as that is known of compressed chains. Raises AuditError."""
        places = self._begun()
        sizes = ((name, size) for name, (_path, size) in self._present().items())
        return sum(max(0, size - at) for name, size in sizes if (at := places.read.get(name, 0)) >= 0)

    def keep(self, lines: list[FollowedLine], opened: Mapping[str, FollowedLine]) -> None:
        """`lines` have arrived, and `opened` are still to be joined with what follows. Raises OSError."""
        places = self._begun()
        for line in {line.file: line for line in lines}.values():  # The last one of each chain.
            over = line.data.startswith(_CLOSED)
            places.read[line.file] = -1 if over else line.end
        places.open = {name: (line.file, line.start) for name, line in opened.items()}
        if self._cursor is not None:
            write_whole(self._cursor, json.encode(places))

    def publish_problem(self, problem: str) -> None:
        """Tell processes that have to wait why records do not arrive; "" if they do."""
        if self._cursor is not None:
            note = self._cursor.with_suffix(".problem")
            with suppress(OSError):
                write_whole(note, problem.encode()) if problem else note.unlink(missing_ok=True)

    def published_problem(self) -> str:
        """What the process that has the cursor has published."""
        if self._cursor is None:
            return ""
        try:
            return self._cursor.with_suffix(".problem").read_text("utf-8")
        except (OSError, UnicodeError):
            return ""

    def close(self) -> None:
        """Let another process go on."""
        self._places = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # --- places ----------------------------------------------------------------------------------

    def _begun(self) -> ReadPositions:
        if self._places is None:
            raise AuditError("the cursor is not taken")
        return self._places

    def _kept(self) -> ReadPositions | None:
        if self._cursor is None:
            return None
        try:
            return _places(self._cursor.read_bytes())
        except FileNotFoundError:
            return None
        except (DecodeError, UnicodeDecodeError, OSError):
            begin = "everything" if self._from_start else "from now on"
            raise AuditError(
                f"the cursor {self._cursor} cannot be read: remove it to export {begin}"
            ) from None

    def _new(self) -> ReadPositions:
        # A chain of a few lines may have begun with this process: it is read from its start.
        known = {} if self._from_start else self._present() if self._before is None else self._before
        ours = f"-{os.getpid()}-"
        sizes = {name: size for name, (path, size) in known.items() if not (self._own and ours in name)}
        return ReadPositions(
            {name: -1 if known[name][0].suffix == ".gz" else size for name, size in sizes.items()}
        )

    def _forget(self, now: Mapping[str, object]) -> None:
        places = self._begun()
        # A list that is made while a chain is compressed may have neither of its files.
        gone = (name for name in places.read.keys() - now.keys() if not _still_there(self._folder / name))
        for name in sorted(gone)[:-MOST_GONE]:
            del places.read[name]

    # --- files -----------------------------------------------------------------------------------

    def _present(self) -> dict[str, tuple[Path, int]]:
        """Name of a chain -> its file and size; the plain one where a chain is being compressed."""
        found: dict[str, tuple[Path, int]] = {}
        try:
            if self._alone:
                return {chain_name(self._folder): (self._folder, self._folder.stat().st_size)}
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    name = chain_name(Path(entry.path))
                    if not entry.name.endswith(SUFFIXES) or self._only not in name:
                        continue
                    path = _still_there(Path(entry.path))
                    if path is not None and not path.is_file():
                        self.passed(path)
                    elif path is not None and (path.suffix != ".gz" or name not in found):
                        found[name] = (path, path.stat().st_size)
        except OSError as error:
            raise unlisted(self._folder, error) from None
        return found

    def _unchanged(self, path: Path, at: int, size: int) -> bool:
        """Whether there is nothing after `at`."""
        return path.suffix != ".gz" and size <= at

    def _lines(self, name: str, path: Path, at: int) -> Iterator[FollowedLine]:
        for data in lines(path, at):
            if not data.endswith(b"\n"):
                return  # It is being written, or a crash left it.
            at += len(data)
            yield FollowedLine(name, at, data)

    def _reopened(self, places: ReadPositions) -> Iterator[FollowedLine]:
        now = self._present() if places.open else {}
        for name, start in places.open.values():
            if name in now:
                yield from islice(self._lines(name, now[name][0], start), 1)


def _still_there(path: Path) -> Path | None:
    """A chain that was listed, which may have been compressed or removed a moment ago."""
    return next((one for one in (path, packed(path)) if os.path.lexists(one)), None)
