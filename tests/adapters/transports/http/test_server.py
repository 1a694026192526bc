"""What the server itself does: bounds on a head, no signals, no log."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from contextlib import suppress
from typing import Any

import pytest

from mcpguard.adapters.transports.http import HttpServer
from tests.adapters.transports.front import ENVELOPE, MODERN, Front, Wire, call, serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

HEALTH = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
NEXT = {
    "a get": HEALTH,
    "a post": HEALTH.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\nabc"),
}


async def test_a_head_without_end_is_refused() -> None:
    async with serving() as front:
        wire = await front.connect()
        wire.writer.write(b"GET /healthz HTTP/1.1\r\nx-a: ")
        try:
            for _ in range(64):
                wire.writer.write(b"a" * 16_384)
                await wire.writer.drain()
            answer = await wire.answer()
        except ConnectionError:
            return
        assert answer.status == 431


async def test_what_is_no_http_is_refused() -> None:
    async with serving() as front:
        wire = await front.connect()
        wire.writer.write(b"\x16\x03\x01\r\n\r\n")
        assert (await wire.answer()).status == 400


@pytest.mark.parametrize("head", [b"POST /mcp HTTP/1.0\r\n", b"POST /mcp HTTP/1.1\r\n"])
async def test_a_request_without_host_is_refused(head: bytes) -> None:
    async with serving() as front:
        wire = await front.connect()
        wire.writer.write(head + b"content-length: 0\r\n\r\n")
        assert (await wire.answer()).status in (400, 403)


async def test_it_takes_no_signals_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with serving() as front:
        await front.session()
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
        wire = await front.connect()
        wire.writer.write(b"nonsense\r\n\r\n")
        await wire.answer()
    assert capfd.readouterr() == ("", "")


async def test_an_address_that_is_taken_is_an_error_of_the_system() -> None:
    async with serving() as front:
        second = HttpServer(front.endpoint, lambda _server, _said: None)
        with pytest.raises(OSError, match="in use"):
            await second.start("127.0.0.1", front.port)


async def test_an_answer_does_not_wait_for_the_one_before_to_be_acknowledged() -> None:
    async with serving() as front:
        await front.session()
        wire = await front.connect()
        wire.send("GET", "/healthz", front.headers())
        await wire.answer()
        transports = [connection.transport for connection in front.server._connections.open]
        sockets = [transport.get_extra_info("socket") for transport in transports]
        assert sockets
        assert all(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for sock in sockets)


async def test_it_listens_on_loopback_of_ipv6() -> None:
    async with serving() as front:
        second = HttpServer(front.endpoint, lambda _server, _said: None)
        try:
            host, port = await second.start("::1", 0)
        except OSError:
            pytest.skip("this machine has no IPv6")
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: [::1]\r\n\r\n")
        assert b" 200 " in await reader.readline()
        writer.close()
        await second.close(True)


@pytest.mark.parametrize("said", [b"", b"GET /hea"])
@pytest.mark.parametrize("used", [False, True])
async def test_a_connection_that_does_not_finish_its_head_is_closed(said: bytes, used: bool) -> None:
    # One that is to be used first needs the time to be so on a busy machine.
    async with serving(head_seconds=0.3 if used else 0.01) as front:
        wire = await front.connect()
        if used:
            wire.send("GET", "/healthz", front.headers())
            await wire.answer()
            wire.writer.write(said or b"G")
        else:
            wire.writer.write(said)
        assert await wire.reader.read() == b""


@pytest.mark.parametrize("rest", [b"x", b"x" * 1000])
@pytest.mark.parametrize("host", ["evil.example", "localhost"])
async def test_a_request_that_was_answered_before_it_had_come_ends_its_connection_in_time(
    host: str, rest: bytes
) -> None:
    # The head itself needs the time to come on a busy machine.
    async with serving(head_seconds=0.3) as front:
        wire = await front.connect()
        wire.send("POST", "/nothing", front.headers(host=host, content_length="1000"))
        assert (await wire.answer()).status in (403, 404)
        wire.writer.write(rest)
        assert await wire.reader.read() == b""


async def test_a_request_that_was_answered_before_it_had_come_leaves_its_connection_in_use() -> None:
    async with serving() as front:
        wire = await front.connect()
        wire.send("POST", "/nothing", front.headers(content_length="300000"))
        assert (await wire.answer()).status == 404
        wire.writer.write(b"x" * 300_000 + HEALTH)
        assert (await wire.answer()).status == 200


async def test_a_long_request_is_not_cut_for_what_its_client_began_to_send_after_it() -> None:
    async with serving(head_seconds=0.3) as front:
        key = await front.session()
        standing = await front.open("GET", "/mcp", mcp_session_id=key)
        await standing.head()
        standing.writer.write(b"GET /hea")
        quiet = await front.connect()
        assert await quiet.reader.read() == b""  # By now the other one's time is over as well.
        front.door.worlds[0].notify("notifications/message")
        assert (await standing.message())["method"] == "notifications/message"


async def test_a_body_may_be_announced_first() -> None:
    async with serving(message_bytes=2000) as front:
        body = json.dumps(call("initialize")).encode()
        about = [*front.headers(expect="100-continue"), ("content-length", str(len(body)))]
        wire = await front.connect()
        wire.send("POST", "/mcp", about)
        assert (await wire.head()).status == 100
        wire.writer.write(body)
        assert (await wire.answer()).status == 200
        wire.send("POST", "/mcp", [*about[:-1], ("content-length", "2001")])
        assert (await wire.answer()).status == 413


def modern_call() -> tuple[bytes, dict[str, str | None]]:
    body = json.dumps(call("tools/call", 1, _meta=ENVELOPE)).encode()
    return body, {"mcp_protocol_version": MODERN}


@pytest.mark.parametrize("behind", NEXT)
async def test_a_client_that_is_gone_takes_its_request_back_whatever_it_sent_behind_it(behind: str) -> None:
    async with serving() as front:
        front.door.script = lambda _receiver, _message: None
        body, headers = modern_call()
        wire = await front.open("POST", "/mcp", body, **headers)
        await front.door.until(lambda: front.door.worlds and front.door.worlds[0].heard)
        wire.writer.write(NEXT[behind] * 2)
        await wire.writer.drain()
        wire.close()
        [world] = front.door.worlds
        await front.door.until(lambda: world.cancelled)
        assert world.cancelled == [(world.heard[0]["id"], "disconnected")]


@pytest.mark.parametrize("behind", NEXT)
async def test_a_request_behind_one_that_runs_is_not_served_and_ends_the_connection(behind: str) -> None:
    async with serving() as front:
        front.door.script = lambda _receiver, _message: None
        body, headers = modern_call()
        wire = await front.open(
            "POST", "/mcp", body + NEXT[behind] * 2, content_length=str(len(body)), **headers
        )
        await front.door.until(lambda: front.door.worlds and front.door.worlds[0].heard)
        [world] = front.door.worlds
        world.reply(world.heard[0])
        answer = await wire.answer()
        assert (answer.status, answer.json["id"], answer.headers["connection"]) == (200, 1, "close")
        assert await wire.reader.read() == b""
        assert len(world.heard) == 1


# --- fields behind a body ------------------------------------------------------------------------


def chunked(front: Front, **headers: str) -> list[tuple[str, str]]:
    return front.headers(transfer_encoding="chunked", **headers)


async def test_a_field_behind_a_body_is_no_header_and_its_request_is_not_served() -> None:
    async with serving() as front:
        body, _headers = modern_call()
        wire = await front.connect()
        behind = b"%x\r\n%b\r\n0\r\nmcp-protocol-version: %b\r\n\r\n"
        wire.send("POST", "/mcp", chunked(front), behind % (len(body), body, MODERN.encode()) + HEALTH)
        answer = await wire.answer()
        assert (answer.status, answer.body) == (400, b"Trailer fields are not accepted.")
        assert await wire.reader.read() == b""
        assert front.door.worlds == []


ENDLESS = {
    "many fields": b"x: " + b"a" * 1000 + b"\r\n",
    "one field": b"a" * 1000,
    "the extension of a chunk": b"a" * 1000,
}
BEFORE = {"many fields": b"0\r\n", "one field": b"0\r\nx: ", "the extension of a chunk": b"1;"}


async def pour(wire: Wire, part: bytes) -> None:
    for _ in range(10_000):
        wire.writer.write(part)
        await wire.writer.drain()


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("kind", ENDLESS)
async def test_what_comes_behind_a_body_or_between_its_chunks_has_an_end(kind: str, answered: bool) -> None:
    async with serving() as front:
        wire = await front.connect()
        wire.send("POST", "/mcp", chunked(front, host="evil.example" if answered else "localhost"))
        if answered:
            assert (await wire.answer()).status == 403
        wire.writer.write(BEFORE[kind])
        with pytest.raises(ConnectionError):
            await pour(wire, ENDLESS[kind])
        assert front.door.worlds == []


async def test_many_small_chunks_are_a_body_like_any_other() -> None:
    async with serving() as front:
        body = json.dumps(call("initialize", padding="x" * 100_000)).encode()
        wire = await front.connect()
        wire.send(
            "POST", "/mcp", chunked(front), b"".join(b"1\r\n%c\r\n" % one for one in body) + b"0\r\n\r\n"
        )
        assert (await wire.answer()).status == 200


async def test_no_answer_has_another_one_in_it() -> None:
    async with serving() as front:
        key = await front.session()
        standing = await front.open("GET", "/mcp", mcp_session_id=key)
        await standing.head()
        standing.writer.write(b"nonsense\r\n\r\n")
        with suppress(ConnectionError):
            assert await standing.reader.read() == b""


@pytest.mark.parametrize("begun", [False, True])
async def test_a_defect_is_reported_by_its_kind_and_ends_the_connection(
    begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(request: Any) -> None:
        if begun:
            request.start(200, [])
            request.write(b"", False)
        raise ZeroDivisionError("a text that may quote anything")

    monkeypatch.setattr(
        "mcpguard.adapters.transports.http.endpoint.Endpoint._health", lambda _, it: broken(it)
    )
    async with serving() as front:
        wire = await front.connect()
        wire.writer.write(HEALTH)
        answer = await wire.head()
        assert answer.status == (200 if begun else 500)
        rest = await wire.reader.read()
        assert rest == (b"" if begun else b"Internal Server Error")
        assert front.reports == ["internal error (ZeroDivisionError) in the HTTP front"]


async def test_a_header_that_would_be_two_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def split(_: Any, request: Any) -> None:
        request.respond(200, b"ok", b"text/plain\r\nx-evil: 1")

    monkeypatch.setattr("mcpguard.adapters.transports.http.endpoint.Endpoint._health", split)
    async with serving() as front:
        wire = await front.connect()
        wire.writer.write(HEALTH)
        answer = await wire.answer()
        assert answer.status == 500
        assert "x-evil" not in answer.headers
        assert front.reports == ["internal error (ValueError) in the HTTP front"]


@pytest.mark.parametrize(("version", "kept"), [("1.1", True), ("1.0", False)])
async def test_a_connection_is_kept_for_another_request_unless_its_client_is_old(
    version: str, kept: bool
) -> None:
    async with serving() as front:
        wire = await front.connect()
        wire.writer.write(HEALTH.replace(b"1.1", version.encode()))
        answer = await wire.answer()
        assert (answer.status, answer.body) == (200, b"ok")
        assert (answer.headers.get("connection") == "close") is not kept
        if kept:
            wire.writer.write(HEALTH)
            assert (await wire.answer()).body == b"ok"
        else:
            assert await wire.reader.read() == b""


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://evil.example/mcp", None, 403),
        ("http://evil.example:{port}/mcp", None, 403),
        ("http://user@127.0.0.1/mcp", None, 400),
        ("ftp://127.0.0.1/mcp", None, 400),
        ("http://127.0.0.1:{port}/mcp", None, 200),
        ("/mcp", "evil.example", 403),
    ],
)
async def test_a_whole_url_as_the_target_is_checked_as_what_was_asked_for(
    target: str, host: str | None, status: int
) -> None:
    async with serving() as front:
        wire = await front.connect()
        body = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
        named = {"host": host} if host else {}
        headers = front.headers(content_length=str(len(body)), **named)
        wire.send("POST", target.format(port=front.port), headers, body)
        assert (await wire.answer()).status == status
        assert (front.door.worlds == []) == (status != 200)
