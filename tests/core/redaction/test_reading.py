"""A format that is cut up over texts is one, and names that stand in a row are none."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.core.redaction.redactor import Redactor

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
