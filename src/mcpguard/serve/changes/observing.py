"""An observation while mcpguard serves: when it is over.

Law of this file: it ends once, by the clock of the machine or by one that nobody sets, whichever comes first,
so that setting the clock back does not bring it back.
"""

from collections.abc import Callable

from mcpguard.core.policy.observation import MOST_DAYS, Observation, ObservedNow
from mcpguard.gateway.ports import Clock

LOOK_SECONDS = 60.0
"""How long a clock that was set forward goes unnoticed here; decisions notice it at once."""


class Observing:
    """Waits for the end of an observation that is on, until it is closed."""

    def __init__(self, observation: Observation, clock: Clock, ended: Callable[[], None]) -> None:
        """`ended()` is called once."""
        self._observation = observation
        self._clock = clock
        self._ended = ended
        self._deadline = clock.seconds() + self._left_by_clock()
        self._stop: Callable[[], None] = lambda: None
        self._again()

    def close(self) -> None:
        self._stop()

    def _again(self) -> None:
        left = min(self._left_by_clock(), self._deadline - self._clock.seconds())
        if left > 0:
            self._stop = self._clock.later(min(left, LOOK_SECONDS), self._again)
        else:
            self._ended()

    def _left_by_clock(self) -> float:
        return (self._observation.end - self._clock.now()).total_seconds()


def beginning(observation: Observation, state: ObservedNow) -> str:
    """What the operator reads when it is taken up."""
    if state == "over":
        return f"`observe` ended with {observation.until}: policies are enforced, and it can be removed"
    if state == "too far ahead":
        said = f"`observe` ends on {observation.until}, more than {MOST_DAYS} days ahead"
        return f"{said}, so it has no effect: policies are enforced"
    return f"observing {observation.said}: policies are recorded and not enforced"


def over(observation: Observation) -> str:
    """What the operator reads when it is over."""
    return f"policies are enforced from now on for {', '.join(sorted(observation.servers))}"


def said_of(observation: Observation | None) -> str:
    """Which servers, until when; "" for none."""
    return "" if observation is None else observation.said
