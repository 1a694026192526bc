"""A person with a home and a project, whom nothing of this machine reaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.moving.corpus import Person


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    project.mkdir()
    for name in [*__import__("os").environ]:
        if name.startswith(("XDG_", "MCPGUARD_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(project)
    return Person(home, project)
