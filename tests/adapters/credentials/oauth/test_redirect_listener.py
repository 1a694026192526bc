"""The page that the browser comes back to, while other programs of this machine connect to it as well."""

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from mcpguard.adapters.credentials.oauth import login
from mcpguard.adapters.credentials.oauth.login import MOST_OPEN, RedirectListener

pytestmark = pytest.mark.anyio

STATE = "s" * 43
DEADLINE = 20.0
HALF = b"GET /callback?code="


@asynccontextmanager
async def listening():
    """A listener, and the address that it is at."""
    listener = RedirectListener(STATE)
    await listener.open(0)
    parts = urlsplit(listener.redirect)
    try:
        async with asyncio.timeout(DEADLINE):
            yield listener, (parts.hostname, parts.port)
    finally:
        await listener.close()


def request(place, target=f"/callback?code=c&state={STATE}", method="GET", version="1.1"):
    return f"{method} {target} HTTP/{version}\r\nHost: {place[0]}:{place[1]}\r\n\r\n".encode()


async def said(place, data):
    """All that is answered to these bytes."""
    reader, writer = await asyncio.open_connection(*place)
    writer.write(data)
    try:
        return await reader.read()
    finally:
        writer.close()


async def silent(place):
    """A connection that sends half of a request, and whatever comes back."""
    reader, writer = await asyncio.open_connection(*place)
    writer.write(HALF)
    return reader, writer


async def ended(reader):
    """Whether the connection ends without an answer."""
    with suppress(ConnectionError):
        assert await reader.read() == b""
    return True


async def test_an_answer_is_taken_whoever_else_has_connected_and_says_nothing():
    async with listening() as (listener, place):
        others = [await silent(place) for _ in range(MOST_OPEN + 20)]
        assert (await said(place, request(place))).startswith(b"HTTP/1.1 200 OK\r\n")
        assert await listener.answer(DEADLINE) == {"code": "c", "state": STATE}
        assert await ended(others[0][0])  # The oldest ones gave way.
    for _, writer in others:
        writer.close()


async def test_many_who_connect_in_the_same_moment_are_not_turned_away():
    async with listening() as (_listener, place):
        waiting = []
        for _ in range(150):  # While this runs, nobody is accepted.
            one = socket.socket()
            one.settimeout(0.5)
            one.connect(place)
            waiting.append(one)
        assert (await said(place, request(place))).startswith(b"HTTP/1.1 200 ")
    for one in waiting:
        one.close()


async def test_a_request_that_does_not_come_to_its_end_is_ended(monkeypatch):
    monkeypatch.setattr(login, "REQUEST_SECONDS", 0.01)
    async with listening() as (_listener, place):
        reader, writer = await silent(place)
        assert await ended(reader)
        writer.close()


@pytest.mark.parametrize(
    "data",
    [b"\r\n\r\n", b"x\r\n\r\n", b"\xff\xfe\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n", b"GET /callback\r\n\r\n"],
)
async def test_what_is_no_request_of_a_browser_is_refused(data):
    async with listening() as (listener, place):
        assert (await said(place, data)).startswith(b"HTTP/1.1 404 ")
        assert (await said(place, request(place))).startswith(b"HTTP/1.1 200 ")
        await listener.answer(DEADLINE)


async def test_a_request_that_is_too_large_is_ended_and_the_next_one_served():
    async with listening() as (_listener, place):
        reader, writer = await silent(place)
        writer.write(b"a" * 100_000 + b" HTTP/1.1\r\n\r\n")
        assert await ended(reader)
        writer.close()
        assert (await said(place, request(place))).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get"])
async def test_nothing_but_get_brings_an_answer(method):
    async with listening() as (listener, place):
        assert (await said(place, request(place, method=method))).startswith(b"HTTP/1.1 405 ")
        with pytest.raises(login.OAuthProblem, match="nobody logged in"):
            await listener.answer(0.01)


@pytest.mark.parametrize(
    "target", ["//callback", "/callback/", "/x/../callback", "/%63allback", "http://127.0.0.1/callback"]
)
async def test_nothing_but_its_path_brings_an_answer(target):
    async with listening() as (listener, place):
        whole = f"{target}?code=c&state={STATE}"
        assert (await said(place, request(place, whole))).startswith(b"HTTP/1.1 404 ")
        with pytest.raises(login.OAuthProblem, match="nobody logged in"):
            await listener.answer(0.01)


async def test_the_first_answer_is_the_one_that_is_taken():
    async with listening() as (listener, place):
        await said(place, request(place))
        await said(place, request(place, f"/callback?code=other&state={STATE}"))
        assert (await listener.answer(DEADLINE))["code"] == "c"
