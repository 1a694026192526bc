"""The operator's lines."""

from __future__ import annotations

import json
import logging
import os
import threading

import pytest

from mcpguard.adapters.telemetry import diagnostics as diagnostics_module
from mcpguard.adapters.telemetry.diagnostics import LINE_BYTES, TELL_SECONDS, Diagnostics
from mcpguard.core.errors import InspectionError
from mcpguard.core.model import Principal
from mcpguard.core.policy.session import name_of
from tests.fakes import FixedClock
from tests.rows import each

ADA = Principal("ada", "os-user")
NOON = 1_790_000_000.25
AT = "2026-09-21T14:13:20.250Z"


def without_secret(text: str) -> str:
    return text.replace("secret", "[gone]")


def said(*lines: tuple[str, str]) -> str:
    reading, writing = os.pipe()
    diagnostics = Diagnostics(without_secret, writing, now=lambda: NOON)
    for server, text in lines:
        diagnostics.report(server, text)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read().decode()


def test_a_line_names_the_server_or_mcpguard_itself() -> None:
    assert (
        said(("git", "hello"), ("", "ready")) == f"{AT} warning [git] hello\n{AT} warning mcpguard: ready\n"
    )


def test_a_line_is_inspected_flattened_and_cut() -> None:
    assert said(("a", "the secret\n\x1b[31mred")) == f"{AT} warning [a] the [gone]  [31mred\n"
    assert len(said(("a", "x" * 100_000))) == LINE_BYTES + 1


def test_a_line_that_was_inspected_is_not_inspected_once_more() -> None:
    reading, writing = os.pipe()
    inspected: list[str] = []

    def inspect(text: str) -> str:
        inspected.append(text)
        return text

    Diagnostics(inspect, writing).report("a", "hello", inspected=True)
    assert os.read(reading, 1000).endswith(b" warning [a] hello\n")
    assert inspected == []
    os.close(reading)
    os.close(writing)


def test_a_session_that_causes_too_many_lines_loses_them_and_a_line_of_its_own_says_how_many() -> None:
    reading, writing = os.pipe()
    clock = FixedClock()
    diagnostics = Diagnostics(
        without_secret, writing, now=lambda: NOON, seconds=lambda: 0.0, later=clock.later
    )
    for n in range(300):
        diagnostics.report("", f"refused {n}", session="s")
    diagnostics.report("", "broken", "error", session="s")
    diagnostics.report("", "only counted from now on", session="s", change=True)
    diagnostics.report("", "another", session="t")
    assert [seconds for seconds, _ in clock.alarms] == [TELL_SECONDS]
    clock.ring()
    diagnostics.tell()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        lines = pipe.read().decode().splitlines()
    assert len([line for line in lines if "refused" in line]) == 240
    assert [line.partition(" session=")[2] for line in lines[240:]] == [
        "s mcpguard: broken",
        "s mcpguard: only counted from now on",
        "t mcpguard: another",
        "s mcpguard: 60 lines about this session were dropped: it causes more than 60 a minute",
    ]


def test_lines_of_many_sessions_are_counted_for_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics_module, "MOST_COUNTED", 2)
    _reading, writing = os.pipe()
    diagnostics = Diagnostics(without_secret, writing)
    for name in ("a", "b", "c"):
        diagnostics.report("", "x", session=name)
    assert list(diagnostics._allowances) == [("", "b"), ("", "c")]


def test_a_server_that_writes_without_end_loses_lines_and_no_other_server_does() -> None:
    lines, clock = list[str](), FixedClock()
    diagnostics = Diagnostics(
        str, os.open(os.devnull, os.O_WRONLY), seconds=lambda: 0.0, later=clock.later, now=lambda: NOON
    )
    diagnostics._line = lambda _at, about, said, _lost: lines.append(f"{about['server']}: {said}") or b""
    for n in range(2_500):
        diagnostics.report("a", str(n), "info", session="s", output=True)
    diagnostics.report("a", "ended", session="s")
    diagnostics.report("b", "ready", "info", session="s", output=True)
    clock.ring()
    assert lines[2_399:] == [
        "a: 2399",
        "a: ended",
        "b: ready",
        "a: 100 lines on its standard error were dropped: it writes more than 600 a minute",
    ]


