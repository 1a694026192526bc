"""A passage is left out only if a condition is true of no call in it, by the values that its calls have."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, json

from mcpguard.adapters.audit.passages import IndexedPassage, Passage
from mcpguard.authoring.asking.names import VOCABULARY
from mcpguard.authoring.asking.needed import DECIDED, ZonedNeed, may_match, needed
from mcpguard.core.conditions.cel import TRUE, Bound, ConditionError
from mcpguard.core.conditions.cel_python import PythonEngine
from mcpguard.core.conditions.engines import engine_for
from tests.authoring.asking.asked_conditions import ARGUMENTS, CONDITIONS, TEXTS
from tests.rows import each

ENGINES = [engine_for(VOCABULARY), PythonEngine(VOCABULARY)]


def known(*calls: dict[str, Any] | None, subjects: tuple[str, ...] = (), cut: int = 0) -> IndexedPassage:
    """What the index knows of a passage with these calls, the first `cut` of which were stored before."""
    passage = Passage(0)
    for number, arguments in enumerate(calls):
        if cut and number == cut:
            passage = Passage(0, 1, 0, 0, passage.bits(), passage.zones())
        raw = Raw(json.encode(arguments)) if arguments is not None else Raw()
        subject = Raw(json.encode(subjects[number])) if subjects else Raw()
        passage.decided(0, 1, raw)
        passage.said(subject=subject)
        passage.add(raw, subject)
    return IndexedPassage(passage.bits(), passage.zones())


@given(
    rows=st.lists(ARGUMENTS, min_size=1, max_size=4),
    subject=st.sampled_from(TEXTS),
    text=CONDITIONS,
    cut=st.integers(0, 4),
)
def test_a_passage_with_a_call_that_matches_is_never_left_out(
    rows: list[dict[str, Any]], subject: str, text: str, cut: int
) -> None:
    passage = known(*rows, subjects=(subject,) * len(rows), cut=cut)
    for engine in ENGINES:
        try:
            condition = engine.compile(text)
        except ConditionError:
            return
        views = [{"args": row, "subject": subject, "resource": {"uri": subject}} for row in rows]
        if any(condition.verdict(Bound(view)) is TRUE for view in views):
            assert may_match(needed(text, DECIDED), passage), (engine, passage.zones)


_PATHS = st.builds(
    "{}{}".format,
    st.sampled_from(["/srv/", "/srv/a/", "srv/", "/", ""]),
    st.lists(st.sampled_from(["srv", "a", "..", "..", ".", "", "tmp"]), max_size=4).map("/".join),
)


@given(
    paths=st.lists(_PATHS | st.lists(_PATHS, max_size=2), min_size=1, max_size=3),
    folders=st.lists(st.sampled_from(["/srv", "/srv/./a", "srv", "srv/a/tmp"]), min_size=1, max_size=2),
    text=st.sampled_from(["pathWithin(args.p, {})", "!pathWithin(args.p, {})"]),
)
def test_no_path_in_a_folder_or_outside_of_it_is_left_out(
    paths: list[str | list[str]], folders: list[str], text: str
) -> None:
    text, rows = text.format(json.encode(folders).decode()), [{"p": path} for path in paths]
    for engine in ENGINES:
        condition = engine.compile(text)
        if any(condition.verdict(Bound({"args": row})) is TRUE for row in rows):
            assert may_match(needed(text, DECIDED), known(*rows)), engine


LONG = "/srv/" + "x" * 60
CALLS: list[dict[str, Any]] = [
    {"path": "/srv/a.txt", "n": 3, "mode": "rw", "on": True, "l": [1, 5], "to": {"id": 7}, "e": []},
    {
        "path": LONG + "/B.txt",
        "n": 4.5,
        "mode": "rw",
        "on": True,
        "l": [9],
        "to": {"id": 9},
        "x": None,
        "e": [],
    },
]


@each(
    ("text", "left"),
    [
        ("args.n > 4.5", False),
        ("args.n >= 4.5 && 3 >= args.n", True),
        ("args.n < 3 || args.n > 5", False),
        ("args.n == 3.0", True),
        ("args.n in [1, 2]", False),
        ("args.n in [1, 4]", True),
        ("args.n in [1, args.other]", False),
        ("args.n != 3", True),
        ("!(args.n in [3, 4])", True),
        ('!(args.mode in ["r", "rw"])', False),
        ('args.mode != "rw"', False),
        ('args.mode > "rw" || args.mode < "rw"', False),
        ('args.path < "/a"', False),
        ('args.path < "/srv/b"', True),
        ('"/z" <= args.path', False),
        (f'args.path > "{LONG}/"', True),
        ('args.path == "/srv/" + args.mode', True),
        ("args.path == args.mode", False),
        ("args.n < args.path", False),
        ("size(args.path) > 71", False),
        ("size(args.path) > 70", True),
        ("args.path.size() < 10", False),
        ("size(args.path) > size(args.mode)", True),
        ("size(args.path) < size(args.mode)", False),
        ("size(args.l) == 3", False),
        ("size(args) > 7", True),
        ("size(args) > 8 || size(args.missing) > 1", False),
        ("size(args.n) > 1", False),
        ('!args.path.startsWith("/srv")', False),
        ('!pathWithin(args.path, ["/tmp", "/srv/."])', False),
        ('!pathWithin(args.path, "/srv/a.txt")', True),
        ("!pathWithin(args.path, args.mode)", True),
        ('!pathWithin(args.path, ["/srv", args.mode])', True),
        ('!pathWithin(args.l, "/srv")', True),
        ('!pathWithin(args.n, "/srv")', False),
        ('!args.path.startsWith("/srv/a")', True),
        ('args.path.startsWith("/t")', False),
        ('!args.path.endsWith(".txt")', False),
        ('!args.path.endsWith("a.txt")', True),
        ('args.path.endsWith(".env")', False),
        ('!args.path.contains("rv/")', False),
        ('!args.path.contains(".tx")', False),
        ('!args.path.contains("xx")', True),
        ('!args.path.matches("^/[a-z]+/")', False),
        (r'!args.path.matches("\\.TXT$")', True),
        (r'!args.path.matches("(?i)\\.TXT")', False),
        ('!args.path.matches("^txt")', True),
        ('!args.path.matches("(")', True),
        ('args.n.startsWith("x") || !args.n.startsWith("x")', False),
        ("args.path.startsWith(args.mode)", True),
        ("args.n + 1 > 5.5", False),
        ("args.n + 1.0 >= 5.5", True),
        ("2 - args.n > -1", False),
        ("args.n - args.n > 1.5", False),
        ("size(args.path) - size(args.mode) < 8", False),
        ("size(args.path) - size(args.mode) <= 8", True),
        ("args.n + args.mode == 3 || args.n - server > 90", True),
        ('args.mode + "x" == "rwx"', True),
        ("args.on", True),
        ("!args.on", False),
        ("args.on == false", False),
        ("args.on != true", False),
        ("args.on > args.on", True),
        ("args.on > 3", True),
        ("3 > args.on", True),
        ("args.x == null", True),
        ("args.x != null", False),
        ("args.x > null", True),
        ("has(args.x)", True),
        ("!has(args.x)", True),
        ("has(args.y)", False),
        ("!has(args.n)", False),
        ("!has(args.to.id)", True),
        ("has(args.to.name)", False),
        ("has(args[server].id) || !has(subject.x)", True),
        ('"x" in args', True),
        ('!("x" in args)', True),
        ('"y" in args', False),
        ('!("n" in args)', False),
        ('"y" in args.l', False),
        ("5 in args.l", True),
        ("5 in args.n", False),
        ("args.n in args.to", True),
        ("server in args.l", True),
        ("args.l.exists(e, e > 9)", False),
        ("args.l.exists(e, e == 9)", True),
        ("args.l[0] > 9", False),
        ("args.e[0] > 9", False),
        ("args.to.exists(k, k > 9)", True),
        ("args.to.id > 9", False),
        ("args[server] > 9", True),
        ("args.to.id.name == 3", False),
        ("args == args.to", True),
        ("args.l != args.l", True),
        ("true", True),
        ('subject < ""', False),
        ('resource.uri.startsWith("file:") && subject == "file:///b"', True),
        ('prompt.name > "g"', False),
        ('error != ""', False),
        ("size(message) > 0", False),
        ("args.n > 4 ? args.n < 1 : args.n > 9", False),
    ],
)
def test_passages_are_left_out_by_the_values_in_them(text: str, left: bool) -> None:
    passage = known(*CALLS, subjects=("file:///a", "file:///c"))
    zoned = tuple(one for one in needed(text, DECIDED) if not isinstance(one, bytes))
    assert may_match(zoned, passage) is left


def test_large_numbers_are_not_told_apart() -> None:
    passage = known({"n": 10**15 + 1, "m": -(2**70)}, {"n": 10**16, "m": -5})
    for text in ("args.n == 1e18", "args.n != 1e15", "args.n > 1e300", "args.m < -1e300", "args.n > args.m"):
        assert may_match(needed(text, frozenset()), passage), text
    assert not may_match(needed("args.n < 5 || args.m > 5", frozenset()), passage)


@pytest.mark.parametrize("high", ["x" * 32 + "\U0010ffff" * 2, "x" * 40])
def test_a_long_text_stays_inside(high: str) -> None:
    passage = known({"p": "a"}, {"p": high})
    assert may_match(needed(f'args.p == "{high}"', frozenset()), passage)
    assert not may_match(needed('args.p > "y"', frozenset()), passage)


def test_nothing_is_left_out_where_the_values_are_not_known() -> None:
    deep: Any = 1
    for _ in range(9):
        deep = {"a": deep}
    unreadable = Passage(0)
    unreadable.decided(0, 1, Raw(b"{"))
    assert may_match(needed("args.a > 1", frozenset()), IndexedPassage(unreadable.bits(), unreadable.zones()))
    path = ".a" * 9
    assert may_match(needed(f"args{path} > 1", frozenset()), known(deep))
    assert not may_match(needed("args.a.b > 1", frozenset()), known(deep))
    wide = {f"m{n:04}": n for n in range(900)}
    assert may_match(needed("args.m0899 > 1", frozenset()), known(wide))
    assert not may_match(needed("args.m0000 > 1", frozenset()), known(wide))
    assert may_match(needed("args.m0899 > 1", frozenset()), known({"m0899": 0}, wide, cut=1))
    long = {f"m{n}{'x' * 60}": "y" * 60 for n in range(250)}
    assert known(long).zones == {}
    assert known(long, {"a": 1}, cut=1).zones == {}


def test_a_call_without_arguments_has_none() -> None:
    passage = known(None, {"a": 1})
    assert may_match(needed("!has(args.a) || args.a > 1", frozenset()), passage)
    assert not may_match(needed("args.a > 1", frozenset()), passage)
    assert not any(isinstance(one, ZonedNeed) for one in needed("ticket > approval", DECIDED))


def test_what_is_said_of_a_call_is_known_wherever_its_end_stands() -> None:
    passage = Passage(0)
    passage.decided(0, 1, Raw())
    passage = Passage(0, 1, 0, 0, passage.bits(), passage.zones())
    assert not may_match(needed("size(error) > 3", frozenset()), IndexedPassage(b"", passage.zones()))
    passage.said(message=b"", error=b'"refused"')
    late = IndexedPassage(b"", passage.zones())
    assert may_match(needed("size(error) > 3", frozenset()), late)
    assert may_match(needed('error == "" && args == {}', frozenset()), late)
    assert not may_match(needed('size(error) > 7 || message > "a"', frozenset()), late)
