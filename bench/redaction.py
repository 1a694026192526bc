"""What inspection costs: `python bench/redaction.py speed|hostile|beside`.

    speed    MB/s of text in which nothing is, beside other scanners, which take turns with ours
    hostile  CPU and memory of one answer of each hostile shape, the turn with least CPU of `--turns`
    beside   how long another server's call takes while such an answer is inspected

`speed` measures 1 KB, 100 KB and 10 MB with 0, 20 and 200 values held, and with `--readme` writes its table
into docs/speed.md. A scanner that is slow gets a part of a text only; its rate is that of the part.

Aims: 150 ms of CPU for each MB of a hostile answer, memory at most 12 times the message, and p99 of another
server's call at most 50 ms beside a hostile answer of 10 MB. Figures of one run compare; others do not.
"""

import argparse
import base64
import ctypes
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import msgspec
import readme
import relay

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.core.redaction.hostile import HELD, HOLDS, PASSWORD, SHAPES, TOKEN, filled

POLICY = """
version: 1
policy: bench
rules:
  - {id: all, effect: allow, tools: ["*"]}
"""
AIM_MS_A_MB, AIM_TIMES, AIM_BESIDE_MS = 150, 12, 50


# --- speed ----------------------------------------------------------------------------------------

WORDS = (
    "She had been asked to read the letter aloud, but the words on the page were few and the room was cold, "
    "so she folded it, put it back, and said that nothing in it could not wait until the morning.\n"
)
LOG = (
    '{"ts":"2026-11-27T10:15:02.114Z","level":"info","service":"billing","request":"8f14e45f","path":'
    '"/v1/invoices/1204","status":200,"ms":12}\n'
)


def texts():
    """What is searched, by name, without an end."""
    code = (ROOT / "src/mcpguard/gateway/path.py").read_text()
    noise = base64.b64encode(random.Random(7).randbytes(48_000)).decode()
    return {"English": WORDS, "logs": LOG, "source": code, "base64": noise, "dense hits": f"a {TOKEN} b\n"}


def redactor(held):
    made, source = Redactor(b"key"), random.Random(11)
    for number in range(held):
        made.hold(f"env:S{number}", Secret(base64.b64encode(source.randbytes(24)).decode()))
    return made


def ours(held):
    made = redactor(held)

    def scan(text):
        try:
            made.inspect({"content": [{"type": "text", "text": text}]})
        except InspectionError:
            return

    return scan


def detect_secrets(folder):
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings

    path = Path(folder) / "text.txt"

    def scan(text):
        path.write_text(text)
        with default_settings():
            SecretsCollection().scan_file(str(path))

    return scan


def kingfisher(_folder):
    from kingfisher_sdk.scanner import Scanner

    scanner = Scanner()

    def scan(text):
        scanner.reset_dedup()
        scanner.scan(text)

    return scan


def subjects(folder):
    made = {f"mcpguard, {held} held": ours(held) for held in (0, 20, 200)}
    for name, make in (("detect-secrets", detect_secrets), ("kingfisher", kingfisher)):
        try:
            made[name] = make(folder)
        except ImportError:
            print(f"{name} is not installed: `pip install .[bench]`", file=sys.stderr)
    return made


SLOW = 5
"""MB/s under which a scanner gets no more than a part of a text."""
PART = 100_000


def rate(scan, text):
    """MB of text for each second of CPU."""
    begun, count = time.process_time(), 0
    while count < 1 or time.process_time() - begun < 0.05:
        scan(text)
        count += 1
    return len(text.encode()) * count / 1e6 / (time.process_time() - begun)


def speed(options):
    with tempfile.TemporaryDirectory() as folder:
        scanners = subjects(folder)
        lines = [f"| | size | {' | '.join(scanners)} |", "|---" * (len(scanners) + 2) + "|"]
        print(*lines, sep="\n", flush=True)
        for name, unit in texts().items():
            rates = {one: [] for one in scanners}
            for label, size in (("1 KB", 1_000), ("100 KB", 100_000), ("10 MB", 10_000_000)):
                text, best = filled(unit, size), dict.fromkeys(scanners, 0)
                for _ in range(options.rounds):
                    for one, scan in scanners.items():
                        slow = rates[one] and rates[one][-1] < SLOW
                        best[one] = max(best[one], rate(scan, text[:PART] if slow else text))
                for one in scanners:
                    rates[one].append(best[one])
                cells = " | ".join(f"{best[one]:.3g}" for one in scanners)
                lines.append(f"| {name if size == 1_000 else ''} | {label} | {cells} |")
                print(lines[-1], flush=True)
    if options.readme:
        readme.write(options.readme, "inspection", "\n".join(lines))


# --- hostile --------------------------------------------------------------------------------------

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)


