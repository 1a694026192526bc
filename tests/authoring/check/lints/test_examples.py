"""Every lint finds what its example shows, and nothing in the one that is right."""

from __future__ import annotations

import pytest

from mcpguard.authoring.check.lints import FINDERS, LINTS
from tests.authoring.check.linting import flaws

CODES = pytest.mark.parametrize("code", LINTS)


@CODES
def test_the_bad_example_is_found_at_a_place(code: str) -> None:
    found = [one for one in flaws(LINTS[code].bad) if one.code == code]
    assert found
    assert all(one.line and one.column for one in found)
    assert {one.severity for one in found} == {LINTS[code].severity}


@pytest.mark.uncounted
@CODES
def test_the_good_example_is_not(code: str) -> None:
    assert code not in {one.code for one in flaws(LINTS[code].good)}


def test_codes_are_unique_and_in_order() -> None:
    assert list(LINTS) == sorted(LINTS)


def test_whatever_finds_something_has_its_section_in_the_table() -> None:
    assert FINDERS.keys() == LINTS.keys()
