"""Values that are searched at once are called clean only where each would be left alone as it is."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from mcpguard.core.errors import InspectionError
from mcpguard.core.model import Json
from mcpguard.core.redaction import redactor as inspecting
from mcpguard.core.redaction.detectors import DETECTORS
from mcpguard.core.redaction.redactor import AT_ONCE
from tests.core.redaction.hostile import HELD, TOKEN
from tests.core.redaction.test_laws import ONE, VALUES
from tests.rows import each
from tests.servers.disguises import disguises
from tests.servers.forms import forms

PLAIN = [
    {"text": "The quick brown fox jumps over the lazy dog."},
    {"text": "def main(argv):\n    return run(argv[1:])\n"},
    {"content": [{"type": "text", "text": "three files were changed"}], "isError": False},
    {"text": "Zürich, 東京 and 100 % of it", "count": 7},
    {},
]


def asked(values: list[Json]) -> list[bool]:
    """Which of the values are called clean."""
    return [one is not None for one in ONE.inspect_several([(value, True) for value in values])]


def is_left(value: Json) -> bool:
    """Whether a value that is inspected alone is left as it is."""
    try:
        return ONE.inspect(value).value is value
    except InspectionError:
        return False


@pytest.fixture(autouse=True)
def _known_names() -> None:
    for value in PLAIN:  # A name is looked at alone when it is met first.
        assert is_left(value)


def test_values_in_which_there_is_nothing_are_clean_as_if_each_had_been_inspected_alone() -> None:
    found = ONE.inspect_several([(value, True) for value in PLAIN])
    assert [one and one.value for one in found] == PLAIN
    assert [one and one.payload for one in found] == [encode(value) for value in PLAIN]
    assert all(one is not None and one.value is value for one, value in zip(found, PLAIN, strict=True))


def test_what_is_not_sent_is_not_encoded() -> None:
    found = ONE.inspect_several([(PLAIN[0], False)])
    assert [one and one.payload for one in found] == [b""]


def test_only_the_value_with_a_token_is_inspected_alone() -> None:
    assert asked([PLAIN[0], {"text": f"it is {TOKEN}"}, PLAIN[1]]) == [True, False, True]
    assert asked([{"text": f"see https://ada:{HELD[:8]}@host/"}, *PLAIN]) == [False, *[True] * len(PLAIN)]


@pytest.mark.uncounted
@each("detector", DETECTORS, ids=lambda one: one.kind)
def test_every_example_of_a_format_is_doubtful_at_any_place_among_others(detector: Any) -> None:
    places = cycle((([PLAIN[0]], [PLAIN[1]]), ([], [PLAIN[0]]), ([PLAIN[0]], [])))
    for hit in detector.hits:
        next(places)  # So that each kind of text comes to each place.
        for value in ({"text": hit}, {"text": f"{hit} and more"}, {"text": f"it is {hit}"}):
            before, after = next(places)
            if not is_left(value):
                assert not asked([*before, value, *after])[len(before)], hit


@pytest.mark.uncounted
@pytest.mark.parametrize("secret", [HELD, TOKEN])
def test_every_form_and_every_disguise_is_doubtful_among_others(secret: str) -> None:
    texts = [*forms(secret), *disguises(secret).values()]
    removed = [text for text in texts if not is_left({"text": text})]
    assert len(removed) > 40
    for text in removed:
        assert not asked([*PLAIN, {"text": text}, *PLAIN])[len(PLAIN)], text
        assert not asked([{"text": text}] * 3)[2], text


def test_a_held_value_over_short_rows_is_doubtful_among_texts_that_have_none() -> None:
    rows = {"text": "\n".join(f"| {n} | {char} |" for n, char in enumerate(HELD))}
    words = {"text": "many words and nothing else " * 40}
    assert not is_left(rows)
    assert not asked([words, rows, words])[1]


@pytest.mark.parametrize(
    "value",
    [
        {"password": "kX9vQ2mZ7pL4"},
        {"text": [["password"], ["kX9vQ2mZ7pL4"]]},
        {"text": '[["user", "password"], ["ada", "kX9vQ2mZ7pL4"]]'},
        {"part_1": "abc", "part_2": "def"},
        {"k": "password", "v": "kX9vQ2mZ7pL4"},
        {"text": "x" * (AT_ONCE + 1)},
        {"text": f"{TOKEN[:20]}\x1f{TOKEN[20:]}"},
        {"b": {"text": "one"}, "a": "two", "c": {"text": "three"}},
        {"text": object()},
    ],
)
def test_what_needs_more_than_a_search_is_inspected_alone(value: Any) -> None:
    assert asked([PLAIN[0], value, PLAIN[1]]) == [True, False, True]


@pytest.mark.parametrize(
    "text",
    ["a\u200bb", "\x1b[0m", "S2V5IGZvciB0aGUgZG9vciBvZiB0aGUgaG91c2U=", "=3D=41=42", "://a:b@ " * 2100],
)
def test_where_it_is_not_known_in_which_text_a_sign_is_each_is_inspected_alone(text: str) -> None:
    texts = [{"text": text[at : at + AT_ONCE // 2]} for at in range(0, len(text), AT_ONCE // 2)]
    assert not any(asked([PLAIN[0], *texts, PLAIN[1]]))


def test_a_text_that_only_looks_encoded_does_not_make_the_others_doubtful() -> None:
    long = {"text": "x" * 200}
    assert asked([PLAIN[0], long, PLAIN[3], long]) == [True] * 4


def test_a_defect_leaves_each_value_to_be_inspected_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> list[bool]:
        raise RuntimeError

    monkeypatch.setattr(inspecting, "clean", fails)
    assert asked(PLAIN) == [False] * len(PLAIN)


@given(st.lists(VALUES | st.sampled_from(PLAIN), min_size=1, max_size=6))
def test_a_value_that_is_called_clean_would_be_left_as_it_is(values: list[Json]) -> None:
    for value, one in zip(values, ONE.inspect_several([(value, True) for value in values]), strict=True):
        if one is not None:
            alone = ONE.inspect(value)
            assert alone.value is value
            assert alone.payload == one.payload
