"""The calls that wait for a person, and one of them in full."""

import time
from datetime import UTC, datetime

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mcpguard.adapters.store.sessions import KnownSession
from mcpguard.adapters.store.tickets import UnreadableTicket
from mcpguard.console.desk import Desk, SeenRule
from mcpguard.console.evidence import AnswerStep, SeenCall, answer_steps
from mcpguard.console.pages import message, page
from mcpguard.console.rendering.arguments import ShownArguments, shown_arguments, whole
from mcpguard.console.views.decisions import effect_of
from mcpguard.core.errors import SessionError
from mcpguard.core.policy.tickets import Ticket, TicketAnswer, objection
from mcpguard.serve.interventions import TicketCheck, elsewhere, how_it_waits, void_ticket

MOST_BEFORE = 8
"""Calls that the session made before."""
MOST_ANSWERED = 6


class TicketPage(Struct, frozen=True):
    """A ticket with what a person should know of it. `state` is that of the ticket, or `expired`; `against`
    says why an approval would not count, "" where it would, and `elsewhere` why no answer can be given here.
    `void` says why it counts for nothing by now, a clause; `waits` whether a call waits for it, another."""

    ticket: Ticket
    state: str
    arguments: ShownArguments
    rules: list[SeenRule]
    before: list[SeenCall]
    session: KnownSession | None
    void: str
    waits: str
    elsewhere: str
    against: str
    passkey: bool


def waiting(desk: Desk, request: Request) -> Response:
    """The first that waits, beside the others; or that none does."""
    return _page(desk, request, None)


def ticket(desk: Desk, request: Request) -> Response:
    """One of them, also when it was answered."""
    name = request.path_params["ticket"]
    try:
        if name in [one.id for one in desk.store.unreadable()]:
            return _page(desk, request, None)
        found = desk.store.known_ticket(name)
    except SessionError as problem:
        return _page(desk, request, None, str(problem))
    if found is None:
        said = "This ticket no longer exists: it was answered and used, or it expired."
        return message(desk, request, "The ticket is gone", said, 404)
    return _page(desk, request, found)


def arguments(desk: Desk, request: Request) -> Response:
    """The arguments of a ticket as plain text, all of them."""
    try:
        found = desk.store.known_ticket(request.path_params["ticket"])
    except SessionError as problem:
        return PlainTextResponse(f"{problem}\n", 503)
    if found is None:
        return PlainTextResponse("This ticket no longer exists.\n", 404)
    return PlainTextResponse(whole(found.shown))


def _page(desk: Desk, request: Request, chosen: Ticket | None, problem: str = "") -> Response:
    queue: list[Ticket] = []
    unread: list[UnreadableTicket] = []
    since: dict[str, float] = {}
    try:
        since = desk.store.waited_for()
        queue = sorted(desk.store.waiting(), key=lambda one: one.id not in since)
        unread = desk.store.unreadable()
        one = chosen or (queue[0] if queue else None)
        sessions = [] if one is None else desk.store.known(one.session)
    except SessionError as failure:
        problem, sessions = str(failure), []
        one = chosen or (queue[0] if queue else None)
    desk.watch.waiting = sum(one.id in since for one in queue)
    check = desk.check()
    with desk.lock:
        desk.evidence.poll()
        shown = None if one is None else _ticket_page(desk, one, sessions, check, since)
        answered = _answered(desk)
        calls = (call for call in desk.evidence.newest() if not call.lists)
        recent = [] if queue else [call for _, call in zip(range(6), calls, strict=False)]
    said = request.query_params.get("said", "")
    return page(
        desk,
        request,
        "waiting",
        queue=queue,
        unread=unread,
        since=since,
        shown=shown,
        answered=answered,
        recent=recent,
        alone=chosen is not None,
        effect_of=effect_of,
        lasts=LASTS,
        void=check.void,
        problem=problem,
        said=_said(said, shown),
        warned=said in ("denied", "void"),
    )


LASTS = (
    ("once", "once"),
    ("10m", "for 10 minutes"),
    ("1h", "for an hour"),
    ("8h", "for 8 hours"),
    ("session", "for this session"),
    ("always", "always…"),
)
"""How long an approval counts: what the form says, and what a person reads."""
SAID = {
    "approved": "Approved: the call continues.",
    "kept": "Approved, but no call is waiting for it now. The same call goes through if it is made again "
    "in time.",
    "denied": "Denied: the agent was notified.",
    "standing": "The rule is written and in force, and the call continues.",
    "written": "The rule is written and in force: it lets the same call through.",
}
"""What a page may be asked to say first."""


def _said(name: str, shown: TicketPage | None) -> str:
    if name == "void" and shown is not None and shown.void:
        return f"Approved, but {void_ticket(shown.void)}."
    return SAID.get(name, "")


def _ticket_page(
    desk: Desk, one: Ticket, sessions: list[KnownSession], check: TicketCheck, since: dict[str, float]
) -> TicketPage:
    against, void = _against(desk, one), check.void(one)
    asked = datetime.fromtimestamp(one.created, UTC)
    rules = desk.rulebook.rules(one.rules)
    return TicketPage(
        ticket=one,
        state="expired" if one.state == "waiting" and one.expires <= time.time() else one.state,
        arguments=shown_arguments(one.shown, one.terms.show),
        rules=rules,
        before=desk.evidence.before(asked, one.principal, one.agent, MOST_BEFORE),
        session=next((known for known in sessions if known.name == one.session), None),
        void=void,
        waits=how_it_waits(one, since.get(one.id), void),
        elsewhere=elsewhere(desk.config, one),
        against=against,
        passkey=one.terms.passkey,
    )


def _against(desk: Desk, one: Ticket) -> str:
    """Why nobody here can approve it, the rest of a sentence; "" where somebody can."""
    if there := elsewhere(desk.config, one):
        return there
    if not one.terms.passkey:
        return objection(one, TicketAnswer("approved", desk.person, "console", desk.groups))
    known = desk.config.approvals.passkeys
    found = [
        objection(one, TicketAnswer("approved", key.person, "console", key.groups, assertion="{}"))
        for key in known
    ]
    if not found:
        return "its rule asks for a passkey, and the configuration has none"
    return "" if "" in found else found[0]


def _answered(desk: Desk) -> list[AnswerStep]:
    found = [one for one in answer_steps(desk.evidence.notices) if one.what != "approval-asked"]
    return found[-MOST_ANSWERED:][::-1]
