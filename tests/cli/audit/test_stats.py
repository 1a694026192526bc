"""`mcpguard audit stats` counts what is on record, and its figures are exact."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.cli import main
from mcpguard.cli.audit.rows import amount, cut, duration, fitted, sparkline
from mcpguard.core.evidence.records import Record
from tests.adapters.audit.audit_records import NOW
from tests.cli.audit.test_story import CALL, DONE, folder_of

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "80")
    records: list[Record] = []
    for number in range(1, 101):
        at = NOW + timedelta(minutes=number)
        rules = ("a/b", "a/c") if number == 1 else ("a/b",)
        records += [
            structs.replace(CALL, id=f"n-{number}", at=at, rules=rules),
            structs.replace(
                DONE, id=f"n-{number}", ms=float(number), status="withheld" if number == 2 else "ok"
            ),
        ]
    denied = structs.replace(CALL, effect="deny", cause="limit", rules=(), server="other", client="")
    records += [structs.replace(denied, id=f"m-{number}") for number in range(3)]
    folder_of(tmp_path / "audit", *records)
    return str(tmp_path / "audit")


def figures(capsys: Capture, *words: str) -> list[dict[str, Any]]:
    assert main(["audit", "stats", *words, "--json"]) == 0
    return list(json.loads(capsys.readouterr().out)["rows"])


def test_figures_by_server_are_exact(audit: str, capsys: Capture) -> None:
    one, other = figures(capsys, audit)
    assert (one["name"], one["calls"], one["denied"], one["withheld"]) == ("github", 100, 0, 1)
    assert (one["p50"], one["p95"], one["bytes"]) == (50.0, 95.0, 412_000)
    assert sum(one["over_time"]) == 100
    assert (other["name"], other["calls"], other["denied"], other["p50"]) == ("other", 3, 3, None)
    assert other["over_time"][0] == 3


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("tool", {"github/get": 100, "other/get": 3}),
        ("principal", {"os-user:ada": 103}),
        ("rule", {"a/b": 100, "(none)": 3, "a/c": 1}),
        ("cause", {"(none)": 100, "limit": 3}),
        ("client", {"ide/1.2": 100, "(none)": 3}),
    ],
)
def test_calls_are_counted_by_what_is_asked(
    audit: str, capsys: Capture, by: str, names: dict[str, int]
) -> None:
    assert {one["name"]: one["calls"] for one in figures(capsys, audit, "--by", by)} == names


def test_long_names_are_told_apart_and_leave_no_room_for_bars(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "80")
    rules = ("filesystem-careful/folders", "filesystem-careful/read")
    folder_of(tmp_path / "audit", structs.replace(CALL, rules=rules), DONE)
    assert main(["audit", "stats", "--by", "rule", str(tmp_path / "audit")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["RULE", *rules]
    assert "OVER TIME" not in said[0]
    assert max(map(len, said)) <= 80


def test_a_call_is_named_by_its_server_and_tool_or_method_as_far_as_it_has_them(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    parts = (("", "ghost", "tools/call"), ("notes", "", "resources/read"), ("notes", "read", "tools/call"))
    calls = [
        structs.replace(CALL, id=f"n-{number}", effect="deny", server=server, tool=tool, method=method)
        for number, (server, tool, method) in enumerate(parts)
    ]
    folder_of(tmp_path / "audit", *calls)
    found = figures(capsys, str(tmp_path / "audit"), "--by", "tool")
    assert {one["name"] for one in found} == {"ghost", "notes/resources/read", "notes/read"}
    assert main(["audit", "show", str(tmp_path / "audit")]) == 0
    shown = capsys.readouterr().out
    assert "  notes/resources/read  " in shown


@pytest.mark.parametrize(
    "method", ["tools/list", "resources/templates/list", "initialize", "server/discover"]
)
def test_lists_and_greetings_do_not_count_as_calls(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    asked = structs.replace(CALL, id="n-0", method=method, tool="")
    folder_of(tmp_path / "audit", asked, structs.replace(DONE, id="n-0", ms=3317.0), CALL, DONE)
    (one,) = figures(capsys, str(tmp_path / "audit"))
    assert (one["name"], one["calls"], one["p95"]) == ("github", 1, DONE.ms)


def test_filters_narrow(audit: str, capsys: Capture) -> None:
    (one,) = figures(capsys, audit, "--denied")
    assert one["name"] == "other"
    (one,) = figures(capsys, audit, "--since", "2026-08-01T08:00:00Z")
    assert one["calls"] == 41


def test_a_table_fits_eighty_columns(audit: str, capsys: Capture) -> None:
    assert main(["audit", "stats", audit]) == 0
    head, one, other = capsys.readouterr().out.splitlines()
    assert head.split() == ["SERVER", "CALLS", "DENIED", "WITHHELD", "P50", "P95", "BYTES", "OVER", "TIME"]
    assert one.split()[:8] == ["github", "100", "1", "50", "ms", "95", "ms", "412k"]
    assert other.split()[:4] == ["other", "3", "3", "0"]
    assert max(map(len, (head, one, other))) <= 80
    assert main(["audit", "stats", audit, "-n", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 more: -n 2"


def test_nothing_says_so(audit: str, capsys: Capture) -> None:
    assert main(["audit", "stats", audit, "--server", "none"]) == 0
    said = capsys.readouterr()
    assert said.out == "no call on record matches\n"
    assert "no call on record has the server none" in said.err


def test_amounts_durations_and_bars_are_short() -> None:
    assert [amount(one) for one in (0, 999, 1_000, 9_949, 25_000, 3_400_000, 5e18)] == [
        *("0", "999", "1.0k", "9.9k", "25k", "3.4M", "5000000T"),
    ]
    assert [duration(one) for one in (0.04, 9.94, 10.0, 9_999.0, 12_345.0)] == [
        *("0.0 ms", "9.9 ms", "10 ms", "9999 ms", "12 s"),
    ]
    assert [duration(one) for one in (119_000, 1_500_000, 7_200_000)] == ["119 s", "25 min", "2 h"]
    assert sparkline({0: 1, 2: 100}, 4) == "▁ █ "
    assert sparkline({}, 2) == "  "


def test_a_text_fits_its_columns_also_where_characters_are_wide() -> None:
    assert cut("a\nb", 9) == "a\\nb"
    assert [cut(one, 4) for one in ("abcd", "abcde", "名前", "名前x", "é" * 5)] == [
        *("abcd", "abc…", "名前", "名…", "ééé…"),
    ]
    assert fitted("名", 4) == "名  "
    assert fitted("名前x", 4) == "名… "
