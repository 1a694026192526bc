"""What a server says before its answer, which may never come: the labels of rules on results come first."""

from __future__ import annotations

from typing import Any

from tests.fakes import GONE, World, text, tool
from tests.gateway.questions.parking import ELICIT
from tests.gateway.scenes import ALL_CAPABILITIES, FORM, ask, last, legacy
from tests.gateway.test_sessions import TRIFECTA, outcomes, refusal
from tests.rows import each

RULES = TRIFECTA + "  - {id: ask, effect: allow, action: [elicitation/create]}\n"
MESSAGE = "notifications/message"
PROGRESS = "notifications/progress"


def open_call(rules: str = RULES, servers: Any = None) -> World:
    """A legacy client has called `read`, as request 7, and wants to know how it goes on."""
    world = legacy(World(rules, servers), ALL_CAPABILITIES).listed()
    name = "a__read" if servers else "read"
    world.send("tools/call", {"name": name, "arguments": {}, "_meta": {"progressToken": "t"}}, 7)
    world.client.sent.clear()
    return world


def progress(world: World, server: str = "one", **params: Any) -> None:
    [(_wait, tell)] = world.upstreams[server].held
    tell({"progress": 1, **params})
    world.turn()


def labels(world: World) -> list[str]:
    return [label for kept in world.store.kept.values() for label in kept.labels]


def says(world: World, how: str) -> None:
    if how == "progress":
        progress(world, message="a stranger's words")
    elif how == "log":
        world.gateway.notified("one", MESSAGE, {"level": "info", "data": "a stranger's words"})
        world.turn()
    else:
        ask(world, ELICIT, {**FORM, "message": "a stranger's words"})


@each("how", ["progress", "log", "question"])
def test_of_a_call_that_is_cancelled_what_was_said_before_has_set_the_label(how: str) -> None:
    world = open_call()
    says(world, how)
    assert "a stranger's words" in str(world.client.sent)
    assert labels(world) == ["private"]
    world.send("notifications/cancelled", {"requestId": 7})
    world.call("push", 8)
    assert refusal(world)[1].startswith("Refused by mcpguard (p/leak): Not after that.")
    [cancelled] = [one for one in outcomes(world) if one.status == "cancelled"]
    assert (cancelled.rules, cancelled.labels) == (("p/seen",), ("private",))


def test_while_the_call_is_open_the_label_counts_already() -> None:
    world = open_call()
    says(world, "progress")
    world.call("push", 8)
    assert refusal(world)[0] == "rule"


def test_a_call_that_ends_without_an_answer_says_what_it_labelled() -> None:
    world = open_call()
    says(world, "progress")
    world.answer(GONE)
    assert (outcomes(world)[-1].status, outcomes(world)[-1].labels) == ("unavailable", ("private",))


def test_progress_in_numbers_and_what_another_server_says_set_no_label() -> None:
    world = open_call(servers={"a": [tool("read")], "b": [tool("push")]})
    progress(world, "a", total=3)
    world.gateway.notified("b", MESSAGE, {"level": "info", "data": "x"})
    world.turn()
    assert [one["method"] for one in world.client.sent] == [PROGRESS, MESSAGE]
    assert labels(world) == []


@each("about", ["read", "push"])
def test_a_question_that_says_what_it_is_about_labels_for_no_other_call(about: str) -> None:
    world = open_call()
    world.call("push", 8)
    (read, _), (push, _) = world.upstreams["one"].held
    ask(world, ELICIT, FORM, read if about == "read" else push)
    assert labels(world) == (["private"] if about == "read" else [])


def test_it_is_labelled_once() -> None:
    world = open_call()
    says(world, "progress")
    world.store.down = "it is not asked again"
    says(world, "progress")
    says(world, "log")
    assert len(world.client.sent) == 3


@each("how", ["progress", "log", "question"])
def test_what_cannot_be_labelled_is_withheld(how: str) -> None:
    world = open_call()
    world.store.down = "the disk is full"
    says(world, how)
    assert "a stranger's words" not in str(world.client.sent)
    noted = [one.what for one in world.audit.records if hasattr(one, "what")]
    assert noted == ([] if how == "question" else ["notification-withheld"])
    assert ": the disk is full" in world.reports
    world.store.down = ""
    world.answer(text("private"))
    assert last(world)["content"][0]["text"] == "private"


def test_a_server_whose_words_wait_for_the_session_is_not_read_on() -> None:
    world = open_call()
    world.store.busy = 1
    for _ in range(100):
        progress(world, message="a stranger's words")
    assert world.client.sent == []
    assert world.inspector.crowded("one")
    world.store.proceed()
    world.turn()
    assert len(world.client.sent) == 100
    assert not world.inspector.crowded("one")


def test_however_much_a_server_says_while_the_session_cannot_be_kept_the_operator_is_told_once() -> None:
    world = open_call()
    world.store.down = "the disk is full"
    for _ in range(5):
        says(world, "progress")
        world.call("push", 8)
    assert world.reports.count(": the disk is full") == 1
    world.store.down = ""
    says(world, "progress")
    world.store.down = "the disk is full"
    world.call("push", 9)
    assert world.reports.count(": the disk is full") == 2
