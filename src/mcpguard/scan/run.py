"""One pass over all sources: what was found, what is excepted, what could not be read.

Law of this file: a source that cannot be read, or searched to its end, is reported and ends nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from msgspec import Struct

from mcpguard.core.redaction.detectors import GROUPS, HELD, OPT_IN
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.scan.exceptions import CREDENTIAL, Excepted
from mcpguard.scan.files import why
from mcpguard.scan.leaks import ENTROPY, Leak, Missed, leaks
from mcpguard.scan.sources import Readable, ScanSource, Skipped, Window, windows

Level = Literal["error", "warning", "note"]

KINDS = frozenset({*GROUPS["all"], ENTROPY})
"""What can be looked for."""

DEFAULT = GROUPS["secret"]
"""What is looked for if nothing is said."""


class Found(Struct, frozen=True):
    """One leak in one source. `excepted` is the reason given by an exception, "" if no exception applies."""

    source: ScanSource
    leak: Leak
    excepted: str

    @property
    def level(self) -> Level:
        """How much it says: a random text is a note, personal data a warning."""
        if self.leak.kind == ENTROPY:
            return "note"
        return "warning" if self.leak.kind in OPT_IN else "error"

    @property
    def counts(self) -> bool:
        """Whether it makes the scan fail."""
        return not self.excepted and self.level != "note"


class Scan:
    """One pass. What it counts is final when `run` has ended."""

    def __init__(
        self,
        redactor: Redactor,
        kinds: frozenset[str] = DEFAULT,
        excepted: Excepted | None = None,
        tick: Callable[["Scan"], None] = lambda _scan: None,
    ) -> None:
        """`kinds` are some of KINDS; `tick` is called after each window."""
        self.sources = 0
        self.bytes = 0
        self.found = 0
        """Those that count, and no others."""
        self.skipped: list[Skipped] = []
        self._redactor = redactor
        self._kinds = kinds
        self._also = tuple(sorted(kinds & OPT_IN))
        self._excepted = excepted
        self._tick = tick
        self._seen: set[tuple[str, str, bytes]] = set()

    def run(self, sources: Iterable[ScanSource | Skipped]) -> Iterator[Found]:
        """What is in `sources`, in their order. In a history each value is found once in each path. Raises
        ScanError as `sources` does."""
        for source in sources:
            if isinstance(source, Skipped):
                self.skipped.append(source)
                continue
            self.sources += 1
            if self._excepted is not None:
                self._excepted.looked_at(source.file)
            try:
                with source.open() as file:
                    yield from self._in(source, file)
            except OSError as error:
                self.skipped.append(Skipped(source.path, why(error)))

    def _in(self, source: ScanSource, file: Readable) -> Iterator[Found]:
        read = self._counted(windows(file))
        for leak in leaks(read, self._redactor, self._also, ENTROPY in self._kinds):
            if isinstance(leak, Missed):
                place = f"from line {leak.line} on " if leak.line else ""
                self.skipped.append(Skipped(source.path, f"not searched {place}to the end: {leak.why}"))
            elif self._wanted(leak) and not self._again(source, leak):
                excepted = "" if self._excepted is None else self._excepted.reason(source.file, leak)
                found = Found(source, leak, excepted)
                self.found += found.counts
                yield found

    def _counted(self, read: Iterator[Window]) -> Iterator[Window]:
        for window in read:
            yield window
            self.bytes += window.size
            self._tick(self)

    def _wanted(self, leak: Leak) -> bool:
        kind = HELD if leak.kind.startswith(CREDENTIAL) else leak.kind
        return kind in self._kinds

    def _again(self, source: ScanSource, leak: Leak) -> bool:
        if not source.commit:
            return False
        key = source.path, leak.kind, leak.mark or leak.fingerprint.encode()
        known = key in self._seen
        self._seen.add(key)
        return known
