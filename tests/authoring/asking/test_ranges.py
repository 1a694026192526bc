"""JSON of a value in a range has what follows from the range, and JSON of another one mostly has not."""

from __future__ import annotations

import operator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import json

from mcpguard.authoring.asking.patterns import LinePattern, compiled
from mcpguard.authoring.asking.ranges import all_but, at_least, at_most, not_beginning, not_ending, number

_HOW = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_NUMBERS = st.one_of(
    st.integers(-120, 120),
    st.integers(-(2**64), 2**64),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-3, 3, width=16),
    st.sampled_from([0, -0.0, 0.05, 0.5, 5.0, 5.05, 999, 1000, 1e15, 1e16, 1e-7, 10**15 - 1]),
)
_TEXTS = st.text('ab"\\\n\x00\x7fé€😀/', max_size=5)
_VALUES = st.recursive(
    _TEXTS | st.sampled_from([0, 1, 5, 1.5, True, None]),
    lambda some: st.lists(some, max_size=4) | st.dictionaries(_TEXTS, some, max_size=3),
    max_leaves=6,
)


def found(pattern: str, value: Any) -> bool:
    line = b'{"v":%b}' % json.encode(value)
    return compiled([LinePattern('"v":' + pattern)]).search(line) is not None


@settings(max_examples=1_000)
@given(how=st.sampled_from(list(_HOW)), bound=_NUMBERS, value=_NUMBERS)
@example(how=">=", bound=0, value=-0.0)
@example(how="<", bound=5.05, value=5.0)
@example(how="<=", bound=5, value=5.0)
@example(how=">", bound=-5, value=3)
def test_json_of_a_number_in_a_range_is_never_left_out(how: str, bound: float, value: float) -> None:
    pattern = number(how, Decimal(repr(bound)))
    if pattern is not None and _HOW[how](value, bound):
        assert found(pattern, value)


@pytest.mark.parametrize("how", _HOW)
@pytest.mark.parametrize("bound", [-30, -1, 0, 1, 9, 10, 29, 100, 0.5, -2.25, 10.05])
def test_json_of_other_numbers_is_left_out(how: str, bound: float) -> None:
    pattern = number(how, Decimal(repr(bound)))
    assert pattern is not None
    for value in [*range(-120, 121), *(one / 20 for one in range(-250, 251)), 12345, -12345]:
        assert found(pattern, value) == _HOW[how](value, bound)


@pytest.mark.parametrize("bound", [10**15, -(10**15), 1e300, 1e-30])
def test_numbers_that_have_other_forms_are_not_followed(bound: float) -> None:
    assert number("<", Decimal(repr(bound))) is None


@settings(max_examples=600)
@given(size=st.integers(0, 7), value=_VALUES)
def test_json_of_a_value_of_a_size_is_never_left_out(size: int, value: object) -> None:
    if not isinstance(value, (str, list, dict)):
        return
    most = at_most(size)
    assert most is not None
    assert len(value) > size or found(most, value)
    assert size == 0 or len(value) < size or found(at_least(size), value)


@pytest.mark.parametrize(
    "make", [lambda n: "é" * n, lambda n: ["x,]"] * n, lambda n: {f"}}{i}": i for i in range(n)}]
)
@pytest.mark.parametrize("size", [1, 2, 3, 31, 32])
def test_json_of_another_size_is_left_out(make: Any, size: int) -> None:
    most = at_most(size)
    assert most is not None
    assert [found(at_least(size), make(n)) for n in (size - 1, size)] == [False, True]
    assert [found(most, make(n)) for n in (size, size + 1)] == [True, False]


def test_sizes_are_followed_as_far_as_a_pattern_can_count() -> None:
    assert found(at_least(5_000), "x" * 1_000)
    assert not found(at_least(5_000), "x" * 999)
    assert at_most(1_001) is None
    assert at_most(-1) is None
    most = at_most(1_000)
    assert most is not None
    assert found(most, ["x"] * 2_000)


@settings(max_examples=600)
@given(text=_TEXTS, value=_VALUES)
@example(text="a" * 60, value="a" * 60 + "b")
@example(text="a" * 60, value="b" + "a" * 59)
def test_json_of_what_is_unlike_a_text_is_never_left_out(text: str, value: object) -> None:
    assert value == text or found(all_but(json.encode(text).decode()), value)
    if isinstance(value, str):
        assert value.startswith(text) or found(not_beginning(text), value)
        assert value.endswith(text) or found(not_ending(text), value)


@pytest.mark.parametrize("text", ["a", "ab", "/srv/é\n", "x" * 46, "]}_ -"])
def test_json_of_a_text_that_is_like_it_is_left_out(text: str) -> None:
    assert not found(all_but(json.encode(text).decode()), text)
    assert not found(not_beginning(text[:46]), text)
    assert text.endswith("\n") or not found(not_ending(text), f"a{text}")


@pytest.mark.parametrize("value", [0, 1.5, -7, True, None])
def test_json_of_another_constant_is_told_apart(value: object) -> None:
    token = json.encode(value).decode()
    assert not found(all_but(token), value)
    assert all(found(all_but(token), other) for other in (55, "0", 1.55, -70, False, "null", [value]))
