"""What a person does on the page: answers a ticket, also with a passkey, ends an approval, clears a label,
ends a session, accepts a definition.

Law of this file: each is a form of our own page, by whoever is logged in; what it changes is changed by
`serve/interventions.py` and `authoring/suggest.py`, with evidence first. A rule is written only as it was
shown. Who approves is whose passkey signed, and what they sign is what their page showed. Nothing here adds a
passkey to those that count: a person writes it into the configuration.
"""

import re
import time
from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from hmac import compare_digest

from msgspec import Struct, structs
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from mcpguard.adapters.approvals.passkeys import enrolled, enrolment
from mcpguard.adapters.store.sessions import KnownSession
from mcpguard.authoring.own_policy import OwnPolicy, Proposal, own_policy
from mcpguard.authoring.replay.past import last
from mcpguard.authoring.replay.replaying import Replay
from mcpguard.authoring.replay.report import ReplayReport
from mcpguard.authoring.suggest import apply, proposal
from mcpguard.console.desk import Desk
from mcpguard.console.pages import message, page
from mcpguard.console.rendering.diffs import patch_lines
from mcpguard.core.errors import AuditError, McpGuardError, SessionError
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.tickets import Lasting, Ticket, TicketAnswer, latest_end
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.serve.interventions import (
    accept_pins,
    clear_state,
    end_answer,
    end_session,
    give,
    must_count,
    passkeys_of,
    pins_of,
    taken,
    taken_or_ended,
    waiting_ticket,
)

Form = dict[str, list[str]]

SECONDS = {"10m": 600.0, "1h": 3_600.0, "8h": 28_800.0}
"""By what a form calls it, how long an approval counts."""
MOST_REASON = 500


Act = Callable[["Desk", Request, Form], Response]


def _or_else(title: str) -> Callable[[Act], Act]:
    """An action that is refused leads to a page with this title, which says why."""

    def decorated(act: Act) -> Act:
        @wraps(act)
        def tried(desk: Desk, request: Request, form: Form) -> Response:
            try:
                return act(desk, request, form)
            except McpGuardError as problem:
                return message(desk, request, title, str(problem), 409)

        return tried

    return decorated


@_or_else("Nothing was answered")
def approve(desk: Desk, request: Request, form: Form) -> Response:
    """The call goes on, if it still waits; or the rule is shown that would approve it for good."""
    ticket = waiting_ticket(desk.store, request.path_params["ticket"])
    given = answer_of(desk, ticket, form)
    if first(form, "lasts") == "always":
        return _rule_page(desk, request, ticket, free_of(form))
    give(desk.config, desk.store, ticket, given)
    if desk.check().void(ticket):
        return _to(desk, f"/tickets/{ticket.id}", "void")
    if taken(desk.store, ticket.id):
        return _to(desk, "/", "approved")
    return _to(desk, f"/tickets/{ticket.id}", "kept")


def answer_of(desk: Desk, ticket: Ticket, form: Form) -> TicketAnswer:
    """The approval that a form says, by whose passkey signed it, else by whoever is logged in. Raises
    SessionError for a passkey that is unknown."""
    said, assertion = first(form, "lasts"), first(form, "assertion")
    by, groups = desk.person, desk.groups
    if assertion:
        holder = passkeys_of(desk.config).holder(assertion)
        by, groups = holder.person, holder.groups
    lasts: Lasting = "session" if said == "session" else "time" if said in SECONDS else "once"
    given = TicketAnswer("approved", by, "console", groups, assertion=assertion)
    if lasts == "once":
        return given
    until = _signed_until(form) if assertion else _until(ticket, lasts, said)
    return structs.replace(given, lasts=lasts, until=until, free=free_of(form))


def _until(ticket: Ticket, lasts: Lasting, said: str) -> float:
    now = time.time()
    latest = latest_end(ticket, lasts, now)
    return latest if lasts == "session" else min(now + SECONDS[said], latest)


def _signed_until(form: Form) -> float:
    """The time that the passkey signed: what was asked for is a moment ago."""
    try:
        return float(first(form, "until"))
    except ValueError:
        raise SessionError("the form lacks the time that the passkey signed") from None


def free_of(form: Form) -> tuple[str, ...]:
    """The arguments that may have any value."""
    return tuple(dict.fromkeys(form.get("free", ())))


@_or_else("No rule was written")
def always(desk: Desk, request: Request, form: Form) -> Response:
    """The rule that was shown is written, and the call goes on, if it still waits."""
    ticket = waiting_ticket(desk.store, request.path_params["ticket"])
    given = TicketAnswer("approved", desk.person, "console", desk.groups)
    must_count(desk.config, ticket, given)
    made = proposal(own_policy(desk.config), ticket, free_of(form))
    if not compare_digest(first(form, "seen").encode(), digest_of(made).encode()):
        return _rule_page(desk, request, ticket, free_of(form))
    apply(desk.config, ticket, free_of(form), desk.person)
    give(desk.config, desk.store, ticket, given)
    goes_on = taken_or_ended(desk.config, desk.store, ticket, desk.person)
    return _to(desk, "/", "standing" if goes_on else "written")


