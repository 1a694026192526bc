"""An event as one row of texts, for formats that are tables."""

from msgspec import UNSET

from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent
from mcpguard.core.evidence.records import Decided, ObservedRefusal, Outcome, observed_in, shadow_in

COLUMNS = (
    "at", "kind", "id", "effect", "status", "cause", "rules", "server", "tool", "subject", "method",
    "principal", "human", "actor", "agent", "client", "session", "request", "trace", "credentials",
    "approval", "labels", "findings", "unredacted", "ms", "sent", "received", "message", "error", "what",
    "detail", "args", "result", "policy_digest", "version", "host", "chain", "hash", "observed", "shadow",
    "ticket", "credential", "token",
)  # fmt: skip
"""As fields of records; `kind` is `call` for a decision, `status` that of `EvidenceEvent`."""

_COUNTS = ("findings", "unredacted")
_BOTH = ("rules", "labels")
"""What a decision and its outcome both add to."""


def kind_of(one: EvidenceEvent) -> str:
    """`call`, or the kind of its record."""
    if isinstance(one.record, Decided):
        return "call"
    return str(one.record.__struct_config__.tag)


def row(one: EvidenceEvent) -> dict[str, str]:
    """A text for each of COLUMNS, "" for what is not there."""
    found = {name: _text(one, name) for name in COLUMNS}
    found["at"] = stamp(one)
    found["kind"] = kind_of(one)
    found["status"] = one.status or _text(one, "reason")
    found["host"] = one.host or found["host"]
    found["chain"] = one.place.file
    found["hash"] = one.place.hash
    if isinstance(one.record, Decided):
        found["observed"], found["shadow"] = unenforced(one.record, one.outcome)
    return found


def unenforced(record: Decided, outcome: Outcome | None) -> tuple[str, str]:
    """What policies that are only observed, and rules in shadow mode, would have decided."""
    refusal = observed_in(record, outcome)
    return "" if refusal is None else refusal.text, shadow_in(record, outcome)


def of_both(record: Decided, outcome: Outcome | None, name: str) -> tuple[str, ...]:
    """`rules` or `labels` of a decision, and what its outcome adds."""
    added = () if outcome is None else getattr(outcome, name)
    return tuple(dict.fromkeys((*getattr(record, name), *added))) if added else getattr(record, name)


def stamp(one: EvidenceEvent) -> str:
    """When it was over: RFC 3339 in UTC with milliseconds."""
    return one.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(one: EvidenceEvent) -> int:
    """The same, since 1970."""
    return int(one.at.timestamp() * 1000)


def _text(one: EvidenceEvent, name: str) -> str:
    """The field of the outcome, else of the record."""
    if name in _BOTH and one.outcome is not None and isinstance(one.record, Decided):
        return _cell(name, of_both(one.record, one.outcome, name))
    for part in (one.outcome, one.record):
        value = getattr(part, name, UNSET)
        if value is not UNSET and value not in (None, "", (), {}, 0):
            return _cell(name, value)
    return ""


def _cell(name: str, value: object) -> str:
    if name in _COUNTS and isinstance(value, dict):
        return "; ".join(f"{what} x{count}" if count > 1 else str(what) for what, count in value.items())
    if isinstance(value, (tuple, list)):
        return ", ".join(map(str, value))
    if isinstance(value, ObservedRefusal):
        return value.text
    return str(value)


def why(one: EvidenceEvent) -> str:
    """Why it did not do what it was for, in a sentence, "" where nothing says so."""
    record, outcome = one.record, one.outcome
    said = "" if outcome is None else outcome.error or outcome.message
    if isinstance(record, Decided) and not said:
        said = record.message
    if isinstance(record, Outcome):
        said = record.error or record.message
    return said
