"""What rules want besides their effect, of then and now: obligations, how a person answers, what comes back.

Law of this file: it is the same only where both sides are known and equal. What may be less than it was is
never the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from msgspec import Struct

from mcpguard.authoring.replay.judging import Again
from mcpguard.authoring.replay.past import PastDecision
from mcpguard.core.evidence.records import FORMAT
from mcpguard.core.policy.compiled import CompiledRule, PolicySet
from mcpguard.core.policy.tickets import AnswerTerms, terms_of
from mcpguard.core.policy.written import ACTIONS, EXTENSION, Limit, Moment, UnredactedEntry
from mcpguard.core.redaction.sparing import SPARED

NOT_AT_HAND = (
    "the policies of then are not at hand (--config): what their rules wanted besides is not on record"
)
MAY_ADD = "whether a rule holds that adds something depends on what is not on record"
OTHER_ARGUMENTS = "a rule sets other arguments than then"
OTHER_TIME = "the time to answer was that of the configuration"
RESULTS = "rules with `on: result` decide what came back, and results are not on record"


class Besides(Struct, frozen=True):
    """What is less strict than then, what is stricter, the credential if it is another one, and why it
    cannot be said that the rest is the same."""

    looser: tuple[str, ...] = ()
    stricter: tuple[str, ...] = ()
    credential: str = ""
    unsaid: tuple[str, ...] = ()

    def __add__(self, other: Besides) -> Besides:
        return Besides(
            tuple(dict.fromkeys(self.looser + other.looser)),
            tuple(dict.fromkeys(self.stricter + other.stricter)),
            self.credential or other.credential,
            tuple(dict.fromkeys(self.unsaid + other.unsaid)),
        )


NOTHING = Besides()


def besides(past: PastDecision, again: Again, old: PolicySet | None, new: PolicySet) -> Besides:
    """All of it for a call that has the same effect, allow or ask, as then; `old` are the policies of then,
    None where they are not at hand."""
    told = on_record(past, again)
    if past.record.policy_digest == new.digest:
        # The same rules want the same.
        return told or NOTHING
    found = (told or NOTHING) + _of_results(past, old, new)
    if old is None:
        return found + Besides(unsaid=(NOT_AT_HAND,))
    if past.effect == "allow" and again.does is None:
        found += Besides(unsaid=(MAY_ADD,))
    names = {rule.name: rule for rule in old.rules}
    if not past.rules or not names.keys() >= set(past.rules):
        return found + Besides(unsaid=(NOT_AT_HAND,))
    then = [names[name] for name in past.rules]
    now = [rule for rule in new.rules if rule.name in again.rules]
    if past.effect == "allow":
        return found + _compared(then, now, whole=told is None)
    asked = [rule for rule in then if rule.effect == "ask"]
    found += _answered(asked, now) + _compared(asked, now, whole=True)
    return found + _of_those_that_allow(past, old, new)


def on_record(past: PastDecision, again: Again) -> Besides | None:
    """What the record says that an allowed call had; None where one of the sides is not known."""
    record, does = past.record, again.does
    # Earlier formats do not have it, and a server that is only observed gets what another verdict says.
    if past.effect != "allow" or does is None or past.format < FORMAT or record.observed is not None:
        return None
    found = _redacted(frozenset(record.redact), does.redact)
    found += _labelled(frozenset(record.labels), does.labels)
    # A request about a task is made with the credential of the call that began it.
    if does.credential != record.credential and not record.method.startswith("tasks/"):
        found += Besides(credential=f"with the credential {does.credential or 'of the server'}")
    return found


def _of_those_that_allow(past: PastDecision, old: PolicySet, new: PolicySet) -> Besides:
    """Which rules allow what a person approved is on record only where one did: each that can is compared."""
    then = {rule.name: rule for rule in _matching(past, old) if rule.effect == "allow"}
    now = {rule.name: rule for rule in _matching(past, new) if rule.effect == "allow"}
    found = NOTHING
    for name in sorted(then.keys() | now.keys()):
        pair = [then[name]] if name in then else [], [now[name]] if name in now else []
        found += _compared(*pair, whole=True)
    return found


def _matching(past: PastDecision, policies: PolicySet, on: Moment = "call") -> Sequence[CompiledRule]:
    record = past.record
    action = record.method if record.method in ACTIONS else EXTENSION
    return policies.candidates(record.server, record.tool or None, action, on).all


def _of_results(past: PastDecision, old: PolicySet | None, new: PolicySet) -> Besides:
    """Whether rules on results did something, or may do it."""
    now = {rule.name: rule for rule in _matching(past, new, "result")}
    then = {} if old is None else {rule.name: rule for rule in _matching(past, old, "result")}
    review = past.review
    if review is not None and review.withheld:
        gone = [name for name in review.rules if not _unchanged(then.get(name), now.get(name))]
        if gone:
            return Besides(looser=(f"no longer withheld as by {', '.join(sorted(gone))}",))
    return Besides(unsaid=(RESULTS,)) if now or then or review is not None else NOTHING


def _unchanged(then: CompiledRule | None, now: CompiledRule | None) -> bool:
    """Whether a rule withholds what it did; one of policies that are not at hand may be the same."""
    if now is None or now.effect != "deny":
        return False
    return then is None or (then.written == now.written and then.when == now.when)


def _compared(then: Sequence[CompiledRule], now: Sequence[CompiledRule], *, whole: bool) -> Besides:
    """The obligations of rules; `whole` with those that a record has."""
    found = _arguments(then, now) + _limits(then, now)
    for key, strict in (("spotlight", True), ("placeholders", False)):
        before, after = (any(getattr(rule.written, key) for rule in some) for some in (then, now))
        if before != after:
            said = (f"{'with' if after else 'without'} `{key}`",)
            found += Besides(stricter=said) if after is strict else Besides(looser=said)
    found += _facts(_all(then, "fact"), _all(now, "fact"))
    if not whole:
        return found
    found += _redacted(_redact(then), _redact(now)) + _labelled(_all(then, "label"), _all(now, "label"))
    chosen = {rule.written.credential for rule in now} - {""}
    if chosen != {rule.written.credential for rule in then} - {""}:
        found += Besides(credential=f"with the credential {', '.join(sorted(chosen)) or 'of the server'}")
    return found


def _all(rules: Iterable[CompiledRule], key: str) -> frozenset[str]:
    return frozenset(chain.from_iterable(getattr(rule.written, key) for rule in rules))


def _redact(rules: Sequence[CompiledRule]) -> frozenset[str]:
    spared = (one for rule in rules for one in rule.written.unredacted)
    return _all(rules, "redact") | {
        f"{SPARED}{one.kind} {one.path}" if isinstance(one, UnredactedEntry) else f"{SPARED}{one}"
        for one in spared
    }


def _redacted(then: frozenset[str], now: frozenset[str]) -> Besides:
    less = [one for one in then - now if not one.startswith(SPARED)]
    less += [one for one in now - then if one.startswith(SPARED)]
    more = then ^ now ^ frozenset(less)
    return Besides(
        (f"redacts less ({', '.join(sorted(less))})",) if less else (),
        (f"redacts more ({', '.join(sorted(more))})",) if more else (),
    )


def _labelled(then: frozenset[str], now: frozenset[str]) -> Besides:
    return Besides(
        (f"without the label {', '.join(sorted(then - now))}",) if then - now else (),
        (f"with the label {', '.join(sorted(now - then))}",) if now - then else (),
    )


def _facts(then: frozenset[str], now: frozenset[str]) -> Besides:
    """Facts are what later rules allow for."""
    return Besides(
        (f"with the fact {', '.join(sorted(now - then))}",) if now - then else (),
        (f"without the fact {', '.join(sorted(then - now))}",) if then - now else (),
    )


def _arguments(then: Sequence[CompiledRule], now: Sequence[CompiledRule]) -> Besides:
    before, after = (
        [rule.written.argument for rule in some if rule.written.argument] for some in (then, now)
    )
    if before == after:
        return NOTHING
    kept = {name: value for one in after for name, value in one.items()}
    lost = {name for one in before for name, value in one.items() if name not in kept or kept[name] != value}
    if lost:
        return Besides(looser=(f"no longer sets the argument {', '.join(sorted(lost))} so",))
    return Besides(unsaid=(OTHER_ARGUMENTS,))


def _limits(then: Sequence[CompiledRule], now: Sequence[CompiledRule]) -> Besides:
    before, after = ([rule.written.limit for rule in some if rule.written.limit] for some in (then, now))
    if any(not any(_within(new, old) for new in after) for old in before):
        return Besides(looser=("the limit is higher, or another one" if after else "without the limit",))
    if any(not any(_within(old, new) for old in before) for new in after):
        return Besides(stricter=("the limit is lower" if before else "with a limit",))
    return NOTHING


def _within(one: Limit, other: Limit) -> bool:
    """Whether what `one` allows is within what `other` does."""
    if (one.per, one.cost) != (other.per, other.cost):
        return False
    pairs = ((one.calls, other.calls), (one.bytes, other.bytes), (one.units, other.units))
    return any(mine is not None and most is not None and mine <= most for mine, most in pairs)


def _answered(then: Sequence[CompiledRule], now: Sequence[CompiledRule]) -> Besides:
    """How a person answers."""
    old, new = (terms_of(rule.written.ask for rule in some) for some in (then, now))
    sides = (
        ("the channels", set(new.via) <= set(old.via), set(old.via) <= set(new.via)),
        ("the passkey", new.passkey or not old.passkey, old.passkey or not new.passkey),
        ("the approvers", _narrower(new, old), _narrower(old, new)),
        (
            "`same_host`",
            set(new.same_host) >= set(old.same_host),
            set(old.same_host) >= set(new.same_host),
        ),
        ("`standing`", _standing(now) <= _standing(then), _standing(then) <= _standing(now)),
    )
    found = Besides(
        tuple(f"asks less of an answer ({what})" for what, within, _ in sides if not within),
        tuple(f"asks more of an answer ({what})" for what, within, back in sides if within and not back),
    )
    if old.seconds == new.seconds:
        return found
    if not old.seconds:
        return found + Besides(unsaid=(OTHER_TIME,))
    if new.seconds and new.seconds < old.seconds:
        return found + Besides(stricter=("less time to answer",))
    return found + Besides(looser=("more time to answer",))


def _narrower(one: AnswerTerms, other: AnswerTerms) -> bool:
    """Whether each group of which `other` wants an approver has all of a group of `one`."""
    return all(any(set(mine) <= set(theirs) for mine in one.approvers) for theirs in other.approvers)


def _standing(rules: Iterable[CompiledRule]) -> set[str]:
    return {rule.name for rule in rules if rule.written.ask is not None and rule.written.ask.standing}
