"""The ports of the gateway: the Protocols that adapters implement.

Law of this file: a port accepts and returns only core values and a `Wait`; no credential is requested without
naming its recipient. Each port has one contract suite in `tests/`, which the fake and the real adapter both
pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from msgspec import Struct

from mcpguard.core.errors import MessageError
from mcpguard.core.evidence.records import Record
from mcpguard.core.model import Caller, Invocation, Json, Listed, Permit, Principal, Redacted
from mcpguard.core.secret import CredentialRef, Lease, Secret

if TYPE_CHECKING:
    from mcpguard.core.policy.pins import Hold, Standing
    from mcpguard.core.policy.session import Session
    from mcpguard.core.policy.tickets import Ticket, TicketAnswer
    from mcpguard.gateway.flight import Wait

RequestId = int | str
T = TypeVar("T")


class RawAnswer(Struct, frozen=True):
    """What an upstream answered, uninspected: `message` has `result` or `error` (JSON-RPC 2.0,
    section 5). `size` is its length on the wire in bytes, `sent` that of the request, 0 where nothing was;
    `sent_at` is when that was sent, in seconds of `Clock.seconds`, 0 where that is not known."""

    message: dict[str, Json]
    size: int
    sent: int = 0
    sent_at: float = 0.0

    @property
    def body(self) -> Json:
        """The result or the error object."""
        return self.message["error"] if "error" in self.message else self.message["result"]

    @property
    def status(self) -> str:
        """ "error" for a JSON-RPC error, "tool-error" for a result with `isError`, else "ok"."""
        if "error" in self.message:
            return "error"
        result = self.message["result"]
        return "tool-error" if type(result) is dict and result.get("isError") is True else "ok"


class Question(Struct, frozen=True, eq=False):
    """A request that an upstream makes of the client (legacy revisions: client/sampling, elicitation,
    roots), uninspected. `id` is the upstream's own. `related` is the wait of the request on whose stream
    it came, None where the transport does not tell (stdio); there `credential` is that of the process that
    asks, "" for the server's own, and None over HTTP."""

    server: str
    id: RequestId
    method: str
    params: dict[str, Json]
    _reply: Callable[[Question, dict[str, Json]], None]
    related: Wait[RawAnswer] | None = None
    credential: str | None = None

    def answer(self, body: dict[str, Json]) -> None:
        """Answer it where it was asked, whatever is configured by now: `body` is {"result": …} or
        {"error": …}. Nothing happens if it is not open any more."""
        self._reply(self, body)


class Listener(Protocol):
    """The gateway as an upstream knows it: whom it is greeted for, and who hears what it says outside of its
    answers."""

    @property
    def modern(self) -> bool:
        """Whether the client is of the modern era, so that upstreams are greeted in it first."""

    @property
    def version(self) -> str:
        """The legacy revision to greet upstreams with."""

    def declared_to(self, server: str) -> Caller:
        """What is declared to this upstream on the client's behalf outside of its requests: no question that
        policy is sure to refuse, so that the upstream does without the answer."""

    def notified(
        self, server: str, method: str, params: dict[str, Json], related: Wait[RawAnswer] | None = None
    ) -> None:
        """Take a notification that is not progress; `related` as in `Question`."""

    def renewed(self, server: str) -> None:
        """This upstream was initialized again, so what it listed before may have changed. Called after the
        requests that waited for that were sent."""

    def parted(self, related: Wait[RawAnswer] | None) -> None:
        """The upstream closed the connection of this request on purpose, and is asked for the rest later
        (basic/transports of 2025-11-25, polling)."""

    def asked(self, question: Question) -> None:
        """Take a question. It is answered later, once (`Question.answer`)."""

    def withdrawn(self, question: Question) -> None:
        """The upstream no longer wants the answer, or it is gone."""


