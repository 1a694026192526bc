"""The parts of a condition: each at its place, each meaning by itself what it means there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mcpguard.core.conditions.cel import ERROR, Bound, ConditionError
from mcpguard.core.conditions.tree import SubExpression, parts_of, value_of
from tests.rows import each

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def bound(**args: Any) -> Bound:
    return Bound({"args": args, "now": NOW, "session": {}, "server": "s"})


def outline(text: str) -> list[str]:
    return [f"{'.' * part.depth}{part.role} {part.text}" for part in parts_of(text)]


@each(
    ("text", "parts"),
    [
        ("true", []),
        ("has(args.a.b)", []),
        ("args.a && args.b && args.c", [".operand args.a", ".operand args.b", ".operand args.c"]),
        (
            "args.a || (args.b && !args.c)",
            [
                ".operand args.a",
                ".operand (args.b && !args.c)",
                "..operand args.b",
                "..operand !args.c",
                "...value args.c",
            ],
        ),
        (
            "args.a && args.b || args.c",
            [".operand args.a && args.b", "..operand args.a", "..operand args.b", ".operand args.c"],
        ),
        ("args.a ? args.b : false", [".test args.a", ".side args.b", ".side false"]),
        (
            "!(args.a ? args.b : true)",
            [".value (args.a ? args.b : true)", "..test args.a", "..side args.b", "..side true"],
        ),
        ('(args.a ? "x" : args.b) == server', ['.value (args.a ? "x" : args.b)', "..test args.a", "..value args.b"]),
        ("-args.a == 1 + args.b", [".value -args.a", "..value args.a", ".value 1 + args.b", "..value args.b"]),
        ("args.l.exists(x, x == 1 && args.a)", [".value args.l"]),
        ('glob(args.p, ["a", args.q])', [".value args.p", '.value ["a", args.q]', "..value args.q"]),
        ('{"k": args.a}["k"] in [[]]', ['.value {"k": args.a}["k"]', '..value {"k": args.a}', "...value args.a", ".value [[]]", "..value []"]),
        ("args[args.k].m.n == 1", [".value args[args.k].m.n", "..value args.k"]),
        ('sql(args.q, "sqlite").writes', ['.value sql(args.q, "sqlite")', "..value args.q"]),
        ('args.a.b.startsWith(args.c + "x")', [".value args.a.b", '.value args.c + "x"', "..value args.c"]),
        ("true && args.a == false", [".operand true", ".operand args.a == false", "..value args.a"]),
        ("size(args) == 1", [".value size(args)"]),
    ],
)  # fmt: skip
def test_a_condition_has_these_parts(text: str, parts: list[str]) -> None:
    assert outline(text) == [f"whole {text}", *parts]


def test_a_part_knows_its_place_across_lines_comments_and_booleans() -> None:
    text = "args['ä'] == true // true\n  && (false\n || string(args.b) == 'true')"
    for part in parts_of(text):
        assert text[part.start : part.end] == part.text
    assert [part.text for part in parts_of(text) if part.branch][-1] == "string(args.b) == 'true'"


def test_what_is_no_condition_has_no_parts() -> None:
    with pytest.raises(ConditionError):
        parts_of("args.a &&")


@each(
    ("text", "value"),
    [
        ("args.n + 1", 3),
        ("args.n == 2", True),
        ("args.l", [1, {"a": None}]),
        ("args.none.x", ERROR),
        ("tool.name", ERROR),
        ("now", "2026-01-02T00:00:00Z"),
        ("1 / 0", ERROR),
    ],
)
def test_a_part_has_a_value_for_a_request_or_an_error(text: str, value: Any) -> None:
    assert value_of(text, bound(n=2, l=[1, {"a": None}])) == value


def test_what_hangs_on_arguments_is_an_error_while_a_list_is_made() -> None:
    assert value_of("args.n == 2 || true", Bound({"now": NOW})) is ERROR


atoms = st.sampled_from(["args.t", "args.f", "args.none", "true", "false", "has(args.t)", "args.n == 1"])
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]} && {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} || {two[1]})"),
        inner.map(lambda one: f"!{one}"),
        st.tuples(inner, inner, inner).map(lambda three: f"({three[0]} ? {three[1]} : {three[2]})"),
    ),
    max_leaves=6,
)


def folded(part: SubExpression, inside: list[SubExpression], given: Bound) -> Any:
    """What the operands of a chain say of it; None where they do not say."""
    operands = [
        value_of(one.text, given) for one in inside if one.depth == part.depth + 1 and one.role == "operand"
    ]
    if not operands or ERROR in operands:
        return None
    return (all if "&&" in _joint(part, inside) else any)(operands)


def _joint(part: SubExpression, inside: list[SubExpression]) -> str:
    first, second = [one for one in inside if one.depth == part.depth + 1 and one.role == "operand"][:2]
    return part.text[first.end - part.start : second.start - part.start]


@settings(max_examples=60, deadline=None)
@given(conditions)
def test_operands_by_themselves_make_up_what_holds_them(text: str) -> None:
    given = bound(t=True, f=False, n=1)
    found = parts_of(text)
    for index, part in enumerate(found):
        inside = [one for one in found[index + 1 :] if part.start <= one.start and one.end <= part.end]
        said = folded(part, inside, given)
        assert said is None or value_of(part.text, given) == said
