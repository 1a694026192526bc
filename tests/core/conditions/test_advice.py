"""A mistake in a condition says what to write, where that can be guessed."""

from __future__ import annotations

import pytest

from mcpguard.core.conditions.cel import ConditionError
from mcpguard.core.conditions.engines import engine


def said(text: str, name: str) -> str:
    with pytest.raises(ConditionError) as raised:
        engine(name).compile(text)  # type: ignore[arg-type]
    return raised.value.mistakes[0][1]


@pytest.mark.parametrize("name", ["cpp", "python"])
@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("args.path.startswith('/x')", "did you mean `startsWith`?"),
        ("pathInside(args.path, '/x')", "did you mean `pathWithin`?"),
        ("arg.path == '/x'", "did you mean `args`?"),
        ("args.a = 1", "write `==` to compare"),
        ("args.a == 1 and args.b == 2", "write `&&` for `and`"),
        ("args.a == 1 or args.b == 2", "write `||` for `or`"),
        ("not args.a", "write `!` for `not`"),
        ("args.a == 'it's'", "a text is not closed, or has a quote in it that needs a backslash"),
    ],
)
def test_a_mistake_says_what_to_write(name: str, text: str, hint: str) -> None:
    assert said(text, name).endswith(f"; {hint}")


@pytest.mark.parametrize("name", ["cpp", "python"])
@pytest.mark.parametrize(
    "text",
    [
        "zzzzzz == 1",
        "args.a >= 1 &&",
        "args.a <= 1 == )",
        "args.and == args.or ||",
        "(args.a != 1",
        "args.a == 1 ==",
    ],
)
def test_nothing_is_guessed_where_nothing_is_near(name: str, text: str) -> None:
    assert "; " not in said(text, name)
