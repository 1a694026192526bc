"""A mistake in a condition says what to write, where that can be guessed."""

from __future__ import annotations

import pytest

from mcpguard.core.conditions.cel import ConditionError
from mcpguard.core.conditions.engines import engine
from tests.rows import each


def said(text: str, name: str) -> str:
    with pytest.raises(ConditionError) as raised:
        engine(name).compile(text)  # type: ignore[arg-type]
    return raised.value.mistakes[0][1]


@each("name", ["cpp", "python"])
@each(
    ("text", "hint"),
    [
        ("args.path.startswith('/x')", "did you mean `startsWith`?"),
        ("pathInside(args.path, '/x')", "did you mean `pathWithin`?"),
        ("arg.path == '/x'", "did you mean `args`?"),
        ("args.a = 1", "write `==` to compare"),
        ("args.a == 1 and args.b == 2", "write `&&` for `and`"),
        ("args.a == 1 or args.b == 2", "write `||` for `or`"),
        ("not args.a", "write `!` for `not`"),
        ("args.a AND args.b", "write `&&` for `and`"),
        ("args.a & args.b", "write `&&` for `&`"),
        ("args.a | args.b", "write `||` for `|`"),
        ("args.a === 1", "write `==` to compare"),
        ("args.a !== 1", "write `!=` to compare"),
        ("args.a <> 'a = b'", "write `!=` to compare"),
        ("args.a =~ 'x'", 'write `.matches("…")` to compare with a pattern'),
        ("args.a like 'x'", 'write `.matches("…")` to compare with a pattern'),
        ("args.a.all(x => x)", "write `.all(x, …)`, with a comma"),
        ("args.a is null", "write `==` to compare"),
        ("'x' not in args.a", "write `!(x in list)` for `x not in list`"),
        ("not(args.a)", "did you mean `!`?"),
        ("args.a in ('x', 'y')", "write a list in brackets, as in `x in [1, 2]`"),
        ("args.a == `x`", "quote a string with `'` or `\"`"),
        ("args.a == \u201cx\u201d", "quote a string with `'` or `\"`"),
        ("${args.a}", "write a name alone, as in `args.x`"),
        ("args.a == 1; args.b", "join conditions by `&&` or `||`"),
        ("args.a if args.b", "write `condition ? one : other`"),
        ("len(args.a) > 1", "did you mean `size`?"),
        ("args.a.includes('x')", "did you mean `contains`?"),
        ("args.a == None", "did you mean `null`?"),
        ("args.a.lower() == 'x'", '`matches("(?i)…")` ignores case'),
        ("args.a.split('/') == ['x']", '`matches("^…")` compares a part of a string'),
        ("arguments.a == 1", "did you mean `args`?"),
        ("exists(args.a)", "write `args.list.exists(x, …)`"),
        ("now() == now", "`now` is a value, not a function"),
        ("args.my-name == 'x'", 'write `args["my-name"]`'),
        ("args.a.the-last-one == 'x'", 'write `args.a["the-last-one"]`'),
        ("args.a == 'it's'", "a string is not closed, or contains a quote that needs a backslash"),
    ],
)
def test_a_mistake_says_what_to_write(name: str, text: str, hint: str) -> None:
    assert said(text, name).endswith(f"; {hint}")


@each("name", ["cpp", "python"])
@each(
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


@each("name", ["cpp", "python"])
@each(
    ("pattern", "reason"),
    [
        ("(", "missing ): ("),
        ("[a", "missing ]: [a"),
        ("a**", "bad repetition operator: **"),
        ("*a", "no argument for repetition operator: *"),
        ("[z-a]", "invalid character class range: z-a"),
        ("(?=a)", "RE2 has no lookahead, no lookbehind and no references back"),
        ("(?<!a)b", "RE2 has no lookahead, no lookbehind and no references back"),
        ("(a)\\\\1", "RE2 has no lookahead, no lookbehind and no references back"),
    ],
)
def test_a_broken_pattern_has_the_reason(name: str, pattern: str, reason: str) -> None:
    assert said(f"args.a.matches('{pattern}')", name).endswith(reason)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("has(args)", 'write `has(args.x)`, or `"x" in args`'),
        ("startsWith(args.a, 'x')", 'write `args.x.startsWith("…")`'),
        ("size(args.a, 1) == 1", "write `size(args.x)`"),
    ],
)
def test_a_name_that_is_used_in_another_way_has_its_form(text: str, hint: str) -> None:
    assert said(text, "cpp").endswith(f"; {hint}")


@each(
    ("text", "sentence"),
    [
        ('principal == "bob"', "`principal` is an object: read a member of it, such as `principal.id`"),
        ('args.a == 1 && "bob" != tool', "`tool` is an object: read a member of it, such as `tool.name`"),
        ('tool.startsWith("x")', "`tool` is an object: read a member of it, such as `tool.name`"),
        ('args == "x"', "`args` is an object: read a member of it, such as `args.NAME`"),
        ('principal in ["a"]', "`principal` is an object: read a member of it, such as `principal.id`"),
        ('args.owner in "acme"', '`in` needs a list on its right, as in `x in ["a", "b"]`, not text'),
        ('action in "tools/call"', '`in` needs a list on its right, as in `x in ["a", "b"]`, not text'),
        ('findings == "iban"', '`findings` is a list: write `"x" in findings`'),
        ('now > "2026-01-01"', '`now` is a time: compare it with `timestamp("2026-01-02T03:04:05Z")`'),
        ("server == 5", "`==` cannot be applied to text and a number"),
        ("tool.name == 5 || server == 5", "`==` cannot be applied to text and a number"),
        ("!server", "`!` cannot be applied to text"),
        ("server && true", "`&&` cannot be applied to text and a boolean"),
        ('[args] == "x"', "`==` cannot be applied to a list and text"),
        ("args.x.matches(5)", "`matches()` cannot be called with any value and a number"),
        ("server.size == 1", "text has no members"),
    ],
)
def test_types_that_never_fit_are_said_in_words(text: str, sentence: str) -> None:
    assert said(text, "cpp") == sentence
