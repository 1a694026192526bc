"""`mcpguard check`: all that is wrong at once, each at its place, and never a value."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from keyring.errors import KeyringLocked

from mcpguard.authoring.check import configuration
from mcpguard.cli import main
from tests.adapters.credentials.fake_keyring import FakeKeyring

Capture = pytest.CaptureFixture[str]
Remarks = Callable[..., tuple[int, list[str]]]
PLAIN_TOKEN = "ghp" + "_" + "aZ3kQ9xB7mT2" * 3
ALLOW = "version: 1\npolicy: p\nowner: me\nrules:\n  - {id: all, effect: allow}\n"
PYTHON = json.dumps(sys.executable)
SERVER = f"{{command: {PYTHON}}}"


pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(ALLOW)
    return tmp_path


@pytest.fixture
def remarks(folder: Path, capsys: Capture) -> Remarks:
    """Checks a configuration with these servers; gives the exit code and what is wrong, without codes."""

    def check(servers: str, policies: str = "[p.yaml]", audit: str = "audit") -> tuple[int, list[str]]:
        text = f"version: 1\nservers: {servers}\npolicies: {policies}\naudit: {{path: {audit}}}\n"
        (folder / "mcpguard.yaml").write_text(text)
        code = main(["check", "--config", "mcpguard.yaml"])
        said = re.sub(r"^note .*\n(?:   .*\n)*", "", capsys.readouterr().out, flags=re.MULTILINE)
        lines = re.sub(r" \[[CP]\d{3}\]$", "", said, flags=re.MULTILINE).splitlines()
        return code, [line for line in lines[:-1] if not line.startswith("ok ")]

    return check


def test_a_good_configuration_is_zero_and_says_what_was_looked_at(folder: Path, capsys: Capture) -> None:
    (folder / "mcpguard.yaml").write_text(
        f"version: 1\nservers:\n  git: {SERVER}\npolicies: [p.yaml]\naudit: {{path: audit}}\n"
    )
    assert main(["check", "--config", "mcpguard.yaml"]) == 0
    assert capsys.readouterr().out == (
        "ok       mcpguard.yaml: the configuration is well-formed\n"
        "ok       p.yaml: policy p: 1 rule\n"
        "ok       mcpguard.yaml:3:8: git can be started\n"
        "ok       audit: evidence can be written\n"
        "all fine\n"
    )


def test_a_broken_configuration_is_all_that_can_be_told(folder: Path, capsys: Capture) -> None:
    (folder / "mcpguard.yaml").write_text("version: 2\nservers: {}\npolicies: [missing.yaml]\nsurprise: 1\n")
    assert main(["check", "--config", "mcpguard.yaml"]) == 1
    said = capsys.readouterr().out
    assert "error    mcpguard.yaml:1:10: expected 1: this mcpguard reads version 1 [C001]\n" in said
    assert "error    mcpguard.yaml:4:1: unknown key `surprise`" in said
    assert "\n           surprise: …\n           ^\n" in said
    assert "missing.yaml" not in said.replace("policies: [missing.yaml]", "")
    assert "error    mcpguard.yaml:2:10: at least one server is needed [C001]\n" in said
    assert said.endswith("3 errors\n")


def test_a_configuration_that_is_not_there(folder: Path, capsys: Capture) -> None:
    assert main(["check", "--config", "none.yaml"]) == 1
    said = capsys.readouterr().out
    assert f"error    none.yaml: does not exist in {folder}: create it with `mcpguard import --config" in said


def test_policies_credentials_servers_and_evidence_are_told_together(folder: Path, remarks: Remarks) -> None:
    (folder / "bad.yaml").write_text(
        "version: 1\npolicy: b\nrules:\n  - {id: x, effect: allow, when: nobody}\n"
    )
    code, lines = remarks(
        f'{{a: {{command: no-such-command}}, b: {{command: {PYTHON}, env: {{T: "${{keyring:t/u}}"}}}}}}',
        "[bad.yaml, gone.yaml]",
        "mcpguard.yaml/audit",
    )
    assert code == 1
    said = "\n".join(lines)
    assert "error    bad.yaml:4:34: undeclared reference to 'nobody'\n" in said
    assert "error    mcpguard.yaml:3:22: gone.yaml: there is no such file" in said
    assert "error    mcpguard.yaml:2:24: the command 'no-such-command' was not found" in said
    assert "keyring:t/u is not in the keychain: run `mcpguard secret set t/u`" in said
    assert lines[-1] == "error    mcpguard.yaml/audit: the audit folder cannot be used: Not a directory"


def test_json_has_the_same_remarks(folder: Path, capsys: Capture) -> None:
    (folder / "mcpguard.yaml").write_text(
        f"version: 1\nservers: {{git: {SERVER}, off: {{command: x, disabled: true}}}}\n"
        "policies: [p.yaml, gone.yaml]\naudit: {path: audit}\n"
    )
    assert main(["check", "--config", "mcpguard.yaml", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    keys = {"level", "code", "where", "file", "line", "column", "message", "machine"}
    assert all(set(one) == keys for one in answer["findings"])
    assert [one["code"] for one in answer["findings"]] == ["", "", "P001", "", "C003", ""]
    assert [one["level"] for one in answer["findings"]] == ["ok", "ok", "error", "ok", "note", "ok"]
    assert answer["findings"][2]["where"] == "mcpguard.yaml:3:20"


def test_warnings_alone_are_zero(remarks: Remarks) -> None:
    assert remarks(f"{{git: {SERVER}}}", "[]") == (
        0,
        ["warning  mcpguard.yaml:3:11: there are no `policies`, so every call is refused"],
    )


def test_two_policies_of_one_name_are_an_error(folder: Path, remarks: Remarks) -> None:
    (folder / "q.yaml").write_text(ALLOW)
    code, lines = remarks(f"{{git: {SERVER}}}", "[p.yaml, q.yaml]")
    assert code == 1
    assert lines[0] == f"error    q.yaml:2:9: `p` is the name of {folder}/p.yaml too"


def test_a_policy_without_rules_is_an_error(folder: Path, remarks: Remarks) -> None:
    (folder / "p.yaml").write_text("version: 1\npolicy: p\nrules: []\n")
    code, lines = remarks(f"{{git: {SERVER}}}")
    assert code == 1
    assert lines[0] == "error    p.yaml:3:8: a policy needs at least one rule"


def test_a_server_without_a_rule_and_a_rule_without_a_server_are_warnings(
    folder: Path, remarks: Remarks
) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules:\n"
        "  - {id: typo, effect: deny, server: [gti, gtihub]}\n"
        "  - {id: good, effect: allow, server: ['m*', off]}\n"
    )
    code, lines = remarks(f"{{git: {SERVER}, mail: {SERVER}, off: {{command: x, disabled: true}}}}")
    assert code == 0
    lines = [line for line in lines if not line.startswith(" ")]
    assert lines[:2] == [
        "warning  p.yaml:4:38: rule typo: no server of this configuration matches",
        "warning  mcpguard.yaml:2:16: no rule mentions git, so every call to it is refused",
    ]
    assert len(lines) == 2


def test_a_rule_that_asks_about_what_nobody_is_asked_is_a_warning(folder: Path, remarks: Remarks) -> None:
    rules = "{id: tools, effect: ask}, {id: all, effect: ask, action: [roots/list]}"
    (folder / "p.yaml").write_text(f"version: 1\npolicy: p\nrules: [{rules}]\n")
    code, lines = remarks(f"{{git: {SERVER}}}")
    assert code == 0
    assert lines[0].startswith("warning  p.yaml:3:")
    assert "rule all: nobody is asked about roots/list" in lines[0]


def test_a_broken_constant_pattern_is_an_error_at_the_pattern(folder: Path, remarks: Remarks) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules:\n  - id: r\n    effect: allow\n"
        "    when: server.matches(r'^a\\d+$') || server.matches(\"(\") || server.matches('b')\n"
    )
    code, lines = remarks(f"{{git: {SERVER}}}")
    assert code == 1
    assert lines[0].startswith("error    p.yaml:6:55: this is not a regular expression (RE2)")


def test_a_command_is_looked_for_in_the_path_of_its_server(folder: Path, remarks: Remarks) -> None:
    tool = folder / "bin" / "own-server"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o700)
    assert remarks(f"{{git: {{command: own-server, env: {{PATH: {tool.parent}}}}}}}") == (0, [])
    code, lines = remarks("{git: {command: own-server}}")
    assert code == 1
    assert "'own-server' was not found" in lines[0]


def test_a_working_folder_must_exist(folder: Path, remarks: Remarks) -> None:
    code, lines = remarks(f"{{git: {{command: {PYTHON}, cwd: gone}}}}")
    assert (code, lines) == (
        1,
        [f"error    mcpguard.yaml:2:{len(PYTHON) + 33}: {folder}/gone is not a folder"],
    )


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("${env:CHECK_TOKEN}", "env:CHECK_TOKEN is not set"),
        ("${file:/no/such/file}", "file:/no/such/file does not exist"),
        ("${keyring:short}", "keyring:short"),
    ],
)
def test_a_credential_that_could_not_be_injected_is_named(
    remarks: Remarks, backend: FakeKeyring, reference: str, said: str
) -> None:
    backend.entries["mcpguard", "short"] = "hh22"
    code, lines = remarks(f'{{git: {{command: {PYTHON}, env: {{A: "{reference}"}}}}}}')
    assert code == 1
    assert len(lines) == 1
    assert said in lines[0]
    assert "hh22" not in lines[0]


def test_credentials_that_are_there_are_named_and_not_shown(
    folder: Path, backend: FakeKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    backend.entries["mcpguard", "git/read"] = "hunter2-keyring"
    monkeypatch.setenv("CHECK_TOKEN", "hunter2-environment")
    (folder / "mcpguard.yaml").write_text(
        f"version: 1\nservers:\n  git:\n    command: {PYTHON}\n    args: [hunter2-environment]\n"
        '    env: {A: "${keyring:git/read}", B: "Bearer ${env:CHECK_TOKEN}"}\n'
        "policies: [p.yaml]\naudit: {path: audit}\n"
    )
    for words in ([], ["--json"]):
        assert main(["check", "--config", "mcpguard.yaml", *words]) == 0
        said = capsys.readouterr()
        assert "git can be started, with env:CHECK_TOKEN, keyring:git/read" in said.out
        assert "hunter2" not in said.out + said.err


@pytest.mark.parametrize(
    ("error", "code"), [(None, 0), (RuntimeError("no keychain"), 1), (KeyringLocked("locked"), 1)]
)
def test_a_login_that_no_keychain_could_give_is_named(
    folder: Path, backend: FakeKeyring, capsys: Capture, error: Exception | None, code: int
) -> None:
    backend.error = error
    (folder / "mcpguard.yaml").write_text(
        "version: 1\nservers:\n  far:\n    url: https://mcp.example/mcp\n"
        '    headers: {Authorization: "Bearer ${credential:far}"}\n'
        "credentials: {far: {oauth: {}, servers: [far]}}\n"
        "policies: [p.yaml]\naudit: {path: audit}\n"
    )
    assert main(["check", "--config", "mcpguard.yaml"]) == code
    said = capsys.readouterr().out
    assert ("the login of credential:far cannot be read: " in said) == bool(code)
    assert ("ok" in said.split() and "far is well configured" in said) != bool(code)


def test_a_plain_credential_is_a_warning_that_does_not_show_it(remarks: Remarks) -> None:
    code, lines = remarks(
        f"{{git: {{command: {PYTHON}, args: [--key, {PLAIN_TOKEN}], env: {{TOKEN: {PLAIN_TOKEN}}}}}}}"
    )
    assert code == 0
    assert [line.partition(": ")[2] for line in lines] == [
        "looks like a credential in plain text (github-token): `mcpguard secret set git/TOKEN` and refer to it "
        "as ${keyring:git/TOKEN}",
        "looks like a credential in plain text (github-token), which every process on this machine can "
        "read: pass it to the server in a variable",
    ]
    assert PLAIN_TOKEN not in "".join(lines)


@pytest.mark.parametrize(
    ("entry", "how", "name"),
    [
        ("command: sh, env: {GITHUB_TOKEN: hunter2secretvalue99}", "by its name", "git/GITHUB_TOKEN"),
        ("command: sh, env: {URL: 'postgres://u:hunter2pw@h/d'}", "url-password", "git/URL"),
        ("url: 'https://h.example/mcp?token=hunter2secretvalue99'", "url", "git/url"),
        ("url: 'https://h.example/mcp', headers: {X-Api-Key: hunter2secret}", "by its name", "git/X-Api-Key"),
        ("command: sh, args: [--password, hunter2secret]", "by its name", ""),
    ],
)
def test_a_plain_credential_is_also_known_by_its_name(
    entry: str, how: str, name: str, remarks: Remarks
) -> None:
    code, lines = remarks(f"{{git: {{{entry}}}}}")
    (said,) = [line for line in lines if "C103" in line or "looks like a credential" in line]
    assert f"looks like a credential in plain text ({how})" in said
    assert (f"`mcpguard secret set {name}`" in said) == bool(name)
    assert code == 0
    assert "hunter2" not in "".join(lines)


def test_a_credential_in_any_other_place_is_not_shown_either(folder: Path, remarks: Remarks) -> None:
    (folder / "p.yaml").write_text(
        f"version: 1\npolicy: p\nrules:\n  - {{id: x, effect: allow, when: 'nobody == \"{PLAIN_TOKEN}\"'}}\n"
    )
    code, lines = remarks(f"{{git: {{command: {PLAIN_TOKEN}}}}}")
    said = "\n".join(lines)
    assert code == 1
    assert "undeclared reference to 'nobody'" in said
    assert "was not found" in said
    assert said.count("[REDACTED:credential:command#1]") == 2
    assert "mcpguard.yaml:2:26: looks like a credential in plain text (github-token), which every" in said
    assert PLAIN_TOKEN not in said


def test_disabled_servers_need_nothing(folder: Path, remarks: Remarks, capsys: Capture) -> None:
    off = '{command: no-such-command, env: {A: "${env:NOT_SET}"}, disabled: true}'
    assert remarks(f"{{git: {off}, on: {SERVER}}}") == (0, [])
    assert main(["check", "--config", str(folder / "mcpguard.yaml")]) == 0
    assert "mcpguard.yaml:2:16: git is disabled: it is not served [C003]\n" in capsys.readouterr().out


def test_the_audit_folder_is_tried_and_left_as_it_was(folder: Path, remarks: Remarks) -> None:
    assert remarks(f"{{git: {SERVER}}}", audit="state/deep/audit") == (0, [])
    assert not (folder / "state").exists()
    (folder / "audit").mkdir()
    assert remarks(f"{{git: {SERVER}}}") == (0, [])
    assert os.listdir(folder / "audit") == []


def test_a_full_disk_is_found_out(folder: Path, remarks: Remarks) -> None:
    import resource
    import signal

    before, heard = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    (folder / "audit").mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        said = audit_remark(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heard)
    assert said == ("error", "the audit folder cannot be used: File too large")
    assert os.listdir(folder / "audit") == []


def audit_remark(folder: Path) -> tuple[str, str]:
    """What is said of the audit folder, by itself: a limit on files holds for pytest's own as well."""
    from types import SimpleNamespace

    config = SimpleNamespace(audit=SimpleNamespace(path=folder / "audit"))
    one = configuration._evidence(config)  # type: ignore[arg-type]
    return one.severity, one.message


