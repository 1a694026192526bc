"""What a configuration says about serving, as plain values: defaults, choices, limits, HTTP and approvals.

Law of this file: it does not import pydantic, which a process that is handed its configuration does not need.
"""

from typing import Literal, get_args

from msgspec import Struct

MESSAGE_BYTES = 16 * 1024 * 1024
"""The default of `limits.message_bytes`."""

THINK_SECONDS = 600.0
"""The default of `limits.think_seconds`."""
DRAIN_SECONDS = 5.0
"""The default of `limits.drain_seconds`: a container gets ten to end, and servers need some of them."""
OWN_POLICY = "my-approvals.yaml"
"""Where what a person allows for good is written, beside a configuration that `mcpguard import` makes."""
LIST_SECONDS = 10
"""The default of `limits.list_seconds`: servers that `npx` or `uvx` starts often take five."""
SESSION_IDLE_SECONDS = 3600.0
"""The default of `session.idle_seconds`."""
APPROVAL_WAIT_SECONDS = 30.0
"""The default of `approvals.wait_seconds`."""
APPROVAL_TICKET_SECONDS = 900.0
"""The default of `approvals.ticket_seconds`."""
DESKTOP = "desktop"
"""As an entry of `approvals.notify`, the desktop of the user that mcpguard runs as."""

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]

ALGORITHMS: frozenset[str] = frozenset(get_args(Algorithm))
"""Asymmetric signatures only: a shared key would let every holder make tokens."""
MAX_LANES = 8
"""The default of `servers.NAME.max_lanes`."""

Durability = Literal["flush", "fsync", "group"]
"""What a record survives: "flush" the end of the process, kill -9 included; "fsync" a power failure, too, and
so does "group", which gathers records for a moment so that more of them share one sync."""
ArgumentsOnRecord = Literal["redacted", "digest"]
SinkFormat = Literal["jsonl", "csv", "cef", "ocsf", "otlp"]
"""`adapters/telemetry/exporting.py` writes them."""
SINK_SCHEMES = ("http", "https", "syslog+udp", "syslog+tcp", "syslog+unix")
"""Of the URLs that evidence can be exported to; anything without a scheme is the name of a file."""


FREE_BYTES = 500_000_000
"""The default of `audit.free_bytes`: where less is free, the operator is warned."""


class UpkeepTerms(Struct, frozen=True):
    """When evidence is checkpointed, goes on in a new chain, is compressed and removed; 0 for never."""

    checkpoint_seconds: float = 60.0
    rotate_bytes: int = 0
    rotate_seconds: float = 0.0
    compress: bool = False
    keep_days: float = 0.0
    keep_bytes: int = 0
    free_bytes: int = FREE_BYTES


class ServingLimits(Struct, frozen=True):
    """How large a message may be, in bytes, and how many seconds a question, a list and a stop may take."""

    message_bytes: int = MESSAGE_BYTES
    think_seconds: float = THINK_SECONDS
    list_seconds: float = LIST_SECONDS
    drain_seconds: float = DRAIN_SECONDS


class TokenTerms(Struct, frozen=True):
    """The bearer tokens that clients must present; see TokenEntry."""

    issuer: str
    audiences: tuple[str, ...]
    public_url: str
    jwks_url: str | None = None
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256")
    scopes: tuple[str, ...] = ()
    groups_claim: str = "groups"
    claims: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


class PerPrincipal(Struct, frozen=True):
    """How much one principal may have open over HTTP, None for a share; see PerPrincipalEntry."""

    connections: int | None = None
    streams: int | None = None
    sessions: int | None = None
    requests: int = 256


class HttpTerms(Struct, frozen=True):
    """How clients are served over HTTP; see HttpEntry."""

    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    max_sessions: int = 100
    session_idle_seconds: float = 1800.0
    token: TokenTerms | None = None
    per_principal: PerPrincipal = PerPrincipal()


class PasskeyTerms(Struct, frozen=True):
    """The passkey of a person who may approve; see PasskeyEntry."""

    person: str
    groups: tuple[str, ...]
    id: str
    key: str


class NotifyTerms(Struct, frozen=True):
    """Who is notified that a call waits; see NotifyEntry."""

    to: str
    arguments: Literal["none", "shown"]


class ApprovalSettings(Struct, frozen=True):
    """How long a call waits for a person, a ticket for an answer; whose passkeys count; who is notified."""

    wait_seconds: float = APPROVAL_WAIT_SECONDS
    ticket_seconds: float = APPROVAL_TICKET_SECONDS
    passkeys: tuple[PasskeyTerms, ...] = ()
    targets: tuple[NotifyTerms, ...] = ()
