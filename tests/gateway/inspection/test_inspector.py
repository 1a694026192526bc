"""What came in one turn is inspected together, and each call is recorded and answered as if it had come alone."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.evidence.records import Decided, Outcome
from mcpguard.core.secret import Secret
from tests.fakes import SECRET, World, give, text, tool
from tests.gateway.scenes import ALLOW_ALL, legacy
from tests.rows import each

PLAIN = "three files were changed"
LEAK = f"it is {SECRET}"
ARGUMENTS: list[dict[str, Any]] = [{"path": "a"}, {"path": LEAK}, {}, {"path": "b"}, {"n": 7}]
ANSWERS = [text(PLAIN), text(PLAIN), text(LEAK), {"content": [], "isError": True}, text("more")]


def listed(rules: str = ALLOW_ALL) -> World:
    world = legacy(World(rules, {"one": [tool("read", readOnlyHint=True)]}))
    world.send("tools/list", {}, 0)
    for known in ({"path": "a", "n": 1}, {}):  # A name is looked at alone when it is met first.
        world.call("read", 1, **known)
        world.answer(text(PLAIN))
    world.client.sent.clear()
    world.audit.records.clear()
    world.trace.clear()
    return world


def asked(world: World, several: bool) -> None:
    """All calls in one turn, and then all answers in one."""
    together = world.inspector.together
    together.several = several
    for number, arguments in enumerate(ARGUMENTS):
        params = {"name": "read", "arguments": arguments}
        world.gateway.receive({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
    world.turn()
    held, world.upstreams["one"].held = world.upstreams["one"].held, []
    for (wait, _), answer in zip(held, ANSWERS, strict=False):
        give(wait, answer)
    world.turn()
    together.several = False


def records(world: World) -> list[Any]:
    """What is on record but for when it was."""
    kept = [one for one in world.audit.records if isinstance(one, Decided | Outcome)]
    none: dict[str, Any] = {"ms": 0.0, "steps": None}
    return [structs.replace(one, at=kept[0].at, **(none if isinstance(one, Outcome) else {})) for one in kept]


@each(
    "rules",
    [
        ALLOW_ALL,
        '  - {id: all, effect: allow, tools: ["*"], redact: [email]}\n',
        '  - {id: all, effect: allow, tools: ["*"], argument: {path: /srv}}\n',
        ALLOW_ALL + "  - {id: no, effect: deny, when: 'has(args.path) && args.path == \"b\"'}\n",
        '  - {id: all, effect: allow, tools: ["*"], label: [seen]}\n',
    ],
)
def test_calls_of_one_turn_are_recorded_and_answered_as_those_that_come_alone(rules: str) -> None:
    together, alone = listed(rules), listed(rules)
    asked(together, True)
    asked(alone, False)
    assert together.client.sent == alone.client.sent
    assert records(together) == records(alone)
    assert together.trace == alone.trace
    assert SECRET not in repr((together.client.sent, together.audit.records))


def test_nothing_is_decided_before_the_end_of_the_turn_and_then_all_in_the_order_in_which_they_came() -> None:
    world = listed()
    world.inspector.together.several = True
    for number in range(3):
        params = {"name": "read", "arguments": {"n": number}}
        world.gateway.receive({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
    world.audit.commit()
    assert world.audit.records == []
    world.turn()
    assert [one.arguments for one in world.audit.records if isinstance(one, Decided)] == [
        {"n": number} for number in range(3)
    ]
    assert [one.invocation.args for one in world.upstreams["one"].requests[-3:]] == [
        {"n": number} for number in range(3)
    ]


@pytest.mark.parametrize("how", ["cancelled", "abandoned"])
def test_a_call_that_ends_before_it_is_inspected_is_on_record_and_goes_nowhere(how: str) -> None:
    world = listed()
    world.inspector.together.several = True
    world.gateway.receive({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read"}})
    world.gateway.abandon(how)
    world.turn()
    assert [(one.effect, one.cause) for one in world.audit.records if isinstance(one, Decided)] == [
        ("deny", how)
    ]
    assert world.trace == ["decision deny"]
    assert world.gateway.idle


def test_a_result_that_is_no_longer_awaited_when_it_is_inspected_is_not_sent() -> None:
    world = listed()
    world.call("read", 1)
    world.inspector.together.several = True
    wait, _ = world.upstreams["one"].held.pop()
    give(wait, text(PLAIN))
    world.gateway.cancel(1, "cancelled")
    world.turn()
    assert world.client.sent == []
    assert [one.status for one in world.audit.records if isinstance(one, Outcome)] == ["cancelled"]


def test_what_comes_to_be_held_while_a_decision_waits_is_not_on_record() -> None:
    world = listed('  - {id: all, effect: allow, tools: ["*"], label: [seen]}\n')
    world.inspector.together.several, world.store.busy = True, 1
    params = {"name": "read", "arguments": {"path": "its name is Rumpelstilzchen"}}
    world.gateway.receive({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    world.turn()
    world.redactor.hold("env:one", Secret("Rumpelstilzchen"))
    world.store.proceed()
    world.turn()
    assert [one.effect for one in world.audit.records if isinstance(one, Decided)] == ["allow"]
    assert "Rumpelstilzchen" not in repr(world.audit.records)


def test_where_arguments_are_not_recorded_no_call_waits() -> None:
    world = listed()
    world.inspector.together.several, world.scope.recorder.arguments = True, False
    world.gateway.receive({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read"}})
    world.audit.commit()
    assert world.trace == ["decision allow", "request read"]


def test_nothing_overtakes_an_answer_that_waits_to_be_inspected() -> None:
    world = listed()
    world.call("read", 1)
    world.inspector.together.several = True
    wait, _ = world.upstreams["one"].held.pop()
    give(wait, text(PLAIN))
    world.gateway.notified("one", "notifications/message", {"level": "info", "data": "behind"})
    world.turn()
    assert [sent.get("id", sent.get("method")) for sent in world.client.sent] == [1, "notifications/message"]
