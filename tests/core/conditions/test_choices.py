"""A condition that looks for what a function never gives is not loaded."""

import pytest

from mcpguard.core.conditions.hoisting import hoist
from mcpguard.core.conditions.names import Vocabulary
from mcpguard.core.functions import FUNCTIONS
from mcpguard.core.functions.shell.forms import KINDS, _forms
from mcpguard.core.functions.shell.function import shell
from mcpguard.core.functions.sql.function import sql

BUIDS = "`kinds` of shell() is never `buids`; did you mean `builds`?"


@pytest.mark.parametrize(
    ("text", "at", "sentence"),
    [
        ('"buids" in shell(args.c).kinds', 0, BUIDS),
        ('true && !("buids" in shell(args.c).kinds)', 10, BUIDS),
        ('shell(args.c).kinds == ["reads", "buids"]', 33, BUIDS),
        ('shell(args.c).kinds[0] != "buids"', 26, BUIDS),
        ('"buids" == shell(args.c).kinds[0]', 0, BUIDS),
        ('shell(args.c).kinds[0] in ["buids"]', 27, BUIDS),
        ('shell(args["c"]).kinds.all(one, one in ["builds", "buids"])', 50, BUIDS),
        ('shell(args.c).kinds.exists(k, size(args.c) > 1 && k == "buids")', 55, BUIDS),
        (
            'shell(args.c).commands.exists(c, c.kind == "zzz")',
            43,
            f"`commands.kind` of shell() is never `zzz`; it is one of {', '.join(KINDS)}",
        ),
        (
            "shell(args.c).commands.all(c, c.args.all(a, a == c.kynd))",
            49,
            "`commands` of shell() have no `kynd`; did you mean `kind`?",
        ),
        (
            'shell(args.c).redirects[0].file == "x"',
            0,
            "`redirects` of shell() have no `file`; they have operator, target",
        ),
        (
            'sql(args.q, "sqlite").kinds == ["selct"]',
            32,
            "`kinds` of sql() is never `selct`; did you mean `select`?",
        ),
    ],
)
def test_what_a_function_never_gives_is_a_mistake(text: str, at: int, sentence: str) -> None:
    assert hoist(text).mistakes == ((at, sentence),)


@pytest.mark.parametrize(
    "text",
    [
        'shell(args.c).kinds.all(k, k in ["reads", "shows"])',
        'shell(args.c).commands.all(c, c.program == "buids" && c.args == ["buids"])',
        'shell("buids").kinds == args.kinds',
        'args.a == "buids" && shell(args.c).kinds == []',
        '"bui" + "lds" in shell(args.c).kinds',
        'shell(args.c).kinds[0] == "bui" + "lds"',
        'args.buids.kinds == ["buids"]',
        'args.names.all(k, k == "buids")',
        'shell(args.c).kinds.all(k, k in ["reads"]) && args.names.all(k, k == "buids")',
        'shell(args.c).kinds.all(k, k == "reads") && k == "buids"',
        'args.shell == "buids"',
        'url(args.u).scheme == "buids"',
        "shell(args.c",
        "shell(args.c).kinds.all(k",
        "shell(args.c).kinds == [",
    ],
)
def test_what_is_not_plainly_compared_is_none(text: str) -> None:
    assert not [one for one in hoist(text).mistakes if "never" in one[1]]


def test_a_name_of_which_all_values_are_listed_is_never_another_one() -> None:
    vocabulary = Vocabulary({"effect": "string", "tool": "map"}, {}, {"effect": ("allow", "deny")})
    for text in ('effect == "deny"', 'tool.effect == "denied"', 'tool.name == "x"', 'effect == "den" + "y"'):
        assert hoist(text, vocabulary).mistakes == ()
    assert hoist('true && effect in ["allow", "denied", "x"]', vocabulary).mistakes == (
        (28, "`effect` is never `denied`; did you mean `deny`?"),
        (38, "`effect` is never `x`; it is one of allow, deny"),
    )


def test_the_lists_of_values_and_members_are_those_that_functions_give() -> None:
    given = shell("ls -a a > b")
    (command,), (redirect,) = given["commands"], given["redirects"]
    assert FUNCTIONS["shell"].elements == {"commands": (*command,), "redirects": (*redirect,)}
    assert {form.kind for some in _forms().values() for form in some} - {"via"} < {*KINDS}
    kinds = FUNCTIONS["sql"].values["kinds"]
    for text in ("SELECT 1", "EXPLAIN DELETE FROM a", "BEGIN", "SHOW a", "SET a = 1", "COPY a TO 'b'"):
        assert {*sql(text, "postgres")["kinds"]} <= {*kinds}
    assert sql("PRAGMA user_version", "sqlite")["kinds"] == ["pragma"]
