"""The catalogue: what each upstream offers, as last listed, and which exposed name or URI is whose.

Law of this file: an upstream's list changes only that upstream's entries, so no name that B chooses
can move, hide or replace a tool of A (law 8). A URI belongs to the upstream that listed it first and keeps
listing it; among upstreams that are listed for the first time together, the order of the configuration
decides, however slow one of them is. What a client may not see takes nothing away from what it may see.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from hashlib import sha256

from msgspec import Struct, structs

from mcpguard.core.model import Json, Listed
from mcpguard.protocol import headers, uri_template
from mcpguard.protocol.jsonrpc import ordered
from mcpguard.protocol.names import Names, Prefix

MAX_NAME = 256
MAX_URI = 4096
ALIAS = "mcpguard://resource/"
"""Begins what stands for a URI that must not be seen."""

DIGESTS = 2
"""How the digests of entries are made: those that were made otherwise say nothing about a change."""

FIRST = "firstAnnotations"
"""What conditions call the annotations of a tool as its server first listed it on this connection."""

Visible = Callable[[Listed], bool]
"""Whether policy lets a client see an entry."""


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


_COMMON: dict[str, Json] = {"name": "", "title": "", "description": "", "annotations": {}}
_ALWAYS: dict[str, dict[str, Json]] = {
    "tool": {**_COMMON, "inputSchema": {}, "outputSchema": {}},
    "prompt": {**_COMMON, "arguments": []},
    "resource": {**_COMMON, "uri": "", "mimeType": ""},
    "template": {**_COMMON, "uri": "", "mimeType": ""},
}


class Catalogue:
    """The entries of all servers, in the order of the configuration and then of each upstream's list."""

    def __init__(self, servers: tuple[str, ...], prefix: Prefix | None = None) -> None:
        """`prefix` as in `Names`."""
        self.servers = servers
        self._names = Names(servers, prefix)
        self.named: dict[tuple[str, str], Listed] = {}
        """The tools and prompts, by kind and full name."""
        self._entries: dict[tuple[str, str], dict[str, Listed]] = {}
        self._claims: dict[tuple[str, str], list[str]] = {}
        """The servers that list each URI now, by kind, in the order in which they began to."""
        self._ahead: dict[tuple[str, str], set[str]] = {}
        """Those that were still being listed for the first time when each server was, and come before it."""
        self._templates: dict[str, list[Listed]] = {}
        """Those of each server, the most specific first."""
        self._first: dict[str, dict[str, Json]] = {}
        """The annotations of the tools that each server listed first: what it claims later widens nothing."""

    def reconfigure(self, servers: tuple[str, ...], kept: Collection[str]) -> None:
        """From now on these are the servers; of those that are not in `kept` nothing is known any more."""
        for server, kind in [key for key in self._entries if key[0] not in kept]:
            if KINDS[kind].id_key == "name":
                self._names.replace(
                    kind, server, [one.name for one in self._entries[server, kind].values()], ()
                )
            else:
                self._claim(server, kind, {})
            self.give_up(server, kind)
            self._ahead.pop((server, kind), None)
            del self._entries[server, kind]
        for server in self._first.keys() - set(kept):
            del self._first[server]
        self.servers = servers
        self._names.serve(servers)
        self.named = {}
        for (server, kind), entries in self._entries.items():
            if KINDS[kind].id_key == "name":
                renamed = {
                    one.exposed: one for one in (self._renamed(KINDS[kind], e) for e in entries.values())
                }
                self._entries[server, kind] = renamed
                self.named |= {(kind, exposed): entry for exposed, entry in renamed.items()}

    def _renamed(self, kind: Kind, entry: Listed) -> Listed:
        exposed = self._names.full(entry.server, entry.name)
        if exposed == entry.exposed:
            return entry
        return structs.replace(entry, exposed=exposed, descriptor={**entry.descriptor, kind.id_key: exposed})

    def find(self, kind: str, exposed: str) -> Listed | None:
        """The tool or prompt that the client knows by that name, if its server listed it."""
        found = self.named.get((kind, exposed))
        if found is None and (full := self._names.meant(kind, exposed)) is not None:
            found = self.named.get((kind, full))
        return found

    def possible(self, kind: str, exposed: str) -> list[str]:
        """The servers that may have a tool or prompt which is not known by that name yet."""
        server = self._names.server_of(exposed)
        servers = self.servers if server is None and self._names.open(kind, exposed) else (server,)
        return [one for one in servers if one is not None]

    def awaited(self, kind: str, exposed: str) -> list[str]:
        """Those that must be listed before it is known whose tool or prompt that name is."""
        return [one for one in self.possible(kind, exposed) if not self.listed(one, kind)]

    def settle(self, kind: str, exposed: str, visible: Visible) -> Listed | None:
        """As `find`, for a name that the client may not have been shown yet: now it counts as shown. What is
        not visible is given only where there is no other."""
        names, hidden = self._names, None
        for server, name in names.offers(kind, exposed) if names.open(kind, exposed) else ():
            entry = self._entries[server, kind][names.full(server, name)]
            if visible(entry):
                names.show(kind, server, name)
            elif name == exposed and hidden is None:
                hidden = entry
        return self.find(kind, exposed) or (hidden if names.open(kind, exposed) else None)

    def alike(self, kind: str, exposed: str, visible: Visible) -> list[str]:
        """The names that a client may have meant, which may be those of several servers, in their order."""
        offers = sorted(self._names.offers(kind, exposed), key=lambda one: self.servers.index(one[0]))
        found = (self._entries[server, kind][self._names.full(server, name)] for server, name in offers)
        return [self._names.shown(kind, one.server, one.name) for one in found if visible(one)]

    def names(self, entries: list[Listed]) -> list[str]:
        """How the client, who is shown all these entries of one kind, knows each of them."""
        if not entries or KINDS[entries[0].kind].id_key != "name":
            return [one.exposed for one in entries]
        for one in entries:
            self._names.show(one.kind, one.server, one.name)
        return [self._names.shown(one.kind, one.server, one.name) for one in entries]

    def listed(self, server: str, kind: str) -> bool:
        """Whether `server` has been listed at least once."""
        return (server, kind) in self._entries

    def entries(self, server: str, kind: Kind) -> Collection[Listed]:
        """What that server lists of a kind, whoever it belongs to; nothing before it was listed."""
        return self._entries.get((server, kind.name), {}).values()

    def digests(self, server: str, kinds: Iterable[Kind]) -> list[str]:
        """What tells one list of a server from another: the digests of its entries, in order, and whether
        each is held."""
        return [f"{one.digest} {one.held}" for kind in kinds for one in self.entries(server, kind)]

    def offered(self, kind: str, visible: Visible) -> Iterator[Listed]:
        """The entries of a kind that a client may see, in order; each URI as its holder lists it."""
        for server in self.servers:
            for entry in self._entries.get((server, kind), {}).values():
                if visible(entry) and self._holder(entry, visible) == server:
                    yield entry

    def contested(self, server: str, kind: str, visible: Visible) -> Iterator[tuple[str, str]]:
        """The URIs that `server` lists and that belong to another one, each with the name of that one."""
        for uri, entry in self._entries.get((server, kind), {}).items():
            holder = self._holder(entry, visible)
            if holder != server:
                yield uri, holder

    def _holder(self, entry: Listed, visible: Visible) -> str:
        """The server that the name or URI of `entry` belongs to, for a client that may see `entry`."""
        for server in self._claims.get((entry.kind, entry.exposed), ()):
            if server == entry.server:
                break
            if visible(self._entries[server, entry.kind][entry.exposed]):
                return server
        return entry.server

    def resource(self, uri: str, visible: Visible) -> Listed | None:
        """The resource of that URI: one that is listed, else one that a template of a server makes, else,
        where there is only one server, one that was not listed. One that is not visible is given only where
        there is no other."""
        return _choice(self._candidates(("resource",), uri), visible)

    def listed_resource(self, uri: str, visible: Visible) -> Listed | None:
        """The resource of that URI, if a server listed it and it is visible."""
        claims = self._claims.get(("resource", uri), ())
        return next((e for e in (self._entries[s, "resource"][uri] for s in claims) if visible(e)), None)

    def template(self, uri: str, visible: Visible) -> Listed | None:
        """As `resource`, for a completion: it names a template by its text, or a resource instead."""
        return _choice(self._candidates(("template", "resource"), uri), visible)

    def _candidates(self, kinds: tuple[str, ...], uri: str) -> Iterator[Listed]:
        """What there is under `uri`, the best first. Only the best of each server, seen or not: what hides
        its listed resource must not be passed by through its template."""
        left = list(self.servers)
        for kind in kinds:
            for server in self._claims.get((kind, uri), ()):
                if server in left:
                    left.remove(server)
                    yield self._entries[server, kind][uri]
        made = [] if len(uri) > MAX_URI else [t for server in left for t in self._nearest(server, uri)]
        for template in sorted(made, key=self._rank):
            yield _unlisted(template.server, uri, template.about)
        if left and not made and len(self.servers) == 1:
            yield _unlisted(left[0], uri, {})

    def _nearest(self, server: str, uri: str) -> list[Listed]:
        """The most specific template of `server` that makes `uri`, or none."""
        for template in self._templates.get(server, ()):
            if uri_template.matches(template.name, uri):
                return [template]
        return []

    def _rank(self, template: Listed) -> tuple[int, int, int]:
        """The most specific one sorts first; of one text, that of whoever listed it first."""
        claims = self._claims["template", template.name]
        return (*uri_template.breadth(template.name), claims.index(template.server))

    def overtake(self, server: str, kind: str, others: Iterable[str]) -> None:
        """`server` is about to be listed for the first time, and the `others`, which come before it in the
        configuration, are being listed for the first time too: what they list counts as listed before it."""
        self._ahead[server, kind] = set(others)

    def overtook(self, server: str, kind: str) -> list[str]:
        """The servers that were listed while `server`, which comes before them, was not yet."""
        return [other for (other, one), ahead in self._ahead.items() if one == kind and server in ahead]

    def give_up(self, server: str, kind: str) -> None:
        """`server` is listed, or could not be: from now on it comes after those that were."""
        for other in self.overtook(server, kind):
            self._ahead[other, kind].remove(server)

    def read(
        self, server: str, kind: Kind, sent: list[Json], inspected: list[Json]
    ) -> tuple[list[Listed], list[str]]:
        """What `server` lists, for `replace`: its whole list as it was `sent`, and the same list `inspected`.

        Beside it stands a sentence for each entry that cannot be offered: not an object with its name or URI,
        one that is too long, has control characters or holds a secret, one that came before, one whose full
        name the client knows as another server's, a template with too many expressions, or a tool whose
        `x-mcp-header` annotations are invalid (basic/transports/streamable-http).
        """
        entries: dict[str, Listed] = {}
        refused: list[str] = []
        for raw, clean in zip(sent, inspected, strict=True):
            problem = _unusable(kind, raw, clean)
            if problem is None:
                entry = self._entry(server, kind, raw, clean)
                if entry.exposed in entries:
                    problem = f"a second {kind.name} named {entry.name!r}"
                elif self._names.spent(kind.name, entry.exposed):
                    problem = f"{entry.exposed!r}, which was a {kind.name} of another server until a restart"
                else:
                    entries[entry.exposed] = entry
                    continue
            refused.append(problem)
        return list(entries.values()), refused

    def replace(self, server: str, kind: Kind, listed: Iterable[Listed]) -> None:
        """Take `server`'s whole new list, as it was read."""
        before = self._entries.get((server, kind.name), {})
        # What is as it was keeps its identity, by which it is known what was decided about it.
        known = ((one, before.get(one.exposed)) for one in listed)
        entries = {one.exposed: was if was is not None and was == one else one for one, was in known}
        if kind.id_key == "name":
            names = [[one.name for one in some.values()] for some in (before, entries)]
            self._names.replace(kind.name, server, *names)
            for exposed in before:
                del self.named[kind.name, exposed]
            self.named |= {(kind.name, exposed): entry for exposed, entry in entries.items()}
        else:
            self._claim(server, kind.name, entries)
        if kind.name == "tool":
            self._compare(server, entries)
        self._entries[server, kind.name] = entries

    def _compare(self, server: str, entries: dict[str, Listed]) -> None:
        if server not in self._first:
            self._first[server] = {name: entry.about["annotations"] for name, entry in entries.items()}
        for name, entry in entries.items():
            entry.about[FIRST] = self._first[server].get(name, {})

    def _claim(self, server: str, kind: str, entries: dict[str, Listed]) -> None:
        before = self._entries.get((server, kind), {})
        for uri in before.keys() - entries.keys():
            self._claims[kind, uri].remove(server)
            if not self._claims[kind, uri]:
                del self._claims[kind, uri]
        behind = self.overtook(server, kind)
        for uri in entries:
            if uri not in before:
                claims = self._claims.setdefault((kind, uri), [])
                at = next((index for index, other in enumerate(claims) if other in behind), len(claims))
                claims.insert(at, server)
        if kind == "template":
            ranked = sorted(entries.values(), key=lambda entry: uri_template.breadth(entry.name))
            self._templates[server] = ranked

    def _entry(self, server: str, kind: Kind, raw: dict[str, Json], clean: dict[str, Json]) -> Listed:
        name = raw[kind.id_key]
        exposed = self._names.full(server, name) if kind.id_key == "name" else name
        return Listed(
            server=server,
            name=name,
            exposed=exposed,
            # A URI that must not be seen has an alias.
            descriptor={**clean, kind.id_key: exposed} if kind.id_key == "name" else clean,
            about=about_of(kind.name, clean if kind.id_key == "name" else {**clean, "uri": name}),
            digest=sha256(ordered(raw)).hexdigest(),
            kind=kind.name,
        )


