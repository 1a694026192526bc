"""Everything that one serving process is made of, and which credentials it may have: for its servers, for
itself, and to recognise them in answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from mcpguard.adapters.credentials.broker import named_by
from mcpguard.adapters.credentials.environ import drop, take
from mcpguard.adapters.credentials.program import TOLD
from mcpguard.adapters.telemetry.diagnostics import LogFormat
from mcpguard.adapters.upstreams.process.inherited import PASSED_ON, inherited
from mcpguard.config.loading import Audit, Config, Credential, Server, Telemetry
from mcpguard.config.policies import PolicyFile
from mcpguard.config.references import ENTRY
from mcpguard.config.terms import (
    APPROVAL_TICKET_SECONDS,
    APPROVAL_WAIT_SECONDS,
    DRAIN_SECONDS,
    LIST_SECONDS,
    SESSION_IDLE_SECONDS,
    THINK_SECONDS,
    Durability,
    HttpTerms,
    NotifyTerms,
)
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.terms import Observation
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import CredentialRef
from mcpguard.gateway.scope import ApprovalTerms
from mcpguard.protocol.names import Prefix
from mcpguard.serve.evidence import exported_by, signed_by
from mcpguard.serve.file_watch import Look
from mcpguard.serve.notifying import notified_by
from mcpguard.serve.recognising import Recognition

if TYPE_CHECKING:
    from mcpguard.config.evidence import AlertsEntry


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that one serving process is made of."""

    servers: tuple[Server, ...]
    credentials: dict[str, Credential] = {}
    policies: PolicySet
    audit_folder: Path
    durability: Durability
    audit: Audit | None = None
    """What the configuration says of evidence; None for nothing."""
    telemetry: Telemetry | None = None
    """Where evidence is exported to."""
    alerts: AlertsEntry | None = None
    tracing: bool = False
    """Whether upstreams hear of a trace also where the client began none."""
    message_bytes: int
    think_seconds: float = THINK_SECONDS
    list_seconds: float = LIST_SECONDS
    drain_seconds: float = DRAIN_SECONDS
    policy_files: tuple[PolicyFile, ...] = ()
    """Where the policies came from; they are reloaded when one changes."""
    observe: Observation | None = None
    """For which servers the policies are only observed."""
    policy_look: Look = ()
    """How these looked before they were loaded."""
    session_folder: Path | None = None
    """None for the default of the user."""
    session_idle_seconds: float = SESSION_IDLE_SECONDS
    approvals: ApprovalTerms = ApprovalTerms(APPROVAL_WAIT_SECONDS, APPROVAL_TICKET_SECONDS)
    notify: tuple[NotifyTerms, ...] = ()
    """Who hears that a call waits for an approval."""
    http: HttpTerms = HttpTerms()
    agent: str | None = None
    project: str | None = None
    """The folder of the project whose servers these are, where a client has such."""
    prefix: Prefix | None = None
    """How tools are named; None where the configuration does not say who sees which servers."""
    withheld: frozenset[str] = frozenset()
    """Variables that hold credentials which are not for this process."""
    advice: str = ""
    log_format: LogFormat = "text"
    source: Config | None = None
    """What they were made of, as this client sees it; None where there is no configuration."""
    config_look: Look = ()
    """How its file looked before it was loaded."""
    reload: Callable[[], Settings] | None = None
    """Reads everything again. Raises DocumentError."""


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
    made = (entry.variables for entry in settings.credentials.values())
    plain = {*PASSED_ON, *TOLD, *inherited(os.environ)}
    ours = given.union(*made) - plain
    return ours, set(settings.withheld) - ours - plain


def named_of(settings: Settings) -> dict[str, frozenset[CredentialRef]]:
    """The references that each server may have, and those of mcpguard itself, by whom they are for."""
    servers = named_by(settings.servers, settings.credentials)
    others = notified_by(settings.notify) | signed_by(settings.audit) | exported_by(settings.telemetry)
    return servers | others


def recognition_of(settings: Settings, guard: Redactor) -> tuple[Recognition, frozenset[str]]:
    """The values of the whole configuration, and the names of those that no server needs which is served
    here: they may be missing."""
    needed = {ref for refs in named_of(settings).values() for ref in refs if ref.source != ENTRY}
    needed.update(ref for entry in settings.credentials.values() for ref in entry.sources)
    source = settings.source
    refs = needed if source is None else needed | source.plain_references | source.elsewhere
    recognition = Recognition(refs, settings.credentials, guard, settings.servers)
    return recognition, frozenset(str(ref) for ref in refs - needed)
