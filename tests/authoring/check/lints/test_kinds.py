"""Lints on values that a condition can never find."""

from __future__ import annotations

import pytest

from tests.authoring.check.linting import found, rules

SNAPSHOT = """{"version": 1, "servers": {"files": {"tools": [
{"name": "read", "inputSchema": {"type": "object", "properties": {
  "path": {"type": "string"}, "lines": {"type": ["integer", "null"]}, "any": {}, "odd": {"type": "file"},
  "either": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
  "paths": {"type": "array", "items": {"type": "string"}}, "force": {"type": "boolean"},
  "open": {"anyOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "object"}]}}}},
{"name": "write", "inputSchema": {"type": "object", "properties": {
  "path": {"type": "array", "items": {"type": "integer"}}, "lines": {"type": "integer"}}}}]},
"mail": {"tools": []}}}"""


def said(when: str, code: str = "P206", more: str = "tools: [read]", server: str = "files") -> list[str]:
    text = rules(f"id: r, effect: allow, server: {server}, {more}, when: {when!r}")
    return [one.partition("rule r: ")[2] for one in found(code, text, snapshot=SNAPSHOT)]


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        (
            'principal.groups.contains("ops")',
            '`contains()` is for text, not for `principal.groups` (a list), so it always fails; write `"ops" in '
            "principal.groups`",
        ),
        (
            'session.labels == "private"',
            '`session.labels` (a list) never equals text, so this is always false; write `"private" in '
            "session.labels`",
        ),
        (
            '"private" != session.labels',
            'text never equals `session.labels` (a list), so this is always true; write `"private" in '
            "session.labels`",
        ),
        (
            "session.labels.contains(args.path)",
            "`contains()` is for text, not for `session.labels` (a list), so it always fails",
        ),
        ('args.lines == "3"', "`args.lines` (a number or null) never equals text, so this is always false"),
        ("size(args.lines) < 3", "`args.lines` (a number or null) has no size, so this always fails"),
        ("args.lines.size() < 3", "`args.lines` (a number or null) has no size, so this always fails"),
        ("args.path > 3", "`args.path` (text) and a number have no order, so `>` always fails"),
        ('"x" in args.path', "`in` needs a list on its right, not `args.path` (text), so it always fails"),
        (
            'args.lines in ["1", "2"]',
            "`args.lines` (a number or null) is never one of these, so this is always false",
        ),
        (
            "args.paths.exists(one, one == 3)",
            "`args.paths[…]` (text) never equals a number, so this is always false",
        ),
        ("principal.id == [args.path]", "`principal.id` (text) never equals a list, so this is always false"),
        ("principal.id == {}", ""),
        ("args.paths.all(one, one.matches('^a'))", ""),
        ("[args.path].exists(one, one == 3)", ""),
        (
            "args.any == 3 || args.odd == 3 || args.either == 3 || args.open.a == 3",
            "`args.either` (a list or text) never equals a number, so this is always false",
        ),
        ('args.either == "a" || args.either.contains("a")', ""),
        ("args.lines == null || args.lines + 1 > 2 || -args.lines > 3", ""),
        ("has(args.force) && args.force && args.force == true", ""),
        ('principal.claims.role == 3 || principal.id in ["a"] || size(args.paths) == 2', ""),
        ('now > timestamp("2026-01-01T00:00:00Z") && now.getHours() > 9', ""),
        ('hostIn(args.path, ["example.com"]) == true && url(args.path).host == "a"', ""),
        ('string(args.lines) == "3" && session.calls < 5 && "a" in session.facts', ""),
        ("args.paths.map(one, one)[0] == 3", ""),
        ('args.lines in [1, "a"] || args.lines in args.paths', ""),
    ],
)
def test_what_never_fits_is_said(when: str, sentence: str) -> None:
    assert said(when) == [sentence] * bool(sentence)


def test_the_kinds_of_an_argument_are_those_in_all_tools_of_the_rule() -> None:
    assert said('args.path == "a"', more="tools: [read, write]") == []
    (one,) = said("args.path == true", more="tools: [read, write]")
    assert one == "`args.path` (a list or text) never equals true or false, so this is always false"
    assert said("args.force == 3", more="tools: [read, write]") == []
    assert said("args.path == 3", more="action: [resources/read]") == []
    assert said("args.path == 3", more="tools: [gone]") == []
    assert said("args.path == 3", server="other") == []


def test_params_are_read_with_their_values() -> None:
    head = "owner: ada\nparams: {repos: {type: strings, default: [/srv]}}"
    text = rules(
        "id: r, effect: allow, server: files, tools: [read], when: 'args.path == params.repos'", head=head
    )
    (one,) = found("P206", text)
    assert one.endswith("rule r: `args.path` (text) never equals a list, so this is always false")


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ('server == "db"', "`server` is never `db`, since the rule is for files"),
        ('"db" == server', "`server` is never `db`, since the rule is for files"),
        ('server in ["db", "files"]', ""),
        ('server in ["db", args.path]', ""),
        ('server == args.path || server != "db" || [server] == ["db"]', ""),
        (
            'tool.name in ["raed", "rite"]',
            "`tool.name` is never `raed` or `rite`, since the rule is for read; did you mean `read`?",
        ),
        ('tool.title == "raed" || tool.name == "read"', ""),
        (
            'action == "tools/list"',
            "`action` is never `tools/list`, since the rule is for tools/call; did you mean `tools/call`?",
        ),
    ],
)
def test_a_name_that_the_rule_does_not_match_is_said(when: str, sentence: str) -> None:
    assert said(when, "P207") == [sentence] * bool(sentence)


def test_a_rule_for_all_tools_may_compare_with_any() -> None:
    assert said('tool.name == "raed"', "P207", "mode: enforce") == []


def test_what_the_python_engine_cannot_parse_is_not_read() -> None:
    assert said("args.path in [1, 2,]") == []
