"""The catalogue: what each upstream offers, as last listed, and which exposed name or URI is whose.

Law of this file: an upstream's list changes only that upstream's entries, so no name that B chooses
can move, hide or replace a tool of A (law 8). A URI that two upstreams list belongs to the first of them in
the order of the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from msgspec import Struct

from mcpguard.core.model import Json, Listed
from mcpguard.protocol import headers, uri_template
from mcpguard.protocol.jsonrpc import encode

SEPARATOR = "__"
MAX_NAME = 256
MAX_URI = 4096


class Kind(Struct, frozen=True):
    """One kind of thing that is listed (specification: server/tools, prompts, resources). `key` is the
    member of the list's result, `id_key` the member that identifies an entry, `capability` the one that a
    server declares when it has any."""

    name: str
    method: str
    key: str
    id_key: str
    capability: str


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("tool", "tools/list", "tools", "name", "tools"),
        Kind("prompt", "prompts/list", "prompts", "name", "prompts"),
        Kind("resource", "resources/list", "resources", "uri", "resources"),
        Kind("template", "resources/templates/list", "resourceTemplates", "uriTemplate", "resources"),
    )
}


class Catalogue:
    """The entries of all servers, in the order of the configuration and then of each upstream's list."""

    def __init__(self, servers: tuple[str, ...]) -> None:
        self.servers = servers
        self._prefixed = len(servers) > 1
        self._entries: dict[tuple[str, str], dict[str, Listed]] = {}

    def server_of(self, exposed: str) -> str | None:
        """The server that the name `exposed` would belong to, listed or not; None if there is none."""
        if not self._prefixed:
            return self.servers[0]
        server, separator, _name = exposed.partition(SEPARATOR)
        return server if separator and server in self.servers else None

    def find(self, kind: str, exposed: str) -> Listed | None:
        """The tool or prompt of that exposed name, if its server listed it."""
        server = self.server_of(exposed)
        return None if server is None else self._entries.get((server, kind), {}).get(exposed)

    def listed(self, server: str, kind: str) -> bool:
        """Whether `server` has been listed at least once."""
        return (server, kind) in self._entries

    def all(self, kind: str) -> Iterator[Listed]:
        """All entries of a kind, in order; a URI that two servers list is given once."""
        seen: set[str] = set()
        for server in self.servers:
            for exposed, entry in self._entries.get((server, kind), {}).items():
                if exposed not in seen:
                    seen.add(exposed)
                    yield entry

    def resource(self, uri: str) -> Listed | None:
        """The resource of that URI: one that is listed, else one that a template of a server makes, else,
        where there is only one server, one that nobody listed."""
        entry = self.listed_resource(uri)
        if entry is not None:
            return entry
        if len(uri) <= MAX_URI:
            for template in self.all("template"):
                if uri_template.matches(template.name, uri):
                    return _unlisted(template.server, uri, template.facts)
        return None if self._prefixed else _unlisted(self.servers[0], uri, {})

    def listed_resource(self, uri: str) -> Listed | None:
        """The resource of that URI, if a server listed it."""
        return self._listed("resource", uri)

    def template(self, uri: str) -> Listed | None:
        """The template of that text, or the resource that a completion may name instead of one."""
        return self._listed("template", uri) or self.resource(uri)

    def _listed(self, kind: str, exposed: str) -> Listed | None:
        entries = (self._entries.get((server, kind), {}).get(exposed) for server in self.servers)
        return next((entry for entry in entries if entry is not None), None)

    def replace(self, server: str, kind: Kind, sent: list[Json], inspected: list[Json]) -> list[str]:
        """Take `server`'s whole new list: as it was `sent`, and the same list `inspected`.

        Returns a sentence for each entry that cannot be offered: not an object with its name or URI, one
        that is too long, has control characters or holds a secret, one that came before, a template with
        too many expressions, or a tool whose `x-mcp-header` annotations are invalid
        (basic/transports/streamable-http).
        """
        entries: dict[str, Listed] = {}
        refused: list[str] = []
        for raw, clean in zip(sent, inspected, strict=True):
            problem = _unusable(kind, raw, clean)
            if problem is None:
                entry = self._entry(server, kind, raw, clean)
                if entry.exposed not in entries:
                    entries[entry.exposed] = entry
                    continue
                problem = f"a second {kind.name} named {entry.name!r}"
            refused.append(problem)
        self._entries[server, kind.name] = entries
        return refused

    def _entry(self, server: str, kind: Kind, raw: dict[str, Json], clean: dict[str, Json]) -> Listed:
        name = clean[kind.id_key]
        exposed = f"{server}{SEPARATOR}{name}" if self._prefixed and kind.id_key == "name" else name
        annotations = clean.get("annotations")
        facts = {
            "name": _text(clean.get("name")),
            "title": _text(clean.get("title")),
            "description": _text(clean.get("description")),
            "annotations": annotations if type(annotations) is dict else {},
        }
        if kind.id_key != "name":
            facts |= {"uri": name, "mimeType": _text(clean.get("mimeType"))}
        return Listed(
            server=server,
            name=name,
            exposed=exposed,
            descriptor={**clean, kind.id_key: exposed},
            facts=facts,
            digest=sha256(encode(raw)).hexdigest(),
            kind=kind.name,
        )


def _unlisted(server: str, uri: str, facts: dict[str, Json]) -> Listed:
    empty = {"name": "", "title": "", "description": "", "annotations": {}, "mimeType": ""}
    return Listed(server, uri, uri, {}, {**empty, **facts, "uri": uri}, "", "resource")


def _text(value: Json) -> str:
    return value if type(value) is str else ""


def _unusable(kind: Kind, raw: Json, clean: Json) -> str | None:
    if type(raw) is not dict or type(clean) is not dict or type(raw.get(kind.id_key)) is not str:
        return f"an entry that is not a {kind.name} with a {kind.id_key}"
    name = raw[kind.id_key]
    if name != clean.get(kind.id_key):
        return f"a {kind.name} whose {kind.id_key} holds a secret"
    if not 0 < len(name) <= (MAX_NAME if kind.id_key == "name" else MAX_URI) or not name.isprintable():
        return f"a {kind.name} whose {kind.id_key} is empty, too long or not printable"
    if kind.name == "template" and uri_template.expressions(name) > uri_template.MAX_EXPRESSIONS:
        return f"a template with more than {uri_template.MAX_EXPRESSIONS} expressions"
    if kind.name == "tool":
        problem = headers.invalid_annotation(clean.get("inputSchema"))
        if problem is not None:
            return f"a tool, {name!r}, whose x-mcp-header is invalid: {problem}"
    return None
