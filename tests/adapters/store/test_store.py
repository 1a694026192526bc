"""State that outlives a message: one contract for the file, the database and the fake of the tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from mcpguard.core.errors import SessionError
from mcpguard.core.model import Charge, Invocation, Principal
from mcpguard.core.policy.session import Session, name_of
from mcpguard.core.policy.tickets import Lasting, Ticket, TicketAnswer, Verdict
from mcpguard.gateway.ports import Store
from tests.adapters.store.shared import KINDS, Make, given_by, making
from tests.fakes import MemoryStore

NOW = datetime.now(UTC)
"""Of today: sessions that ended a month ago are removed."""
ADA = Invocation("i", "tools/call", Principal("ada", "os-user"), NOW, "desk")
DAILY = Charge("p/r calls 1d", "calls", 1, 10, 86_400, "1d")


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold the wall clock: a test may come long after this file is read, and approvals end after minutes."""
    monkeypatch.setattr(time, "time", NOW.timestamp)


def later(seconds: float, invocation: Invocation = ADA) -> Invocation:
    return structs.replace(invocation, now=NOW + timedelta(seconds=seconds))


def labels(store: Store, invocation: Invocation = ADA, add: str = "") -> list[str]:
    def change(session: Session) -> list[str]:
        session.add((add,) if add else (), ())
        return list(session.kept.labels)

    found: list[str] = given_by(store.change(invocation, change))
    return found


def test_what_was_done_is_there_for_the_next_process(make: Callable[[], Any]) -> None:
    assert labels(make(), add="a") == ["a"]
    assert labels(make()) == ["a"]
    assert labels(make(), add="b") == ["a", "b"]


def test_each_principal_with_each_agent_has_a_session(make: Callable[[], Any]) -> None:
    store = make()
    labels(store, add="a")
    others = [
        structs.replace(ADA, agent=None),
        structs.replace(ADA, agent="other"),
        structs.replace(ADA, principal=Principal("eve", "os-user")),
        structs.replace(ADA, principal=Principal("ada", "https://issuer")),
    ]
    assert [labels(store, other) for other in others] == [[]] * 4
    grouped = structs.replace(ADA, principal=Principal("ada", "os-user", ("ops",), {"x": 1}), id="j")
    assert labels(store, grouped) == ["a"]


def test_a_change_that_fails_changes_nothing(make: Callable[[], Any]) -> None:
    store = make()

    def change(session: Session) -> None:
        session.add(("a",), ())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        given_by(store.change(ADA, change))
    assert labels(store) == []


def test_a_change_that_changes_nothing_is_over_too(make: Callable[[], Any]) -> None:
    store = make()
    assert given_by(store.change(ADA, lambda session: session.kept.calls)) == 0
    assert given_by(store.change(ADA, lambda _session: "done")) == "done"


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["label", "charge", "look"])), max_size=24)
)
def test_processes_in_any_order_lose_no_label_and_exceed_no_limit(
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    kind: str,
    steps: list[tuple[int, str]],
) -> None:
    with making(kind, tmp_path_factory.mktemp("s"), request) as made:
        _agree(made, steps)


