"""The kinds of `credentials` whose value a service mints: `vault`, `github_app` and `postgres`.

Law of this file: it reads nothing; every mistake is told at its place, and none shows a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from mcpguard.core.document.reading import Document
from mcpguard.core.document.reading import Path as Place
from mcpguard.core.errors import Problem
from mcpguard.core.secret import sole_reference

FIELD = re.compile(r"\{([^{}]*)\}")
"""A place in `vault.value` for a field of the secret."""
ROLE = "{role}"
"""What stands in a line of `postgres.grants` for the role."""
LEVELS = ("read", "write", "admin")
"""The levels of a permission of a GitHub App, each with all of those before it."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PATH = re.compile(r"[A-Za-z0-9_.~-]+(?:/[A-Za-z0-9_.~-]+)*")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_ACCOUNT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9])?")
_PERMISSION = re.compile(r"[a-z][a-z_]{0,63}")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_GRANT = re.compile(
    r"GRANT\s.+\sTO\s+\{role\}(?:\s+WITH\s.+)?|ALTER\s+ROLE\s+\{role\}\s+SET\s.+", re.I | re.S
)
_PASSED_ON = re.compile(r"\bWITH\b.*\b(?:GRANT|ADMIN)\b", re.I | re.S)


class AppRoleEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`vault.auth.approle`: log in with a role id and a secret id."""

    role_id: str
    """The role id; it is no secret."""
    secret_id: str
    """The secret id: one reference, such as `${keyring:vault/secret-id}`."""
    mount: str = "approle"
    """Where the method is mounted."""


class KubernetesEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`vault.auth.kubernetes`: log in with the token of a service account."""

    role: str
    """The role to log in as."""
    jwt: str = "${file:/var/run/secrets/kubernetes.io/serviceaccount/token}"
    """The token of the service account: one reference. The file must be closed to others."""
    mount: str = "kubernetes"
    """Where the method is mounted."""


class VaultAuth(Struct, frozen=True, forbid_unknown_fields=True):
    """`vault.auth`: one way to log in. The token is for one lease and is revoked with it."""

    approle: AppRoleEntry | None = None
    """With a role id and a secret id."""
    kubernetes: KubernetesEntry | None = None
    """With the token of a service account."""


class VaultEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`vault`: a secret of HashiCorp Vault or OpenBao, from a key-value store or made for us by a dynamic
    engine, whose lease is renewed while it is needed and revoked at the end."""

    address: str
    """Where it is: an https:// URL without a path; http:// only on this machine."""
    path: str
    """What to read, with the mount first: `secret/github`, `database/creds/reader`."""
    field: str | None = None
    """The field of the secret that is the value. This or `value` is needed."""
    value: str | None = None
    """The value with `{FIELD}`s in it: `postgresql://{username}:{password}@db/app`. In a URL each is
    percent-encoded."""
    version: Literal[1, 2] | None = None
    """The version of the key-value store; left out for dynamic engines."""
    namespace: str | None = None
    """The namespace, where there are some."""
    token: str | None = None
    """A token that may read `path`: one reference. This or `auth` is needed."""
    auth: VaultAuth | None = None
    """A way to log in."""
    ca_file: str | None = None
    """A file with the certificates (PEM) to trust instead of the system's."""
    timeout_seconds: float = 10.0
    """How long one request may take; above 0, at most 120."""


class GithubAppEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`github_app`: a token of a GitHub App's installation, for named repositories and permissions. It lasts
    an hour and is revoked at the end."""

    private_key: str
    """The app's private key (PEM): one reference, such as `${file:/run/secrets/app.pem}`."""
    permissions: dict[str, Literal["read", "write", "admin"]]
    """What the token may do, such as `{contents: read, issues: write}`; at least one."""
    client_id: str | None = None
    """The app's client id. This or `app_id` is needed."""
    app_id: int | None = None
    """The app's id."""
    installation_id: int | None = None
    """The installation. This or `account` is needed."""
    account: str | None = None
    """The user or organisation that has installed the app."""
    repositories: tuple[str, ...] = ()
    """The repositories that the token is for: names without the owner, at most 500."""
    all_repositories: bool = False
    """`true` makes the token good for all repositories of the installation, in place of `repositories`."""
    api_url: str = "https://api.github.com"
    """The API; for GitHub Enterprise Server `https://HOST/api/v3`."""
    timeout_seconds: float = 10.0
    """How long one request may take; above 0, at most 120."""


class PostgresEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """`postgres`: the connection URL of a PostgreSQL login role that is made for the session and dropped at
    its end."""

    admin: str
    """The connection URL of a role with CREATEROLE: one reference, such as `${keyring:pg/admin}`. To
    another machine it needs `sslmode=verify-full`, `verify-ca` or `require`."""
    grants: tuple[str, ...]
    """What the role may do: statements `GRANT … TO {role}` and `ALTER ROLE {role} SET …`."""
    owner: str | None = None
    """The role that gets what this one made in the database, such as tables, at its end; one without
    attributes that `admin` is a member of. Left out, that is dropped with the role."""
    database: str | None = None
    """The database; by default that of `admin`."""
    host: str | None = None
    """HOST or HOST:PORT where the server finds the database; by default that of `admin`."""
    ttl_seconds: int = 900
    """How long the role may log in before it is renewed; from 60 to 86400."""
    connections: int = 5
    """How many connections the role may have at once; from 1 to 100."""
    timeout_seconds: float = 10.0
    """How long connecting and each statement may take; from 1 to 120."""


MINTED: tuple[type[Struct], ...] = (
    VaultEntry,
    VaultAuth,
    AppRoleEntry,
    KubernetesEntry,
    GithubAppEntry,
    PostgresEntry,
)
"""The Structs of this file, for the reference."""


def vault_problems(document: Document, at: Place, entry: VaultEntry) -> Iterator[Problem]:
    """What is wrong with a `vault` at `at`."""
    yield from _url(document, (*at, "address"), entry.address, path=False)
    if not _is_path(entry.path) or "/" not in entry.path:
        yield document.problem(
            (*at, "path"), "must be MOUNT/PATH, such as secret/github, without a slash first"
        )
    yield from _one_of(document, at, entry, "field", "value")
    if entry.value is not None:
        names = FIELD.findall(entry.value)
        if not names or "" in names or set(FIELD.sub("", entry.value)) & set("{}"):
            said = "must have a {FIELD} in it, and no other braces"
            yield document.problem((*at, "value"), said)
    yield from _one_of(document, at, entry, "token", "auth")
    if entry.token is not None:
        yield from _reference(document, (*at, "token"), entry.token)
    if entry.auth is not None:
        yield from _auth(document, (*at, "auth"), entry.auth)
    if entry.namespace is not None and not _is_path(entry.namespace.removesuffix("/")):
        yield document.problem((*at, "namespace"), "must be a path, such as team/a")
    if entry.ca_file is not None and not entry.ca_file.startswith(("/", "~/")):
        yield document.problem((*at, "ca_file"), "must be an absolute path or begin with ~/")
    yield from _timeout(document, at, entry.timeout_seconds)


def github_app_problems(document: Document, at: Place, entry: GithubAppEntry) -> Iterator[Problem]:
    """What is wrong with a `github_app` at `at`."""
    yield from _url(document, (*at, "api_url"), entry.api_url, path=True)
    yield from _reference(document, (*at, "private_key"), entry.private_key)
    yield from _one_of(document, at, entry, "client_id", "app_id")
    yield from _one_of(document, at, entry, "installation_id", "account")
    if entry.account is not None and not _ACCOUNT.fullmatch(entry.account):
        yield document.problem((*at, "account"), "must be the name of a user or an organisation")
    if not entry.permissions:
        said = "at least one permission is needed: an empty mapping would ask for all that the app has"
        yield document.problem((*at, "permissions"), said)
    for name in entry.permissions:
        if not _PERMISSION.fullmatch(name):
            yield document.problem((*at, "permissions", name), "must be a permission such as `contents`")
    if bool(entry.repositories) == entry.all_repositories:
        said = "name at least one repository, or say `all_repositories: true`"
        yield document.problem((*at, "repositories"), said)
    if len(entry.repositories) > 500:
        yield document.problem((*at, "repositories"), "at most 500 repositories can be named")
    for index, name in enumerate(entry.repositories):
        if not _NAME.fullmatch(name):
            said = "must be the name of a repository, without its owner"
            yield document.problem((*at, "repositories", index), said)
    yield from _timeout(document, at, entry.timeout_seconds)


