"""U+0000 ends no text and chooses no engine: what reads a value with one in it is an error on the fast engine, and is
decided exactly on the other."""

from __future__ import annotations

from typing import Any

import pytest
from celpy import CELEvalError
from msgspec import structs

from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, Verdict
from mcpguard.core.conditions.cel_strict import STRICT, of_cel
from mcpguard.core.conditions.engines import engine
from mcpguard.core.model import Deny, Detection, Listed, Permit, Principal
from mcpguard.core.policy import pdp
from tests.core.policy.test_obligations import policies
from tests.core.policy.test_pdp import call
from tests.core.policy.test_review import judged
from tests.rows import each

EVIL = "a\0rm -rf /"


@each(
    ("text", "args", "exact"),
    [
        ("args.a.contains('rm')", {"a": EVIL}, TRUE),
        ("args.a == 'a'", {"a": EVIL}, FALSE),
        ("args.a == 'a\\u0000b'", {"a": "a\0b"}, TRUE),
        ("size(args.a + '') == 3", {"a": "a\0b"}, TRUE),
        ("'k' in args", {"k\0x": 1}, FALSE),
        ("has(args.k)", {"k": {"\0": 1}}, TRUE),
        ("args.a[0].b.c.endsWith('/')", {"a": [{"b": {"c": EVIL}}]}, TRUE),
        ("args.a == '\\\\\\u0000'", {"a": "\\\0"}, TRUE),
        # what a function decodes
        ("json(args.a).x.contains('rm')", {"a": '{"x": "a\\u0000rm"}'}, TRUE),
        ("json(args.a).x == 'a'", {"a": '{"x": "a\\u0000rm"}'}, FALSE),
        ("args.missing == 1", {"a": EVIL}, ERROR),
        ("bytes(args.missing) == b'a' || args.a[0] == 'a'", {"a": EVIL}, ERROR),
    ],
)
def test_a_condition_on_a_text_with_a_zero_is_an_error(text: str, args: Any, exact: Verdict) -> None:
    fast = engine("cpp").compile(text)
    bounds = Bound({"args": args}), Bound({"args": args}, fast.members)
    assert [fast.verdict(bound) for bound in bounds] == [ERROR, ERROR]
    assert engine("python").compile(text).verdict(Bound({"args": args})) is exact


@each(
    ("text", "args", "expected"),
    [
        ("size(args.a) == 3 && args.a.size() == 3", {"a": "a\0b"}, TRUE),
        ("args.n == 1 && args.b == 'x'", {"b": "x", "n": 1, "other": "\0"}, TRUE),
        ("args['n'] == 1 && !has(args.c)", {"n": 1, "\0": 2}, TRUE),
        ("has(args.k)", {"k\0x": 1}, FALSE),
        # the letters of the escape, not the character
        ("args.a == '\\\\u0000'", {"a": "\\u0000"}, TRUE),
        # functions see the text as it is
        ("args.a.matches('^a$')", {"a": EVIL}, FALSE),
        ("json(args.a).x == 1", {"a": '{"x": 1}', "b": "\0"}, TRUE),
        ("principal.id == 'ada' && args.missing != 1", {"a": EVIL}, ERROR),
    ],
)
def test_a_zero_in_what_a_condition_does_not_read_changes_nothing(
    text: str, args: Any, expected: Verdict
) -> None:
    fast = engine("cpp").compile(text)
    view = {"args": args, "principal": {"id": "ada"}}
    assert fast.verdict(Bound(view, fast.members)) is expected


def test_a_name_without_a_zero_is_read_beside_one_with_it() -> None:
    condition = engine("cpp").compile("principal.id == 'ada' || args.a == 'x'")
    bound = Bound({"args": {"a": "x\0"}, "principal": {"id": "ada"}})
    assert condition.verdict(bound) is TRUE
    assert bound.unreadable == ("args",)


def test_a_zero_that_a_function_decoded_leaves_the_call_without_a_value() -> None:
    bound = Bound({"args": {"a": '{"x": "a\\u0000b"}'}})
    first = engine("cpp").compile("json(args.a).x == 'c' || args.a.startsWith('{')")
    second = engine("cpp").compile("json(args.a).x == 'a'")
    assert (first.verdict(bound), second.verdict(bound)) == (TRUE, ERROR)


