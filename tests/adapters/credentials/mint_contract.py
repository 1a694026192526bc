"""What the broker promises of every kind of entry of `credentials` (`ports.Mint` under `ports.Credentials`).

To hang a kind into it: a function that gives a `MintSetting`, and its name in `SETTINGS` of
`test_mint_contract.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from mcpguard.adapters.credentials import MINTS, SOURCES, MintKind
from mcpguard.adapters.credentials.broker import Broker
from mcpguard.config.loading import Credential
from mcpguard.core.errors import CredentialError
from mcpguard.core.model import Principal
from mcpguard.core.secret import CredentialRef, Secret
from mcpguard.gateway.ports import CredentialSource, Recipient
from tests.adapters.credentials.fake_credentials import FakeGuard, Hand

REF = CredentialRef("credential", "key")
ADA = Principal("ada", "os-user")
TO = Recipient("s", "api.example", ADA)
MANY = 12


class MintSetting(NamedTuple):
    """A source in the hand of a test. `made` is the field `kind` of the entry. `asked()` counts what the source
    was asked for new values; `rotate()` makes it give another value from now on, `fail()` makes it fail until
    `mend()`. `issued()` are values that are still good at the source, None where it cannot end one."""

    kind: str
    made: Any
    asked: Callable[[], int]
    rotate: Callable[[], None]
    fail: Callable[[], None]
    mend: Callable[[], None]
    issued: Callable[[], int] | None = None
    kinds: Mapping[str, MintKind] = MINTS
    sources: Mapping[str, CredentialSource] = {name: kind.source() for name, kind in SOURCES.items()}
    servers: tuple[str, ...] = ("s",)


class Scene:
    """A broker with the entry, and what the redactor holds."""

    def __init__(self, setting: MintSetting) -> None:
        self.now = Hand()
        self.guard = FakeGuard()
        self.held = self.guard.held
        self.said: list[str] = []
        entry = Credential(
            name="key",
            kind=setting.kind,
            made=setting.made,
            servers=frozenset(setting.servers),
            hosts=frozenset({"api.example"}),
            principals=("ada",),
        )
        self.broker = Broker(
            {"key": entry},
            {},
            self.guard,
            lambda _server, line: self.said.append(line),
            self.now,
            setting.sources,
            setting.kinds,
        )

    def get(self, to: Recipient = TO) -> Secret:
        return self.broker.get(REF, to)

    def value(self) -> str:
        return self.get().reveal()

    def refusal(self, to: Recipient = TO) -> str:
        with pytest.raises(CredentialError) as caught:
            self.get(to)
        said = str(caught.value)
        assert str(REF) in said or any(f"{source}:" in said for source in SOURCES)
        assert len(said.split()) > 4
        assert not any(value in said for value in self.held)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return said


def gives_a_value_that_the_redactor_holds_already(setting: MintSetting) -> None:
    scene = Scene(setting)
    assert scene.value() in scene.held


def asks_the_source_once_for_many_at_once(setting: MintSetting) -> None:
    """A kind that keeps nothing asks for each use, and still not once for each of many at once."""
    scene = Scene(setting)
    with ThreadPoolExecutor(MANY) as pool:
        values = {wait.result(30) for wait in [pool.submit(scene.value) for _ in range(MANY)]}
    assert len(values) == 1
    if setting.kinds[setting.kind].keep:
        assert setting.asked() == 1


def gives_nothing_to_whom_it_is_not_bound(setting: MintSetting) -> None:
    """And the source is not even asked."""
    scene = Scene(setting)
    for other in (
        Recipient("other", "api.example", ADA),
        Recipient("s", "evil.example", ADA),
        Recipient("s", "api.example", Principal("eve", "os-user")),
    ):
        assert "is not bound to" in scene.refusal(other)
        with pytest.raises(CredentialError):
            scene.broker.refused(REF, other)
    assert setting.asked() == 0


def gives_a_new_one_after_the_last_was_refused(setting: MintSetting) -> None:
    scene = Scene(setting)
    first = scene.get()
    setting.rotate()
    scene.broker.refused(REF, TO, first)
    assert scene.value() != first.reveal()


def keeps_no_value_beyond_its_time(setting: MintSetting) -> None:
    """A removed or replaced credential bites at the latest when the kept one is over."""
    scene = Scene(setting)
    first = scene.value()
    setting.rotate()
    remaining = scene.broker.remaining(REF, TO)
    scene.now.at += 301 if remaining is None else remaining + 1
    assert scene.value() != first


def names_what_cannot_be_had_and_works_again_when_it_can(setting: MintSetting) -> None:
    scene = Scene(setting)
    setting.fail()
    scene.refusal()
    scene.refusal()
    setting.mend()
    scene.now.at += 2
    assert scene.value() in scene.held


def leaves_nothing_issued_at_the_end(setting: MintSetting) -> None:
    scene = Scene(setting)
    first = scene.get()
    scene.broker.refused(REF, TO, first)
    scene.get()
    assert setting.issued is None or setting.issued() > 0
    scene.broker.close()
    assert setting.issued is None or setting.issued() == 0
    assert scene.said == []
    assert "ending" in scene.refusal()


CONTRACT: tuple[Callable[[MintSetting], None], ...] = (
    gives_a_value_that_the_redactor_holds_already,
    asks_the_source_once_for_many_at_once,
    gives_nothing_to_whom_it_is_not_bound,
    gives_a_new_one_after_the_last_was_refused,
    keeps_no_value_beyond_its_time,
    names_what_cannot_be_had_and_works_again_when_it_can,
    leaves_nothing_issued_at_the_end,
)
