"""Whatever servers list, in whichever order, and whatever policy hides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mcpguard.core.model import Listed
from mcpguard.protocol.catalogue import Catalogue
from mcpguard.protocol.names import alike
from tests.fakes import tool
from tests.protocol.test_catalogue import put

SERVERS = ("a", "b", "my-srv")
NAMES = ("read", "Read", "re.ad", "re_ad", "a__read", "a..read", "my_srv__x", "__", "b_", "x")

LISTS = st.tuples(
    st.just("list"),
    st.sampled_from(SERVERS),
    st.dictionaries(st.sampled_from(NAMES), st.booleans(), max_size=4),
)
"""A server lists these tools, each of which the client may see or not."""
LOOKS = st.tuples(st.just("look"), st.just(""), st.just({}))
CALLS = st.tuples(st.just("call"), st.sampled_from((*NAMES, "a__x", "b__read", "my-srv__re_ad")), st.just({}))
STEPS = st.lists(st.one_of(LISTS, LOOKS, CALLS), max_size=25)


class Client:
    """A client of a catalogue, and what it learns."""

    def __init__(self, *, with_hidden: bool) -> None:
        self.catalogue = Catalogue(SERVERS, "when-needed")
        self.with_hidden = with_hidden
        self.seen: list[object] = []
        self.owners: dict[str, set[str]] = {}
        self._visible: dict[tuple[str, str], bool] = {}

    def visible(self, entry: Listed) -> bool:
        return self._visible[entry.server, entry.name]

    def step(self, what: str, name: str, tools: dict[str, bool]) -> None:
        if what == "list":
            self._visible.update({(name, one): shown for one, shown in tools.items()})
            kept = [tool(one) for one, shown in tools.items() if shown or self.with_hidden]
            put(self.catalogue, name, "tool", *kept)
        elif what == "look":
            self._look()
        else:
            self._call(name)

    def _look(self) -> None:
        entries = list(self.catalogue.offered("tool", self.visible))
        names = self.catalogue.names(entries)
        self.seen.append(names)
        assert len(set(names)) == len(names)
        for entry, name in zip(entries, names, strict=True):
            assert self.catalogue.find("tool", name) is entry
            assert self.catalogue.find("tool", entry.exposed) is entry
            if name != entry.exposed:
                self.owners.setdefault(alike(name), set()).add(entry.server)

    def _call(self, name: str) -> None:
        ready = not self.catalogue.awaited("tool", name)
        found = self.catalogue.find("tool", name)
        if found is None and ready:
            found = self.catalogue.settle("tool", name, self.visible)
        reached = None if found is None or not self.visible(found) else (found.server, found.name)
        if ready:
            self.seen.append((name, reached))
        if reached is not None and found is not None and name != found.exposed:
            self.owners.setdefault(alike(name), set()).add(found.server)


@given(STEPS)
def test_an_own_name_is_only_ever_the_same_servers_and_every_full_name_is_found(steps: list[object]) -> None:
    client = Client(with_hidden=True)
    for step in steps:
        client.step(*step)  # type: ignore[misc]
    assert all(len(servers) == 1 for servers in client.owners.values())


@given(STEPS)
def test_a_client_cannot_tell_what_is_hidden_from_what_is_not_there(steps: list[object]) -> None:
    everything, clean = Client(with_hidden=True), Client(with_hidden=False)
    for step in steps:
        everything.step(*step)  # type: ignore[misc]
        clean.step(*step)  # type: ignore[misc]
    assert everything.seen == clean.seen


@given(STEPS, st.permutations(SERVERS))
def test_the_order_in_which_servers_first_list_changes_no_name(
    steps: list[tuple[str, str, dict[str, bool]]], order: list[str]
) -> None:
    lists = {name: tools for what, name, tools in steps if what == "list"}
    one, other = Client(with_hidden=True), Client(with_hidden=True)
    for server in SERVERS:
        one.step("list", server, lists.get(server, {}))
    for server in order:
        other.step("list", server, lists.get(server, {}))
    for client in (one, other):
        client.step("look", "", {})
    assert one.seen == other.seen
