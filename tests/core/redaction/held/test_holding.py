"""Held values over a long time: each is searched for when `hold` returns, and only so many of old ones stay."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from mcpguard.core.errors import CredentialError
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD, PlainMatcher
from mcpguard.core.redaction.held import holding
from mcpguard.core.redaction.held.blocks import Held
from mcpguard.core.redaction.held.holding import HeldValues
from mcpguard.core.redaction.held.search import HeldSet, found_in
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret

NAME = "credential:key"


def value(number: int) -> str:
    return f"value-of-number-{number:04d}"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    assert holding.PREPARING not in [thread.name for thread in enumerate_threads()]  # It would be counted.
    monkeypatch.setattr(holding, "FEW", 0)
    monkeypatch.setattr(holding, "RECENT", 3)
    monkeypatch.setattr(holding, "FORMER", 4)


def guarded(made: Redactor, number: int) -> bool:
    return value(number) not in made.inspect_text(f"it is {value(number)}, they say")


@pytest.mark.uncounted
def test_every_value_stays_guarded_through_all_sets() -> None:
    made = Redactor(b"key")
    for number in range(20):
        made.hold(NAME, Secret(value(number)))
        assert all(guarded(made, earlier) for earlier in range(number + 1))
    text = f"{value(0)} {value(19)} {value(7)}"
    assert made.inspect_text(text) == " ".join(f"[REDACTED:{NAME}#{n}]" for n in (1, 2, 3))


def test_of_values_in_use_no_more_the_newest_stay_guarded() -> None:
    made = Redactor(b"key")
    for number in range(12):
        made.hold(NAME, Secret(value(number)))
        if number:
            made.release(NAME, Secret(value(number - 1)))
        made.settle()
    for number in range(50, 54):
        made.hold(NAME, Secret(value(number)))
        made.settle()
    kept = [number for number in range(12) if guarded(made, number)]
    assert {7, 8, 9, 10, 11} <= set(kept)
    assert 0 not in kept


def test_a_value_that_is_let_go_of_again_is_the_newest_of_such() -> None:
    made = HeldValues()
    keys = [(NAME, value(number).encode()) for number in range(5)]
    hold(made, *range(5))
    for number in (0, 1, 2, 3, 0, 4):
        made.release(keys[number])
    assert [made.has(key) for key in keys] == [True, False, True, True, True]


def test_a_value_that_comes_back_is_in_use_again() -> None:
    made = Redactor(b"key")
    made.hold(NAME, Secret(value(0)))
    made.release(NAME, Secret(value(0)))
    made.hold(NAME, Secret(value(0)))
    for number in range(1, 20):
        made.hold(NAME, Secret(value(number)))
        made.release(NAME, Secret(value(number)))
    assert guarded(made, 0)
    made.hold(NAME, Secret(value(1)))
    assert guarded(made, 1)


def test_to_let_go_of_what_was_never_held_changes_nothing() -> None:
    made = Redactor(b"key")
    made.hold(NAME, Secret(value(0)))
    made.release(NAME, Secret(value(0)))
    for number in range(1, 20):
        made.release(NAME, Secret(value(number)))
    made.hold(NAME, Secret(value(20)))
    assert guarded(made, 0)


def test_who_holds_a_value_that_was_let_go_of_has_it_in_use_again() -> None:
    made = HeldValues()
    keys = [(NAME, value(number).encode()) for number in range(6)]
    for number, key in enumerate(keys):
        hold(made, number)
        made.release(key)
        if number == 0:
            hold(made, 0)
    assert [made.has(key) for key in keys] == [True, False, True, True, True, True]


def test_a_value_that_cannot_be_guarded_is_refused_by_name() -> None:
    with pytest.raises(CredentialError, match=r"^credential:key: "):
        Redactor(b"key").hold(NAME, Secret("12345"))


def hold(made: HeldValues, *numbers: int) -> None:
    made.hold(
        [((NAME, value(number).encode()), "credential:key", Secret(value(number))) for number in numbers]
    )


def found(made: HeldValues, number: int) -> bool:
    padded = f"it is {value(number)}, they say".encode() + PAD
    spans = made.spans(padded, Budget(len(padded)))
    assert found_in(made.busy, padded) == bool(spans)
    return bool(spans)


def test_only_the_newest_few_are_prepared_again_until_all_become_one_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared: list[int] = []

    class Counted(HeldSet):
        def __init__(self, values: Iterable[Held], *made: Any) -> None:
            self.size = len(listed := list(values))
            super().__init__(listed, *made)

        def prepare(self) -> Any:
            prepared.append(self.size)
            return super().prepare()

    monkeypatch.setattr(holding, "HeldSet", Counted)
    made = HeldValues()
    for number in (0, 0, 1, 2, 2, 3, 4, 5, 0):
        hold(made, number)
        made.settle()
    assert prepared == [1, 2, 3, 4, 0, 1, 2]


def test_a_few_values_are_one_set_however_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "FEW", 6)
    made = HeldValues()
    for number in range(6):
        hold(made, number)
        made.settle()
    assert len(made.busy) == 1
    assert all(found(made, number) for number in range(6))
    hold(made, 6)
    made.settle()
    assert len(made.busy) == 2
    assert found(made, 6)


class Engine:
    """What compiles literals; it waits for `go`, and `asked` says that it was begun. `counts` are how many
    values each set of it has, by their plain forms."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.go, self.counts, self.broken = Event(), Event(), list[int](), False
        monkeypatch.setattr(HeldSet.__init__, "__defaults__", (self,))

    def __call__(self, literals: Sequence[bytes]) -> PlainMatcher:
        self.asked.set()
        assert self.go.wait(10)
        if self.broken:
            raise MemoryError
        self.counts.append(sum(literal.startswith(b"valueofnumber") for literal in literals))
        return PlainMatcher(literals)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    made = Engine(monkeypatch)
    yield made
    made.go.set()


