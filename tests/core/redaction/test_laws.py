"""The laws of inspection, for any value. `MCPGUARD_EXAMPLES=1000` tries more."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mcpguard.core.errors import InspectionError
from mcpguard.core.model import Json
from mcpguard.core.redaction.leaves import padded
from mcpguard.core.redaction.redactor import OPT_IN, Redactor
from mcpguard.core.redaction.views import views
from mcpguard.core.secret import Secret
from tests.core.redaction.hostile import HELD, TOKEN

SHORT = "q7#w2!"


def redactor() -> Redactor:
    made = Redactor(b"key")
    made.hold("env:A", Secret(HELD))
    made.hold("env:SHORT", Secret(SHORT))
    return made


ONE = redactor()
PIECES = st.sampled_from(
    [
        *(HELD, HELD[:9], HELD[9:], TOKEN, TOKEN[:20], SHORT, "password=", "://a:b@", "[REDACTED:jwt#1]"),
        *(base64.b64encode(HELD.encode()).decode(), TOKEN.encode().hex(), "%67hp_", "\\u0067", "&amp;"),
        *("\x1b[0m", "\u200b", "\x1f", "\ud800", "eyJ", "-----BEGIN ", "\n", " ", '"', "\\", "H4sI"),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=4).map("".join)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXTS, below, max_size=4),
    max_leaves=12,
)


def shape(value: Json) -> Any:
    """`value` without its texts; a number may have become one."""
    if type(value) is dict:
        return [shape(child) for child in value.values()]
    if type(value) is list:
        return (*map(shape, value),)
    return value if value is None or type(value) is bool else ""


def inspected(value: Json) -> Json:
    try:
        return ONE.inspect(value, tuple(sorted(OPT_IN))).value
    except InspectionError:  # There is too much of something, and it is withheld.
        return None


@settings(deadline=None)
@given(VALUES)
def test_what_was_inspected_has_nothing_more_in_it_and_its_shape(value: Json) -> None:
    found = inspected(value)
    if found is not None:
        assert inspected(found) is found
        assert shape(found) == shape(value)


@settings(deadline=None)
@given(st.text("abcdefghijklmnop %\\\n+/=&;_-.", max_size=400))
def test_views_change_nothing_where_nothing_is_found(text: str) -> None:
    list(views(padded([text])))
    value = {"text": text}
    done = ONE.inspect(value)
    assert done.value is value or done.findings or done.neutralised


@settings(deadline=None)
@given(st.sampled_from([HELD, TOKEN]), st.data())
def test_wherever_a_secret_is_cut_up_over_texts_no_piece_of_it_stays(
    secret: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(secret) - 1), min_size=1, max_size=4)))
    pieces = [secret[start:end] for start, end in zip([0, *cuts], [*cuts, len(secret)], strict=True)]
    for value in (pieces, [{f"{chr(97 + at)}": piece} for at, piece in enumerate(pieces)]):
        said = str(ONE.inspect(["see", *value, "there"]).value)
        assert "REDACTED" in said
        assert not any(piece in said for piece in pieces if len(piece) > 5)
