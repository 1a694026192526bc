"""What is seen of a text: each character that is not seen is taken out, whatever stands around it."""

import random

import pytest

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.views import View
from mcpguard.core.redaction.views.characters import plain_characters

HIDDEN = ("\xad", "\u200b", "\u2060", "\ufe0f", "\ufeff", "\U000e0101", "\u180b", "\u3164", "\u061c", "\x85")
SHAPED = {"\uff41": "a", "\U0001d7d8": "0", "\u2460": "1", "\u1d43": "a", "\U000e0062": "b"}
STAYS = ("\u2135", "\u4f60", "\xe9", "\x9b", "e\u0301")
"""None of these comes to a letter of ASCII."""


def seen(text: str) -> View:
    padded = text.encode() + PAD
    return plain_characters(View(padded), Budget(len(padded)))


def test_what_is_not_seen_is_left_out_and_what_has_another_shape_is_plain() -> None:
    for one in HIDDEN:
        assert seen(f"to{one}ken{one}").text == b"token" + PAD
    for one, plain in SHAPED.items():
        assert seen(f"t{one}k").text == f"t{plain}k".encode() + PAD
    for one in STAYS:
        assert seen(f"t{one}k\xad").text == f"t{one}k".encode() + PAD


def test_a_text_without_such_characters_is_its_own_view() -> None:
    for text in ("", "plain", *STAYS):
        view = View(text.encode() + PAD)
        assert plain_characters(view, Budget(100)) is view


def test_a_space_of_tags_is_seen_between_other_tags_alone() -> None:
    tags = "\U000e0061\U000e0020\U000e0062"
    assert seen(tags).text == b"a b" + PAD
    assert seen("x\U000e0020y").text == b"xy" + PAD


def test_few_kinds_and_many_come_to_the_same_and_each_place_is_known() -> None:
    chance = random.Random(3)
    many = [chr(code) for code in (*range(0xE0100, 0xE0140), *range(0xFF10, 0xFF5B))]
    for kinds in (many[:5], many, [*STAYS, *HIDDEN]):
        units = [chance.choice(kinds) if chance.random() < 0.4 else chance.choice("abc ") for _ in range(900)]
        text = "".join(units)
        view = seen(text)
        assert view.text == b"".join(seen(unit).text.removesuffix(PAD) for unit in units) + PAD
        place = source = 0
        for unit in units:
            plain = seen(unit).text.removesuffix(PAD)
            if plain:
                assert view.place(place, place + len(plain)) == (source, source + len(unit.encode()))
            place, source = place + len(plain), source + len(unit.encode())


def test_what_is_replaced_at_once_counts_for_less() -> None:
    spent = []
    for kinds in (["\xad"], [chr(code) for code in range(0xE0100, 0xE0140)]):
        text = "".join(f"a{kinds[at % len(kinds)]}" for at in range(1_000)).encode() + PAD
        budget = Budget(len(text))
        before = budget.work
        plain_characters(View(text), budget)
        spent.append(before - budget.work)
    assert spent[0] < 80
    assert spent[1] > 300


@pytest.mark.uncounted
def test_each_character_comes_to_the_same_alone_and_among_many_kinds() -> None:
    others = "".join(map(chr, range(0xE0100, 0xE0140)))
    codes = (
        *range(0x80, 0x3200),
        *range(0xFB00, 0x10000),
        *range(0x1B000, 0x1FC00),
        *range(0xE0000, 0xE0200),
    )
    for at in range(0, len(codes), 24):
        some = ".".join(map(chr, codes[at : at + 24]))
        assert seen(some).text == seen(some + others).text, some


def test_a_shape_of_several_letters_is_as_many() -> None:
    for shape, plain in {"\u2474": "(1)", "\u2121": "TEL", "\u2487": "(20)"}.items():
        view = seen(f"a{shape}b{shape}c\xad")
        assert view.text == f"a{plain}b{plain}c".encode() + PAD
        end = len(f"a{plain}b")
        assert view.place(end, end + len(plain)) == (2 + len(shape.encode()), 2 + 2 * len(shape.encode()))
