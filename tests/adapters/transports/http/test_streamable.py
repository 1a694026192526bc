"""Streamable HTTP: what comes in, how it is answered, and what is not served."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcpguard.adapters.transports.http.stream import BEAT_SECONDS
from mcpguard.config.file import HttpEntry
from tests.adapters.transports.front import (
    BOTH,
    ENVELOPE,
    MODERN,
    FakeReceiver,
    Front,
    answer_handshake,
    call,
    notice,
    serving,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

# --- modern ----------------------------------------------------------------------------------------


async def test_a_modern_request_is_answered_in_json_under_its_own_id() -> None:
    async with serving() as front:
        answer = await front.modern("tools/list", "abc")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json == {"jsonrpc": "2.0", "id": "abc", "result": {"method": "tools/list"}}
        assert "mcp-session-id" not in answer.headers
        assert "date" in answer.headers


async def test_the_gateway_gets_an_own_number_and_the_headers_without_authorization() -> None:
    async with serving() as front:
        body = call("tools/call", "x", _meta=ENVELOPE, name="a")
        await front.post(body, mcp_protocol_version=MODERN, Mcp_Name="a", authorization="Bearer s3cret")
        [world] = front.door.worlds
        [headers] = world.headers
        assert headers is not None
        assert type(world.heard[0]["id"]) is int
        assert headers["mcp-name"] == "a"
        assert headers["mcp-protocol-version"] == MODERN
        assert "authorization" not in headers


async def test_modern_requests_of_one_principal_share_a_world_and_may_carry_the_same_id() -> None:
    async with serving() as front:
        front.door.script = lambda _receiver, _message: None
        bodies = [call("tools/call", 7, _meta=ENVELOPE, name=name) for name in ("a", "b")]
        wires = [await front.open("POST", "/mcp", body, mcp_protocol_version=MODERN) for body in bodies]
        await front.door.until(lambda: front.door.worlds and len(front.door.worlds[0].heard) == 2)
        [world] = front.door.worlds
        for message in reversed(world.heard):
            assert world.client.shown(message["id"]) == 7
            world.reply(message, {"name": message["params"]["name"]})
        answers = [(await wire.answer()).json for wire in wires]
        assert [(a["id"], a["result"]["name"]) for a in answers] == [(7, "a"), (7, "b")]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (-32700, 400), (-32600, 400), (-32602, 400), (-32020, 400), (-32021, 400), (-32022, 400),
        (-32601, 404), (-32603, 200), (-31000, 200),
    ],
)  # fmt: skip
async def test_a_modern_error_has_the_status_of_its_code(code: int, status: int) -> None:
    async with serving() as front:
        front.door.script = lambda receiver, message: receiver.refuse(message["id"], code)
        answer = await front.modern("tools/call")
        assert (answer.status, answer.json["error"]["code"]) == (status, code)


async def test_what_is_said_before_the_answer_makes_it_a_stream() -> None:
    def script(receiver: FakeReceiver, message: dict[str, Any]) -> None:
        receiver.notify("notifications/progress", related=message["id"], progress=1)
        receiver.reply(message, {"done": True})

    async with serving() as front:
        front.door.script = script
        wire = await front.open(
            "POST", "/mcp", call("tools/call", 5, _meta=ENVELOPE), mcp_protocol_version=MODERN
        )
        head = await wire.head()
        assert head.headers["content-type"] == "text/event-stream"
        assert head.headers["cache-control"] == "no-store"
        assert head.headers["x-accel-buffering"] == "no"
        assert await wire.message() == notice("notifications/progress", progress=1)
        assert await wire.message() == {"jsonrpc": "2.0", "id": 5, "result": {"done": True}}
        await wire.ended()


async def test_a_listening_request_stays_a_stream_with_a_sign_of_life() -> None:
    def script(receiver: FakeReceiver, message: dict[str, Any]) -> None:
        receiver.notify("notifications/subscriptions/acknowledged", related=message["id"])

    async with serving() as front:
        front.door.script = script
        wire = await front.open(
            "POST", "/mcp", call("subscriptions/listen", 5, _meta=ENVELOPE), mcp_protocol_version=MODERN
        )
        await wire.head()
        assert (await wire.message())["method"] == "notifications/subscriptions/acknowledged"
        front.clock.pass_by(15)
        assert await wire.event() == ("", ":")
        front.clock.pass_by(15)
        assert await wire.event() == ("", ":")
        [world] = front.door.worlds
        world.notify("notifications/tools/list_changed", related=world.heard[0]["id"])
        assert (await wire.message())["method"] == "notifications/tools/list_changed"


async def test_a_modern_disconnect_cancels_the_request_and_nothing_is_said_to_it_any_more() -> None:
    async with serving() as front:
        front.door.script = lambda _receiver, _message: None
        wire = await front.open(
            "POST", "/mcp", call("tools/call", 5, _meta=ENVELOPE), mcp_protocol_version=MODERN
        )
        await front.door.until(lambda: front.door.worlds)
        wire.close()
        [world] = front.door.worlds
        await front.door.until(lambda: world.cancelled)
        number = world.heard[0]["id"]
        assert world.cancelled == [(number, "disconnected")]
        world.notify("notifications/progress", related=number)
        world.reply(world.heard[0])
        assert world.client.drained


async def test_a_disconnect_is_seen_although_the_next_request_was_sent_already() -> None:
    async with serving() as front:
        front.door.script = lambda _receiver, _message: None
        body = call("tools/call", 5, _meta=ENVELOPE)
        wire = await front.open("POST", "/mcp", body, mcp_protocol_version=MODERN)
        wire.send("GET", "/healthz", front.headers())
        await front.door.until(lambda: front.door.worlds)
        wire.writer.transport.abort()
        await front.door.until(lambda: front.door.worlds[0].cancelled)


async def test_a_modern_notification_without_a_request_is_dropped() -> None:
    async with serving() as front:
        await front.modern("ping")
        [world] = front.door.worlds
        world.notify("notifications/tools/list_changed")
        assert world.client.drained
        assert (await front.modern("ping")).status == 200


async def test_modern_notifications_are_taken_cancellations_dropped_and_answers_refused() -> None:
    async with serving() as front:
        assert (await front.post(notice("notifications/x"), mcp_protocol_version=MODERN)).status == 202
        cancelled = notice("notifications/cancelled", requestId=1)
        assert (await front.post(cancelled, mcp_protocol_version=MODERN)).status == 202
        answer = {"jsonrpc": "2.0", "id": 1, "result": {}}
        assert (await front.post(answer, mcp_protocol_version=MODERN)).status == 400
        [world] = front.door.worlds
        assert [message["method"] for message in world.heard] == ["notifications/x"]


async def test_an_enveloped_request_without_a_version_header_is_the_gateways_to_refuse() -> None:
    async with serving() as front:
        front.door.script = lambda receiver, message: receiver.refuse(message["id"], -32020)
        answer = await front.post(call("tools/list", _meta=ENVELOPE))
        assert (answer.status, answer.json["error"]["code"]) == (400, -32020)
        assert front.door.worlds[0].headers[0] is not None
        assert "mcp-protocol-version" not in front.door.worlds[0].headers[0]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_modern_client_may_only_post(method: str) -> None:
    async with serving() as front:
        answer = await front.ask(method, "/mcp", mcp_protocol_version=MODERN)
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


# --- legacy ----------------------------------------------------------------------------------------


async def test_initialize_begins_a_session_with_a_long_random_id() -> None:
    async with serving() as front:
        first, second = await front.session(), await front.session()
        assert first != second
        assert len(first) >= 43
        assert all(0x21 <= ord(char) <= 0x7E for char in first)
        assert len(front.door.worlds) == 2


async def test_a_refused_initialize_leaves_no_session() -> None:
    async with serving() as front:
        front.door.script = lambda receiver, message: receiver.refuse(message["id"], -32602)
        answer = await front.post(call("initialize"))
        assert (answer.status, answer.json["error"]["code"]) == (200, -32602)
        assert "mcp-session-id" not in answer.headers
        await front.door.until(lambda: front.door.worlds[0].left is not None)


async def test_a_session_takes_requests_notifications_and_answers() -> None:
    async with serving() as front:
        key = await front.session()
        about = {"mcp_session_id": key, "mcp_protocol_version": "2025-06-18"}
        assert (await front.post(notice("notifications/initialized"), **about)).status == 202
        assert (await front.post(call("tools/list", 2), **about)).json["id"] == 2
        reply = {"jsonrpc": "2.0", "id": "q1", "result": {}}
        answer = await front.post(reply, **about)
        assert (answer.status, answer.body) == (202, b"")
        [world] = front.door.worlds
        assert world.heard[-1] == reply


async def test_a_legacy_error_is_an_answer_like_any_other() -> None:
    async with serving() as front:
        key = await front.session()
        front.door.script = lambda receiver, message: receiver.refuse(message["id"], -32601)
        assert (await front.post(call("x/y", 2), mcp_session_id=key)).status == 200


async def test_a_question_of_a_request_goes_on_its_stream_and_others_on_the_standing_one() -> None:
    async with serving() as front:
        front.door.script = answer_handshake
        key = await front.session()
        standing = await front.open("GET", "/mcp", mcp_session_id=key)
        assert (await standing.head()).headers["content-type"] == "text/event-stream"
        wire = await front.open("POST", "/mcp", call("tools/call", 9), mcp_session_id=key)
        [world] = front.door.worlds
        await front.door.until(lambda: len(world.heard) == 2)
        from mcpguard.core.redaction.redactor import authored

        world.client.ask(1, "elicitation/create", authored({"a": 1}), world.heard[1]["id"])
        world.client.ask("two", "roots/list", authored({}))
        world.notify("notifications/tools/list_changed")
        await wire.head()
        assert await wire.message() == call("elicitation/create", 1, a=1)
        assert await standing.message() == call("roots/list", "two")
        assert (await standing.message())["method"] == "notifications/tools/list_changed"
        world.reply(world.heard[1])
        assert (await wire.message())["id"] == 9
        await wire.ended()


async def test_what_is_said_before_the_standing_stream_opens_is_kept_up_to_a_bound() -> None:
    async with serving() as front:
        key = await front.session()
        [world] = front.door.worlds
        for number in range(300):
            world.notify("notifications/message", data=number)
        standing = await front.open("GET", "/mcp", mcp_session_id=key)
        await standing.head()
        said = [(await standing.message())["params"]["data"] for _ in range(256)]
        assert said == list(range(44, 300))
        world.notify("notifications/message", data="later")
        assert (await standing.message())["params"]["data"] == "later"


async def test_a_legacy_disconnect_cancels_nothing_and_later_words_go_to_the_standing_stream() -> None:
    async with serving() as front:
        front.door.script = answer_handshake
        key = await front.session()
        standing = await front.open("GET", "/mcp", mcp_session_id=key)
        await standing.head()
        wire = await front.open("POST", "/mcp", call("tools/call", 9), mcp_session_id=key)
        [world] = front.door.worlds
        await front.door.until(lambda: len(world.heard) == 2)
        number = world.heard[1]["id"]
        uses = next(iter(front.endpoint.worlds._sessions.values()))
        wire.close()
        while uses.uses > 1:
            await asyncio.sleep(0)
        assert world.cancelled == []
        world.notify("notifications/progress", related=number, progress=1)
        assert (await standing.message())["method"] == "notifications/progress"
        world.reply(world.heard[1])  # Dropped: nobody waits for it on this stream.
        world.notify("notifications/message")
        assert (await standing.message())["method"] == "notifications/message"


@pytest.mark.parametrize("version", [MODERN, "2025-06-18"])
async def test_an_answer_that_takes_long_is_a_stream_that_says_that_it_is_there(version: str) -> None:
    """Else whoever stands between closes it, which takes the call of a modern client back."""
    async with serving() as front:
        front.door.script = answer_handshake
        about = {} if version == MODERN else {"mcp_session_id": await front.session()}
        meta = {"_meta": ENVELOPE} if version == MODERN else {}
        wire = await front.open(
            "POST", "/mcp", call("tools/call", 5, **meta), mcp_protocol_version=version, **about
        )
        await front.door.until(lambda: "tools/call" in str(front.door.worlds and front.door.worlds[-1].heard))
        [world] = front.door.worlds
        for _ in range(2):
            front.clock.pass_by(BEAT_SECONDS)
        assert (await wire.head()).headers["content-type"] == "text/event-stream"
        front.clock.pass_by(BEAT_SECONDS)
        assert await wire.event() == ("", ":")
        world.reply(world.heard[-1], {"done": True})
        assert (await wire.message())["result"] == {"done": True}
        await wire.ended()


async def test_an_answer_that_comes_soon_is_none_though_others_take_long() -> None:
    async with serving() as front:
        front.door.script = answer_handshake
        key = await front.session()
        slow = await front.open("POST", "/mcp", call("tools/call", 5), mcp_session_id=key)
        [world] = front.door.worlds
        await front.door.until(lambda: len(world.heard) == 2)
        front.clock.pass_by(BEAT_SECONDS)
        quick = await front.open("POST", "/mcp", call("tools/call", 6), mcp_session_id=key)
        await front.door.until(lambda: len(world.heard) == 3)
        front.clock.pass_by(BEAT_SECONDS)
        world.reply(world.heard[2])
        assert (await quick.answer()).headers["content-type"] == "application/json"
        assert (await slow.head()).headers["content-type"] == "text/event-stream"


async def test_the_session_of_a_client_is_not_named_before_it_is_granted() -> None:
    async with serving() as front:
        front.door.script = lambda _receiver, _message: None
        wire = await front.open("POST", "/mcp", call("initialize", 1))
        await front.door.until(lambda: bool(front.door.worlds))
        [world] = front.door.worlds
        await front.door.until(lambda: len(world.heard) == 1)
        for _ in range(3):
            front.clock.pass_by(BEAT_SECONDS)
        world.refuse(1, -32602)
        answer = await wire.answer()
        assert answer.json["error"]["code"] == -32602
        assert "mcp-session-id" not in answer.headers


async def test_a_legacy_cancellation_reaches_the_gateway_by_number_and_ends_the_post_unanswered() -> None:
    async with serving() as front:
        front.door.script = answer_handshake
        key = await front.session()
        wire = await front.open("POST", "/mcp", call("tools/call", "nine"), mcp_session_id=key)
        [world] = front.door.worlds
        await front.door.until(lambda: len(world.heard) == 2)
        cancelled = notice("notifications/cancelled", requestId="nine", reason="enough")
        assert (await front.post(cancelled, mcp_session_id=key)).status == 202
        assert world.heard[2]["params"]["requestId"] == world.heard[1]["id"]
        answer = await wire.answer()
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["content-type"] == "text/event-stream"
        world.reply(world.heard[1])  # Too late: nothing happens.
        for other in ("nine", 1, True, None, 9.5, {}):
            await front.post(notice("notifications/cancelled", requestId=other), mcp_session_id=key)
        assert len(world.heard) == 3


async def test_an_id_that_is_in_use_in_a_session_is_refused_and_the_first_request_goes_on() -> None:
    async with serving() as front:
        front.door.script = answer_handshake
        key = await front.session()
        wire = await front.open("POST", "/mcp", call("tools/call", 0), mcp_session_id=key)
        [world] = front.door.worlds
        await front.door.until(lambda: len(world.heard) == 2)
        second = await front.post(call("tools/call", 0), mcp_session_id=key)
        assert (second.status, second.json["id"], second.json["error"]["code"]) == (400, 0, -32600)
        world.reply(world.heard[1], {"first": True})
        assert (await wire.answer()).json["result"] == {"first": True}
        front.door.script = lambda receiver, message: receiver.reply(message)
        assert (await front.post(call("tools/call", 0), mcp_session_id=key)).status == 200


async def test_a_second_standing_stream_is_refused_until_the_first_is_gone() -> None:
    async with serving() as front:
        key = await front.session()
        first = await front.open("GET", "/mcp", mcp_session_id=key)
        await first.head()
        assert (await front.ask("GET", "/mcp", mcp_session_id=key)).status == 409
        first.close()
        client = front.door.worlds[0].client
        while client.stands:
            await asyncio.sleep(0)
        again = await front.open("GET", "/mcp", mcp_session_id=key)
        assert (await again.head()).status == 200


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_a_session_must_be_named_and_known(method: str) -> None:
    async with serving() as front:
        body = call("tools/list") if method == "POST" else None
        assert (await front.ask(method, "/mcp", body)).status == 400
        assert (await front.ask(method, "/mcp", body, mcp_session_id="made-up")).status == 404
        assert front.door.worlds == []


async def test_an_unknown_protocol_version_of_a_legacy_request_is_refused() -> None:
    async with serving() as front:
        key = await front.session()
        answer = await front.post(call("tools/list"), mcp_session_id=key, mcp_protocol_version="1999-01-01")
        assert (answer.status, answer.json["error"]["code"]) == (400, -32022)


# --- what is refused at the door -------------------------------------------------------------------


async def test_a_message_that_cannot_be_read_leaves_evidence_where_there_is_a_world() -> None:
    async with serving() as front:
        answer = await front.post(b"{nonsense", mcp_protocol_version=MODERN)
        assert (answer.status, answer.json["id"], answer.json["error"]["code"]) == (400, None, -32700)
        key = await front.session()
        twice = b'{"jsonrpc":"2.0","id":4,"method":"ping","method":"tools/call"}'
        answer = await front.post(twice, mcp_session_id=key)
        assert (answer.status, answer.json["id"], answer.json["error"]["code"]) == (400, 4, -32600)
        assert [len(world.refused) for world in front.door.worlds] == [1, 1]


async def test_a_message_that_cannot_be_read_and_belongs_nowhere_is_refused_here() -> None:
    async with serving() as front:
        for body in (b"", b"[]", b'{"jsonrpc":"2.0","id":4}', b"\xff"):
            answer = await front.post(body)
            assert answer.status == 400
            assert answer.json["error"]["code"] in (-32700, -32600)
        assert front.door.worlds == []


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (406, {"accept": "application/json"}),
        (406, {"accept": "text/event-stream"}),
        (406, {"accept": "application/json, text/event-stream;q=0"}),
        (415, {"content_type": "text/plain"}),
        (415, {"content_type": None}),
        (415, {"content_encoding": "identity, gzip"}),
        (403, {"host": "evil.example"}),
        (403, {"origin": "https://evil.example"}),
        (403, {"origin": "null"}),
    ],
)
async def test_a_post_with_wrong_headers_is_refused(status: int, headers: dict[str, str | None]) -> None:
    async with serving() as front:
        answer = await front.post(call("initialize"), **headers)
        assert answer.status == status
        assert "error" in answer.json
        assert front.door.worlds == []


async def test_a_compressed_body_is_refused_with_what_would_be_accepted() -> None:
    async with serving() as front:
        answer = await front.post(call("initialize"), content_encoding="gzip")
        assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")
        said = "bodies are not decompressed: send this one without a content encoding"
        assert answer.json["error"]["message"] == said
        assert (await front.post(call("initialize"), content_encoding="Identity")).status == 200


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("mcp-protocol-version", -32020), ("mcp-method", -32020), ("mcp-name", -32020),
        ("mcp-session-id", -32020), ("mcp-param-region", -32020), ("authorization", -32600),
        ("host", -32600), ("origin", -32600), ("content-type", -32600),
    ],
)  # fmt: skip
async def test_a_header_that_routes_may_stand_once_only(name: str, code: int) -> None:
    async with serving() as front:
        wire = await front.connect()
        body = json.dumps(call("initialize")).encode()
        about = [*front.headers(), (name, "a"), (name.title(), "a"), ("content-length", str(len(body)))]
        wire.send("POST", "/mcp", about, body)
        answer = await wire.answer()
        assert (answer.status, answer.json["error"]["code"]) == (400, code)
        assert front.door.worlds == []


async def test_another_header_may_come_in_pieces() -> None:
    async with serving() as front:
        wire = await front.connect()
        body = json.dumps(call("initialize")).encode()
        about = [*front.headers(accept="application/json"), ("Accept", "text/event-stream")]
        wire.send("POST", "/mcp", [*about, ("content-length", str(len(body)))], body)
        assert (await wire.answer()).status == 200


async def test_a_body_that_says_it_is_too_large_is_refused_unread() -> None:
    async with serving(message_bytes=2000) as front:
        wire = await front.open("POST", "/mcp", b"", content_length="2001")
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")


async def test_a_body_without_a_length_is_read_up_to_the_limit() -> None:
    async with serving(message_bytes=2000) as front:
        wire = await front.connect()
        wire.send("POST", "/mcp", [*front.headers(), ("transfer-encoding", "chunked")])
        for _ in range(3):
            wire.writer.write(b"3e8\r\n" + b"a" * 1000 + b"\r\n")
        assert (await wire.answer()).status == 413

        wire = await front.connect()
        body = json.dumps(call("initialize")).encode()
        wire.send("POST", "/mcp", [*front.headers(), ("transfer-encoding", "chunked")])
        for byte in body:
            wire.writer.write(b"1\r\n%c\r\n" % byte)
            await wire.writer.drain()
        wire.writer.write(b"0\r\n\r\n")
        assert (await wire.answer()).status == 200


async def test_a_body_that_does_not_come_is_given_up() -> None:
    async with serving(body_seconds=0.01) as front:
        wire = await front.open("POST", "/mcp", b"{", content_length="100")
        assert (await wire.answer()).status == 408


async def test_a_client_that_goes_away_within_its_body_leaves_nothing() -> None:
    async with serving() as front:
        wire = await front.open("POST", "/mcp", b"{", content_length="100")
        wire.close()
        assert (await front.ask("GET", "/healthz")).body == b"ok"
        assert front.door.worlds == []
        assert front.reports == []


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("PUT", "/mcp", "POST, GET, DELETE"), ("POST", "/sse", "GET"), ("GET", "/messages", "POST"),
     ("POST", "/healthz", "GET, HEAD"), ("OPTIONS", "/mcp", "POST, GET, DELETE")],
)  # fmt: skip
async def test_an_http_method_that_is_not_served_is_told_which_are(
    method: str, path: str, allow: str
) -> None:
    async with serving() as front:
        answer = await front.ask(method, path, content_length="0")
        assert (answer.status, answer.headers["allow"]) == (405, allow)


async def test_other_paths_are_not_there_and_health_needs_nothing() -> None:
    async with serving() as front:
        assert (await front.ask("GET", "/")).status == 404
        assert (await front.ask("GET", "/.well-known/oauth-protected-resource")).status == 404
        answer = await front.ask("GET", "/metrics")
        assert (answer.status, b"set `telemetry: {metrics: true}`" in answer.body) == (404, True)
        answer = await front.ask("GET", "/healthz", host="10.0.0.1", accept=None)
        assert (answer.status, answer.body) == (200, b"ok")


# --- browsers --------------------------------------------------------------------------------------


async def test_a_page_of_an_allowed_origin_may_ask_and_read() -> None:
    async with serving(HttpEntry(allowed_origins=("https://app.example",))) as front:
        for origin in ("https://app.example", "http://localhost:6274", "http://[::1]:1"):
            answer = await front.ask(
                "OPTIONS", "/mcp", origin=origin,
                access_control_request_method="POST",
                access_control_request_headers="Content-Type, mcp-protocol-version, x-evil",
            )  # fmt: skip
            assert answer.status == 204
            assert answer.headers["access-control-allow-origin"] == origin
            allowed = answer.headers["access-control-allow-headers"]
            assert allowed == "content-type, mcp-protocol-version"
            answer = await front.post(call("initialize"), origin=origin)
            assert answer.headers["access-control-allow-origin"] == origin
            assert "mcp-session-id" in answer.headers["access-control-expose-headers"]
            refused = await front.post(call("tools/list"), origin=origin)
            assert refused.headers["access-control-allow-origin"] == origin


async def test_a_page_of_another_origin_gets_no_leave() -> None:
    async with serving() as front:
        answer = await front.ask("OPTIONS", "/mcp", origin="https://evil.example")
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers


# --- the way out -----------------------------------------------------------------------------------


async def test_a_client_that_does_not_read_is_full_and_not_once_it_reads() -> None:
    async with serving() as front:
        key = await front.session()
        standing = await front.open("GET", "/mcp", mcp_session_id=key)
        await standing.head()
        [world] = front.door.worlds
        sent = 0
        while not world.client.full:
            world.notify("notifications/message", data="x" * 100_000)
            sent += 1
            await asyncio.sleep(0)
        assert sent < 500
        for _ in range(sent):
            await standing.message()
        while not world.client.drained:
            await asyncio.sleep(0)
        assert not world.client.full


async def test_a_stream_whose_client_is_gone_keeps_nothing() -> None:
    async with serving() as front:
        key = await front.session()
        standing = await front.open("GET", "/mcp", mcp_session_id=key)
        await standing.head()
        [world] = front.door.worlds
        while not world.client.full:
            world.notify("notifications/message", data="x" * 100_000)
            await asyncio.sleep(0)
        standing.writer.transport.abort()
        while world.client.stands or not world.client.drained:
            await asyncio.sleep(0)


async def test_while_it_is_held_a_client_sends_answers_and_notifications_but_no_requests() -> None:
    async with serving() as front:
        key = await front.session()
        [world] = front.door.worlds
        world.client.hold(True)
        world.client.hold(True)
        wire = await front.open("POST", "/mcp", call("tools/list", 2), mcp_session_id=key)
        while world.client.number_of(2) is None:
            await asyncio.sleep(0)
        reply = {"jsonrpc": "2.0", "id": "q1", "result": {}}
        assert (await front.post(reply, mcp_session_id=key)).status == 202
        assert world.heard[1:] == [reply]
        world.client.hold(False)
        assert (await wire.answer()).json["id"] == 2
        assert len(world.heard) == 3


async def test_a_session_that_ends_while_its_client_is_held_lets_nothing_in() -> None:
    async with serving() as front:
        key = await front.session()
        [world] = front.door.worlds
        world.client.hold(True)
        wire = await front.open("POST", "/mcp", call("tools/list", 2), mcp_session_id=key)
        while world.client.number_of(2) is None:
            await asyncio.sleep(0)
        await front.ask("DELETE", "/mcp", mcp_session_id=key)
        assert (await wire.answer()).json["error"]["message"] == "the session was closed"
        assert len(world.heard) == 1


async def test_a_large_answer_arrives_whole() -> None:
    async with serving() as front:
        front.door.script = lambda receiver, message: receiver.reply(message, {"text": "x" * 3_000_000})
        answer = await front.modern("tools/call", 3)
        assert len(answer.json["result"]["text"]) == 3_000_000


async def test_nothing_leaves_before_the_evidence_is_durable() -> None:
    class Ledger:
        pending = False
        committed = 0

        def commit(self) -> None:
            self.pending = False
            self.committed += 1
            trace.append("committed")

    trace: list[str] = []
    async with serving() as front:
        ledger = Ledger()
        turn = front.endpoint.worlds._turn
        turn.ledger = ledger

        def script(receiver: FakeReceiver, message: dict[str, Any]) -> None:
            ledger.pending = True
            receiver.reply(message, {})
            trace.append("said")

        front.door.script = script
        await front.modern("tools/call")
        assert trace == ["said", "committed"]
        turn.ledger = None


async def _two_calls(front: Front) -> list[int]:
    wire = await front.connect()
    statuses = []
    for number in (1, 2):
        body = json.dumps(call("tools/call", number, _meta=ENVELOPE)).encode()
        about = [*front.headers(mcp_protocol_version=MODERN), ("content-length", str(len(body)))]
        wire.send("POST", "/mcp", about, body)
        statuses.append((await wire.answer()).status)
    return statuses


async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with serving() as front:
        assert await _two_calls(front) == [200, 200]
        assert BOTH in dict(front.headers()).values()


async def test_a_defect_of_the_gateway_is_told_by_kind_only() -> None:
    def script(_receiver: FakeReceiver, _message: dict[str, Any]) -> None:
        raise RuntimeError("the secret is hunter2")

    async with serving() as front:
        front.door.script = script
        answer = await front.modern("tools/call")
        assert answer.status == 500
        assert b"hunter2" not in answer.body
        assert front.reports == ["internal error (RuntimeError) in the HTTP front"]


async def test_a_request_that_is_taken_back_while_it_waits_is_never_handed_in() -> None:
    async with serving() as front:
        key = await front.session()
        [world] = front.door.worlds
        world.client.hold(True)
        wire = await front.open("POST", "/mcp", call("tools/call", 5), mcp_session_id=key)
        while world.client.number_of(5) is None:
            await asyncio.sleep(0)
        await front.post(notice("notifications/cancelled", requestId=5), mcp_session_id=key)
        assert (await wire.answer()).body == b""
        world.client.hold(False)
        await front.post(call("ping", 6), mcp_session_id=key)
        assert "tools/call" not in [message["method"] for message in world.heard]


async def test_a_request_that_waits_too_long_is_answered_and_never_handed_in() -> None:
    async with serving(body_seconds=0.05) as front:
        key = await front.session()
        [world] = front.door.worlds
        world.client.hold(True)
        answer = await front.post(call("tools/call", 5), mcp_session_id=key)
        assert (answer.json["id"], answer.json["error"]["code"]) == (5, -31000)
        world.client.hold(False)
        await front.post(call("ping", 6), mcp_session_id=key)
        assert [message["method"] for message in world.heard] == ["initialize", "ping"]
