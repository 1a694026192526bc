"""Which server a name stands for: what an approval for it is about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcpguard.config.loading import load_config
from mcpguard.core.policy.session import NO_PLACES, without_folder
from mcpguard.serve.settings import places_of
from tests.rows import each

DB: dict[str, Any] = {"command": "db", "args": ["--read"], "env": {"URL": "${env:DB_URL}"}}
FAR: dict[str, Any] = {"url": "https://far.example/mcp", "headers": {"X-Team": "ops"}}
TOKEN: dict[str, Any] = {
    "command": ["token", "far"],
    "servers": ["far"],
    "headers": {"X-Key": "${credential:key}"},
}


def place(folder: Path, server: str, **more: Any) -> str:
    about: dict[str, Any] = {
        "version": 1,
        "servers": {"db": DB, "far": FAR, "here": {"command": "git", "cwd": "client"}},
        "credentials": {"key": TOKEN},
    }
    for name, value in more.items():
        kind = "credentials" if name == "key" else "servers"
        about[kind] = {**about[kind], name: {**about[kind][name], **value}}
    file = folder / "mcpguard.yaml"
    file.write_text(yaml.safe_dump(about))
    return places_of(load_config(file)).of(server)


@each(
    ("server", "change"),
    [
        ("db", {"db": {"command": "other"}}),
        ("db", {"db": {"args": ["--write"]}}),
        ("db", {"db": {"env": {"URL": "${env:PRODUCTION}"}}}),
        ("db", {"db": {"env": {**DB["env"], "STAGE": "production"}}}),
        ("db", {"db": {"cwd": "/srv"}}),
        ("far", {"far": {"url": "https://far.example/other"}}),
        ("far", {"far": {"headers": {"X-Team": "dev"}}}),
        ("far", {"key": {"command": ["token", "other"]}}),
        ("far", {"key": {"headers": {"X-Other": "${credential:key}"}}}),
    ],
)
def test_a_server_that_is_reached_otherwise_is_another_one(tmp_path: Path, server: str, change: Any) -> None:
    assert place(tmp_path, server, **change) != place(tmp_path, server)


@each(
    ("server", "change"),
    [
        ("db", {"far": {"url": "https://far.example/other"}}),
        ("db", {"key": {"command": ["token", "other"]}}),
        ("far", {}),
    ],
)
def test_what_is_for_others_leaves_a_server_as_it_is(tmp_path: Path, server: str, change: Any) -> None:
    assert place(tmp_path, server, **change) == place(tmp_path, server)


def test_it_holds_nothing_that_is_written(tmp_path: Path) -> None:
    found = place(tmp_path, "db")
    assert len(found) == 64
    assert int(found, 16)


def test_a_client_sees_the_server_that_others_see(tmp_path: Path) -> None:
    place(tmp_path, "db")
    text = (
        tmp_path / "mcpguard.yaml"
    ).read_text() + "clients: {desk: {servers: [far]}, other: {servers: [far, db]}}\n"
    (tmp_path / "mcpguard.yaml").write_text(text)
    config = load_config(tmp_path / "mcpguard.yaml")
    desk, other = (places_of(config.view(name)) for name in ("desk", "other"))
    assert desk.of("far") == other.of("far") == places_of(config).of("far") != ""
    assert desk.of("db") == ""


def test_one_that_starts_where_its_client_is_is_another_one_in_each_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name in ("one", "two", "gone"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        if name == "gone":
            (tmp_path / name).rmdir()
            found.append(place(tmp_path, "here"))
        found.append(place(tmp_path, "here"))
    assert len({*found}) == len(found) == 4
    assert len({*map(without_folder, found)}) == 1
    assert found[0].endswith(f" {tmp_path / 'one'}")
    monkeypatch.chdir(os.sep)


def test_nothing_is_known_of_a_server_without_a_configuration() -> None:
    assert NO_PLACES.of("db") == ""
