"""What `mcpguard check` tells of the packs, and what a principal can reach with each, is known and meant."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mcpguard.authoring.check.lints import LintSubject, lint
from mcpguard.authoring.explain.reach import reach
from mcpguard.authoring.snapshot import read_snapshot
from mcpguard.core.model import Deny, Invocation, Listed, Permit, Principal
from mcpguard.core.policy.compiled import compile_policy
from mcpguard.core.policy.pdp import decide
from mcpguard.core.policy.session import Session
from mcpguard.core.redaction.detectors import OPT_IN
from tests.packs.packs import ALL, PACKS, POSTURES, Pack, file, loaded, tools

TODAY = datetime(2026, 1, 1, tzinfo=UTC)
REACH: dict[str, dict[str, list[str]]] = json.loads((Path(__file__).parent / "reach.json").read_text("utf-8"))
"""By pack and answer (yes, if, no), the tools. Who means to change what a pack lets through changes this file."""

ALWAYS = """
P104 sqlite look
P203 github one-repository
"""
"""`list_tables` says nothing about itself, and one of the two servers of GitHub calls an argument `q`."""
MEANT = {
    "read-only": "P302 fetch fetch\nP302 filesystem what-was-read",
    "careful": "P201 github by-number-alone",
    "open-with-guards": "P201 github by-number-alone",
}


def offered() -> str:
    servers = {server: {"tools": list(tools(server).values())} for server in PACKS}
    return json.dumps({"version": 1, "servers": servers})


@pytest.mark.parametrize("posture", POSTURES)
def test_of_all_packs_together_only_what_is_meant_is_told(posture: str) -> None:
    packs = [Pack(server, posture) for server in PACKS]
    policies = [
        compile_policy(pack.path.read_text("utf-8"), str(pack), OPT_IN, None, file(pack).params)
        for pack in packs
    ]
    subject = LintSubject(
        policies, TODAY, dict.fromkeys(PACKS, True), None, read_snapshot(offered(), "snapshot.json")
    )
    told = [
        f"{one.code} {one.file.split('-')[0]} {one.message.split(':')[0].removeprefix('rule ')}"
        for one in lint(subject)
    ]
    assert sorted(told) == sorted([*ALWAYS.split("\n")[1:-1], *MEANT[posture].split("\n")])


@pytest.mark.parametrize("pack", ALL, ids=str)
def test_a_principal_reaches_with_a_pack_what_is_written_down(pack: Pack) -> None:
    asking = Invocation("i", "", Principal("ada", "os-user"), TODAY, "desk")
    found: dict[str, list[str]] = {"yes": [], "if": [], "no": []}
    for name, tool in sorted(tools(pack.server).items()):
        facts = {"name": name, "title": "", "description": "", "annotations": tool.get("annotations", {})}
        told = reach(loaded(pack), asking, Listed(pack.server, name, name, tool, facts, ""))
        found[told.answer].append(name)
    assert found == REACH[str(pack)]


@pytest.mark.parametrize("posture", ["careful", "open-with-guards"])
def test_hundreds_of_files_are_pushed_in_one_call_and_thousands_are_not(posture: str) -> None:
    facts = {"name": "push_files", "title": "", "description": "", "annotations": {}}
    target = Listed("github", "push_files", "push_files", {}, facts, "d")

    def pushed(count: int) -> Permit | Deny:
        files = [{"path": f"src/a{number}.py", "content": "x"} for number in range(count)]
        args = {"owner": "acme", "repo": "site", "branch": "agent/x", "message": "m", "files": files}
        call = Invocation("i", "tools/call", Principal("ada", "os-user"), TODAY, None, "github", target, args)
        return decide(loaded(Pack("github", posture)), call, Session())

    assert isinstance(pushed(500), Permit)
    refused = pushed(20_000)
    assert isinstance(refused, Deny)
    assert "a list may have at most 1,000 at a time" in refused.message
