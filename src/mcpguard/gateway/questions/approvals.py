"""Calls that a person has to approve: a ticket asks on a channel that the agent cannot use, and the same call
continues.

Law of this file: an approval is used up before the call that it allows is decided, and that is the call that
was shown. If nobody can be asked, the call is refused. The client learns what to do, and nothing that would
let it answer.
"""

import os
from hashlib import sha256

from msgspec import structs

from mcpguard.core.errors import InspectionError, SessionError
from mcpguard.core.legible import utc
from mcpguard.core.model import Cause, Deny, Invocation, Permit
from mcpguard.core.policy.tickets import (
    Ticket,
    arguments_digest,
    as_asked,
    covers,
    narrowed,
    objection,
    ticket_of,
)
from mcpguard.core.policy.wording import and_then
from mcpguard.core.redaction.removal.neutral import spelled
from mcpguard.gateway.ports import Store
from mcpguard.gateway.questions.elicited import READABLE, ClientChannel, ElicitedAnswer, OpenDialog
from mcpguard.gateway.scope import ClientScope, Request
from mcpguard.protocol.calls import Call
from mcpguard.protocol.catalogue import Catalogue
from mcpguard.protocol.jsonrpc import encode

LOOK_SECONDS = 0.25
"""How often a call that waits looks whether a person has answered."""
PROGRESS_SECONDS = 5.0
"""How often its client hears that it waits."""
MOST_WAITING = 100
"""How many calls of one client wait; others are told at once to come back later."""
SHOWN = 65_536
"""Nobody is asked about arguments of more characters: what a person does not see is not approved."""

_LATER = (
    "A person was asked and has not answered yet (ticket {}). Make the same call again later, with the same "
    "arguments; it goes through once a person has approved it."
)
_UNSAID = (
    "The user was asked and has not answered (ticket {}). Make the same call again to have them asked again."
)
_UNANSWERED = "Nobody answered in time (ticket {}). Make the same call again to have a person asked again."
_DECLINED = "The user of the client refused this call."
_CHANGED = "What was approved has changed since, so a person has to approve it again: make the call again."
_OVER = (
    "The approval was used by the same call, or it has expired or was ended: make the call again to have a "
    "person asked again."
)
_ENDED = "A person ended the approval: make the call again to have a person asked again."
_SPENT = "The approval is used up."
_LONG = "The arguments are longer than a person can be shown, so nobody was asked."
NO_CHANNEL = "The rules that ask allow no common channel for an answer (`ask.via`), so nobody was asked."
_VOID = "The approval is not valid: {}."
_KEPT = (
    "mcpguard cannot see at the moment whether a person has answered (ticket {}). Make the same call again "
    "later."
)


class _Refused(Exception):
    """The call is not made; the sentence says why."""


