"""What a condition may name, and which members these names have.

Law of this file: a name whose members are listed has no others. A rule that reads one that does not exist
would be in force and never hold, so it is refused when it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from mcpguard.core.errors import did_you_mean

NAMES: dict[str, str] = {
    "action": "string",
    "server": "string",
    "tool": "map",
    "args": "map",
    "prompt": "map",
    "resource": "map",
    "principal": "map",
    "client": "map",
    "session": "map",
    "now": "timestamp",
    "result": "map",
    "findings": "list",
    "params": "map",
}
"""What a condition may name, and its type: maps and lists hold JSON values. No request has `params`: what is
set of them is in the text of a condition before it is compiled (`policy/params.py`)."""

LATER = frozenset({"args", "session"})
"""The names that are unknown while a list is made."""

_LISTED = ("name", "title", "description", "annotations", "icons", "_meta")

MEMBERS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("tool",): (*_LISTED, "inputSchema", "outputSchema", "execution", "firstAnnotations"),
    ("prompt",): (*_LISTED, "arguments"),
    ("resource",): (*_LISTED, "uri", "uriTemplate", "mimeType", "size", "listed"),
    ("principal",): ("id", "source", "groups", "claims"),
    ("client",): ("agent", "claims"),
    ("client", "claims"): ("name", "version"),
    ("session",): ("calls", "tools", "labels", "facts"),
}
"""All members of what these paths lead to. What is not here has whatever members a server, a token or a call
gives it."""


class Vocabulary(Struct, frozen=True):
    """What conditions of one kind may name, as `NAMES` has it for policies, and `MEMBERS`."""

    names: Mapping[str, str]
    members: Mapping[tuple[str, ...], tuple[str, ...]]


POLICY = Vocabulary(NAMES, MEMBERS)
"""Of policies."""


def unknown_member(path: tuple[str, ...], vocabulary: Vocabulary = POLICY) -> str | None:
    """Why no value can be at `path`, a name and the members that are selected from it, or None."""
    for end in range(1, len(path)):
        members = vocabulary.members.get(path[:end])
        if members is not None and path[end] not in members:
            hint = did_you_mean(path[end], members) or f"it has {', '.join(members)}"
            return f"`{'.'.join(path[:end])}` has no `{path[end]}`; {hint}"
    return None
