"""A console in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcpguard.core.evidence.records import Closed
from mcpguard.serve import interventions
from tests.console.desk import NOW, Browser


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """A browser that has not logged in. Nothing serves, so no call waits for what is approved."""
    monkeypatch.setattr(interventions, "TAKEN_SECONDS", 0.0)
    browser = Browser(tmp_path)
    yield browser
    browser.desk.store.close()
    if browser.audit is not None:
        browser.audit.close(Closed(NOW, "done"))


@pytest.fixture
def browser(stranger: Browser) -> Browser:
    """One that has."""
    return stranger.login()
