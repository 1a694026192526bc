"""What tools were in the records of a replay, and what they are in a snapshot: pins are not replayed."""

from __future__ import annotations

from collections.abc import Iterator

from mcpguard.authoring.explain.hypothesis import in_snapshot
from mcpguard.authoring.snapshot import Snapshot
from mcpguard.core.evidence.records import Decided
from mcpguard.core.model import Cause

MOST_NAMED = 5

REFUSED = "{} refused before any rule was consulted (pin, or unknown name), which is not replayed"
CHANGED = "the definition changed within these records: {}"
OTHER = "the snapshot has another definition, which a pin would refuse until it is accepted: {}"
GONE = "the snapshot does not have the tool any more, so its calls would be refused as unknown: {}"


class Definitions:
    """The digests of what was called, by server and tool."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self._snapshot = snapshot
        self._digests: dict[tuple[str, str], set[str]] = {}
        self._last: dict[tuple[str, str], str] = {}
        self._refused = 0

    def take(self, record: Decided) -> None:
        self._refused += record.cause in (Cause.PIN.value, "unknown")
        if record.tool and record.tool_digest:
            place = record.server, record.tool
            self._last[place] = record.tool_digest
            known = self._digests.setdefault(place, set())
            if len(known) < 2:
                known.add(record.tool_digest)

    def notes(self) -> Iterator[str]:
        """What a replay leaves out."""
        if self._refused:
            calls = f"{self._refused:,} call{'s were' if self._refused > 1 else ' was'}"
            yield REFUSED.format(calls)
        yield from _naming(CHANGED, [place for place, digests in self._digests.items() if len(digests) > 1])
        if self._snapshot is None:
            return
        offered = {
            server: {one.name: one.digest for one in in_snapshot(self._snapshot, server, "tool")}
            for server in {server for server, _ in self._last} & self._snapshot.servers.keys()
        }
        now = {place: offered[place[0]].get(place[1]) for place in self._last if place[0] in offered}
        other = [place for place, digest in now.items() if digest not in (None, self._last[place])]
        yield from _naming(OTHER, other)
        yield from _naming(GONE, [place for place, digest in now.items() if digest is None])


def _naming(said: str, places: list[tuple[str, str]]) -> Iterator[str]:
    if places:
        names = [f"{server}/{tool}" for server, tool in sorted(places)]
        more = len(names) - MOST_NAMED
        yield said.format(", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else ""))
