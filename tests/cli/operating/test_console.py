"""`mcpguard console` starts for a person only, and says what it lacks."""

from __future__ import annotations

import builtins
import shlex
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from mcpguard.cli import main
from mcpguard.config.loading import load_config
from mcpguard.config.user_state import state_folder
from mcpguard.console import app
from mcpguard.console.app import Links, has_a_screen, listening
from mcpguard.console.desk import Desk
from mcpguard.core.errors import SessionError
from tests.console.desk import written

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.cli.parser.at_terminal", lambda: True)


def test_an_agent_without_a_terminal_gets_no_link(tmp_path: Path, capsys: Capture) -> None:
    assert main(["console", "--config", str(written(tmp_path))]) == 2
    said = capsys.readouterr()
    assert "the console is for a person, so it needs a terminal" in said.err
    assert "login" not in said.out


def test_a_library_that_is_missing_is_named_with_how_to_get_it(
    tmp_path: Path, capsys: Capture, terminal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "mcpguard.console.app":
            raise ModuleNotFoundError("No module named 'starlette'", name="starlette")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["console", "--config", str(written(tmp_path))]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    command = f"{shlex.quote(sys.executable)} -m pip install 'mcpguard-gateway[console]'"
    assert f"needs starlette, which is not installed: run `{command}`" in said


@pytest.mark.parametrize("port", ["x", "-1", "65536", "1.5"])
def test_a_port_is_a_number(port: str, capsys: Capture) -> None:
    assert main(["console", "--port", port]) == 2
    assert "must be a whole number from 0 to 65535" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(tmp_path: Path, capsys: Capture, terminal: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["console", "--port", port, "--config", str(written(tmp_path))]) == 2
    assert f"port {port} cannot be used" in capsys.readouterr().err


def test_both_loopbacks_are_taken_or_none() -> None:
    sockets = listening(0)
    hosts = {one.getsockname()[0] for one in sockets}
    assert hosts <= {"127.0.0.1", "::1"}
    assert len({one.getsockname()[1] for one in sockets}) == 1
    port = sockets[0].getsockname()[1]
    sockets[0].close()
    if len(sockets) == 2:  # Somebody else has the name that the link would have.
        with pytest.raises(SessionError, match=f"port {port} cannot be used|of ::1 is in use"):
            listening(port)
        sockets[1].close()


def test_a_link_is_opened_by_a_file_of_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    said: list[str] = []
    monkeypatch.setattr(app, "has_a_screen", lambda: True)
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    links = Links(Desk(load_config(written(tmp_path))), 8300, True, said.append)
    links.renew()
    links.renew()
    (file,) = state_folder("console").iterdir()
    assert opened == [file.as_uri()] * 2
    assert all("key=" not in one for one in opened)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert said[-1] in file.read_text().replace("&amp;", "&")
    assert said[0] not in file.read_text()
    links.remove()
    assert not file.exists()


def test_no_browser_is_opened_where_nobody_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    assert has_a_screen()
    monkeypatch.setenv("SSH_CONNECTION", "1")
    assert not has_a_screen()
