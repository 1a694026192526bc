"""The processes of the proof harness: the upstream `everything.py`, and `mcpguard run --http` in front of it.

Law of this file: every process is ended by whoever started it, and each start has a deadline.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.wire import warm
from tests.wire.session import SERVERS, eventually, write_config

EVERYTHING = str(SERVERS / "everything.py")
WARM = str(SERVERS / "warm.py")
ALLOW_ALL = [{"id": "all", "effect": "allow", "action": ["*"]}]
LISTENING = re.compile(rb"mcpguard: listening on (http://127\.0\.0\.1:\d+)/mcp$", re.MULTILINE)
PORT = re.compile(rb"^(\d+)$", re.MULTILINE)


@contextlib.contextmanager
def process(start, folder, name):
    """What `start(stdout, stderr)` starts, with its output in `folder`; ended at the end, killed after ten seconds."""
    with (folder / f"{name}.out").open("wb") as out, (folder / f"{name}.err").open("wb") as err:
        running = start(out, err)
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def said(running, path, pattern):
    """What `pattern` found in a file that the process writes."""

    def look():
        assert running.poll() is None, f"it ended: {path.with_suffix('.err').read_bytes()[-2000:].decode()}"
        return pattern.search(path.read_bytes())

    return eventually(look, f"{pattern.pattern} in {path.name}").group(1).decode()


def forked_to(out, err, socket, *words):
    """A process that is forked at `socket`, without input and with its output in two files."""
    running = warm.Warm(socket, words, stdout=out, stderr=err, env=dict(os.environ))
    running.stdin.close()
    return running


@contextlib.contextmanager
def upstream(folder, *options, name="upstream"):
    """`everything.py` over HTTP; gives its origin, such as `http://127.0.0.1:1234`."""

    def start(out, err):
        return forked_to(out, err, warm.common_socket_of(EVERYTHING, "--warm"), "--http", "0", *options)

    with process(start, folder, name) as running:
        yield f"http://127.0.0.1:{said(running, folder / f'{name}.out', PORT)}"


@contextlib.contextmanager
def server_entry(folder, way, *options):
    """A configuration entry of `everything.py`, reached by `stdio`, `http` or `sse`."""
    if way == "stdio":
        # mcpguard starts one for each client that connects, and the SDK takes most of a second to import.
        socket = warm.common_socket_of(EVERYTHING, "--warm")
        yield {"command": sys.executable, "args": ["-S", WARM, socket, "--stdio", *options]}
    else:
        with upstream(folder, *options) as origin:
            yield {"url": f"{origin}/{'sse' if way == 'sse' else 'mcp'}"}


def configured(folder, entry, rules=None):
    """The configuration file of mcpguard with one server and, if nothing else is said, all allowed."""
    return write_config(folder, {"everything": entry}, ALLOW_ALL if rules is None else rules)


def forked(*words):
    """A command that is mcpguard with these words, forked from a process that has its imports already."""
    return [sys.executable, "-S", WARM, warm.socket_of_mcpguard(), *words]


def over_stdio(config):
    """A command that is mcpguard over standard input and output."""
    return forked("run", "--config", str(config))


@contextlib.contextmanager
def guard(folder, config, *words):
    """mcpguard over HTTP, with `words` as further options; gives its origin."""
    words = ["run", "--config", str(config), "--http", "127.0.0.1:0", *words]

    def start(out, err):
        return forked_to(out, err, warm.socket_of_mcpguard(), *words)

    with process(start, folder, "mcpguard") as running:
        yield said(running, folder / "mcpguard.err", LISTENING)


def without_node():
    """Whether the person who runs the tests said that node cannot be had."""
    return os.environ.get("MCPGUARD_WITHOUT_NODE") == "1"


def root():
    """The folder of the project."""
    return Path(__file__).resolve().parent.parent.parent
