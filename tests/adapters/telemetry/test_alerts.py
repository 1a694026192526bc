"""An alert is raised once where something crosses a threshold, names its records and holds no value."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs
from msgspec.json import encode

from mcpguard.adapters.approvals.notifying import by_command
from mcpguard.adapters.audit.following import Following
from mcpguard.adapters.telemetry.alerts import Alert, AlertSink, AlertTerms, AlertWatch
from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent, LinePlace
from mcpguard.adapters.telemetry.exporting import Exporter
from mcpguard.core.errors import TelemetryError
from mcpguard.core.evidence.records import LOST, FoldedRecords, Noticed
from tests.adapters.telemetry.telemetry_records import ANSWERED, DECIDED, DENIED, NOW
from tests.rows import each

TERMS = AlertTerms(
    denials=3, approvals=2, events=frozenset({"held-secret", "pin-change", "server-lost", "evidence-gap"})
)
HELD = structs.replace(ANSWERED, findings={"credential:github/read /content/0/text": 1})


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def place(index: int) -> LinePlace:
    return LinePlace("chain.jsonl", f"{index:064x}")


def denied(seconds: float, principal: str = "os-user:1") -> EvidenceEvent:
    record = structs.replace(DENIED, at=at(seconds), id=f"n-{seconds:g}", principal=principal)
    return EvidenceEvent(record, place(int(seconds)))


def seen(*events: EvidenceEvent, terms: AlertTerms = TERMS) -> list[Alert]:
    return AlertWatch(terms, "host-1").observe(events)


def test_many_refusals_in_a_minute_raise_one_alert_that_names_them() -> None:
    (alert,) = seen(*(denied(second) for second in (0, 20, 40, 50, 55)))
    assert (alert.alert, alert.about, alert.count) == ("denials", "os-user:1", 3)
    assert [one.id for one in alert.records] == ["n-0", "n-20", "n-40"]
    assert (alert.since, alert.at) == (at(0), at(40))
    assert alert.records[1].hash == place(20).hash


def test_refusals_that_were_recorded_together_count_each() -> None:
    folded = FoldedRecords(50, at(1), at(5), "n-1", "n-50")
    notice = Noticed(at(5), "refusals-folded", principal="os-user:1", folded=folded)
    watch = AlertWatch(TERMS, "h")
    (alert,) = watch.observe([EvidenceEvent(notice, place(1))])
    assert (alert.alert, alert.about, alert.count, len(alert.records)) == ("denials", "os-user:1", 50, 1)
    watch.observe([EvidenceEvent(structs.replace(notice, at=at(6)), place(2))] * 100)
    (later,) = watch.due(at(9000))
    assert (later.count, len(later.records), later.since) == (5000, 1, at(6))


def test_slow_refusals_and_those_of_several_principals_raise_none() -> None:
    assert seen(*(denied(second) for second in (0, 40, 80, 120, 160))) == []
    assert seen(*(denied(second, f"os-user:{second}") for second in range(5))) == []


def test_after_the_quiet_time_the_next_one_counts_what_came_meanwhile() -> None:
    alerts = seen(*(denied(second) for second in range(0, 640, 10)))
    assert [one.at for one in alerts] == [at(20), at(620)]
    assert alerts[1].count > 3


def test_what_came_in_the_quiet_time_is_told_once_though_something_follows_at_once() -> None:
    watch = AlertWatch(TERMS, "h")
    assert len(watch.observe(denied(second) for second in range(50))) == 1
    (later,) = watch.observe([denied(603)])
    assert (later.at, later.since, later.count, len(later.records)) == (at(602), at(3), 47, 20)
    assert [one.count for one in watch.due(at(9000))] == [1]
    assert watch.due(at(90000)) == []


def test_after_the_clock_was_set_back_it_is_not_quiet_until_it_has_caught_up() -> None:
    watch = AlertWatch(TERMS, "h")
    assert len(watch.observe(denied(second) for second in (90_000, 90_001, 90_002))) == 1
    assert watch.lost(at(90_000))
    assert watch.observe([denied(0)]) == watch.due(at(90_010)) == []
    (alert,) = watch.due(at(5))
    assert (alert.count, alert.at) == (1, at(5))
    assert [one.at for one in watch.lost(at(5))] == [at(5)]
    assert watch.lost(at(6)) == []
    assert watch.due(at(700)) == []
    assert len(watch.observe(denied(second) for second in (700, 701, 702))) == 1


def test_those_of_whom_nothing_more_comes_are_forgotten() -> None:
    watch = AlertWatch(TERMS, "h")
    watch.observe(denied(second, f"http:{second}") for second in range(100))
    watch.observe(denied(second) for second in (100, 101, 102))
    watch.due(at(102))
    assert len(watch._seen) == 58
    watch.due(at(702))
    assert not watch._seen


def test_a_flood_of_questions_is_one_alert() -> None:
    asked = [
        EvidenceEvent(structs.replace(DECIDED, effect="ask", id=f"a-{index}", at=at(index)), place(index))
        for index in range(4)
    ]
    (alert,) = seen(*asked)
    assert (alert.alert, alert.count) == ("approvals", 2)


@each(
    ("one", "alert", "about"),
    [
        (EvidenceEvent(DECIDED, place(1), HELD), "held-secret", "github"),
        (EvidenceEvent(structs.replace(DENIED, cause="credential"), place(1)), "held-secret", "github"),
        (
            EvidenceEvent(
                Noticed(NOW, "notification-redacted", "git", findings={"credential:x /a": 1}), place(1)
            ),
            "held-secret",
            "git",
        ),
        (EvidenceEvent(Noticed(NOW, "pin-changed", "github", "canary"), place(1)), "pin-change", "github"),
        (EvidenceEvent(Noticed(NOW, "evidence-gap", detail="canary"), place(1)), "evidence-gap", ""),
        (EvidenceEvent(Noticed(NOW, LOST, "github", "canary"), place(1)), "server-lost", "github"),
    ],
)
def test_events_raise_one_each(one: EvidenceEvent, alert: str, about: str) -> None:
    (raised,) = seen(one, one)
    assert (raised.alert, raised.about, raised.count) == (alert, about, 1)
    assert seen(one, terms=AlertTerms()) == []


def test_what_is_well_raises_none() -> None:
    assert (
        seen(EvidenceEvent(DECIDED, place(1), ANSWERED), EvidenceEvent(Noticed(NOW, "started"), place(2)))
        == []
    )


def test_an_alert_holds_nothing_that_was_written_by_others() -> None:
    for one in (
        EvidenceEvent(DENIED, place(1)),
        EvidenceEvent(Noticed(NOW, "pin-changed", "s", "canary"), place(1)),
    ):
        (alert,) = seen(one, terms=structs.replace(TERMS, denials=1))
        for text in (encode(alert).decode(), "".join(alert.text)):
            assert "canary" not in text
            assert "=1+1" not in text
        assert "host-1" in alert.text[1]


class Told:
    """Ways to tell, of which one may fail."""

    def __init__(self) -> None:
        self.problem = ""
        self.good: list[Alert] = []
        self.bad: list[Alert] = []
        ways: dict[str, Callable[[Alert], str]] = {"good": self._good, "bad": self._bad}
        self.now = at(3)
        self.lost: datetime | None = None
        self.sink = AlertSink(AlertWatch(TERMS, "h"), ways, lambda: self.now, lambda: self.lost)

    def _good(self, alert: Alert) -> str:
        self.good.append(alert)
        return ""

    def _bad(self, alert: Alert) -> str:
        if not self.problem:
            self.bad.append(alert)
        return self.problem


def test_a_target_that_fails_is_told_later_and_the_others_once() -> None:
    told = Told()
    told.problem = "it is down"
    lines = [(denied(second), "") for second in (0, 1, 2)]
    for _ in range(2):
        with pytest.raises(TelemetryError, match="bad: it is down"):
            told.sink.deliver(lines)
    told.problem = ""
    assert told.sink.deliver(lines) == 0
    assert told.sink.deliver([(denied(3), "")]) == 0
    assert (len(told.good), len(told.bad)) == (1, 1)
    told.sink.close()


def test_a_target_that_fails_between_two_alerts_is_told_of_neither_twice_however_late() -> None:
    told, tried = Told(), list[str]()

    def tell(alert: Alert) -> str:
        tried.append(alert.about)
        return told.problem if len(tried) > 1 else ""

    told.sink = AlertSink(AlertWatch(TERMS, "h"), {"one": tell}, lambda: told.now)
    lines = [(denied(second, f"http:{second % 3}"), "") for second in range(18)]
    told.problem = "it is down"
    for seconds in (20, 20, 50):
        told.now = at(seconds)
        with pytest.raises(TelemetryError, match="one: it is down"):
            told.sink.deliver(lines)
    assert tried == ["http:0", "http:1", "http:1", "http:1"]
    told.problem, told.now = "", at(700)
    assert told.sink.deliver(lines) == 0
    assert tried[4:] == ["http:1", "http:2", "http:0", "http:1", "http:2"]


def test_what_came_in_the_quiet_time_is_told_when_that_is_over_though_nothing_follows() -> None:
    told = Told()
    assert told.sink.deliver([(denied(second), "") for second in range(9)]) == 0
    for seconds in (3, 601):
        told.now = at(seconds)
        assert told.sink.deliver([]) == 0
    assert len(told.good) == 1
    told.now = at(602)
    told.problem = "it is down"
    with pytest.raises(TelemetryError):
        told.sink.deliver([])
    told.problem = ""
    assert told.sink.deliver([]) == 0
    assert [(one.count, one.at) for one in told.good] == [(3, at(2)), (6, at(602))]
    assert [one.id for one in told.bad[-1].records] == [f"n-{n}" for n in range(3, 9)]
    told.now = at(9000)
    assert told.sink.deliver([]) == 0
    assert len(told.good) == 2


def test_what_came_in_the_quiet_time_is_told_once_the_clock_was_set_back_though_nothing_follows() -> None:
    told = Told()
    told.now = at(90_008)
    assert told.sink.deliver([(denied(90_000 + second), "") for second in range(9)]) == 0
    told.now = at(5)
    for _ in range(2):
        assert told.sink.deliver([]) == 0
    assert [(one.count, one.at) for one in told.good] == [(3, at(90_002)), (6, at(5))]


def test_people_hear_that_no_evidence_can_be_written_before_any_record_says_so() -> None:
    told = Told()
    for told.lost in (at(0), at(0), None, at(5), at(602)):
        assert told.sink.deliver([]) == 0
    assert [(one.alert, one.since) for one in told.good] == [
        ("evidence-lost", at(0)),
        ("evidence-lost", at(602)),
    ]
    title, text = told.good[0].text
    assert title == "mcpguard: evidence-lost"
    assert "no evidence can be written, so every request is refused" in text
    assert text.endswith("see: mcpguard status")


def test_people_hear_that_no_evidence_can_be_written_where_none_can_be_read_either(tmp_path: Path) -> None:
    told, said = Told(), list[str]()
    source = Following(tmp_path / "gone", tmp_path / "cursor", from_start=True)
    exporter = Exporter("alerts", "alerts", source, told.sink, "h", lambda line, _level: said.append(line))
    assert not exporter.step()
    assert told.good == []  # It can be written.
    told.lost, told.problem = at(0), "it is down"
    assert not exporter.step()
    told.problem = ""
    for _ in range(2):
        assert not exporter.step()
    assert [one.alert for one in told.good] == [one.alert for one in told.bad] == ["evidence-lost"]
    assert len(said) == 1
    assert said[0].startswith("sending alerts is failing (reported once): ")
    exporter.close()


def test_each_process_says_that_it_cannot_write_evidence_whoever_raises_the_other_alerts(
    tmp_path: Path,
) -> None:
    folder, cursor = tmp_path / "audit", tmp_path / "cursor"
    folder.mkdir()
    first, second = Told(), Told()
    raising = Exporter("alerts", "alerts", Following(folder, cursor), first.sink, "h")
    waiting = Exporter("alerts", "alerts", Following(folder, cursor), second.sink, "h")
    assert not raising.step()
    assert not waiting.step()
    assert waiting.state.standby
    second.lost = at(0)
    assert not waiting.step()
    assert ([one.alert for one in second.good], first.good) == (["evidence-lost"], [])
    raising.close()
    waiting.close()


def test_who_wants_no_alerts_about_evidence_gets_none_while_it_cannot_be_written() -> None:
    assert AlertWatch(AlertTerms(), "h").lost(at(0)) == []


def test_a_quiet_time_in_which_nothing_came_ends_quietly() -> None:
    watch = AlertWatch(TERMS, "h")
    assert len(watch.observe(denied(second) for second in range(3))) == 1
    assert not watch.is_due(at(9000))
    assert watch.due(at(9000)) == []
    assert watch.observe([denied(9001)]) == []


def test_a_program_gets_the_alert_on_its_standard_input(tmp_path: Path) -> None:
    place = tmp_path / "said"
    code = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())"
    (alert,) = seen(*(denied(second) for second in (0, 1, 2)))
    assert by_command([sys.executable, "-c", code, str(place)], encode(alert), 20) == ""
    assert json.loads(place.read_text())["alert"] == "denials"
    assert by_command([sys.executable, "-c", "raise SystemExit(3)"], b"", 20) == "it ended with status 3"
    said = "`no-such-program-here` was not found; give its full path or fix PATH"
    assert by_command(["no-such-program-here"], b"", 1) == said
    assert "took longer" in by_command([sys.executable, "-c", "import time; time.sleep(60)"], b"", 0.2)
