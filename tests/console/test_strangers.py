"""A console that serves for real, while programs that have no visit connect to it as well."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Thread

import pytest
import uvicorn

from mcpguard.console import access, app
from mcpguard.console.access import COOKIE
from mcpguard.console.app import listening, settings_of
from tests.console.desk import Browser
from tests.wire.session import DEADLINE, eventually

MOST_STRANGERS = 8


class Served:
    """`port` is where the console of `browser` listens."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.sockets = listening(0)
        self.port = self.sockets[0].getsockname()[1]
        self.server = uvicorn.Server(settings_of(browser.desk, self.port))
        self.thread = Thread(target=self.server.run, args=(self.sockets,), daemon=True)

    def connect(self, data: bytes) -> socket.socket:
        one = socket.create_connection(("127.0.0.1", self.port), DEADLINE)
        one.sendall(data)
        return one

    def cookie(self) -> str:
        visit = self.browser.desk.visits.enter(self.browser.desk.visits.link())
        assert visit is not None
        return f"{COOKIE}={visit.key}"

    def head(self, path: str, cookie: str) -> bytes:
        """Of a request whose connection stays open."""
        return f"GET {path} HTTP/1.1\r\nHost: localhost:{self.port}\r\nCookie: a=b; {cookie}\r\n\r\n".encode()


@pytest.fixture
def served(stranger: Browser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(access, "MOST_STRANGERS", MOST_STRANGERS)
    monkeypatch.setattr(app, "MOST_REQUESTS", 2 * MOST_STRANGERS)
    one = Served(stranger)
    one.thread.start()
    eventually(lambda: one.server.started, "the console")
    yield one
    one.server.should_exit = True
    one.thread.join(DEADLINE)


HALF = [
    "",
    "GET / HTTP/1.1\r\nHost: lo",
    "POST /login HTTP/1.1\r\nHost: localhost:{0}\r\nOrigin: http://localhost:{0}\r\nContent-Type: "
    "application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\nkey=",
]


@pytest.mark.parametrize("half", HALF)
def test_connections_without_a_visit_keep_nobody_out_who_has_one(served: Served, half: str) -> None:
    cookie = served.cookie()
    with ExitStack() as stack:
        first = stack.enter_context(served.connect(served.head(f"{served.browser.root}/events", cookie)))
        assert first.recv(1024).startswith(b"HTTP/1.1 200 OK\r\n")
        for _ in range(2 * MOST_STRANGERS):
            stack.enter_context(served.connect(half.format(served.port).encode()))
        mine = stack.enter_context(served.connect(served.head(f"{served.browser.root}/", cookie)))
        assert mine.recv(1024).startswith(b"HTTP/1.1 200 OK\r\n")
        assert not ended(first)  # What has shown its visit does not give way.


def test_a_made_up_cookie_is_no_visit(served: Served) -> None:
    made_up = f"{COOKIE}={'a' * 43}"
    with ExitStack() as stack:
        first = stack.enter_context(served.connect(b"GET / HTTP/1.1\r\nCookie: " + made_up.encode()))
        for _ in range(MOST_STRANGERS + 1):
            stack.enter_context(served.connect(b""))
        assert eventually(lambda: ended(first), "the end of the oldest connection")


def ended(one: socket.socket) -> bool:
    """Whether a connection was ended; what came on it is read."""
    one.setblocking(False)
    try:
        while one.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True
