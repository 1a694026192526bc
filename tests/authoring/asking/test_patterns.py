"""The JSON of a text that matches a pattern has what follows from the pattern."""

from __future__ import annotations

import re2
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from msgspec import json

from mcpguard.adapters.audit.passages import IndexedPassage, Passage
from mcpguard.authoring.asking.patterns import compiled, pattern_of
from tests.rows import each

_CHARACTERS = 'aK\u212aé"\\/\n\t\x0b\x00\x7f.€ -0'
_ATOMS = st.sampled_from(
    [
        *(
            "a",
            "k",
            "é",
            '"',
            "/",
            " ",
            "-",
            "0",
            "€",
            "]",
            "}",
            r"\"",
            r"\\\\",
            r"\.",
            r"\n",
            r"\t",
            r"\v",
            r"\-",
        ),
        *(".", "^", "$", r"\A", r"\z", r"\b", r"\B", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S"),
        *(
            "[a-c]",
            "[^a]",
            "[a]",
            "[.]",
            '["]',
            r"[\]a]",
            "[]a]",
            "[^]]",
            "[[:alpha:]]",
            "[[:^alpha:]0]",
            r'["\\\\]',
            r"[\n-]",
            "[+-z]",
        ),
        *("[a./-]", "[A-z]", r"[\x00-\x1f]", r"[\d\t]"),
    ]
)
_TIMES = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{0,1}", "{1,}", "+?", "*?"])
_PIECES = st.builds("{}{}".format, _ATOMS, _TIMES)
_PATTERNS = st.builds(
    "{}{}".format,
    st.sampled_from(["", "", "", "(?i)", "(?s)", "(?is)"]),
    st.recursive(
        st.lists(_PIECES, min_size=1, max_size=4).map("".join),
        lambda some: st.one_of(
            st.builds("{}|{}".format, some, some),
            st.builds("{}({}){}".format, _PIECES, some, _TIMES),
            st.builds("(?:{}){}{}".format, some, _TIMES, _PIECES),
            st.builds("(?P<n>{})".format, some),
        ),
        max_leaves=3,
    ),
)


@settings(max_examples=100)
@given(pattern=_PATTERNS, text=st.text(_CHARACTERS, max_size=6))
@example(pattern="a$|^b", text="a")
@example(pattern=r"^[^a]\n$", text='"\n')
@example(pattern="^{2}.", text="0")
@example(pattern="(?i)k", text="\u212a")
def test_json_of_what_matches_is_never_left_out(pattern: str, text: str) -> None:
    options = re2.Options()
    options.log_errors = False
    try:
        matches = re2.compile(pattern, options).search(text.encode()) is not None
    except re2.error:
        assume(False)
    found = pattern_of(pattern)
    assert found is not None
    line = b'{"path":%b}' % json.encode(text)
    if matches:
        assert compiled([found.lines]).search(line)
        ways = [[json.encode(run)[1:-1] for run in runs] for runs in found.ways]
        passage = Passage(0)
        passage.add(line)
        known = IndexedPassage(passage.bits(), b"")
        assert any(all(map(known.has, runs)) for runs in ways)
        assert found.any_case or any(all(run in line for run in runs) for runs in ways)


@each(
    ("pattern", "source", "ways"),
    [
        (r"/file1[0-9]\.txt$", r'/file1[0-9]\.txt"', [["/file1", ".txt"]]),
        (r"^a.c|b\d{2}", r'"a(?:[^"\\]|\\[^u]|\\u[0-9a-f]{4})c|b\d{2}', [["a", "c"], ["b"]]),
        (r'"\s', r'(?:\\")(?:\s|\\[^u]|\\u[0-9a-f]{4})', [['"']]),
        ("(?i)aéB", "(?i)aéB", [["a", "B"]]),
        ("(?s)aé", "(?s)aé", [["aé"]]),
        (r"(^a$)b+\bc", "(?:(?:)a(?:))b+(?:)c", [["b", "c"]]),
    ],
)
def test_a_pattern_for_lines_escapes_what_json_escapes(
    pattern: str, source: str, ways: list[list[str]]
) -> None:
    found = pattern_of(pattern)
    assert found is not None
    assert found.lines.source == source
    assert found.ways == ways


@each("pattern", [r"\pL", r"\x41", "a(?i)b", r"\Qa.b\E", "a{,2}", "(?m)^a", "(?i:a)", r"\C"])
def test_what_is_not_listed_is_not_followed(pattern: str) -> None:
    assert pattern_of(pattern) is None


def test_a_pattern_for_lines_does_not_go_on_in_the_next_line() -> None:
    found = pattern_of("a[^b]c")
    assert found is not None
    assert not compiled([found.lines]).search(b'"a\nc"')
