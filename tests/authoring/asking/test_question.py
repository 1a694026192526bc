"""A question narrows by what `&&` joins, has the names of policies, and says where a mistake is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.audit.indexing import CallFacts, microseconds
from mcpguard.authoring.asking.matching import FoundCall, facts_with, view_of
from mcpguard.authoring.asking.names import VOCABULARY
from mcpguard.authoring.asking.question import NO_FILTERS, CallQuestion, Filters, time_of
from mcpguard.core.conditions.cel_python import PythonCondition, PythonEngine
from mcpguard.core.conditions.engines import engine_for
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.records import UNDECIDED, Outcome
from mcpguard.core.model import Cause
from tests.adapters.audit.audit_records import NOW
from tests.cli.audit.test_story import CALL, DONE
from tests.rows import each

FACTS = facts_with(CALL, DONE)


def view(**changes: Any) -> dict[str, Any]:
    decision = structs.replace(CALL, **changes)
    return view_of(FoundCall(Path("x"), 2, decision, DONE, ()), facts_with(decision, DONE))


def answer(text: str, facts: CallFacts = FACTS, **changes: Any) -> bool:
    question = CallQuestion(text)
    return question.may_match(facts) and question.matches(view(**changes))


@pytest.mark.parametrize(
    "text",
    [
        'server == "github" && tool.name == "get"',
        'principal.id == "ada" && principal.source == "os-user" && principal.name == "os-user:ada"',
        'client.agent == "claude" && client.claims.name == "ide" && client.claims.version == "1.2"',
        'session.name == "s1" && size(session.labels) == 0',
        'effect == "allow" && cause == "" && "git/read" in rules && status == "ok"',
        '"email" in findings && !("iban" in findings)',
        'args.q == "x" && "github/read" in credentials',
        'method == action && method.startsWith("tools/")',
        'id == "n-7" && sent + received > 4000',
        'server == "none" || args.q.matches("^x$")',
        "(ms > 1.0 ? true : false) && received > sent",
        'at == timestamp("2026-08-01T07:00:00Z")',
        'server in ["github", "gitlab"] // a comment, with && in it',
        '"a && b" != server && tool.digest.size() == 64',
    ],
)
@pytest.mark.parametrize("name", ["cpp", "python"])
def test_the_names_of_policies_and_records_can_be_asked(
    text: str, name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mcpguard.authoring.asking.question.engine_for", lambda words: engine_for(words, name)
    )
    assert answer(text)


def test_prompts_and_resources_are_named_as_in_policies() -> None:
    read = {"method": "resources/read", "tool": "", "subject": "file:///a"}
    assert answer('resource.uri.startsWith("file:")', **read)
    assert not answer('prompt.name == "x"', **read)
    assert answer('prompt.name == "x"', method="prompts/get", tool="", subject="x")
    assert not answer('resource.uri == "x"')


def test_what_is_not_there_does_not_match() -> None:
    assert not answer('args.nothing == "x"')
    assert not answer("ms > 1.0 && args.q == 1")
    assert not answer('server == "gitlab"')


@each(
    ("text", "lines"),
    [
        ('server == "x" && ms > 10', False),
        ('server == "x" && at > timestamp("2026-08-01T00:00:00Z")', False),
        ('(server == "x" || cause == "rule") && "a" in rules', False),
        ('server == "x" && args.a == 1', True),
        ('server == "x" || args.a == 1', True),
        ("ms > 10 && ms < 20 && received >= 5", False),
        ("ms > 10 || !(ms < 20 && sent == received)", False),
        ("ms > 10 || args.n > 20", True),
        ("ms + sent > 3", True),
        ("ms > 5 + 3", True),
        ('server == "ms > 5" || ms > 5', True),
        ('at > timestamp("2026-08-01T00:00:00Z") - duration("1h")', True),
        ("effect == 'deny' ? true : ms > 1.0", True),
    ],
)
def test_lines_are_read_only_for_what_the_index_does_not_know(text: str, lines: bool) -> None:
    assert CallQuestion(text).reads_lines is lines


def test_times_and_durations_are_left_to_the_index() -> None:
    question = CallQuestion(
        'at >= timestamp("2026-08-01T07:00:00Z") && at < timestamp("2026-08-01T09:00:00+01:00") && ms >= 2.5 '
        "&& received > 100000 && sent != 0",
        Filters(since=5),
    )
    assert question.since == microseconds(NOW)
    assert question.until == microseconds(NOW + timedelta(hours=1))
    assert question.terms == "(took >= 2500.000) AND (received > 100000.000) AND (sent != 0.000)"
    either = CallQuestion("ms > 5 || !(received<=sent && !!(sent < ms))")
    assert not either.reads_lines
    assert either.terms == (
        "(took > 5000.000  OR   NOT (received * 1 <= sent * 1  AND   NOT  NOT (sent * 1000 < took * 1)))"
    )
    assert not question.reads_lines
    later = CallQuestion(
        "at > timestamp(\"2026-08-01T07:00:00Z\") && at <= timestamp('2026-08-01T07:00:01Z')"
    )
    assert later.until - later.since == 1_000_000
    for finer in ('at < timestamp("2026-08-01T07:00:00.0000009Z")', "ms == 2.5001"):
        question = CallQuestion(finer)
        assert (question.until, question.terms, question.reads_lines) == (NO_FILTERS.until, "", True)


@each(
    ("text", "said"),
    [
        ('sever == "x"', "condition:1:1: undeclared reference to 'sever'; did you mean `server`?"),
        ('server == "a" && tool.nam == "b"', "condition:1:18: `tool` has no `nam`; did you mean `name`?"),
        ("server", "condition:1:1: a condition must be a boolean"),
        ('server = "x"', "write `==` to compare"),
        ('server == "a" &&\n  args.x === 1', "condition:2:"),
        (
            'server == "a" && at > timestamp("2026-13-01T00:00:00Z")',
            "condition:1:33: this is not a time: write",
        ),
        ('at > timestamp("2026-08-01")', "condition:1:16: this is not a time: write it with its zone, as in"),
        ('at > timestamp("tomorrow")', "this is not a time"),
        ('at - timestamp("2026-08-01T00:00:00Z") > duration("1 day")', "condition:1:51: this is not a dur"),
        ("result == 1", "undeclared reference to 'result'"),
        ('effect == "denied"', "condition:1:11: `effect` is never `denied`; did you mean `deny`?"),
        ('effect != "refused"', "`effect` is never `refused`; it is one of allow, ask, deny"),
        (
            '"" == cause || cause in ["rule", "no_rule"]',
            "`cause` is never `no_rule`; did you mean `no-rule`?",
        ),
        ('"witheld" == status', "condition:1:1: `status` is never `witheld`; did you mean `withheld`?"),
    ],
)
def test_a_mistake_has_its_place_and_what_was_meant(text: str, said: str) -> None:
    with pytest.raises(AuditError) as caught:
        CallQuestion(text)
    assert said in str(caught.value)


def test_filters_narrow_and_say_what_is_nowhere_on_record() -> None:
    for passing in (
        Filters(tool="get", server="github", principal="ada", session="s1", rule="git/read"),
        Filters(principal="os-user:ada", rule="git"),
        Filters(rule="read"),
    ):
        assert passing.pass_on(FACTS)
        assert list(passing.unknown([FACTS])) == []
    for failing in (
        Filters(denied=True),
        Filters(tool="put"),
        Filters(server="x"),
        Filters(principal="eve"),
        Filters(session="s2"),
        Filters(rule="git/rea"),
    ):
        assert not failing.pass_on(FACTS)
        assert not CallQuestion("", failing).may_match(FACTS)
    said = ["no call on record has the tool git__get; did you mean `get`?"]
    assert list(Filters(tool="git__get").unknown([FACTS])) == said
    assert list(Filters(tool="gett", rule="zzz").unknown([FACTS])) == [
        "no call on record has the tool gett; did you mean `get`?",
        "no call on record has the rule zzz",
    ]


def test_a_condition_says_what_is_nowhere_on_record() -> None:
    def unknown(text: str) -> list[str]:
        return list(CallQuestion(text).unknown([FACTS]))

    assert unknown('server == "githab" && (tool.name in ["get", "put"] || "git/rea" in rules)') == [
        'no call on record has the server "githab"; did you mean `github`?',
        'no call on record has the tool.name "put"',
        'no call on record has the rules "git/rea"; did you mean `git/read`?',
    ]
    assert unknown('method == "tool/call"') == [
        'no call on record has the method "tool/call"; did you mean `tools/call`?'
    ]
    assert unknown('session.labels == ["s9"] || args.q == "s9"') == [
        'no call on record has the session.labels "s9"'
    ]
    assert unknown('server == "github" && principal.id == "ada" && args.q == "githab"') == []
    assert list(CallQuestion("", Filters(tool="gett")).unknown([FACTS])) == [
        "no call on record has the tool gett; did you mean `get`?"
    ]


def test_causes_and_statuses_are_all_that_records_have() -> None:
    causes, statuses = VOCABULARY.values["cause"], VOCABULARY.values["status"]
    assert set(causes) == {""} | {one.value for one in Cause} | UNDECIDED | {"unavailable", "unknown"}
    said = (Outcome.__doc__ or "").partition("`status`: ")[2].partition("`result`")[0]
    listed = re.findall(r"[a-z-]+", said.partition(";")[0]) + re.findall(r'"([a-z-]+)"', said)
    assert {*statuses} == {"", *listed} - {"or"}


def test_an_age_or_a_time_says_since_when() -> None:
    assert time_of("2026-08-01T07:00:00Z", NOW) == time_of("2026-08-01T07:00", NOW) == microseconds(NOW)
    for age, delta in (("90s", 90), ("5m", 300), ("2h", 7200), ("3d", 259_200), ("1w", 604_800)):
        assert time_of(age, NOW) == microseconds(NOW) - delta * 1_000_000
    assert time_of("999999999w", datetime(2026, 1, 1, tzinfo=UTC)) == 0
    with pytest.raises(ValueError, match="yesterday"):
        time_of("yesterday", NOW)


def test_every_name_has_a_value_in_a_call_that_has_an_outcome() -> None:
    assert view().keys() == VOCABULARY.names.keys()


def test_what_is_not_boolean_is_found_by_few_of_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, evaluated = [], []
    compile_, value = PythonEngine.compile, PythonCondition.value
    monkeypatch.setattr(PythonEngine, "compile", lambda *given: compiled.append(1) or compile_(*given))
    monkeypatch.setattr(PythonCondition, "value", lambda *given: evaluated.append(1) or value(*given))
    question = CallQuestion('args.nothing == "x"')
    assert not any(question.matches(view()) for _ in range(300))
    assert (len(compiled), len(evaluated), question.failed) == (1, 100, 300)
    question.check()
