"""Where the browser comes back to after a login: one page on 127.0.0.1 (RFC 8252, section 7.3).

Law of this file: it answers one path of one host name, takes one answer and says nothing of it.
"""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

from mcpguard.adapters.credentials.oauth.asking import OAuthProblem

PATH = "/callback"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE = "mcpguard has the answer. The terminal says how it went; this page can be closed.\n"
_PARAMETERS = frozenset({"code", "state", "iss", "error"})


class Landing:
    """Listens from `open` to `close`."""

    def __init__(self) -> None:
        self.redirect = ""
        self._host = ""
        self._runner: web.AppRunner | None = None
        self._came: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def open(self, port: int) -> None:
        """Listen on `port`; on a free one if that is 0. Raises OAuthProblem."""
        listening = _listening(port)
        self._host = f"127.0.0.1:{listening.getsockname()[1]}"
        self.redirect = f"http://{self._host}{PATH}"
        application = web.Application(client_max_size=1024)
        application.router.add_get(PATH, self._take)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False)
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def answer(self, seconds: float) -> dict[str, str]:
        """The parameters that the browser brought, each once. Raises OAuthProblem where it does not come."""
        try:
            async with asyncio.timeout(seconds):
                return await self._came
        except TimeoutError:
            raise OAuthProblem(f"nobody logged in within {seconds:g} seconds") from None

    async def close(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        # A name that leads here by DNS is not ours.
        if request.host != self._host or request.method != "GET":
            return web.Response(status=400, headers=_HEADERS)
        said = [(key, value) for key, value in request.query.items() if key in _PARAMETERS]
        found = dict(said) if len(dict(said)) == len(said) else {}
        if found and not self._came.done():
            self._came.set_result(found)
            return web.Response(text=_PAGE, headers=_HEADERS)
        return web.Response(status=400, headers=_HEADERS)


def _listening(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError:
        listening.close()
        said = f"port {port} of 127.0.0.1 is in use: set another `redirect_port`, or none"
        raise OAuthProblem(said) from None
    return listening
