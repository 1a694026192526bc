"""Which files are read: what git ignores is not, no link is followed, nothing is waited for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcpguard.scan.files import Git, files
from mcpguard.scan.sources import Skipped


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True, timeout=60)


def names(*paths: Path, ignored: bool = False) -> list[str]:
    return sorted(one.path for one in files(paths, ignored))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for name in ("a.py", "src/b.py", "build/c.py", "notes/d.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x\n")
    (tmp_path / ".gitignore").write_text("build/\n")
    return tmp_path


def test_outside_of_git_all_files_are_read(folder: Path) -> None:
    assert names(Path()) == [".gitignore", "a.py", "build/c.py", "notes/d.md", "src/b.py"]
    assert names(folder / "src") == [f"{folder}/src/b.py"]


def test_in_a_repository_what_git_ignores_is_left_out_unless_it_is_wanted_or_named(folder: Path) -> None:
    git(folder, "init")
    git(folder, "add", "a.py")
    (folder / "a.py").unlink()
    assert names(Path()) == [".gitignore", "notes/d.md", "src/b.py"]
    assert names(Path("src")) == ["src/b.py"]
    assert names(Path(), ignored=True) == [".gitignore", "build/c.py", "notes/d.md", "src/b.py"]
    assert names(Path("build")) == ["build/c.py"]
    assert names(Path("build/c.py")) == ["build/c.py"]


def test_a_repository_in_a_repository_has_its_own_rules(folder: Path) -> None:
    git(folder, "init")
    git(folder / "notes", "init")
    (folder / "notes" / ".gitignore").write_text("d.md\n")
    assert names(Path()) == [".gitignore", "a.py", "notes/.gitignore", "src/b.py"]


def test_without_git_all_files_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(folder, "init")
    monkeypatch.setenv("PATH", str(folder))
    assert "build/c.py" in names(Path())


def test_no_link_is_followed_but_one_that_is_named(folder: Path) -> None:
    (folder / "src" / "out").symlink_to("/etc/passwd")
    (folder / "src" / "up").symlink_to(folder)
    for repository in (False, True):
        if repository:
            git(folder, "init")
        opened = []
        for one in files([Path("src")]):
            assert not isinstance(one, Skipped)
            try:
                with one.open():
                    opened.append(one.path)
            except OSError:
                pass
        assert opened == ["src/b.py"]
    (named,) = files([Path("src/out")])
    assert not isinstance(named, Skipped)
    with named.open() as file:
        assert file.read(4)


def test_what_is_no_regular_file_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "src" / "pipe")
    sources = [one for one in files([Path("src")]) if not isinstance(one, Skipped)]
    for one in sources:
        with one.open() as file:
            file.read(1)


def test_a_folder_that_cannot_be_read_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("src"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    skipped = [one for one in files([Path()]) if isinstance(one, Skipped)]
    assert skipped == [Skipped("src", "cannot be read: permission denied")]


def test_what_git_cannot_read_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(folder, "init")
    real = Git.parts

    def parts(self: Git, *words: str) -> Iterator[bytes]:
        yield from real(self, *words)
        self.warnings.append("warning: could not open directory 'src/': Permission denied")

    monkeypatch.setattr(Git, "parts", parts)
    skipped = [one for one in files([Path()]) if isinstance(one, Skipped)]
    assert skipped == [Skipped(".", "git: warning: could not open directory 'src/': Permission denied")]


def test_a_path_that_is_missing_is_told_and_the_rest_is_read(folder: Path) -> None:
    found = list(files([Path("nothing"), Path("src")]))
    assert found[0] == Skipped("nothing", "there is no such file or folder")
    assert [one.path for one in found[1:]] == names(Path("src")) != []


def test_a_name_need_not_be_text(folder: Path) -> None:
    (folder / "src" / os.fsdecode(b"\xff.py")).write_text("x")
    assert names(Path("src")) == ["src/b.py", "src/\ufffd.py"]
    git(folder, "init")
    assert names(Path("src")) == ["src/b.py", "src/\ufffd.py"]


def test_nothing_that_a_repository_configures_is_run(folder: Path) -> None:
    git(folder, "init")
    ran = folder.parent / "ran"
    git(folder, "config", "core.fsmonitor", f"touch {ran}")
    git(folder, "add", "src")
    ran.unlink(missing_ok=True)
    assert "a.py" in names(Path())
    assert not ran.exists()


def test_what_mcpguard_keeps_for_undo_is_left_out(folder: Path) -> None:
    (folder / "moves" / "000001").mkdir(parents=True)
    (folder / "moves" / "000001" / "move.json").write_text("{}")
    (folder / "moves2").mkdir()
    (folder / "moves2" / "a.py").touch()
    found = [one.path for one in files([Path()], own=folder / "moves")]
    assert "moves2/a.py" in found
    assert [one for one in found if one.startswith("moves/")] == []
