"""`mcpguard.yaml`: where the file is found, and what it becomes. `config/file.py` is its schema.

Law of this file: a configuration is wholly right or refused with every mistake at its place, and no
message shows a line of `env`, `headers`, `notify` or `credentials`, which may hold a literal credential.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from msgspec import Struct, convert, structs

from mcpguard.config import terms
from mcpguard.config.policies import PolicyFile, policy_files, read_document, with_own
from mcpguard.config.references import ENTRY, references, template_of, texts_in
from mcpguard.config.urls import host_name, literal_host
from mcpguard.config.user_state import home_needed, missing, state_folder
from mcpguard.core.errors import ConfigError, McpGuardError, Problem
from mcpguard.core.evidence.bounds import BoundTerms
from mcpguard.core.policy.pins import Hold
from mcpguard.core.policy.terms import Observation
from mcpguard.core.secret import CredentialRef, Template, sole_reference
from mcpguard.protocol.names import Prefix

if TYPE_CHECKING:
    from mcpguard.config.evidence import AlertsEntry, AuditEntry, HeadsEntry, TelemetryEntry
    from mcpguard.config.file import ConfigFile
    from mcpguard.config.servers import ServerEntry, ViewEntry
    from mcpguard.core.document.reading import Document

DAY = 86_400.0

CLIENT_FOLDER = "client"
"""As a `cwd`, the folder that the client started mcpguard in."""

_SECRET_KEYS = frozenset(
    {"credentials", "env", "headers", "key", "notify", "postgres", "token", "url", "webhook"}
)


class Server(Struct, frozen=True, kw_only=True):
    """An upstream to start (`command`) or to connect to (`url`). `cwd` is absolute, or None: then it starts
    in the folder that mcpguard runs in where it is `in_client_folder`, else in an empty one of its own.
    `type` is None where it must be found out."""

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, Template] = {}
    cwd: Path | None = None
    in_client_folder: bool = False
    start_timeout_seconds: float = 60.0
    call_timeout_seconds: float = 600.0
    disabled: bool = False
    eager: bool = False
    stateful: bool = False
    max_lanes: int = terms.MAX_LANES
    type: str | None = None
    url: Template | None = None
    headers: dict[str, Template] = {}
    extensions: dict[str, tuple[str, ...]] = {}
    pins: Hold = "changed"

    @property
    def credentials(self) -> tuple[CredentialRef, ...]:
        """The references that may be resolved for this server, each once, in order."""
        templates = [*self.env.values(), *self.headers.values()]
        if self.url is not None:
            templates.append(self.url)
        return tuple(sorted({ref for template in templates for ref in template.refs}))


class Credential(Struct, frozen=True, kw_only=True):
    """An entry of `credentials`. `made` is what `kind` needs to make a value, as written. It may be used by
    the servers and sent to the hosts that are named here and to no others; no `principals` means everybody's
    calls. `cache_seconds` is None for the default of its kind. `env` and `headers` are where it stands when
    a rule chooses it."""

    name: str
    kind: str
    made: Any
    servers: frozenset[str]
    hosts: frozenset[str] = frozenset()
    principals: tuple[str, ...] = ()
    cache_seconds: float | None = None
    env: dict[str, Template] = {}
    headers: dict[str, Template] = {}

    @property
    def sources(self) -> frozenset[CredentialRef]:
        return frozenset(ref for _at, text in texts_in((), self.made) for ref in references(text))

    @property
    def variables(self) -> frozenset[str]:
        """The variables of mcpguard's environment that it is made of."""
        from mcpguard.config.credentials import CommandEntry

        passed = self.made.env if isinstance(self.made, CommandEntry) else ()
        return frozenset({*passed, *(ref.name for ref in self.sources if ref.source == "env")})

    @property
    def surrounding(self) -> frozenset[CredentialRef]:
        """The references that stand in its `env` and `headers`."""
        return frozenset(ref for one in (*self.env.values(), *self.headers.values()) for ref in one.refs)


class Audit(Struct, frozen=True):
    """Where evidence goes, and how it is kept. `path` is absolute, None for the default of the user."""

    path: Path | None = None
    durability: terms.Durability = "flush"
    arguments: terms.ArgumentsOnRecord = "redacted"
    key: CredentialRef | None = None
    heads: HeadsEntry | None = None
    """Its file, if it has one, is absolute."""
    upkeep: terms.UpkeepTerms = terms.UpkeepTerms()
    bounds: BoundTerms = BoundTerms()


