"""What a refusal says about the rules that refuse: their authors' messages, and why a condition failed.

Law of this file: no sentence contains a value of the request.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mcpguard.core.conditions.cel import Bound
from mcpguard.core.conditions.hoisted import why_unread
from mcpguard.core.conditions.hoisting import hoist
from mcpguard.core.legible import utc
from mcpguard.core.model import Charge, Invocation
from mcpguard.core.policy.compiled import CompiledRule
from mcpguard.core.policy.session import Session
from mcpguard.core.policy.terms import as_tuple

PLACEHOLDER = (
    "this contains [REDACTED:...] or [U+...], which mcpguard wrote in place of something that it removed or "
    "made visible. A tool would overwrite the original with it, so nothing was sent. Leave the original "
    "unchanged and edit only the lines without it. If you need exactly this text, the owner of the policy "
    "can allow it with `placeholders: true` in a rule that allows this call."
)
"""The message of the refusal of a call with a placeholder of mcpguard."""
_NOT_SO = "no rule allows this call as it is."
_GLOB = frozenset("*?[]")
MOST_MESSAGES = 3
"""How many authors say what would pass."""


def first_message(rules: Iterable[CompiledRule]) -> str:
    """What the first of the authors says, of those who say something."""
    return next((rule.message for rule in rules if rule.message), "")


def denied_by(rules: Sequence[CompiledRule], call: Invocation) -> str:
    """What the first of the authors says whose rules deny `call`, and who can give the params that it shows
    other values."""
    rule = next((rule for rule in rules if rule.message), None)
    if rule is None:
        return ""
    ways = " or ".join(_set(rule, name) for name in rule.quoted)
    return (
        and_then(rule.message, f"{call.principal.operator} can change that {ways}.") if ways else rule.message
    )


def _set(rule: CompiledRule, param: str) -> str:
    """How to give a param of the rule's policy another value: a command, where the rule names its server."""
    server = as_tuple(rule.written.server)
    if len(server) == 1 and not _GLOB & {*server[0]}:
        return f"with `mcpguard import --set {server[0]}.{param}=VALUE`"
    return f"as `params.{param}` where the configuration lists this policy"


def and_then(message: str, more: str) -> str:
    """What an author says, as a sentence, and `more` after it."""
    said = message.rstrip()
    return f"{said}{'' if said[-1:] in ('.', '!', '?', ':', '…') else '.'} {more}"


def reached(charge: Charge) -> str:
    """That the limit is reached, as the beginning of a sentence."""
    unit = charge.unit.removesuffix("s") if charge.most == 1 else charge.unit
    return f"the limit of {charge.most} {unit} in {charge.window} is reached"


def limits_reached(charges: dict[CompiledRule, Charge], call: Invocation, session: Session) -> str:
    """That the first of the limits of these rules, which have no room for what `call` is charged, is reached,
    and when there is room again or who can make it; then what their author says."""
    said = f"{reached(next(iter(charges.values())))}. {_room_again(charges, call, session)}"
    message = first_message(charges)
    return f"{said}. {message}" if message else said


def _room_again(charges: dict[CompiledRule, Charge], call: Invocation, session: Session) -> str:
    if any(charge.amount > charge.most for charge in charges.values()):
        return "This call alone would exceed it"
    free = {rule.name: session.free_at(charge, call.now) for rule, charge in charges.items()}
    stuck = [name for name, at in free.items() if at is None]
    if stuck:
        return f"{call.principal.operator} can reset it with `mcpguard session clear {stuck[0]}`"
    return f"Try again at {utc(max(filter(None, free.values())))}"


def what_passes(allow: Iterable[CompiledRule]) -> str:
    """What the authors of the rules that would allow such a call say, where none of them holds."""
    said = dict.fromkeys(rule.message for rule in allow if rule.message)
    return f"{_NOT_SO} {' '.join(list(said)[:MOST_MESSAGES])}" if said else ""


def why_failed(rules: Sequence[CompiledRule], bound: Bound) -> str:
    """Why the conditions of `rules` could not be evaluated, and what their authors say where that is one
    thing; "" without either."""
    known = known_reason(rules, bound)
    if known:
        return known
    # The Python engine takes no calls out of its conditions; only what is refused pays for finding them here.
    calls = [
        call
        for rule in rules
        if rule.condition is not None
        for call in rule.condition.calls or hoist(rule.condition.text).calls
    ]
    reason = why_unread(calls, bound.view, bound.holds)
    messages = {rule.message for rule in rules if rule.message}
    said = f"Its message: {first_message(rules)}" if messages else ""
    if not reason:
        return said
    return f"Reason: {reason}. {said if len(messages) == 1 else ''}".rstrip()


def known_reason(rules: Sequence[CompiledRule], bound: Bound) -> str:
    """Why the conditions of `rules` could not be evaluated, a sentence; "" where it depends on each."""
    unset = sorted({name for rule in rules for name in rule.unset})
    if unset:
        said = ", ".join(f"`params.{name}`" for name in unset)
        ways = dict.fromkeys(_set(rule, name) for rule in rules for name in rule.unset)
        return f"{said} has no value: the operator has to set it {' and '.join(ways)}."
    for rule in rules:
        if rule.condition is not None and rule.condition.text in bound.beyond:
            return f"{bound.beyond[rule.condition.text]}."
    where = " and ".join(f"`{name}`" for name in bound.unreadable)
    return where and f"A value in {where} contains the character U+0000, which rules cannot read."
