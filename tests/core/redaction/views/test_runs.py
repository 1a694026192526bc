"""Runs of base64, base32 and hexadecimal: what says nothing is read once."""

from __future__ import annotations

import base64
import random
import zlib
from typing import Any

import pytest

from mcpguard.core.redaction.budget import Budget, Known
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.views import View, runs, views
from tests.core.redaction.hostile import TOKEN

SAYS = base64.b64encode(f"say {TOKEN} and so on".encode())
CHANCE = random.Random(5)
LARGE = 10_000_000
"""Of what so large a value may have all is remembered."""
LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
RANDOM = [bytes(CHANCE.choices(LETTERS, k=32)) for _ in range(50)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The runs that are decoded."""
    seen: list[bytes] = []
    read = runs._base64

    def noted(pieces: Any, begin: int, chars: bytes, least: int, budget: Budget) -> None:
        seen.append(chars)
        read(pieces, begin, chars, least, budget)

    monkeypatch.setattr(runs, "_base64", noted)
    return seen


def said(text: bytes, budget: Budget) -> bytes:
    return b"".join(view.text for view in runs.decoded(View(text + PAD), budget, runs.FEW))


def test_a_run_that_says_nothing_is_decoded_once(decoded: list[bytes]) -> None:
    budget, text = Budget(LARGE), b" ".join(RANDOM * 3)
    for _ in range(2):
        assert said(text, budget) == b""
    assert decoded == RANDOM


def test_a_run_that_says_something_is_decoded_each_time(decoded: list[bytes]) -> None:
    budget, text = Budget(LARGE), b" ".join([*RANDOM, SAYS, *RANDOM, SAYS])
    for _ in range(2):
        assert said(text, budget).count(TOKEN.encode()) == 2
    assert decoded == [*RANDOM, SAYS, SAYS, SAYS, SAYS]


def test_runs_that_say_nothing_are_not_decoded_beside_one_that_does(decoded: list[bytes]) -> None:
    text = b" ".join([*RANDOM, SAYS]).decode()
    made = Redactor(b"key").inspect({"text": text})
    assert made.findings
    assert SAYS in decoded
    assert not {*RANDOM}.intersection(decoded)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.b32encode, base64.b16encode])
def test_each_run_is_read_where_many_say_something(encode: Any, decoded: list[bytes]) -> None:
    said = encode(b"a text that says nothing of value to anybody").decode()
    text = f"{said}\n" * 200
    made = Redactor(b"key").inspect({"text": f"{text}{encode(f'say {TOKEN} and so on'.encode()).decode()}\n"})
    assert made.value["text"].startswith(text)
    assert "[REDACTED:github-token#1]" in made.value["text"]


HEADS = [f"eyJ{number:05}".encode() + b"J9" * 12 for number in range(1_100)]
"""They begin as something packed does, and are not."""


@pytest.fixture
def inflated(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is tried for something packed."""
    seen: list[bytes] = []
    is_raw = runs.is_raw

    def noted(data: bytes, begun: bool = False) -> bool:
        seen.append(data)
        return is_raw(data, begun)

    monkeypatch.setattr(runs, "is_raw", noted)
    return seen


def packed(text: str) -> bytes:
    pack = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return base64.b64encode(pack.compress(text.encode()) + pack.flush())


def test_a_beginning_that_is_not_packed_is_tried_once(inflated: list[bytes]) -> None:
    text = b" ".join([*HEADS[:50] * 3, *(head + b"J9" for head in HEADS[:50])]) + PAD
    assert not runs.has_code(text, Known(LARGE))
    assert len(inflated) == len(set(inflated)) == 50


def test_what_is_packed_is_seen_behind_many_that_are_not(inflated: list[bytes]) -> None:
    said = packed("say " + TOKEN)
    assert not runs.has_code(b" ".join(HEADS * 2) + PAD, Known(0))
    assert len(inflated) > len(HEADS)  # Only so many are remembered.
    assert runs.has_code(b" ".join([*HEADS * 2, said]) + PAD, Known(0))


def test_what_is_not_packed_is_not_tried_in_the_next_text_again(inflated: list[bytes]) -> None:
    loose, text = Known(LARGE), b" ".join(HEADS) + PAD
    for _ in range(3):
        assert not runs.has_code(text, loose)
        assert len(inflated) == len(HEADS)


def test_base32_that_says_nothing_is_decoded_once_and_counts_for_that() -> None:
    source = random.Random(32)
    said = [base64.b32encode(source.randbytes(20)) for _ in range(50)]
    budget, spent = Budget(LARGE), []
    for text in (b" ".join(said), b"\n".join(said)):
        before = budget.work
        assert not runs.is_coded(text + PAD, budget)
        spent.append(before - budget.work)
    assert spent[0] > 50 * spent[1] == 0


def test_a_run_that_is_too_short_for_something_packed_is_not_unpacked() -> None:
    text = b"id eJwLz0xJ1yvJT1Xk end"
    assert [view.text for view in views(text + PAD, every_run=True)] == [text + PAD]


def test_rows_of_zeros_hide_nothing_beside_them() -> None:
    bits = " ".join(f"{one:08b}" for one in TOKEN.encode())
    for row in ("00" * 12 + TOKEN.encode().hex() + "00" * 12, f"bits\n{bits}\nend"):
        text = "\n".join(["0" * 64, row, *["0" * 64] * 9, ""])
        assert Redactor(b"key").inspect_text(text).count("REDACTED") == 1
