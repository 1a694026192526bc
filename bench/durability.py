"""Pipelined calls a second through the stdio relay with each durability, in turns.

    python bench/durability.py [--calls 3000]

Read the ratios: one process of mcpguard, its server and this client share the processors. The cost of a call
bounds the rate, whatever the disk does; what a durability costs is the difference.
"""

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

import relay

ROUNDS = 7


def used(pid):
    """Seconds of processor time of a process (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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
        rates, costs = ({name: [] for name in sessions} for _ in range(2))
        for _ in range(ROUNDS):
            for name, one in sessions.items():
                before = used(one.process.pid)
                rates[name].append(one.pipelined(calls))
                costs[name].append((used(one.process.pid) - before) / calls * 1e6)
        for name, one in sessions.items():
            rate, cost = statistics.median(rates[name]), statistics.median(costs[name])
            ratio = rate / statistics.median(rates["flush"]), cost / statistics.median(costs["flush"])
            print(
                f"{name:6} {rate:7,.0f} calls/s (best {max(rates[name]):,.0f}), x {ratio[0]:.2f} of flush;",
                end="",
            )
            print(f" {cost:6.0f} us of CPU a call, x {ratio[1]:.2f}")
            one.process.stdin.close()
            one.process.wait(20)


if __name__ == "__main__":
    main()
