"""Arguments that do not fit the schema of a tool are refused before any rule is evaluated, and only those."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import jsonschema
import pytest

from mcpguard.core.model import Cause, Deny, Invocation, Listed, Permit
from mcpguard.core.policy import arguments, pdp
from mcpguard.core.policy.arguments import CACHE_LIMIT, misfit
from mcpguard.core.redaction.structured.conforming import LONGEST_PATTERN, TYPES
from tests.core.policy.test_obligations import policies
from tests.core.policy.test_pdp import call
from tests.rows import each

PREFIX = "The arguments do not match the tool's schema: "


def said(schema: Any, given: Any, digest: str = "", whole: bool = True) -> str:
    return misfit(schema, digest or json.dumps(schema), given, whole).removeprefix(PREFIX)


def properties(**parts: Any) -> dict[str, Any]:
    return {"type": "object", "properties": parts}


@each(
    ("schema", "given", "expected"),
    [
        (properties(a={"type": "string"}), {"a": 1}, "`a` must be of type string."),
        (properties(a={"type": ["integer", "null"]}), {"a": 1.5}, "`a` must be of type integer or null."),
        (properties(a={"type": "boolean"}), {"a": "true"}, "`a` must be of type boolean."),
        (properties(a={"type": "integer"}), {"a": True}, "`a` must be of type integer."),
        (properties(a={"type": "number"}), {"a": None}, "`a` must be of type number."),
        (properties(a={"enum": ["x", "y"]}), {"a": "z"}, "`a` must be one of x, y."),
        (properties(a={"const": 1}), {"a": True}, "`a` must be one of the values in the schema."),
        (
            properties(a={"enum": [{"b": [1]}]}),
            {"a": {"b": [2]}},
            "`a` must be one of the values in the schema.",
        ),
        (properties(a={"maximum": 100}), {"a": 101}, "`a` must be at most 100."),
        (properties(a={"minimum": 1}), {"a": 0.5}, "`a` must be at least 1."),
        (properties(a={"exclusiveMinimum": 1}), {"a": 1}, "`a` must be more than 1."),
        (properties(a={"exclusiveMaximum": 1}), {"a": 1}, "`a` must be less than 1."),
        (properties(a={"maxLength": 2}), {"a": "abc"}, "`a` must have at most 2 characters."),
        (properties(a={"minItems": 1}), {"a": []}, "`a` must have at least 1 items."),
        (properties(a={"maxProperties": 0}), {"a": {"b": 1}}, "`a` must have at most 0 members."),
        (properties(a={"pattern": "^x"}), {"a": "yx"}, "`a` must match ^x."),
        ({"required": ["a"]}, {}, "`a` is missing."),
        (properties(a={"items": {"type": "string"}}), {"a": ["b", 1]}, "`a[1]` must be of type string."),
        (properties(a={"prefixItems": [{"type": "null"}]}), {"a": [1]}, "`a[0]` must be of type null."),
        (properties(a={"items": [{"type": "null"}]}), {"a": [1]}, "`a[0]` must be of type null."),
        (properties(a=properties(b={"type": "null"})), {"a": {"b": 1}}, "`a.b` must be of type null."),
        (properties(a=properties(b={"type": "null"})), {"a": [1]}, "`a` must be of type object."),
        (properties(a={"properties": {"b": {"type": "null"}}}), {"a": [1]}, ""),
        (properties(a=False), {"a": 1}, "`a` is not allowed."),
        ({"additionalProperties": {"type": "string"}}, {"x": 1}, "`*` must be of type string."),
        ({"patternProperties": {"^x": {"type": "null"}}}, {"xy": 1}, "`*` must be of type null."),
        (
            {**properties(a=True, b=True), "additionalProperties": False},
            {"c": "sk-1"},
            "the call has a member that is not in the schema, which has a, b.",
        ),
        (
            {"additionalProperties": False},
            {"c": 1},
            "the call has a member that is not in the schema, which has none.",
        ),
        (
            properties(a={"anyOf": [{"type": "null"}, {"maximum": 1}]}),
            {"a": 2},
            "`a` matches none of the alternatives.",
        ),
        (properties(a={"oneOf": [{"type": "null"}]}), {"a": 2}, "`a` must be of type null."),
        (properties(a={"allOf": [{"minimum": 1}, {"maximum": 1}]}), {"a": 2}, "`a` must be at most 1."),
        (
            {**properties(a={"$ref": "#/$defs/x~1y"}), "$defs": {"x/y": {"type": "null"}}},
            {"a": 1},
            "`a` must be of type null.",
        ),
        (
            properties(a={"$ref": "#/properties/b/anyOf/0"}, b={"anyOf": [{"type": "null"}]}),
            {"a": 1},
            "`a` must be of type null.",
        ),
        (
            {"properties": {"n": {"$ref": "#"}, "v": {"type": "null"}}},
            {"n": {"n": {"v": 1}}},
            "`n.n.v` must be of type null.",
        ),
        (
            properties(**{name: {"type": "null"} for name in "abcde"}),
            dict.fromkeys("abcde", 1),
            "`a` must be of type null; `b` must be of type null; `c` must be of type null; and 2 more.",
        ),
    ],
)
def test_what_does_not_fit_is_named_in_words_for_the_model(schema: Any, given: Any, expected: str) -> None:
    assert said(schema, given) == expected


@each(
    ("schema", "given"),
    [
        ({}, {"a": 1}),
        (None, {"a": 1}),
        ("schema", {"a": 1}),
        (properties(a={"type": "integer"}), {"a": 3.0}),
        (properties(a={"enum": [1]}), {"a": 1.0}),
        (properties(a={"type": "string", "nullable": True}), {"a": None}),
        (properties(a={"maximum": 1, "exclusiveMaximum": True}), {"a": 1}),
        (properties(a={"maximum": 1, "minLength": 5, "minItems": 3}), {"a": True}),
        # what is not understood is for the server to check
        (properties(a={"type": "text"}), {"a": 1}),
        (properties(a={"type": []}), {"a": 1}),
        (properties(a={"not": {}}), {"a": 1}),
        (properties(a={"pattern": "(?=x)"}), {"a": "y"}),
        (properties(a={"$ref": "https://example.com/x"}), {"a": 1}),
        (properties(a={"$ref": "#/$defs/none"}), {"a": 1}),
        (properties(a={"$ref": "#/properties/a/type/x"}), {"a": 1}),
        (properties(a={"oneOf": [{"type": "string"}, {"maxLength": 9}]}), {"a": "x"}),
        (properties(a={"anyOf": []}), {"a": 1}),
        (
            {"required": True, "properties": [], "items": 3, "enum": 4, "allOf": 5, "patternProperties": 6},
            {"a": 1},
        ),
        ({"patternProperties": {"(?=x)": {"type": "null"}}, "additionalProperties": False}, {"xy": 1}),
        ({"patternProperties": {"^x": True}, "additionalProperties": False}, {"xy": 1}),
        (
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                **properties(a={"$ref": "#/$defs/x", "maximum": 1}),
                "$defs": {"x": {}},
            },
            {"a": 2},
        ),
    ],
)
def test_what_a_schema_does_not_plainly_forbid_passes(schema: Any, given: Any) -> None:
    assert said(schema, given) == ""


def test_no_message_holds_a_value_or_a_name_that_the_schema_does_not_have() -> None:
    schema = {
        **properties(a={"type": "null", "enum": ["x"], "pattern": "^x"}),
        "additionalProperties": {"type": "null"},
    }
    for given in ({"a": "sk-secret"}, {"sk-secret": 1}, {"a": {"sk-secret": 1}}):
        assert "sk-secret" not in said(schema, given)


def test_a_long_pattern_is_shown_in_part() -> None:
    assert len(said(properties(a={"pattern": "^" + "x" * 900}), {"a": "y"})) < 400


@each(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {
            "$ref": "#/$defs/0",
            "$defs": {str(n): {"anyOf": [{"$ref": f"#/$defs/{n + 1}"}] * 9} for n in range(40)}
            | {"40": False},
        },
        {
            "$ref": "#/$defs/0",
            "$defs": {str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 9} for n in range(40)}
            | {"40": True},
        },
    ],
)
@pytest.mark.uncounted
def test_however_a_schema_is_made_a_check_ends(schema: Any) -> None:
    assert "too complex" in said(schema, {"a": 1})


def test_a_schema_that_is_too_large_or_has_too_many_patterns_is_for_the_server() -> None:
    forbidden = properties(a={"type": "null"})
    assert said(forbidden, {"a": 1}) != ""
    assert said({**forbidden, "description": "x" * arguments.LARGEST}, {"a": 1}) == ""
    many = properties(**{f"p{n}": {"pattern": "^x"} for n in range(arguments.PATTERNS)}, a={"pattern": "^x"})
    assert said(many, {"p0": "y"}) == "`p0` must match ^x."
    assert said(many, {"a": "y"}) == ""
    assert said(properties(a={"pattern": "^" + "x" * LONGEST_PATTERN}), {"a": "y"}) == ""
    others = {"patternProperties": {f"^{n}": True for n in range(arguments.PATTERNS + 1)}}
    assert said({**others, "additionalProperties": False}, {"a": 1}) == ""


def test_arguments_with_too_many_members_are_refused() -> None:
    assert "too large" in said(
        properties(a={"items": {"type": "integer"}}), {"a": [1] * (arguments.STEPS + 1)}
    )
    wide = {str(n): 1 for n in range(arguments.STEPS + 1)}
    assert "too large" in said({"additionalProperties": {"type": "integer"}}, wide)
    assert "too large" in said(
        properties(a={"items": {"anyOf": [False, True]}}), {"a": [1] * (arguments.STEPS // 2)}
    )
    several = [{"minimum": 0}, {"maximum": 9}] * 4
    assert "too large" in said(
        properties(a={"items": {"allOf": several}}), {"a": [1] * (arguments.STEPS // 2)}
    )


@each(
    ("schema", "given"),
    [
        (properties(a={"anyOf": [{"enum": [[n]]} for n in range(5000)]}), {"a": ["y" * 100] * 5000}),
        (
            {
                **properties(a={"anyOf": [{"allOf": [{"$ref": "#/$defs/p"}, False]}] * 2000}),
                "$defs": {"p": {"pattern": "^(x|y)*$"}},
            },
            {"a": "x" * 500_000},
        ),
        (properties(a={"items": {"allOf": [{"type": "integer"}] * 3000}}), {"a": [1] * 20_000}),
        (
            properties(a={"patternProperties": {f"z{n}$": True for n in range(100)}}),
            {"a": {f"m{n}": 1 for n in range(50_000)}},
        ),
        (properties(a={"items": {"required": [f"n{n}" for n in range(5000)]}}), {"a": [{}] * 3000}),
        (
            {
                **properties(a={"items": {"$ref": "#/$defs/x"}}),
                "$defs": {"x": {"allOf": [{"minimum": 0, "maximum": 9, "type": "number"}] * 2500}},
            },
            {"a": [5] * 30_000},
        ),
    ],
)
@pytest.mark.uncounted
def test_what_costs_much_for_each_value_counts_as_much(schema: Any, given: Any) -> None:
    assert "too complex" in said(schema, given)


def test_choices_of_another_kind_than_a_large_value_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = properties(a={"enum": [1, "x", None]})
    assert said(schema, {"a": 1}) == ""
    monkeypatch.setattr(arguments, "canonical", None)
    assert said(schema, {"a": ["y"] * 1000}).endswith("one of the values in the schema.")
    assert said(schema, {"a": "y" * 1000}).endswith("one of the values in the schema.")


@each(
    ("schema", "given"),
    [
        # JSON Schema 2020-12, section 8.2.1: `$id` begins a schema of its own.
        (
            {
                **properties(
                    a={"$id": "https://e.example/x", "$defs": {"y": {"type": "string"}}, "$ref": "#/$defs/y"}
                ),
                "$defs": {"y": {"type": "integer"}},
            },
            {"a": "x"},
        ),
        ({**properties(a={"$ref": "#/$defs/y"}), "$defs": [], "x": [{"$id": "y"}]}, {"a": 1}),
        (properties(a={"$ref": "#/oneOf/01"}, oneOf=[]), {"a": 1}),
        # What RE2 has for something else than ECMA-262.
        (properties(a={"pattern": r"^\Ax$"}), {"a": "Ax"}),
        (properties(a={"pattern": "^[[:alpha:]]$"}), {"a": ":]"}),
        (properties(a={"pattern": "(?i)^X$"}), {"a": "x"}),
        (properties(a={"pattern": r"^(x)\1$"}), {"a": "y"}),
        (properties(a={"pattern": r"^\s$"}), {"a": "\u00a0"}),
        (properties(a={"pattern": r"^\s$"}), {"a": "\v"}),
        # OpenAPI 3.0, where generators leave null out of the choices.
        (properties(a={"type": "string", "nullable": True, "enum": ["x"]}), {"a": None}),
        (properties(a={"const": {"b": [1.0]}}), {"a": {"b": [1]}}),
        (properties(a={"enum": []}, b={}), {"b": 1}),
    ],
)
def test_what_a_server_may_read_otherwise_is_for_the_server(schema: Any, given: Any) -> None:
    assert said(schema, given) == ""


def test_spaces_of_ascii_are_read() -> None:
    assert said(properties(a={"pattern": r"^\S+$"}), {"a": "x y"}) != ""
    assert said(properties(a={"pattern": r"^\s$"}), {"a": "\t"}) == ""


def test_spaces_beyond_ascii_matter_only_to_patterns_about_spaces() -> None:
    assert said(properties(a={"pattern": "^x"}), {"a": "y\u00a0"}) == "`a` must match ^x."


def test_a_schema_of_two_levels_of_references_is_read_in_objects_and_lists() -> None:
    schema = {"$defs": {"x": [{"type": "null"}, {"type": "string"}]}, **properties(a={"$ref": "#/$defs/x/1"})}
    assert said(schema, {"a": 1}) == "`a` must be of type string."
    assert said({**schema, **properties(a={"$ref": "#/$defs/x/2"})}, {"a": 1}) == ""


def test_a_schema_is_read_once_for_as_long_as_a_tool_keeps_it() -> None:
    first, second = properties(a={"type": "null"}), properties(a={"type": "string"})
    assert said(first, {"a": 1}, "one") == "`a` must be of type null."
    check = arguments._known["one"][1]
    assert said(dict(first), {"a": None}, "one") == ""
    assert arguments._known["one"][1] is check
    assert said(second, {"a": 1}, "one") == "`a` must be of type string."


def test_the_schemas_that_are_kept_are_limited() -> None:
    for n in range(CACHE_LIMIT + 1):
        said({"maxProperties": n}, {}, f"tool {n}")
    assert len(arguments._known) <= CACHE_LIMIT


# --- against the library, and in a decision ------------------------------------------------------


class Schemas:
    """Makes schemas of the keywords that are read, and values that nearly fit them."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.references = ["#/$defs/y"]

    def schema(self, depth: int) -> Any:
        pick = self.chance
        if pick.random() < 0.05:
            return pick.random() < 0.7
        parts: dict[str, Any] = {}
        makers = {
            "type": lambda: pick.choice([*TYPES, ["string", "null"], ["object", "array"]]),
            "enum": lambda: [self.value(1) for _ in range(3)],
            "const": lambda: self.value(1),
            "minimum": lambda: pick.choice([0, 1, 1.5]),
            "exclusiveMaximum": lambda: pick.choice([1, 2, 3]),
            "minLength": lambda: pick.randrange(3),
            "maxLength": lambda: pick.randrange(3),
            "maxItems": lambda: pick.randrange(3),
            "minProperties": lambda: pick.randrange(2),
            "pattern": lambda: pick.choice(["^a", "b$", "[0-9]"]),
        }
        for name, make in makers.items():
            if pick.random() < (0.5 if name == "type" else 0.08):
                parts[name] = make()
        if depth:
            deeper = {
                "properties": lambda: {name: self.schema(depth - 1) for name in pick.sample("abc", 2)},
                "patternProperties": lambda: {"^a": self.schema(depth - 1)},
                "additionalProperties": lambda: self.schema(depth - 1),
                "required": lambda: pick.sample("abc", 1),
                "items": lambda: self.schema(depth - 1),
                "prefixItems": lambda: [self.schema(depth - 1)],
                "allOf": lambda: [self.schema(depth - 1) for _ in range(2)],
                "anyOf": lambda: [self.schema(depth - 1) for _ in range(2)],
                "$ref": lambda: pick.choice(self.references),
            }
            for name, make in deeper.items():
                if pick.random() < 0.3:
                    parts[name] = make()
        return parts

    def value(self, depth: int) -> Any:
        pick = self.chance
        kind = pick.randrange(7 if depth else 5)
        if kind == 5:
            return [self.value(depth - 1) for _ in range(pick.randrange(3))]
        if kind == 6:
            return {name: self.value(depth - 1) for name in pick.sample("abcd", pick.randrange(3))}
        return (
            None,
            pick.random() < 0.5,
            pick.choice([0, 1, 2, 1.0, 1.5]),
            pick.choice(["", "a", "ab", "b1"]),
            1,
        )[kind]


