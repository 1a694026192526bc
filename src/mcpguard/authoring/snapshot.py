"""What servers offer, as `mcpguard snapshot` writes it: tools with schemas, prompts, resources, templates.
Each server is asked through a `mcpguard run` of its own.

Law of this file: what upstreams said is data of any shape; a schema that cannot be read tells nothing, and
never fails. There is no way around the one path: what starts a server, gives it its credentials, inspects
what it says and leaves evidence is `mcpguard run`, under a policy that shows all and allows no call, and the
reading of no resource but those that are asked for.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import msgspec
from pydantic import Field, ValidationError

from mcpguard.adapters.system.terminal import counted
from mcpguard.config.credentials import CredentialEntry
from mcpguard.config.loading import Config, evidence_folder
from mcpguard.config.policies import read_document
from mcpguard.config.references import ENTRY
from mcpguard.core.document.reading import Document
from mcpguard.core.document.written import Items, Written, whole
from mcpguard.core.errors import ConfigError, DocumentError, Problem
from mcpguard.core.model import Json
from mcpguard.core.redaction.structured.conforming import pointed
from mcpguard.protocol.eras import CAPABILITIES_KEY, MODERN_VERSIONS, VERSION_KEY

if TYPE_CHECKING:
    from mcp import MCPError
    from mcp.shared.dispatcher import DispatchContext
    from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
    from mcp.shared.transport_context import TransportContext

    from mcpguard.config.file import ConfigFile

REFERENCES = 64
"""How many parts of a schema are looked at for one step; a schema may refer to itself."""

Steps = tuple[str | int | None, ...]
"""Members, indexes, and None for any element or a member that is computed."""


class Offer(Written, extra="ignore"):
    """What one server offers: the objects of its lists (specification: server/tools, server/prompts,
    server/resources), inspected, each list in the order of its names."""

    tools: Items[dict[str, Any]] = Field((), description="Of `tools/list`.")
    prompts: Items[dict[str, Any]] = Field((), description="Of `prompts/list`.")
    resources: Items[dict[str, Any]] = Field((), description="Of `resources/list`.")
    templates: Items[dict[str, Any]] = Field((), description="Of `resources/templates/list`.")
    instructions: str = Field("", description="What it says to the model about its use, when it is greeted.")


class Snapshot(Written, extra="ignore"):
    """Offers by the names that servers have in the configuration (format version 1)."""

    version: Annotated[Literal[1], whole("1")] = Field(description="The version of this format.")
    servers: dict[str, Offer] = Field(description="Server -> what it offers.")

    def tools(self) -> Iterator[tuple[str, str, dict[str, Json]]]:
        """(server, name, tool) of every tool that has a name."""
        for server, offer in self.servers.items():
            for tool in offer.tools:
                if type(tool.get("name")) is str:
                    yield server, tool["name"], tool


def read_snapshot(text: str, source: str) -> Snapshot:
    """The snapshot in `text`, called `source` in messages. Raises DocumentError."""
    try:
        return Snapshot.model_validate(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError) as error:
        said = str(error)
    except ValidationError as error:
        at = ".".join(str(step) for step in error.errors(include_url=False, include_input=False)[0]["loc"])
        said = f"`{at}` is missing or has another form" if at else "it is not an object"
    said = f"not a snapshot made by `mcpguard snapshot`: {said}"
    raise DocumentError([Problem(source, 0, 0, said)])


def refused_when_validated(snapshot: Snapshot) -> dict[str, str]:
    """Server -> a sentence, where a client that validates a list refuses all of it (`Tool.inputSchema` in the
    schema of MCP: `type: "object"`). mcpguard serves such a list, and other clients take it."""
    odd: dict[str, list[str]] = {}
    for server, name, tool in snapshot.tools():
        if _map(tool.get("inputSchema")).get("type") != "object":
            odd.setdefault(server, []).append(name)
    return {
        server: f"{server} offers {counted(len(names), 'tool')} whose `inputSchema` is not of the type "
        f"`object` ({names[0]}{' …' if len(names) > 1 else ''}): clients that validate lists refuse all its "
        "tools, so use another version of the server"
        for server, names in odd.items()
    }


def write_snapshot(snapshot: Snapshot) -> str:
    """The snapshot as JSON that is the same for the same offers, and that a person can compare by line."""
    encoded = msgspec.json.encode(snapshot.model_dump(), order="sorted")
    return f"{msgspec.json.format(encoded, indent=1).decode()}\n"


class Presence(Enum):
    """Whether a value that fits a JSON Schema has a certain part."""

    ALWAYS = "always"
    OPTIONAL = "optional"
    NEVER = "never"
    UNKNOWN = "unknown"


def presence(schema: Json, steps: Steps) -> list[Presence]:
    """For each step into a value of `schema` (JSON Schema 2020-12) whether it leads to something, until
    that is no longer known: the last one may be NEVER or UNKNOWN."""
    found: list[Presence] = []
    inside = [schema]
    for step in steps:
        parts = _parts(schema, inside)
        said, inside = _member(parts, step) if isinstance(step, str) else _element(parts)
        found.append(said)
        if not inside:
            break
    return found


def leads_to(schema: Json, steps: Steps) -> list[dict[str, Json]]:
    """Schemas for the value at `steps`: in anything that fits `schema`, it fits at least one of them. No
    schema, or an empty one, means that it may be anything."""
    inside = [schema]
    for step in steps:
        parts = _parts(schema, inside)
        inside = (_member(parts, step) if isinstance(step, str) else _element(parts))[1]
        if len(inside) < len(parts):
            return []
    return _parts(schema, inside)


def _parts(root: Json, schemas: list[Json]) -> list[dict[str, Json]]:
    """The schemas with what they refer to and are combined of, side by side."""
    parts: list[dict[str, Json]] = []
    waiting = list(schemas)
    looked = 0
    while waiting:
        schema = waiting.pop()
        looked += 1
        if type(schema) is not dict or looked > REFERENCES:
            # It may be anything.
            parts.append({})
            continue
        inner = [one for key in ("anyOf", "oneOf", "allOf") for one in _list(schema.get(key))]
        if "$ref" in schema:
            inner.append(pointed(root, schema["$ref"], {}))
        waiting += inner
        if not inner or schema.keys() & {"properties", "items", "required"}:
            parts.append(schema)
    return parts


def _member(parts: list[dict[str, Json]], name: str) -> tuple[Presence, list[Json]]:
    inside = [one["properties"][name] for one in parts if name in _map(one.get("properties"))]
    if inside:
        needed = any(name in _list(one.get("required")) for one in parts)
        return Presence.ALWAYS if needed else Presence.OPTIONAL, inside
    return Presence.UNKNOWN if any(map(_open, parts)) else Presence.NEVER, []


def _open(schema: dict[str, Json]) -> bool:
    """Whether it may have members that it does not name. Most say nothing about others and mean none."""
    kinds = schema.get("type", "object")
    if "object" not in (kinds if type(kinds) is list else [kinds]):
        return False
    others = schema.get("additionalProperties", False)
    return "properties" not in schema or others is not False or "patternProperties" in schema


def _element(parts: list[dict[str, Json]]) -> tuple[Presence, list[Json]]:
    inside = [one["items"] for one in parts if type(one.get("items")) is dict]
    return (Presence.ALWAYS, inside) if inside else (Presence.UNKNOWN, [])


def _list(value: Json) -> list[Json]:
    return value if type(value) is list else []


def _map(value: Json) -> dict[str, Json]:
    return value if type(value) is dict else {}


AT_ONCE = 4
"""How many servers are asked side by side."""

LIST_SECONDS = 120.0
"""How long the lists of one server may take after its start."""

_OURS = "mcpguard: "
"""Begins a line in which mcpguard says why it ends."""
_ENDED = "`mcpguard run` ended before it answered"
_LONGEST = 300

_LEFT = 1.0
"""Seconds that are left for the end of a server whose resources are read."""

PATIENCE = 600.0
"""`limits.list_seconds` here, the most there is."""

LISTS = {
    "tools": ("tools/list", "tools", "name"),
    "prompts": ("prompts/list", "prompts", "name"),
    "resources": ("resources/list", "resources", "uri"),
    "templates": ("resources/templates/list", "resourceTemplates", "uriTemplate"),
}
"""Key of an Offer -> the method, the key of its result, and what its entries are called by."""

KEPT = frozenset(
    [
        "name", "title", "description", "inputSchema", "outputSchema", "annotations", "arguments", "uri",
        "uriTemplate", "mimeType",
    ]
)  # fmt: skip
"""What is kept of an entry: what rules can read, and schemas."""

_POLICY = """\
version: 1
policy: mcpguard-snapshot
owner: mcpguard
rules:
  # Unknown while a list is made, so all is shown; false for every call.
  - id: lists-only
    effect: allow
    action: [tools/call, prompts/get, resources/read, elicitation/create, sampling/createMessage, roots/list]
    when: size(args) < 0
