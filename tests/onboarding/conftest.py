"""A person with a home, a project, programs and a keychain, whom nothing of this machine reaches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mcpguard.cli.onboarding import first_look
from tests.onboarding.corpus import Person

PROGRAMS = ("npx", "uvx", "node", "docker", "postgres-mcp", "pg-tools")
VARIABLES = ("REGION", "FIGMA_OAUTH_TOKEN", "SEARCH_KEY", "LOG_KEY")


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    person = Person(tmp_path / "home", tmp_path / "project")
    programs = tmp_path / "programs"
    for folder in (*person, programs):
        folder.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    for name in [*os.environ]:
        if name.startswith(("XDG_", "MCPGUARD_")):
            monkeypatch.delenv(name)
    for name in VARIABLES:
        monkeypatch.setenv(name, f"value-of-{name.lower()}")
    monkeypatch.setenv("HOME", str(person.home))
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.chdir(person.project)
    # What would outlive a lost machine is not what these tests see, and it takes most of their time.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    # The programs of these tests are no servers; test_first_look.py starts real ones.
    monkeypatch.setattr(first_look, "first_look", lambda plan: first_look.FirstLook())
    return person
