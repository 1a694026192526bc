"""`mcpguard audit show ID` tells one call's whole story, from its records alone."""

from __future__ import annotations

import gzip
import json
import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.adapters.audit import calls
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.cli import main
from mcpguard.core.evidence.records import (
    Closed,
    Decided,
    FoldedRecords,
    Noticed,
    ObservedRefusal,
    Outcome,
    Record,
    Steps,
)
from tests.adapters.audit.audit_records import CLOSED, NOW, OPENED, ROTATED

Capture = pytest.CaptureFixture[str]

CALL = Decided(
    NOW,
    "n-7",
    "os-user:ada",
    "tools/call",
    "allow",
    server="github",
    tool="get",
    tool_digest="a" * 64,
    rules=("git/read",),
    policy_digest="d" * 64,
    args="b" * 64,
    credentials=("github/read",),
    credential_kinds={"github/read": "github-app"},
    agent="claude",
    client="ide/1.2",
    request="9",
    session="s1",
    arguments={"q": "x"},
)
DONE = Outcome(
    NOW,
    "n-7",
    "ok",
    12.5,
    result="c" * 64,
    findings={"email /a": 1, "pan /b": 2},
    steps=Steps(decide=1.25, call=11.0),
    sent=120,
    received=4000,
)


def folder_of(folder: Path, *records: Record, closed: Closed = CLOSED) -> Path:
    sink = AuditFile(folder)
    for record in (structs.replace(OPENED, host="box"), *records):
        sink.write(record)
    sink.commit()
    sink.close(closed)
    return sink.path


def told(folder: Path, capsys: Capture, call: str = "n-7", code: int = 0) -> dict[str, str]:
    """Topic -> what is printed about it."""
    assert main(["audit", "show", call, str(folder)]) == code
    found: dict[str, str] = {}
    topic = "summary"
    for line in capsys.readouterr().out.splitlines():
        heading = re.match(r"(\w+) {2,}", line)
        topic = heading[1] if heading else topic
        found[topic] = f"{found.get(topic, '')} {line.removeprefix(topic).strip()}".strip()
    return found


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")


def test_a_request_about_a_task_says_which_call_began_it(tmp_path: Path, capsys: Capture) -> None:
    followed = structs.replace(CALL, method="tasks/get", tool="", tool_digest="", began="n-3")
    folder_of(tmp_path, followed, DONE)
    said = told(tmp_path, capsys)["why"]
    assert said.startswith("The rule git/read allowed it, as part of the call n-3, which began the task.")


def test_a_limit_of_bytes_counts_what_came_back(tmp_path: Path, capsys: Capture) -> None:
    limited = structs.replace(CALL, limits={"git/read bytes 1h": 0, "git/read calls 1h": 1})
    folder_of(tmp_path, limited, DONE)
    said = "It counts against limits: git/read bytes 1h by the size of its result, git/read calls 1h by 1."
    assert said in told(tmp_path, capsys)["why"]


def test_an_allowed_call_says_who_what_why_and_what_came_back(tmp_path: Path, capsys: Capture) -> None:
    path = folder_of(tmp_path, CALL, DONE)
    said = told(tmp_path, capsys)
    assert said["summary"] == "n-7: allowed, 2026-08-01T07:00:00.000Z"
    assert said["who"].startswith(
        "os-user:ada asked for it: the operating system says that this is the user ada."
    )
    assert (
        "calls the agent claude, and the client calls itself ide, version 1.2; neither was verified."
        in said["who"]
    )
    assert f"process {os.getpid()} of mcpguard 0.1.0 on box, which was started by os-user:1000" in said["who"]
    assert said["what"].startswith("It called the tool get of the server github.")
    assert f"The tool's definition has the sha256 {'a' * 64}." in said["what"]
    assert 'Its arguments, with secrets removed: {"q":"x"}.' in said["what"]
    assert said["why"] == (
        f"The rule git/read allowed it. The policies in force (github) have the sha256 {'d' * 64}."
    )
    assert said["credentials"] == (
        "The server has the credential github/read (github-app); the client never saw a value."
    )
    assert said["approval"] == "No person had to approve it."
    assert (
        "It finished 12 ms after the decision. The steps took 1.25 ms to decide and 11 ms for" in said["time"]
    )
    assert "120 bytes were sent and 4,000 were received." in said["result"]
    assert "One value of the kind email at /a was removed." in said["result"]
    assert "2 values of the kind pan at /b were removed." in said["result"]
    assert f"The decision is line 2 of {path.name}. The outcome is line 3 of {path.name}." in said["evidence"]
    assert "is intact: 4 records follow each other unchanged, and it was closed properly." in said["evidence"]


