"""Notes of what is to be taken back: whose they are, and what is done with files that are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mcpguard.adapters.credentials.journal import HandleJournal, default_folder


def noted(folder: Path, *handles: str, place: str = "here") -> HandleJournal:
    journal = HandleJournal("kind", place, folder)
    for handle in handles:
        journal.note(handle)
    return journal


def abandoned(folder: Path, *handles: str, place: str = "here") -> None:
    """As a process that is killed leaves them: the files stay, the locks go."""
    journal = noted(folder, *handles, place=place)
    for lock in journal._mine.values():
        os.close(lock)


def test_what_this_process_has_is_in_use_and_nobodys_heritage(tmp_path: Path) -> None:
    journal = noted(tmp_path, "a")
    other = HandleJournal("kind", "here", tmp_path)
    assert other.in_use() == {"a"}
    assert not other.left()
    assert list(other.inherit()) == []
    journal.forget("a")
    assert (other.in_use(), list(tmp_path.iterdir())) == (set(), [])


def test_what_an_ended_process_left_is_inherited_until_it_is_forgotten(tmp_path: Path) -> None:
    abandoned(tmp_path, "a", "b")
    journal = HandleJournal("kind", "here", tmp_path)
    assert journal.left()
    assert list(journal.inherit()) == ["a", "b"]
    for handle in journal.inherit():
        journal.forget(handle)
    assert (journal.left(), list(tmp_path.iterdir())) == (False, [])


def test_nobody_else_is_given_what_is_being_taken_back(tmp_path: Path) -> None:
    abandoned(tmp_path, "a")
    for _ in HandleJournal("kind", "here", tmp_path).inherit():
        assert list(HandleJournal("kind", "here", tmp_path).inherit()) == []
    assert HandleJournal("kind", "here", tmp_path).left()


def test_only_the_same_kind_and_place_is_inherited(tmp_path: Path) -> None:
    abandoned(tmp_path, "a", place="elsewhere")
    assert not HandleJournal("kind", "here", tmp_path).left()
    assert not HandleJournal("other", "elsewhere", tmp_path).left()
    assert HandleJournal("kind", "elsewhere", tmp_path).left()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"kind":"kind"}', b"\xff"])
def test_a_file_that_is_no_note_is_left_alone(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.json").write_bytes(data)
    journal = HandleJournal("kind", "here", tmp_path)
    assert list(journal.inherit()) == []
    assert (tmp_path / "x.json").exists()


def test_a_link_or_a_pipe_in_the_folder_is_not_followed_or_waited_for(tmp_path: Path) -> None:
    abandoned(tmp_path / "real", "a")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.json").symlink_to(tmp_path / "real" / "a.json")
    os.mkfifo(folder / "b.json")
    assert list(HandleJournal("kind", "here", folder).inherit()) == []


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    journal = HandleJournal("kind", "here", tmp_path / "gone")
    assert (journal.left(), journal.in_use()) == (False, set())
    journal.forget("a")


def test_the_files_are_closed_to_others_and_name_no_place(tmp_path: Path) -> None:
    noted(tmp_path / "new", "a", place="postgresql://db.internal")
    (file,) = (tmp_path / "new").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "db.internal" not in file.read_text()


def test_a_note_that_cannot_be_finished_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_lock: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        noted(tmp_path, "a")
    assert list(tmp_path.iterdir()) == []


def test_the_default_is_a_folder_of_the_users_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "mcpguard" / "minted"


@pytest.mark.parametrize(("file", "handle"), [("a", "b"), ("../a", "../a"), ("a-b", "a-b")])
def test_a_note_that_somebody_else_wrote_takes_nothing_back(tmp_path: Path, file: str, handle: str) -> None:
    abandoned(tmp_path / "folder", "real")
    note = (tmp_path / "folder" / "real.json").read_text().replace("real", handle)
    (tmp_path / "folder" / "real.json").unlink()
    (tmp_path / "folder" / f"{file}.json").write_text(note)
    journal = HandleJournal("kind", "here", tmp_path / "folder")
    assert (journal.left(), list(journal.inherit())) == (False, [])
