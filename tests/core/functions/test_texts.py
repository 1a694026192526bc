"""`glob`, `json` and `detect`: bounded, strict, and the same as the parts of the product that they speak of."""

from __future__ import annotations

import base64
import json
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpguard.core.functions import detect, texts
from mcpguard.core.redaction import budget
from mcpguard.core.redaction.detectors import KINDS, PERSONAL, TABLES, VENDORS
from mcpguard.core.redaction.redactor import Redactor
from tests.core.functions.web.test_urls import message, says
from tests.rows import each

ALL = [*(one for table in TABLES.values() for one in table), *VENDORS[::60], *PERSONAL]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda text: "\0" not in text),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text('ab"\\é', max_size=3), below, max_size=3)
    ),
    max_leaves=8,
)


@given(st.text("ab/*?[!]-.", max_size=12), st.text("ab/*?[!]-.", min_size=1, max_size=8))
def test_a_glob_means_what_it_means_in_a_rule(text: str, pattern: str) -> None:
    assert says("glob", text, pattern) is fnmatchcase(text, pattern)


def test_a_glob_counts_case_and_crosses_slashes_and_lines() -> None:
    assert says("glob", "a/b\nc", "a*c") is True
    assert says("glob", "A", "a") is False
    assert says("glob", "x", []) is False


def test_the_work_of_a_glob_is_bounded() -> None:
    assert "4,096" in message("glob", "a" * (texts.GLOB_LIMIT + 1), "a")
    assert "4,096" in message("glob", "a", ["a" * texts.GLOB_LIMIT, "b"])
    assert says("glob", "a" * texts.GLOB_LIMIT, "*a" * 2000 + "b") is False


@given(JSON, st.sampled_from([None, 1]))
def test_a_json_text_gives_its_value(value: Any, indent: int | None) -> None:
    assert says("json", json.dumps(value, indent=indent)) == value


@each(
    "text",
    [
        *(
            "",
            " ",
            "nul",
            "[1,]",
            "{'a':1}",
            "[1]x",
            "NaN",
            "-Infinity",
            "1e999",
            "01",
            "\ufeff1",
            '"\\ud800"',
            '"\ud800"',
        ),
        *(
            '{"a":1,"a":1}',
            '[{"a":1, "\\u0061":2}]',
            '{"a":{"b":1,"b":2}}',
            "9" * 19,
            "-" + "9" * 19,
            "9" * 5000,
            '{"a":' + "9" * 19 + "}",
            '[{"a":[{"b":-' + "9" * 19 + "}]}]",
        ),
        *("[" * 65 + "]" * 65, "[" * 5000 + "]" * 5000, '"\0"', '"' + "a" * texts.JSON_LIMIT + '"', '"a\nb"'),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_a_json_text_with_two_readings_is_refused(text: str) -> None:
    message("json", text)


def test_the_depth_of_a_message_is_read() -> None:
    assert says("json", "[" * 64 + "1" + "]" * 64) is not None
    assert says("json", "[" * 65 + "1" + "]" * 65) is None


@given(st.text(max_size=30) | st.text('[]{}":,1a \\', max_size=20))
def test_no_text_makes_json_do_anything_but_answer_or_refuse(text: str) -> None:
    says("json", text)


CARRIERS = [
    lambda text: text,
    lambda text: {"a": [1, {"b": text}]},
    lambda text: {text: None},
    lambda text: quote(text, safe=""),
    lambda text: {"x": base64.b64encode(f"see: {text} .".encode()).decode()},
    lambda text: (
        "data:text/plain;base64," + base64.urlsafe_b64encode(f"see: {text} .".encode()).decode().rstrip("=")
    ),
]


@pytest.mark.uncounted
@each("detector", ALL, ids=lambda one: one.kind)
def test_a_hit_is_told_wherever_it_stands(detector: Any) -> None:
    for text in detector.hits:
        for carrier in CARRIERS:
            assert says("detect", carrier(text)) == [detector.kind] or detector.kind in says(
                "detect", carrier(text)
            )
            assert says("detect", carrier(text), [detector.kind]) == [detector.kind]


@pytest.mark.uncounted
@each("detector", ALL, ids=lambda one: one.kind)
def test_it_tells_what_redaction_would_remove(detector: Any) -> None:
    for text in (*detector.hits, *detector.misses):
        also = tuple(one.kind for one in PERSONAL)
        removed = {finding.kind for finding in Redactor(b"key").inspect(f"x {text} y", also).findings}
        assert removed <= set(says("detect", f"x {text} y"))


def test_the_name_of_a_member_tells_what_its_value_is() -> None:
    key = "a/+Z" * 10
    assert says("detect", {"SecretAccessKey": key}) == ["aws-secret-access-key"]
    assert says("detect", {"SecretAccessKey": key}, "email") == []
    assert says("detect", {"Other": key}) == []
    assert says("detect", {"SecretAccessKey": "none"}) == []


def test_numbers_are_looked_at() -> None:
    assert says("detect", {"card": 4111111111111111}) == ["payment-card"]


def test_kinds_must_be_known() -> None:
    assert "does not know this kind" in message("detect", "x", "s3cret")
    assert says("detect", "a@b.io", [*sorted(KINDS)[:500], "email"]) == ["email"]
    assert says("detect", "a@b.io", []) == []


def test_what_cannot_be_scanned_to_its_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    assert "to its end" in message("detect", deep)
    assert "65,536" in message("detect", "a" * detect.LIMIT)
    monkeypatch.setattr(budget, "HITS", (1000, 0))
    assert "to its end" in message("detect", "://a:b7x@ " * 2000)


def test_what_only_looks_encoded_is_left_alone() -> None:
    assert says("detect", {"a": "A" * 17, "b": "/////////////////////", "c": "100%, %zz"}) == []
    assert says("detect", base64.b64encode(bytes(range(256)) * 9).decode()) == []


@given(JSON | st.text(max_size=50))
def test_any_value_has_an_answer(value: Any) -> None:
    assert set(says("detect", value)) <= KINDS
