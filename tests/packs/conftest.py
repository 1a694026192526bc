"""A pack of `policies/` in front of a real server, with its params set."""

from __future__ import annotations

import pytest

from scripts import node
from tests.conformance import stage
from tests.packs.packs import file
from tests.wire.session import Guard


@pytest.fixture
def behind(tmp_path):
    """`behind(pack, entry, {param: value})` gives a client's session with the pack in force in front of a server; a param that
    is not given has the value of the tests of the pack."""
    guards = []

    def begin(pack, entry, values):
        used = file(pack)
        policy = {"file": str(used.path), "params": {**used.params, **values}}
        own = {"path": f"sessions{len(guards)}"}
        guards.append(Guard(tmp_path, {pack.server: entry}, policies=[policy], session=own))
        guards[-1].hello()
        return guards[-1]

    yield begin
    for guard in guards:
        guard.dispose()


@pytest.fixture
def npm():
    """`npm(program, *argv)` is the configuration entry of a server from npm."""
    if stage.without_node():
        pytest.skip("MCPGUARD_WITHOUT_NODE=1")
    folder = node.ready()

    def entry(program, *argv, **env):
        command, *words = node.program(folder, program)
        return {"command": command, "args": [*words, *argv], "env": env}

    return entry
