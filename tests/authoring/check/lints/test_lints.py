"""Lints beyond their examples: where each of them must say nothing, and what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcpguard.authoring.check.lints import LINTS, evaluation
from mcpguard.authoring.check.lints.entry import SNAPSHOT
from mcpguard.core.conditions.engines import engine
from tests.authoring.check.linting import flaws, found, rules
from tests.rows import each

CALL = "server: files, tools: [read]"


# --- rules that never decide ---------------------------------------------------------------------


@each(
    ("deny", "unreachable"),
    [
        ("", True),
        ("server: files", True),
        ("server: [mail, 'f*']", True),
        ("server: files, tools: ['r*']", True),
        ("server: files, tools: ['?ead']", True),
        ("server: mail", False),
        ("server: files, tools: [write]", False),
        ("server: files, action: [prompts/get]", False),
        ("server: files, mode: shadow", False),
        ("server: files, when: args.path == 'x'", False),
        ("server: files, on: result", False),
    ],
)
def test_a_deny_hides_an_allow_only_where_it_covers_it(deny: str, unreachable: bool) -> None:
    text = rules(f"id: a, effect: allow, {CALL}", f"id: d, effect: deny{', ' if deny else ''}{deny}")
    said = found("P101", text)
    assert bool(said) is unreachable
    if unreachable:
        assert said[0].endswith("example/d denies everything that it matches, without a condition")


@each(
    ("wide", "narrow", "covered"),
    [
        ("'get_*'", "'get_a*'", True),
        ("'*'", "'[ab]'", True),
        ("'get_?'", "'get_*'", False),
        ("'get_[ab]'", "'get_?'", False),
        ("'get_[ab]'", "'get_[ab]'", True),
        ("'get_*'", "'*'", False),
        ("a, b", "b, a", True),
        ("a", "a, b", False),
    ],
)
def test_globs_cover_what_they_are_sure_to_match(wide: str, narrow: str, covered: bool) -> None:
    text = rules(
        f"id: a, effect: allow, server: files, tools: [{narrow}]",
        f"id: d, effect: deny, server: files, tools: [{wide}]",
    )
    assert bool(found("P101", text)) is covered


def test_a_rule_without_tools_is_covered_by_a_star_only_for_calls_of_tools() -> None:
    deny = "id: d, effect: deny, tools: ['*'], action: ['*']"
    assert found("P101", rules("id: a, effect: allow", deny))
    assert not found("P101", rules("id: a, effect: allow, action: [prompts/get]", deny))
    assert not found("P101", rules("id: a, effect: allow, mode: shadow", deny))


def test_of_two_rules_that_are_the_same_the_second_is_told() -> None:
    text = rules(f"id: a, effect: allow, {CALL}", f"id: b, effect: allow, {CALL}")
    assert found("P102", text) == [
        "6:5 rule b: it changes nothing: example/a has the same effect on everything that it matches, "
        "without a condition"
    ]


@each(
    "more", ["redact: [email]", "label: [x]", "fact: [x]", "limit: {calls: 1, per: 1h}", "argument: {a: 1}"]
)
def test_a_rule_that_adds_something_is_not_idle(more: str) -> None:
    plain = f"id: b, effect: allow, {CALL}"
    assert not found("P102", rules("id: a, effect: allow", f"{plain}, {more}"))
    # Nor is it what makes the other one more than one too many.
    assert len(found("P102", rules(f"{plain}, {more}", f"id: c, effect: allow, {CALL}"))) == 1
    assert len(found("P102", rules(f"id: c, effect: allow, {CALL}", f"{plain}, {more}"))) == 1


def test_a_message_of_its_own_is_something() -> None:
    deny = "id: d, effect: deny"
    assert not found("P102", rules(deny, f"id: e, effect: deny, {CALL}, message: Ask Ada."))
    assert found("P102", rules(deny, f"id: e, effect: deny, {CALL}"))
    assert not found("P102", rules(deny, f"id: e, effect: deny, {CALL}, mode: shadow"))


def test_what_ends_some_day_covers_nothing() -> None:
    head = "owner: ada\nexpires: 9998-01-01"
    assert not found("P102", rules("id: a, effect: allow", f"id: b, effect: allow, {CALL}", head=head))


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("true", "always true: leave `when` out"),
        ("false", "always false: the rule does not depend on the call"),
        ("1 / 0 == 1", "always an error: the rule does not depend on the call"),
    ],
)
def test_a_constant_condition_is_told_with_its_answer(when: str, said: str) -> None:
    assert found("P103", rules(f"id: a, effect: allow, when: '{when}'"))[0].endswith(said)


def test_a_condition_that_a_param_makes_constant_asks_for_another_value() -> None:
    head = "params: {owners: {type: strings, default: []}}"
    text = rules("id: a, effect: ask, when: 'params.owners.exists(one, one == args.owner)'", head=head)
    assert found("P103", text)[0].endswith(
        "with this value of `owners` the condition is always false: set another in the configuration, "
        "`policies: [{file: …, params: {owners: …}}]`"
    )


def test_what_may_change_things_without_a_bound_is_named() -> None:
    allow = "id: a, effect: allow, server: files"
    assert found("P104", rules(allow)) == [
        "5:5 rule a: write may change things, and no condition, limit, `ask` or `deny` restricts it"
    ]
    for more in (
        "when: args.path == 'x'",
        "limit: {calls: 1, per: 1h}",
        "argument: {a: 1}",
        "on: result, label: [x]",
    ):
        assert not found("P104", rules(f"{allow}, {more}"))
    for other in ("id: d, effect: deny, tools: [write], when: 'false'", "id: d, effect: ask"):
        assert not found("P104", rules(allow, other))
    for other in (
        "id: d, effect: deny, on: result",
        "id: d, effect: deny, mode: shadow",
        "id: d, effect: deny, server: mail",
    ):
        assert found("P104", rules(allow, other))
    assert not found("P104", rules(allow), snapshot=None)


# --- arguments -----------------------------------------------------------------------------------


def deny(when: str, server: str = "files, tools: [write]") -> str:
    return rules(f"id: d, effect: deny, server: {server}, when: '{when}'")


@each(
    ("when", "told"),
    [
        ("args.append", True),
        ("has(args.append) && args.append", False),
        ('"append" in args && args.append', False),
        ('args.path == "x"', False),
        ("args.append && args.append", True),
        ("args.unknown", False),
        ("session.calls > 3", False),
    ],
)
def test_an_optional_argument_is_told_once_where_nothing_guards_it(when: str, told: bool) -> None:
    assert len(found("P201", deny(when))) == told


def test_the_optional_argument_is_named_with_what_to_write() -> None:
    assert found("P201", deny("args.append"))[0] == (
        "5:65 rule d: write can be called without `args.append`, and then the condition fails, so the call is "
        "refused: write `!has(args.append) || …` if that is intended, `has(args.append) && …` if not"
    )


NESTED = """{"version": 1, "servers": {"files": {"tools": [{"name": "write", "inputSchema": {"properties": {
  "list": {"items": {"properties": {"a": {}}}}}, "required": ["list"]}}, {"name": "read"}]}}}"""


def test_a_part_of_an_element_is_named_as_it_is_read() -> None:
    assert "without `args.list[0].a`" in found("P201", deny("args.list[0].a"), snapshot=NESTED)[0]
    said = found("P201", deny("args.list.exists(x, x.a)"), snapshot=NESTED)
    assert "without `args.list[...].a`" in said[0]


@each(
    ("other", "told"),
    [
        ("effect: deny, server: files, tools: [write], when: '!has(args.append) || args.append'", False),
        ("effect: deny, server: files, when: '!has(args.append)'", False),
        ("effect: deny, server: files, tools: [read], when: '!has(args.append)'", True),
        ("effect: ask, server: files, tools: [write], when: '!has(args.append)'", True),
        ("effect: deny, server: files, tools: [write], when: '!has(args.append) && true'", True),
        (
            "effect: deny, server: files, tools: [write], when: '!has(args.append) || false ? true : false'",
            True,
        ),
    ],
)
def test_an_argument_that_another_deny_demands_is_not_told_of(other: str, told: bool) -> None:
    text = rules(
        "id: d, effect: deny, server: files, tools: [write], when: '!args.append'", f"id: e, {other}"
    )
    assert bool([one for one in found("P201", text) if "rule d" in one]) is told


def test_only_what_refuses_is_told_of_optional_arguments() -> None:
    assert not found("P201", deny("args.append").replace("deny", "allow"))
    assert not found("P201", deny("args.append").replace("when", "on: result, when"))
    assert found("P201", deny("args.append").replace("deny", "ask"))


def test_without_a_schema_a_guard_anywhere_is_enough() -> None:
    assert found("P202", deny("args.a.b || args.a.c"), snapshot=None) == [
        "5:65 rule d: a call without `args.a` is refused, since the condition fails, which is safe; with "
        "`mcpguard snapshot`, check can tell whether there are such calls"
    ]
    assert found("P202", deny("args.a || args.b || args.c"), snapshot=None)[0].endswith(
        "there are such calls (and 2 more in this file)"
    )
    assert not found("P202", deny('["a"].exists(name, name in args && args[name] == 1)'), snapshot=None)
    assert not found("P202", deny("has(args.a) && args.a.b"), snapshot=None)
    assert not found("P202", deny("args.append"))


def test_an_argument_that_no_tool_has_is_told_once() -> None:
    text = deny("args.appendix.a || args.appendix.b || has(args.appendix)")
    assert len(found("P203", text)) == 1
    assert "no tool that it matches has an argument `args.appendix`" in found("P203", text)[0]
    assert not found("P203", deny("args.appendix"), snapshot=None)
    assert not found("P203", deny("args.appendix"), snapshot='{"version": 1, "servers": {}}')
    assert not found("P203", deny("args.appendix", "files, tools: [gone]"))
    assert not found("P203", deny("args.lines", "files"))
    assert not found("P203", deny("args.appendix").replace("tools: [write]", "action: [prompts/get]"))


FOREIGN = "it never allows compare, which cannot have `args.path`: name the tools that it is for"


def test_tools_that_an_allow_never_allows_are_named() -> None:
    rule = "id: a, effect: allow, server: files, when: '%s'"
    for when in (
        "args.path == `x`",
        "server == `files` && (args.path == `x` && has(args.path))",
        "pathWithin(args.path, `/srv`)",
    ):
        told = found("P205", rules(rule % when.replace("`", '"')))
        assert [one.split(": ", 1)[1] for one in told] == [FOREIGN]
    for when in (
        "args.path == `x` || true",
        "!has(args.path) || args.path == `x`",
        "!(args.path == `x`) || args.file == `x`",
        "(server == `x` ? args.path : args.file) == `x`",
        "[`x`].exists(one, args.path == one)",
        "server == `files`",
    ):
        assert not found("P205", rules(rule % when.replace("`", '"')))
    assert not found("P205", rules((rule % "args.path").replace("allow", "ask")))
    assert not found("P205", rules("id: a, effect: allow, server: files"))
    assert not found("P205", rules(rule % "args.gone == 1"))
    assert not found("P205", rules(rule % "args.path == 1"), snapshot=None)


def test_of_many_tools_that_an_allow_never_allows_the_first_are_named() -> None:
    tools = [{"name": f"t{n}", "inputSchema": {"properties": {}}} for n in range(evaluation.MOST_NAMED + 2)]
    tools.append({"name": "read", "inputSchema": {"properties": {"path": {}}}})
    told = found(
        "P205",
        rules("id: a, effect: allow, when: args.path == 'x'"),
        snapshot=json.dumps({"version": 1, "servers": {"files": {"tools": tools}}}),
    )
    assert len(told) == 1
    assert "t0, t1, t2, t3, t4 and 2 more, which cannot have" in told[0]


def test_a_cost_that_may_be_left_out_is_told_at_its_place() -> None:
    rule = "id: a, effect: allow, server: %s, limit: {units: 9, per: 1h, cost: %s}"
    assert len(found("P204", rules(rule % ("mail", "args.size")))) == 1
    assert len(found("P204", rules(rule % ("mail", "args.gone")))) == 1
    assert not found("P204", rules(rule % ("mail", "args.to")))
    assert not found("P204", rules(rule % ("mail", "3")))


# --- labels and facts ----------------------------------------------------------------------------

SETS = "id: s, effect: allow, server: files, label: [private], fact: [tested]"


@each(
    ("effect", "when", "code"),
    [
        ("allow", '"private" in session.labels', "P303"),
        ("allow", '!("private" in session.labels)', ""),
        ("allow", '"tested" in session.facts', ""),
        ("allow", '!("tested" in session.facts)', "P304"),
        ("deny", '"private" in session.labels', ""),
        ("deny", '!("private" in session.labels)', "P303"),
        ("deny", '"tested" in session.facts', "P304"),
        ("deny", '!("tested" in session.facts)', ""),
        ("deny", '("tested" in session.facts) == true', ""),
    ],
)
def test_labels_tighten_and_facts_loosen(effect: str, when: str, code: str) -> None:
    text = rules(SETS, f"id: r, effect: {effect}, server: mail, when: '{when}'")
    assert {one.code for one in flaws(text)} & {"P303", "P304"} == ({code} if code else set())


def test_the_nearest_name_is_proposed_and_only_a_near_one() -> None:
    text = rules(SETS, 'id: r, effect: deny, when: \'"privat" in session.labels || "x" in session.facts\'')
    near, far = found("P301", text)
    assert near.endswith("no rule sets the label `privat`; did you mean `private`?")
    assert far.endswith("no rule sets the fact `x`")


@pytest.mark.parametrize(
    "when", ["session.labels.size() > 0", 'session.labels.exists(x, x == "private")', "session == {}"]
)
def test_a_condition_that_reads_all_labels_reads_each(when: str) -> None:
    assert (
        found("P302", rules("id: s, effect: allow, label: [private]", f"id: d, effect: deny, when: '{when}'"))
        == []
    )


def test_a_pack_may_wait_for_the_labels_of_packs_that_are_not_used() -> None:
    text = rules(
        """id: r, effect: deny, when: '"untrusted" in session.labels || "untrusted" in session.facts'"""
    )
    assert found("P301", text) == [one for one in found("P301", text) if "the fact `untrusted`" in one]
    assert len(found("P301", text)) == 1


def test_a_label_that_nobody_reads_is_told_once() -> None:
    text = rules("id: s, effect: allow, label: [a]", "id: t, effect: allow, tools: [x], label: [a]")
    assert found("P302", text) == ["5:36 rule s: no condition reads the label `a`"]


def test_an_ask_about_what_nobody_is_asked_is_told() -> None:
    text = rules("id: s, effect: ask", "id: t, effect: ask, action: [roots/list, tools/call]")
    assert found("P505", text) == [
        "6:34 rule t: nobody is asked about roots/list, so this rule refuses them: write `deny`, or name other "
        "actions"
    ]


def test_reading_may_be_approved_in_advance_without_a_condition() -> None:
    ask = "id: q, effect: ask, server: files, tools: [read, write]"
    for tool, told in (("read", False), ("write", True)):
        always = f"id: a, effect: allow, server: files, tools: [{tool}], approves: [example/q]"
        assert bool(found("P507", rules(ask, always))) is told


def test_a_fact_that_nobody_reads_is_told_at_its_place() -> None:
    assert found("P302", rules("id: s, effect: allow, fact: [a, b]"))[1] == (
        "5:38 rule s: no condition reads the fact `b`"
    )


@each(
    ("kind", "said"),
    [
        ("emial", "redaction has no kind `emial`; did you mean `email`?"),
        (
            "held",
            "redaction has no kind `held`; `findings` has each kind by its name, and a held value by that of its "
            "credential",
        ),
        ("email", None),
        ("github", None),
    ],
)
def test_a_kind_that_findings_never_have_is_reported_and_the_name_of_a_credential_is_not(
    kind: str, said: str | None
) -> None:
    text = rules(f"id: d, effect: deny, {CALL}, on: result, when: '\"{kind}\" in findings'")
    assert [one.partition(": ")[2] for one in found("P305", text)] == ([] if said is None else [said])


# --- names ---------------------------------------------------------------------------------------


def test_tools_that_no_rule_mentions_are_named_up_to_a_number() -> None:
    many = ",".join(f'{{"name": "t{number:02}"}}' for number in range(11))
    snapshot = (
        f'{{"version": 1, "servers": {{"files": {{"tools": [{many}]}}, "gone": {{"tools": [{many}]}}}}}}'
    )
    text = rules("id: a, effect: allow, server: files, tools: [t00]")
    (said,) = found("P401", text, snapshot=snapshot)
    assert said.endswith("so calls are refused: t01, t02, t03, t04, t05, t06, t07, t08 and 2 more")


@pytest.mark.parametrize("code", ["P401", "P403", "P404"])
def test_without_a_configuration_no_server_is_missing(code: str) -> None:
    assert not found(code, rules("id: a, effect: allow, server: none"), config=None)


def test_without_policies_each_server_is_not_told_of() -> None:
    assert flaws() == []


def test_a_snapshot_alone_knows_its_servers() -> None:
    text = rules("id: a, effect: allow, server: files, tools: [gone]")
    assert found("P402", text, config=None) == [
        "5:51 rule a: no tool of the servers that it names matches `gone`"
    ]
    assert not found("P402", rules("id: a, effect: allow, server: other, tools: [gone]"), config=None)


def test_a_disabled_server_needs_no_rule() -> None:
    config = "version: 1\nservers:\n  files: {command: x}\n  off: {command: x, disabled: true}\n"
    assert not found("P404", rules("id: a, effect: allow, server: files"), config=config)


# --- care and engines ----------------------------------------------------------------------------


def test_a_star_is_told_only_where_it_allows_calls() -> None:
    star = "id: a, effect: %s, action: ['*']"
    assert found("P504", rules(star % "allow"))
    assert not found("P504", rules(star % "deny"))
    assert not found("P504", rules(star % "allow, on: result, label: [x]"))


def test_the_whole_client_is_read_as_its_claims() -> None:
    assert found("P503", rules("id: d, effect: deny, when: 'client == {}'"))
    assert not found("P503", rules("id: d, effect: deny, when: client.agent == 'x'"))


def test_an_engine_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: Any = None) -> Any:
        if name == "python":
            raise ImportError
        return engine(name)

    monkeypatch.setattr(evaluation, "engine", absent)
    assert not found("P601", LINTS["P601"].bad)


def test_the_engine_that_refuses_is_named_at_the_place() -> None:
    (said,) = found("P601", LINTS["P601"].bad)
    assert 'where only the engine "python" is installed, this policy is refused: map() takes' in said


def test_flaws_are_in_the_order_of_files_and_lines() -> None:
    one = rules("id: a, effect: ask", "id: b, effect: ask", head="description: x")
    two = rules("id: c, effect: ask").replace("example", "two")
    places = [(one.file, one.line) for one in flaws(one, two, snapshot=None)]
    assert places == sorted(places)
    assert {source for source, _ in places} == {"0.yaml", "1.yaml"}


@each(
    ("first", "second", "told"),
    [
        ("limit: {calls: 5, per: 1h}", "limit: {calls: 5, per: 1h}", 1),
        ("limit: {calls: 5, per: 1h}", "limit: {calls: 4, per: 1h}", 1),
        ("limit: {calls: 5, per: 1h}", "limit: {calls: 5, per: 30m}", 1),
        ("limit: {calls: 5, per: 1h}, when: args.path == 'x'", "limit: {calls: 5, per: 1h}", 1),
        ("limit: {bytes: 5, per: session}", "limit: {bytes: 4, per: session}", 1),
        ("limit: {calls: 5, per: session}", "limit: {calls: 4, per: 1h}", 0),
        ("limit: {calls: 5, per: 60m}", "limit: {calls: 4, per: 61m}", 1),
        ("limit: {calls: 5, per: 1m}", "limit: {calls: 6, per: 60s}", 0),
        ("limit: {calls: 5, per: 1h}", "limit: {bytes: 4, per: 1h}", 0),
        ("limit: {units: 5, per: 1h, cost: 2}", "limit: {units: 4, per: 1h}", 0),
        ("limit: {units: 5, per: 1h, cost: args.n}", "limit: {units: 4, per: 1h, cost: args.n}", 1),
        ("limit: {calls: 5, per: 1h}", "limit: {calls: 4, per: 1h}, mode: shadow", 0),
        ("limit: {calls: 5, per: 1h}", "limit: {calls: 4, per: 1h}, when: args.path == 'x'", 0),
        ("limit: {calls: 5, per: 1h}, tools: [read]", "limit: {calls: 9, per: 1h}, tools: ['*']", 0),
    ],
)
def test_a_limit_is_idle_only_where_another_is_used_up_before_it(first: str, second: str, told: int) -> None:
    text = rules(
        f"id: a, effect: allow, server: files, {first}", f"id: b, effect: allow, server: files, {second}"
    )
    assert len(found("P105", text)) == told


def test_a_limit_into_which_no_call_fits_is_told() -> None:
    text = rules("id: a, effect: allow, server: files, limit: {units: 3, cost: 4, per: 1h}")
    assert found("P105", text) == ["5:50 rule a: no call can use it: a call costs 4, and 3 are allowed"]


def test_a_message_is_unread_only_where_no_rule_allows_a_tool_that_it_is_about() -> None:
    deny = "id: d, effect: deny, server: files, when: args.path == 'x', message: No."
    allow = "id: a, effect: allow, server: files"
    said = 'rule d: nobody reads it: no rule allows write, so a call gets "Unknown tool", as one of a missing tool does'
    for first, second, told in (
        (f"{deny}, tools: [write]", f"{allow}, tools: [read]", [said]),
        (f"{deny}, tools: ['wri*']", f"{allow}, tools: [read]", [said]),
        (f"{deny}, tools: [write]", f"{allow}, tools: [write], mode: shadow", [said]),
        (f"{deny}, tools: [write]", f"{allow}, on: result, label: [private]", [said]),
        (f"{deny}, tools: [write]", f"{allow}, action: [prompts/get]", [said]),
        (f"{deny}, tools: [write]", allow, []),
        (f"{deny}, tools: [write]", "id: a, effect: ask, server: '*'", []),
        (f"{deny}, tools: [gone]", f"{allow}, tools: [read]", []),
        (f"{deny}, tools: [write], mode: shadow", f"{allow}, tools: [read]", []),
        (f"{deny}, action: [prompts/get]", f"{allow}, tools: [read]", []),
        (f"{deny}, action: [tools/call, prompts/get]", f"{allow}, tools: [read]", []),
    ):
        assert [one.partition(" ")[2] for one in found("P106", rules(first, second))] == told, (first, second)
    for tools, told in ("[write]", [said]), ("['wri*']", []):
        text = rules(f"{deny}, tools: {tools}", f"{allow}, tools: [read]")
        assert [one.partition(" ")[2] for one in found("P106", text, snapshot=None)] == told, tools


def test_a_broad_exception_is_told_what_it_leaves_open() -> None:
    kept = "id: r, effect: allow, unredacted: [jwt]"
    for more, missing in (
        ("", "name the server and the tools,"),
        (", server: files", "name the tools,"),
        (", tools: [read]", "name the server,"),
        (", action: [prompts/get]", "name the server,"),
    ):
        (said,) = found("P509", rules(kept + more))
        assert missing in said
    for fine in (
        ", server: files, tools: [read]",
        ", server: files, action: [prompts/get]",
        ", when: args.a == 1",
    ):
        assert found("P509", rules(kept + fine)) == []


def test_an_exception_at_a_place_that_no_result_has_is_found() -> None:
    snapshot = json.loads(SNAPSHOT)
    for tool in snapshot["servers"]["files"]["tools"][:2]:
        tool["outputSchema"] = {
            "type": "object",
            "properties": {"rows": {"type": "array", "items": {"properties": {"a/b": {"type": "string"}}}}},
        }

    def nowhere(path: str, tools: str = "read, write", more: str = "") -> list[str]:
        kept = f"unredacted: [jwt, {{kind: jwt, path: {path}}}]"
        one = rules(f"id: r, effect: allow, server: files, tools: [{tools}], {kept}{more}")
        return found("P511", one, snapshot=json.dumps(snapshot))

    for path in ("/structuredContent/row", "/structuredContent/rows/0/b", "/structuredContent/rows/*/a"):
        assert "has anything here" in nowhere(path)[0]
    for path in (
        "/structuredContent",
        "/structuredContent/rows/*/a~1b",
        "/content/0/text",
        "/*/x",
        "/_meta/x",
    ):
        assert nowhere(path) == []
    assert nowhere("/structuredContent/row", "compare") == nowhere("/structuredContent/row", "absent") == []
    assert "begins with /content or /structuredContent or /_meta" in nowhere("/structured/row")[0]
    assert nowhere("/structured/row", "read", ", action: [tools/call, completion/complete]") == []
    away = rules("id: r, effect: allow, action: [prompts/get], unredacted: [{kind: jwt, path: /content/0}]")
    assert "begins with /messages or /description" in found("P511", away)[0]
    away = "id: r, effect: allow, tools: [read], unredacted: [{kind: jwt, path: /structuredContent/x}]"
    assert found("P511", rules(away), snapshot=None) == []


@each(
    ("deny", "told"),
    [
        ("server: files", True),
        ("server: 'f*', when: 'detect(args, \"secret\") != []'", True),
        ("server: '*', when: '(has(args.path) && secretName(args.path)) || secretName(args.uri)'", True),
        ("server: files, when: 'resource.uri == \"x\"'", True),
        ("server: files, when: '\"untrusted\" in session.labels'", True),
        ("server: files, on: result, when: 'findings != []'", True),
        ("server: files, action: [tools/call]", False),
        ("server: files, tools: ['*']", False),
        ("server: mail", False),
        ("server: files, when: 'args.path == \"x\"'", False),
        ("server: files, when: '!tool.annotations.readOnlyHint'", False),
    ],
)
def test_a_deny_for_calls_alone_is_told_where_more_is_allowed(deny: str, told: bool) -> None:
    text = rules("id: a, effect: allow, server: files, action: ['*']", f"id: d, effect: deny, {deny}")
    assert bool(found("P108", text)) is told
    calls = rules("id: a, effect: allow, server: files", f"id: d, effect: deny, {deny}")
    assert found("P108", calls) == []


def test_what_is_for_calls_alone_is_told_once_with_what_else_is_allowed() -> None:
    text = rules(
        "id: a, effect: allow, server: files, action: [tools/call, resources/read, prompts/get]",
        "id: b, effect: allow, server: files, action: [resources/read]",
        "id: c, effect: ask, server: files",
    )
    (said,) = found("P108", text)
    assert "also allows prompts/get and resources/read: add these to `action`" in said


@each(
    ("keys", "said"),
    [
        ("tools: ['write_*, delete_*']", 'write `tools: ["write_*", "delete_*"]`'),
        ("tools: [write|delete]", 'write `tools: ["write", "delete"]`'),
        ("tools: ['write_{file,dir}']", "`{` stands for itself"),
        ("tools: [a, '^write.*']", "patterns have `*`, `?` and `[abc]` only"),
        ("tools: ['!read']", "`!` stands for itself"),
        ("server: 'files mail'", 'write `server: ["files", "mail"]`'),
        ("server: [files, 'mail|web']", 'write `server: ["mail", "web"]`'),
        ("tools: ['a.b/c-d_e:*', '[!a]?']", ""),
    ],
)
def test_a_pattern_that_matches_no_name_is_told(keys: str, said: str) -> None:
    text = rules(
        f"id: a, effect: deny, {keys}" if "server" in keys else f"id: a, effect: deny, server: files, {keys}"
    )
    told = found("P405", text)
    assert (said in told[0]) if said else told == []
