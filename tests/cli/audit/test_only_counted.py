"""Whoever counts refusals says how many more were only counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.audit.reader import chain_files
from mcpguard.adapters.telemetry import status_file
from mcpguard.cli import main
from mcpguard.core.evidence.records import FoldedRecords, Noticed
from tests.cli.audit.test_story import CALL, folder_of

Capture = pytest.CaptureFixture[str]
SAID = "and 1,260 more refusals were only counted (refusals-folded)"
VERBS = {
    "stats": ("audit", "stats"),
    "query": ("audit", "query", "--denied"),
    "top": ("top", "--once"),
    "report": ("report",),
    "replay": ("replay",),
    "suggest": ("suggest",),
}


@pytest.fixture(autouse=True)
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A refusal on record, and many that are not."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(status_file, "default_folder", lambda: tmp_path / "status")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "team.yaml").write_text("version: 1\npolicy: team\nrules: [{id: few, effect: deny}]\n")
    config = {"version": 1, "servers": {"github": {"command": "x"}}, "audit": {"path": "audit"}}
    (tmp_path / "mcpguard.yaml").write_text(json.dumps({**config, "policies": ["team.yaml"]}))
    monkeypatch.setenv("MCPGUARD_CONFIG", str(tmp_path / "mcpguard.yaml"))
    now = datetime.now(UTC)
    denied = structs.replace(CALL, at=now, effect="deny", cause="rule", rules=("team/few",))
    kinds = {"tools/call github get team/few": 1_200, "tools/call notes read no-rule": 60}
    folded = FoldedRecords(1_260, now, now, "n-8", "n-9", "0" * 64, kinds)
    counted = Noticed(
        now, "refusals-folded", principal=denied.principal, session=denied.session, folded=folded
    )
    folder_of(tmp_path / "audit", denied, counted)
    return tmp_path / "audit"


def printed(capsys: Capture, *words: str) -> Any:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.uncounted
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_that_counts_refusals_says_it(verb: str, capsys: Capture) -> None:
    main([*VERBS[verb]])
    said = SAID if verb != "report" else "1,260 refusals were only counted (refusals-folded)"
    assert said in capsys.readouterr().out
    if verb != "top":
        made = printed(capsys, *VERBS[verb])
        assert (made["evidence"] if verb == "report" else made)["folded"] == 1_260


@pytest.mark.parametrize("verb", VERBS)
def test_without_any_nothing_is_said(verb: str, audit: Path, capsys: Capture) -> None:
    (chain,) = chain_files(audit)
    chain.unlink()
    now = datetime.now(UTC)
    lists = FoldedRecords(9, now, now, "n-8", "n-9", "0" * 64, {"tools/list allow": 9})
    folder_of(audit, structs.replace(CALL, at=now), Noticed(now, "lists-folded", folded=lists))
    main([*VERBS[verb]])
    assert "only counted" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (("--server", "github"), 1_200),
        (("--server", "notes"), 60),
        (("--tool", "read"), 60),
        (("--rule", "few"), 1_200),
        (("--rule", "team/none"), 0),
        (("--principal", "ada"), 1_260),
        (("--principal", "bob"), 0),
        (("--actor", "bot-7"), 0),
        (("--session", "0123456789"), 0),
        (("--since", "1h"), 1_260),
        (("--until", "1h"), 0),
    ],
)
def test_filters_narrow_what_was_only_counted(filters: tuple[str, ...], count: int, capsys: Capture) -> None:
    assert printed(capsys, "audit", "stats", *filters)["folded"] == count


def test_replay_and_suggest_count_those_of_the_time_and_the_server(audit: Path, capsys: Capture) -> None:
    for verb in ("replay", "suggest"):
        assert printed(capsys, verb, "--server", "github")["folded"] == 1_200
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    for verb in ("replay", "suggest"):
        assert printed(capsys, verb, "--since", soon)["folded"] == 0


def test_one_is_one(audit: Path, capsys: Capture) -> None:
    (chain,) = chain_files(audit)
    chain.unlink()
    now = datetime.now(UTC)
    folder_of(audit, Noticed(now, "refusals-folded", folded=FoldedRecords(1, now, now, kinds={"ping x": 1})))
    assert main(["audit", "stats"]) == 0
    assert "and 1 more refusal was only counted (refusals-folded)" in capsys.readouterr().out
