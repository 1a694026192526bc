"""The guide on moving in shows what the command does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mcpguard.cli import main
from mcpguard.config.loading import find_config
from mcpguard.onboarding.installing import launcher
from tests.docs.pages import ROOT, blocks
from tests.onboarding.corpus import Person

PAGE = ROOT / "docs" / "guides" / "import.md"


@pytest.mark.usefixtures("backend")
def test_the_guide_shows_what_the_command_does(
    person: Person, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = [block.text for block in blocks("jsonc", "", [PAGE])]
    (said,) = [block.text for block in blocks("text", "", [PAGE])]
    (config,) = [block.text for block in blocks("yaml", "config", [PAGE])]
    path = person.home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text(before)
    programs = Path(os.environ["PATH"].partition(":")[0])
    monkeypatch.setattr("mcpguard.onboarding.conversion._SYSTEM", (str(programs),))
    assert main(["import", "--yes"]) == 0
    assert said in capsys.readouterr().out
    made = find_config(None, os.environ)
    text = path.read_text().replace(str(made), "/home/me/.config/mcpguard/mcpguard.yaml")
    assert text.replace(launcher(made)["command"], "/opt/mcpguard/bin/mcpguard") == after
    written = made.read_text().replace(str(programs / "node"), "/usr/bin/node")
    assert written.partition("\n")[2] == config
    assert main(["undo"]) == 0
    assert path.read_text() == before