def test_a_refusal_names_its_rule_and_what_the_client_was_told(tmp_path: Path, capsys: Capture) -> None:
    folder_of(
        tmp_path,
        structs.replace(CALL, effect="deny", cause="rule", message="Use a branch.", credentials=("k",)),
    )
    said = told(tmp_path, capsys)
    assert said["summary"].startswith("n-7: denied, ")
    assert "The rule git/read denied it. The client was told: “Use a branch.”" in said["why"]
    assert said["credentials"] == "The server has the credential k, and nothing was sent to it."
    assert said["result"] == "Nothing was sent to the server."


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        ("no-rule", "No rule allowed it, and calls are denied by default."),
        ("pin", "Its definition is not one that was accepted: `mcpguard pins` shows what is different."),
        ("of-tomorrow", "The cause is: of-tomorrow."),
    ],
)
def test_each_cause_has_a_sentence(tmp_path: Path, capsys: Capture, cause: str, sentence: str) -> None:
    folder_of(tmp_path, structs.replace(CALL, effect="deny", cause=cause))
    assert told(tmp_path, capsys)["why"].startswith(f"{sentence} The rule is git/read.")


def test_a_label_leads_to_the_call_that_brought_it(tmp_path: Path, capsys: Capture) -> None:
    first = structs.replace(CALL, id="n-1", labels=("tainted",))
    folder_of(tmp_path, first)
    folder_of(
        tmp_path,
        structs.replace(
            CALL, session_labels=("tainted", "old"), label_causes={"tainted": "n-1", "old": "m-1"}
        ),
        DONE,
    )
    said = told(tmp_path, capsys)["session"]
    assert "The session s1 had the label tainted, since the call n-1 (github/get, 2026-08-01" in said
    assert "had the label old, since the call m-1, which is not in these chains." in said
    assert "The call added the label tainted to the session." in told(tmp_path, capsys, "n-1")["session"]


def test_an_approval_says_who_was_asked_and_who_approved(tmp_path: Path, capsys: Capture) -> None:
    asked = structs.replace(CALL, effect="ask", ticket="t-1", rules=("git/ask",))
    folder_of(tmp_path, asked)
    waiting = told(tmp_path, capsys)
    assert waiting["summary"].startswith("n-7: waiting for a person")
    assert "The rule git/ask asks for a person's approval." in waiting["why"]
    assert "No answer is on record" in waiting["approval"]
    other = tmp_path / "other"
    folder_of(
        other,
        asked,
        Noticed(NOW, "approval-asked", id="n-7", ticket="t-1"),
        structs.replace(CALL, approval="t-1 by os-user:eve", ticket="t-1"),
        DONE,
    )
    said = told(other, capsys)
    assert "A person had to be asked by the rule git/ask: ticket t-1, 2026-08-01" in said["approval"]
    assert said["approval"].endswith("It was approved by os-user:eve with the ticket t-1.")


@pytest.mark.parametrize(
    ("seconds", "end"), [(31.5, "It was not approved after 31.5 seconds."), (0, "It was not approved.")]
)
def test_a_refusal_after_a_question_says_how_long_the_call_waited(
    tmp_path: Path, capsys: Capture, seconds: float, end: str
) -> None:
    asked = structs.replace(CALL, effect="ask", cause="approval", rules=("git/ask",), ticket="t-1")
    over = structs.replace(CALL, effect="deny", cause="abandoned", ticket="t-1")
    folder_of(tmp_path, asked, structs.replace(over, at=over.at + timedelta(seconds=seconds)))
    said = told(tmp_path, capsys)
    assert said["approval"].endswith(end)
    assert "mcpguard stopped" in said["why"]
    assert "The question is line 2 of" in said["evidence"]


def test_a_call_that_a_person_refused_before_is_not_said_to_need_nobody(
    tmp_path: Path, capsys: Capture
) -> None:
    denied = structs.replace(CALL, effect="deny", cause="approval", rules=("git/ask",), ticket="t-1")
    folder_of(tmp_path, denied, structs.replace(denied, id="n-8", ticket=""))
    assert told(tmp_path, capsys)["approval"] == "A person had to approve it (ticket t-1), and nobody did."
    assert told(tmp_path, capsys, "n-8")["approval"] == "A person had to approve it, and nobody did."


