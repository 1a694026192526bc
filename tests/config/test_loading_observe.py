"""`observe`: which servers are only observed, and until when."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mcpguard.config.loading import Config, load_config
from mcpguard.core.errors import ConfigError
from mcpguard.core.policy.terms import Observation
from tests.rows import each

SERVERS = "version: 1\nservers:\n  github: {command: x}\n  files: {command: x}\n"


def load(folder: Path, more: str) -> Config:
    path = folder / "mcpguard.yaml"
    path.write_text(SERVERS + more, encoding="utf-8")
    return load_config(path)


@pytest.mark.parametrize("day", ["2026-12-11", "'2026-12-11'"])
def test_it_lasts_to_the_end_of_its_last_day_in_utc(tmp_path: Path, day: str) -> None:
    found = load(tmp_path, f"observe: {{until: {day}, servers: [github]}}\n").observe
    assert found == Observation(frozenset({"github"}), datetime(2026, 12, 12, tzinfo=UTC))
    assert found.until == "2026-12-11"


def test_without_it_nothing_is_observed(tmp_path: Path) -> None:
    assert load(tmp_path, "").observe is None


@each(
    ("written", "said"),
    [
        ("{until: 2026-12-11, servers: []}", "name at least one server, or take `observe` out"),
        ("{until: 2026-12-11}", "`servers` is missing"),
        ("{servers: [github]}", "`until` is missing"),
        ("{until: soon, servers: [github]}", "write a day as YYYY-MM-DD"),
        ("{until: 9999-12-31, servers: [github]}", "write a day as YYYY-MM-DD"),
        ("{until: 2026-12-11T10:00:00Z, servers: [github]}", "write a day as YYYY-MM-DD"),
        (
            "{until: 2026-12-11, servers: [files, git]}",
            "there is no server of this name; the known ones are github, files",
        ),
        ("{until: 2026-12-11, servers: [github], always: true}", "unknown key `always`"),
    ],
)
def test_what_is_wrong_with_it_is_said(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"observe: {written}\n")
    (problem,) = caught.value.problems
    assert problem.line == 5
    assert said in problem.message
