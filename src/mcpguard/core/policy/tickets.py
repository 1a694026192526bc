"""A ticket: the question to a person whether one call may be made, and the answer.

Law of this file: a ticket approves what its fingerprint is made of, and nothing else: who asks with which
agent and who acts for them, under which configuration, for what as it was listed, of which server as it was
reached, with which arguments, under which policies and by which rules. An answer counts only as the rules
that ask want it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct, structs

from mcpguard.core.expressions import expression
from mcpguard.core.functions.function import FunctionError
from mcpguard.core.functions.web.urls import read_url
from mcpguard.core.model import Invocation, Json
from mcpguard.core.policy.session import NO_PLACES, ServerPlaces, name_of
from mcpguard.core.policy.terms import AskTerms, Channel, window_of

if TYPE_CHECKING:
    from mcpguard.core.policy.written import Policy

TicketState = Literal["waiting", "approved", "denied", "used", "ended"]
Verdict = Literal["approved", "denied"]
Lasting = Literal["once", "session", "time"]


MOST_SECONDS = {"session": 24 * 3600, "time": 8 * 3600}
"""How long an approval lasts at most."""

_NUMBER = expression(r"(?<=\[REDACTED:)([A-Za-z0-9_.:/-]+)#[0-9]{1,5}(?=\])")
_ordered = msgspec.json.Encoder(order="deterministic").encode

ROUNDING = 1.0
"""By how many seconds the end of a ticket may differ from what its beginning says."""

_WHERE: dict[Channel, str] = {
    "client": "through the client",
    "console": "on the console",
    "terminal": "at a terminal",
}
UNPROVEN = "its rule asks for a passkey, and this approval has none"


class AnswerTerms(Struct, frozen=True):
    """What the rules that ask want of an answer, all together. `seconds` is how long the ticket can be
    answered, 0 for the configuration's; `via` the channels; of each list in `approvers` one must have
    approved; `show` are the arguments that stand first; those in `same_host` keep their host."""

    seconds: int = 0
    via: tuple[Channel, ...] = ("console", "terminal")
    passkey: bool = False
    approvers: tuple[tuple[str, ...], ...] = ()
    show: tuple[str, ...] = ()
    same_host: tuple[str, ...] = ()


class TicketAnswer(Struct, frozen=True):
    """What a person said. `by` is who it was ("SOURCE:ID"), with `groups`, through `via`. `lasts` says how
    long it counts: for one call, for the session, or for a time; both end at `until` at the latest (seconds
    since 1970, UTC), and the arguments in `free` may then have other values. `assertion` is the WebAuthn
    assertion by which a passkey approved, as JSON, "" for none."""

    verdict: Verdict
    by: str
    via: Channel
    groups: tuple[str, ...] = ()
    reason: str = ""
    lasts: Lasting = "once"
    until: float = 0.0
    free: tuple[str, ...] = ()
    assertion: str = ""


class Ticket(Struct, frozen=True):
    """One question. `created` and `expires` are seconds since 1970 (UTC). `session` is the name of the
    principal's session with that agent; `actor` is who acts for the principal, where a token says so. `args`
    is the sha256 (hex) of the arguments, and `parts` that of each by its name, `hosts` that of the host in
    each of `terms.same_host`; `definition` that of what the server listed, `policies` the digest of
    those that ask; `rules` are theirs. `message` is what their author says, `shown` the inspected arguments
    as JSON, for the person. `asker` is the process that asked, where only that one may go on by the answer.
    `config` is the file of the configuration that it serves, "" for none, and `reached` says which server
    that is: see `ServerPlaces`."""

    id: str
    created: float
    expires: float
    principal: str
    agent: str | None
    session: str
    server: str
    method: str
    target: str
    args: str
    parts: dict[str, str]
    definition: str
    policies: str
    rules: tuple[str, ...]
    message: str
    shown: str
    terms: AnswerTerms = AnswerTerms()
    state: TicketState = "waiting"
    answer: TicketAnswer | None = None
    uses: int = 0
    asker: str = ""
    hosts: dict[str, str] = {}
    actor: str = ""
    config: str = ""
    reached: str = ""

    @property
    def fingerprint(self) -> str:
        """The sha256 (hex) of what the answer is about."""
        return _digest((self.kin, self.args))

    @property
    def kin(self) -> str:
        """The same but for the arguments."""
        parts = (
            *(self.session, self.config, self.server, self.reached, self.method, self.target),
            *(self.definition, self.policies, self.rules, self.asker, self.actor),
        )
        return _digest(parts)

    @property
    def question(self) -> str:
        """The sha256 (hex) of all of it but the answer: of whatever a person was shown."""
        asked = structs.replace(self, state="waiting", answer=None, uses=0)
        return sha256(_ordered(asked)).hexdigest()

    @property
    def lasts(self) -> Lasting:
        """For how long it was approved."""
        return "once" if self.answer is None else self.answer.lasts

    @property
    def ends(self) -> float:
        """When it can no longer be answered or used, in seconds since 1970."""
        return self.expires if self.answer is None or self.lasts == "once" else self.answer.until

    @property
    def acting(self) -> str:
        """The agent as a person reads it: the label that the configuration gives it, and who acts by the
        token; "" for neither."""
        return " as ".join(filter(None, (self.agent, self.actor)))

    @property
    def who(self) -> str:
        """Who calls, as a person reads it."""
        return f"{self.principal} with {self.acting}" if self.acting else self.principal

    @property
    def summary(self) -> str:
        """What is called, as its client named it."""
        return f"{self.method} {self.server}/{self.target}"


def ticket_of(
    call: Invocation,
    rules: tuple[str, ...],
    terms: AnswerTerms,
    policies: str,
    places: ServerPlaces = NO_PLACES,
) -> Ticket:
    """The question whether `call` may be made, of which `rules` want the `terms` in the policies with that
    digest: without its id and what a person is shown, and over at once."""
    who, target, args, now = call.principal, call.target, call.args or {}, call.now.timestamp()
    return Ticket(
        id="",
        created=now,
        expires=now,
        principal=who.text,
        agent=call.agent,
        actor=who.actor,
        session=name_of(who, call.agent),
        config=places.config,
        server=call.server,
        reached=places.of(call.server),
        method=call.method,
        target="" if target is None else target.name,
        args=arguments_digest(call.args),
        parts={name: arguments_digest(value) for name, value in args.items()},
        hosts=hosts_of(args, terms.same_host),
        definition="" if target is None else target.digest,
        policies=policies,
        rules=rules,
        message="",
        shown="",
        terms=terms,
    )


def arguments_digest(value: Json) -> str:
    """The sha256 (hex) of arguments, or of one. The order of keys says nothing: a model may write the same
    call in another."""
    return sha256(_ordered(value)).hexdigest()


def hosts_of(args: Mapping[str, Json], names: Iterable[str]) -> dict[str, str]:
    """The sha256 (hex) of the origin (scheme, host and port, RFC 6454) of the URL in each argument of
    `names`; of all of it where it cannot be read or has a user name."""
    return {name: arguments_digest(_origin_or_all(args[name])) for name in names if name in args}


def _origin_or_all(value: Json) -> list[Json]:
    with suppress(FunctionError):
        if type(value) is str:
            url = read_url("same_host", value)
            if not url.user:
                return ["origin", url.scheme, url.host.name, url.port]
    return ["all", value]


def terms_of(asks: Iterable[AskTerms | None]) -> AnswerTerms:
    """What the `ask` of several rules want together; without any channel left nobody can answer."""
    terms = AnswerTerms()
    via: frozenset[Channel] | None = None
    for ask in asks:
        one = ask or AskTerms()
        channels = frozenset(one.channels)
        via = channels if via is None else via & channels
        seconds = window_of(one.timeout) or 0 if one.timeout else 0
        terms = AnswerTerms(
            seconds=min(filter(None, (terms.seconds, seconds)), default=0),
            passkey=terms.passkey or one.proof == "passkey",
            approvers=terms.approvers + ((one.approvers,) if one.approvers else ()),
            show=tuple(dict.fromkeys(terms.show + one.show)),
            same_host=tuple(dict.fromkeys(terms.same_host + one.same_host)),
        )
    return structs.replace(terms, via=tuple(sorted(via or ())))


def covers(approval: Ticket, call: Ticket) -> bool:
    """Whether the answer to `approval` is about `call` as well: that is the same call, or, where the answer
    lasts, one that differs only in the values of the arguments that are free, and in no host."""
    if approval.fingerprint == call.fingerprint:
        return True
    free = approval.answer.free if approval.answer is not None and approval.lasts != "once" else ()
    if not free or approval.kin != call.kin or approval.parts.keys() != call.parts.keys():
        return False
    if approval.hosts != call.hosts:
        return False
    return all(call.parts[name] == part for name, part in approval.parts.items() if name not in free)


def narrowed(approval: Ticket, call: Ticket, uses: int) -> Ticket:
    """The approval as `call` has used it: for whatever that call does next no argument is free."""
    answer = None if approval.answer is None else structs.replace(approval.answer, free=())
    return structs.replace(approval, args=call.args, parts=call.parts, answer=answer, uses=uses)


def latest_end(ticket: Ticket, lasts: Lasting, now: float) -> float:
    """When an approval that is given `now` ends at the latest; a `timeout` of its rules bounds it too."""
    if lasts == "once":
        return ticket.expires
    most = MOST_SECONDS[lasts]
    return now + (min(most, ticket.terms.seconds) if ticket.terms.seconds else most)


def objection(ticket: Ticket, answer: TicketAnswer) -> str:
    """Why `answer` does not count, the rest of a sentence after a colon; "" where it does. Whether its
    assertion is right is for others to say."""
    terms = ticket.terms
    if answer.via not in terms.via:
        if not terms.via:
            return "the rules that ask have no channel in common"
        channels = " or ".join(_WHERE[one] for one in terms.via)
        return f"its rule allows an answer {channels}, not {_WHERE[answer.via]}"
    too_much = _too_much(ticket, answer)
    if too_much or answer.verdict == "denied":
        return too_much
    if terms.approvers and _last(answer.by) in (_last(ticket.principal), _last(ticket.actor)):
        return f"{answer.by} made the call, and its rule asks for somebody else"
    identities = {answer.by, *(f"group:{name}" for name in answer.groups)}
    for approvers in terms.approvers:
        if identities.isdisjoint(approvers):
            return f"{answer.by} is not among its approvers, {', '.join(approvers)}"
    return UNPROVEN if terms.passkey and not answer.assertion else ""


def challenge_of(ticket: Ticket, answer: TicketAnswer) -> bytes:
    """What a passkey signs (32 bytes): this answer to this ticket with all that a person was shown of it, and
    to no other. Whose passkey it is says who answered."""
    return sha256(b"mcpguard approval\n" + signed_parts(ticket, answer).encode()).digest()


def signed_parts(ticket: Ticket, answer: TicketAnswer) -> str:
    """What of both the challenge is made of, as JSON: evidence keeps it, so that a signature can be checked
    later."""
    parts = (ticket.question, answer.verdict, answer.lasts, answer.until, answer.free)
    return msgspec.json.encode(parts).decode()


def as_asked(known: Ticket, call: Ticket, now: float) -> Ticket | None:
    """`known`, a ticket that was read, with what `call`, the question as it would be put `now`, says: who
    calls what, and what the rules want of an answer. What is left of `known` is what an answer is to, so a
    passkey that signed another question has not signed this one. None where it is not about `call`."""
    if not covers(known, call):
        return None
    latest = min(known.created, now) + call.expires - call.created
    ours = structs.replace(
        call,
        id=known.id,
        created=known.created,
        expires=known.expires if known.expires <= latest + ROUNDING else latest,
        state=known.state,
        answer=known.answer,
        uses=known.uses,
    )
    if known.fingerprint == call.fingerprint or not _shown_alike(known, call):
        return ours
    return structs.replace(ours, args=known.args, parts=known.parts, shown=known.shown)


def _shown_alike(approval: Ticket, call: Ticket) -> bool:
    """Whether a person saw of the arguments that are not free what they would see of those of `call`."""
    free = approval.answer.free if approval.answer is not None else ()
    fixed: list[bytes] = []
    for text in (approval.shown, call.shown):
        try:
            # The number of a redaction depends on those before it.
            shown = msgspec.json.decode(_NUMBER.sub(r"\1", text))
        except (ValueError, RecursionError):
            return False
        if type(shown) is not dict:
            return False
        fixed.append(_ordered({name: value for name, value in shown.items() if name not in free}))
    return fixed[0] == fixed[1]


def _too_much(ticket: Ticket, answer: TicketAnswer) -> str:
    if answer.lasts == "once":
        return "an approval of one call cannot leave arguments open" if answer.free else ""
    if answer.verdict == "denied":
        return "only an approval can last"
    if answer.via == "client":
        return "a client can approve one call, and not those that follow"
    if answer.until > latest_end(ticket, answer.lasts, ticket.expires):
        return "it lasts longer than an approval may"
    for name in answer.free:
        if name not in ticket.parts:
            return no_argument(ticket, name)
    return ""


def no_argument(ticket: Ticket, name: str) -> str:
    """The error about a name that no argument of the call has."""
    has = ", ".join(map(_readable, sorted(ticket.parts))) or "none"
    return f"the call has no argument {_readable(name)}; its arguments are: {has}"


def _readable(name: str) -> str:
    # A letter that only looks like an ASCII one is shown as its escape.
    return name if name.isascii() and name.isprintable() else ascii(name)


def _last(identity: str) -> str:
    # One person may be known to two sources by one name: rather refuse than let them approve for themselves.
    return identity.rpartition(":")[2].casefold()


_APPROVING = frozenset({"id", "effect", "server", "tools", "action", "when", "approves", "message"})
"""What a rule with `approves` may say that changes nothing of a call that a person approved."""


def policy_digests(policies: Iterable[Policy]) -> tuple[str, str]:
    """The sha256 (hex) of what `policies` say, in their order; and the same without rules that only approve
    in advance, and without policies that have no others: a person's approval counts beside these."""
    every = [policy.model_dump(exclude_defaults=True) for policy in policies]
    asking = [{**one, "rules": rules} for one in every if (rules := [*filter(_decides, one["rules"])])]
    return _digest_of(every), _digest_of(asking)


def _decides(rule: dict[str, Any]) -> bool:
    return "approves" not in rule or not rule.keys() <= _APPROVING


def _digest_of(written: Iterable[dict[str, Any]]) -> str:
    digest = sha256()
    for one in written:
        digest.update(msgspec.json.encode(one, order="sorted") + b"\n")
    return digest.hexdigest()


def _digest(parts: object) -> str:
    return sha256(msgspec.json.encode(parts)).hexdigest()
