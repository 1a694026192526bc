"""What a decision costs: `python bench/decide.py`.

A set of 300 rules over 20 servers, of which 5 are candidates for a call (four with a condition, one of them
with a constant pattern), decided again and again; the same with 3,000 rules, interleaved; and how long the
set of 300 takes to load; and, through whole processes, what `tools/list` of 1,000 tools that do not change
takes. Aims: p50 of 20 microseconds or less, flat in the rules that are no candidates, 1 ms with 1,000
candidate conditions, 6 ms with an argument of 10,000 objects, 60 microseconds more with state, 15 ms for the
list, load of 150 ms or less.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import relay
from msgspec import structs

from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.adapters.system.clock import SystemClock
from mcpguard.core.model import Invocation, Listed, Permit, Principal
from mcpguard.core.policy import pdp
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.session import Session

CANDIDATES = """\
  - {id: read, effect: allow, server: s0, tools: ["get_*"], when: size(args.path) < 99 && args.owner == "a"}
  - id: own
    effect: allow
    server: s0
    when: has(args.branch) && args.branch.matches("^feature/")
  - {id: none, effect: deny, server: s0, when: has(args.force) && args.force}
  - {id: late, effect: deny, server: s0, when: now > timestamp("2100-01-01T00:00:00Z")}
  - {id: all, effect: allow, server: s0, tools: [get_file]}
"""
ELSEWHERE = """\
  - {{id: r{n}, effect: allow, server: s{s}, tools: ["t{n}_*"], when: args.n == {n} && args.owner == "o{n}"}}
"""
READING = """\
version: 1
policy: {id}
owner: bench
rules:
  - {{id: few, effect: allow, when: '{when}'}}
"""
ARGS = {"owner": "a", "path": "src/main.py", "branch": "feature/x"}


def text_of(rules: int, servers: int) -> str:
    """A policy of so many rules, five of them for the server `s0`."""
    others = [ELSEWHERE.format(n=n, s=1 + n % (servers - 1)) for n in range(rules - 5)]
    return f"version: 1\npolicy: bench\nowner: bench\nrules:\n{CANDIDATES}{''.join(others)}"


def load(text: str) -> PolicySet:
    return PolicySet([compile_policy(text, "bench.yaml", frozenset())])


def call() -> Invocation:
    facts = {"name": "get_file", "title": "", "description": "", "annotations": {}}
    target = Listed("s0", "get_file", "s0__get_file", {}, facts, "d")
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return Invocation("i", "tools/call", Principal("ada", "os-user"), now, "desk", "s0", target, ARGS)


def many(rules: int) -> PolicySet:
    """One rule that allows, and so many that refuse, each with a condition that does not hold."""
    denies = [
        f"  - {{id: d{n}, effect: deny, when: args.owner == 'o{n}' && args.n == {n}}}\n" for n in range(rules)
    ]
    return load(
        f"version: 1\npolicy: many\nowner: bench\nrules:\n  - {{id: all, effect: allow}}\n{''.join(denies)}"
    )


def timed(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Microseconds of each way, in turn, without what they do at first, such as to fold conditions."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for warm in (True, False):
        for _ in range(200 if warm else rounds):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                if not warm:
                    took[name].append((time.perf_counter() - began) * 1e6)
    return took


def stateful() -> tuple[float, float]:
    """Microseconds of a change of a session in the store, and of one that changes nothing."""
    invocation = structs.replace(call(), now=datetime.now(UTC))

    def counted(session: Session) -> None:
        session.kept.calls += 1

    def looked(session: Session) -> None:
        session.view()

    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder), 3600, SystemClock())
        store.enter(invocation.principal, invocation.agent)
        ways = {"change": counted, "look": looked}
        took = timed({name: partial(store.change, invocation, way) for name, way in ways.items()}, 2000)
        store.close()
    return statistics.median(took["change"]), statistics.median(took["look"])


def lists() -> tuple[float, float]:
    """Milliseconds of a list through mcpguard, and of the same server alone, in turn."""
    server = [*relay.UPSTREAM, "998"]
    with tempfile.TemporaryDirectory() as folder:
        sessions = [relay.Session(relay.guarded(Path(folder), server)), relay.Session(server)]
        took: list[list[float]] = [[], []]
        for _ in range(100):
            for session, times in zip(sessions, took, strict=True):
                began = time.perf_counter()
                session.ask("tools/list", {})
                times.append((time.perf_counter() - began) * 1e3)
        for session in sessions:
            session.close()
    return statistics.median(took[0]), statistics.median(took[1])


def main() -> None:
    small, large = text_of(300, 20), text_of(3000, 200)
    load(small)
    loads = []
    for _ in range(5):
        began = time.perf_counter()
        load(small)
        loads.append((time.perf_counter() - began) * 1e3)
    invocation = call()
    objects = [{"id": n, "name": f"item {n}", "tags": ["a", "b"]} for n in range(10_000)]
    heavy = structs.replace(invocation, args={**ARGS, "items": objects})
    sets = [load(small), load(large), many(1000)]
    counting = load(READING.format(id="count", when="size(args.items) < 20000"))
    reading = load(READING.format(id="read", when="args.items[9999].id == 9999"))
    took = timed(
        {
            "300 rules, 5 candidates": lambda: pdp.decide(sets[0], invocation),
            "3,000 rules, 5 candidates": lambda: pdp.decide(sets[1], invocation),
            "1,000 candidates with a condition": lambda: pdp.decide(sets[2], invocation),
            "300 rules, an argument of 10,000 objects that none reads": lambda: pdp.decide(sets[0], heavy),
        },
        1000,
    )
    took |= timed(
        {
            "1 rule on the size of an argument of 10,000 objects": lambda: pdp.decide(counting, heavy),
            "1 rule that reads one of these objects": lambda: pdp.decide(reading, heavy),
        },
        50,
    )
    assert isinstance(pdp.decide(sets[2], invocation), Permit)
    assert isinstance(pdp.decide(reading, heavy), Permit)
    print("| decision | p50 us | p99 us |\n|---|---|---|")
    for name, times in took.items():
        times.sort()
        print(f"| {name} | {times[len(times) // 2]:.3g} | {times[len(times) * 99 // 100]:.3g} |")
    first, second, *_ = (statistics.median(times) for times in took.values())
    print(f"\n3,000 rules / 300 rules: {second / first:.3g} x")
    stored, looked = stateful()
    print(f"On top, with a session: {stored:.3g} us to store what a call changes, {looked:.3g} us to look")
    print(f"Load of 300 rules: {statistics.median(loads):.3g} ms")
    through, straight = lists()
    print(f"tools/list of 1,000 tools: {through:.3g} ms, the server alone {straight:.3g} ms")


if __name__ == "__main__":
    main()
