"""What a person does on the page leaves evidence first, and is done once."""

from __future__ import annotations

import re
import sqlite3
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.console import actions
from mcpguard.console.views import servers
from mcpguard.core.errors import SessionError
from mcpguard.core.model import Listed
from mcpguard.core.policy.pins import Pin
from mcpguard.core.policy.session import name_of
from mcpguard.core.policy.tickets import TicketAnswer, arguments_digest
from mcpguard.protocol.jsonrpc import encode
from mcpguard.serve.interventions import give
from mcpguard.serve.settings import pinned_as
from tests.adapters.store.shared import given_by
from tests.console.desk import DECIDED, Browser
from tests.console.test_pages import ME, text_of, used


def test_an_approval_is_stored_with_evidence(browser: Browser) -> None:
    browser.asks()
    answer = browser.post(f"{browser.root}/tickets/t1/approve")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{browser.root}/tickets/t1?said=kept")
    ticket = browser.desk.store.known_ticket("t1")
    assert ticket is not None
    assert ticket.answer is not None
    assert (ticket.state, ticket.answer.by, ticket.answer.via) == ("approved", browser.desk.person, "console")
    assert ticket.answer.lasts == "once"
    assert browser.notices() == ["approval-given"]
    said = browser.see("/tickets/t1?said=kept")
    assert "no call is waiting for it now" in said
    assert "the same call goes through until" in said


