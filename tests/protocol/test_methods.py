"""The table of methods: each cell says something, and no two cells of a row contradict each other."""

from __future__ import annotations

import pytest

from mcpguard.protocol.methods import FROM_CLIENT, FROM_UPSTREAM, Method, Treatment

ROWS = [*FROM_CLIENT.values(), *FROM_UPSTREAM.values()]
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
PASS_ON = {
    *(Treatment.DECIDED, Treatment.FILTERED, Treatment.OWNED, Treatment.ASKED),
    *(Treatment.CORRELATED, Treatment.INSPECTED, Treatment.SUBSCRIBED),
}
"""What hands on something that the other side wrote."""


@rows
def test_no_cell_is_empty_and_one_that_says_nothing_or_none_says_why(row: Method) -> None:
    for cell, least in ((row.inspected, "nothing"), (row.refusal, "none")):
        assert cell.strip("- ")
        head, _, why = cell.partition(": ")
        assert head == cell or (head == least and why)
        assert cell not in ("nothing", "none")


@rows
def test_what_is_passed_on_is_inspected_and_what_is_said_to_be_inspected_has_an_object(row: Method) -> None:
    nothing = row.inspected.startswith("nothing: ")
    assert not (nothing and (row.treatment in PASS_ON or "inspected" in row.treatment.value))


@rows
def test_a_request_can_be_refused_and_what_is_withheld_of_a_notification_was_looked_through(
    row: Method,
) -> None:
    none = row.refusal.startswith("none: ")
    assert none is (not row.request and row.treatment not in PASS_ON)


@rows
def test_nothing_of_what_goes_nowhere_is_inspected(row: Method) -> None:
    if row.treatment in (Treatment.DROPPED, Treatment.TOLD, Treatment.ENDED):
        assert row.inspected.startswith("nothing: ")
