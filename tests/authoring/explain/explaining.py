"""What the tests of explanations share: policies out of a few lines, and calls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mcpguard.authoring.explain.explainer import InspectedResult, explain
from mcpguard.authoring.explain.explanation import Explanation
from mcpguard.core.conditions import engines
from mcpguard.core.conditions.cel import EngineName
from mcpguard.core.model import Invocation, Listed, Principal
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.session import Session, StoredSession

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KINDS = frozenset({"email", "iban"})


def policies(*rules: str, engine: EngineName = "cpp", head: str = "") -> PolicySet:
    """Rules as flow mappings without their ids, which are r0, r1, ...; `head` is a line of the policy."""
    lines = ["version: 1", "policy: p", head, "rules:"]
    lines += [f"  - {{id: r{index}, {rule}}}" for index, rule in enumerate(rules)]
    return PolicySet([compile_policy("\n".join(lines) + "\n", "p.yaml", KINDS, engines.engine(engine))])


def tool(name: str = "t", server: str = "s", kind: str = "tool", **annotations: Any) -> Listed:
    facts = {"name": name, "title": "", "description": "", "annotations": annotations}
    return Listed(server, name, name, {}, facts, "", kind)


def call(args: dict[str, Any] | None = None, target: Listed | None = None) -> Invocation:
    who = Principal("ada", "os-user", ("ops",))
    args = args or {}
    return Invocation("i", "tools/call", who, NOW, "desk", "s", target or tool(), args, {"arguments": args})


def explained(
    found: PolicySet,
    args: dict[str, Any] | None = None,
    kept: StoredSession | None = None,
    result: InspectedResult | None = None,
) -> Explanation:
    return explain(found, call(args), Session(kept), result)
