"""Conditions made by chance mean the same to both engines, or the Python one refuses."""

from __future__ import annotations

from random import Random

import pytest

from mcpguard.core.conditions.cel import ERROR, TRUE, Bound, ConditionError
from mcpguard.core.conditions.cel_python import PythonEngine
from mcpguard.core.conditions.engines import engine
from tests.core.conditions.asked import NOW, Conditions
from tests.rows import each

SHARES, EACH = 4, 250


@pytest.mark.uncounted
@each("share", range(SHARES))
def test_a_condition_made_by_chance_is_never_looser_in_python(share: int) -> None:
    fast, slow = engine("cpp"), engine("python")
    decided = 0
    for seed in range(share * EACH, (share + 1) * EACH):
        made = Conditions(Random(seed))
        text = made.condition(1 + seed % 4)
        try:
            conditions = fast.compile(text), slow.compile(text)
        except ConditionError:
            continue
        for _ in range(3):
            view = {"args": made.values(), "action": "tools/call", "now": NOW}
            one, two = (condition.verdict(Bound(view)) for condition in conditions)
            assert two in (one, ERROR), (seed, text, view)
            decided += two is not ERROR
    assert decided > EACH / 2


ESCAPES = [
    "\\n",
    "\\\\",
    '\\"',
    "\\'",
    "\\a",
    "\\x41",
    "\\u00e9",
    "\\U0001F600",
    "\\101",
    "\\377",
    "é",
    "😀",
    "a",
]
ODD = [
    "\\d",
    "\\z",
    "\\`",
    "\\?",
    "\\X41",
    "\\ud800",
    "\\u12",
    "\\U00110000",
    "\\8",
    "\\400",
    "\\x4",
    "\\/",
    "\n",
    "\\\n",
]
FORMS = ['"{}"', "'{}'", 'r"{}"', '"""{}"""', 'b"{}"', 'br"{}"', "b'''{}'''", "rb'{}'"]


@pytest.mark.uncounted
def test_a_literal_is_the_same_to_both_engines_or_refused() -> None:
    chance = Random(7)
    fast, slow = engine("cpp"), PythonEngine()
    known = 0
    for _ in range(600):
        parts = [chance.choice(ESCAPES if chance.random() < 0.8 else ODD) for _ in range(chance.randrange(4))]
        literal = chance.choice(FORMS).format("".join(parts))
        try:
            size = slow.compile(f"size({literal})").value(Bound({}))
        except ConditionError:
            continue
        assert fast.compile(f"size({literal}) == {size}").verdict(Bound({})) is TRUE, literal
        value = slow.compile(literal).value(Bound({}))
        if type(value) is str and "b" not in literal[:2]:
            assert fast.compile(f"{literal} == args.t").verdict(Bound({"args": {"t": value}})) is TRUE, (
                literal
            )
        known += 1
    assert known > 150


@each(
    ("text", "offset"),
    [
        ("args.a.matches('^\\d+$')", 17),
        ("'a\\`' == args.a", 2),
        ('"\\X41" == args.a', 1),
        ('b"\\u0041" == b"A"', 2),
        ("r'\\' == args.a || args.b == '", 2),
        ("br'a\\\"' == b''", 4),
    ],
)
def test_what_is_no_escape_is_a_mistake_in_both_engines(text: str, offset: int) -> None:
    for name in ("cpp", "python"):
        with pytest.raises(ConditionError, match="is not an escape here") as told:
            engine(name).compile(text)  # type: ignore[arg-type]
        assert told.value.mistakes[0][0] == offset


@pytest.mark.parametrize("text", ["'''a\nb''' == args.a", 'b"é" == bytes(args.a)', 'b"""\r""" == b""'])
def test_a_literal_that_the_library_misreads_is_a_mistake_in_its_engine(text: str) -> None:
    engine("cpp").compile(text)
    with pytest.raises(ConditionError, match="write"):
        engine("python").compile(text)