class SinkTerms(Struct, frozen=True):
    """Where evidence is exported to: a URL, or the absolute path of a file."""

    to: str
    format: str
    headers: dict[str, Template] = {}


class Telemetry(Struct, frozen=True):
    """What is exported. `blocks` says that nothing is served while a sink takes nothing, `metrics` that
    Prometheus is served."""

    sinks: tuple[SinkTerms, ...] = ()
    blocks: bool = False
    metrics: bool = False


class Config(Struct, frozen=True):
    """A configuration that is in force; all paths are absolute. `servers` has at least one entry.

    `agent` is the author's label for what connects. Without `policies` every call is refused.
    """

    path: Path
    servers: dict[str, Server]
    credentials: dict[str, Credential] = {}
    agent: str | None = None
    policies: tuple[PolicyFile, ...] = ()
    audit: Audit = Audit()
    limits: terms.ServingLimits = terms.ServingLimits()
    http: terms.HttpTerms = terms.HttpTerms()
    session_folder: Path | None = None
    session_postgres: CredentialRef | None = None
    session_idle_seconds: float = terms.SESSION_IDLE_SECONDS
    approvals: terms.ApprovalSettings = terms.ApprovalSettings()
    telemetry: Telemetry = Telemetry()
    alerts: AlertsEntry | None = None
    observe: Observation | None = None
    own_policy: Path | None = None
    """Where what a person approves for good is written; it is one of `policies`, and may be missing."""
    clients: dict[str, ViewEntry] = {}
    """Who sees which servers; whoever is not named sees none. Empty: everybody sees all of them."""
    project: str | None = None
    """The folder of the project, if a client's view is that of a project."""
    prefix: Prefix | None = None
    """In the view of a client, how tools are named; None where `clients` is empty."""
    withheld: frozenset[str] = frozenset()
    """In the view of a client, the variables that hold credentials which are not for it."""
    elsewhere: frozenset[CredentialRef] = frozenset()
    """In the view of a client, the references to a source that are not for it: it must not see their
    values."""

    @property
    def served(self) -> dict[str, Server]:
        """The servers that are not disabled."""
        return {name: server for name, server in self.servers.items() if not server.disabled}

    @property
    def policy_paths(self) -> tuple[Path, ...]:
        return tuple(file.path for file in self.policies)

    @property
    def own_references(self) -> list[tuple[tuple[str | int, ...], CredentialRef]]:
        """The references of mcpguard itself, none of them for a server, each with its place in the file."""
        found: list[tuple[tuple[str | int, ...], CredentialRef]] = []
        if self.audit.key is not None:
            found.append((("audit", "key"), self.audit.key))
        if self.session_postgres is not None:
            found.append((("session", "postgres"), self.session_postgres))
        for index, sink in enumerate(self.telemetry.sinks):
            for name, template in sink.headers.items():
                at = ("telemetry", "sinks", index, "headers", name)
                found.extend((at, ref) for ref in template.refs)
        if self.alerts is not None and self.alerts.webhook_reference is not None:
            found.append((("alerts", "webhook"), self.alerts.webhook_reference))
        for index, target in enumerate(self.approvals.targets):
            if target.to != terms.DESKTOP:
                found.append((("approvals", "notify", index), sole_reference(target.to)))
        return found

    @property
    def plain_references(self) -> frozenset[CredentialRef]:
        """All references to a source, also those that entries are made of and those of disabled servers."""
        found = {ref for server in self.servers.values() for ref in server.credentials}
        for entry in self.credentials.values():
            found |= entry.sources | entry.surrounding
        found.update(ref for _place, ref in self.own_references)
        return frozenset(ref for ref in found if ref.source != ENTRY)

    @property
    def variables(self) -> frozenset[str]:
        """The variables of mcpguard's environment that hold credentials of servers."""
        found = {ref for server in self.servers.values() for ref in server.credentials}
        found.update(ref for entry in self.credentials.values() for ref in entry.surrounding)
        made = (entry.variables for entry in self.credentials.values())
        return frozenset(ref.name for ref in found if ref.source == "env").union(*made)

    def view(self, agent: str | None, project: str | None = None) -> Config:
        """The configuration as the client `agent` sees it in the folder `project`: with its servers, the
        credentials that these may use, and no others. `agent` is that of the file where it is None.

        Raises ConfigError where `clients` does not name such a client or project, and where none of its
        servers is enabled.
        """
        agent = self.agent if agent is None else agent
        if project is not None:
            from mcpguard.config.servers import project_folder

            project = project_folder(project)
        try:
            seen = self._viewed_servers(agent, project)
        except LookupError as problem:
            raise ConfigError([Problem(str(self.path), 0, 0, problem.args[0])]) from None
        servers = {name: self.servers[name] for name in seen}
        credentials = {
            name: structs.replace(entry, servers=entry.servers & servers.keys())
            for name, entry in self.credentials.items()
            if entry.servers & servers.keys()
        }
        found = structs.replace(
            self,
            agent=agent,
            servers=servers,
            credentials=credentials,
            project=project,
            prefix=self.clients[agent].prefix if agent in self.clients else None,
        )
        return structs.replace(
            found,
            withheld=self.variables - found.variables,
            elsewhere=self.plain_references - found.plain_references,
        )

    def _viewed_servers(self, agent: str | None, project: str | None) -> tuple[str, ...]:
        """The names of the servers in a view, in the order of the file. Raises LookupError."""
        if not self.clients:
            if project is not None:
                raise LookupError("there are no `clients`, so there are no projects: leave out `--project`")
            return tuple(self.servers)
        from mcpguard.config.servers import seen_by

        seen = seen_by(self.clients, agent, project)
        if all(self.servers[name].disabled for name in seen):
            named = " or ".join(seen)
            raise LookupError(f"every server of the client `{agent}` is disabled: enable {named}")
        return tuple(name for name in self.servers if name in seen)


