"""The kinds whose value a service mints keep the contract: a real PostgreSQL, and stand-ins that speak the
published HTTP API of Vault and GitHub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mcpguard.config.minted import AppRoleEntry, GithubAppEntry, PostgresEntry, VaultAuth, VaultEntry
from tests.adapters.credentials.fake_credentials import FakeSource
from tests.adapters.credentials.mint_contract import CONTRACT, MintSetting
from tests.adapters.credentials.test_postgres import ADMIN_PASSWORD, GRANTS, SETUP, Setting
from tests.database import Database, database, installed
from tests.servers.answering import Reply, serving
from tests.servers.github import CLIENT_ID, INSTALLATION, FakeGithub, pem, private_key
from tests.servers.vault import ROLE_ID, SECRET_ID, TOKEN, FakeVault

Promise = Callable[[MintSetting], None]
EACH = pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@EACH
@pytest.mark.parametrize("version", [1, 2])
def test_a_stored_secret_of_vault_keeps_the_contract(
    promise: Promise, version: int, stack: ExitStack
) -> None:
    vault = FakeVault()
    path = "secret/data/x" if version == 2 else "secret/x"
    vault.kept[path] = (version, {"token": "first-value"})
    address = stack.enter_context(serving(vault))
    entry = VaultEntry(address=address, path="secret/x", field="token", version=version, token="${env:token}")  # type: ignore[arg-type]
    promise(
        MintSetting(
            "vault",
            entry,
            asked=lambda: len(vault.asked),
            rotate=lambda: vault.kept.update({path: (version, {"token": "second-value"})}),
            fail=lambda: setattr(vault, "sealed", True),
            mend=lambda: setattr(vault, "sealed", False),
            sources={"env": FakeSource(token=TOKEN)},
        )
    )


@EACH
@pytest.mark.parametrize("login", [False, True])
def test_a_dynamic_secret_of_vault_keeps_the_contract(
    promise: Promise, login: bool, stack: ExitStack
) -> None:
    vault = FakeVault()
    address = stack.enter_context(serving(vault))
    way = (
        {"auth": VaultAuth(approle=AppRoleEntry(role_id=ROLE_ID, secret_id="${env:secret_id}"))}
        if login
        else {"token": "${env:token}"}
    )
    value = "postgresql://{username}:{password}@db/app"
    promise(
        MintSetting(
            "vault",
            VaultEntry(address=address, path="database/creds/reader", value=value, **way),  # type: ignore[arg-type]
            asked=lambda: sum(asked.method == "GET" for asked in vault.asked),
            rotate=lambda: None,
            fail=lambda: setattr(vault, "sealed", True),
            mend=lambda: setattr(vault, "sealed", False),
            issued=lambda: len(vault.leases) + len(vault.tokens - {TOKEN}),
            sources={"env": FakeSource(token=TOKEN, secret_id=SECRET_ID)},
        )
    )


@EACH
def test_a_github_app_keeps_the_contract(promise: Promise, stack: ExitStack) -> None:
    github = FakeGithub(private_key().public_key())
    url = stack.enter_context(serving(github))
    entry = GithubAppEntry(
        private_key="${env:key}",
        permissions={"contents": "read"},
        client_id=CLIENT_ID,
        installation_id=INSTALLATION,
        repositories=("app",),
        api_url=url,
    )
    promise(
        MintSetting(
            "github_app",
            entry,
            asked=lambda: len(github.asked),
            rotate=lambda: None,
            fail=lambda: setattr(github, "override", Reply(503, {"token": "ghs_canary"})),
            mend=lambda: setattr(github, "override", None),
            issued=lambda: len(github.tokens),
            sources={"env": FakeSource(key=pem(private_key()))},
        )
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    if not installed():
        pytest.skip("PostgreSQL is not installed")
    with database() as running:
        running.run(SETUP)
        yield running


@EACH
def test_a_role_of_postgresql_keeps_the_contract(promise: Promise, server: Database, tmp_path: Path) -> None:
    setting = Setting(server, tmp_path)
    source = FakeSource(admin=server.url("minter", ADMIN_PASSWORD))
    gone = source.values["admin"].replace(f":{server.port}/", ":1/")
    promise(
        MintSetting(
            "postgres",
            PostgresEntry(admin="${env:admin}", grants=GRANTS, timeout_seconds=20),
            asked=lambda: len(setting.roles()),
            rotate=lambda: None,
            fail=lambda: source.values.update(admin=gone),
            mend=lambda: source.values.update(admin=server.url("minter", ADMIN_PASSWORD)),
            issued=lambda: len(setting.roles()),
            sources={"env": source},
        )
    )
    for role in setting.roles():
        setting.drop(role)
