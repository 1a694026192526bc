"""Who else may read or change a file, as `mcpguard doctor` sees it."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from mcpguard.adapters.telemetry.status_file import NotInForce
from mcpguard.core.errors import AuditError
from mcpguard.doctor.permissions import is_shared, readers, writers
from tests.doctor.machine import PHRASE, Machine, machine
from tests.doctor.scenes import running

ME = frozenset({0, os.geteuid()})


pytestmark = pytest.mark.usefixtures("backend")


@pytest.fixture
def made() -> Iterator[Machine]:
    with machine() as one:
        yield one


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users ada (1000) and bo (1001); groups ada (1000), staff (50, empty) and team (60, both)."""
    users = {0: ("root", 0), 1000: ("ada", 1000), 1001: ("bo", 1001)}
    names = {1000: ("ada", []), 50: ("staff", []), 60: ("team", ["ada", "bo"]), 1001: ("bo", ["ada"])}
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: SimpleNamespace(pw_name=users[uid][0]))
    monkeypatch.setattr(pwd, "getpwall", lambda: [SimpleNamespace(pw_gid=gid) for _, gid in users.values()])
    found = {gid: SimpleNamespace(gr_name=name, gr_mem=members) for gid, (name, members) in names.items()}
    monkeypatch.setattr(grp, "getgrgid", found.__getitem__)


@pytest.mark.parametrize(
    ("uid", "gid", "shared"),
    [
        (1000, 1000, False),
        (1000, 0, False),
        (1000, 60, True),
        (1000, 50, True),
        (1001, 1001, True),
        (0, 50, False),
        (0, 1000, True),
        (4242, 60, True),
        (1000, 4242, True),
    ],
)
@pytest.mark.usefixtures("groups")
def test_a_group_is_shared_that_has_others_in_it(uid: int, gid: int, shared: bool) -> None:
    facts = os.stat_result((0o660, 0, 0, 1, uid, gid, 0, 0, 0, 0))
    assert is_shared(facts) is shared


def test_who_can_write_a_folder_on_the_way_can_replace_a_file(made: Machine) -> None:
    path = made.write("a/b/c.yaml", "")
    assert list(writers(path, ME)) == []
    (made.root / "a").chmod(0o777)
    assert list(writers(path, ME)) == [(made.root / "a", "everybody")]
    (made.root / "a").chmod(0o1777)
    assert list(writers(path, ME)) == []
    path.chmod(0o602)
    assert list(writers(path, ME)) == [(path, "everybody")]
    assert {who for _, who in writers(path, frozenset({4242}))} == {"its owner"}


def test_a_file_is_looked_at_where_its_link_leads(made: Machine) -> None:
    path = made.write("a/b.yaml", "", 0o666)
    link = made.root / "link.yaml"
    link.symlink_to(path)
    assert list(writers(link, ME)) == [(path, "everybody")]
    assert readers(link) == "everybody"


def test_a_folder_that_is_closed_closes_what_is_in_it(made: Machine) -> None:
    path = made.write("a/b/c.yaml", "", 0o644)
    assert readers(path) == "everybody"
    (made.root / "a").chmod(0o700)
    assert readers(path) == ""
    assert readers(made.root / "nowhere") == ""


