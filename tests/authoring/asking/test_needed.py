"""The texts that a condition needs stand in the records of every call for which it is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from mcpguard.authoring.asking.matching import FoundCall, facts_with, view_of
from mcpguard.authoring.asking.names import VOCABULARY
from mcpguard.authoring.asking.needed import DECIDED, ENDED, Clauses, clauses, needed
from mcpguard.authoring.asking.patterns import LinePattern, compiled
from mcpguard.core.conditions.cel import TRUE, Bound, ConditionError
from mcpguard.core.conditions.engines import engine_for
from mcpguard.core.evidence.chain import Chain
from tests.authoring.asking.asked_conditions import ARGUMENTS, CONDITIONS, TEXTS
from tests.cli.audit.test_story import CALL, DONE

ENGINE = engine_for(VOCABULARY)


def alternatives(text: str, names: frozenset[str] = DECIDED | ENDED) -> list[set[str]]:
    some = clauses(needed(text, names))
    return [{one.decode() for one in each if isinstance(one, bytes)} for each in some if not patterns(each)]


def patterns(some: frozenset[bytes | LinePattern]) -> set[str]:
    return {one.source for one in some if isinstance(one, LinePattern)}


def have(needs: Clauses, line: bytes) -> bool:
    return all(some and compiled(some).search(line) for some in needs)


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ('args.path == "/a"', [{'"path":'}, {'"path":"/a"'}]),
        ('"/a" == args.to.path', [{'"to":'}, {'"path":'}, {'"path":"/a"'}]),
        ('args["the path"].startsWith("/a\\"")', [{'"the path":'}, {'"the path":"/a\\"'}]),
        ('pathWithin(args.path, "/etc//ssh/.")', [{'"path":'}, {"/etc/ssh", "/../", "/./ssh", "//ssh"}]),
        ('pathWithin(args.path, ["src", "/etc"])', [{'"path":'}, {"src", "/etc"}]),
        ('pathWithin(args.path, ["/", "/etc"])', [{'"path":'}]),
        ('pathWithin(args.path, ["etc"], "/etc")', [{'"path":'}]),
        ('pathWithin(subject, "/etc")', []),
        ('args.path.endsWith(".env")', [{'"path":'}, {'.env"'}]),
        ('args.path.contains("/../")', [{'"path":'}, {"/../"}]),
        (
            'args.path.matches("^/etc/a+b.c[[:alpha:]de](?:x|y)z{2}q\\\\.$")',
            [{'"path":'}, {"/etc/a"}, {"b"}, {"c"}, {"q."}],
        ),
        (
            'args.path.matches("^a*|b$") && args.path.matches("(?i)x") && args.path.matches("\\\\x41")',
            [{'"path":'}],
        ),
        (
            'args.path.matches("passwd$|^/etc/sh(adow|ells)") || args.n == 5',
            [
                {'"path":', '"n":'},
                {'"path":', '"n":5'},
                {'"n":', "passwd", "/etc/sh"},
                {'"n":5', "passwd", "/etc/sh"},
            ],
        ),
        (
            'args.n in [5, -5, 1.5, "x", null]',
            [{'"n":'}, {'"n":5', '"n":-5', '"n":1.5', '"n":"x"', '"n":null'}],
        ),
        ("args.n == 0 || args.n == 1e15", [{'"n":'}]),
        ("args.n in [b'x', args.m]", [{'"n":'}, {'"m":'}]),
        ("args.dry && !args.force", [{'"dry":'}, {'"dry":true'}, {'"force":'}, {'"force":false'}]),
        ('!(args.n != "x") && args.m != "y"', [{'"n":'}, {'"n":"x"'}, {'"m":'}]),
        ('"x" in args.l || "y" in args.l', [{'"l":'}, {'"x"', '"y"'}]),
        (
            'args.l.exists(e, e.name == "x" && e.size > 3)',
            [{'"l":'}, {'"name":'}, {'"name":"x"'}, {'"size":'}],
        ),
        ('!args.l.all(e, e != "x")', [{'"l":'}, {'"x"'}]),
        ('args.l.filter(e, e == "x").size() > 0', [{'"l":'}]),
        ('rules.exists(args, args == "x")', []),
        ("has(args.to.path)", [{'"to":'}, {'"path":'}]),
        ("!has(args.to.path)", [{'"to":'}]),
        ('size(args.path) > 3 || server == "x"', []),
        ("size(args.path) > 3", [{'"path":'}]),
        ("args[server] == 3", [{"3"}]),
        ("args.a == 1 ? args.b == 2 : false", [{'"a":'}, {'"a":1'}, {'"b":'}, {'"b":2'}]),
        ('"github/read" in credentials', [{'"github/read"'}]),
        ('credentials.exists(c, c.startsWith("github/"))', [{'"github/'}]),
        ('resource.uri == "file:///a" || prompt.name == "b"', [{'"file:///a"', '"b"'}]),
        ('subject == "" || message.contains("")', []),
        ('error.contains("refused")', [{"refused"}]),
        ("true || false", []),
        ("true && false", [set()]),
        ('"x".contains(args.a) && args == {"a": 1}', [{'"a":'}]),
    ],
)
def test_a_condition_needs_what_it_reads_and_looks_for(text: str, texts: list[set[str]]) -> None:
    assert alternatives(text) == texts


def test_a_pattern_is_needed_where_its_texts_are_common() -> None:
    (*_, lines) = clauses(needed(r'args.path.matches("/file1[0-9]\\.txt$")', DECIDED))
    assert lines == frozenset([LinePattern(r'/file1[0-9]\.txt"')])
    assert not any(map(patterns, clauses(needed('subject.matches("^x?$")', DECIDED))))


def test_what_may_stand_in_an_outcome_is_told_apart() -> None:
    text = 'args.a == "x" && error.contains("refused")'
    assert alternatives(text, DECIDED) == [{'"a":'}, {'"a":"x"'}]
    assert alternatives(text, ENDED) == [{"refused"}]


@pytest.mark.parametrize("text", ["(" * 900 + "true" + ")" * 900, "args.?a == 1", "args.a =="])
def test_what_the_other_engine_does_not_parse_needs_nothing(text: str) -> None:
    assert needed(text, DECIDED) == ()


def test_too_many_alternatives_need_nothing() -> None:
    two = "(args.a{0} == 1 && args.b{0} == 1)"
    assert clauses(needed(" || ".join(two.format(n) for n in range(2)), DECIDED))
    assert clauses(needed(" || ".join(two.format(n) for n in range(9)), DECIDED)) == ()


@given(
    text=CONDITIONS,
    arguments=ARGUMENTS,
    subject=st.sampled_from(TEXTS),
    message=st.sampled_from(TEXTS),
    error=st.sampled_from(TEXTS),
)
def test_every_call_that_matches_has_what_is_needed(
    text: str, arguments: dict[str, Any], subject: str, message: str, error: str
) -> None:
    decision = structs.replace(CALL, arguments=arguments, subject=subject, credentials=("a", "/srv/a.b"))
    outcome = structs.replace(DONE, message=message, error=error)
    view = view_of(FoundCall(Path("x"), 2, decision, outcome, ()), facts_with(decision, outcome))
    try:
        verdict = ENGINE.compile(text).verdict(Bound(view))
    except ConditionError:
        return
    if verdict is TRUE:
        chain = Chain()
        lines = chain.seal(decision), chain.seal(outcome)
        assert have(clauses(needed(text, DECIDED)), lines[0])
        assert have(clauses(needed(text, DECIDED | ENDED)), b"".join(lines))