def find_config(option: str | None, environ: Mapping[str, str]) -> Path:
    """Where the configuration is: `--config`, else $MCPGUARD_CONFIG, else `mcpguard.yaml` in the user's
    config folder. Never the working directory by itself: an agent may write there. The file need not
    exist. Raises McpGuardError where the user has no folder for it."""
    named = option or environ.get("MCPGUARD_CONFIG")
    if named:
        return Path(named)
    # Imported where it is needed: most clients name the file, and a start is counted in ms.
    from platformdirs import user_config_path

    with home_needed():
        return user_config_path("mcpguard", appauthor=False) / "mcpguard.yaml"


def config_option(path: Path, environ: Mapping[str, str]) -> str:
    """` --config FILE` where a command in `environ` would not find the configuration at `path` without it,
    else ""."""
    from shlex import quote

    with suppress(McpGuardError):
        if path == find_config(None, environ).absolute():
            return ""
    return f" --config {quote(str(path))}"


def evidence_folder(config: Config | None) -> Path:
    """Where the evidence of a configuration is, of None that of whoever serves without one: `audit` in the
    user's state folder if the configuration does not say."""
    return (None if config is None else config.audit.path) or state_folder("audit")


def load_config(path: Path) -> Config:
    """The configuration in the file at `path`. Raises ConfigError with all mistakes."""
    # Imported where it is needed: a process that is given its configuration reads none.
    from mcpguard.config.file import ConfigFile
    from mcpguard.core.document.reading import Document

    try:
        text = read_document(path, ConfigError)
    except ConfigError:
        if said := missing(path):
            raise ConfigError([Problem(str(path), 0, 0, said)]) from None
        raise
    document = Document(text, str(path), ConfigError, _SECRET_KEYS)
    written = document.read(ConfigFile)
    audit = written.audit
    full = path.absolute()
    shared = written.session.postgres
    folder = full.parent
    own = None if written.approvals.policy is None else _absolute(folder, written.approvals.policy)
    config = Config(
        path=full,
        servers={name: _server(name, entry, folder) for name, entry in written.servers.items()},
        credentials={name: _credential(name, written) for name in written.credentials},
        agent=written.agent,
        policies=with_own(policy_files(full, written.policies), own),
        own_policy=own,
        audit=Audit() if audit is None else _audit(audit, folder),
        limits=convert(written.limits, terms.ServingLimits, from_attributes=True),
        http=convert(written.http, terms.HttpTerms, from_attributes=True),
        session_folder=None if written.session.path is None else _absolute(folder, written.session.path),
        session_postgres=None if shared is None else sole_reference(shared),
        session_idle_seconds=written.session.idle_seconds,
        approvals=convert(written.approvals, terms.ApprovalSettings, from_attributes=True),
        clients=written.clients,
        alerts=written.alerts,
        telemetry=Telemetry() if written.telemetry is None else _telemetry(written.telemetry, folder),
        observe=None if written.observe is None else written.observe.observation,
    )
    _refuse_planted(config, document)
    return config


