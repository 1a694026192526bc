"""What a condition reads, by its syntax tree."""

from __future__ import annotations

import pytest

from mcpguard.authoring.conditions import reads_of
from tests.rows import each


def reads(text: str) -> list[str]:
    """Each read in short: `?` for a probe, `+` or `-` for how it holds, `=` for the member looked for."""
    found = []
    for one in reads_of(text):
        steps = "".join("[]" if step is None else f".{step}" for step in one.steps)
        holds = {True: "+", False: "-", None: ""}[one.holds]
        member = f"={one.member}" if one.member is not None else ""
        found.append(f"{one.offset}:{holds}{'?' if one.probe else ''}{one.root}{steps}{member}")
    return found


@each(
    ("text", "expected"),
    [
        ("args.a.b", ["0:+args.a.b"]),
        ('args["a"][0]', ["0:+args.a.0"]),
        ("!args.a", ["1:-args.a"]),
        ("!(!args.a || args.b)", ["3:+args.a", "13:-args.b"]),
        ("args.a == true", ["0:args.a"]),
        ("!(args.a == 1)", ["2:args.a"]),
        ("has(args.a)", ["4:+?args.a"]),
        ("has(args.a.b)", ["4:+?args.a.b", "4:args.a"]),
        ("has(json(args.a).b)", ["9:args.a"]),
        ('"a" in args', ["7:+args=a", "7:?args.a"]),
        ('!("a" in session.labels)', ["9:-session.labels=a"]),
        ("args.a in args.b", ["0:args.a", "10:args.b"]),
        ('"a" in ["a", args.b]', ["13:args.b"]),
        ("3 in args.b", ["5:args.b"]),
        ("args.a ? args.b : args.c", ["0:args.a", "9:+args.b", "18:+args.c"]),
        ("args.a[args.b]", ["0:+args.a[]", "7:args.b"]),
        ("args.a.exists(x, x.b && args.c)", ["0:args.a", "17:+args.a[].b", "24:+args.c"]),
        ("args.a.filter(x, x.b).size() > 0", ["0:args.a", "17:args.a[].b"]),
        ("[1, 2].exists(x, x == args.a)", ["22:args.a"]),
        ("args.a.all(x, x.all(y, y.b))", ["0:args.a", "14:args.a[]", "23:+args.a[][].b"]),
        ("size(args.a) > -args.b", ["5:args.a", "16:args.b"]),
        ("sql(args.a).writes", ["4:args.a"]),
        ("args.a.startsWith(args.b)", ["0:args.a", "18:args.b"]),
        ('args[b"a"] == 1', ["0:args[]"]),
        ("args[1.5] == 1", ["0:args[]"]),
        ("type(args.a) == string", ["5:args.a"]),
        ("args.a.map(x, x > 1, x).size() > 0", ["0:args.a", "14:args.a[]", "21:args.a[]"]),
        ("now.getHours() == 1", ["0:now"]),
    ],
)
def test_every_path_is_read_with_how_it_counts(text: str, expected: list[str]) -> None:
    assert reads(text) == expected


@pytest.mark.parametrize("text", ["args.", "(" * 200 + "true" + ")" * 200])
def test_what_cannot_be_parsed_reads_nothing(text: str) -> None:
    assert reads_of(text) == ()