@pytest.mark.parametrize("beside", ["\0", "\0\0", "a\0b"])
def test_a_client_does_not_choose_the_engine(beside: str) -> None:
    deny = "id: d, effect: deny, when: \"duration(args.until) - duration(args.since) == duration('858s')\""
    rules = policies("id: a, effect: allow", deny)
    args = {"until": "900s", "since": "42s"}
    for more in ({}, {"note": beside}, {"deep": [{beside: [beside]}]}):
        assert isinstance(pdp.decide(rules, call({**args, **more})), Deny)
    verdict = pdp.decide(rules, call({**args, "since": f"42s{beside}"}))
    assert isinstance(verdict, Deny)
    assert "`args` contains the character U+0000" in verdict.message


@each(
    "text",
    [
        "duration(args.u) - duration(args.s) == duration('858s')",
        "duration(args.u) - duration(args.s) != duration('1s')",
        "duration(args.u) - duration(args.s) in [duration('858s')]",
        "type(duration(args.u) - duration(args.s)) == type(duration('1s'))",
        "[duration(args.u) - duration(args.s)] == [duration('858s')]",
        "timestamp(args.t) - timestamp(args.t) == duration('0s')",
        "timestamp(args.t) - duration(args.s) == timestamp('2026-01-01T23:59:18Z')",
    ],
)
def test_a_computed_time_is_one_of_cel_in_both_engines(text: str) -> None:
    bound = {"args": {"u": "900s", "s": "42s", "t": "2026-01-02T00:00:00Z"}}
    assert [engine(name).compile(text).verdict(Bound(bound)) for name in ("cpp", "python")] == [TRUE, TRUE]


def test_a_value_of_no_type_of_cel_is_an_error_in_the_python_engine() -> None:
    for value in (object(), 1j, {1}, range(2)):
        assert isinstance(of_cel(value), CELEvalError)
        with pytest.raises(TypeError):
            STRICT["_==_"](value, value)


DENY = "id: d, effect: deny, when: "
FACTS = {"name": "t", "title": "a\0evil", "description": "", "annotations": {}}


@each(
    ("condition", "changed"),
    [
        ("tool.title.contains('evil')", {"target": Listed("s", "t", "s__t", {}, FACTS, "d")}),
        ("tool.name == 't\\u0000evil'", {"target": Listed("s", "t\0evil", "", {}, {"name": "t\0evil"}, "")}),
        ("principal.id != 'ada'", {"principal": Principal("ada\0x", "os-user")}),
        ("principal.claims.team != 'a'", {"principal": Principal("x", "o", claims={"team": "a\0"})}),
        ("!('dev' in principal.groups) && true", {"principal": Principal("x", "o", groups=("dev\0",))}),
        ("client.agent != 'desk'", {"agent": "desk\0"}),
        ("args.q.contains('x')", {"args": {"q": "a\0x"}}),
    ],
)
def test_a_deny_is_not_missed(condition: str, changed: Any) -> None:
    invocation = structs.replace(call({}), **changed)
    rule = (
        f'{DENY}"{condition}"' if "\\" not in condition else f"{DENY}'{condition.replace(chr(39), chr(34))}'"
    )
    assert isinstance(pdp.decide(policies("id: a, effect: allow", rule), invocation), Deny)


def test_an_allow_is_not_got_by_a_prefix() -> None:
    rules = policies("id: a, effect: allow, when: args.q == 'main'")
    assert isinstance(pdp.decide(rules, call({"q": "main"})), Permit)
    assert isinstance(pdp.decide(rules, call({"q": "main\0evil"})), Deny)


def test_a_resource_with_a_zero_is_not_one_with_its_prefix() -> None:
    target = Listed("s", "file:///a\0b", "file:///a\0b", {}, {"uri": "file:///a\0b"}, "d", "resource")
    invocation = structs.replace(call(), method="resources/read", target=target)
    rules = policies("id: a, effect: allow, action: [resources/read], when: resource.uri == 'file:///a'")
    assert isinstance(pdp.decide(rules, invocation), Deny)


def test_a_result_with_a_zero_that_a_rule_reads_is_withheld() -> None:
    withhold = "id: w, effect: deny, on: result, when: \"result.content[0].text.contains('rm')\""
    result = {"content": [{"type": "text", "text": EVIL}], "isError": False}
    found = judged(withhold, result=result, findings=(Detection("x", "/a\0"),))
    assert found.denied is not None
    assert found.rules == ("p/w",)
