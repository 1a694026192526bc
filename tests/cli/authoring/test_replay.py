"""`mcpguard replay`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcpguard.cli import main
from mcpguard.config.loading import evidence_folder
from mcpguard.config.policies import builtin_read_only
from tests.authoring.replay.test_replaying import call, chain, redacted, refused, rules

HOME = rules("{id: all, effect: allow, tools: [echo]}").digest
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MCPGUARD_CONFIG", str(tmp_path / "mcpguard.yaml"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules: [{id: all, effect: allow, tools: [echo]}]\n"
    )
    (tmp_path / "mcpguard.yaml").write_text(
        "version: 1\nservers: {git: {command: x}}\npolicies: [p.yaml]\naudit: {path: audit}\n"
    )
    return tmp_path


def test_what_wrap_recorded_is_replayed_without_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.delenv("MCPGUARD_CONFIG", raising=False)
    for name in ("STATE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path))
    chain(evidence_folder(None), call(1, policy_digest=builtin_read_only().digest))
    assert main(["replay"]) == 0
    said = capsys.readouterr()
    assert said.err == (
        "note: there is no configuration, so recorded calls are replayed under the policy of `mcpguard "
        "wrap`\n"
    )
    assert "0 of 1 decision on record would change" in said.out
    (tmp_path / "p.yaml").write_text("version: 1\npolicy: p\nrules: [{id: no, effect: deny}]\n")
    assert main(["replay", "--policy", str(tmp_path / "p.yaml")]) == 0
    assert capsys.readouterr().err == ""


def test_a_loosened_decision_is_shown_and_is_exit_code_1(home: Path, capsys: Capture) -> None:
    then = {"policy_digest": HOME}
    chain(home / "audit", call(1, **then), refused(2, tool="rm"), call(3, tool="push", **then))
    assert main(["replay", "--config", "mcpguard.yaml"]) == 0
    assert "TIGHTENED: less would be let through\n" in capsys.readouterr().out
    (home / "new.yaml").write_text("version: 1\npolicy: p\nrules: [{id: all, effect: allow, label: [x]}]\n")
    assert main(["replay", "--policy", "new.yaml"]) == 1
    said = capsys.readouterr().out
    assert said.startswith(
        "LOOSENED: more would be let through\nCALLS  WHAT    ON RECORD     WOULD BE     LAST CALLS\n"
    )
    assert "1      git/rm  deny no-rule  allow p/all  c-2\n" in said
    assert said.endswith("1 loosened, 2 tightened; 0 stay the same\n")


def test_what_cannot_be_said_is_exit_code_1_only_where_that_is_wanted(home: Path, capsys: Capture) -> None:
    audit = home / "audit"
    chain(audit, redacted(1), redacted(2, tool="push"))
    (home / "new.yaml").write_text(
        "version: 1\npolicy: p\nrules: [{id: all, effect: allow, when: 'args.token != \"x\"'}]\n"
    )
    assert main(["replay", "--policy", "new.yaml", "--audit", str(audit)]) == 0
    said = capsys.readouterr()
    why = "its arguments were redacted, or are not on record (read by p/all)"
    assert said.out.startswith(f"CANNOT BE DETERMINED: {why}")
    assert "\nCALLS  WHAT      LAST CALLS\n1      git/" in said.out
    warned = "2 decisions may be less strict than before; `--strict` makes that exit code 1"
    assert said.err == f"mcpguard: {warned}\n"
    assert main(["replay", "--policy", "new.yaml", "--strict"]) == 1
    assert warned not in capsys.readouterr().err


def test_an_altered_chain_is_named_and_is_exit_code_1(home: Path, capsys: Capture) -> None:
    file = chain(home / "audit", call(1, policy_digest=HOME))
    file.write_bytes(file.read_bytes().replace(b'"id":"c-1"', b'"id":"c-2"'))
    assert main(["replay", "--since", "2099-01-01"]) == 1
    said = capsys.readouterr()
    assert (
        f"mcpguard: {file.name} was altered, or written by a newer mcpguard, so it is not replayed"
        in said.err
    )
    assert "1 cannot be determined" in said.out


def test_a_configuration_that_only_observes_loosens_until_its_day(home: Path, capsys: Capture) -> None:
    chain(home / "audit", refused(1, tool="rm", policy_digest=HOME))
    written = (home / "mcpguard.yaml").read_text()
    for days, code in ((3, 1), (-3, 0)):
        until = (datetime.now(UTC) + timedelta(days=days)).date()
        (home / "new.yaml").write_text(f"{written}observe: {{until: {until}, servers: [git]}}\n")
        assert main(["replay", "--config", "new.yaml"]) == code
        assert (f"{code} loosened") in capsys.readouterr().out


def test_policies_of_now_that_do_not_load_are_not_needed(home: Path) -> None:
    chain(home / "audit", call(1))
    (home / "new.yaml").write_text("version: 1\npolicy: p\nrules: [{id: all, effect: allow}]\n")
    (home / "p.yaml").write_text("version: 1\n")
    assert main(["replay", "--policy", "new.yaml"]) == 0
    assert main(["replay"]) == 2


def test_since_is_a_date_or_how_long_ago(home: Path, capsys: Capture) -> None:
    now = datetime.now(UTC)
    chain(home / "audit", call(1, at=now - timedelta(days=2)), call(2, at=now - timedelta(hours=1)))
    for since, found in (
        ("3d", 2),
        ("1d", 1),
        ("2w", 2),
        ("90m", 1),
        ("2000-01-01", 2),
        (now.isoformat(), 0),
    ):
        capsys.readouterr()
        assert main(["replay", "--since", since, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["decisions"] == found
    assert main(["replay", "--since", "yesterday"]) == 2


@pytest.mark.parametrize("name", ["audit", "audit/a.jsonl", "b.jsonl.gz"])
def test_evidence_among_the_policies_is_told_how_to_name_it(home: Path, capsys: Capture, name: str) -> None:
    (home / "audit").mkdir()
    assert main(["replay", "--policy", str(home / "p.yaml"), str(home / name)]) == 2
    said = f"{home / name} is not a policy: evidence is named with `--audit {home / name}`"
    assert said in capsys.readouterr().err


def test_without_evidence_it_says_where_it_looked(home: Path, capsys: Capture) -> None:
    assert main(["replay"]) == 2
    assert f"no audit log at {home / 'audit'}" in capsys.readouterr().err


def test_another_credential_is_exit_code_1(home: Path, capsys: Capture) -> None:
    chain(home / "audit", call(1, policy_digest=HOME))
    (home / "new.yaml").write_text(
        "version: 1\npolicy: p\nrules: [{id: all, effect: allow, credential: hi}]\n"
    )
    assert main(["replay", "--policy", "new.yaml"]) == 1
    said = capsys.readouterr().out
    assert "ANOTHER CREDENTIAL\n" in said
    assert (
        "1 of 1 decision on record would change: 0 loosened, 0 tightened, 1 with another credential" in said
    )


def test_a_param_without_a_value_is_said_to_be_why_calls_would_be_refused(
    home: Path, capsys: Capture
) -> None:
    chain(home / "audit", call(1, policy_digest=HOME))
    (home / "new.yaml").write_text(
        "version: 1\npolicy: new\nparams: {who: {type: string}}\n"
        "rules: [{id: all, effect: allow, tools: [echo], when: args.name == params.who}]\n"
    )
    assert main(["replay", "--policy", "new.yaml"]) == 0
    assert (
        "note: `params.who` has no value here, so calls that depend on it would be refused: a configuration "
        "that gives it one can be replayed with --config\n"
    ) in capsys.readouterr().out
