"""The reference pages are what the code says now."""

from __future__ import annotations

import subprocess
import sys

from mcpguard.protocol.methods import FROM_CLIENT, FROM_UPSTREAM
from tests.docs.pages import ROOT


def test_no_reference_page_is_stale() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "reference"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_table_of_methods_has_no_empty_cell() -> None:
    page = (ROOT / "docs" / "reference" / "methods.md").read_text("utf-8")
    cells = [line.strip("| ").split(" | ") for line in page.split("\n") if line.startswith("| `")]
    assert len(cells) == len(FROM_CLIENT) + len(FROM_UPSTREAM)
    assert {len(row) for row in cells} == {6}
    assert all(cell.strip(" |-") for row in cells for cell in row)


def test_every_reference_page_is_made() -> None:
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        assert page.read_text("utf-8").startswith("<!-- Made by scripts/reference "), page.name
