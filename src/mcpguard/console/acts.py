"""What a person does on the page: answers a ticket, clears a label, ends a session.

Law of this file: each is a form of our own page, by who is logged in; what it changes is changed by
`serve/interventions.py`, with evidence first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response

from mcpguard.console.pages import message
from mcpguard.core.errors import AuditError, SessionError
from mcpguard.core.policy.tickets import TicketAnswer
from mcpguard.serve.interventions import clear_label, end_session, give, waiting_ticket

if TYPE_CHECKING:
    from starlette.requests import Request

    from mcpguard.adapters.store.sqlite import KnownSession
    from mcpguard.console.desk import Desk

Form = dict[str, list[str]]

MOST_REASON = 500


def approve(desk: Desk, request: Request, form: Form) -> Response:
    """The call goes on."""
    return _answered(desk, request, TicketAnswer("approved", desk.person, "console", desk.groups))


def deny(desk: Desk, request: Request, form: Form) -> Response:
    """It does not."""
    reason = " ".join(_first(form, "reason").split())[:MOST_REASON]
    return _answered(desk, request, TicketAnswer("denied", desk.person, "console", desk.groups, reason))


def _answered(desk: Desk, request: Request, answer: TicketAnswer) -> Response:
    try:
        ticket = waiting_ticket(desk.store, request.path_params["ticket"])
        give(desk.config, desk.store, ticket, answer)
    except (SessionError, AuditError) as problem:
        return message(desk, request, "Nothing was answered", str(problem), 409)
    return RedirectResponse(f"{desk.root}/?said={answer.verdict}", 303)


def clear(desk: Desk, request: Request, form: Form) -> Response:
    """A label is taken off a session."""
    label = _first(form, "label")
    return _changed(desk, request, lambda one: clear_label(desk.config, desk.store, one, label), "cleared")


def end(desk: Desk, request: Request, form: Form) -> Response:
    """A session starts over."""
    return _changed(desk, request, lambda one: end_session(desk.config, desk.store, one), "ended")


def _changed(desk: Desk, request: Request, change: Callable[[KnownSession], None], said: str) -> Response:
    name = request.path_params["session"]
    try:
        found = next((one for one in desk.store.known() if one.name == name), None)
        if found is None:
            raise SessionError("there is no such session any more")
        change(found)
    except (SessionError, AuditError) as problem:
        return message(desk, request, "Nothing was changed", str(problem), 409)
    return RedirectResponse(f"{desk.root}/sessions?said={said}", 303)


def _first(form: Form, name: str) -> str:
    return form.get(name, [""])[0]
