"""`mcpguard approvals`, `approve` and `deny`: a person at a terminal answers, and that leaves evidence."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.cli import approvals, main
from mcpguard.core.policy.tickets import Ticket, TicketAnswer
from tests.adapters.store.test_store import TICKET, given_by
from tests.adapters.store.test_store import said as answered
from tests.cli.test_session import home, notices, store

Capture = pytest.CaptureFixture[str]

__all__ = ["home"]

SHOWN = '{"text":"a\\u202eb \\u001b[31m","list":[1]}'


def ask(folder: Path, **more: Any) -> SqliteStore:
    now = time.time()
    one = structs.replace(
        TICKET, created=now, expires=now + 60, message="Pushing is seen.", shown=SHOWN, **more
    )
    found = store(folder)
    given_by(found.ask(one))
    return found


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person types; the prompts are put behind it."""
    typed: list[str] = []
    monkeypatch.setattr(approvals, "at_terminal", lambda: True)
    monkeypatch.setattr("builtins.input", lambda prompt: typed.append(prompt) or typed[0])
    return typed


def given(folder: Path) -> TicketAnswer:
    answer = known(folder).answer
    assert answer is not None
    return answer


def known(folder: Path) -> Ticket:
    found = store(folder).known_ticket("t1")
    assert found is not None
    return found


def test_the_calls_that_wait_are_listed(home: Path, capsys: Capture) -> None:
    assert main(["approvals"]) == 0
    assert capsys.readouterr().out == "no call waits for an approval\n"
    ask(home)
    assert main(["approvals"]) == 0
    said = capsys.readouterr().out
    assert "t1" in said
    assert "tools/call s/push" in said


def test_a_person_sees_the_call_and_approves_it(home: Path, capsys: Capture, says: list[str]) -> None:
    ask(home)
    says.append("y")
    assert main(["approve", "t1"]) == 0
    said = capsys.readouterr().out
    assert "tools/call s/push" in said
    assert "Pushing is seen." in said
    assert r"a\u202eb \u001b[31m" in said
    assert "approved: the call goes on" in said
    assert given(home).by.partition(":")[0] == "os-user"
    assert (known(home).state, given(home).via) == ("approved", "terminal")
    ((what, detail),) = notices(home)
    assert what == "approval-given"
    assert detail.startswith("ticket t1 of os-user:ada by os-user:")


def test_a_person_refuses_a_call_with_a_reason(home: Path, says: list[str]) -> None:
    ask(home)
    says.append("yes")
    assert main(["deny", "t1", "--reason", "Use staging."]) == 0
    assert (known(home).state, given(home).reason) == ("denied", "Use staging.")
    assert [what for what, _ in notices(home)] == ["approval-refused"]


@pytest.mark.parametrize("typed", ["", "n", "maybe"])
def test_whoever_does_not_say_yes_answers_nothing(home: Path, says: list[str], typed: str) -> None:
    ask(home)
    says.append(typed)
    assert main(["approve", "t1"]) == 1
    assert known(home).state == "waiting"
    assert notices(home) == []


def test_an_agent_without_a_terminal_answers_nothing(home: Path, capsys: Capture) -> None:
    ask(home)
    for verb in ("approve", "deny"):
        assert main([verb, "t1"]) == 2
        assert "an approval is for a person, so it needs a terminal" in capsys.readouterr().err
    assert known(home).state == "waiting"


def test_nothing_is_answered_without_evidence(home: Path, says: list[str]) -> None:
    ask(home)
    says.append("y")
    (home / "audit").write_text("")
    assert main(["approve", "t1"]) == 2
    assert known(home).state == "waiting"


def test_what_does_not_wait_any_more_cannot_be_answered(home: Path, capsys: Capture, says: list[str]) -> None:
    says.append("y")
    assert main(["approve", "t1"]) == 2
    assert "no call waits by the ticket 't1'" in capsys.readouterr().err
    ask(home).answer("t1", answered("denied", "a"))
    assert main(["approve", "t1"]) == 2
    assert known(home).state == "denied"


