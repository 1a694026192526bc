"""Compiled tables beside the code: believed as the code is, and never more than a slower start."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mcpguard.adapters.system.tables import BesideTheCode, keep_tables
from mcpguard.core.redaction.engine import matching

SOURCE = b"s" * 32
COMPILED = b"compiled" * 100
_NOBODY = 65534


class Place:
    """A module's folder and the one for what is compiled."""

    def __init__(self, root: Path) -> None:
        self.code = root / "code"
        self.cache = self.code / "__pycache__"
        self.cache.mkdir(parents=True, mode=0o755)
        self.shelf = BesideTheCode(str(self.code / "module.py"), str(self.cache / "module.pyc"))

    @property
    def file(self) -> Path:
        (file,) = self.cache.iterdir()
        return file

    def kept(self) -> bytes | None:
        return self.shelf.take("some", SOURCE)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    place = Place(tmp_path)
    place.shelf.put("some", SOURCE, COMPILED)
    return place


def test_what_was_put_is_taken_by_its_name_and_source(place: Place) -> None:
    assert place.kept() == COMPILED
    assert place.shelf.take("other", SOURCE) is None
    assert place.shelf.take("some", b"t" * 32) is None
    place.shelf.put("some", b"t" * 32, b"newer")
    assert place.kept() is None
    assert place.shelf.take("some", b"t" * 32) == b"newer"


@pytest.mark.parametrize("length", [0, 10, 32, 500, -1])
def test_a_damaged_table_is_not_believed(length: int, place: Place) -> None:
    place.file.write_bytes(place.file.read_bytes()[:length])
    assert place.kept() is None


def others_write_the_table(place: Place) -> None:
    place.file.chmod(0o646)


def the_group_writes_the_table(place: Place) -> None:
    place.file.chmod(0o664)


def others_write_the_folder(place: Place) -> None:
    place.cache.chmod(0o777)


def the_group_writes_the_folder(place: Place) -> None:
    place.cache.chmod(0o775)


def it_leads_elsewhere(place: Place) -> None:
    place.file.symlink_to(place.file.rename(place.code / "elsewhere"))


def the_folder_leads_elsewhere(place: Place) -> None:
    place.cache.symlink_to(place.cache.rename(place.code / "elsewhere"))


def it_is_a_fifo(place: Place) -> None:
    name = place.file
    name.unlink()
    os.mkfifo(name)


def it_is_a_folder(place: Place) -> None:
    name = place.file
    name.unlink()
    name.mkdir()


def the_code_is_gone(place: Place) -> None:
    place.cache.rename(place.code.parent / "__pycache__")
    place.code.rmdir()


@pytest.mark.parametrize(
    "happens",
    [
        others_write_the_table,
        the_group_writes_the_table,
        others_write_the_folder,
        the_group_writes_the_folder,
        it_leads_elsewhere,
        the_folder_leads_elsewhere,
        it_is_a_fifo,
        it_is_a_folder,
        the_code_is_gone,
    ],
)
def test_a_table_is_not_believed_where(happens: Callable[[Place], None], place: Place) -> None:
    happens(place)
    assert place.kept() is None


def test_a_table_of_another_user_is_not_believed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(place.file, _NOBODY, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: _NOBODY)
        code = os.stat_result((0o755, 0, 0, 0, _NOBODY, 0, 0, 0, 0, 0))
        monkeypatch.setattr(Path, "stat", lambda _: code)
    assert place.kept() is None


def test_whoever_may_write_the_code_may_write_the_table(place: Place) -> None:
    for one in (place.code, place.cache, place.file):
        one.chmod(0o775)
    assert place.kept() == COMPILED


def test_nothing_is_written_where_python_is_to_write_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    place.shelf.put("other", SOURCE, COMPILED)
    assert place.kept() == COMPILED
    assert place.shelf.take("other", SOURCE) is None


def test_what_cannot_be_kept_leaves_nothing_behind(place: Place) -> None:
    it_is_a_folder(place)
    place.shelf.put("some", SOURCE, COMPILED)
    assert place.file.is_dir()
    place.file.rmdir()
    place.cache.rmdir()
    place.shelf.put("some", SOURCE, COMPILED)
    assert not place.cache.exists()


def test_tables_are_kept_where_python_keeps_what_it_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(matching, "keep_on", asked.append)
    keep_tables()
    assert isinstance(asked[0], BesideTheCode)
    monkeypatch.setattr(matching, "__spec__", None)
    keep_tables()
    assert len(asked) == 1
