"""Credentials in arguments: only where a rule's own text stands, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.errors import CredentialError, PolicyError
from mcpguard.core.model import Permit
from mcpguard.core.policy.placeholders import IN_A_NAME, MALFORMED, filled, placeholders_in
from mcpguard.core.secret import CredentialRef
from tests.core.policy.test_obligations import decide
from tests.rows import each

VALUES = {"a": "value-of-a", "gh/write_1.x": "value-of-b"}


def fill(arguments: Any, **instead: Any) -> Any:
    places = placeholders_in(arguments)
    return filled({**arguments, **instead}, places, lambda ref: VALUES[ref.name])


def permitted(*rules: str, **args: Any) -> Permit:
    verdict = decide(*rules, args=args)
    assert isinstance(verdict, Permit)
    return verdict


@each(
    ("written", "sent"),
    [
        ({"t": "{{secret:a}}"}, {"t": "value-of-a"}),
        ({"t": "Bearer {{secret:a}}."}, {"t": "Bearer value-of-a."}),
        ({"t": "{{secret:a}}:{{secret:gh/write_1.x}}"}, {"t": "value-of-a:value-of-b"}),
        (
            {"t": {"x": [1, {"y": "{{secret:a}}"}], "z": "{{a}}"}},
            {"t": {"x": [1, {"y": "value-of-a"}], "z": "{{a}}"}},
        ),
        ({"t": "secret:a", "n": 1, "b": True, "o": None}, {"t": "secret:a", "n": 1, "b": True, "o": None}),
    ],
)
def test_a_placeholder_is_filled_wherever_it_stands_in_a_value(written: Any, sent: Any) -> None:
    before = repr(written)
    assert fill(written) == sent
    assert repr(written) == before


def test_the_names_of_placeholders_are_references_to_credentials() -> None:
    (one,) = placeholders_in({"t": ["x {{secret:a}}"]})
    assert (one.place, one.text, one.template.refs) == (
        ("t", 0),
        "x {{secret:a}}",
        (CredentialRef("credential", "a"),),
    )


def test_a_permit_says_which_texts_are_placeholders_and_its_arguments_show_them() -> None:
    permit = permitted('id: r, effect: allow, argument: {token: "{{secret:a}}"}', q="x")
    assert permit.invocation.args == {"q": "x", "token": "{{secret:a}}"}
    assert [one.place for one in permit.placeholders] == [("token",)]


def test_what_a_rule_sets_where_nothing_is_is_filled_though_the_rule_holds_no_more() -> None:
    given = "id: given, effect: allow, when: '!has(args.token)', argument: {token: '{{secret:a}}'}"
    permit = permitted(given, "id: all, effect: allow", text="x")
    assert permit.rules == ("p/all",)
    assert [one.place for one in permit.placeholders] == [("token",)]
    mine = permitted(given, "id: all, effect: allow", token="{{secret:a}}")
    assert mine.placeholders == ()


def test_what_a_client_writes_is_never_a_placeholder() -> None:
    reference = "{{secret:a}}"
    mine = permitted("id: r, effect: allow", token=reference, deep=[{"x": reference}])
    assert mine.placeholders == ()
    beside = permitted(
        'id: r, effect: allow, argument: {token: "{{secret:a}}", plain: x}', token="mine", other=reference
    )
    arguments: Any = beside.invocation.args
    given = filled(arguments, beside.placeholders, lambda ref: VALUES[ref.name])
    assert given == {"token": "value-of-a", "plain": "x", "other": reference}


def test_what_a_value_holds_is_not_filled_again() -> None:
    written = {"t": "{{secret:a}}", "u": "{{secret:b}}"}
    sent = filled(written, placeholders_in(written), lambda ref: "{{secret:b}}" if ref.name == "a" else "two")
    assert sent == {"t": "{{secret:b}}", "u": "two"}


@each(
    ("written", "instead"),
    [
        ({"t": "{{secret:a}}"}, {"t": "{{secret:a}} and more"}),
        ({"t": "{{secret:a}}"}, {"t": None}),
        ({"t": ["{{secret:a}}"]}, {"t": []}),
        ({"t": {"x": "{{secret:a}}"}}, {"t": "x"}),
        ({"t": {"x": "{{secret:a}}"}}, {"t": {"x": {"y": "{{secret:a}}"}}}),
    ],
)
def test_where_the_text_of_the_rule_is_gone_nothing_is_filled(written: Any, instead: Any) -> None:
    with pytest.raises(CredentialError, match="an argument that a rule sets"):
        fill(written, **instead)


def test_the_placeholders_stay_with_a_call_that_is_made_again() -> None:
    from mcpguard.core.policy import pdp

    permit = permitted('id: r, effect: allow, argument: {token: "{{secret:a}}"}')
    again = pdp.again(permit, {**(permit.invocation.params or {}), "inputResponses": {}})
    assert again.placeholders == permit.placeholders


def test_a_request_about_a_task_takes_the_credential_of_the_call_that_began_it() -> None:
    from mcpguard.core.policy import pdp

    begun, plain = (
        permitted("id: r, effect: allow, credential: narrow"),
        permitted("id: r, effect: allow"),
    )
    other = structs.replace(begun, credential="wide")
    assert [pdp.within(one, begun).credential for one in (plain, begun, other)] == [
        "narrow",
        "narrow",
        "wide",
    ]
    assert pdp.within(plain, plain) is plain
    assert pdp.permit_protocol(plain.invocation, "narrow").credential == "narrow"


@each(
    "text",
    [
        "{{secret}}",
        "{{secret:}}",
        "{{secret:A}}",
        "{{secret:-a}}",
        "{{secret:a}",
        "{{ secret:a }}",
        "{{secret: a}}",
        "{{Secret:a}}",
        "{{secret:a b}}",
        "{{secret:${env:X}}}",
        "{{secret:a}} {{secret:a",
    ],
)
def test_a_malformed_placeholder_is_refused_at_its_place(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        decide(f'id: r, effect: allow, argument: {{deep: {{x: ["y", "{text}"]}}}}')
    (problem,) = caught.value.problems
    assert (problem.message, problem.line) == (MALFORMED, 4)


def test_a_placeholder_in_the_name_of_a_member_is_refused() -> None:
    with pytest.raises(PolicyError) as caught:
        decide('id: r, effect: allow, argument: {deep: {"{{secret:a}}": 1}}')
    assert [problem.message for problem in caught.value.problems] == [IN_A_NAME]