def postgres_problems(document: Document, at: Place, entry: PostgresEntry) -> Iterator[Problem]:
    """What is wrong with a `postgres` at `at`."""
    yield from _reference(document, (*at, "admin"), entry.admin)
    if not entry.grants:
        yield document.problem(
            (*at, "grants"), "at least one statement is needed: a role without any can do little"
        )
    for index, line in enumerate(entry.grants):
        said = _wrong_grant(line)
        if said:
            yield document.problem((*at, "grants", index), said)
    for name in ("database", "owner"):
        text = getattr(entry, name)
        if text is not None and not (text and text.isprintable()):
            yield document.problem((*at, name), "must be a name in the database, without quotes")
    if entry.host is not None and not _HOST.fullmatch(entry.host):
        yield document.problem((*at, "host"), "must be HOST or HOST:PORT")
    for key, least, most in (
        ("ttl_seconds", 60, 86_400),
        ("connections", 1, 100),
        ("timeout_seconds", 1, 120),
    ):
        if not least <= getattr(entry, key) <= most:
            yield document.problem((*at, key), f"must be from {least} to {most}")


def _wrong_grant(line: str) -> str:
    """What is wrong with a line of `grants`, "" for nothing."""
    if ";" in line or "--" in line or "/*" in line:
        return "must be one statement without `;` and without comments"
    if set(line.replace(ROLE, "")) & set("{}"):
        return "only {role} may stand in braces"
    if not _GRANT.fullmatch(line.strip()) or line.count(ROLE) != 1:
        return "must be `GRANT … TO {role}` or `ALTER ROLE {role} SET …`, with {role} once and without quotes"
    if _PASSED_ON.search(line):
        return "the role must not be able to pass on what it may do: take the GRANT or ADMIN option out"
    return ""


def _url(document: Document, at: Place, text: str, path: bool) -> Iterator[Problem]:
    try:
        url = urlsplit(text)
        known = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        known = False
    if not known or not text.isascii() or not text.isprintable() or " " in text:
        yield document.problem(at, "must be an https:// URL with a host")
    elif url.username is not None or url.query or url.fragment or (url.path.strip("/") and not path):
        yield document.problem(at, "must be a URL of nothing but a host" + (" and a path" if path else ""))
    elif url.scheme == "http" and url.hostname not in _LOOPBACK:
        yield document.problem(at, "a credential must not leave this machine over http://: use https")


def _is_path(text: str) -> bool:
    return bool(_PATH.fullmatch(text)) and not {".", ".."} & set(text.split("/"))


def _auth(document: Document, at: Place, auth: VaultAuth) -> Iterator[Problem]:
    yield from _one_of(document, at, auth, "approle", "kubernetes")
    if auth.approle is not None:
        yield from _reference(document, (*at, "approle", "secret_id"), auth.approle.secret_id)
    if auth.kubernetes is not None:
        yield from _reference(document, (*at, "kubernetes", "jwt"), auth.kubernetes.jwt)
    for key in ("approle", "kubernetes"):
        method = getattr(auth, key)
        if method is not None and not _is_path(method.mount):
            yield document.problem((*at, key, "mount"), "must be a path, such as approle")


def _one_of(document: Document, at: Place, entry: Struct, one: str, other: str) -> Iterator[Problem]:
    given = [key for key in (one, other) if getattr(entry, key) is not None]
    if len(given) != 1:
        said = "cannot both stand here: take one out" if given else "is needed, one of the two"
        yield document.problem((*at, given[1]) if given else at, f"`{one}` or `{other}` {said}")


def _reference(document: Document, at: Place, text: str) -> Iterator[Problem]:
    try:
        ref = sole_reference(text)
    except ValueError as error:
        yield document.problem(at, str(error))
        return
    if ref.source not in ("env", "file", "keyring"):
        yield document.problem(at, "must be a reference to the keyring, a file or the environment")


def _timeout(document: Document, at: Place, seconds: float) -> Iterator[Problem]:
    if not 0 < seconds <= 120:
        yield document.problem((*at, "timeout_seconds"), "must be above 0 and at most 120 seconds")
