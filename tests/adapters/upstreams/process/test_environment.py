"""What an upstream gets to see of the world."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpguard.adapters.upstreams.process.environment import Environment
from mcpguard.adapters.upstreams.process.inherited import executable, not_startable
from mcpguard.adapters.upstreams.supply import CredentialSupply
from mcpguard.core.errors import CredentialError
from mcpguard.core.secret import parse_template
from tests.adapters.credentials.fake_credentials import FakeCredentials, program

pytestmark = pytest.mark.anyio


NAME = "safe.bareRepository"


async def resolve(env: dict[str, str], credentials: FakeCredentials) -> dict[str, str]:
    templates = {name: parse_template(text) for name, text in env.items()}
    return await Environment(templates, CredentialSupply(credentials, program())).resolve()


async def test_an_upstream_gets_the_allow_list_its_own_settings_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for you")
    monkeypatch.setenv("PATH", "/bin")
    env = await resolve({"MODE": "plain"}, FakeCredentials())
    assert env["MODE"] == "plain"
    assert env["PATH"] == "/bin"
    assert "AWS_SECRET_ACCESS_KEY" not in env


async def test_it_reaches_the_network_as_the_machine_does(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "no_proxy": "localhost,.example",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "NODE_EXTRA_CA_CERTS": "/etc/ca.pem",
        "XDG_CACHE_HOME": "/var/cache/ada",
    }
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    env = await resolve({}, FakeCredentials())
    assert {name: env[name] for name in ours} == ours


@pytest.mark.parametrize(
    "address", ["http://ada:pass@proxy.example:3128", "ada@proxy.example", "ada:p@w@proxy"]
)
async def test_a_proxy_with_a_credential_is_only_for_servers_that_name_it(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", address)
    assert "ALL_PROXY" not in await resolve({}, FakeCredentials())
    named = await resolve({"ALL_PROXY": "${env:ALL_PROXY}"}, FakeCredentials(ALL_PROXY=address))
    assert named["ALL_PROXY"] == address


@pytest.mark.parametrize(
    ("own", "added"),
    [
        ({}, {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": NAME, "GIT_CONFIG_VALUE_0": "explicit"}),
        (
            {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "ada"},
            {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_1": NAME, "GIT_CONFIG_VALUE_1": "explicit"},
        ),
        ({"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": NAME.upper(), "GIT_CONFIG_VALUE_0": "all"}, {}),
        ({"GIT_CONFIG_COUNT": "many"}, {}),
    ],
)
async def test_git_takes_a_folder_for_a_bare_repository_only_where_it_is_told_to(
    own: dict[str, str], added: dict[str, str]
) -> None:
    env = await resolve(own, FakeCredentials())
    assert {name: value for name, value in env.items() if name.startswith("GIT_CONFIG")} == {**own, **added}


async def test_a_reference_is_filled_in_for_the_upstream_that_it_is_for() -> None:
    credentials = FakeCredentials(A="value-a", B="value-b")
    env = await resolve({"AUTH": "Bearer ${env:A}-${credential:B}!"}, credentials)
    assert env["AUTH"] == "Bearer value-a-value-b!"
    assert credentials.asked == [("env:A", program()), ("credential:B", program())]


async def test_a_missing_credential_names_its_reference() -> None:
    with pytest.raises(CredentialError, match="env:C is not among"):
        await resolve({"X": "${env:C}"}, FakeCredentials())


async def test_a_zero_byte_is_refused() -> None:
    with pytest.raises(CredentialError, match="zero byte"):
        await resolve({"X": "${env:Z}"}, FakeCredentials(Z="a\0b"))


def test_a_command_with_a_folder_is_looked_up_where_it_will_run(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "server"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    assert executable("bin/server", None, str(tmp_path)) == str(program)
    assert executable(str(program), None, "/") == str(program)
    assert executable("server", str(program.parent), str(tmp_path)) == str(program)
    assert executable("bin/other", None, str(tmp_path)) is None


def test_a_program_that_is_there_and_not_executable_is_told_from_one_that_is_not_there(
    tmp_path: Path,
) -> None:
    script = tmp_path / "server"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o600)
    said = f"the command '{script}' is not executable; `chmod +x` it"
    assert not_startable(str(script), None, None) == said
    for command, path, cwd in (
        ("./server", None, str(tmp_path)),
        ("server", str(tmp_path), None),
    ):
        assert executable(command, path, cwd) is None
        said = not_startable(command, path, cwd)
        assert said.startswith(f"the command '{command}' is {tmp_path}/")
        assert "which is not executable; `chmod +x` it" in said
    assert "was not found" in not_startable("server", str(tmp_path / "bin"), None)
