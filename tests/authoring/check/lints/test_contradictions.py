"""Lints on operands that exclude each other."""

from __future__ import annotations

import pytest

from mcpguard.authoring.check.lints import contradictions
from mcpguard.core.conditions.cel import ConditionError
from tests.authoring.check.linting import found, rules

NEVER = (
    "no value of `{}` satisfies all of these conditions, so they are never true together: "
    "use `||` if one of them is enough"
)
ALWAYS = (
    "every value of `{}` satisfies at least one of these conditions, so they exclude nothing: "
    "use `&&` if all of them must be true"
)


def said(when: str) -> list[str]:
    text = rules(f"id: r, effect: allow, tools: [read], when: {when!r}")
    return [one.partition("rule r: ")[2] for one in found("P208", text, snapshot=None)]


@pytest.mark.uncounted
@pytest.mark.parametrize(
    ("when", "name"),
    [
        ('args.a == "x" && args.a == "y"', "args.a"),
        ('"x" == args.a && args.b && args.a == "y"', "args.a"),
        ('args.a == "x" && (has(args.b) && args.a == "y")', "args.a"),
        ('principal.id == "ada" && principal.id == "bob"', "principal.id"),
        ('server == "a" && server in ["b", "c"]', "server"),
        ('args.a.b.c in ["x", "y"] && args.a.b.c == "z"', "args.a.b.c"),
        ('args.a == "x" && args.a.startsWith("y")', "args.a"),
        ('args.a == "x" && !has(args.a)', "args.a"),
        ('args.a == "x" && size(args.a) > 1', "args.a"),
        ('args.a == "x" && args.a != "x"', "args.a"),
        ('args.a == "x" && (args.a == "y" || args.a == "z")', "args.a"),
        ('!(args.a != "x") && args.a == "y"', "args.a"),
        ("args.n > 5 && args.n < 3", "args.n"),
        ("5 < args.n && args.n < 3", "args.n"),
        ("args.n > 5 && args.n <= 5", "args.n"),
        ("args.n >= 5 && args.n < 5 && args.n <= 5", "args.n"),
        ("!(args.n < 5.5) && args.n < 5", "args.n"),
        ("has(args.b) && (args.b || args.n == 1 && args.n == 2)", "args.n"),
    ],
)
def test_operands_of_which_no_value_makes_all_true_are_reported(when: str, name: str) -> None:
    assert said(when) == [NEVER.format(name)]


@pytest.mark.parametrize(
    ("when", "name"),
    [
        ('args.a != "x" || args.a != "y"', "args.a"),
        ('args.b || (args.a != "x" || "y" != args.a)', "args.a"),
        ('!(args.a in ["x", "y"]) || args.a != "z"', "args.a"),
        ('args.a != "x" || args.a == "x"', "args.a"),
        ("args.n < 5 || args.n > 3", "args.n"),
        ("args.n <= 5 || args.n > 5", "args.n"),
    ],
)
def test_operands_of_which_every_value_makes_one_true_are_reported(when: str, name: str) -> None:
    assert said(when) == [ALWAYS.format(name)]


@pytest.mark.uncounted
@pytest.mark.parametrize(
    "when",
    [
        'args.a == "x" || args.a == "y"',
        'args.a != "x" && args.a != "y"',
        'args.a == "x" && args.b == "y"',
        'args.a == "x" && args.a == args.b',
        'args.a in ["x", "y"] && args.a != "x"',
        'args.a in ["x", args.b] && args.a == "y"',
        'args.a == "x" && args.a.matches(".")',
        'args.a == "x" && args.a > 5',  # It fails, and P206 says so where the kind is known.
        'args.a[0] == "x" && args.a[0] == "y"',
        'args.a.exists(one, one == "x") && args.a.exists(one, one == "y")',
        '"x" in session.labels && "y" in session.labels',
        "args.n > 5 && args.n < 6",
        "args.n >= 5 && args.n <= 5",
        "args.n < 5 || args.n > 5",
        'size(args.a) == 2 && args.a == "ab"',
        'args.a.size() in [1, 2] && args.a == "ab"',
        'size(args.a) != 2 || args.a != "ab"',
        "args.n * 2 > 100 && args.n < 80",
        "10 - args.n > 5 && args.n < 3",
        "-args.n > 5 && args.n < 3",
        "args.n % 2 == 1 && args.n == 3",
        "args.n % 10 != 5 || args.n < 100",
        'int(args.a) == 5 && args.a == "5"',
        'has(args.a) == true && args.a == "x"',
        '(args.a == "x") == false && args.a == "y"',
        "args.n == 1 && type(args.n) == double",
        f"args.n in {list(range(600))} && args.n == 700",  # Too many to try.
        "args.n < args.m && args.n > 3",
        '(args.a ? args.b : args.c) && args.a == "x"',
        "1 == 1 && 2 == 2",
    ],
)
def test_operands_that_a_value_can_satisfy_are_not_reported(when: str) -> None:
    assert said(when) == []


def test_what_only_the_other_engine_takes_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_text: str) -> object:
        raise ConditionError([(0, "no")])

    monkeypatch.setattr(contradictions, "parts_of", refuse)
    assert said('args.a == "x" && args.a == "y"') == []
