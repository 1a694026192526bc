"""Handles: texts of a server that its client sends back, such as cursors and the URIs of resources.

A placeholder in a handle would break the next call, so the whole handle is replaced by an alias. The alias
reveals nothing about the handle. It becomes the handle again only on this connection and for that server,
before anything is decided.

Law of this file: removed values are kept here, in bounded memory, and are sent only to the server that
sent them.
"""

import os
from collections.abc import Iterator
from threading import Lock

from msgspec import structs

from mcpguard.core.model import Json, Redacted
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.removal.binary import whole
from mcpguard.core.redaction.structured.forms import parsed, written
from mcpguard.protocol.calls import Call
from mcpguard.protocol.catalogue import ALIAS
from mcpguard.protocol.jsonrpc import INTERNAL_ERROR

MOST = 2_000
LONGEST = 8_192
"""How many handles are kept for one client, and how many characters of each."""

CURSORS = frozenset(
    [
        *("nextCursor", "next_cursor", "cursor", "endCursor", "end_cursor", "startCursor", "start_cursor"),
        *(
            "prevCursor",
            "previousCursor",
            "prev_cursor",
            "previous_cursor",
            "nextPageToken",
            "next_page_token",
        ),
        *("pageToken", "page_token", "nextToken", "next_token", "continuationToken", "continuation_token"),
    ]
)
"""Names of members that hold a place in a list."""

_NUMBERS = frozenset(
    [
        *(
            "progress",
            "total",
            "size",
            "priority",
            "ttl",
            "ttlMs",
            "pollInterval",
            "maxTokens",
            "temperature",
        ),
        *("costPriority", "intelligencePriority", "speedPriority", "minimum", "maximum"),
        *("minLength", "maxLength", "minItems", "maxItems"),
    ]
)
"""Members that are numbers in the schema of MCP: clients drop a message that has a text there."""

_URI = "uri"
_NO_URIS = frozenset(["structuredContent", "_meta"])
"""What has URIs in it that nobody reads through mcpguard."""


class Handles:
    """The handles of one client. Any thread may use it."""

    def __init__(self) -> None:
        # Another one for each connection, so that an alias of an earlier one is unknown and not another's.
        self._tag = os.urandom(3).hex()
        self._count = 0
        self._lock = Lock()
        self._aliases: dict[tuple[str, str], str] = {}
        self._real: dict[str, tuple[str, str]] = {}
        self.any = False
        """Whether there ever was one: without one no call has an alias in it."""

    def uri(self, server: str, real: str) -> str | None:
        """The alias of a URI of `server`; None for one that is too long."""
        return self._alias(server, real, f"{ALIAS}{self._tag}-{{}}")

    def _cursor(self, server: str, real: str) -> str | None:
        return self._alias(server, real, f"cursor-{self._tag}-{{}}")

    def _alias(self, server: str, real: str, form: str) -> str | None:
        if len(real) > LONGEST:
            return None
        self.any = True
        with self._lock:
            alias = self._aliases.pop((server, real), None)
            if alias is None:
                self._count += 1
                alias = form.format(self._count)
            # The latest last.
            self._aliases[server, real] = alias
            self._real[alias] = server, real
            if len(self._aliases) > MOST:
                del self._real[self._aliases.pop(next(iter(self._aliases)))]
        return alias

    def forget(self, kept: frozenset[str]) -> None:
        """Only the servers in `kept` are unchanged."""
        with self._lock:
            for key in [one for one in self._aliases if one[0] not in kept]:
                del self._real[self._aliases.pop(key)]

    def of(self, text: str) -> tuple[str, str] | None:
        """The server and handle for which `text` is an alias; None if it is not an alias."""
        return self._real.get(text)

    def named(self, call: Call) -> tuple[Call, str]:
        """The call with the URI that its client knows by an alias, and the server that this is of; any other
        call as it is, and ""."""
        server, real = self._real.get(call.name, ("", ""))
        if not server or call.kind not in ("resource", "template"):
            return call, ""
        args = {**call.args, "uri": real} if "uri" in call.args else call.args
        return structs.replace(call, name=real, args=args), server

    def given(self, server: str, call: Call) -> Call:
        """The call with the handles of `server`, to which it goes, in its arguments."""
        args = self.restored(server, call.args)
        return call if args is call.args else structs.replace(call, args=args)

    def behind(self, value: Json) -> Iterator[str]:
        """The handles for which aliases are in `value`."""
        if type(value) is str:
            if value in self._real:
                yield self._real[value][1]
        elif type(value) in (dict, list):
            for child in value.values() if type(value) is dict else value:
                yield from self.behind(child)

    def restored(self, server: str, value: Json) -> Json:
        """`value` with the handles of `server` in place of their aliases; the same object without any."""
        if type(value) is str:
            owner, real = self._real.get(value, ("", value))
            return real if owner == server else value
        if type(value) is dict:
            made = {name: self.restored(server, child) for name, child in value.items()}
            return made if any(made[name] is not child for name, child in value.items()) else value
        if type(value) is list:
            items = [self.restored(server, child) for child in value]
            same = all(new is old for new, old in zip(items, value, strict=True))
            return value if same else items
        return value

    def aliased(self, server: str, before: Json, after: Json, uris: bool = True) -> Json:
        """`after`, which is `before` inspected, with aliases where something was removed from a handle, and 0
        in place of a number that MCP needs; the same object without any."""
        if type(after) is dict and type(before) is dict:
            made = None
            for (name, old), (key, new) in zip(before.items(), after.items(), strict=True):
                each = self._member(server, name, old, new, uris)
                if each is not new:
                    made = dict(after) if made is None else made
                    made[key] = each
            return after if made is None else made
        if type(after) is list and type(before) is list:
            items = [self.aliased(server, *pair, uris) for pair in zip(before, after, strict=True)]
            same = all(one is other for one, other in zip(items, after, strict=True))
            return after if same else items
        return after

    def _member(self, server: str, name: str, old: Json, new: Json, uris: bool) -> Json:
        if type(old) is not str:
            if type(new) is str and name in _NUMBERS and uris:
                return 0
            return self.aliased(server, old, new, uris and name not in _NO_URIS)
        if old == new:
            return new
        if name in CURSORS:
            return self._cursor(server, old) or new
        if name == _URI and uris:
            return self.uri(server, old) or new
        return self._text(server, old, new) if name == "text" and uris else new

    def _text(self, server: str, old: str, new: str) -> str:
        """A text that is JSON, with aliases for the cursors in it."""
        before, after = parsed(old), parsed(new)
        try:
            made = self.aliased(server, before, after, uris=False)
        except ValueError:  # It has another shape.
            return new
        return new if made is after else written(made, before, old)


def usable(
    handles: Handles, server: str, redactor: Redactor, before: Json, also: tuple[str, ...], after: Redacted
) -> Redacted:
    """The inspected value `after`, which was `before`, with aliases for handles, numbers where MCP needs
    them, and texts in place of binary data from which something was removed."""
    made = whole(before, handles.aliased(server, before, after.value))
    if type(before) is dict and type(before.get("code")) is int and type(made.get("code")) is str:
        made = {**made, "code": INTERNAL_ERROR}
    return after if made is after.value else redactor.inspect_again(made, after, also)
