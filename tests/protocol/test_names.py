"""Under which name a client knows a tool, and whose tool a name is."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.core.model import Listed
from mcpguard.protocol import names as names_module
from mcpguard.protocol.catalogue import KINDS, Catalogue
from tests.fakes import tool
from tests.protocol.test_catalogue import anything, put, resource
from tests.rows import each


def own(*servers: str) -> Catalogue:
    return Catalogue(servers, "when-needed")


def listed(catalogue: Catalogue, server: str, *names: str, kind: str = "tool") -> None:
    put(catalogue, server, kind, *map(tool, names))


def shown(catalogue: Catalogue, visible: Any = anything, kind: str = "tool") -> list[str]:
    """The client is shown what there is."""
    return catalogue.names(list(catalogue.offered(kind, visible)))


def server_of(catalogue: Catalogue, name: str, kind: str = "tool") -> str | None:
    found = catalogue.find(kind, name)
    return None if found is None else found.server


def without(*hidden: tuple[str, str]) -> Any:
    """What policy shows: all but these tools of these servers."""
    return lambda entry: (entry.server, entry.name) not in hidden


def test_a_name_that_no_other_server_has_stays_and_others_get_the_server_before_them() -> None:
    catalogue = own("a", "b")
    listed(catalogue, "b", "read", "push")
    listed(catalogue, "a", "read", "log")
    assert shown(catalogue) == ["a__read", "log", "b__read", "push"]
    assert server_of(catalogue, "push") == server_of(catalogue, "b__push") == "b"
    assert server_of(catalogue, "a__read") == "a"
    assert server_of(catalogue, "read") is None
    assert server_of(catalogue, "b__log") is None


@pytest.mark.parametrize("servers", [("a",), ("a", "b")])
def test_always_means_that_each_name_has_its_server_before_it(servers: tuple[str, ...]) -> None:
    catalogue = Catalogue(servers, "always")
    listed(catalogue, "a", "read")
    assert shown(catalogue) == ["a__read"]
    assert server_of(catalogue, "read") is None
    assert catalogue.awaited("tool", "read") == []
    assert catalogue.settle("tool", "read", anything) is None


def test_one_server_that_keeps_its_names_is_found_by_full_ones_too() -> None:
    catalogue = own("a")
    listed(catalogue, "a", "read")
    assert shown(catalogue) == ["read"]
    assert server_of(catalogue, "read") == server_of(catalogue, "a__read") == "a"


def test_tools_and_prompts_do_not_share_names_and_uris_have_none() -> None:
    catalogue = own("a", "b")
    listed(catalogue, "a", "read")
    listed(catalogue, "b", "read", kind="prompt")
    put(catalogue, "b", "resource", resource("file:///x"))
    assert shown(catalogue) == shown(catalogue, kind="prompt") == ["read"]
    assert shown(catalogue, kind="resource") == ["file:///x"]
    assert shown(catalogue, kind="template") == []
    assert (server_of(catalogue, "read"), server_of(catalogue, "read", "prompt")) == ("a", "b")


@each("name", ["my-srv__read", "my_srv__read", "my-srv..read", "MY-SRV__read", "b__x"])
def test_a_name_that_a_client_may_take_for_one_with_a_server_before_it_always_gets_its_own(name: str) -> None:
    catalogue = own("my-srv", "b")
    listed(catalogue, "b", name)
    assert shown(catalogue) == [f"b__{name}"]
    assert catalogue.find("tool", name) is None
    assert catalogue.settle("tool", name, anything) is None
    assert catalogue.settle("tool", name, without(("b", name))) in (
        None,
        catalogue.find("tool", f"b__{name}"),
    )
    assert server_of(catalogue, f"b__{name}") == "b"


@pytest.mark.parametrize("other", ["read-file", "Read_File", "read.file", "\uff52ead_file"])
def test_names_that_a_client_may_write_alike_are_one_name(other: str) -> None:
    catalogue = own("a", "b")
    listed(catalogue, "a", "read_file")
    listed(catalogue, "b", other)
    assert shown(catalogue) == ["a__read_file", f"b__{other}"]
    assert server_of(catalogue, "read_file") is server_of(catalogue, other) is None
    assert catalogue.alike("tool", "READ_FILE", anything) == ["a__read_file", f"b__{other}"]


def test_one_server_may_have_two_names_that_are_alike() -> None:
    catalogue = own("a", "b")
    listed(catalogue, "a", "x.y", "x_y")
    assert shown(catalogue) == ["x.y", "x_y"]
    assert catalogue.alike("tool", "X-Y", anything) == ["x.y", "x_y"]
    assert server_of(catalogue, "X-Y") is None


# --- one name, over time -------------------------------------------------------------------------


def test_a_late_namesake_takes_nothing_from_who_was_shown_before_and_gets_nothing() -> None:
    catalogue = own("a", "b")
    listed(catalogue, "a", "read")
    assert shown(catalogue) == ["read"]
    listed(catalogue, "b", "read")
    assert server_of(catalogue, "read") == "a"  # As the client was told.
    assert shown(catalogue) == ["a__read", "b__read"]
    assert server_of(catalogue, "read") is None


def test_a_call_of_another_spelling_takes_no_name_from_who_was_shown_it() -> None:
    catalogue = own("a", "b")
    listed(catalogue, "a", "read")
    shown(catalogue)
    listed(catalogue, "b", "read", "READ")
    assert catalogue.settle("tool", "READ", anything) is None
    assert catalogue.alike("tool", "READ", anything) == ["read", "b__read", "b__READ"]
    assert server_of(catalogue, "read") == "a"


def test_who_stops_listing_a_name_leaves_it_to_nobody() -> None:
    catalogue = own("a", "b")
    listed(catalogue, "a", "read")
    shown(catalogue)
    listed(catalogue, "a")
    assert catalogue.find("tool", "read") is None
    listed(catalogue, "b", "read")
    assert catalogue.find("tool", "read") is None
    assert catalogue.settle("tool", "read", anything) is None
    assert catalogue.alike("tool", "read", anything) == ["b__read"]
    assert shown(catalogue) == ["b__read"]
    listed(catalogue, "a", "read")
    listed(catalogue, "b")
    assert shown(catalogue) == ["a__read"]


def test_what_was_dropped_before_anybody_saw_it_leaves_its_name_free() -> None:
    catalogue = own("a", "b")
    listed(catalogue, "a", "read")
    listed(catalogue, "a")
    listed(catalogue, "b", "read")
    assert shown(catalogue) == ["read"]


def test_a_name_that_nobody_was_shown_waits_for_all_who_could_have_it() -> None:
    catalogue = own("a", "b")
    assert catalogue.awaited("tool", "read") == ["a", "b"]
    assert catalogue.awaited("tool", "b__read") == ["b"]
    listed(catalogue, "b", "read")
    assert catalogue.awaited("tool", "read") == ["a"]
    assert catalogue.find("tool", "read") is None
    listed(catalogue, "a")
    found = catalogue.settle("tool", "read", anything)
    assert found is not None
    assert (found.server, catalogue.awaited("tool", "read")) == ("b", [])
    assert server_of(catalogue, "read") == "b"


def test_a_name_that_was_shown_waits_for_nobody() -> None:
    catalogue = own("a", "b")
    listed(catalogue, "b", "read")
    shown(catalogue)
    assert catalogue.awaited("tool", "read") == catalogue.awaited("tool", "Read") == []
    assert catalogue.awaited("tool", "a.._x") == []
    assert catalogue.awaited("tool", "other") == ["a"]


def test_a_name_of_two_that_nobody_was_shown_is_nobodys() -> None:
    catalogue = own("a", "b")
    listed(catalogue, "a", "read")
    listed(catalogue, "b", "read")
    assert catalogue.settle("tool", "read", anything) is None
    assert shown(catalogue) == ["a__read", "b__read"]


def test_only_so_many_names_of_a_server_are_remembered_and_then_it_has_full_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(names_module, "MOST_NAMES", 3)
    catalogue = own("a", "b")
    listed(catalogue, "a", "x0", "read")
    for turn in range(3):
        listed(catalogue, "b", f"x{turn}", f"y{turn}")
        shown(catalogue)
    listed(catalogue, "b", "x0", "read", "y9")
    # It still stands for what it was shown, and takes nothing more.
    assert shown(catalogue) == ["a__x0", "read", "b__x0", "b__read", "b__y9"]
    assert server_of(catalogue, "read") == "a"
    assert catalogue.settle("tool", "y9", anything) is None
    assert catalogue.alike("tool", "y9", anything) == ["b__y9"]


# --- what policy hides ---------------------------------------------------------------------------


def test_what_is_hidden_takes_no_name_and_no_name_tells_of_it() -> None:
    catalogue, visible = own("a", "b"), without(("b", "read"))
    listed(catalogue, "a", "read")
    listed(catalogue, "b", "read")
    found = catalogue.settle("tool", "read", visible)
    assert found is not None
    assert found.server == "a"
    assert shown(catalogue, visible) == ["read"]
    assert catalogue.alike("tool", "Read", visible) == ["read"]


def test_a_hidden_tool_that_is_called_is_given_for_the_record_where_nobody_else_has_the_name() -> None:
    catalogue, visible = own("a", "b"), without(("a", "read"), ("b", "read"), ("b", "Read"))
    listed(catalogue, "b", "Read", "read")
    listed(catalogue, "a", "read")
    hidden: Listed | None = catalogue.settle("tool", "read", visible)
    assert hidden is not None
    assert (hidden.server, hidden.name) == ("b", "read")
    assert catalogue.alike("tool", "read", visible) == []
    assert catalogue.find("tool", "read") is None
    assert catalogue.settle("tool", "a__other", visible) is None


def test_what_becomes_visible_later_takes_nothing_from_who_was_shown_before() -> None:
    catalogue = own("a", "b")
    listed(catalogue, "a", "read")
    listed(catalogue, "b", "read")
    assert shown(catalogue, without(("b", "read"))) == ["read"]
    assert shown(catalogue, without(("a", "read"))) == ["b__read"]
    assert catalogue.settle("tool", "read", without(("a", "read"))) is None
    assert shown(catalogue, without(("b", "read"))) == ["a__read"]


def test_resources_of_a_client_with_one_server_need_not_be_listed() -> None:
    assert Catalogue(("a",), "always").resource("file:///x", anything) is not None
    assert own("a").resource("file:///x", anything) is not None
    assert KINDS["tool"].id_key == "name"
