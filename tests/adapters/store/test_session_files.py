"""Sessions on disk: one at a time, kept across processes, and never taken for new by mistake."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.adapters.store import session_files
from mcpguard.adapters.store.session_files import SessionFiles, default_folder
from mcpguard.core.errors import SessionError
from mcpguard.core.model import Charge, Invocation, Principal

close = os.close
NOW = datetime(2026, 1, 2, tzinfo=UTC)
ADA = Invocation("i", "tools/call", Principal("ada", "os-user"), NOW, "desk")


def labels(sessions: SessionFiles, invocation: Invocation = ADA, add: str = "") -> list[str]:
    with sessions.open(invocation) as session:
        session.add((add,) if add else (), ())
        return list(session.kept.labels)


def later(seconds: float) -> Invocation:
    return structs.replace(ADA, now=NOW + timedelta(seconds=seconds))


def test_what_was_done_is_there_for_the_next_process(tmp_path: Path) -> None:
    assert labels(SessionFiles(tmp_path / "s", 60), add="a") == ["a"]
    assert labels(SessionFiles(tmp_path / "s", 60)) == ["a"]
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "s").iterdir()} == {0o600}


def test_each_principal_with_each_agent_has_a_session(tmp_path: Path) -> None:
    sessions = SessionFiles(tmp_path, 60)
    labels(sessions, add="a")
    others = [
        structs.replace(ADA, agent=None),
        structs.replace(ADA, agent="other"),
        structs.replace(ADA, principal=Principal("eve", "os-user")),
        structs.replace(ADA, principal=Principal("ada", "https://issuer")),
    ]
    assert [labels(sessions, other) for other in others] == [[]] * 4
    grouped = structs.replace(ADA, principal=Principal("ada", "os-user", ("ops",), {"x": 1}), id="j")
    assert labels(sessions, grouped) == ["a"]


def test_no_clock_ends_a_session_while_a_connection_that_used_it_lives(tmp_path: Path) -> None:
    sessions = SessionFiles(tmp_path, 60)
    sessions.enter(ADA.principal, ADA.agent)
    assert labels(sessions, add="private") == ["private"]
    assert labels(sessions, later(61)) == ["private"]
    # A clock that is set far ahead, and another process.
    assert labels(SessionFiles(tmp_path, 60), later(1_000_000)) == ["private"]
    sessions.leave(ADA.principal, ADA.agent)
    assert labels(SessionFiles(tmp_path, 60), later(1_000_061)) == []


def test_a_session_lives_as_long_as_the_last_of_its_connections(tmp_path: Path) -> None:
    sessions = SessionFiles(tmp_path, 60)
    for _ in range(2):
        sessions.enter(ADA.principal, ADA.agent)
    labels(sessions, add="private")
    sessions.leave(ADA.principal, ADA.agent)
    assert labels(sessions, later(61)) == ["private"]
    sessions.leave(ADA.principal, ADA.agent)
    assert labels(sessions, later(122)) == []


def test_a_connection_that_never_used_a_session_keeps_none(tmp_path: Path) -> None:
    labels(SessionFiles(tmp_path, 60), add="old")
    sessions = SessionFiles(tmp_path, 60)
    sessions.enter(ADA.principal, ADA.agent)
    assert labels(sessions, later(61)) == []
    other = Principal("eve", "os-user")
    sessions.enter(other, None)
    sessions.leave(other, None)


def test_a_connection_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from tests.adapters.store.test_session_files import ADA, SessionFiles, labels\n"
        "sessions = SessionFiles(Path(sys.argv[1]), 60)\nsessions.enter(ADA.principal, ADA.agent)\n"
        "labels(sessions, add='private')\nprint('used', flush=True)\nsys.stdin.read()\n"
    )
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, cwd=root, stdin=-1, stdout=-1) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"used\n"
        assert labels(SessionFiles(tmp_path, 60), later(61)) == ["private"]
        other.kill()
        other.wait(timeout=20)
    assert labels(SessionFiles(tmp_path, 60), later(122)) == []


def test_a_session_whose_use_is_not_known_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels(SessionFiles(tmp_path, 60), add="private")
    sessions = SessionFiles(tmp_path, 60)
    open_file = os.open

    def refused(path: object, *rest: int) -> int:
        if str(path).endswith(".used"):
            raise OSError(errno.EMFILE, "Too many open files")
        return open_file(str(path), *rest)

    monkeypatch.setattr(os, "open", refused)
    assert labels(sessions, later(61)) == ["private"]
    sessions.enter(ADA.principal, ADA.agent)
    with pytest.raises(SessionError, match="Too many open files"):
        labels(sessions, later(62))


def test_a_connection_holds_its_session_at_the_next_decision_where_another_process_looks(
    tmp_path: Path,
) -> None:
    sessions = SessionFiles(tmp_path, 60)
    sessions.enter(ADA.principal, ADA.agent)
    labels(SessionFiles(tmp_path, 60), later(-3600))
    labels(SessionFiles(tmp_path, 60), later(-1))
    (used,) = tmp_path.glob("*.used")
    with used.open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_EX)
        labels(sessions, add="private")
    assert labels(sessions) == ["private"]
    assert labels(SessionFiles(tmp_path, 60), later(61)) == ["private"]


def test_a_session_ends_when_it_is_not_used_for_its_idle_time(tmp_path: Path) -> None:
    sessions = SessionFiles(tmp_path, 60)
    labels(sessions, add="a")
    assert labels(sessions, later(60)) == ["a"]
    assert labels(sessions, later(119)) == ["a"]
    assert labels(sessions, later(-100)) == ["a"]
    assert labels(sessions, later(180)) == []


def test_a_window_of_a_limit_outlasts_the_session(tmp_path: Path) -> None:
    sessions = SessionFiles(tmp_path, 60)
    daily = Charge("p/r calls 1d", "calls", 1, 1, 86_400, "1d")
    with sessions.open(ADA) as session:
        session.charge(daily, ADA.now)
    after = later(3600)
    with sessions.open(after) as session:
        assert not session.room(daily, after.now)


def test_a_decision_that_fails_changes_nothing(tmp_path: Path) -> None:
    sessions = SessionFiles(tmp_path, 60)
    with suppress(ZeroDivisionError), sessions.open(ADA) as session:
        session.add(("a",), ())
        raise ZeroDivisionError
    assert labels(sessions) == []


@pytest.mark.parametrize("damage", [b"{", b"", b'{"labels":["\xff"]}', b'{"x":' + b"[" * 100_000, b"null"])
def test_a_damaged_file_is_never_taken_for_a_new_session(tmp_path: Path, damage: bytes) -> None:
    sessions = SessionFiles(tmp_path, 60)
    labels(sessions, add="a")
    (file,) = tmp_path.glob("*.json")
    file.write_bytes(damage)
    with pytest.raises(SessionError, match=r"\.json is damaged: remove it to start the session over"):
        labels(sessions)


def test_a_file_that_cannot_be_read_or_written_is_an_error(tmp_path: Path) -> None:
    sessions = SessionFiles(tmp_path, 60)
    labels(sessions, add="a")
    (file,) = tmp_path.glob("*.json")
    file.unlink()
    file.mkdir()
    with pytest.raises(SessionError, match="cannot be read: Is a directory"):
        labels(sessions)
    file.rmdir()
    (tmp_path / f"{file.stem}.new").mkdir()
    with pytest.raises(SessionError, match="cannot be written: Is a directory"):
        labels(sessions)


FILL = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from mcpguard.adapters.store.session_files import SessionFiles
from mcpguard.core.errors import SessionError
from mcpguard.core.model import Invocation, Principal
one = Invocation("i", "m", Principal("ada", "os-user"), datetime(2026, 1, 2, tzinfo=UTC), "desk")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
try:
    with SessionFiles(Path(sys.argv[1]), 60).open(one) as session:
        session.add(("b" * 1000,), ())
except SessionError as problem:
    print(problem)
"""


