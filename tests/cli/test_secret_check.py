"""`mcpguard secret check`: each reference for each server, and never a value."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from unittest.mock import Mock

import pytest

from mcpguard.adapters.audit.signing import new_key
from mcpguard.adapters.credentials.broker import Broker
from mcpguard.cli import main
from tests.adapters.credentials.fake_keyring import FakeKeyring
from tests.doctor.scenes import jwt

Capture = pytest.CaptureFixture[str]
CANARY = "canary-0123456789"
SERVERS = """\
version: 1
servers:
  git: {command: git-server, env: {A: "${keyring:git/read}", B: "${credential:made}"}}
  far: {url: "https://api.example/mcp/${env:CHECK_FAR}", headers: {X: "${credential:value}"}}
  host: {url: "https://${env:CHECK_HOST}:8443/mcp"}
  off: {command: x, disabled: true, env: {A: "${env:NOT_SET}"}}
"""
CREDENTIALS = f"""\
credentials:
  made:
    command: {{argv: [printf, '{{"t": "{CANARY}-made", "in": 600}}'], json: {{value: t, expires: in}}}}
    servers: [git]
    principals: ["group:dev", ada]
  value: {{value: "${{env:CHECK_FAR}}", servers: [far, host], hosts: [api.example, x.example], principals: [eve]}}
  kept: {{command: [printf, {CANARY}-kept], servers: [git], cache_seconds: 60}}
