"""Held values over a long time: each is searched for when `hold` returns, and only so many of old ones stay."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mcpguard.core import holding
from mcpguard.core.redaction import Redactor
from mcpguard.core.secret import Secret

NAME = "credential:key"


def value(number: int) -> str:
    return f"value-of-number-{number:04d}"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "RECENT", 3)
    monkeypatch.setattr(holding, "FORMER", 4)


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
    made.release(NAME, Secret("never held"))


def test_it_is_guarded_when_hold_returns_however_many_hold_at_once() -> None:
    made = Redactor(b"key")

    def work(number: int) -> bool:
        made.hold(NAME, Secret(value(number % 10)))
        return guarded(made, number % 10)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(60)))