def test_where_a_chain_goes_on_in_another_one_both_are_read(tmp_path: Path, capsys: Capture) -> None:
    first = folder_of(tmp_path, structs.replace(CALL, effect="ask", ticket="t-1"), closed=ROTATED)
    first = first.rename(tmp_path / "1.jsonl")
    (tmp_path / "1.jsonl.gz").write_bytes(gzip.compress(first.read_bytes()))
    first.unlink()
    sink = AuditFile(tmp_path)
    for record in (structs.replace(OPENED, continues=first.name), structs.replace(CALL, ticket="t-1"), DONE):
        sink.write(record)
    sink.commit()
    sink.close(CLOSED)
    said = told(tmp_path, capsys)["evidence"]
    assert "The question is line 2 of 1.jsonl.gz." in said
    assert said.count("is intact") == 2


def test_an_altered_chain_is_said_and_is_one(tmp_path: Path, capsys: Capture) -> None:
    path = folder_of(tmp_path, CALL, DONE)
    path.write_bytes(path.read_bytes().replace(b"git/read", b"git/deed"))
    said = told(tmp_path, capsys, code=1)
    assert (
        f"THE CHAIN {path.name} WAS ALTERED: line 2 was altered: its bytes do not match its hash."
        in said["evidence"]
    )


def test_words_of_others_cannot_pass_for_ours(tmp_path: Path, capsys: Capture) -> None:
    folder_of(
        tmp_path,
        structs.replace(
            CALL, client="x. A person approved it/1", effect="deny", message="no” The rule x allowed it."
        ),
    )
    said = told(tmp_path, capsys)
    assert "the client calls itself “x. A person approved it”, version 1" in said["who"]
    assert 'The client was told: “no" The rule x allowed it.”' in said["why"]


def test_over_http_the_token_and_the_person_are_named(tmp_path: Path, capsys: Capture) -> None:
    folder_of(
        tmp_path,
        structs.replace(
            CALL, principal="https://id:bot", human="https://id:ada", actor="bot", agent=None, client=""
        ),
        structs.replace(
            CALL, id="n-8", principal="http:anonymous", method="resources/read", tool="", subject="a://b"
        ),
    )
    said = told(tmp_path, capsys)["who"]
    assert "https://id:bot asked for it: a verified token says who that is." in said
    assert (
        "It was done by the agent bot for the person https://id:ada: the verified token names them." in said
    )
    other = told(tmp_path, capsys, "n-8")
    assert other["who"].startswith("Somebody without a token asked for it over HTTP (http:anonymous).")
    assert other["what"].startswith("It read the resource a://b of the server github.")
    assert other["result"].startswith("No outcome is on record")


def test_what_is_rare_is_told_too(tmp_path: Path, capsys: Capture) -> None:
    would = ObservedRefusal("no-rule", message="Not you.")
    folder_of(
        tmp_path,
        structs.replace(
            CALL,
            method="tools/list",
            tool="",
            rules=(),
            observed=would,
            shadow="deny a/b",
            redact=("phone",),
            limits={"day": 2},
            arguments=None,
            arguments_omitted="size",
            trace="00-ab",
            session_facts=("f",),
            credential="w",
            credentials=(),
        ),
        structs.replace(
            DONE,
            status="withheld",
            ms=2500.0,
            findings={},
            unredacted={"email /x": 1},
            neutralised={"tag": 3},
            error="bad",
            message="No.",
            rules=("git/no",),
            observed=structs.replace(would, rules=("git/o",)),
            shadow="deny c",
            facts=("g",),
            steps=None,
        ),
    )
    said = " ".join(told(tmp_path, capsys).values())
    for sentence in (
        "n-7: allowed (withheld)",
        "It sent tools/list to the server github.",
        "The arguments are too long to be recorded.",
        "The client says that it belongs to the trace 00-ab (not verified).",
        "It was allowed without a rule, since each entry of a list is decided by itself.",
        "The policies would have refused it (no-rule), saying “Not you.”; it went on, since the server is",
        "would have decided: deny a/b.",
        "redaction of the result: phone.",
        "It counts against limits: day by 2.",
        "had the fact f.",
        "A rule chose the credential w.",
        "It finished 2.5 seconds after the decision.",
        "The result was withheld from the client. What went wrong: “bad”. The client was told: “No.”",
        "The rule git/no decided about the result.",
        "would have withheld it by the rule git/o",
        "would have decided about the result: deny c.",
        "One value of the kind email at /x stayed, as a rule says.",
        "Hidden characters became visible, or were dropped: tag 3.",
        "The result added the fact g to the session.",
    ):
        assert sentence in said, sentence


