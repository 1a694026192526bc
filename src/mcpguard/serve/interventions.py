"""A person's changes, from outside, to the state that serving processes share: answers to tickets, labels
and sessions.

Law of this file: evidence first. A change that cannot be recorded is not made; one that was recorded and
could not be made leaves a record of that.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from mcpguard import __version__
from mcpguard.adapters.approvals.passkeys import Passkey, Passkeys
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.adapters.credentials import value_of
from mcpguard.adapters.store import default_folder
from mcpguard.adapters.store.sessions import KnownSession
from mcpguard.adapters.store.state import SharedState
from mcpguard.adapters.store.tickets import UnreadableTicket
from mcpguard.adapters.system.clock import SystemClock
from mcpguard.adapters.system.own_process import machine_name, operating_system_user
from mcpguard.adapters.telemetry.status_file import running
from mcpguard.config.loading import Config, config_option, evidence_folder, load_config
from mcpguard.core.errors import AuditError, ConfigError, CredentialError, SessionError
from mcpguard.core.evidence.changes import ANSWER_VOID, VOID, void_of
from mcpguard.core.evidence.records import FORMAT, Anchor, Closed, Noticed, Opened
from mcpguard.core.legible import plain, utc
from mcpguard.core.policy.pins import Pin, in_evidence
from mcpguard.core.policy.session import ServerPlaces, StoredSession, without_folder
from mcpguard.core.policy.tickets import Ticket, TicketAnswer, latest_end, objection, signed_parts
from mcpguard.serve.state import state_of

if TYPE_CHECKING:
    from mcpguard.adapters.audit.signing import SigningKey
    from mcpguard.config.evidence import HeadsEntry


TAKEN_SECONDS = 2.0
"""How long to look whether a call takes an approval."""


def store_of(config: Config) -> SharedState:
    """What the processes that serve this configuration share."""
    return state_of(config, SystemClock(), value_of)


def earlier_sessions(config: Config) -> int:
    """How many sessions are in files of their own, as earlier versions kept them."""
    if config.session_postgres is not None:
        return 0
    files = (config.session_folder or default_folder()).glob("*.json")
    # Earlier versions had another such file there.
    return sum(1 for one in files if one.name != "definitions.json")


def passkeys_of(config: Config) -> Passkeys:
    """Those that the configuration names."""
    return Passkeys(Passkey(one.person, one.groups, one.id, one.key) for one in config.approvals.passkeys)


def waiting_ticket(store: SharedState, ticket_id: str, lists: str = "") -> Ticket:
    """The ticket of that id. Raises SessionError where it cannot be answered, which says why: `lists` says
    where those are that can."""
    ticket = store.known_ticket(ticket_id)
    if ticket is None or ticket.state != "waiting" or ticket.expires <= time.time():
        raise SessionError(_late(ticket_id, ticket) + lists)
    return ticket


def _late(ticket_id: str, now: Ticket | None) -> str:
    """Why a ticket that is `now` so cannot be answered."""
    if now is None:
        return f"there is no ticket {ticket_id!r}, or it is over"
    if now.answer is None:
        return f"the ticket {ticket_id} expired at {utc(now.expires)}"
    then = {"used": ", and a call has used that", "ended": ", and a person has ended that"}.get(now.state, "")
    return f"the ticket {ticket_id} was {now.answer.verdict} by {now.answer.by} ({now.answer.via}){then}"


def how_it_waits(ticket: Ticket, since: float | None, void: str) -> str:
    """Whether a call waits for the ticket, a clause; `since` is from `SharedState.waited_for`, and `void` as
    `TicketCheck` says."""
    if since is not None:
        return f"a call has been waiting for {max(0, time.time() - since):.0f} s"
    counts = f"; an approval is valid for the same call made again until {utc(ticket.ends)}"
    return f"no call waits for it any more{'' if void else counts}"


def must_count(config: Config, ticket: Ticket, answer: TicketAnswer) -> None:
    """Raise SessionError where the answer would not count."""
    now = time.time()
    latest = latest_end(ticket, answer.lasts, now)
    if answer.lasts != "once" and not now < answer.until <= latest:
        against = f"it can last {(latest - now) / 60:.0f} minutes at most"
    else:
        against = objection(ticket, answer)
    against = elsewhere(config, ticket) or against
    if answer.assertion and not against:
        against = passkeys_of(config).objection(ticket, answer)
    if against:
        raise SessionError(f"the ticket {ticket.id} cannot be answered: {against}")


def give(config: Config, store: SharedState, ticket: Ticket, answer: TicketAnswer) -> None:
    """Answer `ticket`. Raises SessionError where the answer would not count, where it cannot be stored, and
    where somebody else was quicker; AuditError where no evidence can be left. Then nothing is answered."""
    must_count(config, ticket, answer)
    what = "approval-given" if answer.verdict == "approved" else "approval-refused"
    proof = ""
    if answer.assertion:
        signed = signed_parts(ticket, answer)
        proof = f"; the assertion of the passkey: {answer.assertion}; its challenge is of {signed}"
    by = f"by {answer.by} ({answer.via}){length_of(answer)}{proof}"
    detail = f"ticket {ticket.id} of {ticket.principal} {by}"
    about = {"principal": ticket.principal, "ticket": ticket.id}
    note_of(config, what, detail, **about)
    try:
        if not store.answer(ticket.id, answer):
            raise SessionError(_late(ticket.id, store.known_ticket(ticket.id)))
    except SessionError as problem:
        note_of(config, ANSWER_VOID, void_of(what, detail, str(problem)), **about)
        raise


def taken(store: SharedState, ticket_id: str) -> bool:
    """Whether a call goes on with the approval just given: a waiting call takes it at its next look, and a
    person waits for at most eight of these."""
    ends = time.monotonic() + TAKEN_SECONDS
    while (now := store.known_ticket(ticket_id)) is not None and now.state == "approved" and not now.uses:
        if time.monotonic() >= ends:
            return False
        time.sleep(0.05)
    return True


def taken_or_ended(config: Config, store: SharedState, ticket: Ticket, by: str) -> bool:
    """Whether a call goes on, once its approval was given and a rule was written that approves it for good,
    which makes the approval needless: one that no call takes is ended, for `by`."""
    if taken(store, ticket.id):
        return True
    with suppress(SessionError, AuditError):  # The rule is in force anyway.
        end_answer(config, store, ticket.id, by)
    return False


def digests_of(policies: str, places: ServerPlaces) -> tuple[str, ...]:
    """For what approvals count: the policies with that digest, and these servers, wherever they start."""
    return (policies, *map(without_folder, places.servers.values()))


def other_config(config: Config, ticket: Ticket) -> str:
    """The file of the configuration under which the ticket was asked; "" where it is this one, or where that
    is not known."""
    return "" if not ticket.config or _is_file(ticket.config, config.path) else ticket.config


def elsewhere(config: Config, ticket: Ticket) -> str:
    """Why no answer to the ticket can be given or ended here, the rest of a sentence; "" where one can."""
    other = other_config(config, ticket)
    return f"it was asked under another configuration; add `--config {plain(quote(other))}`" if other else ""


def _is_file(one: str, other: Path) -> bool:
    if one == str(other):
        return True
    with suppress(OSError):
        return os.path.samefile(one, other)
    return False


class TicketCheck:
    """Says which tickets count for nothing by now: as the processes have it that serve their configuration,
    where none does as its files are."""

    def __init__(self, config: Config, policies: Callable[[], str]) -> None:
        """`policies()` gives the digest of the policies as they are written, "" where they do not load."""
        self._config = config
        self._policies = cache(policies)
        self._servers = cache(lambda: _servers_in(config.path))
        self._running = running()

    def void(self, ticket: Ticket) -> str:
        """Why the ticket and its answer count for nothing, a clause; "" where they may count."""
        other = other_config(self._config, ticket)
        path = Path(other) if other else self._config.path
        serving = [one.in_force for one in self._running if _is_file(one.config, path)]
        in_force = {digest for one in serving for digest in one}
        if not in_force and not other:
            in_force = {self._policies()} - {""}
        if in_force and ticket.policies not in in_force:
            return "the policies have changed"
        server = without_folder(ticket.reached)
        if other or not server or server in in_force:
            return ""
        written = self._servers()  # One that only another client sees may be served by no process now.
        if written is None or server in written:
            return ""
        return f"the server {ticket.server} has changed in the configuration"


def _servers_in(path: Path) -> set[str] | None:
    """The servers as they are written, None where that cannot be read."""
    # Imported where it is needed: it brings along whatever serves.
    from mcpguard.serve.settings import places_of

    try:
        return {*map(without_folder, places_of(load_config(path)).servers.values())}
    except ConfigError:
        return None


def void_answer(why: str) -> str:
    """What a person reads of an answer that counts for nothing."""
    return f"void: {why}"


def void_ticket(why: str) -> str:
    """The same of a ticket that waits, a clause."""
    return f"{why} since it was asked, so an approval would have no effect: the call has to be made again"


def length_of(answer: TicketAnswer) -> str:
    """How long the answer counts and for what, as the end of a sentence; "" for one call."""
    if answer.lasts == "once":
        return ""
    until = utc(answer.until)
    end = f"until {until}" if answer.lasts == "time" else f"for the session, until {until} at the latest"
    free = ", ".join(map(json.dumps, answer.free))
    return f", {end}" + (f", with any value of {free}" if free else "")


def end_answer(config: Config, store: SharedState, ticket_id: str, by: str) -> None:
    """End the approval or the refusal with the ticket `ticket_id`, for `by` ("SOURCE:ID"): the next call is
    asked about again. Raises SessionError if neither has that number or it cannot be stored, AuditError if no
    evidence can be left."""
    found = [one for one in (*store.approved(), *store.denied()) if one.id == ticket_id]
    if not found and (unread := [one for one in store.unreadable() if one.id == ticket_id]):
        _remove(config, store, unread[0], by)
        return
    if not found:
        lists = f"`mcpguard approvals{config_option(config.path, os.environ)}`"
        raise SessionError(f"no approval or refusal has the ticket {ticket_id!r}; list them with {lists}")
    if against := elsewhere(config, found[0]):
        raise SessionError(f"the answer to the ticket {ticket_id} cannot be ended: {against}")
    who, said = found[0].principal, f"ticket {ticket_id} of {found[0].principal} by {by}"
    what = "refusal-ended"
    if found[0].state == "approved":
        what, said = "approval-ended", f"{said}, used {found[0].uses} times"
    _change(config, what, said, lambda: store.end(ticket_id), principal=who, ticket=ticket_id)


def _remove(config: Config, store: SharedState, ticket: UnreadableTicket, by: str) -> None:
    """The same of one that cannot be read, and that the same call is refused by."""
    who, said = ticket.principal, f"ticket {ticket.id} of {ticket.principal} by {by}, which cannot be read"
    what = "approval-ended" if ticket.state == "approved" else "refusal-ended"
    _change(config, what, said, lambda: store.remove(ticket.id), principal=who, ticket=ticket.id)


def clear_state(config: Config, store: SharedState, session: KnownSession, name: str, by: str) -> None:
    """Take the label `name` off a session, or have the limit of the rule `name` ("policy/rule") count from
    zero, for `by` ("SOURCE:ID"). Raises SessionError where the session has neither or cannot be changed,
    AuditError where no evidence can be left."""
    kept = session.state
    counting = {} if kept is None else kept.used(datetime.now(UTC).timestamp())
    used = {key: amount for key, amount in counting.items() if key.partition(" ")[0] == name}
    if kept is not None and name in kept.labels:
        said = f"{name} of {described(session)}, by {by}"
        _edit(config, store, session, "label-cleared", said, lambda kept: kept.without_label(name))
    elif used:
        amounts = ", ".join(f"{key.partition(' ')[2]}: {amount} used" for key, amount in used.items())
        said = f"{name} of {described(session)}, by {by} ({amounts})"
        _edit(config, store, session, "limit-cleared", said, lambda kept: kept.without_limit(name))
    else:
        raise SessionError(
            f"the session has neither a label nor a limit in use that is called {name!r}; "
            f"`mcpguard session show {session.name[:8]}{config_option(config.path, os.environ)}` lists them"
        )


def end_session(config: Config, store: SharedState, session: KnownSession, by: str) -> None:
    """Have a session start over with the next call, for `by`; limits keep counting. Raises as
    `clear_state`."""
    now = datetime.now(UTC).timestamp()
    said = f"{described(session)}, by {by}"
    _edit(config, store, session, "session-ended", said, lambda kept: kept.ended(now))


def pins_of(config: Config, store: SharedState, open_only: bool = False) -> list[Pin]:
    """The definitions that are known of the servers that are configured now or were started by `mcpguard
    wrap`, or those of names of which one is held; the latest of each name last. Raises SessionError."""
    here = _places(config)
    return [one for one in store.pins(open_only) if here(one.server, one.place)]


def _places(config: Config) -> Callable[[str, str], bool]:
    """Whether a server with that place is one of these."""
    from mcpguard.serve.settings import WRAPPED, pinned_as

    places = {name: pinned_as(server) for name, server in config.served.items()}
    return lambda name, place: place.startswith(WRAPPED) or places.get(name) == place


def full_of_pins(config: Config, store: SharedState) -> list[str]:
    """Those of these servers of which no more definitions can be remembered. Raises SessionError."""
    here = _places(config)
    return [name for name, place in store.full_of_pins() if here(name, place)]


MOST_PINS = 20
"""How many definitions are accepted with one record."""


def accept_pins(config: Config, store: SharedState, chosen: Sequence[Pin], by: str) -> None:
    """Accept definitions that are held, for `by` ("SOURCE:ID"): calls pass again where rules allow them.
    Raises as `clear_state`."""
    for at in range(0, len(chosen), MOST_PINS):
        some = chosen[at : at + MOST_PINS]
        said = "; ".join(
            f"{one.kind} {in_evidence(one.name)} of {one.server}: sha256 {one.digest}" for one in some
        )
        _change(config, "pin-accepted", f"{said}, by {by}", partial(store.accept, some, by))


def forget_pins(config: Config, store: SharedState, server: str, by: str) -> None:
    """Forget how `server` defined its tools and prompts, for `by`: what it lists next counts as the first.
    Raises as `clear_state`."""
    _change(config, "pins-forgotten", f"server {server}, by {by}", lambda: store.forget(server))


def described(session: KnownSession) -> str:
    """The session in evidence."""
    agent = f" with {session.agent}" if session.agent else ""
    return f"session {session.name} of {session.principal}{agent}"


def _edit(
    config: Config,
    store: SharedState,
    session: KnownSession,
    what: str,
    detail: str,
    edit: Callable[[StoredSession], StoredSession],
) -> None:
    about = {"session": session.name, "principal": session.principal}
    _change(config, what, detail, lambda: store.edit(session.name, edit), **about)


def _change(config: Config, what: str, detail: str, change: Callable[[], bool], **about: str) -> None:
    """Leave evidence and `change`, which is false where that was no longer possible. Raises SessionError
    where nothing was changed, once the evidence says so."""
    note_of(config, what, detail, **about)
    try:
        if not change():
            raise SessionError("nothing was changed: it was used or ended meanwhile")
    except SessionError as problem:
        note_of(config, VOID, void_of(what, detail, str(problem)), **about)
        raise


def note_of(
    config: Config, what: str, detail: str, *, session: str = "", principal: str = "", ticket: str = ""
) -> None:
    """Leave evidence of what is about to change, as members of a notice. Raises AuditError, and then nothing
    changes."""
    now, who, host = datetime.now(UTC), operating_system_user().text, machine_name()
    audit = AuditFile(evidence_folder(config), config.audit.durability)
    audit.signer = _signer(config)
    audit.write(Opened(now, __version__, os.getpid(), who, (), "", format=FORMAT, host=host))
    audit.write(Noticed(now, what, detail=detail, session=session, principal=principal, ticket=ticket))
    if audit.signer is not None:
        audit.checkpoint(())
    audit.close(Closed(now, "done"))
    if config.audit.heads is not None:
        _send(config.audit.heads, audit.file.head)


def _send(heads: HeadsEntry, head: Anchor) -> None:
    """Send the head of a chain to where heads are kept, or say that it could not be sent."""
    from mcpguard.adapters.audit.upkeep import LAST_SECONDS, unsent
    from mcpguard.serve.kept_heads import head_sender

    for place, problem in unsent(head_sender(heads, False)([head]), LAST_SECONDS).items():
        said = f"the head of the evidence of this could not be sent to {place} ({problem})"
        sys.stderr.write(f"mcpguard: {said}: keep {head.file}:{head.head}\n")


def _signer(config: Config) -> SigningKey | None:
    """What signs the evidence of a command; None where there is no key, or a person would be asked for it."""
    from mcpguard.adapters.audit.signing import SigningKey
    from mcpguard.adapters.credentials import SOURCES

    key = config.audit.key
    if key is None:
        return None
    try:
        secret = SOURCES[key.source].quietly(key)
        return None if secret is None else SigningKey(secret)
    except (AuditError, CredentialError):
        return None
