"""What upstreams say outside of their answers: who hears it, inspected, and never before its record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.redactor import AT_ONCE
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.questions import relayed
from mcpguard.protocol.methods import FROM_UPSTREAM
from tests.fakes import SECRET, World, text
from tests.gateway.scenes import ALL_CAPABILITIES, ALLOW_ALL, FORM, FORMS, deep, legacy, modern, quiet, two
from tests.rows import each

MESSAGE = "notifications/message"


def waiting(level: str | None) -> World:
    """A modern client waits for `read`, as request 7, and wants log messages of that level."""
    world = World(ALLOW_ALL)
    modern(world, "tools/list")
    modern(world, "tools/call", {"name": "read"}, 7, capabilities=FORMS, level=level)
    return quiet(world)


def say(world: World, level: Any = "error", related: Wait[Any] | None = None, server: str = "one") -> None:
    world.gateway.notified(server, MESSAGE, {"level": level, "data": "x"}, related)
    world.turn()


@each(
    ("wanted", "said", "heard"),
    [
        ("info", "info", True),
        ("info", "emergency", True),
        ("info", "debug", False),
        ("emergency", "alert", False),
        (None, "emergency", False),
        ("info", "shout", False),
        ("info", 3, False),
        ("whisper", "emergency", False),
    ],
)
def test_a_modern_client_hears_log_messages_of_the_level_that_its_request_wants(
    wanted: str | None, said: Any, heard: bool
) -> None:
    world = waiting(wanted)
    say(world, said)
    assert bool(world.client.sent) is heard
    assert world.client.related == ([7] if heard else [])


def test_a_client_may_come_back_for_an_answer_where_the_upstream_lets_us() -> None:
    world = waiting("info")
    [(wait, _progress)] = world.upstreams["one"].held
    world.trace.clear()
    for related in (wait, Wait(), None):
        world.gateway.parted(related)
    assert world.trace == ["part 7"]


def test_it_may_not_where_the_evidence_cannot_be_written() -> None:
    world = waiting("info")
    [(wait, _progress)] = world.upstreams["one"].held
    world.audit.fail = True
    world.gateway.notified("one", MESSAGE, {"level": "error", "data": SECRET}, wait)
    world.gateway.parted(wait)
    world.turn()
    assert "part 7" not in world.trace


def test_a_log_message_goes_with_the_request_that_it_is_about() -> None:
    world = waiting("info")
    modern(world, "tools/call", {"name": "write"}, 8, level="info")
    _, (wait, _progress) = world.upstreams["one"].held
    say(world, related=wait)
    assert world.client.related == [8]
    say(world, related=Wait())
    assert world.client.related == [8]


def test_a_log_message_of_a_server_that_nobody_waits_for_is_not_heard() -> None:
    world = waiting("info")
    world.answer(text("done"))
    quiet(world)
    say(world)
    assert world.client.sent == []


def test_a_legacy_client_hears_log_messages_at_any_time_after_it_initialized() -> None:
    world = two()
    say(world, server="a")
    assert world.client.sent == []
    legacy(world)
    say(world, "debug", server="a")
    said = {"level": "debug", "logger": "a", "data": "x"}
    assert world.client.sent == [{"method": MESSAGE, "params": said}]
    assert world.client.related == [None]


@each("method", sorted(FROM_UPSTREAM))
def test_a_secret_in_any_notification_is_gone(method: str) -> None:
    world = legacy(World(ALLOW_ALL))
    world.upstreams["one"].answers["resources/subscribe"] = {}
    world.send("resources/subscribe", {"uri": "x:1"}, 1)
    world.gateway.notified("one", method, {"uri": "x:1", "data": SECRET, SECRET: [SECRET]})
    world.turn()
    assert SECRET not in str(world.client.sent + world.audit.records)


@pytest.mark.parametrize("method", ["notifications/progress", "notifications/cancelled", "ping", "mystery"])
def test_what_is_answered_elsewhere_or_unknown_is_not_passed_on(method: str) -> None:
    world = legacy(World(ALLOW_ALL))
    world.gateway.notified("one", method, {})
    world.turn()
    assert world.client.sent == []


def test_of_a_cancellation_nothing_goes_on_but_what_it_ends() -> None:
    world = World(ALLOW_ALL).listed()
    world.call("read", 7)
    world.send("notifications/cancelled", {"requestId": 7, "reason": SECRET, SECRET: [SECRET]})
    assert world.trace[-2:] == ["cancel cancelled", "outcome cancelled"]
    assert SECRET not in str(world.audit.records + world.client.sent)


DONE = "notifications/elicitation/complete"
URL = {"mode": "url", "message": "Log in", "url": "https://example.org"}


def test_only_the_server_that_asked_for_a_visit_can_say_that_it_is_over() -> None:
    world = legacy(two(), ALL_CAPABILITIES)
    world.gateway.asked(world.question("a", 1, "elicitation/create", {**URL, "elicitationId": "1"}))
    world.turn()
    quiet(world)
    for server, visit in (("b", "1"), ("a", "2"), ("a", 1), ("a", None)):
        world.gateway.notified(server, DONE, {"elicitationId": visit})
        world.turn()
    assert world.client.sent == []
    world.gateway.notified("a", DONE, {"elicitationId": "1"})
    world.turn()
    assert world.client.sent == [{"method": DONE, "params": {"elicitationId": "1"}}]


def test_above_the_limit_the_oldest_visit_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relayed, "MAX_VISITS", 1)
    world = legacy(two(), ALL_CAPABILITIES)
    for visit in ("1", "2"):
        world.gateway.asked(world.question("a", visit, "elicitation/create", {**URL, "elicitationId": visit}))
        world.turn()
    quiet(world)
    for visit in ("1", "2"):
        world.gateway.notified("a", DONE, {"elicitationId": visit})
        world.turn()
    assert [one["params"]["elicitationId"] for one in world.client.sent] == ["2"]


def test_a_modern_client_knows_no_end_of_a_visit() -> None:
    new = waiting("debug")
    wait, _progress = new.upstreams["one"].held[0]
    new.gateway.asked(new.question("one", 1, "elicitation/create", {**FORM, "elicitationId": "1"}, wait))
    new.turn()
    quiet(new)
    new.gateway.notified("one", DONE, {"elicitationId": "1"})
    new.turn()
    assert new.client.sent == []


def test_a_notification_whose_record_cannot_be_written_is_not_sent() -> None:
    world = legacy(World(ALLOW_ALL))
    world.audit.fail = True
    world.gateway.notified("one", MESSAGE, {"level": "error", "data": SECRET})
    world.turn()
    assert world.client.sent == []


def test_a_notification_that_cannot_be_inspected_is_withheld_with_its_server_named() -> None:
    world = legacy(World(ALLOW_ALL))
    world.gateway.notified("one", MESSAGE, {"data": deep()})
    world.turn()
    assert world.client.sent == []
    (record,) = world.audit.records
    assert (record.what, record.server) == ("notification-withheld", "one")


LARGE = "words and more words " * AT_ONCE


def held_up(world: World) -> list[tuple[Wait[None], Callable[[], Any]]]:
    """What the world's inspector does elsewhere, each with what lets it go on."""
    elsewhere: list[tuple[Wait[None], Callable[[], Any]]] = []

    async def offload(work: Callable[[], Any]) -> Any:
        elsewhere.append((Wait(), work))
        await elsewhere[-1][0]
        return work()

    world.inspector._offload = offload
    return elsewhere


