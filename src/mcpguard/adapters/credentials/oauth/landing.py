"""Where the browser comes back to after a login: one page on 127.0.0.1 (RFC 8252, section 7.3).

Law of this file: it answers one path of one host name, takes one answer with the `state` of the login, since
any web page can send a browser here with another one, and says nothing of it.
"""

from __future__ import annotations

import asyncio
import hmac
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

from mcpguard.adapters.credentials.oauth.asking import OAuthProblem

PATH = "/callback"
_PAGE = b"mcpguard has the answer. The terminal says how it went; this page can be closed.\n"
_PARAMETERS = frozenset({"code", "state", "iss", "error"})


class Landing:
    """Listens from `open` to `close` for the answer with `state`."""

    def __init__(self, state: str) -> None:
        self.redirect = ""
        self._state = state.encode()
        self._strange = False
        self._server: _Server | None = None
        self._loop = asyncio.get_running_loop()
        self._came: asyncio.Future[dict[str, str]] = self._loop.create_future()

    async def open(self, port: int) -> None:
        """Listen on `port`; on a free one if that is 0. Raises OAuthProblem."""
        try:
            self._server = _Server(("127.0.0.1", port), _Handler)
        except OSError:
            said = f"port {port} of 127.0.0.1 is in use: set a different `redirect_port`, or remove it"
            raise OAuthProblem(said) from None
        self._server.ours = self._is_ours
        self._server.take = lambda found: self._loop.call_soon_threadsafe(self._take, found)
        self.redirect = f"http://{self._server.host}{PATH}"
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    async def answer(self, seconds: float) -> dict[str, str]:
        """The parameters that the browser brought, each once. Raises OAuthProblem where it does not come."""
        try:
            async with asyncio.timeout(seconds):
                return await self._came
        except TimeoutError:
            also = "; an answer that does not belong to this login was ignored"
            raise OAuthProblem(
                f"nobody logged in within {seconds:g} seconds{also if self._strange else ''}"
            ) from None

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            await asyncio.to_thread(self._server.shutdown)
            self._server.server_close()

    def _is_ours(self, found: dict[str, str]) -> bool:
        """Whether it is an answer to this login. Called in a thread."""
        ours = hmac.compare_digest(found.get("state", "").encode(), self._state)
        self._strange = self._strange or not ours
        return ours

    def _take(self, found: dict[str, str]) -> None:
        if not self._came.done():
            self._came.set_result(found)


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    ours: Any = None
    take: Any = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is not an error; the standard library would print it."""


class _Handler(BaseHTTPRequestHandler):
    timeout = 10
    server: _Server

    def do_GET(self) -> None:
        """One visit."""
        path, _, query = self.path.partition("?")
        # A name that leads here by DNS is not ours.
        if path != PATH or self.headers.get_all("Host") != [self.server.host]:
            return self._say(404)
        try:
            said = [pair for pair in parse_qsl(query, max_num_fields=20) if pair[0] in _PARAMETERS]
        except ValueError:
            said = []
        if not said or len(dict(said)) != len(said) or not self.server.ours(dict(said)):
            return self._say(400)
        self._say(200, _PAGE)
        self.server.take(dict(said))

    def _say(self, status: int, page: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'none'")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(page)

    def version_string(self) -> str:
        return "mcpguard"

    def log_message(self, *_words: Any) -> None:
        """Nothing: a line would hold the code."""
