"""The pages of the console as an ASGI app.

Law of this file: nothing but the door (`/`, `/login`, the style and the script) is served without a visit,
and no form counts without the word that its page was given.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hmac import compare_digest
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from mcpguard.console import acts
from mcpguard.console.acts import Form
from mcpguard.console.desk import MOST_LOOKING
from mcpguard.console.door import Fence
from mcpguard.console.pages import STATIC, asset, message
from mcpguard.console.views import decisions, servers, sessions, story, waiting

if TYPE_CHECKING:
    from mcpguard.console.desk import Desk
    from mcpguard.console.door import Visit

COOKIE = "mcpguard-console"
KEEP_ALIVE_SECONDS = 15.0
MOST_FIELDS = 200

AGAIN = "Press Enter in the terminal where `mcpguard console` runs, and a new link is printed."

View = Callable[["Desk", Request], Response]
Act = Callable[["Desk", Request, "Form"], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def console_app(desk: Desk, port: int) -> ASGIApp:
    """All of it, for one who listens on `port`."""
    inside = [
        Route("/", _view(desk, waiting.waiting)),
        Route("/tickets/{ticket}", _view(desk, waiting.ticket)),
        Route("/tickets/{ticket}/arguments.txt", _view(desk, waiting.arguments)),
        Route("/tickets/{ticket}/approve", _act(desk, acts.approve), methods=["POST"]),
        Route("/tickets/{ticket}/deny", _act(desk, acts.deny), methods=["POST"]),
        Route("/tickets/{ticket}/always", _act(desk, acts.always), methods=["POST"]),
        Route("/approvals/{ticket}/end", _act(desk, acts.withdraw), methods=["POST"]),
        Route("/tickets/{ticket}/challenge", _act(desk, acts.challenge), methods=["POST"]),
        Route("/passkeys", _view(desk, acts.passkeys)),
        Route("/passkeys/new", _act(desk, acts.begin), methods=["POST"]),
        Route("/passkeys/made", _act(desk, acts.finish), methods=["POST"]),
        Route("/decisions", _view(desk, decisions.decisions)),
        Route("/sessions", _view(desk, sessions.sessions)),
        Route("/sessions/{session}/clear", _act(desk, acts.clear), methods=["POST"]),
        Route("/sessions/{session}/end", _act(desk, acts.end), methods=["POST"]),
        Route("/servers", _view(desk, servers.servers)),
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

    routes = [
        Route("/", _outside(desk)),
        Route("/login", _landing(desk), methods=["GET"]),
        Route("/login", _login(desk), methods=["POST"]),
        Route("/static/{name}", _static),
        Mount(desk.root, routes=inside),
    ]
    lost = {404: _lost(desk, "There is no such page.", 404), 405: _lost(desk, "There is no such page.", 405)}
    return Fence(Starlette(routes=routes, lifespan=living, exception_handlers=lost), port)


# --- the door ------------------------------------------------------------------------------------


def _outside(desk: Desk) -> Endpoint:
    async def outside(request: Request) -> Response:
        return message(desk, request, "This page opens by its link", AGAIN, 200)

    return outside


def _landing(desk: Desk) -> Endpoint:
    """Where a link leads: a form, so that whoever only looks at a link does not use it up."""

    async def landing(request: Request) -> Response:
        key = request.query_params.get("key", "")
        if not desk.visits.opens(key):
            return _no_way_in(desk, request)
        return message(desk, request, "Open the console", "", 200, key=key)

    return landing


def _login(desk: Desk) -> Endpoint:
    async def login(request: Request) -> Response:
        form = await _form(request)
        visit = desk.visits.enter("" if form is None else form.get("key", [""])[0])
        if visit is None:
            return _no_way_in(desk, request)
        response = RedirectResponse(f"{desk.root}/", 303)
        response.set_cookie(COOKIE, visit.key, path=desk.root, httponly=True, samesite="strict")
        return response

    return login


def _no_way_in(desk: Desk, request: Request) -> Response:
    said = f"A link works once, and for two minutes; this one was used, or is over. {AGAIN}"
    return message(desk, request, "This link does not open the console", said, 403)


def _leave(desk: Desk, request: Request, form: Form) -> Response:
    desk.visits.leave(request.scope["visit"])
    response = RedirectResponse("/", 303)
    response.delete_cookie(COOKIE, path=desk.root)
    return response


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return PlainTextResponse("There is no such file.\n", 404)
    return Response(asset(name), media_type=STATIC[name])


def _lost(desk: Desk, said: str, status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def lost(request: Request, _: Exception) -> Response:
        return message(desk, request, "Nothing here", said, status)

    return lost


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
            with anyio.move_on_after(KEEP_ALIVE_SECONDS) as patience:
                await desk.watch.wait()
            if patience.cancelled_caught:
                yield b": still here\n\n"
    finally:
        desk.watch.looking -= 1