_PLANTED = "it would be mistaken for a chain in the audit folder: name a file in another folder"


def _refuse_planted(config: Config, document: Document) -> None:
    """Raise ConfigError where a file is named that would look like evidence, and would be exported again."""
    files: dict[tuple[str | int, ...], str] = {
        ("telemetry", "sinks", index, "to"): one.to
        for index, one in enumerate(config.telemetry.sinks)
        if "://" not in one.to
    }
    if config.audit.heads is not None and config.audit.heads.file is not None:
        files["audit", "heads", "file"] = config.audit.heads.file
    if not files:
        return
    from mcpguard.config.evidence import taken_for_chain

    folder = evidence_folder(config)
    if planted := [place for place, file in files.items() if taken_for_chain(folder, file)]:
        raise ConfigError([document.problem(place, _PLANTED) for place in planted])


def _telemetry(entry: TelemetryEntry, folder: Path) -> Telemetry:
    sinks = (
        SinkTerms(
            one.to if "://" in one.to else str(_absolute(folder, one.to)),
            one.format,
            {key: template_of(value, os.environ) for key, value in one.headers.items()},
        )
        for one in entry.sinks
    )
    return Telemetry(tuple(sinks), entry.on_sink_failure == "block", entry.metrics)


def _audit(entry: AuditEntry, folder: Path) -> Audit:
    heads, rotate = entry.heads, entry.rotate
    if heads is not None and heads.file is not None:
        heads = heads.model_copy(update={"file": str(_absolute(folder, heads.file))})
    days, most = entry.keep_days or 0.0, entry.keep_bytes or 0
    size, age = (most // 10, DAY if days else 0.0) if rotate is None else (rotate.bytes, rotate.seconds)
    return Audit(
        None if entry.path is None else _absolute(folder, entry.path),
        entry.durability,
        entry.arguments,
        key=None if entry.key is None else sole_reference(entry.key),
        heads=heads,
        upkeep=terms.UpkeepTerms(
            entry.checkpoint_seconds, size or 0, age or 0.0, entry.compress, days, most, entry.free_bytes
        ),
        bounds=BoundTerms(entry.bounds.refusals_per_minute, entry.bounds.arguments_bytes_per_minute),
    )


def _absolute(folder: Path, written: str) -> Path:
    return folder / os.path.expanduser(written)


def _credential(name: str, written: ConfigFile) -> Credential:
    from mcpguard.config.credentials import kind_of
    from mcpguard.config.minted import OAuthEntry, with_url

    entry = written.credentials[name]
    kind = kind_of(entry)
    urls = tuple(url for server in entry.servers if (url := written.servers[server].url) is not None)
    made = getattr(entry, kind)
    return Credential(
        name=name,
        kind=kind,
        made=with_url(made, urls) if isinstance(made, OAuthEntry) else made,
        servers=frozenset(entry.servers),
        hosts=frozenset(
            filter(None, map(host_name, entry.hosts) if entry.hosts else map(literal_host, urls))
        ),
        principals=entry.principals,
        cache_seconds=entry.cache_seconds,
        env={key: template_of(value, os.environ) for key, value in entry.env.items()},
        headers={key: template_of(value, os.environ) for key, value in entry.headers.items()},
    )


def _server(name: str, entry: ServerEntry, folder: Path) -> Server:
    return Server(
        name=name,
        command=entry.command or "",
        args=entry.args,
        env={key: template_of(value, os.environ) for key, value in entry.env.items()},
        cwd=None if entry.cwd is None or entry.cwd == CLIENT_FOLDER else _absolute(folder, entry.cwd),
        in_client_folder=entry.cwd == CLIENT_FOLDER,
        start_timeout_seconds=entry.start_timeout_seconds,
        call_timeout_seconds=entry.call_timeout_seconds,
        disabled=entry.disabled,
        eager=entry.eager,
        stateful=entry.stateful,
        max_lanes=entry.max_lanes,
        type=entry.type,
        url=None if entry.url is None else template_of(entry.url, os.environ, quote),
        headers={key: template_of(value, os.environ) for key, value in entry.headers.items()},
        extensions=entry.extensions,
        pins=entry.pins,
    )
