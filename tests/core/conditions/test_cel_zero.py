"""U+0000 ends no text: what stands behind it is decided on, wherever in a request it is."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.conditions.cel import ERROR, FALSE, TRUE, Bound, Verdict
from mcpguard.core.conditions.engines import engine
from mcpguard.core.model import Deny, Detection, Listed, Permit, Principal
from mcpguard.core.policy import pdp
from tests.core.policy.test_obligations import policies
from tests.core.policy.test_pdp import call
from tests.core.policy.test_review import judged

EVIL = "a\0rm -rf /"


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ("args.a.contains('rm')", {"a": EVIL}, TRUE),
        ("args.a == 'a'", {"a": EVIL}, FALSE),
        ("args.a == 'a\\u0000b'", {"a": "a\0b"}, TRUE),
        ("size(args.a) == 3", {"a": "a\0b"}, TRUE),
        ("'k' in args", {"k\0x": 1}, FALSE),
        ("has(args.k)", {"k\0x": 1}, FALSE),
        ("args.a[0].b.c.endsWith('/')", {"a": [{"b": {"c": EVIL}}]}, TRUE),
        ("args.n == 1 && args.b == 'x'", {"b": "x", "n": 1, "other": "\0"}, TRUE),
        # a letter of the text, not the character
        ("args.a == '\\\\u0000'", {"a": "\\u0000"}, TRUE),
        ("args.a == '\\\\\\u0000'", {"a": "\\\0"}, TRUE),
        # what a function decodes
        ("json(args.a).x.contains('rm')", {"a": '{"x": "a\\u0000rm"}'}, TRUE),
        ("json(args.a).x == 'a'", {"a": '{"x": "a\\u0000rm"}'}, FALSE),
        ("args.a.matches('^a$')", {"a": EVIL}, FALSE),
        ("args.missing == 1", {"a": EVIL}, ERROR),
        ("bytes(args.missing) == b'a' || args.a[0] == 'a'", {"a": EVIL}, ERROR),
    ],
)
def test_a_condition_sees_what_stands_behind_a_zero(text: str, args: Any, expected: Verdict) -> None:
    assert engine("cpp").compile(text).verdict(Bound({"args": args})) is expected
    assert engine("python").compile(text).verdict(Bound({"args": args})) is expected


def test_a_zero_that_a_function_decoded_holds_for_the_conditions_after_it() -> None:
    bound = Bound({"args": {"a": '{"x": "a\\u0000b"}'}})
    first = engine("cpp").compile("json(args.a).x == 'c' || args.nope == 1")
    second = engine("cpp").compile("json(args.a).x == 'a'")
    assert (first.verdict(bound), second.verdict(bound)) == (ERROR, FALSE)
    assert second.verdict(bound) is FALSE


def test_what_only_the_fast_engine_takes_is_an_error() -> None:
    text = "args.a == 'x' || args.b.map(one, one > 1, one).size() == 1"
    condition = engine("cpp").compile(text)
    assert condition.verdict(Bound({"args": {"a": "y", "b": [1, 2]}})) is TRUE
    assert condition.verdict(Bound({"args": {"a": "y\0", "b": [1, 2]}})) is ERROR


DENY = "id: d, effect: deny, when: "
FACTS = {"name": "t", "title": "a\0evil", "description": "", "annotations": {}}


@pytest.mark.parametrize(
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


def test_a_result_with_a_zero_is_withheld_for_what_stands_behind_it() -> None:
    withhold = "id: w, effect: deny, on: result, when: \"result.content[0].text.contains('rm')\""
    result = {"content": [{"type": "text", "text": EVIL}], "isError": False}
    found = judged(withhold, result=result, findings=(Detection("x", "/a\0"),))
    assert found.denied is not None
    assert found.rules == ("p/w",)
