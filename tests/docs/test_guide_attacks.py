"""The example policies of the guides mean what their names say: ordinary calls pass, and attacks do not."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mcpguard.core.model import Permit
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.pdp import decide
from mcpguard.core.policy.review import review
from mcpguard.core.policy.session import Session, StoredSession
from mcpguard.core.redaction.detectors import OPT_IN
from tests.docs.pages import PAGES, blocks
from tests.docs.verdicts import invocation, verdict
from tests.rows import each

GITHUB = "ghp_" + "aB3kQ9xZ7mT2" * 3
AWS = "AKIA" + "Q3X7" * 4
KEY = "-----BEGIN PRIVATE " + "KEY-----\n" + "aB3k" * 16


def example(name: str) -> PolicySet:
    """The example policy of that name."""
    (text,) = {one.text for one in blocks("yaml", "policy", PAGES) if f"policy: {name}\n" in one.text}
    return PolicySet([compile_policy(text, name, OPT_IN)])


Calls = list[tuple[str, str, dict[str, Any]]]

ORDINARY: dict[str, Calls] = {
    "notes-write": [("notes", "write", {"folder": "drafts", "text": "buy milk"})],
    "files": [],
    "reading": [
        ("db", "query", {"sql": "SELECT id, customer_id FROM orders WHERE id = 3 LIMIT 10"}),
        (
            "db",
            "query",
            {
                "sql": "SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer_id = c.id "
                "ORDER BY o.id LIMIT 1000"
            },
        ),
        ("db", "query", {"sql": "SELECT count(id) FROM orders LIMIT 1"}),
        ("web", "fetch", {"url": "https://docs.example.com/a?b=c"}),
        ("web", "fetch", {"url": "https://a.b.example.com/{x}"}),
        ("shell", "run", {"command": "grep -rn 'jane@example.com' src | sort | head -5"}),
        ("shell", "run", {"command": "cat notes.txt 2>/dev/null"}),
    ],
    "names": [
        ("files", "read", {"path": "/srv/data/report.txt"}),
        ("files", "write", {"path": "/srv/data/a/b.md"}),
    ],
    "least-privilege": [
        ("github", "get_issue", {"owner": "anybody"}),
        ("github", "create_pull_request", {"owner": "acme"}),
        ("linear", "create_issue", {"title": "x"}),
    ],
    "git": [("git", "push", {"remote": "origin", "branch": "feature/login-2"})],
    "desk": [
        ("files", "read_file", {"path": "/srv/data/a.txt"}),
        ("ci", "run_tests", {}),
    ],
    "github": [("github", "get_file_contents", {"owner": "acme", "path": "a"})],
}
ATTACKS: dict[str, Calls] = {
    "notes-write": [
        ("notes", "write", {"folder": "drafts/../sent", "text": "x"}),
        ("notes", "write", {"folder": ["drafts"], "text": "x"}),
        ("notes", "write", {"folder": "drafts", "text": "x" * 10_000}),
        ("notes", "write", {"text": "x"}),
    ],
    "files": [("files", "read_file", {"path": "/srv/data/a.txt"})],  # Nobody has set the folders.
    "reading": [
        *[
            ("db", "query", {"sql": sql})
            for sql in (
                "SELECT * FROM orders LIMIT 1",
                "SELECT o FROM orders o LIMIT 1",
                "SELECT id FROM orders",
                "SELECT id FROM orders LIMIT 1001",
                "SELECT id FROM orders LIMIT 5000-1",
                "SELECT id FROM users LIMIT 1",
                "SELECT id FROM hidden.orders LIMIT 1",
                "SELECT id FROM orders UNION SELECT password FROM users LIMIT 1",
                "SELECT id FROM orders WHERE id IN (SELECT id FROM users) LIMIT 1",
                "SELECT id FROM orders LIMIT 1; DROP TABLE orders",
                "WITH x AS (DELETE FROM orders RETURNING id) SELECT id FROM x LIMIT 1",
                "SELECT id INTO copied FROM orders LIMIT 1",
                "SELECT id FROM orders LIMIT 1 FOR UPDATE",
                "SELECT pg_read_file('/etc/passwd') LIMIT 1",
                "SELECT ('/etc/passwd'::text).pg_read_file LIMIT 1",
                "SELECT pg_sleep(100) FROM orders LIMIT 1",
                "SELECT lo_create(1) FROM orders LIMIT 1",
                "UPDATE orders SET id = 1",
                "COPY orders TO PROGRAM 'sh'",
                "EXPLAIN ANALYZE DELETE FROM orders",
                "SET ROLE postgres",
                "CALL drop_everything()",
            )
        ],
        *[
            ("web", "fetch", {"url": url})
            for url in (
                "http://docs.example.com/",
                "https://example.com.evil.org/",
                "https://evil.org/#.example.com",
                "https://evil.org\\.example.com/",
                "https://docs.example.com@evil.org/",
                "https://evil.org%2f.example.com/",
                "https://evilexample.com/",
                "//docs.example.com/",
                "ftp://docs.example.com/",
                "https://docs.example.com\n@evil.org/",
                "file:///etc/passwd",
            )
        ],
        *[
            ("shell", "run", {"command": line})
            for line in (
                "git push --force",
                "git rm -r .",
                "cat ~/.ssh/id_rsa",
                "grep -f /etc/passwd x",
                "cat x; rm x",
                "cat <(rm x)",
                "sort --compress-program=./x y",
                "head x > y",
                "PATH=. ls",
                "ls | xargs rm",
            )
        ],
        ("web", "fetch", {"url": f"https://docs.example.com/?q={GITHUB}"}),
        ("shell", "run", {"command": f"grep {AWS} notes.txt"}),
        ("shell", "run", {"command": f"grep {base64.b64encode(KEY.encode()).decode()} notes.txt"}),
        ("web", "fetch", {"url": "https://docs.example.com/", "a": GITHUB[:20], "b": GITHUB[20:]}),
        ("web", "fetch", {"url": "https://docs.example.com/", "note": GITHUB.encode().hex()}),
        ("web", "fetch", {"url": "https://docs.example.com/", "note": "\u200b".join(AWS)}),
    ],
    "names": [
        ("files", "read", {"path": "/srv/data/.env"}),
        ("files", "read", {"path": "/srv/data/x/../.ENV"}),
        ("files", "read", {"path": "/srv/data/.ssh/id_ed25519"}),
        ("files", "read", {"path": "/etc/passwd"}),
        ("files", "read", {"path": "/srv/data/../x"}),
        ("files", "write", {"path": "/srv/data/.git/hooks/pre-commit"}),
        ("files", "write", {"path": "/srv/data/.github/workflows/ci.yml"}),
    ],
    "least-privilege": [
        ("github", "create_pull_request", {"owner": "Acme"}),
        ("github", "create_pull_request", {}),
        ("linear", "create_pull_request", {"owner": "acme"}),
        ("github", "create_issue", {"owner": "acme"}),
        ("linear", "delete_issue", {}),
    ],
    "git": [
        *[
            ("git", "push", {"remote": "origin", "branch": branch})
            for branch in (
                "main",
                "refs/heads/main",
                "+feature/x",
                "feature/x:main",
                ":feature/x",
                "HEAD:main",
                "feature/x\nmain",
                "feature/x main",
                ["main"],
            )
        ],
        ("git", "push", {"remote": "fork", "branch": "feature/x"}),
        ("git", "push", {"remote": "origin", "branch": "feature/x", "force": True}),
        ("git", "push", {"remote": "origin", "branch": "feature/x", "force": "true"}),
        ("git", "push", {"remote": "origin", "branch": "feature/x", "force": 1}),
        ("git", "force_push", {"remote": "origin", "branch": "feature/x"}),
    ],
    "desk": [
        ("files", "read_file", {"path": "/srv/data/../../etc/passwd"}),
        ("files", "read_file", {"path": "/srv/data2/a"}),
        ("files", "write_file", {"path": "/srv/data/a"}),
        ("git", "push", {}),
    ],
    "github": [
        ("github", "get_file_contents", {"owner": "acme-corp"}),
        ("github", "get_file_contents", {"owner": ["acme"]}),
        ("github", "list_issues", {}),
        ("github", "create_issue", {"owner": "acme"}),
    ],
}


def every(calls: dict[str, Calls]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("name", "call"), [(name, one) for name in calls for one in calls[name]])


@every(ORDINARY)
def test_an_ordinary_call_passes(name: str, call: tuple[str, str, dict[str, Any]]) -> None:
    found = verdict(example(name), *call, hour=12)
    assert isinstance(found, Permit), found


@every(ATTACKS)
def test_an_attack_does_not(name: str, call: tuple[str, str, dict[str, Any]]) -> None:
    assert not isinstance(verdict(example(name), *call, hour=12), Permit)


@each(("hour", "passes"), [(5, False), (6, True), (17, True), (18, False), (23, False)])
def test_drafts_are_written_in_the_hours_of_the_office(hour: int, passes: bool) -> None:
    call = {"folder": "drafts", "text": "x"}
    found = verdict(
        example("notes-write"), "notes", "write", call, hour=hour
    )  # UTC; Berlin is an hour later.
    assert isinstance(found, Permit) is passes


@each("name", ["desk", "order"])
@each(
    "result",
    [
        {"error": {"code": -32000, "message": "no runner"}},
        {"isError": True, "content": []},
        {"isError": True, "structuredContent": {"failed": 3}},
    ],
)
def test_a_run_that_failed_does_not_open_the_way_for_a_push(name: str, result: Any) -> None:
    call = invocation("ci", "run_tests", {})
    assert review(example(name), call, result, (), Session(StoredSession())).facts == ()


def test_a_run_that_passed_does() -> None:
    for name in ("desk", "order"):
        policies = example(name)
        call = invocation("ci", "run_tests", {})
        session = Session(StoredSession())
        found = review(policies, call, {"content": [], "structuredContent": {"failed": 0}}, (), session)
        assert found.facts == ("tests-passed",)
        session.add((), found.facts)
        assert isinstance(decide(policies, invocation("git", "push", {}), session), Permit)


def test_after_private_data_nothing_goes_to_the_web() -> None:
    policies = example("order")
    for server in ("mail", "files"):
        for result in ({"content": []}, {"error": {"code": 1, "message": "x"}}, {"isError": True}):
            call = invocation(server, "read", {})
            session = Session(StoredSession())
            found = review(policies, call, result, (), session)
            session.add(found.labels, ())
            for tool in ("fetch", "search", "post"):
                assert not isinstance(decide(policies, invocation("web", tool, {}), session), Permit)
