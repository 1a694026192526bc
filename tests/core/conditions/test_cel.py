"""CEL conditions: exactly TRUE, FALSE or ERROR, the same from both engines or one of them ERROR."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import hypothesis.strategies as st
import pytest
from cel_expr_python import cel as cpp_cel
from hypothesis import given, settings

from mcpguard.core.conditions import cel, cel_calls, engines
from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, ConditionError, EngineName, Verdict
from mcpguard.core.conditions.names import POLICY
from mcpguard.core.functions import Function, Holds, apply
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.rows import each

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VIEW: dict[str, Any] = {
    "action": "tools/call",
    "server": "github",
    "tool": {"name": "t", "title": "", "description": "", "annotations": {"readOnlyHint": True}},
    "principal": {"id": "1000", "source": "os-user"},
    "client": {"agent": "claude"},
    "now": NOW,
}
ENGINES: list[EngineName] = ["cpp", "python"]


def verdict(name: EngineName, text: str, args: Any) -> Verdict:
    engine = engines.engine(name)
    return engine.compile(text).verdict(Bound({**VIEW, "args": args}))


def mistakes(name: EngineName, text: str) -> list[tuple[int, str]]:
    with pytest.raises(ConditionError) as caught:
        engines.engine(name).compile(text)
    return caught.value.mistakes


# --- verdicts -------------------------------------------------------------------------------------

TRUE_FOR = [
    ("true", {}),
    ("args.owner == 'acme'", {"owner": "acme"}),
    ("has(args.force) && args.force", {"force": True}),
    ("!has(args.force)", {}),
    ("has(args.x)", {"x": None}),
    ("args.x == null", {"x": None}),
    ("args.n > 3 && args.n <= 10", {"n": 10}),
    ("args.n == 1", {"n": 1.0}),
    ("args.n == 1.0", {"n": 1}),
    ("args.x != 1", {"x": True}),
    ("args.x != true", {"x": 1}),
    ("args.x != '1'", {"x": 1}),
    ("args.path.startsWith('/srv/') && !args.path.contains('..')", {"path": "/srv/a"}),
    ("args.branch.matches('^feature/[a-z]+$')", {"branch": "feature/x"}),
    ("!args.s.matches('^[a-z]+$')", {"s": "abc\n"}),
    ("!args.s.matches(r'^\\d$')", {"s": "٣"}),
    ("args.repo in ['a', 'b']", {"repo": "b"}),
    ("'k' in args", {"k": 1}),
    ("args.files.all(f, f.endsWith('.md'))", {"files": ["a.md"]}),
    ("args.files.exists(f, f == 1 || f == 'b')", {"files": ["a", "b"]}),
    ("args.list == [1, 'a', {'k': null}]", {"list": [1, "a", {"k": None}]}),
    ("size(args.s) == 2", {"s": "aé"}),
    ("type(args.x) == string", {"x": "a"}),
    ("string(args.n) == '1'", {"n": 1}),
    ("tool.annotations.readOnlyHint == true", {}),
    ("server == 'github' && action == 'tools/call'", {}),
    ("principal.id == '1000' && principal.source == 'os-user'", {}),
    ("client.agent == 'claude'", {}),
    ("now > timestamp('2026-01-01T00:00:00Z') && now.getHours() == 3", {}),
    ("args.nope == 1 || true", {}),
    ("!(args.nope == 1 && false)", {}),
    ("'a' + args.x == 'aa'", {"x": "a"}),
]


@each("name", ENGINES)
@each(("text", "args"), TRUE_FOR)
def test_a_condition_that_holds_is_true_in_both_engines(name: EngineName, text: str, args: Any) -> None:
    assert verdict(name, text, args) is TRUE
    assert verdict(name, f"!({text})", args) is FALSE


ERROR_FOR = [
    ("args.owner == 'acme'", {}),
    ("args.x", {"x": 1}),
    ("args.x", {"x": "true"}),
    ("args.x", {"x": None}),
    ("args.x && true", {"x": 1}),
    ("args.x.y == 1", {"x": "text"}),
    ("has(args.x.y)", {"x": "text"}),
    ("has(args.x.y)", {}),
    ("!has(args.x.y)", {"x": [1]}),
    ("args.x[3] == 1", {"x": [1]}),
    ("args.x == 1", {"x": 2**70}),
    ("args.x == 1", {"x": -(2**63) - 1}),
    ("'a' in args.x", {"x": 5}),
    ("args.x.matches(args.y)", {"x": "a", "y": "("}),
    ("args.x.matches(args.x)", {"x": "("}),
    ("args.x.matches('a')", {"x": 1}),
    ("args.x.startsWith('a')", {"x": 1}),
    ("args.x + 1 == 2", {"x": "1"}),
    ("args.x / 0 == 1", {"x": 1}),
    ("args.x + 1 > 0", {"x": 2**63 - 1}),
    ("args.x ? true : false", {"x": 1}),
    ("principal.claims.name == 'x'", {}),
]


@each("name", ENGINES)
@each(("text", "args"), ERROR_FOR)
def test_what_cannot_be_evaluated_is_an_error_in_both_engines(name: EngineName, text: str, args: Any) -> None:
    assert verdict(name, text, args) is ERROR


VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64, 2**70, -(2**63), -(2**63) - 1),
    *(1.0, 0.5, 1e300, 9.3e18, "", "a", "abc", "abc\n", "é", "٣", "1", "true", "2026-01-01T00:00:00Z", "5s"),
    *([], [1], ["a"], [1.0], [True], [None], [1, "a"], [2**70], [[1]], [{"x": 1}]),
    *({}, {"x": 1}, {"x": None}, {"x": "a"}, {"x": True}, {"1": 1}),
]
TEXTS = """
has(args.v.x) | !has(args.v.x) | has(args.v) | args.v.all(x, has(x.x)) | has(args.nope.x)
has(principal.claims.nope)
args.v == 1 | args.v != 1 | args.v == 1.0 | 1 == args.v | true == args.v | args.v == 1u | args.v == -1
args.v > 0 | args.v >= 0.5 | args.v < 1 | args.v <= 'b' | 'a' < args.v | args.v >= 9223372036854775807
args.v == 9223372036854775807.0 | args.v == 4611686018427387904.0 | args.v == 9007199254740992.0
args.v == 'a' | args.v != 'a' | args.v == r'a' | args.v == '\\x61' | args.v == '\\141'
args.v == \"\"\"a\"\"\" | args.v == "a"
args.v == null | args.v != null | args.v == true | args.v == b'a' | args.v == (1 == 1)
args.v == [1] | args.v == ['a'] | args.v == [1.0] | args.v == [true] | args.v == [null] | args.v == [[1]]
args.v == {} | args.v == {'x': 1} | args.v == {'x': null} | args.v == {'x': true} | args.v == {1: 'a'}
args.v in [1, 'a'] | !(args.v in ['a']) | args.v in [1.0] | 1 in args.v | 'x' in args.v | !('x' in args.v)
args.v in [args.nope, 1] | args.v in {'a': 1} | args == {'v': 1} | args.v == args | args.v == args.v
args.v | !args.v | args.v && true | args.v || true | args.v || false | args.v && false | true && args.v
args.v ? true : false | args.v == 1 ? true : args.nope | (args.v && true) == true | args.nope == 1
size(args.v) == 1 | args.v.size() > 0 | args.v.startsWith('a') | args.v.endsWith('c') | args.v.contains('b')
args.v.matches('^[a-z]+$') | args.v.matches('^\\\\d+$') | args.v.matches(args.v)
args.v.all(x, x == 1) | args.v.all(x, x > 0) | args.v.all(x, x) | args.v.all(x, false) | args.v.exists(x, x)
args.v.exists(x, x == 'a') | !args.v.exists(x, x > 0) | args.v.exists(x, true) | args.v.exists_one(x, x == 1)
args.v.exists(k, args.v[k] == 1) | [args.v, args.nope].exists(x, x == 1) | [1, 2.0].exists(x, x == args.v)
args.v.map(x, x) == [1] | args.v.map(x, x + 1) == [2] | args.v.filter(x, x == 1) == [1]
args.v[0] == 1 | args.v[1] == 1 || true | args.v['x'] == 1 | args.v.x == 1 | args.v.x | args.v.x != null
type(args.v) == int | type(args.v) == double | type(args.v) == bool | type(args.v) != string
type(args.v) == list | type(args.v) == map | type(args.v) == null_type | type(args.v) == type('a')
int(args.v) == 1 | int(args.v) > 0 | uint(args.v) == 1u | double(args.v) == 1.0 | string(args.v) == '1'
string(args.v) == 'true' | bool(args.v) | bytes(args.v) == b'a' | dyn(args.v) == 1 | args.v == double(1)
timestamp(args.v) < now | duration(args.v) == duration('5s') | args.v == duration('5s')
args.v + 1 == 2 | args.v + 'a' == 'aa' | args.v * 2 == 2 | args.v / -2 == 0 | args.v % -2 == 1 | -args.v == -1
-7 / 2 == -3 | -7 % 2 == -1 | int(-1.5) == -1 | int('0x1') == 1 | int('1_0') == 10 | 1 / 0 == 0 || true
now.getFullYear() == 2026 && now.getMonth() == 0 && now.getDate() == 2 && now.getDayOfMonth() == 1
now.getDayOfWeek() == 5 | now.getDayOfYear() == 1 | now.getHours('Europe/Berlin') == 4 | string(now) == ''
now.getMinutes() == 4 && now.getSeconds() == 5 && now.getMilliseconds() == 0 | now == now
now - timestamp('2026-01-01T00:00:00Z') > duration('24h') | int(now) > 0 | timestamp(0) < now
"""
TABLE = [text.strip() for line in TEXTS.strip().splitlines() for text in line.split(" | ")]


@each("text", TABLE)
def test_the_engines_agree_or_one_of_them_refuses(text: str) -> None:
    compiled = [(engines.engine(name), engines.engine(name).compile(text)) for name in ENGINES]
    assert len({condition.reads for _, condition in compiled}) == 1
    for value in VALUES:
        view = {**VIEW, "args": {"v": value}}
        found = {condition.verdict(Bound(view)) for engine, condition in compiled}
        assert len(found - {ERROR}) <= 1, value


@given(
    text=st.recursive(
        st.sampled_from([one for one in TABLE if "?" not in one]),
        lambda inner: st.one_of(
            inner.map(lambda one: f"!({one})"),
            st.tuples(inner, st.sampled_from(["&&", "||", "==", "!="]), inner).map(
                lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
            ),
            st.tuples(inner, inner, inner).map(lambda parts: "({}) ? ({}) : ({})".format(*parts)),
        ),
        max_leaves=4,
    ),
    value=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner)),
        max_leaves=6,
    ),
)
@settings(deadline=None)
def test_the_engines_agree_on_combinations_or_one_of_them_refuses(text: str, value: Any) -> None:
    try:
        found = {verdict(name, text, {"v": value}) for name in ENGINES}
    except ConditionError:
        return
    assert len(found - {ERROR}) <= 1


# --- loading --------------------------------------------------------------------------------------

BROKEN = [
    ("args.", 5),
    ("args.x == 'a", 10),
    ("foo == 1", 0),
    ("args.x == 1 && foo", 15),
    ("'é😀' == foo", 8),
    ("args.x ==\n  foo", 12),
    (".foo == 1", 0),
    ("sesion.id == ''", 0),
    ("bogus(args.x)", 0),
    ("args.x.bogus()", 0),
    ("args.all(x, x == y)", 17),
    ("args.all(x, true) && x", 21),
    ("has(args)", 0),
    ("has()", 0),
    ("has(args.x + 1)", 0),
    ("args.all(1, true)", 0),
    ("args.map(x, true, 1, 2)", 0),
    ("args.all()", 0),
    ("google.protobuf.Nope{a: 1} == 1", 0),
    (".size(args) == 1", 0),
    ("", 0),
    ("  \n", 0),
    ("x" * 20_000, 16_384),
]


@each("name", ENGINES)
@each("text", [text for text, _ in BROKEN])
def test_a_broken_condition_is_refused(name: EngineName, text: str) -> None:
    if (name, text) == ("cpp", ".size(args) == 1"):
        return  # a global function by its absolute name: the C++ engine knows it
    found = mistakes(name, text)
    assert all(0 <= at <= len(text) for at, _ in found)


@each(("text", "offset"), [case for case in BROKEN if case[1]])
def test_the_place_of_a_mistake_is_exact(text: str, offset: int) -> None:
    assert abs(mistakes("cpp", text)[0][0] - offset) <= 1
    assert abs(mistakes("python", text)[0][0] - offset) <= 2


def test_all_unknown_names_are_told() -> None:
    expected = [(0, "undeclared reference to 'a'"), (5, "undeclared reference to 'b'")]
    assert mistakes("cpp", "a || b") == mistakes("python", "a || b") == expected


@each("text", ["1", "'a'", "[true]", "args", "now", "server", "null", "size(args)"])
def test_a_condition_that_is_not_boolean_is_refused_at_load(text: str) -> None:
    assert mistakes("cpp", text) == [(0, cel.NOT_BOOLEAN)]
    assert verdict("python", text, {}) is ERROR


@each("text", ["server == 1", "args == 'x'", "now > 5", "findings == 1", "1 && true"])
def test_types_that_never_fit_are_refused_at_load(text: str) -> None:
    said = mistakes("cpp", text)[0][1]
    assert "cannot be applied to" in said or "` is a" in said


@pytest.mark.parametrize("name", ENGINES)
def test_nesting_that_is_too_deep_is_refused(name: EngineName) -> None:
    assert mistakes(name, "(" * 2000 + "true" + ")" * 2000)
    assert mistakes(name, "1" + "+1" * 1500 + " == 1")[0][0] == 0


@each("name", ENGINES)
@each(
    ("text", "expected"),
    [
        ("args.x == 1", {"args"}),
        ("'x' in args", {"args"}),
        ("server == 'args'", {"server"}),
        ("[1].all(x, args.x == x) || tool.icons", {"args", "tool"}),
        ("args.x.matches('tool') && has(session.calls)", {"args", "session"}),
        ("true", set()),
    ],
)
def test_a_condition_tells_what_it_reads(name: EngineName, text: str, expected: set[str]) -> None:
    assert engines.engine(name).compile(text).reads == expected


def test_the_python_engine_computes_a_function_once_a_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[tuple[Any, ...]] = []

    def counting(function: Function, arguments: tuple[Any, ...], holds: Holds) -> Any:
        computed.append((function.name, *arguments))
        return apply(function, arguments, holds)

    monkeypatch.setattr(cel_calls, "apply", counting)
    asked = "shell(args.c).simple && !shell(args.c).code && [1, 2].all(n, !shell(args.c).code)"
    condition = engines.engine("python").compile(
        f"{asked} && url(args.u, ['https']).host == url(args.u, ['https']).host"
    )
    bound = Bound({**VIEW, "args": {"c": "ls", "u": "https://a.example/"}})
    assert condition.verdict(bound) is condition.verdict(bound) is TRUE
    assert sorted(computed) == [("shell", "ls"), ("url", "https://a.example/", ["https"])]
    condition.verdict(Bound(bound.view))
    assert len(computed) == 4  # Another decision computes it again.


def test_what_a_function_refuses_stays_an_error_however_often_it_is_asked() -> None:
    text = "(shell(args.c).simple || shell(args.c).code) || args.c == 'ls \"'"
    assert verdict("python", text, {"c": 'ls "'}) is TRUE
    assert verdict("python", "shell(args.c).simple || shell(args.c).code", {"c": 'ls "'}) is ERROR


# --- what never leaves, and what never breaks -----------------------------------------------------


@pytest.mark.parametrize("name", ENGINES)
def test_no_argument_reaches_stderr_or_a_log(
    name: EngineName, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = ["args.v.matches(args.v)", "args.v.nope", "args.v[0] == 1", "int(args.v) == 1"]
    for text in texts:
        for value in ["(HUNTER2", {"HUNTER2": "HUNTER2"}, ["HUNTER2"]]:
            assert verdict(name, text, {"v": value}) in (ERROR, FALSE)
    out, err = capfd.readouterr()
    assert "HUNTER2" not in out + err + caplog.text


@pytest.mark.uncounted
@each("name", ENGINES)
@each("text", ["args.v == args.v", "args.v in [1]", "size(args.v) == 1", "args == {'v': 1}", "true"])
def test_deep_and_huge_arguments_give_an_answer(name: EngineName, text: str) -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    for value in [
        deep,
        {"k": deep},
        "x" * 10_000_000,
        list(range(100_000)),
        {str(n): n for n in range(50_000)},
    ]:
        assert verdict(name, text, {"v": value}) in (TRUE, FALSE, ERROR)


@each("name", ENGINES)
@each("args", ["text", 3, {1: 2}, {"\ud800": 1}, {"x": "\ud800"}, {"x": object()}, None])
def test_arguments_of_a_kind_that_json_has_not_are_an_error(name: EngineName, args: Any) -> None:
    assert verdict(name, "args.x == 'a'", args) is not TRUE


@pytest.mark.parametrize("name", ENGINES)
def test_a_name_that_is_left_out_is_an_error_only_where_it_matters(name: EngineName) -> None:
    engine = engines.engine(name)
    view = {key: value for key, value in VIEW.items() if key != "tool"}
    assert engine.compile("tool.name == 't'").verdict(Bound(view)) is ERROR
    assert engine.compile("has(tool.name)").verdict(Bound(view)) is ERROR
    assert engine.compile("tool.name == 't' || server == 'github'").verdict(Bound(view)) is TRUE
    assert engine.compile("args.x == 1").verdict(Bound(view)) is ERROR


@pytest.mark.uncounted
@each("name", ENGINES)
@each(
    ("text", "expected"),
    [
        (" || ".join(f"args.a{n} == 1" for n in range(100)), ERROR),
        (" && ".join(f"args.a{n} == 1" for n in range(100)), ERROR),
        (" || ".join(f"args.a{n} == 1" for n in range(100)) + " || args.ok", TRUE),
        ("args.l.exists(x, x.startsWith('a'))", ERROR),
        ("args.l.all(x, x.startsWith('a'))", ERROR),
        ("args.l.exists(x, x.startsWith('a') || x == 399)", TRUE),
        ("args.l.exists(x, args.l.all(y, y.startsWith('a') && x < y))", FALSE),
        ("size(args.nothing) > 0", ERROR),
        ("size(args.ok) > 0", ERROR),
        ("args.t.exists(x, true)", ERROR),
        ("args.nope.all(x, true)", ERROR),
        ("args.l.exists(x, x)", ERROR),
    ],
)
def test_many_errors_in_one_condition_are_one_error(name: EngineName, text: str, expected: Verdict) -> None:
    numbers = list(range(400)) if "all(y" not in text else list(range(40))
    assert verdict(name, text, {"l": numbers, "ok": True, "t": "text", "nothing": None}) is expected


def test_one_bound_view_serves_both_engines() -> None:
    bound = Bound(VIEW)
    for name in ENGINES:
        assert engines.engine(name).compile("server == 'github'").verdict(bound) is TRUE


def test_the_python_engine_leaves_the_process_as_it_was() -> None:
    code = (
        "import sys; limit = sys.getrecursionlimit()\n"
        "from mcpguard.core.conditions.engines import engine; engine('python').compile('true')\n"
        "assert sys.getrecursionlimit() == limit"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})


# --- choosing -------------------------------------------------------------------------------------


def test_the_fast_engine_is_chosen_where_it_is_installed_and_the_slow_one_is_not_imported() -> None:
    code = (
        "import sys; from mcpguard.core.conditions import engines\n"
        "assert not {'celpy', 'cel_expr_python'} & set(sys.modules)\n"
        "assert engines.engine().name == 'cpp' and 'celpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})


def test_the_fast_engine_is_chosen_where_protobuf_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.startswith("google.protobuf")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    assert engines.engine_for(POLICY).name == "cpp"


def test_the_slow_engine_is_chosen_where_the_fast_one_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    engines.engine_for.cache_clear()
    assert engines.engine().name == "python"
    with pytest.raises(ImportError):
        engines.engine("cpp")
    engines.engine_for.cache_clear()


# --- facts about cel-expr-python that the design rests on: a new version that differs tells us -----


def _raw(text: str, args: Any, **env: Any) -> Any:
    made = cpp_cel.NewEnv(variables={"args": cpp_cel.Type.DYN}, **env)
    return made.compile(text).eval(made.Activation({"args": args})).value()


def test_fact_an_error_is_a_text_that_quotes_the_argument() -> None:
    assert "HUNTER2" in _raw("args.x == 1", {"x": ["HUNTER2", 2**70]})


def test_fact_integers_are_exact_up_to_64_bits_and_an_error_beyond() -> None:
    assert _raw("args.x", {"x": 2**63 - 1}) == 2**63 - 1
    assert _raw("args.x", {"x": 2**64 - 1}) == 2**64 - 1
    assert "out of range" in _raw("args.x", {"x": 2**64})


def test_fact_errors_are_absorbed_where_the_other_side_decides() -> None:
    assert _raw("args.nope || true", {}) is True
    assert _raw("true || args.nope", {}) is True
    assert _raw("args.nope && false", {}) is False
    assert isinstance(_raw("args.nope ? true : true", {}), str)


def test_fact_loops_have_a_budget() -> None:
    many = {"x": list(range(200))}
    with pytest.raises(RuntimeError, match="Iteration budget"):
        _raw("args.x.all(a, args.x.all(b, args.x.all(c, a + b + c >= 0)))", many)
    assert verdict("cpp", "args.x.all(a, args.x.all(b, args.x.all(c, a + b + c >= 0)))", many) is ERROR


def test_fact_a_lone_surrogate_raises() -> None:
    with pytest.raises(RuntimeError):
        _raw("args.x == 'a'", {"x": "\ud800"})


def test_fact_a_mapping_is_read_when_it_is_bound() -> None:
    class Counting(dict[str, Any]):
        reads = 0

        def __getitem__(self, key: str) -> Any:
            type(self).reads += 1
            return super().__getitem__(key)

    made = cpp_cel.NewEnv(variables={"args": cpp_cel.Type.DYN})
    made.Activation(Counting(args={"x": 1}))
    assert Counting.reads <= 1


GROWTH = """
from mcpguard.core.conditions import cel as ours, engines
from cel_expr_python import cel
def pages():
    return int(open("/proc/self/statm").read().split()[1])
