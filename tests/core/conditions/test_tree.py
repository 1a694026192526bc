"""The logic of a condition: which operands there are, what each comes to, and the fewest that must change."""

from __future__ import annotations

from itertools import product
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, EngineName
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.tree import DecidedTree, LogicNode, WantedAtom, tree_of
from tests.rows import each


def drawn(node: LogicNode) -> Any:
    return node.text if node.logic == "atom" else (node.logic, *map(drawn, node.nodes))


@each(
    ("text", "tree"),
    [
        ("args.a", "args.a"),
        ("args.a && args.b && args.c", ("and", "args.a", "args.b", "args.c")),
        ("(args.a) || // or\n (args.b)", ("or", "(args.a)", "(args.b)")),
        ("args.a && (args.b || !args.c)", ("and", "args.a", ("or", "args.b", ("not", "args.c")))),
        ("!!args.a", ("not", ("not", "args.a"))),
        ("! (args.a && args.b)", ("not", ("and", "args.a", "args.b"))),
        ("!args.a == args.b.c", "!args.a == args.b.c"),
        ("!args.a.b in args.c", "!args.a.b in args.c"),
        ("!true", "!true"),
        ("((!( args.a )))", ("not", "( args.a )")),
        ("(!args.a) == true", "(!args.a) == true"),
        ("args.a ? args.b : !args.c", ("choice", "args.a", "args.b", ("not", "args.c"))),
        ("(args.a ? 1 : 2) == 1", "(args.a ? 1 : 2) == 1"),
        ("(args.a && args.b) == true", "(args.a && args.b) == true"),
        ("args.l.all(x, x > 1 && x < 3)", "args.l.all(x, x > 1 && x < 3)"),
        ("has(args.a) && 'a && b' in args.l", ("and", "has(args.a)", "'a && b' in args.l")),
    ],
)
def test_a_condition_falls_apart_at_its_logic_and_nowhere_else(text: str, tree: Any) -> None:
    assert drawn(tree_of(text)) == tree


def test_a_condition_that_only_one_engine_reads_is_an_atom() -> None:
    text = "args.a && args.l.map(x, x > 1, x) == [2]"
    assert tree_of(text) == LogicNode(text, "atom")


@pytest.mark.parametrize("name", ["cpp", "python"])
def test_an_operand_is_decided_by_itself(name: EngineName) -> None:
    decided = DecidedTree(engine(name), Bound({"args": {"a": True, "b": "x"}, "session": {}}))
    tree = tree_of("args.a && (has(args.c) || args.c || !args.b)")
    values = {node.text: decided.verdict(node) for _, node in tree.walk()}
    assert [values[text] for text in ("args.a", "has(args.c)", "args.c", "!args.b")] == [
        TRUE,
        FALSE,
        ERROR,
        ERROR,
    ]
    assert [depth for depth, _ in tree.walk()] == [0, 1, 1, 2, 2, 2, 3]


NAMES = "abcde"


@st.composite
def trees(draw: st.DrawFn) -> str:
    """A condition in which each of its arguments stands once."""

    def build(names: list[str]) -> str:
        if len(names) == 1:
            return draw(st.sampled_from(["args.{}", "!args.{}", "(args.{})"])).format(names[0])
        logic = draw(st.sampled_from(["&&", "||", "?", "!"]))
        if logic == "!":
            return f"!({build(names)})" if draw(st.booleans()) else build(names)
        if logic == "?" and len(names) > 2:
            return f"({build(names[:1])} ? {build(names[1:2])} : {build(names[2:])})"
        cut = draw(st.integers(1, len(names) - 1))
        operator = "||" if logic == "||" else "&&"
        return f"({build(names[:cut])} {operator} {build(names[cut:])})"

    return build(list(NAMES[: draw(st.integers(1, 5))]))


@settings(deadline=None)
@given(trees(), st.lists(st.sampled_from([True, False, None]), min_size=5, max_size=5), st.booleans())
def test_the_atoms_that_must_change_are_enough_and_as_few_as_can_be(
    text: str, given_values: list[bool | None], value: bool
) -> None:
    compiled = engine("cpp").compile(text)
    target = TRUE if value else FALSE
    args = dict(zip(NAMES, given_values, strict=True))

    def verdict(values: dict[str, bool | None]) -> Any:
        known = {name: one for name, one in values.items() if one is not None}
        return compiled.verdict(Bound({"args": known}))

    decided = DecidedTree(
        engine("cpp"), Bound({"args": {name: one for name, one in args.items() if one is not None}})
    )
    needs = decided.needs(tree_of(text), value)
    changed = {one.text.strip("()").removeprefix("args."): one.value for one in needs}
    assert verdict({**args, **changed}) is target
    used = [name for name in NAMES if f"args.{name}" in text]
    fewest = min(
        sum(args[name] is not one for name, one in zip(used, values, strict=True))
        for values in product([True, False, None], repeat=len(used))
        if verdict({**args, **dict(zip(used, values, strict=True))}) is target
    )
    assert len(needs) == fewest


def test_the_same_atom_is_wanted_once() -> None:
    decided = DecidedTree(engine("cpp"), Bound({"args": {"a": False}}))
    needs = decided.needs(tree_of("(args.a || args.b) && (args.a || args.c)"), True)
    assert needs == (WantedAtom("args.a", True),)


@each(
    ("text", "value", "wanted"),
    [
        ("size(args.a) > 0 && !args.a.startsWith('/srv')", False, "args.a.startsWith('/srv')"),
        ("has(args.a) && (args.a == '/etc' || args.a == '/etc')", False, "args.a == '/etc'"),
        ("!(size(args.a) == 0 || args.a.startsWith('/srv'))", False, "size(args.a) == 0"),
        ("size(args.a) == 0 || args.a.startsWith('/srv')", True, "size(args.a) == 0"),
    ],
)
def test_of_as_many_atoms_the_condition_changes_and_not_its_guard(
    text: str, value: bool, wanted: str
) -> None:
    (one,) = DecidedTree(engine("cpp"), Bound({"args": {"a": "/etc"}})).needs(tree_of(text), value)
    assert one.text == wanted


@each(
    ("text", "wanted"),
    [
        ("principal.id == 'ada' || args.a", "args.a"),
        ("args.a || principal.id == 'ada'", "args.a"),
        ("tool.name == 'x' ? args.b : args.a", "args.a"),
        ("args.a || args.b", "args.a"),
    ],
)
def test_of_as_many_changes_those_of_arguments_come_first(text: str, wanted: str) -> None:
    request = {"args": {"a": False, "b": False}, "principal": {"id": "bob"}, "tool": {"name": "y"}}
    (one,) = DecidedTree(engine("cpp"), Bound(request)).needs(tree_of(text), True)
    assert one.text == wanted
