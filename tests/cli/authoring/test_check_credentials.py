"""`mcpguard check` on credentials: those that rules choose, and those that stand where they are seen."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mcpguard.cli import main

CONFIG = """\
version: 1
servers:
  git: {{command: sh}}
  far: {{url: "https://api.example/mcp{query}", headers: {{A: b}}}}
  off: {{command: sh, disabled: true}}
credentials:
  write: {{{made}, servers: {servers}, env: {{T: "${{credential:write}}"}}}}
policies: [policy.yaml]
audit: {{path: audit}}
"""
RULES = """\
version: 1
policy: p
owner: o
rules:
  - id: r
    effect: allow
    server: {server}
    tools: [make]
    credential: {credential}
  - {{id: rest, effect: allow, tools: [read]}}
"""


def found(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    server: str = "git",
    credential: str = "write",
    made: str = "value: '${env:CHECK_TOKEN}'",
    query: str = "",
    servers: str = "[git, far]",
) -> dict[str, list[str]]:
    (folder / "mcpguard.yaml").write_text(CONFIG.format(made=made, query=query, servers=servers))
    (folder / "policy.yaml").write_text(RULES.format(server=server, credential=credential))
    main(["check", "--config", str(folder / "mcpguard.yaml"), "--json"])
    said: dict[str, list[str]] = {}
    for one in json.loads(capsys.readouterr().out)["findings"]:
        place = f"{Path(one['file']).name}:{one['line']}"
        said.setdefault(one["code"], []).append(f"{one['level']} {place} {one['message']}")
    return said


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHECK_TOKEN", "tok-9f3Kq7Zx1Lm5Wb8e")
    return tmp_path


def test_a_rule_that_chooses_what_is_there_is_fine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not {"C106", "C107", "C102"} & found(folder, capsys).keys()


def test_a_rule_that_chooses_what_is_not_there_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (said,) = found(folder, capsys, credential="other")["C106"]
    assert said.startswith("error policy.yaml:9 rule r: the configuration has no entry `other`")


def test_a_rule_that_chooses_what_a_server_of_it_has_no_place_for_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (said,) = found(folder, capsys, server="'*'")["C106"]
    assert said.startswith("error policy.yaml:9 rule r: `write` has no `headers`, so the server `far` would")


def test_a_rule_that_chooses_what_a_server_of_it_may_not_have_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (said,) = found(folder, capsys, server="'*'", servers="[git, off]")["C106"]
    assert "`write` is not bound to the server `far`, so such calls to it are refused" in said


def test_a_placeholder_is_for_what_is_there_and_for_the_servers_of_its_rule(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argument = "write\n    argument: {a: [x, 'Bearer {{secret:NAME}}']}"
    good = argument.replace("NAME", "write")
    assert "C106" not in found(folder, capsys, credential=good)
    (said,) = found(folder, capsys, credential=argument.replace("NAME", "other"))["C106"]
    assert said.startswith("error policy.yaml:10 rule r: the configuration has no entry `other`")
    said_of_both = found(folder, capsys, server="'*'", servers="[git, off]", credential=good)["C106"]
    assert sum("`write` is not bound to the server `far`" in said for said in said_of_both) == 2


def test_a_credential_in_the_query_of_a_url_is_a_warning(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (said,) = found(folder, capsys, query="?key=${env:CHECK_TOKEN}&b=${env:CHECK_TOKEN}")["C107"]
    assert said.startswith("warning mcpguard.yaml:4 a credential in the query of a URL ends up in logs")
    assert "C107" not in found(folder, capsys, query="/${env:CHECK_TOKEN}?x=y")


def test_a_credential_that_does_not_fit_in_its_header_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.replace("{{A: b}}", "{{A: 'Bearer ${{env:CHECK_TOKEN}}', B: '${{credential:write}}'}}")
    monkeypatch.setitem(globals(), "CONFIG", config)
    assert "C102" not in found(folder, capsys)
    monkeypatch.setenv("CHECK_TOKEN", "tok-9f3Kq7Zx1Lm5Wb8e\r\n")
    said = "error mcpguard.yaml:4 env:CHECK_TOKEN has a character that is not allowed in a header, such as a newline"
    assert found(folder, capsys)["C102"] == [said, said]


def test_a_source_of_an_entry_that_is_not_there_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (said,) = found(folder, capsys, made="command: [mcpguard-no-such-program, x]")["C102"]
    assert said.startswith("error mcpguard.yaml:7 the command 'mcpguard-no-such-program' was not found")
    assert "C102" not in found(folder, capsys, made="command: {argv: [sh]}")


@pytest.mark.parametrize(
    ("package", "made"),
    [
        ("hvac", "vault: {address: 'https://v.example', token: '${env:CHECK_TOKEN}', path: s/x, field: y}"),
        ("psycopg", "postgres: {admin: '${env:CHECK_TOKEN}', grants: ['GRANT a TO {role}']}"),
    ],
)
def test_a_kind_whose_package_is_not_installed_is_an_error_with_the_command_that_installs_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, package: str, made: str
) -> None:
    assert "C102" not in found(folder, capsys, made=made)
    monkeypatch.setitem(sys.modules, package, None)
    (said,) = found(folder, capsys, made=made)["C102"]
    kind = made.partition(":")[0]
    assert f"a `{kind}` needs the package `{package}`, which is missing: run `" in said
    assert f"{sys.executable} -m pip install 'mcpguard-gateway[{kind}]'`" in said


def test_a_credential_in_plain_text_in_what_makes_one_is_a_warning(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = "ghp" + "_" + "aZ3kQ9xB7mT2" * 3
    (said,) = found(folder, capsys, made=f"command: [sh, -c, echo {token}]")["C103"]
    assert said.startswith("warning mcpguard.yaml:7 looks like a credential in plain text (github-token)")
    assert token not in said


def test_what_a_program_or_a_service_would_give_is_told_as_not_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for made, said in (("command: {argv: [sh]}", True), ("value: '${env:CHECK_TOKEN}'", False)):
        config = CONFIG.format(made=made, query="", servers="[git]")
        config = config.replace("command: sh}", "command: sh, env: {T: '${credential:write}'}}", 1)
        (folder / "mcpguard.yaml").write_text(config)
        (folder / "policy.yaml").write_text(RULES.format(server="git", credential="write"))
        main(["check", "--config", str(folder / "mcpguard.yaml")])
        (line,) = [one for one in capsys.readouterr().out.splitlines() if "git can be started" in one]
        checks = f"`mcpguard secret check --config {folder / 'mcpguard.yaml'}`"
        assert line.endswith(f" (not requested; {checks} does that)") == said
