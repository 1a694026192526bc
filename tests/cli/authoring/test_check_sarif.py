"""SARIF of `mcpguard check` keeps the rules of SARIF 2.1.0 (OASIS), for findings of every kind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from mcpguard.authoring.check.lints import LINTS
from mcpguard.authoring.check.lints.entry import CONFIG, SNAPSHOT
from mcpguard.cli import main

LEVELS = {"none", "note", "warning", "error"}
NAMES = {
    "log": {"$schema", "version", "runs"},
    "run": {"tool", "columnKind", "results"},
    "driver": {"name", "version", "rules"},
    "rule": {"id", "shortDescription", "defaultConfiguration"},
    "result": {"ruleId", "level", "message", "locations"},
    "place": {"artifactLocation", "region"},
    "region": {"startLine", "startColumn"},
}
"""What is written, of what sections 3.13 to 3.52 know: a name that is not theirs would be a mistake."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "snapshot.json").write_text(SNAPSHOT)
    (tmp_path / "mcpguard.yaml").write_text(CONFIG)
    return tmp_path


def right(text: str, folder: Path) -> list[dict[str, Any]]:
    """The results of a log that keeps the rules."""
    log = json.loads(text)
    assert log.keys() == NAMES["log"]
    assert log["version"] == "2.1.0"
    assert log["$schema"].startswith("https://")
    (run,) = log["runs"]
    assert run.keys() == NAMES["run"]
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    driver = run["tool"]["driver"]
    assert driver.keys() == NAMES["driver"]
    assert all(rule.keys() == NAMES["rule"] for rule in driver["rules"])
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])
    assert {rule["defaultConfiguration"]["level"] for rule in driver["rules"]} <= LEVELS
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))
    assert {result["ruleId"] for result in run["results"]} == set(ids)
    for result in run["results"]:
        _right_result(result, folder)
    return list(run["results"])


def _right_result(result: dict[str, Any], folder: Path) -> None:
    assert result.keys() == NAMES["result"]
    assert result["level"] in LEVELS
    assert result["message"].keys() == {"text"}
    assert result["message"]["text"]
    (location,) = result["locations"]
    place = location["physicalLocation"]
    assert place.keys() <= NAMES["place"]
    uri = place["artifactLocation"]["uri"]
    assert re.fullmatch(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})+", uri)
    if "region" in place:
        assert place["region"].keys() == NAMES["region"]
        lines = (folder / unquote(uri)).read_text("utf-8").split("\n")
        line, column = place["region"]["startLine"], place["region"]["startColumn"]
        assert 1 <= line <= len(lines)
        assert 1 <= column <= len(lines[line - 1]) + 1


@pytest.mark.uncounted
@pytest.mark.parametrize("code", LINTS)
def test_what_a_lint_finds_is_right_sarif(
    code: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "example.yaml").write_text(LINTS[code].bad)
    main(["check", "--config", "mcpguard.yaml", "--snapshot", "snapshot.json", "--sarif"])
    results = right(capsys.readouterr().out, folder)
    assert code in {result["ruleId"] for result in results}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "version: 1\npolicy: p\nrules:\n- {id: é😀, effect: allow, when: 'args.é😀 =='}\n",
        "a: [\n",
    ],
)
def test_what_is_broken_is_right_sarif(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "ex ämple.yaml").write_text(text)
    (folder / "mcpguard.yaml").write_text(CONFIG.replace("example.yaml", "ex ämple.yaml"))
    assert main(["check", "--config", "mcpguard.yaml", "--sarif"]) == 1
    results = right(capsys.readouterr().out, folder)
    assert {"P001"} <= {result["ruleId"] for result in results}
    places = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results]
    assert "ex%20%C3%A4mple.yaml" in places


def test_a_finding_behind_a_link_is_at_the_file_that_a_repository_has(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "shared").mkdir()
    (folder / "shared" / "base.yaml").write_text("version: 2\n")
    (folder / "example.yaml").symlink_to("shared/base.yaml")
    assert main(["check", "--config", "mcpguard.yaml", "--sarif"]) == 1
    results = right(capsys.readouterr().out, folder)
    places = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results}
    assert "shared/base.yaml" in places
    assert "example.yaml" not in places


def test_nothing_found_is_right_sarif(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "example.yaml").write_text("version: 1\npolicy: p\nowner: a\nrules: []\n")
    main(["check", "--config", "mcpguard.yaml", "--sarif"])
    right(capsys.readouterr().out, folder)
