"""Streams that a legacy client can come back to after its connection broke (SEP-1699; basic/transports of
2025-11-25, resumability and redelivery)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcpguard.adapters.transports.http.stream import KEPT, KEPT_BYTES, StreamHistory
from mcpguard.config.file import HttpEntry
from mcpguard.core.redaction.redactor import authored
from tests.adapters.transports.front import (
    ENVELOPE,
    MODERN,
    TOKEN,
    FakeReceiver,
    FakeVerifier,
    Front,
    Wire,
    answer_handshake,
    call,
    notice,
    serving,
    settled,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

NEW = "2025-11-25"
OLD = "2025-06-18"
PRIMED = {"retry": "1000", "data": ""}


class Session:
    """A legacy session whose calls the test answers by hand."""

    def __init__(self, front: Front, key: str, version: str) -> None:
        self.front = front
        self.world: FakeReceiver = front.door.worlds[-1]
        self.about = {"mcp_session_id": key, "mcp_protocol_version": version}

    @property
    def uses(self) -> int:
        return self.front.endpoint.worlds._sessions[self.about["mcp_session_id"]].uses

    async def begin(self, request_id: Any = 1, method: str = "tools/call") -> tuple[Wire, dict[str, Any]]:
        """A request that has reached the gateway, and its message there."""
        heard = len(self.world.heard)
        wire = await self.front.open("POST", "/mcp", call(method, request_id), **self.about)
        await self.front.door.until(lambda: len(self.world.heard) > heard)
        return wire, self.world.heard[-1]

    async def broken(self, request_id: Any = 1) -> tuple[str, dict[str, Any]]:
        """A call whose connection broke after the first event: the id of that, and its message."""
        wire, message = await self.begin(request_id)
        await wire.head()
        event = await wire.fields()
        await self.cut(wire)
        return event["id"], message

    async def cut(self, wire: Wire) -> None:
        uses = self.uses
        wire.close()
        await settled(lambda: self.uses < uses)

    async def back(self, event_id: str | None = None) -> Wire:
        """A GET that was let in; its head is read."""
        wire = await self.front.open("GET", "/mcp", last_event_id=event_id, **self.about)
        head = await wire.head()
        assert (head.status, head.headers["content-type"]) == (200, "text/event-stream")
        return wire

    def progress(self, message: dict[str, Any], step: int) -> None:
        self.world.notify("notifications/progress", related=message["id"], progress=step)


async def session(front: Front, version: str = NEW, **headers: str) -> Session:
    front.door.script = answer_handshake
    return Session(front, await front.session(**headers), version)


async def steps(wire: Wire, count: int) -> list[int]:
    return [(await wire.message())["params"]["progress"] for _ in range(count)]


# --- what is a stream, and what has an id ----------------------------------------------------------


@pytest.mark.parametrize(
    "method", ["tools/call", "prompts/get", "resources/read", "completion/complete", "x"]
)
async def test_an_answer_of_the_newest_legacy_revision_is_a_stream_that_first_gives_its_client_an_id(
    method: str,
) -> None:
    async with serving() as front:
        held = await session(front)
        wire, message = await held.begin(7, method)
        assert (await wire.head()).headers["content-type"] == "text/event-stream"
        first = await wire.fields()
        stream = first.pop("id").partition("-")[0]
        assert first == PRIMED
        held.progress(message, 1)
        second = await wire.fields()
        assert (second["id"], second["event"]) == (f"{stream}-1", "message")
        held.world.reply(message, {"done": True})
        last = await wire.fields()
        assert last["id"] == f"{stream}-2"
        assert json.loads(last["data"]) == {"jsonrpc": "2.0", "id": 7, "result": {"done": True}}
        await wire.ended()


async def test_an_error_ends_such_a_stream_and_a_cancellation_does_without_an_answer() -> None:
    async with serving() as front:
        held = await session(front)
        wire, message = await held.begin(7)
        held.world.refuse(message["id"], -32602)
        other, _message = await held.begin(8)
        await front.post(notice("notifications/cancelled", requestId=8), **held.about)
        for stream in (wire, other):
            await stream.head()
            first = await stream.fields()
            assert first["retry"] == "1000"
        await other.ended()
        back = await front.open("GET", "/mcp", last_event_id=first["id"], **held.about)
        assert (await back.answer()).status == 204
        assert (await wire.message())["error"]["code"] == -32602
        await wire.ended()


@pytest.mark.parametrize("version", [OLD, "2025-03-26", None])
async def test_an_older_revision_gets_no_empty_event_and_json_if_nothing_comes_first(
    version: str | None,
) -> None:
    async with serving() as front:
        held = await session(front)
        held.about["mcp_protocol_version"] = version  # type: ignore[assignment]
        wire, message = await held.begin(1)
        held.world.reply(message)
        assert (await wire.answer()).headers["content-type"] == "application/json"
        wire, message = await held.begin(2)
        held.progress(message, 1)
        await wire.head()
        first = await wire.fields()
        assert json.loads(first["data"])["params"] == {"progress": 1}
        assert first["id"].endswith("-0")
        assert "retry" not in first
        held.world.reply(message)
        assert (await wire.fields())["id"].endswith("-1")


async def test_the_answer_that_begins_a_session_is_json() -> None:
    async with serving() as front:
        answer = await front.post(call("initialize"), mcp_protocol_version=NEW)
        assert answer.headers["content-type"] == "application/json"


async def test_what_is_no_message_is_refused_with_a_status_also_in_the_newest_legacy_revision() -> None:
    async with serving() as front:
        held = await session(front)
        assert (await front.post(b"{", **held.about)).status == 400
        await held.begin(5)
        assert (await front.post(call("tools/call", 5), **held.about)).status == 400


async def test_modern_streams_and_those_of_http_sse_have_no_ids_and_keep_nothing() -> None:
    async with serving() as front:
        front.door.script = lambda _receiver, _message: None
        wire = await front.open(
            "POST", "/mcp", call("tools/call", _meta=ENVELOPE), mcp_protocol_version=MODERN
        )
        await front.door.until(lambda: front.door.worlds and front.door.worlds[0].heard)
        modern = front.door.worlds[0]
        modern.notify("notifications/progress", related=modern.heard[0]["id"])
        await wire.head()
        assert set(await wire.fields()) == {"event", "data"}
        events = await front.open("GET", "/sse", mcp_protocol_version=NEW)
        await events.head()
        assert set(await events.fields()) == {"event", "data"}
        old = front.door.worlds[1]
        old.notify("notifications/message")
        assert set(await events.fields()) == {"event", "data"}
        assert [world.client.place("0-0") for world in (modern, old)] == [None, None]


async def test_no_two_events_of_a_session_have_the_same_id() -> None:
    async with serving() as front:
        held = await session(front)
        standing = await held.back()
        held.world.notify("notifications/message")
        ids = [(await standing.fields())["id"] for _ in range(2)]
        await held.cut(standing)
        again = await held.back()
        ids.append((await again.fields())["id"])
        for number in range(3):
            wire, message = await held.begin(number)
            held.progress(message, 1)
            held.world.reply(message)
            await wire.head()
            ids += [(await wire.fields())["id"] for _ in range(3)]
        assert len(set(ids)) == len(ids) == 12


# --- coming back -----------------------------------------------------------------------------------


async def test_the_answer_of_a_call_whose_post_broke_is_kept_for_its_client() -> None:
    async with serving() as front:
        held = await session(front)
        event_id, message = await held.broken("seven")
        held.progress(message, 1)
        held.world.reply(message, {"done": True})
        assert held.world.cancelled == []
        for _ in range(2):  # This connection may break as well.
            wire = await held.back(event_id)
            assert await steps(wire, 1) == [1]
            assert await wire.message() == {"jsonrpc": "2.0", "id": "seven", "result": {"done": True}}
            await wire.ended()


async def test_a_call_that_still_runs_goes_on_where_its_client_comes_back() -> None:
    async with serving() as front:
        held = await session(front)
        event_id, message = await held.broken()
        held.progress(message, 1)
        wire = await held.back(event_id)
        held.progress(message, 2)
        held.world.client.ask(1, "elicitation/create", authored({"a": 1}), message["id"])
        assert await steps(wire, 2) == [1, 2]
        assert await wire.message() == call("elicitation/create", 1, a=1)
        held.world.reply(message, {"done": True})
        assert (await wire.message())["result"] == {"done": True}
        await wire.ended()


async def test_only_what_came_after_the_named_event_is_said_again() -> None:
    async with serving() as front:
        held = await session(front)
        wire, message = await held.begin()
        for step in range(4):
            held.progress(message, step)
        await wire.head()
        ids = [(await wire.fields())["id"] for _ in range(3)]
        await held.cut(wire)
        wire = await held.back(ids[-1])
        assert await steps(wire, 2) == [2, 3]
        await held.cut(wire)
        held.world.reply(message, {})
        wire = await held.back(ids[1])
        assert await steps(wire, 3) == [1, 2, 3]
        assert "result" in await wire.message()
        await wire.ended()


async def test_a_client_that_has_everything_is_told_not_to_come_back() -> None:
    """The official TypeScript client takes an error for no answer: an empty stream sent it back for more."""
    async with serving() as front:
        held = await session(front)
        wire, message = await held.begin()
        held.world.reply(message)
        await wire.head()
        last = [(await wire.fields())["id"] for _ in range(2)][-1]
        again = await front.open("GET", "/mcp", last_event_id=last, **held.about)
        assert (await again.head()).status == 204


async def test_nothing_of_one_stream_is_said_on_another() -> None:
    async with serving() as front:
        held = await session(front)
        first, message = await held.broken(1)
        second, other = await held.broken(2)
        standing = await held.back()
        await standing.fields()
        held.world.reply(message, {"of": 1})
        held.world.reply(other, {"of": 2})
        held.world.notify("notifications/message")
        assert (await standing.message())["method"] == "notifications/message"
        for event_id, number in ((second, 2), (first, 1)):
            wire = await held.back(event_id)
            assert (await wire.message())["result"] == {"of": number}
            await wire.ended()


async def test_who_comes_back_takes_the_stream_over_from_a_connection_that_is_not_known_to_be_gone() -> None:
    async with serving() as front:
        held = await session(front)
        wire, message = await held.begin()
        await wire.head()
        event_id = (await wire.fields())["id"]
        again = await held.back(event_id)
        await wire.ended()
        await settled(lambda: held.uses == 1)
        held.world.reply(message, {"done": True})
        assert (await again.message())["result"] == {"done": True}
        await again.ended()


async def test_the_standing_stream_goes_on_behind_the_named_event() -> None:
    async with serving() as front:
        held = await session(front)
        standing = await held.back()
        first = await standing.fields()
        event_id = first.pop("id")
        assert first == PRIMED
        held.world.notify("notifications/message", data=1)
        assert (await standing.message())["params"]["data"] == 1
        again = await held.back(event_id)  # It had the event, and did not tell so.
        await standing.ended()
        held.world.notify("notifications/message", data=2)
        assert (await again.message())["params"]["data"] == 1
        assert (await again.fields())["retry"] == "1000"
        assert (await again.message())["params"]["data"] == 2


async def test_a_standing_stream_of_an_older_revision_begins_with_its_first_message() -> None:
    async with serving() as front:
        held = await session(front, OLD)
        standing = await held.back()
        held.world.notify("notifications/message", data=1)
        event = await standing.fields()
        assert (event["id"], json.loads(event["data"])["params"]["data"]) == ("0-0", 1)
        await held.cut(standing)
        held.world.notify("notifications/message", data=2)
        standing = await held.back(event["id"])
        assert (await standing.message())["params"]["data"] == 2


@pytest.mark.parametrize(
    "event_id", ["", "0-9", "1-9", "99-0", "0", "a-b", "-1-0", "1-0x", "9" * 40 + "-0", "\xb2-0"]
)
async def test_an_id_that_is_not_known_opens_the_standing_stream(event_id: str) -> None:
    async with serving() as front:
        held = await session(front)
        held.world.notify("notifications/message", data=1)
        wire = await held.back(event_id)
        assert (await wire.message())["params"]["data"] == 1
        second = await front.ask("GET", "/mcp", last_event_id=event_id, **held.about)
        assert second.status == 409


async def test_a_stream_belongs_to_its_session_and_its_principal() -> None:
    async with serving(HttpEntry(token=TOKEN), FakeVerifier()) as front:
        held = await session(front, authorization="Bearer ada")
        held.about["authorization"] = "Bearer ada"
        event_id, message = await held.broken()
        held.world.reply(message, {"secret": 1})
        theirs = {**held.about, "authorization": "Bearer eve"}
        answer = await front.ask("GET", "/mcp", last_event_id=event_id, **theirs)
        assert answer.status == 404
        other = await session(front, authorization="Bearer eve")
        other.about["authorization"] = "Bearer eve"
        wire = await other.back(event_id)
        other.world.notify("notifications/message")
        assert (await wire.fields())["retry"] == "1000"
        assert (await wire.message())["method"] == "notifications/message"
        mine = await held.back(event_id)
        assert (await mine.message())["result"] == {"secret": 1}


async def test_a_call_that_was_cancelled_while_its_client_was_away_is_not_answered() -> None:
    async with serving() as front:
        held = await session(front)
        event_id, message = await held.broken(5)
        held.progress(message, 1)
        await front.post(notice("notifications/cancelled", requestId=5), **held.about)
        held.world.reply(message)  # Too late.
        wire = await held.back(event_id)
        assert await steps(wire, 1) == [1]
        await wire.ended()


async def test_a_stream_that_was_taken_up_again_ends_with_its_session() -> None:
    async with serving() as front:
        held = await session(front)
        event_id, _message = await held.broken(5)
        wire = await held.back(event_id)
        assert (await front.ask("DELETE", "/mcp", **held.about)).status == 204
        assert "error" in await wire.message()
        await wire.ended()


async def test_what_is_said_again_waits_for_the_evidence_too() -> None:
    class Ledger:
        pending = False
        trace: list[str]

        def commit(self) -> None:
            self.pending = False
            self.trace.append("committed")

    async with serving() as front:
        held = await session(front)
        event_id, message = await held.broken()
        held.world.reply(message, {})
        ledger = Ledger()
        ledger.trace, ledger.pending = [], True
        turn = front.endpoint.worlds._turn
        turn.ledger = ledger
        wire = await held.back(event_id)
        assert ledger.trace == ["committed"]
        assert "result" in await wire.message()
        turn.ledger = None


# --- polling ---------------------------------------------------------------------------------------


async def test_a_connection_that_is_closed_on_purpose_leaves_its_stream_open() -> None:
    async with serving() as front:
        held = await session(front)
        wire, message = await held.begin()
        held.world.client.part(message["id"])
        held.world.client.part(message["id"])
        held.progress(message, 1)
        await wire.head()
        event_id = (await wire.fields())["id"]
        await wire.ended()
        wire = await held.back(event_id)
        held.world.reply(message, {"done": True})
        assert await steps(wire, 1) == [1]
        assert (await wire.message())["result"] == {"done": True}
        await wire.ended()


async def test_the_connection_of_a_client_that_does_not_know_to_come_back_stays() -> None:
    async with serving() as front:
        held = await session(front, OLD)
        wire, message = await held.begin()
        held.world.client.part(message["id"])
        held.progress(message, 1)
        held.world.client.part(message["id"])
        held.world.client.part(99)
        held.world.reply(message, {"done": True})
        await wire.head()
        assert await steps(wire, 1) == [1]
        assert (await wire.message())["result"] == {"done": True}


# --- bounds ----------------------------------------------------------------------------------------


async def test_the_oldest_events_of_a_session_make_room_for_newer_ones() -> None:
    async with serving() as front:
        held = await session(front)
        event_id, message = await held.broken()
        for step in range(KEPT + 10):
            held.progress(message, step)
        held.world.reply(message, {})
        wire = await held.back(event_id)
        assert await steps(wire, KEPT - 1) == list(range(11, KEPT + 10))
        assert "result" in await wire.message()


async def test_a_stream_of_which_nothing_is_kept_any_more_is_not_known() -> None:
    async with serving() as front:
        held = await session(front)
        event_id, message = await held.broken(1)
        held.world.reply(message)
        assert held.world.client.place(event_id) is not None
        _other, running = await held.broken(2)
        for step in range(KEPT):
            held.progress(running, step)
        assert held.world.client.place(event_id) is None


def test_a_journal_is_bounded_in_bytes() -> None:
    journal = StreamHistory()
    third = b"x" * (KEPT_BYTES // 3)
    for number in range(5):
        journal.keep(1, number, (third,))
    assert [number for number, _parts in journal.after(1, -1)] == [2, 3, 4]
    journal.keep(2, 0, (b"y" * KEPT_BYTES, b"z"))
    assert (journal.last(1), journal.last(2)) == (4, -1)
    journal.keep(2, 1, (b"y" * KEPT_BYTES,))
    assert (journal.last(1), journal.last(2)) == (-1, 1)


async def test_an_answer_that_is_too_large_to_keep_is_an_error_for_who_comes_back() -> None:
    async with serving() as front:
        held = await session(front)
        wire, message = await held.begin("big")
        held.world.reply(message, {"text": "x" * KEPT_BYTES})
        await wire.head()
        event_id = (await wire.fields())["id"]
        assert len((await wire.message())["result"]["text"]) == KEPT_BYTES
        wire = await held.back(event_id)
        answer = await wire.message()
        assert (answer["id"], answer["error"]["code"]) == ("big", -31000)
        assert "too large" in answer["error"]["message"]
        await wire.ended()
