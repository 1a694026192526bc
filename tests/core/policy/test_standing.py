"""Rules that approve in advance: where they hold nobody is asked, and nothing else about a call changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from msgspec import structs

from mcpguard.core.errors import PolicyError
from mcpguard.core.model import Deny, Invocation, Json, Listed, Permit, Principal
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.pdp import decide
from mcpguard.core.policy.session import Session
from mcpguard.core.policy.visibility import visible
from tests.rows import each

NOW = datetime(2026, 8, 1, tzinfo=UTC)
PUSH = Listed("git", "push", "push", {}, {}, "")
CALL = Invocation(
    "i", "tools/call", Principal("ada", "os-user"), NOW, "desk", "git", PUSH, {"branch": "b", "force": False}
)

WORK = "{id: push, effect: ask, tools: [push], message: Others see it.}"
MINE = "id: mine, effect: allow, tools: [push], approves: [work/push]"


@dataclass
class Written:
    work: list[str] = field(default_factory=lambda: [WORK])
    mine: list[str] = field(default_factory=list)
    head: str = ""

    def set(self) -> PolicySet:
        texts = [
            ("work", "", self.work),
            ("my", self.head, self.mine or [f"{{{MINE}, when: args.branch == 'b'}}"]),
        ]
        return PolicySet(
            compile_policy(
                f"version: 1\npolicy: {name}\n{head}rules:\n" + "".join(f"  - {rule}\n" for rule in rules),
                f"{name}.yaml",
                frozenset({"email"}),
            )
            for name, head, rules in texts
        )


def verdict(written: Written, approved: frozenset[str] = frozenset(), **args: Json) -> Permit | Deny:
    call = structs.replace(CALL, args={**(CALL.args or {}), **args})
    return decide(written.set(), call, Session(), approved=approved)


def effect(found: Permit | Deny) -> str:
    return "allow" if isinstance(found, Permit) else found.cause.value


def test_where_it_holds_nobody_is_asked_and_both_rules_are_named() -> None:
    found = verdict(Written())
    assert effect(found) == "allow"
    assert found.rules == ("work/push", "my/mine")


def test_where_it_does_not_hold_a_person_is_asked() -> None:
    found = verdict(Written(), branch="other")
    assert effect(found) == "approval"
    assert found.rules == ("work/push",)
    assert isinstance(found, Deny)
    assert found.message == "Others see it."


@each(
    "mine",
    [
        f"{{{MINE}, when: args.missing == 1}}",
        f"{{{MINE}, server: [other]}}",
        f"{{{MINE.replace('[push]', '[pull]')}}}",
        f"{{{MINE}, mode: shadow}}",
        "{id: mine, effect: allow, action: [resources/read], approves: [work/push]}",
    ],
)
def test_neither_an_error_nor_shadow_nor_another_call_approves(mine: str) -> None:
    assert effect(verdict(Written(mine=[mine]))) == "approval"


def test_what_has_ended_approves_nothing() -> None:
    assert effect(verdict(Written(head="expires: 2026-07-30\n"))) == "approval"
    assert effect(verdict(Written(head="expires: 2026-08-01\n"))) == "allow"


def test_an_ask_that_cannot_be_evaluated_can_be_approved_too() -> None:
    work = "{id: push, effect: ask, tools: [push], when: args.missing == 1}"
    assert effect(verdict(Written(work=[work]))) == "allow"
    assert effect(verdict(Written(work=[work]), branch="other")) == "approval"


def test_a_deny_refuses_all_the_same() -> None:
    for when in ("args.force == false", "args.missing == 1"):
        work = [WORK, f"{{id: no, effect: deny, tools: [push], when: {when}}}"]
        assert effect(verdict(Written(work=work))) in ("rule", "error")


def test_what_else_asks_goes_on_asking_and_only_that_is_named() -> None:
    work = [WORK, "{id: also, effect: ask, tools: [push], message: And this.}"]
    found = verdict(Written(work=work))
    assert effect(found) == "approval"
    assert found.rules == ("work/also",)
    assert isinstance(found, Deny)
    assert found.message == "And this."
    assert effect(verdict(Written(work=work), frozenset({"work/also"}))) == "allow"
    assert effect(verdict(Written(work=work), frozenset({"work/also"}), branch="c")) == "approval"


def test_one_rule_may_answer_several() -> None:
    work = [WORK, "{id: also, effect: ask, tools: [push]}"]
    mine = MINE.replace("[work/push]", "[work/push, work/also]")
    assert effect(verdict(Written(work=work, mine=[f"{{{mine}}}"]))) == "allow"


def test_an_allow_without_approves_answers_nothing() -> None:
    assert effect(verdict(Written(mine=["{id: mine, effect: allow, tools: [push]}"]))) == "approval"


def test_what_the_rule_limits_adds_and_sets_counts() -> None:
    mine = f"{{{MINE}, label: [pushed], argument: {{force: true}}, limit: {{calls: 1, per: 1h}}}}"
    policies, session = Written(mine=[mine]).set(), Session()
    found = decide(policies, CALL, session)
    assert isinstance(found, Permit)
    assert found.labels == ("pushed",)
    assert found.invocation.args == {"branch": "b", "force": True}
    session.admit(found)
    assert effect(decide(policies, CALL, session)) == "limit"


def test_it_is_decided_on_the_arguments_that_are_sent() -> None:
    sets = "{id: sets, effect: allow, tools: [push], argument: {branch: other}}"
    mine = f"{{{MINE}, when: args.branch == 'b'}}"
    assert effect(verdict(Written(mine=[mine, sets]))) == "approval"


def test_shadow_says_what_it_would_approve() -> None:
    found = verdict(Written(mine=[f"{{{MINE}, mode: shadow}}"]))
    assert effect(found) == "approval"
    assert found.shadow == "allow work/push my/mine"


def test_it_is_listed_as_before() -> None:
    policies = Written().set()
    assert visible(policies, CALL)
    assert not visible(Written(work=[WORK, "{id: no, effect: deny, tools: [push]}"]).set(), CALL)


def test_many_rules_approve_as_one_does() -> None:
    mine = [f"{{{MINE.replace('id: mine', f'id: mine{n}')}, when: args.branch == 'b{n}'}}" for n in range(60)]
    assert effect(verdict(Written(mine=mine), branch="b41")) == "allow"
    assert effect(verdict(Written(mine=mine), branch="c")) == "approval"


@each(
    ("written", "why"),
    [
        (
            Written(mine=[f"{{{MINE.replace('work/push', 'work/psuh')}}}"]),
            "my.yaml:4:57: `work/psuh` is not a rule with `effect: ask` of the policies in force; did you mean "
            "`work/push`?",
        ),
        (
            Written(mine=["{id: mine, effect: allow, approves: [elsewhere/x]}"]),
            "`elsewhere/x` is not a rule with `effect: ask` of the policies in force; these are: work/push",
        ),
        (
            Written(
                work=["{id: push, effect: allow}"], mine=["{id: mine, effect: allow, approves: [no/no]}"]
            ),
            "these are: none",
        ),
        (
            Written(work=["{id: push, effect: ask, ask: {approvers: [os-user:bob]}}"]),
            "`work/push` wants approvers for each call; its author can allow this: `ask: {standing: true}`",
        ),
        (
            Written(work=["{id: push, effect: ask, ask: {via: console, proof: passkey}}"]),
            "`work/push` wants a passkey for each call",
        ),
        (Written(mine=[f"{{{MINE.replace('allow', 'ask')}}}"]), "`approves` belongs to a rule on calls with"),
        (
            Written(mine=[f"{{{MINE}, on: result, redact: [email]}}"]),
            "`approves` belongs to a rule on calls with",
        ),
        (
            Written(work=["{id: push, effect: ask, ask: {standing: true}}"]),
            "it has neither `proof` nor `approvers`",
        ),
        (Written(mine=["{id: mine, effect: allow, approves: [push]}"]), "name a rule as POLICY/ID"),
    ],
)
def test_what_nobody_may_approve_so_does_not_load(written: Written, why: str) -> None:
    with pytest.raises(PolicyError) as refused:
        written.set()
    assert why in str(refused.value)


def test_an_author_can_leave_it_to_others_all_the_same() -> None:
    work = "{id: push, effect: ask, tools: [push], ask: {approvers: [os-user:bob], standing: true}}"
    assert effect(verdict(Written(work=[work]))) == "allow"
