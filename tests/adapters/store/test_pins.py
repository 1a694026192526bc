"""Definitions of tools and prompts: one contract for both databases and the fake of the tests, and what only a
database has."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mcpguard.adapters.store import pins
from mcpguard.adapters.store.state import SharedState
from mcpguard.core.model import Listed
from mcpguard.core.policy.pins import Hold, Standing
from mcpguard.gateway.ports import Store
from tests.adapters.store.shared import Make, given_by, making
from tests.database import installed


@pytest.fixture
def _ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that tells any two moments apart."""
    moments = iter(range(1_800_000_000, 1_900_000_000))
    monkeypatch.setattr(time, "time", lambda: float(next(moments)))


pytestmark = pytest.mark.usefixtures("_ticking")


def tool(
    name: str = "read", digest: str = "d1", server: str = "one", kind: str = "tool", text: str = "x"
) -> Listed:
    descriptor: dict[str, Any] = {"name": f"{server}__{name}", "description": text}
    return Listed(server, name, f"{server}__{name}", descriptor, {}, digest, kind=kind)


def pin(store: Store, *listed: Listed, hold: Hold = "changed", place: str = "here") -> dict[str, Standing]:
    found: dict[str, Standing] = given_by(store.pin(place, listed, hold))
    return found


def accept(store: SharedState, *digests: str) -> bool:
    return store.accept([one for one in store.pins() if one.digest in digests], "os-user:ada")


def states(store: SharedState) -> list[tuple[str, str, bool]]:
    return [(one.name, one.digest, one.accepted) for one in store.pins()]


def test_the_first_definition_of_a_name_counts_and_another_is_held(make: Callable[[], Any]) -> None:
    assert pin(make(), tool(), tool("push")) == {}
    assert pin(make(), tool(), tool("push")) == {}
    found = pin(make(), tool(digest="d2"), tool("push"))
    assert found == {"read": Standing(held=True, is_new=True, before="d1")}
    assert pin(make(), tool(digest="d2")) == {"read": Standing(held=True)}
    assert pin(make(), tool()) == {}


def test_servers_places_and_kinds_are_told_apart(make: Callable[[], Any]) -> None:
    pin(make(), tool())
    assert pin(make(), tool(digest="d2", server="two")) == {}
    assert pin(make(), tool(digest="d2"), place="there") == {}
    assert pin(make(), tool(digest="d2", kind="prompt")) == {}


def test_what_is_new_is_held_where_that_is_asked_for(make: Callable[[], Any]) -> None:
    assert pin(make(), tool(), hold="all") == {"read": Standing(held=True, is_new=True)}
    assert pin(make(), tool(), hold="all") == {"read": Standing(held=True)}
    assert pin(make(), tool(), hold="report") == {}


def test_a_change_that_is_only_reported_counts_from_then_on(make: Callable[[], Any]) -> None:
    pin(make(), tool(), hold="report")
    assert pin(make(), tool(digest="d2"), hold="report") == {
        "read": Standing(held=False, is_new=True, before="d1")
    }
    assert pin(make(), tool(digest="d2")) == {}


def test_a_name_was_listed_also_where_it_is_written_otherwise(make: Callable[[], Any]) -> None:
    pin(make(), tool("read_file"))
    asked = [("one", "tool", "read_file"), ("one", "tool", "read-file"), ("one", "prompt", "read_file")]
    asked += [("two", "tool", "read_file"), ("one", "tool", "read")]
    assert [given_by(make().has_listed(*one)) for one in asked] == [True, True, False, False, False]


def test_what_a_person_accepts_counts_for_every_process_and_the_other_held_ones_are_gone(
    shared: Make,
) -> None:
    pin(shared(), tool(), tool("push"))
    for digest in ("d2", "d3"):
        pin(shared(), tool(digest=digest), tool("push", digest))
    assert accept(shared(), "d3")
    assert pin(shared(), tool(digest="d3")) == {}
    assert states(shared()) == [(name, digest, True) for name in ("push", "read") for digest in ("d1", "d3")]
    accepted = [(one.by, one.since > 0) for one in shared().pins() if one.digest == "d3"]
    assert accepted == [("os-user:ada", True)] * 2
    found = pin(shared(), tool(digest="d2"))
    assert found == {"read": Standing(held=True, is_new=True, before="d3")}


def test_of_a_tool_that_is_as_it_was_accepted_again_nothing_is_held_any_more(shared: Make) -> None:
    pin(shared(), tool(), tool("push"))
    pin(shared(), tool(digest="d2"), tool("push", "d2"))
    assert pin(shared(), tool(), tool("push", "d2")) == {"push": Standing(held=True)}
    assert [(one.name, one.digest) for one in shared().pins(open_only=True)] == [
        ("push", "d1"),
        ("push", "d2"),
    ]
    found = pin(shared(), tool(digest="d2"))
    assert found == {"read": Standing(held=True, is_new=True, before="d1")}


