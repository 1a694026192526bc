"""A pack of `policies/` in front of a real server, with only what an author has to set put in its place."""

from __future__ import annotations

import pytest

from scripts import node
from tests.conformance import stage
from tests.wire.session import Guard


@pytest.fixture
def behind(tmp_path):
    """`behind(pack, entry, {old: new})` gives a client's session with the pack in force in front of a server."""
    guards = []

    def begin(pack, entry, values):
        text = pack.path.read_text("utf-8")
        for old, new in values.items():
            assert text.count(old) == 1, f"`{old}` must stand in one place"
            text = text.replace(old, new)
        (tmp_path / "pack.yaml").write_text(text)
        own = {"path": f"sessions{len(guards)}"}
        guards.append(Guard(tmp_path, {pack.server: entry}, policies=["pack.yaml"], session=own))
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
