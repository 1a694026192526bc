"""mcpguard promises nothing that no test proves."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT
from tests.rows import each

PAGE = ROOT / "docs" / "proof.md"


def rows() -> list[str]:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    assert lines[:2] == ["| promise | test |", "| --- | --- |"]
    return lines[2:]


def test_there_are_promises() -> None:
    assert len(rows()) >= 40


@each("row", rows(), ids=lambda row: row.split("|")[1].strip())
def test_each_promise_names_a_test_that_exists(row: str) -> None:
    cells = row.strip("| ").split(" | ")
    assert len(cells) == 2
    found = re.fullmatch(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)", cells[1])
    assert found, cells[1]
    source = (ROOT / found[2]).read_text("utf-8")
    assert re.search(rf"^(?:async )?def {found[1]}\(", source, re.MULTILINE)
