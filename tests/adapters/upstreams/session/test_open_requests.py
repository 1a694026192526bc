"""The clocks of open requests, on a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mcpguard.adapters.upstreams.session import open_requests
from mcpguard.adapters.upstreams.session.life import lasting
from mcpguard.adapters.upstreams.session.open_requests import OpenRequest, OpenRequests
from mcpguard.core.errors import UpstreamError
from mcpguard.gateway.flight import Flight, Wait
from mcpguard.gateway.ports import RawAnswer
from tests.adapters.upstreams.fake_wire import permit


class Clock:
    """What `OpenRequests` uses of an event loop."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, moment: float, then: Callable[[], None]) -> Timer:
        timer = Timer(self, moment, then)
        self.timers.append(timer)
        return timer

    def pass_by(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer.moment <= end]:
            first = min(due, key=lambda timer: timer.moment)
            self.now = max(self.now, first.moment)
            self.timers.remove(first)
            first.then()
        self.now = end


class Timer:
    def __init__(self, clock: Clock, moment: float, then: Callable[[], None]) -> None:
        self.moment, self.then, self._clock = moment, then, clock

    def cancel(self) -> None:
        if self in self._clock.timers:
            self._clock.timers.remove(self)


class Table:
    """Open requests, their clock, and what became of each."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.late: list[int] = []
        self.ends: dict[int, str] = {}
        self.open = OpenRequests("x", 1000, lambda request_id, _call: self.late.append(request_id))

    def add(self, seconds: float = 10.0, method: str = "tools/call") -> tuple[int, Wait[Any]]:
        call = OpenRequest(method, permit(method), seconds=seconds, progress=lambda _: None)
        request_id = self.open.add(call)
        Flight(self._watch(request_id, call))
        return request_id, call

    async def _watch(self, request_id: int, wait: Wait[Any]) -> None:
        try:
            await wait
            self.ends[request_id] = "answered"
        except UpstreamError as error:
            self.ends[request_id] = str(error)

    def answer(self, request_id: int) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": request_id, "result": {}}
        call = self.open.answered(message)
        if call is not None:
            call.set(RawAnswer(message, 10))

    def progress(self, request_id: int) -> None:
        self.open.progressed({"progressToken": request_id})


@pytest.fixture
async def table(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> Table:
    found = Table()
    monkeypatch.setattr(found.open, "_clock", found.clock)
    return found


def test_one_second_is_said_so() -> None:
    assert (lasting(1.0), lasting(0.5), lasting(60)) == ("1 second", "0.5 seconds", "60 seconds")


LATE = "upstream 'x' did not answer tools/call within 10 seconds (`call_timeout_seconds`)"


def test_a_request_fails_at_its_deadline_and_not_before(table: Table) -> None:
    first, _ = table.add()
    table.clock.pass_by(9.9)
    assert table.ends == {}
    table.clock.pass_by(0.2)
    assert table.ends == {first: LATE}
    assert table.late == [first]
    assert len(table.open) == 0


def test_one_timer_watches_all_and_each_is_late_at_its_own_time(table: Table) -> None:
    slow, _ = table.add(30)
    fast, _ = table.add(5, "tools/list")
    answered, _ = table.add(20)
    assert len(table.clock.timers) == 1
    table.answer(answered)
    table.clock.pass_by(5)
    assert table.ends == {
        answered: "answered",
        fast: "upstream 'x' did not answer tools/list within 5 seconds (`start_timeout_seconds`)",
    }
    table.clock.pass_by(25)
    assert table.late == [fast, slow]
    assert table.clock.timers == []


def test_two_in_a_row_that_run_out_are_trouble_until_something_is_answered(table: Table) -> None:
    table.add()
    table.clock.pass_by(10)
    assert table.open.trouble is None
    table.add()
    table.clock.pass_by(10)
    assert table.open.trouble is not None
    assert table.open.trouble.problem == LATE
    last, _ = table.add()
    table.answer(last)
    assert table.open.trouble is None


@pytest.mark.parametrize("between", ["answer", "progress"])
def test_a_server_that_says_something_meanwhile_is_in_no_trouble(table: Table, between: str) -> None:
    table.add()
    table.clock.pass_by(10)
    slow, _ = table.add()
    other, _ = table.add()
    if between == "answer":
        table.answer(other)
    else:
        table.progress(slow)
        table.progress(other)
    table.clock.pass_by(70)
    assert len(table.late) == (2 if between == "answer" else 3)
    assert table.open.trouble is None


def test_a_request_without_a_deadline_is_never_late(table: Table) -> None:
    table.add(0)
    table.clock.pass_by(1e9)
    assert (table.ends, table.late, table.clock.timers) == ({}, [], [])


def test_progress_starts_the_time_again_up_to_six_times_the_deadline(table: Table) -> None:
    first, _ = table.add()
    for _ in range(110):
        table.clock.pass_by(0.6)
        table.progress(first)
        if table.ends:
            break
    assert table.clock.now == pytest.approx(100 + 10 * open_requests.STRETCH, abs=1)
    assert table.ends == {
        first: "upstream 'x' did not answer tools/call within 60 seconds (6 times `call_timeout_seconds`)"
    }


def test_after_the_last_progress_one_deadline_is_left(table: Table) -> None:
    first, _ = table.add()
    table.clock.pass_by(9)
    table.progress(first)
    table.clock.pass_by(9)
    assert table.ends == {}
    table.clock.pass_by(1)
    assert table.ends == {first: LATE}


def test_a_paused_clock_stands_still_and_goes_on_where_it_stood(table: Table) -> None:
    first, wait = table.add()
    other, _ = table.add(1000)
    table.clock.pass_by(4)
    table.open.pause(wait)
    table.open.pause(wait)
    table.clock.pass_by(500)
    table.open.resume(wait)
    table.clock.pass_by(100)
    assert table.ends == {}
    table.open.resume(wait)
    table.clock.pass_by(5.9)
    assert table.ends == {}
    table.clock.pass_by(0.2)
    assert table.ends == {first: LATE}
    table.answer(other)


def test_a_pause_of_all_holds_those_that_come_later_as_well(table: Table) -> None:
    before, _ = table.add()
    table.open.pause(None)
    after, _ = table.add()
    table.clock.pass_by(100)
    assert table.ends == {}
    table.open.resume(None)
    table.clock.pass_by(10)
    assert table.ends == {before: LATE, after: LATE}


def test_a_pause_of_one_that_is_not_open_any_more_changes_nothing(table: Table) -> None:
    first, wait = table.add()
    table.open.pause(wait)
    table.answer(first)
    second, _ = table.add()
    table.open.resume(wait)
    table.clock.pass_by(10)
    assert table.ends == {first: "answered", second: LATE}


def test_a_caller_that_answers_itself_while_others_are_late_breaks_nothing(table: Table) -> None:
    first, first_wait = table.add()
    second, _ = table.add()
    first_wait.then(lambda _: table.answer(second))
    table.clock.pass_by(10)
    assert table.ends == {first: LATE, second: "answered"}
    assert table.late == [first]


def test_at_the_end_everybody_is_told_and_no_timer_is_left(table: Table) -> None:
    first, _ = table.add()
    second, _ = table.add()
    table.open.fail_all("it is over")
    assert table.ends == {first: "it is over", second: "it is over"}
    assert table.clock.timers == []
