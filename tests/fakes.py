"""Fakes of the gateway's ports. All append to one trace, so that a test can state an order.

Each keeps its port's contract: the suites in `tests/gateway/test_contracts.py` run on it and on the real one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec import structs

from mcpguard.core.errors import AuditError, SessionError, UpstreamError
from mcpguard.core.evidence.bounds import EvidenceRoom
from mcpguard.core.evidence.records import Record
from mcpguard.core.model import Invocation, Listed, Permit, Principal, Redacted
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.egress import Egress
from mcpguard.core.policy.pins import Hold, Standing, standing
from mcpguard.core.policy.session import Session, StoredSession
from mcpguard.core.policy.tickets import Ticket, TicketAnswer, TicketState, covers
from mcpguard.core.redaction.redactor import KINDS, Redactor
from mcpguard.core.secret import Secret
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.gateway import Gateway
from mcpguard.gateway.inspection.inspector import Inspector, Sealed
from mcpguard.gateway.judge import Judge
from mcpguard.gateway.ports import Question, RawAnswer, Store
from mcpguard.gateway.recorder import Recorder
from mcpguard.gateway.scope import ApprovalTerms, ClientScope
from mcpguard.protocol.names import Prefix, alike

START = datetime(2026, 8, 1, 9, 0, tzinfo=UTC)
SECRET = "canary-9f2b71c0de"
T = TypeVar("T")


class FixedClock:
    """Moves one millisecond at each look."""

    def __init__(self) -> None:
        self._looks = 0
        self.alarms: list[tuple[float, Callable[[], None]]] = []
        self.slow = False
        self.set = 0.0
        """By how many seconds somebody has set the clock of the machine."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.set, milliseconds=self._looks)

    def seconds(self) -> float:
        self._looks += 1
        return self._looks / 1000

    def later(self, seconds: float, then: Callable[[], None]) -> Callable[[], None]:
        """Called when a test calls `ring`; a short pause is over at once unless `slow`."""
        if seconds <= 1 and not self.slow:
            then()
            return lambda: None
        alarm = (seconds, then)
        self.alarms.append(alarm)
        return lambda: self.alarms.remove(alarm) if alarm in self.alarms else None

    def wind(self, seconds: float) -> None:
        """So much time passes, and no alarm goes off."""
        self._looks += int(seconds * 1000)

    def ring(self) -> None:
        """So much time passes that every alarm goes off."""
        for alarm in list(self.alarms):
            if alarm in self.alarms:
                self.alarms.remove(alarm)
                alarm[1]()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


class MemoryAudit:
    """Records are durable at `commit`; `fail` makes that commit fail. Each has the types of its schema."""

    def __init__(self, trace: list[str]) -> None:
        self.records: list[Record] = []
        self.fail = False
        self._trace = trace
        self._batch: list[Record] = []
        self._wait: Wait[None] = Wait()

    def write(self, record: Record) -> Wait[None]:
        self._batch.append(record)
        return self._wait

    def settled(self) -> Wait[None]:
        if self._batch:
            return self._wait
        done: Wait[None] = Wait()
        done.set(None)
        return done

    def commit(self) -> None:
        while self._batch:
            batch, self._batch = self._batch, []
            wait, self._wait = self._wait, Wait()
            if self.fail:
                wait.fail(AuditError("the disk is full"))
                continue
            self.records += batch
            for record in batch:
                assert _decode(_encode(record)) == record
            self._trace += [_name_of(record) for record in batch]
            wait.set(None)


def _name_of(record: Any) -> str:
    kind = type(record).__struct_config__.tag
    detail = getattr(record, "effect", "") or getattr(record, "status", "") or getattr(record, "what", "")
    return f"{kind} {detail}".strip()


