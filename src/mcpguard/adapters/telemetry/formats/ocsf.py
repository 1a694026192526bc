"""OCSF 1.8: calls as API Activity (class 6003), everything else as Application Lifecycle or a base event.

Source: https://schema.ocsf.io/1.8.0. Texts of a record that OCSF has no place for are in `unmapped`.
"""

from typing import Any

from msgspec import json

from mcpguard import __version__
from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent, title
from mcpguard.adapters.telemetry.formats.rows import kind_of, milliseconds, row, unenforced, why
from mcpguard.adapters.telemetry.formats.templates import Templates
from mcpguard.core.evidence.records import Closed, Decided, Noticed, Opened, Outcome
from mcpguard.core.model import split_principal

VERSION = "1.8.0"
API_ACTIVITY = 6003
LIFECYCLE = 6002
BASE = 0
_START, _STOP = 3, 4
_UNKNOWN, _SUCCESS, _FAILURE, _OTHER = 0, 1, 2, 99
_INFORMATIONAL, _LOW, _MEDIUM, _HIGH = 1, 2, 3, 4
_READING = ("resources/read", "prompts/get", "completion/complete")
_UNMAPPED = (
    "rules", "human", "actor", "agent", "session", "credentials", "approval", "labels", "findings",
    "unredacted", "ms", "sent", "received", "args", "result", "policy_digest", "chain", "hash", "cause",
    "observed", "shadow", "ticket", "credential",
)  # fmt: skip

_GRAVE = ("evidence-gap", "pin-changed", "configuration-refused", "policy-refused", "telemetry-lost")


def event(one: EvidenceEvent, host: str) -> dict[str, Any]:
    """The event."""
    record = one.record
    if isinstance(record, Decided):
        return _call(one, record, one.host or host)
    if isinstance(record, (Opened, Closed)):
        activity = _START if isinstance(record, Opened) else _STOP
        app = {"name": "mcpguard", "vendor_name": "mcpguard", "version": __version__}
        return _frame(one, LIFECYCLE, 6, activity, _INFORMATIONAL) | {"app": app}
    grave = isinstance(record, Noticed) and record.what in _GRAVE
    found = _frame(one, BASE, 0, _OTHER, _HIGH if grave else _INFORMATIONAL)
    found["activity_name"] = title(one)
    return found


def _call(one: EvidenceEvent, record: Decided, host: str) -> dict[str, Any]:
    status = _OTHER if one.status in ("pending", "asked", "input-required", "paused", "resumed") else _SUCCESS
    status = _FAILURE if one.failed else status
    activity = 2 if record.method in _READING or record.method.endswith("/list") else _OTHER
    found = _frame(one, API_ACTIVITY, 6, activity, _severity(one))
    if activity == _OTHER:
        found["activity_name"] = record.method
    found["status_id"] = status
    found["status"] = {_SUCCESS: "Success", _FAILURE: "Failure"}.get(status, one.status)
    found["status_code"] = one.status
    if reason := why(one) or record.cause or _would_be(one, record):
        found["status_detail"] = reason
    found["actor"] = _actor(record)
    api: dict[str, Any] = {"operation": record.method, "request": {"uid": record.id}}
    if record.server:
        api["service"] = {"name": record.server}
    if one.outcome is not None and one.failed:
        api["response"] = {"error": one.status} | ({"error_message": said} if (said := why(one)) else {})
    found["api"] = api
    # Whoever speaks to us over stdio runs on the same machine; of HTTP the evidence has no address.
    found["src_endpoint"] = {"name": record.client or record.agent or "client", "hostname": host}
    if record.server:
        found["dst_endpoint"] = {"name": record.server, "svc_name": record.server}
    if name := record.tool or record.subject:
        kind = "tool" if record.tool else record.method.partition("/")[0]
        found["resources"] = [{"name": name, "type": kind}]
    return found


def _actor(record: Decided) -> dict[str, Any]:
    source, who = split_principal(record.principal)
    issuer = {"domain": source} if "://" in source else {}
    token = {"credential_uid": record.token} if record.token else {}
    actor: dict[str, Any] = {"user": {"uid": record.principal, "name": who} | issuer | token}
    if name := record.client or record.agent:
        actor["app_name"] = name
    if record.session:
        actor["session"] = {"uid": record.session}
    return actor


def _would_be(one: EvidenceEvent, record: Decided) -> str:
    said = "; ".join(filter(None, unenforced(record, one.outcome)))
    return f"would be refused: {said}" if one.let_through else ""


def _severity(one: EvidenceEvent) -> int:
    found = one.outcome is not None and (one.outcome.findings or one.status == "withheld")
    if one.status == "denied" or found or one.let_through:
        return _MEDIUM
    return _LOW if one.failed else _INFORMATIONAL


def _frame(one: EvidenceEvent, kind: int, category: int, activity: int, severity: int) -> dict[str, Any]:
    """What each event has."""
    cells = row(one)
    metadata: dict[str, Any] = {
        "version": VERSION,
        "product": {"name": "mcpguard", "vendor_name": "mcpguard", "version": __version__},
        "uid": one.place.hash,
        "event_code": kind_of(one),
        "log_name": one.place.file,
    }
    if identity := cells["id"]:
        metadata["correlation_uid"] = identity
    found: dict[str, Any] = {
        "class_uid": kind,
        "category_uid": category,
        "activity_id": activity,
        "type_uid": kind * 100 + activity,
        "severity_id": severity,
        "time": milliseconds(one),
        "metadata": metadata,
        "message": title(one),
    }
    if isinstance(one.record, Decided):
        found["unmapped"] = {name: cells[name] for name in _UNMAPPED if cells[name]}
    elif said := cells["detail"] or (why(one) if isinstance(one.record, Outcome) else ""):
        found["status_detail"] = said
    return found


def _line(one: EvidenceEvent, host: str) -> str:
    return json.encode(event(one, host)).decode()


line = Templates(_line, milliseconds).line
"""A JSON object without a line break; its context, `host`, is for where the event has none."""
