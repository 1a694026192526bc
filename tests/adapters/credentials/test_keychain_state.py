"""Whether the keychain is unlocked, asked without asking a person."""

import sys
from types import SimpleNamespace

import pytest

from mcpguard.adapters.credentials import keychain


@pytest.mark.parametrize("locked", [True, False])
def test_the_secret_service_says_whether_it_is_unlocked(monkeypatch, locked):
    asked, closed = [], []

    def collection(_bus, alias):
        asked.append(alias)
        return SimpleNamespace(is_locked=lambda: locked)

    service = SimpleNamespace(
        dbus_init=lambda: SimpleNamespace(close=lambda: closed.append(1)), get_collection_by_alias=collection
    )
    monkeypatch.setitem(sys.modules, "secretstorage", service)
    assert keychain.is_unlocked() is not locked
    assert (asked, closed) == (["default"], [1])


def test_where_there_is_none_it_is_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "secretstorage", None)
    assert keychain.is_unlocked() is False
