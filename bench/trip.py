"""The road of one call: what a warm `tools/call` runs through inside mcpguard, counted.

    python bench/trip.py                       # one row for each front and era of the client
    python bench/trip.py --route stdio legacy  # every function that is entered, in order, indented by depth
    python bench/trip.py --files stdio legacy  # how often each file is entered, and from which one
    python bench/trip.py --json                # the rows as JSON; `tests/wire/test_trip.py` keeps the budget

Nothing is timed. The real program serves, with the configuration of `relay.py` and a real upstream behind
pipes; a client in a second thread of its process sends calls, and a profiling hook in the serving thread
notes each function of mcpguard that is entered. Work in the background can only add to one call, so the
least of several is the figure. A coroutine that goes on is entered once more.

    calls    functions of mcpguard entered
    files    files that these are in
    changes  how often the next function is in another file than the last
    deepest  most functions of mcpguard on the stack at once, with those that started the loop
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import Counter
from itertools import pairwise
from pathlib import Path

from http_ends import LEGACY, META, Connection, free_port
from relay import UPSTREAM, guarded

import mcpguard

SOURCE = Path(mcpguard.__file__).parent
FRONTS = (("stdio", "legacy"), ("stdio", "modern"), ("http", "legacy"), ("http", "modern"))
WARM, COUNTED = 30, 9
SECONDS = 60
CALL = {"name": "echo", "arguments": {"text": "x" * 200}}


class Hook:
    """A profiling hook of the serving thread: entries of mcpguard's functions, while `entries` is a list."""

    def __init__(self):
        self.entries, self.loop, self.began = None, None, threading.Event()
        self.prefix, self.depth = f"{SOURCE}{os.sep}", 0

    def __call__(self, frame, event, _what):
        code = frame.f_code
        if self.loop is None and code is asyncio.BaseEventLoop._run_once.__code__:
            self.loop = frame.f_locals["self"]
            self.began.set()
        if self.entries is None or event not in ("call", "return"):
            return
        if code.co_filename.startswith(self.prefix):
            if event == "call":
                self.depth += 1
                self.entries.append((self.depth, code.co_filename[len(self.prefix) :], code.co_qualname))
            else:
                self.depth -= 1

    def settle(self):
        """Return when the loop has nothing left to do."""
        for _ in range(3):
            idle = threading.Event()
            self.loop.call_soon_threadsafe(idle.set)
            idle.wait(SECONDS)

    def below(self):
        """How many of its functions the serving thread is in while it waits."""
        frame, found = sys._current_frames()[threading.main_thread().ident], 0
        while frame is not None:
            found += frame.f_code.co_filename.startswith(self.prefix)
            frame = frame.f_back
        return found

    def recorded(self, work):
        """The entries of what the serving thread does for `work()`."""
        self.settle()
        self.entries, self.depth = [], self.below()
        work()
        self.settle()
        entries, self.entries = self.entries, None
        return entries


class Piped:
    """The client of a stdio session, over the other ends of the program's standard input and output."""

    def __init__(self, writing, reading, era):
        self.writing, self.reading, self.era, self.ids = writing, os.fdopen(reading, "rb"), era, 0
        if era == "legacy":
            hello = {
                "protocolVersion": LEGACY,
                "capabilities": {},
                "clientInfo": {"name": "b", "version": "1"},
            }
            self.send(self.request("initialize", hello))
            os.write(writing, b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    def request(self, method, params):
        self.ids += 1
        own = {**params, "_meta": META} if self.era == "modern" else params
        message = {"jsonrpc": "2.0", "id": self.ids, "method": method, "params": own}
        return json.dumps(message, separators=(",", ":")).encode() + b"\n"

    def send(self, data):
        os.write(self.writing, data)
        return None, self.reading.readline()

    def close(self):
        os.close(self.writing)


def client(hook, connect, answer):
    """Call, record, write what was recorded into the file `answer`, and end the program."""
    try:
        hook.began.wait(SECONDS)
        hook.settle()
        connection = connect()
        connection.send(connection.request("tools/list", {}))
        for _ in range(WARM):
            connection.send(connection.request("tools/call", CALL))
        trips = []
        for _ in range(COUNTED):
            data = connection.request("tools/call", CALL)
            trips.append(hook.recorded(lambda data=data: check(connection.send(data)[1])))
        answer.write_text(json.dumps(min(trips, key=len)))
        connection.close()
    except Exception:
        traceback.print_exc()
    os.kill(os.getpid(), signal.SIGTERM)


def check(body):
    if b'"result"' not in body or b'"isError":true' in body:
        raise RuntimeError(body[:300])


def serve(front, era, folder):
    """Be the program, with the client in a thread."""
    words = guarded(folder, UPSTREAM)[1:]
    if front == "http":
        port = free_port()
        words += ["--http", f"127.0.0.1:{port}"]

        def connect():
            return Connection(port, era)
    else:
        reading, writing = os.pipe(), os.pipe()
        os.dup2(reading[0], 0)
        os.dup2(writing[1], 1)

        def connect():
            return Piped(reading[1], writing[0], era)

    from mcpguard.cli import main as program

    hook = Hook()
    threading.Thread(target=client, args=(hook, connect, folder / "trip.json"), daemon=True).start()
    sys.setprofile(hook)
    return program(words)


def recorded(front, era):
    """The entries of one warm call: depth, file and function each."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "BENCH_TOKEN": "bench-token-7c1f0a94e2", "XDG_STATE_HOME": folder}
        words = [sys.executable, __file__, "--serve", folder, front, era]
        done = subprocess.run(
            words,
            check=False,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * SECONDS,
        )
        try:
            return json.loads((Path(folder) / "trip.json").read_text())
        except FileNotFoundError:
            raise RuntimeError(f"no call came through: {done.stderr}") from None


def counted(entries):
    """The four figures of a trip."""
    files = [file for _depth, file, _function in entries]
    return {
        "calls": len(entries),
        "files": len(set(files)),
        "changes": sum(one != two for one, two in pairwise(files)),
        "deepest": max(depth for depth, _file, _function in entries),
    }


def show_route(entries):
    for depth, file, function in entries:
        print(f"{depth:3}  {'  ' * (depth - 1)}{function}  ({file})")


def show_files(entries):
    files = [file for _depth, file, _function in entries]
    changes = Counter((one, two) for one, two in pairwise(files) if one != two)
    for file, count in Counter(files).most_common():
        before = Counter({one: n for (one, two), n in changes.items() if two == file})
        said = ", ".join(f"{one} {n}" for one, n in before.most_common())
        print(f"{count:4}  {file}  <- {said}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("only", nargs="*", metavar="FRONT ERA", help="such as: stdio legacy")
    parser.add_argument("--route", action="store_true", help="list every function that is entered")
    parser.add_argument("--files", action="store_true", help="list the files that are entered")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", metavar="FOLDER", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    fronts = [tuple(options.only)] if options.only else FRONTS
    if options.serve:
        sys.exit(serve(*fronts[0], options.serve))
    trips = {one: recorded(*one) for one in fronts}
    if options.json:
        print(json.dumps({" ".join(one): counted(entries) for one, entries in trips.items()}))
        return
    for (front, era), entries in trips.items():
        figures = counted(entries)
        print(f"{front:6} {era:7}", "  ".join(f"{n:4} {key}" for key, n in figures.items()))
        if options.route:
            show_route(entries)
        if options.files:
            show_files(entries)


if __name__ == "__main__":
    main()
