"""A format that is cut up over texts is one, and names that stand in a row are none."""

from __future__ import annotations

import re
from functools import cache
from sys import maxsize
from typing import Any

import pytest

from mcpguard.core.redaction.beginnings import BEGINNINGS, Hit, OfFormat, triggers
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.detectors import DETECTORS, Detector
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.engine.patterns import HyperscanPatterns, PlainPatterns
from mcpguard.core.redaction.leaves import padded
from mcpguard.core.redaction.reading import QuickLook, TooMuchAtOnce, ViewReading
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.removal import neutral
from mcpguard.core.redaction.views import View, escapes, signs
from mcpguard.core.redaction.views.signs import SignsOfText, expressions

GITHUB = "ghp_" + "aB3kQ9xZ7mT2" * 3
AWS = "AKIA" + "Q3X7" * 4


@pytest.mark.parametrize(
    "value",
    [
        [GITHUB[:20], GITHUB[20:]],
        ["see " + GITHUB[:4], GITHUB[4:20], GITHUB[20:] + " there"],
        [AWS[:10], AWS[10:], "AND MORE"],
        [AWS[:10], AWS[10:14], AWS[14:], "MORE", "LETTERS"],
    ],
)
def test_what_is_cut_up_over_texts_is_removed_from_each(value: list[str]) -> None:
    cleaned: Any = Redactor(b"key").inspect(value).value
    assert "REDACTED" in cleaned[0]
    assert not any(GITHUB[24:30] in text or AWS[14:18] in text for text in cleaned)


@pytest.mark.parametrize(
    "value",
    [
        ["ghp_names_of", "_tools_that_stand_in_a_row_one_after_another"],
        ["AKIAQ3X7", "Q3X7", "and no more"],
        ["AKIAQ3X7Q3X7", "Q3X7Q3X7Q3X7Q3X7Q3X7Q3X7Q3X7Q3X7"],
        ["AKIAQ3X7Q3X7Q3", "Q3"],
    ],
)
def test_what_is_no_format_put_together_stays(value: list[str]) -> None:
    assert Redactor(b"key").inspect(value).value is value


OFTEN = [detector for detector in DETECTORS if detector.rare]


@pytest.mark.uncounted
@pytest.mark.parametrize("detector", OFTEN, ids=lambda one: one.kind)
def test_a_format_whose_prefix_is_met_often_is_found_however_it_is_cut(detector: Detector) -> None:
    for hit in detector.hits:
        for pieces in ([hit], *([hit[:at], hit[at:]] for at in range(1, 40)), [*hit[:6], hit[6:]], [*hit]):
            text = padded(["see", *pieces, "there"])
            assert QuickLook(text, maxsize, maxsize, []).any(text.replace(b"\x1f", b"")) is bool(
                hits_in(text)
            ), pieces


@pytest.mark.parametrize(
    ("leaves", "rare"), [(["a sk", "text"], False), (["a sk", "text", "b"], False), (["a sk", "b"], True)]
)
def test_a_text_that_ends_as_a_format_begins_goes_on_in_another_text_only(
    leaves: list[str], rare: bool
) -> None:
    text = padded(leaves)
    seen = SignsOfText(text)
    expressions().search(text, seen.see)
    assert seen.rare is rare


FLOODS = {
    signs.ENDS: b"x7Zq3Hv7kP9xWb5nT2\n",
    signs.BEGINS: b"\n1: x7Zq3Hv7kP9xWb5nT2 a",
    signs.LEAVES: b"x7Zq3Hv7kP9xWb5nT2\x1f",
}


class Noted(SignsOfText):
    """Notes where a pair may end; with `one`, that is a pair."""

    def __init__(self, text: bytes, one: bool) -> None:
        super().__init__(text)
        self.one, self.pairs, self.seen = one, list[tuple[int, int]](), 0

    def read(self, index: int, end: int, _text: bytes) -> bool:
        self.pairs.append((index, end))
        return self.one

    def see(self, *about: Any) -> bool:
        self.seen += 1
        return super().see(*about)

    def signs(self) -> tuple[Any, ...]:
        return self.found, self.rare, self.may_be_marked, self.may_be_coded, sorted(self.pairs)


@cache
def compiled_by(engine: Any) -> tuple[Any, Any]:
    """All signs, and those that a flood leaves; to compile them takes longer than all that is searched here."""
    return engine(signs.EXPRESSIONS), engine(signs.EXPRESSIONS[: signs._ENDS.start])


