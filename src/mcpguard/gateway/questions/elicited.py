"""The channel `client`: a call's own client shows its user the question in a form with one choice
(client/elicitation).

    client   how it is asked
    legacy   by a request while the call waits; it is withdrawn once others answered or the wait is over
    modern   the call is answered with `input_required`; the retry brings the answer

Law of this file: an answer is valid for the ticket that its question showed, once, and only if every rule
that asks names this channel. A client may answer for its user; that cannot be detected here.
"""

from typing import Literal

from msgspec import Struct, json, structs

from mcpguard.core.errors import McpGuardError, SessionError
from mcpguard.core.evidence.changes import ANSWER_VOID, void_of
from mcpguard.core.legible import plain
from mcpguard.core.model import Caller, Json, Redacted
from mcpguard.core.policy.tickets import AnswerTerms, Ticket, TicketAnswer, Verdict, objection
from mcpguard.gateway.flight import Cancelled, Flight
from mcpguard.gateway.ports import Store
from mcpguard.gateway.questions.relayed import Questions
from mcpguard.gateway.questions.round_trips import ParkedCalls
from mcpguard.gateway.scope import ClientScope, Request
from mcpguard.protocol import eras
from mcpguard.protocol.calls import Call
from mcpguard.protocol.jsonrpc import encode

READABLE = 8_192
"""A client is not asked about arguments of more characters, as JSON: its form may cut them."""
MOST_REASON = 500
KEY = "approval"
"""The name of the question among the `inputRequests` of a modern client."""

_ELICIT = "elicitation/create"
_FORM: dict[str, Json] = {
    "type": "object",
    "properties": {
        "decision": {
            "type": "string",
            "title": "Decision",
            "description": "Whether this call may be made, once.",
            "enum": ["approve", "deny"],
        },
        "reason": {
            "type": "string",
            "title": "Reason",
            "description": "If you deny it: what the model should do instead.",
            "maxLength": MOST_REASON,
        },
    },
    "required": ["decision"],
}
_UNABLE = (
    "The rule allows only the client's own user to approve this, and {}. Use a client that declares "
    "elicitation in form mode, or ask the owner of the policy to allow another channel (`ask.via`)."
)

Said = Literal["approved", "denied", "cancelled"]


class ElicitedAnswer(Struct, frozen=True):
    """What a modern client's retry says about `ticket`, about which it was asked."""

    ticket: Ticket
    response: Json

    @property
    def denies(self) -> bool:
        """Whether it says no."""
        said, _reason = read(self.response)
        return said == "denied"

    @property
    def missing(self) -> bool:
        """Whether there is no answer in it, so that the client is asked again."""
        return read(self.response)[0] is None


class OpenDialog:
    """A question that a legacy client has open about the call of `request`, None for none."""

    def __init__(self, request: Request | None = None) -> None:
        self._request = request
        self.heard = False
        """Whether its answer is there, and is about to be stored."""
        self.denied = False
        """Whether that says no."""
        self.flight: Flight | None = None

    @property
    def open(self) -> bool:
        """Whether the answer may still come."""
        return self.flight is not None and not self.flight.over

    def withdraw(self, request: Request) -> None:
        """The answer is not wanted any more for the call of `request`; one that is there is stored still."""
        if self.flight is not None and not self.heard and request is self._request:
            self.flight.cancel("withdrawn")


