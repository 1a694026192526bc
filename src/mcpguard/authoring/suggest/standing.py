"""A call that a person approves for good: a rule for exactly that call, and tests that show it.

Law of this file: what is proposed is what the tests show: this call is allowed, and one that differs is still
asked about.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mcpguard.authoring.suggest.own_policy import (
    Draft,
    OwnPolicy,
    Proposal,
    drafted,
    outcome,
    own_policy,
    with_rules,
    write,
)
from mcpguard.authoring.suggest.rules import SuggestError, case_text, rule_id, rule_text, shown_arguments
from mcpguard.core.model import Json
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.tickets import Ticket, no_argument

if TYPE_CHECKING:
    from mcpguard.config.loading import Config

__all__ = ["apply", "draft_of", "own_policy", "proposal"]

_NOT_ALONE = (
    "even with this rule the call would not be allowed, since another rule sets its arguments, reads the "
    "session or what the server declares: write the rule yourself"
)
_ONE_HOST = (
    "an approval of this call is for one host, so `{0}` cannot have any value for good: write a rule that "
    "approves with `hostIn(args.{0}, [HOST])` yourself"
)


def proposal(own: OwnPolicy, ticket: Ticket, free: tuple[str, ...] = ()) -> Proposal:
    """The rule that approves the call of `ticket` for good, with any value of the arguments `free`, and its
    tests. Raises SuggestError where it cannot be written so, PolicyError where it does not load."""
    return drafted(own, [draft_of(own, ticket, free)])


def draft_of(own: OwnPolicy, ticket: Ticket, free: tuple[str, ...] = ()) -> Draft:
    """The rule and its tests. Raises as `proposal`."""
    if ticket.method != "tools/call":
        raise SuggestError(f"only calls of tools can be approved for good, not {ticket.method}")
    for name in free:
        if name not in ticket.parts:
            raise SuggestError(no_argument(ticket, name))
        if name in ticket.hosts:
            raise SuggestError(_ONE_HOST.format(name))
    shown = shown_arguments(ticket, free)
    rule = rule_text(ticket, shown, free)
    _, policies = with_rules(own, [rule])
    return Draft(rule_id(ticket), rule, _cases(ticket, policies, shown, free), ticket.rules)


def _cases(
    ticket: Ticket, policies: PolicySet, shown: dict[str, Json], free: tuple[str, ...]
) -> list[list[str]]:
    what = f"{ticket.target} as approved with ticket {ticket.id}"
    allowed = case_text(ticket, f"{what} is allowed", shown, "allow", ticket.agent)
    if outcome(policies, allowed, shown) != "allow":
        raise SuggestError(_NOT_ALONE)
    for name, args, agent in _changed(ticket, shown, free):
        case = case_text(ticket, f"{what}, but {name}, is asked about", args, "ask", agent)
        if outcome(policies, case, args) == "ask":
            return [allowed, case]
    return [allowed]


def _changed(
    ticket: Ticket, shown: dict[str, Json], free: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, Json], str | None]]:
    """Calls that the rule is not about: what is different, the arguments, the agent."""
    for name, value in shown.items():
        if name not in free:
            yield f"with another {name}", {**shown, name: _other(value)}, ticket.agent
    yield "with one more argument", {**shown, "another_argument": "x"}, ticket.agent
    yield "by another agent", shown, f"{ticket.agent or ''}-other"


def _other(value: Json) -> Json:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}-other"
    return value + 1 if isinstance(value, int | float) else "other"


def apply(config: Config, ticket: Ticket, free: tuple[str, ...], by: str) -> Proposal:
    """Write it for `by` ("SOURCE:ID"). Raises as `own_policy.write`; then nothing is written."""
    who = f"by {by} for ticket {ticket.id} of {ticket.principal}"
    return write(config, "approval-standing", who, lambda own: proposal(own, ticket, free))
