"""A line for the operator where a server runs, gets into trouble, and is out of it again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcpguard.gateway.ports import Health

_OVER = ("idle", "closed")
_TROUBLE = ("failing", "waiting", "failed")


def _failing(server: str, problem: str) -> str:
    """It names the server once, whether or not `problem` does."""
    rest = problem.removeprefix(f"upstream '{server}' ")
    return f"server {server} {rest}" if rest != problem else f"server {server} is failing: {problem}"


class UpstreamLines:
    """Those of one client. `report(server, line, level)` takes them; `healths(server)` gives how a server is
    now, one for each of its processes; `changed` is called first, at each change."""

    def __init__(
        self,
        report: Callable[..., None],
        healths: Callable[[str], list[Health]],
        changed: Callable[[], None],
    ) -> None:
        self._report = report
        self._healths = healths
        self._changed = changed
        self._troubled: set[str] = set()
        self._ran: set[str] = set()
        self._running: set[str] = set()

    def of(self, server: str) -> Callable[[], None]:
        """What hears that this server has another state."""
        return partial(self._look, server)

    def _look(self, server: str) -> None:
        self._changed()
        healths = self._healths(server)
        problems = [one.problem or "it has failed" for one in healths if one.state in _TROUBLE]
        if problems and server not in self._troubled:
            self._troubled.add(server)
            if server in self._ran:  # Why a first start fails is said by who asked for it.
                self._report(server, _failing(server, problems[0]), "warning")
        elif not problems and any(one.state == "running" for one in healths):
            if server in self._troubled:
                self._report(server, f"server {server} is running again", "info")
            elif server not in self._running:
                self._report(server, f"server {server} is running", "info")
            self._ran.add(server)
            self._running.add(server)
            self._troubled.discard(server)
        elif not problems and all(one.state in _OVER for one in healths):
            self._running.discard(server)
