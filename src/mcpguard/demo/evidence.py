"""The evidence of the demo's session, read and proved with mcpguard's own commands."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from msgspec import Struct

from mcpguard.demo.play import Mark, Narrator
from mcpguard.demo.stage import Stage, finished

_LONG_HASH = re.compile(r"([0-9a-f]{8})[0-9a-f]{56}")


class Tally(Struct, frozen=True):
    """What was shown: calls and records counted in the evidence, redacted values in what came back."""

    allowed: int
    denied: int
    redacted: int
    records: int


def prove(stage: Stage, calls: int, tell: Narrator) -> Tally:
    """Step 6, after the session: `calls` is how many the client made."""
    tell.title("Evidence of every decision, and proof that it is intact")
    _, lines = _mcpguard("audit", "show", "-n", "999", "--json", stage.audit)
    rows = _rows([json.loads(line) for line in lines])
    tell.decisions(rows)
    tell.check(
        len(rows) == calls > 0, Mark.VERIFIED, f"the client made {calls} calls; the evidence has {len(rows)}"
    )
    code, said = _verify(stage.audit, tell)
    tell.check(code == 0, Mark.VERIFIED, "nothing was altered")
    if rows:
        _alter_a_copy(stage, tell)
    denied = sum(mark is Mark.DENIED for mark, _, _ in rows)
    return Tally(
        allowed=len(rows) - denied,
        denied=denied,
        redacted=stage.received.read_bytes().count(b"[REDACTED:"),
        records=sum(map(int, re.findall(r"(\d+) records", said))) if code == 0 else 0,
    )


def _mcpguard(*words: str | Path) -> tuple[int, list[str]]:
    done = finished([sys.executable, "-m", "mcpguard", *map(str, words)])
    return done.returncode, (done.stdout + done.stderr).splitlines()


def _verify(folder: Path, tell: Narrator) -> tuple[int, str]:
    tell.call(f"mcpguard audit verify {folder.name}")
    code, lines = _mcpguard("audit", "verify", folder)
    said = _LONG_HASH.sub(r"\1…", "\n".join(lines))
    tell.back(said)
    return code, said


def _rows(records: list[dict[str, Any]]) -> list[tuple[Mark, str, str]]:
    outcomes = {record["id"]: record for record in records if record["kind"] == "outcome"}
    rows: list[tuple[Mark, str, str]] = []
    for record in records:
        decided = record["kind"] == "decision" and record["effect"] != "ask"
        if decided and record["method"] == "tools/call":
            mark = Mark.ALLOWED if record["effect"] == "allow" else Mark.DENIED
            if outcomes.get(record["id"], {}).get("findings"):
                mark = Mark.REDACTED
            rule = ", ".join(record.get("rules", ())) or record.get("cause", "")
            rows.append((mark, record.get("tool", ""), rule))
    return rows


def _alter_a_copy(stage: Stage, tell: Narrator) -> None:
    """Change one digit of the time of the first decision, and expect it to be found, with its line."""
    copy = Path(shutil.copytree(stage.audit, stage.folder / "audit-copy"))
    (chain,) = copy.iterdir()
    lines = chain.read_bytes().splitlines(keepends=True)
    number = next(index for index, line in enumerate(lines) if b'"kind":"decision"' in line)
    lines[number] = re.sub(rb'("at":"[^"]{15})(.)', _another_digit, lines[number], count=1)
    chain.write_bytes(b"".join(lines))
    tell.say("In a copy, one byte is changed: a digit in the time of the first decision.")
    code, said = _verify(copy, tell)
    tell.check(
        code == 1 and f"line {number + 1} was altered" in said,
        Mark.ALTERED,
        f"the change was found, in line {number + 1}",
    )


def _another_digit(found: re.Match[bytes]) -> bytes:
    return found[1] + (b"1" if found[2] != b"1" else b"2")