class MemoryStore:
    """State that ends with the test; `down` says why it is unavailable. The next `busy` changes come to their
    end when a test calls `proceed`, and the next `conflicts` are made twice, with `quicker` in between."""

    def __init__(self) -> None:
        self.down = ""
        self.busy = self.conflicts = 0
        self.quicker: Callable[[Session], None] = lambda _session: None
        self.kept: dict[tuple[str, str, str | None], StoredSession] = {}
        self.tickets: dict[str, Ticket] = {}
        self.waited_for: list[tuple[str, float]] = []
        self.pins: dict[tuple[str, str, str, str], dict[str, bool]] = {}
        """By server, place, kind and name: whether each definition was accepted, the latest last."""
        self._waiting: list[Callable[[], None]] = []

    def change(self, invocation: Invocation, change: Callable[[Session], T]) -> Wait[T]:
        wait: Wait[T] = Wait()
        if self.busy:
            self.busy -= 1
            self._waiting.append(lambda: self._now(wait, invocation, change))
        else:
            self._now(wait, invocation, change)
        return wait

    def ask(self, ticket: Ticket) -> Wait[Ticket]:
        alive = [
            one
            for one in self.tickets.values()
            if one.state not in ("used", "ended") and one.ends > ticket.created and self._counts(one)
        ]
        same = [one for one in alive if one.fingerprint == ticket.fingerprint]
        denied = [one for one in same if one.state == "denied"]
        found = (denied or self._covering(ticket, ticket.created) or same)[:1]
        return self._given(found[0] if found else self.tickets.setdefault(ticket.id, ticket))

    def ticket(self, asked: Ticket) -> Wait[Ticket | None]:
        found = [self.tickets[asked.id]] if asked.id in self.tickets else []
        return self._given(next(iter(found or self._covering(asked, asked.created)), None))

    def answered(self, ticket_id: str, answer: TicketAnswer, by: float) -> Wait[bool]:
        ticket = self.tickets.get(ticket_id)
        waiting = ticket is not None and ticket.state == "waiting" and ticket.expires > by
        return self._given(waiting and not self.down and self.answer(ticket_id, answer))

    def use(self, ticket_id: str, by: float) -> Wait[int]:
        ticket = self.tickets[ticket_id]
        if ticket.state != "approved" or ticket.ends <= by or not self._counts(ticket):
            return self._given(0)
        state: TicketState = "used" if ticket.lasts == "once" else "approved"
        self.tickets[ticket_id] = structs.replace(ticket, state=state, uses=ticket.uses + 1)
        return self._given(ticket.uses + 1)

    def waits(self, ticket_id: str, since: float) -> Callable[[], None]:
        self.waited_for.append((ticket_id, since))
        return lambda: self.waited_for.remove((ticket_id, since))

    def pin(self, place: str, listed: Sequence[Listed], hold: Hold) -> Wait[dict[str, Standing]]:
        found: dict[str, Standing] = {}
        for one in [] if self.down else listed:
            known = self.pins.setdefault((one.server, place, one.kind, one.name), {})
            if (new := standing(known, one.digest, hold)) is not None:
                if new.is_new:
                    known[one.digest] = not new.held
                if new.held or new.before:
                    found[one.name] = new
        return self._given(found)

    def has_listed(self, server: str, kind: str, name: str) -> Wait[bool]:
        names = [known for of, _, what, known in self.pins if (of, what) == (server, kind)]
        return self._given(any(alike(one) == alike(name) for one in names))

    def accept(self, server: str, name: str, kind: str = "tool") -> None:
        """Accept every definition of a tool or prompt, as a person does."""
        for (of, _, what, known), digests in self.pins.items():
            if (of, what, known) == (server, kind, name):
                digests.update(dict.fromkeys(digests, True))

    def answer(self, ticket_id: str, answer: TicketAnswer) -> bool:
        ticket = self.tickets[ticket_id]
        if ticket.state != "waiting":
            return False
        mine = self.tickets[ticket_id] = structs.replace(ticket, state=answer.verdict, answer=answer)
        if answer.lasts == "session":
            self._session(mine).approvals.append(ticket_id)
        if answer.lasts != "once":
            waiting = [one for one in self.tickets.values() if one.state == "waiting"]
            for one in waiting:
                if covers(mine, one):
                    del self.tickets[one.id]
        return True

    def end(self, ticket_id: str) -> bool:
        ticket = self.tickets[ticket_id]
        if ticket.state not in ("approved", "denied"):
            return False
        self.tickets[ticket_id] = structs.replace(ticket, state="ended")
        return True

    def _covering(self, call: Ticket, now: float) -> list[Ticket]:
        lasting = [one for one in self.tickets.values() if one.state == "approved" and one.lasts != "once"]
        return [one for one in lasting if covers(one, call) and one.ends > now and self._counts(one)]

    def _counts(self, ticket: Ticket) -> bool:
        return ticket.lasts != "session" or ticket.id in self._session(ticket).approvals

    def _session(self, ticket: Ticket) -> StoredSession:
        source, _, name = ticket.principal.partition(":")
        return self.kept.setdefault((source, name, ticket.agent), StoredSession())

    def _given(self, value: T) -> Wait[T]:
        wait: Wait[T] = Wait()
        if self.down:
            wait.fail(SessionError(self.down))
        else:
            wait.set(value)
        return wait

    def proceed(self) -> None:
        waiting, self._waiting = self._waiting, []
        for now in waiting:
            now()

    def _now(self, wait: Wait[T], invocation: Invocation, change: Callable[[Session], T]) -> None:
        if self.down:
            wait.fail(SessionError(self.down))
            return
        key = invocation.principal.source, invocation.principal.id, invocation.agent
        kept = self.kept.setdefault(key, StoredSession())
        if self.conflicts:
            self.conflicts -= 1
            change(Session(deepcopy(kept)))
            self.quicker(Session(kept))
        session = Session(deepcopy(kept))
        value = change(session)
        self.kept[key] = session.kept
        wait.set(value)


