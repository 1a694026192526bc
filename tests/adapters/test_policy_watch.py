"""Policies that change while mcpguard serves: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mcpguard.adapters.policy_files import load_policies
from mcpguard.adapters.policy_watch import PolicyWatch
from mcpguard.core.redaction import OPT_IN
from tests.fakes import FixedClock

ALLOW = "version: 1\npolicy: p\nrules: [{id: a, effect: allow}]\n"
DENY = "version: 1\npolicy: p\nrules: [{id: a, effect: deny}]\n"


class Watched:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text(ALLOW)
        self.clock = FixedClock()
        self.clock.slow = True
        self.heard: list[str] = []
        self.watch = PolicyWatch(
            [path],
            lambda: load_policies([path], OPT_IN),
            self.clock,
            lambda policies: self.heard.append(policies.rules[0].effect),
            lambda problems: self.heard.append(problems.problems[0].message),
        )

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


def test_after_it_was_closed_nothing_is_looked_at(watched: Watched) -> None:
    watched.look()
    watched.watch.close()
    assert watched.clock.alarms == []
