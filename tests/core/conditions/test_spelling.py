"""Arguments that a program may take for others are refused before any rule is evaluated (law 4)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from mcpguard.core.conditions import spelling
from mcpguard.core.conditions.spelling import TOO_MUCH, Spelling, folded, inherited
from mcpguard.core.model import Cause, Deny, Invocation, Listed, Permit, Principal
from mcpguard.core.policy import pdp
from mcpguard.core.policy.session import Session
from tests.core.policy.test_obligations import policies
from tests.rows import each

SAME = "The arguments are ambiguous: {} has a member that some servers read as `{}`; send only `{}`."
READ = "has a member whose name is nearly one that a rule reads"
ALIKE = "has two members that some servers read as one"


def properties(**parts: Any) -> dict[str, Any]:
    return {"type": "object", "properties": parts}


def call(
    args: dict[str, Any], schema: Any = None, method: str = "tools/call", kind: str = "tool", **about: Any
) -> Invocation:
    facts = {"inputSchema": schema, **about} if kind == "tool" else about
    target = Listed("s", "t", "s__t", {}, facts, json.dumps(facts), kind)
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return Invocation("i", method, Principal("1000", "os-user"), now, None, "s", target, args, {"a": args})


def said(schema: Any, args: dict[str, Any], *texts: str, names: tuple[str, ...] = ()) -> str:
    return Spelling(texts, names).ambiguous(call(args, schema))


def refusal(where: str, name: str) -> str:
    return SAME.format(where, name, name)


@each(
    "name",
    [
        *(
            "Path",
            "PATH",
            "pAtH",
            "path\0",
            "path\0x",
            "path ",
            " path",
            "path\u200b",
            "pa\u00adth",
            "path\t",
        ),
        *("\uff50\uff41\uff54\uff48", "path_", "pa-th", "path\u3164", "path\ufeff"),
    ],
)
def test_a_member_that_programs_take_for_a_listed_one_is_refused(name: str) -> None:
    schema = properties(path={"type": "string"})
    assert said(schema, {"path": "/a", name: "/b"}) == refusal("the call", "path")
    assert said(schema, {name: "/b"}) == refusal("the call", "path")


@each(
    ("listed", "sent"),
    [
        ("skip", "\u017fkip"),
        ("skip", "s\u212aip"),
        ("filePath", "file_path"),
        ("file_path", "filePath"),
        ("file-path", "filepath"),
        ("id", "\u0130d"),
        ("id", "\u0131d"),
        ("line2", "line_2"),
    ],
)
def test_names_are_compared_as_go_dotnet_jackson_and_protojson_compare_them(listed: str, sent: str) -> None:
    assert said(properties(**{listed: {}}), {sent: 1}) == refusal("the call", listed)


@each(
    ("schema", "args"),
    [
        (properties(a={}, A={}), {"a": 1, "A": 2}),
        (properties(id={}), {"id": 1, "_id": 2}),
        (properties(id={}, **{"10_1": {}}), {"101": 2}),
        (properties(a={}), {"a": 1, "b": 2, "c": {"A": 1, "a": 2}}),
        (properties(env={"type": "object"}), {"env": {"PATH": "x", "Path": "y"}}),
        (properties(env={"additionalProperties": {"type": "string"}}), {"env": {"PATH": "x", "Path": "y"}}),
        (properties(a={"items": {}}), {"a": [{"x": 1, "X": 2}, 3]}),
        (properties(a={}), {"a": [{"x": 1, "X": 2}]}),
        (properties(a={"items": properties(x={})}), {"a": [{"x": 1}, 3, {"y": [1]}]}),
        ({"allOf": [properties(a={}), properties(A={})]}, {"a": 1, "A": 2}),
        ({"type": "object"}, {"a": 1, "A": 2}),
        ({"properties": [], "allOf": {}, "items": 3}, {"a": 1, "A": [{}]}),
        (None, {"a": {"b": 1}, "A": 2}),
        ("schema", {"a": 1}),
    ],
)
def test_what_a_schema_lists_and_what_nothing_is_known_of_is_free(schema: Any, args: dict[str, Any]) -> None:
    assert said(schema, args) == ""


NESTED = {
    "$defs": {"o": properties(force={})},
    **properties(
        o={"$ref": "#/$defs/o"},
        list={"items": {"$ref": "#/$defs/o"}},
        old={"items": [properties(force={})]},
        pair={"prefixItems": [properties(force={})]},
        map={"additionalProperties": properties(force={})},
        named={"patternProperties": {"^x": properties(force={})}},
        choice={"anyOf": [properties(force={}), {"type": "object"}]},
        either={"if": {}, "then": properties(force={})},
        needed={"dependentSchemas": {"x": properties(force={})}},
        deep={"oneOf": [{"allOf": [{"$ref": "#/$defs/o"}]}]},
    ),
}


@each(
    ("args", "where"),
    [
        ({"o": {"Force": 1}}, "`o`"),
        ({"list": [{}, {"Force": 1}]}, "`list[1]`"),
        ({"old": [{"Force": 1}]}, "`old[0]`"),
        ({"pair": [{"Force": 1}]}, "`pair[0]`"),
        ({"map": {"any": {"Force": 1}}}, "`map.*`"),
        ({"named": {"xy": {"Force": 1}}}, "`named.*`"),
        ({"choice": {"Force": 1}}, "`choice`"),
        ({"either": {"Force": 1}}, "`either`"),
        ({"needed": {"Force": 1}}, "`needed`"),
        ({"deep": {"Force": 1}}, "`deep`"),
    ],
)
def test_names_are_compared_at_each_depth(args: dict[str, Any], where: str) -> None:
    assert said(NESTED, args) == refusal(where, "force")


def test_a_schema_that_refers_to_itself_is_read_as_deep_as_the_arguments_are() -> None:
    tree = {"properties": {"next": {"$ref": "#"}, "v": {}}}
    assert said(tree, {"next": {"next": {"v": 1}}}) == ""
    assert said(tree, {"next": {"next": {"V": 1}}}) == refusal("`next.next`", "v")


def test_two_members_that_are_not_listed_must_not_be_alike_where_others_are() -> None:
    assert ALIKE in said(properties(a={}), {"b": 1, "B": 2})
    assert said(properties(), {"b": 1, "B": 2}) == ""


def test_a_name_that_only_a_rule_reads_is_compared_as_well() -> None:
    for schema in ({}, properties(path={}), None):
        assert READ in said(schema, {"path": "/x", "Force": True}, "has(args.force) && args.force")
        assert said(schema, {"path": "/x", "force": True}, "has(args.force) && args.force") == ""
    reads = 'args.opts["force"] == true || args.list[0].x == 1 || server == "s"'
    assert READ in said({}, {"opts": {"FORCE": True}}, reads)
    assert READ in said({}, {"list": [{"X": 1}]}, reads)
    assert said({}, {"opts": {"a": 1, "A": 2}, "other": {"FORCE": 1}}, reads) == ""
    assert READ in said({}, {"Limit": 9}, names=("limit",))


def test_two_names_that_rules_read_are_two_but_not_in_one_object() -> None:
    reads = "args.id == 1 || args.ID == 2"
    assert said({}, {"id": 1}, reads) == said({}, {"ID": 1}, reads) == ""
    assert READ in said({}, {"Id": 1}, reads)
    assert ALIKE in said(properties(a={}), {"id": 1, "ID": 1}, reads)


@each(
    ("method", "args", "expected"),
    [
        ("prompts/get", {"topic": "x"}, ""),
        ("prompts/get", {"topic": "x", "Topic": "y"}, refusal("the call", "topic")),
        ("completion/complete", {"argument": {"name": "topic", "value": "x"}}, ""),
        ("completion/complete", {"argument": {"name": "t", "Value": "x"}}, refusal("`argument`", "value")),
        (
            "completion/complete",
            {"argument": {}, "context": {"arguments": {"Topic": "x"}}},
            refusal("`context.arguments`", "topic"),
        ),
    ],
)
def test_the_arguments_of_prompts_are_compared_with_those_that_these_list(
    method: str, args: dict[str, Any], expected: str
) -> None:
    asked = call(args, None, method, "prompt", arguments=[{"name": "topic"}, 3, {"name": 4}])
    assert Spelling((), ()).ambiguous(asked) == expected


def test_a_prompt_or_a_template_that_lists_no_arguments_takes_any() -> None:
    for kind in ("prompt", "template"):
        assert Spelling((), ()).ambiguous(call({"a": "x", "A": "y"}, None, "prompts/get", kind)) == ""


def test_a_request_that_is_about_no_target_is_compared_with_what_rules_read() -> None:
    asked = structs.replace(call({"Force": True}, None, "acme/do"), target=None)
    assert READ in Spelling(("args.force",), ()).ambiguous(asked)
    assert Spelling((), ()).ambiguous(asked) == ""


@each(
    ("args", "refused"),
    [
        ({"__proto__": {"force": True}}, True),
        ({"a": [{"b": {"__proto__": 1}}]}, True),
        ({"env": {"constructor": {"prototype": {"force": True}}}}, True),
        ({"constructor": "prototype"}, False),
        ({"constructor": {"name": "x"}, "text": ["__proto__", 1]}, False),
    ],
)
def test_members_that_change_other_objects_in_javascript_are_refused(
    args: dict[str, Any], refused: bool
) -> None:
    assert ("leave it out" in inherited(args)) is refused
    verdict = pdp.decide(policies("id: a, effect: allow"), call(args, {"type": "object"}))
    assert isinstance(verdict, Deny) is refused


def test_no_message_holds_a_name_that_the_schema_does_not_have() -> None:
    for args in ({"SECRET": 1}, {"o": {"SECRET": {"a": 1, "A": 2}}}, {"x" * 1_001: 1}):
        given = said(properties(secret={}, o={"additionalProperties": properties(b={})}), args)
        assert given.startswith("The arguments are ambiguous")
        assert "SECRET" not in given
        assert "xxx" not in given


def test_however_long_names_are_or_many_a_search_ends() -> None:
    listing = properties(a={}, list={"items": properties(b={})})
    assert "more than 1000 characters" in said(listing, {"y" * 1_001: 1})
    assert said(listing, {f"n{n}": n for n in range(spelling.STEPS // 2)}) == TOO_MUCH
    assert said(listing, {"list": [{"b": 1}] * spelling.STEPS}) == TOO_MUCH
    wide = {"anyOf": [{"properties": {"a": {}}} for _ in range(spelling.STEPS)]}
    assert said(wide, {"b": 1}) == TOO_MUCH


def test_what_is_kept_of_targets_is_limited() -> None:
    kept = Spelling((), ())
    for n in range(spelling.CACHE_LIMIT + 1):
        kept.ambiguous(call({}, properties(**{f"a{n}": {}})))
    assert len(kept.plain) <= spelling.CACHE_LIMIT


def test_a_name_that_is_folded_twice_stays_as_it_is() -> None:
    for name in ("filePath", "_id", "10_1", "\u0130d", "a-", "-", "", "\ud800x", "__proto__"):
        assert folded(folded(name)) == folded(name)


def test_a_decision_refuses_what_is_ambiguous_and_later_calls_are_compared_by_names_alone() -> None:
    rules, schema = (
        policies("id: a, effect: allow"),
        properties(path={"type": "string"}, o=properties(force={})),
    )
    facts = {"inputSchema": schema}
    target = Listed("s", "t", "s__t", {}, facts, "d")

    def decided(args: dict[str, Any]) -> Any:
        asked = call(args)
        return pdp.decide(
            rules,
            Invocation(
                "i", "tools/call", asked.principal, asked.now, None, "s", target, args, {"arguments": args}
            ),
        )

    for _ in range(2):
        assert isinstance(decided({"path": "/a"}), Permit)
        refused = decided({"path": "/a", "Path": "/b"})
        assert isinstance(refused, Deny)
        assert refused.cause is Cause.ARGUMENTS
        assert refused.message == refusal("the call", "path")
        assert isinstance(decided({"o": {"Force": 1}}), Deny)


def test_what_a_rule_sets_cannot_be_sent_under_another_spelling() -> None:
    rules = policies("id: a, effect: allow, argument: {force: false}")
    verdict = pdp.decide(rules, call({"Force": True}, {"type": "object"}))
    assert isinstance(verdict, Deny)
    assert READ in verdict.message


# --- what rules read and a tool does not have -------------------------------------------------------


def wanted(schema: Any, args: dict[str, Any], *deciding: str) -> str:
    return Spelling((), (), deciding).ambiguous(call(args, schema))


def absent(name: str, known: str = "It has no arguments", where: str = "The tool has no argument") -> str:
    return f"{where} `{name}`, which a rule reads; leave it out. {known}."


OWNER = 'args.owner == "acme"'


@each(
    ("schema", "known"),
    [
        (properties(gist_id={}), "The arguments are: gist_id"),
        (properties(b={}, a={}), "The arguments are: a, b"),
        (properties(), "It has no arguments"),
        ({**properties(), "additionalProperties": {"not": {}}}, "It has no arguments"),
        ({**properties(), "patternProperties": {"^x-": {}, "(?=owner)": {}}}, "It has no arguments"),
        ({"allOf": [properties(a={}), {"type": "object"}]}, "The arguments are: a"),
        (properties(**{"n" * 400: {}}), f"The arguments are: {'n' * 300}"),
    ],
)
def test_an_argument_that_a_rule_reads_and_the_tool_does_not_have_is_refused(schema: Any, known: str) -> None:
    assert wanted(schema, {"owner": "acme"}, OWNER) == absent("owner", known)
    assert wanted(schema, {"page": 1}, OWNER) == ""


@each(
    "schema",
    [
        None,
        {"type": "object"},
        {"properties": "none"},
        properties(owner={}),
        {"allOf": [properties(a={}), properties(owner={})]},
        {**properties(a={}), "additionalProperties": True},
        {**properties(a={}), "additionalProperties": {"type": "string"}},
        {**properties(a={}), "unevaluatedProperties": True},
        {**properties(a={}), "patternProperties": {"^x-": {}, "^own": {}}},
    ],
)
def test_where_a_schema_lists_it_describes_others_or_lists_nothing_it_is_free(schema: Any) -> None:
    assert wanted(schema, {"owner": "acme"}, OWNER) == ""


@each(
    "condition",
    [
        OWNER,
        '!has(args["owner"]) || true',
        '"owner" in args && size(args) == 2',
        'texts(args, ["path", "owner"]).all(t, t == "acme")',
        'pathWithin(texts(args, [], "owner"), "/srv")',
        'args.files.all(file, file.owner == "acme")',
        'args.files.exists(file, "a" in file.owner)',
        "args.owner",
    ],
)
def test_each_way_to_read_an_argument_counts(condition: str) -> None:
    assert wanted(properties(a={}), {"owner": "acme"}, condition) == absent("owner", "The arguments are: a")


@each("condition", ['tool.owner == "acme"', 'args.path == "owner"', "sql(args.q).writes", "size(args) == 1"])
def test_what_is_read_of_something_else_does_not(condition: str) -> None:
    for name in ("owner", "writes"):
        assert wanted(properties(a={}), {name: "acme"}, condition) == ""


def test_what_a_rule_reads_has_to_be_in_the_schema_at_each_depth() -> None:
    schema = properties(o=properties(a={}), files={"items": properties(path={})}, free={"type": "object"})
    read = 'args.o.force == true || args.files.all(f, f.owner == "acme")'
    assert wanted(schema, {"o": {"force": True}}, read) == absent(
        "force", "The members are: a", "`o` has no member"
    )
    assert wanted(schema, {"files": [{"path": "x"}, {"path": "x", "owner": "acme"}]}, read) == absent(
        "owner", "The members are: path", "`files[1]` has no member"
    )
    assert wanted(schema, {"free": {"force": True, "owner": "x"}}, read) == ""


def test_an_argument_that_a_prompt_does_not_list_is_no_argument_of_it() -> None:
    spelling, args = Spelling((), (), (OWNER,)), {"owner": "acme"}
    listed = call(args, None, "prompts/get", "prompt", arguments=[{"name": "topic"}])
    assert spelling.ambiguous(listed) == absent(
        "owner", "The arguments are: topic", "The prompt has no argument"
    )
    for arguments in ([], [3], None):
        silent = call(args, None, "prompts/get", "prompt", arguments=arguments)
        assert spelling.ambiguous(silent) == ""
    completed = {"argument": {"name": "v", "value": "a"}, "context": {"arguments": args}}
    for kind, refused in (("prompt", True), ("template", False)):
        asked = call(completed, None, "completion/complete", kind, arguments=[{"name": "topic"}])
        assert bool(spelling.ambiguous(asked)) is refused


def test_a_near_name_is_refused_as_one_first() -> None:
    assert wanted(properties(path={}), {"Path": "/x"}, "args.Path == args.path") == refusal(
        "the call", "path"
    )


def test_patterns_for_names_are_bounded() -> None:
    many = {**properties(), "patternProperties": {f"^x{n}": {} for n in range(spelling.STEPS)}}
    assert wanted(many, {"owner": "acme"}, OWNER) == TOO_MUCH


@each(
    "rules",
    [
        ("id: a, effect: allow, when: args.owner == 'acme'",),
        ("id: a, effect: allow", "id: d, effect: deny, when: '!has(args.owner)'"),
        ("id: a, effect: allow", "id: d, effect: ask, when: '!has(args.owner)'"),
        ("id: a, effect: allow, limit: {units: 9, per: 1h, cost: args.owner}",),
        ("id: a, effect: allow", "id: r, effect: deny, on: result, when: '!has(args.owner)'"),
    ],
)
def test_no_rule_is_decided_by_an_argument_that_the_tool_does_not_have(rules: tuple[str, ...]) -> None:
    verdict = pdp.decide(policies(*rules), call({"owner": "acme"}, properties(a={})), Session())
    assert isinstance(verdict, Deny)
    assert (verdict.cause, verdict.message) == (
        Cause.ARGUMENTS,
        absent("owner", "The arguments are: a"),
    )


@each(
    "rules",
    [
        ("id: a, effect: allow",),
        ("id: a, effect: allow", "id: d, effect: deny, mode: shadow, when: has(args.owner)"),
        ("id: a, effect: allow", "id: d, effect: deny, tools: [other], when: has(args.owner)"),
    ],
)
def test_what_no_rule_in_force_reads_passes_on(rules: tuple[str, ...]) -> None:
    assert isinstance(pdp.decide(policies(*rules), call({"owner": "acme"}, properties(a={}))), Permit)


def test_a_rule_may_set_what_the_schema_does_not_list() -> None:
    rules = policies("id: a, effect: allow, when: '!has(args.owner) || true', argument: {owner: acme}")
    verdict = pdp.decide(rules, call({"a": 1}, properties(a={})))
    assert isinstance(verdict, Permit)
    assert verdict.invocation.args == {"a": 1, "owner": "acme"}
    assert isinstance(pdp.decide(rules, call({"owner": "x"}, properties(a={}))), Deny)