class Upstream(Protocol):
    """A tool server that we front. It speaks its own era; this port speaks one form:

    - Requests carry no envelope: `permit.invocation.caller` is what it is made of.
    - Results are as the upstream sent them; a modern one has `resultType`, a legacy one does not.
    - `resources/subscribe` and `resources/unsubscribe` work in both eras, and so do the notifications
      `notifications/*/list_changed` and `notifications/resources/updated` of what was subscribed.
    - A modern upstream never asks (`Listener.asked`): its results may be `input_required` instead.
    """

    name: str

    @property
    def capabilities(self) -> Mapping[str, Json] | None:
        """The ServerCapabilities that it declared; None until it was greeted."""

    @property
    def instructions(self) -> str | None:
        """Its instructions for use, uninspected; None if it has none, and until it was initialized."""

    @property
    def modern(self) -> bool:
        """Whether it was greeted in the modern era (revision 2026-07-28 and later)."""

    def ready(self) -> Wait[None]:
        """Start and greet it if that is needed; over when it runs. Fails as `request` does. A caller
        has a Permit for what it does next: starting resolves credentials."""

    def request(self, permit: Permit, progress: Callable[[Json], None] | None = None) -> Wait[RawAnswer]:
        """Send `permit.invocation.params` as a request of `permit.invocation.method`.

        Starts the upstream if it does not run. `progress` gets the params of each
        `notifications/progress` that belongs to this request, before the answer. Fails with
        UpstreamError or CredentialError, both with a sentence that may be shown.
        """

    def tell(self, method: str, params: dict[str, Json]) -> None:
        """Send a notification to a legacy upstream that runs; to others nothing."""

    def prepare(self, permit: Permit) -> None:
        """Send this request now if the upstream runs, and after each later start; there is no wait for the
        answer. A later one of the same method takes its place. Starts nothing."""

    def cancel(self, wait: Wait[RawAnswer], reason: str) -> None:
        """Tell the upstream that the answer to `wait` is no longer wanted (notifications/cancelled). `wait`
        then fails; nobody should be waiting for it."""


class Client(Protocol):
    """What is connected to us. Takes only what has been inspected."""

    def reply(self, request_id: RequestId, result: Redacted) -> None:
        """Answer with a result."""

    def refuse(self, request_id: RequestId | None, error: Redacted) -> None:
        """Answer with a JSON-RPC error object (`code`, `message`, `data`)."""

    def notify(self, method: str, params: Redacted, related: RequestId | None = None) -> None:
        """Send a notification; one that belongs to an open request goes the way of its answer."""

    def ask(
        self, question_id: RequestId, method: str, params: Redacted, related: RequestId | None = None
    ) -> None:
        """Send a request to a legacy client; its answer comes to `Receiver.receive`."""

    def part(self, request_id: RequestId) -> None:
        """Close the connection that the answer to this request goes out on, if its client can come back."""

    @property
    def full(self) -> bool:
        """Whether it takes less than it is given, so that its upstreams should not be read for now."""

    def shown(self, request_id: RequestId) -> RequestId:
        """The id of an open request as the client itself wrote it."""


class Receiver(Protocol):
    """What a transport gives a client's messages to (the gateway). `request_id` is the transport's own
    where several requests of one client may carry the same."""

    def receive(
        self, message: dict[str, Json], headers: Mapping[str, str] | None = None, token: str = ""
    ) -> None:
        """Take one well-formed message. `headers` are those of its HTTP request, names in lower case,
        None where there are none; what they say must agree with the body. `token` tells the verified token
        that it came with from others, for evidence."""

    def refuse_message(self, problem: MessageError) -> None:
        """Answer a message that is refused before a decision, and leave a note of it."""

    def cancel(self, request_id: RequestId, reason: str) -> None:
        """Nobody waits for this answer any more: the client cancelled it or is gone."""

    def abandon(self, reason: str) -> None:
        """End every request in flight: each leaves an outcome, none gets an answer."""

    @property
    def batches(self) -> bool:
        """Whether the revision of the session has batches (2025-03-26, basic/index, batching)."""

    @property
    def idle(self) -> bool:
        """Whether no request waits for an answer."""

    @property
    def thinking(self) -> bool:
        """Whether a call waits for an answer of the client, who may be a person: for a bounded time."""


class CredentialSource(Protocol):
    """Where credentials come from. May block; it is called in a thread."""

    def get(self, ref: CredentialRef) -> Secret:
        """The value now. Raises CredentialError with a sentence that names `ref` and what to do."""

    def has(self, ref: CredentialRef) -> bool:
        """Whether `get` would find one, without handing out the value."""


