"""Builds an upstream from its configuration: its wire, and the credential of each lane;
and the line for the operator when its server runs, fails, and recovers.

Law of this file: the environment of a process, or the headers of a request, come only from the server and,
overriding it, from the one credential that a rule chose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from msgspec import Struct, structs

from mcpguard.adapters.credentials import MINTS
from mcpguard.adapters.credentials.broker import named_by
from mcpguard.adapters.upstreams.lane import IDLE_SECONDS, Lane
from mcpguard.adapters.upstreams.process.child import ChildProcesses
from mcpguard.adapters.upstreams.process.environment import Environment
from mcpguard.adapters.upstreams.process.own_folder import OwnFolder, default_root
from mcpguard.adapters.upstreams.server import ServerUpstream
from mcpguard.adapters.upstreams.session.connecting import Inheritance, MakeWire
from mcpguard.adapters.upstreams.session.instance import Instance
from mcpguard.adapters.upstreams.session.life import Backoff, SessionMemory, Terms
from mcpguard.adapters.upstreams.supply import CredentialSupply, not_chosen, refs_of
from mcpguard.adapters.upstreams.wires.stdio import Launch, StdioWire
from mcpguard.config.loading import Credential, Server
from mcpguard.config.references import ENTRY
from mcpguard.core.secret import CredentialRef, Template
from mcpguard.gateway.ports import Credentials, Health, Recipient
from mcpguard.serve.recognising import named_words


class Wiring(Struct, frozen=True, kw_only=True):
    """What the upstream of one server is made of. `terms` are those of its own process; `entries` are the
    credentials by name, `credentials` gives their values to `to`."""

    server: Server
    entries: Mapping[str, Credential]
    credentials: Credentials
    to: Recipient
    terms: Terms
    children: ChildProcesses
    idle_seconds: float = IDLE_SECONDS
    echo: Callable[[str, str], None] | None = None
    """Takes what the server writes on its standard error; None where `report` of its terms does."""

    def upstream(self) -> ServerUpstream:
        """Nothing of it is started."""
        remote = self.server.url is not None
        make = self._remote if remote else self._lane
        supply = self._supply_there if remote else self._supply
        return ServerUpstream(self.server.name, make, supply, self.terms.turn, remote, self.server.max_lanes)

    @property
    def _supply(self) -> CredentialSupply:
        return CredentialSupply(self.credentials, self.to, self.terms.start_seconds)

    @property
    def _supply_there(self) -> CredentialSupply:
        """What stands in arguments is bound to hosts as what stands in headers is."""
        from mcpguard.adapters.upstreams.wires.address import UpstreamAddress, authority

        assert self.server.url is not None  # noqa: S101
        address = UpstreamAddress(authority(self.server.url), {}, self.credentials, self.to)
        return CredentialSupply(self.credentials, self.to, self.terms.start_seconds, address.host)

    @property
    def _choices(self) -> dict[str, Credential]:
        """The credentials that a rule may choose for it."""
        return {name: one for name, one in self.entries.items() if self.server.name in one.servers}

    # --- a program -------------------------------------------------------------------------------

    def _lane(self, credential: str, first: Lane | None) -> Lane:
        if first is None:
            return self._processes(self.server.env, structs.replace(self.terms, lane=""))
        entry = self._choices.get(credential)
        if entry is None or not entry.env:
            raise not_chosen(credential, self.server.name, "env")
        report = self.terms.report
        terms = structs.replace(
            self.terms, lane=credential, report=lambda name, line: report(f"{name} ({credential})", line)
        )
        past = _beside(first.instance.past)
        return self._processes({**self.server.env, **entry.env}, terms, past, self.idle_seconds)

    def _processes(
        self,
        env: Mapping[str, Template],
        terms: Terms,
        past: Inheritance | None = None,
        idle_seconds: float | None = None,
    ) -> Lane:
        def make(past: Inheritance | None, changed: Callable[[], None]) -> Instance:
            environment = Environment(env, self._supply)
            told = structs.replace(terms, changed=_both(terms.changed, changed))
            return Instance(told, [self._process(environment, told)], past, environment)

        asks_again = idle_seconds is None and self._may_stay(env)
        return Lane(make, terms.turn, past, idle_seconds, self._supply, asks_again=asks_again)

    def _may_stay(self, env: Mapping[str, Template]) -> bool:
        """Whether what ends in `env` may come again with the same value: its sources issue nothing."""
        entries = [self.entries.get(ref.name) for ref in refs_of(env.values()) if ref.source == ENTRY]
        return all(entry is not None and not MINTS[entry.kind].issues for entry in entries)

    def _process(self, environment: Environment, terms: Terms) -> MakeWire:
        server = self.server
        launch = Launch(
            command=server.command,
            args=server.args,
            cwd=self._folder(),
            environment=environment,
            message_bytes=terms.message_bytes,
        )

        def report(line: str) -> None:
            if self.echo is None:
                terms.report(server.name, line)
            else:
                self.echo(f"{server.name} ({terms.lane})" if terms.lane else server.name, line)

        return lambda listener: StdioWire(listener, launch, terms.turn, self.children, report, terms.clean)

    def _folder(self) -> str | OwnFolder:
        server = self.server
        if server.cwd is not None:
            return str(server.cwd)
        return "." if server.in_client_folder else OwnFolder(default_root(), server.name)

    # --- a server with a `url` -------------------------------------------------------------------

    def _remote(self, _credential: str, _first: Lane | None) -> Lane:
        def make(past: Inheritance | None, _changed: Callable[[], None]) -> Instance:
            return Instance(self.terms, self._http(), past)

        return Lane(make, self.terms.turn, supply=self._supply, sent_with=self._sent_with())

    def _sent_with(self) -> dict[str, tuple[CredentialRef, ...]]:
        """The references in the URL and headers of a request, by the credential that was chosen for it."""
        from mcpguard.adapters.upstreams.wires.address import laid_over

        own, url = self.server.headers, self.server.url
        headers = {name: laid_over(own, one.headers) for name, one in self._choices.items()}
        urls = () if url is None else (url,)
        return {name: refs_of((*urls, *one.values())) for name, one in {"": own, **headers}.items()}

    def _http(self) -> list[MakeWire]:
        # Imported where it is needed: a process that serves programs only has no use for an HTTP client.
        from mcpguard.adapters.upstreams.wires.address import UpstreamAddress
        from mcpguard.adapters.upstreams.wires.http import StreamableHttpWire
        from mcpguard.adapters.upstreams.wires.sse import SseWire

        server, terms = self.server, self.terms
        assert server.url is not None  # noqa: S101
        chosen = {name: entry.headers for name, entry in self._choices.items() if entry.headers}
        address = UpstreamAddress(server.url, server.headers, self.credentials, self.to, chosen)
        limit, turn = terms.message_bytes, terms.turn
        wires: dict[str, MakeWire] = {
            "http": lambda listener: StreamableHttpWire(server.name, address, limit, turn, listener),
            "sse": lambda listener: SseWire(server.name, address, limit, turn, listener),
        }
        return list(wires.values()) if server.type is None else [wires[server.type]]


def references_of(
    servers: Iterable[Server], entries: Mapping[str, Credential]
) -> dict[tuple[str, str], tuple[str, ...]]:
    """The names of the references that a request to a server may use, by server and by the credential that a
    rule chose for it, "" for none."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for server in servers:
        found[server.name, ""] = tuple(str(ref) for ref in server.credentials)
        for name, entry in entries.items():
            if server.name in entry.servers:
                env, headers = {**server.env, **entry.env}, {**server.headers, **entry.headers}
                chosen = structs.replace(server, env=env, headers=headers)
                found[server.name, name] = tuple(str(ref) for ref in chosen.credentials)
    return found


