"""What clients see after an import: their servers are started once, and what policies hide is said."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct, structs

from mcpguard.adapters.system.own_process import operating_system_user
from mcpguard.adapters.system.terminal import counted
from mcpguard.authoring.explain.hypothesis import in_snapshot
from mcpguard.authoring.snapshot import Offer, Snapshot, survey
from mcpguard.config.loading import Config, load_config
from mcpguard.config.policies import load_policies
from mcpguard.core.model import Invocation
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.pdp import visible
from mcpguard.core.redaction.redactor import OPT_IN
from mcpguard.onboarding.plan import ImportPlan

SECONDS = 30.0
"""How long all servers together may take; what a launcher has to download first takes longer."""

_NAMED = 6
_SCHEMA = re.compile(r"postgres(?:ql)?://[^?#]*/([A-Za-z_][A-Za-z0-9_]*)/schema")


class FirstLook(Struct, frozen=True):
    """`lines` for the person: one for each client and project, then one for each server that was not seen.
    `tables` are those of databases by server and param, as the servers list them."""

    lines: tuple[str, ...] = ()
    tables: dict[tuple[str, str], list[str]] = {}


def first_look(plan: ImportPlan) -> FirstLook:
    """Start the servers of `plan` once."""
    config = load_config(plan.config)
    names = [one.name for one in plan.servers if not config.servers[one.name].disabled]
    snapshot, failed = survey(config, names, SECONDS)
    policies = load_policies(config.policies, OPT_IN).observing(config.observe)
    new = frozenset(one.name for one in plan.servers)
    lines = [_line(config, policies, snapshot, new, *view) for view in plan.views]
    wanting = [one.name for one in plan.servers if "tables" in one.unset and one.name in snapshot.servers]
    tables = {(name, "tables"): found for name in wanting if (found := _tables(snapshot.servers[name]))}
    silent = [f"no answer: {said}" for said in failed.values()]
    if silent:
        silent.append("a client's next start tries them again: `mcpguard status` shows the result")
    return FirstLook((*lines, *silent), tables)


def _tables(offer: Offer) -> list[str]:
    """The tables whose schemas a server of a database lists as resources, `postgres://HOST/DB/TABLE/schema`."""
    found = (_SCHEMA.fullmatch(str(one.get("uri"))) for one in offer.resources)
    return sorted({one[1] for one in found if one})


def _line(
    config: Config,
    policies: PolicySet,
    snapshot: Snapshot,
    new: frozenset[str],
    client: str,
    title: str,
    project: str,
) -> str:
    """What a client sees of the servers that are `new`: those that it had before were not started."""
    view = config.view(client, project or None)
    asking = Invocation("import", "", operating_system_user(), datetime.now(UTC), client)
    seen = [name for name in view.servers if name in snapshot.servers]
    found = visible_tools(policies, asking, seen, snapshot)
    where = f"{title} in {project}" if project else title
    moved = [name for name in view.servers if name in new]
    enabled = [name for name in moved if not config.servers[name].disabled]
    servers = (
        f"{where}: {counted(len(enabled), 'server' if len(moved) == len(view.servers) else 'new server')}"
    )
    if len(enabled) < len(moved):
        servers += f" ({len(moved) - len(enabled)} more disabled)"
    if len(seen) < len(enabled):
        servers += f", {len(seen) or 'none'} of which answered"
    every = len(found.shown) + len(found.hidden)
    if not seen:
        return servers
    if not found.hidden:
        return f"{servers}, {counted(every, 'tool')}, as before"
    hidden = ", ".join(found.hidden[:_NAMED]) + (" …" if len(found.hidden) > _NAMED else "")
    return f"{servers}, {len(found.shown)} of {every} tools; policy hides {hidden}"


class VisibleTools(Struct, frozen=True):
    """Names of tools, as their servers call them: `shown` and `hidden`."""

    shown: tuple[str, ...]
    hidden: tuple[str, ...]


def visible_tools(
    policies: PolicySet, asking: Invocation, servers: Iterable[str], snapshot: Snapshot
) -> VisibleTools:
    """What the principal and agent of `asking` see of `servers`; nothing else of it counts but its time."""
    shown: list[str] = []
    hidden: list[str] = []
    for server in servers:
        for tool in in_snapshot(snapshot, server, "tool"):
            call = structs.replace(asking, server=server, target=tool, method="tools/call", args=None)
            (shown if visible(policies, call) else hidden).append(tool.name)
    return VisibleTools(tuple(shown), tuple(hidden))
