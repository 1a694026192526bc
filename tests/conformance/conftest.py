"""Node for the tests of this folder, and the direct runs, once."""

import pytest

from scripts import node
from tests.conformance import runs, stage, suite


@pytest.fixture(scope="session")
def with_node():
    """Node and its packages. A test fails, and is not skipped, where they cannot be installed."""
    if stage.without_node():
        pytest.skip("MCPGUARD_WITHOUT_NODE=1")
    return node.ready()


@pytest.fixture(scope="session")
def direct(with_node, tmp_path_factory):
    """The outcomes of the direct run, by revision."""
    return {
        revision: runs.direct(revision, tmp_path_factory.mktemp(f"direct-{revision}"))
        for revision in suite.REVISIONS
    }