@pytest.mark.parametrize(
    "schema",
    [{"properties": {"b": {"type": "string"}}}, {"items": {"type": "string"}}],
    ids=["object", "list"],
)
def test_what_a_schema_says_of_one_kind_says_nothing_of_another(schema: Any) -> None:
    assert said(properties(a=schema), {"a": 1}) == ""


@pytest.mark.uncounted
def test_what_is_refused_is_what_the_library_refuses() -> None:
    refused = passed = 0
    for seed in range(1500):
        made = Schemas(Random(seed))
        whole = made.schema(2)
        schema = {
            **(whole if type(whole) is dict else {}),
            "$defs": {"x": made.schema(1), "y": made.schema(0)},
        }
        validator = jsonschema.Draft202012Validator(schema)
        for _ in range(3):
            given = {name: made.value(2) for name in made.chance.sample("abcd", 2)}
            ours, theirs = said(schema, given) == "", validator.is_valid(given)
            assert ours == theirs, (seed, schema, given)
            refused, passed = refused + (not ours), passed + ours
    assert min(refused, passed) > 300


def tool(given: dict[str, Any], schema: Any, name: str = "t") -> Invocation:
    facts = {"name": name, "title": "", "description": "", "annotations": {}, "inputSchema": schema}
    made = call(given)
    return Invocation(
        made.id,
        made.method,
        made.principal,
        made.now,
        "a",
        "s",
        Listed("s", name, name, {}, facts, "d"),
        given,
    )


