"""What clients see after an import: their servers are started once, and what policies hide is said."""

import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import DecodeError, Struct, json, structs

from mcpguard.adapters.system.own_process import operating_system_user
from mcpguard.adapters.system.terminal import counted
from mcpguard.authoring.explain.hypothesis import in_snapshot
from mcpguard.authoring.snapshot import Offer, Snapshot, survey
from mcpguard.cli.onboarding.lock import system
from mcpguard.config.loading import Config, config_option, load_config
from mcpguard.config.policies import load_policies
from mcpguard.core.functions.sql.tree import shown
from mcpguard.core.model import Invocation
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.visibility import visible
from mcpguard.core.redaction.redactor import OPT_IN
from mcpguard.onboarding.discovery.reading import here
from mcpguard.onboarding.disk import MoveError
from mcpguard.onboarding.formats import Unreadable
from mcpguard.onboarding.installing import as_administrator
from mcpguard.onboarding.locks.forms import is_locked, refused, says
from mcpguard.onboarding.locks.lockable import LOCKABLE, look
from mcpguard.onboarding.plan import ImportPlan
from mcpguard.onboarding.policies import HiddenTools, present_params

SECONDS = 30.0
"""How long all servers together may take; what a launcher has to download first takes longer."""

_NAMED = 6
_SCHEMA = "postgres(?:ql)?://[^?#]*/([A-Za-z_][A-Za-z0-9_]*)/schema"
"""The URI of the schema of a table, as a server of PostgreSQL lists it."""
_LONGEST = 63
"""The most characters that PostgreSQL keeps of a name."""


Stated = dict[tuple[str, str], list[str]]
"""Values by server and param."""


class FirstLook(Struct, frozen=True):
    """`lines` for the person: one for each client and project, then one for each server that was not seen.
    `found` are values for params, by server and param: the tables and columns of databases, as the servers
    state them; `instructed` are the servers with instructions for the model."""

    lines: tuple[str, ...] = ()
    found: Stated = {}
    instructed: tuple[str, ...] = ()


def first_look(plan: ImportPlan) -> FirstLook:
    """Start the servers of `plan` once."""
    config = load_config(plan.config)
    names = [one.name for one in plan.servers if not config.servers[one.name].disabled]
    snapshot, failed = survey(config, names, SECONDS, _SCHEMA)
    policies = load_policies(config.policies, OPT_IN).observing(config.observe)
    lines = [_line(plan, config, policies, snapshot, *view) for view in plan.views]
    wanting = [one.name for one in plan.servers if "tables" in one.unset and one.name in snapshot.servers]
    stated = {(name, param): values for name in wanting for param, values in _stated(snapshot.servers[name])}
    silent = [f"no answer: {said}" for said in failed.values()]
    if silent:
        silent.append("a client's next start tries them again: `mcpguard status` shows the result")
    instructed = [name for name, offer in snapshot.servers.items() if offer.instructions]
    return FirstLook((*lines, *silent), _fitting(plan.config, stated), tuple(instructed))


def unset_params(plan: ImportPlan) -> Iterator[str]:
    """A sentence for each param of a policy for which nothing is known."""
    for server in plan.servers:
        for param in server.unset:
            sets = (
                f"mcpguard import --set {server.name}.{param}=VALUE{config_option(plan.config, os.environ)}"
            )
            yield f"{server.name}: what needs {param} is refused until `{sets}`"


def of_tables(plan: ImportPlan, server: str, tables: list[str], columns: list[str]) -> Iterator[str]:
    """Lines about the `tables` that a database server lists, which may now be read, and their `columns`."""
    yield f"{server}: its tables may be read: {_some(tables)}"
    known = {one.partition(".")[0] for one in columns}
    if missing := [one for one in tables if one not in known]:
        sets = f"mcpguard import --set {server}.columns=TABLE.COLUMN,TABLE.COLUMN"
        sets += config_option(plan.config, os.environ)
        of = _some(missing)
        yield f"  queries that write columns of {of} as `t.c`, as joins do, are refused until `{sets}`"


def refused_by_system(plan: ImportPlan) -> Iterator[str]:
    """A sentence for each file of the system that does not let a client start what `plan` wrote."""
    clients = {one.found.client.name for one in plan.clients}
    for one in (lock for lock in LOCKABLE if clients & set(lock.clients)):
        path = system().file(one)
        try:
            there = says(path.read_text(), one.format, str(path))
        except (OSError, UnicodeDecodeError, Unreadable):
            continue
        allowed = look(one, here(os.environ, Path.cwd()), (), plan.config).allowed
        missing = refused(one, allowed, there) if is_locked(one, there) else []
        if missing:
            names = ", ".join(dict.fromkeys(each.name for each in missing))
            run = as_administrator(["lock", missing[0].client, "--config", str(plan.config)], os.environ)
            yield f"{path} does not let {one.title} start {names}: `{run}` allows it"


