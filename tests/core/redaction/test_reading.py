"""A format that is cut up over texts is one, and names that stand in a row are none."""

from __future__ import annotations

import re
from sys import maxsize
from typing import Any

import pytest

from mcpguard.core.redaction import neutral
from mcpguard.core.redaction.detectors import DETECTORS, Detector
from mcpguard.core.redaction.leaves import padded
from mcpguard.core.redaction.reading import Glimpse, Hit, Perusal, TooMuchAtOnce, triggers
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.views import View, escapes

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


@pytest.mark.parametrize("detector", OFTEN, ids=lambda one: one.kind)
def test_a_format_whose_prefix_is_met_often_is_found_however_it_is_cut(detector: Detector) -> None:
    for hit in detector.hits:
        for pieces in ([hit], *([hit[:at], hit[at:]] for at in range(1, 40)), [*hit[:6], hit[6:]], [*hit]):
            text = padded(["see", *pieces, "there"])
            assert Glimpse(text, maxsize, maxsize).any(text.replace(b"\x1f", b"")) is bool(hits_in(text)), (
                pieces
            )


def hits_in(text: bytes) -> list[Hit]:
    """What there is, looked for in any case."""
    perusal = Perusal(View(text))
    perusal.all()
    for matcher in triggers():
        matcher.search(perusal.flat.text, perusal.literal)
    return perusal.hits


def test_each_mark_and_each_hidden_character_has_a_sign() -> None:
    gate = re.compile(escapes.MAY_BE_MARKED.encode())
    assert [one for one in {*escapes.marks(), *neutral.literals()} if not gate.search(one)] == [b"\x1f"]


def test_a_reading_that_is_to_look_at_few_places_says_that_there_are_more() -> None:
    text = padded([f"password={GITHUB[5:25]} " * 3])
    assert Perusal(View(text)).all()
    with pytest.raises(TooMuchAtOnce):
        Perusal(View(text), visits=1).all()
