"""A definition that changes between two sessions is noticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mcpguard.adapters.store import definitions
from mcpguard.adapters.store.definitions import FILE, MOST_SEEN, KnownDefinitions


class Known:
    """What one process knows, and what it reported."""

    def __init__(self, folder: Path) -> None:
        self.said = list[str]()
        self._own = KnownDefinitions(folder, self.said.append)

    def changed(self, server: str = "git 1", **found: str) -> dict[str, str]:
        """Once what was found is stored."""
        changed = self._own.changed(server, "tool", found)
        self._own._disk.submit(lambda: None).result(10)
        return changed


def test_a_definition_that_changes_in_the_process_or_in_a_later_one_is_found_once(tmp_path: Path) -> None:
    first = Known(tmp_path)
    assert first.changed(read="a", write="b") == {}
    assert first.changed(read="a", write="c", more="d") == {"write": "b"}
    assert first.changed(read="a", write="c") == {}
    later = Known(tmp_path)
    assert later.changed(read="x", write="c", more="d") == {"read": "a"}
    assert later.changed(read="a") == {}
    assert Known(tmp_path).changed(read="x", write="b") == {}


def test_a_server_that_is_started_otherwise_or_another_kind_is_another_one(tmp_path: Path) -> None:
    known = Known(tmp_path)
    known.changed(read="a")
    assert known.changed("git 2", read="b") == {}
    assert known._own.changed("git 1", "prompt", {"read": "b"}) == {}


def test_what_a_server_has_listed_is_known_by_its_name_and_by_how_names_are_alike(tmp_path: Path) -> None:
    Known(tmp_path).changed("git 1", **{"read.file": "a"})
    later = Known(tmp_path)._own
    assert later.has_listed("git", "tool", "read.file")
    assert later.has_listed("git", "tool", "Read_File")
    assert not later.has_listed("git", "prompt", "read.file")
    assert not later.has_listed("git", "tool", "read")
    assert not later.has_listed("gi", "tool", "read.file")


def test_two_processes_keep_what_both_have_seen(tmp_path: Path) -> None:
    one, other = Known(tmp_path), Known(tmp_path)
    one.changed(read="a")
    other.changed(read="b", write="c")
    one.changed("mail 1", send="d")
    assert Known(tmp_path).changed(read="a", write="x") == {"write": "c"}
    assert Known(tmp_path).changed("mail 1", send="e") == {"send": "d"}


@pytest.mark.parametrize("form", ["", ', "form": 1', ', "form": 99'])
def test_digests_that_another_version_made_in_another_way_are_no_change_and_are_learned_again(
    tmp_path: Path, form: str
) -> None:
    (tmp_path / FILE).write_text(f'{{"servers": {{"git 1": {{"tool read": ["old"]}}}}{form}}}')
    known = Known(tmp_path)
    assert known._own.has_listed("git", "tool", "read")
    assert known.changed(read="new") == {}
    assert Known(tmp_path).changed(read="other") == {"read": "new"}


def test_what_is_kept_has_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "MOST_NAMES", 2)
    monkeypatch.setattr(definitions, "MOST_SERVERS", 2)
    known = Known(tmp_path)
    for number in range(20):
        known.changed("git 1", **{f"t{number}": "a", "u": str(number), "left": "out"})
    assert len(known._own._known["git 1"]) == 6
    assert len(known._own._known["git 1"]["tool u"]) == MOST_SEEN
    for number in range(4):
        known.changed(f"s {number}", read="a")
    stored = known._own._read()
    assert list(stored) == ["s 2", "s 3"]


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"servers": 1}'])
def test_a_file_that_something_else_wrote_is_reported_once_and_costs_no_call(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / FILE).write_bytes(content)
    known = Known(tmp_path)
    assert known.changed(read="a") == {}
    assert known.changed(read="b") == {"read": "a"}
    assert known.said == [
        f"definitions of tools cannot be remembered in {tmp_path / FILE} (it is not what mcpguard writes: remove it): "
        "one that changes between two sessions is not noticed"
    ]


def test_a_folder_that_cannot_be_used_is_reported_once_and_costs_no_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    known = Known(tmp_path / "file" / "state")
    assert known.changed(read="a") == {}
    assert known.changed(read="b") == {"read": "a"}
    assert len(known.said) == 1
    assert "(Not a directory): one that changes" in known.said[0]
    known._own.close()


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    Known(tmp_path).changed(read="a")
    assert {os.stat(one).st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
