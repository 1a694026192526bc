"""`mcpguard top`: one frame says what runs, what was denied and what waits; live, it ends by q."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs
from msgspec.json import decode
from rich.console import Console

from mcpguard.adapters.store import default_folder
from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.adapters.system.clock import SystemClock
from mcpguard.adapters.telemetry import status_file
from mcpguard.adapters.telemetry.status_file import Status, birth_of
from mcpguard.cli import main
from mcpguard.cli.operating import top
from mcpguard.gateway.ports import Health, LostAlerts, Need, SinkState
from mcpguard.protocol.jsonrpc import encode
from tests.adapters.store.test_store import TICKET
from tests.cli.audit.test_story import CALL, DONE, folder_of

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Evidence of a minute, a process with two servers, and a ticket."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(status_file, "default_folder", lambda: tmp_path / "status")
    (tmp_path / "status").mkdir()
    pid, now = os.getpid(), datetime.now(UTC)
    healths = (Health("github", "running", 2.0, open=3), Health("notes", "failing", 2.0, restarts=4))
    status = Status(pid, 1.0, birth_of(pid), "/c", "stdio", healths)
    (tmp_path / "status" / f"{pid}.json").write_bytes(encode(status))
    config = {"version": 1, "servers": {"s": {"command": "x"}}, "audit": {"path": "audit"}}
    (tmp_path / "mcpguard.yaml").write_text(json.dumps(config))
    monkeypatch.setenv("MCPGUARD_CONFIG", str(tmp_path / "mcpguard.yaml"))
    store = SqliteStore(default_folder(), 3600, SystemClock())
    store.ask(structs.replace(TICKET, created=now.timestamp(), expires=now.timestamp() + 60))
    store.waits("t1", now.timestamp() - 40)
    store.close()
    denied = structs.replace(CALL, id="n-8", at=now, effect="deny", message="Not\x1b[31m this one.")
    listed = structs.replace(CALL, id="n-9", at=now, method="tools/list", tool="")
    folder_of(tmp_path / "audit", structs.replace(CALL, at=now), DONE, denied, listed)
    return str(tmp_path / "audit")


def test_one_frame_says_what_runs_what_was_denied_and_what_waits(audit: str, capsys: Capture) -> None:
    assert main(["top", "--once"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].startswith("mcpguard  1 running  0.0 calls/s ")
    assert said.splitlines()[0].rstrip().endswith("1 denied")
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert f"{os.getpid()} github running 3 0" in lines
    assert f"{os.getpid()} notes failing 0 4" in lines
    assert any(line.startswith("t1 40 s os-user:ada") for line in lines)
    assert any("github/get Not\\x1b[31m this one. n-8" in line for line in lines)
    assert "github/get 2 0.0/s" in lines
    assert not any("tools/list" in line for line in lines)
    assert max(map(len, said.splitlines())) <= 80
    assert "\x1b" not in said
    assert "q ends" not in said  # It has ended.


def test_it_says_which_evidence_it_shows_since_it_lists_processes_of_other_configurations(
    audit: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["top", "--once"]) == 0
    lines = map(str.strip, capsys.readouterr().out.splitlines())
    assert f"calls and denials on record in {audit}" in lines


def test_without_a_configuration_or_evidence_it_says_so(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("MCPGUARD_CONFIG", str(tmp_path / "none.yaml"))
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["top", str(tmp_path / "audit")]) == 0
    said = capsys.readouterr().out
    assert "none.yaml: does not exist" in said
    assert said.count("none ") == 3


def test_evidence_that_cannot_be_read_is_an_error_and_later_a_line(audit: str, capsys: Capture) -> None:
    view = top.TopView(Path(audit), None)
    view.look()
    Path(audit).rename(f"{audit}-before")
    Path(audit).symlink_to(f"{audit}/")
    view.look()
    view.look()
    assert "no audit log at" in view.unread
    console = Console(width=200)
    with console.capture() as frame:
        console.print(view.frame())
    assert view.unread in frame.get()
    assert main(["top", "--once"]) == 2
    assert "no audit log at" in capsys.readouterr().err


def test_new_records_are_taken_up(audit: str) -> None:
    view = top.TopView(Path(audit), None)
    view.look()
    folder_of(Path(audit), structs.replace(CALL, id="n-9", at=datetime.now(UTC), tool="late"))
    view.look()
    view.look()
    assert [what for _, what, _ in view._calls] == ["github/get", "github/get", "github/late"]


def test_why_no_ticket_is_known_fits_into_eighty_columns(
    audit: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.delenv("MCPGUARD_CONFIG", raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, f"{audit}/{'deep/' * 20}")
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["top", "--once", audit]) == 0
    (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("? "))
    assert "mcpguard.yaml: does not exist: add `--config /c`" in row


def test_a_day_of_frames_keeps_no_thread_and_no_file(audit: str) -> None:
    seen = top.TopView(Path(audit), None)
    seen.look()
    before, threads = len(os.listdir("/dev/fd")), set(threading.enumerate())
    for _ in range(20):
        seen.look()
        seen.frame()
    for thread in set(threading.enumerate()) - threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(os.listdir("/dev/fd")) <= before


def test_calls_of_a_process_that_ended_count_too(audit: str, capsys: Capture) -> None:
    """Each chain ends, or is rotated, while others begin; what time a file states does not matter."""
    for number in range(5):
        folder_of(Path(audit), structs.replace(CALL, id=f"m-{number}", at=datetime.now(UTC)))
    denied = structs.replace(CALL, id="o-1", effect="deny", at=datetime.now(UTC))
    os.utime(folder_of(Path(audit), denied), (1, 1))
    assert main(["top", "--once"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0].rstrip().endswith("2 denied")
    assert "n-8" in said
    assert "o-1" in said
    assert any(line.split()[:2] == ["github/get", "8"] for line in said.splitlines())


@pytest.mark.parametrize("words", [("top", "--once"), ("audit", "export")])
def test_a_reader_that_went_away_is_141(audit: str, words: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "mcpguard", *words, audit]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_many_servers_are_cut(audit: str) -> None:
    view = top.TopView(Path(audit), None)
    view.look()
    (status,) = view._processes
    many = tuple(structs.replace(one, name=f"{one.name}{n}") for one in status.upstreams for n in range(10))
    view._processes = [structs.replace(status, upstreams=many)]
    assert view._servers()[-1] == ("", "and 9 more", "", "", "")


def test_a_call_that_waits_says_who_acts_for_whom(audit: str) -> None:
    view = top.TopView(Path(audit), None)
    asked = structs.replace(TICKET, principal="https://idp.example/of/a/firm:alice", actor="bot9")
    view._waiting = [(asked, "", None)]
    assert [row[2] for row in view._tickets_shown()] == ["bot9 for alice"]


def test_a_call_that_waits_under_another_configuration_names_it(audit: str) -> None:
    view = top.TopView(Path(audit), None)
    view._waiting = [(TICKET, "", None), (TICKET, "/srv/prod.yaml", None)]
    assert [row[3] for row in view._tickets_shown()] == [
        "tools/call s/push",
        "tools/call s/push (under /srv/prod.yaml)",
    ]


def test_a_ticket_that_cannot_be_read_hides_no_other(audit: str, capsys: Capture) -> None:
    store = SqliteStore(default_folder(), 3600, SystemClock())
    now = datetime.now(UTC).timestamp()
    store.ask(structs.replace(TICKET, id="bad", args="b", created=now, expires=now + 60))
    store._open().execute("UPDATE tickets SET question = '{' WHERE id = 'bad'")
    store.close()
    assert main(["top", "--once"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(line.startswith("t1 40 s os-user:ada") for line in lines)
    assert any(line.startswith("bad os-user:ada it cannot be read: `mcpguard approvals`") for line in lines)


def test_what_is_wrong_with_a_process_is_in_the_picture(
    audit: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = (Path(audit).parent / "status").iterdir()
    status = decode(path.read_bytes(), type=Status)
    path.write_bytes(
        encode(
            structs.replace(
                status,
                needs=(
                    Need("serving", True, 2.0),
                    Need("evidence", False, 2.0, "the disk\x1b[31m is full; " + "x" * 100),
                    Need("keychain", True, 2.0, warning="it was locked"),
                ),
                sinks=(
                    SinkState("https://otel.example", "otlp", since=2.0, problem="it does not answer"),
                    SinkState("calls.csv", "csv"),
                ),
                alerts=(LostAlerts("desktop", 2.0, 3, "there is none"),),
                waiting=2,
            )
        )
    )
    monkeypatch.setattr(top, "_TROUBLES", 3)
    assert main(["top", "--once"]) == 0
    said = capsys.readouterr().out
    pid = os.getpid()
    wrong = [line.rstrip() for line in said.splitlines() if line.startswith(f"{pid} ") and ": " in line]
    assert wrong[0].startswith(f"{pid} evidence failing: the disk\\x1b[31m is full; xxx")
    assert wrong[1:] == [
        f"{pid} otlp to https://otel.example failing: it does not answer",
        f"{pid} alerts to desktop failing: there is none (3 lost)",
    ]
    assert "and 1 more: `mcpguard status`" in said
    assert f"{pid} mcpguard (stdio) failing" in [" ".join(line.split()) for line in said.splitlines()]
    assert max(map(len, said.splitlines())) <= 80


def test_of_a_process_that_hangs_the_picture_says_so(
    audit: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_file, "is_outdated", lambda _status: True)
    assert main(["top", "--once"]) == 0
    assert f"{os.getpid()} status outdated: this is its state at that time" in capsys.readouterr().out


def test_processes_of_a_server_that_are_alike_are_one_row(audit: str) -> None:
    """Over HTTP, each session has its own."""
    view = top.TopView(Path(audit), None)
    view.look()
    (status,) = view._processes
    once = view._servers()
    view._processes = [structs.replace(status, upstreams=status.upstreams * 10)]
    rows = view._servers()
    assert [row[1] for row in rows[1:]] == [f"{row[1]} x 10" for row in once[1:]]
    assert [int(row[3]) for row in rows[1:]] == [10 * int(row[3]) for row in once[1:]]


@pytest.mark.parametrize("key", [b"q", b"xq", b"\4"])
def test_live_it_ends_by_q_or_ctrl_d(audit: str, monkeypatch: pytest.MonkeyPatch, key: bytes) -> None:
    controller, terminal = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        while data := _some(controller):
            shown.append(data)
            if b"q ends" in b"".join(shown):
                for one in key:
                    os.write(controller, bytes([one]))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    monkeypatch.setattr(top, "LOOK_SECONDS", 0.05)
    monkeypatch.setenv("TERM", "xterm")
    with open(terminal, "r+b", buffering=0) as raw, open(os.dup(terminal), "w", encoding="utf-8") as out:
        with open(os.dup(terminal), encoding="utf-8") as keys:
            monkeypatch.setattr(sys, "stdin", keys)
            monkeypatch.setattr(sys, "stdout", out)
            assert top.execute(_words(audit)) == 0
        assert raw.fileno() == terminal
    reader.join(10)
    os.close(controller)
    assert b"LATEST DENIALS" in b"".join(shown)


def test_live_it_ends_with_its_terminal(audit: str) -> None:
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "mcpguard", "top", audit]
    with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE) as process:
        os.close(terminal)
        shown = b""
        while b"q ends" not in shown:
            shown += _some(controller)
        os.close(controller)
        assert process.stderr is not None
        assert (process.wait(30), process.stderr.read()) == (141, b"")


def _some(file: int) -> bytes:
    try:
        return os.read(file, 65_536)
    except OSError:  # The other side is closed.
        return b""


def _words(audit: str):  # type: ignore[no-untyped-def]
    from mcpguard.cli.parser import Parser

    parser = Parser()
    top.add_arguments(parser)
    return parser.parse_args([audit])
