"""One pass over all sources: what was found, what is excepted, what could not be read; and how that is
printed: a line each, or SARIF. `cli/outputs.py` has the JSON.

Law of this file: a source that cannot be read, or searched to its end, is reported and ends nothing. A place
and a kind is reported, and nothing of a value.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

from msgspec import Struct

from mcpguard.adapters.system.terminal import counted, plain, style
from mcpguard.authoring.findings import address, sarif_of
from mcpguard.core.model import Json
from mcpguard.core.redaction.detectors import GROUPS, HELD, OPT_IN
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.scan.files import why
from mcpguard.scan.leaks import CREDENTIAL, ENTROPY, FileExceptions, Leak, UnsearchedPart, leaks
from mcpguard.scan.sources import FILELESS, Readable, ScanSource, Skipped, TextWindow, windows

Level = Literal["error", "warning", "note"]

KINDS = frozenset({*GROUPS["all"], ENTROPY})
"""What can be looked for."""

DEFAULT = GROUPS["secret"]
"""What is looked for if nothing is said."""


class SourcedLeak(Struct, frozen=True):
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
        excepted: FileExceptions | None = None,
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

    def run(self, sources: Iterable[ScanSource | Skipped]) -> Iterator[SourcedLeak]:
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

    def _in(self, source: ScanSource, file: Readable) -> Iterator[SourcedLeak]:
        read = self._counted(windows(file))
        for leak in leaks(read, self._redactor, self._also, ENTROPY in self._kinds):
            if isinstance(leak, UnsearchedPart):
                place = f"from line {leak.line} on " if leak.line else ""
                self.skipped.append(Skipped(source.path, f"not searched {place}to the end: {leak.why}"))
            elif self._wanted(leak) and not self._again(source, leak):
                excepted = "" if self._excepted is None else self._excepted.reason(source.file, leak)
                found = SourcedLeak(source, leak, excepted)
                self.found += found.counts
                yield found

    def _counted(self, read: Iterator[TextWindow]) -> Iterator[TextWindow]:
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


_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


def as_line(one: SourcedLeak) -> str:
    """PATH:LINE:COLUMN: KIND, as editors and terminals make links of it."""
    leak = one.leak
    place = f"{plain(one.source.path)}:{leak.line}:{leak.column}" if leak.line else plain(one.source.path)
    where = "" if leak.line else f" at byte {leak.column}"
    commit = f" in commit {one.source.commit[:12]}" if one.source.commit else ""
    kind = style(plain(leak.kind), _COLOURS[one.level])
    return f"{place}: {kind}{style(where + commit, 'dim')}"


def totals(scan: Scan, found: Sequence[SourcedLeak], what: tuple[str, str]) -> str:
    """The last line for a person; `what` is a source and several, such as ("file", "files")."""
    places = len({(one.source.path, one.source.commit) for one in found if one.counts})
    read = f"{counted(scan.sources, *what)} ({size(scan.bytes)})"
    if scan.found:
        said = style(f"{counted(scan.found, 'secret')} in {places:,} of {read}", "red")
    else:
        said = style(f"no secrets in {read}", "green")
    notes = sum(one.level == "note" and not one.excepted for one in found)
    excepted = sum(bool(one.excepted) for one in found)
    more = [counted(notes, "note")] if notes else []
    more += [f"{excepted:,} excepted"] if excepted else []
    more += [f"{len(scan.skipped):,} not read"] if scan.skipped else []
    return ", ".join([said, *more])


def size(count: int) -> str:
    """This many bytes as people say it."""
    for unit in ("bytes", "KB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000  # type: ignore[assignment]
    return f"{count:.1f} GB"


def as_sarif(scan: Scan, found: Iterable[SourcedLeak]) -> str:
    """SARIF 2.1.0 (OASIS): one run, with a rule for each kind that was found. What is excepted is suppressed,
    with the reason; what could not be read is a notification."""
    results = list(found)
    notes: list[Json] = [
        {
            "level": "error",
            "message": {"text": one.why},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": address(one.path)}}}],
        }
        for one in scan.skipped
    ]
    return sarif_of(
        {one.leak.kind: (_meaning(one.leak.kind), one.level) for one in results},
        map(_result, results),
        invocations=[{"executionSuccessful": True, "toolExecutionNotifications": notes}],
    )


def _meaning(kind: str) -> str:
    if kind == ENTROPY:
        return "A text that looks random."
    if kind.startswith(CREDENTIAL):
        return f"The value of {kind.removeprefix(CREDENTIAL)}, which mcpguard holds."
    return f"Personal data: {kind}." if kind in OPT_IN else f"A secret: {kind}."


def _result(one: SourcedLeak) -> dict[str, Any]:
    leak, source = one.leak, one.source
    # The input and the message of a commit have no address.
    uri = source.path.strip("<>") if source.file in FILELESS else address(source.file)
    place: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if leak.line:
        place["region"] = {
            "startLine": leak.line,
            "startColumn": leak.column,
            "endLine": leak.end_line,
            "endColumn": leak.end_column,
        }
    else:
        place["region"] = {"byteOffset": leak.column}
    commit = f" Introduced in commit {source.commit}." if source.commit else ""
    result: dict[str, Any] = {
        "ruleId": leak.kind,
        "level": one.level,
        "message": {"text": _meaning(leak.kind) + commit},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"mcpguard/v1": leak.fingerprint},
    }
    if source.commit:
        result["properties"] = {"commit": source.commit}
    if one.excepted:
        result["suppressions"] = [{"kind": "external", "justification": one.excepted}]
    return result