def test_json_has_the_records_and_where_they_stand(tmp_path: Path, capsys: Capture) -> None:
    path = folder_of(tmp_path, CALL, DONE)
    assert main(["audit", "show", "n-7", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["intact"] == {path.name: True}
    assert (said["asked"], said["decision"]["line"], said["outcome"]["line"]) == (None, 2, 3)
    assert said["decision"]["record"]["rules"] == ["git/read"]
    assert [one["topic"] for one in said["story"]][:3] == ["who", "what", "why"]


def test_an_effect_that_this_version_does_not_know_is_printed_as_it_is(
    tmp_path: Path, capsys: Capture
) -> None:
    folder_of(tmp_path, structs.replace(CALL, effect="defer"))
    assert told(tmp_path, capsys)["summary"].startswith("n-7: defer, 2026-08-01")


def test_arguments_that_no_client_can_send_are_no_record(tmp_path: Path, capsys: Capture) -> None:
    deep: dict[str, object] = {}
    for _ in range(300):
        deep = {"a": deep}
    folder_of(tmp_path, structs.replace(CALL, arguments=deep), DONE)
    assert main(["audit", "show", "n-7", str(tmp_path), "--json"]) == 2
    assert "no call n-7 in" in capsys.readouterr().err
    assert main(["audit", "query", "true", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calls"] == []


def test_an_unknown_id_is_an_error(tmp_path: Path, capsys: Capture) -> None:
    folder_of(tmp_path, CALL)
    assert main(["audit", "show", "n-9", str(tmp_path)]) == 2
    assert "no call n-9 in" in capsys.readouterr().err


def test_a_call_is_found_anywhere_in_a_long_chain(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_BLOCK", 700)
    others = [structs.replace(CALL, id=f"n-{number}", effect="deny") for number in range(100, 140)]
    path = folder_of(tmp_path, *others[:30], CALL, *others[30:], DONE)
    path.with_name("0.jsonl").write_bytes(b"noise without an end" * 100_000)
    said = told(tmp_path, capsys)["evidence"]
    assert f"The decision is line 32 of {path.name}. The outcome is line 43 of {path.name}." in said


def test_only_chains_that_may_have_the_call_are_read_where_there_is_an_index(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "audit"
    for number in range(5):
        records = (structs.replace(one, id=f"n-{number}") for one in (CALL, DONE))
        folder_of(folder, *records)
    names = sorted(file.name for file in folder.iterdir())
    read: list[str] = []
    blocks = calls.blocks
    monkeypatch.setattr(calls, "blocks", lambda path, size: read.append(path.name) or blocks(path, size))
    told(folder, capsys, "n-1")
    assert read == names[::-1]
    assert main(["audit", "query", str(folder)]) == 0
    capsys.readouterr()
    read.clear()
    assert told(folder, capsys, "n-1")["summary"].startswith("n-1: allowed")
    assert read == [names[1]]
    # What has grown or is new since then is not in the index.
    later = folder_of(folder, structs.replace(CALL, id="n-9"))
    with (folder / names[3]).open("ab") as file:
        file.write(b"more")
    read.clear()
    told(folder, capsys, "n-9")
    assert read == [later.name, names[3]]
    read.clear()
    assert main(["audit", "show", "n-77", str(folder)]) == 2
    assert set(read) == {*names, later.name}


def test_a_chain_that_only_has_what_looks_like_the_call_is_not_read(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "audit"
    alike = {"a": '"n-7x', "b": "an-7"}
    other = folder_of(folder, structs.replace(CALL, id="n-8", arguments=alike))
    real = folder_of(folder, CALL, DONE)
    assert main(["audit", "query", str(folder)]) == 0
    capsys.readouterr()
    read: list[str] = []
    blocks = calls.blocks
    monkeypatch.setattr(calls, "blocks", lambda path, size: read.append(path.name) or blocks(path, size))
    assert told(folder, capsys)["result"].startswith("The server answered")
    assert read == [real.name]
    (folder / f"{other.name}.gz").write_bytes(gzip.compress(other.read_bytes()))
    other.unlink()
    assert main(["audit", "query", str(folder)]) == 0
    capsys.readouterr()
    told(folder, capsys)
    assert len(read) == 3  # What is compressed is not unpacked to look into it.


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("of", ["nobody", "the same process"])
@pytest.mark.parametrize("name", ["20200101T000000Z-1-0.jsonl", "20991231T000000Z-1-0.jsonl"])
def test_a_planted_chain_cannot_pass_for_the_story_of_a_call(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, name: str, of: str, indexed: bool
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "audit"
    real = folder_of(folder, CALL, DONE)
    continues = real.name if of == "the same process" else ""
    sink = AuditFile(folder)
    for record in (structs.replace(OPENED, continues=continues), structs.replace(CALL, effect="deny")):
        sink.write(record)
    sink.commit()
    planted = sink.path.rename(folder / name)
    if indexed:
        assert main(["audit", "query", str(folder)]) == 0
        assert capsys.readouterr().out.count("n-7\n") == 2
    assert main(["audit", "show", "n-7", str(folder)]) == 2
    said = capsys.readouterr().err
    assert "n-7 is on record in " in said
    assert real.name in said
    assert name in said
    assert told(real, capsys)["result"].startswith("The server answered")
    assert told(planted, capsys)["result"] == "Nothing was sent to the server."
    monkeypatch.setenv("MCPGUARD_CONFIG", str(tmp_path / "mcpguard.yaml"))
    (tmp_path / "mcpguard.yaml").write_text(
        "version: 1\nservers: {github: {command: x}}\naudit: {path: audit}\n"
    )
    assert main(["explain", "n-7"]) == 2
    assert "n-7 is on record in " in capsys.readouterr().err


def test_an_outcome_of_another_process_is_not_that_of_a_call(tmp_path: Path, capsys: Capture) -> None:
    real = folder_of(tmp_path, CALL)
    folder_of(tmp_path, DONE)
    said = told(tmp_path, capsys)
    assert said["evidence"].startswith(f"The decision is line 2 of {real.name}. The chain")


def test_a_copy_of_a_chain_is_no_other_call(tmp_path: Path, capsys: Capture) -> None:
    real = folder_of(tmp_path, CALL, DONE)
    (tmp_path / "20991231T000000Z-1-0.jsonl").write_bytes(real.read_bytes())
    assert told(tmp_path, capsys)["result"].startswith("The server answered")


@pytest.mark.parametrize("indexed", [False, True])
def test_an_outcome_is_found_in_whatever_chain_continues_that_of_the_decision(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, indexed: bool
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "audit"
    decided = folder_of(folder, CALL, closed=ROTATED)
    folder_of(folder, structs.replace(CALL, id="n-8"))
    sink = AuditFile(folder)
    for record in (structs.replace(OPENED, continues=decided.name), DONE):
        sink.write(record)
    sink.commit()
    sink.close(CLOSED)
    # The clock was set back by more than a day.
    sink.path.rename(folder / "20200101T000000Z-1-0.jsonl")
    if indexed:
        assert main(["audit", "query", 'status == "ok"', str(folder)]) == 0
        assert "n-7" in capsys.readouterr().out
    said = told(folder, capsys)
    assert "It finished 12 ms after the decision" in said["time"]
    assert "The outcome is line 2 of 20200101T000000Z-1-0.jsonl" in said["evidence"]


@pytest.mark.parametrize("records", [(DONE,), (structs.replace(CALL, effect="deny"),)])
def test_a_chain_that_says_that_it_continues_a_killed_process_has_nothing_of_a_call(
    tmp_path: Path, capsys: Capture, records: tuple[Record, ...]
) -> None:
    killed = folder_of(tmp_path, CALL)
    folder_of(tmp_path, structs.replace(OPENED, continues=killed.name))
    sink = AuditFile(tmp_path)
    for record in (structs.replace(OPENED, continues=killed.name), *records):
        sink.write(record)
    sink.commit()
    sink.close(CLOSED)
    if records == (DONE,):
        assert told(tmp_path, capsys)["result"].startswith("No outcome is on record")
    else:
        assert main(["audit", "show", "n-7", str(tmp_path)]) == 2
        assert f"n-7 is on record in {killed.name} and in {sink.path.name}" in capsys.readouterr().err


def test_a_refusal_that_was_only_counted_is_found_in_the_record_that_counts_it(
    tmp_path: Path, capsys: Capture
) -> None:
    folded = FoldedRecords(9, NOW, NOW, "ab-3", "ab-11", "d" * 64)
    notice = Noticed(NOW, "refusals-folded", detail="9 between 07:00:00 and 07:00:00 UTC", folded=folded)
    path = folder_of(tmp_path / "audit", CALL, DONE, notice)
    for name in ("ab-3", "ab-10"):
        assert main(["audit", "show", name, str(path.parent)]) == 2
        said = capsys.readouterr().err
        assert f"{name} has no record of its own. It may be among the requests that are only" in said
        assert f"line 4 of {path.name} (9 between 07:00:00 and 07:00:00 UTC)" in said
    for name in ("ab-2", "ab-12", "cd-5"):
        assert main(["audit", "show", name, str(path.parent)]) == 2
        assert f"no call {name} in" in capsys.readouterr().err
