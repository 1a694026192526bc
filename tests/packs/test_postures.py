"""What holds between the postures of a pack, over all calls that its tests make."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from itertools import pairwise

from mcpguard.authoring.tests.cases import CallEntry, Case
from mcpguard.authoring.tests.rehearsal import CaseOutcome, rehearse
from mcpguard.core.model import Invocation, Json, Listed, Permit, Principal
from mcpguard.core.policy.pdp import decide
from mcpguard.core.policy.session import Session
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.protocol.catalogue import about_of
from tests.packs.packs import ALL, PACKS, POSTURES, Pack, loaded, tools, written
from tests.rows import each

REDACTOR = Redactor(b"the key of these tests, 32 bytes")
STATED = ("rule", "approval")


def calls(server: str) -> list[CallEntry]:
    """All calls of the tests of a pack, whatever posture they are of."""
    return [case.call for posture in POSTURES for case in written(Pack(server, posture)).tests]


def verdict(pack: Pack, call: CallEntry) -> CaseOutcome:
    """What a pack says of a call in a new session."""
    return rehearse(loaded(pack), Case(name="a call", call=call, expect="allow"), REDACTOR).outcome


@cache
def verdicts(pack: Pack) -> list[CaseOutcome]:
    """What a pack says of all calls, in their order."""
    return [verdict(pack, call) for call in calls(pack.server)]


@each("server", PACKS)
def test_what_a_closer_posture_allows_the_next_allows_or_says_why_not(server: str) -> None:
    for closer, wider in pairwise(POSTURES):
        both = zip(calls(server), verdicts(Pack(server, closer)), verdicts(Pack(server, wider)), strict=True)
        kept = [(call, two) for call, one, two in both if one.effect == "allow"]
        assert kept
        for call, two in kept:
            assert two.effect == "allow" or (two.cause in STATED and two.message), (wider, call)


@each("server", PACKS)
def test_each_posture_allows_something_that_the_closer_one_does_not(server: str) -> None:
    for closer, wider in pairwise(POSTURES):
        both = zip(verdicts(Pack(server, closer)), verdicts(Pack(server, wider)), strict=True)
        assert any(one.effect != "allow" and two.effect == "allow" for one, two in both), wider


@each("server", PACKS)
def test_read_only_has_no_rule_that_allows_a_tool_that_may_change_something(server: str) -> None:
    for rule in loaded(Pack(server, "read-only")).rules:
        for name in rule.written.tools or () if rule.effect != "deny" else ():
            says = tools(server)[name].get("annotations", {})
            assert says.get("readOnlyHint", True), name
            assert not says.get("destructiveHint", False), name


@each("pack", ALL, ids=str)
def test_every_refusal_of_a_rule_tells_the_model_what_to_do(pack: Pack) -> None:
    silent = [rule.name for rule in loaded(pack).rules if rule.effect != "allow" and not rule.message]
    assert silent == []


@each("pack", ALL, ids=str)
def test_no_call_without_arguments_gets_past_a_rule_by_their_absence(pack: Pack) -> None:
    """Only tools that need no argument may be called without."""
    for name, tool in tools(pack.server).items():
        if verdict(pack, CallEntry(server=pack.server, tool=name)).effect == "allow":
            assert not set(tool["inputSchema"].get("required", ())) & GUARDED.get(pack.server, set()), name


GUARDED = {
    "fetch": {"url"},
    "git": {"repo_path"},
    "github": {"owner"},
    "postgres": {"sql"},
    "shell": {"command"},
    "sqlite": {"query", "table_name"},
}
"""The arguments that a pack binds, by server."""


@each(
    ("server", "tool", "rules", "args"),
    [
        (
            "shell",
            "run_command",
            {"everyday", "strangers"},
            {"command": "gh issue view 12", "workdir": "/srv/project"},
        ),
        (
            "github",
            "get_file_contents",
            {"other-owners"},
            {"owner": "other", "repo": "site", "path": "README.md"},
        ),
    ],
)
def test_what_a_person_lets_in_from_others_counts_as_texts_of_strangers(
    server: str, tool: str, rules: set[str], args: dict[str, Json]
) -> None:
    now = datetime(2026, 8, 1, tzinfo=UTC)
    listed = Listed(server, tool, tool, {}, about_of("tool", {"name": tool}), "", "tool")
    call = Invocation("i", "tools/call", Principal("ada", "os-user"), now, "desk", server, listed, args)
    agreed = frozenset(f"{server}-careful/{rule}" for rule in rules)
    permit = decide(loaded(Pack(server, "careful")), call, Session(), approved=agreed)
    assert isinstance(permit, Permit)
    assert permit.labels == ("private", "untrusted")
