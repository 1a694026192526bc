"""The state folder is where the library for it says, which a start need not import."""

from __future__ import annotations

import subprocess
import sys

import pytest
from platformdirs import user_state_path

from mcpguard.config.user_state import state_folder
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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere than on Linux the library says where it is")
@pytest.mark.parametrize("variables", [{"XDG_STATE_HOME": "/srv/state"}, {"HOME": "/home/ada"}])
def test_where_it_is_plain_the_library_is_not_imported(variables: dict[str, str]) -> None:
    code = "import sys; from mcpguard.config.user_state import user_state; user_state(); print('platformdirs' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
