"""The order of obligations: what is wholly at least as strict, and what is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from mcpguard.authoring.replay.strictness import (
    NOTHING,
    AnswerWanted,
    Divergence,
    Obligations,
    Quota,
    difference,
    either,
)
from mcpguard.core.policy.tickets import AnswerTerms

NAMES = st.frozensets(st.sampled_from("ab"))
GROUPS = st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=2).map(tuple), max_size=2).map(tuple)
QUOTAS = st.builds(
    Quota,
    st.tuples(NAMES, st.just(frozenset[str]())),
    st.sampled_from(["1h", "session"]),
    st.just("calls"),
    st.just("1"),
    st.integers(1, 3),
)
TERMS = st.builds(
    AnswerTerms,
    st.sampled_from([0, 30, 60]),
    st.sampled_from([("console",), ("console", "terminal"), ()]),
    st.booleans(),
    GROUPS,
    st.just(()),
    NAMES.map(lambda names: tuple(sorted(names))),
)
DIMENSIONS: dict[str, Any] = {
    "redact": st.frozensets(st.sampled_from(["email", "iban", "-jwt", "-jwt /content"])),
    "labels": NAMES,
    "facts": NAMES,
    "credential": st.sampled_from(["", "a"]),
    "spotlight": st.booleans(),
    "placeholders": st.booleans(),
    "arguments": st.dictionaries(st.sampled_from("ab"), st.sampled_from(["1", "2"])),
    "limits": st.frozensets(QUOTAS, max_size=2),
    "answer": st.builds(AnswerWanted, TERMS, NAMES),
}
WANTS = st.builds(Obligations, **DIMENSIONS)


def at_least(now: Obligations, then: Obligations) -> bool:
    """Whether it is wholly at least as strict."""
    found = difference(then, now)
    return not (found.looser or found.credential or found.unsaid)


def three(name: str, data: st.DataObject) -> list[Obligations]:
    """Some that differ in one thing."""
    return [Obligations(**{name: data.draw(DIMENSIONS[name])}) for _ in range(3)]


@given(st.data())
@pytest.mark.parametrize("name", DIMENSIONS)
def test_each_kind_of_obligation_has_an_order(name: str, data: st.DataObject) -> None:
    one, other, third = three(name, data)
    assert difference(one, one) == NOTHING
    if at_least(one, other) and at_least(other, one):
        assert difference(one, other) == difference(other, one) == NOTHING
    if at_least(other, one):
        # It is stricter, or it is the same.
        assert bool(difference(one, other).stricter) is not at_least(one, other)
    if at_least(other, one) and at_least(third, other):
        assert at_least(third, one)


@given(WANTS, st.data(), st.sampled_from(sorted(DIMENSIONS)))
def test_what_is_less_strict_in_one_thing_is_not_hidden_by_any_other(
    then: Obligations, data: st.DataObject, name: str
) -> None:
    alone = structs.replace(then, **{name: data.draw(DIMENSIONS[name])})
    now = structs.replace(data.draw(WANTS), **{name: getattr(alone, name)})
    if not at_least(alone, then):
        found = difference(then, now)
        assert not at_least(now, then)
        assert set(difference(then, alone).looser) <= set(found.looser)


@given(st.lists(WANTS, min_size=1, max_size=3), WANTS)
def test_of_several_that_are_possible_none_hides_another(
    possible: list[Obligations], then: Obligations
) -> None:
    each = [difference(then, one) for one in possible]
    found = either(each, ("which",))
    if not all(at_least(one, then) for one in possible):
        assert found.looser or found.credential or found.unsaid
    assert bool(found.looser) is all(bool(one.looser) for one in each)
    assert all(one.stricter for one in each) or not found.stricter


def test_of_different_answers_it_is_said_that_it_is_not_known_which() -> None:
    lax, strict = Divergence(looser=("a",)), Divergence(stricter=("b",))
    assert either([lax, lax], ("which",)) == lax
    assert either([lax, strict], ("which",)) == Divergence(unsaid=("which",))
    assert either([lax, Divergence(looser=("c",))], ("which",)) == Divergence(looser=("a", "c"))


def test_what_is_not_known_is_not_compared() -> None:
    bare = Obligations(credential=None, spotlight=None, placeholders=None, arguments=None, limits=None)
    full = Obligations(
        credential="a", spotlight=True, placeholders=True, arguments={"n": "1"}, answer=AnswerWanted()
    )
    assert difference(bare, full) == difference(full, bare) == NOTHING


def test_a_limit_counts_for_what_it_is_about() -> None:
    every, some = frozenset[str](), frozenset({"a"})

    def limited(*scope: frozenset[str]) -> Obligations:
        return Obligations(limits=frozenset({Quota(scope, "1h", "calls", "1", 5)}))

    assert difference(limited(some), limited(every)) == Divergence(stricter=("the limit is lower",))
    assert difference(limited(every), limited(some)).looser == ("the limit is higher, or another one",)
    assert difference(limited(some), limited(frozenset({"a", "b"}))).looser == ()
