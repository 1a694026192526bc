"""What a decision costs at the most: `python bench/longest.py [PACK ...]`.

Each sample call of each pack is decided again with its lists and its texts made longer and longer, and each
result that a rule of the pack looks at, with more parts, lines and files. It prints for each posture the call
and the result that took the most CPU, and the longest list that was let through. Aim: no decision takes more
than 50 ms, whatever the client or the server sends.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

sys.path[:0] = [str(Path(__file__).parents[1])]

from mcpguard.config.policies import load_policies, policy_files
from mcpguard.core.conditions.engines import engine
from mcpguard.core.model import Invocation, Json, Listed, Permit, Principal
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.pdp import decide
from mcpguard.core.policy.review import review
from mcpguard.core.policy.session import Session
from mcpguard.core.redaction.detectors import OPT_IN
from tests.packs.packs import FOLDER, PACKS, POSTURES, Pack, samples, tools

ITEMS = (10, 100, 500, 1000, 3000, 10_000, 100_000, 400_000)
CHARACTERS = (4_000, 60_000, 1_000_000, 15_000_000)
AIM = 50


class Costliest:
    """The call, or the result, that took the most."""

    def __init__(self) -> None:
        self.took = 0.0
        self.what = "-"
        self.let = 0

    def take(self, took: float, what: str, items: int, passes: bool) -> None:
        if took > self.took:
            self.took, self.what = took, what
        self.let = max(self.let, items) if passes else self.let

    def __str__(self) -> str:
        return f"{self.took:7.1f} ms  {self.what:44} {self.let:7,} items pass"


def longer(args: dict[str, Json], schema: dict[str, Json]) -> Iterator[tuple[str, int, dict[str, Json]]]:
    """(what, items, arguments) for each list and text of `args`, and for the lists that only `schema` has."""
    for name, about in schema.get("properties", {}).items():
        value = args.get(name)
        if value is None and about.get("type") == "array":
            value = ["a"]
        if isinstance(value, list) and value:
            yield from (
                (f"{name} {n:,}", n, {**args, name: [_other(value[0], k) for k in range(n)]}) for n in ITEMS
            )
        elif isinstance(value, str):
            for n in CHARACTERS:
                yield f"{name} {n:,} characters", 0, {**args, name: (value + " ") * (n // (len(value) + 1))}


def _other(item: Json, number: int) -> Json:
    """The same item under another name."""
    if isinstance(item, str):
        return f"{item.rpartition('.')[0] or item}{number}.py"
    if isinstance(item, dict):
        return {key: _other(one, number) if key in ("path", "name") else one for key, one in item.items()}
    return item


def results() -> Iterator[tuple[str, int, Json]]:
    """(what, items, result)."""
    for n in ITEMS:
        yield f"{n:,} parts", n, {"content": [{"type": "text", "text": "diff --git a/x b/x\n"}] * n}
        diff = "".join(f"diff --git a/src/a{k}.py b/src/a{k}.py\n--- a/src/a{k}.py\n" for k in range(n))
        yield f"a diff of {n:,} files", n, _text(diff)
    for n in CHARACTERS:
        yield (
            f"{n:,} characters",
            0,
            _text("diff --git a/x b/x\n" * (n // 19)),
        )
        yield f"{n:,} lines", 0, _text("\n" * n)


def _text(text: str) -> Json:
    return {"content": [{"type": "text", "text": text}]}


def measure(pack: Pack, policies: PolicySet) -> tuple[Costliest, Costliest]:
    """For the calls and for the results."""
    calls, answers, seen = Costliest(), Costliest(), set[str]()
    for sample in samples(pack.server).samples:
        entry = sample.call.entry
        if entry.tool is None or pack.posture not in sample.group.ordinary:
            continue
        schema = tools(pack.server).get(entry.tool, {}).get("inputSchema", {})
        facts = {"name": entry.tool, "title": "", "description": "", "annotations": entry.annotations}
        target = Listed(pack.server, entry.tool, entry.tool, {}, facts, "d")
        now, who = datetime(2026, 1, 2, tzinfo=UTC), Principal("ada", "os-user")
        call = Invocation("i", "tools/call", who, now, None, pack.server, target, entry.args)
        for what, items, args in [("warm", -1, entry.args), *longer(entry.args, schema)]:
            began = time.process_time()
            verdict = decide(policies, structs.replace(call, args=args), Session())
            took = (time.process_time() - began) * 1e3
            if items >= 0:
                calls.take(took, f"{entry.tool}: {what}", items, isinstance(verdict, Permit))
        if policies.candidates_of(call, "result").all and entry.tool not in seen:
            seen.add(entry.tool)
            for what, items, result in results():
                began = time.process_time()
                found = review(policies, call, result, (), Session())
                took = (time.process_time() - began) * 1e3
                answers.take(took, f"{entry.tool}: {what}", items, found.denied is None)
    return calls, answers


def main() -> None:
    slow = False
    for server in sys.argv[1:] or PACKS:
        for posture in POSTURES:
            pack = Pack(server, posture)
            files = policy_files(FOLDER / server / "calls_test.yaml", samples(server).postures[posture])
            found = measure(pack, load_policies(files, OPT_IN, engine()))
            for kind, one in zip(("calls", "results"), found, strict=True):
                print(f"{pack!s:28} {kind:8} {one}", flush=True)
                slow = slow or one.took > AIM
    print(f"some take more than {AIM} ms" if slow else f"none takes more than {AIM} ms")


if __name__ == "__main__":
    main()
