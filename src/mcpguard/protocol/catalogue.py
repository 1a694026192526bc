"""The catalogue: which exposed name is which tool of which upstream, as last listed.

Law of this file: an upstream's list changes only that upstream's entries, so no name that B chooses
can move, hide or replace a tool of A (law 8).
"""

from __future__ import annotations

from hashlib import sha256

from mcpguard.core.model import Json, Tool
from mcpguard.protocol.jsonrpc import encode

SEPARATOR = "__"
MAX_NAME = 256


class Catalogue:
    """Tools of all servers, in the order of the configuration and then of each upstream's list."""

    def __init__(self, servers: tuple[str, ...]) -> None:
        self.servers = servers
        self._prefixed = len(servers) > 1
        self._by_server: dict[str, dict[str, Tool]] = {}

    def server_of(self, exposed: str) -> str | None:
        """The server that `exposed` would belong to, listed or not; None if there is none."""
        if not self._prefixed:
            return self.servers[0]
        server, separator, _name = exposed.partition(SEPARATOR)
        return server if separator and server in self.servers else None

    def find(self, exposed: str) -> Tool | None:
        """The tool of that exposed name, if its server listed it."""
        server = self.server_of(exposed)
        return None if server is None else self._by_server.get(server, {}).get(exposed)

    def listed(self, server: str) -> bool:
        """Whether `server` has been listed at least once."""
        return server in self._by_server

    def tools(self) -> list[Tool]:
        """All tools, in order."""
        return [tool for server in self.servers for tool in self._by_server.get(server, {}).values()]

    def replace(self, server: str, sent: list[Json], inspected: list[Json]) -> list[str]:
        """Take `server`'s whole new list: as it was `sent`, and the same list `inspected`.

        Returns a sentence for each entry that cannot be offered: not a Tool object, a name that is
        too long, has control characters or holds a secret, or a name that came before.
        """
        tools: dict[str, Tool] = {}
        refused: list[str] = []
        for raw, clean in zip(sent, inspected, strict=True):
            problem = _unusable(raw, clean)
            if problem is None:
                tool = self._tool(server, raw, clean)
                if tool.exposed not in tools:
                    tools[tool.exposed] = tool
                    continue
                problem = f"a second tool named {tool.name!r}"
            refused.append(problem)
        self._by_server[server] = tools
        return refused

    def _tool(self, server: str, raw: dict[str, Json], clean: dict[str, Json]) -> Tool:
        name = clean["name"]
        exposed = f"{server}{SEPARATOR}{name}" if self._prefixed else name
        annotations = clean.get("annotations")
        facts = {
            "name": name,
            "title": _text(clean.get("title")),
            "description": _text(clean.get("description")),
            "annotations": annotations if type(annotations) is dict else {},
        }
        return Tool(
            server=server,
            name=name,
            exposed=exposed,
            descriptor={**clean, "name": exposed},
            facts=facts,
            digest=sha256(encode(raw)).hexdigest(),
        )


def _text(value: Json) -> str:
    return value if type(value) is str else ""


def _unusable(raw: Json, clean: Json) -> str | None:
    if type(raw) is not dict or type(clean) is not dict or type(raw.get("name")) is not str:
        return "an entry that is not a tool with a name"
    name = raw["name"]
    if name != clean.get("name"):
        return "a tool whose name holds a secret"
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        return "a tool whose name is empty, too long or not printable"
    return None
