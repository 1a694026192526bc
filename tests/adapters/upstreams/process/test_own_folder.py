"""The folder that a server starts in where its configuration names none."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mcpguard.adapters.upstreams.process.own_folder import (
    KEPT_SECONDS,
    OwnFolder,
    not_from_here,
    relative_arguments,
    relative_command,
    sweep,
)
from mcpguard.core.errors import UpstreamError
from tests.rows import each


def test_each_start_has_a_new_empty_folder_that_only_its_user_can_enter(tmp_path: Path) -> None:
    own = OwnFolder(tmp_path / "servers", "git")
    made = [Path(own.make()) for _ in range(2)]
    assert made[0] != made[1]
    for one in made:
        assert one.parent == tmp_path / "servers" / "git"
        assert (list(one.iterdir()), one.stat().st_mode & 0o777) == ([], 0o700)
        assert one.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("which", ["servers", "servers/git"])
@pytest.mark.parametrize("how", ["link", "group", "everybody", "another's"])
def test_nothing_starts_below_a_folder_that_is_not_ours_alone(
    tmp_path: Path, which: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / which
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if how == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.mkdir(mode=0o700)
        path.chmod({"group": 0o770, "everybody": 0o707}.get(how, 0o700))
    if how == "another's":
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(UpstreamError, match="can be changed by others"):
        OwnFolder(tmp_path / "servers", "git").make()


def test_a_place_where_no_folder_can_be_made_says_so_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "servers").write_text("")
    with pytest.raises(
        UpstreamError, match=r"could be made in .*: .*; make it writable, or name a folder with `cwd`"
    ):
        OwnFolder(tmp_path / "servers", "git").make()


def test_an_empty_folder_goes_with_its_server_and_one_with_files_stays(tmp_path: Path) -> None:
    own = OwnFolder(tmp_path, "git")
    empty, full = own.make(), own.make()
    Path(full, "kept").write_text("x")
    assert own.leave(empty) == ""
    assert not os.path.exists(empty)
    assert own.leave(empty) == ""
    said = own.leave(full)
    assert full in said
    assert "`cwd`" in said
    assert Path(full, "kept").read_text() == "x"


def test_what_was_left_is_removed_after_a_week_unless_who_made_it_runs(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "stays").write_text("x")
    root = tmp_path / "servers"
    old = time.time() - KEPT_SECONDS - 60
    names = {
        "old": ("999999999-a", old, False),
        "new": ("999999999-b", time.time(), True),
        "running": (f"{os.getpid()}-c", old, True),
        "another's": ("1-d", old, True),
        "no number": ("x-e", old, True),
    }
    for name, at, _stays in names.values():
        folder = root / "git" / name
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
        (folder / "link").symlink_to(outside)
        os.utime(folder, (at, at))
    link = root / "git" / "999999999-f"
    link.symlink_to(outside)
    os.utime(link, (old, old), follow_symlinks=False)
    sweep(root)
    assert {name for name in names if (root / "git" / names[name][0]).exists()} == {
        name for name, (_folder, _at, stays) in names.items() if stays
    }
    assert (outside / "stays").read_text() == "x"
    sweep(tmp_path / "not-there")


@each(
    ("words", "relative"),
    [
        (["-y", "@acme/server", "--port", "3000"], []),
        (["-m", "mcp_server_git", "--repository", "/srv/x"], []),
        (["."], [(0, ".")]),
        (["--root=.", "--root=./a", "--root=/a"], [(0, "."), (1, "./a")]),
        (["../up", "a/b", "server.py", "/abs/server.py", "-x.py", "https://host/x.js", "a=b.py"], [(0, "../up"), (2, "server.py"), (6, "a=b.py")]),
        (["-c", "cd /tmp && exec node /srv/server.mjs"], []),
        (["/home/ada/My Projects/server.py", "My Projects/server.py"], [(1, "My Projects/server.py")]),
        (["-c", "cd /tmp && exec node server.mjs"], [(1, "cd /tmp && exec node server.mjs")]),
    ],
)  # fmt: skip
def test_arguments_that_are_relative_by_their_form(words: list[str], relative: list[tuple[int, str]]) -> None:
    assert list(relative_arguments(words)) == relative


def test_a_command_is_relative_where_it_is_a_path_that_does_not_begin_at_the_root() -> None:
    assert [relative_command(word) for word in ("npx", "/bin/sh", "./x", "bin/x")] == [
        False,
        False,
        True,
        True,
    ]


def test_what_is_said_of_relative_paths_counts_them() -> None:
    assert not_from_here(["'a'"]).startswith("'a' depends on the folder that the server starts in")
    assert not_from_here(["'a'", "'b'"]).startswith("'a' and 'b' depend on")
