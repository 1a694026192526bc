"""Which changes of the policies end what a person approved, by the digest that tickets have."""

from __future__ import annotations

from mcpguard.core.document.reading import Document
from mcpguard.core.errors import PolicyError
from mcpguard.core.policy.tickets import policy_digests
from mcpguard.core.policy.written import Policy
from tests.rows import each

ASK = "{id: ask, effect: ask, tools: [push]}"
MINE = "id: mine, effect: allow, server: s, tools: [push], when: 'true', approves: [p/ask], message: m"


def digests(*policies: tuple[str, list[str]]) -> tuple[str, str]:
    """Of policies by their names and rules."""
    texts = [f"version: 1\npolicy: {name}\nrules: [{', '.join(rules)}]\n" for name, rules in policies]
    return policy_digests(Document(text, "p.yaml", PolicyError).read(Policy) for text in texts)


def test_a_rule_that_only_approves_in_advance_changes_what_is_in_force_and_no_approval() -> None:
    whole, asking = digests(("p", [ASK]))
    assert whole == asking
    for more in ([("p", [ASK, f"{{{MINE}}}"])], [("p", [ASK]), ("mine", [f"{{{MINE}}}"])]):
        now, still = digests(*more)
        assert now != whole
        assert still == asking


@each(
    "more",
    [
        "redact: [email]",
        "label: [seen]",
        "fact: [seen]",
        "limit: {calls: 1, per: 1h}",
        "argument: {branch: main}",
        "credential: other",
        "placeholders: true",
        "spotlight: true",
        "unredacted: [github-token]",
        "mode: shadow",
    ],
)
def test_whatever_else_such_a_rule_does_ends_approvals(more: str) -> None:
    assert digests(("p", [ASK, f"{{{MINE}, {more}}}"]))[1] != digests(("p", [ASK]))[1]


def test_an_allow_that_approves_nothing_ends_approvals() -> None:
    _, asking = digests(("p", [ASK]))
    assert digests(("p", [ASK, "{id: more, effect: allow, tools: [pull]}"]))[1] != asking
