"""Evidence of sessions that are refused more than is recorded individually, in a real chain."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from msgspec.structs import replace

from mcpguard.adapters.audit import bounded
from mcpguard.adapters.audit.bounded import EvidenceBounds
from mcpguard.adapters.audit.calls import read_record
from mcpguard.adapters.audit.reader import lines
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.core.evidence.bounds import LISTS, MINUTES, BoundTerms
from mcpguard.core.evidence.records import Decided, Noticed, Outcome
from mcpguard.core.evidence.verification import verify
from mcpguard.core.model import Principal
from mcpguard.protocol.methods import FROM_CLIENT, Treatment
from tests.adapters.audit.audit_records import DECIDED, NOW, OPENED, OUTCOME, broken, fault
from tests.fakes import FixedClock

DENIED = replace(DECIDED, effect="deny", session="s")


class Scene:
    """A sink with bounds, and who hears of them."""

    def __init__(self, sink: AuditFile, refusals: int = 1) -> None:
        self.sink = sink
        self.clock = FixedClock()
        self.said: list[str] = []
        self.seen: list[str] = []
        self.bounds = EvidenceBounds(
            BoundTerms(refusals, 100), self.clock, sink.write, self.report, self.changed
        )
        sink.bound = self.bounds
        sink.write(OPENED)

    def changed(self) -> None:
        self.seen.append(self.bounds.folding)

    def report(self, _server: str, line: str, **about: Any) -> None:
        assert about["change"]
        self.said.append(f"{about['session']} {line}")

    def write(self, *records: Any) -> None:
        for record in records:
            self.sink.write(record)
        self.sink.commit()

    def refuse(self, count: int, **more: Any) -> None:
        self.write(*(replace(DENIED, id=f"n-{n}", **more) for n in range(count)))

    @property
    def records(self) -> list[Any]:
        return [read_record(line) for line in lines(self.sink.path)][1:]

    @property
    def folded(self) -> list[Noticed]:
        return [one for one in self.records if isinstance(one, Noticed)]


@pytest.fixture
def scene(sink: AuditFile) -> Scene:
    return Scene(sink)


def test_refusals_beyond_the_allowance_are_one_record_and_none_is_without_a_number(scene: Scene) -> None:
    scene.refuse(1000)
    scene.clock.ring()
    scene.sink.commit()
    single = [one for one in scene.records if isinstance(one, Decided)]
    assert len(single) == MINUTES
    first, rest = (one.folded for one in scene.folded)
    assert first is not None
    assert rest is not None
    assert (first.count, rest.count) == (1, 1000 - MINUTES - 1)
    assert (first.first, rest.first, rest.last) == ("n-4", "n-5", "n-999")
    assert rest.digest == sha256(b"".join(b"n-%d \n" % n for n in range(5, 1000))).hexdigest()
    assert (scene.folded[0].what, scene.folded[0].session) == ("refusals-folded", "s")


def test_what_is_allowed_is_always_on_record_and_in_its_place(scene: Scene) -> None:
    scene.refuse(20)
    scene.write(DECIDED, OUTCOME)
    assert [type(one).__name__ for one in scene.records[-2:]] == ["Decided", "Outcome"]


def test_lists_beyond_the_allowance_are_one_record_with_their_outcomes(scene: Scene) -> None:
    listed = replace(DECIDED, method="logging/setLevel", server="", tool="", rules=(), session="s")
    scene.refuse(20)
    for n in range(20):
        scene.write(replace(listed, id=f"l-{n}"))
        assert scene.sink.write(replace(OUTCOME, id=f"l-{n}")).done is (n >= MINUTES)
    scene.write(replace(listed, id="fetched", server="p"), replace(OUTCOME, id="fetched"))
    scene.bounds.close()
    scene.sink.commit()
    ids = [one.id for one in scene.records if isinstance(one, Outcome)]
    assert ids == [*(f"l-{n}" for n in range(MINUTES)), "fetched"]
    counted = [one.folded for one in scene.folded if one.what == "lists-folded" and one.folded]
    assert sum(one.count for one in counted) == 20 - MINUTES
    assert counted[0].kinds == {"logging/setLevel allow": 1}
    assert f"s {bounded.SAID_LISTS}" in scene.said
    assert scene.bounds.counted == set()
    assert verify(lines(scene.sink.path)).intact


@pytest.mark.parametrize("method", sorted(LISTS))
def test_each_request_that_mcpguard_answers_itself_has_an_allowance(scene: Scene, method: str) -> None:
    assert FROM_CLIENT[method].treatment is not Treatment.DECIDED
    for n in range(20):
        scene.write(replace(DECIDED, id=f"l-{n}", method=method, server="", tool="", rules=(), session="s"))
    assert len([one for one in scene.records if isinstance(one, Decided)]) == MINUTES


def test_nothing_that_mcpguard_answers_itself_and_records_is_without_an_allowance() -> None:
    silent = {"initialize", "ping", "server/discover", "resources/unsubscribe"}
    answered = {
        row.name for row in FROM_CLIENT.values() if row.request and row.treatment is not Treatment.DECIDED
    }
    assert answered == LISTS | silent


def test_a_session_that_lists_without_end_is_said(scene: Scene) -> None:
    room = scene.bounds.room(Principal("ada", "os-user"), None)
    assert [room.asks("notes", 0.0) for _ in range(MINUTES + 1)][-1] is False
    assert [line.partition(" ")[2] for line in scene.said] == [bounded.UNASKED]


def test_a_refusal_that_is_counted_is_answered_at_once(scene: Scene) -> None:
    scene.refuse(20)
    assert scene.sink.write(DENIED).done


def test_after_a_quiet_time_refusals_are_recorded_one_by_one_again(scene: Scene) -> None:
    scene.refuse(20)
    scene.clock.wind(60)
    for _ in range(2):
        scene.clock.ring()
        scene.sink.commit()
    assert scene.clock.alarms == []
    assert scene.bounds.folding == ""
    before = len(scene.records)
    scene.refuse(1)
    assert [type(one).__name__ for one in scene.records[before:]] == ["Decided"]


def test_each_session_has_its_own(scene: Scene) -> None:
    scene.refuse(20)
    scene.write(replace(DENIED, session="other", id="x"))
    assert [one.id for one in scene.records if isinstance(one, Decided)][-1] == "x"
    said = "is refused so often that its refusals are only counted"
    assert scene.bounds.folding == f"{DENIED.principal} {said}"


def test_the_operator_hears_of_it_once_a_minute(scene: Scene) -> None:
    for _ in range(5):
        scene.refuse(20)
        scene.clock.ring()
    assert scene.said == [f"s {bounded.SAID}"]
    scene.clock.wind(3600)
    scene.refuse(MINUTES + 1)
    scene.clock.ring()
    assert len(scene.said) == 2


def test_that_it_begins_is_shown_at_once(scene: Scene) -> None:
    scene.refuse(20)
    assert scene.seen == [scene.bounds.folding] != [""]


def test_more_sessions_are_named_together(scene: Scene) -> None:
    scene.refuse(20)
    scene.refuse(20, session="other", principal="os-user:eve")
    assert " and 1 more are refused" in scene.bounds.folding


def test_what_was_only_counted_is_on_record_at_the_end(scene: Scene) -> None:
    scene.refuse(20)
    assert sum(one.folded.count for one in scene.folded if one.folded) == 1
    scene.bounds.close()
    scene.sink.commit()
    assert sum(one.folded.count for one in scene.folded if one.folded) == 20 - MINUTES
    scene.bounds.close()
    assert scene.clock.alarms == []


def test_what_could_not_be_written_is_written_later(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.refuse(MINUTES)
    with monkeypatch.context() as patched:
        fault(patched, broken)
        scene.refuse(1)
        assert scene.folded == []
    written: list[Noticed] = []

    def write(record: Any) -> Any:
        written.append(record)
        return scene.sink.settled()

    scene.bounds.write = write
    scene.clock.ring()
    assert [one.folded.count for one in written if one.folded] == [1]


def test_of_many_sessions_the_oldest_starts_over(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MOST_SESSIONS", 2)
    scene.refuse(20)
    for name in ("a", "b"):
        scene.refuse(1, session=name)
    assert sum(one.folded.count for one in scene.folded if one.folded) == 20 - MINUTES
    before = len(scene.records)
    scene.refuse(1)
    assert len(scene.records) == before + 1


def test_all_connections_of_a_principal_share_the_room_for_arguments(scene: Scene) -> None:
    ada = Principal("ada", "os-user")
    room: Callable[..., Any] = scene.bounds.room
    assert room(ada, None) is room(ada, None)
    assert room(ada, None) is not room(ada, "desk")
    for _ in range(3):
        room(ada, None).take(10_000, True, 0.0)
    assert [line.partition(" ")[2] for line in scene.said] == [bounded.CUT]


def test_a_time_is_said_for_people(scene: Scene) -> None:
    scene.refuse(MINUTES + 1)
    assert scene.folded[0].detail == f"1 between {NOW:%H:%M:%S} and {NOW:%H:%M:%S} UTC"
