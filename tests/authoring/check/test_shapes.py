"""What looks right in a condition and is passed by another spelling is reported, and what is right is not."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mcpguard.authoring.check.lints import LintSubject, lint
from mcpguard.authoring.snapshot import read_snapshot
from mcpguard.core.policy.compiled import compile_policy

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def codes(
    when: str, effect: str = "allow", more: str = "", beside: str = "", snapshot: str = ""
) -> list[str]:
    rule = f"  - id: r\n    effect: {effect}\n    server: files\n    tools: [read]\n{more}    when: |\n      {when}\n"
    policy = compile_policy(f"version: 1\npolicy: p\nowner: o\nrules:\n{rule}{beside}", "p.yaml", frozenset())
    offered = read_snapshot(snapshot, "s.json") if snapshot else None
    found = lint(LintSubject([policy], NOW, {"files": True}, None, offered))
    return [one.code for one in found if one.code.startswith("P7")]


def _snapshot(properties: dict[str, Any]) -> str:
    tool = {"name": "read", "inputSchema": {"type": "object", "properties": properties}}
    return json.dumps({"version": 1, "servers": {"files": {"tools": [tool]}}})


@pytest.mark.parametrize(
    "when",
    [
        "args.path.startsWith('/srv/')",
        "args.a.filePath.endsWith('.md')",
        "!args.target_file.contains('..')",
        "args.url.matches('https://docs')",
        "args.uri.matches('^https://docs')",
        "has(args.command) && args.command.startsWith('git ')",
        "args.sql.matches(args.pattern)",
        "args.cwd.startsWith('/srv')",
    ],
)
def test_a_text_comparison_of_what_programs_read_otherwise_is_reported(when: str) -> None:
    assert codes(when) == ["P701"]


@pytest.mark.parametrize(
    "when",
    [
        "pathWithin(args.path, '/srv')",
        "args.path == '/srv/a'",
        "args.command.matches('^(make|npm) test$')",
        "args.title.startsWith('x') && tool.name.contains('path')",
        "args.pathology.contains('x')",
        "principal.claims.url.startsWith('x')",
        "json(args.text).path.startsWith('x')",
        "args.path.size() > 1",
        "'x'.startsWith(args.path)",
    ],
)
def test_what_is_not_known_to_be_read_otherwise_is_not_reported(when: str) -> None:
    assert codes(when) == []


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("args.path.startsWith('/etc/')", ["P701"]),
        ("!args.path.startsWith('/srv/')", ["P701"]),
        ("args.path.matches('^/etc/')", ["P701"]),
        ("!args.path.matches('^/srv/[a-z]+$')", []),
        ("args.path.contains('..') || args.path.matches('[.]env')", []),
        ("args.path.startsWith('/etc/') || !pathWithin(args.path, '/srv')", []),
        ("args.paths.exists(p, p.endsWith('.pem')) || secretName(texts(args, ['paths']))", []),
        ("args.paths.exists(p, p.endsWith('.pem'))", ["P701"]),
    ],
)
def test_a_deny_is_reported_where_another_spelling_is_not_refused(when: str, expected: list[str]) -> None:
    assert codes(when, "deny") == expected
    assert codes(when, "ask") == expected


def test_a_rule_on_results_is_not_reported() -> None:
    assert codes("args.path.startsWith('..')", more="    on: result\n    label: [x]\n") == []


@pytest.mark.parametrize(
    ("effect", "when", "expected"),
    [
        ("allow", "args.branch != 'main'", ["P704"]),
        ("allow", "!(args.branch in ['main', 'master'])", ["P704"]),
        ("allow", "'main' != args.base_branch", ["P704"]),
        ("deny", "args.ref == 'main'", ["P704"]),
        ("deny", "has(args.branch) && args.branch in ['main']", ["P704"]),
        ("deny", "args.files.exists(f, f == '/etc/passwd')", ["P704"]),
        ("deny", "args.path == '/etc/passwd' || obeyedFile(args.path)", []),
        ("deny", "args.url == 'https://evil.example/'", ["P704"]),
        ("allow", "args.branch in ['agent/a']", []),
        ("deny", "!(args.branch in ['agent/a'])", []),
        ("deny", "args.branch == ''", []),
        ("deny", "args.title == 'main' || args.database == 'x'", []),
        ("deny", "args.mode in args.branch", []),
    ],
)
def test_the_exclusion_of_one_spelling_is_reported(effect: str, when: str, expected: list[str]) -> None:
    assert codes(when, effect) == expected


@pytest.mark.parametrize(
    ("effect", "when", "expected"),
    [
        ("deny", "has(args.force) && args.force == true", ["P705"]),
        ("allow", "args.force != true", ["P705"]),
        ("allow", "!(true == args.force)", ["P705"]),
        ("deny", "args.force", []),
        ("deny", "args.force != false", []),
        ("allow", "args.force == true", []),
        ("allow", "args.force == false || !has(args.force)", []),
    ],
)
def test_the_exclusion_of_true_alone_is_reported(effect: str, when: str, expected: list[str]) -> None:
    assert codes(when, effect) == expected


@pytest.mark.parametrize(
    ("kind", "expected"), [({"type": "boolean"}, []), ({"type": "string"}, ["P705"]), (True, ["P705"])]
)
def test_a_flag_that_a_schema_declares_is_not_reported(kind: Any, expected: list[str]) -> None:
    snapshot = _snapshot({"force": kind})
    assert codes("has(args.force) && args.force == true", "deny", snapshot=snapshot) == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("shell(args.text).commands[0].program == 'ls' && shell(args.text).simple", ["P702"]),
        ("sql(args.text, 'postgres').kinds[1] == 'select' && !sql(args.text, 'postgres').writes", ["P702"]),
        ("shell(args.text).programs.exists(p, p == 'ls') && shell(args.text).unknown == []", ["P702"]),
        ("shell(args.text).commands.all(c, c.program == 'ls') && shell(args.text).simple", []),
        ("shell(args.text).programs.all(p, p == 'ls')", ["P706"]),
        ("shell(args.text).commands.all(c, c.program == 'ls')", ["P706"]),
        ("shell(args.text).substitutions", []),
        ("sql(args.text, 'postgres').kinds == ['select']", ["P707"]),
        ("sql(args.text, 'postgres').tables == ['a']", []),
        ("glob(args.path, '/srv/*')", ["P708"]),
        ("glob(texts(args, ['files'])[0], '/srv/*')", ["P708"]),
        ("glob(args.title, 'a*')", []),
        ("glob(args.path, '/srv/*') && pathWithin(args.path, '/srv')", []),
        ("args.commands[0] == 'a' || args['commands'] == []", []),
    ],
)
def test_a_reading_that_is_used_by_half_is_reported(when: str, expected: list[str]) -> None:
    assert codes(when) == expected


def test_what_a_deny_beside_it_refuses_is_not_reported() -> None:
    beside = "  - {id: d, effect: deny, server: files, when: '!shell(args.text).simple'}\n"
    assert codes("shell(args.text).programs.all(p, p == 'ls')", beside=beside) == []
    elsewhere = beside.replace("server: files", "server: mail")
    assert codes("shell(args.text).programs.all(p, p == 'ls')", beside=elsewhere) == ["P706"]


TWO = _snapshot({"source": {}, "destination": {}, "note": {}})


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("pathWithin(args.source, '/srv')", ["P709"]),
        ("pathWithin(args.source, '/srv') && pathWithin(args.destination, '/srv')", []),
        ("pathWithin(texts(args, ['source', 'destination']), '/srv')", []),
        ("pathWithin(texts(args, ['source']), '/srv')", ["P709"]),
        ("size(args) < 3", []),
        ("args.note != ''", []),
    ],
)
def test_a_path_that_no_rule_looks_at_is_reported(when: str, expected: list[str]) -> None:
    assert codes(when, snapshot=TWO) == expected


def test_a_path_that_another_rule_looks_at_is_not_reported() -> None:
    beside = "  - {id: d, effect: deny, server: '*', when: '!pathWithin(args.destination, \"/srv\")'}\n"
    assert codes("pathWithin(args.source, '/srv')", beside=beside, snapshot=TWO) == []
