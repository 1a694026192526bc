"""`mcpguard audit tail` shows calls as they end, over rotation, compression and new processes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.cli import main
from mcpguard.cli.audit import tail as audit_tail
from mcpguard.core.evidence.records import Closed, Noticed, Record
from tests.adapters.audit.audit_records import CLOSED, NOW, OPENED
from tests.cli.audit.test_story import CALL, DONE, folder_of

Capture = pytest.CaptureFixture[str]
Steps = Callable[..., None]

DENIED = structs.replace(CALL, id="n-8", effect="deny", cause="no-rule", rules=())


@pytest.fixture(autouse=True)
def _eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """What happens while it waits for the next look, one after the other; then Ctrl-C."""

    def set_up(*acts: Callable[[], object]) -> None:
        left = list(acts)

        def sleep(_seconds: float) -> None:
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        monkeypatch.setattr(audit_tail.time, "sleep", sleep)

    return set_up


def add(sink: AuditFile, *records: Record) -> None:
    for record in records:
        sink.write(record)
    sink.commit()


def test_the_last_lines_are_those_of_all_processes_in_the_order_of_time(
    tmp_path: Path, capsys: Capture
) -> None:
    def at(second: int) -> Record:
        return structs.replace(DENIED, id=f"n-{second}", at=NOW + timedelta(seconds=second))

    folder_of(tmp_path, at(1), at(4), at(6))
    folder_of(tmp_path, at(2), at(3), at(5))
    assert main(["audit", "tail", str(tmp_path), "-n", "4"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in said] == ["n-3", "n-4", "n-5", "n-6"]


@pytest.mark.parametrize("verb", ["tail", "query"])
def test_a_clock_that_was_ahead_hides_no_call_that_was_made_since(
    verb: str, tmp_path: Path, capsys: Capture
) -> None:
    def at(number: int, second: int) -> Record:
        return structs.replace(DENIED, id=f"n-{number}", at=NOW + timedelta(seconds=second))

    folder_of(tmp_path, at(1, 10_800), at(2, 10_801), at(3, 60), at(4, 61))
    folder_of(tmp_path, at(5, 30))
    assert main(["audit", verb, str(tmp_path), "-n", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [word for line in lines[:3] for word in line.split()[-1:]] == ["n-2", "n-3", "n-4"]


def test_what_was_cancelled_is_not_shown_as_done(tmp_path: Path, capsys: Capture) -> None:
    folder_of(tmp_path, CALL, structs.replace(DONE, status="cancelled", findings={}))
    assert main(["audit", "tail", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split()[1] == "!"


def test_the_last_calls_are_one_line_each(tmp_path: Path, capsys: Capture) -> None:
    notice = Noticed(NOW, "policy-reloaded", detail="a" * 100)
    folder_of(tmp_path, CALL, DONE, notice, DENIED, structs.replace(CALL, id="n-9"))
    assert main(["audit", "tail", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in said] == ["■", "·", "✗", "○"]
    assert max(map(len, said)) <= 80
    assert said[0].startswith("07:00:00Z ■ github/get ")
    assert said[0].endswith(" 12 ms n-7")
    assert "policy-reloaded aaa" in said[1]
    assert main(["audit", "tail", str(tmp_path), "-n", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == said[-1:]


def test_json_is_the_records(tmp_path: Path, capsys: Capture) -> None:
    folder_of(tmp_path, CALL, DONE)
    folder_of(tmp_path / "x", CALL)
    assert main(["audit", "tail", str(tmp_path), "-n", "2", "--json"]) == 0
    assert [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()] == [
        "outcome",
        "closed",
    ]
    assert main(["audit", "tail", str(tmp_path / "none")]) == 2


def test_it_follows_calls_rotation_and_new_processes(tmp_path: Path, capsys: Capture, steps: Steps) -> None:
    first = AuditFile(tmp_path)
    add(first, OPENED, CALL)
    second = AuditFile(tmp_path)

    def packed() -> None:
        first.close(CLOSED)
        (tmp_path / f"{first.path.name}.gz").write_bytes(gzip.compress(first.path.read_bytes()))
        first.path.unlink()

    steps(
        lambda: add(first, structs.replace(CALL, id="n-1")),
        lambda: add(first, structs.replace(DONE, id="n-1"), DENIED),
        lambda: add(second, OPENED, structs.replace(CALL, id="n-2", effect="ask")),
        packed,
        lambda: add(
            second, structs.replace(CALL, id="n-2"), structs.replace(DONE, id="n-2", status="withheld")
        ),
    )
    assert main(["audit", "tail", "-f", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert [(line.split()[1], line.split()[-1]) for line in said.out.splitlines()] == [
        ("○", "n-7"),
        ("■", "n-1"),
        ("✗", "n-8"),
        ("?", "n-2"),
        ("!", "n-2"),
    ]
    assert said.err == ""
    second.close(CLOSED)


def test_it_waits_for_the_first_process_and_shows_what_runs_long(
    tmp_path: Path, capsys: Capture, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(audit_tail.time, "monotonic", lambda: now[0])
    folder = tmp_path / "audit"
    sinks: list[AuditFile] = []

    def begin() -> None:
        folder.mkdir()

    def call() -> None:
        sinks.append(AuditFile(folder))
        add(sinks[0], OPENED, CALL)

    steps(begin, call, lambda: now.__setitem__(0, 5.0), lambda: None, lambda: add(sinks[0], DONE))
    assert main(["audit", "tail", "-f", str(folder)]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["○", "■"]
    sinks[0].close(CLOSED)


def test_a_planted_chain_ends_no_call_that_is_followed(
    tmp_path: Path, capsys: Capture, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(audit_tail.time, "monotonic", lambda: now[0])
    real, planted, later = AuditFile(tmp_path), AuditFile(tmp_path), AuditFile(tmp_path)
    add(real, OPENED)
    steps(
        lambda: add(real, CALL),
        lambda: add(
            planted, structs.replace(OPENED, continues=real.path.name), structs.replace(DONE, status="error")
        ),
        lambda: now.__setitem__(0, 5.0),
        lambda: real.close(Closed(NOW, "rotated")),
        lambda: add(later, structs.replace(OPENED, continues=real.path.name), DONE),
    )
    assert main(["audit", "tail", "-f", str(tmp_path)]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["○", "■"]
    for sink in (planted, later):
        sink.close(CLOSED)


def test_followed_json_is_each_record(tmp_path: Path, capsys: Capture, steps: Steps) -> None:
    sink = AuditFile(tmp_path)
    add(sink, OPENED)
    steps(lambda: add(sink, structs.replace(CALL, at=datetime.now(UTC))), sink.path.unlink)
    assert main(["audit", "tail", "-f", "--json", str(tmp_path)]) == 0
    assert [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()] == [
        "opened",
        "decision",
    ]


def test_what_never_ends_is_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(audit_tail, "_MOST_OPEN", 2)
    path = folder_of(tmp_path, *(structs.replace(CALL, id=f"n-{number}") for number in range(5)))
    seen = audit_tail.LineTail()
    for line in path.read_bytes().splitlines(keepends=True):
        assert seen.taken(line, 0.0) is None
    assert [line.split()[-1] for line in seen.slow(9.0)] == ["n-3", "n-4"]
    assert list(seen.slow(9.0)) == []
