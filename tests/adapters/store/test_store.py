"""State that outlives a message: one contract for the file and for the fake of the tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.adapters.system.clock import Uptime
from mcpguard.core.errors import SessionError
from mcpguard.core.model import Charge, Invocation, Principal
from mcpguard.core.policy.session import Session
from mcpguard.core.policy.tickets import Ticket, TicketAnswer, Verdict
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import Store
from tests.fakes import FixedClock, MemoryStore

NOW = datetime.now(UTC)
"""Of today: sessions that ended a month ago are removed."""
ADA = Invocation("i", "tools/call", Principal("ada", "os-user"), NOW, "desk")
DAILY = Charge("p/r calls 1d", "calls", 1, 10, 86_400, "1d")


def later(seconds: float, invocation: Invocation = ADA) -> Invocation:
    return structs.replace(invocation, now=NOW + timedelta(seconds=seconds))


def given_by(wait: Wait[Any]) -> Any:
    """What a wait that is over gave; raises what it failed with."""
    assert wait.done
    try:
        next(wait.__await__())
    except StopIteration as over:
        return over.value
    raise AssertionError


def labels(store: Store, invocation: Invocation = ADA, add: str = "") -> list[str]:
    def change(session: Session) -> list[str]:
        session.add((add,) if add else (), ())
        return list(session.kept.labels)

    found: list[str] = given_by(store.change(invocation, change))
    return found


Make = Callable[[], Store]


@pytest.fixture(params=["sqlite", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes stores that share their state, as processes do."""
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "s", 60, FixedClock(), lambda: Uptime("one", 1.0))
    memory = MemoryStore()
    return lambda: memory


def test_what_was_done_is_there_for_the_next_process(make: Make) -> None:
    assert labels(make(), add="a") == ["a"]
    assert labels(make()) == ["a"]
    assert labels(make(), add="b") == ["a", "b"]


def test_each_principal_with_each_agent_has_a_session(make: Make) -> None:
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


def test_a_change_that_fails_changes_nothing(make: Make) -> None:
    store = make()

    def change(session: Session) -> None:
        session.add(("a",), ())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        given_by(store.change(ADA, change))
    assert labels(store) == []


def test_a_change_that_changes_nothing_is_over_too(make: Make) -> None:
    store = make()
    assert given_by(store.change(ADA, lambda session: session.kept.calls)) == 0
    assert given_by(store.change(ADA, lambda _session: "done")) == "done"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["label", "charge", "look"])), max_size=24))
def test_processes_in_any_order_lose_no_label_and_exceed_no_limit(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("s")
    stores = [SqliteStore(folder, 60, FixedClock(), lambda: Uptime("one", 1.0)) for _ in range(3)]
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


def test_a_change_is_made_again_where_another_process_was_quicker(tmp_path: Path) -> None:
    mine, other = (SqliteStore(tmp_path, 60, FixedClock(), lambda: Uptime("one", 1.0)) for _ in range(2))
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


def test_the_same_call_has_one_ticket_while_it_can_be_answered(make: Make) -> None:
    store = make()
    assert given_by(store.ask(TICKET)) == TICKET
    again = structs.replace(TICKET, id="t2", created=199.0, expires=299.0)
    assert given_by(make().ask(again)).id == "t1"
    assert given_by(store.ask(structs.replace(again, created=200.0))).id == "t2"
    for number, other in enumerate([{"args": "b"}, {"definition": "e"}, {"policies": "q"}, {"session": "2"}]):
        assert given_by(store.ask(structs.replace(TICKET, id=f"o{number}", **other))).id == f"o{number}"


def test_a_ticket_that_is_not_there_is_none(make: Make) -> None:
    assert given_by(make().ticket(TICKET)) is None
    given_by(make().ask(TICKET))
    assert given_by(make().ticket(TICKET)) == TICKET


def test_a_ticket_that_waits_cannot_be_used(make: Make) -> None:
    given_by(make().ask(TICKET))
    assert not given_by(make().use("t1", 150.0))
