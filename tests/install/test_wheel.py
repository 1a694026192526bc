"""The wheel that is built is all that a user needs: installed from a folder of wheels, away from this tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from mcpguard import __version__
from tests.install.index import OURS, index, uv

ENGINE = (
    "from importlib.util import find_spec; from mcpguard.core.conditions.engines import engine\n"
    "print((engine().name == 'cpp') == (find_spec('cel_expr_python') is not None))"
)
"""Says whether conditions are decided by the fast engine wherever that came with the wheel."""


class Away:
    """A folder with a home, a folder of wheels, and no way to this tree or to the net."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        self.wheel = index(self.wheels)
        self.home = folder / "home"
        self.home.mkdir()

    def run(self, *words: str, path: str = os.defpath) -> subprocess.CompletedProcess[str]:
        variables = {
            "HOME": str(self.home),
            "PATH": path,
            "TMPDIR": str(self.folder),
            "UV_CACHE_DIR": str(self.folder / "cache"),
            "UV_TOOL_DIR": str(self.folder / "tools"),
            "UV_TOOL_BIN_DIR": str(self.folder / "bin"),
            "UV_PYTHON": sys.executable,
            "UV_OFFLINE": "1",
            "UV_NO_INDEX": "1",
            "UV_NO_CONFIG": "1",
            "UV_FIND_LINKS": str(self.wheels),
        }
        return subprocess.run(
            words, cwd=self.home, env=variables, capture_output=True, text=True, timeout=80, check=False
        )


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Away:
    return Away(tmp_path_factory.mktemp("away"))


def test_uvx_runs_the_demo_from_the_wheel(away: Away) -> None:
    done = away.run(uv(), "tool", "run", "--from", OURS, "mcpguard", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Refused by mcpguard" in done.stdout


def test_an_installed_tool_has_its_program_its_pages_and_its_packs(away: Away) -> None:
    done = away.run(uv(), "tool", "install", OURS)
    assert done.returncode == 0, done.stderr
    program = str(away.folder / "bin" / "mcpguard")
    assert away.run(program, "--version").stdout == f"mcpguard {__version__}\n"
    assert "# Start" in away.run(program, "help", "start").stdout
    said = away.run(program, "doctor", "--json").stdout
    assert said.startswith("{")
    (python,) = (away.folder / "tools").glob("*/bin/python")
    assert away.run(str(python), "-c", ENGINE).stdout == "True\n"


def test_the_other_mcpguard_of_the_package_index_is_not_what_our_wheel_is_called(away: Away) -> None:
    assert away.wheel.name.startswith("mcpguard_gateway-")
    done = away.run(uv(), "tool", "run", "mcpguard", "--version")
    assert done.returncode != 0


def test_the_wheel_has_nothing_of_the_tests(away: Away) -> None:
    names = ZipFile(away.wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "mcpguard",
        f"mcpguard_gateway-{__version__}.dist-info",
        f"mcpguard_gateway-{__version__}.data",
    }
