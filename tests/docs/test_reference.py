"""The reference pages are what the code says now."""

from __future__ import annotations

import subprocess
import sys

from tests.docs.pages import ROOT


def test_no_reference_page_is_stale() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "reference"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_reference_page_is_made() -> None:
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        assert page.read_text("utf-8").startswith("<!-- Made by scripts/reference "), page.name
