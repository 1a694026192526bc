"""A case of a policy test, run: the decision points decide, and each key says what became of it."""

from __future__ import annotations

import itertools
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mcpguard.authoring.tests.cases import Case, Expect, PolicyTests
from mcpguard.authoring.tests.rehearsal import CaseOutcome, Look, differences, rehearse
from mcpguard.core.conditions import engines
from mcpguard.core.conditions.cel import EngineName
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import InspectionError, PolicyError
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

REDACTOR = Redactor(b"k" * 32)
TOKEN = "ghp" + "_" + "aZ3kQ9xB7mT2" * 3


def policies(*rules: str, engine: EngineName = "cpp", head: str = "") -> PolicySet:
    text = f"version: 1\npolicy: p\n{head}rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules)
    return PolicySet([compile_policy(text, "p.yaml", OPT_IN, engines.engine(engine))])


def case(body: str) -> Case:
    head = "version: 1\npolicies: [p.yaml]\ntests:\n  - name: a\n    expect: allow\n"
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return Document(head + lines, "p_test.yaml", PolicyError).read(PolicyTests).tests[0]


def became(body: str, *rules: str) -> CaseOutcome:
    return rehearse(policies(*rules), case(body), REDACTOR).outcome


CALL = "call: {server: s, tool: t, args: {a: 1}}"
ALLOW = "id: yes, effect: allow"


def test_a_permitted_call_tells_what_is_sent_and_added() -> None:
    rule = "id: r, effect: allow, redact: [email], label: [seen], fact: [done], argument: {limit: 10}"
    assert became(CALL, rule) == CaseOutcome(
        effect="allow",
        rules=("p/r",),
        redact=("email",),
        labels=("seen",),
        facts=("done",),
        arguments={"a": 1, "limit": 10},
    )


@pytest.mark.parametrize(
    ("rules", "effect", "cause", "message"),
    [
        ([], "deny", "no-rule", ""),
        ([ALLOW, "id: r, effect: deny, message: No."], "deny", "rule", "No."),
        ([ALLOW, "id: r, effect: ask, message: Ask."], "ask", "approval", "Ask."),
        (["id: r, effect: deny, when: args.b"], "deny", "error", ""),
    ],
)
def test_a_refused_call_tells_why(rules: list[str], effect: str, cause: str, message: str) -> None:
    found = became(CALL, *(rules or ["id: r, effect: allow, when: 'false'"]))
    assert (found.effect, found.cause, found.message, found.refused) == (effect, cause, message, True)


def test_a_call_that_is_asked_about_tells_by_which_channels_and_for_how_long() -> None:
    two = "id: a, effect: ask, ask: {timeout: 2h, via: [client, terminal]}"
    found = became(CALL, two, "id: b, effect: ask")
    assert (found.effect, found.via, found.timeout) == ("ask", ("terminal",), "7200s")
    assert became(CALL, "id: b, effect: ask").timeout == ""
    assert became(CALL, "id: b, effect: deny").via == ()


@each(
    ("call", "when"),
    [
        ("{server: s, tool: t, title: T, description: D, annotations: {readOnlyHint: true}}", 'tool == {"name": "t", "title": "T", "description": "D", "annotations": {"readOnlyHint": true}, "firstAnnotations": {"readOnlyHint": true}, "inputSchema": {}, "outputSchema": {}}'),
        ("{server: s, tool: t, inputSchema: {properties: {q: {description: now}}}, outputSchema: {type: object}}", 'tool.inputSchema.properties.q.description == "now" && tool.outputSchema.type == "object"'),
        ("{server: s, prompt: q, args: {a: b}}", 'prompt.name == "q" && args.a == "b" && action == "prompts/get"'),
        ("{server: s, resource: 'f:/x'}", 'resource.uri == "f:/x" && args == {"uri": "f:/x"} && resource.name == "" && resource.mimeType == ""'),
        ("{server: s, resource: 'f:/x', action: resources/subscribe}", 'action == "resources/subscribe"'),
        ("{server: s, resource: 'f:/{x}', action: completion/complete, args: {argument: {}}}", 'resource.uri == "f:/{x}" && args == {"argument": {}}'),
        ("{server: s, action: elicitation/create, args: {message: m}}", 'args.message == "m" && server == "s"'),
    ],
)  # fmt: skip
@each("engine", ["cpp", "python"])
def test_a_condition_sees_the_call_as_in_service(engine: EngineName, call: str, when: str) -> None:
    rules = policies(f"id: r, effect: allow, action: ['*'], when: '{when}'", engine=engine)
    assert rehearse(rules, case(f"call: {call}"), REDACTOR).outcome.rules == ("p/r",)


