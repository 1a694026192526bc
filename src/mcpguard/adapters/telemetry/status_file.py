"""The state of a running mcpguard, in a file that `mcpguard status` reads: one JSON object per process.

Law of this file: it holds no argument, no result and no credential; what an upstream said was inspected
before it came here. Status is a convenience: where it cannot be written, or the disk hangs, serving goes on.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from mcpguard import __version__
from mcpguard.adapters.system.disk import to_loop
from mcpguard.adapters.system.files import read_regular
from mcpguard.adapters.telemetry.diagnostics import Level
from mcpguard.config.user_state import state_folder
from mcpguard.gateway.ports import Health, LostAlerts, Need, SinkState

T = TypeVar("T", Health, Need, SinkState, "NotInForce")

REFRESH_SECONDS = 5.0
"""How old the counts in the file may be; a change of state is written at once."""
OUTDATED_SECONDS = 3 * REFRESH_SECONDS
"""What a process has not confirmed for this long may be otherwise by now."""
LATE_SECONDS = 5.0
"""A write that takes longer is reported."""
END_SECONDS = 1.0
"""How long the end of the process waits for the file to be removed."""
MAX_BYTES = 1024 * 1024
SPARE = 4096
"""Bytes of blanks at the end of the file: room for bad news that a full disk would have no room for."""
PROBLEM = 400
"""Characters of the last problem that are kept."""


TROUBLE = ("failing", "waiting", "failed")
"""States of a server that does not serve."""
_STATES = {"refused": "refused and not in force", "restart": "not in force until a restart"}


class NotInForce(Struct, frozen=True):
    """What of the files is not in force: `what` is "configuration" or "policies"; `state` is "refused", or
    "restart" where a restart would put it in force. `since` is in seconds since 1970."""

    what: str
    state: str
    since: float
    problem: str

    @property
    def said(self) -> str:
        """As the warning that `policies` has meanwhile, which begins with it."""
        return f"a change of the {self.what} is {_STATES[self.state]}: {self.problem}"


class Status(Struct, frozen=True):
    """One running mcpguard. `started` is in seconds since 1970; `birth` is what the system calls the start
    of the process, "" where it does not say, so that a pid that was given again is noticed. `transport` is
    "stdio" or the address that it listens on."""

    pid: int
    started: float
    birth: str
    config: str
    transport: str
    upstreams: tuple[Health, ...] = ()
    alerts: tuple[LostAlerts, ...] = ()
    """Those that cannot be sent."""
    loaded: float = 0.0
    """When the configuration in force was read, in seconds since 1970."""
    not_in_force: NotInForce | None = None
    agent: str = ""
    """The label of what connects, "" for none."""
    project: str = ""
    """The folder of the project whose servers it serves, "" for none."""
    observing: str = ""
    """The servers for which policies are only observed, and until when; "" for none."""
    needs: tuple[Need, ...] = ()
    """What serving needs, and whether it is there."""
    sinks: tuple[SinkState, ...] = ()
    """Where evidence is exported to."""
    unrecognised: str = ""
    """Which credentials are not recognised in answers before a server needs them, and why; "" for none."""
    in_use: Mapping[str, int] = {}
    """How many connections, streams, sessions and requests of HTTP clients are open; empty over stdio."""
    waiting: int = 0
    """How many calls wait for a person."""
    held: Mapping[str, int] = {}
    """By server, how many of its definitions are held back until a person accepts them."""
    version: str = ""
    """The version of the running mcpguard; "" if it does not report one."""
    in_force: tuple[str, ...] = ()
    """The digests of its policies and of its servers (`ServerPlaces`), for which approvals count."""
    updated: float = 0.0
    """When it last said so, which its file tells; 0 in what it says itself."""

    def alike(self) -> list[tuple[Health, int]]:
        """Each server once for each state that its processes are in, with how many are: over HTTP, each
        session has its own. `since` is the earliest, `problem` the first; restarts and requests are added."""
        found: dict[tuple[str, str], list[Health]] = {}
        for one in self.upstreams:
            found.setdefault((one.name, one.state), []).append(one)
        return [(_together(ones), len(ones)) for ones in found.values()]


def _together(ones: list[Health]) -> Health:
    return replace(
        ones[0],
        since=min(one.since for one in ones),
        restarts=sum(one.restarts for one in ones),
        open=sum(one.open for one in ones),
        problem=next((one.problem for one in ones if one.problem), ""),
    )


def several(what: str, count: int) -> str:
    """How that many of it are named."""
    return f"{what} x {count}" if count > 1 else what


def default_folder() -> Path:
    """`status` in the user's state folder."""
    return state_folder("status")


def status_here(config: str, transport: str, agent: str = "", project: str = "") -> Status:
    """That of this process, as far as it does not change."""
    pid = os.getpid()
    birth, now = birth_of(pid), time.time()
    return Status(pid, now, birth, config, transport, agent=agent, project=project, version=__version__)