FORCE = {**properties(force={"type": "boolean"}, owner={"type": "string"}), "required": ["owner"]}


@each("force", ["true", 1, "yes", None, [True]])
def test_a_rule_on_true_is_not_passed_by_what_a_server_takes_for_true(force: Any) -> None:
    rules = policies(
        "id: a, effect: allow", "id: d, effect: deny, when: has(args.force) && args.force == true"
    )
    verdict = pdp.decide(rules, tool({"force": force, "owner": "x"}, FORCE))
    assert isinstance(verdict, Deny)
    assert (verdict.cause, verdict.rules) == (Cause.ARGUMENTS, ())
    assert verdict.message == f"{PREFIX}`force` must be of type boolean."
    assert isinstance(pdp.decide(rules, tool({"force": False, "owner": "x"}, FORCE)), Permit)


def test_an_argument_that_a_rule_sets_may_be_missing_and_has_to_fit() -> None:
    sets = policies("id: a, effect: allow, argument: {owner: acme}")
    verdict = pdp.decide(sets, tool({}, FORCE))
    assert isinstance(verdict, Permit)
    assert verdict.invocation.args == {"owner": "acme"}
    wrong = pdp.decide(policies("id: a, effect: allow, argument: {owner: 3}"), tool({}, FORCE))
    assert isinstance(wrong, Deny)
    assert wrong.cause is Cause.ARGUMENTS
    other = pdp.decide(policies("id: a, effect: allow, argument: {force: true}"), tool({}, FORCE))
    assert isinstance(other, Deny)
    assert other.message == f"{PREFIX}`owner` is missing."