def _choice(candidates: Iterator[Listed], visible: Visible) -> Listed | None:
    """The first that is visible. Without one the first of all: its refusal is that of a missing one, and
    leaves evidence of what was asked for."""
    hidden: Listed | None = None
    for entry in candidates:
        if visible(entry):
            return entry
        hidden = hidden or entry
    return hidden


def _unlisted(server: str, uri: str, descriptor: dict[str, Json]) -> Listed:
    about = about_of("resource", {**descriptor, "uri": uri}, listed=False)
    return Listed(server, uri, uri, {}, about, "", "resource")


def about_of(kind: str, descriptor: dict[str, Json], *, listed: bool = True) -> dict[str, Json]:
    """What conditions see of a thing of that kind: all of its inspected descriptor. What they may count on is
    there and of its type, empty where the descriptor has nothing that fits. Beside it stand, whatever the
    descriptor says of them, `firstAnnotations` of a tool, its own until the catalogue knows others, and for a
    resource whether its server listed it: what a template makes is not listed."""
    about = dict(descriptor)
    for key, empty in _ALWAYS[kind].items():
        if type(about.get(key)) is not type(empty):
            about[key] = empty
    if kind == "tool":
        about[FIRST] = about["annotations"]
    elif kind != "prompt":
        about["listed"] = listed and kind == "resource"
    return about


def _unusable(kind: Kind, raw: Json, clean: Json) -> str | None:
    if type(raw) is not dict or type(clean) is not dict or type(raw.get(kind.id_key)) is not str:
        return f"an entry that is not a {kind.name} with a {kind.id_key}"
    name = raw[kind.id_key]
    if name != clean.get(kind.id_key) and not str(clean.get("uri")).startswith(ALIAS):
        return f"a {kind.name} whose {kind.id_key} contains a secret or hidden characters"
    if not 0 < len(name) <= (MAX_NAME if kind.id_key == "name" else MAX_URI) or not name.isprintable():
        return f"a {kind.name} whose {kind.id_key} is empty, too long or not printable"
    if kind.name == "template" and uri_template.expressions(name) > uri_template.MAX_EXPRESSIONS:
        return f"a template with more than {uri_template.MAX_EXPRESSIONS} expressions"
    if kind.name == "tool":
        problem = headers.invalid_annotation(clean.get("inputSchema"))
        if problem is not None:
            return f"a tool, {name!r}, whose x-mcp-header is invalid: {problem}"
    return None
