"""Whether somebody has set the clock of the machine."""

from __future__ import annotations

import pytest

from mcpguard.adapters.system.clock import SET_BACK, SET_FORWARD, TOLD_SECONDS, SetClocks


class Machine:
    """One whose clock can be set."""

    def __init__(self) -> None:
        self.wall, self.running = 1_790_000_000.0, 100.0
        self.told: list[str] = []
        self.clocks = SetClocks(self.told.append, lambda: self.wall, lambda: self.running)

    def passes(self, seconds: float) -> str:
        self.wall += seconds
        self.running += seconds
        return self.clocks.look()


def test_time_that_passes_is_no_news() -> None:
    machine = Machine()
    assert [machine.passes(seconds) for seconds in (0.0, 5.0, 86_400.0)] == [""] * 3
    machine.wall -= 9  # A time service may move it.
    assert machine.passes(5) == ""
    assert machine.told == []


@pytest.mark.parametrize(("step", "said"), [(-172_800.0, SET_BACK), (86_400.0, SET_FORWARD)])
def test_a_clock_that_is_set_is_told_once_and_is_a_warning_for_an_hour(step: float, said: str) -> None:
    machine = Machine()
    machine.wall += step
    warning = said.format("2 days, 0:00:00" if step < 0 else "1 day, 0:00:00")
    assert [machine.passes(5), machine.passes(5)] == [warning] * 2
    assert machine.told == [warning]
    assert machine.passes(TOLD_SECONDS) == ""
    machine.wall -= step
    machine.passes(5)
    assert len(machine.told) == 2