def growth(step, count):
    for _ in range(count // 4):
        step()
    before = pages()
    for _ in range(count):
        step()
    return (pages() - before) * 4096
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")


@linux
def test_fact_evaluation_leaks_nothing() -> None:
    code = """
condition = engines.engine("cpp").compile("args.x.contains('b') && has(args.y) && args.z in ['a']")
def step():
    condition.verdict(ours.Bound({"args": {"x": "x" * 1000 + "b", "y": 1, "z": "c"}}))
assert growth(step, 50_000) < 4_000_000
"""
    subprocess.run([sys.executable, "-c", GROWTH + code], check=True, env={**os.environ})


@linux
def test_fact_a_python_function_called_from_cel_leaks_its_arguments() -> None:
    code = """
one = cel.Overload("f_s", cel.Type.BOOL, [cel.Type.STRING], False, lambda text: True)
env = cel.NewEnv(variables={"args": cel.Type.DYN}, functions=[cel.FunctionDecl("f", [one])])
expression = env.compile("f(args.x)")
def step():
    assert expression.eval(env.Activation({"args": {"x": "x" * 10_000}})).value() is True
leaked = growth(step, 2_000)
assert leaked > 10_000_000, leaked
"""
    subprocess.run([sys.executable, "-c", GROWTH + code], check=True, env={**os.environ})


HELD = "tok-9f3Kq7Zx1Lm5Wb8e"


@each("name", ENGINES)
@each(
    ("text", "expected"),
    [
        ('detect(args.a, "held") == ["held"]', TRUE),
        ('"held" in detect(args, "secret") && "held" in detect(args)', TRUE),
        ('detect(args.b, "held") == [] && detect(args.a, "personal") == []', TRUE),
        ('[args.a].exists(one, detect(one, "held") != [])', TRUE),
        ('[args.b].all(one, detect(one) == ["email"])', TRUE),
        ('[args.b].exists(one, "held" in detect(one))', FALSE),
    ],
)
def test_held_values_are_found_by_what_the_decision_brings(
    name: EngineName, text: str, expected: Verdict
) -> None:
    redactor = Redactor(b"key")
    redactor.hold("env:A", Secret(HELD))
    view = {"args": {"a": f"use {HELD}", "b": "jane@example.com"}}
    condition = engines.engine(name).compile(text)
    assert condition.verdict(Bound(view, holds=redactor.holds)) is expected
    assert engines.engine(name).compile('detect(args, "held") == []').verdict(Bound(view)) is TRUE
