"""The configurations and policies that come with the project load, and decide as they say."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from mcpguard.authoring.tests.cases import PolicyTests
from mcpguard.cli import main
from mcpguard.config.loading import load_config
from mcpguard.config.policies import policy_files
from mcpguard.core.document.reading import Document
from mcpguard.serve.app import loaded
from mcpguard.serve.handover import read
from tests.docs.pages import ROOT
from tests.rows import each

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
TESTS = sorted((ROOT / "policies").glob("*_test.yaml"))
POLICIES = sorted(set((ROOT / "policies").glob("*.yaml")) - set(TESTS))
"""Those beside the packs, which have tests of their own in `tests/packs/`."""


@each("path", CONFIGS, ids=lambda path: path.name)
def test_a_configuration_loads_with_its_policies(path: Path) -> None:
    settings = loaded(read(path), partial(read, path))
    assert {server.name for server in settings.servers} == set(settings.policies.names)


def test_every_policy_is_used_by_a_configuration() -> None:
    used = {policy.resolve() for path in CONFIGS for policy in load_config(path).policy_paths}
    assert used == set(POLICIES)


def test_every_policy_has_tests_that_pass_and_cover_it(capsys: pytest.CaptureFixture[str]) -> None:
    tested = {
        file.path.resolve()
        for path in TESTS
        for file in policy_files(
            path, Document(path.read_text("utf-8"), path.name).read(PolicyTests).policies
        )
    }
    assert tested == set(POLICIES)
    code = main(["test", *map(str, TESTS), "--coverage", "--fail-under", "100"])
    assert (code, "warning" in (said := capsys.readouterr().out)) == (0, False), said
