"""What the gateway asks of the world: the Protocols that adapters implement.

Law of this file: a port takes and gives only core values and a `Wait`. Each has one contract suite in
`tests/`, which the fake and the real adapter both pass.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from mcpguard.core.evidence import Record
from mcpguard.core.model import Json, Permit, Redacted
from mcpguard.core.secret import CredentialRef, Secret
from mcpguard.flight import Wait

RequestId = int | str


class Raw(Struct, frozen=True):
    """What an upstream answered, uninspected: `message` has `result` or `error` (JSON-RPC 2.0,
    section 5). `size` is its length on the wire in bytes."""

    message: dict[str, Json]
    size: int

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


class Upstream(Protocol):
    """A tool server that we front."""

    name: str

    def request(self, permit: Permit, progress: Callable[[Json], None] | None = None) -> Wait[Raw]:
        """Send `permit.invocation.params` as a request of `permit.invocation.method`.

        Starts the upstream if it does not run. `progress` gets the params of each
        `notifications/progress` that belongs to this request, before the answer. Fails with
        UpstreamError or CredentialError, both with a sentence that may be shown.
        """
        ...

    def prepare(self, permit: Permit) -> None:
        """Send this request now if the upstream runs, and after each later start; nobody waits for the
        answer. A later one of the same method takes its place. Starts nothing."""
        ...

    def cancel(self, wait: Wait[Raw], reason: str) -> None:
        """Tell the upstream that the answer to `wait` is no longer wanted (notifications/cancelled)."""
        ...


class Client(Protocol):
    """What is connected to us. Takes only what has been inspected."""

    def reply(self, request_id: RequestId, result: Redacted) -> None:
        """Answer with a result."""
        ...

    def refuse(self, request_id: RequestId | None, error: Redacted) -> None:
        """Answer with a JSON-RPC error object (`code`, `message`, `data`)."""
        ...

    def notify(self, method: str, params: Redacted) -> None:
        """Send a notification."""
        ...


class CredentialSource(Protocol):
    """Where credentials come from. May block; it is called in a thread."""

    def get(self, ref: CredentialRef) -> Secret:
        """The value now. Raises CredentialError with a sentence that names `ref` and what to do."""
        ...

    def has(self, ref: CredentialRef) -> bool:
        """Whether `get` would find one, without handing out the value."""
        ...


class AuditSink(Protocol):
    """Where evidence goes."""

    def write(self, record: Record) -> Wait[None]:
        """Append `record`. The wait is over when it is durable, and fails with AuditError."""
        ...

    def settled(self) -> Wait[None]:
        """A wait that is over when all that was written so far is durable (or failed)."""
        ...


class Clock(Protocol):
    """Time, so that a test can hold it."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        ...

    def seconds(self) -> float:
        """A monotonic clock, in seconds."""
        ...
