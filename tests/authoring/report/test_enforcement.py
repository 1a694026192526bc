"""The enforcement matrix has every method that there is, and no cell without proof."""

from __future__ import annotations

import pytest

from mcpguard.authoring.report import enforcement
from mcpguard.authoring.report.enforcement import (
    RECORDED_OF_CLIENT,
    RECORDED_OF_UPSTREAM,
    TESTS_OF_CLIENT,
    TESTS_OF_UPSTREAM,
    cells,
)
from mcpguard.protocol.methods import FROM_CLIENT, FROM_UPSTREAM, Era, Method, Treatment
from tests.requirements.test_ledger import TESTS, names_in


def test_every_method_in_every_era_over_every_transport_is_a_cell() -> None:
    found = {(one.direction, one.method, one.era, one.transport) for one in cells()}
    wanted = {
        (direction, row.name, era, transport)
        for direction, table in (("from the client", FROM_CLIENT), ("from an upstream", FROM_UPSTREAM))
        for row in table.values()
        for era in ("legacy", "modern")
        if row.era in (Era.BOTH, Era(era))
        for transport in ("stdio", "http")
    }
    assert found == wanted
    assert len(found) == len(cells())


def test_each_cell_says_how_and_names_tests_that_exist() -> None:
    for one in cells():
        assert one.decided, one
        assert one.inspected, one
        assert one.recorded, one
        assert one.tests, one
        for name in one.tests:
            path, _, function = name.partition("::")
            assert (TESTS / path).exists(), name
            assert function in names_in(path), name


@pytest.mark.parametrize("table", ["FROM_CLIENT", "FROM_UPSTREAM"])
def test_a_method_without_proof_cannot_be_added(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    treatment = Treatment.DECIDED if table == "FROM_CLIENT" else Treatment.INSPECTED
    added = Method("new/method", True, treatment, "the whole result or error", "JSON-RPC error")
    monkeypatch.setattr(enforcement, table, {**getattr(enforcement, table), added.name: added})
    with pytest.raises(KeyError, match="new/method"):
        cells()


def test_nothing_is_said_of_what_is_not_there() -> None:
    assert TESTS_OF_CLIENT.keys() == FROM_CLIENT.keys()
    assert TESTS_OF_UPSTREAM.keys() == FROM_UPSTREAM.keys()
    assert RECORDED_OF_CLIENT.keys() == {row.treatment for row in FROM_CLIENT.values()}
    assert RECORDED_OF_UPSTREAM.keys() == {row.treatment for row in FROM_UPSTREAM.values()}
