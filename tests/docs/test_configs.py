"""The configurations and policies that come with the project load, and decide as they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcpguard.adapters.policy_files import load_policies
from mcpguard.app import settings_from
from mcpguard.config import load_config
from mcpguard.core.detectors import OPT_IN
from mcpguard.core.model import Permit
from tests.docs.pages import ROOT
from tests.docs.verdicts import verdict

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
POLICIES = sorted((ROOT / "policies").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_configuration_loads_with_its_policies(path: Path) -> None:
    settings = settings_from(load_config(path))
    assert {server.name for server in settings.servers} == set(settings.policies.names)


def test_every_policy_is_used_by_a_configuration() -> None:
    used = {policy.resolve() for path in CONFIGS for policy in load_config(path).policies}
    assert used == set(POLICIES)


CASES: list[tuple[str, str, str, dict[str, Any], bool | str]] = [
    ("git", "git", "git_log", {"repo_path": "."}, True),
    ("git", "git", "git_diff_staged", {"repo_path": "."}, True),
    ("git", "git", "git_create_branch", {"branch_name": "agent/x"}, True),
    ("git", "git", "git_create_branch", {"branch_name": "main"}, "git/branch-names"),
    ("git", "git", "git_create_branch", {}, "git/branch-names"),
    ("git", "git", "git_add", {"files": ["src/a.py", "docs/env.md"]}, True),
    ("git", "git", "git_add", {"files": ["src/a.py", "deploy/.env"]}, "git/no-secrets-file"),
    ("git", "git", "git_add", {"files": [".env.local"]}, "git/no-secrets-file"),
    ("git", "git", "git_reset", {}, False),
    ("git", "other", "git_log", {}, False),
    ("time", "time", "get_current_time", {"timezone": "UTC"}, True),
    ("time", "time", "set_time", {}, False),
    ("github", "github", "get_file_contents", {"owner": "acme", "repo": "a"}, True),
    ("github", "github", "get_file_contents", {"owner": "other", "repo": "a"}, False),
    ("github", "github", "list_issues", {}, False),
    ("github", "github", "create_issue", {"owner": "acme", "title": "t"}, True),
    ("github", "github", "merge_pull_request", {"owner": "acme"}, "github/no-merge"),
    ("linear", "linear", "list_issues", {}, True),
    ("linear", "linear", "create_comment", {"body": "x"}, True),
    ("linear", "linear", "create_issue", {"title": "x"}, False),
]


@pytest.mark.parametrize(("policy", "server", "tool", "args", "expected"), CASES)
def test_a_policy_decides_as_it_says(
    policy: str, server: str, tool: str, args: dict[str, Any], expected: bool | str
) -> None:
    policies = load_policies([ROOT / "policies" / f"{policy}.yaml"], OPT_IN)
    found = verdict(policies, server, tool, args)
    assert isinstance(found, Permit) == (expected is True)
    if isinstance(expected, str):
        assert found.rules == (expected,)
