"""What passes directly passes through mcpguard (law 10)."""

import pytest

from tests.conformance import losses, runs, suite

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]


@pytest.mark.parametrize("revision", suite.REVISIONS)
def test_the_upstream_itself_passes_every_check(direct, revision):
    assert suite.failed(direct[revision]) == {}
    assert suite.passed(direct[revision]) == (runs.PASSED[revision], runs.PASSED[revision])


@pytest.mark.parametrize("run", runs.SAME_ERA + runs.CROSS_ERA, ids=str)
def test_no_check_that_passes_directly_is_lost_through_mcpguard_without_a_reason(direct, run, tmp_path):
    lost = suite.lost(direct[run.revision], runs.through(run, tmp_path))
    unexplained = losses.unexplained(run, lost)
    assert {str(check): other for check, other in unexplained.items()} == {}
    assert losses.stale(run, direct[run.revision], lost) == []
