"""Files that change while mcpguard serves: whole or not at all."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from mcpguard.adapters.system.disk import DiskThread
from mcpguard.config.policies import PolicyFile, load_policies
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.redaction.redactor import OPT_IN
from mcpguard.serve.file_watch import (
    PAUSE_SECONDS,
    SETTLE_SECONDS,
    WORK_SECONDS,
    FileWatch,
    in_thread,
    look_at,
    with_pauses,
)
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
        self.waited: list[float] = []
        self.held: list[Callable[[], None]] | None = None
        self.loading: Callable[[], object] = int
        self.watch = FileWatch(
            [path],
            loaded,
            self.load,
            self.clock,
            lambda policies: self.heard.append(policies.rules[0].effect),
            lambda problems: self.heard.append(problems.problems[0].message),
            self.beside,
            self.waited.append,
            lambda late: self.heard.append("unsettled" if late else "settled"),
        )

    def beside(self, work: Callable[[], object], then: Callable[[Callable[[], object]], None]) -> None:
        """Done at once, unless it is `held`."""
        if self.held is None:
            then(work)
        else:
            self.held.append(lambda: then(work))

    def go_on(self) -> list[str]:
        """What was held is done."""
        work, self.held = self.held or [], []
        for one in work:
            one()
        heard, self.heard = self.heard, []
        return heard

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


# --- files that never look the same twice ----------------------------------------------------------


def test_a_file_that_is_touched_all_the_time_is_loaded_after_some_seconds(watched: Watched) -> None:
    watched.write(DENY)
    for _ in range(9):
        assert watched.look() == []
        watched.write(DENY)
    watched.clock.wind(SETTLE_SECONDS)
    assert watched.look() == ["deny"]
    loads = list[int]()
    watched.loading = lambda: loads.append(1)
    for _ in range(5):  # Its text is what is in force.
        watched.write(DENY)
        watched.clock.wind(SETTLE_SECONDS)
        assert watched.look() == []
    assert loads == []
    watched.write(ALLOW)
    assert watched.look(2) == ["allow"]


def test_a_file_whose_text_changes_all_the_time_is_never_taken_and_that_is_said_once(
    watched: Watched,
) -> None:
    numbers = iter(range(999))
    watched.loading = lambda: watched.write(f"{DENY}# {next(numbers)}\n")
    watched.loading()
    heard: list[str] = []
    for _ in range(9):
        watched.clock.wind(1)
        watched.loading()
        heard += watched.look()
    assert heard == ["unsettled"]
    watched.loading = int
    assert watched.look() == ["settled", "deny"]


def test_a_file_that_is_as_it_was_again_has_settled(watched: Watched) -> None:
    watched.path.unlink()
    assert len(watched.look(3)) == 1
    lengths = iter(range(99))
    watched.loading = lambda: watched.write(DENY + "#" * next(lengths))
    watched.loading()
    watched.look()
    watched.clock.wind(SETTLE_SECONDS)
    watched.loading()
    assert watched.look() == ["unsettled"]
    watched.path.unlink()
    assert watched.look(3) == ["settled"]


# --- loading is done beside serving ----------------------------------------------------------------


def test_while_files_are_loaded_nothing_else_is_and_a_later_change_is_taken_afterwards(
    watched: Watched,
) -> None:
    watched.write(DENY)
    watched.look()
    watched.held = []
    watched.look()
    watched.go_on()  # It looks the same twice, so it is loaded.
    watched.write(ALLOW + "# later\n")
    assert watched.look(3) == []
    assert len(watched.held) == 1
    assert watched.go_on() == []  # It was written meanwhile.
    watched.held = None
    assert watched.look(2) == ["allow"]


def test_what_was_loaded_when_it_was_closed_is_not_taken(watched: Watched) -> None:
    watched.held = []
    watched.watch.now(int)
    watched.watch.close()
    assert watched.go_on() == []


def test_who_asks_during_a_look_has_them_loaded_afterwards(watched: Watched) -> None:
    watched.held = []
    watched.look()
    watched.watch.now(lambda: watched.heard.append("asked"))
    assert watched.go_on() == []
    assert watched.go_on() == ["allow", "asked"]


def test_what_is_written_before_it_is_read_is_not_taken(watched: Watched) -> None:
    watched.write(DENY)
    watched.look()
    watched.held = []
    watched.look()
    watched.go_on()
    watched.write(ALLOW + "# later\n")
    assert watched.go_on() == []
    watched.held = None
    assert watched.look(2) == ["allow"]


def test_how_long_the_files_have_not_answered_is_said_and_that_they_do(watched: Watched) -> None:
    watched.held = []
    assert watched.look(3) == []
    assert len(watched.held) == 1, "nothing else is asked meanwhile"
    first, second = watched.waited
    assert 0 < first < second
    watched.go_on()
    assert watched.waited[2:] == [0.0]


def test_a_file_that_has_the_mistake_is_looked_at_too_and_its_change_is_not_missed(tmp_path: Path) -> None:
    """It is known by its mistake alone, and is mended while the others are still loaded."""
    other, heard = tmp_path / "other.yaml", list[object]()
    path = tmp_path / "p.yaml"
    path.write_text(ALLOW)
    other.write_text("version: 1\n")
    mended: list[Callable[[], object]] = [int, lambda: other.write_text(DENY.replace(": p", ": q"))]

    def load() -> PolicySet:
        try:
            return load_policies([PolicyFile(path), PolicyFile(other)], OPT_IN)
        finally:
            if mended:
                mended.pop(0)()

    clock = FixedClock()
    clock.slow = True

    def look(times: int) -> None:
        for _ in range(times):
            clock.alarms.pop()[1]()

    watch = FileWatch(
        [path],
        (),
        load,
        clock,
        lambda policies: heard.append([rule.effect for rule in policies.rules]),
        lambda problems: heard.append(problems.problems[0].source),
        lambda work, then: then(work),
        lambda _: None,
        lambda _: None,
    )
    look(2)
    assert heard == []  # It was written while the others were loaded.
    look(3)
    assert heard == [["allow", "deny"]]
    other.write_text("version: 1\n")
    watch.now(int)
    other.write_text(DENY.replace(": p", ": q"))
    look(3)
    assert heard[1:] == [str(other), ["allow", "deny"]]
    watch.close()


def test_who_asks_while_files_are_loaded_has_them_loaded_again(watched: Watched) -> None:
    watched.held = []
    said: list[str] = []
    watched.watch.now(lambda: said.append("first"))
    watched.watch.now(lambda: said.append("second"))
    watched.watch.now(lambda: said.append("third"))
    assert (watched.go_on(), said) == (["allow"], ["first"])
    assert (watched.go_on(), said) == (["allow"], ["first", "third"])
    assert watched.go_on() == []


def test_loading_pauses_again_and_again_and_what_follows_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now, pauses = [0.0], list[float]()

    def passes() -> None:
        now[0] += WORK_SECONDS / 4

    monkeypatch.setattr(
        "mcpguard.serve.file_watch.time", SimpleNamespace(monotonic=lambda: now[0], sleep=pauses.append)
    )

    def load(fails: bool) -> str:
        for _ in range(100):
            passes()
        return str(1 // (not fails))

    assert with_pauses(lambda: load(False)) == "1"
    with pytest.raises(ZeroDivisionError):
        with_pauses(lambda: load(True))
    assert set(pauses) == {PAUSE_SECONDS}
    assert 30 <= len(pauses) <= 50
    load(False)
    assert len(pauses) <= 50


@pytest.mark.anyio
async def test_files_are_loaded_in_a_thread_and_taken_in_the_loop(tmp_path: Path) -> None:
    """Nobody waits for it (law 8): the loop turns while a policy is compiled."""
    thread, took = DiskThread("reload"), threading.Event()
    loop, happened = asyncio.get_running_loop(), asyncio.Event()
    places: list[str] = []
    turned: list[bool] = []

    def load() -> int:
        places.append(threading.current_thread().name)
        loop.call_soon_threadsafe(lambda: (turned.append(True), took.set()))
        assert took.wait(10)
        return 7

    def taken(found: int) -> None:
        places.append(threading.current_thread().name)
        happened.set()

    path = tmp_path / "p.yaml"
    path.write_text(ALLOW)
    clock = FixedClock()
    clock.slow = True
    watch = FileWatch(
        [path], look_at([path]), load, clock, taken, lambda _: None, in_thread(thread, loop), id, id
    )
    watch.now(int)
    await asyncio.wait_for(happened.wait(), 10)
    assert (places, turned) == (["reload", threading.current_thread().name], [True])
    watch.close()
    thread.end()
