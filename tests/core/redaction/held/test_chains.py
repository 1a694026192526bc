"""A random value in short pieces is found where the pieces follow one another, and nothing else is."""

from __future__ import annotations

import json
import re
from hashlib import sha256

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.core.model import Json
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.held.chains import Shards, shards, without_parts
from mcpguard.core.redaction.held.fragments import UnguessablePiece, cores
from mcpguard.core.redaction.held.reduced import ReducedText, skeleton_of
from mcpguard.core.redaction.held.search import HeldSet, held
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.rows import each

RANDOM = "aB3kQ9xZ7mT2pL5wvN4cR8yH6dJ1fS0g"
MARKS = 'k9/Xz+"q2\\7é=Zk9-f8E7d6C5b4A3z2Y1x0W'
LONG = sha256(b"a").hexdigest() + sha256(b"b").hexdigest()


def cut(value: str, size: int) -> list[str]:
    return [value[at : at + size] for at in range(0, len(value), size)]


def told(value: str, said: Json) -> str:
    made = Redactor(b"key")
    made.hold("x", Secret(value))
    return json.dumps(made.inspect(said).value)


def left(value: str, said: Json, size: int) -> list[str]:
    """The pieces that can still be read."""
    seen = told(value, said)
    return [piece for piece in cut(value, size) if len(piece) == size and piece in seen]


WAYS = {
    "members in a text": lambda pieces: json.dumps({f"part{n}": piece for n, piece in enumerate(pieces)}),
    "members": lambda pieces: {f"part{n}": piece for n, piece in enumerate(pieces)},
    "cells": lambda pieces: "<tr>" + "".join(f"<td class='c'>{piece}</td>" for piece in pieces) + "</tr>",
    "a log": lambda pieces: "\n".join(
        f"2026-11-27 10:00:0{n} INFO worker: chunk {n} is {piece} and so on" for n, piece in enumerate(pieces)
    ),
    "strings that are joined": lambda pieces: " +\n    ".join(f'"{piece}"' for piece in pieces),
    "rows": lambda pieces: "\n".join(f"{n},{piece},ok" for n, piece in enumerate(pieces)),
}


@each("way", WAYS)
@each("size", [7, 9, 11])
def test_pieces_with_other_text_between_are_found(way: str, size: int) -> None:
    assert left(RANDOM, {"text": WAYS[way](cut(RANDOM, size))}, size) == []
    assert left(LONG, {"text": WAYS[way](cut(LONG, size))}, size) == []


def test_a_value_with_marks_is_found_in_pieces() -> None:
    said = {"text": "\n".join(f"piece {n} is {piece} here" for n, piece in enumerate(cut(MARKS, 9)))}
    assert not re.search("f8E7|4A3z", told(MARKS, said))


def test_pieces_that_are_not_most_of_the_value_stay() -> None:
    said = {"text": f"{RANDOM[:8]} and {RANDOM[8:15]} and nothing else"}
    assert left(RANDOM, said, 8) == [RANDOM[:8]]


@pytest.mark.parametrize("order", [(3, 2, 1, 0), (1, 3, 0, 2)])
def test_pieces_in_another_order_prove_nothing(order: tuple[int, ...]) -> None:
    pieces = cut(RANDOM, 8)
    said = {"text": " and ".join(pieces[n] for n in order)}
    assert left(RANDOM, said, 8) == pieces


def test_pieces_that_are_far_apart_prove_nothing() -> None:
    said = {"text": ("And So On " * 60).join(cut(RANDOM, 8))}
    assert len(left(RANDOM, said, 8)) == 4


def test_a_piece_that_goes_on_by_chance_does_not_end_the_chain() -> None:
    pieces = cut(RANDOM, 8)
    said = {
        "text": "".join(
            f"<{piece}{after[:1]}>" for piece, after in zip(pieces, [*pieces[1:], ""], strict=True)
        )
    }
    assert left(RANDOM, said, 8) == []


