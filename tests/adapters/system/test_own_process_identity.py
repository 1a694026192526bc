"""What a record says of the machine and of what is installed there."""

from __future__ import annotations

import socket
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from mcpguard.adapters.system.own_process import installed_versions, machine_name


def test_the_versions_of_installed_packages_are_those_of_their_metadata() -> None:
    found = installed_versions("cel-python", "msgspec", "not-there")
    assert found == {"cel-python": version("cel-python"), "msgspec": version("msgspec")}


def test_folders_that_cannot_be_read_or_are_no_packages_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("msgspec-1.dist-info", "msgspec-2.egg-info", "msgspec", "other-3.dist-info"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "gone"), str(tmp_path)])
    assert installed_versions("msgspec") == {"msgspec": "1"}


def test_the_machine_has_its_own_name() -> None:
    assert machine_name() == socket.gethostname()