def test_a_call_that_takes_its_approval_is_said_to_go_on(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.asks()
    store = browser.desk.store

    def given_and_used(*about: Any) -> None:
        give(*about)
        store.use("t1", time.time())

    monkeypatch.setattr(actions, "give", given_and_used)
    answer = browser.post(f"{browser.root}/tickets/t1/approve")
    assert answer.headers["location"] == f"{browser.root}/?said=approved"
    assert "Approved: the call continues." in browser.see("/?said=approved")


@pytest.mark.parametrize(
    ("lasts", "kind", "seconds"),
    [("10m", "time", 600), ("8h", "time", 28_800), ("session", "session", 86_400)],
)
def test_an_approval_counts_as_long_and_for_what_the_person_chose(
    browser: Browser, lasts: str, kind: str, seconds: int
) -> None:
    browser.asks({"force": True, "branch": "x"}, parts={"force": "1", "branch": "2"}, id="ab12")
    page = browser.see()
    assert page.count('name="free"') == 2
    answer = browser.post(f"{browser.root}/tickets/ab12/approve", lasts=lasts, free=["branch"])
    assert answer.status_code == 303
    assert "used 0 times so far" in browser.see("/tickets/ab12")
    (ticket,) = browser.desk.store.approved()
    assert ticket.answer is not None
    assert (ticket.answer.lasts, ticket.answer.free) == (kind, ("branch",))
    assert 0 <= time.time() + seconds - ticket.answer.until < 60
    said = browser.see("/sessions")
    assert "Approvals in force" in said
    answer = browser.post(f"{browser.root}/approvals/ab12/end")
    assert answer.headers["location"] == f"{browser.root}/sessions?said=withdrawn"
    assert browser.desk.store.approved() == []
    assert sorted(browser.notices()) == ["approval-ended", "approval-given"]
    assert "ended" in browser.see()
    assert 'effect-withheld">' in browser.see("/tickets/ab12")


@pytest.mark.parametrize("lasts", ["once", "1h"])
def test_an_approval_that_a_change_of_the_policies_has_ended_is_void(browser: Browser, lasts: str) -> None:
    browser.asks()
    browser.post(f"{browser.root}/tickets/t1/approve", lasts=lasts)
    assert "void" not in browser.see("/sessions")
    policy = browser.folder / "p.yaml"
    policy.write_text(policy.read_text().replace("message: ", "message: Now "))
    assert "void: the policies have changed" in browser.see("/sessions")
    assert "It is no longer valid: the policies have changed" in browser.see("/tickets/t1")


def test_what_was_asked_under_another_configuration_is_not_answered_here(browser: Browser) -> None:
    other = browser.folder / "other.yaml"
    browser.asks(config=str(other), policies="others")
    said = f"it was asked under another configuration; add `--config {other}`"
    page = browser.see()
    assert f"It cannot be answered here: {said}" in page
    assert ">void</span>" not in page
    assert "no longer valid" not in page
    for name in ("approve", "deny", "always"):
        assert f"tickets/t1/{name}" not in page
        answer = browser.post(f"{browser.root}/tickets/t1/{name}")
        assert (answer.status_code, said in answer.text) == (409, True)
    assert (browser.desk.store.approved(), browser.notices()) == ([], [])
    browser.desk.store.answer("t1", TicketAnswer("approved", "os-user:eve", "terminal"))
    page = browser.see("/sessions")
    assert f"asked under {other}" in page
    assert "approvals/t1/end" not in page
    assert browser.post(f"{browser.root}/approvals/t1/end").status_code == 409


def test_an_approval_for_a_server_that_has_changed_is_void(browser: Browser) -> None:
    browser.asks(config=str(browser.folder / "mcpguard.yaml"), reached="another")
    answer = browser.post(f"{browser.root}/tickets/t1/approve")
    said = browser.see(answer.headers["location"].removeprefix(browser.root))
    assert "Approved, but the server git has changed in the configuration since it was asked" in said
    assert "void: the server git has changed in the configuration" in browser.see("/sessions")


def test_an_approval_by_other_policies_is_said_to_count_for_nothing(browser: Browser) -> None:
    browser.asks()
    assert ">void</span>" not in browser.see()
    browser.asks(id="t2", policies="others", args="b")
    assert browser.see().count(">void</span>") == 1
    answer = browser.post(f"{browser.root}/tickets/t2/approve")
    assert answer.headers["location"] == f"{browser.root}/tickets/t2?said=void"
    said = browser.see("/tickets/t2?said=void")
    assert "an approval would have no effect: the call has to be made again." in said
    assert "goes through" not in said


def test_only_arguments_of_the_call_can_be_left_open(browser: Browser) -> None:
    browser.asks(parts={"force": "1"})
    answer = browser.post(f"{browser.root}/tickets/t1/approve", lasts="session", free=["other"])
    assert answer.status_code == 409
    assert "no argument" in answer.text
    assert browser.notices() == []


def test_an_approval_for_one_call_leaves_nothing_open(browser: Browser) -> None:
    browser.asks(parts={"force": "1"})
    browser.post(f"{browser.root}/tickets/t1/approve", lasts="once", free=["force"])
    (ticket,) = browser.desk.store.approved()
    assert ticket.answer is not None
    assert (ticket.answer.lasts, ticket.answer.free) == ("once", ())


def test_an_approval_that_is_not_there_cannot_be_ended(browser: Browser) -> None:
    answer = browser.post(f"{browser.root}/approvals/none/end")
    assert answer.status_code == 409
    assert browser.notices() == []


def for_good(folder: Path) -> Browser:
    """A browser of a person who has a policy file of their own, and a call that waits."""
    browser = Browser(folder, "approvals: {policy: mine.yaml}\n")
    browser.desk.rulebook.refresh()
    args = {"force": True, "branch": "x"}
    about = {"session": name_of(ME, "desk"), "policies": browser.desk.rulebook.digest}
    browser.login().asks(args, parts=parts_of(args), **about)
    return browser


def parts_of(args: dict[str, Any]) -> dict[str, str]:
    return {name: arguments_digest(value) for name, value in args.items()}


def test_what_is_approved_for_good_is_shown_first_and_written_as_shown(tmp_path: Path) -> None:
    browser = for_good(tmp_path)
    shown = browser.post(f"{browser.root}/tickets/t1/approve", lasts="always", free=["branch"])
    assert shown.status_code == 200, shown.text
    assert "any value of" in shown.text
    assert browser.desk.rulebook.problem == ""
    assert "approves:" in shown.text
    assert not (tmp_path / "mine.yaml").exists()
    assert browser.notices() == []
    seen = re.search(r'name="seen" value="([0-9a-f]{64})"', shown.text)
    assert seen
    other = browser.post(f"{browser.root}/tickets/t1/always", seen=seen[1])
    assert other.status_code == 200  # Other arguments are open than were shown: it is shown again.
    assert not (tmp_path / "mine.yaml").exists()
    done = browser.post(f"{browser.root}/tickets/t1/always", seen=seen[1], free=["branch"])
    assert done.headers["location"] == f"{browser.root}/?said=written"
    assert "approves: [p/push]" in (tmp_path / "mine.yaml").read_text()
    assert "The rule is written" in browser.see("/?said=written")
    # The rule changes the policies: nothing is left of the approval, which would count for nothing.
    assert sorted(browser.notices()) == ["approval-ended", "approval-given", "approval-standing"]
    assert browser.desk.store.approved() == []
    browser.desk.store.close()


def test_what_a_rule_would_change_of_the_calls_on_record_is_shown_before_it_is_written(
    tmp_path: Path,
) -> None:
    browser = for_good(tmp_path)
    assert "Its effect is unknown: no audit log" in shown_for_good(browser)
    args = {"force": True, "branch": "x"}
    asked = structs.replace(DECIDED, tool="push", effect="ask", cause="approval", rules=("p/push",))
    digest = sha256(encode(args)).hexdigest()
    browser.records(
        DECIDED, *(structs.replace(asked, id=f"c-{n}", args=digest, arguments=args) for n in (2, 3))
    )
    page = shown_for_good(browser)
    assert "It would change 2 of the last 3 decisions on record: 2 loosened, 0 tightened." in page
    assert "<code>ask p/push</code> would be <code>allow mine/" in page
    assert f'href="{browser.root}/calls/c-3"' in page
    browser.desk.store.close()


def test_what_changed_since_the_calls_were_recorded_is_not_said_to_be_changed_by_the_rule(
    tmp_path: Path,
) -> None:
    browser = for_good(tmp_path)
    args = {"force": True, "branch": "x"}
    asked = structs.replace(DECIDED, tool="push", effect="ask", cause="approval", rules=("p/push",))
    browser.records(
        structs.replace(DECIDED, tool="gone", rules=("p/gone",)),
        structs.replace(DECIDED, id="c-2", server="other", rules=("o/all",)),
        structs.replace(asked, id="c-3", args=sha256(encode(args)).hexdigest(), arguments=args),
    )
    page = shown_for_good(browser)
    assert "It would change 1 of the last 3 decisions on record: 1 loosened, 0 tightened." in page
    assert "tightened</b>" not in page
    browser.desk.store.close()


def shown_for_good(browser: Browser) -> str:
    return browser.post(f"{browser.root}/tickets/t1/approve", lasts="always").text


def test_without_a_file_of_ones_own_nothing_is_approved_for_good(browser: Browser) -> None:
    browser.asks(parts={"force": "1"})
    answer = browser.post(f"{browser.root}/tickets/t1/approve", lasts="always")
    assert answer.status_code == 409
    assert "There is no policy file of your own" in answer.text
    assert browser.notices() == []


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
    assert "The ticket t1 was denied by os-user:" in answer.text
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
    said = browser.post(f"{browser.root}/tickets/t1/approve").text
    assert "The ticket t1 was denied by os-user:bob (terminal)" in said
    assert "mcpguard approvals" not in said
    assert sorted(browser.notices()) == ["approval-given", "approval-void"]
    answered = text_of(browser.see())
    struck = re.search(r"<s>.*?approved.*?</s>", browser.see(), re.DOTALL)
    assert struck
    assert "it is not valid, since the ticket t1 was denied by os-user:bob (terminal)" in answered
    assert "void" not in answered.partition("Answered")[2]


def test_a_label_is_cleared_and_a_session_ended(browser: Browser) -> None:
    name = used(browser)
    answer = browser.post(f"{browser.root}/sessions/{name}/clear", label="private")
    assert answer.headers["location"] == f"{browser.root}/sessions?said=cleared"
    (known,) = browser.desk.store.known()
    assert known.state is not None
    assert known.state.labels == []
    assert "The label was cleared." in browser.see("/sessions?said=cleared")
    browser.post(f"{browser.root}/sessions/{name}/clear", limit="p/read")
    assert "The limit was reset to zero." in browser.see("/sessions?said=freed")
    (known,) = browser.desk.store.known()
    assert known.state is not None
    assert known.state.spent == {}
    browser.post(f"{browser.root}/sessions/{name}/end")
    (known,) = browser.desk.store.known()
    assert known.state is not None
    assert (known.state.calls, known.state.facts) == (0, [])
    assert sorted(browser.notices()) == ["label-cleared", "limit-cleared", "session-ended"]


@pytest.mark.parametrize(
    ("path", "fields"),
    [("clear", {"label": "other"}), ("clear", {"limit": "p/other"}), ("clear", {}), ("end", {})],
)
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
    assert (
        "is locked by another program" in browser.post(f"{browser.root}/tickets/t1/approve", csrf=csrf).text
    )
    other.execute("ROLLBACK")
    other.close()
    assert sorted(browser.notices()) == ["approval-given", "approval-void"]


def test_only_our_own_words_can_be_said_by_an_address(browser: Browser) -> None:
    for path in ("/?said=<b>hacked</b>", "/sessions?said=hacked", "/?said="):
        assert "hacked" not in browser.see(path)
        assert 'class="said"' not in browser.see(path)


def digest(said: str) -> str:
    return sha256(said.encode()).hexdigest()


def held(browser: Browser, text: str = "Sends.", name: str = "status") -> None:
    """The server `git` lists a tool with another definition than before."""
    place = pinned_as(browser.desk.config.served["git"])
    for said in ("Reads.", text):
        listed = Listed("git", name, name, {"name": name, "description": said}, {}, digest(said))
        given_by(browser.desk.store.pin(place, [listed], "changed"))


def test_a_definition_that_is_held_is_shown_with_what_is_different_and_accepted(browser: Browser) -> None:
    held(browser, "Sends\u202e <b>it</b>.")
    shown = browser.see("/servers")
    assert "Held back" in shown
    assert "Reads." in shown
    assert "<b>it</b>" not in shown
    assert "\u202e" not in shown
    fields = {"kind": "tool", "name": "status", "digest": digest("Sends\u202e <b>it</b>.")}
    answer = browser.post(f"{browser.root}/servers/git/accept", **fields)
    assert answer.headers["location"] == f"{browser.root}/servers?said=accepted"
    assert "The definition is accepted." in browser.see("/servers?said=accepted")
    assert "Held back" not in browser.see("/servers")
    assert browser.notices() == ["pin-accepted"]
    (one,) = [one for one in browser.desk.store.pins() if one.by]
    assert one.by == f"{browser.desk.person} (console)"


def test_of_many_definitions_that_are_held_the_page_shows_some_and_says_how_to_see_the_others(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "MOST_HELD", 2)
    for name in ("a", "b", "c"):
        held(browser, name=name)
    shown = browser.see("/servers")
    assert shown.count("Accept the definition") == 2
    assert "1 more: <code>mcpguard pins" in shown


def test_only_the_definition_that_was_shown_is_accepted(browser: Browser) -> None:
    held(browser)
    for server, said in (("git", "another"), ("git", "Reads."), ("far", "Sends.")):
        fields = {"kind": "tool", "name": "status", "digest": digest(said)}
        answer = browser.post(f"{browser.root}/servers/{server}/accept", **fields)
        assert answer.status_code == 409
        assert "is not held back any more" in answer.text, text_of(answer.text)
    assert browser.notices() == []
    assert "Held back" in browser.see("/servers")


def test_where_the_store_cannot_be_read_the_servers_are_shown_without_what_is_held(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> list[Pin]:
        raise SessionError("no disk")

    monkeypatch.setattr(browser.desk.store, "pins", failing)
    shown = browser.see("/servers")
    assert "what is held back is unknown: no disk" in shown
    assert "git-server" in shown
