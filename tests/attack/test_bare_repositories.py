"""A folder that came in by a checkout and looks like a bare repository runs nothing in a server that uses git."""

import subprocess

import pytest

from tests.packs.real import git, repository
from tests.wire.warm import sdk_server


@pytest.fixture
def planted(tmp_path):
    """A repository with a folder that is a bare repository, as a checkout can bring it, and what that would write."""
    ours, ran = repository(tmp_path / "ours"), tmp_path / "ran"
    bare = tmp_path / "ours" / "docs" / "sample"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True, timeout=20)
    settings = f"[core]\nrepositoryformatversion = 0\nbare = false\nworktree = {bare}\n"
    (bare / "config").write_text(settings)
    git(bare, "add", "HEAD")
    (bare / "config").write_text(f'{settings}fsmonitor = "touch {ran}; false"\n')
    return ours, bare, ran


ALL = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "Safe.BareRepository", "GIT_CONFIG_VALUE_0": "all"}
OWN = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.abbrev", "GIT_CONFIG_VALUE_0": "11"}


@pytest.mark.parametrize(("own", "runs"), [({}, False), (OWN, False), (ALL, True)])
def test_a_bare_repository_in_a_folder_runs_nothing_unless_the_operator_says_so(session, planted, own, runs):
    ours, bare, ran = planted
    guard = session({"git": {**sdk_server("mcp_server_git"), "env": own}})
    failed = guard.call("git_status", repo_path=str(bare))["result"].get("isError", False)
    assert ran.exists() == runs
    assert failed != runs
    assert "docs/" in guard.text("git_status", repo_path=ours)