def _rule_page(desk: Desk, request: Request, ticket: Ticket, free: tuple[str, ...]) -> Response:
    """The page with the rule and its tests, as a diff."""
    must_count(desk.config, ticket, TicketAnswer("approved", desk.person, "console", desk.groups))
    own = own_policy(desk.config)
    made = proposal(own, ticket, free)
    return page(
        desk,
        request,
        "always",
        ticket=ticket,
        free=free,
        lines=patch_lines(made.diff.removesuffix("\n")),
        seen=digest_of(made),
        foresight=preview_of(desk, own, made),
        path=desk.config.own_policy,
    )


def digest_of(made: Proposal) -> str:
    """The sha256 (hex) of what is shown of a rule."""
    return sha256(made.diff.encode()).hexdigest()


@_or_else("Nothing was answered")
def deny(desk: Desk, request: Request, form: Form) -> Response:
    """The call does not go on."""
    reason = " ".join(first(form, "reason").split())[:MOST_REASON]
    ticket = waiting_ticket(desk.store, request.path_params["ticket"])
    give(desk.config, desk.store, ticket, TicketAnswer("denied", desk.person, "console", desk.groups, reason))
    return _to(desk, "/", "denied")


@_or_else("Nothing was ended")
def withdraw(desk: Desk, request: Request, form: Form) -> Response:
    """An approval that lasts is ended."""
    end_answer(desk.config, desk.store, request.path_params["ticket"], f"{desk.person} (console)")
    return _to(desk, "/sessions", "withdrawn")


@_or_else("Nothing was changed")
def clear(desk: Desk, request: Request, form: Form) -> Response:
    """A label is taken off a session, or one of its limits counts from zero."""
    limit = first(form, "limit")
    name = limit or first(form, "label")
    clear_state(desk.config, desk.store, _session(desk, request), name, f"{desk.person} (console)")
    return _to(desk, "/sessions", "freed" if limit else "cleared")


@_or_else("Nothing was changed")
def end(desk: Desk, request: Request, form: Form) -> Response:
    """A session starts over."""
    end_session(desk.config, desk.store, _session(desk, request), f"{desk.person} (console)")
    return _to(desk, "/sessions", "ended")


@_or_else("Nothing was accepted")
def accept(desk: Desk, request: Request, form: Form) -> Response:
    """A definition that was shown and is held counts from now on."""
    wanted = request.path_params["server"], *(first(form, name) for name in ("kind", "name", "digest"))
    for one in pins_of(desk.config, desk.store, open_only=True):
        if (one.server, one.kind, one.name, one.digest) == wanted and not one.accepted:
            accept_pins(desk.config, desk.store, [one], f"{desk.person} (console)")
            return _to(desk, "/servers", "accepted")
    raise SessionError("this definition is not held back any more: open the page again")


def _session(desk: Desk, request: Request) -> KnownSession:
    name = request.path_params["session"]
    found = next((one for one in desk.store.known(name) if one.name == name), None)
    if found is None:
        raise SessionError("the session no longer exists")
    return found


def _to(desk: Desk, path: str, said: str) -> Response:
    return RedirectResponse(f"{desk.root}{path}?said={said}", 303)


def first(form: Form, name: str) -> str:
    """The first value of a field, "" for none."""
    return form.get(name, [""])[0]


MOST_DECISIONS = 1_000
"""How many of the last decisions are replayed."""


class PolicyPreview(Struct, frozen=True):
    """What a proposed rule would have changed: the `report`, or the `problem` why that is unknown."""

    report: ReplayReport | None
    problem: str = ""

    @property
    def changed(self) -> int:
        return 0 if self.report is None else self.report.loosens + self.report.tightened


def preview_of(desk: Desk, own: OwnPolicy, made: Proposal) -> PolicyPreview:
    """What the proposal would do. Raises PolicyError where it does not load."""
    own_one = compile_policy(made.policy_text, str(own.path), OPT_IN)
    desk.rulebook.refresh()
    present = desk.rulebook.policies
    try:
        found = last(desk.evidence.folder, MOST_DECISIONS)
    except AuditError as problem:
        return PolicyPreview(None, str(problem))
    known = [] if present is None else [present]
    report = Replay(PolicySet([*own.others, own_one]), known).take(found)
    return PolicyPreview(report if present is None else report.beyond(Replay(present).take(found)))


_PERSON = re.compile(r"(?!group:)[^\s:]+:[^\s\"'{}\[\],#]{1,200}")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/-]{0,99}")
_NO_PERSON = "Write a person as SOURCE:ID, such as os-user:ada."
_ANOTHER = "this is not what the page shows: open it again, and read what is asked"
_NO_GROUP = "A group may only have letters, digits and . _ @ / -; separate groups with commas."


def passkeys(desk: Desk, request: Request) -> Response:
    """Those of the configuration, and a form for another."""
    return page(desk, request, "passkeys", known=desk.config.approvals.passkeys, made=None)


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
            raise SessionError("use the form on this page")
        made = enrolled(*begun, first(form, "made"))
    except SessionError as problem:
        return message(desk, request, "No passkey was added", str(problem), 409)
    known = desk.config.approvals.passkeys
    return page(desk, request, "passkeys", known=known, made=made)


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