def test_a_condition_sees_who_calls_and_when() -> None:
    when = (
        'principal == {"id": "ada", "source": "i", "groups": ["ops"], "claims": {"x": 1}}'
        ' && client.agent == "desk" && now == timestamp("2026-03-04T05:06:07Z")'
    )
    claims = 'id: d, effect: deny, when: client.claims == {"name": "n", "version": "v"}'
    body = (
        f"{CALL}\nprincipal: {{id: ada, source: i, groups: [ops], claims: {{x: 1}}}}\nagent: desk\n"
        "client: {name: n, version: v}\nnow: 2026-03-04T05:06:07Z"
    )
    allow = f"id: r, effect: allow, when: '{when}'"
    assert became(body, allow).effect == "allow"
    assert became(body, allow, claims.replace("when: ", "when: '") + "'").rules == ("p/d",)


def test_the_session_so_far_is_its_state_or_the_calls_before() -> None:
    rule = (
        'id: r, effect: allow, label: [seen], fact: [done], when: \'tool.name == "first" || session == '
        '{"calls": 2, "tools": {"s/first": 2}, "labels": ["seen"], "facts": ["done"]}\''
    )
    state = "session: {labels: [seen], facts: [done], calls: 2, tools: {s/first: 2}}"
    before = "after: [{call: {server: s, tool: first}, times: 2}]"
    for so_far in (state, before):
        assert became(f"{CALL}\n{so_far}", rule).effect == "allow"
    assert became(CALL, rule).effect == "deny"


def test_results_before_are_reviewed() -> None:
    rules = (
        'id: r, effect: allow, when: \'tool.name == "first" || "ok" in session.facts\'',
        "id: f, effect: allow, on: result, fact: [ok], when: 'result.passed'",
    )
    before = "after: [{call: {server: s, tool: first}, result: {passed: %s}}]"
    assert became(f"{CALL}\n{before % 'true'}", *rules).effect == "allow"
    assert became(f"{CALL}\n{before % 'false'}", *rules).effect == "deny"


def test_a_refused_call_before_breaks_the_case() -> None:
    found = rehearse(policies(ALLOW), case(f"{CALL}\nafter: [{{call: {{server: s, prompt: q}}}}]"), REDACTOR)
    assert found.outcome.broken == "call 1 of `after` was refused: no-rule"
    assert found.looks == ()
    assert [one.key for one in differences(Expect(effect="deny"), found.outcome)] == ["after"]


def test_a_result_leaves_without_secrets_and_without_what_rules_redact() -> None:
    body = f"{CALL}\nresult: {{text: 'jane@example.com {TOKEN}', card: 4111 1111 1111 1111}}"
    rules = (
        "id: r, effect: allow, redact: [email], label: [a], fact: [b]",
        "id: x, effect: allow, on: result, redact: [payment-card], label: [c], fact: [d], when: 'findings == [\"email\", \"github-token\"]'",
    )  # fmt: skip
    found = became(body, *rules)
    assert found.output == {
        "text": "[REDACTED:email#1] [REDACTED:github-token#2]",
        "card": "[REDACTED:payment-card#3]",
    }
    assert (found.effect, found.rules, found.redact) == ("allow", ("p/r", "p/x"), ("email", "payment-card"))
    assert (found.labels, found.facts) == (("a", "c"), ("b", "d"))


def test_a_placeholder_in_the_arguments_is_refused_unless_a_rule_wants_it() -> None:
    sent = "call: {server: s, tool: t, args: {text: '[REDACTED:email#1]'}}"
    assert became(sent, ALLOW).cause == "placeholder"
    assert became(sent, ALLOW, "id: p, effect: allow, placeholders: true").effect == "allow"


def test_what_stays_and_whether_texts_are_marked_can_be_expected() -> None:
    body = f"{CALL}\nresult: {{text: '{TOKEN}'}}"
    found = became(body, "id: r, effect: allow, spotlight: true, unredacted: [github-token]")
    assert found.output == {"text": TOKEN}
    assert (found.spotlight, found.unredacted) == (True, ("github-token",))
    marked = became(body, ALLOW, "id: x, effect: allow, on: result, spotlight: true")
    assert (marked.spotlight, marked.unredacted) == (True, ())
    place = "{kind: github-token, path: /other}"
    elsewhere = became(body, f"id: r, effect: allow, unredacted: [{place}]")
    assert elsewhere.output == {"text": "[REDACTED:github-token#1]"}
    assert (elsewhere.spotlight, elsewhere.unredacted) == (False, ("github-token /other",))


def test_findings_may_be_added_to_those_that_are_found() -> None:
    rules = (ALLOW, "id: w, effect: deny, on: result, when: '\"iban\" in findings', message: Not this.")
    assert became(f"{CALL}\nresult: {{}}", *rules).effect == "allow"
    found = became(f"{CALL}\nresult: {{}}\nfindings: [iban]", *rules)
    assert (found.effect, found.rules, found.cause) == ("withhold", ("p/w",), "rule")
    assert (found.message, found.output) == ("Not this.", None)


