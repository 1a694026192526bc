"""Each field of the records of a call is in each format, or the guide says that it is left out."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_origin

from msgspec import structs

from mcpguard.adapters.telemetry.destinations import syslog_message
from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent, LinePlace
from mcpguard.adapters.telemetry.formats import cef, csv_rows, ocsf, otlp
from mcpguard.core.evidence.records import Decided, ObservedRefusal, Outcome, Steps
from tests.adapters.telemetry.telemetry_records import NOW, PARENT

GUIDE = Path(__file__).parents[4] / "docs" / "guides" / "telemetry.md"
LISTED = re.compile(r"^\| `(\w+)` \| (.+) \| (.+) \|$", re.MULTILINE)
FORMATS: dict[str, Callable[[EvidenceEvent], bytes]] = {
    "csv": lambda one: csv_rows.line(one).encode(),
    "cef": lambda one: cef.line(one).encode(),
    "ocsf": lambda one: ocsf.line(one, "host").encode(),
    "otlp": lambda one: otlp.traces([otlp.signals(one)], "host") + otlp.logs([otlp.signals(one)], "host"),
}
KNOWN: dict[str, tuple[Any, bytes]] = {
    "at": (NOW, b""),
    "trace": (PARENT, b"0af7651916cd43dd8448eb211c80319c|" + bytes.fromhex(PARENT[3:35])),
    "steps": (Steps(decide=0.7, call=1.0), b"mcpguard decide"),
    "ms": (12.5, b""),
    "sent": (7654321, b"7654321|mcpguard.sent.bytes"),
    "received": (8765432, b"8765432|mcpguard.received.bytes"),
    "arguments_bytes": (9876543, b"9876543"),
}
"""Values that are no texts, and what has to be seen of them, one of several."""


def marked(kind: type[Decided] | type[Outcome]) -> tuple[Any, dict[str, bytes]]:
    """A record with another value in each field, and what a format shows of each."""
    values, seen = {}, {}
    for field in structs.fields(kind):
        mark = f"a-{field.name.replace('_', '-')}-of-{kind.__name__}".lower()
        shape = get_origin(field.type) or field.type
        values[field.name], seen[field.name] = (
            {tuple: (mark,), dict: {mark: 2}}.get(shape, mark),
            mark.encode(),
        )
        if field.name in KNOWN:
            values[field.name], seen[field.name] = KNOWN[field.name]
        elif field.name == "observed":
            values[field.name] = ObservedRefusal("rule", (mark,))
    return kind(**values), seen


def test_what_a_format_leaves_out_is_what_the_guide_says() -> None:
    decided, of_decision = marked(Decided)
    outcome, of_outcome = marked(Outcome)
    one = EvidenceEvent(decided, LinePlace("chain.jsonl", "f" * 64), outcome)
    others = (
        EvidenceEvent(structs.replace(decided, effect="deny", tool=""), one.place),
        structs.replace(one, outcome=structs.replace(outcome, error="")),
    )
    del of_outcome["id"]  # It is that of the decision.
    left_out = {}
    for name, made in FORMATS.items():
        text = b"".join(map(made, (one, *others)))
        left_out[name] = tuple(
            {
                field
                for field, mark in seen.items()
                if not any(part in text for part in mark.split(b"|") if part or not mark)
            }
            for seen in (of_decision, of_outcome)
        )
    said = GUIDE.read_text().partition("## What a format leaves out")[2].partition("\n## ")[0]
    listed = {
        name: tuple(set(re.findall(r"`(\w+)`", cell)) for cell in cells)
        for name, *cells in LISTED.findall(said)
    }
    assert left_out == listed
    line = FORMATS["cef"](one).decode()
    assert line.encode() in syslog_message(one, line, "host")
