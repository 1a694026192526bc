#!/usr/bin/env python3
"""Write into `docs/guides/first-day.md` what its commands print on a machine with four clients.

`.venv-dev/bin/python -m scripts.first_day` plays the day of `tests/day`. A test plays it too, and fails if
the page says something else.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.day.story import Day, day, summary  # noqa: E402

PAGE = ROOT / "docs" / "guides" / "first-day.md"

_BLOCK = re.compile(r"(?ms)^```text\n(.*?)^```$")
_SETTLED = (
    (r"(?<=until )\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-08-02T09:00:00Z"),
    (r"\b[0-9a-f]{12}\b", "4f1c09aa7d31"),  # a ticket
    (r"(?<=\[invocation )[0-9a-f]{12}-\d+", "3f9a61c2-19"),
    (r"os-user:\S+", "os-user:ada"),
    (r"up to \d+ seconds", "up to 30 seconds"),
)
"""What differs from one day to the next, and what the page has in its place."""


def written(page: str, played: Day) -> str:
    """`page` with what `played` printed in the blocks that begin with these lines."""
    said = _said(played)

    def filled(block: re.Match[str]) -> str:
        first = block[1].partition("\n")[0]
        return f"```text\n{first}\n{said[first]}\n```" if first in said else block[0]

    return _BLOCK.sub(filled, page)


def _said(played: Day) -> dict[str, str]:
    moved = played.said["import"]
    texts = {
        "$ mcpguard import --to file --yes": moved[moved.index("\nguarded ") + 1 :],
        "$ mcpguard check | tail -n 1": played.said["check"].splitlines()[-1],
        "Cursor: edit_file": _answer(played, "edit_file", "asked"),
        "Cursor: create_issue": _answer(played, "create_issue", "refused"),
        "$ mcpguard approve 4f1c09aa7d31 --for-session --any path --any edits": played.said[
            "approve edit_file"
        ],
        "The day": summary(played.seen).rpartition("\n\n")[2],
        "$ mcpguard undo": played.said["undo"],
    }
    return {first: _settled(text, played).strip("\n") for first, text in texts.items()}


def _answer(played: Day, tool: str, outcome: str) -> str:
    return next(one.text for one in played.seen if (one.call.tool, one.outcome) == (tool, outcome))


def _settled(text: str, played: Day) -> str:
    text = text.replace(str(played.machine.home), "/home/ada")
    for pattern, stand_in in _SETTLED:
        text = re.sub(pattern, stand_in, text)
    return text


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        PAGE.write_text(written(PAGE.read_text("utf-8"), day(Path(folder))), "utf-8")
    print(f"{PAGE.relative_to(ROOT)}: written")
