"""Where very many values are held, as much is found as where few are."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable

import pytest

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.held import search
from mcpguard.core.redaction.held.reduced import ReducedText
from mcpguard.core.redaction.held.sampled import Sampled, may_be_sampled
from mcpguard.core.redaction.held.search import HeldSet
from tests.core.redaction.held.test_blocks import family, removed, set_of, token
from tests.core.redaction.held.test_search import ENCODINGS, KEY, PHRASE, SHORT, SIGNATURE, TOKEN

VALUES = (TOKEN, PHRASE, SHORT, KEY, SIGNATURE, "x" * 300, token(1), token(2))
SLICE = 32 * 1024

Made = Callable[..., tuple[HeldSet, HeldSet]]


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Made:
    """A set whose forms and cores are literals, and one in which they are not."""

    def make(*values: str) -> tuple[HeldSet, HeldSet]:
        made = set_of(*values), set_of(*values)
        assert made[0].prepare()[0].sampled is None
        monkeypatch.setattr(search, "_MANY", -1)
        assert made[1].prepare()[0].sampled is not None
        monkeypatch.undo()
        return made

    return make


def seen(searched: HeldSet, text: bytes) -> tuple[object, ...]:
    """All that is said of a text."""
    reduced = ReducedText(text + PAD, False)
    forms = {(form, value.kind) for form, of in searched.forms(reduced, Budget(10**7)) for value in of}
    spans = [(span.start, span.end, span.kind) for span in searched.spans(reduced, Budget(10**7))]
    found = searched.found(ReducedText(text + PAD, False))
    return spans, forms, found, searched.may_be_in(reduced.padded, reduced.skeleton) or not found


@pytest.mark.uncounted
def test_every_form_is_found_at_every_place(both: Made) -> None:
    literal, sampled = both(*VALUES)
    source = random.Random(1)
    for value in VALUES:
        for encode in ENCODINGS.values():
            before = "it is "[: source.randrange(6)]
            text = f"{before}<{encode(value)}> and more".encode()
            assert seen(sampled, text) == seen(literal, text)


@pytest.mark.parametrize(
    "value", [TOKEN, *(pytest.param(one, marks=pytest.mark.uncounted) for one in (SIGNATURE, token(2)))]
)
def test_twelve_characters_are_found_at_every_place_and_eleven_are_not(both: Made, value: str) -> None:
    literal, sampled = both(TOKEN, SIGNATURE, token(1), token(2))
    for at in range(0, min(80, len(value) - 14)):
        for size in (11, 12, 14):
            text = f"{'-a'[: at % 3]}{'b' * (at % 5)} {value[at : at + size]} and no more".encode()
            assert seen(sampled, text) == seen(literal, text)


@pytest.mark.uncounted
@pytest.mark.parametrize("seed", range(10))
def test_of_values_that_are_alike_the_same_is_removed(both: Made, seed: int) -> None:
    source = random.Random(seed)
    values = [value for value in family(source) if len(value) >= 12]
    literal, sampled = both(*values)
    for _ in range(5):
        pieces = [value[source.randrange(9) :][:40] for value in source.choices(values, k=4)]
        text = source.choice((" ", "-x-", ",\n")).join(pieces).encode()
        assert removed(sampled, text) == removed(literal, text)


@pytest.mark.uncounted
def test_it_is_found_over_the_places_up_to_which_a_text_is_looked_at_at_once(both: Made) -> None:
    literal, sampled = both(TOKEN, KEY)
    for at in range(SLICE - 30, SLICE + 2):
        for form in (TOKEN, base64.b64encode(TOKEN.encode()).decode()):
            text = b"i" * at + form.encode() + b" i" * 40
            assert seen(sampled, text) == seen(literal, text) != ([], set(), False, True)


def test_nothing_is_found_in_other_text(both: Made) -> None:
    _, sampled = both(*VALUES)
    text = b"She had been asked to read the letter aloud, 12 times 0x61 0x62 and 097 098.\n" * 9
    assert seen(sampled, text) == ([], set(), False, True)
    assert not sampled.may_be_in(text + PAD, ReducedText(text + PAD, False).skeleton)


def test_a_piece_of_a_signature_may_be_in_a_text_that_has_it(both: Made) -> None:
    _, sampled = both(*VALUES)
    text = f"and {SIGNATURE[2:16]} and no more".encode() + PAD
    assert sampled.may_be_in(text, ReducedText(text, False).skeleton)


@pytest.mark.parametrize(
    ("form", "may_be"),
    [(b"eyjhbgcioij", True), (b"0061u0062u0", False), (b"hbgcioij", False), (b"0000eyjhbgcioij", True)],
)
def test_the_end_of_a_form_says_enough_without_many_zeros(form: bytes, may_be: bool) -> None:
    assert may_be_sampled(form) is may_be


def test_an_end_that_repeats_itself_is_met_wherever_it_may_end() -> None:
    sampled = Sampled({b"x" * 20: "form"}, ())
    met: list[int] = []
    assert not sampled.search(b"a" * 5 + b"x" * 20 + PAD, lambda _, end: met.append(end))
    assert set(range(16, 26)) <= set(met)
    assert sampled.search(b"x" * 20 + PAD, lambda _, end: end > 11)