def cost(shape, size):
    """CPU in ms a MB, peak memory in messages, and what came of it, in a process of its own."""
    command = [sys.executable, __file__, "one", shape, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def peak():
    """Bytes that this process had resident at most since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def forget_peak():
    """The compile of the held values has raised the peak, which would hide what an inspection adds."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def one(options):
    made = redactor(20)
    more = {f"env:C{number}": value for number, value in enumerate(HOLDS.get(options.shape, ()))}
    also = {"env:A": HELD, "env:B": PASSWORD} | more
    made.hold_all([(name, Secret(value)) for name, value in also.items()])
    made.settle()
    for warm in (
        {"a": f"{HELD} {TOKEN} %41 eyJ ://a:b@ x@y.z"},
        SHAPES[options.shape](min(options.size, 100_000)),
    ):
        try:
            made.inspect(warm)
        except InspectionError:
            pass
    value = SHAPES[options.shape](options.size)
    size = len(msgspec.json.encode(value))
    value = msgspec.json.decode(msgspec.json.encode(value))
    rounds = max(1, 200_000 // size)
    forget_peak()
    before, begun = peak(), time.process_time()
    for _ in range(rounds):
        try:
            done = made.inspect(value)
            said = f"{len(done.findings)} found"
        except InspectionError as problem:
            said = str(problem)
    spent = (time.process_time() - begun) / rounds
    print(json.dumps([spent * 1e9 / size, (peak() - before) / size, said]))


def hostile(options):
    sizes, shapes = options.sizes, options.shapes or SHAPES
    turns = [{shape: [cost(shape, size) for size in sizes] for shape in shapes} for _ in range(options.turns)]
    print("| shape | CPU ms/MB at " + " | ".join(f"{size:,}" for size in sizes) + " | memory | came of it |")
    print("|---|" + "---|" * (len(sizes) + 2))
    over = []
    for shape in shapes:
        rows = [min(found) for found in zip(*(turn[shape] for turn in turns), strict=True)]
        worst = max(row[0] for row in rows)
        memory = max((row[1] for size, row in zip(sizes, rows, strict=True) if size >= 1_000_000), default=0)
        if worst > AIM_MS_A_MB or memory > AIM_TIMES:
            over.append(shape)
        cells = " | ".join(f"{row[0]:.0f}" for row in rows)
        print(f"| {shape} | {cells} | {memory:.1f} x | {rows[-1][2]} |")
    print(f"\n{len(over)} over the aims of {AIM_MS_A_MB} ms/MB and {AIM_TIMES} x: {', '.join(over)}")


# --- beside ---------------------------------------------------------------------------------------


def guarded(folder):
    """mcpguard in front of an upstream that answers at once and one that is hostile."""
    (folder / "policy.yaml").write_text(POLICY)
    servers = {
        "good": {
            "command": relay.UPSTREAM[0],
            "args": relay.UPSTREAM[1:],
            "env": {"T": "${env:BENCH_TOKEN}"},
        },
        "bad": {
            "command": sys.executable,
            "args": [str(relay.HERE / "subjects" / "hostile_server.py")],
            "env": {"T": "${env:BENCH_HELD}"},
        },
    }
    config = {"version": 1, "servers": servers, "policies": ["policy.yaml"], "audit": {"path": "audit"}}
    (folder / "mcpguard.yaml").write_text(json.dumps(config))
    return [
        str(Path(sys.executable).with_name("mcpguard")), "run", "--config", str(folder / "mcpguard.yaml")
    ]  # fmt: skip


def turns(session, asked):
    """How many ms each call of the good server takes until the answer to `asked` is there."""
    times, over = [], asked is None
    while not over or len(times) < 300:
        line = session.line("tools/call", {"name": "good__echo", "arguments": {"text": "x" * 200}})
        own = f'"id":{session.ids}'.encode()
        begun = time.perf_counter()
        session.write(line)
        while True:
            answer = session.process.stdout.readline()
            ends = answer[:60] + answer[-60:]
            if (
                asked is not None and f'"id":{asked},'.encode() in ends
            ) or f'"id":{asked}}}'.encode() in ends:
                over = True
            elif own in ends:
                break
            elif not answer:
                raise RuntimeError("it ended")
        times.append((time.perf_counter() - begun) * 1000)
        if asked is None and len(times) >= 300:
            break
    return times


def figures(times):
    p50, p99 = statistics.median(times), relay.percentile(times, 0.99)
    return f"{p50:.2f} | {p99:.1f} | {max(times):.0f} | {len(times)}"


def beside(options):
    print("| beside | p50 ms | p99 ms | longest ms | calls | alone p99 ms |\n|---|---|---|---|---|---|")
    over = []
    os.environ["BENCH_HELD"] = HELD
    with tempfile.TemporaryDirectory() as folder:
        session = relay.Session(guarded(Path(folder)))
        turns(session, None)
        for shape in options.shapes or SHAPES:
            arguments = {"shape": shape, "size": options.size}
            for _ in range(2):  # At the first it is made.
                session.write(session.line("tools/call", {"name": "bad__send", "arguments": arguments}))
                times = turns(session, session.ids)
            alone = turns(session, None)
            if relay.percentile(times, 0.99) > AIM_BESIDE_MS:
                over.append(shape)
            print(f"| {shape} | {figures(times)} | {relay.percentile(alone, 0.99):.1f} |", flush=True)
        session.close()
    print(f"\n{len(over)} over the aim of {AIM_BESIDE_MS} ms at p99: {', '.join(over)}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(required=True)
    for kind in (speed, hostile, beside, one):
        sub = kinds.add_parser(kind.__name__)
        sub.set_defaults(run=kind)
        if kind is one:
            sub.add_argument("shape")
            sub.add_argument("size", type=int)
        elif kind is speed:
            sub.add_argument("--rounds", type=int, default=3)
            readme.add_option(sub)
        else:
            sub.add_argument("shapes", nargs="*")
            sub.add_argument("--size", type=int, default=10_000_000)
            sub.add_argument("--sizes", type=int, nargs="+", default=SIZES)
            sub.add_argument("--turns", type=int, default=1)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
