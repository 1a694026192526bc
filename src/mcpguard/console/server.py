"""Serves the console: on loopback only, until a person ends it.

Law of this file: a link goes to the terminal and to a file of this user alone, never into the arguments of a
program, which every process can read.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import webbrowser
from collections.abc import Callable
from html import escape
from pathlib import Path

import anyio
import anyio.to_thread
import uvicorn

from mcpguard.config.loading import Config
from mcpguard.config.user_state import state_folder
from mcpguard.console.app import console_app
from mcpguard.console.desk import Desk
from mcpguard.console.door import LINK_SECONDS
from mcpguard.core.errors import SessionError

TRIES = 16
MOST_REQUESTS = 64


def serve_console(config: Config, port: int, browse: bool, say: Callable[[str], None]) -> None:
    """Serve until a signal or the end of the input. `port` 0 takes a free one; each link is said to `say`,
    and opened where `browse`. Raises SessionError where the port is taken."""
    sockets = listening(port)
    place = sockets[0].getsockname()[1]
    desk = Desk(config)
    links = Links(desk, place, browse, say)
    settings = uvicorn.Config(
        console_app(desk, place),
        log_config=None,
        log_level="critical",
        proxy_headers=False,
        access_log=False,
        server_header=False,
        ws="none",
        http="h11",
        loop="asyncio",
        limit_concurrency=MOST_REQUESTS,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=32_768,
    )
    try:
        anyio.run(_serve, uvicorn.Server(settings), sockets, links)
    except KeyboardInterrupt:
        pass
    finally:
        links.remove()


async def _serve(server: uvicorn.Server, sockets: list[socket.socket], links: Links) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_at_the_terminal, links, server)
        await server.serve(sockets)
        group.cancel_scope.cancel()


async def _at_the_terminal(links: Links, server: uvicorn.Server) -> None:
    """A new link for each line that is typed; the end of the input is the end."""
    heard = asyncio.Event()
    typed: list[bytes] = []
    terminal = sys.stdin.fileno()

    def read() -> None:
        typed.append(os.read(terminal, 4096))
        heard.set()

    loop = asyncio.get_running_loop()
    await anyio.to_thread.run_sync(links.renew)
    loop.add_reader(terminal, read)
    try:
        while all(typed):
            await heard.wait()
            heard.clear()
            if all(typed):
                typed.clear()
                await anyio.to_thread.run_sync(links.renew)
    finally:
        loop.remove_reader(terminal)
    server.should_exit = True


def listening(port: int) -> list[socket.socket]:
    """Sockets on the loopback addresses of IPv4 and, where there is one, of IPv6, on one port: else another
    program could answer there to the name that the link has."""
    for _ in range(TRIES if port == 0 else 1):
        first = _bound(socket.AF_INET, "127.0.0.1", port)
        try:
            return [first, _bound(socket.AF_INET6, "::1", first.getsockname()[1])]
        except SessionError:
            first.close()
        except OSError:  # This machine has no IPv6.
            return [first]
    raise SessionError(f"port {port} of ::1 is in use; choose another with --port")


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        if port:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((host, port))
        opened.listen(64)
    except OSError as problem:
        opened.close()
        if problem.errno in (98, 48, 13):  # In use (Linux, macOS), or not allowed.
            raise SessionError(f"port {port} cannot be used: {problem.strerror}") from None
        raise
    return opened


class Links:
    """The links of one console: printed, and opened in a browser where a person wants that."""

    def __init__(self, desk: Desk, port: int, browse: bool, say: Callable[[str], None]) -> None:
        self._desk = desk
        self._at = f"http://localhost:{port}/login?key="
        self._browse = browse and has_a_screen()
        self._say = say
        self._file: Path | None = None

    def renew(self) -> None:
        """Another link, in the place of the one before."""
        link = self._at + self._desk.visits.link()
        self._say(link)
        if self._browse:
            webbrowser.open(self._page(link).as_uri())

    def remove(self) -> None:
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _page(self, link: str) -> Path:
        """A file of this user alone that leads to the link."""
        self.remove()
        folder = state_folder("console")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"open-{os.getpid()}.html"
        path.unlink(missing_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._file = path
        with open(file, "w", encoding="utf-8") as opened:
            opened.write(
                '<!doctype html><meta charset="utf-8"><title>mcpguard</title>'
                f'<meta http-equiv="refresh" content="0; url={escape(link)}">'
                f'<p><a href="{escape(link)}">Open the console</a> (this works once, for '
                f"{LINK_SECONDS:.0f} seconds)</p>\n"
            )
        return path


def has_a_screen() -> bool:
    """Whether a browser with windows can be expected here."""
    if os.environ.get("SSH_CONNECTION"):
        return False
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
