"""`mcpguard audit query` and the filters of `audit show`: calls on record, as one line or as JSON."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.audit.index import AuditIndex, index_path
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.cli import main
from mcpguard.core.evidence.records import ObservedRefusal
from tests.adapters.audit.audit_records import OPENED
from tests.cli.audit.test_story import CALL, DONE, folder_of

Capture = pytest.CaptureFixture[str]

DENIED = structs.replace(
    CALL, id="n-8", effect="deny", cause="rule", rules=("git/no",), tool="push", arguments={"to": "/etc"}
)
FAILED = structs.replace(CALL, id="n-9", principal="https://id:eve", tool="x" * 200)


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / "audit"
    folder_of(
        folder,
        CALL,
        DONE,
        DENIED,
        FAILED,
        structs.replace(DONE, id="n-9", status="error", findings={}, ms=99999.0),
    )
    return str(folder)


def ids(capsys: Capture, *words: str) -> list[str]:
    assert main(["audit", "query", *words, "--json"]) == 0
    return [call["id"] for call in json.loads(capsys.readouterr().out)["calls"]]


def test_calls_are_printed_in_eighty_columns_with_signs(audit: str, capsys: Capture) -> None:
    assert main(["audit", "query", audit]) == 0
    *rows, hint = capsys.readouterr().out.splitlines()
    assert hint == "everything recorded about one of them: `mcpguard audit show n-9 " + f"{audit}`"
    assert [row.split()[1] for row in rows] == ["■", "✗", "!"]
    assert all(len(row) <= 80 for row in rows)
    assert "github/get" in rows[0]
    assert "removed email, pan" in rows[0]
    assert "git/no" in rows[1]
    assert rows[2].endswith("100 s n-9")
    assert "…" in rows[2]


def test_calls_of_several_years_have_the_year(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    later = CALL.at.replace(year=CALL.at.year + 1)
    folder_of(tmp_path / "audit", CALL, DONE, structs.replace(DENIED, at=later))
    assert main(["audit", "query", str(tmp_path / "audit")]) == 0
    first, second, _ = capsys.readouterr().out.splitlines()
    assert (first[:10], second[:10]) == (f"{CALL.at:%Y-%m-%d}", f"{later:%Y-%m-%d}")


def test_a_condition_and_filters_narrow(audit: str, capsys: Capture) -> None:
    assert ids(capsys, audit) == ["n-7", "n-8", "n-9"]
    assert ids(capsys, "", audit, "-n", "1") == ["n-9"]
    assert ids(capsys, 'args.to.startsWith("/etc")', audit) == ["n-8"]
    assert ids(capsys, 'ms > 50 && server == "github"', audit) == ["n-9"]
    assert ids(capsys, audit, "--denied") == ["n-8"]
    assert ids(capsys, audit, "--tool", "get", "--server", "github", "--session", "s1") == ["n-7"]
    assert ids(capsys, audit, "--principal", "eve") == ["n-9"]
    assert ids(capsys, audit, "--rule", "git/no") == ["n-8"]
    assert ids(capsys, audit, "--since", "2026-08-02") == []
    assert ids(capsys, audit, "--until", "2026-08-02", "--rebuild") == ["n-7", "n-8", "n-9"]


def test_json_has_the_names_of_conditions_and_the_place(audit: str, capsys: Capture) -> None:
    assert main(["audit", "query", 'effect == "deny"', audit, "--json"]) == 0
    (call,) = json.loads(capsys.readouterr().out)["calls"]
    assert (call["tool"]["name"], call["args"], call["ms"], call["line"]) == ("push", {"to": "/etc"}, None, 4)
    who = {"id": "ada", "source": "os-user", "name": "os-user:ada", "human": "", "actor": ""}
    assert call["principal"] == who


def test_what_policies_would_have_refused_is_marked_and_can_be_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "120")
    folder = str(tmp_path / "audit")
    done = structs.replace(DONE, findings={})
    refusal, limit = ObservedRefusal("rule", ("docs/protected",)), ObservedRefusal("limit", ("docs/few",))
    ended = [
        (structs.replace(CALL, id="n-1"), done),
        (structs.replace(CALL, id="n-2", observed=refusal), structs.replace(done, observed=limit)),
        (structs.replace(CALL, id="n-3"), structs.replace(done, observed=limit)),
        (structs.replace(CALL, id="n-4", shadow="deny (rule) docs/trial"), done),
        (structs.replace(CALL, id="n-5", shadow="allow docs/loose"), done),
    ]
    records = [one for call, end in ended for one in (call, structs.replace(end, id=call.id))]
    folder_of(tmp_path / "audit", *records, structs.replace(DENIED, shadow="deny (limit) a/b"))
    assert ids(capsys, 'observed.cause != ""', folder) == ["n-2", "n-3"]
    assert ids(capsys, '"docs/few" in observed.rules && ms > 0', folder) == ["n-2", "n-3"]
    assert ids(capsys, 'shadow.startsWith("deny") && effect == "allow"', folder) == ["n-4"]
    assert main(["audit", "query", folder, "--json"]) == 0
    calls = json.loads(capsys.readouterr().out)["calls"]
    assert calls[1]["observed"] == {"cause": "rule", "rules": ["docs/protected", "docs/few"]}
    assert [call["shadow"] for call in calls[3:5]] == ["deny (rule) docs/trial", "allow docs/loose"]
    for verb in ("query", "tail"):
        assert main(["audit", verb, folder]) == 0
        rows = [row for row in capsys.readouterr().out.splitlines() if "github/get" in row]
        assert [row.split()[1] for row in rows] == ["✓", "△", "△", "△", "✓"]
        for row, would in zip(
            rows[1:],
            ("docs/protected, docs/few", "limit docs/few", "deny (rule) docs/trial", "git/read"),
            strict=True,
        ):
            assert f"  {would}  " in row
    assert main(["audit", "show", folder]) == 0
    assert "would be refused, if not in shadow mode (deny (rule) docs/trial)" in capsys.readouterr().out
    assert main(["audit", "stats", folder, "--by", "observed", "--json"]) == 0
    figures = {
        one["name"]: (one["calls"], one["observed"]) for one in json.loads(capsys.readouterr().out)["rows"]
    }
    assert figures == {
        "(none)": (3, 0),
        "rule docs/protected": (1, 1),
        "limit docs/few": (1, 1),
        "deny (rule) docs/trial": (1, 1),
    }
    assert main(["audit", "stats", folder]) == 0
    head, one, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["SERVER", "CALLS", "DENIED", "WITHHELD", "OBSERVED"]
    assert "github" in one


def test_the_calls_of_an_agent_that_acts_for_people_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "120")
    folder = str(tmp_path / "audit")
    people = {"n-1": "https://id:ada", "n-2": "https://id:eve"}
    calls = [
        structs.replace(DENIED, id=one, principal=who, human=who, actor="bot-7")
        for one, who in people.items()
    ]
    folder_of(tmp_path / "audit", *calls, structs.replace(DENIED, id="n-3", principal="https://id:ada"))
    assert ids(capsys, 'principal.actor == "bot-7"', folder) == ["n-1", "n-2"]
    assert ids(capsys, folder, "--actor", "bot-7", "--principal", "eve") == ["n-2"]
    assert main(["audit", "query", folder, "--actor", "bot-8"]) == 0
    assert "no call on record has the actor bot-8; did you mean `bot-7`?" in capsys.readouterr().err
    assert main(["audit", "query", folder, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["calls"]
    assert [call["principal"]["actor"] for call in found] == ["bot-7", "bot-7", ""]
    for verb in ("query", "tail"):
        assert main(["audit", verb, folder]) == 0
        rows = [row for row in capsys.readouterr().out.splitlines() if "git" in row and " by " in row]
        assert [row.partition(" by ")[2].partition("  ")[0] for row in rows] == [
            *("bot-7 for ada", "bot-7 for eve", "ada")
        ]
    assert main(["audit", "show", folder]) == 0
    assert "by bot-7 for https://id:ada" in capsys.readouterr().out
    assert main(["audit", "stats", folder, "--by", "actor", "--json"]) == 0
    figures = {one["name"]: one["calls"] for one in json.loads(capsys.readouterr().out)["rows"]}
    assert figures == {"bot-7": 2, "(none)": 1}


def test_nothing_found_says_so_and_what_was_perhaps_meant(audit: str, capsys: Capture) -> None:
    assert main(["audit", "query", audit, "--tool", "pushh"]) == 0
    said = capsys.readouterr()
    assert said.out == "no call on record matches\n"
    assert said.err == "mcpguard: note: no call on record has the tool pushh; did you mean `push`?\n"
    assert main(["audit", "query", 'server == "githab"', audit]) == 0
    said = capsys.readouterr()
    assert said.out == "no call on record matches\n"
    assert said.err.startswith('mcpguard: note: no call on record has the server "githab"')
    assert main(["audit", "query", 'effect == "denied"', audit]) == 2
    assert "`effect` is never `denied`; did you mean `deny`?" in capsys.readouterr().err


def test_a_mistake_is_two_with_its_place(audit: str, capsys: Capture) -> None:
    assert main(["audit", "query", 'sever == "x"', audit]) == 2
    assert "condition:1:1: undeclared reference to 'sever'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        raise SystemExit(main(["audit", "query", audit, "--since", "soon"]))
    assert "expected a date" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["query", "show", "tail", "stats"])
def test_more_than_a_machine_can_count_is_all(audit: str, capsys: Capture, verb: str) -> None:
    assert main(["audit", verb, audit, "-n", "9" * 30]) == 0
    assert capsys.readouterr().out


def test_records_that_a_filter_leaves_out_are_said_to_be_none(audit: str, capsys: Capture) -> None:
    assert main(["audit", "show", audit, "--since", "2030-01-01"]) == 0
    assert capsys.readouterr().out == "no record matches\n"
    assert main(["audit", "show", audit, "--observed", "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_the_place_may_stand_after_an_option(audit: str, capsys: Capture) -> None:
    assert main(["audit", "query", 'effect == "deny"', "-n", "1", audit]) == 0
    assert "n-8" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        raise SystemExit(main(["audit", "query", "true", "-n", "1", audit, audit]))
    assert "too many arguments" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("condition", "matching"),
    [
        ('args.q == "x"', 2),
        ('args.q.startsWith("x") && args.q.contains("x")', 2),
        ("args.q == 'y'", 0),
        ('!(args.q == "y")', 2),
        ('args.q == "y" || args.q == "x"', 2),
        ('id == "n-8"', 1),
        ('message == "a\u00e9\\"b"', 0),
    ],
)
def test_texts_that_must_stand_in_a_record_are_looked_for_first(
    audit: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch, condition: str, matching: int
) -> None:
    monkeypatch.setattr("mcpguard.authoring.asking.matching.WHOLE", 0)
    assert main(["audit", "query", condition, audit, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["calls"]) == matching


def test_it_is_said_at_once_that_no_index_narrows_a_condition(
    audit: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpguard.authoring.asking.matching.LOOKS", 1)
    monkeypatch.setattr("mcpguard.authoring.asking.matching.WHOLE", 1)
    monkeypatch.setattr("mcpguard.authoring.asking.matching.READ_FOR_A_CALL", 1)
    assert main(["audit", "query", "size(args) * 1 > 9", audit]) == 0
    assert capsys.readouterr().err == (
        "mcpguard: note: no index narrows this condition, so up to 3 calls are looked at one by one; "
        "--since, --server, --tool and --session narrow it, and Ctrl-C prints what was found until then\n"
    )
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["audit", "query", "size(args) * 1 > 9", audit]) == 0
    assert "looked at 2 calls so far" in capsys.readouterr().err
    assert main(["audit", "query", 'args.nowhere == "z"', audit]) == 0
    assert "looked at one by one" not in capsys.readouterr().err


def test_who_interrupts_sees_what_was_found_until_then(
    audit: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mcpguard.authoring.asking.matching.LOOKS", 1)
    monkeypatch.setattr("mcpguard.authoring.asking.matching.WHOLE", 1)
    monkeypatch.setattr("mcpguard.cli.audit.query._looking", interrupt)
    assert main(["audit", "query", "size(args) > 0", audit]) == 130
    said = capsys.readouterr()
    assert said.err == "mcpguard: note: interrupted: older calls were not looked at\n"
    assert [line.split()[-1] for line in said.out.splitlines()] == ["n-9", f"{audit}`"]
    assert main(["audit", "query", "size(args) > 0", audit, "--json"]) == 130
    assert not capsys.readouterr().out


def test_show_has_the_same_filters(audit: str, capsys: Capture) -> None:
    assert main(["audit", "show", audit, "--denied"]) == 0
    said = capsys.readouterr().out
    assert "n-8" in said
    assert "n-7" not in said
    assert main(["audit", "show", audit, "--principal", "ada", "-n", "2", "--json"]) == 0
    assert [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()] == [
        "outcome",
        "decision",
    ]
    assert main(["audit", "show", audit, "--session", "none"]) == 0
    assert "no call on record has the session none" in capsys.readouterr().err


def test_a_chain_that_was_altered_after_it_was_indexed_is_not_believed(audit: str, capsys: Capture) -> None:
    assert len(ids(capsys, audit)) == 3
    (path,) = Path(audit).iterdir()
    before = path.read_bytes()
    path.write_bytes(before.replace(b'"git/no"', b'"git/on"'))
    for again in ([], ["--rebuild"]):
        assert main(["audit", "query", audit, *again]) == 1
        assert "was altered: do not trust" in capsys.readouterr().err


def test_a_line_of_a_growing_chain_that_is_not_what_was_indexed_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    sink = AuditFile(tmp_path / "audit")
    for record in (OPENED, CALL):
        sink.write(record)
    sink.commit()
    assert main(["audit", "query", str(sink.path.parent)]) == 0
    sink.path.write_bytes(sink.path.read_bytes().replace(b'"tool":"get"', b'"tool":"got"'))
    sink.write(structs.replace(CALL, id="n-8"))
    sink.commit()
    assert main(["audit", "query", str(sink.path.parent)]) == 2
    assert "has changed since it was indexed" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["query", "stats"])
def test_an_index_that_is_damaged_is_said_and_can_be_built_again(
    audit: str, capsys: Capture, verb: str
) -> None:
    assert main(["audit", verb, audit]) == 0
    whole = capsys.readouterr().out
    with closing(sqlite3.connect(index_path(Path(audit)), isolation_level=None)) as database:
        (pages,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'calls'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
        database.execute("PRAGMA journal_mode = DELETE")
    with index_path(Path(audit)).open("r+b") as file:
        file.seek((pages - 1) * size)
        file.write(b"\xff" * size)
    assert main(["audit", verb, audit]) == 2
    said = capsys.readouterr().err
    assert said == "mcpguard: the index of calls is damaged: run the command again with --rebuild\n"
    assert main(["audit", verb, audit, "--rebuild"]) == 0
    assert capsys.readouterr().out == whole


def test_what_would_have_been_refused_can_be_filtered_too(audit: str, capsys: Capture) -> None:
    folder_of(Path(audit), structs.replace(CALL, id="m-1", observed=ObservedRefusal("no-rule")))
    assert main(["audit", "show", audit, "--observed", "--server", "github", "--json"]) == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == ["m-1"]


@pytest.mark.parametrize(
    "condition", ["args.q", "tool.name", "args.q && true", 'effect == "allow" && args.q']
)
def test_a_condition_that_is_not_boolean_is_a_mistake(audit: str, capsys: Capture, condition: str) -> None:
    assert main(["audit", "query", condition, audit]) == 2
    assert capsys.readouterr().err.endswith("boolean: compare what it reads with a value\n")


def test_it_is_said_for_how_many_calls_a_condition_could_not_be_evaluated(
    audit: str, capsys: Capture
) -> None:
    note = "mcpguard: note: the condition could not be evaluated for {} of the calls that were looked at"
    for condition, count in (
        ("int(ms) / 0 > 1", 3),
        ('args.q == "x"', 1),
        ("int(tool.name) > 1", 3),
    ):
        assert main(["audit", "query", condition, audit]) == 0
        assert capsys.readouterr().err.startswith(note.format(count))
    assert main(["audit", "query", "ms > 1", audit]) == 0
    assert not capsys.readouterr().err


def test_a_session_is_found_by_the_short_name_that_is_printed(audit: str, capsys: Capture) -> None:
    folder_of(Path(audit), structs.replace(DENIED, id="m-1", session="bed08817-aaaa"))
    assert ids(capsys, audit, "--session", "bed08817") == ["m-1"]
    assert ids(capsys, audit, "--session", "bed08817-aaaa", "--denied") == ["m-1"]
    assert ids(capsys, audit, "--session", "bed0881") == []
    assert main(["audit", "query", audit, "--session", "bed08817", "--tool", "get"]) == 0
    assert not capsys.readouterr().err


def test_a_chain_that_is_removed_during_a_query_is_said_and_the_others_are_printed(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "audit"
    gone, kept = (folder_of(folder, structs.replace(CALL, id=f"n-{number}"), DONE) for number in (1, 2))
    (folder / f"{kept.stem}-copy.jsonl").write_bytes(kept.read_bytes())
    unknown = AuditIndex.facts

    def removed(index: AuditIndex) -> Any:
        gone.unlink(missing_ok=True)
        return unknown(index)

    monkeypatch.setattr(AuditIndex, "facts", removed)
    for condition in ("", 'args.q == "x"'):
        assert main(["audit", "query", condition, str(folder)]) == 0
        out, err = capsys.readouterr()
        assert out.count("n-2") == 2
        assert "n-1" not in out
        assert f"{kept.stem}-copy.jsonl is a copy of {kept.name}, whose calls are counted once" in err
        assert condition or f"{gone.name} was removed while it was read" in err


def test_a_path_may_stand_before_the_condition_and_one_that_does_not_exist_is_said(
    audit: str, capsys: Capture, tmp_path: Path
) -> None:
    assert main(["audit", "query", audit, 'args.q == "x"']) == 0
    assert "n-7" in capsys.readouterr().out
    for wrong in (f"{tmp_path}/gone", "./audit.d/", "20260801T070000Z-1-0.jsonl.gz"):
        for more in ([], [audit]):
            assert main(["audit", "query", wrong, *more]) == 2
            assert (
                f"{wrong} is neither a file or folder that exists nor a condition" in capsys.readouterr().err
            )
    assert main(["audit", "query", f"args.q == '{'x' * 5000}'", audit]) == 0


def test_a_request_about_a_task_is_shown_with_its_method(tmp_path: Path, capsys: Capture) -> None:
    asked = structs.replace(DENIED, method="tasks/update", tool="", server="", subject="t-1")
    folder_of(tmp_path / "audit", asked)
    assert main(["audit", "query", str(tmp_path / "audit")]) == 0
    assert "tasks/update t-1" in capsys.readouterr().out
