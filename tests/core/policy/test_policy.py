"""Policies: what an author wrote is in force as written, or refused with its place."""

from __future__ import annotations

import pickle

import pytest

from mcpguard.core.conditions.engines import engine
from mcpguard.core.errors import PolicyError
from mcpguard.core.policy import compiled as module
from mcpguard.core.policy.compiled import CompiledPolicy, PolicySet, compile_policy
from mcpguard.core.policy.terms import ACTIONS, EXTENSION
from mcpguard.protocol.methods import FROM_CLIENT, FROM_UPSTREAM, Treatment
from tests.rows import each

KINDS = frozenset({"email", "iban"})
EXAMPLE = """\
version: 1
policy: github-least-privilege
owner: platform-security
description: For the tests.
rules:
  - id: read-acme
    effect: allow                      # allow | ask | deny
    server: github
    tools: ["get_*", "list_*", "search_*"]
    when: args.owner == "acme"         # CEL, must be bool
    redact: [email]
  - id: no-force-push
    effect: deny
    tools: ["*push*"]
    when: has(args.force) && args.force
    message: Force pushes need a human. Open a pull request instead.
"""


def compiled(text: str) -> CompiledPolicy:
    return compile_policy(text, "p.yaml", KINDS)


def test_mistakes_that_are_handed_to_another_process_are_the_same() -> None:
    with pytest.raises(PolicyError) as refused:
        compiled(EXAMPLE.replace("owner:", "ovner:"))
    again = pickle.loads(pickle.dumps(refused.value))
    assert type(again) is PolicyError
    assert [str(one) for one in again.problems] == [str(one) for one in refused.value.problems]


def test_what_may_be_redacted_is_all_personal_data_unless_said_otherwise() -> None:
    compile_policy(one_rule("redact: [email]"), "p.yaml")
    with pytest.raises(PolicyError, match=r"`?unknown name; the known ones are .*email"):
        compile_policy(one_rule("redact: [nothing]"), "p.yaml")


def test_policies_that_are_handed_to_another_process_are_the_same() -> None:
    policies = PolicySet([compiled(EXAMPLE), compiled(one_rule("tools: [x]"))])
    again = pickle.loads(pickle.dumps(policies))
    assert (again.names, again.digest, again.places) == (policies.names, policies.digest, policies.places)
    assert [rule.written for rule in again.rules] == [rule.written for rule in policies.rules]
    assert [rule.condition is None for rule in again.rules] == [False, False, True]
    found = again.candidates("github", "git_push", "tools/call")
    assert [rule.name for rule in found.all] == ["github-least-privilege/no-force-push"]
    condition = found.deny[0].condition
    assert condition is not None
    assert condition.reads == {"args"}


def one_rule(text: str, name: str = "p") -> str:
    return f"version: 1\npolicy: {name}\nrules:\n  - {{id: r, effect: allow, {text}}}\n"


