"""A password in the address of a database becomes a variable, where the server takes it from there."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mcpguard.onboarding.discovery.entry import Entry, NotMoved
from mcpguard.onboarding.discovery.plaintext import secrets_of
from mcpguard.onboarding.discovery.programs import environment_of

PACKAGE = ("-y", "@modelcontextprotocol/server-postgres")


def entry(*args: str, **env: str) -> Entry:
    found = Entry(name="pg", where=("mcpServers", "pg"), line=1, command="npx", args=args, env=env)
    return replace(found, secrets=secrets_of(found))


def test_a_password_in_the_address_of_a_database_becomes_a_variable() -> None:
    words, env = environment_of(
        entry(*PACKAGE, "postgresql://app:hunter%2F2pass@db.example.com:5432/app?x=1")
    )
    assert words == [*PACKAGE, "postgresql://app@db.example.com:5432/app?x=1"]
    assert {name: text.parts for name, text in env.items()} == {"PGPASSWORD": (("hunter/2pass", True),)}


def test_a_password_that_is_a_variable_already_must_be_the_same() -> None:
    with pytest.raises(NotMoved, match="has PGPASSWORD twice with different values"):
        environment_of(entry(*PACKAGE, "postgresql://app:hunter2pass@db/app", PGPASSWORD="another-one"))


@pytest.mark.parametrize(
    ("package", "address"),
    [
        ("another-server", "postgresql://app:hunter2pass@db.example.com/app"),
        (PACKAGE[1], "postgresql://app:hunter2pass@db.example.com/app?sslpassword=hunter3pass"),
        (PACKAGE[1], "ghp_9aB3kQx7Lm2Zt8Wv5Rn1Yc6Ud4Fs0HgJpTeO"),
    ],
)
def test_a_server_with_another_secret_in_its_arguments_stays(package: str, address: str) -> None:
    with pytest.raises(NotMoved, match="which every process on this machine can read"):
        environment_of(entry("-y", package, address))