def kinds_of(entries: Mapping[str, Credential]) -> dict[str, str]:
    """The kind of each entry, by its reference."""
    return {str(CredentialRef(ENTRY, name)): entry.kind for name, entry in entries.items()}


def bound_of(servers: Iterable[Server], entries: Mapping[str, Credential]) -> dict[str, frozenset[str]]:
    """The names under which values are held that each server may have: those of its own references and
    arguments, and for an entry that is for it the entry's, those beside it and those that stand in its value.
    What an entry only asks its source with is for that source."""
    servers = tuple(servers)
    named = named_by(servers, entries)
    own = {server.name: named_words(server) for server in servers}
    found = {server: {*map(str, refs), *own[server]} for server, refs in named.items()}
    for name, entry in entries.items():
        parts = entry.sources if entry.kind == "value" else ()
        for server in entry.servers & found.keys():
            found[server] |= {str(CredentialRef(ENTRY, name)), *map(str, parts)}
    return {server: frozenset(names) for server, names in found.items()}


def _beside(first: Inheritance) -> Inheritance:
    """That of a lane beside the first one: the same server, and the same requests that all are told."""
    memory = SessionMemory(first.memory.prepared, {})
    return Inheritance(identity=first.identity, memory=memory, backoff=Backoff())


def _both(one: Callable[[], None], two: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        one()
        two()

    return call


_OVER = ("idle", "closed")
_ENDED = ("waiting", "failed")
_TROUBLE = ("failing", *_ENDED)


def _failing(server: str, problem: str) -> str:
    """It names the server once, whether or not `problem` does."""
    rest = problem.removeprefix(f"upstream '{server}' ")
    return f"server {server} {rest}" if rest != problem else f"server {server} is failing: {problem}"


class UpstreamLines:
    """Those of one client. `report(server, line, level)` takes them; `healths(server)` gives how a server is
    now, one for each of its processes; `changed` is called first, at each change."""

    def __init__(
        self, report: Callable[..., None], healths: Callable[[str], list[Health]], changed: Callable[[], None]
    ) -> None:
        self._report = report
        self._healths = healths
        self._changed = changed
        self._troubled: dict[str, bool] = {}
        self._ran: set[str] = set()
        self._running: set[str] = set()

    def of(self, server: str) -> Callable[[], None]:
        """What hears that this server has another state."""
        return partial(self._look, server)

    def _look(self, server: str) -> None:
        self._changed()
        healths = self._healths(server)
        problems = [one.problem or "it has failed" for one in healths if one.state in _TROUBLE]
        ended, known = any(one.state in _ENDED for one in healths), self._troubled.get(server)
        if problems and (known is None or (ended and not known)):
            self._troubled[server] = ended
            if server in self._ran:  # Whoever asked for a first start reports why it fails.
                self._report(server, _failing(server, problems[0]), "warning")
        elif not problems and any(one.state == "running" for one in healths):
            if server in self._troubled:
                self._report(server, f"server {server} is running again", "info")
            elif server not in self._running:
                self._report(server, f"server {server} is running", "info")
            self._ran.add(server)
            self._running.add(server)
            self._troubled.pop(server, None)
        elif not problems and all(one.state in _OVER for one in healths):
            self._running.discard(server)
