"""Where an expression is searched for: near the signs of what it finds, and nowhere else."""

from __future__ import annotations

import pytest

from mcpguard.core.redaction.views.view import near, windows

WINDOW = 4096
LINE = b"a line of words that says nothing\n"
NEITHER, ONE, BOTH = set[int](), {1}, {1, 2}


@pytest.mark.parametrize(
    ("found", "stretches"),
    [
        ([], []),
        ([NEITHER] * 3, []),
        ([ONE], [(0, 1)]),
        ([NEITHER, NEITHER, ONE], [(1, 3)]),
        ([ONE, NEITHER, NEITHER, NEITHER], [(0, 2)]),
        ([NEITHER, NEITHER, ONE, NEITHER, NEITHER], [(1, 4)]),
        ([ONE, NEITHER, BOTH, ONE, NEITHER, NEITHER, ONE], [(0, 5), (5, 7)]),
    ],
)
def test_what_is_near_a_sign_is_searched(found: list[set[int]], stretches: list[tuple[int, int]]) -> None:
    assert [*near((at, at + 1, indices) for at, indices in enumerate(found))] == stretches


def test_only_signs_that_are_wanted_count() -> None:
    found = [(0, 1, ONE), (1, 2, NEITHER), (2, 3, NEITHER), (3, 4, BOTH)]
    assert [*near(found, {2})] == [(2, 4)]
    assert [*near(found, {3})] == []


@pytest.mark.parametrize("last", [ONE, NEITHER])
def test_a_long_stretch_is_searched_in_parts(last: set[int]) -> None:
    size = 256 * 1024
    found = [
        (0, size - 1, ONE),
        (size - 1, size, last),
        (size, size + 1, NEITHER),
        (size + 1, size + 2, NEITHER),
    ]
    assert [*near(found)] == [(0, size), *([(size, size + 1)] if last else [])]


@pytest.mark.parametrize("ahead", [0, 1, 3, 120, 200, 1_000])
def test_a_sign_is_seen_wherever_it_is(ahead: int) -> None:
    text = LINE * ahead + b"the sign\n" + LINE * 1_000
    at = len(LINE) * ahead
    [(begin, end)] = near(windows(text + b"\xff" * 64, "", ["the sign"]))
    assert begin <= at < at + len(b"the sign") < end
    assert begin == 0 or at - begin >= len(LINE)
    assert end - begin <= 3 * WINDOW
