"""`mcpguard status`, and the file that it reads."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from mcpguard import __version__
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.adapters.telemetry import status_file
from mcpguard.adapters.telemetry.status_file import (
    NotInForce,
    Status,
    StatusFile,
    birth_of,
    running,
    status_here,
)
from mcpguard.cli import main
from mcpguard.config.user_state import user_state
from mcpguard.core.evidence.records import LOST, Closed, Noticed, Opened
from mcpguard.gateway.ports import Health, LostAlerts, Need

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20, func_only=True)]

Capture = pytest.CaptureFixture[str]

GOOD = Health("git", "running", 1_790_000_000.0, "legacy", "2025-11-25", 2, 3)
BAD = Health("web", "waiting", 1_790_000_000.0, problem="upstream 'web' has ended")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "status"
    monkeypatch.setattr(status_file, "default_folder", lambda: path)
    return path


@pytest.fixture
def dead() -> int:
    """The pid of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def other() -> Iterator[int]:
    """The pid of another process that runs."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate(b"\n", 20)


def looking(config: str, healths: Callable[[], tuple[Health, ...]]) -> Callable[[], Status]:
    first = status_here(config, "stdio")
    return lambda: replace(first, upstreams=healths())


def file_of(healths: tuple[Health, ...], reports: list[str] | None = None) -> StatusFile:
    said = reports if reports is not None else []
    return StatusFile(looking("/c/mcpguard.yaml", lambda: healths), lambda _, line, _level: said.append(line))


def put(
    folder: Path,
    pid: int,
    birth: str | None = None,
    healths: tuple[Health, ...] = (GOOD,),
    observing: str = "",
) -> Path:
    from msgspec.json import encode

    folder.mkdir(exist_ok=True)
    path = folder / f"{pid}.json"
    birth = birth_of(pid) if birth is None else birth
    status = Status(
        pid,
        1_790_000_000.0,
        birth,
        "/c/mcpguard.yaml",
        "stdio",
        healths,
        observing=observing,
        version=__version__,
    )
    path.write_bytes(encode(status))
    return path


async def written(file: StatusFile) -> None:
    """What is to be written now has been."""
    async with asyncio.timeout(10):
        for _ in range(5):
            await asyncio.sleep(0)
            while file._writing is not None:
                await asyncio.sleep(0.001)


def test_nothing_runs(folder: Path, capsys: Capture) -> None:
    assert main(["status"]) == 0
    assert capsys.readouterr().out == (
        "mcpguard is not running; a client that is set up for it (`mcpguard import`) starts it. This looked in "
        f"{user_state()}: a process of another user or of a service is not found there\n"
    )
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"running": [], "last_failed": []}


@pytest.mark.parametrize("wrong", ["mcpguard.yaml", "p.yaml"])
def test_where_nothing_runs_it_says_what_keeps_it_from_starting(
    wrong: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("MCPGUARD_CONFIG", str(tmp_path / "mcpguard.yaml"))
    (tmp_path / "mcpguard.yaml").write_text("version: 1\nservers: {s: {command: x}}\npolicies: [p.yaml]\n")
    (tmp_path / "p.yaml").write_text("version: 1\npolicy: p\nrules: [{id: r, effect: allow}]\n")
    assert main(["status"]) == 0
    assert "cannot start" not in capsys.readouterr().out
    (tmp_path / wrong).write_text("version: 2\n")
    assert main(["status"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"it cannot start: {tmp_path / wrong}:" in said
    assert said.endswith("`mcpguard check` shows every mistake")


def test_only_what_runs_with_the_named_configuration_is_shown(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    put(folder, os.getpid())
    assert main(["status", "--config", "/c/../c/mcpguard.yaml"]) == 0
    assert "/c/mcpguard.yaml" in capsys.readouterr().out
    other = tmp_path / "other.yaml"
    assert main(["status", "--config", str(other)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"mcpguard is not running with {other};" in said
    assert f"it cannot start: {other}: does not exist" in said
    assert f"`mcpguard check --config {other}` shows every mistake" in said


def test_where_nothing_runs_the_servers_that_had_failed_are_shown(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    config = tmp_path / "mcpguard.yaml"
    config.write_text(
        "version: 1\nservers: {a: {command: a}, b: {command: b}, c: {command: c}}\naudit: {path: audit}\n"
    )
    now = datetime.now(UTC)
    lives = [
        ("a", LOST, "no database"),
        ("b", LOST, "gone"),
        ("b", "upstream-started", ""),
        ("c", "upstream-started", ""),
        ("c", "upstream-ended", ""),
        ("removed", LOST, "gone"),
    ]
    audit = AuditFile(tmp_path / "audit", "flush")
    audit.write(Opened(now, "1", 1, "os-user:ada", (), "d"))
    for server, what, detail in lives:
        audit.write(Noticed(now, what, server, detail))
    audit.commit()
    audit.close(Closed(now, "client-ended"))
    assert main(["status", "--config", str(config)]) == 0
    said = capsys.readouterr().out
    assert "when mcpguard last ran, these servers had failed:" in said
    assert said.splitlines()[-1].split()[:2] == ["a", "failed"]
    assert said.endswith("no database\n")
    assert main(["status", "--config", str(config), "--json"]) == 0
    [failed] = json.loads(capsys.readouterr().out)["last_failed"]
    assert failed == {"server": "a", "since": now.timestamp(), "problem": "no database"}
    put(folder, os.getpid())
    assert main(["status"]) == 0
    assert "no database" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [["approvals"], ["session", "list"], ["snapshot"], ["suggest"]])
def test_a_command_that_finds_no_configuration_says_with_which_one_mcpguard_runs(
    words: list[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.delenv("MCPGUARD_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    assert main(words) == 2
    assert "does not exist: create it with `mcpguard import`" in capsys.readouterr().err
    put(folder, os.getpid())
    assert main(words) == 2
    assert (
        "does not exist: add `--config /c/mcpguard.yaml`, with which mcpguard runs" in capsys.readouterr().err
    )
    monkeypatch.setattr("mcpguard.config.loading.find_config", lambda *_: Path("/c/mcpguard.yaml"))
    assert main(words) == 2
    assert "no longer exists, although a running mcpguard uses it" in capsys.readouterr().err


def test_what_runs_is_one_table(folder: Path, capsys: Capture) -> None:
    put(folder, os.getpid())
    assert main(["status"]) == 0
    head, own, git = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["PID", "WHAT", "STATE"]
    assert own.split()[:3] == [str(os.getpid()), "mcpguard", "stdio"]
    assert own.endswith("/c/mcpguard.yaml")
    assert "legacy 2025-11-25" in git
    assert git.split()[-2:] == ["2", "3"]


@pytest.mark.parametrize(
    ("version", "said"), [("0.0.9", "mcpguard 0.0.9 is running"), ("", "an earlier version")]
)
def test_a_process_of_another_version_is_one_row_and_no_trouble(
    folder: Path, capsys: Capture, version: str, said: str
) -> None:
    from msgspec.json import encode
    from msgspec.structs import replace

    path = put(folder, os.getpid())
    path.write_bytes(encode(replace(running()[0], version=version)))
    assert main(["status"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "another" in line]
    assert said in row
    assert f"restart it to get {__version__}" in row


async def test_what_runs_says_its_version(folder: Path) -> None:
    file = file_of((GOOD,))
    file.start()
    await written(file)
    assert [one.version for one in running()] == [__version__]
    file.close()


def test_the_processes_of_a_server_that_are_alike_are_one_row(folder: Path, capsys: Capture) -> None:
    from msgspec.structs import replace

    other = replace(GOOD, name="other")
    put(folder, os.getpid(), healths=(GOOD, other, GOOD, replace(GOOD, state="failing", problem="gone")))
    assert main(["status"]) == 1
    _head, _own, git, single, failing = capsys.readouterr().out.splitlines()
    assert git.split()[1:5] == ["git", "x", "2", "running"]
    assert git.split()[-2:] == ["4", "6"]
    assert (single.split()[1], failing.split()[1:3]) == ("other", ["git", "failing"])


@pytest.mark.parametrize("state", ["failing", "waiting", "failed"])
def test_an_upstream_in_trouble_is_one(folder: Path, capsys: Capture, state: str) -> None:
    from msgspec.structs import replace

    put(folder, os.getpid(), healths=(GOOD, replace(BAD, state=state)))
    assert main(["status"]) == 1
    assert "upstream 'web' has ended" in capsys.readouterr().out
    assert main(["status", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)["running"][0]
    assert said["pid"] == os.getpid()
    assert [upstream["state"] for upstream in said["upstreams"]] == ["running", state]


def test_what_serving_needs_and_lacks_is_in_the_table_and_trouble(folder: Path, capsys: Capture) -> None:
    from msgspec.json import encode

    folder.mkdir(exist_ok=True)
    pid = os.getpid()
    needs = Need("evidence", True, 1.0), Need("keychain", False, 1_790_000_000.0, "the keychain is locked")
    status = Status(pid, 1.0, birth_of(pid), "/c", "stdio", (GOOD,), needs=needs, version=__version__)
    (folder / f"{pid}.json").write_bytes(encode(status))
    assert main(["status"]) == 1
    _, _, lacking, _git = capsys.readouterr().out.splitlines()
    assert lacking.split()[1:3] == ["keychain", "failing"]
    assert lacking.endswith("the keychain is locked")
    assert main(["status", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)["running"][0]["needs"]
    assert [(one["name"], one["ok"]) for one in said] == [("evidence", True), ("keychain", False)]


def test_a_command_in_the_table_is_for_the_configuration_of_its_process(
    folder: Path, capsys: Capture
) -> None:
    from msgspec.json import encode

    folder.mkdir(exist_ok=True)
    pid = os.getpid()
    needs = (Need("store", False, 1.0, "it cannot be read: `mcpguard session end` starts it over"),)
    for config, option in (("/c.yaml", " --config /c.yaml"), ("", "")):
        status = Status(pid, 1.0, birth_of(pid), config, "stdio", (GOOD,), needs=needs, version=__version__)
        (folder / f"{pid}.json").write_bytes(encode(status))
        assert main(["status"]) == 1
        assert f"`mcpguard session end{option}` starts it over" in capsys.readouterr().out


def test_a_process_that_stops_is_in_the_table(folder: Path, capsys: Capture) -> None:
    from msgspec.json import encode

    folder.mkdir(exist_ok=True)
    pid = os.getpid()
    needs = (Need("serving", False, 1_790_000_000.0, "it is stopping (SIGTERM)"),)
    status = Status(pid, 1.0, birth_of(pid), "/c", "stdio", (GOOD,), needs=needs, version=__version__)
    (folder / f"{pid}.json").write_bytes(encode(status))
    assert main(["status"]) == 1
    _, _, stops, _git = capsys.readouterr().out.splitlines()
    assert stops.split()[1:3] == ["serving", "stopping"]
    assert stops.endswith("it is stopping (SIGTERM)")


def test_a_warning_is_in_the_table_and_no_trouble(folder: Path, capsys: Capture) -> None:
    from msgspec.json import encode

    folder.mkdir(exist_ok=True)
    pid = os.getpid()
    needs = (Need("evidence", True, 1.0, warning="10 MB are free"),)
    status = Status(pid, 1.0, birth_of(pid), "/c", "stdio", (GOOD,), needs=needs, version=__version__)
    (folder / f"{pid}.json").write_bytes(encode(status))
    assert main(["status"]) == 0
    _, _, warned, _git = capsys.readouterr().out.splitlines()
    assert warned.split()[1:3] == ["evidence", "warning"]
    assert warned.endswith("10 MB are free")


def test_what_a_process_has_not_confirmed_for_long_is_said_to_be_outdated(
    folder: Path, capsys: Capture
) -> None:
    """It hangs, or the disk is full, so that its file says what was so before."""
    from msgspec.json import encode

    pid = os.getpid()
    status = Status(pid, 1.0, birth_of(pid), "/c", "stdio", version=__version__)
    folder.mkdir(exist_ok=True)
    path = folder / f"{pid}.json"
    path.write_bytes(encode(status))
    assert main(["status"]) == 0
    assert "outdated" not in capsys.readouterr().out
    then = time.time() - status_file.OUTDATED_SECONDS - 1
    os.utime(path, (then, then))
    assert main(["status"]) == 1
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "outdated" in line]
    assert row.split()[1:3] == ["status", "outdated"]
    assert main(["status", "--json"]) == 1
    (said,) = json.loads(capsys.readouterr().out)["running"]
    assert said["updated"] == pytest.approx(then)


async def test_a_status_that_does_not_change_is_confirmed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_file, "REFRESH_SECONDS", 0.001)
    file = file_of((GOOD,), [])
    file.start()
    async with asyncio.timeout(10):
        while not running():
            await asyncio.sleep(0.001)
        (path,) = folder.glob("*.json")
        inode = path.stat().st_ino
        os.utime(path, (1, 1))
        while path.stat().st_mtime < 2:
            await asyncio.sleep(0.001)
    assert path.stat().st_ino == inode
    file.close()


def test_alerts_that_are_lost_are_in_the_table(folder: Path, capsys: Capture) -> None:
    from msgspec.json import encode

    lost = LostAlerts("${keyring:chat}", 1_790_000_000.0, 3, "the service did not accept it")
    folder.mkdir(exist_ok=True)
    pid = os.getpid()
    status = Status(pid, 1.0, birth_of(pid), "/c", "stdio", (), (lost,), version=__version__)
    (folder / f"{pid}.json").write_bytes(encode(status))
    assert main(["status"]) == 1
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "chat" in line]
    assert row.endswith("the service did not accept it (3 lost)")
    assert main(["status", "--json"]) == 1
    (said,) = json.loads(capsys.readouterr().out)["running"]
    assert said["alerts"][0]["lost"] == 3


def test_a_changed_configuration_that_is_not_in_force_is_in_the_table(folder: Path, capsys: Capture) -> None:
    from msgspec.json import encode

    late = NotInForce("configuration", "restart", 1_790_000_000.0, "audit cannot change")
    folder.mkdir(exist_ok=True)
    pid = os.getpid()
    need = Need("policies", True, 1.0, "", f"{late.said}; the slower engine evaluates")
    status = Status(
        pid, 1.0, birth_of(pid), "/c", "stdio", (), not_in_force=late, needs=(need,), version=__version__
    )
    (folder / f"{pid}.json").write_bytes(encode(status))
    assert main(["status"]) == 1
    rows = capsys.readouterr().out.splitlines()
    (row,) = [line for line in rows if "audit" in line]
    assert row.split()[1:3] == ["configuration", "restart"]
    (row,) = [line for line in rows if "engine" in line]
    assert row.split()[1:3] == ["policies", "warning"]
    assert main(["status", "--json"]) == 1
    (said,) = json.loads(capsys.readouterr().out)["running"]
    assert said["not_in_force"]["problem"] == "audit cannot change"


def test_what_an_upstream_said_steers_no_terminal(folder: Path, capsys: Capture) -> None:
    from msgspec.structs import replace

    put(folder, os.getpid(), healths=(replace(BAD, problem="\x1b[2Jx\n", since=1e300),))
    assert main(["status"]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 3


def test_a_process_whose_parent_has_not_noticed_its_end_does_not_run(folder: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    put(folder, process.pid)
    assert [one.pid for one in running(folder)] == [process.pid]
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert running(folder) == []
    process.communicate()


def test_the_file_of_a_process_that_has_ended_is_removed(folder: Path, dead: int) -> None:
    gone, here = put(folder, dead), put(folder, os.getpid())
    assert [status.pid for status in running()] == [os.getpid()]
    assert (gone.exists(), here.exists()) == (False, True)


def test_a_pid_that_was_given_again_is_not_taken_for_mcpguard(folder: Path, other: int) -> None:
    path = put(folder, other, birth="an earlier one")
    assert running() == []
    assert not path.exists()


def test_what_is_no_status_is_left_out_and_only_removed_where_nobody_can_own_it(
    folder: Path, dead: int, other: int
) -> None:
    folder.mkdir()
    kept = [folder / f"{other}.json", folder / "notes.json"]
    for path in (*kept, folder / f"{dead}.json"):
        path.write_text("{}")
    os.mkfifo(folder / "0.json")
    assert running() == []
    assert all(path.exists() for path in kept)
    assert not (folder / f"{dead}.json").exists()


async def test_the_file_is_written_for_its_owner_only_and_removed_at_the_end(folder: Path) -> None:
    file = file_of((GOOD, BAD))
    file.changed()
    file.start()
    await written(file)
    path = folder / f"{os.getpid()}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == [path.name]
    assert running()[0].upstreams == (GOOD, BAD)
    file.close()
    assert list(folder.iterdir()) == []


async def test_a_change_of_state_is_written_soon_and_what_is_the_same_is_not(folder: Path) -> None:
    healths = [GOOD]
    file = StatusFile(looking("c", lambda: tuple(healths)), lambda *_: None, folder)
    file.start()
    await written(file)
    path = folder / f"{os.getpid()}.json"
    first = path.stat().st_ino
    file.changed()
    await written(file)
    assert path.stat().st_ino == first
    healths[:] = [BAD]
    file.changed()
    await written(file)
    assert running(folder)[0].upstreams == (BAD,)
    file.close()


async def test_a_long_problem_is_cut(folder: Path) -> None:
    from msgspec.structs import replace

    file = file_of((replace(BAD, problem="x" * 10_000),))
    file.start()
    await written(file)
    assert len(running()[0].upstreams[0].problem) == status_file.PROBLEM
    file.close()


async def test_where_it_cannot_be_written_that_is_said_once_and_serving_goes_on(folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    reports: list[str] = []
    file = file_of((GOOD,), reports)
    file.start()
    await written(file)
    file.changed()
    await written(file)
    file.close()
    assert reports == [f"the status file cannot be written: {folder}: File exists"]
    assert running() == []


@pytest.mark.parametrize("room", [True, False])
async def test_on_a_full_disk_the_file_takes_no_more_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch, room: bool
) -> None:
    healths, reports = [GOOD], list[str]()
    file = StatusFile(
        looking("c", lambda: tuple(healths)), lambda _, line, _level: reports.append(line), folder
    )
    file.start()
    await written(file)
    (path,) = folder.iterdir()
    size = path.stat().st_size

    def full(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    healths[:] = [BAD] if room else [BAD] * 50
    file.changed()
    await written(file)
    assert [one.stat().st_size for one in folder.iterdir()] == [size]
    assert running(folder)[0].upstreams == ((BAD,) if room else (GOOD,))
    assert len(reports) == (0 if room else 1)
    path.unlink()
    file.changed()
    await written(file)
    assert reports == [f"the status file cannot be written: {path}: No space left on device"]
    file.close()


async def test_after_a_write_that_failed_it_is_written_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_file, "REFRESH_SECONDS", 0.001)
    folder.write_text("a file where the folder should be")
    reports: list[str] = []
    file = file_of((GOOD,), reports)
    file.start()
    async with asyncio.timeout(10):
        while not reports:
            await asyncio.sleep(0.001)
        folder.unlink()
        while not running():
            await asyncio.sleep(0.001)
        # Also where nothing has changed but that the file is gone.
        folder.rename(folder.with_name("away"))
        while not running():
            await asyncio.sleep(0.001)
    file.close()
    assert reports[1:] == ["the status file can be written again"]


async def test_a_disk_that_hangs_is_said_and_holds_nothing_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked, answers = os.replace, threading.Event(), threading.Event()

    def hangs(*names: str) -> None:
        asked.set()
        assert answers.wait(20)
        real(*names)

    healths: list[Health] = [GOOD]
    reports: list[str] = []
    file = StatusFile(
        looking("c", lambda: tuple(healths)), lambda _, line, _level: reports.append(line), folder
    )
    file.start()
    async with asyncio.timeout(10):
        await written(file)
        monkeypatch.setattr(status_file, "LATE_SECONDS", 0.01)
        monkeypatch.setattr(status_file, "END_SECONDS", 0.01)
        monkeypatch.setattr(os, "replace", hangs)
        healths[:] = [BAD]
        file.changed()
        while not (asked.is_set() and reports):  # While it hangs the loop turns.
            await asyncio.sleep(0.001)
        healths[:] = [GOOD]
        file.changed()
        await asyncio.sleep(0)
        answers.set()
        while [one.upstreams for one in running(folder)] != [(GOOD,)]:
            await asyncio.sleep(0.001)
        await written(file)
        answers.clear()
        asked.clear()
        healths[:] = [BAD]
        file.changed()
        while not asked.is_set():
            await asyncio.sleep(0.001)
        file.close()
        answers.set()
        while list(folder.glob("*")):
            await asyncio.sleep(0.001)
    assert reports[0].endswith("/status/" + f"{os.getpid()}.json: the disk does not respond")
    assert set(reports[1:]) <= {reports[0], "the status file can be written again"}


def test_a_process_without_a_file_has_nothing_to_remove(folder: Path) -> None:
    file_of((GOOD,)).close()
    assert not folder.exists()


def test_the_birth_of_a_process_that_does_not_exist_is_unknown(dead: int) -> None:
    assert birth_of(dead) == ""


def test_servers_that_are_only_observed_are_said_every_time(folder: Path, capsys: Capture) -> None:
    said = "git until the end of 2026-12-11 (UTC)"
    put(folder, os.getpid(), observing=said)
    assert main(["status"]) == 0
    assert "policies  observed" in capsys.readouterr().out
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["running"][0]["observing"] == said


async def test_the_file_says_it_while_it_is_so(folder: Path) -> None:
    said = ["git until the end of 2026-12-11 (UTC)"]
    first = status_here("", "stdio")
    file = StatusFile(lambda: replace(first, observing=said[0]), lambda _, line: None)
    file.start()
    await written(file)
    assert running()[0].observing == said[0]
    said[0] = ""
    file.changed()
    await written(file)
    assert running()[0].observing == ""
    file.close()


def test_what_clients_have_open_is_counted_in_words(folder: Path, capsys: Capture) -> None:
    from msgspec.json import encode

    folder.mkdir(exist_ok=True)
    pid = os.getpid()
    used = {"connections": 1, "streams": 0, "sessions": 2, "requests": 1}
    status = Status(pid, 1.0, birth_of(pid), "/c", "http", in_use=used, version=__version__)
    (folder / f"{pid}.json").write_bytes(encode(status))
    assert main(["status"]) == 0
    assert "1 connection, 0 streams, 2 sessions, 1 request" in capsys.readouterr().out


def test_what_is_held_back_is_counted_for_each_server_with_the_command_that_shows_it(
    folder: Path, capsys: Capture
) -> None:
    from msgspec.json import encode

    folder.mkdir(exist_ok=True)
    pid, held = os.getpid(), {"git": 2, "mail": 1}
    status = Status(pid, 1.0, birth_of(pid), "/c", "stdio", held=held, version=__version__)
    (folder / f"{pid}.json").write_bytes(encode(status))
    assert main(["status"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "pins held back" in said
    assert "2 of git, 1 of mail: `mcpguard pins --config /c` shows what is different" in said
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["running"][0]["held"] == held
