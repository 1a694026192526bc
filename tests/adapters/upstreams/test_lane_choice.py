"""Which lane a request goes to, and what all of them have in common."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.upstreams.lane import Lane
from mcpguard.adapters.upstreams.process.environment import Environment
from mcpguard.adapters.upstreams.server import ServerUpstream
from mcpguard.adapters.upstreams.session.connecting import Inheritance
from mcpguard.adapters.upstreams.session.instance import Instance
from mcpguard.adapters.upstreams.supply import CredentialSupply, not_chosen
from mcpguard.adapters.upstreams.wires.wire import WireListener
from mcpguard.core.errors import CredentialError, UpstreamError
from mcpguard.core.model import Permit
from mcpguard.core.policy.placeholders import placeholders_in
from mcpguard.core.secret import CredentialRef, Secret
from mcpguard.gateway.flight import Wait, as_future
from mcpguard.gateway.ports import Recipient
from mcpguard.serve.wiring import _beside
from tests.adapters.credentials.fake_credentials import FakeCredentials, program
from tests.adapters.upstreams.fake_wire import FakeWire, World, legacy, permit

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

URI = "x:1"


class Stage:
    """A server over fake wires. `of` are the wires by the credential of their lane."""

    def __init__(
        self,
        remote: bool = False,
        credentials: FakeCredentials | None = None,
        max_lanes: int = 8,
        idle_seconds: float | None = None,
    ) -> None:
        self.world = World(legacy({"tools": {}}))
        self.of: dict[str, list[FakeWire]] = {}
        self.credentials = credentials or FakeCredentials(a="value-of-a")
        self.turn: Turn = self.world.terms.turn
        supply = CredentialSupply(self.credentials, program())
        self.lanes = ServerUpstream("x", self._lane, supply, self.turn, remote, max_lanes)
        self._idle_seconds = idle_seconds

    def _lane(self, credential: str, first: Lane | None) -> Lane:
        if credential == "nobody":
            raise not_chosen(credential, "x", "env")
        terms = structs.replace(self.world.terms, lane=credential)

        def make(past: Inheritance | None, _changed: Any) -> Instance:
            def wire(listener: WireListener) -> FakeWire:
                made = self.world._make(listener)
                self.of.setdefault(credential, []).append(made)
                return made

            return Instance(
                terms, [wire], past, Environment({}, CredentialSupply(self.credentials, program()))
            )

        past = None if first is None else _beside(first.instance.past)
        return Lane(make, self.turn, past, self._idle_seconds if credential else None)

    def send(self, method: str = "tools/call", credential: str = "", **params: Any) -> Wait[Any]:
        asked = structs.replace(permit(method, **params), credential=credential)
        return self.lanes.request(asked)

    async def sent(self, credential: str, method: str, count: int = 1) -> dict[str, Any]:
        await self.world.until(
            lambda: credential in self.of and self.of[credential][-1].methods().count(method) >= count
        )
        return self.of[credential][-1].last(method)

    async def subscribed(self, credential: str) -> None:
        wait = self.send("resources/subscribe", credential, uri=URI)
        await as_future(wait)
        await self.world.settled()


def staged(test: Any) -> Any:
    async def body() -> None:
        stage = Stage()
        await test(stage)
        await stage.lanes.close(True)

    return body


def with_placeholder(credential: str = "", name: str = "a") -> Permit:
    arguments = {"t": f"{{{{secret:{name}}}}}"}
    asked = permit(name="t", arguments=arguments)
    return structs.replace(asked, credential=credential, placeholders=placeholders_in(arguments))


@staged
async def test_each_request_goes_to_the_lane_of_its_credential(stage: Stage) -> None:
    stage.send()
    await stage.sent("", "tools/call")
    assert list(stage.of) == [""]
    stage.send(credential="write")
    await stage.sent("write", "tools/call")
    assert [len(wires) for wires in stage.of.values()] == [1, 1]
    assert [health.name for health in stage.lanes.healths] == ["x", "x (write)"]
    assert (stage.lanes.capabilities, stage.lanes.modern, stage.lanes.instructions) == (
        {"tools": {}},
        False,
        None,
    )
    with pytest.raises(CredentialError, match="'nobody' cannot be chosen"):
        await as_future(stage.send(credential="nobody"))
    assert len(stage.lanes.healths) == 2


@staged
async def test_what_is_told_to_all_reaches_all(stage: Stage) -> None:
    stage.send()
    stage.send(credential="write")
    await stage.sent("", "tools/call")
    await stage.sent("write", "tools/call")
    stage.lanes.prepare(permit("logging/setLevel", level="debug"))
    stage.lanes.tell("notifications/roots/list_changed", {})
    for credential in ("", "write"):
        assert {"logging/setLevel", "notifications/roots/list_changed"} <= set(
            stage.of[credential][0].methods()
        )
    stage.send(credential="later")
    assert (await stage.sent("later", "logging/setLevel"))["params"] == {"level": "debug"}
    stage.lanes.hold(True)
    assert all(wires[0].held for wires in stage.of.values())
    assert not stage.lanes.full
    stage.of["write"][0].unsent = 1 << 20
    assert stage.lanes.full


@staged
async def test_an_answer_and_a_cancellation_go_to_the_lane_that_they_are_for(stage: Stage) -> None:
    stage.send()
    wait = stage.send(credential="write")
    await stage.sent("", "tools/call")
    await stage.sent("write", "tools/call")
    for credential in ("", "write"):
        stage.of[credential][0].say({"id": 7, "method": "roots/list", "params": {}})
    of_write = stage.world.questions[1]
    of_write.answer({"result": {"roots": []}})
    assert [wire[0].methods().count("answer") for wire in stage.of.values()] == [0, 1]
    stage.lanes.cancel(wait, "cancelled")
    cancelled = [wire[0].methods().count("notifications/cancelled") for wire in stage.of.values()]
    assert cancelled == [0, 1]


@pytest.mark.parametrize(
    ("having", "told"),
    [
        ([], [""]),
        ([""], [""]),
        (["write"], ["write"]),
        (["", "write"], ["", "write"]),
        (["a", "b"], ["a", "b"]),
    ],
)
async def test_the_end_of_a_subscription_is_told_to_who_has_it(having: list[str], told: list[str]) -> None:
    @staged
    async def body(stage: Stage) -> None:
        for credential in ("", *having):
            stage.send(credential=credential)
            await stage.sent(credential, "tools/call")
        for credential in having:
            await stage.subscribed(credential)
        await as_future(stage.send("resources/unsubscribe", uri=URI))
        await stage.world.settled()
        found = [name for name, wires in stage.of.items() if "resources/unsubscribe" in wires[0].methods()]
        assert found == told

    await body()


async def test_no_lane_is_started_to_end_a_subscription() -> None:
    @staged
    async def body(stage: Stage) -> None:
        stage.send()
        await stage.sent("", "tools/call")
        await stage.subscribed("write")
        stage.of["write"][0].listener.ended()
        await stage.world.until(lambda: not stage.lanes._lanes["write"].instance.running)
        await stage.world.settled()
        await as_future(stage.send("resources/unsubscribe", uri=URI))
        assert len(stage.of["write"]) == 1
        stage.lanes._lanes["write"].instance.past.backoff = type("", (), {"remaining": lambda *_: 0.0})()
        stage.send(credential="write")
        await stage.world.until(lambda: len(stage.of["write"]) == 2)
        await stage.sent("write", "tools/call")
        assert "resources/subscribe" not in stage.of["write"][1].methods()

    await body()


async def test_a_server_with_a_url_has_one_lane_and_its_requests_carry_the_credential() -> None:
    stage = Stage(remote=True)
    first = stage.lanes._lanes[""].instance
    first._terms = structs.replace(first._terms, lane=None)
    first._connector._terms = first._terms
    stage.send(credential="write")
    await stage.sent("", "tools/call")
    assert stage.of[""][0].credentials[-1] == "write"
    with pytest.raises(CredentialError, match="it outlives the request"):
        await as_future(stage.send("resources/subscribe", "write", uri=URI))
    await stage.lanes.close(True)


class Instant(FakeCredentials):
    """Values that are had without waiting."""

    def known(self, ref: CredentialRef, to: Recipient) -> Secret | None:
        return self.get(ref, to)


@pytest.mark.parametrize("kind", [FakeCredentials, Instant])
async def test_a_placeholder_is_filled_in_before_the_request_is_sent(kind: type[FakeCredentials]) -> None:
    stage = Stage(credentials=kind(a="value-of-a"))
    stage.lanes.request(with_placeholder())
    stage.lanes.request(with_placeholder("write"))
    for credential in ("", "write"):
        sent = await stage.sent(credential, "tools/call")
        assert sent["params"]["arguments"] == {"t": "value-of-a"}
    await stage.lanes.close(True)


async def test_a_placeholder_that_cannot_be_had_sends_nothing_and_one_that_is_cancelled_neither() -> None:
    @staged
    async def body(stage: Stage) -> None:
        with pytest.raises(CredentialError, match="credential:b"):
            await as_future(stage.lanes.request(with_placeholder(name="b")))
        wait = stage.lanes.request(with_placeholder())
        stage.lanes.cancel(wait, "cancelled")
        await stage.world.settled()
        stage.lanes.request(with_placeholder())
        await asyncio.sleep(0)
        await stage.lanes.close(True)
        assert stage.of == {}

    await body()


async def test_a_process_refuses_a_call_that_is_for_another_credential_or_has_no_value() -> None:
    world = World(legacy())
    world.terms = structs.replace(world.terms, lane="read")
    upstream = Instance(world.terms, [world._make])
    for asked, said in (
        (
            structs.replace(permit(name="t"), credential="write"),
            "this process does not have the credential 'write'",
        ),
        (with_placeholder("read"), "there is not a value for credential:a"),
    ):
        with pytest.raises(CredentialError, match=said):
            await as_future(upstream.request(asked))
    assert "tools/call" not in world.wire.methods()
    await upstream.close(True)


async def test_what_cannot_be_started_for_a_credential_says_for_which() -> None:
    world = World(legacy())
    world.terms = structs.replace(world.terms, lane="read")

    def broken(_listener: WireListener) -> FakeWire:
        raise CredentialError("credential:read is not bound to the principal of this call")

    upstream = Instance(world.terms, [broken])
    with pytest.raises(
        UpstreamError, match=r"^upstream 'x' is not available with the credential 'read': cred"
    ):
        await as_future(upstream.request(permit(name="t")))
    await upstream.close(True)


async def test_a_defect_while_a_placeholder_is_looked_up_refuses_the_call() -> None:
    class Broken(FakeCredentials):
        def get(self, ref: CredentialRef, to: Recipient) -> Secret:
            raise ValueError("a defect")

    stage = Stage(credentials=Broken())
    with pytest.raises(CredentialError, match="could not be looked up"):
        await as_future(stage.lanes.request(with_placeholder()))
    await stage.lanes.close(True)


async def test_a_question_says_which_process_asks() -> None:
    @staged
    async def body(stage: Stage) -> None:
        for credential in ("", "write"):
            stage.send(credential=credential)
            await stage.sent(credential, "tools/call")
            stage.of[credential][0].say({"id": 7, "method": "roots/list", "params": {}})
        assert [question.credential for question in stage.world.questions] == ["", "write"]

    await body()


async def finished(stage: Stage, credential: str) -> None:
    """A call with this credential, from its beginning to its end."""
    before = sum(wire.methods().count("tools/call") for wire in stage.of.get(credential, ()))
    wait = stage.send(credential=credential, name="t")
    await stage.world.until(
        lambda: sum(wire.methods().count("tools/call") for wire in stage.of.get(credential, ())) > before
    )
    wire = stage.of[credential][-1]
    wire.result(wire.last("tools/call")["id"], {"content": []})
    await as_future(wait)


def running(stage: Stage) -> set[str]:
    """The credentials whose lanes have a process."""
    return {name for name, lane in stage.lanes._lanes.items() if name and lane.alive}


async def test_beyond_the_limit_the_process_that_has_been_idle_the_longest_ends() -> None:
    stage = Stage(max_lanes=2, idle_seconds=300.0)
    for credential in ("a", "b", "a", "c"):
        await finished(stage, credential)
    await stage.world.until(lambda: running(stage) == {"a", "c"})
    await finished(stage, "b")
    await stage.world.until(lambda: running(stage) == {"b", "c"})
    await stage.lanes.close(True)


async def test_where_all_are_in_use_a_call_that_needs_one_more_is_refused_and_says_what_would_help() -> None:
    stage = Stage(max_lanes=1, idle_seconds=300.0)
    wait = stage.send(credential="a", name="t")
    asked = await stage.sent("a", "tools/call")
    with pytest.raises(CredentialError) as refused:
        await as_future(stage.send(credential="b", name="t"))
    assert str(refused.value) == (
        "there is no room for a process with the credential 'b': 'x' may have 1 (`max_lanes`), and all are "
        "in use; try again when their calls have finished"
    )
    assert "b" not in stage.of
    stage.of["a"][-1].result(asked["id"], {"content": []})
    await as_future(wait)
    await finished(stage, "b")
    await stage.lanes.close(True)
