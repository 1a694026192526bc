"""The kinds of `credentials` whose value a service mints: `vault`, `github_app`, `postgres`, and the three of
OAuth 2.1.

Law of this file: it reads nothing; every mistake is reported at its place, and none shows a value.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from mcpguard.config.references import Reference
from mcpguard.config.urls import ServiceBase, ServiceHost, ServiceUrl, host_of, wrong_url
from mcpguard.core.document.constraints import Constraint, Mistake, above, between, filled, matching
from mcpguard.core.document.written import Items, Written, whole

FIELD = re.compile(r"\{([^{}]*)\}")
"""A place in `vault.value` for a field of the secret."""
ROLE = "{role}"
"""What stands in a line of `postgres.grants` for the role."""
LEVELS = ("read", "write", "admin")
"""The levels of a permission of a GitHub App, each with all of those before it."""

_PATH = re.compile(r"[A-Za-z0-9_.~-]+(?:/[A-Za-z0-9_.~-]+)*")
_GRANT = re.compile(
    r"GRANT\s.+\sTO\s+\{role\}(?:\s+WITH\s.+)?|ALTER\s+ROLE\s+\{role\}\s+SET\s.+", re.I | re.S
)
_PASSED_ON = re.compile(r"\bWITH\b.*\b(?:GRANT|ADMIN)\b", re.I | re.S)


def _is_path(text: str) -> bool:
    return bool(_PATH.fullmatch(text)) and not {".", ".."} & set(text.split("/"))


def _wrong_secret_path(text: str) -> str:
    right = _is_path(text) and "/" in text
    return "" if right else "must be MOUNT/PATH, such as secret/github, without a slash first"


def _wrong_pattern(text: str) -> str:
    names = FIELD.findall(text)
    if not names or "" in names or set(FIELD.sub("", text)) & set("{}"):
        return "must have a {FIELD} in it, and no other braces"
    return ""


def _wrong_grant(line: str) -> str:
    if ";" in line or "--" in line or "/*" in line:
        return "must be one statement without `;` and without comments"
    if set(line.replace(ROLE, "")) & set("{}"):
        return "only {role} may be in braces"
    if not _GRANT.fullmatch(line.strip()) or line.count(ROLE) != 1:
        return "must be `GRANT … TO {role}` or `ALTER ROLE {role} SET …`, with {role} once and without quotes"
    if _PASSED_ON.search(line):
        return "the role must not be able to pass on what it may do: take the GRANT or ADMIN option out"
    return ""


def _wrong_namespace(text: str) -> str:
    return "" if _is_path(text.removesuffix("/")) else "must be a path, such as team/a"


def _wrong_database_name(text: str) -> str:
    return "" if text and text.isprintable() else "must be a name in the database, without quotes"


Mount = Annotated[str, Constraint(lambda text: "" if _is_path(text) else "must be a path, such as approle")]
Timeout = Annotated[float, above(0, 120, "seconds")]
DatabaseName = Annotated[str, Constraint(_wrong_database_name, minLength=1)]
Permission = Annotated[str, matching("[a-z][a-z_]{0,63}", "must be a permission such as `contents`")]
Repository = Annotated[
    str, matching("[A-Za-z0-9_.-]{1,100}", "must be the name of a repository, without its owner")
]


def _one_of(part: Written, one: str, other: str) -> Iterator[Mistake]:
    given = [key for key in (one, other) if getattr(part, key) is not None]
    if len(given) != 1:
        said = "cannot be combined: remove one of the two" if given else "is needed, one of the two"
        yield (given[1],) if given else (), f"`{one}` or `{other}` {said}"


class AppRoleEntry(Written):
    """`vault.auth.approle`: log in with a role id and a secret id."""

    role_id: str = Field(description="The role id; it is not a secret.")
    secret_id: Reference = Field(
        description="The secret id: one reference, such as `${keyring:vault/secret-id}`."
    )
    mount: Mount = Field("approle", description="Where the method is mounted.")


class KubernetesEntry(Written):
    """`vault.auth.kubernetes`: log in with the token of a service account."""

    role: str = Field(description="The role to log in as.")
    jwt: Reference = Field(
        "${file:/var/run/secrets/kubernetes.io/serviceaccount/token}",
        description="The token of the service account: one reference. Others must not be able to read the "
        "file.",
    )
    mount: Mount = Field("kubernetes", description="Where the method is mounted.")


class VaultAuth(Written):
    """`vault.auth`: one way to log in. The token is for one lease and is revoked with it."""

    approle: AppRoleEntry | None = Field(None, description="With a role id and a secret id.")
    kubernetes: KubernetesEntry | None = Field(None, description="With the token of a service account.")

    def mistakes(self) -> Iterator[Mistake]:
        yield from _one_of(self, "approle", "kubernetes")


class VaultEntry(Written):
    """`vault`: a secret of HashiCorp Vault or OpenBao, from a key-value store or made for us by a dynamic
    engine, whose lease is renewed while it is needed and revoked at the end."""

    address: ServiceHost = Field(
        description="Where it is: an https:// URL without a path; http:// only on this machine."
    )
    path: Annotated[str, Constraint(_wrong_secret_path)] = Field(
        description="What to read, with the mount first: `secret/github`, `database/creds/reader`."
    )
    field: str | None = Field(
        None, description="The field of the secret that is the value. This or `value` is needed."
    )
    value: Annotated[str, Constraint(_wrong_pattern)] | None = Field(
        None,
        description="The value with `{FIELD}`s in it: `postgresql://{username}:{password}@db/app`. In a URL "
        "each is percent-encoded.",
    )
    version: Annotated[Literal[1, 2], whole("1 or 2")] | None = Field(
        None, description="The version of the key-value store; left out for dynamic engines."
    )
    namespace: Annotated[str, Constraint(_wrong_namespace)] | None = Field(
        None, description="The namespace, if there is one."
    )
    token: Reference | None = Field(
        None, description="A token that may read `path`: one reference. This or `auth` is needed."
    )
    auth: VaultAuth | None = Field(None, description="A way to log in.")
    ca_file: Annotated[str, matching("~?/.*", "must be an absolute path or begin with ~/")] | None = Field(
        None, description="A file with the certificates (PEM) to trust instead of the system's."
    )
    timeout_seconds: Timeout = Field(10.0, description="How long one request may take.")

    def mistakes(self) -> Iterator[Mistake]:
        yield from _one_of(self, "field", "value")
        yield from _one_of(self, "token", "auth")


class GithubAppEntry(Written):
    """`github_app`: a token of a GitHub App's installation, for named repositories and permissions. It lasts
    an hour and is revoked at the end."""

    private_key: Reference = Field(
        description="The app's private key (PEM): one reference, such as `${file:/run/secrets/app.pem}`."
    )
    permissions: Annotated[
        dict[Permission, Literal["read", "write", "admin"]],
        filled(
            "at least one permission is needed: an empty mapping would ask for all that the app has",
            minProperties=1,
        ),
    ] = Field(description="What the token may do, such as `{contents: read, issues: write}`; at least one.")
    client_id: str | None = Field(None, description="The app's client id. This or `app_id` is needed.")
    app_id: int | None = Field(None, description="The app's id.")
    installation_id: int | None = Field(None, description="The installation. This or `account` is needed.")
    account: (
        Annotated[
            str,
            matching(
                "[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?",
                "must be the name of a user or an organisation",
            ),
        ]
        | None
    ) = Field(None, description="The user or organisation that has installed the app.")
    repositories: Annotated[
        Items[Repository],
        Constraint(
            lambda names: "at most 500 repositories can be named" if len(names) > 500 else "", maxItems=500
        ),
    ] = Field((), description="The repositories that the token is for: names without the owner, at most 500.")
    all_repositories: bool = Field(
        False,
        description="`true`: the token is for all repositories of the installation, instead of "
        "`repositories`.",
    )
    api_url: ServiceBase = Field(
        "https://api.github.com", description="The API; for GitHub Enterprise Server `https://HOST/api/v3`."
    )
    timeout_seconds: Timeout = Field(10.0, description="How long one request may take.")

    def mistakes(self) -> Iterator[Mistake]:
        yield from _one_of(self, "client_id", "app_id")
        yield from _one_of(self, "installation_id", "account")
        if bool(self.repositories) == self.all_repositories:
            yield ("repositories",), "name at least one repository, or say `all_repositories: true`"


class PostgresEntry(Written):
    """`postgres`: the connection URL of a PostgreSQL login role that is made for the session and dropped at
    its end."""

    admin: Reference = Field(
        description="The connection URL of a role with CREATEROLE: one reference, such as "
        "`${keyring:pg/admin}`. To another machine it needs `sslmode=verify-full`, `verify-ca` or "
        "`require`."
    )
    grants: Annotated[
        Items[Annotated[str, Constraint(_wrong_grant)]],
        filled("at least one statement is needed: a role without any can do little", minItems=1),
    ] = Field(
        description="What the role may do: statements `GRANT … TO {role}` and `ALTER ROLE {role} SET …`."
    )
    owner: DatabaseName | None = Field(
        None,
        description="The role that becomes the owner of what this one created in the database, such as "
        "tables, when it ends: one without attributes, of which `admin` is a member. Left out, "
        "what was created is dropped with the role.",
    )
    database: DatabaseName | None = Field(None, description="The database; by default that of `admin`.")
    host: (
        Annotated[
            str,
            matching(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?", "must be HOST or HOST:PORT"),
        ]
        | None
    ) = Field(
        None, description="HOST or HOST:PORT where the server finds the database; by default that of `admin`."
    )
    ttl_seconds: Annotated[int, between(60, 86_400)] = Field(
        900, description="How long the role may log in before it is renewed."
    )
    connections: Annotated[int, between(1, 100)] = Field(
        5, description="How many connections the role may have at once."
    )
    timeout_seconds: Annotated[float, between(1, 120)] = Field(
        10.0, description="How long connecting and each statement may take."
    )


_BESIDE = "cannot be combined with `{}`: remove one of the two"


def _wrong_document(url: str) -> str:
    parts = urlsplit(url)
    right = parts.scheme == "https" and parts.path not in ("", "/")
    return "" if right else "must be an https:// URL with a path"


Scope = Annotated[str, matching(r"[\x21\x23-\x5b\x5d-\x7e]+", "a scope is one word")]
ClientAuth = Literal["client_secret_basic", "client_secret_post"]
_HOW_SENT = "How the secret is sent. Default: the first of these that the server accepts."


class OAuthEntry(Written):
    """`credentials.NAME.oauth`: the access token of a person who ran `mcpguard secret login NAME`."""

    url: ServiceUrl | None = Field(
        None,
        description="The MCP server that the token is for. Default: the `url` of the one server in "
        "`servers`.",
    )
    issuer: ServiceUrl | None = Field(
        None,
        description="The only authorization server that is accepted; needed with `client_id`, or if it has "
        "a private address or is at another port of loopback than `url`. Default: the first one that the MCP "
        "server names.",
    )
    scopes: Items[Scope] = Field(
        (), description="What to ask for. Default: what the MCP server says is needed."
    )
    client_id: str | None = Field(
        None,
        description="A client that you created at the authorization server. Default: one is registered at "
        "the login.",
    )
    client_secret: Reference | None = Field(
        None, description="Its secret, as one reference; with `client_id`."
    )
    client_auth: ClientAuth | None = Field(None, description=_HOW_SENT)
    client_metadata_url: Annotated[ServiceUrl, Constraint(_wrong_document)] | None = Field(
        None,
        description="An https URL with the metadata of a client. It is the client's id if the server "
        "supports that (CIMD).",
    )
    redirect_port: Annotated[int, between(1024, 65535)] | None = Field(
        None,
        description="The port of 127.0.0.1 that the browser is redirected to (path `/callback`). Default: a "
        "free one.",
    )

    def mistakes(self) -> Iterator[Mistake]:
        if self.client_secret is not None and self.client_id is None:
            yield ("client_secret",), "belongs to a `client_id`"
        if self.client_auth is not None and self.client_secret is None:
            yield ("client_auth",), "belongs to a `client_secret`"
        if self.client_id is not None and self.issuer is None:
            yield ("client_id",), "a client is registered at one authorization server: name it in `issuer`"
        if self.client_id is not None and self.client_metadata_url is not None:
            yield ("client_metadata_url",), _BESIDE.format("client_id")


class _ServiceEntry(Written):
    """What is asked with no person there."""

    token_url: ServiceUrl | None = Field(None, description="The token endpoint. This or `issuer` is needed.")
    issuer: ServiceUrl | None = Field(
        None,
        description="The authorization server; its metadata names the endpoints, and tokens are revoked at "
        "the end. With `token_url`: the audience of the assertion of `private_key`.",
    )
    client_secret: Reference | None = Field(
        None, description="The secret of the client, as one reference. This or `private_key`."
    )
    client_auth: ClientAuth | None = Field(None, description=_HOW_SENT)
    private_key: Reference | None = Field(
        None,
        description="The key of the client in PEM, as one reference; it signs an assertion for each request "
        "(RFC 7523).",
    )
    key_id: str | None = Field(None, description="The `kid` of that key.")
    scopes: Items[Scope] = Field((), description="What to ask for.")
    resource: str | None = Field(
        None, description="What the token is for (RFC 8707): the URL of a service, such as the MCP server."
    )

    def mistakes(self) -> Iterator[Mistake]:
        if self.token_url is None and self.issuer is None:
            yield (), "`token_url` or `issuer` is missing"
        if self.client_secret is not None and self.private_key is not None:
            yield ("private_key",), _BESIDE.format("client_secret")


class ClientCredentialsEntry(_ServiceEntry):
    """`credentials.NAME.client_credentials`: a token for mcpguard itself (RFC 6749, section 4.4)."""

    client_id: Annotated[str, filled("`client_id` is missing", minLength=1)] = Field(
        description="The client that was made at the authorization server."
    )

    def mistakes(self) -> Iterator[Mistake]:
        yield from super().mistakes()
        if self.client_secret is None and self.private_key is None:
            yield (), "`client_secret` or `private_key` is missing"


class TokenExchangeEntry(_ServiceEntry):
    """`credentials.NAME.token_exchange`: another token in exchange for a configured one (RFC 8693)."""

    subject: Reference = Field(
        description="The token to exchange, as one reference. A client's own token is never exchanged."
    )
    subject_type: Literal["access_token", "id_token", "jwt", "refresh_token"] = Field(
        "access_token", description="What kind of token it is."
    )
    client_id: str | None = Field(None, description="The client that asks, where the server wants one.")
    audience: str | None = Field(None, description="The name of the service that the new token is for.")

    def mistakes(self) -> Iterator[Mistake]:
        yield from super().mistakes()
        if (self.client_secret or self.private_key) and not self.client_id:
            yield (), "`client_id` is missing"


MINTED: tuple[type[Written], ...] = (
    VaultEntry, VaultAuth, AppRoleEntry, KubernetesEntry, GithubAppEntry, PostgresEntry, OAuthEntry,
    ClientCredentialsEntry, TokenExchangeEntry,
)  # fmt: skip
"""The models of this file, for the reference."""


def with_url(entry: OAuthEntry, urls: Sequence[str]) -> OAuthEntry:
    """`entry` with the `url` of its only server, if it names none; `urls` are those of its servers."""
    return entry if entry.url is not None or len(urls) != 1 else entry.model_copy(update={"url": urls[0]})


def server_mistakes(entry: OAuthEntry, urls: Mapping[str, str]) -> Iterator[str]:
    """Whether the token of `oauth` is for its servers; `urls` are theirs, of those that have one, by name."""
    whole = with_url(entry, tuple(urls.values()))
    if whole.url is None:
        yield "`url` is missing: it can be left out where `servers` has exactly one with a `url`"
    elif "${" in whole.url:
        yield "the URL of its server is made of a reference: say in `url` which it is"
    elif entry.url is None and (said := wrong_url(whole.url)):
        yield f"the `url` of its server: {said}"
    for name, url in urls.items():
        if whole.url is not None and "${" not in url and host_of(url) != host_of(whole.url):
            yield f"a token is for one server (RFC 8707), and `{name}` is at a different host from `url`"
