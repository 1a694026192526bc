"""Whether an upstream that gives cause for doubt still answers: it let a call time out, or the process that
was started has ended while something keeps its output open.

Law of this file: only silence ends a conversation, and only the silence after a question of ours that every
server answers at once: one that says anything at all meanwhile is slow, and stays. Nothing is done for a call
that is answered.
"""

from collections.abc import Callable

from mcpguard import __version__
from mcpguard.adapters.upstreams.session.greeting import DISCOVER, Greeting
from mcpguard.adapters.upstreams.session.life import Terms, lasting
from mcpguard.adapters.upstreams.session.open_requests import OpenRequest, OpenRequests
from mcpguard.adapters.upstreams.wires.wire import Wire
from mcpguard.core.model import Json
from mcpguard.protocol import eras

LEFT_SECONDS = 5.0
"""How long what a launcher left behind may take to answer."""
_LEFT = "has ended, and what it started keeps its output open without answering"
_SILENT = (
    "let a call time out and then did not answer `{}` within {} (`start_timeout_seconds`), so mcpguard has "
    "ended it"
)


class Doubt:
    """At most one question at a time. `ask` sends a request of ours; `end(how)` ends the conversation."""

    def __init__(
        self,
        terms: Terms,
        requests: OpenRequests,
        wire: Wire,
        ask: Callable[[OpenRequest, dict[str, Json]], int],
        end: Callable[[str], None],
    ) -> None:
        self.spoke = False
        """Set when it says anything that is not the answer to an open request."""
        self._terms = terms
        self._requests = requests
        self._wire = wire
        self._ask = ask
        self._end = end
        self._asking = False

    def late(self, greeting: Greeting) -> None:
        """A call has timed out. Where each answer has a connection of its own, no other suffers by that."""
        seconds = self._terms.start_seconds
        if self._wire.one_stream:
            self._look(greeting, seconds, _SILENT.format(_harmless(greeting), lasting(seconds)))

    def left(self, greeting: Greeting | None, failed: bool) -> None:
        """See `wire.WireListener.left`. Before the greeting this is the question: it has its own deadline."""
        if greeting is not None:
            self._look(greeting, LEFT_SECONDS, _LEFT)
        elif failed:
            self._end(_LEFT)

    def _look(self, greeting: Greeting, seconds: float, how: str) -> None:
        if self._asking:
            return
        self._asking, self.spoke = True, False
        params: dict[str, Json] = {}
        if greeting.modern:
            caller = self._terms.listener.declared_to(self._terms.name)
            params["_meta"] = eras.envelope(caller, greeting.version, "mcpguard", __version__)
        probe = OpenRequest(_harmless(greeting), seconds=seconds)
        probe.then(lambda _: self._looked(probe, greeting, how))
        self._ask(probe, params)

    def _looked(self, probe: OpenRequest, greeting: Greeting, how: str) -> None:
        self._asking = False
        if self._wire.held:
            self._look(greeting, probe.seconds, how)  # Its answer may be waiting to be read.
            return
        silent = not self.spoke and probe.answers == self._requests.answers
        if silent and self._requests.overdue(probe):
            self._end(how)


def _harmless(greeting: Greeting) -> str:
    """What every server of its era answers, and nothing comes of it."""
    return DISCOVER if greeting.modern else "ping"
