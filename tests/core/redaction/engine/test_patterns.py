"""One contract for both engines of expressions: the same places, whatever the text."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcpguard.core.redaction.engine import patterns
from mcpguard.core.redaction.engine.matching import PAD, Matcher, stop
from mcpguard.core.redaction.engine.patterns import (
    HyperscanPatterns,
    Pattern,
    PlainPatterns,
    compile_patterns,
    shape,
)
from mcpguard.core.redaction.views.signs import EXPRESSIONS, LINES, URL, expressions

ENGINES = [
    PlainPatterns,
    pytest.param(
        HyperscanPatterns,
        marks=pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="no wheel"),
    ),
]
engines = pytest.mark.parametrize("engine", ENGINES)
TWO = (
    Pattern(("key", "pass"), "[a-z]{0,4}[=:][0-9]{3}", any_case=True),
    Pattern(("://",), "[a-z]{0,8}:[a-z]"),
)


def ends(matcher: Matcher, text: bytes) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()

    def visit(index: int, _start: int, end: int, _flags: int, padded: bytes) -> None:
        assert padded == text + PAD
        found.add((index, end))

    assert not matcher.search(text + PAD, visit)
    return found


@engines
def test_each_beginning_has_its_end(engine: Any) -> None:
    text = b"KEY=123 passkey:4567 key=12 http://me:x pass"
    assert ends(engine(TWO), text) == {(0, 7), (0, 19), (1, 39)}


@engines
def test_a_true_answer_ends_the_search(engine: Any) -> None:
    seen: list[int] = []

    def visit(_index: int, _start: int, end: int, _flags: int, _padded: bytes) -> bool:
        seen.append(end)
        return True

    assert engine(TWO).search(b"key=123 key=456" + PAD, visit)
    assert seen == [7]


def test_a_long_text_is_searched_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_SLICE", 10)
    text = b"key=123 " * 20
    assert ends(PlainPatterns(TWO), text) == {(0, at + 7) for at in range(0, 160, 8)}


WORD = st.sampled_from(
    [
        *(b"password", b"TOKEN", b"key", b"_", b": ", b"=", b'"', b"'", b"\\", b"a1b2c3", b"Zx", b" ", b"\n"),
        *(b" is ", b">", b"value", b",", b"|\n  ", b"://", b"me", b":", b"@", b"\x1f", b"\xc3\xa4", b"str"),
        *(b"b'", b"<![CDATA["),
    ]
)


@settings(deadline=None, max_examples=300)
@given(text=st.lists(WORD, max_size=24).map(b"".join))
@example(b"password: str://password")
@example(b"password:str://password")
@example(b"password:password\n")
def test_both_engines_find_the_same_pairs(text: bytes) -> None:
    plain = ends(PlainPatterns(EXPRESSIONS[: URL + 1]), text)
    found = {(index, end) for index, end in ends(expressions(), text) if index <= URL}
    if text.endswith(b"\n"):  # For `$` before it one engine gives its place as well.
        found -= {(LINES, len(text) - 1)} - plain
    # Of two ways to read `: str`, as a type or as a value, the plain engine knows the first.
    assert plain <= found if re.search(rb":\s*str", text) else plain == found


def test_both_engines_see_the_same_shapes() -> None:
    for once in (True, False):
        shapes = [shape(one, once) for one in ("[A-Z]{3}[0-9]", "a\\.b", "x[$]?\\n")]
        for text in (b"ABC1 a.b x\n", b"ABCD a-b", b"XYZ9\nx\n"):
            assert ends(PlainPatterns(shapes), text) == ends(HyperscanPatterns(shapes), text)


@engines
@pytest.mark.parametrize(
    ("start", "found"), [(1, {(0, 16), (2, 7), (2, 16)}), (5, {(0, 16), (2, 16)}), (9, {(2, 16)})]
)
def test_a_search_may_begin_in_the_middle(engine: Any, start: int, found: set[tuple[int, int]]) -> None:
    seen: set[tuple[int, int]] = set()
    engine([*TWO, shape("[0-9]{3}", once=False)]).search(
        b"key=123 pass=456" + PAD, lambda index, _from, end, *_: seen.add((index, end)), start
    )
    assert seen == found


@engines
def test_a_shape_that_is_wanted_once_is_visited_once(engine: Any) -> None:
    assert ends(engine([shape("a"), shape("b", once=False)]), b"abab") == {(0, 1), (1, 2), (1, 4)}
    assert engine([shape("a")]).search(b"abab" + PAD, stop)


def test_a_machine_without_hyperscan_searches_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    matcher = compile_patterns(TWO)
    assert isinstance(matcher, PlainPatterns)
    assert ends(matcher, b"key=123") == {(0, 7)}
