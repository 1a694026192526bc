"""The smallest change that would have allowed a call."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.authoring.explain.changes import NO_ARGUMENT, NOT_WRITTEN
from mcpguard.authoring.explain.explainer import explain
from mcpguard.authoring.explain.explanation import Change, WantedOperand
from mcpguard.core.conditions.cel import EngineName
from mcpguard.core.policy.session import Session, StoredSession
from tests.authoring.explain.explaining import NOW, call, explained, policies, tool
from tests.rows import each


def changes(
    *rules: str, args: dict[str, Any] | None = None, kept: StoredSession | None = None, head: str = ""
) -> Any:
    return explained(policies(*rules, head=head), args, kept).changes


def test_without_an_allow_rule_one_must_be_written() -> None:
    assert changes("effect: deny, when: 'false'") == (
        Change(rule="", must="be written", operands=(), note=NOT_WRITTEN),
    )


def test_of_the_allow_rules_it_is_the_one_with_the_fewest_operands_that_are_not_so() -> None:
    found = changes(
        "effect: allow, when: 'args.a == 1 && args.b == 1'",
        "effect: allow, when: 'args.a == 2 && args.b == 1 && args.c == 3'",
        "effect: allow, when: 'args.a == 2 && args.b == 2'",
        args={"a": 2, "b": 1},
    )
    assert found == (
        Change(
            rule="p/r0",
            must="hold",
            operands=(WantedOperand(text="args.a == 1", must_be=True, reason="`args.a` is a whole number"),),
        ),
    )


def test_a_rule_that_arguments_can_make_hold_comes_before_one_that_they_cannot() -> None:
    found = changes(
        "effect: allow, when: principal.id == 'bob'", "effect: allow, when: 'args.a == 1 && args.b == 1'"
    )
    assert [(one.rule, one.note, len(one.operands)) for one in found] == [("p/r1", "", 2)]
    alone = changes("effect: allow, when: principal.id == 'bob'")
    assert [(one.rule, one.note) for one in alone] == [("p/r0", NO_ARGUMENT)]


def test_an_ended_rule_says_when() -> None:
    found = changes("effect: allow", head="expires: 2026-01-01")
    assert found == (
        Change(rule="p/r0", must="hold", operands=(), note="it expired 2026-01-02, with its policy"),
    )


@pytest.mark.parametrize("engine", ["cpp", "python"])
def test_a_deny_says_which_operands_would_have_to_differ(engine: EngineName) -> None:
    found = explained(
        policies(
            "effect: allow", "effect: deny, when: 'args.force || args.branch == \"main\"'", engine=engine
        ),
        {"branch": "main"},
    ).changes
    assert found == (
        Change(
            rule="p/r1",
            must="not hold",
            operands=(
                WantedOperand(text="args.force", must_be=False, reason="there is no `args.force`"),
                WantedOperand(text='args.branch == "main"', must_be=False),
            ),
        ),
    )


CLEARED = "a person can clear the label: `mcpguard session clear private`"


def test_a_deny_that_no_argument_can_change_says_so_and_one_by_a_label_who_can() -> None:
    found = changes(
        "effect: allow",
        "effect: deny",
        "effect: deny, when: '\"private\" in session.labels'",
        "effect: deny, when: '\"private\" in session.labels || args.a'",
        "effect: deny, when: '\"private\" in session.labels && args.a'",
        args={"a": True},
        kept=StoredSession(labels=["other", "private"]),
    )
    assert [(one.rule, one.note, len(one.operands)) for one in found] == [
        ("p/r1", NO_ARGUMENT, 0),
        ("p/r2", CLEARED, 1),
        ("p/r3", NO_ARGUMENT, 2),
        ("p/r4", CLEARED, 1),
    ]


@pytest.mark.parametrize("more", [["effect: allow, when: args.b"], ["effect: allow"], []])
def test_an_approval_is_enough_since_the_rule_that_asks_allows_then(more: list[str]) -> None:
    found = changes("effect: ask, when: args.a", *more, args={"a": True})
    assert [(one.rule, one.must) for one in found] == [("p/r0", "be approved")]


def test_rules_that_want_different_things_must_agree() -> None:
    found = changes("effect: allow, credential: a", "effect: allow, credential: b")
    assert [(one.rule, one.must) for one in found] == [("p/r0", "agree"), ("p/r1", "agree")]


SECOND = int(NOW.timestamp())


@each(
    ("limit", "key", "parts", "note"),
    [
        (
            "calls: 1, per: 1h",
            "calls 1h",
            [(SECOND // 60, 1)],
            "it allows the call again at 2026-01-02T04:05:00Z, or once a person clears it: `mcpguard session clear p/r0`",
        ),
        (
            "calls: 2, per: 1m",
            "calls 1m",
            [(SECOND - 40, 1), (SECOND - 1, 1)],
            "it allows the call again at 2026-01-02T03:04:26Z, or once a person clears it: `mcpguard session clear p/r0`",
        ),
        (
            "calls: 1, per: session",
            "calls session",
            [(0, 1)],
            "a new session starts at zero, or once a person clears it: `mcpguard session clear p/r0`",
        ),
        ("units: 3, per: 1h, cost: args.n", "units 1h", [], "it never allows this much at once"),
        (
            "bytes: 3, per: 1s",
            "bytes 1s",
            [(SECOND * 60, 4)],
            "it allows the call again at 2026-01-02T03:04:06Z, or once a person clears it: `mcpguard session clear p/r0`",
        ),
    ],
)
def test_a_limit_says_when_it_has_room_again(limit: str, key: str, parts: list[Any], note: str) -> None:
    kept = StoredSession(spent={f"p/r0 {key}": parts})
    found = changes(f"effect: allow, limit: {{{limit}}}", "effect: allow", args={"n": 4}, kept=kept)
    assert found == (Change(rule="p/r0", must="have room", operands=(), note=note),)


def test_a_limit_that_has_room_is_not_mentioned() -> None:
    found = changes("effect: allow, when: args.c, limit: {calls: 1, per: session}")
    assert [(one.rule, one.must) for one in found] == [("p/r0", "hold")]


A1, A2 = "args.a == 1", "args.a == 2"


@each(
    ("rules", "expected"),
    [
        # what makes it hold makes a deny hold
        ([f"effect: allow, when: '{A1}'", f"effect: deny, when: '({A1})'"], []),
        ([f"effect: allow, when: '{A1}'", "effect: deny, when: 'args.a < 2 || args.b'"], []),
        (["effect: allow, when: '!has(args.b)'", "effect: deny, when: '!has(args.b) || args.b'"], []),
        # another rule is the way, though it takes more
        (
            [
                f"effect: allow, when: '{A1}'",
                f"effect: allow, when: '{A2} && args.c'",
                f"effect: deny, when: '{A1}'",
            ],
            [("p/r1", "hold")],
        ),
        # a deny and an allow that want opposite things
        (["effect: allow, when: '!args.b'", "effect: deny, when: '!args.b && !args.c'"], []),
        # an approval, and one that only the change leads to
        (["effect: allow, when: args.c", "effect: ask"], [("p/r1", "be approved")]),
        (["effect: allow, when: 'args.a == 1'", "effect: ask, when: 'args.a < 3'"], []),
        # limits of the rule that would allow it
        (
            ["effect: allow, when: args.c, limit: {calls: 1, per: session}"],
            [("p/r0", "hold"), ("p/r0", "have room")],
        ),
        # what those that would allow it want cannot be had
        (["effect: allow, when: args.c, credential: x", "effect: allow, when: args.c, credential: y"], []),
        (
            ["effect: allow, when: args.c, argument: {a: 1}", f"effect: deny, when: '{A1}'"],
            [],
        ),
        (
            ["effect: allow, when: args.c, argument: {a: 5}", f"effect: deny, when: '{A1}'"],
            [("p/r0", "hold")],
        ),
        (
            [
                "effect: allow, when: args.c, argument: {a: 5}",
                "effect: allow, when: 'args.a == 5', argument: {a: 6}",
            ],
            [],
        ),
        (
            [
                "effect: allow, when: 'args.c && args.a != 6', argument: {a: 5}",
                "effect: allow, when: 'args.a == 5', argument: {b: 6}",
                "effect: allow, when: 'args.a == 5', argument: {b: 7}",
            ],
            [],
        ),
    ],
)
def test_only_what_would_have_done_it_is_told(rules: list[str], expected: list[Any]) -> None:
    kept = StoredSession(spent={"p/r0 calls session": [(0, 1)]})
    found = changes(*rules, args={"a": 3, "b": True, "c": False}, kept=kept)
    assert [(one.rule, one.must) for one in found] == expected


@each(
    "operand",
    [
        "args.a == 'x'",
        "'x' == args.a",
        "!(args.a != 'x')",
        "args.deep.a == 'x'",
        "args.v.k == 'x'",
        "args.a in ['x', 'y']",
        "args.flag",
        "!has(args.v)",
        "!(args.b == args.b || args.a == 'y')",
        "args.a in args.b",
        "args.a.startsWith('x')",
        "(args.flag ? args.a == 'x' : args.a == 'y')",
        "args.l[0] == 'x'",
        "'x' in [args.a]",
        "has(args.deep.a)",
        "size(args.a) == 1",
    ],
)
def test_a_change_is_told_where_no_other_rule_stands_in_its_way(operand: str) -> None:
    args: dict[str, Any] = {"a": "zz", "b": ["y"], "v": {"k": 1}, "l": ["y"], "deep": 1}
    found = changes(
        f'effect: allow, when: "{operand}"', "effect: deny, when: 'args.z == 1 && false'", args=args
    )
    assert [(one.rule, one.must) for one in found] == [("p/r0", "hold")]


def test_a_limit_that_has_room_is_not_told() -> None:
    kept = StoredSession(spent={"p/r0 calls session": [(0, 1)]})
    found = changes(
        "effect: allow, limit: {calls: 1, per: session}",
        "effect: allow, limit: {calls: 9, per: session}",
        kept=kept,
    )
    assert [(one.rule, one.must) for one in found] == [("p/r0", "have room")]


def test_arguments_that_do_not_fit_the_schema_are_no_rules_to_change() -> None:
    typed = tool()
    typed.about["inputSchema"] = {"properties": {"a": {"type": "string"}}}
    found = explain(
        policies("effect: allow", "effect: deny, when: args.a == 1"), call({"a": 1}, typed), Session()
    )
    assert (found.effect, found.cause, found.rules, found.changes) == ("deny", "arguments", (), ())
    assert found.message == "The arguments do not match the tool's schema: `a` must be of type string."


AHEAD = ("effect: ask", "effect: allow, approves: [p/r0], when: args.a == 1")


def test_what_is_approved_in_advance_says_so() -> None:
    found = explained(policies(*AHEAD), {"a": 1})
    assert found.effect == "allow"
    assert found.why == "no deny holds, and what p/r0 would ask is approved in advance by p/r1"


def test_what_is_not_has_to_be_approved() -> None:
    assert changes(*AHEAD, args={"a": 2}) == (Change(rule="p/r0", must="be approved"),)


def test_a_deny_is_all_that_stops_what_is_approved_in_advance() -> None:
    found = changes(*AHEAD, "effect: deny, when: args.b", args={"a": 1, "b": True})
    assert [(one.rule, one.must) for one in found] == [("p/r2", "not hold")]


def test_of_two_that_ask_only_the_one_that_nobody_approved_is_named() -> None:
    found = changes(*AHEAD, "effect: ask", args={"a": 1})
    assert found == (Change(rule="p/r2", must="be approved"),)