"""
MOST_READ = 100
"""How many resources of one server are read."""


def survey(
    config: Config, names: list[str], most: float = 0.0, read: str = ""
) -> tuple[Snapshot, dict[str, str]]:
    """What `mcpguard run` serves of the servers `names` of `config`, and a sentence for each of which a list
    is missing; such a server is left out if that is the list of its tools. Each may take `most` seconds; 0:
    as long as its configuration says. Where mcpguard itself ends, the sentence says why. Resources whose
    whole URI matches the pattern `read` (RE2) are read, up to `MOST_READ` of a server: their entries have the
    text as `text`.

    Starts them, each under a `mcpguard run` with their credentials; afterwards none is alive, and what those
    reported is gone. Raises ConfigError where the file is not what it was when it was loaded.
    """
    import anyio

    entries = _entries(config, names)
    offers: dict[str, Offer] = {}
    failed: dict[str, str] = {}

    async def ask(folder: Path, name: str, places: anyio.CapacityLimiter) -> None:
        seconds = most or config.servers[name].start_timeout_seconds + LIST_SECONDS
        lists: dict[str, Any] = {}
        async with places:
            problem = await _ask(lists, folder, name, entries[name], seconds, logs[name], read)
        if "tools" in lists:  # Without them rules would be compared with nothing.
            offers[name] = Offer(**lists)
        if problem:
            failed[name] = problem

    async def ask_all(folder: Path) -> None:
        places = anyio.CapacityLimiter(AT_ONCE)
        async with anyio.create_task_group() as group:
            for name in entries:
                group.start_soon(ask, folder, name, places)

    logs: dict[str, TextIO] = {}
    with TemporaryDirectory(prefix="mcpguard-") as made, ExitStack() as opened:
        (Path(made) / "policy.yaml").write_text(_POLICY + (_rule_to(read) if read else ""))
        for name in entries:
            logs[name] = opened.enter_context(open(Path(made) / f"{name}.log", "w+", encoding="utf-8"))
        anyio.run(ask_all, Path(made))
        failed = {name: said + _reason(said, logs[name]) for name, said in failed.items()}
    return Snapshot(version=1, servers={name: offers[name] for name in entries if name in offers}), failed


def _entries(config: Config, names: list[str]) -> dict[str, Json]:
    """A configuration for each server alone, all paths absolute; references stay references."""
    from mcpguard.config.file import ConfigFile

    written = Document(read_document(config.path, ConfigError), str(config.path), ConfigError).read(
        ConfigFile
    )
    rest = {
        "version": 1,
        "policies": ["policy.yaml"],
        "agent": written.agent,
        # What a client may learn later is waited for here.
        "limits": {**written.limits.model_dump(), "list_seconds": PATIENCE},
        **_kept_with(config, written),
    }
    found = {}
    for name in names:
        server = config.servers[name]
        entry = {**written.servers[name].model_dump(exclude_unset=True), "disabled": False}
        if server.cwd is not None:
            entry["cwd"] = str(server.cwd)
        servers = {name: entry}
        credentials = {
            ref.name: _bound_to(written.credentials[ref.name], name, written.servers[name].url is not None)
            for ref in config.servers[name].credentials
            if ref.source == ENTRY
        }
        found[name] = {**rest, "servers": servers, "credentials": credentials}
    return found


def _rule_to(read: str) -> str:
    when = f"resource.uri.matches({msgspec.json.encode(f'^(?:{read})$').decode()})"
    rule = {"id": "read", "effect": "allow", "action": ["resources/read"], "when": when}
    return f"  - {msgspec.json.encode(rule).decode()}\n"


def _kept_with(config: Config, written: ConfigFile) -> dict[str, Any]:
    """Where evidence is, how it is kept, and where definitions are remembered: as for a client."""
    audit = {} if written.audit is None else written.audit.model_dump(exclude_unset=True)
    audit["path"] = str(evidence_folder(config))
    if config.audit.heads is not None:
        audit["heads"] = config.audit.heads.model_dump(exclude_unset=True)
    session = written.session.model_dump(exclude_unset=True)
    if config.session_folder is not None:
        session["path"] = str(config.session_folder)
    return {"audit": audit, "session": session}


def _bound_to(entry: CredentialEntry, server: str, remote: bool) -> Json:
    """The entry for this server alone, as it uses it while no rule has chosen it."""
    hosts = entry.hosts if remote else ()
    alone = entry.model_copy(update={"servers": (server,), "hosts": hosts, "env": {}, "headers": {}})
    return alone.model_dump(by_alias=True)


async def _ask(
    lists: dict[str, Any], folder: Path, name: str, entry: Json, seconds: float, errors: TextIO, read: str
) -> str:
    """Put what the server of `entry` lists into `lists`, with the texts that `read` asks for; gives why a
    list is missing, "" if none is."""
    import anyio
    from mcp import MCPError, StdioServerParameters
    from mcp.client.stdio import stdio_client
    from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher

    path = folder / f"{name}.json"
    path.touch(0o600)
    path.write_bytes(msgspec.json.encode(entry))
    # -P: a project's own `mcpguard` must not run in its place.
    words = ["-P", "-m", "mcpguard", "run", "--config", str(path)]
    run = StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ))
    problem = ""
    with anyio.move_on_after(seconds) as waiting:
        async with stdio_client(run, errors) as pipes, anyio.create_task_group() as group:
            # Not the SDK's client, which refuses what its types do not know and other clients take.
            asking = JSONRPCDispatcher(*pipes)
            await group.start(asking.run, _declined, _unheard)
            for kind, (method, key, called) in LISTS.items():
                try:
                    entries = (await asking.send_raw_request(method, _ENVELOPE))[key]
                except MCPError as error:
                    problem = problem or _sentence(name, error)
                    continue
                kept = [{k: v for k, v in one.items() if k in KEPT} for one in entries]
                lists[kind] = sorted(kept, key=lambda one, by=called: str(one.get(by)))  # type: ignore[misc]
            if not problem:  # It has started, so what it said then is known.
                hello = await asking.send_raw_request("server/discover", _ENVELOPE)
                lists["instructions"] = hello.get("instructions", "")
            # It has answered: what it does not let be read in time is missing, and nothing else.
            with anyio.CancelScope(deadline=waiting.deadline - _LEFT):
                await _read(asking, lists.get("resources", ()), read)
            group.cancel_scope.cancel()
    if waiting.cancelled_caught:
        return f"{name} could not be listed: it did not answer within {seconds:g} seconds"
    return problem


async def _read(asking: JSONRPCDispatcher, entries: Iterable[dict[str, Any]], read: str) -> None:
    from mcp import MCPError

    wanted = [one for one in entries if read and re.fullmatch(read, str(one.get("uri")))]
    for one in wanted[:MOST_READ]:
        try:
            said = await asking.send_raw_request("resources/read", {"uri": one["uri"], **_ENVELOPE})
        except MCPError:
            continue
        contents = said.get("contents")
        parts = contents if type(contents) is list else []
        texts = (part.get("text") for part in parts if type(part) is dict)
        one["text"] = "".join(text for text in texts if type(text) is str)


_ENVELOPE = {"_meta": {VERSION_KEY: MODERN_VERSIONS[0], CAPABILITIES_KEY: {}}}


async def _declined(
    _context: DispatchContext[TransportContext], method: str, _params: Mapping[str, Any] | None
) -> dict[str, Any]:
    from mcp import MCPError
    from mcp.types import METHOD_NOT_FOUND

    raise MCPError(METHOD_NOT_FOUND, f"{method} is not served")


async def _unheard(
    _context: DispatchContext[TransportContext], _method: str, _params: Mapping[str, Any] | None
) -> None:
    pass


def _reason(sentence: str, log: TextIO) -> str:
    """What `mcpguard run` wrote to `log` about its own end, for the end of `sentence`; "" for nothing."""
    if not sentence.endswith(_ENDED):
        return ""
    log.seek(0)
    said = next((line for line in log if line.startswith(_OURS)), "").strip()
    return f": {said.removeprefix(_OURS)[:_LONGEST]}" if said else ""


def _sentence(name: str, failure: MCPError) -> str:
    from mcp.types import CONNECTION_CLOSED

    if failure.code == CONNECTION_CLOSED:
        return f"{name} could not be listed: {_ENDED}"
    reason = _map(failure.data).get("unstarted")
    return failure.message if reason is None else f"{name} could not be listed: {_ENDED}: {reason}"
