"""INSPECT: where an upstream's value becomes one that may leave. An answer is translated to the client's era,
inspected, and reviewed by the rules on results; small ones at once, big ones in a thread.

Law of this file: rules see what was inspected, and what they add (redaction, labels, the use of a limit) is
done before the answer is handed out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha256

from msgspec import Struct

from mcpguard.core.errors import InspectionError, UpstreamError
from mcpguard.core.model import Json, Permit, Redacted
from mcpguard.core.policy.review import UNTOUCHED, Review
from mcpguard.core.redaction.redactor import Redactor, authored
from mcpguard.gateway.ports import Raw
from mcpguard.gateway.request import Request
from mcpguard.gateway.scope import ClientScope
from mcpguard.gateway.tasks import Tasks
from mcpguard.protocol import eras, refusals
from mcpguard.protocol.calls import Call
from mcpguard.protocol.jsonrpc import REFUSED

INLINE_BYTES = 64 * 1024
"""Above this a hop to a thread (50-80 microseconds) costs less than the scan holds up the others."""

EMPTY = authored({})
"""The empty result, and the params of a notification that has none."""

Sealed = tuple[Redacted, str]
Offload = Callable[[Callable[[], Sealed]], Awaitable[Sealed]]

_RESULT_TYPES = (None, eras.COMPLETE, eras.INPUT_REQUIRED)


class Inspector:
    """Inspects and digests. Raises InspectionError where the whole value must be withheld."""

    def __init__(self, redactor: Redactor, offload: Offload) -> None:
        self.waiting = 0
        """Bytes that are being inspected elsewhere: they are not sent yet, so they count as unsent."""
        self.redactor = redactor
        self._offload = offload

    async def seal(self, value: Json, size: int, also: tuple[str, ...] = ()) -> Sealed:
        """The inspected value and the sha256 (hex) of its payload; `size` is in bytes on the wire."""
        if size <= INLINE_BYTES:
            return self.seal_now(value, also)
        self.waiting += size
        try:
            return await self._offload(partial(self.seal_now, value, also))
        finally:
            self.waiting -= size

    def seal_now(self, value: Json, also: tuple[str, ...] = ()) -> Sealed:
        """As `seal`, in this thread."""
        redacted = self.redactor.inspect(value, also)
        return redacted, sha256(redacted.payload).hexdigest()

    def ours(self, value: Json) -> Redacted:
        """What we wrote around a name or a sentence that came from elsewhere; never raises."""
        try:
            return self.redactor.inspect(value)
        except InspectionError:
            return authored(refusals.error(REFUSED, "refused by mcpguard"))

    def text(self, text: str) -> str:
        """A line of text that is not a message: an upstream's stderr, a name in a record."""
        return self.redactor.inspect_text(text)


class Ready(Struct, frozen=True):
    """What goes to the client: `answer` as a result, or as an error where `refused`. The rest is for the
    outcome; `digest` is that of the inspected result, also where it is withheld."""

    answer: Redacted
    digest: str
    status: str
    refused: bool
    review: Review = UNTOUCHED


class Results:
    """Makes the answers of one client ready."""

    def __init__(self, scope: ClientScope, tasks: Tasks) -> None:
        self._scope = scope
        self._tasks = tasks

    async def ready(self, request: Request, permit: Permit, call: Call, raw: Raw) -> Ready:
        """Raises UpstreamError for what is no answer, InspectionError for what cannot be inspected."""
        inspector = self._scope.inspector
        body = self._translated(request, permit, raw.message)
        if raw.size <= INLINE_BYTES:
            # As `seal` does, on the road of nearly every call.
            answer = inspector.redactor.inspect(body, request.redact)
            digest = sha256(answer.payload).hexdigest()
        else:
            answer, digest = await inspector.seal(body, raw.size, request.redact)
        if asks(raw):
            return Ready(answer, digest, "input-required", False)
        failed = "error" in raw.message
        review = self._review(request, permit, call, answer, failed)
        if review.denied is not None:
            return self._withheld(request, call, digest, review)
        if not set(review.redact) <= set(request.redact):
            answer, digest = await inspector.seal(body, raw.size, request.redact + review.redact)
        status = "tool-error" if body.get("isError") is True else "ok"
        return Ready(answer, digest, "error" if failed else status, failed, review)

    def _withheld(self, request: Request, call: Call, digest: str, review: Review) -> Ready:
        scope, deny = self._scope, review.denied
        assert deny is not None  # noqa: S101 - who calls has looked
        if call.kind == "tool":
            result = scope.result_for(request.caller, request.method, refusals.withheld_result(deny))
            return Ready(scope.inspector.ours(result), digest, "withheld", False, review)
        return Ready(scope.inspector.ours(refusals.withheld_error(deny)), digest, "withheld", True, review)

    def _review(self, request: Request, permit: Permit, call: Call, answer: Redacted, failed: bool) -> Review:
        value = {"error": answer.value} if failed else answer.value
        found = self._judged(request, permit, value, answer)
        if call.kind != "task":
            return found
        # What a task gives is the result of the call that began it.
        for given in _of_task(call.method, value):
            task = self._tasks.find(call.name)
            if task is None:
                raise InspectionError("its task was forgotten meanwhile")
            if found.denied is None:
                found = _both(found, self._judged(request, task.permit, given, answer))
        return found

    def _judged(self, request: Request, permit: Permit, value: Json, answer: Redacted) -> Review:
        scope, size = self._scope, len(answer.payload)
        now = scope.recorder.now()
        return scope.judge.review(request.policies, permit, value, answer.findings, size, now)

    def _translated(self, request: Request, permit: Permit, message: dict[str, Json]) -> Json:
        invocation, failed = permit.invocation, "error" in message
        body = message["error"] if failed else message["result"]
        if type(body) is not dict:
            raise UpstreamError(f"upstream '{invocation.server}' gave an answer that is no object")
        if failed:
            modern = self._scope.upstreams[invocation.server].modern
            return eras.error_for(request.caller, invocation.method, body, modern)
        kind = body.get("resultType")
        if kind not in _RESULT_TYPES and not _declares(request, kind):
            raise UpstreamError(f"upstream '{invocation.server}' gave a result of an unknown type")
        if invocation.method == "tools/call" and (kind == "task" or "task" in body):
            self._tasks.remember(permit, body, request.redact)
        if request.caller.modern or not eras.MODERN_ONLY.isdisjoint(body):
            return self._scope.result_for(request.caller, invocation.method, body)
        return body


def asks(raw: Raw) -> bool:
    """Whether it is a result that asks the client something instead."""
    result = raw.message.get("result")
    return type(result) is dict and result.get("resultType") == eras.INPUT_REQUIRED


def _declares(request: Request, result_type: Json) -> bool:
    """Whether the client's extensions allow this kind of result (basic, ResultType)."""
    return result_type == "task" and eras.has_tasks(request.caller.capabilities)


def _of_task(method: str, value: Json) -> list[Json]:
    """What a task gives, each as if its call had been answered with it; nothing while there is nothing."""
    if method == "tasks/result":
        return [value]
    if method != "tasks/get":
        return []
    result, error = value.get("result"), value.get("error")
    return ([] if result is None else [result]) + ([] if error is None else [{"error": error}])


def _both(one: Review, two: Review) -> Review:
    return Review(
        one.rules + two.rules,
        two.denied,
        one.redact + two.redact,
        one.labels + two.labels,
        one.facts + two.facts,
        " ".join(filter(None, (one.shadow, two.shadow))),
    )
