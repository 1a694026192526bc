"""What a person does on the page leaves evidence first, and is done once."""

from __future__ import annotations

import sqlite3
import time

import pytest

from mcpguard.core.policy.tickets import TicketAnswer
from tests.console.desk import Browser
from tests.console.test_pages import used


def test_an_approval_is_stored_with_evidence(browser: Browser) -> None:
    browser.asks()
    answer = browser.post(f"{browser.root}/tickets/t1/approve")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{browser.root}/?said=approved")
    ticket = browser.desk.store.known_ticket("t1")
    assert ticket is not None
    assert ticket.answer is not None
    assert (ticket.state, ticket.answer.by, ticket.answer.via) == ("approved", browser.desk.person, "console")
    assert ticket.answer.lasts == "once"
    assert browser.notices() == ["approval-given"]
    assert "Approved: the call goes on." in browser.see("/?said=approved")


def test_a_refusal_keeps_the_reason_in_one_line(browser: Browser) -> None:
    browser.asks()
    assert browser.post(f"{browser.root}/tickets/t1/deny", reason=" Use\r\nstaging. ").status_code == 303
    ticket = browser.desk.store.known_ticket("t1")
    assert ticket is not None
    assert ticket.answer is not None
    assert (ticket.state, ticket.answer.reason) == ("denied", "Use staging.")
    assert browser.notices() == ["approval-refused"]


def test_who_comes_second_is_told_and_changes_nothing(browser: Browser) -> None:
    browser.asks()
    browser.post(f"{browser.root}/tickets/t1/deny", reason="")
    answer = browser.post(f"{browser.root}/tickets/t1/approve")
    assert answer.status_code == 409
    assert "no call waits by the ticket" in answer.text
    ticket = browser.desk.store.known_ticket("t1")
    assert ticket is not None
    assert ticket.state == "denied"
    assert browser.notices() == ["approval-refused"]


def test_what_has_expired_cannot_be_approved(browser: Browser) -> None:
    browser.asks(created=time.time() - 90, expires=time.time() - 1)
    assert browser.post(f"{browser.root}/tickets/t1/approve").status_code == 409
    assert browser.notices() == []


def test_nothing_is_answered_without_evidence(browser: Browser) -> None:
    browser.asks()
    (browser.folder / "audit").write_text("")
    answer = browser.post(f"{browser.root}/tickets/t1/approve")
    assert answer.status_code == 409
    assert "Nothing was answered" in answer.text
    ticket = browser.desk.store.known_ticket("t1")
    assert ticket is not None
    assert ticket.state == "waiting"


def test_an_answer_that_was_quicker_voids_this_one(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    browser.asks()
    store, real = browser.desk.store, browser.desk.store.answer

    def late(ticket_id: str, answer: TicketAnswer) -> bool:
        real(ticket_id, TicketAnswer("denied", "os-user:bob", "terminal"))
        return real(ticket_id, answer)

    monkeypatch.setattr(store, "answer", late)
    assert "answered by somebody else" in browser.post(f"{browser.root}/tickets/t1/approve").text
    assert sorted(browser.notices()) == ["approval-given", "approval-void"]


def test_a_label_is_cleared_and_a_session_ended(browser: Browser) -> None:
    name = used(browser)
    answer = browser.post(f"{browser.root}/sessions/{name}/clear", label="private")
    assert answer.headers["location"] == f"{browser.root}/sessions?said=cleared"
    (known,) = browser.desk.store.known()
    assert known.state is not None
    assert known.state.labels == []
    assert "The label is cleared." in browser.see("/sessions?said=cleared")
    browser.post(f"{browser.root}/sessions/{name}/end")
    (known,) = browser.desk.store.known()
    assert known.state is not None
    assert (known.state.calls, known.state.facts) == (0, [])
    assert sorted(browser.notices()) == ["label-cleared", "session-ended"]


@pytest.mark.parametrize(("path", "fields"), [("clear", {"label": "other"}), ("clear", {}), ("end", {})])
def test_what_is_not_there_is_not_changed(browser: Browser, path: str, fields: dict[str, str]) -> None:
    name = used(browser) if path == "clear" else "none"
    answer = browser.post(f"{browser.root}/sessions/{name}/{path}", **fields)
    assert answer.status_code == 409
    assert "Nothing was changed" in answer.text
    assert browser.notices() == []


def test_a_store_that_is_held_by_another_changes_nothing(browser: Browser) -> None:
    browser.asks()
    csrf = browser.csrf()
    (file,) = browser.folder.rglob("state.sqlite")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "database is locked" in browser.post(f"{browser.root}/tickets/t1/approve", csrf=csrf).text
    other.execute("ROLLBACK")
    other.close()
    assert sorted(browser.notices()) == ["approval-given", "approval-void"]


def test_only_our_own_words_can_be_said_by_an_address(browser: Browser) -> None:
    for path in ("/?said=<b>hacked</b>", "/sessions?said=hacked", "/?said="):
        assert "hacked" not in browser.see(path)
        assert 'class="said"' not in browser.see(path)
