"""What lists show: the verdict on an entry when the arguments and the session of a call are unknown.

Law of this file: a list omits only entries that no call could reach.
"""

from __future__ import annotations

from msgspec import structs

from mcpguard.core.conditions.cel import ERROR, TRUE, Bound
from mcpguard.core.conditions.names import LATER
from mcpguard.core.model import Invocation
from mcpguard.core.policy.compiled import CompiledRule, PolicySet
from mcpguard.core.policy.pdp import bind, over

REACHED_BY = {
    "tool": "tools/call",
    "prompt": "prompts/get",
    "resource": "resources/read",
    "template": "resources/read",
}
"""The method that uses each kind of thing that lists show."""


def visible(policies: PolicySet, invocation: Invocation) -> bool:
    """Whether a list may show the target of `invocation`, whose method and `args` do not matter.

    False only where no arguments and no session can lead to anything but a refusal by a deny or by no
    rule. A tool that needs approval stays: calling it tells what is missing.
    """
    return reachable(policies, reaching_of(invocation))


def reachable(policies: PolicySet, call: Invocation) -> bool:
    """The same for a request of the method of `call`, which has no `args`."""
    if policies.observes(call):
        return True
    candidates = policies.candidates_of(call)
    bound = bind(candidates, call)
    if any(must for _, must in (at_list_time(rule, bound) for rule in candidates.open("deny", bound))):
        return False
    offering = (*candidates.open("ask", bound), *candidates.open("allow", bound))
    return any(may for may, _ in (at_list_time(rule, bound) for rule in offering if not over(rule, call)))


def always_asked(policies: PolicySet, invocation: Invocation) -> bool:
    """Whether a person is asked about each call of the target of `invocation` that is not refused, whatever
    its arguments and its session are, whose method and `args` do not matter."""
    call = reaching_of(invocation)
    candidates = policies.candidates_of(call)
    if not candidates.ask or policies.observes(call):
        return False
    bound = bind(candidates, call)
    allow = [rule for rule in candidates.open("allow", bound) if not over(rule, call)]
    allowing = [rule for rule in allow if at_list_time(rule, bound)[0]]
    ahead = frozenset[str]().union(*[rule.approves for rule in allowing])
    asking = [(rule, *at_list_time(rule, bound)) for rule in candidates.open("ask", bound)]
    if any(must and rule.name not in ahead for rule, _, must in asking):
        return True
    return not allowing and any(may for _, may, _ in asking)


def lasting(policies: PolicySet, invocation: Invocation) -> bool:
    """Whether `visible` and `always_asked` say the same at any time."""
    observation = policies.observation
    if observation is not None and invocation.server in observation.servers:
        return False
    return policies.candidates_of(reaching_of(invocation)).lasting


def reaching_of(invocation: Invocation) -> Invocation:
    """The request that uses the target of `invocation`, without arguments: what a list is filtered for."""
    kind = "tool" if invocation.target is None else invocation.target.kind
    return structs.replace(invocation, method=REACHED_BY[kind], args=None)


def at_list_time(rule: CompiledRule, bound: Bound) -> tuple[bool, bool]:
    """Whether the rule may hold, and whether it must, for arguments that are not known yet.

    With `args` and `session` unbound an ERROR of a condition that reads them means "it depends"; CEL
    absorbs that error where the answer does not, so TRUE and FALSE are certain.
    """
    if rule.condition is None:
        return True, True
    verdict = rule.condition.verdict(bound)
    if verdict is ERROR and rule.condition.reads & LATER:
        return True, False
    holds = verdict is TRUE or (verdict is ERROR and rule.effect != "allow")
    return holds, holds