EMPTY_LISTS: dict[str, dict[str, Any]] = {
    "prompts/list": {"prompts": []},
    "resources/list": {"resources": []},
    "resources/templates/list": {"resourceTemplates": []},
}


class FakeUpstream:
    """Answers a request at once with `answers[method or tool]`, or when a test calls `give`. `lists` holds
    what it lists, by method."""

    def __init__(self, name: str, trace: list[str], tools: list[Any]) -> None:
        self.name = name
        self.modern = False
        self.instructions: str | None = None
        self.down = ""
        self.starting: Wait[None] | None = None
        self._declared: dict[str, Any] | None = {"tools": {}, "prompts": {}, "resources": {}}
        self._started = False
        self.lists: dict[str, dict[str, Any]] = {}
        self.answered: list[tuple[Any, dict[str, Any]]] = []
        self.told: list[str] = []
        self.prepared: list[Permit] = []
        self.tools = tools
        self.requests: list[Permit] = []
        self.held: list[tuple[Wait[RawAnswer], Callable[[Any], None] | None]] = []
        self.answers: dict[str, Any] = {}
        self._trace = trace

    def request(self, permit: Permit, progress: Callable[[Any], None] | None = None) -> Wait[RawAnswer]:
        wait: Wait[RawAnswer] = Wait()
        params = permit.invocation.params or {}
        self.requests.append(permit)
        what = params.get("name", permit.invocation.method)
        self._trace.append(f"request {what}")
        if what in self.answers:
            give(wait, self.answers[what])
        elif what == "tools/list":
            wait.set(RawAnswer({"id": 1, "result": {"tools": self.tools}}, 100))
        elif what in EMPTY_LISTS:
            give(wait, self.lists.get(what, EMPTY_LISTS[what]))
        else:
            self.held.append((wait, progress))
        return wait

    @property
    def capabilities(self) -> dict[str, Any] | None:
        return self._declared if self._started else None

    @capabilities.setter
    def capabilities(self, declared: dict[str, Any] | None) -> None:
        self._declared = declared

    def ready(self) -> Wait[None]:
        """Fails while `down` says why; over when `starting` is, if there is such."""
        if self.starting is not None:
            return self.starting
        wait: Wait[None] = Wait()
        if self.down:
            wait.fail(UpstreamError(self.down))
        else:
            self._started = True
            wait.set(None)
        return wait

    def prepare(self, permit: Permit) -> None:
        self.prepared.append(permit)

    def answer(self, question: Question, body: dict[str, Any]) -> None:
        self._trace.append(f"answer {question.method}")
        self.answered.append((question, body))

    def tell(self, method: str, params: dict[str, Any]) -> None:
        self.told.append(method)

    def cancel(self, wait: Wait[RawAnswer], reason: str) -> None:
        self._trace.append(f"cancel {reason}")
        self.held = [(held, progress) for held, progress in self.held if held is not wait]
        wait.fail(UpstreamError("this answer is no longer awaited"))


def give(wait: Wait[RawAnswer], answer: Any) -> None:
    """An exception, a JSON-RPC error (`{"error": …}`) or a result."""
    if isinstance(answer, Exception):
        wait.fail(answer)
    elif isinstance(answer, dict) and answer.keys() == {"error"}:
        wait.set(RawAnswer({"id": 1, **answer}, 100))
    else:
        wait.set(RawAnswer({"id": 1, "result": answer}, 100))


class RecordingClient:
    """Keeps what it is sent."""

    def __init__(self, trace: list[str]) -> None:
        self.sent: list[dict[str, Any]] = []
        self.related: list[int | str | None] = []
        self._trace = trace

    def reply(self, request_id: int | str, result: Redacted) -> None:
        self._send("reply", {"id": request_id, "result": result.value})

    def refuse(self, request_id: int | str | None, error: Redacted) -> None:
        self._send("refuse", {"id": request_id, "error": error.value})

    def notify(self, method: str, params: Redacted, related: int | str | None = None) -> None:
        self._send("notify", {"method": method, "params": params.value}, related)

    def ask(
        self, question_id: int | str, method: str, params: Redacted, related: int | str | None = None
    ) -> None:
        self._send("ask", {"id": question_id, "method": method, "params": params.value}, related)

    full = False

    def part(self, request_id: int | str) -> None:
        self._trace.append(f"part {request_id}")

    def shown(self, request_id: int | str) -> int | str:
        return request_id

    def _send(self, how: str, message: dict[str, Any], related: int | str | None = None) -> None:
        self.related.append(related)
        self._trace.append(f"{how} {message.get('id', message.get('method'))}")
        self.sent.append(message)


