"""An upstream over any wire: started when first asked, greeted, and then a conversation until it ends.

Law of this file: each request is resolved exactly once, by the upstream's answer or by one clear error.
Nothing starts by itself: a life begins with a request that policy has permitted, and what has failed is
left alone for a while.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from mcpguard.adapters.relay.background import Background
from mcpguard.adapters.system.files import failure_of
from mcpguard.adapters.upstreams.process.environment import Environment
from mcpguard.adapters.upstreams.session.connecting import Connector, Inheritance, MakeWire, no_past, too_slow
from mcpguard.adapters.upstreams.session.conversation import Conversation
from mcpguard.adapters.upstreams.session.greeting import Changed, Greeting, said_of
from mcpguard.adapters.upstreams.session.life import MOST_SECONDS, Terms, inspected
from mcpguard.adapters.upstreams.session.open_requests import (
    FULL_OPEN,
    OpenRequest,
    Progress,
    UpstreamLoad,
    crowded,
    exhausted,
)
from mcpguard.core.errors import McpGuardError, UpstreamError
from mcpguard.core.evidence.records import LOST
from mcpguard.core.model import Json, Permit
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import Health, State
from mcpguard.protocol.eras import SET_LEVEL

ENDING = "mcpguard is ending"
MOST_SAID = 1_000
"""Characters of evidence of one start or end."""


class Instance:
    """One process of a server, or one connection to it, over all its lives; see `ports.Upstream` for the
    methods of the same names."""

    def __init__(
        self,
        terms: Terms,
        wires: Sequence[MakeWire],
        past: Inheritance | None = None,
        environment: Environment | None = None,
    ) -> None:
        """`wires` make a wire each, tried in this order; `past` is what it inherits. `environment` is that of
        its process, None for a server with a `url`: there the credentials go with each request."""
        self.name = terms.name
        self.conversation: Conversation | None = None
        """The one that it is in while it runs: greeted, and its wire not ended yet."""
        self._terms = terms
        self.past = past or no_past(terms)
        """What another process of the same server continues with."""
        self.environment = environment
        self.open: dict[OpenRequest, None] = {}
        """The calls that its lane has sent to it and that are not over, where the lane wants to know."""
        self.tasks: dict[str, float] = {}
        """The same of tasks that were begun in it, by id: until when, in seconds of the event loop."""
        self._connector = Connector(terms, wires, self.past.identity)
        self._load = UpstreamLoad(terms.turn.strain)
        self._talk: Conversation | None = None
        self._background = Background("the life of a server broke off")
        self._life: asyncio.Task[None] | None = None
        self._queue: list[OpenRequest] = []
        self._readying: list[Wait[None]] = []
        self._problem = ""
        self._state: State = "idle"
        self._since = time.time()
        self._starts = 0
        self._dying = self._closing = False
        self._gently = True
        self._why = ""

    # --- what is known of it ---------------------------------------------------------------------

    @property
    def capabilities(self) -> Mapping[str, Json] | None:
        """See `ports.Upstream.capabilities`; those of the last greeting."""
        return None if self.past.greeting is None else self.past.greeting.capabilities

    @property
    def modern(self) -> bool:
        return self.past.greeting is not None and self.past.greeting.modern

    @property
    def version(self) -> str:
        """The protocol revision that it was greeted in, "" before."""
        return "" if self.past.greeting is None else self.past.greeting.version

    @property
    def instructions(self) -> str | None:
        return None if self.past.greeting is None else self.past.greeting.instructions

    @property
    def running(self) -> bool:
        """Whether it takes requests without being started for them."""
        return self.conversation is not None

    @property
    def alive(self) -> bool:
        """Whether there is a process of it, or a connection: it runs, starts or ends."""
        return self._life is not None

    @property
    def health(self) -> Health:
        trouble = None if self.conversation is None else self.conversation.trouble
        return Health(
            self.name,
            self._state if trouble is None else "failing",
            self._since if trouble is None else trouble.since,
            era="" if self.past.greeting is None else "modern" if self.modern else "legacy",
            version=self.version,
            restarts=max(0, self._starts - 1),
            open=self._opened,
            problem=inspected(self._terms.clean, self._problem if trouble is None else trouble.problem),
        )

    # --- ports.Upstream --------------------------------------------------------------------------

    def ready(self) -> Wait[None]:
        wait: Wait[None] = Wait()
        if self.running:
            wait.set(None)
        elif problem := self._unavailable():
            wait.fail(UpstreamError(problem))
        else:
            self._readying.append(wait)
        return wait

    def request(self, permit: Permit, progress: Progress | None = None) -> OpenRequest:
        call = OpenRequest(permit.invocation.method, permit, progress)
        self.take(call)
        return call

    def take(self, call: OpenRequest) -> None:
        """As `request`, of a call that somebody waits for already."""
        problem = "" if self.running else self._unavailable()
        if not problem and self._terms.turn.strained and exhausted(self._opened, self._unsent):
            problem = f"upstream '{self.name}' does not answer, so no more requests are sent to it"
        if problem:
            call.fail(UpstreamError(problem))
        else:
            self._send(call)

    def prepare(self, permit: Permit) -> None:
        self.past.memory.prepared[permit.invocation.method] = permit
        if self.running:
            self._prepare(permit)

    def tell(self, method: str, params: dict[str, Json]) -> None:
        if self.conversation is not None and not self.modern:
            self.conversation.notify(method, params)

    def let_go(self, call: OpenRequest, _reason: str) -> None:
        """See `open_requests.RequestHolder`: of one that waits for the start."""
        if call in self._queue:
            self._queue.remove(call)

    def _send(self, call: OpenRequest) -> None:
        if self.conversation is not None:
            self.conversation.send(call)
        else:
            self._queue.append(call)
            call.holder = self
            if len(self._queue) >= FULL_OPEN:
                self._terms.turn.strain()

    def _prepare(self, permit: Permit) -> None:
        # A modern upstream reads the level in each request's envelope.
        if not (self.modern and permit.invocation.method == SET_LEVEL):
            self.request(permit)

    # --- flow control ----------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether the client should wait."""
        return self._load.holds(self._opened, self._unsent)

    @property
    def strained(self) -> bool:
        """Whether it is full, even where it has stopped and no longer holds the client back."""
        return crowded(self._opened, self._unsent)

    @property
    def _opened(self) -> int:
        return len(self._queue) if self.conversation is None else self.conversation.unanswered

    @property
    def _unsent(self) -> int:
        return 0 if self._talk is None else self._talk.wire.unsent

    def hold(self, on: bool) -> None:
        if self._talk is not None:
            self._talk.wire.hold(on)

    # --- one life --------------------------------------------------------------------------------

    def _unavailable(self) -> str:
        """Why no request can be taken, "" if one can; starts the upstream where that is needed."""
        if self._life is not None:
            return self._problem if self._dying else ""
        if self._closing or self._state == "failed":
            return self._why or ENDING if self._closing else self._problem
        remaining = self.past.backoff.remaining(asyncio.get_running_loop().time())
        if remaining > 0:
            return f"{self._problem}; next try in {remaining:.1f} s"
        self._dying = False
        self._starts += 1
        self._now("starting")
        self._life = self._background.start(self._live())
        return ""

    async def _live(self) -> None:
        """Start, greet, stay until the wire ends, and leave nothing of it alive."""
        seconds, began = self._terms.start_seconds, 0.0
        problem, lost = f"upstream '{self.name}' has ended", False
        try:
            async with asyncio.timeout(seconds):
                talk, greeting = await self._connector.connect(self._talk_over)
            self._noted("upstream-started", said_of(greeting))
            self._greeted(talk, greeting)
            began = asyncio.get_running_loop().time()
            while await self._session_ended(talk):
                async with asyncio.timeout(seconds):
                    greeting = await self._connector.greet(talk, False)
                self._greeted(talk, greeting)
            problem = f"upstream '{self.name}' {talk.how}"
        except Changed as change:
            problem, lost = str(change), True
        except McpGuardError as refusal:
            said = str(refusal).removeprefix(f"upstream '{self.name}' ")
            lane = f" with the credential '{self._terms.lane}'" if self._terms.lane else ""
            problem = f"upstream '{self.name}' is not available{lane}: {said}"
        except TimeoutError:
            problem = too_slow(self._terms)
        except OSError as error:
            problem = f"upstream '{self.name}' cannot be started: {failure_of(error)}"
        except asyncio.CancelledError:
            problem = ENDING  # From `close`, while starting.
        finally:
            await self._end_life(problem, lost, began)

    def _talk_over(self, make: MakeWire) -> Conversation:
        self._talk = Conversation(self._terms, make, self.past.memory, self._session_expired)
        return self._talk

    def _greeted(self, talk: Conversation, greeting: Greeting) -> None:
        renewed, self.past.greeting = self.past.greeting is not None, greeting
        talk.begin(greeting)
        self.conversation = talk
        self._now("running")
        for permit in self.past.memory.prepared.values():
            self._prepare(permit)
        queue, self._queue = self._queue, []
        for call in queue:
            talk.send(call)
        if renewed and not self._terms.lane:
            self._terms.listener.renewed(self.name)
        readying, self._readying = self._readying, []
        for wait in readying:
            wait.set(None)
        self._terms.turn.touch()

    async def _session_ended(self, talk: Conversation) -> bool:
        """Wait until the wire has ended (False) or the session has (True)."""
        if not talk.over:
            await talk.stirred.wait()
            talk.stirred.clear()
        if talk.changed is not None:
            raise talk.changed
        return not (talk.over or self._closing)

    def _session_expired(self, call: OpenRequest) -> None:
        """Its session has expired: initialize again, then send it once more unless it has failed."""
        talk = self.conversation
        if talk is not None and call.session == talk.session:
            self.conversation = None
            self._now("starting")
            talk.expire()
        if not call.done:
            self._send(call)

    async def _end_life(self, problem: str, lost: bool, began: float) -> None:
        """Answer whoever waits, then leave nothing of this life alive."""
        self.conversation = None
        self._dying = True
        self.tasks.clear()
        self._problem = problem = self._why or problem
        talk, now = self._talk, asyncio.get_running_loop().time()
        if talk is not None and not self._closing:
            self._problem = problem = problem + await talk.wire.last_words()
        healthy = bool(began) and talk is not None and (talk.answers > 0 or now - began >= MOST_SECONDS)
        if not self._closing:
            self.past.backoff.failed(now, healthy)
        waits: list[Wait[Any]] = [*self._readying, *self._queue]
        self._readying, self._queue = [], []
        for wait in waits:
            wait.fail(UpstreamError(problem))
        if talk is not None:
            talk.stop(problem)
        self._noted("upstream-ended" if self._closing else LOST, problem)
        self._now("closed" if self._closing else "failed" if lost else "waiting")
        self._terms.turn.touch()
        try:
            if talk is not None:
                await talk.wire.close(self._gently)
        finally:
            self._talk = self._life = None

    async def close(self, gently: bool, why: str = "") -> None:
        """End the upstream and everything that it started; `gently` lets it end by itself first. Whoever
        waits for an answer gets `why`."""
        self._closing, self._gently, self._why = True, gently, why
        if self._life is None:
            self._now("closed")
            return
        if self.conversation is not None:
            self.conversation.leave()
        elif not self._dying:
            self._life.cancel()
        await asyncio.wait([self._life])
        if self._life is not None:  # It was cancelled before its first step.
            await self._end_life(ENDING, False, 0.0)

    def report_expired(self) -> None:
        """Have the operator and the evidence know that credentials ended under open calls or tasks."""
        if self.environment is not None:
            named = ", ".join(map(str, self.environment.ended))
            said = f"{named} has ended at its source, and calls or tasks that use it have not"
            self._terms.report(self.name, said)
            self._noted("credential-expired", said)

    def _noted(self, what: str, detail: str) -> None:
        lane = f"with the credential '{self._terms.lane}': " if self._terms.lane else ""
        self._terms.noted(what, lane + inspected(self._terms.clean, detail)[:MOST_SAID])

    def _now(self, state: State) -> None:
        self._state = state
        self._since = time.time()
        self._terms.changed()
