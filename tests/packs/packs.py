"""The packs, their postures and the tools of the servers that they are for.

A snapshot in `snapshots/` has what `tools/list` of the real server gave, without its prose: names, annotations
and input schemas. `github.json` is of github/github-mcp-server (its own `__toolsnaps__`, with every tool of
every toolset); the others are of the packages that `policies/README.md` names.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mcpguard.authoring.tests.cases import PolicyTests
from mcpguard.authoring.tests.samples import PostureSamples
from mcpguard.config.policies import PolicyFile, load_policies, policy_files
from mcpguard.core.conditions.cel import EngineName
from mcpguard.core.conditions.engines import engine
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import PolicyError
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.redaction.detectors import OPT_IN

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "policies"
SNAPSHOTS = Path(__file__).parent / "snapshots"
PACKS = ("fetch", "filesystem", "git", "github", "memory", "postgres", "shell", "sqlite")
POSTURES = ("read-only", "careful", "open-with-guards")
"""From the closest to the widest."""
ENGINES: tuple[EngineName, ...] = ("cpp", "python")
OTHER_SNAPSHOTS = {"github": ("github", "github-npm")}
"""Packs that are for more than one server."""


class Pack(NamedTuple):
    """One policy file of a pack."""

    server: str
    posture: str

    @property
    def path(self) -> Path:
        """Where it stands."""
        return FOLDER / self.server / f"{self.posture}.yaml"

    @property
    def tests(self) -> Path:
        """Its tests, beside it."""
        return FOLDER / self.server / f"{self.posture}_test.yaml"

    def __str__(self) -> str:
        return f"{self.server}-{self.posture}"


ALL = [Pack(server, posture) for server in PACKS for posture in POSTURES]


@cache
def file(pack: Pack) -> PolicyFile:
    """A pack with the params that its tests set."""
    (one,) = policy_files(pack.tests, written(pack).policies)
    return one


@cache
def loaded(pack: Pack, name: EngineName = "cpp") -> PolicySet:
    """The pack in force, on one engine."""
    return load_policies([file(pack)], OPT_IN, engine(name))


@cache
def tools(server: str) -> dict[str, dict[str, Any]]:
    """All tools of a pack's servers, by name."""
    found: dict[str, dict[str, Any]] = {}
    for snapshot in OTHER_SNAPSHOTS.get(server, (server,)):
        text = (SNAPSHOTS / f"{snapshot}.json").read_text("utf-8")
        for tool in json.loads(text)["servers"][server]["tools"]:
            found.setdefault(tool["name"], tool)
    return found


@cache
def written(pack: Pack) -> PolicyTests:
    """The tests of a pack."""
    return Document(pack.tests.read_text("utf-8"), str(pack.tests), PolicyError).read(PolicyTests)


@cache
def samples(server: str) -> PostureSamples:
    """The sample calls of a pack."""
    path = FOLDER / server / "calls_test.yaml"
    return Document(path.read_text("utf-8"), str(path), PolicyError).read(PostureSamples)
