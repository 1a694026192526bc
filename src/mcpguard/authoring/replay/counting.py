"""Limits in a replay: what the calls in it use up, as the policies would have it.

Law of this file: under the old policies, what a limit did is on record and is not counted again; under
others it is counted from the first record of the replay on, where a rule that nobody changed did not refuse.
Whether a limit refuses again cannot be said after a call that it counted then and may not count now.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from msgspec import Struct, structs

from mcpguard.authoring.replay.judging import Again
from mcpguard.authoring.replay.past import PastDecision, Received, SessionEnded
from mcpguard.core.model import Cause, Charge
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.session import PARTS, Session
from mcpguard.core.policy.terms import window_of

FREED = "a limit refused it, and earlier calls that this counted would be decided otherwise"


def counted_since(policies: Iterable[PolicySet], since: datetime | None) -> datetime | None:
    """Since when decisions may have used up what limits of `policies` still count; None if no rule has a
    limit."""
    limits = [rule.written.limit for one in policies for rule in one.rules if rule.written.limit is not None]
    if not limits:
        return None
    seconds = [window_of(limit.per) or 0 for limit in limits]
    if since is None or not all(seconds):
        return datetime.min.replace(tzinfo=UTC)  # A session may have begun at any time.
    return since - timedelta(seconds=max(seconds) * (PARTS + 1) / PARTS)


class _Uncounted(Struct, frozen=True):
    session: Session
    charges: tuple[Charge, ...]
    past: PastDecision


class Counting:
    """What limits have used up, by session. `digest` is that of the policies."""

    def __init__(self, digest: str) -> None:
        self._digest = digest
        self._sessions: dict[object, Session] = {}
        self._waiting: dict[str, _Uncounted] = {}
        self._freed: dict[object, set[str]] = {}
        """By session, the rules whose limits calls used up then that may not use them up now."""
        self.counted = False
        """Whether a limit was counted at all."""

    def limited(self, past: PastDecision, again: Again, kept: frozenset[str]) -> Again:
        """The verdict with what limits refuse; `kept` are those that the old policies have too."""
        record = past.record
        # Earlier versions did not record what the session is called.
        name = record.session or (record.principal, record.agent)
        own = record.policy_digest == self._digest
        by_limit = past.cause == Cause.LIMIT.value
        if by_limit and (own or (kept.issuperset(past.rules) and again.effects != {"deny"})):
            if not self._freed.get(name, set()).isdisjoint(past.rules):
                return structs.replace(again, effects=again.effects | {"deny"}, missing=(FREED,))
            # What had used it up may be from before the first record.
            return _reached(past.rules)
        if own:
            return again
        found = self._counted(past, again, name)
        if past.effect != "deny":
            freed = set(past.rules)
            if found.effects == {past.effect}:
                freed.difference_update(map(_rule_of, found.charges))
            elif past.effect == "ask":
                freed |= kept  # Those that it named asked; others may have counted it.
            self._freed.setdefault(name, set()).update(freed)
        return found

    def _counted(self, past: PastDecision, again: Again, name: object) -> Again:
        """The verdict with what limits refuse that are counted here, in the session `name`."""
        record = past.record
        if not again.charges:
            return again
        self.counted = True
        session = self._sessions.setdefault(name, Session())
        full = [charge for charge in again.charges if not session.room(charge, record.at)]
        if full:
            return _reached(tuple(map(_rule_of, full)))
        if "ask" in again.effects and not record.approval:
            return again  # It is not known what a person would have said.
        for charge in again.charges:
            session.charge(charge, record.at)
        bytes_of = tuple(charge for charge in again.charges if charge.unit == "bytes")
        if bytes_of:
            self._waiting[record.id] = _Uncounted(session, bytes_of, past)
        return again

    def received(self, came: Received) -> None:
        waiting = self._waiting.pop(came.id, None)
        for charge in () if waiting is None else waiting.charges:
            assert waiting is not None  # noqa: S101 - it has charges
            waiting.session.charge(structs.replace(charge, amount=came.size), waiting.past.record.at)

    def ended(self, end: SessionEnded) -> None:
        """A session began anew: what windows hold lasts."""
        session = self._sessions.get(end.session)
        if session is not None:
            session.kept = session.kept.ended(end.at.timestamp())


def _rule_of(charge: Charge) -> str:
    return charge.key.split(" ")[0]


def _reached(rules: tuple[str, ...]) -> Again:
    return Again(frozenset({"deny"}), Cause.LIMIT.value, rules)
