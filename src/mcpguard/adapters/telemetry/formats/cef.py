"""ArcSight's Common Event Format (CEF:0), one line for each event.

Source: Micro Focus, Implementing ArcSight Common Event Format (CEF), version 26: a header of seven fields in
which `\\` and `|` are escaped, and an extension of KEY=VALUE in which `\\`, `=` and line breaks are.
"""

from collections.abc import Iterable

from mcpguard import __version__
from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent, title
from mcpguard.adapters.telemetry.formats.rows import kind_of, milliseconds, row, why
from mcpguard.adapters.telemetry.formats.templates import Templates
from mcpguard.core.evidence.records import Decided, Noticed

GRAVE = (
    "evidence-gap", "pin-changed", "configuration-refused", "policy-refused",
    "credential-taken-back", "telemetry-lost",
)  # fmt: skip
"""Notices that an operator wants to know about."""

_TEXTS = (
    ("externalId", "id", 40), ("act", "effect", 1023), ("outcome", "status", 63),
    ("suser", "principal", 1023),
    ("destinationServiceName", "server", 1023), ("requestMethod", "method", 1023), ("dvchost", "host", 100),
    ("requestClientApplication", "client", 1023), ("out", "sent", 40), ("in", "received", 40),
    ("sourceServiceName", "agent", 1023), ("cat", "what", 1023),
)  # fmt: skip
_CUSTOM = (
    ("cs1", "tool"), ("cs2", "rules"), ("cs3", "session"), ("cs4", "trace"), ("cs5", "findings"),
    ("cs6", "chain"), ("flexString1", "observed"), ("flexString2", "actor"),
)  # fmt: skip
"""Key -> column, which is its label."""
_OURS = (
    ("mcpguardShadow", "shadow"), ("mcpguardHuman", "human"), ("mcpguardApproval", "approval"),
    ("mcpguardTicket", "ticket"), ("mcpguardCredentials", "credentials"), ("mcpguardLabels", "labels"),
    ("mcpguardCredential", "credential"), ("mcpguardPolicyDigest", "policy_digest"), ("mcpguardHash", "hash"),
)  # fmt: skip
"""The same for keys of our own, which CEF allows where it has none."""
_MOST_CUSTOM, _MOST_FLEX = 4_000, 1_023
_MOST_MESSAGE = 1_023


def _line(one: EvidenceEvent, _context: str) -> str:
    """`CEF:0|...`."""
    kind = kind_of(one)
    event = f"{kind}:{_event(one)}"
    head = ("CEF:0", "mcpguard", "mcpguard", __version__, event, title(one), str(severity(one)))
    return "|".join([head[0], *map(_header, head[1:])]) + "|" + " ".join(_extension(one))


_templates = Templates(_line, milliseconds)
line = _templates.line
"""Its line, without a line break."""


def severity(one: EvidenceEvent) -> int:
    """From 0 to 10, as CEF has it."""
    record = one.record
    if isinstance(record, Noticed):
        return 7 if record.what in GRAVE else 3
    if not isinstance(record, Decided):
        return 1
    found = one.outcome is not None and (one.outcome.findings or one.status == "withheld")
    if one.status == "denied" or found:
        return 6
    if one.let_through:
        return 5
    return 4 if one.failed else 1


def _event(one: EvidenceEvent) -> str:
    record = one.record
    return record.what if isinstance(record, Noticed) else one.status or "life"


def _extension(one: EvidenceEvent) -> Iterable[str]:
    cells = row(one)
    yield f"rt={milliseconds(one)}"
    for key, column, most in _TEXTS:
        if cells[column]:
            yield f"{key}={_value(cells[column][:most])}"
    if reason := cells["cause"]:
        yield f"reason={_value(reason)}"
    for key, column in _CUSTOM:
        if cells[column]:
            most = _MOST_FLEX if key.startswith("flex") else _MOST_CUSTOM
            yield f"{key}={_value(cells[column][:most])} {key}Label={column}"
    for key, column in _OURS:
        if cells[column]:
            yield f"{key}={_value(cells[column][:_MOST_CUSTOM])}"
    if cells["ms"]:
        yield f"cfp1={cells['ms']} cfp1Label=ms"
    if said := why(one) or cells["detail"]:
        yield f"msg={_value(said[:_MOST_MESSAGE])}"


def _header(text: str) -> str:
    shown = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(shown.split()).replace("\\", "\\\\").replace("|", "\\|")


def _value(text: str) -> str:
    text = text.replace("\\", "\\\\").replace("=", "\\=").replace("\r\n", "\n").replace("\r", "\n")
    return "".join(one if one.isprintable() or one == "\n" else " " for one in text).replace("\n", "\\n")
