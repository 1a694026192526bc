"""What a set of policies says of one call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mcpguard.core.model import Deny, Invocation, Listed, Permit, Principal
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.pdp import decide


def verdict(
    policies: PolicySet, server: str, name: str, args: dict[str, Any] | None = None, hour: int = 0
) -> Permit | Deny:
    """The verdict on a call of the tool `name` of `server`, on a day in winter at that hour (UTC)."""
    return decide(policies, invocation(server, name, args or {}, hour))


def invocation(server: str, name: str, args: dict[str, Any], hour: int = 0) -> Invocation:
    """The call itself."""
    facts = {"name": name, "title": "", "description": "", "annotations": {}}
    tool = Listed(server, name, name, {}, facts, "")
    now = datetime(2026, 1, 1, hour, tzinfo=UTC)
    who = Principal("ada", "os-user")
    return Invocation("1", "tools/call", who, now, None, server, tool, args)