"""


@pytest.fixture
def config(tmp_path: Path, backend: FakeKeyring, monkeypatch: pytest.MonkeyPatch) -> Path:
    backend.set_password("mcpguard", "git/read", f"{CANARY}-read")
    monkeypatch.setenv("CHECK_FAR", f"{CANARY}-far")
    monkeypatch.setenv("CHECK_HOST", "x.example")
    path = tmp_path / "mcpguard.yaml"
    path.write_text(SERVERS + CREDENTIALS)
    return path


def checked(config: Path, capsys: Capture, *words: str) -> tuple[int, str]:
    code = main(["secret", "check", "--config", str(config), *words])
    said = capsys.readouterr()
    assert CANARY not in said.out + said.err
    return code, said.out


def test_each_reference_is_told_for_each_server_with_its_binding_and_its_time(
    config: Path, capsys: Capture
) -> None:
    code, said = checked(config, capsys)
    assert re.sub("ends in [0-9]+ s", "ends in N s", said).splitlines() == [
        "ok      credential:kept for git: available (command); it is cached for 60 s",
        "ok      credential:made for git: available (command); it ends in N s; only for calls of "
        "group:dev, ada",
        "ok      keyring:git/read for git: available (keyring); it is cached for 2 s",
        "ok      credential:value for far: available (value); it is read for each use; only api.example, "
        "x.example may receive it; only for calls of eve",
        "ok      env:CHECK_FAR for far: available (env); it is read for each use",
        "ok      credential:value for host: available (value); it is read for each use; only api.example, "
        "[REDACTED:credential:env:CHECK_HOST#1] may receive it; only for calls of eve",
        "ok      env:CHECK_HOST for host: available (env); it is read for each use",
    ]
    assert code == 0


def test_what_cannot_be_had_or_guarded_fails_the_check_and_hides_nothing_else(
    config: Path, backend: FakeKeyring, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    del backend.entries["mcpguard", "git/read"]
    monkeypatch.setenv("CHECK_FAR", "short")
    monkeypatch.setenv("CHECK_HOST", "elsewhere.example")
    code, said = checked(config, capsys, "--json")
    found = {(one["reference"], one["server"]): one for one in json.loads(said)}
    assert code == 1
    assert len(found) == 7
    assert "run `mcpguard secret set git/read`" in found["keyring:git/read", "git"]["said"]
    assert "too short to be distinguished from ordinary text" in found["env:CHECK_FAR", "far"]["said"]
    assert "not bound to the host" in found["credential:value", "host"]["said"]
    assert found["credential:made", "git"]["ok"]
    assert found["credential:made", "git"]["seconds"] == pytest.approx(600, abs=60)
    assert set(found["env:CHECK_HOST", "host"]) == {"reference", "kind", "server", "ok", "seconds", "said"}


def test_a_value_that_no_header_can_have_fails_the_check_where_it_would_stand_in_one(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECK_FAR", f"{CANARY}\r\nfar")
    code, said = checked(config, capsys)
    unfit = "has a character that is not allowed in a header, such as a newline"
    assert code == 1
    assert f"failed  credential:value for far: {unfit}" in said.splitlines()
    assert "ok      credential:made for git" in said


def test_a_host_that_cannot_be_had_fails_what_would_go_there(
    config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHECK_HOST")
    code, said = checked(config, capsys)
    assert code == 1
    assert "failed  credential:value for host: env:CHECK_HOST is not set" in said


def test_a_configuration_without_references_is_fine(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "mcpguard.yaml"
    path.write_text("version: 1\nservers: {a: {command: x}, b: {url: 'https://b.example'}}\n")
    assert checked(path, capsys) == (0, "the configuration has no references\n")


def test_what_mcpguard_itself_uses_is_told_too(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, sink = tmp_path / "audit.key", "{to: 'https://o.example', format: otlp, headers: {X: '${env:OTEL}'}}"
    path = tmp_path / "mcpguard.yaml"
    path.write_text(
        f"version: 1\nservers: {{a: {{command: x}}}}\naudit: {{path: audit, key: '${{file:{key}}}'}}\n"
        f"telemetry: {{sinks: [{sink}]}}\napprovals: {{notify: [desktop, '${{env:CHAT}}']}}\n"
    )
    monkeypatch.setenv("OTEL", f"{CANARY}-otel")
    monkeypatch.setenv("CHAT", f"{CANARY}-chat")
    code, said = checked(path, capsys)
    assert code == 1
    assert said.splitlines() == [
        f"failed  file:{key} for audit.key: does not exist: `mcpguard audit key --new --to {key}` makes a key",
        "ok      env:OTEL for telemetry.sinks.0.headers.X: available (env)",
        "ok      env:CHAT for approvals.notify.1: available (env)",
    ]
    key.write_text("not a key, but long enough")
    key.chmod(0o600)
    code, said = checked(path, capsys)
    assert (code, "that is not a private key" in said) == (1, True)
    key.write_text(new_key())
    assert checked(path, capsys)[0] == 0


def test_a_key_that_no_variable_has_is_to_be_made_and_not_typed_in(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "mcpguard.yaml"
    path.write_text("version: 1\nservers: {a: {command: x}}\naudit: {key: '${env:NO_AUDIT_KEY}'}\n")
    said = "is not set: `mcpguard audit key --new --to FILE` makes a key"
    assert checked(path, capsys) == (1, f"failed  env:NO_AUDIT_KEY for audit.key: {said}\n")


def test_a_broken_configuration_is_told_as_by_every_command(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "mcpguard.yaml"
    path.write_text("version: 2\n")
    assert checked(path, capsys)[0] == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_was_issued_for_a_check_is_ended_when_it_is_told_to_end(
    config: Path, backend: FakeKeyring, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    closed = Mock()
    monkeypatch.setattr(Broker, "get", lambda *_: os.kill(os.getpid(), number))
    monkeypatch.setattr(Broker, "close", closed)
    before = signal.getsignal(number)
    assert main(["secret", "check", "--config", str(config)]) == 128 + number
    closed.assert_called_once()
    assert signal.getsignal(number) == before


def test_a_value_that_says_that_it_has_expired_is_not_available(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    path = tmp_path / "mcpguard.yaml"
    path.write_text(
        "version: 1\nservers: {s: {command: x, env: {A: '${env:A}', B: '${env:B}', C: '${env:C}'}}}\n"
    )
    for name, end in (("A", 1_700_000_000), ("B", 4_000_000_000), ("C", -1e300)):
        monkeypatch.setenv(name, jwt(end))
    code, said = checked(path, capsys)
    assert code == 1
    assert said.splitlines() == [
        "failed  env:A for s: expired at 2023-11-14T22:13:20Z: get a new one from its issuer",
        "ok      env:B for s: available (env); it is read for each use",
        "failed  env:C for s: expired: get a new one from its issuer",
    ]
