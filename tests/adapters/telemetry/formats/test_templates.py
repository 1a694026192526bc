"""Lines that are filled in are what their format makes of each call as a whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent
from mcpguard.adapters.telemetry.formats import cef, csv_rows, ocsf, templates
from mcpguard.core.evidence.records import Decided, ObservedRefusal, Outcome, Record
from tests.adapters.telemetry.telemetry_records import ANSWERED, ASKED, EVIL, STORY, events_of

FORMATS: dict[str, tuple[Callable[[EvidenceEvent], str], Callable[[EvidenceEvent, str], str]]] = {
    "csv": (csv_rows.line, csv_rows._line),
    "cef": (cef.line, cef._line),
    "ocsf": (lambda one: ocsf.line(one, "host"), ocsf._line),
}
AFTER = replace(ANSWERED, findings={})


def alike(**changes: object) -> list[Record]:
    """Two calls that differ in what is filled in and in nothing else, and one with `changes`."""
    calls: list[Record] = []
    for number in range(3):
        own = {"id": f"n-{number}", "at": ASKED.at + timedelta(milliseconds=number)}
        more = changes if number == 2 else {}
        decided = {name: value for name, value in more.items() if name in Decided.__struct_fields__}
        ended = {name: value for name, value in more.items() if name in Outcome.__struct_fields__}
        calls.append(replace(ASKED, **{**own, "args": str(number) * 64, **decided}))
        calls.append(replace(AFTER, **{**own, "ms": number + 1.5, "sent": number + 1, **ended}))
    return calls


CHANGES: list[dict[str, object]] = [
    {},
    {"request": EVIL},
    {"request": "-1"},
    {"request": ""},
    {"request": "100%"},
    {"trace": ""},
    {"client": "50% %s agent"},
    {"ms": 0.0},
    {"sent": 0, "received": 0},
    {"error": EVIL, "status": "error"},
    {"findings": {"email /x": 1}},
    {"unredacted": {"email /x": 1}},
    {"labels": ("private",)},
    {"rules": ("a/b", "c/d")},
    {"args": ""},
    {"args": EVIL},
    {"result": "f" * 64},
    {"session": EVIL},
    {"observed": ObservedRefusal("rule", ("docs/protected",))},
    {"shadow": "deny (rule) docs/trial"},
    {"ticket": "4f1c09aa"},
    {"credential": "github-write"},
    {"actor": "agent-7"},
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_each_line_is_what_its_format_makes_of_the_call(
    tmp_path: Path, form: str, changes: dict[str, object]
) -> None:
    line, whole = FORMATS[form]
    calls = events_of(tmp_path / "audit", *alike(**changes), *STORY)
    assert [*map(line, calls)] == [whole(one, "host") for one in calls]
    assert [*map(line, calls)] == [whole(one, "host") for one in calls]


@pytest.mark.parametrize("form", FORMATS)
def test_an_id_that_a_format_cuts_is_cut(tmp_path: Path, form: str) -> None:
    line, whole = FORMATS[form]
    name = "n" * 200
    calls = events_of(tmp_path / "audit", replace(ASKED, id=name), replace(AFTER, id=name))
    assert [*map(line, calls)] == [whole(one, "host") for one in calls]


def test_calls_of_too_many_kinds_are_learnt_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MOST", 2)
    asked = [replace(ASKED, id=f"n-{n}", tool=f"t{n}") for n in range(5)]
    ended = [replace(AFTER, id=f"n-{n}") for n in range(5)]
    pairs = (one for pair in zip(asked, ended, strict=True) for one in pair)
    calls = events_of(tmp_path / "audit", *pairs)
    assert [*map(cef.line, calls)] == [cef._line(one, "") for one in calls]
    assert len(cef._templates._known) <= 2
