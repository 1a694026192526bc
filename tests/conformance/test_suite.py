"""How two runs are compared."""

import json

import pytest

from scripts import node
from tests.conformance import losses, runs, stage, suite, table
from tests.conformance.runs import Run
from tests.conformance.suite import Check, Outcome

ONE = Check("ping", "ping", "Ping")
TWO = Check("tools-list", "tools", "Tools")


def write(folder, scenario, *checks):
    """A result as the suite writes it."""
    place = folder / f"server-{scenario}-2026-11-25T03-09-52-027Z"
    place.mkdir(parents=True)
    raw = [{"id": check, "name": name, "status": status} for check, name, status in checks]
    (place / "checks.json").write_text(json.dumps(raw))


def test_a_check_is_named_by_its_scenario_its_id_and_its_name(tmp_path):
    write(tmp_path, "ping", ("ping", "Ping", "SUCCESS"))
    assert suite.read(tmp_path) == {ONE: Outcome("SUCCESS")}


@pytest.mark.parametrize("order", [("SUCCESS", "FAILURE"), ("FAILURE", "SUCCESS")])
def test_of_two_checks_with_the_same_name_the_worse_counts(tmp_path, order):
    write(tmp_path, "ping", *(("ping", "Ping", status) for status in order))
    assert suite.read(tmp_path)[ONE].status == "FAILURE"


def test_only_successes_and_failures_are_decided():
    found = {ONE: Outcome("SUCCESS"), TWO: Outcome("FAILURE"), Check("a", "b", "c"): Outcome("SKIPPED")}
    assert suite.passed(found) == (1, 2)


@pytest.mark.parametrize("other", ["FAILURE", "WARNING", "SKIPPED", "INFO"])
def test_a_check_is_lost_when_it_passes_only_directly(other):
    direct = {ONE: Outcome("SUCCESS"), TWO: Outcome("SUCCESS")}
    assert suite.lost(direct, {ONE: Outcome("SUCCESS"), TWO: Outcome(other)}) == {TWO: Outcome(other)}


def test_a_check_that_is_absent_through_mcpguard_is_lost():
    assert suite.lost({ONE: Outcome("SUCCESS")}, {}) == {ONE: Outcome("ABSENT")}


def test_a_check_that_fails_directly_is_never_lost():
    assert suite.lost({ONE: Outcome("FAILURE"), TWO: Outcome("SKIPPED")}, {}) == {}


def test_a_row_explains_the_checks_of_its_runs_only(monkeypatch):
    monkeypatch.setattr(losses, "ROWS", (losses.Row("a reason", "ping", "ping", way="stdio"),))
    lost = {ONE: Outcome("FAILURE"), TWO: Outcome("FAILURE")}
    assert losses.unexplained(Run("2025-11-25", "stdio"), lost) == {TWO: Outcome("FAILURE")}
    assert losses.unexplained(Run("2025-11-25", "http"), lost) == lost


def stale(monkeypatch, row, direct, lost, way="stdio"):
    """The stale rows of a run, where there is only this row."""
    monkeypatch.setattr(losses, "ROWS", (row,))
    passing = {check: Outcome("SUCCESS") for check in direct}
    return losses.stale(Run("2025-11-25", way), passing, {check: Outcome("FAILURE") for check in lost})


def test_a_row_whose_check_passes_is_stale(monkeypatch):
    row = losses.Row("a reason", "ping", "ping", way="stdio")
    assert stale(monkeypatch, row, [ONE, TWO], [ONE]) == []
    assert stale(monkeypatch, row, [ONE, TWO], [TWO]) == [row]
    assert stale(monkeypatch, row, [ONE, TWO], [TWO], way="http") == []


def test_a_row_of_no_check_or_of_several_is_stale(monkeypatch):
    row = losses.Row("a reason", "ping", "ping")
    more = Check("ping", "ping", "Another")
    assert stale(monkeypatch, row, [TWO], []) == [row]
    assert stale(monkeypatch, row, [ONE, more], [ONE, more]) == [row]


def test_the_page_has_the_counts_of_each_run_and_no_others():
    page = (stage.root() / "docs/guides/conformance.md").read_text().splitlines()
    assert [line for line in page if line.startswith("|")] == table.wanted()


def test_a_row_of_the_table_says_what_is_lost_without_a_reason():
    run = Run("2025-11-25", "stdio", "modern")
    assert (
        table.row(run, 84, 3, 1)
        == "| 2025-11-25 | the modern era only | stdio | 84 | 81 | 2, and 1 without |"
    )


def test_a_direct_run_that_passes_fewer_checks_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(suite, "run", lambda *_: {ONE: Outcome("SUCCESS"), TWO: Outcome("FAILURE", "why")})
    with pytest.raises(AssertionError, match=r"tools-list / tools / Tools.*why"):
        runs.direct("2025-11-25", tmp_path)


@pytest.mark.node
def test_a_run_that_does_not_come_to_its_end_fails(with_node, tmp_path, monkeypatch):
    monkeypatch.setattr(suite, "SECONDS", 0.05)
    with pytest.raises(AssertionError, match=r"not over in 0\.05 seconds"):
        suite.run("http://127.0.0.1:9/mcp", "2025-11-25", tmp_path / "checks")


@pytest.mark.node
def test_against_no_server_nothing_passes_but_the_check_of_what_was_received(with_node, tmp_path):
    found = suite.run("http://127.0.0.1:9/mcp", "2025-11-25", tmp_path)
    assert {check.name for check, one in found.items() if one.status == "SUCCESS"} == {"WireSchemaValid"}


@pytest.mark.node
def test_an_installation_that_fails_says_which_command_failed(with_node, tmp_path, monkeypatch):
    monkeypatch.setenv("MCPGUARD_NODE_CACHE", str(tmp_path))
    monkeypatch.setattr(node, "WHEEL", "./absent.whl")
    with pytest.raises(node.NodeMissing, match="pip"):
        node.ready()
    assert not any(one.is_dir() for one in tmp_path.iterdir())
