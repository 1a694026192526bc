"""Leases are renewed while a process or an open call uses them, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.upstreams import lane as lanes
from mcpguard.adapters.upstreams import supply as supplying
from mcpguard.adapters.upstreams.lane import Lane
from mcpguard.adapters.upstreams.process.environment import Environment
from mcpguard.adapters.upstreams.session.connecting import Inheritance
from mcpguard.adapters.upstreams.session.instance import Instance
from mcpguard.adapters.upstreams.session.open_requests import OpenRequest
from mcpguard.adapters.upstreams.supply import CredentialSupply
from mcpguard.adapters.upstreams.wires.wire import WireListener
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import CredentialRef, Secret, parse_template
from mcpguard.gateway.flight import as_future
from mcpguard.gateway.ports import Recipient
from tests.adapters.credentials.fake_credentials import FakeCredentials, program
from tests.adapters.upstreams.fake_wire import FakeWire, World, legacy, permit

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

OWN, OTHER = CredentialRef("credential", "own"), CredentialRef("credential", "other")


class Leased(FakeCredentials):
    """Each value has a lease that is due at once, `rounds` times."""

    def __init__(self, rounds: int = 3) -> None:
        super().__init__(own="own-value", other="other-value")
        self.rounds = rounds
        self.renewed: list[CredentialRef] = []
        self.over = False
        self.error: CredentialError | None = None

    def known(self, ref: CredentialRef, to: Recipient) -> Secret | None:
        return self.get(ref, to)

    def due(self, ref: CredentialRef, to: Recipient) -> float | None:
        return 0.0 if len(self.renewed) < self.rounds else None

    def renew(self, ref: CredentialRef, to: Recipient) -> None:
        self.renewed.append(ref)
        if self.error is not None:
            raise self.error

    def remaining(self, ref: CredentialRef, to: Recipient) -> float | None:
        return 0.0 if self.over else 1000.0


class Stage:
    """A lane of a program with `env`, or with `sent_with` one of a server with a `url`."""

    def __init__(
        self,
        credentials: Leased,
        env: str | None = "${credential:own}",
        sent_with: Mapping[str, tuple[CredentialRef, ...]] | None = None,
        asks_again: bool = False,
    ) -> None:
        self.world = World(legacy({"tools": {}}))
        self.said: list[str] = []
        self.noted: list[tuple[str, str]] = []
        supply = CredentialSupply(credentials, program())

        def make(past: Inheritance | None, changed: Callable[[], None]) -> Instance:
            environment = None if env is None else Environment({"T": parse_template(env)}, supply)

            def wire(listener: WireListener) -> FakeWire:
                made, opened = self.world._make(listener), FakeWire.open

                async def open_it() -> None:
                    if environment is not None:
                        await environment.resolve()
                    await opened(made)

                made.open = open_it  # type: ignore[method-assign]
                return made

            terms = structs.replace(
                self.world.terms,
                changed=changed,
                lane=None if env is None else "",
                report=lambda _name, line: self.said.append(line),
                noted=lambda what, detail: self.noted.append((what, detail)),
            )
            return Instance(terms, [wire], past, environment)

        turn = self.world.terms.turn
        self.lane = Lane(make, turn, None, None, supply, sent_with=sent_with, asks_again=asks_again)

    async def call(self, **values: str) -> OpenRequest:
        """An open call, at the server."""
        call = OpenRequest("tools/call", permit(name="t"))
        call.values = {CredentialRef("credential", name): Secret(value) for name, value in values.items()}
        before = self._sent()
        self.lane.send(call)
        while self._sent() == before:
            await asyncio.sleep(0)
        return call

    def _sent(self) -> int:
        return sum(wire.methods().count("tools/call") for wire in self.world.wires)

    async def answer(self, call: OpenRequest, **result: Any) -> None:
        wire = self.world.wires[-1]
        wire.result(wire.last("tools/call")["id"], result)
        await as_future(call)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supplying, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(lanes, "LEAST_SECONDS", 0.0)


async def eventually(found: Callable[[], bool]) -> None:
    while not found():
        await asyncio.sleep(0)


async def test_the_lease_of_a_process_is_renewed_under_an_open_call_and_between_calls() -> None:
    credentials = Leased(rounds=2)
    stage = Stage(credentials)
    call = await stage.call()
    await eventually(lambda: credentials.renewed == [OWN, OWN])
    assert not call.done
    await stage.answer(call)
    credentials.rounds = 4
    stage.lane._renew((OWN,))
    await eventually(lambda: len(credentials.renewed) == 4)
    assert len(stage.world.wires) == 1
    await stage.lane.close(True)


async def test_a_process_without_a_call_for_long_lets_its_lease_end(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = Leased(rounds=0)
    stage = Stage(credentials)
    await stage.answer(await stage.call())
    monkeypatch.setattr(lanes, "KEEP_SECONDS", 0.0)
    credentials.rounds = 9
    stage.lane._renew((OWN,))
    assert stage.lane._in_use() == ()
    call = await stage.call()  # Who calls it uses it again.
    await eventually(lambda: len(credentials.renewed) == 9)
    await stage.answer(call)
    await stage.lane.close(True)
    assert stage.world.wires[0].closed


async def test_the_lease_of_a_placeholder_is_renewed_while_its_call_is_open() -> None:
    credentials = Leased(rounds=3)
    stage = Stage(credentials, env="plain")
    assert stage.lane.endless
    call = await stage.call(other="other-value")
    await eventually(lambda: credentials.renewed == [OTHER] * 3)
    await stage.answer(call)
    assert stage.lane._in_use() == ()
    await stage.lane.close(True)


async def test_what_is_sent_with_a_request_to_a_url_is_renewed_while_it_is_open() -> None:
    credentials = Leased(rounds=3)
    stage = Stage(credentials, env=None, sent_with={"": (OWN, CredentialRef("file", "x")), "b": (OTHER,)})
    assert not stage.lane.endless
    call = await stage.call()
    await eventually(lambda: credentials.renewed == [OWN] * 3)
    await stage.answer(call)
    assert stage.lane._in_use() == ()
    await stage.lane.close(True)


async def test_what_is_not_for_the_server_any_more_is_not_renewed_and_nothing_breaks() -> None:
    credentials = Leased(rounds=2)
    credentials.error = CredentialError("credential:own is not bound to the server 's'")
    stage = Stage(credentials)
    call = await stage.call()
    await eventually(lambda: len(credentials.renewed) == 2)
    await stage.answer(call)
    await stage.lane.close(True)


async def test_a_lease_that_ends_under_an_open_call_is_reported() -> None:
    credentials = Leased(rounds=0)
    stage = Stage(credentials)
    first, second = await stage.call(), await stage.call()
    credentials.over = True
    stage.lane._lease_over()
    said = "credential:own has ended at its source, and calls or tasks that use it have not"
    assert stage.said == [said]
    assert ("credential-expired", said) in stage.noted
    assert not first.done
    await stage.answer(second)
    await stage.lane.close(True)


async def test_a_process_stays_after_its_lease_where_the_source_may_give_the_same_value_again() -> None:
    credentials = Leased(rounds=0)
    stage = Stage(credentials, asks_again=True)
    await stage.answer(await stage.call())
    credentials.over = True
    stage.lane._lease_over()
    await stage.answer(await stage.call())
    assert len(stage.world.wires) == 1
    credentials.values["own"] = "another-value"
    await stage.answer(await stage.call())
    assert len(stage.world.wires) == 2
    await stage.lane.close(True)


async def test_a_later_look_brings_a_renewal_forward_and_never_puts_it_off() -> None:
    asked: list[tuple[CredentialRef, ...]] = []

    class Supply(CredentialSupply):
        left = 1000.0

        def due(self, refs: Any) -> float | None:
            return self.left

        async def renew(self, refs: Any) -> None:
            asked.append(tuple(refs))
            self.left = 1000.0

    supply = Supply(FakeCredentials(), program())
    one = supplying.LeaseRenewal(supply, lambda: (OWN,))
    one.look((OWN,))
    supply.left = 0.0
    one.look((OWN,))
    supply.left = 2000.0
    one.look((OWN,))
    await eventually(lambda: asked == [(OWN,)])
    await one.close()
