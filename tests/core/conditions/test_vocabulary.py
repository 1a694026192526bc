"""Conditions of another kind have names and members of their own, on both engines, and the same advice."""

from __future__ import annotations

import pytest

from mcpguard.core.conditions.cel import TRUE, Bound, ConditionError, EngineName
from mcpguard.core.conditions.engines import engine_for
from mcpguard.core.conditions.names import Vocabulary
from tests.rows import each

WORDS = Vocabulary({"colour": "string", "size_of": "number", "parts": "map"}, {("parts",): ("left", "right")})
BOUND = Bound({"colour": "red", "size_of": 2.5, "parts": {"left": ["a@b.example"], "right": {}}})


@each("name", ["cpp", "python"])
@each(
    "text",
    [
        'colour == "red" && size_of > 2.0',
        "size_of < 3.0 && size(parts.left) == 1",
        "size(detect(parts.left[0])) == 1",
        'parts.left.exists(x, hostIn(x, ["a"]) == false) || true',
        '"left" in parts',
    ],
)
def test_its_own_names_are_read(name: EngineName, text: str) -> None:
    assert engine_for(WORDS, name).compile(text).verdict(BOUND) is TRUE


@each("name", ["cpp", "python"])
@each(
    ("text", "said"),
    [
        ('color == "red"', "undeclared reference to 'color'; did you mean `colour`?"),
        ('server == "red"', "undeclared reference to 'server'"),
        ("size(parts.lef) == 1", "`parts` has no `lef`; did you mean `left`?"),
        ('"lef" in parts', "`parts` has no `lef`; did you mean `left`?"),
        ('colour = "red"', "write `==` to compare"),
        ('colour("red") == 1', "`colour` is a value, not a function"),
    ],
)
def test_names_of_policies_are_unknown_and_mistakes_have_its_own_advice(
    name: EngineName, text: str, said: str
) -> None:
    with pytest.raises(ConditionError) as caught:
        engine_for(WORDS, name).compile(text)
    assert said in str(caught.value)
