"""What a client sees of what its servers offer: the tools that policies let it see, and those they hide."""

from collections.abc import Iterable

from msgspec import Struct, structs

from mcpguard.authoring.explain.hypothesis import in_snapshot
from mcpguard.authoring.snapshot import Snapshot
from mcpguard.core.model import Invocation
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.pdp import visible


class Sight(Struct, frozen=True):
    """Names of tools, as their servers call them: `shown` and `hidden`."""

    shown: tuple[str, ...]
    hidden: tuple[str, ...]


def sight(policies: PolicySet, asking: Invocation, servers: Iterable[str], snapshot: Snapshot) -> Sight:
    """What the principal and agent of `asking` see of `servers`; nothing else of it counts but its time."""
    shown: list[str] = []
    hidden: list[str] = []
    for server in servers:
        for tool in in_snapshot(snapshot, server, "tool"):
            call = structs.replace(asking, server=server, target=tool, method="tools/call", args=None)
            (shown if visible(policies, call) else hidden).append(tool.name)
    return Sight(tuple(shown), tuple(hidden))
