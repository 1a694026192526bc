"""Processes forked from one that has its imports already (`tests/servers/warm.py`), used like `subprocess.Popen`."""

import atexit
import os
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.servers import warm

ROOT = Path(warm.__file__).parents[2]


@cache
def socket_of(*command):
    """The socket of the process that `command` starts, once in this run; it ends with it."""
    folder = tempfile.TemporaryDirectory()
    path = f"{folder.name}/warm"
    running = subprocess.Popen(
        [sys.executable, *command, path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )

    def end():
        running.stdin.close()
        running.wait(10)
        running.stdout.close()
        folder.cleanup()

    atexit.register(end)
    assert running.stdout.readline() == b"ready\n"
    return path


class Warm:
    """A running child with pipes at its standard input and output, as `Popen(..., bufsize=0)` has them."""

    def __init__(self, path, arguments, *, stderr, env, cwd=None):
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        said = {
            "arguments": arguments,
            "folder": str(cwd or os.getcwd()),
            "variables": env,
            "session": True,
        }
        self._link, self.pid = warm.ask(path, said, (theirs_in, theirs_out, stderr.fileno()))
        os.close(theirs_in)
        os.close(theirs_out)
        self.stdin = os.fdopen(ours_in, "wb", 0)
        self.stdout = os.fdopen(ours_out, "rb", 0)
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
