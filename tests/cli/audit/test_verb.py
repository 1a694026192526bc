"""`mcpguard audit`: exit code 1 is for tampering, and a crash is a note."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote

import pytest
from msgspec import structs

from mcpguard.adapters.audit.reader import lines
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.cli import main
from mcpguard.config.loading import evidence_folder
from mcpguard.core.evidence.records import Decided, Noticed, ObservedRefusal, Outcome, Record
from mcpguard.core.evidence.verification import verify
from tests.adapters.audit.audit_records import CLOSED, DECIDED, NOW, OPENED, OUTCOME

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


def chain(folder: Path, *records: Record, close: bool = True) -> Path:
    sink = AuditFile(folder)
    for record in (OPENED, *records):
        sink.write(record)
    sink.commit()
    before = sink.path.read_bytes()
    sink.close(CLOSED)
    if not close:
        sink.path.write_bytes(before)
    return sink.path


def test_an_intact_chain_is_zero_and_prints_its_head(folder: Path, capsys: Capture) -> None:
    path = chain(folder, DECIDED, OUTCOME)
    assert main(["audit", "verify", str(folder)]) == 0
    said = capsys.readouterr().out
    assert said == (
        f"intact  {path.name}:{verify(lines(path)).head}  4 records\nchains: 1, altered or missing: 0\n"
    )


def test_one_file_can_be_verified_alone(folder: Path, capsys: Capture) -> None:
    path = chain(folder, DECIDED, OUTCOME)
    chain(folder).write_text("noise\n")
    assert main(["audit", "verify", str(path)]) == 0
    assert "chains: 1," in capsys.readouterr().out


def test_an_altered_chain_is_one_and_names_the_line(folder: Path, capsys: Capture) -> None:
    path = chain(folder, DECIDED, OUTCOME)
    path.write_bytes(path.read_bytes().replace(b'"allow"', b'"deny"'))
    assert main(["audit", "verify", str(folder)]) == 1
    said = capsys.readouterr().out
    assert f"ALTERED  {path.name}" in said
    assert "line 2 was altered" in said
    assert "altered or missing: 1\n" in said


def test_a_crash_is_zero_with_notes(folder: Path, capsys: Capture) -> None:
    path = chain(folder, DECIDED, close=False)
    with path.open("ab") as file:
        file.write(b'{"kind":"outc')
    assert main(["audit", "verify", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "note: ends in an incomplete record" in said
    assert "note: not closed" in said
    assert "note: 1 allowed without an outcome: n-1\n" in said


def test_many_unfinished_calls_are_counted_and_not_all_named(folder: Path, capsys: Capture) -> None:
    records = [Decided(NOW, f"n-{n}", "p", "tools/call", "allow") for n in range(12)]
    chain(folder, *records)
    assert main(["audit", "verify", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "12 allowed without an outcome: n-0, " in said
    assert said.count("n-") == 10
    assert ", ...\n" in said


def test_a_missing_chain_is_one_unless_it_was_removed_on_purpose(folder: Path, capsys: Capture) -> None:
    first = chain(folder)
    chain(folder)
    first.unlink()
    assert main(["audit", "verify", str(folder)]) == 1
    assert f"MISSING {first.name}: another chain holds its head\n" in capsys.readouterr().out
    assert main(["audit", "verify", str(folder), "--removed-until", first.name]) == 0
    capsys.readouterr()
    assert main(["audit", "verify", str(folder), "--expect", f"x.jsonl:{'a' * 64}"]) == 1
    said = capsys.readouterr().out
    assert "MISSING x.jsonl: its head is expected (--expect, --heads)\n" in said
    assert f"MISSING {first.name}: another chain holds its head\n" in said


def test_a_head_kept_elsewhere_finds_a_cut_off_end(folder: Path, capsys: Capture) -> None:
    path = chain(folder, DECIDED, OUTCOME)
    kept = f"{path.name}:{verify(lines(path)).head}"
    assert main(["audit", "verify", str(folder), "--expect", kept]) == 0
    path.write_bytes(b"".join(list(lines(path))[:3]))
    assert main(["audit", "verify", str(folder)]) == 0
    assert main(["audit", "verify", str(folder), "--expect", kept]) == 1
    assert "its end was cut off" in capsys.readouterr().out


def test_an_expectation_that_is_none_is_refused(folder: Path, capsys: Capture) -> None:
    chain(folder)
    assert main(["audit", "verify", str(folder), "--expect", "f" * 64]) == 2
    assert "--expect takes FILE:HASH" in capsys.readouterr().err


def test_json_has_the_whole_report(folder: Path, capsys: Capture) -> None:
    path = chain(folder, DECIDED, OUTCOME)
    assert main(["audit", "verify", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "intact": True,
        "missing": [],
        "chains": [
            {
                "file": path.name,
                "intact": True,
                "records": 4,
                "head": verify(lines(path)).head,
                "closed": True,
                "torn": False,
                "unfinished": [],
                "flaws": [],
                "continues": "",
                "signed": 0,
                "held_by": "",
                "doubts": [],
                "newer": "",
                "gaps": [],
            }
        ],
        "removed": None,
        "key": "",
    }
    path.write_text("noise\n")
    assert main(["audit", "verify", str(folder), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["chains"][0]["flaws"] == [
        {"line": 1, "what": "is not a record: it was altered"}
    ]


def test_nothing_to_verify_is_an_error(tmp_path: Path, capsys: Capture) -> None:
    assert main(["audit", "verify", str(tmp_path / "gone")]) == 2
    assert capsys.readouterr().err.startswith("mcpguard: no audit log at ")


@pytest.mark.parametrize("words", [["deadbeef"], ["deadbeef", "."]])
def test_what_is_no_id_and_no_file_is_told_as_such(words: list[str], capsys: Capture) -> None:
    assert main(["audit", "show", *words]) == 2
    assert "deadbeef is neither the id of a call, such as 4f1c09aa-17, nor a file" in capsys.readouterr().err


def test_a_question_to_a_person_is_a_short_row(tmp_path: Path, capsys: Capture) -> None:
    sink = AuditFile(tmp_path / "audit")
    detail = f"ticket t-1 for the call n-7 of os-user:ada: tools/call push, sha256 of the arguments {'a' * 64}, of x"
    sink.write(OPENED)
    sink.write(Noticed(NOW, "approval-asked", "git", detail, id="n-7", ticket="t-1"))
    sink.commit()
    assert main(["audit", "show", str(sink.path), "-n", "1"]) == 0
    row = capsys.readouterr().out.rstrip()
    assert row.endswith("ticket t-1 for the call n-7 of os-user:ada: tools/call push")
    assert main(["audit", "show", str(sink.path), "-n", "1", "--json"]) == 0
    assert "a" * 64 in capsys.readouterr().out


def test_show_prints_the_last_records_across_chains(folder: Path, capsys: Capture) -> None:
    first = chain(folder, Noticed(NOW, "first"))
    second = chain(folder, DECIDED, OUTCOME, Noticed(NOW, "finding", findings={"email /a": 1}))
    first.rename(folder / "1.jsonl")
    second.rename(folder / "2.jsonl")
    assert main(["audit", "show", str(folder), "-n", "7"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in said] == [
        "notice",
        "closed",
        "opened",
        "decision",
        "outcome",
        "notice",
        "closed",
    ]
    assert said[3].split() == ["2026-08-01T07:00:00Z", "decision", "allow", "github/get", "n-1"]
    assert said[5].endswith("  removed email /a")


def test_show_takes_the_latest_records_whichever_chain_has_them(folder: Path, capsys: Capture) -> None:
    first, second = AuditFile(folder), AuditFile(folder)
    for sink in (first, second):
        sink.write(structs.replace(OPENED, at=NOW))
    for minute in range(1, 7):
        sink = second if minute in (1, 4) else first
        at = NOW + timedelta(minutes=minute)
        sink.write(structs.replace(DECIDED, id=f"n-{minute}", at=at, effect="deny"))
    for sink in (first, second):
        sink.commit()
    for count in (3, 6):
        assert main(["audit", "show", str(folder), "--json", "-n", str(count)]) == 0
        ids = [json.loads(line).get("id") for line in capsys.readouterr().out.splitlines()]
        assert ids == [f"n-{minute}" for minute in range(7 - count, 7)]
    for sink in (first, second):
        sink.close(CLOSED)


def test_an_old_chain_is_not_read_for_the_latest_records(folder: Path, capsys: Capture) -> None:
    chain(folder, DECIDED).write_bytes(b"noise\n")
    later = datetime.now(UTC) + timedelta(hours=1)
    chain(folder, *(structs.replace(one, at=later) for one in (DECIDED, OUTCOME)))
    assert main(["audit", "show", str(folder), "-n", "4"]) == 0
    assert "unreadable" not in capsys.readouterr().out
    assert main(["audit", "show", str(folder), "-n", "5"]) == 1
    assert "unreadable" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["show", "tail"])
def test_no_time_of_a_file_hides_the_latest_records(folder: Path, capsys: Capture, verb: str) -> None:
    chain(folder, *(structs.replace(DECIDED, id=f"o-{number}", effect="deny") for number in range(5)))
    later = DECIDED.at + timedelta(minutes=1)
    os.utime(chain(folder, structs.replace(DECIDED, id="n-9", at=later, effect="deny")), (0, 0))
    assert main(["audit", verb, str(folder), "-n", "3"]) == 0
    assert "n-9" in capsys.readouterr().out


def test_a_gap_is_a_note_and_no_alteration(folder: Path, capsys: Capture) -> None:
    said = "from 2026-08-01T06:00:00Z to this record, 3 requests refused: the disk is full"
    path = chain(folder, Noticed(NOW, "evidence-gap", detail=said))
    assert main(["audit", "verify", str(folder)]) == 0
    told = said.replace("to this record", "to 2026-08-01T07:00:00Z")
    assert f"        note: evidence-gap {told}\n" in capsys.readouterr().out
    assert main(["audit", "verify", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chains"][0]["gaps"] == [told]
    path.write_bytes(path.read_bytes().replace(b'"detail":"from', b'"detail" "from'))
    assert main(["audit", "verify", str(folder)]) == 1
    assert "evidence-gap" not in capsys.readouterr().out


def test_an_altered_chain_is_not_said_to_be_of_a_newer_mcpguard(folder: Path, capsys: Capture) -> None:
    path = chain(folder, Noticed(NOW, "started"))
    path.write_bytes(path.read_bytes().replace(b'"notice"', b'"notise"'))
    assert main(["audit", "verify", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "ALTERED" in said
    assert "newer" not in said


def test_show_tells_what_was_done_to_a_result(folder: Path, capsys: Capture) -> None:
    kept = Outcome(
        NOW, "n-1", "ok", 1.0, findings={"jwt /a": 1}, unredacted={"jwt /b": 1}, neutralised={"tag": 2}
    )
    chain(folder, kept, Outcome(NOW, "n-2", "withheld", 1.0, error="too deep"))
    assert main(["audit", "show", str(folder)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].endswith("  removed jwt /a; left jwt /b; neutralised tag")
    assert said[2].endswith("n-2  too deep")


def test_show_says_what_explains_the_last_refusal(folder: Path, capsys: Capture) -> None:
    chain(folder, structs.replace(DECIDED, effect="deny", cause="rule", rules=("p/d",)))
    assert main(["audit", "show", str(folder)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == f"why: `mcpguard audit show n-1 {folder}`"
    assert main(["audit", "show", str(folder), "-n", "1"]) == 0
    assert "why" not in capsys.readouterr().out


def test_a_command_that_is_suggested_reads_the_same_evidence(tmp_path: Path, capsys: Capture) -> None:
    config = tmp_path / "a 'b'.yaml"
    config.write_text("version: 1\nservers: {x: {command: cat}}\naudit: {path: audit}\n")
    (tmp_path / "audit").mkdir()
    chain(tmp_path / "audit", structs.replace(DECIDED, effect="deny", cause="rule", rules=("p/d",)))
    option = f" --config {quote(str(config))}"
    suggested = {
        ("show",): f"why, and by which line of which policy: `mcpguard explain n-1{option}`",
        ("query",): f"everything recorded about one of them: `mcpguard audit show n-1{option}`",
    }
    for words, hint in suggested.items():
        assert main(["audit", *words, "--config", str(config)]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == hint
    assert main(["audit", "show", "n-5", "--config", str(config)]) == 2
    said = capsys.readouterr().err
    assert (
        f"`mcpguard audit show{option}` lists the last records. Another configuration? `--config FILE`"
        in said
    )


def test_a_long_detail_does_not_widen_the_other_lines(folder: Path, capsys: Capture) -> None:
    chain(folder, DECIDED, Noticed(NOW, "finding", detail="long " * 60))
    assert main(["audit", "show", str(folder), "-n", "3"]) == 0
    decision = capsys.readouterr().out.splitlines()[0]
    assert decision.endswith("n-1")
    assert len(decision) < 80


def test_show_says_which_credential_a_rule_chose(folder: Path, capsys: Capture) -> None:
    chain(folder, structs.replace(DECIDED, credential="github-write"), OUTCOME)
    assert main(["audit", "show", str(folder), "-n", "3"]) == 0
    assert "github/get with github-write" in capsys.readouterr().out.splitlines()[0]


def test_show_for_programs_prints_the_lines_as_they_are(folder: Path, capsys: Capture) -> None:
    path = chain(folder, DECIDED, OUTCOME)
    assert main(["audit", "show", str(folder), "--json", "-n", "2"]) == 0
    assert capsys.readouterr().out.encode() == b"".join(list(lines(path))[-2:])


def test_show_survives_noise_and_escapes_what_it_prints(folder: Path, capsys: Capture) -> None:
    path = chain(folder, Noticed(NOW, "finding", detail="\x1b[2J\u202e"))
    with path.open("ab") as file:
        file.write(b"\xff\n" + b"[" * 5000 + b"\n[]\n")
    assert main(["audit", "show", str(folder)]) == 1
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\\x1b[2J\\u202e" in said
    assert said.count("unreadable") == 3


def test_show_of_an_empty_chain_prints_nothing(folder: Path, capsys: Capture) -> None:
    chain(folder).write_bytes(b"")
    assert main(["audit", "show", str(folder)]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5"])
def test_show_takes_a_positive_number(number: str, folder: Path, capsys: Capture) -> None:
    assert main(["audit", "show", str(folder), "-n", number]) == 2
    assert "-n" in capsys.readouterr().err


def test_the_folder_is_that_of_the_configuration_else_the_users_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MCPGUARD_CONFIG", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    config = tmp_path / "mcpguard.yaml"
    servers = "version: 1\nservers: {git: {command: git-server}}\n"
    config.write_text(servers + "audit: {path: evidence}\n")
    in_state, in_config = chain(evidence_folder(None)), chain(tmp_path / "evidence")

    def verified(*words: str) -> str:
        assert main(["audit", "verify", *words]) == 0
        return capsys.readouterr().out

    assert in_state.name in verified()
    assert in_config.name in verified("--config", str(config))
    monkeypatch.setenv("MCPGUARD_CONFIG", str(config))
    assert in_config.name in verified()
    config.write_text(servers)
    assert in_state.name in verified()
    monkeypatch.setenv("MCPGUARD_CONFIG", str(tmp_path / "gone.yaml"))
    assert main(["audit", "verify"]) == 2


def test_show_says_what_would_have_been_refused_and_can_show_that_alone(
    folder: Path, capsys: Capture
) -> None:
    def would(name: str, *rules: str, cause: str = "rule") -> Decided:
        refusal = ObservedRefusal(cause, rules, "No.")
        return structs.replace(DECIDED, id=name, effect="allow", rules=(), observed=refusal)

    chain(
        folder,
        would("a", "p/no"),
        would("b", "p/few", cause="limit"),
        would("c", cause="no-rule"),
        structs.replace(DECIDED, id="d"),
        structs.replace(OUTCOME, id="d", observed=ObservedRefusal("rule", ("p/keep",))),
    )
    assert main(["audit", "verify", str(folder)]) == 0
    capsys.readouterr()
    assert main(["audit", "show", str(folder), "--observed"]) == 0
    said = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert [line.partition("would be ")[2] for line in said] == [
        "refused (p/no)",
        "refused (limit p/few)",
        "refused (no-rule)",
        "withheld (p/keep)",
    ]
    assert main(["audit", "show", str(folder)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 7


def test_show_survives_an_observed_refusal_that_is_none(folder: Path, capsys: Capture) -> None:
    path = chain(folder)
    with path.open("ab") as file:
        file.write(b'{"kind":"decision","observed":7}\n{"kind":"decision","observed":{"rules":7}}\n')
    assert main(["audit", "show", str(folder), "-n", "2"]) == 1
    assert "would be refused (None)" in capsys.readouterr().out


def test_servers_that_end_together_are_one_row_and_leave_room_for_the_calls(
    folder: Path, capsys: Capture
) -> None:
    ended = [Noticed(NOW, "upstream-ended", name, "the client left") for name in "abcdefg"]
    chain(folder, DECIDED, OUTCOME, *ended, Noticed(NOW, "upstream-ended", "h", "unused"))
    assert main(["audit", "show", str(folder), "-n", "4"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[1] for row in rows] == ["outcome", "notice", "notice", "closed"]
    assert " ".join(rows[1][2:]) == "upstream-ended a, b, c, d, e and 2 more the client left"
    assert main(["audit", "show", str(folder), "-n", "4", "--json"]) == 0
    assert [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()] == [
        "notice",
        "notice",
        "notice",
        "closed",
    ]
