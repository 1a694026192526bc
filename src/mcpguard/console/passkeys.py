"""Passkeys on the page: what a browser is asked for an approval, and a new passkey for the configuration.

Law of this file: nothing here adds a passkey to what counts. It shows what a person has to write into the
configuration. Who approves is whose passkey signed, and what they sign is what their page showed.
"""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mcpguard.adapters.approvals.passkeys import enrolled, enrolment
from mcpguard.console.acts import Form, answer_of, first
from mcpguard.console.pages import message, page
from mcpguard.core.errors import SessionError
from mcpguard.serve.interventions import passkeys_of, waiting_ticket

if TYPE_CHECKING:
    from mcpguard.console.desk import Desk

_PERSON = re.compile(r"(?!group:)[^\s:]+:[^\s\"'{}\[\],#]{1,200}")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/-]{0,99}")
_NO_PERSON = "A person is written SOURCE:ID, such as os-user:ada."
_ANOTHER = "this is not what the page shows: open it again, and read what is asked"
_NO_GROUP = "A group has letters, digits and . _ @ / - only; separate several by commas."


def passkeys(desk: Desk, request: Request) -> Response:
    """Those of the configuration, and a form for another."""
    return page(desk, request, "passkeys.html", "passkeys", known=desk.config.approvals.passkeys, made=None)


def begin(desk: Desk, request: Request, form: Form) -> Response:
    """What the browser makes a passkey of."""
    person = first(form, "person").strip()
    groups = tuple(one.strip() for one in first(form, "groups").split(",") if one.strip())
    if not _PERSON.fullmatch(person):
        return JSONResponse({"problem": _NO_PERSON})
    if not all(map(_GROUP.fullmatch, groups)):
        return JSONResponse({"problem": _NO_GROUP})
    challenge, options = enrolment(person)
    desk.enrolling[request.scope["visit"].key] = (person, groups, challenge)
    return JSONResponse({"options": options})


def finish(desk: Desk, request: Request, form: Form) -> Response:
    """The entry of the configuration for the passkey that the browser made."""
    begun = desk.enrolling.pop(request.scope["visit"].key, None)
    try:
        if begun is None:
            raise SessionError("begin with the form of this page")
        made = enrolled(*begun, first(form, "made"))
    except SessionError as problem:
        return message(desk, request, "No passkey was added", str(problem), 409)
    known = desk.config.approvals.passkeys
    return page(desk, request, "passkeys.html", "passkeys", known=known, made=made)


def challenge(desk: Desk, request: Request, form: Form) -> Response:
    """What the browser is asked for the approval that the form says, and until when that would count."""
    try:
        ticket = waiting_ticket(desk.store, request.path_params["ticket"])
        if not compare_digest(first(form, "seen").encode(), ticket.question.encode()):
            raise SessionError(_ANOTHER)
        answer = answer_of(desk, ticket, form)
    except SessionError as problem:
        return JSONResponse({"problem": str(problem)})
    options = passkeys_of(desk.config).request(ticket, answer)
    return JSONResponse({"options": options, "until": answer.until})
