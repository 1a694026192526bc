"""What a question about millions of records costs: `python bench/query.py [RECORDS]`.

Writes synthetic chains (10 million records, or as many as said, or as MCPGUARD_QUERY_RECORDS says) into a
temporary folder, 1 million to a file, builds the index, adds 10,000 records more and catches up, and asks.
Ten million take some 7 GB for as long as it runs.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import sys
import tempfile
import time
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from mcpguard.adapters.audit.index import AuditIndex, index_path
from mcpguard.authoring.asking.figures import figures_by
from mcpguard.authoring.asking.matching import found
from mcpguard.authoring.asking.question import CallQuestion, Filters
from mcpguard.cli.audit.show import tell
from mcpguard.core.evidence.chain import GENESIS

A_FILE = 1_000_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SERVERS = [f"server{number}" for number in range(12)]
TOOLS = [f"tool_{number}" for number in range(20)]
PEOPLE = [f"os-user:person{number}" for number in range(9)]
QUESTIONS = {
    "the newest": "",
    "denied by a rare rule": 'effect == "deny" && "git/never" in rules',
    "one tool of one server": 'server == "server3" && tool.name == "tool_7"',
    "a pattern, and slow": 'tool.name.matches("_1[0-9]$") && ms > 900',
    "an hour in the past": 'at > timestamp("2026-01-02T00:00:00Z") && at < timestamp("2026-01-02T01:00:00Z")',
    "nobody": 'principal.id == "nobody"',
    "its arguments, narrowed": 'effect == "deny" && "git/never" in rules && args.path.startsWith("/srv/7")',
    "its arguments alone": 'args.path == "/srv/7/file17.txt"',
    "one of two arguments": 'args.path in ["/srv/7/file17.txt", "/srv/3/file33.txt"]',
    "an argument or an error": 'args.path == "/srv/7/file17.txt" || error == "no such file"',
    "the beginning of an argument": 'args.path.startsWith("/srv/7/file17.")',
    "a short part of an argument": 'args.path.contains("e17.t")',
    "a pattern of an argument": r'args.path.matches("/file1[0-9]\\.txt$")',
    "a size in a range": "size(args.path) > 300",
    "a number in a range": "args.n >= 10",
    "not the beginning of an argument": '!args.path.startsWith("/srv/")',
    "a path in a folder": 'pathWithin(args.path, ["/etc", "/srv/99"])',
    "a path outside of a folder": '!pathWithin(args.path, ["/srv"])',
    "a pattern that ignores case": r'args.path.matches("(?i)/FILE1[0-9]\\.TXT$")',
    "what was received": "received > 100000",
    "nothing narrows it": 'args.path < "/a"',
    "an argument that no call has": 'args.path.contains("passwd") && args.depth > 3',
    "an argument with that name": "has(args.token)",
    "an error that no call has": 'error.contains("ECONNREFUSED")',
    "a year": "at.getFullYear() == 2025",
    "a day of the week": 'at.getDayOfWeek("Europe/Berlin") == 2',
    "a millisecond": "at.getMilliseconds() == 7",
    "a day of the week, or an argument": "at.getDayOfWeek() == 2 || args.n > 3",
}


def write(folder: Path, first: int, records: int) -> None:
    """A chain of calls from the number `first` on."""
    at = BEGIN + timedelta(milliseconds=25 * first)
    prev = GENESIS.encode()
    path = folder / f"{at:%Y%m%dT%H%M%S%f}Z-{first}-0.jsonl"
    with path.open("wb", buffering=1 << 20) as file:
        opened = (
            b'{"kind":"opened","at":"2026-01-01T00:00:00Z","version":"1","pid":1,"principal":"os-user:a",'
            b'"policies":["git"],"policy_digest":"%b"' % (b"d" * 64)
        )
        seq, number = 1, first

        def seal(body: bytes) -> None:
            nonlocal seq, prev
            body = b'%b,"seq":%d,"prev":"%b"' % (body, seq, prev)
            prev = sha256(body).hexdigest().encode()
            file.write(b'%b,"hash":"%b"}\n' % (body, prev))
            seq += 1

        seal(opened)
        while seq < records:
            seal(decision(number, at))
            if number % 11:
                seal(outcome(number, at))
            at += timedelta(milliseconds=50)
            number += 1


def decision(number: int, at: datetime) -> bytes:
    """A call; each eleventh is denied, each 100,000th by a rule that is rare."""
    denied = number % 11 == 0
    effect = "deny" if denied else "allow"
    rule = "git/never" if number % 110_000 == 0 else f"git/rule{number % 7}"
    more = ',"cause":"rule","message":"Not this one."' if denied else ""
    return (
        f'{{"kind":"decision","at":"{at:%Y-%m-%dT%H:%M:%S.%f}Z","id":"4f1c09aa-{number}",'
        f'"principal":"{PEOPLE[number % 9]}","method":"tools/call","effect":"{effect}",'
        f'"server":"{SERVERS[number % 12]}","tool":"{TOOLS[number % 20]}","tool_digest":"{"a" * 64}"{more},'
        f'"rules":["{rule}"],"policy_digest":"{"d" * 64}","args":"{"b" * 64}","credentials":["github/read"],'
        f'"agent":"claude","client":"ide/1.2","request":"{number}","session":"s{number % 9}",'
        f'"arguments":{{"path":"/srv/{number % 10}/file{number}.txt","text":"{"x" * 120}"}}'
    ).encode()


def outcome(number: int, at: datetime) -> bytes:
    """What came of it."""
    found = ',"findings":{"email /content/0/text":1}' if number % 50 == 0 else ""
    ms = number * 7919 % 100_000 / 100
    return (
        f'{{"kind":"outcome","at":"{at:%Y-%m-%dT%H:%M:%S.%f}Z","id":"4f1c09aa-{number}","status":"ok",'
        f'"ms":{ms},"result":"{"c" * 64}"{found},"steps":{{"decide":0.2,"call":{ms},"inspect":0.3}},'
        f'"sent":400,"received":2000'
    ).encode()


def timed(what: str, began: float, more: str = "") -> None:
    """Print how long it took, and the processor time since the last of these lines."""
    now = time.process_time()
    took, timed.last = now - timed.last, now
    print(f"{what:42} {time.perf_counter() - began:9.3f} s {took:9.3f} s of CPU  {more}", flush=True)


timed.last = 0.0


def main() -> None:
    """Write, build, catch up, ask."""
    wanted = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MCPGUARD_QUERY_RECORDS", "10000000"))
    with tempfile.TemporaryDirectory(prefix="mcpguard-query-") as name:
        os.environ["XDG_STATE_HOME"] = f"{name}/state"
        folder = Path(name) / "audit"
        folder.mkdir()
        began = time.perf_counter()
        for first in range(0, wanted, A_FILE):
            write(folder, first, min(A_FILE, wanted - first))
        size = sum(file.stat().st_size for file in folder.iterdir())
        timed(f"{wanted:,} records written", began, f"{size / 1e9:.2f} GB")
        began = time.perf_counter()
        index = AuditIndex(folder)
        timed("index built", began, f"{index_path(folder).stat().st_size / 1e6:.0f} MB")
        index.close()
        began = time.perf_counter()
        AuditIndex(folder).close()
        timed("opened, nothing new", began)
        write(folder, wanted, 10_000)
        began = time.perf_counter()
        index = AuditIndex(folder)
        timed("caught up with 10,000 records", began)
        print(f"{len(index.facts())} different facts of calls")
        for what, text in QUESTIONS.items():
            began = time.perf_counter()
            calls = list(islice(found(index, CallQuestion(text)), 20))
            timed(f"query: {what}", began, f"{len(calls)} calls")
        began = time.perf_counter()
        calls = list(islice(found(index, CallQuestion("", Filters(denied=True, server="server5"))), 20))
        timed("query: --denied --server server5", began, f"{len(calls)} calls")
        began = time.perf_counter()
        rows = figures_by(index, CallQuestion(), "tool")
        timed("stats by tool, of all", began, f"{len(rows)} rows")
        index.close()
        for what, number in (("oldest", 1), ("newest", wanted + 1)):
            began = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                tell(folder, Namespace(id=f"4f1c09aa-{number}", json=False, path=folder, config=None))
            timed(f"show ID, of the {what} call, with its proof", began)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
