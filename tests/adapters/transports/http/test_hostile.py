"""What a hostile client sends, byte by byte: a request that two parties could read in two ways is not served
(RFC 9112), and no client costs another one anything."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mcpguard.adapters.transports.http import connection
from tests.adapters.transports.front import (
    BOTH,
    Answer,
    FakeReceiver,
    Front,
    Wire,
    answer_handshake,
    call,
    serving,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

BODY = json.dumps(call("initialize")).encode()
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNKED = b"transfer-encoding: chunked\r\n"
HOST = b"host: localhost\r\n"
ABOUT = b"content-type: application/json\r\naccept: %b\r\n" % BOTH.encode()
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


def post(
    framing: bytes = LENGTH, body: bytes = BODY, host: bytes = HOST, line: bytes = b"/mcp HTTP/1.1"
) -> bytes:
    return b"".join((b"POST ", line, b"\r\n", host, ABOUT, framing, b"\r\n", body))


def get(headers: bytes = b"", line: bytes = b"/healthz HTTP/1.1", host: bytes = HOST) -> bytes:
    return b"".join((b"GET ", line, b"\r\n", host, headers, b"\r\n"))


def in_chunks(body: bytes, coding: bytes = CHUNKED) -> bytes:
    return post(coding, body)


REFUSED = {
    # How long it is, is said in two ways.
    "a length and chunks": (post(LENGTH + CHUNKED, CHUNKS), 400),
    "two equal lengths": (post(LENGTH * 2), 400),
    "two lengths": (post(LENGTH + b"content-length: 3\r\n"), 400),
    "a list of lengths": (post(b"content-length: 3, 3\r\n"), 400),
    "a signed length": (post(b"content-length: +3\r\n"), 400),
    "a length in hex": (post(b"content-length: 0x3\r\n"), 400),
    "a length beyond numbers": (post(b"content-length: 99999999999999999999999\r\n"), 400),
    "a space before a colon": (post(b"content-length : 3\r\n"), 400),
    "a coding before chunks": (in_chunks(CHUNKS, b"transfer-encoding: gzip, chunked\r\n"), 501),
    "a coding after chunks": (in_chunks(CHUNKS, b"transfer-encoding: chunked, identity\r\n"), 400),
    "two codings": (in_chunks(CHUNKS, b"transfer-encoding: identity\r\n" + CHUNKED), 501),
    "an unknown coding": (in_chunks(CHUNKS, b"transfer-encoding: xchunked\r\n"), 501),
    "no coding": (in_chunks(CHUNKS, b"transfer-encoding: identity\r\n"), 501),
    # Where a line or a chunk ends.
    "a folded line": (get(b"x: a\r\n b\r\n"), 400),
    "a folded coding": (in_chunks(CHUNKS, b"transfer-encoding:\r\n chunked\r\n"), 400),
    "line feeds alone": (get().replace(b"\r\n", b"\n"), 400),
    "a line feed in a head": (get(b"x: a\ny: b\r\n"), 400),
    "a carriage return in a head": (get(b"x: a\ry: b\r\n"), 400),
    "a zero byte in a value": (get(b"x: a\0b\r\n"), 400),
    "a zero byte in a name": (get(b"x\0y: b\r\n"), 400),
    "a space in a name": (get(b"x y: b\r\n"), 400),
    "a line without colon": (get(b"xy\r\n"), 400),
    "a chunk with line feeds alone": (in_chunks(CHUNKS.replace(b"\r\n", b"\n")), 400),
    "a chunk with a signed size": (in_chunks(b"+" + CHUNKS), 400),
    "a chunk with 0x": (in_chunks(b"0x" + CHUNKS), 400),
    "a chunk beyond numbers": (in_chunks(b"fffffffffffffffff\r\n"), 400),
    "a chunk longer than its size": (in_chunks(CHUNKS.replace(b"\r\n0", b"xx\r\n0")), 400),
    "a line feed in a chunk's extension": (in_chunks(b"3;a\nabc\r\n0\r\n\r\n"), 400),
    # What is asked for, and of whom (RFC 9112, section 3.2).
    "no host": (get(host=b""), 400),
    "no host in a message": (post(host=b""), 400),
    "two hosts": (get(HOST), 400),
    "another host beside ours": (post(host=HOST + b"host: evil.example\r\n"), 400),
    "a user in the target": (post(line=b"http://a:b@localhost/mcp HTTP/1.1"), 400),
    "another scheme": (post(line=b"ftp://localhost/mcp HTTP/1.1"), 400),
    "a port beyond numbers": (post(line=b"http://localhost:99999/mcp HTTP/1.1"), 400),
    "a fragment": (post(line=b"/mcp#a HTTP/1.1"), 400),
    "bytes that are no URL": (post(line=b"/mcp\xff HTTP/1.1"), 400),
    "a zero byte in the target": (get(line=b"/healthz\0 HTTP/1.1"), 400),
    "a tunnel": (b"CONNECT evil.example:80 HTTP/1.1\r\nhost: localhost\r\n\r\n" + HEALTH, 501),
    "a tunnel to a path": (b"CONNECT /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n" + HEALTH, 501),
    "HTTP/2 with its preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 400),
    "HTTP/2 in words": (get(line=b"/healthz HTTP/2.0"), 505),
    "HTTP/0.9 in words": (get(line=b"/healthz HTTP/0.9"), 505),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500, 400),
    # How much of it.
    "very many headers": (get(b"".join(b"x%d: a\r\n" % number for number in range(1000))), 431),
    "tens of thousands of empty headers": (get(b"a:\r\n" * 80_000), 431),
    "a very long header": (get(b"x: %b\r\n" % (b"a" * 400_000)), 431),
}
"""What is refused, whatever comes behind it, and with which status."""


async def rest(wire: Wire) -> bytes:
    return await wire.reader.read()


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with serving() as served:
        yield served


@pytest.mark.parametrize("slowly", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("what", REFUSED)
async def test_a_request_that_is_not_read_in_one_way_gets_its_refusal_and_nothing_behind_it_is_served(
    what: str, slowly: bool, front: Front
) -> None:
    data, status = REFUSED[what]
    wire = await front.connect()
    if slowly and len(data) < 2000:
        for at in range(len(data)):
            wire.writer.write(data[at : at + 1])
            await asyncio.sleep(0)
    else:
        wire.writer.write(data)
    wire.writer.write(HEALTH)
    answer = await wire.answer()
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert await rest(wire) == b""
    assert front.door.worlds == []
    assert front.reports == []


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [("http://evil.example", HOST, 403), ("http://localhost.evil.example", HOST, 403),
     ("http://[::2]:80", HOST, 403), ("http://localhost", b"host: evil.example\r\n", 200),
     ("HTTP://127.0.0.1:80", HOST, 200), ("http://[::1]", HOST, 200)],
)  # fmt: skip
async def test_the_authority_of_a_whole_url_counts_in_place_of_host(
    target: str, host: bytes, status: int, front: Front
) -> None:
    wire = await front.connect()
    wire.writer.write(post(host=host, line=target.encode() + b"/mcp HTTP/1.1"))
    assert (await wire.answer()).status == status
    assert len(front.door.worlds) == (status == 200)


@pytest.mark.parametrize(
    "line", [b"http://localhost HTTP/1.1", b"* HTTP/1.1", b"//evil.example/mcp HTTP/1.1"]
)
async def test_a_target_without_a_path_of_ours_is_not_found(line: bytes, front: Front) -> None:
    wire = await front.connect()
    wire.writer.write(get(line=line))
    assert (await wire.answer()).status == 404


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
@pytest.mark.parametrize("framing", ["a length", "chunks"])
async def test_a_client_that_offers_another_protocol_is_served_in_this_one(
    protocol: bytes, framing: str, front: Front
) -> None:
    # RFC 9110, section 7.8. Java's HTTP client offers h2c with each first request, bodies included.
    offer = b"connection: upgrade, http2-settings\r\nupgrade: %b\r\nhttp2-settings: AAMAAABk\r\n" % protocol
    wire = await front.connect()
    wire.writer.write(post(LENGTH + offer) if framing == "a length" else in_chunks(CHUNKS, CHUNKED + offer))
    answer = await wire.answer()
    assert (answer.status, answer.json["result"]) == (200, {"method": "initialize"})
    wire.writer.write(HEALTH)
    assert (await wire.answer()).body == b"ok"
    assert "upgrade" not in (front.door.worlds[0].headers[0] or {})


async def test_an_old_client_gets_no_chunks_and_no_interim_answer(front: Front) -> None:
    wire = await front.connect()
    wire.writer.write(get(b"accept: text/event-stream\r\n", b"/sse HTTP/1.0"))
    answer = await wire.head()
    assert "transfer-encoding" not in answer.headers
    assert (await wire.reader.readline()) == b"event: endpoint\n"
    wire = await front.connect()
    wire.writer.write(post(LENGTH + b"expect: 100-continue\r\n", b"", line=b"/mcp HTTP/1.0"))
    await asyncio.sleep(0)
    wire.writer.write(BODY)
    assert (await wire.answer()).status == 200
    assert await rest(wire) == b""


async def test_a_client_that_was_not_asked_for_its_body_has_to_connect_again(front: Front) -> None:
    wire = await front.connect()
    wire.writer.write(post(LENGTH + b"expect: 100-continue\r\n", b"", b"host: evil.example\r\n"))
    answer = await wire.answer()
    # Or what it sends next, which may be another request, would be read as that body.
    assert (answer.status, answer.headers["connection"]) == (403, "close")
    wire.writer.write(HEALTH)
    assert await rest(wire) == b""


async def test_a_body_that_turns_out_unreadable_is_not_asked_for(front: Front) -> None:
    wire = await front.connect()
    wire.writer.write(in_chunks(b"no size\r\n", CHUNKED + b"expect: 100-continue\r\n"))
    answer = await wire.answer()
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert await rest(wire) == b""
    assert front.reports == []


async def test_a_head_is_answered_without_a_body(front: Front) -> None:
    wire = await front.connect()
    wire.writer.write(HEALTH.replace(b"GET", b"HEAD"))
    answer = await wire.head()
    assert (answer.status, answer.headers["content-length"]) == (200, "2")
    wire.writer.write(HEALTH)
    assert (await wire.answer()).body == b"ok"


async def test_of_a_thousand_requests_sent_at_once_one_is_served_and_its_answer_arrives(front: Front) -> None:
    wire = await front.connect()
    wire.writer.write(HEALTH * 1000)
    answer = await wire.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await rest(wire) == b""


async def test_a_client_that_goes_at_any_point_leaves_nothing_behind(front: Front) -> None:
    front.door.script = answer_handshake
    key = await front.session()
    data = post(LENGTH + b"mcp-session-id: %b\r\n" % key.encode())
    for end in range(0, len(data), 7):
        wire = await front.connect()
        wire.writer.write(data[:end])
        await asyncio.sleep(0)
        wire.writer.transport.abort()
    connections = front.server._connections
    while connections.open or connections.tasks:
        await asyncio.sleep(0)
    assert front.endpoint.worlds._sessions[key].uses == 0
    assert front.reports == []


# --- answers that nobody reads -------------------------------------------------------------------


def flood(receiver: FakeReceiver, message: dict[str, Any]) -> None:
    large = message["method"] == "tools/call"
    receiver.reply(message, {"text": "x" * 9_000_000 if large else ""})


async def unread(front: Front, key: str, request_id: int) -> Wire:
    """A call whose client reads nothing of its answer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", front.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1)
    body = json.dumps(call("tools/call", request_id)).encode()
    wire = Wire(reader, writer, front.port)
    about = front.headers(mcp_session_id=key, content_length=str(len(body)))
    front.wires.append(wire)
    wire.send("POST", "/mcp", about, body)
    return wire


async def test_answers_that_nobody_reads_are_bounded_over_all_connections(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.door.script = flood
    key = await front.session()
    connections = front.server._connections
    with monkeypatch.context() as quick:
        quick.setattr(connection, "STALLED_SECONDS", 0.05)
        for number in range(5):
            await unread(front, key, number)
            await front.door.until(lambda number=number: len(front.door.worlds[0].heard) == number + 2)
        while sum(one.unsent for one in connections.open) > connections.unread:
            await asyncio.sleep(0)
    # A client that reads gets the same answer, whole: on a busy machine it may take nothing for 0.05 seconds.
    answer: Answer = await front.post(call("tools/call", 9), mcp_session_id=key)
    assert len(answer.json["result"]["text"]) == 9_000_000


async def test_an_answer_of_which_nothing_is_taken_does_not_keep_its_connection_open(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEEP_ALIVE_SECONDS", 0.05)
    front.door.script = flood
    key = await front.session()
    await unread(front, key, 1)
    await front.door.until(lambda: len(front.door.worlds[0].heard) == 2)
    while front.server._connections.open:
        await asyncio.sleep(0)
    assert front.endpoint.worlds._sessions[key].uses == 0
