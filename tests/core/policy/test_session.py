"""What a session remembers, and that a limit is never exceeded in any window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from msgspec import structs

from mcpguard.core.model import Charge, Permit
from mcpguard.core.policy import pdp
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.session import (
    NO_PLACES,
    ServerPlaces,
    Session,
    StoredSession,
    stated_under,
    without_folder,
)
from tests.core.policy.test_pdp import call
from tests.rows import each

START = datetime(2026, 1, 2, tzinfo=UTC)
HOURLY = Charge("p/r calls 1h", "calls", 1, 3, 3600, "1h")


def permit(rules: str) -> Permit:
    policies = PolicySet([compile_policy(f"version: 1\npolicy: p\nrules: [{rules}]\n", "p", frozenset())])
    verdict = pdp.decide(policies, call({"n": 7}), Session())
    assert isinstance(verdict, Permit)
    return verdict


PERMIT = permit("{id: r, effect: allow}")


def test_an_admitted_call_is_counted_with_its_tool_labels_facts_and_charges() -> None:
    session = Session()
    rule = "{id: r, effect: allow, label: [b, a], fact: [f], limit: {per: session, units: 20, cost: args.n}}"
    for _ in range(2):
        session.admit(permit(rule))
    prompt = permit("{id: r, effect: allow}")
    session.admit(structs.replace(prompt, invocation=structs.replace(prompt.invocation, target=None)))
    assert session.view() == {"calls": 3, "tools": {"s/t": 2}, "labels": ["a", "b"], "facts": ["f"]}
    assert session.kept.spent == {"p/r units session": [(0, 14)]}


def test_asking_about_a_task_is_no_call() -> None:
    session = Session()
    begun = permit("{id: r, effect: allow}")
    session.admit(begun)
    asked = structs.replace(begun.invocation, method="tasks/get", target=None)
    session.admit(structs.replace(begun, invocation=asked))
    assert session.view()["calls"] == session.without(asked).view()["calls"] == 1


def test_a_label_that_is_there_already_is_kept_once() -> None:
    session = Session(StoredSession(labels=["a"]))
    session.add(("a", "b"), ("f",))
    session.add(("b",), ())
    assert (session.kept.labels, session.kept.facts) == (["a", "b"], ["f"])


@pytest.mark.parametrize(
    ("charge", "fits"),
    [(structs.replace(HOURLY, amount=3), True), (structs.replace(HOURLY, amount=4), False)],
)
def test_what_does_not_fit_at_once_has_no_room(charge: Charge, fits: bool) -> None:
    assert Session().room(charge, START) is fits


def test_bytes_have_room_while_one_is_left() -> None:
    session, charge = Session(), Charge("k", "bytes", 0, 10, 0, "session")
    assert session.room(charge, START)
    session.charge(structs.replace(charge, amount=9), START)
    assert session.room(charge, START)
    session.charge(structs.replace(charge, amount=1), START)
    assert not session.room(charge, START)


@settings(deadline=None)
@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60), st.sampled_from([1, 7, 60, 3600]))
def test_law_no_window_ever_holds_more_than_the_limit(gaps: list[int], seconds: int) -> None:
    charge = structs.replace(HOURLY, seconds=seconds)
    session, now, made = Session(), START, []
    for gap in gaps:
        now += timedelta(milliseconds=gap)
        if session.room(charge, now):
            session.charge(charge, now)
            made.append(now)
    for first, last in zip(made, made[charge.most :], strict=False):
        assert last - first > timedelta(seconds=seconds) * (1 - 1e-9)
    assert len(session.kept.spent["p/r calls 1h"]) <= 62


def test_a_use_is_forgotten_when_its_window_is_over() -> None:
    session = Session()
    for _ in range(3):
        session.charge(HOURLY, START)
    assert not session.room(HOURLY, START + timedelta(seconds=3600))
    assert session.room(HOURLY, START + timedelta(seconds=3660))


STAGING = ServerPlaces("/etc/staging.yaml", {"s": "a", "ci": "b"})


@each(
    ("places", "counts"),
    [
        (STAGING, True),
        (ServerPlaces("/etc/staging.yaml", {"s": "a"}), True),
        (ServerPlaces("/etc/production.yaml", {"s": "a"}), False),
        (ServerPlaces("/etc/staging.yaml", {"s": "c", "ci": "z"}), False),
        (ServerPlaces("/etc/staging.yaml", {"ci": "a"}), True),
        (NO_PLACES, True),
    ],
)
def test_a_fact_counts_for_the_servers_of_the_configuration_that_stated_it(
    places: ServerPlaces, counts: bool
) -> None:
    """A server is what it is started or reached as, not what it is called."""
    stated = Session(places=STAGING)
    for fact in ("on-own-branch", "on-own-branch", "tests-passed"):
        stated.admit(structs.replace(PERMIT, facts=(fact,)))
    found = Session(stated.kept, places)
    facts = ["on-own-branch", "tests-passed"] if counts else []
    assert found.facts == found.view()["facts"] == facts
    assert found.after(PERMIT).facts == found.without(PERMIT.invocation).facts == facts
    assert stated_under(stated.kept.origins["tests-passed"]) == ["/etc/staging.yaml"]


def test_a_server_is_the_same_one_in_whichever_folder_its_client_starts_it() -> None:
    assert without_folder("a /home/ada/my project") == without_folder("a") == "a"


def test_a_fact_of_which_it_is_not_known_who_stated_it_counts_for_no_configuration() -> None:
    kept = StoredSession(facts=["on-own-branch"])
    assert (Session(kept, STAGING).facts, Session(kept).facts) == ([], ["on-own-branch"])


def test_a_fact_of_two_configurations_counts_for_both() -> None:
    session = Session(places=STAGING)
    session.admit(structs.replace(PERMIT, facts=("ok",)))
    session.places = ServerPlaces("/etc/production.yaml", {"s": "a"})
    assert session.facts == []
    session.admit(structs.replace(PERMIT, facts=("ok",)))
    assert session.facts == session.kept.facts == ["ok"]
    assert stated_under(session.kept.origins["ok"]) == ["/etc/staging.yaml", "/etc/production.yaml"]


def test_a_clock_that_goes_back_frees_nothing() -> None:
    session = Session()
    for minutes in (10, 5, 0):
        session.charge(HOURLY, START + timedelta(minutes=minutes))
    assert not session.room(HOURLY, START)
    assert not session.room(HOURLY, START + timedelta(minutes=30))


@given(
    st.sampled_from([60, 3600, 86_400]),
    st.lists(st.tuples(st.integers(0, 3599), st.integers(1, 3)), max_size=6),
    st.integers(1, 4),
)
def test_a_limit_is_free_at_the_first_moment_that_has_room(
    seconds: int, uses: list[tuple[int, int]], amount: int
) -> None:
    charge = structs.replace(HOURLY, seconds=seconds, amount=amount)
    session = Session()
    for after, used in sorted(uses):
        session.charge(structs.replace(charge, amount=used), START + timedelta(seconds=after))
    now = START + timedelta(seconds=3600)
    free = session.free_at(charge, now)
    if free is None:
        assert amount > charge.most
        return
    assert session.room(charge, free)
    assert free == now or not session.room(charge, free - timedelta(microseconds=3))


def test_a_limit_is_free_when_all_that_stands_in_the_way_is_over() -> None:
    session = Session()
    for minutes in (0, 30):
        session.charge(HOURLY, START + timedelta(minutes=minutes))
    free = session.free_at(structs.replace(HOURLY, amount=3), START + timedelta(minutes=40))
    assert free == START + timedelta(minutes=91, microseconds=1)


def test_a_limit_of_a_session_is_never_free_again() -> None:
    charge = Charge("k", "calls", 1, 1, 0, "session")
    session = Session()
    assert session.free_at(charge, START) == START
    session.charge(charge, START)
    assert session.free_at(charge, START) is None


def test_of_a_session_that_ended_only_windows_that_are_not_over_are_left() -> None:
    session = Session(StoredSession(3, {"s/t": 3}, ["l"], ["f"]))
    hourly, minutely = HOURLY, structs.replace(HOURLY, key="p/m calls 1m", seconds=60)
    of_session = structs.replace(HOURLY, key="p/s calls session", seconds=0)
    for charge in (hourly, minutely, of_session):
        session.charge(charge, START)
    left = session.kept.ended(START.timestamp() + 120)
    assert left == StoredSession(spent={hourly.key: session.kept.spent[hourly.key]})
    assert session.kept.ended(START.timestamp() + 3661) == StoredSession()


def test_a_call_that_is_decided_again_is_not_in_its_own_way() -> None:
    session = Session()
    made = permit("{id: r, effect: allow, label: [l], fact: [f], limit: {calls: 2, per: 1h}}")
    session.admit(made)
    assert session.without(made.invocation).view() == {
        "calls": 0,
        "tools": {},
        "labels": ["l"],
        "facts": ["f"],
    }
    session.admit(made)
    before = session.without(structs.replace(made.invocation, target=None))
    assert before.view() == {"calls": 1, "tools": {"s/t": 2}, "labels": ["l"], "facts": ["f"]}
    assert before.used(HOURLY, START) == 0
    assert Session().without(made.invocation).view()["calls"] == 0


def test_the_session_after_a_call_is_another_one() -> None:
    session = Session(StoredSession(calls=1, tools={"s/t": 1}, spent={"p/r calls 1h": [(1, 1)]}))
    before = structs.asdict(session.kept)
    after = session.after(permit("{id: r, effect: allow, label: [l], fact: [f], limit: {calls: 2, per: 1h}}"))
    assert (after.kept.calls, after.kept.tools, after.kept.labels, after.kept.facts) == (
        2,
        {"s/t": 2},
        ["l"],
        ["f"],
    )
    assert session.used(HOURLY, START) == 0
    assert after.used(HOURLY, START) == 1
    assert structs.asdict(session.kept) == before == {**before, "calls": 1, "labels": [], "facts": []}


def test_two_states_of_one_session_are_joined_to_the_stricter() -> None:
    one = StoredSession(
        3, {"a/x": 2}, ["private"], ["f", "g"], {"p/r calls 1h": [(1, 2), (2, 5)]}, {}, ["t1"]
    )
    two = StoredSession(2, {"a/x": 1, "a/y": 4}, ["new"], ["g"], {"p/r calls 1h": [(2, 7)]}, {}, ["t2"])
    assert one.joined(two) == StoredSession(
        3,
        {"a/x": 2, "a/y": 4},
        ["private", "new"],
        ["g"],
        {"p/r calls 1h": [(1, 2), (2, 7)]},
        {},
        ["t1"],
    )