def test_a_line_that_cannot_be_inspected_is_withheld() -> None:
    def broken(_text: str) -> str:
        raise InspectionError("no")

    reading, writing = os.pipe()
    Diagnostics(broken, writing).report("", "secret")
    assert b"withheld" in os.read(reading, 1000)
    os.close(reading)
    os.close(writing)


def test_a_reader_that_stalls_costs_lines_and_not_time() -> None:
    reading, writing = os.pipe()
    diagnostics = Diagnostics(str, writing)
    for _ in range(200):
        diagnostics.report("a", "x" * 1990)
    os.read(reading, 1 << 20)
    diagnostics.report("a", "back")
    assert b"lines dropped) [a] back" in os.read(reading, 1000)
    os.close(reading)
    diagnostics.report("a", "nobody reads")
    os.close(writing)
    diagnostics.report("a", "closed")


def test_a_defect_in_a_thread_is_told_by_its_kind_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        raise OSError("the secret")

    reading, writing = os.pipe()
    monkeypatch.setattr(threading, "excepthook", Diagnostics(str, writing, now=lambda: NOON).of_threads)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read().decode() == f"{AT} error mcpguard: internal error (OSError) in a thread\n"


def test_a_warning_of_a_library_is_inspected_and_has_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    diagnostics = Diagnostics(without_secret, writing, now=lambda: NOON)
    library = logging.Logger("some.library")
    monkeypatch.setattr(logging, "lastResort", diagnostics.of_libraries)
    try:
        raise OSError("the secret")
    except OSError:
        library.warning("took the %s", "secret", exc_info=True)
    library.warning("%d", "secret")
    library.info("hello")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read().decode() == (
            f"{AT} warning mcpguard: some.library: took the [gone]\n"
            f"{AT} warning mcpguard: some.library: a warning that cannot be read\n"
        )


def test_a_line_about_a_session_names_it() -> None:
    reading, writing = os.pipe()
    diagnostics = Diagnostics(without_secret, writing, now=lambda: NOON)
    diagnostics.of(ADA, "cursor")("git", "refused", "info")
    assert (
        os.read(reading, 1000).decode() == f"{AT} info session={name_of(ADA, 'cursor')[:8]} [git] refused\n"
    )
    os.close(reading)
    os.close(writing)


def objects(*lines: str, dropped: int = 0) -> list[dict[str, object]]:
    reading, writing = os.pipe()
    diagnostics = Diagnostics(without_secret, writing, "json", lambda: NOON)
    report = diagnostics.of(Principal("secret", "https://a.example"), None)
    diagnostics._dropped = dropped
    for line in lines:
        report("git", line, "error")
        diagnostics.report("", line)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        raw = pipe.read().splitlines()
    assert all(len(line) <= LINE_BYTES for line in raw)
    return [json.loads(line) for line in raw]


def test_in_json_each_line_is_an_object_with_what_is_known() -> None:
    assert objects('the secret "\n\u202e') == [
        {
            "time": AT,
            "level": "error",
            "server": "git",
            "session": name_of(Principal("secret", "https://a.example"), None),
            "principal": "https://a.example:[gone]",
            "message": 'the [gone] "  ',
        },
        {"time": AT, "level": "warning", "message": 'the [gone] "  '},
    ]
    assert objects("x", dropped=3)[0]["dropped"] == 3


def test_in_json_a_line_about_a_call_has_what_it_can_be_filtered_by() -> None:
    reading, writing = os.pipe()
    about = {"method": "tools/call", "tool": "", "rules": ("p/no",), "invocation": "n-1"}
    Diagnostics(without_secret, writing, "json", lambda: NOON).report("git", "refused", about=about)
    Diagnostics(without_secret, writing, "text", lambda: NOON).report("git", "refused", about=about)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        first, second = pipe.read().splitlines()
    assert json.loads(first) == {
        "time": AT,
        "level": "warning",
        "server": "git",
        "method": "tools/call",
        "rules": ["p/no"],
        "invocation": "n-1",
        "message": "refused",
    }
    assert second.decode() == f"{AT} warning [git] refused"


@each("mark", ["x", '"', "\\\\", "é", "\U0001f600"])
def test_an_object_that_is_too_long_is_cut_and_stays_one(mark: str) -> None:
    for found in objects(mark * 100_000):
        assert len(str(found["message"])) > LINE_BYTES / 10
