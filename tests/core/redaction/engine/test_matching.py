"""One contract for both engines: the same hits, whatever the patterns and the text."""

from __future__ import annotations

import json
import sys
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from inspect import signature
from pkgutil import walk_packages
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpguard.core import redaction
from mcpguard.core.redaction import scanning
from mcpguard.core.redaction.engine.matching import (
    PAD,
    HyperscanMatcher,
    Matcher,
    PlainMatcher,
    compile_literals,
    keep_on,
    stop,
)
from mcpguard.core.redaction.engine.patterns import compile_patterns, shape, shapes
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.views import views
from mcpguard.core.secret import Secret
from tests.core.redaction.views.disguises import EXAMPLES

TABLES = frozenset(
    [
        "formats",
        "rare",
        "signs",
        "others",
        "marks",
        "codes",
        "digits",
        "texts",
        "words",
        "hidden",
        "dumps",
        "labelled",
        "bare",
        "offsets",
        "ends",
        "begins",
        "leaves",
        "names",
        "letters",
        "arguments",
        "coded",
        "numbered",
    ]
)


class Memory:
    """A place of Tables."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[bytes, bytes]] = {}
        self.puts: list[str] = []

    def take(self, table: str, source: bytes) -> bytes | None:
        made_from, compiled = self.kept.get(table, (b"", b""))
        return compiled if made_from == source else None

    def put(self, table: str, source: bytes, compiled: bytes) -> None:
        self.kept[table] = source, compiled
        self.puts.append(table)


@pytest.fixture
def shelf() -> Iterator[Memory]:
    memory = Memory()
    keep_on(memory)
    yield memory
    keep_on()


def from_a_shelf(literals: Sequence[bytes], any_case: Container[int] = ()) -> Matcher:
    """What another process compiled."""
    memory = Memory()
    keep_on(memory)
    try:
        compile_literals(literals, any_case, "some")
        return compile_literals(literals, any_case, "some")
    finally:
        keep_on()
        assert memory.puts == ["some"]


has_engine = pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="no wheel")
ENGINES = [
    PlainMatcher,
    pytest.param(HyperscanMatcher, marks=has_engine),
    pytest.param(from_a_shelf, marks=has_engine),
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
def test_a_search_may_begin_in_the_middle(engine: type[Matcher]) -> None:
    matcher = engine([b"ab", b"b"])  # type: ignore[call-arg]
    found: set[tuple[int, int]] = set()
    assert not matcher.search(b"ab xab" + PAD, lambda index, _from, end, *_: found.add((index, end)), 1)
    assert found == {(1, 2), (0, 6), (1, 6)}
    assert matcher.search(b"ab xab" + PAD, stop, 4)
    assert not matcher.search(b"ab xab" + PAD, stop, 6)


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


@has_engine
@pytest.mark.parametrize("again", [([b"Ab"], ()), ([b"ab"], {0}), ([b"ab", b"c"], ()), ([b"a\0b"], ())])
def test_a_table_that_was_made_from_anything_else_is_not_taken(
    again: tuple[list[bytes], Container[int]], shelf: Memory
) -> None:
    compile_literals([b"ab"], (), "some")
    compile_literals(*again, "some")
    assert shelf.puts == ["some", "some"]


@has_engine
@pytest.mark.parametrize("at", [0, 4, 12, 400])
def test_a_table_that_the_engine_refuses_is_compiled_again(at: int, shelf: Memory) -> None:
    """Another engine's, another version's, another processor's, or a damaged one."""
    compile_literals([b"ab"], (), "some")
    source, compiled = shelf.kept["some"]
    altered = bytearray(compiled)
    altered[at] ^= 0x40
    shelf.kept["some"] = source, bytes(altered)
    assert hits(compile_literals([b"ab"], (), "some"), b"xab") == {(0, 3)}
    assert shelf.kept["some"] == (source, compiled)


@has_engine
def test_expressions_are_kept_too(shelf: Memory) -> None:
    found = [hits(compile_patterns([shape("b+c", once=False)], "some"), b"abbc") for _ in range(2)]
    assert found == [{(0, 4)}] * 2
    assert shelf.puts == ["some"]


def makers() -> Iterator[Any]:
    """Whatever compiles what is the same in each process."""
    for found in walk_packages(redaction.__path__, f"{redaction.__name__}."):
        for one in vars(import_module(found.name)).values():
            if hasattr(one, "cache_info") and one.__module__ == found.name:
                about = signature(one)
                if not about.parameters and "Matcher" in str(about.return_annotation):
                    yield one


@pytest.mark.uncounted
@has_engine
def test_whatever_is_compiled_of_no_value_is_kept(shelf: Memory) -> None:
    """Else the first text that needs it would hold up all others in each process."""
    shapes.cache_clear()  # Another test may have had some compiled.
    for number, make in enumerate(makers(), 1):
        make.__wrapped__()
        assert len(shelf.puts) == number, make
    for make in makers():
        make()  # And remembered, as other tests may have had done.
    shapes.cache_clear()
    made = len(shelf.puts)
    for hidden, _ in (pair for one in EXAMPLES for pair in one.hidden):
        assert list(views(hidden.encode("utf-8", "surrogatepass") + PAD))
    assert len(shelf.puts) == made + shapes.cache_info().currsize
    assert {"codes", "dumps", "hidden", "letters"} <= set(shelf.puts) <= TABLES


def test_a_value_that_is_held_is_never_kept(shelf: Memory) -> None:
    redactor = Redactor(b"k" * 32)
    redactor.hold("files", Secret("kept-nowhere-4f8d2b7c"))
    assert "4f8d2b7c" not in redactor.inspect_text("it is kept-nowhere-4f8d2b7c")
    assert set(shelf.puts) <= TABLES
    assert not any(b"4f8d2b7c" in compiled for _, compiled in shelf.kept.values())


def test_of_more_values_than_are_remembered_each_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "_KNOWN", 1)
    rows = [{"user": f"u{n}", "password": f"Kx9-vT3q{n}Zr7"} for n in range(4)]
    said = (
        Redactor(b"the key of these tests, 32 bytes").inspect({"rows": rows, "text": json.dumps(rows)}).value
    )
    assert "Kx9-vT3q" not in str(said)