def _agree(made: Make, steps: list[tuple[int, str]]) -> None:
    stores = [made() for _ in range(3)]
    model = MemoryStore()

    def charge(session: Session) -> bool:
        room = session.room(DAILY, NOW)
        if room:
            session.charge(DAILY, NOW)
        return room

    for number, (process, what) in enumerate(steps):
        seen = []
        for store in (stores[process], model):
            if what == "charge":
                seen.append(given_by(store.change(ADA, charge)))
            else:
                seen.append(labels(store, add=str(number) if what == "label" else ""))
        assert seen[0] == seen[1]
    for store in stores:
        store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_is_made_again_where_another_process_was_quicker(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    with making(kind, tmp_path, request) as made:
        _is_quicker(made(), made())


def _is_quicker(mine: Store, other: Store) -> None:
    labels(mine, add="first")
    calls: list[list[str]] = []

    def change(session: Session) -> None:
        calls.append(list(session.kept.labels))
        if len(calls) < 3:
            labels(other, add=f"quicker{len(calls)}")
        session.add(("mine",), ())

    given_by(mine.change(ADA, change))
    assert calls == [["first"], ["first", "quicker1"], ["first", "quicker1", "quicker2"]]
    assert labels(other) == ["first", "quicker1", "quicker2", "mine"]


def test_a_fake_that_is_down_or_slow_keeps_the_contract() -> None:
    memory = MemoryStore()
    memory.busy = 1
    wait = memory.change(ADA, lambda session: session.add(("a",), ()))
    assert not wait.done
    memory.proceed()
    assert wait.done
    memory.conflicts, memory.quicker = 1, lambda session: session.add(("b",), ())
    assert labels(memory, add="c") == ["a", "b", "c"]
    memory.down = "no disk"
    with pytest.raises(SessionError, match="no disk"):
        labels(memory)


# --- tickets ---------------------------------------------------------------------------------------

TICKET = Ticket(
    id="t1",
    created=100.0,
    expires=200.0,
    principal="os-user:ada",
    agent="desk",
    session="1",
    server="s",
    method="tools/call",
    target="push",
    args="a",
    parts={},
    definition="d",
    policies="p",
    rules=("p/r",),
    message="",
    shown="{}",
)


def said(verdict: Verdict, by: str, reason: str = "") -> TicketAnswer:
    return TicketAnswer(verdict, by, "terminal", reason=reason)


def test_the_same_call_has_one_ticket_while_it_can_be_answered(make: Callable[[], Any]) -> None:
    store = make()
    assert given_by(store.ask(TICKET)) == TICKET
    again = structs.replace(TICKET, id="t2", created=199.0, expires=299.0)
    assert given_by(make().ask(again)).id == "t1"
    assert given_by(store.ask(structs.replace(again, created=200.0))).id == "t2"
    for number, other in enumerate([{"args": "b"}, {"definition": "e"}, {"policies": "q"}, {"session": "2"}]):
        assert given_by(store.ask(structs.replace(TICKET, id=f"o{number}", **other))).id == f"o{number}"


def test_a_ticket_that_is_not_there_is_none(make: Callable[[], Any]) -> None:
    assert given_by(make().ticket(TICKET)) is None
    given_by(make().ask(TICKET))
    assert given_by(make().ticket(TICKET)) == TICKET


def test_a_ticket_that_waits_is_answered_once(make: Callable[[], Any]) -> None:
    yes, no = (TicketAnswer(verdict, "u:ada", "client") for verdict in ("approved", "denied"))
    given_by(make().ask(TICKET))
    assert not given_by(make().answered("t1", yes, TICKET.expires))
    assert given_by(make().answered("t1", yes, 150.0))
    assert not given_by(make().answered("t1", no, 150.0))
    assert given_by(make().ticket(TICKET)) == structs.replace(TICKET, state="approved", answer=yes)
    assert given_by(make().use("t1", 150.0))


def test_a_ticket_that_waits_cannot_be_used(make: Callable[[], Any]) -> None:
    given_by(make().ask(TICKET))
    assert not given_by(make().use("t1", 150.0))


# --- approvals that last ---------------------------------------------------------------------------

CALL = structs.replace(TICKET, session=name_of(ADA.principal, ADA.agent), parts={"branch": "b", "force": "f"})


def lasting(lasts: Lasting, *free: str) -> TicketAnswer:
    return structs.replace(
        said("approved", "os-user:ada"), lasts=lasts, until=NOW.timestamp() + 500, free=free
    )


def asked(seconds: float = 0.0, **more: Any) -> Ticket:
    now = NOW.timestamp() + seconds
    return structs.replace(CALL, created=now, expires=now + 3000, **more)


def approved(store: Any, answer: TicketAnswer, **more: Any) -> None:
    given_by(store.ask(asked(**more)))
    assert store.answer("t1", answer)


OTHER = {"id": "t2", "args": "b2", "parts": {"branch": "b2", "force": "f"}}


def test_an_approval_for_a_time_is_used_again_until_that_is_over(make: Callable[[], Any]) -> None:
    approved(make(), lasting("time"))
    until = NOW.timestamp() + 500
    assert [given_by(make().use("t1", until - 1 + number / 9)) for number in range(3)] == [1, 2, 3]
    assert given_by(make().ask(asked(499, id="t2"))).id == "t1"
    assert given_by(make().use("t1", until)) == 0
    assert given_by(make().ask(asked(500, id="t2"))).id == "t2"


def test_it_is_found_for_what_differs_in_a_free_argument_only(make: Callable[[], Any]) -> None:
    approved(make(), lasting("time", "branch"))
    assert given_by(make().ask(asked(**OTHER))).id == "t1"
    forced = structs.replace(asked(**OTHER), id="t3", args="f2", parts={"branch": "b2", "force": "f2"})
    assert given_by(make().ask(forced)).id == "t3"
    assert given_by(make().ask(asked(id="t4", policies="q"))).id == "t4"


def test_calls_that_wait_already_go_on_by_it(make: Callable[[], Any]) -> None:
    store: Any = make()
    waiting = given_by(store.ask(asked(**OTHER)))
    left = given_by(store.ask(structs.replace(waiting, id="t3", definition="e")))
    approved(store, lasting("time", "branch"))
    found = given_by(store.ticket(waiting))
    assert (found.id, found.state) == ("t1", "approved")
    assert given_by(store.ticket(left)).state == "waiting"
    assert given_by(store.ticket(asked(id="gone", args="x", parts={}))) is None


def test_one_call_that_was_denied_stays_denied(make: Callable[[], Any]) -> None:
    store: Any = make()
    given_by(store.ask(asked(**OTHER)))
    store.answer("t2", said("denied", "os-user:ada", "No."))
    approved(store, lasting("time", "branch"))
    assert given_by(store.ask(asked(**{**OTHER, "id": "t3"}))).id == "t2"


def test_an_approval_for_the_session_ends_with_it(make: Callable[[], Any]) -> None:
    store: Any = make()
    approved(store, lasting("session", "branch"))
    assert given_by(store.use("t1", NOW.timestamp())) == 1
    assert given_by(make().ask(asked(**OTHER))).id == "t1"
    assert given_by(make().use("t1", NOW.timestamp())) == 2

    def end(session: Session) -> None:
        session.kept = session.kept.ended(NOW.timestamp())

    given_by(make().change(ADA, end))
    assert given_by(make().use("t1", NOW.timestamp())) == 0
    assert given_by(make().ask(asked(**OTHER))).id == "t2"
    assert given_by(make().ask(asked(id="t3"))).id == "t3"


@pytest.mark.parametrize(
    "answer",
    [lasting("time"), lasting("session"), said("approved", "os-user:ada"), said("denied", "os-user:ada")],
)
def test_an_answer_that_a_person_ended_counts_no_more(make: Make, answer: TicketAnswer) -> None:
    store: Any = make()
    approved(store, answer)
    assert store.end("t1")
    assert not store.end("t1")
    assert given_by(make().use("t1", NOW.timestamp())) == 0
    assert given_by(store.ticket(asked())).state == "ended"
    assert given_by(store.ask(asked(id="t2"))).id == "t2"


STEPS = st.tuples(
    st.integers(0, 2),
    st.sampled_from(["ask", "once", "session", "time", "deny", "use", "end", "session ends", "look"]),
    st.integers(0, 1),
    st.integers(0, 1),
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(steps=st.lists(STEPS, max_size=30))
def test_processes_in_any_order_agree_with_the_fake_about_approvals(
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    kind: str,
    steps: list[tuple[int, str, int, int]],
) -> None:
    with making(kind, tmp_path_factory.mktemp("s"), request) as made:
        _agree_about_approvals(made, steps)


def _agree_about_approvals(made: Make, steps: list[tuple[int, str, int, int]]) -> None:
    stores: list[Any] = [made() for _ in range(3)]
    model: Any = MemoryStore()
    asked_about: list[Ticket] = []

    def end(session: Session) -> None:
        session.kept = session.kept.ended(NOW.timestamp())

    for number, (process, what, branch, which) in enumerate(steps):
        call = asked(
            id=f"t{number}", args=f"{branch}{which}", parts={"branch": str(branch), "force": str(which)}
        )
        one = asked_about[-1 - which] if len(asked_about) > which else None
        seen = []
        for store in (stores[process], model):
            if what == "ask":
                seen.append(given_by(store.ask(call)).id)
            elif what == "session ends":
                seen.append(given_by(store.change(ADA, end)))
            elif one is None or one.id not in model.tickets:
                continue
            elif what == "look":
                found = given_by(store.ticket(one))
                seen.append((found.id, found.state, found.uses))
            elif what == "use":
                seen.append(given_by(store.use(one.id, NOW.timestamp())))
            elif what == "end":
                seen.append(store.end(one.id))
            elif what == "deny":
                seen.append(store.answer(one.id, said("denied", "os-user:ada")))
            elif what == "once":
                seen.append(store.answer(one.id, said("approved", "os-user:ada")))
            else:
                lasts: Lasting = "session" if what == "session" else "time"
                seen.append(store.answer(one.id, lasting(lasts, *["branch"][:branch])))
        assert not seen or seen[0] == seen[1], (what, seen)
        if what == "ask" and seen[0] == call.id:
            asked_about.append(call)
    for store in stores:
        store.close()