def test_all_or_nothing_of_what_a_person_chose_is_accepted(shared: Make) -> None:
    pin(shared(), tool(), tool("push"))
    pin(shared(), tool(digest="d2"), tool("push", "d2"))
    chosen = [one for one in shared().pins() if one.digest == "d2"]
    assert shared().accept(chosen[:1], "os-user:ada")
    assert not shared().accept(chosen, "os-user:ada")
    assert ("read", "d2", False) in states(shared())


def test_of_names_that_nothing_is_held_of_nothing_is_shown_where_only_those_are_asked_for(
    shared: Make,
) -> None:
    pin(shared(), tool(), tool("push"))
    assert shared().pins(open_only=True) == []
    pin(shared(), tool(digest="d2"), tool("push"))
    held = [(one.name, one.digest) for one in shared().pins(open_only=True)]
    assert held == [("read", "d1"), ("read", "d2")]


def test_what_is_forgotten_counts_as_the_first_again(shared: Make) -> None:
    pin(shared(), tool(), tool(server="two"))
    pin(shared(), tool(server="two"))
    assert shared().forget("one")
    assert not shared().forget("one")
    assert pin(shared(), tool(digest="d2")) == {}
    assert pin(shared(), tool(digest="d2", server="two"))


def test_the_definition_is_there_to_be_read_with_the_name_that_its_server_gives_it(shared: Make) -> None:
    pin(shared(), tool(text="päth"))
    (one,) = shared().pins()
    assert one.text == '{"description":"päth","name":"read"}'
    assert (one.server, one.place, one.kind, one.by) == ("one", "here", "tool", "")


@pytest.mark.parametrize("own", [False, True], ids=["the same", "each its own"])
def test_of_processes_that_see_a_name_first_at_the_same_time_one_decides(
    own: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with making("postgres" if installed() else "sqlite", tmp_path, request) as made:
        stores = [made() for _ in range(4)]
        waits = [
            store.pin("here", [tool(digest=f"d{at}" if own else "d1")], "changed")
            for at, store in enumerate(stores)
        ]
        held = [bool(given_by(wait)) for wait in waits]
    assert sorted(held) == ([False, True, True, True] if own else [False] * 4)


def test_more_definitions_than_there_is_room_for_are_held(
    shared: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "MOST_NAMES", 3)
    found = pin(shared(), *(tool(f"t{at}") for at in range(5)))
    assert found == {name: Standing(held=True, is_full=True) for name in ("t3", "t4")}
    assert pin(shared(), tool("t4"), hold="report") == {}
    assert [one.name for one in shared().pins()] == ["t0", "t1", "t2"]


def test_what_there_is_no_room_for_waits_for_nobody_who_writes(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "MOST_NAMES", 1)
    with making("sqlite", tmp_path, request) as made:
        store = made()
        pin(store, tool())
        with closing(sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert pin(store, tool("other"), tool(digest="d2")) == dict.fromkeys(
                ("other", "read"), Standing(held=True, is_full=True)
            )


def test_many_definitions_are_stored_with_few_statements(shared: Make) -> None:
    many = [tool(f"t{at}") for at in range(3 * pins._AT_ONCE + 1)]
    assert pin(shared(), *many) == {}
    assert len(shared().pins()) == len(many)


def test_a_server_that_changes_a_definition_again_and_again_pushes_out_neither_what_was_accepted_nor_the_latest(
    shared: Make,
) -> None:
    store = shared()
    pin(store, tool())
    for at in range(pins.MOST_HELD + 3):
        assert pin(store, tool(digest=f"h{at}"))
    held = [digest for _, digest, accepted in states(store) if not accepted]
    assert held == [f"h{at}" for at in range(3, pins.MOST_HELD + 3)]
    assert pin(store, tool()) == {}


def test_of_what_is_accepted_the_latest_are_remembered(shared: Make) -> None:
    store = shared()
    for at in range(pins.MOST_HELD + 2):
        pin(store, tool(digest=f"d{at}"), hold="report")
    assert states(store) == [("read", f"d{at}", True) for at in range(2, pins.MOST_HELD + 2)]


def test_so_many_bytes_of_definitions_are_kept(shared: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "MOST_TEXT", 40)
    monkeypatch.setattr(pins, "MOST_TEXTS", 70)
    pin(shared(), tool("a", text="x" * 100), tool("b", text="x" * 100), tool("c"))
    assert [len(one.text) for one in shared().pins()] == [40, 30, 0]
    pin(shared(), tool("d"))
    assert [one.text for one in shared().pins() if one.name == "d"] == [""]