def test_pieces_are_found_from_each_of_them_on() -> None:
    (shard,) = shards(tuple(cores([RANDOM])))
    skeleton = skeleton_of(b"--".join(piece.encode() for piece in cut(RANDOM, 8))) + b"\xff" * 64
    text = b"!".join([skeleton[:8], skeleton[8:16], skeleton[16:24], skeleton[24:32]]) + b"\xff" * 64
    found = {tuple(shard.runs(text, at + 4, at % 9 + 8 * (at // 9))) for at in (0, 9, 18, 27)}
    assert found == {((0, 8), (9, 17), (18, 26), (27, 35))}


def test_what_is_looked_for_has_letters_and_digits() -> None:
    assert [block for block, _ in Shards(b"abcdefgh1234").blocks()] == [b"fgh1", b"gh12", b"h123"][:2]
    assert list(Shards(b"abcdefghijklmnopqrst").blocks()) == []


def test_what_is_short_is_not_looked_for_in_pieces() -> None:
    assert list(shards((UnguessablePiece(b"a1b2c3d4e5f6"),))) == []


def test_hashes_and_words_are_no_pieces() -> None:
    lines = "\n".join(f"{sha256(bytes([n])).hexdigest()}  file{n}.txt" for n in range(90))
    said = {"text": lines}
    made = Redactor(b"key")
    made.hold("x", Secret(LONG))
    assert made.inspect(said).value is said


def test_a_text_that_is_full_of_one_piece_is_withheld() -> None:
    made = Redactor(b"key")
    made.hold("x", Secret(RANDOM))
    with pytest.raises(InspectionError, match="beginnings"):
        made.inspect({"text": f"{RANDOM[:6]} " * 20_000})


def test_pieces_in_no_order_are_looked_at_a_few_times_for_each_kilobyte(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, looks, runs = Redactor(b"key"), [0], Shards.runs
    made.hold("x", Secret(RANDOM))

    def noted(self: Shards, skeleton: bytes, end: int, at: int) -> list[tuple[int, int]]:
        looks[0] += 1
        return runs(self, skeleton, end, at)

    monkeypatch.setattr(Shards, "runs", noted)
    text = f"{RANDOM[:6]} " * 20_000
    with pytest.raises(InspectionError, match="beginnings"):
        made.inspect({"text": text})
    assert looks[0] < 4_000 + len(text) // 20


def searched(text: str) -> bool:
    """Whether RANDOM is found in a text."""
    one, padded = HeldSet([held("x", "credential:x", Secret(RANDOM), b"mark")]), text.encode() + PAD
    return one.found(ReducedText(padded, False))


@pytest.mark.uncounted
@each("often", [1, 7, 2000])
@each("piece", ["ab3k", "kq9x", "1fs0"])
def test_a_piece_that_ordinary_text_has_by_chance_leads_to_nothing(piece: str, often: int) -> None:
    line = f"10:15:02 info request {piece} of billing done, with words behind it for some length\n"
    assert not searched(line * often)


def test_a_chain_behind_pieces_that_are_there_by_chance_is_found() -> None:
    chain = " and ".join(cut(RANDOM, 8))
    for often in (1, 7, 500):
        line = "10:15:02 info request kq9x of billing done, with words behind it\n"
        assert searched(line * often + chain)


def test_what_is_found_of_the_whole_is_not_searched_for_twice() -> None:
    whole = UnguessablePiece(b"k3v9x2m7q1w8z5t4n6b0j2h8r1c9d7f3")
    assert without_parts([whole, UnguessablePiece(whole.text[4:20]), whole]) == (whole,)
    assert without_parts([UnguessablePiece(whole.text[4:20]), UnguessablePiece(b"other1234567")]) == (
        UnguessablePiece(whole.text[4:20]),
        UnguessablePiece(b"other1234567"),
    )


def test_a_short_part_counts_in_shorter_pieces_than_the_whole() -> None:
    whole = Shards(b"k3v9x2m7q1w8z5t4n6b0j2h8r1c9d7f3" * 2)
    short, long = Shards(whole.text[:20]), Shards(whole.text[:60])
    assert without_parts([whole, short, long]) == (whole, short)


def test_digits_of_a_dump_are_searched_for_beside_the_whole() -> None:
    digits = UnguessablePiece(b"0123456789abcdef0123")
    whole = UnguessablePiece(b"token" + digits.text)
    assert without_parts([whole, digits]) == (whole, digits)
