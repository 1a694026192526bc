"""Pipelined calls a second through the stdio relay with each durability, in turns.

    python bench/durability.py [--calls 3000]

Read the ratios: one process of mcpguard, its server and this client share the processors. `busy` is how much
of the time the thread of the event loop has a processor: near 100 %, the cost of a call bounds the rate,
whatever the disk does. Where it is far below, the disk does, or whatever else runs on the machine.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import relay

ROUNDS = 7


def used(pid):
    """Seconds of processor time of the event loop's thread of a process, and of all its threads (Linux)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    taken = {one.name: int((one / "schedstat").read_text().split()[0]) / 1e9 for one in tasks}
    return taken[str(pid)], sum(taken.values())


def session(folder, durability):
    command = relay.guarded(folder, relay.UPSTREAM)
    place = folder / "mcpguard.yaml"
    config = json.loads(place.read_text())
    config["audit"]["durability"] = durability
    place.write_text(json.dumps(config))
    return relay.Session(command)


def main():
    """Print a row for each durability, and what it is of `flush`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=3_000)
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        sessions = {}
        for durability in ("flush", "group", "fsync"):
            place = Path(folder) / durability
            place.mkdir()
            sessions[durability] = session(place, durability)
        rates, costs, busy = ({name: [] for name in sessions} for _ in range(3))
        for _ in range(ROUNDS):
            for name, one in sessions.items():
                before = used(one.process.pid)
                rates[name].append(one.pipelined(calls))
                loop, whole = (now - then for now, then in zip(used(one.process.pid), before, strict=True))
                costs[name].append(whole / calls * 1e6)
                busy[name].append(loop * rates[name][-1] / calls)
        for name, one in sessions.items():
            rate, cost = statistics.median(rates[name]), statistics.median(costs[name])
            ratio = rate / statistics.median(rates["flush"]), cost / statistics.median(costs["flush"])
            least, best, share = min(rates[name]), max(rates[name]), statistics.median(busy[name])
            print(
                f"{name:6} {rate:7,.0f} calls/s ({least:,.0f} to {best:,.0f}), x {ratio[0]:.2f} of flush;",
                end="",
            )
            print(f" {cost:5.1f} us of CPU a call, x {ratio[1]:.2f}; busy {share:.0%}")
            one.process.stdin.close()
            one.process.wait(20)


if __name__ == "__main__":
    main()
