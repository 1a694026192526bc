"""One `mcpguard run` process under test, with a raw client that has a deadline on every read and write."""

import contextlib
import json
import os
import py_compile
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import yaml

from mcpguard.core.evidence.between import joined
from mcpguard.core.evidence.verification import verify as proof
from tests.wire import warm

SERVERS = Path(__file__).parent.parent / "servers"
DEADLINE = 20.0
ALLOW_ALL = [{"id": "all", "effect": "allow", "tools": ["*"]}]


def compiled(name):
    """The path of a server's program as bytecode, beside its source: Python keeps none of what it is started with."""
    return py_compile.compile(str(SERVERS / name), f"{SERVERS / name}c", doraise=True)


PUPPET, ECHO = compiled("puppet.py"), compiled("echo.py")


def puppet(*argv, **more):
    """The configuration entry of a `puppet.py`."""
    return {"command": sys.executable, "args": ["-S", PUPPET, *argv], **more}


def echo(**more):
    """The configuration entry of an `echo.py`."""
    return {"command": sys.executable, "args": ["-S", ECHO], **more}


def ready(readers, writers, seconds):
    """As `select.select`, of descriptors of any number: which can be read, and which written, within `seconds`."""
    poll = select.poll()
    for one in readers:
        poll.register(one, select.POLLIN)
    for one in writers:
        poll.register(one, select.POLLOUT)
    found = dict(poll.poll(max(0, seconds) * 1000))
    return [one for one in readers if one in found], [one for one in writers if one in found]


def eventually(check, what, seconds=DEADLINE):
    """Wait until `check()` is true, and give what it gave. What takes long itself, such as a command, is asked less often."""
    began = time.monotonic()
    end = began + seconds
    while True:
        found = check()
        if found:
            return found
        now = time.monotonic()
        assert now < end, f"not within {seconds} s: {what}"
        time.sleep(min(max(0.01, now - began), 0.2))
        began = time.monotonic()


def free_port():
    """A port of 127.0.0.1 for a program that wants a number: one below those that the system gives to whoever asks, since
    another process may get any of them before the program does."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def write_config(folder, servers, rules=None, **more):
    """A configuration and its policy in `folder`; gives the path. `rules` None allows everything."""
    rules = ALLOW_ALL if rules is None else rules
    policy = {"version": 1, "policy": "test", "owner": "tests", "rules": rules}
    replace(folder / "policy.yaml", yaml.safe_dump(policy, sort_keys=False))
    config = {
        "version": 1,
        "servers": servers,
        "policies": ["policy.yaml"],
        "audit": {"path": "audit"},
        "approvals": {"wait_seconds": 0},
        **more,
        # A busy machine may take longer to start a server than a client should wait.
        # What hangs on purpose hangs to the end.
        "limits": {"list_seconds": DEADLINE, "drain_seconds": 0.3, **more.get("limits", {})},
    }
    path = folder / "mcpguard.yaml"
    replace(path, yaml.safe_dump(config, sort_keys=False))
    return path


def replace(path, text):
    """Write a file so that whoever reads it at that moment has the old or the new one, and never half of it."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text)
    fresh.replace(path)


