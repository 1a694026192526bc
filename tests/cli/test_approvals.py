"""`mcpguard approvals`, `approve` and `deny`: a person at a terminal answers, and that leaves evidence."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.store.sqlite import SqliteStore
from mcpguard.cli import approvals, main
from mcpguard.core.policy.tickets import Ticket
from tests.adapters.store.test_store import TICKET, given_by
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
    assert (known(home).state, known(home).by.partition(":")[0]) == ("approved", "os-user")
    ((what, detail),) = notices(home)
    assert what == "approval-given"
    assert detail.startswith("ticket t1 of os-user:ada by os-user:")


def test_a_person_refuses_a_call_with_a_reason(home: Path, says: list[str]) -> None:
    ask(home)
    says.append("yes")
    assert main(["deny", "t1", "--reason", "Use staging."]) == 0
    assert (known(home).state, known(home).reason) == ("denied", "Use staging.")
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
    ask(home).answer("t1", "denied", "a", "")
    assert main(["approve", "t1"]) == 2
    assert known(home).state == "denied"


def test_of_two_who_answer_at_once_one_is_told(
    home: Path, capsys: Capture, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ask(home)
    monkeypatch.setattr("builtins.input", lambda _: "y" if found.answer("t1", "denied", "a", "") else "")
    assert main(["approve", "t1"]) == 2
    assert "was answered by somebody else" in capsys.readouterr().err
    assert known(home).state == "denied"


def test_arguments_that_are_too_long_are_shown_as_far_as_they_go(
    home: Path, capsys: Capture, says: list[str]
) -> None:
    now = time.time()
    given_by(store(home).ask(structs.replace(TICKET, created=now, expires=now + 60, shown='{"text":"aaa')))
    says.append("n")
    main(["approve", "t1"])
    said = capsys.readouterr().out
    assert '{"text":"aaa' in said
    assert "more than can be shown" in said
