"""What could run in place of a server, and where servers start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mcpguard.authoring.check.exposure import exposed
from mcpguard.authoring.check.relied import relied_on
from mcpguard.config.loading import load_config


@pytest.fixture(autouse=True)
def _programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "tools/npx",
        "tools/uv",
        "tools/python3",
        "tools/node",
        "project/server",
        "project/src/run.py",
        "other/data",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))


def seen(tmp_path: Path, entry: str, beside: str = "fs: {command: node, args: [AT/project]}") -> list[str]:
    path = tmp_path / "mcpguard.yaml"
    text = f"version: 1\nservers:\n  x: {{{entry}}}\n  {beside}\n"
    path.write_text(re.sub(r"\bAT\b", str(tmp_path), text))
    config = load_config(path)
    return [
        one.said("x").replace(str(tmp_path), "AT")
        for one in exposed(config, config.servers["x"], relied_on(config))
    ]


CLIENT = "the folder that the client starts mcpguard in, where agents work"
PROJECT = "inside a folder that the server fs gets"


@pytest.mark.uncounted
@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("command: npx, args: [-y, server]", None),
        ("command: npx, args: [-y, server], cwd: client", f"x runs what `npx` finds from {CLIENT}: it can be replaced there"),
        ("command: npx, args: [-y, server], cwd: AT/project", f"x runs what `npx` finds from AT/project, {PROJECT}: it can be replaced there"),
        ("command: npx, args: [-y, server], cwd: AT/project/src", f"x runs what `npx` finds from AT/project/src, {PROJECT}: it can be replaced there"),
        ("command: npx, args: [-y, server], cwd: AT", None),
        ("command: AT/tools/npx, args: [server], cwd: client", f"x runs what `npx` finds from {CLIENT}: it can be replaced there"),
        ("command: uv, args: [run, server], cwd: client", f"x runs what `uv` finds from {CLIENT}: it can be replaced there"),
        ("command: uv, args: [--directory, AT/project, run, server]", f"x runs what `uv` finds from AT/project, {PROJECT}: it can be replaced there"),
        ("command: uv, args: [--directory=AT/project, run, server]", f"x runs what `uv` finds from AT/project, {PROJECT}: it can be replaced there"),
        ("command: uv, args: [version], cwd: client", f"x starts in {CLIENT}"),
        ("command: python3, args: [-m, server], cwd: client", f"x runs `python3 -m` from {CLIENT}: it can be replaced there"),
        ("command: python3, args: [-u, -m, server], cwd: client", f"x runs `python3 -m` from {CLIENT}: it can be replaced there"),
        ("command: python3, args: [-P, -m, server], cwd: client", f"x starts in {CLIENT}"),
        ("command: python3, args: [-I, -m, server], cwd: client", f"x starts in {CLIENT}"),
        ("command: python3, args: [-m, server]", None),
        ("command: python3, args: [AT/project/src/run.py]", f"x runs `AT/project/src/run.py` from AT/project/src, {PROJECT}: it can be replaced there"),
        ("command: python3, args: [src/run.py], cwd: AT/project", f"x runs `src/run.py` from AT/project/src, {PROJECT}: it can be replaced there"),
        ("command: node, args: [./run.js], cwd: client", f"x runs `./run.js` from {CLIENT}: it can be replaced there"),
        ("command: node, args: [--inspect, AT/tools/run.js]", None),
        ("command: AT/project/server", f"x runs `server` from AT/project, {PROJECT}: it can be replaced there"),
        ("command: ./server, cwd: AT/project", f"x runs `server` from AT/project, {PROJECT}: it can be replaced there"),
        ("command: ./server, cwd: client", f"x runs `./server` from {CLIENT}: it can be replaced there"),
        ("command: node, cwd: AT/project", f"x starts in AT/project, {PROJECT}"),
        ("command: node, args: [AT/other], cwd: AT/other", None),
        ("command: npx, args: [fs, AT/other], cwd: AT/other", "x runs what `npx` finds from AT/other, inside a folder that the server x gets: it can be replaced there"),
        ("command: node, args: [AT/tools/run.js], env: {NODE_OPTIONS: '--require=AT/project/x.js'}", f"x takes what `NODE_OPTIONS` names from AT/project/x.js, {PROJECT}: it can be replaced there"),
        ("command: python3, args: [-m, server], env: {PYTHONPATH: 'AT/tools:AT/project/src'}", f"x takes what `PYTHONPATH` names from AT/project/src, {PROJECT}: it can be replaced there"),
        ("command: npx, args: [x], env: {SSL_CERT_FILE: AT/project/ca.pem}", f"x takes what `SSL_CERT_FILE` names from AT/project/ca.pem, {PROJECT}: it can be replaced there"),
        ("command: npx, args: [x], env: {PATH: 'AT/project/bin:AT/tools'}", f"x looks for `npx` in AT/project/bin, {PROJECT}: it can be replaced there"),
        ("command: env, args: ['PYTHONPATH=AT/project/src', python3]", f"x runs `src` from AT/project/src, {PROJECT}: it can be replaced there"),
        ("command: npx, args: [x], env: {DATA: AT/project}", None),
        ("command: node, args: [--require, AT/project/src/run.py, AT/tools/run.js]", f"x runs what `node` finds from AT/project/src, {PROJECT}: it can be replaced there"),
        ("command: python3, args: [-P, AT/project/src/run.py]", f"x runs `AT/project/src/run.py` from AT/project/src, {PROJECT}: it can be replaced there"),
        ("command: sh, args: [-c, 'exec AT/project/server']", f"x runs `server` from AT/project, {PROJECT}: it can be replaced there"),
        ("url: 'https://x.example/mcp'", None),
    ],
)  # fmt: skip
def test_what_an_agent_could_put_in_the_place_of_a_server(
    tmp_path: Path, entry: str, said: str | None
) -> None:
    found = seen(tmp_path, entry)
    assert found[:1] == ([] if said is None else [said])


def test_a_server_that_is_disabled_is_given_nothing(tmp_path: Path) -> None:
    beside = "fs: {command: node, args: [AT/project], disabled: true}"
    assert seen(tmp_path, "command: AT/project/server", beside) == []


def test_what_is_run_and_where_the_server_starts_are_said_once_for_one_folder(tmp_path: Path) -> None:
    assert len(seen(tmp_path, "command: npx, args: [x], cwd: AT/project")) == 1
    assert len(seen(tmp_path, "command: python3, args: [AT/project/src/run.py], cwd: AT/project")) == 2
