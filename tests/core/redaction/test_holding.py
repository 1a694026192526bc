"""Held values over a long time: each is searched for when `hold` returns, and only so many of old ones stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock, Thread

import pytest

from mcpguard.core.errors import CredentialError
from mcpguard.core.redaction import held
from mcpguard.core.redaction.held import Held, HeldSet, Holding
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret

NAME = "credential:key"


def value(number: int) -> str:
    return f"value-of-number-{number:04d}"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "RECENT", 3)
    monkeypatch.setattr(held, "FORMER", 4)


def guarded(made: Redactor, number: int) -> bool:
    return value(number) not in made.inspect_text(f"it is {value(number)}, they say")


def test_every_value_stays_guarded_through_all_sets() -> None:
    made = Redactor(b"key")
    for number in range(20):
        made.hold(NAME, Secret(value(number)))
        assert all(guarded(made, earlier) for earlier in range(number + 1))
    text = f"{value(0)} {value(19)} {value(7)}"
    assert made.inspect_text(text) == " ".join(f"[REDACTED:credential:{NAME}#{n}]" for n in (1, 2, 3))


def test_of_values_in_use_no_more_the_newest_stay_guarded() -> None:
    made = Redactor(b"key")
    for number in range(12):
        made.hold(NAME, Secret(value(number)))
        if number:
            made.release(NAME, Secret(value(number - 1)))
    made.hold(NAME, Secret(value(50)))
    made.hold(NAME, Secret(value(51)))
    made.hold(NAME, Secret(value(52)))
    made.hold(NAME, Secret(value(53)))
    kept = [number for number in range(12) if guarded(made, number)]
    assert {7, 8, 9, 10, 11} <= set(kept)
    assert 0 not in kept


def test_a_value_that_is_let_go_of_again_is_the_newest_of_such() -> None:
    made = Holding()
    keys = [(NAME, value(number).encode()) for number in range(5)]
    for number, key in enumerate(keys):
        made.hold(key, "credential:key", Secret(value(number)))
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
    made = Holding()
    keys = [(NAME, value(number).encode()) for number in range(6)]
    for number, key in enumerate(keys):
        made.hold(key, "credential:key", Secret(value(number)))
        made.release(key)
        if number == 0:
            made.hold(key, "credential:key", Secret(value(number)))
    assert [made.has(key) for key in keys] == [True, False, True, True, True, True]


def test_a_value_that_cannot_be_guarded_is_refused_by_name() -> None:
    with pytest.raises(CredentialError, match=r"^credential:key: "):
        Redactor(b"key").hold(NAME, Secret("12345"))


def test_only_the_newest_few_are_prepared_anew_until_all_become_one_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared: list[int] = []

    class Counted(HeldSet):
        def __init__(self, values: Iterable[Held]) -> None:
            self.size = len(listed := list(values))
            super().__init__(listed)

        def prepare(self) -> None:
            prepared.append(self.size)
            super().prepare()

    monkeypatch.setattr(held, "HeldSet", Counted)
    made = Holding()
    for number in (0, 0, 1, 2, 2, 3, 4, 5, 0):
        made.hold((NAME, value(number).encode()), "credential:key", Secret(value(number)))
    assert prepared == [1, 2, 3, 4, 0, 1, 2]


def test_who_inspects_waits_for_no_preparing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Redactor(b"key")
    for held_value in (value(0), "!?-+=*&%"):  # One of each way of searching.
        made.hold(NAME, Secret(held_value))

    def compile_literals(_patterns: object) -> None:
        raise AssertionError("an inspection compiles what it searches with")

    monkeypatch.setattr("mcpguard.core.redaction.held.compile_literals", compile_literals)
    assert (
        made.inspect_text(f"{value(0)} or !?-+=*&%")
        == f"[REDACTED:credential:{NAME}#1] or [REDACTED:credential:{NAME}#2]"
    )


def test_a_value_that_is_being_prepared_is_not_searched_for_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    made, key = Holding(), (NAME, b"mark")
    seen: list[bool] = []
    prepare = HeldSet.prepare

    def look(one: HeldSet) -> None:
        seen.append(made.has(key))
        prepare(one)

    monkeypatch.setattr(HeldSet, "prepare", look)
    made.hold(key, "credential:key", Secret(value(0)))
    assert seen == [False]
    assert made.has(key)


class Gate:
    """A lock that says when somebody waits for it."""

    def __init__(self) -> None:
        self.lock, self.waited_for = Lock(), Event()

    def __enter__(self) -> None:
        if self.lock.locked():
            self.waited_for.set()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_forgotten_value_is_not_searched_for_until_it_is_prepared_again(
    monkeypatch: pytest.MonkeyPatch, meanwhile: bool
) -> None:
    made, gate = Holding(), Gate()
    keys = [(NAME, value(number).encode()) for number in range(3)]
    monkeypatch.setattr(held, "FORMER", 0)
    monkeypatch.setattr(made, "_preparing", gate)
    steps: list[Callable[[], None]] = []
    seen: list[bool] = []
    prepare = HeldSet.prepare

    def step_first(one: HeldSet) -> None:
        if steps:
            steps.pop()()
        prepare(one)

    def hold(number: int) -> None:
        made.hold(keys[number], "credential:key", Secret(value(number)))

    def look() -> None:
        again.start()
        assert gate.waited_for.wait(10)
        seen.append(made.has(keys[0]))

    monkeypatch.setattr(HeldSet, "prepare", step_first)
    again = Thread(target=hold, args=(0,))
    hold(0)
    if meanwhile:
        steps.append(lambda: made.release(keys[0]))
    hold(1)
    made.release(keys[0])
    steps.append(look)
    hold(2)  # The first comes back while this one is prepared, which does not search for it.
    again.join(10)
    assert seen == [False]
    assert made.has(keys[0])


def test_it_is_guarded_when_hold_returns_however_many_hold_at_once() -> None:
    made = Redactor(b"key")

    def work(number: int) -> bool:
        made.hold(NAME, Secret(value(number % 10)))
        return guarded(made, number % 10)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(60)))
