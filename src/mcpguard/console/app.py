"""The pages of the console as an ASGI app, served on loopback only, until a person ends it.

Law of this file: nothing but the door (`/`, `/login`, the style and the script) is served without a visit,
and no form counts without the word that its page was given. A link goes to the terminal and to a file of this
user alone, never into the arguments of a program, which every process can read.
"""

import asyncio
import os
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from hmac import compare_digest
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anyio
import anyio.from_thread
import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from mcpguard.config.loading import Config
from mcpguard.config.user_state import state_folder
from mcpguard.console import actions
from mcpguard.console.access import (
    COOKIE,
    LINK_SECONDS,
    AccessMiddleware,
    Strangers,
    Visit,
    WatchedConnection,
)
from mcpguard.console.actions import Act, Form
from mcpguard.console.desk import MOST_LOOKING, Desk
from mcpguard.console.pages import STATIC, asset, message
from mcpguard.console.views import decisions, servers, sessions, story, waiting
from mcpguard.core.errors import SessionError

KEEP_ALIVE_SECONDS = 15.0
MOST_FIELDS = 200

AGAIN = "Press Enter in the terminal where `mcpguard console` runs, and a new link is printed."

View = Callable[["Desk", Request], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def console_app(desk: Desk, port: int) -> ASGIApp:
    """All of it, for one who listens on `port`."""
    inside = [
        Route("/", _view(desk, waiting.waiting)),
        Route("/tickets/{ticket}", _view(desk, waiting.ticket)),
        Route("/tickets/{ticket}/arguments.txt", _view(desk, waiting.arguments)),
        Route("/tickets/{ticket}/approve", _act(desk, actions.approve), methods=["POST"]),
        Route("/tickets/{ticket}/deny", _act(desk, actions.deny), methods=["POST"]),
        Route("/tickets/{ticket}/always", _act(desk, actions.always), methods=["POST"]),
        Route("/approvals/{ticket}/end", _act(desk, actions.withdraw), methods=["POST"]),
        Route("/tickets/{ticket}/challenge", _act(desk, actions.challenge), methods=["POST"]),
        Route("/passkeys", _view(desk, actions.passkeys)),
        Route("/passkeys/new", _act(desk, actions.begin), methods=["POST"]),
        Route("/passkeys/made", _act(desk, actions.finish), methods=["POST"]),
        Route("/decisions", _view(desk, decisions.decisions)),
        Route("/sessions", _view(desk, sessions.sessions)),
        Route("/sessions/{session}/clear", _act(desk, actions.clear), methods=["POST"]),
        Route("/sessions/{session}/end", _act(desk, actions.end), methods=["POST"]),
        Route("/servers", _view(desk, servers.servers)),
        Route("/servers/{server}/accept", _act(desk, actions.accept), methods=["POST"]),
        Route("/calls/{call}", _view(desk, story.story)),
        Route("/events", _events(desk)),
        Route("/logout", _act(desk, _leave), methods=["POST"]),
    ]

    @asynccontextmanager
    async def living(_: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(desk.watch.run)
            yield
            group.cancel_scope.cancel()

    door = _Door(desk)
    routes = [
        Route("/", door.outside),
        Route("/login", door.landing, methods=["GET"]),
        Route("/login", door.login, methods=["POST"]),
        Route("/static/{name}", _static),
        Mount(desk.root, routes=inside),
    ]
    lost = {404: partial(door.lost, 404), 405: partial(door.lost, 405)}
    return AccessMiddleware(Starlette(routes=routes, lifespan=living, exception_handlers=lost), port)


class _Door:
    """What is served without a visit."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def outside(self, request: Request) -> Response:
        return message(self._desk, request, "This page opens by its link", AGAIN, 200)

    async def landing(self, request: Request) -> Response:
        """Where a link leads: a form, so that whoever only looks at a link does not use it up."""
        key = request.query_params.get("key", "")
        if not self._desk.visits.opens(key):
            return self._no_way_in(request)
        return message(self._desk, request, "Open the console", "", 200, key=key)

    async def login(self, request: Request) -> Response:
        root, form = self._desk.root, await _form(request)
        visit = self._desk.visits.enter("" if form is None else form.get("key", [""])[0])
        if visit is None:
            return self._no_way_in(request)
        response = RedirectResponse(f"{root}/", 303)
        response.set_cookie(COOKIE, visit.key, path=root, httponly=True, samesite="strict")
        return response

    def _no_way_in(self, request: Request) -> Response:
        said = f"A link works once, within two minutes; this one was used or has expired. {AGAIN}"
        return message(self._desk, request, "This link does not open the console", said, 403)

    async def lost(self, status: int, request: Request, _: Exception) -> Response:
        return message(self._desk, request, "Nothing here", "There is no such page.", status)


def _leave(desk: Desk, request: Request, form: Form) -> Response:
    desk.visits.leave(request.scope["visit"])
    anyio.from_thread.run_sync(desk.watch.wake)  # Other pages of this visit end now.
    response = RedirectResponse("/", 303)
    response.delete_cookie(COOKIE, path=desk.root)
    return response


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return PlainTextResponse("There is no such file.\n", 404)
    return Response(asset(name), media_type=STATIC[name])


# --- inside --------------------------------------------------------------------------------------


def _visit(desk: Desk, request: Request) -> Visit | None:
    by_person = request.query_params.get("part") is None and not request.url.path.endswith("/events")
    visit = desk.visits.visit(request.cookies.get(COOKIE, ""), by_person)
    request.scope["visit"] = visit
    return visit


def _view(desk: Desk, view: View) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if _visit(desk, request) is None:
            return message(desk, request, "You are not logged in", AGAIN, 401)
        await anyio.to_thread.run_sync(desk.renew)
        request.scope["counts"] = desk.watch.said  # Before the page is made: what changes meanwhile is told.
        return await anyio.to_thread.run_sync(view, desk, request)

    return endpoint


def _act(desk: Desk, act: Act) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        visit = _visit(desk, request)
        if visit is None:
            return message(desk, request, "You are not logged in", AGAIN, 401)
        form = await _form(request)
        given = "" if form is None else form.get("csrf", [""])[0]
        if form is None or not compare_digest(given.encode(), visit.csrf.encode()):
            said = "The form does not belong to this page. Open the page again and repeat it there."
            return message(desk, request, "Nothing was done", said, 403)
        await anyio.to_thread.run_sync(desk.renew)
        return await anyio.to_thread.run_sync(act, desk, request, form)

    return endpoint


async def _form(request: Request) -> Form | None:
    """The fields of a form; None if the request carries no form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    try:
        body = await request.body()
        return parse_qs(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except (ValueError, ClientDisconnect):
        return None


def _events(desk: Desk) -> Endpoint:
    """A stream (HTML, server-sent events) that says which subjects changed, and how many calls wait."""

    async def endpoint(request: Request) -> Response:
        if _visit(desk, request) is None:
            return PlainTextResponse("Not logged in.\n", 401)
        if desk.watch.looking >= MOST_LOOKING:
            return PlainTextResponse("Too many pages are open.\n", 503)
        return StreamingResponse(_changes(desk, request), media_type="text/event-stream")

    return endpoint


async def _changes(desk: Desk, request: Request) -> AsyncIterator[bytes]:
    desk.watch.looking += 1
    try:
        await desk.watch.look()
        sent = ""
        yield b"retry: 1500\n\n"
        while not desk.watch.closed and _visit(desk, request) is not None:
            now = desk.watch.said
            if now != sent:
                sent = now
                yield f"data: {now}\n\n".encode()
                continue  # Whatever changed while this was sent would wake nobody.
            with anyio.move_on_after(KEEP_ALIVE_SECONDS) as patience:
                await desk.watch.wait()
            if patience.cancelled_caught:
                yield b": still here\n\n"
    finally:
        desk.watch.looking -= 1


TRIES = 16
MOST_REQUESTS = 200
"""Connections and requests: half of them are for who has a visit."""
BACKLOG = 100
"""How many connections may wait to be accepted, and are then accepted at once."""


def serve_console(config: Config, port: int, browse: bool, say: Callable[[str], None]) -> None:
    """Serve until a signal or the end of the input. `port` 0 takes a free one; each link is said to `say`,
    and opened where `browse`. Raises SessionError where the port is taken."""
    sockets = listening(port)
    place = sockets[0].getsockname()[1]
    desk = Desk(config)
    links = Links(desk, place, browse, say)
    try:
        anyio.run(_serve, uvicorn.Server(settings_of(desk, place)), sockets, links)
    except KeyboardInterrupt:
        pass
    finally:
        links.remove()


def settings_of(desk: Desk, place: int) -> uvicorn.Config:
    """The settings of the server of all of it, on the port `place`."""
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
        backlog=BACKLOG,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=32_768,
    )
    settings.load()
    watched: Any = partial(WatchedConnection, settings.http_protocol_class, Strangers(desk.visits))
    settings.http_protocol_class = watched
    return settings


async def _serve(server: uvicorn.Server, sockets: list[socket.socket], links: "Links") -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_at_the_terminal, links, server)
        await server.serve(sockets)
        group.cancel_scope.cancel()


async def _at_the_terminal(links: "Links", server: uvicorn.Server) -> None:
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
        """Another link, in place of the one before."""
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
