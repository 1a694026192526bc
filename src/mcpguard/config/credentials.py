"""The schema of `credentials`: what may be written. `config/bindings.py` says what is wrong with it.

To add a kind: a field of `CredentialEntry` with the name of the kind, its name in `KINDS`, a line in `CHECKS`
of `config/bindings.py` and one in `MINTS` of `adapters/credentials`.
"""

from __future__ import annotations

from msgspec import Struct

from mcpguard.config.minted import MINTED, GithubAppEntry, PostgresEntry, VaultEntry
from mcpguard.config.oauth import OAUTH, ClientCredentialsEntry, OAuthEntry, TokenExchangeEntry

MOST_CACHE_SECONDS = 3600.0
"""The most that `credentials.NAME.cache_seconds` may be."""


class JsonEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`credentials.NAME.command.json`: where the value stands in what the program prints."""

    value: str
    """The key of the value; `.` leads into an inner object: `credential.access_token`."""
    expires: str | None = None
    """The key of when it ends: a number is seconds from now, above 1000000000 seconds since 1970; a text is a
    time with its zone (ISO 8601)."""


class CommandEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`credentials.NAME.command`: a program that prints the value. No shell: give its words one by one. A
    list is short for `{argv: …}`."""

    argv: tuple[str, ...]
    """The program, looked for in PATH, and its arguments; no references, since every process can read
    them."""
    timeout_seconds: float = 30.0
    """How long it may take; then it is killed with all of its process group. Above 0, at most 600."""
    ttl_seconds: float | None = None
    """How long the value may be used where its output does not say; above 0, at most 86400."""
    env: tuple[str, ...] = ()
    """Variables of mcpguard's own environment that it gets besides the few that every program needs."""
    json: JsonEntry | None = None
    """For a program that prints JSON. Default: the value is all that it prints, less one newline at its
    end."""


class CredentialEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `credentials` as written: where a value comes from (exactly one of `value`, `command`,
    `vault`, `github_app`, `postgres`, `oauth`, `client_credentials`, `token_exchange`) and who may use it.
    `${credential:NAME}` refers to it, and a rule chooses it with `credential: NAME`."""

    servers: tuple[str, ...]
    """The servers that may use it; at least one."""
    value: str | None = None
    """A text with `${keyring:…}`, `${env:…}` or `${file:…}` in it."""
    command: tuple[str, ...] | CommandEntry | None = None
    """A program that prints it."""
    vault: VaultEntry | None = None
    """A secret of HashiCorp Vault or OpenBao."""
    github_app: GithubAppEntry | None = None
    """A token of a GitHub App's installation."""
    postgres: PostgresEntry | None = None
    """A login role of PostgreSQL, made for the session."""
    oauth: OAuthEntry | None = None
    """The access token of somebody who ran `mcpguard secret login NAME`."""
    client_credentials: ClientCredentialsEntry | None = None
    """An OAuth token for mcpguard itself."""
    token_exchange: TokenExchangeEntry | None = None
    """An OAuth token in exchange for another."""
    hosts: tuple[str, ...] = ()
    """The hosts that may be told it, exactly these names; for servers with a `url`. Default: the host of the
    `url` of each of `servers`."""
    principals: tuple[str, ...] = ()
    """Whose calls may use it: names, and `group:NAME` for all of a group. Default: everybody's."""
    cache_seconds: float | None = None
    """How long a value may be kept that does not say its own end; from 0 to 3600. Default: 300, and 0 for
    `value`, which is read again for each use."""
    env: dict[str, str] = {}
    """Variables that stand above those of a server when a rule chooses this credential."""
    headers: dict[str, str] = {}
    """Headers that stand above those of a server when a rule chooses this credential."""


KINDS = (
    "value",
    "command",
    "vault",
    "github_app",
    "postgres",
    "oauth",
    "client_credentials",
    "token_exchange",
)
"""The fields of a CredentialEntry that say where the value comes from: exactly one of them is given."""

ENTRIES: tuple[type[Struct], ...] = (CredentialEntry, CommandEntry, JsonEntry, *MINTED, *OAUTH)
"""The Structs of an entry, for the reference."""


def kind_of(entry: CredentialEntry) -> str:
    """The kind of an entry that has exactly one."""
    return next(kind for kind in KINDS if getattr(entry, kind) is not None)
