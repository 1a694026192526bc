"""Each format is what its readers take it for, whatever a record holds."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.telemetry.destinations import framed, syslog_message
from mcpguard.adapters.telemetry.evidence_events import CallJoiner, EvidenceEvent, LinePlace
from mcpguard.adapters.telemetry.formats import cef, csv_rows, ocsf
from mcpguard.adapters.telemetry.formats.rows import COLUMNS
from mcpguard.core.evidence.records import Decided, Outcome
from tests.adapters.telemetry.telemetry_records import ASKED, DENIED, EVIL, OBSERVED, OUTCOME, events_of
from tests.adapters.telemetry.telemetry_records import DECIDED as CALL
from tests.rows import each

SCHEMA = json.loads((Path(__file__).parent / "ocsf-1.8.0.json").read_text())


@pytest.fixture
def story(tmp_path: Path) -> list[EvidenceEvent]:
    return events_of(tmp_path / "audit")


def test_a_call_is_one_event_with_its_outcome(story: list[EvidenceEvent]) -> None:
    assert [(one.status, one.failed) for one in story] == [
        *[("", False), ("ok", False), ("ok", False), ("denied", True), ("tool-error", True), ("", False)],
        *[("withheld", True), ("pending", False), ("no-outcome", True), ("", False)],
    ]


def test_a_call_that_policies_would_refuse_is_no_clean_success_in_any_format(tmp_path: Path) -> None:
    found = [one for one in events_of(tmp_path / "a", CALL, OUTCOME, *OBSERVED) if one.status]
    whole = ["", "rule docs/protected, docs/b", "deny (rule) docs/trial", "limit docs/bytes"]
    causes = ["", "rule", "shadow", "limit"]
    assert [one.let_through for one in found] == causes
    for one, said, cause in zip(found, whole, causes, strict=True):
        cells = dict(zip(COLUMNS, next(csv.reader(io.StringIO(csv_rows.line(one)))), strict=True))
        column = "shadow" if cause == "shadow" else "observed"
        assert cells[column] == said
        header, extension = parsed(cef.line(one))
        assert extension.get("mcpguardShadow" if cause == "shadow" else "flexString1", "") == said
        event = ocsf.event(one, "host-1")
        assert flaws(event, SCHEMA["classes"]["6003"], "event") == []
        assert event["unmapped"].get(column, "") == said
        if cause:
            assert (header[5:], event["severity_id"]) == (["github/get: ok, would be refused", "5"], 3)
            assert event["status_detail"].startswith("would be refused: ")
            assert b"<108>" in syslog_message(one, "x", "h")
        else:
            assert (header[5:], event["severity_id"]) == (["github/get: ok", "1"], 1)


def test_a_chain_of_another_process_ends_no_call() -> None:
    joining: CallJoiner[str] = CallJoiner({"1": "1", "3": "1", "planted": "planted"}.__getitem__)
    decided = b'{"kind":"decision","at":"2026-08-01T07:00:00Z","id":"a","principal":"x:%b","method":"m","effect":"allow"}'
    outcome = b'{"kind":"outcome","at":"2026-08-01T07:00:01Z","id":"a","status":"%b","ms":1}'
    joining.add("1", decided % b"real", "in 1")
    (alone,) = joining.add("planted", outcome % b"error", "")
    assert isinstance(alone.record, Outcome)
    joining.add("planted", decided % b"planted", "in planted")
    assert list(joining.marks.values()) == ["in 1", "in planted"]
    (ended,) = joining.copy().add("3", outcome % b"ok", "")
    assert isinstance(ended.record, Decided)
    assert (ended.record.principal, ended.status) == ("x:real", "ok")


def test_a_call_goes_on_in_the_chain_after_a_rotated_one(tmp_path: Path) -> None:
    joining: CallJoiner[None] = CallJoiner(lambda _: "1")
    closed = b'{"kind":"closed","at":"2026-08-01T07:00:00Z","reason":"rotated"}'
    decided = b'{"kind":"decision","at":"2026-08-01T07:00:00Z","id":"a","principal":"x:y","method":"m","effect":"allow"}'
    outcome = b'{"kind":"outcome","at":"2026-08-01T07:00:01Z","id":"a","status":"ok","ms":1}'
    assert joining.add("1", decided, None) == ()
    assert [one.status for one in joining.add("1", closed, None)] == [""]
    assert [one.status for one in joining.add("2", outcome, None)] == ["ok"]
    assert [one.status for one in joining.add("2", outcome, None)] == [""]  # Of a call before the first.
    assert joining.add("2", b"noise", None) == ()
    assert joining.unread == 1


# --- CSV ------------------------------------------------------------------------------------------


def test_no_cell_of_csv_begins_as_a_formula_does(story: list[EvidenceEvent]) -> None:
    text = csv_rows.header() + "".join(map(csv_rows.line, story))
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read[0] == list(COLUMNS)
    assert len(read) == 1 + len(story)
    assert {len(row) for row in read} == {len(COLUMNS)}
    starts = {cell.lstrip()[:1] for row in read for cell in row}
    assert not starts & set("=+-@\uff1d\t")
    denied = dict(zip(COLUMNS, next(row for row in read if "n-3" in row), strict=True))
    assert denied["message"] == "'" + EVIL


@each("cell", ["=1", "+1", "-1", "@a", " =1", "\t=1", "\uff1d1", "\u00a0=1", "\n=1"])
def test_a_formula_is_text_in_a_spreadsheet(cell: str) -> None:
    assert csv_rows._safe(cell) == f"'{cell}"
    assert csv_rows._safe("a" + cell) == "a" + cell


# --- CEF ------------------------------------------------------------------------------------------

_HEADER = re.compile(r"((?:\\.|[^|\\])*)\|")


def parsed(line: str) -> tuple[list[str], dict[str, str]]:
    """As a reader of CEF does it."""
    header, at = [], 0
    for _ in range(7):
        found = _HEADER.match(line, at)
        assert found is not None, line
        header.append(re.sub(r"\\(.)", r"\1", found[1]))
        at = found.end()
    keys = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)=", line[at:]))
    cells = {}
    for one, after in zip(keys, [*keys[1:], None], strict=True):
        value = line[at:][one.end() : len(line) if after is None else after.start()]
        assert not re.search(r"(?<!\\)(?:\\\\)*=", value), value
        cells[one[1]] = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), value)
    return header, cells


def test_cef_is_one_line_whose_fields_are_what_they_were(story: list[EvidenceEvent]) -> None:
    for one, line in zip(story, map(cef.line, story), strict=True):
        assert line.isprintable()
        header, cells = parsed(line)
        assert header[:3] == ["CEF:0", "mcpguard", "mcpguard"]
        assert 0 <= int(header[6]) <= 10
        assert cells["rt"] == str(int(one.at.timestamp() * 1000))
    denied = next(parsed(line) for line in map(cef.line, story) if "externalId=n-3 " in line)
    assert denied[0][5] == 'github/=1+1|a\\b="c" @x: denied'
    assert denied[1]["msg"] == '=1+1|a\\b="c"\n\n  @x'
    assert denied[1]["reason"] == "rule"


# --- syslog ---------------------------------------------------------------------------------------

_SYSLOG = re.compile(rb"<(\d{1,3})>1 (\S+) (\S{1,255}) mcpguard - (\S{1,32}) - (.*)", re.DOTALL)


def test_a_syslog_message_has_the_head_of_rfc_5424(story: list[EvidenceEvent]) -> None:
    for one, line in zip(story, map(cef.line, story), strict=True):
        found = _SYSLOG.fullmatch(syslog_message(one, line, "a host\u00e9"))
        assert found is not None
        assert int(found[1]) // 8 == 13
        assert found[3] == b"ahost"
        assert found[5].decode() == line
    assert framed([b"ab", b"c"]) == b"2 ab1 c"
    assert b" - closed - x y" in syslog_message(story[-1], "x\ny", "")
    assert b"Z - mcpguard" in syslog_message(story[-1], "x", "")


# --- OCSF -----------------------------------------------------------------------------------------

TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("string_t",), (str,)),
    **dict.fromkeys(("integer_t", "long_t", "timestamp_t"), (int,)),
    "float_t": (float, int),
    "boolean_t": (bool,),
}


def flaws(value: dict[str, Any], shape: dict[str, Any], at: str) -> list[str]:
    """What is wrong with an event or an object, by the published schema."""
    known = shape["attributes"]
    found = [
        f"{at}.{name} is required" for name in known if known[name].get("required") and name not in value
    ]
    one_of = shape.get("constraints", {}).get("at_least_one", ())
    if one_of and not set(one_of) & value.keys():
        found.append(f"{at} has none of {one_of}")
    for name, inner in value.items():
        if name not in known:
            found.append(f"{at}.{name} is unknown")
            continue
        for one in inner if known[name].get("array") else [inner]:
            found += wrong(one, known[name], f"{at}.{name}")
    return found


def wrong(value: Any, kind: dict[str, Any], at: str) -> list[str]:
    if "object" in kind:
        if kind["object"] == "object":
            return [] if isinstance(value, dict) else [f"{at} is no object"]
        return flaws(value, SCHEMA["objects"][kind["object"]], at)
    if not isinstance(value, TYPES[kind["type"]]):
        return [f"{at} is no {kind['type']}"]
    named = "enum" in kind and kind["type"] == "integer_t"
    return [f"{at} may not be {value}"] if named and str(value) not in kind["enum"] else []


def test_ocsf_events_are_what_the_published_schema_says(story: list[EvidenceEvent]) -> None:
    for one in story:
        event = json.loads(ocsf.line(one, "host-1"))
        assert flaws(event, SCHEMA["classes"][str(event["class_uid"])], "event") == []
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    calls = [one for one in story if one.status]
    events = [ocsf.event(one, "host-1") for one in calls]
    assert {event["class_uid"] for event in events} == {6003}
    assert [event["status_id"] for event in events] == [1, 1, 2, 2, 2, 99, 2]
    assert events[4]["activity_id"] == 2


def test_the_checker_of_ocsf_sees_what_is_wrong(story: list[EvidenceEvent]) -> None:
    event = ocsf.event(story[1], "h")
    shape = SCHEMA["classes"]["6003"]
    for change in ({"actor": {}}, {"time": "now"}, {"severity_id": 17}, {"surprise": 1}, {"api": {}}):
        assert flaws(event | change, shape, "event")
    assert flaws({name: event[name] for name in event if name != "src_endpoint"}, shape, "event")


def test_arguments_stay_in_the_evidence(story: list[EvidenceEvent], tmp_path: Path) -> None:
    texts = [text for one in story for text in (csv_rows.line(one), cef.line(one), ocsf.line(one, "h"))]
    assert not any("canary-argument" in text for text in texts)


@each(
    ("principal", "user"),
    [
        ("os-user:ada", {"name": "ada"}),
        ("https://login.example:ada", {"name": "ada", "domain": "https://login.example"}),
        ("http://127.0.0.1:9401:urn:ada", {"name": "urn:ada", "domain": "http://127.0.0.1:9401"}),
    ],
)
def test_the_user_of_ocsf_is_the_subject_of_the_token(principal: str, user: dict[str, str]) -> None:
    one = EvidenceEvent(structs.replace(CALL, principal=principal), LinePlace("a", "f" * 64))
    event = ocsf.event(one, "h")
    assert event["actor"]["user"] == {"uid": principal} | user
    assert flaws(event, SCHEMA["classes"]["6003"], "event") == []


def test_who_is_unknown_has_no_name_and_one_with_another_form_is_shown(tmp_path: Path) -> None:
    bare = structs.replace(CALL, effect="deny", server="", tool="", method="tools/list")
    found = events_of(tmp_path / "a", bare, structs.replace(ASKED, effect="deny"), DENIED)
    events = [ocsf.event(one, "h") for one in found]
    assert "dst_endpoint" not in events[1]
    assert events[2]["actor"]["app_name"] == "agent/1.0"
