"""An entry of a client that is pasted into the configuration: each key of it is taken, or said in our words."""

from __future__ import annotations

from mcpguard.config.servers import TYPES, ServerEntry
from mcpguard.onboarding.conversion import _TYPES
from mcpguard.onboarding.discovery.clients import CLIENTS


def test_each_key_of_a_client_is_a_key_here_or_it_is_said_what_to_write() -> None:
    known = ServerEntry.names().keys() | ServerEntry.elsewhere.keys()
    for client in CLIENTS:
        keys = client.known | {*client.renamed} | {one.way[0] for one in client.timeouts}
        assert keys - {""} - known == set(), client.name


def test_what_is_said_is_about_no_key_that_there_is() -> None:
    assert not ServerEntry.elsewhere.keys() & ServerEntry.names().keys()


def test_each_type_of_a_client_is_said_in_our_words() -> None:
    assert {one: TYPES.get(one, one) for one in _TYPES} == _TYPES