class ClientChannel:
    """Asks the client of one gateway."""

    def __init__(self, scope: ClientScope, questions: Questions, parked: ParkedCalls) -> None:
        self._scope = scope
        self._questions = questions
        self._parked = parked
        self._dialogs: dict[str, OpenDialog] = {}
        """What a legacy client is asked, by ticket: the same call made twice is asked about once."""

    def unable(self, request: Request, terms: AnswerTerms) -> str:
        """Why nobody can answer where the rules name no other channel and the client cannot be asked; ""
        where somebody can."""
        if terms.via != ("client",):
            return ""
        why = self._unable(request.caller, request.method)
        return _UNABLE.format(why) if why else ""

    def _unable(self, caller: Caller, method: str) -> str:
        if not eras.can_answer(caller.capabilities, _ELICIT, {}):
            return "this client cannot show its user a form"
        if caller.modern and method not in eras.MAY_ASK:
            return f"this revision of the protocol cannot ask about {method}"
        return "too many questions are open" if caller.modern and self._parked.full else ""

    def possible(self, request: Request, ticket: Ticket) -> bool:
        """Whether the client is to be asked, and an approval of it would count."""
        yes = TicketAnswer("approved", ticket.principal, "client")
        return (
            ticket.state == "waiting"
            and len(ticket.shown) <= READABLE
            and not objection(ticket, yes)
            and not self._unable(request.caller, request.method)
        )

    # --- a modern client -------------------------------------------------------------------------

    async def ask_first(self, request: Request, call: Call, ticket: Ticket) -> None:
        """Answer the request with the question. Raises InspectionError, AuditError."""
        scope = self._scope
        asked: dict[str, Json] = {KEY: {"method": _ELICIT, "params": _params(ticket)}}
        await self._elicited(ticket)
        state = self._parked.keep_approval(call, ticket)
        body: dict[str, Json] = {
            "resultType": eras.INPUT_REQUIRED,
            "inputRequests": asked,
            "requestState": state,
        }
        sealed, _ = await scope.inspector.seal(scope.result_for(request.caller, request.method, body), 0)
        scope.client.reply(request.id, sealed)

    def retried(self, call: Call) -> tuple[Call, ElicitedAnswer | None]:
        """The call as it was made first where `call` is the retry that brings an answer to a question of
        ours, and that answer, which counts no second time."""
        ticket = self._parked.claim_approval(call)
        if ticket is None:
            return call, None
        response = (call.responses or {}).get(KEY)
        return structs.replace(call, state=None, responses=None), ElicitedAnswer(ticket, response)

    # --- a legacy client -------------------------------------------------------------------------

    async def ask_beside(self, store: Store, request: Request, ticket: Ticket) -> OpenDialog:
        """Ask while the call waits. Raises InspectionError."""
        params, _ = await self._scope.inspector.seal(_params(ticket), len(ticket.shown))
        dialog = self._dialogs.get(ticket.id)
        if dialog is None:
            dialog = self._dialogs[ticket.id] = OpenDialog(request)
            dialog.flight = Flight(self._ask(store, request, ticket, params, dialog))
        return dialog

    async def _ask(
        self, store: Store, request: Request, ticket: Ticket, params: Redacted, dialog: OpenDialog
    ) -> None:
        try:
            await self._elicited(ticket)
            body = await self._questions.answer_of(_ELICIT, params, request)
            response = body.get("result")
            dialog.heard, dialog.denied = True, read(response)[0] == "denied"
            await self.take(store, ticket, response)
        except Cancelled:
            pass
        except McpGuardError as problem:
            self._scope.report(ticket.server, f"the ticket {ticket.id}: {problem}")
        finally:
            del self._dialogs[ticket.id]

    # --- what it answers -------------------------------------------------------------------------

    async def take(self, store: Store, ticket: Ticket, response: Json) -> None:
        """Store the answer of the client, with evidence first; nothing where it says neither yes nor no, or
        cannot say it. Raises AuditError, SessionError."""
        said, reason = read(response)
        if said is None or said == "cancelled":
            return
        verdict: Verdict = said
        reason = self._scope.inspector.text(reason)
        answer = TicketAnswer(verdict, ticket.principal, "client", reason=reason)
        if objection(ticket, answer):
            return
        what = "approval-given" if verdict == "approved" else "approval-refused"
        detail = f"ticket {ticket.id} of {ticket.principal} by {ticket.principal} (client)"
        await self._noted(what, ticket, detail)
        try:
            stored = await store.answered(ticket.id, answer, self._scope.recorder.now().timestamp())
        except SessionError as problem:
            await self._noted(ANSWER_VOID, ticket, void_of(what, detail, str(problem)))
            raise
        if not stored:
            late = void_of(what, detail, "somebody else answered, or it has expired")
            await self._noted(ANSWER_VOID, ticket, late)

    async def _elicited(self, ticket: Ticket) -> None:
        await self._noted("approval-elicited", ticket, f"ticket {ticket.id} of {ticket.principal}")

    async def _noted(self, what: str, ticket: Ticket, detail: str) -> None:
        scope = self._scope
        await scope.audit.write(scope.recorder.noticed(what, ticket.server, detail, ticket=ticket.id))


def read(response: Json) -> tuple[Said | None, str]:
    """What an ElicitResult says, and why; None where it is not an answer to the form."""
    action = response.get("action") if type(response) is dict else None
    if action == "decline":
        return "denied", ""
    if action == "cancel":
        return "cancelled", ""
    content = response.get("content") if action == "accept" else None
    if type(content) is not dict:
        return None, ""
    if content.get("decision") == "approve":
        return "approved", ""
    reason = content.get("reason")
    line = " ".join(reason[:MOST_REASON].split()) if type(reason) is str else ""
    return ("denied" if content.get("decision") == "deny" else None), plain(line)


def _params(ticket: Ticket) -> dict[str, Json]:
    return {"message": question(ticket), "requestedSchema": _FORM}


def question(ticket: Ticket) -> str:
    """What the client shows. All that others wrote is indented, so that it is code where a client shows
    Markdown, and none of it looks like a line of ours."""
    lines = [
        f"call       {ticket.summary}",
        f"by         {ticket.who}",
        f"asked by   {', '.join(ticket.rules)}",
        f"ticket     {ticket.id}",
        "arguments",
        *(f"  {line}" for line in _arguments(ticket)),
    ]
    shown = "\n".join(f"    {plain(line)}" for line in lines)
    return f"mcpguard asks whether this call may be made.\n\n{shown}\n\n{plain(ticket.message)}"


def _arguments(ticket: Ticket) -> list[str]:
    """One a line, those first that the rule wants shown first."""
    args = json.decode(ticket.shown)
    first = [name for name in ticket.terms.show if name in args]
    names = dict.fromkeys([*first, *args])
    return [f"{name}: {encode(args[name]).decode()}" for name in names]
