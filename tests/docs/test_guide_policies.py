"""The rules of the guide mean what their names say."""

from __future__ import annotations

import pytest

from mcpguard.core.model import Permit
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.redaction.detectors import OPT_IN
from tests.docs.pages import ROOT, blocks
from tests.docs.verdicts import verdict
from tests.rows import each

GUIDE = ROOT / "docs" / "guides" / "write-a-policy.md"


def reading() -> PolicySet:
    (text,) = [one.text for one in blocks("yaml", "policy", [GUIDE]) if "policy: reading\n" in one.text]
    return PolicySet([compile_policy(text, "guide", OPT_IN)])


def allowed(command: str) -> bool:
    return isinstance(verdict(reading(), "shell", "run", {"command": command}), Permit)


@pytest.mark.parametrize(
    "command", ["ls -l", "cat a.txt 2>/dev/null | head -3", "grep -rn x src | sort", "wc -l src/*"]
)
def test_harmless_commands_are_run(command: str) -> None:
    assert allowed(command)


@each(
    "command",
    [
        "git push --force", "git rm -r .", "git status", "cat /etc/passwd", "cat ../x", "cd .. && cat x", "ls > x",
        "sort -o x y", "wc --files0-from=x", "grep -f /etc/passwd x", "./ls", "ls $(rm x)", "cat x | tee y", "head $x",
        "wc -l *",
    ],
)  # fmt: skip
def test_what_is_not_harmless_is_not(command: str) -> None:
    assert not allowed(command)


TOKEN = "ghp_" + "wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx"


@each(
    ("url", "passes"),
    [
        ("https://docs.example.com/a?by=jane@example.com", True),
        (f"https://docs.example.com/a?by={TOKEN}", False),
        (f"https://docs.example.com/a?by={TOKEN.encode().hex()}", False),
        ("http://docs.example.com/a", False),
        ("https://evil.com://docs.example.com/a", False),
        ("https://docs.example.com.evil.example/a", False),
    ],
)
def test_own_hosts_are_fetched_and_no_secret_goes_out(url: str, passes: bool) -> None:
    assert isinstance(verdict(reading(), "web", "fetch", {"url": url}), Permit) is passes


@each(
    ("sql", "passes"),
    [
        ("SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id LIMIT 10", True),
        ("SELECT o.id FROM orders o", False),
        ("SELECT * FROM orders LIMIT 10", False),
        ("SELECT o.row_to_json FROM orders o LIMIT 10", False),
        ("SELECT ('/etc/passwd'::text).pg_read_file LIMIT 1", False),
        ("SELECT id FROM orders LIMIT 5000-1", False),
        ("DELETE FROM orders WHERE id = 1", False),
        ("SELECT id FROM secrets LIMIT 1", False),
    ],
)
def test_select_only_reads_some_rows_of_two_tables(sql: str, passes: bool) -> None:
    assert isinstance(verdict(reading(), "db", "query", {"sql": sql}), Permit) is passes