class Guard:
    """`received` is every byte of standard output, `messages` every message in order. Its evidence is verified
    at the end, unless a test has `harmed` it."""

    harmed = False

    def __init__(
        self,
        folder,
        servers,
        rules=None,
        *,
        env=None,
        words=(),
        cwd=None,
        cold=False,
        preexec=None,
        ulimits=None,
        **more,
    ):
        """`words` are further options; it runs in `cwd`. `cold` or `preexec` starts the command itself; else the process is forked
        from one that has imported mcpguard, with `ulimits` (see `warm.Warm`)."""
        self.folder = folder
        self.config = write_config(folder, servers, rules, **more)
        self.audit_folder = folder / "audit"
        self.received = bytearray()
        self.messages = []
        self.stalled = False
        self._parsed = 0
        self._last_id = 0
        self._inbox = {}
        self._stderr = open(folder / "stderr", "ab")  # noqa: SIM115
        words = ["run", "--config", str(self.config), *words]
        variables = {**os.environ, **(env or {})}
        if cold or preexec:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mcpguard", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=variables,
                bufsize=0,
                start_new_session=True,
                cwd=cwd,
                preexec_fn=preexec,  # noqa: PLW1509
            )
        else:
            place = warm.socket_of_mcpguard()
            about = {"env": variables, "cwd": cwd, "limits": ulimits}
            self.process = warm.Warm(place, words, stderr=self._stderr, **about)
        self.pid = self.process.pid
        self._in = self.process.stdin.fileno()
        self._out = self.process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)

    # --- bytes -----------------------------------------------------------------------------------

    def pump(self, data=b"", seconds=DEADLINE, until=None):
        """Write `data` while reading (unless `stalled`), then read until `until()` is true."""
        end = time.monotonic() + seconds
        rest = memoryview(data)
        while rest or (until is not None and not until()):
            left = end - time.monotonic()
            assert left > 0, f"no progress: {len(rest)} bytes unsent, stderr: {self.stderr[-2000:]!r}"
            readers = [] if self.stalled else [self._out]
            readable, writable = ready(readers, [self._in] if rest else [], min(left, 0.5))
            if readable and not self._read():
                raise AssertionError(f"mcpguard ended: {self.stderr[-2000:]!r}")
            if writable:
                rest = rest[os.write(self._in, rest) :]

    def _read(self):
        data = os.read(self._out, 1 << 20)
        self.received += data
        *lines, _rest = bytes(self.received[self._parsed :]).split(b"\n")
        for line in lines:
            self._parsed += len(line) + 1
            message = json.loads(line)
            self.messages.append(message)
            if "method" not in message and isinstance(message.get("id"), str | int):
                self._inbox[message["id"]] = message
        return data

    def try_write(self, data, seconds):
        """Write what is taken within `seconds` without reading; gives the number of bytes."""
        end = time.monotonic() + seconds
        rest = memoryview(data)
        while rest and (left := end - time.monotonic()) > 0:
            if ready([], [self._in], left)[1]:
                rest = rest[os.write(self._in, rest) :]
        return len(data) - len(rest)

    # --- messages --------------------------------------------------------------------------------

    def send(self, message, seconds=DEADLINE):
        """Write one message: a dict, or the bytes of a line without its end."""
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.pump(line + b"\n", seconds)

    def request(self, method, params=None):
        """Send a request with a new id; gives the id."""
        self._last_id += 1
        message = {"jsonrpc": "2.0", "id": self._last_id, "method": method}
        self.send(message if params is None else {**message, "params": params})
        return self._last_id

    def notify(self, method, **params):
        """Send a notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def answer(self, request_id, seconds=DEADLINE):
        """The answer to a request, once."""
        self.pump(until=lambda: request_id in self._inbox, seconds=seconds)
        return self._inbox.pop(request_id)

    def ask(self, method, params=None, seconds=DEADLINE):
        """Send a request and give its answer."""
        return self.answer(self.request(method, params), seconds)

    def call(self, name, seconds=DEADLINE, **args):
        """Call a tool and give the whole answer."""
        return self.ask("tools/call", {"name": name, "arguments": args}, seconds)

    def text(self, name, seconds=DEADLINE, **args):
        """Call a tool and give the text of its answer."""
        answer = self.call(name, seconds, **args)
        assert "result" in answer, answer
        return answer["result"]["content"][0]["text"]

    def hello(self, version="2025-11-25", capabilities=None):
        """The handshake; gives the result of `initialize`."""
        about = {"capabilities": capabilities or {}, "clientInfo": {"name": "t", "version": "1"}}
        answer = self.ask("initialize", {"protocolVersion": version, **about})
        self.notify("notifications/initialized")
        return answer["result"]

    def tools(self, seconds=DEADLINE):
        """The names of `tools/list`."""
        return [tool["name"] for tool in self.ask("tools/list", seconds=seconds)["result"]["tools"]]

    def wait_message(self, check, seconds=DEADLINE):
        """The first message, past or to come, for which `check` is true."""
        self.pump(until=lambda: any(map(check, self.messages)), seconds=seconds)
        return next(message for message in self.messages if check(message))

    def notifications(self, method):
        """The params of all notifications of a method so far."""
        return [m.get("params") for m in self.messages if m.get("method") == method]

    def raw_answer(self, request_id):
        """The bytes of the line that answers a request, without its id."""
        head = b'{"jsonrpc":"2.0","id":%d,' % request_id
        return next(line for line in bytes(self.received).split(b"\n") if line.startswith(head))[len(head) :]

    # --- what is left behind ---------------------------------------------------------------------

    @property
    def stderr(self):
        """All bytes of standard error so far."""
        return (self.folder / "stderr").read_bytes()

    def wait_stderr(self, text, seconds=DEADLINE):
        """Wait until standard error has this text."""
        return eventually(lambda: text.encode() in self.stderr, f"{text!r} in {self.stderr!r}", seconds)

    @property
    def audit_bytes(self):
        """All bytes of the audit folder."""
        while True:
            with contextlib.suppress(FileNotFoundError):  # Compressed meanwhile, it has another name.
                return b"".join(path.read_bytes() for path in sorted(self.audit_folder.glob("*")))

    def records(self, kind=None):
        """All whole records of the audit folder, in order."""
        lines = self.audit_bytes.split(b"\n")[:-1]
        found = [json.loads(line) for line in lines]
        return [record for record in found if kind is None or record["kind"] == kind]

    def decided(self, at=-1):
        """The decision about a call, the last one if `at` says no other; lists that mcpguard asks for itself are recorded too."""
        return [one for one in self.records("decision") if one["method"] == "tools/call"][at]

    def outcome(self, at=-1):
        """What came of that call."""
        call = self.decided(at)["id"]
        return next(one for one in self.records("outcome") if one["id"] == call)

    def rss(self):
        """Resident memory of the process in bytes (Linux)."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    # --- the end ---------------------------------------------------------------------------------

    def end(self, seconds=DEADLINE):
        """Close standard input, read to the end, and give the exit code."""
        self.process.stdin.close()
        return self.wait(seconds)

    def signal(self, number):
        """Send a signal to mcpguard and to nothing else."""
        self.process.send_signal(number)

    def wait(self, seconds=DEADLINE):
        """Read to the end of standard output and give the exit code."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            assert left > 0, f"mcpguard did not end: {self.stderr[-2000:]!r}"
            if ready([self._out], [], left)[0] and not self._read():
                return self.process.wait(max(0.1, end - time.monotonic()))

    def dispose(self):
        """End the process whatever it does; its watchdog ends what it started."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        for pipe in (self.process.stdin, self.process.stdout, self._stderr):
            if not pipe.closed:
                pipe.close()
        assert self.harmed or not flaws_of(self.audit_folder), "the evidence of this test verifies"


def flaws_of(folder):
    """Why chains of a folder do not verify, each by its file."""
    chains = {path.name: path.read_bytes().splitlines(keepends=True) for path in folder.glob("*.jsonl")}
    reports = joined({name: proof(lines) for name, lines in chains.items()}, {})
    return {name: one.flaws for name, one in reports.items() if one.flaws}


def verify(folder, *words):
    """`mcpguard audit verify` on a folder: exit code and both outputs."""
    done = warm.command("audit", "verify", str(folder), *words, timeout=DEADLINE)
    return done.returncode, (done.stdout + done.stderr).decode()