def _stated(offer: Offer) -> Iterator[tuple[str, list[str]]]:
    """(param, values) for the tables whose schemas a server of a database lists, and for their columns."""
    found = ((re.fullmatch(_SCHEMA, str(one.get("uri"))), one.get("text", "")) for one in offer.resources)
    schemas = {shown(uri[1], quoted=True, dialect="postgres"): text for uri, text in found if uri}
    if schemas:
        yield "tables", sorted(schemas)
    columns = [f"{table}.{column}" for table in sorted(schemas) for column in _columns(schemas[table])]
    if columns:
        yield "columns", columns


def _columns(schema: str) -> Iterator[str]:
    """The columns in the schema of a table, a list of objects with `column_name`, as `sql()` shows them."""
    try:
        rows = json.decode(schema, type=list[dict[str, Any]])
    except (DecodeError, RecursionError, UnicodeError):
        return
    names = (one.get("column_name") for one in rows)
    usable = (one for one in names if isinstance(one, str) and one.isprintable() and "." not in one)
    yield from (shown(one, quoted=True, dialect="postgres") for one in usable if len(one) <= _LONGEST)


def _fitting(config: Path, stated: Stated) -> Stated:
    """What the policies take of what servers `stated`: a condition has a greatest length, so of columns those
    of as many tables as fit in half of all, or a quarter."""
    found: Stated = {}
    for server in dict.fromkeys(name for name, _ in stated):
        tables, columns = ((server, "tables"), (server, "columns"))
        wanted = {key: stated[key] for key in (tables, columns) if key in stated}
        while wanted:
            try:
                present_params(config, wanted)
                break
            except MoveError:
                wanted = _fewer(wanted, columns)
        found |= wanted
    return found


def _fewer(
    wanted: dict[tuple[str, str], list[str]], columns: tuple[str, str]
) -> dict[tuple[str, str], list[str]]:
    """Without half of the columns, in whole tables; without anything where there are no columns."""
    some = wanted.get(columns, [])
    last = some[len(some) // 2].partition(".")[0] if some else ""
    kept = [one for one in some[: len(some) // 2] if one.partition(".")[0] != last]
    if kept:
        return {**wanted, columns: kept}
    return {key: value for key, value in wanted.items() if some and key != columns}


def _line(
    plan: ImportPlan,
    config: Config,
    policies: PolicySet,
    snapshot: Snapshot,
    client: str,
    title: str,
    project: str,
) -> str:
    """What a client sees of the servers of `plan`: those that it had before were not started."""
    view = config.view(client, project or None)
    new = {one.name for one in plan.servers}
    seen = [name for name in view.servers if name in snapshot.servers]
    where = f"{title} in {project}" if project else title
    moved = [name for name in view.servers if name in new]
    enabled = [name for name in moved if not config.servers[name].disabled]
    servers = counted(len(enabled), "server" if len(moved) == len(view.servers) else "new server")
    if len(enabled) < len(moved):
        servers += f" ({len(moved) - len(enabled)} more disabled)"
    if not seen:
        return f"{where}: {servers}, none of which answered" if enabled else f"{where}: {servers}"
    some = f"{where}: {len(seen)} of {servers} answered:"
    servers = f"{where}: {servers}," if len(seen) == len(enabled) else some
    asking = Invocation("import", "", operating_system_user(), datetime.now(UTC), client)
    off = {name: plan.switched_off(client, project, name) for name in seen}
    return f"{servers} {_tools(policies, asking, off, snapshot)}"


def _tools(policies: PolicySet, asking: Invocation, off: dict[str, HiddenTools], snapshot: Snapshot) -> str:
    """What the client of `asking` sees of the tools that it had: of each server all but those `off`."""
    kept, lost, back = 0, [], []
    for server, switched_off in off.items():
        found = visible_tools(policies, asking, [server], snapshot)
        lost += [name for name in found.hidden if not switched_off.hides(name)]
        back += [name for name in found.shown if switched_off.hides(name)]
        kept += len(found.shown)
    kept -= len(back)
    if lost:
        said = f"{kept} of {kept + len(lost)} tools; policy hides {_some(lost)}"
    else:
        said = f"{counted(kept, 'tool')}, as before"
    return f"{said}; until policies are enforced, also {_some(back)}, switched off before" if back else said


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")


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
