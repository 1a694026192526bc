"""What a principal can reach: no is what no list shows, yes is what every call may."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings
from msgspec import structs

from mcpguard.authoring.explain.reach import Clause, Reach, left_of, reach
from mcpguard.core.conditions.cel import ERROR, Bound, EngineName
from mcpguard.core.conditions.engines import engine
from mcpguard.core.conditions.tree import DecidedTree, tree_of
from mcpguard.core.model import Permit
from mcpguard.core.policy.pdp import bind, decide
from mcpguard.core.policy.session import Session, StoredSession
from mcpguard.core.policy.visibility import visible
from tests.authoring.explain.explaining import call, policies, tool
from tests.rows import each


def found(*rules: str, engine: EngineName = "cpp", head: str = "") -> Reach:
    return reach(policies(*rules, engine=engine, head=head), call(), tool())


@each(
    ("rules", "answer"),
    [
        ([], "no"),
        (["effect: allow"], "yes"),
        (["effect: allow, tools: [u]"], "no"),
        (["effect: allow, when: args.a"], "if"),
        (["effect: allow", "effect: allow, when: args.a"], "yes"),
        (["effect: allow", "effect: deny, when: principal.id == 'ada'"], "no"),
        (["effect: allow", "effect: deny, when: principal.id == 'bob'"], "yes"),
        (["effect: allow", "effect: deny, when: args.a"], "if"),
        (["effect: allow", "effect: deny, when: args.a, mode: shadow"], "yes"),
        (["effect: allow", "effect: ask"], "if"),
        (["effect: ask"], "if"),
        (["effect: ask", "effect: allow, approves: [p/r0]"], "yes"),
        (["effect: ask", "effect: allow, approves: [p/r0], when: args.a"], "if"),
        (["effect: ask", "effect: ask", "effect: allow, approves: [p/r0]"], "if"),
        (["effect: allow, limit: {calls: 1, per: 1h}"], "if"),
        (["effect: allow, argument: {a: 1}"], "yes"),
        (["effect: allow, argument: {a: 1}", "effect: allow, argument: {a: 2}"], "if"),
        (["effect: allow, argument: {a: 1}", "effect: allow, when: args.a == 1, argument: {b: 1}"], "if"),
        (["effect: allow, credential: a", "effect: allow, when: args.a, credential: b"], "if"),
    ],
)
def test_it_is_yes_no_or_if(rules: list[str], answer: str) -> None:
    assert found(*(rules or ["effect: deny, when: 'false'"])).answer == answer


def test_what_has_ended_reaches_nothing() -> None:
    assert found("effect: allow", head="expires: 2026-01-01").answer == "no"


def test_the_conditions_stand_without_what_is_known_already() -> None:
    told = found(
        "effect: allow, when: 'principal.id == \"ada\" && args.a == 1'",
        "effect: allow, when: principal.id == 'bob', limit: {calls: 1, per: 1d}",
        'effect: allow, when: \'server == "s" && (server == "x" || args.b || args.c)\', limit: {bytes: 9, per: session}',
        "effect: deny, when: '\"private\" in session.labels'",
        "effect: ask, when: '(args.b ? args.c : args.d) && server == \"s\"'",
    )
    assert told == Reach(
        server="s",
        kind="tool",
        name="t",
        answer="if",
        allowed_by=(Clause(rule="p/r0", when="args.a == 1"), Clause(rule="p/r2", when="args.b || args.c")),
        unless=(Clause(rule="p/r3", when='"private" in session.labels'),),
        approval=(Clause(rule="p/r4", when="(args.b ? args.c : args.d)"),),
        limits=("9 bytes a session (p/r2)",),
    )


def test_an_allow_that_always_holds_stands_for_all_others() -> None:
    told = found("effect: allow, when: args.a", "effect: allow", "effect: deny, when: args.b")
    assert told.allowed_by == (Clause(rule="p/r1"),)
    assert told.unless == (Clause(rule="p/r2", when="args.b"),)


def test_a_conflict_is_told() -> None:
    assert found("effect: allow, credential: a", "effect: allow, credential: b").conflict


@each(
    ("text", "left"),
    [
        ("server == 's' && (args.a || args.b) && args.c", "(args.a || args.b) && args.c"),
        ("args.c && (server == 's' && args.a || args.b)", "args.c && (args.a || args.b)"),
        (
            "args.c || server == 'x' && args.a || server == 's' && args.b && args.d",
            "args.c || (args.b && args.d)",
        ),
        ("args.c && !(server == 's' && args.a)", "args.c && !(server == 's' && args.a)"),
        ("server == 's' && server == 's'", "server == 's' && server == 's'"),
    ],
)
def test_what_is_left_keeps_its_meaning(text: str, left: str) -> None:
    assert left_of(tree_of(text), DecidedTree(engine("cpp"), Bound({"server": "s"}))) == left


POOL = [
    "true",
    "principal.id == 'ada'",
    "principal.id == 'bob'",
    "args.a == 1",
    "args.a",
    "has(args.b) && args.b",
    "principal.id == 'ada' && args.a == 1",
    "args.a || args.b || principal.id == 'bob'",
    "principal.id == 'bob' || (args.a && (args.b || principal.id == 'ada'))",
    "'private' in session.labels",
    "tool.annotations.readOnlyHint",
    "tool.annotations.readOnlyHint && args.a",
    "glob(args.a, 'x*') && principal.id == 'ada'",
    "args.a ? principal.id == 'ada' : args.b",
    "session.calls < 3",
]
EXTRAS = {
    "allow": [
        "",
        ", argument: {a: true}",
        ", argument: {b: 1}",
        ", credential: c",
        ", limit: {calls: 1, per: session}",
    ],
    "ask": [""],
    "deny": ["", ", mode: shadow"],
}


@st.composite
def a_rule(draw: st.DrawFn) -> str:
    effect = draw(st.sampled_from(["allow", "allow", "ask", "deny"]))
    return f'effect: {effect}, when: "{draw(st.sampled_from(POOL))}"{draw(st.sampled_from(EXTRAS[effect]))}'


VALUES = st.sampled_from([True, False, 1, 2, "x1", None])
CALLS = st.tuples(
    st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES}),
    st.sampled_from(
        [StoredSession(), StoredSession(calls=5, labels=["private"], spent={"p/r0 calls session": [(0, 1)]})]
    ),
)


@settings(deadline=None)
@given(
    st.lists(a_rule(), min_size=1, max_size=4),
    st.lists(CALLS, min_size=1, max_size=6),
    st.sampled_from(["ada", "bob"]),
    st.sampled_from([{}, {"readOnlyHint": True}]),
    st.sampled_from(["cpp", "python"]),
)
def test_no_is_what_lists_hide_and_yes_is_what_every_call_may(
    rules: list[str], calls: list[Any], who: str, annotations: dict[str, Any], engine: EngineName
) -> None:
    one = policies(*rules, engine=engine)
    asking = call({}, tool(**annotations))
    asking = structs.replace(asking, principal=structs.replace(asking.principal, id=who))
    told = reach(one, asking, tool(**annotations))
    assert (told.answer == "no") is not visible(one, asking)
    for args, kept in calls:
        invocation = structs.replace(asking, args=args, params={"arguments": args})
        verdict = decide(one, invocation, Session(kept))
        if isinstance(verdict, Permit):
            assert told.answer != "no"
        else:
            assert told.answer != "yes"
        assert_same(told, one, invocation, Session(kept), engine)


def assert_same(told: Reach, one: Any, invocation: Any, session: Session, name: EngineName) -> None:
    """What is left of a condition comes to the same as the whole of it; the Python engine may refuse."""
    candidates = one.candidates_of(invocation)
    bound = bind(candidates, invocation, session)
    rules = {rule.name: rule for rule in candidates.all}
    for clause in told.allowed_by + told.unless + told.approval:
        condition = rules[clause.rule].condition
        assert condition is not None
        if clause.when:
            left, whole = engine(name).compile(clause.when).verdict(bound), condition.verdict(bound)
            assert left is whole or (name == "python" and ERROR in (left, whole))


def test_what_may_be_approved_in_advance_says_by_which_rule() -> None:
    told = found("effect: ask", "effect: ask", "effect: allow, approves: [p/r0], when: args.a")
    assert told.approval == (Clause(rule="p/r0", approved_by=("p/r2",)), Clause(rule="p/r1"))
