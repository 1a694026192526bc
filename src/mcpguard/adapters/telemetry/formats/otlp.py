"""OTLP: a span for each call and each of its steps, logs of what is out of the ordinary, and metrics.

Law of this file: the span of a call has the id that went upstream in `traceparent`, under the caller's span.
Arguments and results are not exported, and what was removed is named by its kind and place.

Source: opentelemetry-proto 1.x; names of attributes by the semantic conventions for GenAI and MCP, with
`mcpguard.` before what these do not know. `mcp.session.id` is not set: it is the id of a connection, and
evidence has the name of a session, which outlives those (`mcpguard.session`).
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple

from mcpguard import __version__
from mcpguard.adapters.telemetry.counting import BOUNDS, Call, Counts
from mcpguard.adapters.telemetry.evidence_events import WELL, EvidenceEvent, LinePlace, title
from mcpguard.adapters.telemetry.formats.cef import severity
from mcpguard.adapters.telemetry.formats.protobuf import (
    TAGS,
    double,
    fixed,
    number,
    packed_doubles,
    packed_fixed,
    sized,
    text,
    varint,
)
from mcpguard.adapters.telemetry.formats.rows import COLUMNS, kind_of, of_both, row, unenforced, why
from mcpguard.core.evidence.records import Decided, Noticed, Steps
from mcpguard.protocol.trace import ids_of

STEPS = ("decide", "wait", "record", "inject", "call", "inspect")
"""In the order in which they take place."""
_BITS = tuple(1 << index for index in range(len(STEPS)))
_INTERNAL, _SERVER, _CLIENT = 1, 2, 3
_ERROR = 2
_DELTA = 1
_INFO, _WARN, _LOUD = (9, "INFO"), (13, "WARN"), (17, "ERROR")

_SAME = (
    ("server", "mcpguard.server"), ("effect", "mcpguard.effect"), ("cause", "mcpguard.cause"),
    ("principal", "user.id"), ("human", "mcpguard.human"), ("actor", "mcpguard.actor"),
    ("agent", "gen_ai.agent.name"), ("client", "mcpguard.client"),
    ("token", "mcpguard.token"), ("policy_digest", "mcpguard.policy.digest"),
    ("credentials", "mcpguard.credentials"), ("credential", "mcpguard.credential"),
)  # fmt: skip
"""What is the same in many calls: field of the record, and name."""
_OWN = (
    ("id", "mcpguard.invocation.id"), ("request", "jsonrpc.request.id"), ("session", "mcpguard.session"),
    ("approval", "mcpguard.approval"), ("ticket", "mcpguard.ticket"), ("args", "mcpguard.arguments.sha256"),
)  # fmt: skip
"""What differs from call to call."""
_Added = tuple[str, str, str, tuple[str, ...], tuple[str, ...]]
"""Why a call was only let through, what policies that are not enforced would have decided, and the rules and
labels that the outcome adds to."""
_same = attrgetter("cause", "method", "tool", "subject", *(field for field, _ in _SAME))
_owned = attrgetter(*(field for field, _ in _OWN))
_TEXTS = *(name for _, name in _OWN), "mcpguard.evidence.hash"
_OWN_NAMES = *_TEXTS, "mcpguard.sent.bytes", "mcpguard.received.bytes"
_INTEGER = number(3, 0)[:1]
"""The byte before an integer as the value of an attribute."""
_TRACE, _SPAN, _PARENT = (sized(field, bytes(size))[:2] for field, size in ((1, 16), (2, 8), (4, 8)))
"""The bytes before the ids of a trace, a span and its parent."""
_START, _END = (fixed(field, 0)[:1] for field in (7, 8))
"""The bytes before the times of a span."""
_fixed = struct.Struct("<Q").pack
"""A time: nanoseconds since 1970."""
_ROOT = len(_TRACE) + 16 + len(_SPAN) + 8 + 2 * (len(_START) + 8)
_CHILD = _ROOT + len(_PARENT) + 8
"""The size of ids and times in a span without a parent, and with one."""
_NO_STEPS = Steps()
_QUIET = WELL - {"pending"}
"""Statuses of calls that are logged only where something was found."""
_CALL_LABELS = (
    "mcpguard.server", "gen_ai.tool.name", "mcp.method.name", "mcpguard.effect", "mcpguard.cause",
    "mcpguard.status", "mcpguard.observed.cause",
)  # fmt: skip


@lru_cache(4096)
def _attribute(name: str, value: str) -> bytes:
    """Kept, since most are the same in many calls."""
    return text(1, name) + sized(2, text(1, value))


@lru_cache(1024)
def _listed(name: str, values: tuple[str, ...]) -> bytes:
    return text(1, name) + sized(2, sized(5, b"".join(sized(1, text(1, value)) for value in values)))


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000


class Signals(Struct, frozen=True, gc=False):
    """What is sent of an event: the spans of a call, the log of what is out of the ordinary, each b"" for
    none, and what is counted: a call, with its milliseconds where it has an outcome, or a notice."""

    place: LinePlace
    at: datetime
    spans: bytes
    log: bytes
    call: Call | None = None
    ms: float | None = None
    findings: Mapping[str, int] = {}
    notice: Noticed | None = None


def signals(one: EvidenceEvent) -> Signals:
    """Those of an event."""
    record, outcome, status = one.record, one.outcome, one.status
    if not isinstance(record, Decided):
        notice = record if isinstance(record, Noticed) else None
        return Signals(one.place, one.at, b"", _log(one), notice=notice)
    loud = status not in _QUIET or one.let_through or (outcome and outcome.findings)
    log = _log(one) if loud else b""
    if status == "pending":  # The span and the count are those of the decision that ends the wait.
        return Signals(one.place, one.at, b"", log)
    spans, call = _spans(one, record, status)
    if outcome is None:
        return Signals(one.place, one.at, spans, log, call)
    return Signals(one.place, outcome.at, spans, log, call, outcome.ms, outcome.findings)


def request(host: str, parts: Sequence[bytes]) -> bytes:
    """One of the three requests: all of them have a resource, a scope and what belongs to it; b"" if nothing
    does."""
    if not parts:
        return b""
    resource = b"".join(
        sized(1, one)
        for one in (
            _attribute("service.name", "mcpguard"),
            _attribute("service.version", __version__),
            _attribute("host.name", host),
        )
    )
    scope = sized(1, text(1, "mcpguard") + text(2, __version__))
    # There are many of them, and they are large: copy them only once.
    size = len(scope) + sum(map(len, parts))
    inner = sized(1, resource) + TAGS[2] + varint(size)
    return b"".join((TAGS[1], varint(len(inner) + size), inner, scope, *parts))


# --- traces ---------------------------------------------------------------------------------------


def traces(given: Iterable[Signals], host: str) -> bytes:
    """An ExportTraceServiceRequest, b"" where there is no span in it."""
    return request(host, [one.spans for one in given if one.spans])


def _spans(one: EvidenceEvent, record: Decided, status: str) -> tuple[bytes, Call]:
    """The span of a call, and one for each of its steps; and what it counts as."""
    outcome = one.outcome
    trace, own = ids_of(record.id, record.trace)
    steps = _NO_STEPS if outcome is None or outcome.steps is None else outcome.steps
    at = _nanoseconds(record.at)
    end = _fixed(at if outcome is None else at + int(outcome.ms * 1_000_000))
    at -= int((steps.decide + steps.wait) * 1_000_000)
    times, shown = [_fixed(at)], 0
    for bit, lasted in zip(_BITS, astuple(steps), strict=True):
        if lasted:
            at += int(lasted * 1_000_000)
            times.append(_fixed(at))
            shown |= bit
    failure = why(one)[:200] if status not in WELL else ""
    found = () if outcome is None else tuple(outcome.findings)
    parent = _PARENT + bytes.fromhex(record.trace[36:52]) if record.trace else b""
    added = _added(one, record)
    said, after, call = _alike(shown, failure, status, one.place.file, found, added, _same(record))
    told = _own(9, one, record)
    size = _ROOT + len(parent) + len(said) + len(told)
    head = TAGS[2], varint(size), _TRACE, trace, parent, _START, times[0], _END, end, _SPAN, own, said, told
    after = after.copy()
    after[1::5], after[3::5] = times[:-1], times[1:]
    after[4::5] = [_TRACE + trace + _PARENT + own + _SPAN + own[1:]] * (len(times) - 1)
    return b"".join((*head, *after)), call


@lru_cache(2048)
def _alike(
    shown: int,
    failure: str,
    status: str,
    chain: str,
    findings: tuple[str, ...],
    added: _Added,
    same: tuple[Any, ...],
) -> tuple[bytes, list[bytes], Call]:
    """Of calls that are alike: what is the same in their spans; the spans of the steps in the set of bits
    `shown`, with empty parts in place of both times, and of the ids; and what they count as."""
    cause, method, tool, subject, server, effect, *_ = same
    prompt = subject if method == "prompts/get" else ""
    # A URI is left out, since there are too many, and so is what no server has.
    name = method if cause == "unknown" else f"{method} {tool or prompt}".rstrip()
    failed = b"" if status in WELL else sized(15, number(3, _ERROR) + text(2, failure))
    parts = [b""]
    for step, bit in zip(STEPS, _BITS, strict=True):
        if shown & bit:
            said = _titled(f"mcpguard {step}", _INTERNAL)
            if step == "call":
                said = _titled(name, _CLIENT) + _conventional(9, method, tool, subject) + failed
            parts[-1] += TAGS[2] + varint(_CHILD + len(said)) + _START
            parts += b"", _END, b"", b"", bytes((bit,)) + said
    said = _titled(name, _SERVER) + failed + _shared(9, status, chain, findings, added, same)
    call = server, "" if cause == "unknown" else tool, method, effect, cause, status, added[0]
    return said, parts, call


def _titled(name: str, kind: int) -> bytes:
    return text(5, name) + number(6, kind)


def _conventional(field: int, method: str, tool: str, subject: str) -> bytes:
    found = [_attribute("mcp.method.name", method)]
    if tool:
        found.append(_attribute("gen_ai.tool.name", tool))
    if method == "tools/call":
        found.append(_attribute("gen_ai.operation.name", "execute_tool"))
    elif method == "prompts/get":
        found.append(_attribute("gen_ai.prompt.name", subject))
    elif subject and method.startswith("resources/"):
        found.append(_attribute("mcp.resource.uri", subject))
    return b"".join(sized(field, one) for one in found)


def _added(one: EvidenceEvent, record: Decided) -> _Added:
    after = one.outcome
    rules, labels = of_both(record, after, "rules"), of_both(record, after, "labels")
    return (one.let_through, *unenforced(record, after), rules, labels)


def _shared(
    field: int, status: str, chain: str, findings: tuple[str, ...], added: _Added, same: tuple[Any, ...]
) -> bytes:
    """The attributes that many calls share, each in this field of a message."""
    _cause, method, tool, subject, *values = same
    error = "" if status in WELL else status.replace("-", "_") if status == "tool-error" else status
    named: dict[str, Any] = {"mcpguard.status": status, "error.type": error, "mcpguard.evidence.chain": chain}
    named |= {name: value for (_, name), value in zip(_SAME, values, strict=True)}
    named["mcpguard.findings"] = findings
    _, named["mcpguard.observed"], named["mcpguard.shadow"], rules, labels = added
    named |= {"mcpguard.rules": rules, "mcpguard.labels": labels}
    found = [
        _attribute(name, value) if isinstance(value, str) else _listed(name, value)
        for name, value in named.items()
        if value
    ]
    return _conventional(field, method, tool, subject) + b"".join(sized(field, one) for one in found)


def _own(field: int, one: EvidenceEvent, record: Decided) -> bytes:
    """The other attributes of a call."""
    texts = (*_owned(record), one.place.hash)
    try:
        given = [*map(str.encode, texts)]
    except UnicodeEncodeError:
        given = [value.encode("utf-8", "replace") for value in texts]
    if outcome := one.outcome:
        given += varint(outcome.sent), varint(outcome.received)
    parts = _before(field, tuple(map(len, given))).copy()
    parts[1::2] = filter(None, given)
    return b"".join(parts)


@lru_cache(1024)
def _before(field: int, sizes: tuple[int, ...]) -> list[bytes]:
    """What begins each attribute of a call whose value is not empty, and an empty part instead of the
    value, which has this many bytes and ends it."""
    parts = list[bytes]()
    for index, (name, size) in enumerate(zip(_OWN_NAMES, sizes, strict=False)):
        if size:
            value = sized(1, bytes(size)) if index < len(_TEXTS) else _INTEGER + bytes(size)
            parts += sized(field, text(1, name) + sized(2, value))[:-size], b""
    return parts


# --- logs -----------------------------------------------------------------------------------------


def logs(given: Iterable[Signals], host: str) -> bytes:
    """An ExportLogsServiceRequest of all but calls that went well and had nothing removed; b"" if there are
    none."""
    return request(host, [one.log for one in given if one.log])


def _log(one: EvidenceEvent) -> bytes:
    grade = severity(one)
    level, name = _LOUD if grade >= 7 else _WARN if grade >= 4 else _INFO
    record = one.record
    head = fixed(1, _nanoseconds(one.at)) + number(2, level) + text(3, name)
    body = sized(5, text(1, title(one))) + text(12, f"mcpguard.{kind_of(one)}")
    if isinstance(record, Decided):
        trace, span = ids_of(record.id, record.trace)
        found = () if one.outcome is None else tuple(one.outcome.findings)
        said = _shared(6, one.status, one.place.file, found, _added(one, record), _same(record))
        said += _own(6, one, record)
        message = sized(6, _attribute("mcpguard.message", why(one)))
        return sized(2, head + body + said + message + sized(9, trace) + sized(10, span))
    cells = row(one)
    told = [_attribute(f"mcpguard.{name}", cells[name]) for name in COLUMNS if cells[name]]
    return sized(2, head + body + b"".join(sized(6, each) for each in told))


# --- metrics --------------------------------------------------------------------------------------


def metrics(given: Sequence[Signals], host: str) -> bytes:
    """An ExportMetricsServiceRequest of what these add (delta temporality), b"" for nothing."""
    if not given:
        return b""
    counts = Counts()
    for one in given:
        if one.call is not None:
            counts.called(one.call, one.ms, one.findings)
        elif one.notice is not None:
            counts.noticed(one.notice)
    times = [one.at for one in given]
    span = fixed(2, _nanoseconds(min(times))) + fixed(3, _nanoseconds(max(times)))
    calls = ((_labels(key), count) for key, count in counts.calls.items())
    found = [_durations(counts, span), _sum("mcpguard.calls", "{call}", calls, span)]
    for name, label, values in (
        ("detection", "mcpguard.kind", counts.detections),
        ("notice", "mcpguard.what", counts.notices),
    ):
        points = ((sized(7, _attribute(label, key)), count) for key, count in values.items())
        found.append(_sum(f"mcpguard.{name}s", f"{{{name}}}", points, span))
    return request(host, [sized(2, one) for one in found if one])


def _labels(key: Call, field: int = 7) -> bytes:
    named = zip(_CALL_LABELS, key, strict=True)
    return b"".join(sized(field, _attribute(name, value)) for name, value in named if value)


def _sum(name: str, unit: str, points: Iterable[tuple[bytes, int]], span: bytes) -> bytes:
    found = b"".join(sized(1, span + fixed(6, count) + labels) for labels, count in points)
    if not found:
        return b""
    return text(1, name) + text(3, unit) + sized(7, found + number(2, _DELTA) + number(3, 1))


def _durations(counts: Counts, span: bytes) -> bytes:
    points = b"".join(
        sized(
            1,
            span + fixed(4, one.count) + double(5, one.total) + packed_fixed(6, one.counts)
            + packed_doubles(7, BOUNDS) + _labels(key, 9),
        )
        for key, one in counts.durations.items()
    )  # fmt: skip
    if not points:
        return b""
    return text(1, "mcp.server.operation.duration") + text(3, "s") + sized(9, points + number(2, _DELTA))
