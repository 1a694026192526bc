"""What answers cost that nobody reads: sessions over HTTP ask for large ones and take nothing of them.

    python bench/unread.py                          # 99 sessions with two answers of 15 MB each
    python bench/unread.py --sessions 20 --answers 4

Prints how much memory mcpguard takes at most, how much once those clients have left, and how long another
session's calls took meanwhile, beside those before. Linux only (/proc).
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from http_ends import Connection, Subject
from relay import HERE, guarded, percentile

SMALL = [sys.executable, str(HERE / "subjects" / "echo_server.py")]
STEP_SECONDS = 0.02


def resident(pid):
    """MB that a process has in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("no VmRSS")


class Watch:
    """Looks at the memory of a process, and calls a tool of another session over and over."""

    def __init__(self, pid, connection):
        self.most, self.times = 0.0, []
        self._pid, self._connection, self._over = pid, connection, threading.Event()
        self._threads = [threading.Thread(target=one) for one in (self._look, self._call)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _look(self):
        while not self._over.wait(STEP_SECONDS):
            self.most = max(self.most, resident(self._pid))

    def _call(self):
        call = {"name": "echo", "arguments": {"text": "x"}}
        while not self._over.wait(STEP_SECONDS):
            begun = time.perf_counter()
            self._connection.send(self._connection.request("tools/call", call))
            self.times.append((time.perf_counter() - begun) * 1000)


def ask(connection, size, answers):
    """Ask for so many answers, each on a connection of its own, and read none of them."""
    opened = []
    for _ in range(answers):
        other = Connection.__new__(Connection)
        other.__dict__.update(connection.__dict__)
        connection.ids += 1
        other.open()
        other.ids = connection.ids
        other.socket.sendall(other.request("tools/call", {"name": "big", "arguments": {"size": size}}))
        opened.append(other)
    return opened


def measured(options):
    """The figures of one run."""
    with tempfile.TemporaryDirectory() as folder:
        subject = Subject([*guarded(Path(folder), SMALL), "--http", "127.0.0.1:{port}"])
        try:
            return run(subject, options)
        finally:
            subject.close()


def run(subject, options):
    """The same with a server that runs."""
    pid = subject.process.pid
    mine = Connection(subject.port, "legacy")
    quiet = mine.sequential(200, "echo", {"text": "x"})
    before = resident(pid)
    sessions = [Connection(subject.port, "legacy") for _ in range(options.sessions)]
    for session in sessions:  # Their servers are started before.
        session.send(session.request("tools/call", {"name": "echo", "arguments": {"text": "x"}}))
    idle = resident(pid)
    with Watch(pid, mine) as watch:
        size = options.megabytes * 1_000_000
        unread = [one for session in sessions for one in ask(session, size, options.answers)]
        time.sleep(options.seconds)
        for one in (*sessions, *unread):
            one.close()
    time.sleep(10)
    left = resident(pid)
    return before, idle, watch.most, left, quiet, watch.times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=99, help="with ours 100, the default limit")
    parser.add_argument("--answers", type=int, default=2)
    parser.add_argument("--megabytes", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=20, help="how long nobody reads")
    before, idle, most, left, quiet, times = measured(parser.parse_args())
    print(f"memory: {before:.0f} MB, {idle:.0f} with the sessions, {most:.0f} at most, {left:.0f} afterwards")
    for name, found in (("alone", quiet), ("beside them", times)):
        print(
            f"calls of another session {name}: p50 {statistics.median(found):.1f} ms, "
            f"p99 {percentile(found, 0.99):.1f} ms, at most {max(found):.0f} ms, of {len(found)}"
        )


if __name__ == "__main__":
    main()
