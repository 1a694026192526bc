"""Entries of `credentials` whose value a service mints: what may be written, and each mistake at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpguard.config.minted import (
    AppRoleEntry,
    GithubAppEntry,
    KubernetesEntry,
    PostgresEntry,
    VaultAuth,
    VaultEntry,
)
from mcpguard.core.secret import CredentialRef
from tests.config.test_loading import load, mistakes
from tests.rows import each

HEAD = "version: 1\nservers:\n  s: {command: x}\ncredentials:\n  key:\n    servers: [s]\n    "
VAULT = {
    "address": "https://vault.example:8200",
    "path": "secret/github",
    "field": "token",
    "token": "${keyring:vault}",
}
GITHUB = {
    "private_key": "${file:/run/secrets/app.pem}",
    "permissions": "{contents: read}",
    "client_id": "Iv23",
    "installation_id": "7",
    "repositories": "[app]",
}
POSTGRES = {"admin": "${keyring:pg}", "grants": "['GRANT SELECT ON notes TO {role}']"}
KINDS = {"vault": VAULT, "github_app": GITHUB, "postgres": POSTGRES}
DROPPED = None


def text_of(kind: str, **changes: str | None) -> str:
    """A configuration with one entry of a kind; None leaves a key out."""
    keys = {**KINDS[kind], **changes}
    lines = [f"      {key}: {_written(value)}\n" for key, value in keys.items() if value is not None]
    return f"{HEAD}{kind}:\n{''.join(lines)}"


def _written(value: str) -> str:
    return value if value[:1] in "{['" or value.isdecimal() or value in ("true", "1.5") else f'"{value}"'


def test_each_kind_comes_back_as_written(tmp_path: Path) -> None:
    made = load(tmp_path, text_of("vault", version="2", namespace="team/a", ca_file="~/ca.pem")).credentials[
        "key"
    ]
    assert made.kind == "vault"
    assert made.made == VaultEntry(
        address="https://vault.example:8200",
        path="secret/github",
        field="token",
        version=2,
        namespace="team/a",
        token="${keyring:vault}",
        ca_file="~/ca.pem",
    )
    assert made.sources == {CredentialRef("keyring", "vault")}
    made = load(tmp_path, text_of("github_app")).credentials["key"]
    assert made.made == GithubAppEntry(
        private_key="${file:/run/secrets/app.pem}",
        permissions={"contents": "read"},
        client_id="Iv23",
        app_id=None,
        installation_id=7,
        account=None,
        repositories=("app",),
    )
    made = load(tmp_path, text_of("postgres")).credentials["key"]
    assert made.made == PostgresEntry(admin="${keyring:pg}", grants=("GRANT SELECT ON notes TO {role}",))


def test_the_ways_to_log_in_to_vault(tmp_path: Path) -> None:
    auth = "{approle: {role_id: r, secret_id: '${file:/s}', mount: team/approle}}"
    made = load(tmp_path, text_of("vault", token=DROPPED, auth=auth)).credentials["key"].made
    assert made.auth == VaultAuth(
        approle=AppRoleEntry(role_id="r", secret_id="${file:/s}", mount="team/approle")
    )
    made = (
        load(tmp_path, text_of("vault", token=DROPPED, auth="{kubernetes: {role: r}}"))
        .credentials["key"]
        .made
    )
    assert made.auth == VaultAuth(kubernetes=KubernetesEntry(role="r"))


BOTH = "cannot be combined"
ONE = "is needed, one of the two"
REFERENCE = "must be one reference and nothing else"


@each(
    ("kind", "key", "value", "why"),
    [
        ("vault", "address", "http://vault.example", "must not leave this machine over http://"),
        ("vault", "address", "https://vault.example/v1", "must be a URL with only a host"),
        ("vault", "address", "https://me@vault.example", "must be a URL with only a host"),
        ("vault", "address", "vault.example:8200", "must be an https:// URL with a host"),
        ("vault", "address", "https://vault.example:0", "must be an https:// URL with a host"),
        ("vault", "address", "https://[x", "must be an https:// URL with a host"),
        ("vault", "path", "github", "must be MOUNT/PATH"),
        ("vault", "path", "/secret/github", "must be MOUNT/PATH"),
        ("vault", "path", "secret/../sys/raw", "must be MOUNT/PATH"),
        ("vault", "path", "secret/x?list=true", "must be MOUNT/PATH"),
        ("vault", "value", "'{token}'", BOTH),
        ("vault", "field", DROPPED, ONE),
        ("vault", "token", DROPPED, ONE),
        ("vault", "token", "hvs.literal", REFERENCE),
        ("vault", "token", "Bearer ${keyring:x}", REFERENCE),
        ("vault", "token", "${credential:other}", "must be a reference to one of"),
        ("vault", "auth", "{approle: {role_id: r, secret_id: '${env:S}'}}", BOTH),
        ("vault", "namespace", "a/../b", "must be a path"),
        ("vault", "version", "3", "expected one of 1, 2"),
        ("vault", "ca_file", "ca.pem", "must be an absolute path"),
        ("vault", "timeout_seconds", "0", "must be above 0"),
        ("vault", "timeout_seconds", "121", "must be above 0"),
        ("github_app", "api_url", "http://github.example", "must not leave this machine over http://"),
        (
            "github_app",
            "api_url",
            "https://github.example/api?x",
            "must be a URL with only a host and a path",
        ),
        ("github_app", "private_key", "-----BEGIN", REFERENCE),
        ("github_app", "permissions", "{}", "an empty mapping would ask for all that the app has"),
        ("github_app", "permissions", DROPPED, "`permissions` is missing"),
        ("github_app", "permissions", "{contents: owner}", "expected one of read, write, admin"),
        ("github_app", "permissions", "{'Contents!': read}", "must be a permission such as"),
        ("github_app", "client_id", DROPPED, ONE),
        ("github_app", "app_id", "5", BOTH),
        ("github_app", "account", "acme", BOTH),
        ("github_app", "installation_id", DROPPED, ONE),
        ("github_app", "repositories", DROPPED, "name at least one repository"),
        ("github_app", "all_repositories", "true", "name at least one repository"),
        ("github_app", "repositories", "[acme/app]", "without its owner"),
        ("github_app", "repositories", f"[{', '.join(['a'] * 501)}]", "at most 500"),
        ("github_app", "timeout_seconds", "0", "must be above 0"),
        ("postgres", "admin", "postgresql://me:secret@db/x", REFERENCE),
        ("postgres", "grants", "[]", "at least one statement is needed"),
        ("postgres", "host", "db/x", "must be HOST or HOST:PORT"),
        ("postgres", "host", "a@b", "must be HOST or HOST:PORT"),
        ("postgres", "ttl_seconds", "59", "must be from 60 to 86400"),
        ("postgres", "connections", "0", "must be from 1 to 100"),
        ("postgres", "timeout_seconds", "121", "must be from 1 to 120"),
    ],
)
def test_a_mistake_is_told_and_shows_no_value(
    tmp_path: Path, kind: str, key: str, value: str | None, why: str
) -> None:
    said = "\n".join(mistakes(tmp_path, text_of(kind, **{key: value})))
    assert why in said
    assert "hvs.literal" not in said
    assert "secret@" not in said


def test_an_account_must_be_a_name(tmp_path: Path) -> None:
    said = mistakes(tmp_path, text_of("github_app", installation_id=DROPPED, account="../app"))
    assert "must be the name of a user or an organisation" in "\n".join(said)


@pytest.mark.parametrize("value", ["plain", "{}", "{a}{", "}{a}"])
def test_a_value_of_vault_has_fields_in_braces_and_no_other_braces(tmp_path: Path, value: str) -> None:
    said = mistakes(tmp_path, text_of("vault", field=DROPPED, value=f"'{value}'"))
    assert "must have a {FIELD} in it" in "\n".join(said)


@each(
    ("auth", "why"),
    [
        ("{}", "`approle` or `kubernetes` is needed"),
        ("{approle: {role_id: r, secret_id: literal}}", REFERENCE),
        ("{kubernetes: {role: r, jwt: literal}}", REFERENCE),
        ("{approle: {role_id: r, secret_id: '${env:S}', mount: ../sys}}", "must be a path"),
        ("{approle: {role_id: r, secret_id: '${env:S}'}, kubernetes: {role: r}}", BOTH),
    ],
)
def test_a_login_that_is_wrong_is_told(tmp_path: Path, auth: str, why: str) -> None:
    assert why in "\n".join(mistakes(tmp_path, text_of("vault", token=DROPPED, auth=auth)))


@each(
    "line",
    [
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        "grant usage on schema app to {role}",
        "GRANT readers TO {role} WITH SET FALSE, INHERIT TRUE",
        "ALTER ROLE {role} SET default_transaction_read_only = on",
        "ALTER ROLE {role} SET search_path = 'app'",
    ],
)
def test_a_grant_is_taken(tmp_path: Path, line: str) -> None:
    made = load(tmp_path, text_of("postgres", grants=f'["{line}"]')).credentials["key"].made
    assert made.grants == (line,)


@each(
    ("line", "why"),
    [
        ("GRANT SELECT ON notes TO {role}; DROP TABLE notes", "must be one statement"),
        ("GRANT SELECT ON notes TO {role} -- x", "must be one statement"),
        ("GRANT SELECT /* x */ ON notes TO {role}", "must be one statement"),
        ("GRANT SELECT ON {table} TO {role}", "only {role} may be in braces"),
        ("GRANT SELECT ON notes TO {role", "only {role} may be in braces"),
        ("GRANT SELECT ON notes TO {Role}", "only {role} may be in braces"),
        ("GRANT SELECT ON notes TO {role.__class__}", "only {role} may be in braces"),
        ("GRANT SELECT ON notes TO '{role}'", "with {role} once and without quotes"),
        ("GRANT SELECT ON notes TO bob, {role}", "with {role} once and without quotes"),
        ("GRANT {role} TO bob", "with {role} once and without quotes"),
        ("GRANT {role} TO {role}", "with {role} once and without quotes"),
        ("GRANT SELECT ON notes TO bob", "with {role} once and without quotes"),
        ("ALTER ROLE {role} SUPERUSER", "with {role} once and without quotes"),
        ("ALTER ROLE {role} WITH SUPERUSER", "with {role} once and without quotes"),
        ("DROP TABLE notes", "with {role} once and without quotes"),
        ("", "with {role} once and without quotes"),
        ("GRANT SELECT ON notes TO {role} WITH GRANT OPTION", "must not be able to pass on"),
        ("GRANT readers TO {role} with admin option", "must not be able to pass on"),
        ("GRANT readers TO {role} WITH INHERIT TRUE, ADMIN TRUE", "must not be able to pass on"),
    ],
)
def test_a_grant_that_could_do_more_is_refused(tmp_path: Path, line: str, why: str) -> None:
    assert why in "\n".join(mistakes(tmp_path, text_of("postgres", grants=f'["{line}"]')))


def test_the_name_of_a_database_is_one_line(tmp_path: Path) -> None:
    said = mistakes(tmp_path, f'{text_of("postgres")}      database: "a\\nb"\n')
    assert "must be a name in the database" in "\n".join(said)
