"""Processes forked from one that has its imports already (`tests/servers/warm.py`), used like `subprocess.Popen`."""

import atexit
import contextlib
import fcntl
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path

from scripts import python_servers
from tests.servers import warm

ROOT = Path(warm.__file__).parents[2]


SHARED = tempfile.mkdtemp()
"""The folder of the sockets that all workers of a run have in common (`tests/workers.py`)."""
atexit.register(shutil.rmtree, SHARED)
END, _open = os.pipe()
"""Nobody writes to it: it ends with the last worker."""


@cache
def socket_of(*command):
    """The socket of the process that `command` starts, once in this worker; it ends with it."""
    folder = tempfile.TemporaryDirectory()
    path = f"{folder.name}/warm"
    running = _started(command, path, subprocess.PIPE)

    def end():
        running.stdin.close()
        running.wait(10)
        running.stdout.close()
        folder.cleanup()

    atexit.register(end)
    return path


@cache
def common_socket_of(*command):
    """The same, once for all workers: for what no test looks for among its own descendants."""
    path = f"{SHARED}/{sha256(repr(command).encode()).hexdigest()[:16]}"
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            _COMMON.append(_started(command, path, END))
    return path


_COMMON = []


def _started(command, path, stdin):
    running = subprocess.Popen(
        [sys.executable, *command, path], cwd=ROOT, stdin=stdin, stdout=subprocess.PIPE
    )
    assert running.stdout.readline() == b"ready\n"
    return running


SDK = ("mcp.client.stdio", "mcp.client.auth.utils", "mcpguard.adapters.credentials.oauth.login")
"""What the commands import that speak MCP, or log in, with the SDK."""


def socket_of_mcpguard(*modules):
    """The socket of a process that has imported what `mcpguard run` imports, and `modules`."""
    return (common_socket_of if modules else socket_of)("-m", "tests.servers.warm_mcpguard", *modules)


def python():
    """What is `sys.executable` for `-c CODE ...` in a process that is forked from that; one that is killed ends with 247."""
    return [sys.executable, "-S", warm.__file__, socket_of_mcpguard()]


def program(path):
    """Write a program that is `mcpguard`, forked from that."""
    path.write_text(f'#!/bin/sh\nexec {shlex.join(python())} "$@"\n')
    path.chmod(0o755)


def sdk_server(module, *words, own=False):
    """The configuration entry of a server that `python -m module` is, forked from a process that has imported the SDK:
    one of this worker if `own`, for who looks for the server among its own descendants."""
    common = ("-m", "tests.servers.warm_sdk", "mcp_server_git.server", "mcp_server_time.server")
    return _forked_from((socket_of if own else common_socket_of)(*common), module, *words)


def server_apart(name, *words):
    """The same of a server that has a folder of its own (`scripts/python_servers.py`)."""
    module = f"mcp_server_{name}"
    socket = common_socket_of(
        "-m", "tests.servers.warm_sdk", str(python_servers.ready(name)), f"{module}.server"
    )
    return _forked_from(socket, "-c", f"import {module} as server; server.main()", *words)


def _forked_from(socket, *words):
    return {"command": sys.executable, "args": ["-S", warm.__file__, socket, *words]}


def command(*words, typed="", environment=None, timeout=60, modules=(), cwd=None):
    """`mcpguard` with these words and `typed` at its standard input, as `subprocess.run(..., capture_output=True)`;
    `modules` are imported already."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        variables = {**os.environ, **(environment or {})}
        place = socket_of_mcpguard(*modules)
        running = Warm(place, list(words), stdout=said, stderr=complained, env=variables, cwd=cwd)
        with contextlib.suppress(BrokenPipeError), running.stdin as stdin:  # It may end without reading.
            stdin.write(typed.encode())
        try:
            code = running.wait(timeout)
        finally:
            running.kill()
        for one in (said, complained):
            one.seek(0)
        return subprocess.CompletedProcess(["mcpguard", *words], code, said.read(), complained.read())


class Warm:
    """A running child with a pipe at its standard input, as `Popen(..., bufsize=0)` has it, and one at its standard
    output unless that is given. `limits` are the most that it may have of each `resource.RLIMIT_...`."""

    def __init__(self, path, arguments, *, stdout=None, stderr, env, cwd=None, limits=None):
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = (None, os.dup(stdout.fileno())) if stdout else os.pipe()
        theirs_err = theirs_out if stderr is subprocess.STDOUT else stderr.fileno()
        said = {
            "arguments": arguments,
            "folder": str(cwd or os.getcwd()),
            "variables": env,
            "session": True,
            "limits": limits or {},
        }
        self._link, self.pid = warm.ask(path, said, (theirs_in, theirs_out, theirs_err))
        os.close(theirs_in)
        os.close(theirs_out)
        self.stdin = os.fdopen(ours_in, "wb", 0)
        self.stdout = None if ours_out is None else os.fdopen(ours_out, "rb", 0)
        self.returncode = None

    def poll(self):
        """As `Popen.poll`."""
        return self._ended(0)

    def wait(self, timeout=None):
        """As `Popen.wait`."""
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired(["mcpguard"], timeout)
        return self.returncode

    def send_signal(self, number):
        """As `Popen.send_signal`."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # It has ended, and that was not told yet.
                os.kill(self.pid, number)

    def kill(self):
        """As `Popen.kill`."""
        self.send_signal(9)

    def _ended(self, seconds):
        if self.returncode is None:
            self._link.settimeout(seconds)
            try:
                said = self._link.recv(warm.SIZE, socket.MSG_WAITALL if seconds != 0 else 0)
            except (TimeoutError, BlockingIOError):
                return None
            self.returncode = os.waitstatus_to_exitcode(int.from_bytes(said, "big"))
            self._link.close()
        return self.returncode
