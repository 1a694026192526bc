"""The schema of `credentials`: what may be written, and what is wrong with an entry by itself.

To add a kind: a field of `CredentialEntry` with the name of the kind, its name in `KINDS`, and a line in
`MINTS` of `adapters/credentials`. References in it are to a source only, so that no two entries wait for each
other.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, Tag

from mcpguard.config.minted import MINTED, GithubAppEntry, PostgresEntry, VaultEntry
from mcpguard.config.oauth import OAUTH, ClientCredentialsEntry, OAuthEntry, TokenExchangeEntry
from mcpguard.config.references import (
    ENTRY,
    Headers,
    Variable,
    Variables,
    header_mistakes,
    no_reference,
    reference_mistake,
    references,
)
from mcpguard.config.urls import Host
from mcpguard.core.document.must import Mistake, Must, above, between, filled
from mcpguard.core.document.written import Items, Written, by_shape


def _wrong_argv(argv: tuple[str, ...]) -> str:
    if not argv or not argv[0]:
        return "the first word must be a program"
    if "/" in argv[0] and not argv[0].startswith(("/", "~/")):
        return "a program is looked for in PATH, or has its full path: one in the working folder is never run"
    return ""


def _wrong_value(text: str) -> str:
    if not references(text):
        return "a value must not stand in this file: `mcpguard secret set NAME` and say ${keyring:NAME}"
    if any(ref.source == ENTRY for ref in references(text)):
        return "a credential cannot be made of another entry: refer to a source, such as ${keyring:NAME}"
    return reference_mistake(text)


def _wrong_principal(name: str) -> str:
    return "" if name and name != "group:" else "must be a name, or `group:NAME`"


Word = Annotated[
    str,
    no_reference(
        "pass the value to the program in a variable (`env` names variables of mcpguard's own), or give it a "
        "file"
    ),
]
Argv = Annotated[Items[Word], Must(_wrong_argv, minItems=1)]


class JsonEntry(Written):
    """`credentials.NAME.command.json`: where the value stands in what the program prints."""

    value: str = Field(
        description="The key of the value; `.` leads into an inner object: `credential.access_token`.",
    )
    expires: str | None = Field(
        None,
        description="The key of when it ends: a number is seconds from now, above 1000000000 seconds since "
        "1970; a text is a time with its zone (ISO 8601).",
    )


class CommandEntry(Written):
    """`credentials.NAME.command`: a program that prints the value. No shell: give its words one by one. A
    list is short for `{argv: …}`."""

    argv: Argv = Field(
        description="The program, looked for in PATH, and its arguments; no references, since every process "
        "can read them.",
    )
    timeout_seconds: Annotated[float, above(0, 600, "seconds")] = Field(
        30.0,
        description="How long it may take; then it is killed with all of its process group.",
    )
    ttl_seconds: Annotated[float, above(0, 86400, "seconds")] | None = Field(
        None,
        description="How long the value may be used where its output does not say.",
    )
    env: Items[Variable] = Field(
        (),
        description="Variables of mcpguard's own environment that it gets besides the few that every program "
        "needs.",
    )
    json_: JsonEntry | None = Field(
        None,
        alias="json",
        description="For a program that prints JSON. Default: the value is all that it prints, less one "
        "newline at its end.",
    )


class CredentialEntry(Written):
    """One entry of `credentials` as written: where a value comes from (exactly one of `value`, `command`,
    `vault`, `github_app`, `postgres`, `oauth`, `client_credentials`, `token_exchange`) and who may use it.
    `${credential:NAME}` refers to it, and a rule chooses it with `credential: NAME`."""

    servers: Annotated[
        Items[str], filled("at least one server is needed: no other may use it", minItems=1)
    ] = Field(description="The servers that may use it; at least one.")
    value: Annotated[str, Must(_wrong_value, pattern=r"\$\{")] | None = Field(
        None,
        description="A text with references to sources in it, such as `Bearer ${keyring:NAME}`.",
    )
    command: (
        Annotated[
            Annotated[Argv, Tag("a list")] | Annotated[CommandEntry, Tag("a mapping")],
            by_shape("a list", "a mapping"),
        ]
        | None
    ) = Field(None, description="A program that prints it.")
    vault: VaultEntry | None = Field(None, description="A secret of HashiCorp Vault or OpenBao.")
    github_app: GithubAppEntry | None = Field(None, description="A token of a GitHub App's installation.")
    postgres: PostgresEntry | None = Field(
        None,
        description="A login role of PostgreSQL, made for the session.",
    )
    oauth: OAuthEntry | None = Field(
        None,
        description="The access token of somebody who ran `mcpguard secret login NAME`.",
    )
    client_credentials: ClientCredentialsEntry | None = Field(
        None,
        description="An OAuth token for mcpguard itself.",
    )
    token_exchange: TokenExchangeEntry | None = Field(
        None,
        description="An OAuth token in exchange for another.",
    )
    hosts: Items[Host] = Field(
        (),
        description="The hosts that may be told it, exactly these names; for servers with a `url`. Default: "
        "the host of the `url` of each of `servers`.",
    )
    principals: Items[Annotated[str, Must(_wrong_principal)]] = Field(
        (),
        description="Whose calls may use it: names, and `group:NAME` for all of a group. Default: "
        "everybody's.",
    )
    cache_seconds: Annotated[float, between(0, 3600, "seconds")] | None = Field(
        None,
        description="How long a value may be kept that does not say its own end. Default: "
        "300, and 0 for `value`, which is read again for each use.",
    )
    env: Variables = Field(
        {},
        description="Variables that stand above those of a server when a rule chooses this credential.",
    )
    headers: Headers = Field(
        {},
        description="Headers that stand above those of a server when a rule chooses this credential.",
    )

    def mistakes(self) -> Iterator[Mistake]:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            said = f"it has {len(given)}: {', '.join(given)}" if given else "it has none"
            yield (), f"a credential has exactly one of {', '.join(KINDS)}; {said}"
        yield from header_mistakes(("headers",), self.headers)


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

ENTRIES: tuple[type[Written], ...] = (CredentialEntry, CommandEntry, JsonEntry, *MINTED, *OAUTH)
"""The models of an entry, for the reference."""


def kind_of(entry: CredentialEntry) -> str:
    """The kind of an entry that has exactly one."""
    return next(kind for kind in KINDS if getattr(entry, kind) is not None)
