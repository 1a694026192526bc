"""The evidence of the demo's session, read and proved with mcpguard's own commands."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from mcpguard.demo.play import Narrator
from mcpguard.demo.stage import Stage, finished

_LONG_HASH = re.compile(r"([0-9a-f]{8})[0-9a-f]{56}")
_HEAD = ("time", "method", "tool", "effect", "rule", "outcome")


def prove(stage: Stage, calls: int, tell: Narrator) -> None:
    """Step 6, after the session: `calls` is how many the client made."""
    tell.title("Evidence of every decision, and its proof")
    records = [json.loads(line) for line in _mcpguard("audit", "show", "-n", "999", "--json", stage.audit)[1]]
    rows = _rows(records)
    tell.table(rows)
    made = sum(row[1] == "tools/call" for row in rows)
    tell.check(made == calls > 0, f"the client made {calls} calls; the evidence has {made}")
    code, _ = _verify(stage.audit, tell)
    tell.check(code == 0, "nothing was altered")
    if made:
        _alter_a_copy(stage, tell)


def _mcpguard(*words: str | Path) -> tuple[int, list[str]]:
    done = finished([sys.executable, "-m", "mcpguard", *map(str, words)])
    return done.returncode, (done.stdout + done.stderr).splitlines()


def _verify(folder: Path, tell: Narrator) -> tuple[int, str]:
    tell.call(f"mcpguard audit verify {folder.name}")
    code, lines = _mcpguard("audit", "verify", folder)
    said = _LONG_HASH.sub(r"\1…", "\n".join(lines))
    tell.back(said)
    return code, said


def _rows(records: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    outcomes = {record["id"]: record for record in records if record["kind"] == "outcome"}
    rows: list[tuple[str, ...]] = [_HEAD]
    for record in records:
        if record["kind"] == "decision":
            outcome = outcomes.get(record["id"], {})
            status = "redacted" if outcome.get("findings") else outcome.get("status", "")
            rule = ", ".join(record.get("rules", ())) or record.get("cause", "")
            clock, what = record["at"][11:19], record.get("tool") or record.get("server", "")
            rows.append((clock, record["method"], what, record["effect"], rule, status))
    return rows


def _alter_a_copy(stage: Stage, tell: Narrator) -> None:
    """Change one digit of the time of the first decision, and see that it is found at its line."""
    copy = Path(shutil.copytree(stage.audit, stage.folder / "audit-copy"))
    (chain,) = copy.iterdir()
    lines = chain.read_bytes().splitlines(keepends=True)
    number = next(index for index, line in enumerate(lines) if b'"kind":"decision"' in line)
    lines[number] = re.sub(rb'("at":"[^"]{15})(.)', _another_digit, lines[number], count=1)
    chain.write_bytes(b"".join(lines))
    tell.say("In a copy, one byte is changed: a digit in the time of the first decision.")
    code, said = _verify(copy, tell)
    tell.check(code == 1 and f"line {number + 1} was altered" in said, f"found, at line {number + 1}")


def _another_digit(found: re.Match[bytes]) -> bytes:
    return found[1] + (b"1" if found[2] != b"1" else b"2")