@pytest.mark.parametrize("engine", [HyperscanPatterns, PlainPatterns])
@pytest.mark.parametrize("sign", FLOODS)
@pytest.mark.parametrize("other", FLOODS.values(), ids=("lines end", "lines begin", "leaves"))
def test_a_flood_of_what_is_known_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, engine: Any, sign: int, other: bytes
) -> None:
    every, others = compiled_by(engine)
    monkeypatch.setattr(signs, "expressions", lambda: every)
    monkeypatch.setattr(signs, "_others", lambda: others)
    pair = b" password: Kx9-vT3q "
    text = FLOODS[sign] * 50 + pair + other + b" 0x6162, 0x6364, \xc2\xad" + b"Ab1/" * 9 + pair + PAD
    for one in (False, True):
        made, few = Noted(text, one), Noted(text, one)
        assert made.search(made.see) is one
        monkeypatch.setattr(signs, "_FLOOD", 10)
        assert few.search(few.see) is one
        assert one or (few.signs() == made.signs() and few.seen < made.seen - 30)
        monkeypatch.setattr(signs, "_FLOOD", 500)


def hits_in(text: bytes) -> list[Hit]:
    """What there is, looked for in any case."""
    perusal = ViewReading(View(text))
    perusal.all()
    for matcher in triggers():
        matcher.search(perusal.flat.text, perusal.literal)
    return perusal.hits


def test_each_mark_and_each_hidden_character_has_a_sign() -> None:
    gate = re.compile(escapes.MAY_BE_MARKED.encode())
    assert [one for one in {*escapes.marks(), *neutral.literals()} if not gate.search(one)] == [b"\x1f"]


def test_a_reading_that_is_to_look_at_few_places_says_that_there_are_more() -> None:
    text = padded([f"password={GITHUB[5:25]} " * 3])
    assert ViewReading(View(text)).all()
    with pytest.raises(TooMuchAtOnce):
        ViewReading(View(text), visits=1).all()


def floods() -> list[tuple[OfFormat, str]]:
    triggers()
    made: dict[str, tuple[OfFormat, str]] = {}
    for one in BEGINNINGS:
        if isinstance(one, OfFormat) and one.passes:
            hits = [hit for each in DETECTORS if each.kind == one.kind for hit in each.hits]
            made.update((one.kind, (one, hit)) for hit in hits if one.literal in hit.encode())
    return [*made.values()]


@pytest.mark.uncounted
@pytest.mark.parametrize(("one", "hit"), floods(), ids=[one.kind for one, _ in floods()])
def test_a_format_in_a_flood_of_its_beginnings_is_found_wherever_it_is(one: OfFormat, hit: str) -> None:
    begin = f"{one.literal.decode()} "
    [(first, last, kind)] = ViewReading(View(padded([f"{hit} "]))).all()
    assert kind == one.kind
    for before in (*range(31, 36), 64, *range(280, 300), 1200):
        text = padded([f"{begin * before}{hit} {begin * 300}"])
        at = text.index(hit.encode())
        assert ViewReading(View(text)).all() == [(at + first, at + last, kind)], before


def test_a_flood_of_beginnings_is_passed_over() -> None:
    text = padded(["sk-" * 10_000])
    triggers()
    for one in BEGINNINGS:
        vars(one).pop("search", None)  # Compiled by a test that does not count, it would not be counted.
    budget = Budget(len(text))
    allowed = budget.work
    assert ViewReading(View(text), budget).all() == []
    assert allowed - budget.work < 3_000


@pytest.mark.parametrize(
    ("row", "secret"),
    [
        ("password=", "password=hunter2a9 "),
        ("token: word1234567\n", "token: 9f3Kq7Zx1Lm5\n"),
        ('"token": "word1234567",\n', '"token": "9f3Kq7Zx1Lm5",\n'),
        ("password: ********\n", "password: 9f3Kq7Zx1Lm5\n"),
        ("Authorization: Bearer ${TOKEN}\n", "Authorization: Bearer 9f3Kq7Zx1Lm5Wb8eHj\n"),
    ],
)
def test_equal_rows_are_read_once_and_the_one_that_differs_is_found(row: str, secret: str) -> None:
    text = padded([row * 500 + secret + row * 500])
    budget = Budget(len(text))
    allowed = budget.work
    assert [kind for _, _, kind in ViewReading(View(text), budget).all()] != []
    assert allowed - budget.work < 3_000 + 6 * 1_000


def test_so_many_different_rows_are_remembered_and_no_more() -> None:
    rows = "".join(f"token: word{number}word1\n" for number in range(1_500))
    assert ViewReading(View(padded([rows])), Budget(len(rows), 4)).all() == []
