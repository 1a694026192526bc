"""What looks right in a condition and is passed by another spelling is reported, and what is right is not."""

import json
from typing import Any

import pytest

from tests.authoring.check.linting import codes, found, offering, rules
from tests.rows import each


@each(
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
        "string(args.path).startsWith('/srv/')",
        "args['path'].startsWith('/srv/')",
        "args.src.startsWith(params.root)",
        "args.target.startsWith('/srv/')",
        "args.place.startsWith('~/notes')",
        "args.path.matches('^/srv/.*$')",
        "args.path.matches('^/srv/[a-z./]+$')",
        "args.path.matches('^/srv/[^*]+$')",
        "args.endpoint.startsWith('https://api.example')",
        "args.url.matches('^https://.*[.]example[.]com/.*$')",
        "args.url.matches('^https://docs.example.com/.*$')",
        "args.url.matches('^https://[^/]+[.]example[.]com/x$')",
        "args.url.matches('^.*[.]example[.]com$')",
        "resource.uri.startsWith('file:///srv/')",
        "args.host.endsWith('.example.com')",
        "args.command.matches('^git .*$')",
        "args.command.matches('^ls [^|]+$')",
        "!args.command.contains('rm')",
        "!args.command.matches('rm')",
        "args.query.startsWith('SELECT')",
        "args.sqlQuery.matches('(?i)^select')",
        "args.to.endsWith('@example.com')",
        "args.recipients.all(one, one.endsWith('@example.com'))",
        "url(args.link).host.endsWith('example.com')",
        "url(args.link).host.contains('example')",
    ],
)
def test_a_text_comparison_of_what_programs_read_otherwise_is_reported(when: str) -> None:
    assert codes(when) == ["P701"]


@each(
    "when",
    [
        "pathWithin(args.path, '/srv')",
        "args.path == '/srv/a'",
        "args.command.matches('^(make|npm) test$')",
        "args.path.matches('^/srv/[a-z]+$') && args.path.endsWith('.md')",
        "args.path.matches('^/srv/[^.]*$')",
        "args.path.matches('(?i)^/srv/[a-z]+$')",
        "args.url.matches('^https://docs[.]example[.]com/.*$')",
        "args.url.matches('^(https?)://[a-z-]+[.]example[.]com/.*$')",
        "args.command.matches('^ls [^;&|<>$`]*$')",
        "args.query.startsWith('how to')",
        "args.profile.startsWith('x')",
        "args.text.startsWith('/help')",
        "args.to.endsWith('Smith')",
        "url(args.link).host.endsWith('.example.com')",
        "url(args.link).host.endsWith(params.suffix)",
        "url(args.link).host == 'example.com'",
        "url(args.link).host.size() > 3",
        "args.title.startsWith('x') && tool.name.contains('path')",
        "args.pathology.contains('x')",
        "principal.claims.url.startsWith('x')",
        "json(args.text).path.startsWith('x')",
        "args.path.size() > 1",
    ],
)
def test_what_is_not_known_to_be_read_otherwise_is_not_reported(when: str) -> None:
    assert codes(when) == []


@each(
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
        ("args.command.contains('rm -rf')", ["P701"]),
        ("args.command.matches('rm')", ["P701"]),
        ("args.command.contains('sudo') || shell(args.command).code", []),
        ("args.query.contains('DROP')", ["P701"]),
        ("args.url.contains('169.254.169.254')", ["P701"]),
        ("args.url.contains('169.254.169.254') || isPrivateHost(args.url)", []),
        ("args.note.contains('DROP')", []),
        ("args.to.contains('@evil.example')", []),
        ("!url(args.link).host.endsWith('example.com')", ["P701"]),
        ("url(args.link).host.contains('evil')", []),
    ],
)
def test_a_deny_is_reported_where_another_spelling_is_not_refused(when: str, expected: list[str]) -> None:
    assert codes(when, "deny") == expected
    assert codes(when, "ask") == expected


def test_a_rule_on_results_is_not_reported() -> None:
    assert codes("args.path.startsWith('..')", more="    on: result\n    label: [x]\n") == []


@each(
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
        ("allow", "args.branch_name != 'main'", ["P704"]),
        ("allow", "args.targetBranch != 'main'", ["P704"]),
        ("deny", "args.branch.matches('^main$')", ["P704"]),
        ("deny", "args.branch.startsWith('release')", ["P704"]),
        ("allow", "!args.branch.startsWith('release')", ["P704"]),
        ("allow", "args.branch.startsWith('agent/')", []),
        ("deny", "args.branch.matches('^(refs/heads/)?main$')", []),
        ("deny", "args.branch.endsWith('main')", []),
        ("deny", "resource.uri == 'file:///etc/passwd'", ["P704"]),
    ],
)
def test_the_exclusion_of_one_spelling_is_reported(effect: str, when: str, expected: list[str]) -> None:
    assert codes(when, effect) == expected


@each(
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
    snapshot = offering({"force": kind})
    assert codes("has(args.force) && args.force == true", "deny", snapshot=snapshot) == expected


@each(
    ("when", "expected"),
    [
        ("glob(args.path, '/srv/*')", ["P708"]),
        ("glob(texts(args, ['files'])[0], '/srv/*')", ["P708"]),
        ("glob(args.url, 'https://*.example.com/*')", ["P708"]),
        ("glob(args.command, 'git *')", ["P708"]),
        ("glob(args.title, 'a/path')", []),
        ("glob(args.path, '/srv/*') && pathWithin(args.path, '/srv')", []),
        ("glob(args.url, 'https://*/*') && hostIn(args.url, ['example.com'])", []),
    ],
)
def test_a_glob_of_what_programs_read_otherwise_is_reported(when: str, expected: list[str]) -> None:
    assert codes(when) == expected


@each(
    ("name", "expected"),
    [
        ("files__read_*", ["P703"]),
        ("mcp__files__read", ["P703"]),
        ("gone__read", []),
        ("files__", []),
        ("read_files", []),
    ],
)
def test_the_name_of_a_server_in_the_name_of_a_tool_is_reported(name: str, expected: list[str]) -> None:
    assert codes("args.id == 1", tools=name) == expected


@each(
    ("when", "better"),
    [
        ('args.uri.startsWith("file:///srv/data/")', "use pathWithin(filePath(…), …)"),
        ('args.uri.matches("^file:///srv/.*")', "use pathWithin(filePath(…), …)"),
        ('glob(args.uri, "file:///srv/*")', "use pathWithin(filePath(…), …) too"),
        ('args.uri.startsWith("https://example.com")', "use hostIn() or url()"),
    ],
)
def test_the_path_of_a_uri_of_a_file_is_proposed(when: str, better: str) -> None:
    rule = f"id: r, effect: allow, server: files, action: [resources/read], when: {json.dumps(when)}"
    told = found("P701", rules(rule)) + found("P708", rules(rule))
    assert [better in one for one in told] == [True]


def test_a_deny_that_reads_the_path_of_a_uri_is_not_reported() -> None:
    when = 'args.uri.startsWith("file:") && secretName(filePath(args.uri))'
    rule = f"id: r, effect: deny, server: files, action: [resources/read], when: {json.dumps(when)}"
    assert found("P701", rules(rule)) == []
