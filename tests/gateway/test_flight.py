"""A flight: one coroutine that is resumed where its answer arrives."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpguard.gateway.flight import Cancelled, Flight, Wait, as_future

pytestmark = pytest.mark.anyio


def test_a_flight_runs_at_once_and_is_resumed_in_the_call_that_sets_its_wait() -> None:
    seen: list[Any] = []
    wait: Wait[int] = Wait()

    async def body() -> None:
        seen.append("started")
        seen.append(await wait)

    flight = Flight(body())
    assert seen == ["started"]
    assert (flight.over, wait.ok) == (False, False)
    wait.set(7)
    assert (seen, wait.ok) == (["started", 7], True)
    assert flight.over


def test_flights_that_wait_for_the_same_go_on_in_the_order_in_which_they_came() -> None:
    seen: list[int] = []
    wait: Wait[None] = Wait()

    async def body(number: int) -> None:
        await wait
        seen.append(number)

    for number in range(5):
        Flight(body(number))
    wait.set(None)
    assert seen == [0, 1, 2, 3, 4]


def test_a_wait_that_is_over_does_not_suspend_and_the_first_answer_wins() -> None:
    wait: Wait[int] = Wait()
    wait.set(1)
    wait.set(2)
    wait.fail(ValueError())
    seen: list[int] = []

    async def body() -> None:
        seen.append(await wait)

    assert Flight(body()).over
    assert seen == [1]


def test_what_is_to_happen_after_a_wait_happens_at_once_if_it_is_over() -> None:
    wait: Wait[int] = Wait()
    wait.set(1)
    seen: list[Any] = []
    wait.then(seen.append)
    assert seen == [wait]


def test_a_failure_is_raised_at_the_await() -> None:
    wait: Wait[int] = Wait()

    async def body() -> None:
        with pytest.raises(ValueError, match="no"):
            await wait

    flight = Flight(body())
    wait.fail(ValueError("no"))
    assert flight.over


def test_a_cancelled_flight_is_not_resumed_by_the_answer_that_comes_later() -> None:
    wait: Wait[int] = Wait()
    record: Wait[None] = Wait()
    seen: list[str] = []

    async def body() -> None:
        try:
            await wait
        except Cancelled as why:
            seen.append(str(why))
            await record
            seen.append("recorded")

    flight = Flight(body())
    flight.cancel("no longer wanted")
    wait.set(1)
    assert seen == ["no longer wanted"]
    record.set(None)
    assert seen == ["no longer wanted", "recorded"]
    flight.cancel("again")
    assert flight.over


async def test_a_future_of_the_loop_may_be_awaited_too() -> None:
    seen: list[int] = []
    loop = asyncio.get_running_loop()
    future: asyncio.Future[int] = loop.create_future()
    done = asyncio.Event()

    async def body() -> None:
        seen.append(await future)
        done.set()

    Flight(body())
    future.set_result(3)
    await asyncio.wait_for(done.wait(), 5)
    assert seen == [3]


async def test_an_exception_that_leaves_a_flight_reaches_the_loops_handler() -> None:
    seen: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: seen.append(context["exception"]))

    async def body() -> None:
        raise ZeroDivisionError

    assert Flight(body()).over
    assert isinstance(seen[0], ZeroDivisionError)


def test_who_is_told_of_the_end_of_a_flight_is_told_once_and_of_any_exception() -> None:
    ends: list[Any] = []

    async def body(error: BaseException | None) -> None:
        if error is not None:
            raise error

    for error in (None, ZeroDivisionError(), asyncio.CancelledError()):
        assert Flight(body(error), ends.append).over
        assert ends.pop() is error
    assert ends == []


async def test_a_wait_can_be_awaited_by_an_ordinary_task() -> None:
    good: Wait[int] = Wait()
    bad: Wait[int] = Wait()
    dropped: Wait[int] = Wait()
    futures = [as_future(good), as_future(bad), as_future(dropped)]
    futures[2].cancel()
    good.set(1)
    bad.fail(ValueError("no"))
    dropped.set(2)
    assert await futures[0] == 1
    with pytest.raises(ValueError, match="no"):
        await futures[1]
