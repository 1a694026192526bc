"""Whether a value conforms to a schema: the same as `jsonschema` says, or not known."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import jsonschema
import pytest

from mcpguard.core.redaction.structured.conforming import Conformity, TooComplex, compiled_pattern
from tests.rows import each

TREE = {"$ref": "#/$defs/node", "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}}}}}  # fmt: skip


def fits(schema: Any, value: Any) -> bool | None:
    return Conformity(schema).fits(schema, value)


@each(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, [1, 1.0], [1.5, "1", True, None]),
        ({"type": ["string", "null"]}, ["a", None], [1]),
        ({"enum": [1, "a", [True]]}, [1.0, "a", [True]], [[1], "b", True]),
        ({"const": {"a": 1}}, [{"a": 1.0}], [{"a": True}]),
        ({"minimum": 1, "exclusiveMaximum": 3}, [1, 2.9, "x"], [0, 3]),
        ({"multipleOf": 0.5}, [1, 1.5], [1.2]),
        ({"multipleOf": 3}, [9, "x"], [10]),
        ({"minLength": 2, "maxLength": 3}, ["ab", "äöü"], ["a", "abcd"]),
        ({"pattern": "^a+$"}, ["aa", 1], ["ab"]),
        ({"properties": {"a": {"type": "string"}}, "additionalProperties": False}, [{}, {"a": ""}, []], [{"a": 1}, {"b": 1}]),
        ({"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": {"type": "string"}}, [{"x1": 1, "y": ""}, {}, 1], [{"x1": ""}, {"y": 1}]),
        ({"additionalProperties": {"type": "string"}}, [{"y": ""}], [{"y": 1}]),
        ({"propertyNames": {"maxLength": 1}}, [{"a": 1}, 3], [{"ab": 1}]),
        ({"required": ["a"]}, [{"a": None}, 1], [{}]),
        ({"minProperties": 1, "maxProperties": 1}, [{"a": 1}], [{}, {"a": 1, "b": 2}]),
        ({"dependentRequired": {"a": ["b"]}}, [{"b": 1}, {"a": 1, "b": 2}, 1], [{"a": 1}]),
        ({"dependentSchemas": {"a": {"required": ["b"]}}}, [{"b": 1}, {"a": 1, "b": 2}], [{"a": 1}]),
        ({"items": {"type": "integer"}, "minItems": 1, "maxItems": 2}, [[1], "x"], [[], ["a"], [1, 2, 3]]),
        ({"prefixItems": [{"type": "integer"}], "items": False}, [[1], []], [["a"], [1, 2]]),
        ({"prefixItems": [{"type": "integer"}]}, [[1, "a"]], [["a"]]),
        ({"contains": {"type": "integer"}, "minContains": 2, "maxContains": 2}, [[1, 2, "a"], 1], [[1], [1, 2, 3]]),
        ({"contains": {"type": "integer"}}, [["a", 1]], [["a"], []]),
        ({"uniqueItems": True}, [[1, True, "1"], 1], [[1, 1.0]]),
        ({"uniqueItems": False}, [[1, 1]], []),
        ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, [3], [2, "a"]),
        ({"anyOf": [{"type": "integer"}, {"minLength": 3}]}, [3, "abc"], ["ab"]),
        ({"oneOf": [{"type": "integer"}, {"minimum": 3}]}, [2, 3.5], [3]),
        ({"not": {"type": "integer"}}, ["a"], [1]),
        ({"if": {"type": "integer"}, "then": {"minimum": 3}, "else": {"type": "string"}}, [3, "a"], [2, 1.5]),
        (TREE, [{"n": 1, "next": {"n": 2}}], [{"next": {"next": {"n": "a"}}}]),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "null"}}}, [None], [1]),
        ({"$ref": "#/allOf/0", "allOf": [{"type": "null"}]}, [None], [1]),
        ({"properties": {"a": {"$ref": "#"}, "b": {"type": "null"}}}, [{"a": {"b": None}}], [{"a": {"b": 1}}]),
        (True, [1], []),
        (False, [], [1]),
    ],
)  # fmt: skip
def test_each_keyword_is_read_as_the_specification_has_it(
    schema: Any, good: list[Any], bad: list[Any]
) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    for value, expected in [(one, True) for one in good] + [(one, False) for one in bad]:
        assert fits(schema, value) is expected, value
        assert validator.is_valid(value) is expected, value


@each(
    ("schema", "value"),
    [
        ({"pattern": "^(?=a)"}, "a"),
        ({"pattern": "("}, "a"),
        ({"pattern": 1}, "a"),
        ({"pattern": "x" * 1001}, "a"),
        ({"patternProperties": {"(?=a)": False}, "additionalProperties": False}, {"a": 1}),
        ({"$ref": "https://example.com/schema"}, 1),
        ({"$ref": "#/$defs/none"}, 1),
        ({"$ref": "#/allOf/7", "allOf": [True]}, 1),
        ({"allOf": [{"$dynamicRef": "#x"}]}, 1),
        ({"not": {"$ref": "#/none"}}, 1),
        ({"anyOf": [{"$ref": "#/none"}, False]}, 1),
        ({"oneOf": [{"$ref": "#/none"}, True]}, 1),
        ({"if": {"$ref": "#/none"}, "then": False}, 1),
        ({"contains": {"$ref": "#/none"}}, [1]),
        ({"type": "text"}, 1),
        ({"type": 1}, 1),
        ({"enum": 1}, 1),
        ({"minimum": "1"}, 1),
        ({"required": "a"}, {}),
        ({"dependentRequired": 1}, {}),
        ({"allOf": {}}, 1),
        ({"anyOf": {}}, 1),
        ({"oneOf": {}}, 1),
        ("a", 1),
    ],
)
def test_what_is_not_read_is_not_known(schema: Any, value: Any) -> None:
    assert fits(schema, value) is None


def test_where_both_ways_say_the_same_the_condition_does_not_matter() -> None:
    assert fits({"if": {"$ref": "#/none"}, "then": {"type": "null"}, "else": {"type": "null"}}, 1) is False


@pytest.mark.parametrize(
    ("draft", "schema", "value"),
    [
        ("http://json-schema.org/draft-07/schema#", {"items": [{"type": "null"}], "additionalItems": False}, [None]),
        ("http://json-schema.org/draft-07/schema#", {"$ref": "#/definitions/a", "type": "null", "definitions": {"a": True}}, 1),
        ("http://json-schema.org/draft-07/schema#", {"dependencies": {"a": ["b"], "c": {"required": ["b"]}}}, {"a": 1, "b": 1}),
    ],
)  # fmt: skip
def test_older_drafts_are_read_too(draft: str, schema: Any, value: Any) -> None:
    assert fits({"$schema": draft, **schema}, value) is True
    jsonschema.validate(value, {"$schema": draft, **schema})


def test_numbers_without_a_multiple() -> None:
    assert fits({"multipleOf": 0}, 1) is False
    assert fits({"multipleOf": 0.5}, 10**400) is False


def test_what_is_granted_conforms_except_where_it_decides_between_alternatives() -> None:
    schema = {"properties": {"a": {"required": ["b"]}}}
    value: dict[str, Any] = {"a": {}}
    check = Conformity(schema)
    check.granted.add(id(value["a"]))
    assert check.fits(schema, value) is True
    assert check.exactly(schema, value) is False
    assert check.fits({"not": schema}, value) is True


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"$ref": "#/$defs/0", "$defs": {str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 9} for n in range(9)}},
        {"items": {"enum": list(range(10_000))}},
    ],
)  # fmt: skip
@pytest.mark.uncounted
def test_a_check_ends_whatever_the_schema_is(schema: Any) -> None:
    with pytest.raises((TooComplex, RecursionError)):
        fits(schema, [1] * 1000)


def test_a_pattern_that_takes_for_ever_elsewhere_takes_no_time() -> None:
    assert fits({"pattern": "^(a+)+$"}, "a" * 50_000 + "!") is False
    assert compiled_pattern("[[:alpha:]]") is None


LEAVES: list[Any] = [None, True, False, 0, 1, 2.5, -3, "", "a", "abc", "x1"]


def _value(pick: Random, depth: int = 2) -> Any:
    kind = pick.random()
    if not depth or kind < 0.5:
        return pick.choice(LEAVES)
    if kind < 0.75:
        return [_value(pick, depth - 1) for _ in range(pick.randrange(3))]
    return {pick.choice("abx"): _value(pick, depth - 1) for _ in range(pick.randrange(3))}


def _schema(pick: Random, depth: int = 3) -> Any:
    if not depth or pick.random() < 0.1:
        return pick.choice([True, False, {"type": "string"}, {"type": "integer"}, {}])
    inner = lambda: _schema(pick, depth - 1)  # noqa: E731
    few = lambda: [inner() for _ in range(pick.randrange(1, 3))]  # noqa: E731
    made: dict[str, Any] = {
        "type": pick.choice(["string", "number", "integer", "object", "array", ["null", "boolean"]]),
        "enum": [_value(pick, 1) for _ in range(3)],
        "const": _value(pick, 1),
        "minimum": pick.choice([0, 1.5]),
        "multipleOf": pick.choice([2, 0.5]),
        "maxLength": 2,
        "pattern": pick.choice(["^a", "[0-9]", "b$"]),
        "properties": {"a": inner(), "b": inner()},
        "patternProperties": {"^x": inner()},
        "additionalProperties": inner(),
        "propertyNames": {"maxLength": pick.randrange(3)},
        "required": ["a"],
        "dependentRequired": {"a": ["b"]},
        "items": inner(),
        "prefixItems": few(),
        "contains": inner(),
        "uniqueItems": True,
        "minItems": 1,
        "allOf": few(),
        "anyOf": few(),
        "oneOf": few(),
        "not": inner(),
        "if": inner(),
        "then": inner(),
        "$ref": "#/$defs/d",
    }
    return {key: made[key] for key in pick.sample(sorted(made), pick.randrange(1, 4))}


@each("seed", range(8))
@pytest.mark.uncounted
def test_it_says_what_the_library_says(seed: int) -> None:
    pick = Random(seed)
    known = 0
    for _ in range(40):
        schema = _schema(pick)
        if type(schema) is dict:
            schema["$defs"] = {"d": {"type": ["string", "object"]}}
        validator = jsonschema.Draft202012Validator(schema)
        for _ in range(5):
            value = _value(pick)
            said = fits(schema, value)
            known += said is not None
            assert said in (None, validator.is_valid(value)), json.dumps([schema, value])
    assert known > 150