def test_a_session_for_which_there_is_no_room_stays_as_it_was(tmp_path: Path) -> None:
    labels(SessionFiles(tmp_path, 60), add="a")
    told = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path)], check=False, capture_output=True, text=True, timeout=60
    )
    assert "cannot be written: File too large" in told.stdout
    assert labels(SessionFiles(tmp_path, 60)) == ["a"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionError, match="the session's state is unavailable: Not a directory"):
        labels(SessionFiles(tmp_path / "file" / "s", 60))


def test_a_session_that_another_process_does_not_let_go_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_files, "LOCK_SECONDS", 0.01)
    sessions = SessionFiles(tmp_path, 60)
    labels(sessions)
    (lock,) = tmp_path.glob("*.lock")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SessionError, match="is unavailable"):
            labels(sessions)
    assert labels(sessions) == []


def test_a_folder_without_locks_is_an_error_and_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(_file: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    closed: list[int] = []
    monkeypatch.setattr(fcntl, "flock", no_locks)
    monkeypatch.setattr(session_files.os, "close", lambda file: closed.append(file) or close(file))
    with pytest.raises(SessionError, match="is unavailable: No locks available"):
        labels(SessionFiles(tmp_path, 60))
    assert len(closed) == 1


def test_files_of_sessions_that_ended_long_ago_are_removed(tmp_path: Path) -> None:
    labels(SessionFiles(tmp_path, 60), add="a")
    (file,) = tmp_path.glob("*.json")
    long_ago = time.time() - session_files.KEPT_SECONDS - 1
    os.utime(file, (long_ago, long_ago))
    assert labels(SessionFiles(tmp_path, 60)) == []


def test_the_default_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_folder().name == "sessions"


COUNT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from mcpguard.adapters.store.session_files import SessionFiles
from mcpguard.core.model import Invocation, Principal
one = Invocation("i", "m", Principal("ada", "os-user"), datetime(2026, 1, 2, tzinfo=UTC), "desk")
sessions = SessionFiles(Path(sys.argv[1]), 60)
for _ in range(200):
    with sessions.open(one) as session:
        session.kept.calls += 1
"""


def test_two_processes_at_once_lose_no_call(tmp_path: Path) -> None:
    running = [subprocess.Popen([sys.executable, "-c", COUNT, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    with SessionFiles(tmp_path, 60).open(ADA) as session:
        assert session.kept.calls == 400
