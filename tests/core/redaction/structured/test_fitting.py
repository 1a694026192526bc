"""What was removed from a structured result leaves it in a form that its schema lets pass."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.structured.fitting import NothingFits, fitted
from mcpguard.core.redaction.structured.standins import standins
from mcpguard.core.secret import Secret
from tests.rows import each

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3
HELD = "Zq7-Lm2.Xw9_Kd4Rt6"
NUMBER = 739182645012
MARK = "[REDACTED:github-token#1]"


@pytest.fixture(scope="module")
def redactor() -> Redactor:
    redactor = Redactor(b"key")
    redactor.hold("env:KEY", Secret(HELD))
    redactor.hold("env:PIN", Secret(str(NUMBER)))
    return redactor


@pytest.fixture
def fit(redactor: Redactor) -> Any:
    def fit(schema: Any, before: Any, also: tuple[str, ...] = ()) -> Any:
        """What leaves; it conforms, holds nothing that was removed, and inspecting it finds nothing."""
        jsonschema.validate(before, schema)
        inspected = redactor.inspect(before, also)
        assert inspected.findings
        made = fitted(schema, before, inspected.value, lambda one: not redactor.inspect(one, also).findings)
        jsonschema.validate(made, schema)
        assert redactor.inspect(made, also).findings == ()
        return made

    return fit


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def needing(**properties: Any) -> dict[str, Any]:
    return {**of(**properties), "required": sorted(properties)}


TEXT: dict[str, Any] = {"type": "string"}
INTEGER: dict[str, Any] = {"type": "integer"}


def test_a_placeholder_stays_where_the_schema_lets_it(fit: Any) -> None:
    assert fit(of(a=TEXT), {"a": f"x {TOKEN}"}) == {"a": f"x {MARK}"}
    assert fit({}, {"a": [TOKEN]}) == {"a": [MARK]}
    assert fit(True, TOKEN) == MARK


@pytest.mark.parametrize(
    ("part", "value", "made"),
    [
        ({"format": "email"}, f"{TOKEN}@example.com", "redacted-1@redacted.invalid"),
        ({"format": "uri"}, TOKEN, "https://redacted.invalid/1"),
        ({"format": "uri"}, f"https://h.example/a?key={TOKEN}", "https://h.example/a?key=%5BREDACTED:github-token%231%5D"),
        ({"format": "uuid"}, TOKEN, "00000000-0000-4000-8000-000000000001"),
        ({"format": "date-time"}, TOKEN, "1970-01-01T00:00:01Z"),
        ({"format": "date"}, TOKEN, "1970-01-02"),
        ({"format": "time"}, TOKEN, "00:00:01Z"),
        ({"format": "duration"}, TOKEN, "PT1S"),
        ({"format": "ipv4"}, TOKEN, "192.0.2.1"),
        ({"format": "ipv6"}, TOKEN, "2001:db8::1"),
        ({"format": "hostname"}, TOKEN, "redacted-1.invalid"),
        ({"format": "idn-hostname"}, TOKEN, "redacted-1.invalid"),
        ({"format": "json-pointer"}, TOKEN, "/redacted-1"),
        ({"format": "regex"}, TOKEN, "redacted-1"),
        ({"format": "password"}, TOKEN, MARK),
        ({"pattern": "^[A-Za-z0-9_]+$"}, TOKEN, "0"),
        ({"pattern": "^gh[a-z]_[\\w]{36,}$"}, TOKEN, None),
        ({"pattern": "_", "minLength": 30}, TOKEN, None),
        ({"maxLength": 40, "minLength": 40}, TOKEN, "redacted-1------------------------------"),
        ({"maxLength": 40}, TOKEN, MARK),
    ],
)  # fmt: skip
def test_a_stand_in_is_of_the_format_pattern_and_length(
    fit: Any, part: Any, value: str, made: str | None
) -> None:
    found = fit(needing(a={**TEXT, **part}), {"a": value})["a"]
    assert made is None or found == made


def test_a_value_of_a_choice_becomes_another_one(fit: Any) -> None:
    assert fit(needing(a={"enum": [TOKEN, "low"]}), {"a": TOKEN}) == {"a": "low"}
    assert fit(needing(a={"type": ["string", "null"], "enum": [TOKEN, None]}), {"a": TOKEN}) == {"a": None}


def test_a_choice_that_only_the_removed_value_meets_is_left_out_or_unfit(fit: Any) -> None:
    assert fit(of(a={"const": TOKEN}, b=TEXT), {"a": TOKEN, "b": "x"}) == {"b": "x"}
    with pytest.raises(NothingFits):
        fit(needing(a={"const": TOKEN}), {"a": TOKEN})


@pytest.mark.parametrize(
    ("part", "made"),
    [
        (INTEGER, 1),
        ({"type": "number"}, 1),
        ({**INTEGER, "minimum": 1000}, 1001),
        ({**INTEGER, "exclusiveMinimum": 1000, "multipleOf": 7}, 1001),
        ({**INTEGER, "maximum": 10**12, "minimum": 10**11}, 10**11 + 1),
        ({"type": "number", "exclusiveMinimum": 0.1, "exclusiveMaximum": 10**12}, 1),
        ({"type": ["integer", "string"]}, "[REDACTED:credential:env:PIN#1]"),
        ({"anyOf": [INTEGER, {"type": "boolean"}]}, 1),
    ],
)
def test_a_number_becomes_a_number(fit: Any, part: Any, made: Any) -> None:
    assert fit(needing(a=part), {"a": NUMBER}) == {"a": made}


@pytest.mark.parametrize(
    ("part", "made"),
    [
        ({"exclusiveMinimum": 0.25, "exclusiveMaximum": 0.75}, 0.5),
        ({"minimum": 7.5, "maximum": 7.5}, 7.5),
        ({"exclusiveMinimum": -5, "maximum": -4, "type": "integer"}, -4),
        ({"minimum": 1e300}, 0),
    ],
)
def test_a_number_is_within_its_bounds(part: Any, made: float) -> None:
    schema = {"properties": {"a": {"type": "number", **part}}, "required": ["a"]}
    if made:
        assert fitted(schema, {"a": made}, {"a": MARK}, lambda _: True) == {"a": made}
    else:
        with pytest.raises(NothingFits):
            fitted(schema, {"a": 1e300}, {"a": MARK}, lambda _: True)


def test_equal_values_stay_equal_and_others_differ(fit: Any) -> None:
    part = {**TEXT, "format": "uuid"}
    value = {"list": [TOKEN, HELD, TOKEN]}
    first, second, third = fit(of(list={"type": "array", "items": part}), value)["list"]
    assert first == third != second


def test_items_that_must_differ_do(fit: Any) -> None:
    for part in ({**TEXT, "pattern": "^[a-z]+$"}, {**INTEGER, "minimum": 5}, {**TEXT, "format": "ipv4"}):
        assert part
    numbers = {
        "type": "array",
        "items": {"pattern": "^[a-zA-Z0-9_.-]{3}"},
        "uniqueItems": True,
        "minItems": 2,
    }
    assert len(set(fit(needing(a=numbers), {"a": [TOKEN, HELD]})["a"])) == 2


def test_an_optional_member_without_a_stand_in_is_left_out(fit: Any) -> None:
    assert fit(of(a={**TEXT, "pattern": "^(?=g)"}, b=TEXT), {"a": TOKEN, "b": "x"}) == {"b": "x"}


def test_a_required_one_is_null_where_that_is_allowed(fit: Any) -> None:
    part = {"type": ["string", "null"], "pattern": "^(?=g)"}
    assert fit(needing(a=part), {"a": TOKEN}) == {"a": None}
    assert fit(needing(a={"type": "array", "items": part}), {"a": [TOKEN, "gx"]}) == {"a": [None, "gx"]}
    either = {"oneOf": [{**TEXT, "pattern": "^(?=g)"}, {"type": "null"}]}
    assert fit(needing(a=either), {"a": TOKEN}) == {"a": None}


def test_what_cannot_be_left_out_takes_along_what_it_is_in(fit: Any) -> None:
    inner = needing(a={**TEXT, "pattern": "^(?=g)"})
    assert fit(of(inner=inner, b=TEXT), {"inner": {"a": TOKEN}, "b": "x"}) == {"b": "x"}
    several = {"type": "array", "items": inner}
    assert fit(of(several=several), {"several": [{"a": TOKEN}]}) == {}
    with pytest.raises(NothingFits):
        fit(needing(inner=inner), {"inner": {"a": TOKEN}})
    with pytest.raises(NothingFits):
        fit({**of(inner=inner, b=TEXT), "minProperties": 2}, {"inner": {"a": TOKEN}, "b": "x"})
    loose = {**of(a={**TEXT, "pattern": "^(?=g)"}, b=TEXT), "dependentRequired": {"c": ["a"], "b": ["b"]}}
    assert fit({**loose, "dependencies": {"b": {}}}, {"a": TOKEN, "b": "x"}) == {"b": "x"}
    with pytest.raises(NothingFits):
        fit({**of(a={**TEXT, "pattern": "^(?=g)"}, b=TEXT), "dependentRequired": {"b": ["a"]}}, {"a": TOKEN, "b": "x"})  # fmt: skip


def test_a_member_whose_name_was_removed_is_left_out_where_no_other_name_may_stand(fit: Any) -> None:
    assert fit(of(**{TOKEN: INTEGER, "b": TEXT}), {TOKEN: 1, "b": "x"}) == {"b": "x"}
    assert fit({"additionalProperties": INTEGER}, {TOKEN: 1}) == {MARK: 1}
    assert fit({"additionalProperties": INTEGER, "properties": {TOKEN: TEXT}}, {TOKEN: "x"}) == {}
    short = {"propertyNames": {"pattern": "^[a-z]"}, "additionalProperties": TEXT}
    assert fit(short, {TOKEN: "x", "b": HELD}) == {"b": "[REDACTED:credential:env:KEY#1]"}
    with pytest.raises(NothingFits):
        fit(needing(**{TOKEN: INTEGER}), {TOKEN: 1})


def test_references_and_alternatives_are_followed(fit: Any) -> None:
    defs = {"id": {**TEXT, "format": "uuid"}, "row": needing(id={"$ref": "#/$defs/id"})}
    schema = {**of(rows={"type": "array", "items": {"$ref": "#/$defs/row"}}), "$defs": defs}
    assert fit(schema, {"rows": [{"id": TOKEN}, {"id": "x"}]})["rows"][1] == {"id": "x"}
    kinds = {
        "oneOf": [
            needing(kind={"const": "text"}, value=TEXT),
            needing(kind={"const": "number"}, value=INTEGER),
        ]
    }
    assert fit(kinds, {"kind": "number", "value": NUMBER}) == {"kind": "number", "value": 1}
    assert fit(kinds, {"kind": "text", "value": TOKEN}) == {"kind": "text", "value": MARK}
    both = {"allOf": [{"properties": {"a": {"maxLength": 40}}}, {"properties": {"a": {"format": "email"}}}]}
    assert fit(both, {"a": TOKEN}) == {"a": "redacted-1@redacted.invalid"}


def test_conditions_are_followed(fit: Any) -> None:
    schema = {
        "properties": {"kind": {"type": "string"}},
        "if": {"properties": {"kind": {"const": "number"}}},
        "then": {"properties": {"value": INTEGER}},
        "else": {"properties": {"value": {**TEXT, "format": "date"}}},
        "dependentSchemas": {"more": {"properties": {"more": {**TEXT, "format": "ipv4"}}}},
    }
    found = fit(schema, {"kind": "number", "value": NUMBER, "more": TOKEN})
    assert found == {"kind": "number", "value": 1, "more": "192.0.2.2"}
    assert fit(schema, {"kind": "x", "value": TOKEN}) == {"kind": "x", "value": "1970-01-02"}


def test_the_root_need_not_be_an_object(fit: Any) -> None:
    assert fit({"type": "array", "items": {**TEXT, "format": "email"}}, [TOKEN]) == [
        "redacted-1@redacted.invalid"
    ]
    assert fit(INTEGER, NUMBER) == 1
    with pytest.raises(NothingFits):
        fit({"const": TOKEN}, TOKEN)


def test_a_stand_in_is_no_personal_data_and_nothing_that_would_be_removed(fit: Any) -> None:
    part = {**TEXT, "format": "email"}
    assert fit(needing(a=part), {"a": "jane@corp.example.com"}, ("email",)) == {
        "a": "redacted-1@redacted.invalid"
    }


def test_only_what_was_changed_is_changed_again(redactor: Redactor) -> None:
    before = {"bad": 1, "a": TOKEN}
    after = redactor.inspect(before).value
    made = fitted(of(bad=TEXT, a={**TEXT, "format": "date"}), before, after, lambda _: True)
    assert made is after
    assert fitted(of(bad=TEXT), {"bad": [1]}, same := {"bad": [1]}, lambda _: True) is same


def test_a_schema_that_takes_too_long_is_unfit(redactor: Redactor) -> None:
    after = redactor.inspect({"a": TOKEN}).value
    with pytest.raises(NothingFits):
        fitted({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, {"a": TOKEN}, after, lambda _: True)
    with pytest.raises(NothingFits):
        fitted(of(a=TEXT), {"a": TOKEN}, after, lambda _: True, steps=2)


def test_an_odd_schema_takes_nothing_away(fit: Any, redactor: Redactor) -> None:
    before = {"a": TOKEN}
    after = redactor.inspect(before).value
    for odd in (
        {"properties": {"a": {"minLength": "x", "format": 1, "pattern": 2, "enum": []}}},
        {"required": 1, "anyOf": 2, "allOf": 3, "dependentSchemas": 4, "dependentRequired": 5},
        7,
        {"$ref": "https://example.com/none"},
    ):
        try:
            assert fitted(odd, before, after, lambda _: True) in ({"a": MARK}, {})
        except NothingFits:
            assert odd == 7


@each(
    "pattern",
    [
        "(?i)x",
        "(a",
        "[a",
        "a{",
        "*",
        "\\1",
        "a{x}",
        "(?=a)",
        "x{9999}",
        "(?:x{99}){99}",
        "(" * 2000,
        "(a|b",
        "(a]",
        "(?:",
        "x{1",
        "[\\q]",
        "\\",
    ],
)
def test_a_pattern_that_is_not_read_gives_nothing(pattern: str) -> None:
    made = list(standins([{"pattern": pattern}], MARK, 1))
    assert made == list(standins([], MARK, 1))


def test_a_pattern_is_met_in_several_lengths() -> None:
    made = list(standins([{"pattern": "^ab?c+$", "minLength": 3}], MARK, 1))
    assert made[1:4] == ["ac", "acx", "abcccc"]
    assert 1.5 in list(standins([{"minimum": 1}, {"maximum": 2}], MARK, 1))


@each(
    ("pattern", "text"),
    [
        ("^[^\\s@]+@[^\\s@]+$", "abc@example.com"),
        ("^\\+?[0-9]{1,3}[- ]?\\d+?$", "+49 123"),
        ("^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$", "00:11:22:33:44:55"),
        ("^[\\w.-]+/[\\w.-]+\\n?\\t?$", "owner/name"),
        ("^v\\d+\\.\\d+(\\.\\d+)*$", "v1.2.3"),
        ("^[\\]\\-a-c\\-\\d]$", "a"),
        ("^.{3,5}\\D\\W\\S$", "abcx-x"),
        ("^[é]$", "é"),
    ],
)
def test_patterns_of_many_kinds_are_met(pattern: str, text: str) -> None:
    schema = {**TEXT, "pattern": pattern}
    jsonschema.validate(text, schema)
    made = fitted({"properties": {"a": schema}, "required": ["a"]}, {"a": text}, {"a": MARK}, lambda _: True)
    jsonschema.validate(made["a"], schema)
    assert made["a"] != text or pattern == "^[é]$"
