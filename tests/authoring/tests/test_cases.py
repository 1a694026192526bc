"""Tests of policies as written: what could pass without proving anything is a mistake at its place."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mcpguard.authoring.tests.cases import CallEntry, Expect, PolicyTests, method_of, target_of
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import PolicyError
from tests.rows import each

HEAD = "version: 1\npolicies: [p.yaml]\ntests:\n"
CASE = "  - name: a\n    call: {server: s, tool: t}\n    expect: deny\n"


def read_tests(text: str) -> PolicyTests:
    return Document(text, "p_test.yaml", PolicyError).read(PolicyTests)


def mistakes(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(PolicyError) as caught:
        read_tests(text)
    return [(one.line, one.column, one.message) for one in caught.value.problems]


def test_an_effect_by_itself_is_a_short_expectation() -> None:
    tests = read_tests(HEAD + CASE + CASE.replace("name: a", "name: b").replace("deny", "{redact: []}"))
    assert [case.expected for case in tests.tests] == [Expect(effect="deny"), Expect(redact=())]
    assert tests.tests[0].time == datetime(2026, 1, 1, tzinfo=UTC)
    assert tests.tests[0].principal.id == "tester"


@each(
    ("call", "method", "target"),
    [
        (CallEntry(server="s", tool="t"), "tools/call", ("tool", "t")),
        (CallEntry(server="s", prompt="p"), "prompts/get", ("prompt", "p")),
        (CallEntry(server="s", resource="r:/"), "resources/read", ("resource", "r:/")),
        (
            CallEntry(server="s", resource="r:/", action="resources/subscribe"),
            "resources/subscribe",
            ("resource", "r:/"),
        ),
        (CallEntry(server="s", action="roots/list"), "roots/list", ("", "")),
    ],
)
def test_a_call_has_a_method_and_a_target(call: CallEntry, method: str, target: tuple[str, str]) -> None:
    assert (method_of(call), target_of(call)) == (method, target)


@each(
    ("more", "place", "said"),
    [
        ("    call: {server: s}\n", (5, 11), "name what is called: `tool`, `prompt`, `resource` or `action`"),
        ("    call: {server: s, tool: t, prompt: p}\n", (5, 11), "a call has one target, not tool and prompt"),
        ("    call: {server: s, tool: t, action: prompts/get}\n", (5, 40), "the action with `tool` is tools/call"),
        ("    call: {server: s, action: tools/call}\n", (5, 31), "the action without a target is elicitation/create, "),
        ("    call: {server: s, tool: t}\n    now: 2026-01-01\n", (6, 10), "write a time as 2026-01-31T12:00:00Z"),
        ("    call: {server: s, tool: t}\n    now: soon\n", (6, 10), "write a time as 2026-01-31T12:00:00Z"),
        ("    call: {server: s, tool: t}\n    after: [{call: {server: s}}]\n", (6, 20), "name what is called"),
        ("    call: {server: s, tool: t}\n    after: [{call: {server: s, tool: t}, times: 0}]\n", (6, 49), "must be from 1 to 10000"),
        ("    call: {server: s, tool: t}\n    after: [{call: {server: s, tool: t}}]\n    session: {}\n", (7, 14), "`session` and `after` both set the state of the session: use one of them"),
        ("    call: {server: s, tool: t}\n    result: {}\n    findings: [emial]\n", (7, 16), "unknown kind; did you mean `email`?"),
        ("    call: {server: s, tool: t}\n    findings: ['credential:x']\n", (6, 15), "findings come from a result: add a `result` to the test"),
        ("    call: {server: s, tool: t}\n    resutl: {}\n", (6, 5), "unknown key `resutl`; did you mean `result`?"),
    ],
)  # fmt: skip
def test_a_case_that_proves_nothing_is_a_mistake(more: str, place: tuple[int, int], said: str) -> None:
    found = mistakes(f"{HEAD}  - name: a\n{more}    expect: deny\n")
    assert [one[:2] for one in found] == [place]
    assert found[0][2].startswith(said)


def test_params_beside_the_policies_are_said_to_belong_to_one() -> None:
    (found,) = mistakes(HEAD.replace("tests:", "params: {}\ntests:") + CASE)
    said = "values stand with their policy: `policies: [{file: git.yaml, params: {…}}]`"
    assert found[2] == f"unknown key `params`; {said}"


@pytest.mark.parametrize("expect", ["withhold", "{output: {content: []}}"])
def test_what_is_expected_of_a_result_needs_one(expect: str) -> None:
    found = mistakes(HEAD + CASE.replace("deny", expect))
    assert found == [(6, 13, "this is about a result: add a `result` to the test")]
    assert read_tests(HEAD + CASE.replace("deny", expect) + "    result: {}\n    findings: [email]\n")


def test_a_time_to_approve_is_one_or_empty() -> None:
    (found,) = mistakes(HEAD + CASE.replace("deny", "{timeout: soon}"))
    assert found[2] == "a time is a number with s, m or h, or empty"
    assert read_tests(HEAD + CASE.replace("deny", "{timeout: ''}"))
    assert read_tests(HEAD + CASE.replace("deny", "{timeout: 2h}"))


def test_an_empty_expectation_is_a_mistake() -> None:
    assert mistakes(HEAD + CASE.replace("deny", "{}")) == [
        (6, 13, "nothing is expected, so nothing is tested")
    ]


def test_a_file_needs_policies_and_tests_with_names_of_their_own() -> None:
    assert mistakes("version: 1\npolicies: []\ntests: []\n") == [
        (2, 11, "`policies` must not be empty"),
        (3, 8, "`tests` must not be empty"),
    ]
    assert mistakes(HEAD + CASE + CASE + CASE.replace("name: a", "name: ' '")) == [
        (7, 11, "another test of this file has this name"),
        (10, 11, "a test needs a name: a sentence that says what must be true"),
    ]
