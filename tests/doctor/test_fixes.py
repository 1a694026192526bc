"""Each fix of `mcpguard doctor` that is a command is run as it is printed, and ends what was found."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcpguard.adapters.credentials.oauth.grants import Grants
from mcpguard.authoring.findings import Finding
from mcpguard.cli import main
from mcpguard.doctor.codes import DOCTOR_CODES
from mcpguard.onboarding.locks.lockable import SystemFolders
from tests.adapters.credentials.fake_keyring import FakeKeyring
from tests.doctor.machine import OURS, PHRASE, TOKEN, Machine, machine
from tests.doctor.scenes import (
    CURSOR,
    SCENES,
    Scene,
    allowing,
    both,
    client,
    config,
    jwt,
    keychain,
    locked,
    text,
)

Patch = pytest.MonkeyPatch

CAT = {"command": "/bin/cat"}
"""A server whose program is there: what is not there, an import leaves alone."""

WITH_TOKEN = {**CAT, "env": {"GIT_TOKEN": TOKEN}}


def stored(name: str, value: str) -> Scene:
    """A server whose credential is in the keychain ("": it is not)."""

    def make(machine: Machine, _patch: Patch) -> None:
        import keyring

        if value:
            keyring.set_password("mcpguard", name, value)
        machine.configured(f"git: {{command: sudo, env: {{T: '${{keyring:{name}}}'}}}}")

    return make


def ending(name: str, seconds: float) -> Scene:
    """One whose token ends in so many seconds from the test, which may come long after this file is read."""

    def make(machine: Machine, patch: Patch) -> None:
        stored(name, jwt(time.time() + seconds))(machine, patch)

    return make


def project(entry: dict[str, object]) -> Scene:
    return text("project/.cursor/mcp.json", json.dumps({"mcpServers": {"git": entry}}))


COMMANDS: dict[str, list[Scene]] = {
    "D101": [client(WITH_TOKEN), project(WITH_TOKEN)],
    "D104": [SCENES["D104"][0], client(WITH_TOKEN, f"{CURSOR} (old copy).bak")],
    "D201": [client(CAT), project(CAT), client({"url": "https://mcp.example.com/mcp"})],
    "D202": [
        both(config("git: {command: cat}"), client(CAT)),
        both(config("git: {command: cat, env: {A: b}}"), client(CAT)),
    ],
    "D205": [SCENES["D205"][0]],
    "D206": [
        SCENES["D206"][0],
        locked("claude-code", allowing([OURS, "run"], ["npx", "x"])),
        locked("claude-code", '{"allowedMcpServers": []}'),
    ],
    "D302": [ending("t", -60)],
    "D303": [ending("t", 600)],
    "D304": [stored("t", "")],
    **{
        code: [SCENES[code][0]]
        for code in ("D309", "D402", "D403", "D501", "D502", "D503", "D601", "D701", "D704")
    },
}
"""Code -> scenes in which its fix is a command."""

SENTENCES = {
    "D102": "only the person knows what else reads the variable, and what it is to be called in the keychain",
    "D103": "the configuration is written by a person, and only they know a name for the value",
    "D203": "what the entry starts is unknown: only the person can say that it may go",
    "D204": "a lock is for every user of the machine, and takes the administrator",
    "D208": "what a client is to see is a decision",
    "D210": "whether to enforce now is the decision that was put off, and the configuration is written by a person",
    "D211": "the configuration is written by a person, and what it observes may have to be written anew",
    "D301": "an app, a role or a login has to be set up at the issuer first",
    "D305": "which keychain a desktop has is not for a command to change",
    "D306": "which keychain a desktop has is not for a command to change",
    "D307": "a review is what the date is for",
    "D308": "a review is what the date is for",
    "D310": "where mcpguard is started, and where the value is kept, is a decision",
    "D401": "another user, container or machine is another setup",
    "D404": "which folder the server needs, or where it runs, is a decision",
    "D504": "where the files go, or which folder the server needs, is a decision",
    "D505": "the configuration is written by a person, and the server may need to move",
    "D506": "the configuration is written by a person, and the server may need its folder",
    "D602": "nothing brings evidence back, and what hides the finding would hide more",
    "D603": "where room is, or another folder, is a decision",
    "D605": "which key signs is a decision",
    "D604": "what may be deleted is a decision",
    "D606": "where sessions go is a decision",
    "D702": "only the client that started mcpguard can restart it",
    "D705": "which of two programs is to go is a decision",
    "D703": "the mistake is a person's, and `mcpguard check` shows where",
}
"""Code -> why its fix is a sentence."""


@pytest.fixture
def made(monkeypatch: Patch, backend: FakeKeyring) -> Iterator[Machine]:
    """The made-up machine as the commands find it, and the administrator of it."""
    with machine() as one:
        monkeypatch.setenv("HOME", str(one.home))
        monkeypatch.setenv("XDG_STATE_HOME", str(one.root / "xdg"))
        (one.root / "xdg").mkdir()
        (one.root / "xdg/mcpguard").symlink_to(one.state)
        for name in ("XDG_CONFIG_HOME", "MCPGUARD_CONFIG"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.chdir(one.root)
        monkeypatch.setattr("sys.prefix", str(one.program))
        monkeypatch.setattr("mcpguard.cli.onboarding.lock.system", lambda: SystemFolders(one.system, "linux"))
        tools = one.root / "tools"
        file = f'{one.system}/proc/sys/$(echo "${{2%%=*}}" | tr . /)'
        one.write(tools / "sudo", '#!/bin/sh\nexec "$@"\n', 0o755)
        one.write(tools / "sysctl", f'#!/bin/sh\necho "${{2#*=}}" > {file}\n', 0o755)
        monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        yield one


def run(command: str, monkeypatch: Patch) -> int:
    """The printed line, as a person pastes it into a terminal and answers with yes and a new value."""
    folder, _, rest = command.removeprefix("cd ").partition(" && ")
    if rest:
        monkeypatch.chdir(shlex.split(folder)[0])
        command = rest
    words = shlex.split(command)
    if words[:2] == ["sudo", "env"] and words[3].endswith("/mcpguard"):
        words = ["mcpguard", *words[4:]]  # HOME is that of the made-up machine already.
    if words[0] != "mcpguard":
        return subprocess.run(["/bin/sh", "-c", command], check=False, timeout=30).returncode
    with monkeypatch.context() as terminal:
        terminal.setattr("sys.stdin.isatty", lambda: True)
        terminal.setattr("builtins.input", lambda question: "y")
        terminal.setattr("mcpguard.cli.secret.hidden", lambda question: "a-new-value-from-the-issuer")
        return main(words[1:])


def found(made: Machine, code: str) -> list[Finding]:
    return [one for one in made.diagnosed().findings if one.code == code]


def test_the_fix_of_every_code_is_a_command_or_says_why_not() -> None:
    assert {*COMMANDS, *SENTENCES} == DOCTOR_CODES.keys()
    assert not COMMANDS.keys() & SENTENCES.keys()


@pytest.mark.parametrize(
    ("code", "scene"), [(code, scene) for code, scenes in COMMANDS.items() for scene in scenes]
)
def test_a_fix_that_is_a_command_ends_the_finding_as_it_is_printed(
    code: str, scene: Scene, made: Machine, monkeypatch: Patch
) -> None:
    scene(made, monkeypatch)
    told = found(made, code)
    assert told
    assert all(one.is_command for one in told)
    for command in dict.fromkeys(one.fix for one in told):
        assert run(command, monkeypatch) == 0, command
    assert found(made, code) == []


@pytest.mark.parametrize("code", SENTENCES)
def test_a_fix_that_is_a_sentence_does_not_pose_as_a_command(
    code: str, made: Machine, monkeypatch: Patch
) -> None:
    SCENES[code][0](made, monkeypatch)
    assert found(made, code)
    assert not any(one.is_command or one.fix.startswith("mcpguard ") for one in found(made, code))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"command": "no-such-program"}, "starts `no-such-program`, which is not in PATH"),
        ({"command": "cat", "args": ["--token", PHRASE]}, "has a secret in argument 2"),
        ({"command": "cat", "args": ["${input:key}"]}, "asks for a value when it starts (${input:key})"),
        ({}, "has neither a command nor a URL"),
    ],
)
def test_a_server_that_an_import_would_leave_alone_is_not_promised_to_move(
    entry: dict[str, object], reason: str, made: Machine
) -> None:
    made.write(CURSOR, json.dumps({"mcpServers": {"git": entry}}))
    [told] = found(made, "D201")
    assert not told.is_command
    assert told.fix.startswith(f"`mcpguard import` leaves it alone, since it {reason}")


def test_a_file_that_cannot_be_replaced_is_said_instead_of_a_command(made: Machine) -> None:
    path = made.write(CURSOR, json.dumps({"mcpServers": {"git": CAT}}))
    os.link(path, path.with_name("other"))
    [told] = found(made, "D201")
    assert (told.is_command, "has another hard link" in told.fix) == (False, True)


def test_a_copied_pack_is_replaced_in_the_same_configuration(made: Machine, monkeypatch: Patch) -> None:
    made.path = made.root / "a folder" / "mine.yaml"
    SCENES["D309"][0](made, monkeypatch)
    told = found(made, "D309")
    assert [one.fix for one in told] == [f"mcpguard import --policies --config '{made.path}'"]


def test_a_login_is_a_command_that_uses_the_same_configuration(made: Machine) -> None:
    entry = "\ncredentials:\n  c: {servers: [git], oauth: {url: 'https://mcp.example.com'}}\n"
    elsewhere = made.root / "a folder" / "mine.yaml"
    made.path = elsewhere
    made.configured("git: {url: 'https://mcp.example.com'}", entry)
    assert Grants().read("c") is None
    told = found(made, "D304")
    assert [one.fix for one in told] == [f"mcpguard secret login c --config '{elsewhere}'"]


def test_what_belongs_to_another_user_needs_the_administrator(made: Machine, monkeypatch: Patch) -> None:
    made.configured()
    made.path.chmod(0o666)
    made.replaced(uid=4242)
    told = found(made, "D501")
    assert [one.fix for one in told if "chmod" in one.fix] == [f"sudo chmod go-w {made.path}"]


def test_without_a_keychain_secrets_are_moved_into_files(made: Machine, monkeypatch: Patch) -> None:
    both(client(CAT), keychain("keyring.backends.fail.Keyring"))(made, monkeypatch)
    assert "mcpguard import --client cursor --to file" in {one.fix for one in made.diagnosed().findings}


def test_a_section_says_what_to_do_now_and_each_command_has_a_line_of_its_own(
    made: Machine, monkeypatch: Patch
) -> None:
    from mcpguard.authoring.findings import as_paragraphs

    both(config("git: {command: cat, env: {A: '${env:A}'}}"), client(CAT))(made, monkeypatch)
    said = as_paragraphs(made.diagnosed()).splitlines()
    now, limits = said.index("to do now:"), said.index("known limits of this setup:")
    assert "    mcpguard import --client cursor" in said[now:limits]
    assert any(line.startswith("warning D401") for line in said[limits:])
    assert said[-1] == "1 error, 2 known limits"


def test_known_limits_do_not_fail(
    made: Machine, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    config("git: {command: cat, env: {A: '${env:A}'}}")(made, monkeypatch)
    assert main(["doctor", "--project", str(Path(made.project))]) == 0
    assert capsys.readouterr().out.endswith("nothing to do, 2 known limits\n")


def test_a_missing_key_is_made_where_the_configuration_looks_for_it(
    made: Machine, monkeypatch: Patch
) -> None:
    SCENES["D605"][0](made, monkeypatch)
    (one,) = found(made, "D605")
    command = f"mcpguard audit key --new --to {made.root / 'key'}"
    assert one.fix == f"make one with `{command}`, or correct `audit.key` in the configuration"
    assert run(command, monkeypatch) == 0
    assert found(made, "D605") == []