def mistakes(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        compiled(text)
    return [f"{p.line}:{p.column} {p.message}" for p in caught.value.problems]


def matches(text: str, server: str, tool: str | None, action: str = "tools/call") -> bool:
    found = PolicySet([compiled(one_rule(text))]).candidates(server, tool, action)
    return bool(found.allow)


def test_the_example_of_the_design_is_served() -> None:
    policies = PolicySet([compiled(EXAMPLE)])
    assert policies.names == ("github-least-privilege",)
    assert [rule.name for rule in policies.rules] == [
        "github-least-privilege/no-force-push",
        "github-least-privilege/read-acme",
    ]
    found = policies.candidates("github", "get_push", "tools/call")
    assert [rule.message for rule in found.deny] == [
        "Force pushes need a human. Open a pull request instead."
    ]
    assert [rule.written.redact for rule in found.allow] == [("email",)]
    assert found.ask == ()
    assert found.conditional


@each(
    ("text", "server", "tool", "expected"),
    [
        ("server: github", "github", "x", True),
        ("server: github", "github2", "x", False),
        ("server: github", "mygithub", "x", False),
        ('server: "git*"', "github", "x", True),
        ("server: [a, git*]", "github", "x", True),
        ("server: [a, b]", "github", "x", False),
        ("tools: [get_*]", "s", "get_me", True),
        ("tools: [get_*]", "s", "GET_me", False),
        ("tools: [get_*]", "s", "forget_me", False),
        ("tools: [get_*]", "s", "get_\nme", True),
        ("tools: [get]", "s", "get\n", False),
        ("tools: ['get_[ab]', other]", "s", "get_b", True),
        ("tools: ['get_[!ab]']", "s", "get_b", False),
        ("tools: ['a?c']", "s", "abc", True),
        ("tools: [a.c]", "s", "abc", False),
        ("tools: ['a|b']", "s", "a", False),
        ("tools: ['*']", "s", "", True),
        ("tools: ['*']", "s", None, False),
        ("message: x", "s", None, True),
    ],
)
def test_globs_match_whole_names_and_case_counts(
    text: str, server: str, tool: str | None, expected: bool
) -> None:
    assert matches(text, server, tool) is expected


def test_a_rule_speaks_of_its_actions_only() -> None:
    assert matches("action: [tools/call]", "s", "t")
    assert not matches("message: x", "s", None, "resources/read")
    assert not matches("action: [resources/read]", "s", None, "resources/subscribe")
    assert matches("action: [extension]", "s", None, "extension")
    for action in ACTIONS:
        assert matches('action: ["*"]', "s", "t", action)


def test_a_rule_that_names_tools_speaks_of_nothing_else_even_where_its_action_is_every_action() -> None:
    both = 'action: ["*"], tools: ["*"]'
    assert matches(both, "s", "t")
    assert not matches(both, "s", None, "resources/read")


def test_the_actions_are_those_that_the_gateway_decides() -> None:
    rows = [*FROM_CLIENT.values(), *FROM_UPSTREAM.values()]
    decided = {row.name for row in rows if row.treatment in (Treatment.DECIDED, Treatment.ASKED)}
    assert decided | {EXTENSION} == ACTIONS


@each(
    ("text", "expected"),
    [
        ("when: 'args.x =='", "4:44 Syntax error: mismatched input '<EOF>'"),
        ("when: 'foo == 1'", "4:35 undeclared reference to 'foo'"),
        ("when: 1 + 1", "4:34 a condition must be a boolean, and this is not"),
        ("when: ''", "4:34 a condition must not be empty"),
        (
            "on: result",
            "4:5 an `allow` rule on results changes nothing without `redact`, `label`, `fact` or `spotlight`",
        ),
        ("on: x", "4:32 expected one of call, result"),
        ("redact: [emial]", "4:37 unknown name; the known ones are email, iban"),
        ("action: [tools/list]", "4:37 expected one of tools/call, resources/read, "),
        ("tools: {a: b}", "4:35 expected a list, found a mapping; begin each entry with `- `"),
        ("action: tools/call", "4:36 expected a list, found text; put it in brackets"),
        ("action: []", "4:36 `action` must not be empty: leave it out to match all"),
        ("tools: []", "4:35 `tools` must not be empty: leave it out to match all"),
        ("tools: ['']", "4:35 `tools` must not be empty: leave it out to match all"),
        ("tools: get_*", "4:35 expected a list, found text; put it in brackets"),
        ("server: []", "4:36 `server` must not be empty: leave it out to match all"),
        ("server: ''", "4:36 `server` must not be empty: leave it out to match all"),
        ("tool: [x]", "4:28 unknown key `tool`; did you mean `tools`?"),
        ("efect: deny", "4:28 unknown key `efect`; did you mean `effect`?"),
        (
            "approvers: ['os-user:x']",
            "4:28 unknown key `approvers`; did you mean `approves`? `approvers` belongs under `ask`",
        ),
        ("calls: 5", "4:28 unknown key `calls`; it belongs under `limit`"),
        ("condition: 'true'", "4:28 unknown key `condition`; write `when`"),
        ("if: 'true'", "4:28 unknown key `if`; write `when`"),
        ("zzzz: 1", "4:28 unknown key `zzzz`; the known ones are id, effect,"),
        ("ask: {via: email}", "4:39 expected one of console, terminal, client"),
        ("ask: {channel: client}", "4:34 unknown key `channel`; write `via`"),
    ],
)
def test_a_mistake_in_a_rule_has_its_place(text: str, expected: str) -> None:
    (found,) = mistakes(one_rule(text))[:1]
    assert found.startswith(expected)


@each(
    ("text", "expected"),
    [
        ("version: 1\npolicy: a/b\nrules: [{id: r, effect: deny}]\n", "2:9 a name has"),
        ("version: 1\npolicy: a\nrules: [{id: 'r 1', effect: deny}]\n", "3:14 a name has"),
        ("version: 1\npolicy: a\nrules: []\n", "3:8 a policy needs at least one rule"),
        (
            "version: 2\npolicy: a\nrules: [{id: r, effect: deny}]\n",
            "1:10 expected 1: this mcpguard reads version 1",
        ),
        ("version: 1\npolicy: a\nrules: [{id: r}]\n", "3:9 `effect` is missing"),
        ("version: 1\npolicy: a\nrules: [{id: r, effect: Deny}]\n", "3:25 expected one of allow, ask, deny"),
        (
            "version: 1\npolicy: a\nrules: [{id: r, effect: deny}, {id: r, effect: deny}]\n",
            "3:37 rule `r` appears twice in this policy",
        ),
        (
            "version: 1\npolicy: a\nrules: [{id: r, effect: deny, redact: [email]}]\n",
            "3:39 a `deny` rule lets nothing through, so `redact` has no effect",
        ),
    ],
)
def test_a_mistake_in_a_policy_has_its_place(text: str, expected: str) -> None:
    (found,) = mistakes(text)
    assert found.startswith(expected)


def test_a_mistake_in_a_condition_over_lines_has_its_own_line() -> None:
    head = "version: 1\npolicy: p\nrules:\n  - id: r\n    effect: deny\n"
    text = head + "    when: >-\n      args.x == 1 ||\n      foo\n"
    assert mistakes(text) == ["8:7 undeclared reference to 'foo'"]


def test_all_mistakes_of_a_policy_are_told_at_once() -> None:
    text = one_rule("when: a, redact: [x, email, y], limit: {per: x, calls: 0}")
    assert len(mistakes(text + "  - {id: r, effect: allow, when: b}\n")) == 7


def test_a_pattern_for_tools_needs_the_action_for_tools() -> None:
    text = one_rule("tools: [x], action: [resources/read]")
    assert mistakes(text) == ["4:35 `tools` can match only the action tools/call"]
    assert matches("action: [resources/read]", "s", None, "resources/read")


def test_two_policies_of_one_name_are_refused() -> None:
    with pytest.raises(PolicyError, match=r"p\.yaml:2:9: `p` is the name of p\.yaml too"):
        PolicySet([compiled(one_rule("on: call")), compiled(one_rule("message: x"))])


def test_the_digest_is_of_the_content_and_not_of_the_layout_or_order() -> None:
    a, b = one_rule("tools: [x]", "a"), one_rule("tools: [y]", "b")
    digest = PolicySet([compiled(a), compiled(b)]).digest
    assert len(digest) == 64
    assert PolicySet([compiled(b), compiled(a)]).digest == digest
    assert PolicySet([compiled("# comment\n" + a.replace("[x]", "['x']")), compiled(b)]).digest == digest
    assert PolicySet([compiled(a)]).digest != digest
    assert PolicySet([compiled(one_rule("tools: [z]", "a")), compiled(b)]).digest != digest


def test_no_policies_are_a_set_that_matches_nothing() -> None:
    policies = PolicySet()
    assert policies.rules == policies.names == ()
    found = policies.candidates("s", "t", "tools/call")
    assert (found.conditional, found.deny, found.ask, found.allow) == (False, (), (), ())


def test_candidates_are_found_once_and_the_memory_for_them_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CACHE_LIMIT", 3)
    policies = PolicySet([compiled(EXAMPLE)])
    first = policies.candidates("github", "get_1", "tools/call")
    assert policies.candidates("github", "get_1", "tools/call") is first
    for number in range(10):
        policies.candidates("github", f"get_{number}", "tools/call")
        assert len(policies.known) <= 3
    again = policies.candidates("github", "get_1", "tools/call")
    assert again == first or [rule.name for rule in again.allow] == [rule.name for rule in first.allow]


def test_a_hostile_name_does_not_make_a_glob_slow() -> None:
    assert not matches("tools: ['*a*a*a*a*a*a*a*a*b']", "s", "a" * 5000)


def test_a_policy_without_conditions_needs_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError

    monkeypatch.setattr(module, "engine", refuse)
    assert PolicySet([compiled(one_rule("tools: [x]"))]).candidates("s", "x", "tools/call").allow


@each(
    ("rule", "expected"),
    [
        ("effect: deny, label: [a]", "4:34 a `deny` rule lets nothing through, so `label` has no effect"),
        ("effect: deny, fact: [a]", "4:33 a `deny` rule lets nothing through, so `fact` has no effect"),
        ("effect: allow, label: [a b]", "4:36 a name has 1 to 64"),
        ("effect: allow, fact: ['']", "4:35 a name has 1 to 64"),
        (
            "effect: allow, on: result, label: [a], limit: {calls: 1, per: 1h}",
            "4:59 `limit` belongs to a rule on",
        ),
        ("effect: allow, on: result, label: [a], argument: {a: 1}", "4:62 `argument` belongs to a rule on"),
        ("effect: ask, on: result", "4:21 nobody is asked about a result"),
        ("effect: allow, ask: {timeout: 5m}", "4:33 `ask` belongs to a rule with `effect: ask`"),
        ("effect: ask, ask: {timeout: session}", "4:41 a time is a number with s, m or h, at most 24h"),
        ("effect: ask, ask: {timeout: 25h}", "4:41 a time is a number with s, m or h, at most 24h"),
        ("effect: ask, ask: {via: []}", "4:37 name at least one channel"),
        ("effect: ask, ask: {via: phone}", "4:37 expected one of console"),
        ("effect: ask, ask: {via: [client, phone]}", "4:46 expected one of console"),
        ("effect: ask, ask: {approvers: [ada]}", "4:44 write an approver as SOURCE:ID"),
        ("effect: ask, ask: {proof: passkey}", "4:39 a passkey is asked for on the console"),
        (
            "effect: ask, ask: {via: client, approvers: ['a:b']}",
            "4:56 a client answers for whoever made the call",
        ),
        ("effect: deny, on: result, action: [roots/list]", "4:48 the client answers this"),
        ("effect: allow, action: [roots/list], credential: x", "4:62 the client answers this"),
        ("effect: allow, action: [prompts/get], argument: {a: 1}", "4:61 `argument` goes with the action"),
        ("effect: allow, limit: {per: 1h}", "4:35 a limit has exactly one of"),
        ("effect: allow, limit: {per: 1h, calls: 1, bytes: 2}", "4:35 a limit has exactly one of"),
        (
            "effect: allow, limit: {per: 1h, calls: 0}",
            "4:52 a limit is a whole number from 1 to 9007199254740992",
        ),
        (
            f"effect: allow, limit: {{per: 1h, units: 1, cost: {(1 << 53) + 1}}}",
            "4:61 a cost is a whole number from 1 to 9007199254740992, or an argument: args.NAME",
        ),
        ("effect: allow, limit: {per: 1w, calls: 1}", "4:41 a window is `session`, or"),
        ("effect: allow, limit: {per: 32d, calls: 1}", "4:41 a window is `session`, or"),
        ("effect: allow, limit: {per: 1h, calls: 1, cost: 2}", "4:61 `cost` belongs to a limit of"),
        (
            "effect: allow, limit: {per: 1h, units: 1, cost: 0}",
            "4:61 a cost is a whole number from 1 to 9007199254740992, or an argument: args.NAME",
        ),
        (
            "effect: allow, limit: {per: 1h, units: 1, cost: amount}",
            "4:61 a cost is a whole number from 1 to 9007199254740992, or an argument: args.NAME",
        ),
        ("effect: allow, limit: {calls: 1}", "4:35 `per` is missing"),
        ("effect: deny, when: has(result.x)", "4:37 only a rule with `on: result` can read `result`"),
        ("effect: deny, when: \"'email' in findings\"", "4:45 only a rule with `on: result` can read"),
        (
            "effect: allow, when: client.claims.name == 'x'",
            "4:34 an `allow` rule can read `client.agent` only",
        ),
        (
            "effect: allow, when: \"'name' in client.claims\"",
            "4:45 an `allow` rule can read `client.agent` only",
        ),
    ],
)
def test_a_key_that_would_have_no_effect_or_no_sense_has_its_place(rule: str, expected: str) -> None:
    (found, *_) = mistakes(f"version: 1\npolicy: p\nrules:\n  - {{id: r, {rule}}}\n")
    assert found.startswith(expected)


@each(
    "rule",
    [
        "effect: allow, when: \"client.agent == 'x' && client['agent'] == 'x'\"",
        "effect: deny, when: client.claims.name == 'x'",
        "effect: deny, on: result, when: has(result.result)",
        "effect: allow, on: result, label: [a], fact: [b], redact: [email]",
        "effect: allow, limit: {per: 31d, units: 5, cost: args.a.b_c}, label: [x], argument: {a: [1, {b: null}]}",
        "effect: allow, limit: {per: session, bytes: 9007199254740992}",
    ],
)
def test_what_makes_sense_is_taken(rule: str) -> None:
    compiled(f"version: 1\npolicy: p\nrules:\n  - {{id: r, {rule}}}\n")


@pytest.mark.parametrize("day", ["soon", "2026-13-01", "2026-01-02T00:00:00Z", "20260102"])
def test_an_expiry_that_is_no_day_is_refused(day: str) -> None:
    text = f"version: 1\npolicy: p\nexpires: '{day}'\nrules: [{{id: r, effect: allow}}]\n"
    assert mistakes(text) == ["3:10 write a day as YYYY-MM-DD"]


def test_rules_on_results_and_in_shadow_are_kept_apart() -> None:
    text = one_rule("mode: shadow") + "  - {id: s, effect: deny, on: result}\n  - {id: t, effect: deny}\n"
    policies = PolicySet([compiled(text)])
    found = policies.candidates("s", "t", "tools/call")
    assert [rule.name for rule in found.all] == ["p/t"]
    assert found.trial is not None
    assert [rule.name for rule in found.trial.all] == ["p/t", "p/r"]
    assert [rule.name for rule in policies.candidates("s", "t", "tools/call", "result").all] == ["p/s"]
    assert policies.reviewing
    assert not policies.stateful


@pytest.mark.parametrize("mode", ["enforce", "shadow"])
def test_what_only_rules_in_shadow_mode_know_of_a_session_is_told_apart(mode: str) -> None:
    policies = PolicySet([compiled(one_rule(f"label: [l], mode: {mode}"))])
    assert policies.stateful
    assert policies.depends is (mode == "enforce")


@each("key", ["when", "tools", "server", "limit", "message", "redact", "action"])
@each("empty", ["", "~", "null"])
def test_a_key_without_a_value_is_a_mistake_and_no_rule_for_all(key: str, empty: str) -> None:
    text = f"version: 1\npolicy: p\nrules:\n  - id: a\n    effect: allow\n    {key}: {empty}\n"
    with pytest.raises(PolicyError, match=rf"p:6:5: `{key}` has no value: write one, or leave the key out"):
        compile_policy(text, "p", frozenset())


@each("code", [0x85, 0x2028, 0x2029, 0x202E, 0x2066])
def test_what_cannot_be_seen_hides_no_rule_in_a_comment(code: int) -> None:
    hidden = f"# harmless {chr(code)}  - {{id: b, effect: allow}}"
    text = f"version: 1\npolicy: p\nrules:\n  - {{id: a, effect: deny}} {hidden}\n"
    with pytest.raises(PolicyError, match=rf"p:4:38: write this character as an escape .*u{code:04X}"):
        compile_policy(text, "p", frozenset())


def test_a_set_knows_which_engines_evaluate_its_conditions() -> None:
    assert PolicySet([compiled(EXAMPLE)]).engines == {engine().name}
    assert PolicySet().engines == set()
