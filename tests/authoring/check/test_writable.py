"""Which folders a server can write, wherever its entry names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpguard.authoring.check.exposure import held_in
from mcpguard.authoring.check.relied import Relied
from mcpguard.authoring.check.writable import is_bounded, writable
from mcpguard.config.loading import Config, load_config


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("proj", "other", "with blank", "code", "conf"):
        (tmp_path / name).mkdir()
    for name in ("code/index.js", "proj/data.db", "proj/run.py"):
        (tmp_path / name).touch()


def configured(tmp_path: Path, entry: str, more: str = "") -> Config:
    path = tmp_path / "conf" / "mcpguard.yaml"
    path.write_text(f"version: 1\nservers:\n  x: {{{entry}}}\n{more}".replace("HERE", str(tmp_path)))
    return load_config(path)


PROJ, BOTH = {"proj"}, {"proj", "other"}


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        ("command: fs, args: [HERE/proj]", PROJ),
        ("command: fs, args: [HERE/gone]", set()),
        ("command: fs, args: [HERE/proj/data.db]", set()),
        ("command: fs, args: ['--root=HERE/proj']", PROJ),
        ("command: fs, args: ['--roots=HERE/proj,HERE/other']", BOTH),
        ("command: fs, args: ['HERE/proj:HERE/other']", BOTH),
        ("command: fs, args: ['file://HERE/proj']", PROJ),
        ("command: fs, args: ['{\"dirs\": [\"HERE/proj\", \"HERE/other\"]}']", BOTH),
        ("command: fs, args: ['HERE/with blank']", {"with blank"}),
        ("command: fs, args: ['--root=HERE/with blank', '-dHERE/proj']", {"with blank", "proj"}),
        ("command: fs, args: [~/proj, '~/other']", BOTH),
        ("command: sh, args: [-c, 'cd $HOME/proj && fs \"HERE/other\"']", BOTH),
        ("command: fs, args: ['https://example.com/proj', '//proj']", set()),
        ("command: fs, args: [proj]", set()),
        ("command: fs, args: [../other], cwd: HERE/proj", BOTH),
        ("command: fs, env: {ALLOWED_DIRECTORIES: 'HERE/proj:HERE/other'}", BOTH),
        ("command: fs, env: {ROOT: 'HERE/proj${env:A}'}", PROJ),
        ("command: fs, env: {PYTHONPATH: HERE/proj, HOME: HERE, SSL_CERT_DIR: HERE/other, npm_config_cache: HERE}", set()),
        ("command: node, args: [HERE/code, HERE/proj]", PROJ),
        ("command: node, args: [HERE/proj]", PROJ),
        ("command: uv, args: [--directory, HERE/code, run, fs, HERE/proj]", PROJ),
        ("command: docker, args: [run, -v, 'HERE/proj:/data', image, /data]", PROJ),
        ("command: podman, args: [run, '-vHERE/proj:/data:Z', '--volume=HERE/other:/o', image]", BOTH),
        ("command: docker, args: [run, --mount, 'type=bind,src=HERE/proj,dst=/p', image, HERE/other]", PROJ),
        ("command: docker, args: [run, '--mount=type=bind,source=HERE/proj,target=/p', image]", PROJ),
        ("command: docker, args: [run, -v, 'HERE/proj:/d:ro', --mount, 'type=bind,src=HERE/other,dst=/o,readonly', i]", set()),
        ("command: docker, args: [run, -v, 'data:/d', image]", set()),
        ("command: docker, args: [run, -v, 'HERE/proj/data.db:/d', image]", {"data.db"}),
        ("command: docker, args: [exec, HERE/proj, fs]", PROJ),
        ("url: 'https://x.example/mcp'", set()),
    ],
)  # fmt: skip
def test_a_folder_is_found_wherever_the_entry_names_it(tmp_path: Path, entry: str, names: set[str]) -> None:
    config = configured(tmp_path, entry)
    found = writable(config, config.servers["x"])
    given = {one.folder.name for one in found if not one.is_own or one.way[-1] == "cwd"}
    assert given == names


def test_a_folder_in_the_variables_of_a_credential_that_rules_choose_is_found(tmp_path: Path) -> None:
    entry = "c: {servers: [x], value: '${env:A}', env: {ROOT: HERE/proj}}"
    config = configured(tmp_path, "command: fs", f"credentials: {{{entry}}}\n")
    (found,) = writable(config, config.servers["x"])
    assert (found.way, found.folder.name) == (("credentials", "c", "env", "ROOT"), "proj")


@pytest.mark.parametrize(
    ("entry", "bounded"),
    [
        ("command: shell", False),
        ("command: shell, cwd: HERE/proj", False),
        ("command: python3, args: [HERE/proj/run.py]", False),
        ("command: node, args: [HERE/code]", False),
        ("command: shell, env: {PATH: HERE/proj, LANG: C}", False),
        ("command: fs, args: [HERE/gone]", True),
        ("command: fs, env: {MEMORY_FILE_PATH: HERE/proj/data.db}", True),
        ("command: python3, args: [HERE/proj/run.py, --db, HERE/proj/data.db]", True),
        ("command: docker, args: [run, -i, --rm, image]", True),
        ("command: docker, args: [run, --privileged, image]", False),
        ("command: docker, args: [run, '--pid=host', image]", False),
        ("command: docker, args: [run, -v, '/var/run/docker.sock:/var/run/docker.sock', image]", False),
    ],
)
def test_an_entry_says_where_its_server_writes_or_it_does_not(
    tmp_path: Path, entry: str, bounded: bool
) -> None:
    config = configured(tmp_path, entry)
    assert is_bounded(config, config.servers["x"]) == bounded


def test_what_contains_or_belongs_to_what_mcpguard_goes_by_is_said(tmp_path: Path) -> None:
    relied = [
        Relied(tmp_path / "proj" / "token", name="token"),
        Relied(tmp_path / "proj" / ".venv", name="mcpguard itself", is_whole=True),
        Relied(tmp_path / "other", ("servers", "y"), "y", "runs `z`"),
        Relied(None, name="nothing"),
    ]
    assert held_in(tmp_path / "proj", relied) == "contains token, mcpguard itself"
    assert held_in(tmp_path / "proj" / ".venv" / "lib", relied) == "belongs to mcpguard itself"
    assert held_in(tmp_path / "proj" / "src", relied) == ""
    assert held_in(tmp_path / "other", relied) == ""
