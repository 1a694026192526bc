"""Threat: an issue that a stranger wrote makes the agent publish private code.

Invariant Labs showed it with GitHub's MCP server on 26 May 2025: the agent reads an issue of a public
repository, does what it says, reads a private repository, and opens a pull request with what it read.
"""

import json

import pytest
import yaml

from tests.docs.pages import ROOT
from tests.wire.session import puppet

TOOLS = [
    {"name": name, "inputSchema": {"type": "object"}}
    for name in ("issue_read", "update_issue", "get_file_contents", "create_pull_request")
]
ISSUE = {"owner": "acme", "repo": "website", "method": "get", "issue_number": 7}
PRIVATE = {"owner": "acme", "repo": "salaries", "path": "2025.csv"}
LEAK = {
    "owner": "acme",
    "repo": "website",
    "title": "Docs",
    "head": "agent/docs",
    "base": "main",
    "body": "Ada: 1",
}


@pytest.fixture
def guarded(session, tmp_path):
    """A server with these tools behind the pack `careful`, and what reached it."""
    text = (ROOT / "policies/github/careful.yaml").read_text().replace("params.owners", '["acme"]')
    text = text.replace("\n    on:", '\n    "on":')  # To PyYAML a plain `on` is true.
    rules = yaml.safe_load(text)["rules"]
    log = tmp_path / "reached"
    server = puppet("--tools", json.dumps(TOOLS), "--log", str(log))
    guard = session({"github": server}, rules, session={"path": str(tmp_path / "sessions")})
    return guard, lambda: [
        message["params"]["name"]
        for message in map(json.loads, log.read_text().splitlines())
        if message["method"] == "tools/call"
    ]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("shows", ["issue_read", "update_issue"])
def test_after_a_strangers_issue_and_private_code_nothing_is_published(guarded, shows, order):
    guard, reached = guarded
    reads = [(shows, ISSUE), ("get_file_contents", PRIVATE)]
    for tool, args in reads[::order]:
        assert guard.text(tool, **args) == tool
    refused = guard.call("create_pull_request", **LEAK)["result"]
    assert refused["isError"]
    assert "test/private-met-strangers" in refused["content"][0]["text"]
    assert sorted(reached()) == ["get_file_contents", shows]
    assert guard.decided()["rules"] == ["test/private-met-strangers"]


def test_after_the_issue_alone_the_pull_request_is_opened(guarded):
    guard, reached = guarded
    guard.text("issue_read", **ISSUE)
    assert guard.text("create_pull_request", **LEAK) == "create_pull_request"
    assert reached() == ["issue_read", "create_pull_request"]


def test_repositories_of_others_are_not_read_at_all(guarded):
    guard, reached = guarded
    assert guard.call("get_file_contents", **{**PRIVATE, "owner": "other"})["result"]["isError"]
    assert reached() == []
