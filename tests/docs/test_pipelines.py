"""The pipelines of configs/ci, which users copy: each of their steps runs, on a machine that has nothing of theirs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import yaml

from tests.docs.pages import ROOT
from tests.rows import each
from tests.wire.warm import program

PIPELINES = sorted((ROOT / "configs" / "ci").glob("*.yaml"))
CONFIG = """\
version: 1
servers:
  notes: {command: no-such-server, cwd: /no/such/folder, env: {TOKEN: "${keyring:notes/token}"}}
policies: [team.yaml]
audit: {path: /no/such/audit}
"""
POLICY = """\
version: 1
policy: team
owner: ada
rules:
  - {id: read, effect: allow, server: notes, tools: [read]}
"""
TESTS = """\
version: 1
policies: [team.yaml]
tests:
  - {name: notes are read, call: {server: notes, tool: read}, expect: allow}
  - {name: nothing else, call: {server: notes, tool: write}, expect: deny}
"""
READ = {"name": "read", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
SNAPSHOT = {"version": 1, "servers": {"notes": {"tools": [READ]}}}


def steps(value: object) -> Iterator[str]:
    """The commands of mcpguard in a pipeline, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from steps(one)
    elif str(value).startswith("mcpguard "):
        yield str(value)


def guarded(folder: Path, policy: str) -> None:
    guard = folder / "guard"
    guard.mkdir(exist_ok=True)
    (guard / "mcpguard.yaml").write_text(CONFIG)
    (guard / "team.yaml").write_text(policy)
    (guard / "team_test.yaml").write_text(TESTS)
    (guard / "snapshot.json").write_text(json.dumps(SNAPSHOT))


def run(step: str, folder: Path) -> int:
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", step], check=False, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True
    )
    return done.returncode


def suite(folder: Path) -> ElementTree.Element:
    (one,) = ElementTree.parse(folder / "tests.xml").getroot()
    return one


@each("pipeline", PIPELINES, ids=lambda path: path.name)
def test_a_pipeline_passes_right_files_and_fails_wrong_ones(pipeline: Path, tmp_path: Path) -> None:
    commands = [*steps(yaml.safe_load(pipeline.read_text("utf-8")))]
    program(tmp_path / "mcpguard")
    guarded(tmp_path, POLICY)
    assert [run(one, tmp_path) for one in commands] == [0] * len(commands)
    assert json.loads((tmp_path / "check.sarif").read_text())["runs"][0]["results"] == []
    assert suite(tmp_path).get("tests") == "2"
    guarded(tmp_path, POLICY.replace("[read]", "[raed]"))
    assert sorted(run(one, tmp_path) for one in commands) == [0, 1, 1]
    (found, *_) = json.loads((tmp_path / "check.sarif").read_text())["runs"][0]["results"]
    assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "guard/team.yaml"
    assert suite(tmp_path).get("failures") == "1"
