"""One contract for both engines: the same hits, whatever the patterns and the text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpguard.core.redaction.matching import PAD, HyperscanMatcher, Matcher, PlainMatcher, compile_literals

ENGINES = [
    PlainMatcher,
    pytest.param(
        HyperscanMatcher, marks=pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="no wheel")
    ),
]
engines = pytest.mark.parametrize("engine", ENGINES)


def hits(matcher: Matcher, text: bytes) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()

    def visit(index: int, _start: int, end: int, _flags: int, padded: bytes) -> None:
        assert padded == text + PAD
        found.add((index, end))

    assert not matcher.search(text + PAD, visit)
    return found


def expected(literals: Sequence[bytes], text: bytes) -> set[tuple[int, int]]:
    return {
        (i, at + len(literal))
        for i, literal in enumerate(literals)
        for at in range(len(text))
        if text.startswith(literal, at)
    }


@engines
def test_every_literal_is_found_with_its_index_and_its_end(engine: type[Matcher]) -> None:
    matcher = engine([b"abc", b"bc", b"zz"])  # type: ignore[call-arg]
    assert hits(matcher, b"xabcx bc") == {(0, 4), (1, 4), (1, 8)}


@engines
@pytest.mark.parametrize("others", [[], ["пароль".encode()]])
def test_some_literals_are_found_in_any_case(engine: type[Matcher], others: list[bytes]) -> None:
    matcher = engine([b"abc", b"a.b", *others], any_case={0})  # type: ignore[call-arg]
    assert hits(matcher, b"abc ABC aBc A.B a.b") == {(0, 3), (0, 7), (0, 11), (1, 19)}


@engines
def test_overlapping_occurrences_are_all_found(engine: type[Matcher]) -> None:
    assert hits(engine([b"aa"]), b"aaaa") == {(0, 2), (0, 3), (0, 4)}  # type: ignore[call-arg]


@engines
def test_a_literal_may_be_any_bytes(engine: type[Matcher]) -> None:
    patterns = [b"a.b", "пароль".encode(), b"\x00\xf0", b"[x]\\"]
    text = b"axb a.b \x00\xf0 [x]\\ " + "мой пароль".encode()
    assert hits(engine(patterns), text) == expected(patterns, text)  # type: ignore[call-arg]


@engines
def test_punctuation_means_itself(engine: type[Matcher]) -> None:
    literals = [b"a.b", b"[x]\\", b"://", b"^a", b"b$", b"(?i)A"]
    text = b"axb a.b [x]\\ x ^a ://b$ a (?i)A"
    assert hits(engine(literals), text) == expected(literals, text)  # type: ignore[call-arg]


@engines
def test_the_padding_is_not_searched(engine: type[Matcher]) -> None:
    matcher = engine([b"\xff", b"ab"])  # type: ignore[call-arg]
    assert hits(matcher, b"xab") == {(1, 3)}
    assert hits(matcher, b"") == set()


@engines
def test_a_true_answer_ends_the_scan(engine: type[Matcher]) -> None:
    matcher = engine([b"ab"])  # type: ignore[call-arg]
    calls: list[int] = []

    def visit(_index: int, _start: int, end: int, _flags: int, _padded: bytes) -> bool:
        calls.append(end)
        return len(calls) == 2

    for _ in range(2):
        calls.clear()
        assert matcher.search(b"ab ab ab ab" + PAD, visit)
        assert calls == [2, 5]


@engines
def test_what_a_visit_raises_comes_out_and_the_matcher_stays_usable(engine: type[Matcher]) -> None:
    matcher = engine([b"ab"])  # type: ignore[call-arg]

    def visit(*_: object) -> None:
        raise KeyError("from a visit")

    with pytest.raises(KeyError, match="from a visit"):
        matcher.search(b"ab" + PAD, visit)
    assert hits(matcher, b"ab") == {(0, 2)}


@engines
def test_many_threads_may_search_at_once(engine: type[Matcher]) -> None:
    matcher = engine([b"needle"])  # type: ignore[call-arg]
    text = b"hay " * 50_000 + b"needle"
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: hits(matcher, text), range(16))) == [{(0, len(text))}] * 16


BYTE = st.sampled_from(list(b"abc\xc3:@/."))
LETTERS = st.lists(BYTE, max_size=60).map(bytes)
NEEDLES = st.lists(BYTE, min_size=1, max_size=4).map(bytes)


@engines
@settings(deadline=None)
@given(
    needles=st.lists(NEEDLES, min_size=1, max_size=8),
    text=LETTERS,
)
def test_hits_are_those_of_the_standard_library(
    engine: type[Matcher], needles: list[bytes], text: bytes
) -> None:
    assert hits(engine(needles), text) == expected(needles, text)  # type: ignore[call-arg]


def test_the_engine_is_hyperscan_where_there_is_one() -> None:
    assert isinstance(compile_literals([b"a"]), HyperscanMatcher)


def test_a_machine_without_hyperscan_searches_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hyperscan", None)
    matcher = compile_literals([b"a"])
    assert isinstance(matcher, PlainMatcher)
    assert hits(matcher, b"ba") == {(0, 2)}
