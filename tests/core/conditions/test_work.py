"""How much work a decision may be, in what is counted and never in time: more than that is an ERROR, which only
tightens, and a refusal says how much would pass."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mcpguard.core.conditions import cel_calls
from mcpguard.core.conditions.cel import (
    ERROR,
    FALSE,
    MOST_ITEMS,
    MOST_VALUES,
    TRUE,
    Bound,
    EngineName,
    Verdict,
)
from mcpguard.core.conditions.cel_calls import MOST_STEPS
from mcpguard.core.conditions.cel_text import tokens_of
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.hoisted import compute
from mcpguard.core.conditions.hoisting import hoist
from mcpguard.core.conditions.loops import is_costly, is_loop
from mcpguard.core.functions import FUNCTIONS, Function, FunctionError, Holds, apply
from mcpguard.core.functions.detect import MOST_VALUES as MOST_DETECTED
from mcpguard.core.functions.detect import detect
from mcpguard.core.functions.paths import diff_files as diffs
from mcpguard.core.functions.texts import MOST_CHARACTERS, MOST_GIVEN, texts
from mcpguard.core.model import Deny, Invocation, Json, Listed, Permit, Principal
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.pdp import decide
from tests.rows import each

WITHIN = 'args.paths.all(p, pathWithin(p, "/srv"))'


def paths(count: int) -> list[Json]:
    return [f"/srv/a{number}.py" for number in range(count)]


def judged(text: str, args: dict[str, Json], name: EngineName | None = None) -> tuple[Verdict, str]:
    """The verdict, and what a refusal says of it."""
    condition = engine(name).compile(text)
    bound = Bound({"args": args})
    verdict = condition.verdict(bound)
    return verdict, bound.beyond.get(condition.text, "")


def decided(rules: str, args: dict[str, Json]) -> Permit | Deny:
    text = f"version: 1\npolicy: p\nowner: o\nrules:\n{rules}"
    facts = {"name": "t", "title": "", "description": "", "annotations": {}}
    target, now = Listed("s", "t", "s__t", {}, facts, "d"), datetime(2026, 1, 2, tzinfo=UTC)
    call = Invocation("i", "tools/call", Principal("ada", "os-user"), now, "desk", "s", target, args)
    return decide(PolicySet([compile_policy(text, "p.yaml", frozenset())]), call)


# --- the slow engine ------------------------------------------------------------------------------


def test_a_loop_that_calls_functions_takes_as_many_items_as_its_steps_are_enough_for() -> None:
    most = MOST_STEPS // 2  # A step for the item, and one for the call.
    assert judged(WITHIN, {"paths": paths(most)}) == (TRUE, "")
    verdict, said = judged(WITHIN, {"paths": paths(most + 1)})
    assert verdict is ERROR
    assert said == "There are too many items for this rule: send at most 250 like these at a time"


def test_no_more_is_computed_however_many_items_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []

    def counting(function: Function, arguments: tuple[Any, ...], holds: Holds) -> Any:
        computed.append(function.name)
        return apply(function, arguments, holds)

    monkeypatch.setattr(cel_calls, "apply", counting)
    both = 'args.paths.all(p, pathWithin(p, "/srv") && !secretName(p))'
    assert judged(both, {"paths": paths(2400)})[0] is ERROR
    assert 300 < len(computed) <= MOST_STEPS


@each(
    ("text", "args"),
    [
        ("args.a.exists(x, args.b.exists(y, url(x).port == y))", {"a": ["https://a"] * 30, "b": [1] * 30}),
        ("args.a.all(x, x + [url('https://a').port] != args.b)", {"a": [[1]] * 100, "b": [1] * 900}),
        ("args.a.all(x, !(url(x).port in args.b))", {"a": ["https://a"] * 100, "b": [1] * 900}),
        ("args.a.all(x, x.contains(url('https://a').host) || x != '')", {"a": ["b" * 30_000] * 100}),
        ("args.a.all(x, sql(x, 'sqlite').writes)", {"a": [f"DELETE FROM t{n}" for n in range(200)]}),
        ("args.a.all(x, shell(x).simple)", {"a": [f"ls a{n}" for n in range(100)]}),
        ("args.a.all(x, detect(args).size() == 0)", {"a": ["word"] * 250, "b": {"c": ["word" * 50]}}),
    ],
)
def test_what_a_step_takes_long_for_counts_as_several(text: str, args: dict[str, Json]) -> None:
    verdict, said = judged(text, args, "python")
    assert verdict is ERROR
    assert "too many items for this rule" in said


def test_one_item_may_be_too_much() -> None:
    text = "args.a.all(x, args.b.all(y, url(x + y).port == 443))"
    verdict, said = judged(text, {"a": ["https://a"], "b": [f"/{number}" for number in range(400)]})
    assert verdict is ERROR
    assert said == "This is too large for this rule: send shorter items, or shorter lists in them"


def test_a_function_that_is_asked_the_same_again_counts_once() -> None:
    text = "args.a.all(x, shell(args.c).simple && url(x).port == 443)"
    assert judged(text, {"a": ["https://a"] * 400, "c": "ls"}) == (TRUE, "")


def test_what_cannot_change_the_answer_is_not_looked_at() -> None:
    long = {"paths": paths(3000), "n": 1, "m": 1}
    for text, expected in (
        (f"args.n == 2 && {WITHIN}", FALSE),
        (f"args.n == 1 || {WITHIN}", TRUE),
        ('args.paths.all(p, pathWithin(p, "/etc"))', FALSE),
        ('args.paths.exists(p, pathWithin(p, "/srv"))', TRUE),
    ):
        assert judged(text, long) == (expected, ""), text


def test_the_answer_does_not_depend_on_what_was_evaluated_before() -> None:
    bound = Bound({"args": {"paths": paths(250)}})
    several = [engine().compile(f"{WITHIN} && size(args.paths) != {number}") for number in range(3)]
    assert [one.verdict(bound) for one in several * 2] == [TRUE] * 6


def test_the_slow_engine_takes_no_more_values_than_it_converts_at_once() -> None:
    most = MOST_VALUES["python"]
    assert judged("args.a[0] == 1", {"a": [1] * (most - 3)}, "python")[0] is TRUE
    verdict, said = judged("args.a[0] == 1", {"a": [1] * most}, "python")
    assert verdict is ERROR
    assert (
        said
        == "This is too large for this rule: send at most 10,000 values and 4,000,000 characters at a time"
    )


# --- the fast engine ------------------------------------------------------------------------------


def test_a_costly_loop_takes_no_list_that_is_longer_than_a_thousand() -> None:
    text = "args.l.all(x, x in args.m)"
    most: list[Json] = [1] * MOST_ITEMS
    assert judged(text, {"l": [1], "m": most}) == (TRUE, "")
    verdict, said = judged(text, {"l": [1], "m": [*most, 1]})
    assert verdict is ERROR
    assert said == "There are too many items for this rule: a list may have at most 1,000 at a time"
    assert judged("args.l.all(x, x == 1)", {"l": [1] * 5000}) == (TRUE, "")


def test_what_a_function_gives_is_not_longer_either() -> None:
    text = "args.l.all(x, !(x in json(args.t)))"
    assert judged(text, {"l": [1], "t": f"[{'2,' * 1200}2]"})[0] is ERROR
    assert judged(text, {"l": [1], "t": f"[{'222,' * 800}2]"})[0] is TRUE


def test_the_fast_engine_takes_no_more_than_it_converts_at_once() -> None:
    for big in ({"a": [1] * 100_001}, {"a": ["x" * 4_000_001]}):
        verdict, said = judged("args.a[0] == 1", big)
        assert verdict is ERROR
        assert said.startswith("This is too large for this rule: send at most 100,000 values")
        bound = Bound({"args": big})
        assert [engine().compile("args.a[0] == 1").verdict(bound) for _ in range(2)] == [ERROR] * 2


def test_a_member_that_no_condition_reads_may_have_any_size() -> None:
    rules = "  - {id: a, effect: allow, when: args.n == 1}\n"
    assert isinstance(decided(rules, {"n": 1, "rows": [1] * 200_000}), Permit)


@each(
    ("text", "expected"),
    [
        ("args.l.all(x, x == 1)", False),
        ("args.l.all(x, x in ['a'])", False),
        ("args.l.all(x, x.args == 1)", False),
        ("['a', 'b'].exists(x, x in args)", False),
        ("[1, [2]].map(x, args.n)", False),
        ("args.all == 1", False),
        ("args.l.map(x, x)", True),
        ("args.l.filter(x, x > 1)", True),
        ("args['l'].all(x, x in args.m)", True),
        ("args.l[0].all(x, x == args.n)", True),
        ("args.l.all(x, x.matches('a'))", True),
        ("f(1)[0].map(x, x)", True),
        ("].map(x, x)", False),
        ("args.l.all(x, x == args.m", True),
    ],
)
def test_a_loop_is_costly_where_an_item_is_looked_at_with_more(text: str, expected: bool) -> None:
    tokens = tokens_of(text)
    assert any(is_costly(tokens, at, {"args"}) for at in range(len(tokens))) is expected
    assert any(is_loop(tokens, at) for at in range(len(tokens))) is (text != "args.all == 1")


# --- members of each item -------------------------------------------------------------------------


@each(
    ("text", "args", "expected"),
    [
        ("secretName(args.files.map(f, f.path))", {"files": [{"path": "a.py"}, {"path": "b.py"}]}, FALSE),
        ("secretName(args.files.map(f, f.path))", {"files": [{"path": "a/.env"}]}, TRUE),
        ("secretName(args.files.map(f, f.path))", {"files": [{"path": ".env"}, {"path": "b.py"}]}, ERROR),
        ("secretName(args.files.map(f, f.path))", {"files": [{"path": "a.py"}, {}]}, ERROR),
        ("secretName(args.files.map(f, f.path))", {"files": []}, ERROR),
        ("secretName(args.files.map(f, f.path))", {"files": {"path": "a.py"}}, ERROR),
        ("secretName(args.files.map(f, f['a'].path))", {"files": [{"a": {"path": "a.py"}}]}, FALSE),
        ("secretName(args.files.map(f, f))", {"files": ["a.py"]}, FALSE),
    ],
)
def test_a_function_takes_a_member_of_each_item(text: str, args: dict[str, Json], expected: Verdict) -> None:
    assert engine().compile(text).engine.name == "cpp"
    assert {judged(text, args, name)[0] for name in ("cpp", "python")} == {expected}


@each(
    "text",
    [
        "secretName(args.files.map(f, f.path + 'a'))",
        "secretName(args.files.map(f, g.path))",
        "secretName(args.files.map(f, true, f.path))",
        "secretName(args.files.filter(f, f.path))",
        "secretName(args.files.map(",
        "secretName(args.files.map(f",
    ],
)
def test_what_is_more_than_a_member_is_left_to_the_slow_engine(text: str) -> None:
    assert hoist(text).left


def test_two_members_of_the_items_are_two_lists() -> None:
    text = "secretName(args.l.map(x, x.a)) || secretName(args.l.map(x, x.b)) || secretName(args.l)"
    assert len({call.key for call in hoist(text).calls}) == 3


# --- what a refusal says, and functions -----------------------------------------------------------


def test_a_refusal_says_how_much_would_pass() -> None:
    verdict = decided(f"  - {{id: a, effect: allow, when: '{WITHIN}'}}\n", {"paths": paths(600)})
    assert isinstance(verdict, Deny)
    assert verdict.message == "There are too many items for this rule: send at most 250 like these at a time."
    denied = decided(
        f"  - {{id: a, effect: allow}}\n  - {{id: d, effect: deny, when: '!{WITHIN}', message: Within /srv.}}\n",
        {"paths": paths(600)},
    )
    assert isinstance(denied, Deny)
    assert denied.message.startswith("There are too many items for this rule: send at most 250")


@each(
    "value",
    [["x" * 1_000_001] * 4, "\n" * 200_001, [1] * 20_001, "diff --git a/x b/x\n" * 6000],
)
def test_the_files_of_a_diff_are_read_up_to_a_size(value: Json) -> None:
    with pytest.raises(FunctionError, match="diffFiles"):
        diffs.diff_files(value)


def test_a_function_reads_so_many_values() -> None:
    with pytest.raises(FunctionError, match=r"detect\(\) reads at most 65,536 values"):
        detect([{"a": 1}] * MOST_DETECTED)
    with pytest.raises(FunctionError, match=r"texts\(\) reads at most 20,000 values"):
        texts({"a": ["b"] * MOST_GIVEN}, [], ["a"])
    with pytest.raises(FunctionError, match=r"texts\(\) returns at most 4,000,000 characters"):
        texts({"a": "b" * MOST_CHARACTERS + "c"}, "a")
    with pytest.raises(FunctionError, match="too many globs"):
        apply(FUNCTIONS["secretName"], ([f"src/[id]/page{number}.k" for number in range(500)],))
    (call,) = hoist("args.t.matches('a')").calls
    with pytest.raises(FunctionError, match=r"matches\(\) reads at most 4,000,000 characters"):
        compute(call, {"args": {"t": "a" * 4_000_001}})