def test_the_default_audit_folder_is_the_users_state_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    (folder / "mcpguard.yaml").write_text(f"version: 1\nservers: {{git: {SERVER}}}\npolicies: [p.yaml]\n")
    assert main(["check", "--config", "mcpguard.yaml"]) == 0
    assert "ok       state/mcpguard/audit: evidence can be written\n" in capsys.readouterr().out
    assert not (folder / "state").exists()


def test_evidence_that_cannot_be_continued_is_an_error(
    folder: Path, remarks: Remarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    listdir = os.listdir

    def unreadable(path: str | Path) -> list[str]:
        if Path(path).name == "audit":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", unreadable)
    (folder / "audit").mkdir()
    assert remarks(f"{{git: {SERVER}}}") == (
        1,
        ["error    audit: the audit folder cannot be used: Permission denied"],
    )


def test_what_an_author_wrote_cannot_steer_the_terminal(folder: Path, remarks: Remarks) -> None:
    code, lines = remarks('{git: {command: "no\\e[2Jcommand"}}')
    assert code == 1
    assert "no\\x1b[2Jcommand" in lines[0]


def test_a_remote_server_needs_its_credentials_and_no_command(remarks: Remarks) -> None:
    headers = "{Authorization: 'Bearer ${keyring:linear/token}'}"
    code, lines = remarks(f"{{linear: {{url: 'https://mcp.linear.app/mcp', headers: {headers}}}}}")
    assert code == 1
    assert len(lines) == 1
    assert "keyring:linear/token" in lines[0]


def test_a_credential_in_plain_text_in_a_header_is_found(remarks: Remarks) -> None:
    headers = f"{{Authorization: 'Bearer {PLAIN_TOKEN}'}}"
    code, lines = remarks(f"{{linear: {{url: 'https://mcp.linear.app/mcp', headers: {headers}}}}}")
    assert code == 0
    assert len(lines) == 1
    assert "looks like a credential in plain text" in lines[0]
    assert PLAIN_TOKEN not in lines[0]


WILD = "version: 1\npolicy: p\nowner: me\nrules:\n  - {id: all, effect: allow, action: ['*']}\n"


def write(folder: Path, policy: str = ALLOW, server: str = SERVER) -> None:
    (folder / "p.yaml").write_text(policy)
    (folder / "mcpguard.yaml").write_text(
        f"version: 1\nservers: {{git: {server}}}\npolicies: [p.yaml]\naudit: {{path: audit}}\n"
    )


def test_what_lints_find_has_its_place_its_code_and_its_line(folder: Path, capsys: Capture) -> None:
    write(folder, WILD)
    assert main(["check", "--config", "mcpguard.yaml"]) == 0
    said = capsys.readouterr().out
    assert "warning  p.yaml:5:38: rule all: `*` also allows" in said
    assert (
        "name the intended actions [P504]\n             - {id: all, effect: allow, action: ['*']}\n" in said
    )
    assert said.endswith("1 warning\n")


def test_strict_makes_warnings_a_no_but_not_notes(folder: Path, capsys: Capture) -> None:
    write(folder, WILD)
    assert main(["check", "--config", "mcpguard.yaml", "--strict"]) == 1
    write(folder, ALLOW.replace("owner: me\n", ""))
    assert main(["check", "--config", "mcpguard.yaml", "--strict"]) == 0
    assert capsys.readouterr().out.endswith("1 note\n")


def test_sarif_names_a_rule_for_each_code_and_places_relative_to_the_folder(
    folder: Path, capsys: Capture
) -> None:
    write(folder, WILD, "{command: no-such-command}")
    assert main(["check", "--config", "mcpguard.yaml", "--sarif"]) == 1
    answer = json.loads(capsys.readouterr().out)
    (run,) = answer["runs"]
    assert answer["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["C101", "P504"]
    places = [
        (one["ruleId"], one["level"], one["locations"][0]["physicalLocation"]) for one in run["results"]
    ]
    assert places == [
        (
            "P504",
            "warning",
            {"artifactLocation": {"uri": "p.yaml"}, "region": {"startLine": 5, "startColumn": 38}},
        ),
        (
            "C101",
            "error",
            {"artifactLocation": {"uri": "mcpguard.yaml"}, "region": {"startLine": 2, "startColumn": 26}},
        ),
    ]


def test_files_that_are_right_pass_on_a_machine_that_has_nothing_they_need(
    folder: Path, capsys: Capture
) -> None:
    write(folder, server="{command: no-such-command, env: {A: '${keyring:gone}', B: '${file:/no/such}'}}")
    words = ["check", "--config", "mcpguard.yaml"]
    assert main([*words, "--json"]) == 1
    assert {one["code"] for one in json.loads(capsys.readouterr().out)["findings"] if one["machine"]} == {
        "C101",
        "C102",
    }
    assert main([*words, "--files-only", "--strict"]) == 0
    assert "git is well-formed" in capsys.readouterr().out
    assert main([*words, "--files-only", "--json"]) == 0
    assert not any(one["machine"] for one in json.loads(capsys.readouterr().out)["findings"])
    assert main([*words, "--files-only", "--sarif"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["results"] == []


def test_files_are_judged_for_a_user_without_a_home(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, server="{command: sh, args: [~/x]}")
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    assert main(["check", "--config", "mcpguard.yaml", "--files-only"]) == 0
    capsys.readouterr()
    assert main(["check", "--config", "mcpguard.yaml"]) == 2
    assert "this user has no home folder, which mcpguard needs: set HOME" in capsys.readouterr().err


@pytest.mark.timeout(20)
def test_a_policy_that_is_no_file_is_not_waited_for(folder: Path, capsys: Capture) -> None:
    write(folder)
    (folder / "p.yaml").unlink()
    os.mkfifo(folder / "p.yaml")
    assert main(["check", "--config", "mcpguard.yaml"]) == 1
    assert "p.yaml: not a regular file [P001]" in capsys.readouterr().out


def test_json_names_files_as_they_are_seen_from_here(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder)
    for here, names in ((folder, {"mcpguard.yaml", "p.yaml"}), (folder / "..", {f"{folder.name}/p.yaml"})):
        monkeypatch.chdir(here)
        main(["check", "--config", str(folder / "mcpguard.yaml"), "--json"])
        assert names <= {one["file"] for one in json.loads(capsys.readouterr().out)["findings"]}


def test_a_configuration_that_would_not_be_looked_at_is_not_passed_over(
    folder: Path, capsys: Capture
) -> None:
    write(folder)
    assert main(["check", "--config", "no-such.yaml", "--config", "mcpguard.yaml"]) == 2
    assert "argument --config: it is given twice, and takes one value" in capsys.readouterr().err


def test_a_mistake_in_a_file_fails_wherever_it_is_checked(folder: Path, capsys: Capture) -> None:
    write(folder, server="{command: npx -y some-server}")
    assert main(["check", "--config", "mcpguard.yaml", "--files-only"]) == 1
    assert (
        "its arguments in one string: write each argument as its own word [C119]" in capsys.readouterr().out
    )


def test_servers_are_not_asked_where_only_files_are_judged(folder: Path, capsys: Capture) -> None:
    write(folder)
    assert main(["check", "--config", "mcpguard.yaml", "--files-only", "--live"]) == 2
    assert "which `--files-only` leaves out: use `--snapshot`" in capsys.readouterr().err


def test_sarif_has_a_file_without_a_region_where_the_whole_file_is_meant(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder)
    (folder / "p.yaml").unlink()
    (folder / "p.yaml").mkdir()
    (folder / "deep").mkdir()
    monkeypatch.chdir(folder / "deep")
    assert main(["check", "--config", "../mcpguard.yaml", "--sarif"]) == 1
    (one,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    place = one["locations"][0]["physicalLocation"]
    assert place.keys() == {"artifactLocation"}
    assert place["artifactLocation"]["uri"].startswith("file:///")


def test_a_policy_that_does_not_load_hides_what_only_all_can_tell(folder: Path, remarks: Remarks) -> None:
    (folder / "label.yaml").write_text(
        "version: 1\npolicy: l\nowner: me\nrules:\n"
        "  - {id: x, effect: deny, server: git, when: '\"seen\" in session.labels'}\n"
    )
    servers = f"{{git: {SERVER}, mail: {SERVER}}}"
    gone = "error    mcpguard.yaml:3:24: gone.yaml: there is no such file"
    assert remarks(servers, "[label.yaml, gone.yaml]") == (1, [gone])
    code, lines = remarks(servers, "[label.yaml]")
    assert code == 0
    assert "rule x: no rule sets the label `seen`" in lines[0]
    assert "no rule mentions mail" in lines[-1]


def test_a_server_that_works_where_its_rules_are_is_a_warning(folder: Path, remarks: Remarks) -> None:
    (folder / "work").mkdir()
    held = "git works in a folder that contains mcpguard.yaml, p.yaml, audit"
    for more in (
        f"cwd: {folder}",
        f"args: [{folder}]",
        f"args: [--root={folder}]",
        f"env: {{ROOTS: '/usr/share:{folder}'}}",
        "cwd: work, args: [..]",
    ):
        code, lines = remarks(f"{{git: {{command: {PYTHON}, {more}}}}}")
        assert code == 0
        could = "an agent that writes there could change its own rules, or what enforces and records them"
        said = f"{held}: {could}"
        assert [line.partition(": ")[2] for line in lines] == [said]
    assert remarks(f"{{git: {{command: {PYTHON}, cwd: work, args: [., -x, no-such-folder]}}}}") == (0, [])


def test_a_server_that_works_where_a_link_to_its_rules_or_its_sessions_are_is_a_warning(
    folder: Path, remarks: Remarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "work").mkdir()
    (folder / "work" / "link.yaml").symlink_to(folder / "p.yaml")
    (folder / "p.yaml").write_text(ALLOW)
    git = f"{{git: {{command: {PYTHON}, cwd: work}}}}"
    _, lines = remarks(git, "[work/link.yaml]")
    assert "git works in a folder that contains link.yaml" in str(lines)
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "work"))
    _, lines = remarks(git)
    assert "git works in a folder that contains sessions" in str(lines)


SNAPSHOT = """{"version": 1, "servers": {"git": {"tools": [
  {"name": "push", "inputSchema": {"type": "object", "properties": {"branch": {}}}}]}}}"""


def test_a_snapshot_tells_of_arguments_that_no_tool_has(folder: Path, capsys: Capture) -> None:
    write(folder, ALLOW.replace("effect: allow", "effect: allow, when: args.brunch == 'x'"))
    (folder / "s.json").write_text(SNAPSHOT)
    assert main(["check", "--config", "mcpguard.yaml", "--snapshot", "s.json"]) == 0
    said = capsys.readouterr().out
    assert "p.yaml:5:36: rule all: no tool that it matches has an argument `args.brunch` [P203]" in said


def test_a_snapshot_that_is_none_is_said_in_a_sentence(folder: Path, capsys: Capture) -> None:
    write(folder)
    assert main(["check", "--config", "mcpguard.yaml", "--snapshot", "p.yaml"]) == 2
    assert "p.yaml: not a snapshot made by `mcpguard snapshot" in capsys.readouterr().err
