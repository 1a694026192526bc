"""What the tests of telemetry share: records with all that a sink can see, and chains that hold them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from msgspec import structs

from mcpguard.adapters.audit.following import FollowedLine
from mcpguard.adapters.audit.reader import lines
from mcpguard.adapters.telemetry.evidence_events import CallJoiner, EvidenceEvent
from mcpguard.core.evidence.records import Decided, Noticed, ObservedRefusal, Outcome, Record, Steps
from tests.adapters.audit.audit_records import CLOSED, DECIDED, NOW, OPENED, OUTCOME
from tests.cli.audit.test_verb import chain

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
EVIL = '=1+1|a\\b="c"\n\r\t\u202e@x'

ASKED = structs.replace(
    DECIDED,
    id="n-2",
    client="agent/1.0",
    agent="dev",
    session="quiet-otter",
    trace=PARENT,
    rules=("github/read",),
    credentials=("keyring:github/read",),
    request="7",
    arguments={"path": "canary-argument"},
)
ANSWERED = Outcome(
    NOW + timedelta(milliseconds=12.5),
    "n-2",
    "ok",
    12.5,
    findings={"github-token /content/0/text": 2, "email /x": 1},
    steps=Steps(decide=0.2, record=0.1, inject=0.05, call=11.0, inspect=1.0),
    sent=120,
    received=4096,
)
DENIED = structs.replace(
    DECIDED, id="n-3", effect="deny", cause="rule", rules=("p/no",), message=EVIL, tool=EVIL
)
BROKEN = structs.replace(OUTCOME, id="n-4", status="tool-error", error="The server said no.", at=NOW)
PIN = Noticed(NOW, "pin-changed", "github", EVIL)
STORY: tuple[Record, ...] = (
    *(DECIDED, OUTCOME, ASKED, ANSWERED, DENIED),
    *(structs.replace(DECIDED, id="n-4"), BROKEN, PIN),
    structs.replace(DECIDED, id="n-5", method="resources/read", tool="", subject="file:///a"),
    structs.replace(OUTCOME, id="n-5", status="withheld", message="It could not be inspected."),
    structs.replace(DECIDED, id="n-6", effect="ask", ticket="T1"),
    structs.replace(DECIDED, id="n-7"),
)
"""All kinds; the last call has no outcome."""

OBSERVED: tuple[Record, ...] = (
    structs.replace(DECIDED, id="o-1", observed=ObservedRefusal("rule", ("docs/protected", "docs/b"))),
    structs.replace(OUTCOME, id="o-1"),
    structs.replace(DECIDED, id="o-2"),
    structs.replace(OUTCOME, id="o-2", shadow="deny (rule) docs/trial"),
    structs.replace(DECIDED, id="o-3", shadow="allow docs/loose"),
    structs.replace(OUTCOME, id="o-3", observed=ObservedRefusal("limit", ("docs/bytes",))),
)
"""Calls that were let through although policies would refuse them, or withhold their result."""


def events_of(folder: Path, *records: Record) -> list[EvidenceEvent]:
    """What is read of a chain of these records."""
    path = chain(folder, *(records or STORY))
    joining: CallJoiner[None] = CallJoiner(lambda file: file)
    return [one for line in lines(path) for one in joining.add(path.name, line, None)]


def ids(found: list[FollowedLine]) -> list[str]:
    """The ids of records, or their kinds where they have none."""
    texts: list[dict[str, Any]] = [json.loads(line.data) for line in found]
    return [text.get("id") or text["kind"] for text in texts]


__all__ = ["CLOSED", "DECIDED", "NOW", "OPENED", "OUTCOME", "Decided", "chain"]
