"""The examples of each function are conditions that hold, or are errors, in both engines: the reference shows
them."""

from __future__ import annotations

import pytest

from mcpguard.core.conditions import engines
from mcpguard.core.conditions.cel import ERROR, TRUE, Bound, ConditionError, EngineName, Verdict
from mcpguard.core.functions import FUNCTIONS, Function
from mcpguard.core.functions.function import pages
from tests.rows import each

PAGES = pages()
HOLDING = [text for page in PAGES.values() for text in page.holds]
FAILING = [text for page in PAGES.values() for text in page.errors]


def verdict(name: EngineName, text: str) -> Verdict:
    return engines.engine(name).compile(text).verdict(Bound({}))


@pytest.mark.parametrize("name", ["cpp", "python"])
@each("text", HOLDING)
def test_an_example_holds(name: EngineName, text: str) -> None:
    assert verdict(name, text) is TRUE


@pytest.mark.parametrize("name", ["cpp", "python"])
@each("text", FAILING)
def test_an_example_of_an_error_is_one(name: EngineName, text: str) -> None:
    try:
        condition = engines.engine(name).compile(text)
    except ConditionError:  # a constant that can never be used, which is known when a policy is loaded
        return
    assert condition.verdict(Bound({})) is ERROR


@each("function", FUNCTIONS.values(), ids=lambda one: one.name)
def test_a_function_has_examples_of_both_and_says_what_it_gives(function: Function) -> None:
    page = PAGES[function.name]
    assert len(page.holds) >= 4
    assert page.errors
    assert page.summary
    assert page.gives
    assert tuple(page.fields) == function.fields
    assert all(name == name.lower() for name in page.fields)


def test_every_function_has_a_page_in_the_same_order() -> None:
    assert list(PAGES) == [function.name for function in FUNCTIONS.values()]
