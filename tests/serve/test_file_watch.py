"""Files that change while mcpguard serves: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mcpguard.config.policies import PolicyFile, load_policies
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.redaction.redactor import OPT_IN
from mcpguard.serve.file_watch import FileWatch, look_at
from tests.fakes import FixedClock

ALLOW = "version: 1\npolicy: p\nrules: [{id: a, effect: allow}]\n"
DENY = "version: 1\npolicy: p\nrules: [{id: a, effect: deny}]\n"


class Watched:
    def __init__(self, path: Path, meanwhile: str = "") -> None:
        self.path = path
        path.write_text(ALLOW)
        loaded = look_at([path])
        if meanwhile:
            self.write(meanwhile)
        self.clock = FixedClock()
        self.clock.slow = True
        self.heard: list[str] = []
        self.loading: Callable[[], object] = int
        self.watch = FileWatch(
            [path],
            loaded,
            self.load,
            self.clock,
            lambda policies: self.heard.append(policies.rules[0].effect),
            lambda problems: self.heard.append(problems.problems[0].message),
        )

    def load(self) -> PolicySet:
        policies = load_policies([PolicyFile(self.path)], OPT_IN)
        self.loading()
        return policies

    def look(self, times: int = 1) -> list[str]:
        for _ in range(times):
            _seconds, then = self.clock.alarms.pop()
            then()
        heard, self.heard = self.heard, []
        return heard

    def write(self, text: str) -> None:
        was = self.path.stat().st_mtime_ns if self.path.exists() else 0
        self.path.write_text(text)
        os.utime(self.path, ns=(was + 1_000_000, was + 1_000_000))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "p.yaml")


def test_a_file_that_does_not_change_is_not_read_again(watched: Watched) -> None:
    assert watched.look(5) == []


def test_a_change_is_taken_once_it_looks_the_same_twice(watched: Watched) -> None:
    watched.write(DENY)
    assert watched.look() == []
    watched.write(DENY + "# more\n")
    assert watched.look() == []
    assert watched.look() == ["deny"]
    assert watched.look(3) == []


def test_a_change_of_equal_size_time_and_inode_is_taken(watched: Watched) -> None:
    """A copy that keeps times (`rsync -t --inplace`, `touch -r`) looks as the file did before."""
    was = watched.path.stat()
    same = ALLOW.replace("allow", "deny ")
    assert len(same) == len(ALLOW)
    with watched.path.open("r+") as file:
        file.write(same)
    os.utime(watched.path, ns=(was.st_atime_ns, was.st_mtime_ns))
    now = watched.path.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ino) == (was.st_size, was.st_mtime_ns, was.st_ino)
    assert watched.look(3) == ["deny"]


def test_a_bad_file_is_told_once_and_never_taken_and_a_good_one_is_taken_later(watched: Watched) -> None:
    watched.write("version: 1\n")
    assert watched.look(4) == ["`policy` is missing"]
    watched.write(DENY)
    assert watched.look(2) == ["deny"]


def test_a_file_that_is_removed_takes_nothing_out_of_force(watched: Watched) -> None:
    watched.path.unlink()
    assert watched.look(3) == ["cannot be read: No such file or directory"]
    watched.write(ALLOW)
    assert watched.look(2) == ["allow"]


def test_a_change_between_the_first_load_and_the_first_look_is_taken(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "p.yaml", meanwhile=DENY)
    assert watched.look(2) == ["deny"]


def test_what_is_written_while_it_is_read_is_not_taken(watched: Watched) -> None:
    watched.write(DENY)
    watched.loading = lambda: watched.write(ALLOW + "# and more\n")
    assert watched.look(2) == []
    watched.loading = int
    assert watched.look(2) == ["allow"]


def test_a_defect_does_not_end_the_looking(watched: Watched) -> None:
    watched.write(DENY)
    watched.loading = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        watched.look(2)
    watched.loading = int
    assert watched.look() == ["deny"]


def test_after_it_was_closed_nothing_is_looked_at(watched: Watched) -> None:
    watched.look()
    watched.watch.close()
    assert watched.clock.alarms == []
