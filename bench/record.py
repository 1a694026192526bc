"""What evidence costs: a record, a checkpoint, calls a second with each durability, and verifying.

    python bench/record.py [--calls 20000] [--flights 512]

Aims: at most 5 us for a record (chain and signing included, the write apart); at least 15,000 pipelined
calls a second with `group`; at least 150 MB/s for `verify`. Processor time is given beside the time of the
clock, which on a busy machine says more about the others.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import astuple

from mcpguard.adapters.audit.reader import proof
from mcpguard.adapters.audit.signing import SigningKey, new_key
from mcpguard.adapters.audit.upkeep import CHECKPOINT_RECORDS
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.adapters.relay.turn import Turn
from mcpguard.config.terms import Durability
from mcpguard.core.evidence.chain import Chain
from mcpguard.core.evidence.records import Anchor, Checkpoint, Closed, Decided, Opened, Outcome, Steps
from mcpguard.core.secret import Secret
from mcpguard.gateway.flight import Flight, Wait

NOW = datetime.now(UTC)
OPENED = Opened(NOW, "0", 1, "os-user:1000", ("github",), "d" * 64)
KEY = SigningKey(Secret(new_key()))
ROUNDS = 5


def decided(number: int) -> Decided:
    """What a call of an echo of 200 bytes leaves, as a relay writes it."""
    return Decided(
        at=NOW,
        id=f"1f0c9a1e-{number}",
        principal="os-user:1000",
        method="tools/call",
        effect="allow",
        server="github",
        tool="get_issue",
        tool_digest="e" * 64,
        rules=("github/read",),
        policy_digest="d" * 64,
        args="a" * 64,
        credentials=("keyring:github/read",),
        client="bench/1",
        request=str(number),
        session="c" * 32,
        arguments={"text": "x" * 200},
    )


def outcome(number: int) -> Outcome:
    """And what came of it; no two calls take as long."""
    steps = Steps(0.04, 0.0, 0.1 + number % 997 / 1000, 0.004, 10.0 + number % 1009 / 1000, 0.028)
    ms = sum(astuple(steps))
    return Outcome(
        NOW,
        f"1f0c9a1e-{number}",
        "ok",
        ms,
        result="b" * 64,
        steps=steps,
        sent=296,
        received=250 + number % 53,
    )


def best(work: Callable[[], None], count: int) -> float:
    """Microseconds of processor time for one of `count`, in the best of some rounds."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        found.append((time.process_time() - began) / count * 1e6)
    return min(found)


def sealing(calls: int) -> None:
    """A record without and with what a checkpoint adds."""
    records = [one for number in range(calls) for one in (decided(number), outcome(number))]

    def plain() -> None:
        seal = Chain().seal
        for record in records:
            seal(record)

    def signed() -> None:
        chain = Chain()
        for number, record in enumerate(records):
            chain.seal(record)
            if number % CHECKPOINT_RECORDS == 0:
                chain.seal(KEY.signed(Checkpoint(NOW, (Anchor("a.jsonl", "a" * 64),)), "b.jsonl", chain.head))

    def checkpoints() -> None:
        chain = Chain()
        for _ in range(1000):
            chain.seal(KEY.signed(Checkpoint(NOW), "b.jsonl", chain.head))

    length = sum(map(len, map(Chain().seal, records[:2]))) // 2
    print(f"a record ({length} bytes), sealed       {best(plain, len(records)):7.2f} us")
    print(f"the same, signed checkpoints included {best(signed, len(records)):7.2f} us")
    print(f"a signed checkpoint                   {best(checkpoints, 1000):7.2f} us")


async def _piped(folder: Path, durability: Durability, calls: int, flights: int) -> tuple[float, float]:
    turn = Turn(asyncio.get_running_loop())
    turn.ledger = sink = AuditFile(folder, durability, turn)
    left = iter(range(calls))
    done: Wait[None] = Wait()
    running = flights

    async def client() -> None:
        for number in left:
            await sink.write(decided(number))
            await sink.write(outcome(number))

    def ended(_: BaseException | None) -> None:
        nonlocal running
        running -= 1
        if not running:
            done.set(None)

    sink.write(OPENED)
    began, used = time.perf_counter(), time.process_time()
    for _ in range(flights):
        Flight(client(), ended)
    over = asyncio.Event()
    done.then(lambda _: over.set())
    await over.wait()
    took = time.perf_counter() - began, time.process_time() - used
    sink.close(Closed(NOW, "done"))
    return took


def pipelined(calls: int, flights: int) -> None:
    """Calls a second, a decision and an outcome each, so many at once."""
    for durability in ("flush", "group", "fsync"):
        best_took, best_used = float("inf"), float("inf")
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                took, used = asyncio.run(_piped(Path(folder), durability, calls, flights))
                best_took, best_used = min(best_took, took), min(best_used, used)
        rate = calls / best_took
        used = best_used / calls * 1e6
        print(f"{durability:6} {flights} at once  {rate:9,.0f} calls/s, {used:6.1f} us of CPU a call")


def verifying(calls: int) -> None:
    """Megabytes a second."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_piped(Path(folder), "flush", calls * 10, 256))
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
        rates = []
        for _ in range(ROUNDS):
            began, used = time.perf_counter(), time.process_time()
            report = next(iter(proof(Path(folder), {}).reports.values()))
            assert report.intact, report.flaws
            rates.append((size / (time.perf_counter() - began), size / (time.process_time() - used)))
        by_clock, by_processor = (max(one) for one in zip(*rates, strict=True))
        print(f"verify {size:6.1f} MB: {by_clock:6.0f} MB/s, {by_processor:6.0f} MB/s of CPU")


def main() -> None:
    """Print all."""
    parser = argparse.ArgumentParser(description="What evidence costs.")
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--flights", type=int, default=512)
    args = parser.parse_args()
    sealing(args.calls)
    pipelined(args.calls, args.flights)
    verifying(args.calls)


if __name__ == "__main__":
    main()
