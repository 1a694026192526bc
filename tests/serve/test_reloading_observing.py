"""The end of an observation while mcpguard serves."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from mcpguard.core.policy.terms import Observation
from mcpguard.serve.reloading import LOOK_SECONDS, Observing
from tests.fakes import START, FixedClock

SECONDS = 100.0
ON = Observation(frozenset({"git"}), START + timedelta(seconds=SECONDS))


class SetClock(FixedClock):
    """One that somebody sets by `off` seconds."""

    off = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.off)


class Watched:
    def __init__(self) -> None:
        self.clock = SetClock()
        self.clock.slow = True
        self.heard: list[str] = []
        self.watch = Observing(ON, self.clock, lambda: self.heard.append("ended"))

    def look(self) -> float:
        """The next look; gives for how long it had been put off."""
        ((seconds, then),) = self.clock.alarms
        self.clock.alarms.clear()
        then()
        return seconds


def test_it_ends_once_when_its_last_day_is_over() -> None:
    watched = Watched()
    watched.clock.wind(LOOK_SECONDS)
    assert watched.look() == LOOK_SECONDS
    assert watched.heard == []
    watched.clock.wind(SECONDS - LOOK_SECONDS)
    assert watched.look() == pytest.approx(SECONDS - LOOK_SECONDS, abs=0.1)
    assert (watched.heard, watched.clock.alarms) == (["ended"], [])


def test_a_clock_that_is_set_forward_ends_it() -> None:
    watched = Watched()
    watched.clock.off = SECONDS
    watched.look()
    assert watched.heard == ["ended"]


def test_a_clock_that_is_set_back_does_not_make_it_longer() -> None:
    watched = Watched()
    watched.clock.off = -86_400.0
    watched.clock.wind(SECONDS - 1)
    watched.look()
    assert watched.heard == []
    watched.clock.wind(2)
    watched.look()
    assert watched.heard == ["ended"]


def test_it_is_closed_without_an_end() -> None:
    watched = Watched()
    watched.watch.close()
    assert (watched.heard, watched.clock.alarms) == ([], [])


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (0, "observing git until the end of 2026-07-31 (UTC): policies are recorded and not enforced"),
        (-1, "`observe` ended with 2026-07-30: policies are enforced, and it can be removed"),
        (
            60,
            "`observe` ends on 2026-09-29, more than 31 days ahead, so it has no effect: policies are enforced",
        ),
    ],
)
def test_the_operator_reads_how_it_is(days: int, said: str) -> None:
    observation = Observation(frozenset({"git"}), ON.end + timedelta(days=days))
    assert observation.reported(observation.at(FixedClock().now())) == said