def test_a_group_that_can_read_or_write_is_told(made: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.doctor.permissions.is_shared", lambda _: True)
    path = made.write("a/b.yaml", "", 0o660)
    assert readers(path) == "its group"
    assert list(writers(path, ME)) == [(path, "its group")]


def test_a_mounted_credential_that_a_group_can_read_is_told(
    made: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpguard.doctor.permissions.is_shared", lambda _: True)
    path = made.write("run/token", PHRASE, 0o640)
    made.configured(f"git: {{command: sudo, env: {{A: '${{file:{path}}}'}}}}")
    assert [(one.code, one.file, one.fix) for one in made.diagnosed().findings] == [
        ("D502", str(path), f"chmod go-rwx {path}")
    ]


def test_what_several_files_hang_on_is_told_once(made: Machine) -> None:
    made.configured()
    made.path.parent.chmod(0o777)
    policy = made.path.with_name("p.yaml")
    assert [(one.code, one.message, one.fix) for one in made.diagnosed().findings] == [
        (
            "D501",
            f"everybody can write to it; {made.path} and 1 more can be replaced through it",
            f"chmod go-w {made.path.parent}",
        )
    ]
    assert policy.exists()


def test_a_program_that_mcpguard_runs_and_each_file_that_it_believes_are_looked_at(made: Machine) -> None:
    mint = made.write("bin/mint", "#!/bin/sh\n", 0o777)
    key = made.write("run/key", PHRASE, 0o644)
    heads = made.write("run/heads", "", 0o666)
    made.configured(
        "git: {command: sudo}",
        f"credentials: {{c: {{servers: [git], command: ['{mint}']}}}}\n"
        f"audit: {{key: '${{file:{key}}}', heads: {{file: '{heads}'}}}}\n",
    )
    found = {(one.code, one.file) for one in made.diagnosed().findings if one.code != "D605"}
    assert found == {("D501", str(mint)), ("D502", str(key)), ("D601", str(heads))}


def test_a_server_that_is_given_the_folder_of_mcpguard_itself_is_told(made: Machine) -> None:
    made.write("program/lib/mcpguard.py", "")
    for folder, said in (
        ("program", "contains mcpguard itself"),
        ("program/lib", "belongs to mcpguard itself"),
    ):
        made.configured(f"git: {{command: docker, args: [run, -v, '{made.root / folder}:/work', image]}}")
        told = f"the server git works in this folder, which {said}"
        assert [(one.code, one.message) for one in made.diagnosed().findings] == [("D504", told)]


@pytest.mark.parametrize(
    "server",
    ["command: uvx, args: [mcp-server-time]", "command: npx, args: [mcp-remote, 'https://x.example/mcp']"],
)
def test_a_server_that_is_known_to_write_no_file_is_not_told(made: Machine, server: str) -> None:
    made.configured(f"git: {{{server}}}")
    assert made.codes() == set()


def test_the_lock_that_uv_leaves_in_an_environment_is_open_and_nothing_reads_it(made: Machine) -> None:
    made.write("program/.lock", "", 0o666)
    assert "D701" in made.codes()
    made.write("program/pyvenv.cfg", "")
    assert "D701" not in made.codes()
    made.write("program/mcpguard/.lock", "", 0o666)
    assert "D701" in made.codes()


def test_only_some_of_a_program_that_is_open_are_told(made: Machine) -> None:
    for number in range(9):
        made.write(f"program/{number}.py", "", 0o666)
    assert len(made.diagnosed().findings) == 5


def test_what_may_be_written_by_others_is_quoted_for_a_shell(made: Machine) -> None:
    path = made.write("program/a b.py", "", 0o666)
    assert [one.fix for one in made.diagnosed().findings] == [f"chmod go-w '{path}'"]


def test_a_status_of_a_configuration_that_is_gone_is_none(made: Machine) -> None:
    from mcpguard.adapters.telemetry.status_file import Status, birth_of

    pid = os.getpid()
    status = Status(pid, 1.0, birth_of(pid), str(made.root / "gone.yaml"), "stdio", ())
    import msgspec

    made.write(f"state/status/{pid}.json", msgspec.json.encode(status).decode())
    assert made.codes() == set()


def test_what_a_process_says_is_not_in_force_is_reported_with_its_reason(made: Machine) -> None:
    late = NotInForce("configuration", "restart", 1.0, "audit cannot change")
    running(-3600, late)(made, pytest.MonkeyPatch())
    (found,) = made.diagnosed().findings
    assert found.code == "D702"
    assert f"configuration is not in force in process {os.getpid()}: audit cannot change" in found.message


def test_a_kernel_without_these_settings_is_none(made: Machine) -> None:
    made.configured("git: {command: git-server, args: [/srv/git], env: {A: '${env:A}'}}")
    assert made.codes() == {"D401"}
    made.kernel("core_pattern", "|/usr/share/apport/apport")
    made.replaced(platform="darwin")
    assert made.codes() == {"D401"}


def test_evidence_that_is_gone_is_told(made: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    made.configured()
    made.write("state/audit/20260101T000000Z-1-00000000.jsonl", "")
    monkeypatch.setattr("mcpguard.doctor.operation.verified", lambda *_, **__: ({}, ["b.jsonl"]))
    assert [one.message for one in made.diagnosed().findings] == [
        "it is missing, although another chain holds its head"
    ]


def test_evidence_that_cannot_be_read_is_said(made: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    made.configured()
    loop = made.state / "audit/a.jsonl"
    loop.symlink_to(loop)
    assert made.codes() == {"D602"}
    loop.unlink()
    loop.write_bytes(b"")

    def failing(*_: object, **__: object) -> None:
        raise AuditError("the audit file cannot be read: Permission denied")

    monkeypatch.setattr("mcpguard.doctor.operation.verified", failing)
    assert [one.why for one in made.diagnosed().unchecked] == [
        "the audit file cannot be read: Permission denied"
    ]


def test_a_home_that_belongs_to_somebody_else_is_that_ones(made: Machine) -> None:
    made.configured()
    made.replaced(uid=4242)
    assert Path(made.home).stat().st_uid == os.geteuid()
    assert made.codes() == set()
