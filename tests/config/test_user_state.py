"""The state folder is where the library for it says, which a start need not import."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from platformdirs import user_state_path

from mcpguard.config.loading import config_option, find_config
from mcpguard.config.user_state import state_folder
from mcpguard.core.errors import McpGuardError
from tests.rows import each


@each("home", ["/home/ada", "/home/ada/", "/", "ada", "", None])
@each("folder", ["/srv/state", "/srv/state/", " /srv/state ", " ", "state", "", None])
def test_it_is_where_the_library_has_it(
    folder: str | None, home: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("XDG_STATE_HOME", folder), ("HOME", home)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert state_folder("audit") == user_state_path("mcpguard", appauthor=False) / "audit"


def test_a_user_without_a_home_is_told_to_name_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    for asks in (partial(state_folder, "audit"), partial(find_config, None, {})):
        with pytest.raises(
            McpGuardError, match="this user has no home folder, which mcpguard needs: set HOME"
        ):
            asks()
    assert config_option(tmp_path / "mcpguard.yaml", {}) == f" --config {tmp_path}/mcpguard.yaml"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere than on Linux the library says where it is")
@pytest.mark.parametrize("variables", [{"XDG_STATE_HOME": "/srv/state"}, {"HOME": "/home/ada"}])
def test_where_it_is_plain_the_library_is_not_imported(variables: dict[str, str]) -> None:
    code = "import sys; from mcpguard.config.user_state import user_state; user_state(); print('platformdirs' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
