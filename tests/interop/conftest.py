"""One running place for all tests that use it."""

import contextlib

import pytest

from scripts import node
from tests.conformance import stage
from tests.interop import clients


@pytest.fixture(scope="session")
def places(tmp_path_factory):
    """`places(place)` gives the folder and how to reach it; started once, ended with the session."""
    with contextlib.ExitStack() as stack:
        running = {}

        def start(place):
            if place not in running:
                folder = tmp_path_factory.mktemp(str(place))
                running[place] = folder, stack.enter_context(clients.origin(place, folder))
            return running[place]

        yield start


@pytest.fixture(scope="session")
def node_home():
    """The folder with node. A test fails, and is not skipped, where it cannot be installed."""
    if stage.without_node():
        pytest.skip("MCPGUARD_WITHOUT_NODE=1")
    return node.ready()
