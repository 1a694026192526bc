"""`mcpguard doctor`: each thing that it knows is found where it is, and never a value said."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcpguard.authoring.findings import SEVERITIES, Report, Unchecked, as_paragraphs
from mcpguard.cli import main
from mcpguard.cli.outputs import DoctorReport
from mcpguard.doctor import diagnosis
from mcpguard.doctor.codes import CONTROLS, DOCTOR_CODES
from mcpguard.doctor.surroundings import CheckSubject
from tests.doctor.machine import OURS, PHRASE, TOKEN, Machine, machine
from tests.doctor.scenes import APART, CURSOR, SCENES, everything_wrong
from tests.wire.warm import python

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


pytestmark = pytest.mark.usefixtures("backend")


def doctor_json(report: Report) -> str:
    return DoctorReport.model_validate(report).model_dump_json()


@pytest.fixture
def made() -> Iterator[Machine]:
    with machine() as one:
        yield one


@pytest.fixture
def real(made: Machine, monkeypatch: Patch) -> Machine:
    """The made-up machine as the command itself finds it."""
    monkeypatch.setenv("HOME", str(made.home))
    monkeypatch.setenv("XDG_STATE_HOME", str(made.root))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("MCPGUARD_CONFIG", raising=False)
    monkeypatch.chdir(made.project)
    monkeypatch.setattr("sys.prefix", str(made.program))
    return made


def test_every_code_has_its_scenes() -> None:
    assert SCENES.keys() == DOCTOR_CODES.keys()


@pytest.mark.parametrize("code", SCENES)
def test_a_code_is_found_in_its_scene_and_not_in_the_one_beside_it(
    code: str, made: Machine, monkeypatch: Patch
) -> None:
    wrong, right = SCENES[code]
    wrong(made, monkeypatch)
    assert code in made.codes()
    with machine() as other:
        right(other, monkeypatch)
        assert code not in other.codes()


def test_every_code_belongs_to_a_control_and_has_a_fix() -> None:
    for one in DOCTOR_CODES.values():
        assert one.control in CONTROLS
        assert one.severity in SEVERITIES
        assert one.fix
        assert one.meaning.endswith(".")
    assert {one.control for one in DOCTOR_CODES.values()} == CONTROLS.keys()


def test_a_clean_home_gives_nothing(made: Machine) -> None:
    made.configured()
    made.write(CURSOR, json.dumps({"mcpServers": {"guarded": {"command": OURS, "args": ["run"]}}}))
    made.write("home/.bashrc", "export PATH=$HOME/bin:$PATH EDITOR=vi\nexport SSH_AUTH_SOCK=/run/ssh\n")
    report = made.diagnosed()
    assert (report.findings, report.unchecked, report.ok) == ((), (), True)
    assert as_paragraphs(report) == "nothing found"


def test_a_home_without_anything_gives_nothing(made: Machine) -> None:
    assert as_paragraphs(made.diagnosed()) == "nothing found"


def test_no_value_is_said_of_a_home_where_everything_is_wrong(made: Machine, monkeypatch: Patch) -> None:
    everything_wrong(made, monkeypatch)
    report = made.diagnosed()
    found = {one.code for one in report.findings}
    assert DOCTOR_CODES.keys() - found == {*APART}
    for said in (as_paragraphs(report), doctor_json(report), repr(report)):
        assert TOKEN not in said
        assert PHRASE not in said


def test_the_command_says_no_value_on_either_stream(real: Machine, monkeypatch: Patch) -> None:
    everything_wrong(real, monkeypatch)
    url = f"https://u:{PHRASE}@x.example/{TOKEN}?key={PHRASE}"
    entries = {
        "a": {"url": url, "headers": {"Authorization": TOKEN}},
        "b": {"command": "b", "args": ["--key", PHRASE]},
    }
    real.write(CURSOR, json.dumps({"mcpServers": entries}))
    real.write("home/.codex/config.toml", f'token = "{TOKEN}\n[mcp_servers.x')
    real.write(real.path, f"version: 2\nservers: {{{TOKEN}: {PHRASE}}}\n")
    words = [*python(), "doctor", "--config", str(real.path)]
    for more in ([], ["--json"]):
        done = subprocess.run([*words, *more], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert done.stderr == ""
        for value in (TOKEN, PHRASE):
            for form in (value, value.encode().hex(), b64encode(value.encode()).decode(), value[::-1]):
                assert form not in done.stdout


def test_the_worst_is_told_first_each_with_place_fix_and_control(made: Machine, monkeypatch: Patch) -> None:
    SCENES["D101"][0](made, monkeypatch)
    made.write("home/.zshrc", f"\nexport A_TOKEN={PHRASE}\n")
    bashrc = made.home / ".zshrc"
    assert as_paragraphs(made.diagnosed()).splitlines() == [
        "to do now:",
        "",
        "error D101 [no secrets in configuration] A credential in plain text in the configuration of a "
        "client.",
        f"  {made.root / CURSOR}:1: the server git has it in env.GIT_TOKEN",
        "    fix: store it with `mcpguard secret set NAME`, refer to it as ${keyring:NAME}, and delete it there",
        "",
        f"warning D102 [no secrets in configuration] {DOCTOR_CODES['D102'].meaning}",
        f"  {bashrc}:2: looks like a credential: A_TOKEN",
        f"    fix: {DOCTOR_CODES['D102'].fix}",
        "",
        "1 error, 1 warning",
    ]


def test_json_has_the_same_with_stable_keys(made: Machine, monkeypatch: Patch) -> None:
    SCENES["D101"][0](made, monkeypatch)
    said = json.loads(doctor_json(made.diagnosed()))
    assert said == {
        "ok": False,
        "findings": [
            {
                "code": "D101",
                "severity": "error",
                "control": "no secrets in configuration",
                "where": f"{made.root / CURSOR}:1",
                "file": str(made.root / CURSOR),
                "line": 1,
                "message": "the server git has it in env.GIT_TOKEN",
                "what": DOCTOR_CODES["D101"].meaning,
                "fix": "store it with `mcpguard secret set NAME`, refer to it as ${keyring:NAME}, and delete it "
                "there",
                "is_command": False,
                "subject": "git",
                "standing": "now",
                "accepted": "",
            }
        ],
        "unseen": [],
        "ignored": 0,
    }


def test_the_exit_code_is_1_for_what_is_asked_for_and_0_for_less(real: Machine, capsys: Capture) -> None:
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out == "nothing found\n"
    real.write("home/.bashrc", f"export A_TOKEN={PHRASE}\n")
    assert main(["doctor"]) == 1
    assert main(["doctor", "--fail-on", "error"]) == 0
    capsys.readouterr()
    assert main(["doctor", "--ignore", "D102", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ignored"] == 1


def test_the_exit_code_is_2_where_nothing_was_found_and_something_not_seen(
    real: Machine, capsys: Capture
) -> None:
    real.write(CURSOR, "{")
    assert main(["doctor"]) == 2
    out = capsys.readouterr().out
    assert "could not be checked:" in out
    assert f"{real.root / CURSOR}: " in out
    assert out.endswith("1 not checked\n")
    real.write("home/.bashrc", f"export A_TOKEN={PHRASE}\n")
    assert main(["doctor"]) == 1


def test_a_configuration_that_was_named_and_is_missing_is_an_error(real: Machine, capsys: Capture) -> None:
    assert main(["doctor", "--config", str(real.root / "no.yaml")]) == 2
    assert "no.yaml" in capsys.readouterr().err


def test_the_configuration_that_a_client_names_is_looked_at(real: Machine, capsys: Capture) -> None:
    path = real.write("elsewhere/mine.yaml", "version: 2\n")
    entries = {
        "x": {"command": "x", "args": ["--config", "/nowhere"], "disabled": True},
        "guarded": {"command": OURS, "args": ["run", "--config", str(path)]},
    }
    loop = real.home / ".claude.json"
    loop.symlink_to(loop)
    real.write(CURSOR, json.dumps({"mcpServers": entries}))
    assert main(["doctor"]) == 1
    assert (
        f"error D703 [configuration integrity] {DOCTOR_CODES['D703'].meaning}\n  {path}"
        in capsys.readouterr().out
    )
    path.unlink()
    loop.unlink()
    assert main(["doctor"]) == 0


def test_a_mistake_in_a_policy_is_found_where_it_is(made: Machine) -> None:
    made.configured()
    policy = made.path.with_name("p.yaml")
    policy.write_text(policy.read_text().replace("effect:", "efect:"))
    found = [one for one in made.diagnosed().findings if one.code == "D703"]
    assert [(one.file, one.line > 0) for one in found] == [(str(policy), True)] * len(found)
    assert any("did you mean `effect`?" in one.message for one in found)


def test_a_file_of_the_project_does_not_say_which_configuration_is_looked_at(
    real: Machine, monkeypatch: Patch
) -> None:
    path = real.write("elsewhere/mine.yaml", "version: 2\n")
    entry = {"command": OURS, "args": ["run", "--config", str(path)]}
    real.write("elsewhere/.mcp.json", json.dumps({"mcpServers": {"guarded": entry}}))
    monkeypatch.chdir(path.parent)
    assert main(["doctor"]) == 0


def test_another_project_can_be_looked_at(real: Machine, capsys: Capture) -> None:
    real.write("elsewhere/.env", f"A_TOKEN={PHRASE}\n")
    assert main(["doctor", "--project", str(real.root / "elsewhere")]) == 1
    assert f"{real.root}/elsewhere/.env:1" in capsys.readouterr().out


def test_a_check_that_fails_hides_no_other_and_says_no_value(made: Machine, monkeypatch: Patch) -> None:
    def defect(_subject: CheckSubject) -> list[Unchecked]:
        raise ValueError(TOKEN)

    known = diagnosis.checks()
    monkeypatch.setattr(diagnosis, "checks", lambda: {"the first": defect, **known})
    made.write("home/.bashrc", f"export A_TOKEN={PHRASE}\n")
    report = made.diagnosed()
    assert [one.code for one in report.findings] == ["D102"]
    assert report.unchecked == (Unchecked("the first", "the check failed (ValueError): please report it"),)


def test_a_value_that_another_place_quotes_is_not_said(made: Machine) -> None:
    made.write("home/.bashrc", f"export A_TOKEN={PHRASE}\n")
    entry = {"command": "x", "env": {PHRASE: "a"}}
    made.write(CURSOR, json.dumps({"mcpServers": {PHRASE: entry}}))
    made.write(CURSOR + "." + PHRASE + ".bak", json.dumps({"mcpServers": {PHRASE: {"env": {"A": TOKEN}}}}))
    assert PHRASE not in doctor_json(made.diagnosed())


def test_without_a_home_the_rest_is_looked_at(made: Machine) -> None:
    made.replaced(home=None, settings=None)
    made.write("project/.env", f"A_TOKEN={PHRASE}\n")
    report = made.diagnosed()
    assert [one.code for one in report.findings] == ["D102"]
    assert [one.why for one in report.unchecked] == ["there is no home folder: set HOME"]


def test_files_of_another_user_are_told(made: Machine) -> None:
    made.configured()
    made.replaced(uid=4242, home=None, settings=None)
    assert made.codes() == ({"D501", "D601", "D701"} if os.geteuid() else set())


def test_the_surroundings_are_those_of_the_process(real: Machine, monkeypatch: Patch) -> None:
    from mcpguard.doctor.surroundings import here

    at = here(Path("x"))
    assert (at.home, at.settings, at.project) == (real.home, real.home / ".config", Path("x"))
    assert at.state == real.root / "mcpguard"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/elsewhere")
    assert here(Path("x")).settings == Path("/elsewhere")

    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    assert here(Path("x")).home is None


def test_an_entry_of_a_project_that_serves_what_is_not_the_users_is_reported(made: Machine) -> None:
    made.configured()
    own = ["run", "--config", str(made.path), "--agent", "claude-code"]
    entries = {
        "own": own,
        "wrap": ["wrap", "--", "sh", "-c", "x"],
        "other": ["run", "--config", f"{made.project}/mcpguard.yaml"],
        "more": [*own, "--config", f"{made.project}/mcpguard.yaml"],
    }
    servers = {name: {"command": OURS, "args": args} for name, args in entries.items()}
    made.write("project/.mcp.json", json.dumps({"mcpServers": servers}))
    found = [one for one in made.diagnosed().findings if one.code == "D203"]
    assert sorted(one.subject for one in found) == ["more", "other", "wrap"]


def test_an_entry_whose_mcpguard_was_moved_says_so(made: Machine) -> None:
    made.configured()
    args = ["run", "--config", str(made.path), "--agent", "cursor"]
    servers = {"mcpguard": {"command": f"{made.project}/gone/mcpguard", "args": args}}
    made.write("home/.cursor/mcp.json", json.dumps({"mcpServers": servers}))
    (found,) = [one for one in made.diagnosed().findings if one.code == "D203"]
    said = f"{made.project}/gone/mcpguard does not exist, so the client has no tools of it"
    assert said in found.message
