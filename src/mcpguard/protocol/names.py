"""Under which names a client knows the tools and prompts of its servers.

Each has a full name, `SERVER__NAME`, by which it is always found and which no other server can have; where no
prefix is configured, that of the only server is its own name. With `when-needed` the client is shown a tool's
own name as long as it was shown no other server's tool of that name. Where no prefix is configured, the own
name is understood as long as that is so: a second server takes away no name that a client uses.

Law of this file: on a connection an own name passes from nobody to one server, and from there to nobody for
good, never to another server. So it does not matter who lists first or stops listing, and a call goes where
the client was told that it would. What policy hides has not been shown: it changes no name, and no name
reveals it. Names that a client may write alike, such as `a.b` and `A_b`, count as one.
"""

import re
from collections.abc import Iterable
from typing import Literal
from unicodedata import normalize

Prefix = Literal["when-needed", "always"]

SEPARATOR = "__"
MOST_NAMES = 20_000
"""How many own names of one kind a server may have had on one connection; later ones get the full name."""

_NOBODY = ""
"""Stands among the servers that have a name where it must no longer be one of a server."""

_Key = tuple[str, str]
"""A kind and a name."""


_ALIKE = {code: chr(code).lower() if chr(code).isalnum() else "_" for code in range(128)}
"""Most names are ASCII, and a list may have thousands."""


def alike(name: str) -> str:
    """What names have in common that a client may take for one: many replace all but letters and digits."""
    if name.isascii():
        return name.translate(_ALIKE)
    return re.sub(r"\W", "_", normalize("NFKC", name)).casefold()


class Names:
    """The names of one client's servers. `prefix` is None where the number of servers decides."""

    def __init__(self, servers: tuple[str, ...], prefix: Prefix | None) -> None:
        self._prefix = prefix
        self._own = prefix != "always"
        self._full = prefix is not None
        self._offers: dict[_Key, dict[_Key, None]] = {}
        """By kind and how a name is alike, each server with such a name, and the name."""
        self._shown: dict[_Key, list[str]] = {}
        """The servers whose tool of that name the client was shown; one list for all names that are alike."""
        self._among: dict[_Key, list[str]] = {}
        """The same lists, by how the names are alike."""
        self._count: dict[_Key, int] = {}
        self.serve(servers)

    def serve(self, servers: tuple[str, ...]) -> None:
        """From now on these are the servers. What the client was shown so far still counts: an own name that
        looks like a full one by now is nobody's, and full names stay."""
        self._servers = servers
        self._full = self._full or len(servers) > 1
        self._reserved = tuple(alike(server) + SEPARATOR for server in servers)
        for (_, key), shown in self._among.items():
            if key.startswith(self._reserved) and _NOBODY not in shown:
                shown.append(_NOBODY)

    def full(self, server: str, name: str) -> str:
        """The full name of what `server` calls `name`."""
        return f"{server}{SEPARATOR}{name}" if self._full else name

    def server_of(self, exposed: str) -> str | None:
        """The server whose full name `exposed` is, whether it has such a thing or not; None for none."""
        if not self._full:
            return self._servers[0]
        server, separator, _name = exposed.partition(SEPARATOR)
        return server if separator and server in self._servers else None

    def meant(self, kind: str, exposed: str) -> str | None:
        """The full name of what a client means by `exposed`: the own name of a server's thing, as it was
        shown, or one with the only server before it; None where that is nobody's."""
        if not self._full:
            server, separator, name = exposed.partition(SEPARATOR)
            return name if separator and server in self._servers else None
        servers = self._shown.get((kind, exposed), ())
        return self.full(servers[0], exposed) if len(servers) == 1 else None

    def spent(self, kind: str, exposed: str) -> bool:
        """Whether the full name `exposed` was the own name of a server that was there before its own."""
        return _NOBODY in self._shown.get((kind, exposed), ())

    def open(self, kind: str, exposed: str) -> bool:
        """Whether `exposed` may still become the own name of one server."""
        if not self._own or not self._full:
            return False
        key = alike(exposed)
        return not self._among.get((kind, key)) and not key.startswith(self._reserved)

    def replace(self, kind: str, server: str, before: Iterable[str], after: Iterable[str]) -> None:
        """`server` offers other names than it did."""
        if not self._own:
            return
        for name in before:
            offers = self._offers[kind, alike(name)]
            del offers[server, name]
            if not offers:
                del self._offers[kind, alike(name)]
        for name in after:
            self._offers.setdefault((kind, alike(name)), {})[server, name] = None

    def offers(self, kind: str, exposed: str) -> list[_Key]:
        """Each server that offers a name which is alike now, and that name."""
        return list(self._offers.get((kind, alike(exposed)), ()))

    def show(self, kind: str, server: str, name: str) -> None:
        """The client is about to see what `server` calls `name`."""
        shown = self._shown.get((kind, name))
        if not self._own or (shown is not None and server in shown):
            return
        key = alike(name)
        if key.startswith(self._reserved):
            return
        count = self._count[kind, server] = self._count.get((kind, server), 0) + 1
        if count > MOST_NAMES:
            return
        if shown is None:
            shown = self._shown[kind, name] = self._among.setdefault((kind, key), [])
        if server not in shown:
            shown.append(server)

    def shown(self, kind: str, server: str, name: str) -> str:
        """How the client knows what `server` calls `name`."""
        short = self._prefix == "when-needed" and self._shown.get((kind, name)) == [server]
        return name if short else self.full(server, name)
