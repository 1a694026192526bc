"""The kinds of `credentials` whose value a service mints: `vault`, `github_app` and `postgres`.

Law of this file: it reads nothing; every mistake is told at its place, and none shows a value.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from mcpguard.config.references import Reference
from mcpguard.config.urls import ServiceBase, ServiceHost
from mcpguard.core.document.must import Mistake, Must, above, between, filled, matching
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
        return "only {role} may stand in braces"
    if not _GRANT.fullmatch(line.strip()) or line.count(ROLE) != 1:
        return "must be `GRANT … TO {role}` or `ALTER ROLE {role} SET …`, with {role} once and without quotes"
    if _PASSED_ON.search(line):
        return "the role must not be able to pass on what it may do: take the GRANT or ADMIN option out"
    return ""


def _wrong_namespace(text: str) -> str:
    return "" if _is_path(text.removesuffix("/")) else "must be a path, such as team/a"


def _wrong_database_name(text: str) -> str:
    return "" if text and text.isprintable() else "must be a name in the database, without quotes"


Mount = Annotated[str, Must(lambda text: "" if _is_path(text) else "must be a path, such as approle")]
Timeout = Annotated[float, above(0, 120, "seconds")]
DatabaseName = Annotated[str, Must(_wrong_database_name, minLength=1)]
Permission = Annotated[str, matching("[a-z][a-z_]{0,63}", "must be a permission such as `contents`")]
Repository = Annotated[
    str, matching("[A-Za-z0-9_.-]{1,100}", "must be the name of a repository, without its owner")
]


def _one_of(part: Written, one: str, other: str) -> Iterator[Mistake]:
    given = [key for key in (one, other) if getattr(part, key) is not None]
    if len(given) != 1:
        said = "cannot both stand here: take one out" if given else "is needed, one of the two"
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
        description="The token of the service account: one reference. The file must be closed to others.",
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
        description="Where it is: an https:// URL without a path; http:// only on this machine.",
    )
    path: Annotated[str, Must(_wrong_secret_path)] = Field(
        description="What to read, with the mount first: `secret/github`, `database/creds/reader`.",
    )
    field: str | None = Field(
        None,
        description="The field of the secret that is the value. This or `value` is needed.",
    )
    value: Annotated[str, Must(_wrong_pattern)] | None = Field(
        None,
        description="The value with `{FIELD}`s in it: `postgresql://{username}:{password}@db/app`. In a URL "
        "each is percent-encoded.",
    )
    version: Annotated[Literal[1, 2], whole("1 or 2")] | None = Field(
        None,
        description="The version of the key-value store; left out for dynamic engines.",
    )
    namespace: Annotated[str, Must(_wrong_namespace)] | None = Field(
        None, description="The namespace, where there are some."
    )
    token: Reference | None = Field(
        None,
        description="A token that may read `path`: one reference. This or `auth` is needed.",
    )
    auth: VaultAuth | None = Field(None, description="A way to log in.")
    ca_file: Annotated[str, matching("~?/.*", "must be an absolute path or begin with ~/")] | None = Field(
        None,
        description="A file with the certificates (PEM) to trust instead of the system's.",
    )
    timeout_seconds: Timeout = Field(10.0, description="How long one request may take.")

    def mistakes(self) -> Iterator[Mistake]:
        yield from _one_of(self, "field", "value")
        yield from _one_of(self, "token", "auth")


class GithubAppEntry(Written):
    """`github_app`: a token of a GitHub App's installation, for named repositories and permissions. It lasts
    an hour and is revoked at the end."""

    private_key: Reference = Field(
        description="The app's private key (PEM): one reference, such as `${file:/run/secrets/app.pem}`.",
    )
    permissions: Annotated[
        dict[Permission, Literal["read", "write", "admin"]],
        filled(
            "at least one permission is needed: an empty mapping would ask for all that the app has",
            minProperties=1,
        ),
    ] = Field(
        description="What the token may do, such as `{contents: read, issues: write}`; at least one.",
    )
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
        Must(lambda names: "at most 500 repositories can be named" if len(names) > 500 else "", maxItems=500),
    ] = Field(
        (),
        description="The repositories that the token is for: names without the owner, at most 500.",
    )
    all_repositories: bool = Field(
        False,
        description="`true` makes the token good for all repositories of the installation, in place of "
        "`repositories`.",
    )
    api_url: ServiceBase = Field(
        "https://api.github.com",
        description="The API; for GitHub Enterprise Server `https://HOST/api/v3`.",
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
        "`require`.",
    )
    grants: Annotated[
        Items[Annotated[str, Must(_wrong_grant)]],
        filled("at least one statement is needed: a role without any can do little", minItems=1),
    ] = Field(
        description="What the role may do: statements `GRANT … TO {role}` and `ALTER ROLE {role} SET …`.",
    )
    owner: DatabaseName | None = Field(
        None,
        description="The role that gets what this one made in the database, such as tables, at its end; one "
        "without attributes that `admin` is a member of. Left out, that is dropped with the role.",
    )
    database: DatabaseName | None = Field(None, description="The database; by default that of `admin`.")
    host: (
        Annotated[
            str,
            matching(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?", "must be HOST or HOST:PORT"),
        ]
        | None
    ) = Field(
        None,
        description="HOST or HOST:PORT where the server finds the database; by default that of `admin`.",
    )
    ttl_seconds: Annotated[int, between(60, 86_400)] = Field(
        900,
        description="How long the role may log in before it is renewed.",
    )
    connections: Annotated[int, between(1, 100)] = Field(
        5, description="How many connections the role may have at once."
    )
    timeout_seconds: Annotated[float, between(1, 120)] = Field(
        10.0,
        description="How long connecting and each statement may take.",
    )


MINTED: tuple[type[Written], ...] = (
    VaultEntry,
    VaultAuth,
    AppRoleEntry,
    KubernetesEntry,
    GithubAppEntry,
    PostgresEntry,
)
"""The models of this file, for the reference."""
