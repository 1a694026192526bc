"""Calls that a person has to approve: a ticket asks, out of the agent's channel, and the same call goes on.

Law of this file: an approval is used before what it allows is decided, and decided is the call that was
shown; what cannot be asked is refused. The client hears what to do, and nothing by which it could answer.
"""

import os
from hashlib import sha256

from msgspec import structs

from mcpguard.core.errors import InspectionError, SessionError
from mcpguard.core.model import Deny, Permit
from mcpguard.core.policy.tickets import Ticket
from mcpguard.gateway.ports import Store
from mcpguard.gateway.scope import ClientScope, Request
from mcpguard.protocol.catalogue import Catalogue
from mcpguard.protocol.jsonrpc import encode

LOOK_SECONDS = 0.25
"""How often a call that waits looks whether a person has answered."""
PROGRESS_SECONDS = 5.0
"""How often its client hears that it waits."""
SHOWN = 65_536
"""So many characters of the arguments are shown to the person."""

_LATER = (
    "A person was asked and has not answered yet (ticket {}). Make the same call again later, with the same "
    "arguments: an approval counts for it."
)
_CHANGED = "What was approved has changed meanwhile, so a person has to be asked again: make the call again."


class Approvals:
    """Asks for the calls of one client."""

    def __init__(self, scope: ClientScope, catalogue: Catalogue) -> None:
        self._scope = scope
        self._catalogue = catalogue

    async def answer(self, request: Request, deny: Deny) -> Permit | Deny:
        """What comes of a call that rules ask about: the Permit that a person gave, or a refusal that says
        how things are."""
        store = self._scope.store
        if store is None:
            return deny
        try:
            ticket = await self._waited(store, request, await self._asked(store, deny))
            refusal = self._refusal(deny, ticket)
            if refusal or not await store.use(ticket.id, self._scope.recorder.now().timestamp()):
                return _said(deny, refusal or _CHANGED)
        except (SessionError, InspectionError) as problem:
            self._scope.report(deny.invocation.server, f"a person could not be asked: {problem}")
            return _said(deny, "A person could not be asked.")
        verdict = await self._scope.judge.decide(deny.invocation, frozenset(deny.rules))
        if isinstance(verdict, Permit):
            return structs.replace(verdict, approval=f"{ticket.id} by {ticket.by}")
        return verdict

    def _refusal(self, deny: Deny, ticket: Ticket) -> str:
        """Why the call may not be made by this ticket, "" where it may."""
        if ticket.state == "denied":
            return f"A person refused this call{f': {ticket.reason}' if ticket.reason else '.'}"
        if ticket.state != "approved":
            return _LATER.format(ticket.id)
        target = deny.invocation.target
        listed = target
        if target is not None and target.kind in ("tool", "prompt"):
            listed = self._catalogue.find(target.kind, target.exposed)
        same = self._ticket(deny, "").fingerprint == ticket.fingerprint
        return "" if same and listed == target else _CHANGED

    async def _asked(self, store: Store, deny: Deny) -> Ticket:
        """The ticket of this call: a new one, with evidence, or one that is there."""
        scope, call = self._scope, deny.invocation
        args = call.args or {}
        shown, _ = await scope.inspector.seal(args, len(encode(args)))
        mine = self._ticket(deny, shown.payload.decode()[:SHOWN])
        ticket = await store.ask(mine)
        if ticket.id == mine.id:
            what = f"ticket {ticket.id} for the call {call.id} of {ticket.principal}"
            await scope.audit.write(scope.recorder.noticed("approval-asked", call.server, what))
            said = f"{mine.method} {mine.target} needs an approval: `mcpguard approve {ticket.id}`"
            scope.report(call.server, said)
        return ticket

    def _ticket(self, deny: Deny, shown: str) -> Ticket:
        scope, call = self._scope, deny.invocation
        now, target = scope.recorder.now().timestamp(), call.target
        return Ticket(
            id=os.urandom(6).hex(),
            created=now,
            expires=now + scope.approvals.ticket_seconds,
            principal=f"{call.principal.source}:{call.principal.id}",
            agent=call.agent,
            server=call.server,
            method=call.method,
            target="" if target is None else target.name,
            args=sha256(encode(call.args)).hexdigest(),
            definition="" if target is None else target.digest,
            policies=scope.judge.policies.digest,
            rules=deny.rules,
            message=deny.message,
            shown=shown,
        )

    async def _waited(self, store: Store, request: Request, ticket: Ticket) -> Ticket:
        """The ticket once a person has answered, or as it is when the time to wait is over."""
        scope, waited, told = self._scope, 0.0, 0
        while ticket.state == "waiting" and waited < scope.approvals.wait_seconds:
            if request.progress_token is not None and waited >= told * PROGRESS_SECONDS:
                told += 1
                self._keep_patient(request, ticket, told)
            await scope.pause(LOOK_SECONDS)
            waited += LOOK_SECONDS
            ticket = await store.ticket(ticket.id) or ticket
        return ticket

    def _keep_patient(self, request: Request, ticket: Ticket, told: int) -> None:
        # Less than one in all, so that what the server says of its progress later is more.
        params = {
            "progressToken": request.progress_token,
            "progress": told / 10_000,
            "message": f"waiting for a person's approval (ticket {ticket.id})",
        }
        self._scope.client.notify("notifications/progress", self._scope.inspector.ours(params), request.id)


def _said(deny: Deny, how: str) -> Deny:
    return structs.replace(deny, message=f"{deny.message} {how}")
