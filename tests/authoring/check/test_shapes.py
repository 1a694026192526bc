"""What looks right in a condition and is passed by another spelling is reported, and what is right is not."""

from datetime import UTC, datetime

import pytest

from mcpguard.authoring.check.lints import LintSubject, lint
from mcpguard.core.policy.compiled import compile_policy

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def codes(when: str, effect: str = "allow", more: str = "") -> list[str]:
    rule = f"  - id: r\n    effect: {effect}\n    server: files\n    tools: [read]\n{more}    when: |\n      {when}\n"
    policy = compile_policy(f"version: 1\npolicy: p\nowner: o\nrules:\n{rule}", "p.yaml", frozenset())
    found = lint(LintSubject([policy], NOW, {"files": True}, None, None))
    return [one.code for one in found if one.code.startswith("P7")]


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


def test_a_deny_and_a_rule_on_results_are_not_reported() -> None:
    assert codes("args.path.contains('..')", "deny") == []
    assert codes("args.path.contains('..')", more="    on: result\n    label: [x]\n") == []


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("shell(args.text).commands[0].program == 'ls'", ["P702"]),
        ("sql(args.text, 'postgres').kinds[1] == 'select'", ["P702"]),
        ("shell(args.text).programs.exists(p, p == 'ls')", ["P702"]),
        ("shell(args.text).commands.all(c, c.program == 'ls')", []),
        ("shell(args.text).programs.size() == 1", []),
        ("args.commands[0] == 'a' || args['commands'] == []", []),
    ],
)
def test_a_look_at_one_of_several_is_reported(when: str, expected: list[str]) -> None:
    assert codes(when) == expected