def test_of_two_who_answer_at_once_one_is_told(
    home: Path, capsys: Capture, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ask(home)
    monkeypatch.setattr(
        "builtins.input", lambda _: "y" if found.answer("t1", answered("denied", "a")) else ""
    )
    assert main(["approve", "t1"]) == 2
    assert "was answered by somebody else" in capsys.readouterr().err
    assert sorted(what for what, _ in notices(home)) == ["approval-given", "approval-void"]
    assert known(home).state == "denied"


def test_an_answer_that_could_not_be_stored_is_void_in_evidence(
    home: Path, capsys: Capture, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(home)
    (file,) = home.rglob("state.sqlite")
    with sqlite3.connect(file, isolation_level=None) as other:

        def locked(_prompt: str) -> str:
            other.execute("BEGIN IMMEDIATE")
            return "y"

        monkeypatch.setattr("builtins.input", locked)
        assert main(["approve", "t1"]) == 2
        other.execute("ROLLBACK")
    assert "database is locked" in capsys.readouterr().err
    assert known(home).state == "waiting"
    assert sorted(what for what, _ in notices(home)) == ["approval-given", "approval-void"]


def shown(folder: Path, capsys: Capture, says: list[str], **more: Any) -> list[str]:
    """The lines that a person sees of a call."""
    now = time.time()
    given_by(store(folder).ask(structs.replace(TICKET, created=now, expires=now + 60, **more)))
    says.append("n")
    assert main(["approve", "t1"]) == 1
    return capsys.readouterr().out.split("\n")


def test_arguments_that_are_no_json_are_shown_as_they_are(
    home: Path, capsys: Capture, says: list[str]
) -> None:
    assert '  {"text":"aaa' in shown(home, capsys, says, shown='{"text":"aaa')


def test_arguments_of_very_many_levels_are_not_blown_up(home: Path, capsys: Capture, says: list[str]) -> None:
    deep = "[" * 900 + ",".join(["1"] * 1000) + "]" * 900
    lines = shown(home, capsys, says, shown=deep)
    assert sum(map(len, lines)) < 2 * len(deep)
    assert "".join(line[2:] for line in lines).count("1") >= 1000


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_no_text_in_an_argument_begins_a_line(home: Path, capsys: Capture, says: list[str], end: str) -> None:
    text = f"a{end}  force: no"
    lines = shown(home, capsys, says, shown=json.dumps({"text": text}))
    assert not [line for line in lines if line.strip().startswith("force")]


def test_a_line_that_is_too_long_for_the_terminal_is_folded_with_a_mark(
    home: Path, capsys: Capture, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = "a" + " " * 60 + '"force": false' + "\u5bbd" * 30
    lines = shown(home, capsys, says, shown=json.dumps({"text": text}, ensure_ascii=False))
    (first,) = [at for at, line in enumerate(lines) if '"text"' in line]
    folded = lines[first : lines.index("  }")]
    assert [line[:2] for line in folded] == ["  ", *["> "] * (len(folded) - 1)]
    assert json.dumps(text, ensure_ascii=False) in "".join(line[2:] for line in folded)
    assert all(len(line) + line.count("\u5bbd") <= 40 for line in lines)


def test_names_of_servers_cannot_steer_the_terminal(home: Path, capsys: Capture, says: list[str]) -> None:
    lines = shown(home, capsys, says, target="push\x1b[2J\u202e\u3164", shown="{}")
    assert lines[0] == r"tools/call s/push\x1b[2J\u202e\u3164"
    assert "\x1b[2J" not in "".join([*lines, *says])


def test_the_end_of_the_input_is_no_answer(
    home: Path, capsys: Capture, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(_prompt: str) -> str:
        raise EOFError

    ask(home)
    monkeypatch.setattr("builtins.input", ended)
    assert main(["approve", "t1"]) == 1
    assert known(home).state == "waiting"
    assert notices(home) == []
