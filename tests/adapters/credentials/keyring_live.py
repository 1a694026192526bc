"""Runs inside a private D-Bus session with a real GNOME Keyring (see test_keychain_live.py).

It talks to the command as a person would, and holds the keychain source to the contract. An assertion
that fails is this program's exit.
"""

from __future__ import annotations

import json

import keyring
import pytest
import secretstorage

from mcpguard.adapters.credentials import KEYRING_SECONDS
from mcpguard.adapters.credentials.broker import Broker
from mcpguard.adapters.credentials.keychain import Keychain
from mcpguard.adapters.credentials.oauth.grants import Grant, Grants
from mcpguard.config.loading import Credential
from mcpguard.core.errors import CredentialError
from mcpguard.core.model import Principal
from mcpguard.core.secret import CredentialRef
from mcpguard.gateway.ports import Recipient
from tests.adapters.credentials.credential_contract import CONTRACT, VALUE, Setting
from tests.adapters.credentials.fake_credentials import FakeGuard, Hand
from tests.wire.warm import command

PLAIN = CredentialRef("keyring", "github/read")
ENTRY = CredentialRef("credential", "key")
NOW = Hand()
TO = Recipient("s", None, Principal("ada", "os-user"))


def mcpguard(*words: str, typed: str = "") -> tuple[int, str, str]:
    done = command(*words, typed=typed)
    said, complained = done.stdout.decode(), done.stderr.decode()
    assert VALUE not in said + complained
    return done.returncode, said, complained


def command_round_trip() -> None:
    assert mcpguard("secret", "list", "--json") == (0, "[]\n", "")
    code, said, _ = mcpguard("secret", "set", "github/read", typed=VALUE + "\n")
    assert (code, said) == (0, "stored: refer to it in a configuration as ${keyring:github/read}\n")
    assert mcpguard("secret", "set", "linear", typed="value-1234")[0] == 0
    assert json.loads(mcpguard("secret", "list", "--json")[1]) == ["github/read", "linear"]
    assert mcpguard("secret", "rm", "linear")[0] == 0
    code, _, said = mcpguard("secret", "rm", "linear")
    assert (code, "is not in the keychain" in said) == (2, True)
    assert mcpguard("secret", "list")[1] == "github/read\n"


def contract() -> None:
    setting = Setting(
        Keychain(), CredentialRef("keyring", "github/read"), CredentialRef("keyring", "github/none")
    )
    for promise in CONTRACT:
        promise(setting)


def entry_broker() -> Broker:
    entry = Credential(name="key", kind="value", made="${keyring:github/read}", servers=frozenset({"s"}))
    return Broker({"key": entry}, {"s": frozenset({PLAIN})}, FakeGuard(), now=NOW)


def rotation() -> None:
    broker = entry_broker()
    for ref in (PLAIN, ENTRY):
        assert broker.get(ref, TO).reveal() == VALUE
    mcpguard("secret", "set", "github/read", typed="rotated-1234")
    NOW.at += KEYRING_SECONDS
    for ref in (PLAIN, ENTRY):
        assert broker.get(ref, TO).reveal() == "rotated-1234"
    assert mcpguard("secret", "rm", "github/read")[0] == 0
    NOW.at += KEYRING_SECONDS
    for ref in (PLAIN, ENTRY):
        assert refusal(broker, ref).startswith("keyring:github/read is not in the keychain")
    mcpguard("secret", "set", "github/read", typed=VALUE)


def refusal(broker: Broker, ref: CredentialRef) -> str:
    try:
        broker.get(ref, TO)
    except CredentialError as problem:
        return str(problem)
    raise AssertionError(f"{ref} was given")


def login() -> None:
    """What a login leaves can be large: both tokens as long as they may be."""
    grants = Grants()
    tokens = {"access": "a" * 16384, "refresh": "r" * 16384, "ends_at": 1.5}
    url = "https://mcp.example/mcp"
    grant = Grant(url=url, resource=url, issuer=url, token_endpoint=url, client_id="x", **tokens)
    grants.write("linear", grant)
    kept = grants.read("linear")
    assert kept is not None
    assert (kept.access, kept.refresh, kept.ends_at) == tuple(tokens.values())
    assert "oauth/linear" in Keychain().names()
    grants.forget("linear")
    assert grants.read("linear") is None


def locked() -> None:
    broker = entry_broker()
    for collection in secretstorage.get_all_collections(secretstorage.dbus_init()):
        collection.lock()
    for words in (("list",), ("set", "github/read"), ("rm", "github/read")):
        code, _, said = mcpguard("secret", *words, typed="value-1234")
        assert code == 2, said
        assert "the keychain is locked or cannot be reached: unlock it" in said
    assert not Keychain().has(PLAIN)
    for ref in (PLAIN, ENTRY):
        assert "the keychain is locked or cannot be reached: unlock it" in refusal(broker, ref)
    with pytest.raises(CredentialError, match="the keychain is locked"):
        Grants().read("linear")


if __name__ == "__main__":
    assert type(keyring.get_keyring()).__module__ == "keyring.backends.SecretService"
    command_round_trip()
    contract()
    rotation()
    login()
    locked()
    print("live keyring: all well")