def test_a_value_is_searched_for_before_it_is_compiled(engine: Engine) -> None:
    made = Redactor(b"key")
    for held_value in (value(0), "!?-+=*&%"):  # One of each way of searching.
        made.hold(NAME, Secret(held_value))
    assert engine.asked.wait(10)
    text = f"{value(0)} or !?-+=*&%"
    gone = f"[REDACTED:{NAME}#1] or [REDACTED:{NAME}#2]"
    assert made.inspect_text(text) == gone
    engine.go.set()
    made.settle()
    assert made.inspect_text(text) == gone


def test_what_comes_while_something_is_compiled_is_compiled_together(engine: Engine) -> None:
    made = HeldValues()
    hold(made, 0)
    assert engine.asked.wait(10)
    for number in range(1, 9):
        hold(made, number)
    engine.go.set()
    made.settle()
    assert engine.counts == [1, 9]
    assert all(found(made, number) for number in range(9))


def test_what_cannot_be_compiled_is_searched_for_and_compiled_with_the_next(engine: Engine) -> None:
    made = HeldValues()
    engine.broken = True
    engine.go.set()
    hold(made, 0)
    made.settle()
    assert found(made, 0)
    engine.broken = False
    hold(made, 1)
    made.settle()
    assert engine.counts == [2]
    assert found(made, 0)
    assert found(made, 1)


def test_a_forgotten_value_that_comes_back_is_compiled_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "FORMER", 0)
    made, key = HeldValues(), (NAME, value(0).encode())
    hold(made, 0)
    assert engine.asked.wait(10)
    made.release(key)
    assert not made.has(key)
    hold(made, 0)
    assert made.has(key)
    engine.go.set()
    made.settle()
    assert engine.counts == [1, 1]
    assert found(made, 0)


def test_of_values_that_are_held_together_none_is_held_if_one_cannot_be_guarded() -> None:
    made = Redactor(b"key")
    heard: list[str] = []
    made.tell(heard.append)
    with pytest.raises(CredentialError, match=r"^env:B: "):
        made.hold_all([("env:A", Secret(value(0))), ("env:B", Secret("12345"))])
    assert heard == []
    assert not guarded(made, 0)
    made.hold_all([("env:A", Secret(value(0))), ("env:B", Secret(value(1)))])
    made.hold_all([])
    assert heard == ["env:A", "env:B"]
    assert guarded(made, 0)
    assert guarded(made, 1)


@pytest.mark.uncounted
def test_rotations_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hyperscan 0.9.1 keeps each integer that it is given."""
    monkeypatch.setattr(holding, "FORMER", 30)
    made = Redactor(b"key")

    def rotate(numbers: range) -> int:
        for number in numbers:
            made.hold(NAME, Secret(value(number)))
            made.release(NAME, Secret(value(number)))
            made.settle()
        return sys.getallocatedblocks()

    before = rotate(range(50))
    assert rotate(range(50, 100)) - before < 1_000


def test_it_is_guarded_when_hold_returns_however_many_hold_at_once() -> None:
    made = Redactor(b"key")

    def work(number: int) -> bool:
        made.hold(NAME, Secret(value(number % 10)))
        return guarded(made, number % 10)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(60)))
