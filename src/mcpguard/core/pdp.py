"""The policy decision point: an Invocation and the policies -> Permit or Deny.

Law of this file: closed by default. Deny overrides ask overrides allow, nothing matching denies, and
an error only tightens: an erroring deny denies, an erroring ask asks, an erroring allow does not
allow (and what it would redact is redacted). A `Permit` is constructed here and nowhere else.
"""

from __future__ import annotations

from typing import Any

from msgspec import structs

from mcpguard.core.cel import ERROR, TRUE
from mcpguard.core.model import Cause, Deny, Invocation, Json, Permit
from mcpguard.core.policy import ACTIONS, EXTENSION, Candidates, CompiledRule, PolicySet

_REACHED_BY = {
    "tool": "tools/call",
    "prompt": "prompts/get",
    "resource": "resources/read",
    "template": "resources/read",
}
"""The method that uses each kind of thing that lists show."""

NEEDS_APPROVAL = "needs approval, which this version cannot ask for"
"""The message of a Deny by an `ask` rule whose author wrote none."""


def decide(policies: PolicySet, invocation: Invocation) -> Permit | Deny:
    """Whether `invocation` may go on. `rules` of the answer are the rules that decided, by name; with
    several that refuse, `message` is that of the first which has one."""
    candidates = _candidates(policies, invocation)
    bound = _bind(candidates, invocation)
    denied, failed = _holding(candidates.deny, bound)
    if denied:
        return Deny(invocation, Cause.RULE, _names(denied), _message(denied))
    if failed:
        return Deny(invocation, Cause.ERROR, _names(failed))
    if candidates.ask:
        asking, failed = _holding(candidates.ask, bound)
        if asking or failed:
            asking = sorted(asking + failed, key=lambda rule: rule.name)
            return Deny(invocation, Cause.APPROVAL, _names(asking), _message(asking) or NEEDS_APPROVAL)
    allowing, failed = _holding(candidates.allow, bound)
    if not allowing:
        return Deny(invocation, Cause.NO_RULE)
    return Permit(invocation, _names(allowing), _redact(allowing + failed))


def visible(policies: PolicySet, invocation: Invocation) -> bool:
    """Whether a list may show the target of `invocation`, whose method and `args` do not matter.

    False only where no arguments can lead to anything but a refusal by a deny or by no rule. A tool
    that needs approval stays: calling it tells what is missing.
    """
    target = invocation.target
    call = structs.replace(
        invocation, method=_REACHED_BY["tool" if target is None else target.kind], args=None
    )
    candidates = _candidates(policies, call)
    bound = _bind(candidates, call)
    if any(must for _, must in (_at_list_time(rule, bound) for rule in candidates.deny)):
        return False
    return any(may for may, _ in (_at_list_time(rule, bound) for rule in candidates.ask + candidates.allow))


def permit_protocol(invocation: Invocation) -> Permit:
    """The Permit for a method that carries no data of its own (lists, ping) and so needs no rule. The
    table of methods says which these are; what comes back is filtered and inspected all the same."""
    return Permit(invocation, ())


def again(permit: Permit, params: dict[str, Json]) -> Permit:
    """The same permitted call once more, with `params` that answer what its upstream asked: what was
    decided (target and arguments) is unchanged."""
    invocation = structs.replace(permit.invocation, params=params)
    return Permit(invocation, permit.rules, permit.redact)


def _candidates(policies: PolicySet, invocation: Invocation) -> Candidates:
    target, method = invocation.target, invocation.method
    tool = target.name if target is not None and target.kind == "tool" else None
    return policies.candidates(invocation.server, tool, method if method in ACTIONS else EXTENSION)


def _bind(candidates: Candidates, invocation: Invocation) -> Any:
    if candidates.cel is None:
        return None
    principal = invocation.principal
    view: dict[str, Json] = {
        "action": invocation.method,
        "server": invocation.server,
        "principal": {"id": principal.id, "source": principal.source},
        "client": {"agent": invocation.agent or ""},
        "now": invocation.now,
    }
    target = invocation.target
    if target is not None:
        view["resource" if target.kind == "template" else target.kind] = target.facts
    if invocation.args is not None:
        view["args"] = invocation.args
    return candidates.cel.bind(view)


def _holding(rules: tuple[CompiledRule, ...], bound: Any) -> tuple[list[CompiledRule], list[CompiledRule]]:
    """The rules whose conditions are true, and those whose conditions failed."""
    true: list[CompiledRule] = []
    failed: list[CompiledRule] = []
    for rule in rules:
        verdict = TRUE if rule.condition is None else rule.condition.verdict(bound)
        if verdict is TRUE:
            true.append(rule)
        elif verdict is ERROR:
            failed.append(rule)
    return true, failed


def _at_list_time(rule: CompiledRule, bound: Any) -> tuple[bool, bool]:
    """Whether the rule may hold, and whether it must, for arguments that nobody knows yet.

    With `args` unbound an ERROR of a condition that reads them means "it depends"; CEL absorbs that
    error where the answer does not, so TRUE and FALSE are certain.
    """
    if rule.condition is None:
        return True, True
    verdict = rule.condition.verdict(bound)
    if verdict is ERROR and rule.condition.reads_args:
        return True, False
    holds = verdict is TRUE or (verdict is ERROR and rule.effect != "allow")
    return holds, holds


def _names(rules: list[CompiledRule]) -> tuple[str, ...]:
    return tuple([rule.name for rule in rules])


def _message(rules: list[CompiledRule]) -> str:
    return next((rule.message for rule in rules if rule.message), "")


def _redact(rules: list[CompiledRule]) -> tuple[str, ...]:
    return tuple(sorted({kind for rule in rules for kind in rule.redact}))
