"""When the process of a lane takes a call, gives way to another one, and ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.upstreams import lane as lanes
from mcpguard.adapters.upstreams.lane import Lane
from mcpguard.adapters.upstreams.process.environment import Environment
from mcpguard.adapters.upstreams.session.connecting import Inheritance, no_past
from mcpguard.adapters.upstreams.session.instance import Instance
from mcpguard.adapters.upstreams.session.life import Backoff
from mcpguard.adapters.upstreams.session.open_requests import OpenRequest
from mcpguard.adapters.upstreams.supply import CredentialSupply
from mcpguard.adapters.upstreams.wires.wire import WireListener
from mcpguard.core.errors import CredentialError, UpstreamError
from mcpguard.core.secret import CredentialRef, Secret, parse_template
from mcpguard.gateway.flight import as_future
from mcpguard.gateway.ports import Recipient
from tests.adapters.credentials.fake_credentials import FakeCredentials, program
from tests.adapters.upstreams.fake_wire import FakeWire, World, legacy, permit

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

HELD = legacy()


class Known(FakeCredentials):
    """Credentials that are had without waiting, and whose leases end `left` seconds from now."""

    left: float | None = None

    def known(self, ref: CredentialRef, to: Recipient) -> Secret | None:
        return self.get(ref, to) if ref.name in self.values else None

    def remaining(self, ref: CredentialRef, to: Recipient) -> float | None:
        return self.left


class Stage:
    """A lane over fake wires: `wires` are its processes, the oldest first."""

    def __init__(
        self, credentials: FakeCredentials, idle: float | None = None, env: str = "${file:A}"
    ) -> None:
        self.world = World(HELD)
        self.credentials = credentials
        self.given: list[dict[str, str]] = []
        turn: Turn = self.world.terms.turn

        def make(past: Inheritance | None, changed: Callable[[], None]) -> Instance:
            environment = Environment({"T": parse_template(env)}, CredentialSupply(credentials, program()))

            def wire(listener: WireListener) -> FakeWire:
                made = self.world._make(listener)
                opened = made.open

                async def open_it() -> None:
                    self.given.append({"T": (await environment.resolve())["T"]})
                    await opened()

                made.open = open_it  # type: ignore[method-assign]
                return made

            terms = self.world.terms

            def told() -> None:
                changed()
                self.world.stir()

            return Instance(structs.replace(terms, changed=told), [wire], past, environment)

        past = no_past(self.world.terms, Backoff(lambda: 0.0))
        self.lane = Lane(make, turn, past, idle)

    @property
    def wires(self) -> list[FakeWire]:
        return self.world.wires

    def call(self) -> OpenRequest:
        call = OpenRequest("tools/call", permit(name="t"))
        self.lane.send(call)
        return call

    async def calls(self, wire: int, count: int = 1) -> None:
        """Wait until so many calls have come to a process."""
        await self.world.until(
            lambda: len(self.wires) > wire and self.wires[wire].methods().count("tools/call") >= count
        )

    def answer(self, wire: int, **result: Any) -> None:
        message = self.wires[wire].last("tools/call")
        self.wires[wire].result(message["id"], result)

    async def follow(self, wire: int, task_id: str, method: str = "tasks/get", **result: Any) -> None:
        """Ask about a task; the process `wire` answers."""
        call = OpenRequest(method, permit(method, taskId=task_id))
        asked = self.wires[wire].methods().count(method)
        self.lane.send(call)
        await self.world.until(lambda: self.wires[wire].methods().count(method) > asked)
        self.wires[wire].result(self.wires[wire].last(method)["id"], result)
        await as_future(call)

    async def begin(self, wire: int, task_id: str, ttl: int | None = 3_600_000) -> None:
        """The process `wire` begins a task."""
        call = self.call()
        await self.calls(wire)
        self.answer(wire, task={"taskId": task_id, "status": "working", "ttl": ttl})
        await as_future(call)

    async def closed(self, wire: int) -> None:
        while not self.wires[wire].closed:
            await asyncio.sleep(0)


@pytest.mark.parametrize("kind", [FakeCredentials, Known])
async def test_a_process_takes_calls_while_its_credentials_are_in_force(kind: type[FakeCredentials]) -> None:
    stage = Stage(kind(A="value-1"))
    for number in (1, 2, 3):
        wait = stage.call()
        await stage.calls(0, number)
        stage.answer(0)
        await as_future(wait)
    assert (len(stage.wires), stage.given) == (1, [{"T": "value-1"}])
    await stage.lane.close(True)


@pytest.mark.parametrize("kind", [FakeCredentials, Known])
async def test_another_value_means_another_process_and_the_old_one_ends_after_its_calls(
    kind: type[FakeCredentials],
) -> None:
    stage = Stage(kind(A="value-1"))
    old = stage.call()
    await stage.calls(0)
    stage.credentials.values["A"] = "value-2"
    new = [stage.call(), stage.call()]
    await stage.calls(1, 2)
    assert stage.wires[0].methods().count("tools/call") == 1
    assert not stage.wires[0].closed
    stage.answer(0)
    await as_future(old)
    await stage.closed(0)
    assert not any(wait.done for wait in new)
    assert [one["T"] for one in stage.given] == ["value-1", "value-2"]
    assert stage.world.renewals == ["x"]
    await stage.lane.close(True)
    for wait in new:
        with pytest.raises(UpstreamError):
            await as_future(wait)


@pytest.mark.parametrize("kind", [FakeCredentials, Known])
async def test_a_value_that_is_gone_refuses_the_calls_and_ends_the_process(
    kind: type[FakeCredentials],
) -> None:
    stage = Stage(kind(A="value-1"))
    first = stage.call()
    await stage.calls(0)
    stage.answer(0)
    await as_future(first)
    del stage.credentials.values["A"]
    for wait in [stage.call(), stage.call()]:
        with pytest.raises(CredentialError, match="file:A"):
            await as_future(wait)
    await stage.closed(0)
    with pytest.raises(UpstreamError, match="not available: file:A"):
        await as_future(stage.call())
    await stage.lane.close(True)


async def test_a_call_that_is_cancelled_while_its_credentials_are_looked_at_is_not_sent() -> None:
    stage = Stage(FakeCredentials(A="value-1"))
    first = stage.call()
    await stage.calls(0)
    second, third = stage.call(), stage.call()
    second.cancel("cancelled")
    await stage.calls(0, 2)
    assert second.value is None
    first.cancel("cancelled")
    third.cancel("cancelled")
    assert stage.wires[0].methods().count("notifications/cancelled") == 2
    assert stage.wires[0].methods().count("tools/call") == 2
    await stage.lane.close(True)


async def test_a_call_that_is_cancelled_during_the_look_is_not_sent() -> None:
    class Slow(FakeCredentials):
        def __init__(self) -> None:
            super().__init__(A="value-1")
            self.looking, self.go = threading.Event(), threading.Event()

        def get(self, ref: CredentialRef, to: Recipient) -> Secret:
            if self.asked:
                self.looking.set()
                assert self.go.wait(10)
            return super().get(ref, to)

    stage = Stage(credentials := Slow())
    stage.call()
    await stage.calls(0)
    second, _third = stage.call(), stage.call()
    assert await asyncio.to_thread(credentials.looking.wait, 10)
    second.cancel("cancelled")
    credentials.go.set()
    await stage.calls(0, 2)
    await stage.world.settled()
    assert stage.wires[0].methods().count("tools/call") == 2
    assert stage.wires[0].methods().count("notifications/cancelled") == 0
    await stage.lane.close(True)


async def test_calls_that_come_while_one_look_is_under_way_have_a_look_of_their_own() -> None:
    stage = Stage(FakeCredentials(A="value-1"))
    stage.call()
    await stage.calls(0)
    stage.call()
    await asyncio.sleep(0)
    before = len(stage.credentials.asked)
    stage.call()
    await stage.calls(0, 3)
    assert len(stage.credentials.asked) > before
    await stage.lane.close(True)


async def test_a_process_that_ended_by_itself_is_started_with_what_is_in_force_then() -> None:
    stage = Stage(FakeCredentials(A="value-1"))
    first = stage.call()
    await stage.calls(0)
    stage.credentials.values["A"] = "value-2"
    stage.wires[0].listener.ended()
    with pytest.raises(UpstreamError):
        await as_future(first)
    await stage.world.until(lambda: stage.lane.instance.health.state == "waiting")
    await stage.world.settled()
    second = stage.call()
    await stage.calls(1)
    assert stage.given[-1] == {"T": "value-2"}
    stage.answer(1)
    await as_future(second)
    await stage.lane.close(True)


async def test_a_lane_without_a_call_ends_after_a_while_and_not_while_one_is_open() -> None:
    stage = Stage(FakeCredentials(A="value-1"), idle=0.0)
    first = stage.call()
    await stage.calls(0)
    await stage.world.settled()
    assert not stage.wires[0].closed
    stage.answer(0)
    await as_future(first)
    await stage.closed(0)
    second = stage.call()
    await stage.calls(1)
    second.cancel("cancelled")
    await stage.closed(1)
    await stage.lane.close(True)


@pytest.mark.parametrize("ttl", [3_600_000, None])
async def test_a_lane_stays_while_a_task_that_was_begun_in_it_may_run(
    ttl: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(FakeCredentials(A="value-1"), idle=0.0)
    first = stage.call()
    await stage.calls(0)
    stage.answer(0, task={"taskId": "t", "status": "working", "ttl": ttl})
    await as_future(first)
    await stage.world.settled()
    assert not stage.wires[0].closed
    monkeypatch.setattr(lanes, "TASK_SECONDS", 0.02)
    monkeypatch.setattr(lanes, "IDLE_SECONDS", 0.0)
    await stage.follow(0, "t", status="cancelled")
    await stage.closed(0)
    second = stage.call()
    await stage.calls(1)
    stage.answer(1, resultType="task", taskId="u", status="working", ttlMs=ttl)
    await as_future(second)
    await stage.closed(1)
    await stage.lane.close(True)


async def test_a_lane_that_somebody_hears_from_stays() -> None:
    stage = Stage(FakeCredentials(A="value-1"), idle=0.0)
    first = stage.call()
    await stage.calls(0)
    stage.lane.instance.past.memory.uris["x:1"] = None
    stage.answer(0)
    await as_future(first)
    await stage.world.settled()
    assert not stage.wires[0].closed
    await stage.lane.close(True)


async def test_a_process_ends_with_its_lease_unless_that_was_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "LEAST_SECONDS", 0.0)
    credentials = Known(A="value-1")
    credentials.left = 0.01
    looks: list[float | None] = [0.01, 0.01, 0.01]
    credentials.remaining = lambda _ref, _to: looks.pop(0) if looks else 0.0  # type: ignore[method-assign]
    stage = Stage(credentials)
    first = stage.call()
    await stage.calls(0)
    stage.answer(0)
    await as_future(first)
    await stage.closed(0)
    assert looks == []
    assert len(stage.wires) == 1
    await stage.lane.close(True)


async def test_what_was_subscribed_goes_on_in_the_process_after_a_lease() -> None:
    credentials = Known(A="value-1")
    stage = Stage(credentials)
    first = stage.call()
    await stage.calls(0)
    stage.lane.instance.past.memory.uris["x:1"] = None
    stage.answer(0)
    await as_future(first)
    stage.lane._replace()
    await stage.world.until(lambda: "resources/subscribe" in stage.wires[-1].methods())
    assert len(stage.wires) == 2
    await stage.lane.close(True)


async def test_not_more_than_a_few_processes_wait_for_the_end_of_their_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "MOST_OLD", 1)
    stage = Stage(Known(A="value-0"))
    waits = []
    for number in range(3):
        stage.credentials.values["A"] = f"value-{number}"
        waits.append(stage.call())
        await stage.calls(number)
    with pytest.raises(UpstreamError):
        await as_future(waits[0])
    await stage.closed(0)
    assert not waits[1].done
    await stage.lane.close(True)


@pytest.mark.parametrize("kind", [FakeCredentials, Known])
async def test_a_task_is_followed_in_the_process_that_began_it_whatever_the_value_is_by_then(
    kind: type[FakeCredentials], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "IDLE_SECONDS", 0.0)
    stage = Stage(kind(A="value-1"))
    await stage.begin(0, "t")
    stage.credentials.values["A"] = "value-2"
    await stage.follow(0, "t", status="working")
    other = stage.call()
    await stage.calls(1)
    await stage.follow(0, "t", status="working")
    assert not stage.wires[0].closed
    await stage.follow(0, "t", "tasks/result", content=[])
    await stage.closed(0)
    stage.answer(1)
    await as_future(other)
    await stage.follow(1, "t", status="completed")
    await stage.lane.close(True)


async def test_a_process_with_a_task_ends_when_the_task_has_had_its_time() -> None:
    stage = Stage(Known(A="value-1"))
    await stage.begin(0, "t", ttl=20)
    stage.credentials.values["A"] = "value-2"
    stage.call()
    await stage.calls(1)
    await stage.closed(0)
    await stage.lane.close(True)


async def test_what_is_lost_with_a_process_keeps_nothing() -> None:
    stage = Stage(Known(A="value-1"))
    await stage.begin(0, "t")
    stage.credentials.values["A"] = "value-2"
    stage.call()
    await stage.calls(1)
    assert len(stage.lane.instances) == 2
    stage.wires[0].listener.ended()
    await stage.world.until(lambda: len(stage.lane.instances) == 1)
    await stage.lane.close(True)


async def test_only_so_many_tasks_keep_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MOST_TASKS", 1)
    stage = Stage(Known(A="value-1"))
    await stage.begin(0, "t")
    second = stage.call()
    await stage.calls(0, 2)
    stage.answer(0, task={"taskId": "u", "status": "working"})
    await as_future(second)
    assert list(stage.lane.instance.tasks) == ["u"]
    await stage.lane.close(True)
    assert stage.lane.instance.tasks == {}


@pytest.mark.parametrize("gently", [True, False])
async def test_a_lane_that_is_closed_ends_old_processes_as_it_was_told(gently: bool) -> None:
    stage = Stage(Known(A="value-1"), idle=100.0)
    stage.call()
    await stage.calls(0)
    stage.credentials.values["A"] = "value-2"
    stage.call()
    await stage.calls(1)
    upstreams = stage.lane.instances
    await stage.lane.close(gently)
    assert [one._gently for one in upstreams] == [gently, gently]
    assert all(wire.closed for wire in stage.wires)
    assert (stage.lane._ending._tasks, stage.lane._timer) == (set(), None)


async def test_a_lane_that_is_closed_while_it_looks_sends_nothing() -> None:
    stage = Stage(FakeCredentials(A="value-1"))
    stage.call()
    await stage.calls(0)
    stage.call()
    await stage.lane.close(True)
    assert stage.wires[0].methods().count("tools/call") == 1


@pytest.mark.parametrize("env", ["plain", "${env:A}"])
async def test_a_server_without_references_that_can_change_is_never_looked_at(env: str) -> None:
    stage = Stage(FakeCredentials(A="value-1"), env=env)
    stage.call()
    await stage.calls(0)
    asked = list(stage.credentials.asked)
    stage.call()
    await stage.calls(0, 2)
    assert stage.credentials.asked == asked
    assert stage.lane.instance.open == {}
    await stage.lane.close(True)


async def test_a_defect_while_it_looks_refuses_the_call() -> None:
    class Broken(FakeCredentials):
        def get(self, ref: CredentialRef, to: Recipient) -> Secret:
            if len(self.asked) > 0:
                raise ValueError("a defect")
            return super().get(ref, to)

    stage = Stage(Broken(A="value-1"))
    stage.call()
    await stage.calls(0)
    with pytest.raises(CredentialError, match="could not be looked up: internal error"):
        await as_future(stage.call())
    await stage.lane.close(True)


async def test_a_value_that_is_not_had_in_time_is_not_waited_for() -> None:
    class Hanging(FakeCredentials):
        go = threading.Event()

        def get(self, ref: CredentialRef, to: Recipient) -> Secret:
            assert self.go.wait(10)
            return super().get(ref, to)

    credentials = Hanging(A="value-1")
    refs = [CredentialRef("file", "A")]
    with pytest.raises(CredentialError, match=r"file:A: not available within 0.01 seconds \(`start_timeout"):
        await CredentialSupply(credentials, program(), 0.01).get(refs)
    credentials.go.set()