def levels(world: World) -> list[Any]:
    world.turn()
    return [one["params"]["level"] for one in world.client.sent]


def test_a_large_notification_is_inspected_elsewhere_and_what_comes_next_comes_after_it() -> None:
    world = legacy(World(ALLOW_ALL, {"one": [], "two": []}))
    elsewhere = held_up(world)
    for level, data in (("error", LARGE + SECRET), ("alert", LARGE), ("info", "x"), ("debug", deep())):
        world.gateway.notified("one", MESSAGE, {"level": level, "data": data})
    world.gateway.notified("two", MESSAGE, {"level": "notice", "data": "y"})
    assert levels(world) == ["notice"]
    assert world.inspector.crowded("one")
    assert not world.inspector.crowded("two")
    assert not world.inspector.full
    second, first = elsewhere.pop()[0], elsewhere.pop()[0]
    second.set(None)
    assert levels(world) == ["notice"]
    first.set(None)
    assert levels(world) == ["notice", "error", "alert", "info"]
    assert SECRET not in str(world.client.sent)
    assert [record.what for record in world.audit.records] == [
        "notification-redacted",
        "notification-withheld",
    ]
    say(world, "critical")
    assert levels(world)[-1] == "critical"
    assert not world.inspector.crowded("one")
    assert elsewhere == []


def test_a_large_notification_that_cannot_be_inspected_is_withheld() -> None:
    world = legacy(World(ALLOW_ALL))
    elsewhere = held_up(world)
    world.gateway.notified("one", MESSAGE, {"level": "error", "data": "ghp_" + "aB3kQ9xZ7mT2" * 3 + LARGE})
    world.redactor.inspect = broken  # type: ignore[method-assign]
    elsewhere.pop()[0].set(None)
    assert levels(world) == []
    assert [record.what for record in world.audit.records] == ["notification-withheld"]


def broken(*_given: object) -> Any:
    raise InspectionError("too much")


def test_progress_of_a_request_goes_with_it_and_without_a_token_nowhere() -> None:
    world = World(ALLOW_ALL)
    modern(world, "tools/list")
    modern(world, "tools/call", {"name": "read"}, 7, progressToken="p")
    modern(world, "tools/call", {"name": "read"}, 8)
    quiet(world)
    (_, progress), (_, none) = world.upstreams["one"].held
    assert none is None
    assert progress is not None
    progress({"progress": 1})
    world.turn()
    assert world.client.sent[0]["params"] == {"progress": 1, "progressToken": "p"}
    assert world.client.related == [7]
    world.answer(text("done"))
    progress({"progress": 2})
    world.turn()
    assert len(world.client.sent) == 2