class StatusFile:
    """The file of this process. One per process; its first write is soon after `start`."""

    def __init__(
        self,
        look: Callable[[], Status],
        report: Callable[[str, str, Level], None],
        folder: Path | None = None,
    ) -> None:
        """`look()` gives the status now; `report("", line, level)` takes a line for the operator; `folder` is
        `default_folder()` if it is None."""
        self._look = look
        self._unwritable = False
        self._report = report
        self._folder = folder
        self._path: Path | None = None
        self._written: Status | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writing: threading.Thread | None = None
        """Writes now, since a disk may hang."""
        self._changed = False
        """Whether there is more to write when the present write has finished."""

    def start(self) -> None:
        """Write it as soon as nothing else is to be done, and keep it fresh until `close`."""
        self._timer = asyncio.get_running_loop().call_later(0, self._refresh)

    def changed(self) -> None:
        """The state of an upstream has changed: write it soon."""
        if self._timer is not None:
            self._changed = self._writing is not None
            self._timer.cancel()
            self.start()

    def close(self) -> None:
        """Remove the file; waits for that END_SECONDS at most."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        removing = threading.Thread(target=self._remove, args=(self._writing,), daemon=True)
        removing.start()
        removing.join(END_SECONDS)

    def _remove(self, writing: threading.Thread | None) -> None:
        if writing is not None:
            writing.join()
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _refresh(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(REFRESH_SECONDS, self._refresh)
        if self._writing is None:
            late = loop.call_later(LATE_SECONDS, self._failed, "the disk does not respond")
            place = loop, self._now(), late
            self._writing = threading.Thread(target=self._store, args=place, daemon=True)
            self._writing.start()

    def _store(self, loop: asyncio.AbstractEventLoop, status: Status, late: asyncio.TimerHandle) -> None:
        problem = ""
        try:
            self._write(status)
        except OSError as error:
            problem = error.strerror or type(error).__name__
        to_loop(loop, self._stored, late, problem)

    def _stored(self, late: asyncio.TimerHandle, problem: str) -> None:
        late.cancel()
        self._writing = None
        if problem:
            self._failed(problem)
        else:
            self._succeeded()
        if self._changed and self._timer is not None:
            self._changed = False
            self._timer.cancel()
            self.start()

    def _failed(self, problem: str) -> None:
        if not self._unwritable and self._timer is not None:
            where = self._path or self._folder or default_folder()
            self._report("", f"the status file cannot be written: {where}: {problem}", "warning")
        self._unwritable = True

    def _succeeded(self) -> None:
        if self._unwritable:
            self._report("", "the status file can be written again", "info")
        self._unwritable = False

    def _now(self) -> Status:
        status = self._look()
        late = status.not_in_force
        return replace(
            status,
            upstreams=_short(status.upstreams),
            needs=tuple(replace(one, warning=one.warning[:PROBLEM]) for one in _short(status.needs)),
            sinks=_short(status.sinks),
            not_in_force=None if late is None else _short((late,))[0],
            unrecognised=status.unrecognised[:PROBLEM],
        )

    def _write(self, status: Status) -> None:
        """In a thread."""
        if status == self._written and self._path is not None:
            with suppress(FileNotFoundError):
                os.utime(self._path)
                return
        folder = self._folder or default_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / f"{status.pid}.json"
        data = msgspec.json.encode(status)
        try:
            _replace(self._path, data)
        except OSError:
            if not _overwrite(self._path, data):
                raise
        self._written = status


def _replace(path: Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(data + b" " * SPARE)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _overwrite(path: Path, data: bytes) -> bool:
    """Write `data` into the file as it is, which takes no more of a full disk; False if it cannot be done."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(fd, "wb", buffering=0) as file:
            room = os.fstat(fd).st_size - len(data)
            return room >= 0 and file.write(data + b" " * room) == len(data) + room
    except OSError:
        return False


def _short(found: tuple[T, ...]) -> tuple[T, ...]:
    """Each with the beginning of its problem."""
    return tuple(replace(one, problem=one.problem[:PROBLEM]) for one in found)


def running(folder: Path | None = None) -> list[Status]:
    """Every mcpguard of this user that runs, oldest first. Files of those that do not run are removed;
    what cannot be read as a status is left out."""
    folder = folder or default_folder()
    try:
        paths = sorted(folder.glob("*.json"))
    except OSError:
        return []
    found = []
    for path in paths:
        status = _read(path)
        if status is not None and _exists(status.pid) and birth_of(status.pid) == status.birth:
            found.append(status)
        elif path.stem.isdecimal() and (status is not None or not _exists(int(path.stem))):
            path.unlink(missing_ok=True)
    return sorted(found, key=lambda status: (status.started, status.pid))


def is_outdated(status: Status) -> bool:
    """Whether the process has not confirmed its status for long: it hangs, or cannot write it."""
    return time.time() - status.updated > OUTDATED_SECONDS


def birth_of(pid: int) -> str:
    """What the system calls the start of a process (Linux: field 22 of /proc/PID/stat), "" if unknown, and
    for one that has ended and is kept only until its parent asks how (a zombie)."""
    try:
        found = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return "" if found[0] in ("Z", "X") else found[19]
    except (OSError, IndexError):
        return ""


def _read(path: Path) -> Status | None:
    try:
        status = msgspec.json.decode(read_regular(path, MAX_BYTES) or b"", type=Status)
        return replace(status, updated=path.stat().st_mtime)
    except (OSError, msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
