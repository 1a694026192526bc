"""Everything that one serving process is made of, and which credentials it may have: for its servers, for
itself, and to recognise them in answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec import Struct, json, structs

from mcpguard.adapters.credentials.broker import named_by
from mcpguard.adapters.credentials.environ import drop, take
from mcpguard.adapters.credentials.program import TOLD
from mcpguard.adapters.telemetry.diagnostics import LogFormat
from mcpguard.adapters.upstreams.process.inherited import PASSED_ON, inherited
from mcpguard.config.loading import Config, Credential, Server
from mcpguard.config.references import ENTRY
from mcpguard.config.terms import APPROVAL_TICKET_SECONDS, APPROVAL_WAIT_SECONDS, ServingLimits
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.session import ServerPlaces
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import CredentialRef
from mcpguard.gateway.scope import ApprovalTerms
from mcpguard.protocol.catalogue import DIGESTS
from mcpguard.serve.evidence import exported_by, signed_by
from mcpguard.serve.file_watch import Look
from mcpguard.serve.notifying import notified_by
from mcpguard.serve.recognising import RecognisableValues

FOR_STATE = "session.postgres"
"""Whom the URL of the database of sessions is for."""


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that one serving process is made of. `config` is as its client sees it."""

    config: Config
    policies: PolicySet
    policy_look: Look = ()
    """How the files of the policies looked before they were loaded; they are reloaded when one changes."""
    approvals: ApprovalTerms = ApprovalTerms(APPROVAL_WAIT_SECONDS, APPROVAL_TICKET_SECONDS)
    advice: str = ""
    log_format: LogFormat = "text"
    config_look: Look = ()
    """How the file of the configuration looked before it was loaded."""
    reload: Callable[[], Settings] | None = None
    """Reads everything again; None where there is no file. Raises DocumentError."""

    @property
    def servers(self) -> tuple[Server, ...]:
        return tuple(self.config.served.values())

    @property
    def limits(self) -> ServingLimits:
        return self.config.limits

    @property
    def tracing(self) -> bool:
        """Whether upstreams get a trace also where the client began none."""
        return any(sink.format == "otlp" for sink in self.config.telemetry.sinks)


def claim_variables(settings: Settings) -> None:
    """Take out of our environment what holds credentials, so that the system does not show it: what is for
    these servers can still be resolved, what is for others no more."""
    ours, others = variables_of(settings)
    take(ours)
    drop(others)


def variables_of(settings: Settings) -> tuple[set[str], set[str]]:
    """The variables that hold credentials and that no program needs to run: those for the servers of this
    process, and those for others."""
    given = {ref.name for refs in named_of(settings).values() for ref in refs if ref.source == "env"}
    made = (entry.variables for entry in settings.config.credentials.values())
    plain = {*PASSED_ON, *TOLD, *inherited(os.environ)}
    ours = given.union(*made) - plain
    return ours, set(settings.config.withheld) - ours - plain


def named_of(settings: Settings) -> dict[str, frozenset[CredentialRef]]:
    """The references that each server may have, and those of mcpguard itself, by whom they are for."""
    config = settings.config
    servers = named_by(settings.servers, config.credentials)
    exports = exported_by(config.telemetry, config.alerts)
    state = config.session_postgres
    shared = {} if state is None else {FOR_STATE: frozenset((state,))}
    return servers | exports | shared | notified_by(config.approvals.targets) | signed_by(config.audit)


def recognition_of(settings: Settings, guard: Redactor) -> tuple[RecognisableValues, frozenset[str]]:
    """The values of the whole configuration, and the names of those that may be missing: no server needs
    them which is served here, or who signs with it reports it."""
    needed = {ref for refs in named_of(settings).values() for ref in refs if ref.source != ENTRY}
    config = settings.config
    needed.update(ref for entry in config.credentials.values() for ref in entry.sources)
    refs = needed | config.plain_references | config.elsewhere
    recognition = RecognisableValues(refs, config.credentials, guard, settings.servers)
    return recognition, frozenset(str(ref) for ref in refs - (needed - {config.audit.key}))


ServerParts = tuple[Server, dict[str, Credential]]


def parts_of(config: Config) -> dict[str, ServerParts]:
    """What the upstream of each server is made of: the server, and the credentials that it may use. A server
    that is made of something else is another one."""
    return {
        name: (
            server,
            {
                key: structs.replace(entry, servers=frozenset())
                for key, entry in config.credentials.items()
                if name in entry.servers
            },
        )
        for name, server in config.served.items()
    }


WRAPPED = "wrap "
"""Begins the place of a server that `mcpguard wrap` starts, which stands in no configuration."""


def pinned_as(server: Server, wrapped: bool = False) -> str:
    """What tells it from another server of its name, for pins: how it is started or reached."""
    written = DIGESTS, server.command, server.args, server.url and server.url.texts
    return f"{WRAPPED if wrapped else ''}{sha256(repr(written).encode()).hexdigest()[:16]}"


def places_of(config: Config) -> ServerPlaces:
    """Which server each name stands for: by what is written, and not by what references give."""
    return ServerPlaces(
        str(config.path), {name: _place_of(*parts) for name, parts in parts_of(config).items()}
    )


def _place_of(server: Server, credentials: dict[str, Credential]) -> str:
    written = json.encode((server, credentials), enc_hook=_written, order="deterministic")
    place = sha256(written).hexdigest()
    return f"{place} {_client_folder()}" if server.in_client_folder else place


def _client_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # It was removed: nobody can say which one it was.
        return os.urandom(8).hex()


def _written(value: Any) -> Any:
    """An entry of the file, or the path of a folder, as JSON has it."""
    return str(value) if isinstance(value, Path) else value.model_dump(mode="json")
