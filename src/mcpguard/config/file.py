"""The schema of `mcpguard.yaml`: what may be written. `config/problems.py` says what is wrong with it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from mcpguard.config.credentials import CredentialEntry

SOURCES = ("env", "file", "keyring")
"""The sources that a `${SOURCE:NAME}` reference can name."""

ENTRY = "credential"
"""What stands in their place in a reference to an entry of `credentials`."""

MESSAGE_BYTES = 16 * 1024 * 1024
"""The default of `limits.message_bytes`."""

THINK_SECONDS = 600.0
"""The default of `limits.think_seconds`."""
SESSION_IDLE_SECONDS = 3600.0
"""The default of `session.idle_seconds`."""

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Asymmetric signatures only: a shared key would let every holder make tokens."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")


Durability = Literal["flush", "fsync"]


class ServerEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `servers` as written: the keys of a client's `mcpServers`, and some of ours."""

    command: str | None = None
    """The program to start: a name that is looked for in PATH, or a path. This or `url` is needed."""
    args: tuple[str, ...] = ()
    """Its arguments, one word each; no references, since every process can read an argv."""
    env: dict[str, str] = {}
    """Variables of the program; a value may hold `${SOURCE:NAME}` references."""
    cwd: str | None = None
    """The folder to start it in; a relative one is relative to this file. Default: mcpguard's own."""
    start_timeout_seconds: float = 60.0
    """How long start and greeting may take together; above 0, at most 3600."""
    call_timeout_seconds: float = 600.0
    """How long one request may take; each progress notification starts it anew, up to six times as long.
    Above 0, at most 86400."""
    disabled: bool = False
    """`true` leaves the server out."""
    eager: bool = False
    """`true` starts the server when a client connects, not when it is first needed, and waits for it: then
    its `instructions` reach the client. If all servers are eager, what they offer is declared exactly."""
    type: str | None = None
    """`stdio`; `http` (Streamable HTTP) or `sse` (the deprecated HTTP+SSE) for a `url`. Left out, a `url`
    is tried as `http` and then as `sse`."""
    url: str | None = None
    """The MCP endpoint of a remote server, `http://` or `https://`; may hold references."""
    headers: dict[str, str] = {}
    """Headers of each request to `url`; a value may hold references."""
    extensions: dict[str, tuple[str, ...]] = {}
    """Extensions of the protocol that may be used with this server: the identifier of each, and its
    request methods. They are decided as the action `extension`; whatever is not named is refused."""


class AuditEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`audit` as written. `flush` survives a killed process, `fsync` a lost machine."""

    path: str
    """The folder; made if it is missing, mode 0700. A relative one is relative to this file."""
    durability: Durability = "flush"
    """`flush` survives a killed process, `fsync` a lost machine."""


class SessionEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`session`: what a principal with an agent did so far, for rules with `label`, `fact`, `limit` or
    `session` in their condition. It is kept across connections and processes."""

    idle_seconds: float = SESSION_IDLE_SECONDS
    """A session ends when it was not used for so long; from 60 to 2592000. Limits go on counting."""
    path: str | None = None
    """The folder; made if it is missing, mode 0700. A relative one is relative to this file. Default:
    `sessions` in the user's state folder. It must be writable by nobody whom the rules are for."""


class TokenEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`http.token`: the bearer tokens that clients must present (OAuth 2.1 resource server)."""

    issuer: str
    """The authorization server: tokens must have it as `iss`, and it is named in the metadata."""
    audience: str
    """Our own identifier, which tokens must have in `aud` (RFC 8707): the public URL of the endpoint."""
    jwks_url: str | None = None
    """Where its keys are. Default: `jwks_uri` of the issuer's metadata (RFC 8414, OpenID Discovery)."""
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    """Signature algorithms that are accepted: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512
    or EdDSA."""
    scopes: tuple[str, ...] = ()
    """Scopes that a token must have, all of them."""
    groups_claim: str = "groups"
    """The claim with the groups, a list of texts: `principal.groups` in conditions."""
    claims: tuple[str, ...] = ()
    """Claims that conditions can read: `principal.claims`. A client whose token has others of these, or other
    groups, begins anew; so name none that differ from token to token."""


class HttpEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`http`: what `mcpguard run --http HOST:PORT` needs to know."""

    allowed_hosts: tuple[str, ...] = ()
    """Values of `Host` that are served besides loopback and the address that it listens on."""
    allowed_origins: tuple[str, ...] = ()
    """Values of `Origin` that are served besides loopback; others are refused."""
    max_sessions: int = 100
    """How many clients' sessions may be open at once; each has its own upstreams. With `token`, half of them
    may be of one principal. As many principals may use revision 2026-07-28 besides. From 1 to 10000."""
    session_idle_seconds: float = 1800.0
    """A session that says nothing for so long is closed, but not while a call waits for its client's answer
    (`limits.think_seconds`). From 1 to 86400."""
    token: TokenEntry | None = None
    """Needed to listen on more than loopback."""


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """`limits`: how large a message may be, and how long a question may stay open."""

    message_bytes: int = MESSAGE_BYTES
    """The largest JSON-RPC message in bytes, either way; from 1024 to 1073741824."""
    think_seconds: float = THINK_SECONDS
    """How long a call waits for an answer of the client, who may be a person. Then it is cancelled at the
    server and recorded as `expired`. Above 0, at most 86400."""


class ConfigFile(Struct, frozen=True, forbid_unknown_fields=True):
    """`mcpguard.yaml` as written (format version 1)."""

    version: Literal[1]
    """The version of this format."""
    servers: dict[str, ServerEntry]
    """The upstreams by name; at least one."""
    credentials: dict[str, CredentialEntry] = {}
    """Credentials with a name, a source and a binding: who may use them."""
    agent: str | None = None
    """A label for what connects. It is recorded as a claim and can be read by conditions."""
    policies: tuple[str, ...] = ()
    """Policy files, relative to this file. Without one every call is refused."""
    audit: AuditEntry | None = None
    """Default: `flush`, in the `audit` folder of the user's state folder."""
    limits: Limits = Limits()
    """Bounds."""
    session: SessionEntry = SessionEntry()
    """The memory that rules can have."""
    http: HttpEntry = HttpEntry()
    """For `mcpguard run --http HOST:PORT`."""
