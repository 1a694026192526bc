"""An import or an undo that ends at any step: nothing is lost, and either way out of it is byte-exact."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from mcpguard.cli import main
from mcpguard.onboarding.journal import MoveJournal, default_folder
from tests.adapters.credentials.fake_keyring import FakeKeyring
from tests.onboarding.corpus import CASES, Person, planted, tree, with_a_secret

MOVED = (CASES[1], CASES[9])
pytestmark = pytest.mark.timeout(300)  # Some hundred imports, on a machine that may be busy.
SECRETS = [secret for case in MOVED for secret in planted(case)]


@pytest.fixture(autouse=True)
def no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends here is a process, not the machine: some hundred imports need not wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


class Killed(BaseException):
    """The process ends here: nothing of mcpguard catches this."""


@contextmanager
def each_change(before: Callable[[str], None], backend: FakeKeyring) -> Iterator[None]:
    """Call `before` with the name of whatever is about to change a file or the keychain."""

    def watched(name: str, real: Callable[..., Any], changes: Callable[..., bool] = lambda *_: True) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            if changes(*args):
                before(name)
            return real(*args, **more)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "unlink", "rmdir", "mkdir", "fsync", "fchmod"):
            patch.setattr(os, name, watched(name, getattr(os, name)))
        making = watched("open", os.open, lambda _, flags, *rest: bool(flags & os.O_CREAT))
        patch.setattr(os, "open", making)
        for name in ("set_password", "delete_password"):
            patch.setattr(backend, name, watched(name, getattr(backend, name)))
        yield


@contextmanager
def killed_at(number: int, backend: FakeKeyring) -> Iterator[list[str]]:
    """The change with this number is not made. Gives the names of those that were."""
    done: list[str] = []

    def before(name: str) -> None:
        if len(done) == number:
            raise Killed
        done.append(name)

    with each_change(before, backend):
        yield done


def left_by(words: list[str], folders: tuple[Path, ...], backend: FakeKeyring) -> Iterator[int]:
    """Run `mcpguard` with these words to its end, once; then bring back, one after the other, what is there before each
    change that it makes, which is what a process that ends at this step leaves behind. What is left behind at several steps
    is brought back once. Gives the numbers of the changes."""
    states: dict[int, tuple[dict[Path, tuple[int, bytes]], dict[tuple[str, str], str]]] = {}
    kept, here = Path(tempfile.mkdtemp()), Path.cwd()
    changes = 0
    looking = False

    def keep(_name: str) -> None:
        nonlocal looking, changes
        if looking:
            return
        looking = True
        state = everything(folders), {**backend.entries}
        if state not in states.values():
            for folder in folders:
                shutil.copytree(folder, kept / str(changes) / folder.name, symlinks=True)
            states[changes] = state
        changes += 1
        looking = False

    with each_change(keep, backend):
        assert main(words) == 0
    for number, (_, entries) in states.items():
        for folder in folders:
            shutil.rmtree(folder)
            shutil.move(kept / str(number) / folder.name, folder)
        os.chdir(here)
        backend.entries.clear()
        backend.entries.update(entries)
        yield number
    shutil.rmtree(kept)


def everything(folders: tuple[Path, ...]) -> dict[Path, tuple[int, bytes]]:
    """The mode and what is in it of each file, link and folder."""

    def held(path: Path) -> bytes:
        if path.is_symlink():
            return os.readlink(os.fsencode(path))
        return path.read_bytes() if path.is_file() else b""

    paths = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    return {path: (path.lstat().st_mode, held(path)) for path in paths}


def start_over(person: Person, backend: FakeKeyring) -> dict[Path, bytes]:
    for folder in person:
        shutil.rmtree(folder)
        folder.mkdir()
    os.chdir(person.project)
    backend.entries.clear()
    for case in MOVED:
        person.has(case)
    return tree(*person)


def files(person: Person) -> dict[Path, bytes]:
    """All files but the record of what was done."""
    return {path: data for path, data in tree(*person).items() if default_folder() not in path.parents}


def is_as_before(person: Person, backend: FakeKeyring, before: dict[Path, bytes]) -> None:
    assert files(person) == before
    assert [key for key in backend.entries if key[0] == "mcpguard"] == []
    assert with_a_secret(tree(default_folder()), SECRETS) == []


@pytest.mark.parametrize("way_out", [["undo"], ["import", "--yes"]], ids=["undo", "import again"])
def test_an_import_that_ends_at_any_step_is_taken_back_or_finished(
    way_out: list[str], person: Person, backend: FakeKeyring
) -> None:
    before = start_over(person, backend)
    for number in left_by(["import", "--yes"], person, backend):
        assert main(way_out) == 0, number
        if way_out != ["undo"]:
            assert with_a_secret(tree(*person), SECRETS) == []
            assert set(SECRETS) <= set(backend.entries.values())
            assert main(["undo"]) == 0
        is_as_before(person, backend, before)
    assert number > 60


def test_an_undo_that_ends_at_any_step_is_finished_by_the_next(person: Person, backend: FakeKeyring) -> None:
    before = start_over(person, backend)
    assert main(["import", "--yes"]) == 0
    for number in left_by(["undo"], person, backend):
        assert main(["undo"]) == 0, number
        is_as_before(person, backend, before)
    assert number > 20


def test_a_step_that_fails_takes_back_what_was_done(
    person: Person, backend: FakeKeyring, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = start_over(person, backend)
    codex = person.path(CASES[9])
    replace = os.replace

    def failing(source: Any, target: Any) -> None:
        if Path(target) == codex and b"mcpguard" in Path(source).read_bytes():
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    assert main(["import", "--yes"]) == 2
    said = capsys.readouterr().err
    assert f"{codex} cannot be written: No space left on device; all changes were reverted" in said
    assert files(person) == before
    assert [key for key in backend.entries if key[0] == "mcpguard"] == []


def test_an_import_that_cannot_be_recorded_changes_nothing_and_says_so(
    person: Person, backend: FakeKeyring, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = start_over(person, backend)

    def full(source: Any, target: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert main(["import", "--yes"]) == 2
    said = capsys.readouterr().err
    assert said.endswith("move.json cannot be written: No space left on device; nothing was changed\n")
    assert files(person) == before


def test_where_taking_back_fails_too_the_way_out_is_told(
    person: Person, backend: FakeKeyring, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = start_over(person, backend)
    codex = person.path(CASES[9])
    replace = os.replace
    full = False

    def failing(source: Any, target: Any) -> None:
        nonlocal full
        full = full or Path(target) == codex
        if full:
            raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing)
        assert main(["import", "--yes"]) == 2
    assert "not everything could be reverted" in (said := capsys.readouterr().err)
    assert said.endswith("run `mcpguard undo`\n")
    assert main(["undo"]) == 0
    is_as_before(person, backend, before)


def test_a_person_who_edits_after_a_crash_is_told_and_loses_nothing(
    person: Person, backend: FakeKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    start_over(person, backend)
    codex = person.path(CASES[9])
    replace = os.replace
    with pytest.MonkeyPatch.context() as patch:

        def kill_after(source: Any, target: Any) -> None:
            replace(source, target)
            if Path(target) == codex:
                raise Killed

        patch.setattr(os, "replace", kill_after)
        with pytest.raises(Killed):
            main(["import", "--yes"])
    mine = codex.read_bytes().replace(b'"run"', b'"run", "--mine"')
    codex.write_bytes(mine)
    assert main(["import", "--yes"]) == 2
    assert "an import did not finish, and" in capsys.readouterr().err
    assert main(["undo", "--beside"]) == 1
    assert codex.read_bytes() == mine
    assert planted(CASES[9])[0].encode() in codex.with_name("config.toml.before-mcpguard").read_bytes()


KILLING = """
import os, signal, sys
from pathlib import Path
replace = os.replace
def kill(source, target):
    if Path(target).name.endswith(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = kill
from mcpguard.cli import main
main(["import", "--yes", "--to", "file", "--no-start"])
"""


def test_an_undo_that_ends_at_any_step_leaves_a_secret_that_was_replaced(
    person: Person, backend: FakeKeyring
) -> None:
    start_over(person, backend)
    assert main(["import", "--yes"]) == 0
    name = "sentry/Authorization"
    backend.entries["mcpguard", name] = "replaced-value"
    for number in left_by(["undo"], person, backend):
        assert main(["undo"]) == 0, number
        assert [key for key in backend.entries if key[0] == "mcpguard"] == [("mcpguard", name)], number
        assert backend.entries["mcpguard", name] == "replaced-value"


def test_an_import_that_was_killed_before_it_changed_a_file_is_told_when_it_is_taken_back(
    person: Person, backend: FakeKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    start_over(person, backend)
    for number in range(1000):
        with killed_at(number, backend), suppress(Killed):
            main(["import", "--yes"])
        if any(move.state == "open" for move in MoveJournal(default_folder()).moves()):
            break
    capsys.readouterr()
    assert main(["undo"]) == 0
    assert "an unfinished import had changed no file" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["move.json", ".sealed", "mcpguard.yaml", ".claude.json", "config.toml"])
def test_a_killed_process_leaves_nothing_that_cannot_be_taken_back(name: str, person: Person) -> None:
    for case in MOVED:
        person.has(case)
    before = tree(*person)
    killed = subprocess.run(
        [sys.executable, "-c", KILLING, name], capture_output=True, timeout=60, check=False
    )
    assert killed.returncode == -9, killed.stderr
    assert main(["undo"]) == 0
    assert files(person) == before
