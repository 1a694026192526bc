"""A test of many rows fails for each row that does."""

import inspect

import pytest

from tests.rows import each


def test_all_rows_are_checked_and_each_that_fails_is_named():
    seen = []

    @each(("one", "two"), [(1, 1), (1, 2), (2, 2), (3, 2)], ids=["a", "b", "c", "d"])
    def check(two, fixture, one):
        seen.append(fixture)
        assert one == two

    assert list(inspect.signature(check).parameters) == ["fixture"]
    with pytest.raises(ExceptionGroup, match="2 of 4 rows fail") as caught:
        check(fixture="f")
    assert [error.__notes__ for error in caught.value.exceptions] == [["Row: b"], ["Row: d"]]
    assert seen == ["f"] * 4


def test_a_row_of_one_value_is_named_by_it():
    @each("one", [1, 2], ids=lambda one: f"number {one}")
    def check(one):
        assert one == 1

    with pytest.raises(ExceptionGroup) as caught:
        check()
    assert caught.value.exceptions[0].__notes__ == ["Row: number 2"]


def test_rows_with_marks_are_left_to_pytest():
    with pytest.raises(AssertionError, match=r"is for pytest\.mark\.parametrize"):
        each("one", [pytest.param(1, id="one")])
