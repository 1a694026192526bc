"""Passkeys on the page: an entry to write into the configuration, and approvals that a passkey signed."""

from __future__ import annotations

import html
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import structs

from mcpguard.adapters.store.sqlite import FILE
from mcpguard.core.policy.tickets import AnswerTerms
from tests.adapters.approvals.authenticator import Authenticator
from tests.console.desk import HERE, Browser

TERMS = AnswerTerms(via=("console",), passkey=True, approvers=(("group:operators",),))


@pytest.fixture
def device() -> Authenticator:
    return Authenticator(HERE)


def new(browser: Browser, **fields: str) -> dict[str, Any]:
    found: dict[str, Any] = browser.post(f"{browser.root}/passkeys/new", **fields).json()
    return found


def made(browser: Browser, device: Authenticator, person: str = "os-user:grace") -> Any:
    """What the page says to write into the configuration for a new passkey."""
    options = new(browser, person=person, groups="operators, night")["options"]
    answer = browser.post(f"{browser.root}/passkeys/made", made=device.create(options))
    assert answer.status_code == 200, answer.text
    entry = re.search(r'<pre class="code" id="entry"[^>]*>(.*?)</pre>', answer.text, re.DOTALL)
    assert entry
    return yaml.safe_load(html.unescape(entry[1]))


@pytest.fixture
def known(browser: Browser, device: Authenticator, tmp_path: Path) -> Browser:
    """A console whose configuration has the passkey of `device`."""
    entry = made(browser, device)
    (tmp_path / "two").mkdir()
    other = Browser(tmp_path / "two", yaml.safe_dump(entry))
    return other.login()


def test_a_new_passkey_is_an_entry_that_the_configuration_takes(known: Browser) -> None:
    (one,) = known.desk.config.approvals.passkeys
    assert (one.person, one.groups) == ("os-user:grace", ("operators", "night"))
    page = known.see("/passkeys")
    assert "os-user:grace" in page
    assert one.key not in page


def test_a_passkey_counts_as_soon_as_its_entry_is_in_the_file(
    browser: Browser, device: Authenticator, tmp_path: Path
) -> None:
    file = browser.desk.config.path
    assert "No passkey is configured" in browser.see("/passkeys")
    entry = yaml.safe_dump(made(browser, device))
    before = file.read_text()
    file.write_text(f"{before}{entry}: [")
    assert "No passkey is configured" in browser.see("/passkeys")
    file.write_text(before + entry)
    assert "os-user:grace" in browser.see("/passkeys")
    assert browser.desk.config.approvals.passkeys


def test_a_further_passkey_is_one_more_of_the_list(known: Browser) -> None:
    (one,) = made(known, Authenticator(), "os-user:ada")
    assert one["person"] == "os-user:ada"


def test_a_passkey_is_of_a_person_and_groups_that_can_be_written(browser: Browser) -> None:
    for person in ("", "grace", "group:operators", "a: b", 'a:"b"', "a:b]", "a:b\n  x: 1"):
        assert "SOURCE:ID" in new(browser, person=person)["problem"]
    for groups in ("a b", "[x]", "a,b: c", "é"):
        assert "A group may only have" in new(browser, person="a:b", groups=groups)["problem"]


def test_what_was_not_begun_here_makes_no_passkey(browser: Browser, device: Authenticator) -> None:
    place = f"{browser.root}/passkeys/made"
    options = new(browser, person="a:b")["options"]
    assert browser.post(place, made="{}").status_code == 409
    assert "Use the form on this page" in browser.post(place, made=device.create(options)).text


def test_a_call_is_approved_by_whose_passkey_signed_it(known: Browser, device: Authenticator) -> None:
    ticket = known.asks(terms=TERMS)
    place = f"{known.root}/tickets/{ticket.id}"
    assert "Approve with a passkey" in known.see(f"/tickets/{ticket.id}")
    asked = known.post(f"{place}/challenge", seen=ticket.question).json()
    answer = known.post(f"{place}/approve", assertion=device.get(asked["options"]), until=asked["until"])
    assert answer.status_code == 303, answer.text
    found = known.desk.store.known_ticket(ticket.id)
    assert found is not None
    assert found.answer is not None
    assert (found.answer.by, found.answer.groups) == ("os-user:grace", ("operators", "night"))
    (note,) = [one for one in details(known) if "assertion" in one]
    assert json.loads(note.partition("passkey: ")[2].partition("; its")[0])["type"] == "public-key"


def details(browser: Browser) -> list[str]:
    files = sorted((browser.folder / "audit").glob("*.jsonl"))
    found = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    return [one.get("detail", "") for one in found]


def test_without_the_signature_of_a_known_passkey_nothing_is_approved(
    known: Browser, device: Authenticator
) -> None:
    ticket = known.asks(terms=TERMS)
    place = f"{known.root}/tickets/{ticket.id}"
    asked = known.post(f"{place}/challenge", seen=ticket.question).json()["options"]
    stranger = Authenticator(HERE)
    refused = [
        known.post(f"{place}/approve"),
        known.post(f"{place}/approve", assertion="{}"),
        known.post(f"{place}/approve", assertion=stranger.get(asked)),
        known.post(f"{place}/approve", assertion=device.get({"challenge": "AAAA"})),
    ]
    assert [one.status_code for one in refused] == [409] * 4
    found = known.desk.store.known_ticket(ticket.id)
    assert found is not None
    assert found.state == "waiting"
    assert known.notices() == []


def test_a_passkey_is_asked_for_what_the_page_shows_and_not_for_what_took_its_place(
    known: Browser, device: Authenticator
) -> None:
    ticket = known.asks(terms=TERMS)
    place = f"{known.root}/tickets/{ticket.id}"
    page = known.see(f"/tickets/{ticket.id}")
    (seen,) = re.findall(r'name="seen" value="([0-9a-f]{64})"', page)
    other = structs.replace(ticket, args="other", shown='{"force":false}')
    with sqlite3.connect(known.folder / "sessions" / FILE) as database:
        database.execute("UPDATE tickets SET question = ?", (msgspec.json.encode(other),))
    for said in (seen, "", other.shown):
        answer = known.post(f"{place}/challenge", seen=said).json()
        assert answer == {"problem": "this is not what the page shows: open it again, and read what is asked"}
    assert seen not in known.see(f"/tickets/{ticket.id}")


def test_a_challenge_for_no_ticket_says_so(known: Browser) -> None:
    answer = known.post(f"{known.root}/tickets/gone/challenge").json()
    assert answer == {"problem": "there is no ticket 'gone', or it is over"}


def test_where_nobody_has_a_passkey_the_page_says_so(browser: Browser) -> None:
    ticket = browser.asks(terms=TERMS)
    page = browser.see(f"/tickets/{ticket.id}")
    assert "its rule asks for a passkey, and the configuration has none" in page
    assert "Approve with" not in page


def test_a_passkey_of_nobody_who_may_approve_is_said(known: Browser) -> None:
    ticket = known.asks(terms=AnswerTerms(via=("console",), passkey=True, approvers=(("group:others",),)))
    assert "os-user:grace is not among its approvers" in known.see(f"/tickets/{ticket.id}")
