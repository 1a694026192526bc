#!/usr/bin/env python3
"""Take the pictures of the access review in `docs/images/`: of a made-up month, in Chromium.

`.venv-dev/bin/python scripts/report_pictures.py` needs what `scripts/screenshots.py` needs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import sync_playwright  # noqa: E402

from mcpguard.authoring.findings import Finding, Report  # noqa: E402
from mcpguard.authoring.report.page import page  # noqa: E402
from scripts.screenshots import PICTURES, reduced  # noqa: E402
from tests.authoring.report import month  # noqa: E402
from tests.authoring.report.test_review import review  # noqa: E402
from tests.console.chromium import chromium  # noqa: E402

STATIC = Finding(
    "D301",
    "warning",
    "mcpguard.yaml",
    7,
    0,
    "warehouse uses keyring:warehouse/uri, and `postgres` gives a role created for the session",
    fix="an entry `postgres` in `credentials`",
    control="credential lifetime",
)
VIEWS = (
    ("report-light", "light", 1200, 900, ""),
    ("report-posture-dark", "dark", 1200, 900, "posture"),
)


def main() -> int:
    """Write the page, look at it, and take them."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        found = review(month.write(Path(folder)), machine=Report((STATIC,), False))
        file = Path(folder) / "review.html"
        file.write_text(page(found.model_copy(update={"config": "/etc/mcpguard/mcpguard.yaml"})), "utf-8")
        browser = chromium(play)
        for name, scheme, width, height, place in VIEWS:
            tab = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1.5
            )
            tab.goto(f"{file.as_uri()}#{place}")
            tab.evaluate("place => place && window.scrollBy(0, -12)", place)
            path = PICTURES / f"{name}.png"
            tab.screenshot(path=str(path))
            reduced(path)
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