class Approvals:
    """Asks for the calls of one client."""

    def __init__(self, scope: ClientScope, catalogue: Catalogue, channel: ClientChannel) -> None:
        """`channel` asks the client itself, where the rules allow it."""
        self._scope = scope
        self._catalogue = catalogue
        self._channel = channel
        self._waiting = 0

    async def answer(
        self,
        request: Request,
        call: Call,
        invocation: Invocation,
        deny: Deny,
        said: ElicitedAnswer | None = None,
    ) -> Permit | Deny | None:
        """The verdict on the call `invocation`, about which `deny` says that rules ask: the Permit that a
        person gave, or a refusal that says how things are; None where the client itself was asked, in an
        answer to `call`. `said` is what it answered, where this is its retry."""
        store = self._scope.store
        if store is None:
            return deny
        rules = tuple(sorted(deny.rules))
        would = await self._scope.judge.decide(invocation, frozenset(rules), foresee=True)
        if isinstance(would, Deny):  # Nobody is asked about what cannot go on.
            return would
        why = "A person could not be asked."
        try:
            ticket = await self._asked(store, request, would, rules, deny.message)
            request.asked, why = ticket.id, _KEPT.format(ticket.id)
            deny = structs.replace(deny, ticket=ticket.id)
            waits = structs.replace(deny, invocation=would.invocation)
            heard = await self._heard(store, request, call, ticket, said, waits)
            if heard is not None:
                ticket = await self._waited(store, request, heard, waits)
                verdict = await self._settled(store, request, invocation, deny, ticket)
                if isinstance(verdict, Deny):
                    verdict = structs.replace(verdict, ticket=ticket.id)
                return verdict
        except _Refused as refused:
            return self._said(deny, str(refused))
        except (SessionError, InspectionError) as problem:
            self._scope.report(deny.invocation.server, f"a person could not be asked: {problem}")
            return self._said(deny, why)
        return None

    async def _heard(
        self,
        store: Store,
        request: Request,
        call: Call,
        ticket: Ticket,
        said: ElicitedAnswer | None,
        waits: Deny,
    ) -> Ticket | None:
        """The ticket after what a modern client `said` when it was asked about it; None where it is asked
        now, and the request is answered by that. `waits` is what to record of a call that waits."""
        if said is not None and said.ticket.id != ticket.id:  # That one has expired, or was used.
            _wanted(ticket, said.denies)
            said = None
        if said is None or said.missing:
            if not request.caller.modern or not self._channel.possible(request, ticket):
                return ticket
            await self._scope.audit.write(self._scope.recorder.asked(waits))
            await self._channel.ask_first(request, call, ticket)
            return None
        if ticket.state == "waiting":
            await self._channel.take(store, ticket, said.response)
            ticket = await self._now(store, ticket)
        return _wanted(ticket, said.denies)

    async def again(
        self, request: Request, invocation: Invocation, ticket: Ticket, suspended: bool
    ) -> Permit | Deny:
        """The verdict on a request that continues an approved call: the approval counts to the end of the
        call, as long as all is what the person was shown."""
        judge, approved = self._scope.judge, frozenset(ticket.rules)
        if suspended:
            verdict = await judge.decide_again(invocation, approved=approved)
        else:
            verdict = await judge.decide(invocation, approved)
        if isinstance(verdict, Deny):
            return verdict
        if not self._same(verdict, ticket):
            return Deny(invocation, Cause.APPROVAL, ticket.rules, and_then(ticket.message, _CHANGED))
        request.ticket = ticket
        return _by(verdict, ticket)

    async def _settled(
        self, store: Store, request: Request, invocation: Invocation, deny: Deny, ticket: Ticket
    ) -> Permit | Deny:
        """The verdict on the call by its ticket, decided as of now."""
        invocation = structs.replace(invocation, now=self._scope.recorder.now())
        asking = self._scope.judge.policies.asking
        if ticket.policies != asking or await self._approved_ahead(invocation, ticket):
            if ticket.state != "denied":
                if ticket.lasts == "once":  # Void: nobody is to find it among the approvals in force.
                    await store.use(ticket.id, invocation.now.timestamp())
                return await self._anew(invocation, deny)
            deny = await self._under_others(invocation, deny)
        refusal = await self._refused(invocation, deny, ticket)
        if refusal is not None:
            return refusal
        uses = await store.use(ticket.id, invocation.now.timestamp())
        if not uses or self._used_before(ticket, invocation.now.timestamp()):
            return self._said(deny, _OVER)
        spent = f" {_SPENT}" if ticket.lasts == "once" else ""
        verdict = await self._scope.judge.decide(invocation, frozenset(ticket.rules))
        if isinstance(verdict, Deny):
            return structs.replace(verdict, message=verdict.message + spent)
        if not self._same(verdict, ticket):  # Others were decided, or policies came, in between.
            return self._said(deny, _CHANGED + spent)
        request.ticket = narrowed(ticket, self._ticket(verdict.invocation, ticket.rules), uses)
        return _by(verdict, request.ticket)

    async def _approved_ahead(self, invocation: Invocation, ticket: Ticket) -> bool:
        """Whether nobody has answered, and a rule that came meanwhile approves the call in advance."""
        if ticket.answer is not None:
            return False
        return isinstance(await self._scope.judge.decide(invocation, foresee=True), Permit)

    async def _anew(self, invocation: Invocation, deny: Deny) -> Permit | Deny:
        """The verdict where other policies came while the call waited: these decide, such as by a rule that
        approves in advance, and the ticket counts for nothing."""
        listed = self._listed(invocation)
        verdict = await self._scope.judge.decide(invocation, foresee=not listed)
        if isinstance(verdict, Permit):
            return verdict if listed else self._said(deny, _CHANGED)
        return self._said(verdict, _CHANGED) if verdict.cause is Cause.APPROVAL else verdict

    async def _under_others(self, invocation: Invocation, deny: Deny) -> Deny:
        """What a person denied, by the rules of the policies that came meanwhile; by none where they would
        allow it."""
        verdict = await self._scope.judge.decide(invocation, foresee=True)
        return structs.replace(deny, rules=()) if isinstance(verdict, Permit) else verdict

    async def _refused(self, invocation: Invocation, deny: Deny, ticket: Ticket) -> Deny | None:
        """The refusal of a call that cannot go on by the ticket. It leaves an approval to the same call made
        again, such as when a limit has room."""
        refusal = refusal_by(ticket) or await self._unproven(ticket)
        if ticket.ends <= invocation.now.timestamp():
            refusal = _UNANSWERED.format(ticket.id) if ticket.answer is None else refusal or _OVER
        if refusal:
            return self._said(deny, refusal)
        would = await self._scope.judge.decide(invocation, frozenset(ticket.rules), foresee=True)
        if isinstance(would, Deny) and would.cause is not Cause.APPROVAL:
            return would
        if isinstance(would, Deny) or not self._same(would, ticket):
            return self._said(deny, _CHANGED)
        return None

    async def _unproven(self, ticket: Ticket) -> str:
        """Why the proof of an approval does not hold; "" where it does, or where none was given: then
        `objection` says whether one is needed."""
        answer, check = ticket.answer, self._scope.approvals.unproven
        if answer is None or not answer.assertion:
            return ""
        against = "passkeys cannot be checked here" if check is None else await check(ticket, answer)
        return _VOID.format(against) if against else ""

    def _used_before(self, ticket: Ticket, now: float) -> bool:
        """Whether an approval of one call was used by this process, whatever the file says since; from now
        on it was."""
        used = self._scope.approvals.used
        if ticket.lasts != "once":
            return False
        if ticket.id in used:
            return True
        for one in [one for one, expires in used.items() if expires <= now]:
            del used[one]
        used[ticket.id] = ticket.expires
        return False

    def _same(self, permit: Permit, ticket: Ticket) -> bool:
        """Whether what would be sent now is what the person was shown."""
        call = permit.invocation
        return covers(ticket, self._ticket(call, ticket.rules)) and self._listed(call)

    def _listed(self, call: Invocation) -> bool:
        """Whether what is called is listed as it was when the call came."""
        target = call.target
        if target is None or target.kind not in ("tool", "prompt"):
            return True
        return self._catalogue.find(target.kind, target.exposed) == target

    async def _asked(
        self, store: Store, request: Request, would: Permit, rules: tuple[str, ...], message: str
    ) -> Ticket:
        """The ticket of this call: a new one, with evidence, or one that is there."""
        scope, call = self._scope, would.invocation
        terms = scope.judge.policies.terms(rules)
        unable = self._channel.unable(request, terms) if terms.via else NO_CHANNEL
        if unable:
            raise _Refused(unable)
        args = call.args or {}
        size = len(encode(args))
        shown, _ = await scope.inspector.seal(spelled(args), size)
        text = shown.payload.decode()
        if len(text) > (READABLE if terms.via == ("client",) else SHOWN):
            raise _Refused(_LONG)
        mine = self._ticket(call, rules, text, message)
        ticket = await store.ask(mine)
        if ticket.id == mine.id:
            # The call has no record of its own until it is decided, and it may be cancelled before.
            what = (
                f"ticket {mine.id} for the call {call.id} of {mine.principal}: {mine.method} {mine.target}, "
                f"sha256 of the arguments {sha256(encode(args)).hexdigest()}, of the question {mine.question}"
            )
            noted = scope.recorder.noticed("approval-asked", call.server, what, id=call.id, ticket=mine.id)
            await scope.audit.write(noted)
            said = f"{mine.method} {mine.target} needs an approval: {_where(mine, scope.approvals.option())}"
            scope.report(call.server, said)
            scope.alert(ticket)
            return ticket
        return self._trusted(ticket, mine)

    def _trusted(self, known: Ticket, call: Ticket) -> Ticket:
        """A ticket that was read, with nothing of it believed that is known here."""
        trusted = as_asked(known, call, self._scope.recorder.now().timestamp())
        if trusted is None:
            raise _Refused(_CHANGED)
        return trusted

    def _ticket(self, call: Invocation, rules: tuple[str, ...], shown: str = "", message: str = "") -> Ticket:
        scope, target = self._scope, call.target
        now = scope.recorder.now().timestamp()
        terms = scope.judge.policies.terms(rules)
        mine = ticket_of(call, rules, terms, scope.judge.policies.asking, scope.approvals.places)
        # As it is, an inspected name is among the arguments.
        as_is = target is None or target.inspected
        return structs.replace(
            mine,
            id=os.urandom(6).hex(),
            created=now,
            expires=now + (terms.seconds or scope.approvals.ticket_seconds),
            target=mine.target if as_is else scope.inspector.text(mine.target),
            parts=self._inspected(mine.parts),
            message=message,
            shown=shown,
            asker=scope.approvals.process if terms.passkey else "",
        )

    def _inspected(self, parts: dict[str, str]) -> dict[str, str]:
        """Digests by the names of arguments as a person sees them; what has one name then is one part."""
        found: dict[str, str] = {}
        for name in sorted(parts):
            shown = self._scope.inspector.text(name)
            found[shown] = arguments_digest([found[shown], parts[name]]) if shown in found else parts[name]
        return found

    async def _now(self, store: Store, ticket: Ticket) -> Ticket:
        """The ticket as it is by now. Raises SessionError where it is gone, as with its file."""
        found = await store.ticket(ticket)
        if found is None:
            raise SessionError(f"the ticket {ticket.id} is gone")
        return found if found.id == ticket.id else self._trusted(found, ticket)

    async def _waited(self, store: Store, request: Request, ticket: Ticket, waits: Deny) -> Ticket:
        """The ticket once a person has answered, or as it is when the time to wait is over. Raises
        SessionError."""
        # They may all make the same call, by one ticket.
        if ticket.state != "waiting" or self._waiting >= MOST_WAITING:
            return ticket
        dialog, began = OpenDialog(), self._scope.recorder.seconds()
        over = store.waits(ticket.id, self._scope.recorder.now().timestamp())
        self._waiting += 1
        try:
            if not request.caller.modern and self._channel.possible(request, ticket):
                dialog = await self._channel.ask_beside(store, request, ticket)
            ticket = await self._watched(store, request, ticket, dialog, waits)
            return _wanted(ticket, dialog.denied)
        finally:
            dialog.withdraw(request)
            over()
            self._waiting -= 1
            request.times.waited += self._scope.recorder.seconds() - began

    async def _watched(
        self, store: Store, request: Request, ticket: Ticket, dialog: OpenDialog, waits: Deny
    ) -> Ticket:
        scope, waited, told = self._scope, 0.0, 0
        now, seconds = scope.recorder.now, scope.recorder.seconds
        began, left = seconds(), ticket.expires - now().timestamp()
        # Where only the client's user can answer, there is nothing to wait for once they were asked.
        alone = ticket.terms.via == ("client",)
        patience = min(left, 0.0 if alone else scope.approvals.wait_seconds)
        longest = max(patience, min(left, scope.think_seconds))
        while ticket.state == "waiting" and waited < (longest if dialog.open else patience):
            if not waited:
                await scope.audit.write(scope.recorder.asked(waits))
            if request.progress_token is not None and waited >= told * PROGRESS_SECONDS:
                told += 1
                self._keep_patient(request, ticket, told)
            await scope.pause(LOOK_SECONDS)
            # A look may take long, too, and somebody may set the clock by which the ticket expires.
            waited = max(waited + LOOK_SECONDS, seconds() - began)
            ticket = await self._now(store, ticket)
            if ticket.expires <= now().timestamp():
                break
        return ticket

    def _said(self, deny: Deny, how: str) -> Deny:
        """The refusal as of now, which may be long after the question."""
        call = structs.replace(deny.invocation, now=self._scope.recorder.now())
        return structs.replace(deny, invocation=call, message=and_then(deny.message, how))

    def _keep_patient(self, request: Request, ticket: Ticket, told: int) -> None:
        # Less than one in all, so that what the server says of its progress later is more.
        params = {
            "progressToken": request.progress_token,
            "progress": told / 10_000,
            "message": f"waiting for a person's approval (ticket {ticket.id})",
        }
        self._scope.client.notify("notifications/progress", self._scope.inspector.ours(params), request.id)


