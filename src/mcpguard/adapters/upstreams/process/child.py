"""Child processes that never outlive us (law 9): a group each, and a watchdog for the worst case.

Each upstream leads its own session and process group, so launchers and their children are ended together.
If mcpguard itself is killed, a tiny `sh` that holds the other end of a pipe sees its end and kills every
group that was announced to it. A child waits for one line on its standard input before it becomes the
configured command, and gets that line only after the watchdog knows its group: there is no moment without a
guard. A process that left its group (a daemon) ends with its upstream while it holds the output of this, and
else with an orderly end of mcpguard, on Linux (`adopt`). Of those only children of ours are touched that live
in another session and that we did not start.

What each system gives: docs/guides/orphans.md.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container, Mapping, Sequence
from typing import IO

from msgspec import Struct

from mcpguard.adapters.system.files import failure_of
from mcpguard.adapters.upstreams.process.inherited import executable, not_startable
from mcpguard.core.errors import UpstreamError

GRACE_SECONDS = 0.5
"""How long a group may take after the end of its input, and again after SIGTERM."""

_GATE = 'read -r go && exec "$@"'

_WATCHDOG = """
trap '' HUP INT TERM QUIT PIPE
groups=' '
while read -r what id; do
  case $what in
    add) groups="$groups$id ";;
    end) groups="${groups%% $id *} ${groups#* $id }";;
  esac
