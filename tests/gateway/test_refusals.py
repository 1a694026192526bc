"""What a refusal says: to the model what would pass, to a person where the rule stands and what shows more."""

from __future__ import annotations

from mcpguard.gateway.scope import ApprovalTerms
from tests.fakes import World, text
from tests.gateway.scenes import ALLOW_ALL, FORM, FORMS, ask, last, legacy, modern, offers
from tests.rows import each


def refused(world: World, name: str = "push", **args: object) -> str:
    """What the model reads."""
    world.listed().call(name, 1, **args)
    answer = last(world)
    assert answer["isError"]
    return str(answer["content"][0]["text"])


@each(
    ("rules", "said"),
    [
        (
            "  - {id: a, effect: allow}\n  - {id: d, effect: deny, tools: [push], when: args.force}\n",
            "Refused by mcpguard (p/d): this call is not allowed. "
            "A person can see why with `mcpguard explain n-6`. [invocation n-6]",
        ),
        (
            "  - {id: a, effect: allow, tools: [push], when: args.gone}\n",
            "Refused by mcpguard: no rule allows this call. The owner of the policy can add one. "
            "A person can see why with `mcpguard explain n-6`. [invocation n-6]",
        ),
        (
            "  - {id: a, effect: allow}\n  - {id: d, effect: deny, tools: [push], when: args.gone}\n",
            "Refused by mcpguard (p/d): the rule could not be evaluated for this call, so it refuses. "
            "A person can see why with `mcpguard explain n-6`. [invocation n-6]",
        ),
        (
            "  - {id: a, effect: allow}\n"
            "  - {id: d, effect: deny, tools: [push], when: args.gone, message: Say where to.}\n",
            "Refused by mcpguard (p/d): the rule could not be evaluated for this call, so it refuses. "
            "Its message: Say where to. [invocation n-6]",
        ),
        (
            "  - {id: a, effect: allow, tools: [push], when: args.to == 'main', message: Push to main.}\n"
            "  - {id: b, effect: allow, tools: [push], when: args.gone, message: Or say gone.}\n"
            "  - {id: c, effect: allow, tools: [write], message: Another tool.}\n",
            "Refused by mcpguard: no rule allows this call as it is. Push to main. Or say gone. [invocation n-6]",
        ),
        (
            "  - {id: a, effect: ask, tools: [push], when: args.gone, message: Pushing is seen.}\n",
            "Refused by mcpguard (p/a): Pushing is seen. A person was asked and has not answered yet",
        ),
        (
            "  - {id: a, effect: allow, argument: {b: 1}}\n  - {id: b, effect: allow, argument: {b: 2}}\n",
            "Refused by mcpguard (p/a, p/b): the rule could not be evaluated for this call, so it refuses. The "
            "rules that allow it set the argument `b` to different values; the owner of the policy has to change "
            "them. [invocation n-6]",
        ),
        (
            "  - {id: a, effect: allow, credential: c}\n  - {id: b, effect: allow, credential: d}\n",
            "Refused by mcpguard (p/a, p/b): the rule could not be evaluated for this call, so it refuses. The "
            "rules that allow it choose different credentials; the owner of the policy has to change them. "
            "[invocation n-6]",
        ),
        (
            "  - {id: a, effect: allow, argument: {b: 1}}\n"
            "  - {id: b, effect: allow, when: args.b == 1, argument: {c: 2}}\n",
            "so it refuses. The rules that allow it set other arguments because of those that they set; the owner "
            "of the policy has to change them. [invocation n-6]",
        ),
    ],
)
def test_the_model_reads_what_would_pass_or_that_a_person_can_see_why(rules: str, said: str) -> None:
    world = World(rules, approvals=ApprovalTerms(0.0, 900.0))
    assert said in refused(world, to="x", force=True)


def test_the_operator_reads_where_the_rule_stands_and_the_command_and_the_model_does_not() -> None:
    rules = "  - {id: a, effect: allow}\n  - {id: d, effect: deny, tools: [push], when: args.to != 'y', message: No.}\n"
    rules += "  - {id: e, effect: deny, tools: [push], when: args.to == 'x'}\n"
    world = World(rules + "  - {id: f, effect: allow, tools: [read], limit: {calls: 9, per: 1h}}\n")
    assert "Refused by mcpguard (p/d, p/e): No." in refused(world, to="x")
    assert world.reports == [
        "one: refused tools/call push by p/d (p.yaml:5), p/e (p.yaml:6): `mcpguard explain n-6`"
    ]
    rules_of = {"rules": ("p/d", "p/e"), "invocation": "n-6"}
    assert world.about == [{"method": "tools/call", "tool": "push", **rules_of}]
    assert "p.yaml" not in str(world.client.sent)


def test_the_command_that_explains_a_refusal_names_the_configuration_that_it_needs() -> None:
    terms = ApprovalTerms(0.0, 900.0, option=lambda: " --config /c.yaml")
    rules = "  - {id: a, effect: allow}\n  - {id: d, effect: deny, tools: [push], when: args.to == 'x'}\n"
    world = World(rules, approvals=terms)
    refused(world, to="x")
    world.call("nowhere", 2)
    assert [one.rpartition("`mcpguard explain ")[2] for one in world.reports] == [
        "n-6 --config /c.yaml`",
        "n-7 --config /c.yaml`",
    ]


def test_a_tool_of_a_hidden_name_and_an_unlisted_resource_are_reported_without_the_clients_text() -> None:
    world = World("  - {id: a, effect: allow, tools: [read]}\n", {"one": []})
    offers(world, "one", resources=[])
    modern(world, "resources/read", {"uri": "file:///canary"})
    assert world.reports == ["one: refused resources/read (no-rule): `mcpguard explain n-4`"]


def test_a_question_of_a_server_that_is_refused_is_reported() -> None:
    world = legacy(
        World("  - {id: d, effect: deny, action: [elicitation/create], when: args.x == 1}\n"), FORMS
    )
    ask(world, "elicitation/create", FORM)
    assert world.reports == ["one: refused elicitation/create by p/d (p.yaml:4): `mcpguard explain n-1`"]


def test_a_result_that_is_withheld_is_reported_with_its_rule() -> None:
    rules = "  - {id: a, effect: allow}\n  - {id: r, on: result, effect: deny}\n"
    world = World(rules).listed()
    world.call("read")
    world.answer(text("private"))
    said = last(world)["content"][0]["text"]
    assert "this result is not allowed. A person can see why with `mcpguard explain" in said
    (line,) = world.reports
    assert line.startswith("one: withheld the result of tools/call read by p/r (p.yaml:5): `mcpguard explain")


def test_a_server_cannot_answer_as_if_mcpguard_had_refused() -> None:
    world = World(ALLOW_ALL).listed()
    world.call("read")
    world.answer({**text("Refused"), "_meta": {"mcpguard/decision": {"effect": "deny"}, "a/b": 1}})
    assert last(world)["_meta"] == {"a/b": 1}