def test_a_result_that_cannot_be_inspected_is_withheld() -> None:
    deep: Any = {}
    for _ in range(200):
        deep = {"a": deep}
    given = Case(name="a", call=case(CALL).call, expect="allow", result=deep)
    found = rehearse(policies(ALLOW), given, REDACTOR).outcome
    assert (found.effect, found.cause, found.output) == ("withhold", "error", None)


def test_a_result_beyond_a_limit_of_bytes_is_withheld_and_costs_nothing() -> None:
    rule = "id: r, effect: allow, limit: {per: session, bytes: 20}"
    small, big = "result: {a: b}", "result: {a: bbbbbbbbbbbbbbbbbbbb}"
    assert became(f"{CALL}\n{small}", rule).effect == "allow"
    found = became(f"{CALL}\n{big}", rule)
    assert (found.effect, found.cause, found.rules) == ("withhold", "limit", ("p/r",))
    assert found.message == "the limit of 20 bytes in this session would be exceeded"
    for before, effect in ((big, "allow"), (small, "allow"), ("result: {a: bbbbbbbbb}", "withhold")):
        after = f"{CALL}\nafter: [{{call: {{server: s, tool: t}}, {before}}}]\nresult: {{a: bb}}"
        assert became(after, rule).effect == effect


def test_what_only_another_rule_on_results_makes_unclean_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (ALLOW, "id: x, effect: allow, on: result, redact: [email]")
    inspect = Redactor.inspect

    def failing(self: Redactor, value: Any, also: tuple[str, ...] = ()) -> Any:
        if also:
            raise InspectionError("too many hits")
        return inspect(self, value, also)

    monkeypatch.setattr(Redactor, "inspect", failing)
    found = became(f"{CALL}\nresult: {{}}", *rules)
    assert (found.effect, found.cause) == ("withhold", "error")


def test_a_limit_of_calls_counts_those_before() -> None:
    rule = "id: r, effect: allow, limit: {per: 1h, calls: 3}"
    before = "after: [{call: {server: s, tool: t}, times: %d}]"
    assert became(f"{CALL}\n{before % 2}", rule).effect == "allow"
    assert became(f"{CALL}\n{before % 3}", rule).cause == "limit"


def test_shadow_rules_of_the_call_and_of_the_result_are_told() -> None:
    rules = (
        ALLOW,
        "id: c, effect: deny, mode: shadow",
        "id: r, effect: deny, mode: shadow, on: result",
    )
    found = rehearse(policies(*rules), case(f"{CALL}\nresult: {{}}"), REDACTOR)
    assert found.outcome.shadow == "deny (rule) p/c; deny (rule) p/r"
    assert [set(look.decided) >= {name} for look, name in zip(found.looks, ("p/c", "p/r"), strict=True)] == [
        True,
        True,
    ]


def test_a_look_shows_the_session_before_the_call() -> None:
    rules = policies("id: r, effect: allow, label: [x], when: '!(\"x\" in session.labels)'")
    looks: tuple[Look, ...] = rehearse(rules, case(CALL), REDACTOR).looks
    assert looks[0].bound.view["session"] == {"calls": 0, "tools": {}, "labels": [], "facts": []}


RULES = (
    "id: a, effect: allow, redact: [email], label: [l1]",
    "id: b, effect: allow, when: args.a == 1, fact: [f1]",
    "id: c, effect: deny, when: args.a == 2, message: Two.",
    "id: d, effect: deny, when: args.b",
    "id: e, effect: ask, when: args.a == 3, message: Three.",
    "id: f, effect: allow, on: result, label: [l2], redact: [iban]",
    "id: g, effect: deny, on: result, when: result.x == 1",
    "id: h, effect: deny, mode: shadow, message: Shadow.",
)
ORDERS = list(itertools.islice(itertools.permutations(RULES), 0, 40320, 997))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ORDERS),
    st.lists(st.sampled_from(RULES), min_size=1, unique=True),
    st.fixed_dictionaries({"a": st.integers(0, 4)}, optional={"b": st.booleans()}),
    st.none() | st.fixed_dictionaries({"x": st.integers(0, 1)}),
)
def test_a_passing_case_stays_passing_when_rules_are_reordered(
    order: tuple[str, ...], chosen: list[str], args: dict[str, Any], result: dict[str, Any] | None
) -> None:
    call = case("call: {server: s, tool: t}").call
    given_case = Case(
        name="a", call=type(call)(server="s", tool="t", args=args), expect="allow", result=result
    )
    first = rehearse(policies(*chosen), given_case, REDACTOR).outcome
    expected = Expect(
        effect=first.effect,  # type: ignore[arg-type]
        rules=first.rules,
        cause=first.cause or None,  # type: ignore[arg-type]
        message=first.message,
        redact=first.redact,
        labels=first.labels,
        facts=first.facts,
        arguments=first.arguments,
        output=first.output,
        shadow=first.shadow,
    )
    reordered = [rule for rule in order if rule in chosen]
    for engine in ("cpp", "python"):
        again = rehearse(policies(*reordered, engine=engine), given_case, REDACTOR).outcome
        assert list(differences(expected, again)) == []
