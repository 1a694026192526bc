"""Calls of our functions are taken out of conditions, and what they come to is computed once and late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, ConditionError, Verdict
from mcpguard.core.conditions.cel_python import PythonEngine
from mcpguard.core.conditions.engines import engine, engine_for
from mcpguard.core.conditions.hoisted import Constant, HoistedCall, ValuePath
from mcpguard.core.conditions.hoisting import hoist
from mcpguard.core.functions import FUNCTIONS, Function, FunctionError, Parameter
from mcpguard.core.redaction.detectors import GROUPS
from tests.rows import each

HOST_ALONE = "as `patterns`: a pattern is a host alone, such as `example.com`: no scheme, port or path"
SQL_KNOWS = "sql() accepts as `dialect`: bigquery, duckdb, mysql, postgres, snowflake, sqlite, tsql"
DETECT = "detect() does not know `{}` as `kinds`; {}"
DETECT_KNOWS = [*GROUPS, *sorted(GROUPS["all"])]
CALLS: list[tuple[Any, ...]] = []


def _count(text: str, words: Any = None) -> Any:
    CALLS.append((text, words))
    if "!" in text:
        raise FunctionError("no")
    return {"length": len(text), "known": text in (words or []), "text": text, "rest": list(text)}


COUNT = Function(
    "count",
    (Parameter("text", "string"), Parameter("words", "list", optional=True)),
    _count,
    fields=("length", "known", "text", "rest"),
)
PLAIN = Function("same", (Parameter("value", "any"),), lambda value: value)


@pytest.fixture(autouse=True)
def _functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    CALLS.clear()
    for function in (COUNT, PLAIN):
        monkeypatch.setitem(FUNCTIONS, function.name, function)
    engine_for.cache_clear()  # The Python engine binds the functions once.
    yield
    engine_for.cache_clear()


def on(name: str, text: str, view: dict[str, Any]) -> Verdict:
    condition = (engine("cpp") if name == "cpp" else PythonEngine()).compile(text)
    return condition.verdict(Bound(view))


def both(text: str, **args: Any) -> Verdict:
    """The verdict of both engines, ERROR where one of them refuses."""
    view = {"args": args, "server": "s", "now": datetime(2026, 1, 2, tzinfo=UTC)}
    one, two = (on(name, text, view) for name in ("cpp", "python"))
    assert one is two or ERROR in (one, two), text
    return one if one is two else ERROR


@each(
    ("text", "calls"),
    [
        ("count(args.q).length == 1", ["count(args['q'])"]),
        ("count( args . q ) . length == 1 || true", ["count(args['q'])"]),
        ("has(count(args.q).length)", ["count(args['q'])"]),
        ('count(args["q"], ["a", "b"]).known', ["count(args['q'],['a','b'])"]),
        ("count(count(args.q).text).length == 2", ["count(count(args['q'])['text'])"]),
        ("same(args.list[0].x) == 0x10", ["same(args['list'][0]['x'])"]),
        ("same(16) == 1 && same(0x10) == 1", ["same(16)"]),
        (
            "same(true) && same(null) == null && same(r'\\d') != ''",
            ["same(true)", "same(null)", "same('\\\\d')"],
        ),
        ("args.u.matches('^a')", ["matches(args['u'],'^a')"]),
        (
            "matches(args.u, '^a') && server.matches(\"^a\")",
            ["matches(args['u'],'^a')", "matches(server,'^a')"],
        ),
        ("count(args.q).text.matches('a')", ["matches(count(args['q'])['text'],'a')"]),
        ("same([1, 'a', false,]) != null", ["same([1,'a',false])"]),
        ("same({'a': ['b'], \"c\": {},}) != null", ["same({'a':['b'],'c':{}})"]),
        ("size(args.a.b) > 1 && args['a'].b.size() > 2", ["size(args['a']['b'])"]),
        ("size(server) > 1 && args.size() > 1 && size('a') > 0 && 'a'.size() > size(args.a + 'b')", []),
        ("count(args.a.size()).known", ["count(size(args['a']))"]),
        ("size(count(args.a).text) > 1", ["count(args['a'])"]),
        ("args.x == 'count(args.q)' // count(args.q)", []),
        ("args.count > 1 && args.same == 2", []),
        ("args.u.matches(args.p) && 'a'.matches('b')", []),
        ("args.u.matches('a', 'b') && args.u.matches()", []),
    ],
)
def test_a_call_of_paths_and_constants_is_hoisted(text: str, calls: list[str]) -> None:
    hoisted = hoist(text)
    assert ([call.key for call in hoisted.calls], hoisted.left, hoisted.mistakes) == (calls, False, ())
    assert len(hoisted.text) >= len(text)
    assert hoisted.text.count("\n") == text.count("\n")


@each(
    "text",
    [
        "args.all(x, count(x).known)",
        "count(args.a + 'b').known",
        "count(size(args)).known",
        "count(args.a.size(1)).known",
        "same([args.a]) == 1",
        "same([1 2]) == 1",
        "same(b'x') == 1",
        "same(1.5) == 1",
        "same(-1) == 1",
        "same(unknown) == 1",
        "count(args.a args.b).known",
        "count(args.a",
        "same(",
        "same([",
        "same({",
        "same({'a' 'b'})",
        "same({1: 2})",
        "same({'a': 1, 'a': 2})",
        "same({'a': args.a})",
        "same({'a': 1 'b': 2})",
        "args.x.same(1)",
        "same(args[server]) == 1",
        "matches(same(args.x + 1), 'a')",
    ],
)
def test_a_call_that_cannot_be_taken_out_leaves_the_text_as_it_is(text: str) -> None:
    hoisted = hoist(text)
    assert (hoisted.text, hoisted.calls, hoisted.left) == (text, (), True)


def test_the_parts_of_a_fact_are_paths_constants_and_calls() -> None:
    (call,) = hoist('count(count(args.a["b"]).rest[0], ["x"])').calls
    inner = HoistedCall(
        "count", (ValuePath("args", ("a", "b"), "args['a']['b']"),), ("rest", 0), call.arguments[0].key
    )
    assert call.arguments == (inner, Constant(["x"], "['x']"))


@pytest.mark.parametrize(
    ("text", "at", "sentence"),
    [
        ("count(args.q).len > 1", 13, "count() returns no `len`; it returns length, known, text, rest"),
        ("same(count(args.q).len)", 18, "count() returns no `len`; it returns length, known, text, rest"),
        ("true && count() == 1", 8, "count() takes 1 to 2 arguments, not 0"),
        ("same(1, 2) == 1", 0, "same() takes 1 argument, not 2"),
        ("count(args.q, 'a').known", 0, "count() needs `words` to be a list"),
        ("count(3).known", 0, "count() needs `text` to be a string"),
        ("sql(args.q, 'oracle').writes", 0, SQL_KNOWS),
        ("hostIn(args.u, 'https://x.com/')", 0, f"hostIn() cannot use `https://x.com/` {HOST_ALONE}"),
        ("hostIn(args.u, ['x.com:443'])", 0, f"hostIn() cannot use `x.com:443` {HOST_ALONE}"),
        (
            "detect(args.q, ['email', 'emial']) == []",
            0,
            DETECT.format("emial", "did you mean `email`?"),
        ),
        ("detect(args.q, 'secrets') == []", 0, DETECT.format("secrets", "did you mean `secret`?")),
        (
            "detect(args.q, '§') == []",
            0,
            DETECT.format("§", f"it knows {', '.join(DETECT_KNOWS[:12])} and {len(DETECT_KNOWS) - 12} more"),
        ),
        ("args.x.matches('(')", 15, "this is not a regular expression (RE2): missing ): ("),
        (
            "args.all(x, x.matches('(?=a)'))",
            22,
            "this is not a regular expression (RE2): invalid perl operator: (?=; "
            "RE2 has no lookahead, no lookbehind and no references back",
        ),
        ("args.all(server, true)", 9, "`server` cannot be the name of a loop's variable"),
        ("_f['0'] == 1", 0, "undeclared reference to '_f'"),
        (".args.x == 1", 1, "a name does not begin with a dot"),
        ("1 in .args.x", 6, "a name does not begin with a dot"),
        ("true && .args.x", 9, "a name does not begin with a dot"),
    ],
)
@pytest.mark.parametrize("name", ["cpp", "python"])
def test_a_mistake_in_a_call_has_its_place(name: str, text: str, at: int, sentence: str) -> None:
    assert (at, sentence) in hoist(text).mistakes
    with pytest.raises(ConditionError) as caught:
        (engine("cpp") if name == "cpp" else PythonEngine()).compile(text)
    assert (at, sentence) in caught.value.mistakes


def test_a_mistake_behind_a_call_keeps_its_place() -> None:
    text = "count(\n  args.query,\n  ['a']).known && nope == 1"
    with pytest.raises(ConditionError) as caught:
        engine("cpp").compile(text)
    assert [at for at, _ in caught.value.mistakes] == [text.index("nope")]


@each(
    ("text", "args", "expected"),
    [
        ("count(args.q).length == 3", {"q": "abc"}, TRUE),
        ("count(args.q, ['abc']).known", {"q": "abc"}, TRUE),
        ("count(args.q).known", {"q": "abc"}, FALSE),
        ("count(count(args.q).text).length == 3", {"q": "abc"}, TRUE),
        ("count(args.q).length == 3", {"q": "a!c"}, ERROR),
        ("count(args.q).length == 3", {"q": "\ud800"}, ERROR),
        ("count(args.q).length == 3 || true", {"q": "a!c"}, TRUE),
        ("count(args.q).length == 3", {"q": 7}, ERROR),
        ("count(args.q).length == 3", {}, ERROR),
        ("count(args.a[1].b).length == 1", {"a": [0, {"b": "x"}]}, TRUE),
        ("count(args.a[2].b).length == 1", {"a": [0, {"b": "x"}]}, ERROR),
        ("count(args.a[0].b).length == 1", {"a": "text"}, ERROR),
        ("args.l.all(x, count(x).length == 1)", {"l": ["a", "b"]}, TRUE),
        ("args.l.exists(x, count(x).length == 1)", {"l": ["aa", "b!"]}, ERROR),
        ("args.l.exists(x, count(x, ['b']).known)", {"l": ["aa", "b"]}, TRUE),
        ("same(args.x) == args.x", {"x": {"k": [1, 2.5, None, True, "s"]}}, TRUE),
        ("[1].all(i, same(args.x) == args.x)", {"x": {"k": [1, 2.5, None, True, "s"]}}, TRUE),
        ("[1].all(i, same(now) == 1)", {}, ERROR),
        ("same(tool) == 1", {}, ERROR),
        ("size(args.a) == 2 && args.a.size() == 2", {"a": "é😀"}, TRUE),
        ("size(args.a) == 2 && args.b.size() == 1", {"a": [1, 2], "b": {"k": 1}}, TRUE),
        ("size(args.a) == 1", {"a": 1}, ERROR),
        ("size(args.a) == 1", {"a": None}, ERROR),
        ("size(args.a) == 1 || true", {}, TRUE),
        ("args.l.all(x, size(x.y) == 1 && x.y.size() == 1)", {"l": [{"y": "a"}]}, TRUE),
        ("args.l.filter(x, x > 1).size() == 1", {"l": [1, 2]}, TRUE),
        ("type(size(args.a)) == int && size(args.a) + 1 == 2", {"a": "a"}, TRUE),
        ("args.u.matches('^a+$')", {"u": "aaa"}, TRUE),
        ("args.u.matches('^a+$')", {"u": "b"}, FALSE),
        ("args.u.matches('^a+$')", {"u": 1}, ERROR),
        ("has(args.u) && args.u.matches('^a+$')", {}, FALSE),
        (r"args.u.matches('^\\d\x41B\U00000043\104$')", {"u": "1ABCD"}, TRUE),
        (r"args.u.matches(r'^\d$')", {"u": "1"}, TRUE),
        ('args.u == "a" || args.u.matches("""^"b"$""")', {"u": '"b"'}, TRUE),
    ],
)
def test_what_functions_say_decides_the_same_in_both_engines(text: str, args: Any, expected: Verdict) -> None:
    assert both(text, **args) is expected


def test_a_fact_is_computed_once_for_all_conditions_and_only_where_the_answer_hangs_on_it() -> None:
    cpp, bound = engine("cpp"), Bound({"args": {"q": "fgh", "on": False}})
    lazy = cpp.compile("args.on && count(args.q).known")
    assert (lazy.verdict(bound), CALLS) == (FALSE, [])
    first = cpp.compile("count(args.q).length == 3")
    second = cpp.compile("count(args.q).length == 3 && count(  args['q']  ).text == 'fgh'")
    other = cpp.compile("same(args.q) == 'fgh'")
    assert [one.verdict(bound) for one in (first, second, other, first)] == [TRUE] * 4
    assert CALLS == [("fgh", None)]


def test_a_fact_that_cannot_be_computed_is_tried_once() -> None:
    cpp, bound = engine("cpp"), Bound({"args": {"q": "a!"}})
    one = cpp.compile("count(args.q).length == 3")
    assert [one.verdict(bound) for _ in range(3)] == [ERROR] * 3
    assert len(CALLS) == 1


def test_a_defect_of_a_function_is_an_error_of_the_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_value: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setitem(FUNCTIONS, "same", Function("same", PLAIN.parameters, broken))
    assert on("cpp", "same(args.x) == 1", {"args": {"x": 1}}) is ERROR
    assert on("python", "same(args.x) == 1", {"args": {"x": 1}}) is ERROR


PARTS = st.lists(
    st.sampled_from(
        ["count", "same", "args", "server", ".", "(", ")", "[", "]", ",", "'a'", '"b"', "1", " ", "\n", "matches", "size",
         "all", "x", "in", "&&", "!", "//", "r'", "'''", "\\", "b'", "_f", "{", "}", ":", "0x", "-", "é"]
    ),
    max_size=30,
)  # fmt: skip


@settings(deadline=None)
@given(PARTS)
def test_any_text_is_read_without_a_crash_and_keeps_its_lines(parts: list[str]) -> None:
    text = "".join(parts)
    hoisted = hoist(text)
    assert hoisted.text.count("\n") == text.count("\n")
    for name in ("cpp", "python"):
        try:
            condition = (engine("cpp") if name == "cpp" else PythonEngine()).compile(text)
        except ConditionError:
            continue
        assert condition.verdict(Bound({"args": {"a": "b"}, "server": "s"})) in (TRUE, FALSE, ERROR)


def test_a_mistake_in_what_is_read_twice_is_reported_once() -> None:
    (mistake,) = hoist('size(detect(args, "secrets")) > 0').mistakes
    assert mistake[0] == 5
    assert "did you mean `secret`?" in mistake[1]