async def inline(work: Callable[[], Sealed]) -> Sealed:
    return work()


def tool(name: str, **annotations: bool) -> dict[str, Any]:
    return {"name": name, "description": f"does {name}", "annotations": annotations}


class World:
    """A gateway with fakes all around; `turn` ends the turn as the serving process does."""

    def __init__(
        self,
        rules: str,
        tools: dict[str, list[Any]] | None = None,
        advice: str = "",
        eager: tuple[str, ...] = (),
        store: Store | None = None,
        approvals: ApprovalTerms | None = None,
        prefix: Prefix | None = None,
        room: EvidenceRoom | None = None,
    ) -> None:
        """With `approvals` there is somebody to ask; `prefix` is that of a client's entry, `room` what it may
        still leave on record."""
        self.trace: list[str] = []
        self.reports: list[str] = []
        self.about: list[Mapping[str, object]] = []
        self.audit = MemoryAudit(self.trace)
        self.client = RecordingClient(self.trace)
        listed = tools or {"one": [tool("read", readOnlyHint=True), tool("write"), tool("push")]}
        self.upstreams = {name: FakeUpstream(name, self.trace, entries) for name, entries in listed.items()}
        self.redactor = Redactor(b"k" * 32)
        self.redactor.hold("env:CANARY", Secret(SECRET))
        policies = PolicySet([compile_policy(f"version: 1\npolicy: p\nrules:\n{rules}", "p.yaml", KINDS)])
        self.store = MemoryStore()

        def report(
            server: str,
            text: str,
            about: Mapping[str, object] | None = None,
            session: str = "",
            principal: str = "",
        ) -> None:
            self.reports.append(f"{server}: {text}")
            self.about.append(about or {})

        bound = {name: frozenset({"env:CANARY", f"env:{name}"}) for name in listed}
        self.egress = Egress(self.redactor, bound)
        self.judge = Judge(policies, store or self.store, report, self.egress)
        offload: Callable[[Callable[[], Sealed]], Awaitable[Sealed]] = inline
        self.inspector = Inspector(self.redactor, offload)
        self.clock = clock = FixedClock()
        recorder = Recorder(
            clock=clock,
            principal=Principal("ada", "os-user"),
            agent="desk",
            judge=self.judge,
            credentials={(name, ""): ("env:CANARY",) for name in listed},
            nonce="n",
            inspector=self.inspector,
            room=room,
        )
        self.scope = ClientScope(
            judge=self.judge,
            inspector=self.inspector,
            audit=self.audit,
            recorder=recorder,
            servers=tuple(listed),
            upstreams=self.upstreams,
            client=self.client,
            clock=clock,
            identity=("mcpguard", "0"),
            report=report,
            think_seconds=600.0,
            store=None if approvals is None else store or self.store,
            approvals=approvals or ApprovalTerms(),
            advice=advice,
            prefix=prefix,
            extensions={"skills/list": "one"},
            extension_ids=("com.example/skills",),
            eager=eager,
        )
        self.gateway = Gateway(self.scope)

    def send(self, method: str, params: Any = None, request_id: int | str | None = None) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = params
        if request_id is not None:
            message["id"] = request_id
        self.gateway.receive(message)
        self.turn()

    def turn(self) -> None:
        together = self.inspector.together
        while together.pending or not self.audit.settled().done:
            (together.settle if together.pending else self.audit.commit)()

    def greeted(self) -> World:
        self.send("initialize", {"protocolVersion": "2025-06-18"}, 0)
        self.client.sent.clear()
        self.trace.clear()
        return self

    def listed(self) -> World:
        self.greeted().send("tools/list", {}, 0)
        self.client.sent.clear()
        self.audit.records.clear()
        self.trace.clear()
        return self

    def call(self, name: str, request_id: int | str = 1, **args: Any) -> None:
        self.send("tools/call", {"name": name, "arguments": args}, request_id)

    def question(
        self,
        server: str,
        its_id: int | str,
        method: str,
        params: Any,
        related: Wait[RawAnswer] | None = None,
        credential: str | None = None,
    ) -> Question:
        """What a server asks, which is answered there."""
        reply = self.upstreams[server].answer
        return Question(server, its_id, method, params, reply, related, credential)

    def answer(self, answer: Any) -> None:
        wait, _progress = self.upstreams["one"].held.pop(0)
        give(wait, answer)
        self.turn()


def text(value: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}]}


GONE = UpstreamError("upstream 'one' has ended")