class Mint(Protocol):
    """One entry of `credentials` that makes its value: it asks a program or a service for a short-lived one.
    May block; it is called in a thread, by one thread at a time."""

    def lease(self) -> Lease:
        """A value that may be used from now on. Raises CredentialError with a sentence that names the entry
        and what to do, and that quotes nothing of what the program or the service said."""

    def renew(self, lease: Lease) -> Lease | None:
        """The same value for longer, before it ends; None where there must be a new one. Raises
        CredentialError, as `lease`, where the source cannot be asked now."""
        return None

    def refused(self) -> None:
        """An upstream did not take the last value (HTTP 401 or 403): `lease` shall not give it again where
        the source could make another. Nothing to do where each lease is new."""
        return


class Store(Protocol):
    """State that outlives a message, and that all processes share."""

    def change(self, invocation: Invocation, change: Callable[[Session], T]) -> Wait[T]:
        """Call `change` with the session of the invocation's principal and agent; over with what it gave
        once what it changed is stored, durable against the end of the process. Where another process was
        quicker it is called again, with that one's session, so it does nothing else.

        Fails with SessionError where the session cannot be read or stored."""

    def ask(self, ticket: Ticket) -> Wait[Ticket]:
        """Store the ticket, and give it; or give one that is there already, has not expired, was not used and
        is not ended: with its fingerprint, or approved for longer and about this call as well
        (`tickets.covers`). What was denied stays denied. Fails with SessionError, also where too many
        wait."""

    def ticket(self, asked: Ticket) -> Wait[Ticket | None]:
        """The same with what it was answered by now; where it is gone, one that was approved for longer and
        is about the same call, None without one. Fails with SessionError."""

    def answered(self, ticket_id: str, answer: TicketAnswer, by: float) -> Wait[bool]:
        """Store the answer to a ticket that waits and has not expired `by` that time, in seconds since 1970;
        true once. Fails with SessionError."""

    def use(self, ticket_id: str, by: float) -> Wait[int]:
        """Use an approved ticket that has not expired `by` that time, in seconds since 1970, whose session
        lasts if it was approved for that. Over with 1 for the first use, and for each further one of an
        approval that lasts with one more; with 0 where it cannot be used. Fails with SessionError."""

    def pin(self, place: str, listed: Sequence[Listed], hold: Hold) -> Wait[dict[str, Standing]]:
        """Remember how one server, `place`, defines these entries of one kind, at least one, and give those
        by name that are held or have changed: what is seen for the first time is accepted or held as `hold`
        says. Fails with SessionError."""

    def has_listed(self, server: str, kind: str, name: str) -> Wait[bool]:
        """Whether a server of that name, whichever it was then, is known to have listed such an entry, or one
        whose name a client may write alike. Fails with SessionError."""

    def waits(self, ticket_id: str, since: float) -> Callable[[], None]:
        """Let people see that a call waits for the answer to the ticket, `since` then (seconds since 1970),
        until what this gives is called or the process ends. It costs no call where that cannot be stored."""


class AuditSink(Protocol):
    """Where evidence goes."""

    def write(self, record: Record) -> Wait[None]:
        """Append `record`. The wait is over when it is durable, and fails with AuditError."""

    def settled(self) -> Wait[None]:
        """A wait that is over when all that was written so far is durable (or failed)."""


class AuditHealth(Struct, frozen=True):
    """Whether evidence can be written. `since` is when that began, in seconds since 1970; `problem` says why
    not, "" where it can."""

    ok: bool
    since: float
    problem: str = ""