def refusal_by(ticket: Ticket) -> str:
    """Why a call may not be made by the ticket as it is, "" where it may."""
    answer = ticket.answer
    if answer is None:
        return (_UNSAID if ticket.terms.via == ("client",) else _LATER).format(ticket.id)
    if ticket.state == "denied":
        said = f"A person refused this call{f': {answer.reason}' if answer.reason else ''}"
        return f"{said.rstrip('.')}. It can be asked about again from {utc(ticket.ends)} on."
    if ticket.state in ("used", "ended"):
        return _OVER if ticket.state == "used" else _ENDED
    against = objection(ticket, answer)
    return _VOID.format(against) if against else ""


def _where(ticket: Ticket, option: str) -> str:
    """Where a person answers the ticket; `option` as in `ApprovalTerms`."""
    if "terminal" in ticket.terms.via:
        return f"`mcpguard approve {ticket.id}{option}`"
    return f"`mcpguard console{option}`" if "console" in ticket.terms.via else "its client asks"


def _wanted(ticket: Ticket, declined: bool) -> Ticket:
    # Somebody else was quicker, and yet the client's user does not want this call.
    if declined and ticket.state != "denied":
        raise _Refused(_DECLINED)
    return ticket


def _by(permit: Permit, ticket: Ticket) -> Permit:
    answer, use = ticket.answer, "" if ticket.lasts == "once" else f", use {ticket.uses}"
    proof = ", passkey" if answer is not None and answer.assertion else ""
    by = "" if answer is None else f" by {answer.by} ({answer.via}{proof})"
    return structs.replace(permit, approval=f"{ticket.id}{by}{use}")
