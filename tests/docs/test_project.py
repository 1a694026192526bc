"""The files around the source: exact versions, the licence, and the scripts."""

from __future__ import annotations

import os
import re
import tomllib
from runpy import run_path

import yaml

from mcpguard import __version__
from tests.docs.pages import ROOT

PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_constraints_are_exact_versions_and_nothing_else() -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", pin) for pin in PINS)
    names = [name_of(pin) for pin in PINS]
    assert len(names) == len(set(names))


def test_every_requirement_has_its_exact_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    asked = [*project["dependencies"], *(one for extra in extras for one in extra)]
    names = {name_of(one) for one in asked} - {name_of(project["name"])}
    assert names <= {name_of(pin) for pin in PINS}


def test_an_installation_has_the_packs_and_the_pages() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    shared = build["targets"]["wheel"]["shared-data"]
    assert shared.pop("docs/mcpguard.1") == "share/man/man1/mcpguard.1"
    assert shared == {name: f"share/mcpguard/{name}" for name in shared}
    pages = {str(page.relative_to(ROOT)) for page in ROOT.glob("docs/*.md")}
    folders = {f"docs/{name}" for name in ("decisions", "guides", "reference")}
    assert shared.keys() == {"policies", *pages, *folders}


def test_the_chart_names_the_version_of_the_program() -> None:
    chart = yaml.safe_load((ROOT / "configs" / "deploy" / "helm" / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__


def test_the_scripts_can_be_run() -> None:
    for name in (".ci/run", "scripts/test", "scripts/check", "scripts/reference"):
        assert os.access(ROOT / name, os.X_OK), name


def test_the_tests_have_an_environment_of_their_own_and_leave_the_one_that_clients_start_from() -> None:
    environment = run_path(str(ROOT / "scripts" / "environment.py"))
    assert environment["VENV"] == ROOT / ".venv-dev"
    assert ".venv/bin/mcpguard" in (ROOT / "README.md").read_text()
    assert {".venv/", ".venv-dev/"} <= set((ROOT / ".gitignore").read_text().split())


def test_the_licence_and_the_changelog_are_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## Unreleased$", changes, re.MULTILINE) or f"## {__version__}" in changes