class Clock(Protocol):
    """Time, so that a test can hold it."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""

    def seconds(self) -> float:
        """A monotonic clock, in seconds."""

    def later(self, seconds: float, then: Callable[[], None]) -> Callable[[], None]:
        """Call `then` in this many seconds; gives what cancels that."""


State = Literal["idle", "starting", "running", "failing", "waiting", "failed", "closed"]
"""`idle`: not needed yet. `failing`: it runs as far as we know, but the last request was lost on its
way, or the last two got no answer.
`waiting`: it failed or ended, and the next request after a while starts it again.
`failed`: it is refused until mcpguard restarts."""


class Health(Struct, frozen=True):
    """The state of an upstream. `since` is when `state` began, in seconds since 1970. `era` is "legacy",
    "modern" or "" before the first greeting. `restarts` counts the starts after the first; `open` the
    requests without an answer. `problem` is the last one, inspected, "" for none."""

    name: str
    state: State
    since: float
    era: str = ""
    version: str = ""
    restarts: int = 0
    open: int = 0
    problem: str = ""


class Need(Struct, frozen=True):
    """Something that serving needs: `serving` (it has not begun to stop), `evidence`, `policies`, `store`,
    `keychain`, `tokens` where clients must present one, and `telemetry` where a sink that fails stops
    serving. `since` is when `ok` became what it is, in seconds since 1970; `problem` is "" where it is.
    `warning` says what will be missing soon, or is less than it could be, "" for nothing.
    `policies` is always ok: what is in force keeps serving, and a change that is not is a warning."""

    name: str
    ok: bool
    since: float
    problem: str = ""
    warning: str = ""


class Readiness(Struct, frozen=True):
    """Whether requests can be served, and how the upstreams are, which does not
    count: where one fails, the others keep running."""

    needs: tuple[Need, ...]
    upstreams: tuple[Health, ...]

    @property
    def ok(self) -> bool:
        """Whether all that is needed is there."""
        return all(need.ok for need in self.needs)


class LostAlerts(Struct, frozen=True):
    """Alerts that cannot be sent. `to` is what the configuration writes, `since` when the first was lost, in
    seconds since 1970, `lost` how many were; `problem` is that of the first."""

    to: str
    since: float
    lost: int
    problem: str


class SinkState(Struct, frozen=True):
    """The state of a sink. `to` is as the configuration has it; `since` is when it began to fail, in seconds
    since 1970, 0 where it works; `lag` counts bytes of evidence that it has not received; `refused` counts
    events that it does not take as they are, `removed` records that were removed before it received them;
    `standby` is set where another process serves the sink."""

    to: str
    format: str
    lag: int = 0
    since: float = 0.0
    problem: str = ""
    refused: int = 0
    removed: int = 0
    standby: bool = False


class Recipient(Struct, frozen=True):
    """Whom a credential is for: an upstream by its name, the host that it is at (None for a program), and
    who is responsible for the call."""

    server: str
    host: str | None
    principal: Principal


class Credentials(Protocol):
    """What gives upstreams their credentials. All of it may block and is called in threads; `known`,
    `lasting`, `due` and `remaining` never do."""

    def get(self, ref: CredentialRef, to: Recipient) -> Secret:
        """The value now, which the redactor holds already. Raises CredentialError with a sentence that names
        `ref`: it is not for `to`, or is unavailable."""

    def known(self, ref: CredentialRef, to: Recipient) -> Secret | None:
        """What `get` would give, where that needs nothing but a look; None where it may take time, or may
        fail."""

    def lasting(self, ref: CredentialRef, to: Recipient) -> Secret | None:
        """What was given last, while its source says that it lasts: for whoever cannot wait for `get`. None
        where it is over, or may be."""

    def refused(self, ref: CredentialRef, to: Recipient, secret: Secret | None = None) -> None:
        """`to` did not take `secret` (HTTP 401 or 403), None for the one that was given last: the next one
        shall be new. Nothing happens where it is not the last one any more, so many calls may say so at
        once; nor a second time within seconds, since a new one does not help. Raises as `get`."""

    def due(self, ref: CredentialRef, to: Recipient) -> float | None:
        """Seconds until `renew` can lengthen what was given last; None where nothing can."""

    def renew(self, ref: CredentialRef, to: Recipient) -> None:
        """Lengthen what was given last, where that is due: it is in use, and shall not end. Where that fails
        the operator is told. Raises CredentialError where it is not for `to` any more."""

    def remaining(self, ref: CredentialRef, to: Recipient) -> float | None:
        """Seconds until the value that was given last ends at its source, 0 where it has; None where it does
        not end by itself, or none was given."""
