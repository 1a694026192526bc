"""One call from the question to its outcome, with the evidence of each step."""

import json
import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from mcpguard.adapters.audit.reader import chain_files, chain_name, sound_lines
from mcpguard.authoring.explain.explanation import lines_of
from mcpguard.authoring.explain.recorded import altered_at, explain_record
from mcpguard.console.desk import Desk
from mcpguard.console.evidence import AnswerStep, Place, SeenCall, answer_steps, parsed
from mcpguard.console.pages import message, page
from mcpguard.console.rendering.arguments import ShownArguments, shown_arguments
from mcpguard.console.views.decisions import effect_of
from mcpguard.core.errors import AuditError, McpGuardError, SessionError
from mcpguard.core.evidence.records import Decided, Outcome
from mcpguard.core.model import Json
from mcpguard.core.policy.tickets import Ticket
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.protocol.jsonrpc import encode

NOT_KNOWN = (
    *("args_file", "annotations", "snapshot", "group", "claims", "principal", "source", "agent", "now"),
    *("session", "result"),
)
"""What nobody says of a call whose story is told."""
MOST_BYTES = 64 << 20
"""Of a chain that is verified for a page."""


class ChainState(Struct, frozen=True):
    """Whether the chain with the record is as it was written: `flaw` says where not, "" for nowhere; `known`
    is false where it was not looked at."""

    file: str
    flaw: str
    known: bool


def story(desk: Desk, request: Request) -> Response:
    """What is on record of the call of this id."""
    call_id = request.path_params["call"]
    with desk.lock:
        desk.evidence.poll()
        called = desk.evidence.called(call_id)
        notices = list(desk.evidence.notices)
    call = called[0] if called else _searched(desk, call_id)
    if call is None:
        return message(desk, request, "No such call", f"There is no record of a call {call_id}.", 404)
    steps = _steps(answer_steps(notices), call)
    ticket = _ticket(desk, {one.ticket for one in steps} | {call.decision.approval.partition(" ")[0]})
    chain = _planted(call, called) or _chain(desk, call.place)
    return page(
        desk,
        request,
        "story",
        call=call,
        effect_word=effect_of(call),
        steps=steps,
        ticket=ticket,
        shown_arguments=_arguments(ticket, call.decision),
        recorded_arguments=_recorded_arguments(ticket, call.decision),
        rules=desk.rulebook.rules(call.decision.rules),
        result_rules=desk.rulebook.rules(call.outcome.rules) if call.outcome else [],
        same_policies=desk.rulebook.digest == call.decision.policy_digest,
        chain=chain,
        why=_why(desk, call.decision, ticket) if chain.known else [],
    )


def _steps(steps: list[AnswerStep], call: SeenCall) -> list[AnswerStep]:
    """Those of the ticket by which the call was asked about, or went on."""
    tickets = {call.decision.approval.partition(" ")[0]}
    tickets |= {one.ticket for one in steps if one.call == call.decision.id}
    return [one for one in steps if one.ticket in tickets - {""}]


def _ticket(desk: Desk, numbers: set[str]) -> Ticket | None:
    """The ticket, as long as it is kept."""
    for number in sorted(numbers - {""}):
        try:
            found = desk.store.known_ticket(number)
        except SessionError:
            return None
        if found is not None:
            return found
    return None


def _arguments(ticket: Ticket | None, call: Decided) -> ShownArguments | None:
    if ticket is None or (ticket.server, ticket.target) != (call.server, call.tool or call.subject):
        return None
    return shown_arguments(ticket.shown, ticket.terms.show)


def _recorded_arguments(ticket: Ticket | None, call: Decided) -> ShownArguments | None:
    """Those on record, where nothing else shows them."""
    if not call.arguments or _arguments(ticket, call) is not None:
        return None
    return shown_arguments(encode(call.arguments).decode(), ())


def _why(desk: Desk, call: Decided, ticket: Ticket | None) -> list[str]:
    """How the call would be decided now, rule by rule; nothing where its arguments are not known."""
    args: Json = None
    if ticket is not None:
        with suppress(ValueError, RecursionError):
            args = json.loads(ticket.shown)
    nothing: dict[str, None] = dict.fromkeys(NOT_KNOWN)
    options = Namespace(**nothing, args=args if isinstance(args, dict) else None, label=[], fact=[])
    policies = desk.rulebook.policies
    if policies is None:
        return []
    redactor = Redactor(os.urandom(32))
    try:
        found = explain_record([call.id], options, policies, desk.config, redactor).explanation
    except McpGuardError:  # Such as: what was shown was redacted, so these are not the arguments.
        return []
    return [] if found is None else [redactor.inspect_text(line) for line in lines_of(found)]


def _searched(desk: Desk, call_id: str) -> SeenCall | None:
    """The call in what is not kept, the newest file first."""
    call = None
    try:
        for file in reversed(chain_files(desk.evidence.folder)):
            for record, place in _records(chain_name(file), sound_lines(file, {}), call_id):
                if isinstance(record, Decided):
                    call = SeenCall(record, place)
                elif call is not None:
                    call.outcome, call.outcome_place = record, place
            if call is not None:
                return call
    except AuditError:
        pass
    return None


def _records(name: str, chain: Iterator[bytes], call_id: str) -> Iterator[tuple[Decided | Outcome, Place]]:
    wanted = call_id.encode(errors="replace")
    for line in chain:
        if wanted in line:
            record, place = parsed(name, line.rstrip(b"\n"))
            if isinstance(record, Decided | Outcome) and place is not None and record.id == call_id:
                yield record, place


def _planted(call: SeenCall, called: list[SeenCall]) -> ChainState | None:
    """That another process decided something else under the same id; a copy of a chain has the same record
    in the same place."""
    for other in called:
        if (other.place.number, other.decision) != (call.place.number, call.decision):
            flaw = f"{other.place.file} has another decision under the same id, so one of them was planted"
            return ChainState(call.place.file, flaw, True)
    return None


def _chain(desk: Desk, place: Place) -> ChainState:
    try:
        files = chain_files(desk.evidence.folder)
        file = next((one for one in files if chain_name(one) == place.file), None)
        if file is None:
            return ChainState(place.file, "its file is gone", True)
        if file.stat().st_size > MOST_BYTES:
            return ChainState(place.file, "", False)
        return ChainState(place.file, altered_at(file, files), True)
    except (OSError, AuditError) as problem:
        return ChainState(place.file, f"it cannot be read: {problem}", True)