done
for id in $groups; do kill -KILL "-$id" 2>/dev/null; done
"""


class Child(Struct):
    """A started upstream: `process.pid` is also its process group; the descriptors are ours to close.

    `output` is the inode of the pipe behind `stdout`; `left(failed)` is called once, when the process that
    was started has ended, whatever becomes of what it started.
    """

    process: subprocess.Popen[bytes]
    stdin: int
    stdout: int
    stderr: int
    output: int = 0
    left: Callable[[bool], None] | None = None


class ChildProcesses:
    """Starts children and ends them. One per process."""

    def __init__(self) -> None:
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._children: dict[int, Child] = {}
        self._started = False

    def start(self, command: str, args: Sequence[str], env: Mapping[str, str], cwd: str | None) -> Child:
        """Start `command` in a new group. Raises UpstreamError where it cannot be found or started."""
        path = executable(command, env.get("PATH"), cwd)
        if path is None:
            raise UpstreamError(not_startable(command, env.get("PATH"), cwd))
        if not self._started:
            self._started = True
            adopt()
            asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._child_ended)
        self._watch()
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _GATE, "mcpguard-upstream", path, *args],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as problem:
            nowhere = cwd is not None and not os.path.isdir(cwd)
            said = f"{cwd} is not a folder: correct `cwd`" if nowhere else failure_of(problem)
            raise UpstreamError(f"the command '{command}' cannot be started: {said}") from None
        self._tell("add", process.pid)
        stdin, stdout, stderr = (_taken(pipe) for pipe in (process.stdin, process.stdout, process.stderr))
        os.write(stdin, b"go\n")
        child = Child(process, stdin, stdout, stderr, os.fstat(stdout).st_ino)
        self._children[process.pid] = child
        return child

    async def end(self, child: Child, gently: bool = True) -> None:
        """End the whole group: its input is closed already; then SIGTERM, then SIGKILL.

        `gently` waits for the end of input to work first. Returns when no process of the group is
        left, after at most about two grace periods.
        """
        if not (gently and await _gone(child)):
            _signal(child, signal.SIGTERM)
            if not await _gone(child):
                _signal(child, signal.SIGKILL)
                await _gone(child)
        await self._end_holders(child)
        self._tell("end", child.process.pid)
        if child.process.poll() is not None:
            self._children.pop(child.process.pid, None)

    async def _end_holders(self, child: Child) -> None:
        """SIGKILL what left the group and still holds its output."""
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline:
            left = [pid for pid in _orphans(self._known()) if _holds(pid, child.output)]
            if not left:
                break
            _kill(left)
            await asyncio.sleep(0.01)

    def close(self) -> None:
        """Every child has ended: end what left their groups, and let the watchdog go."""
        if not self._started:
            return
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
        _kill_left(self._known())
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None and watchdog.stdin is not None:
            watchdog.stdin.close()
            try:
                watchdog.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:  # Somebody has stopped it.
                watchdog.kill()
                watchdog.wait()

    def _child_ended(self) -> None:
        if self._watchdog is not None:
            self._watch()
        for child in list(self._children.values()):
            left = child.left
            if left is not None and (status := _status(child)) is not None:
                child.left = None
                left(status != 0)
        # Reap those that have ended. `known` are the children that somebody here waits for.
        known = self._known()
        for pid in _orphans(known):
            _wait(pid)

    def _known(self) -> set[int]:
        return {*self._children, *([self._watchdog.pid] if self._watchdog is not None else ())}

    def _watch(self) -> None:
        """See to it that there is a watchdog, and that it knows every group that is not over."""
        if self._watchdog is not None and self._watchdog.poll() is None:
            return
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "mcpguard-watchdog"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
            bufsize=0,
        )
        for group in self._children:
            self._tell("add", group)

    def _tell(self, what: str, group: int) -> None:
        if self._watchdog is not None and self._watchdog.stdin is not None:
            try:
                self._watchdog.stdin.write(f"{what} {group}\n".encode())
            except BrokenPipeError:
                pass  # Somebody killed it; the groups are still ended by `end`.


def _taken(pipe: IO[bytes] | None) -> int:
    """A non-blocking descriptor of ours for a pipe that Popen made."""
    if pipe is None:
        raise UpstreamError("the command was started without a pipe")
    fd = os.dup(pipe.fileno())
    pipe.close()
    os.set_blocking(fd, False)
    return fd


def _signal(child: Child, number: int) -> None:
    child.process.poll()  # Reaps the leader, so that an empty group counts as gone.
    try:
        os.killpg(child.process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass


async def _gone(child: Child) -> bool:
    """Whether the group is empty within the grace period."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + GRACE_SECONDS
    while loop.time() < deadline:
        child.process.poll()
        try:
            os.killpg(child.process.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # macOS says so while only zombies are left to reap.
        await asyncio.sleep(0.01)
    return False


def _status(child: Child) -> int | None:
    """The leader's exit status or signal, None while it runs. It is not reaped, except on macOS: so its
    number stays its own, and no signal to the group reaches a stranger, however long the others stay."""
    pid, waitid = child.process.pid, getattr(os, "waitid", None)
    if waitid is None or child.process.returncode is not None:
        return child.process.poll()
    found = waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return None if found is None else int(found.si_status)


async def exit_status(child: Child) -> int | None:
    """The leader's exit status, if it ends within a moment; the end of its output often comes first."""
    for _ in range(10):
        status = child.process.poll()
        if status is not None:
            return status
        await asyncio.sleep(0.01)
    return None


_PR_SET_CHILD_SUBREAPER = 36
_KILL_SECONDS = 0.5


def adopt() -> bool:
    """From now on a descendant whose parent ends is our child (prctl(2)); False where that cannot be."""
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _kill_left(known: Container[int]) -> None:
    """SIGKILL all of them, and whoever becomes our child by that. Blocks for a moment at most."""
    deadline = time.monotonic() + _KILL_SECONDS
    while (found := _orphans(known)) and time.monotonic() < deadline:
        _kill(found)
        if not any([_wait(pid) for pid in found]):
            time.sleep(0.005)


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def _holds(pid: int, pipe: int) -> bool:
    """Whether a descriptor of `pid` is the pipe of this inode (proc(5), fd)."""
    folder, name = f"/proc/{pid}/fd", f"pipe:[{pipe}]"
    for fd in _listed(folder):
        try:
            if os.readlink(f"{folder}/{fd}") == name:
                return True
        except OSError:  # It was closed meanwhile.
            continue
    return False


def _orphans(known: Container[int]) -> list[int]:
    # /proc/self/task/*/children would be quicker, and not every kernel has it.
    own, session = os.getpid(), os.getsid(0)
    numbers = [int(name) for name in _listed("/proc") if name.isdigit()]
    return [pid for pid in numbers if pid not in known and _is_orphan(pid, own, session)]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _is_orphan(pid: int, own: int, session: int) -> bool:
    """Whether `pid` is a child of `own` outside of `session` (proc(5), stat: fields 4 and 6)."""
    try:
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY)  # Half of the time of `open`, for each of hundreds.
    except OSError:
        return False
    try:
        facts = os.read(file, 1024).rpartition(b")")[2].split(None, 4)
    except OSError:  # It has ended meanwhile.
        return False
    finally:
        os.close(file)
    return int(facts[1]) == own and int(facts[3]) != session


def _wait(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
