"""OTLP: a span for each call and each of its steps, logs of what is out of the ordinary, and metrics.

Law of this file: the span of a call has the id that went upstream in `traceparent`, under the caller's span.
Arguments and results are not exported, and what was removed is named by its kind and place.

Source: opentelemetry-proto 1.x; names of attributes by the semantic conventions for GenAI and MCP, with
`mcpguard.` before what these do not know. `mcp.session.id` is not set: it is the id of a connection, and
evidence has the name of a session, which outlives those (`mcpguard.session`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import attrgetter
from struct import Struct
from typing import Any

from msgspec.structs import astuple

from mcpguard import __version__
from mcpguard.adapters.telemetry.counting import BOUNDS, Call, Counts
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
from mcpguard.adapters.telemetry.formats.row import COLUMNS, kind_of, row, why
from mcpguard.adapters.telemetry.happenings import Happening, title
from mcpguard.core.evidence.records import Decided, Steps
from mcpguard.protocol.trace import span_id_of, trace_id_of

STEPS = ("decide", "wait", "record", "inject", "call", "inspect")
"""In the order in which they take place."""
_INTERNAL, _SERVER, _CLIENT = 1, 2, 3
_ERROR = 2
_DELTA = 1
_INFO, _WARN, _LOUD = (9, "INFO"), (13, "WARN"), (17, "ERROR")

_SAME = (
    ("server", "mcpguard.server"), ("effect", "mcpguard.effect"), ("cause", "mcpguard.cause"),
    ("principal", "user.id"), ("human", "mcpguard.human"), ("actor", "mcpguard.actor"),
    ("agent", "gen_ai.agent.name"), ("client", "mcpguard.client"), ("session", "mcpguard.session"),
    ("policy_digest", "mcpguard.policy.digest"),
    ("rules", "mcpguard.rules"), ("credentials", "mcpguard.credentials"), ("labels", "mcpguard.labels"),
)  # fmt: skip
"""What is the same in many calls: field of the record, and name."""
_OWN = (
    ("id", "mcpguard.invocation.id"), ("request", "jsonrpc.request.id"), ("approval", "mcpguard.approval"),
    ("ticket", "mcpguard.ticket"), ("args", "mcpguard.arguments.sha256"),
)  # fmt: skip
"""What is another one in each call."""
_same, _SAME_NAMES = attrgetter(*(field for field, _ in _SAME)), tuple(name for _, name in _SAME)
_owned = attrgetter(*(field for field, _ in _OWN))
_OWN_NAMES = *(name for _, name in _OWN), "mcpguard.evidence.hash"
_TRACE, _PARENT = sized(1, bytes(16))[:2], sized(4, bytes(8))[:2]
"""The bytes before the ids of a trace and of a parent."""
_START, _END, _SPAN = 7 << 3 | 1, 8 << 3 | 1, int.from_bytes(sized(2, bytes(8))[:2], "little")
"""The bytes before the times of a span, and before its id."""
_timed = Struct("<BQBQHQ").pack
"""These with their values: nanoseconds since 1970, and the id as a little-endian number."""
_NO_STEPS = Steps()
_CALL_LABELS = (
    "mcpguard.server", "gen_ai.tool.name", "mcp.method.name", "mcpguard.effect", "mcpguard.cause",
    "mcpguard.status",
)  # fmt: skip


@lru_cache(4096)
def _attribute(name: str, value: str) -> bytes:
    """Kept, since most are the same in many calls."""
    return text(1, name) + sized(2, text(1, value))


def _own(field: int, name: str, value: str) -> bytes:
    """An attribute in the field of a message, of what is another one in each call."""
    data = value.encode("utf-8", "replace")
    return _before(field, name, len(data)) + data


@lru_cache(1024)
def _before(field: int, name: str, size: int) -> bytes:
    """All of an attribute but its text, which has so many bytes and ends it."""
    blank = bytes(size)
    whole = sized(field, text(1, name) + sized(2, sized(1, blank)))
    return whole[: len(whole) - size]


@lru_cache(4096)
def _integer(field: int, name: str, value: int) -> bytes:
    return sized(field, text(1, name) + sized(2, number(3, value)))


@lru_cache(1024)
def _listed(name: str, values: tuple[str, ...]) -> bytes:
    return text(1, name) + sized(2, sized(5, b"".join(sized(1, text(1, value)) for value in values)))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000) * 1000


def request(host: str, parts: Sequence[bytes]) -> bytes:
    """One of the three requests: all of them have a resource, a scope and what belongs to it."""
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


def traces(happened: Iterable[Happening], host: str) -> bytes:
    """An ExportTraceServiceRequest, b"" where there is no span in it."""
    spans = [found for one in happened if (found := _spans(one))]
    return request(host, spans) if spans else b""


def _spans(one: Happening) -> bytes:
    """The span of a call, and one for each of its steps."""
    record, outcome = one.record, one.outcome
    if not isinstance(record, Decided) or (status := one.status) == "pending":
        return b""  # For a call that waits, the span is that of the decision that ends the wait.
    trace = _TRACE + bytes.fromhex(trace_id_of(record.id, record.trace))
    own = bytes.fromhex(span_id_of(record.id))
    steps = _NO_STEPS if outcome is None or outcome.steps is None else outcome.steps
    start = int(record.at.timestamp() * 1_000_000) - round((steps.decide + steps.wait) * 1000)
    end = max(int(one.at.timestamp() * 1_000_000), start)
    times = _timed(_START, start * 1000, _END, end * 1000, _SPAN, int.from_bytes(own, "little"))
    parent = _PARENT + bytes.fromhex(record.trace[36:52]) if record.trace else b""
    name, error = _name(record), error_type(one)
    failure = sized(15, number(3, _ERROR) + text(2, why(one)[:200])) if error else b""
    said = attributes(9, one, record, status, error)
    call = trace, parent, times, _titled(name, _SERVER), said, failure
    within = trace + _PARENT + own
    after = _steps(steps, record, within, own, start, name, failure)
    return b"".join((TAGS[2], varint(sum(map(len, call))), *call, after))


def _steps(
    steps: Steps, record: Decided, within: bytes, own: bytes, start: int, name: str, failure: bytes
) -> bytes:
    lasted = astuple(steps)
    number, given = int.from_bytes(own, "little"), list[bytes]()
    for index, one in enumerate(lasted, 1):
        if one:
            end = start + round(one * 1000)
            given += within, _timed(_START, start * 1000, _END, end * 1000, _SPAN, number ^ index)
            start = end
    shown = tuple(map(bool, lasted))
    return _layout(shown, name, failure, record.method, record.tool, record.subject) % tuple(given)


@lru_cache(1024)
def _layout(
    shown: tuple[bool, ...], name: str, failure: bytes, method: str, tool: str, subject: str
) -> bytes:
    """The spans of the steps that are `shown`, with two %b in each: for its trace and parent, and its times
    and id."""
    size = len(_TRACE) + 16 + len(_PARENT) + 8 + len(_timed(0, 0, 0, 0, 0, 0))
    found = []
    for step in (step for step, is_shown in zip(STEPS, shown, strict=True) if is_shown):
        said = _titled(f"mcpguard {step}", _INTERNAL)
        if step == "call":
            said = _titled(name, _CLIENT) + _conventional(9, method, tool, subject) + failure
        before = TAGS[2] + varint(size + len(said))
        found.append(b"%b%%b%%b%b" % (before.replace(b"%", b"%%"), said.replace(b"%", b"%%")))
    return b"".join(found)


@lru_cache(1024)
def _titled(name: str, kind: int) -> bytes:
    return text(5, name) + number(6, kind)


def _name(record: Decided) -> str:
    """`METHOD TARGET`; a URI is left out, since there are too many."""
    prompt = record.subject if record.method == "prompts/get" else ""
    known = "" if record.cause == "unknown" else record.tool or prompt
    return f"{record.method} {known}".rstrip()


@lru_cache(1024)
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


def error_type(one: Happening) -> str:
    """What `error.type` is, "" for none."""
    return {"tool-error": "tool_error"}.get(one.status, one.status) if one.failed else ""


def attributes(field: int, one: Happening, record: Decided, status: str, error: str) -> bytes:
    """All attributes of a call, each in this field of a message."""
    own = [value.encode("utf-8", "replace") for value in (*_owned(record), one.place.hash)]
    sizes = tuple(map(len, own))
    told = record.method, record.tool, record.subject
    layout = _attributes(field, status, error, one.place.file, told, sizes, _same(record))
    found = layout % tuple(filter(None, own))
    if outcome := one.outcome:
        if outcome.findings:
            found += sized(field, _listed("mcpguard.findings", tuple(outcome.findings)))
        found += _integer(field, "mcpguard.sent.bytes", outcome.sent)
        found += _integer(field, "mcpguard.received.bytes", outcome.received)
    return found


@lru_cache(1024)
def _attributes(
    field: int,
    status: str,
    error: str,
    chain: str,
    told: tuple[str, str, str],
    sizes: tuple[int, ...],
    same: tuple[Any, ...],
) -> bytes:
    """The attributes that many calls share, with a %b in the place of each of _OWN_NAMES that has a size."""
    texts = {"mcpguard.status": status, "error.type": error, "mcpguard.evidence.chain": chain}
    found = [_attribute(name, value) for name, value in texts.items() if value]
    for name, value in zip(_SAME_NAMES, same, strict=True):
        if value:
            found.append(_attribute(name, value) if isinstance(value, str) else _listed(name, value))
    fixed_part = _conventional(field, *told) + b"".join(sized(field, one) for one in found)
    holes = (_before(field, name, size) for name, size in zip(_OWN_NAMES, sizes, strict=True) if size)
    return b"".join(one.replace(b"%", b"%%") + b"%b" for one in (fixed_part + next(holes), *holes))


# --- logs -----------------------------------------------------------------------------------------


def logs(happened: Iterable[Happening], host: str) -> bytes:
    """An ExportLogsServiceRequest of all but calls that went well and had nothing removed; b"" for none."""
    found = [sized(2, _log(one)) for one in happened if _is_logged(one)]
    return request(host, found) if found else b""


def _is_logged(one: Happening) -> bool:
    plain = isinstance(one.record, Decided) and not one.failed and one.status != "pending"
    return not plain or bool(one.outcome is not None and one.outcome.findings)


def _log(one: Happening) -> bytes:
    grade = severity(one)
    level, name = _LOUD if grade >= 7 else _WARN if grade >= 4 else _INFO
    record = one.record
    head = fixed(1, _nanoseconds(one.at.timestamp())) + number(2, level) + text(3, name)
    body = sized(5, text(1, title(one))) + text(12, f"mcpguard.{kind_of(one)}")
    if isinstance(record, Decided):
        ids = sized(9, bytes.fromhex(trace_id_of(record.id, record.trace)))
        ids += sized(10, bytes.fromhex(span_id_of(record.id)))
        return (
            head
            + body
            + attributes(6, one, record, one.status, error_type(one))
            + _own(6, "mcpguard.message", why(one))
            + ids
        )
    cells = row(one)
    told = [_attribute(f"mcpguard.{name}", cells[name]) for name in COLUMNS if cells[name]]
    return head + body + b"".join(sized(6, each) for each in told)


# --- metrics --------------------------------------------------------------------------------------


def metrics(happened: Sequence[Happening], host: str) -> bytes:
    """An ExportMetricsServiceRequest of what these add (delta temporality), b"" for nothing."""
    counts = Counts()
    counts.add(happened)
    if not happened:
        return b""
    times = [one.at.timestamp() for one in happened]
    span = fixed(2, _nanoseconds(min(times))) + fixed(3, _nanoseconds(max(times)))
    calls = ((_labels(key), count) for key, count in counts.calls.items())
    found = [_durations(counts, span), _sum("mcpguard.calls", "{call}", calls, span)]
    for name, label, values in (
        ("detection", "mcpguard.kind", counts.detections),
        ("notice", "mcpguard.what", counts.notices),
    ):
        points = ((sized(7, _attribute(label, key)), count) for key, count in values.items())
        found.append(_sum(f"mcpguard.{name}s", f"{{{name}}}", points, span))
    given = [sized(2, one) for one in found if one]
    return request(host, given) if given else b""


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
