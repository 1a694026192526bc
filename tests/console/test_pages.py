"""What the pages say, and that nothing that others wrote does anything in them."""

from __future__ import annotations

import html
import os
import re
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from mcpguard.adapters.audit import retention
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.adapters.store.sqlite import FILE
from mcpguard.adapters.system.own_process import operating_system_user
from mcpguard.adapters.telemetry import status_file
from mcpguard.console import evidence
from mcpguard.core.evidence.records import Closed, Noticed, ObservedRefusal, Outcome, Steps
from mcpguard.core.model import Charge, Invocation, Listed, Principal
from mcpguard.core.policy import pdp
from mcpguard.core.policy.session import Session, name_of
from mcpguard.core.policy.tickets import AnswerTerms, TicketAnswer
from mcpguard.gateway.ports import Health
from tests.console.desk import DECIDED, NOW, OPENED, Browser

HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": "\" autofocus onfocus=alert(1) x='",
    "bidi": "safe\u202eexe.txt\u2066",
    "ansi": "\x1b]0;title\x07\x1b[2J",
    "template": "{{ 7*7 }}{% raw %}${7*7}",
    "entity": "&lt;script&gt;&#x202e;",
    "url": "javascript:alert(1)",
    "huge": "a" * 30_000,
    "lines": "\u2028\u2029\x85\r\n" * 20,
}
ME = Principal("ada", "os-user")


def text_of(page: str) -> str:
    """What stands on the page."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", page)).split())


def used(browser: Browser, label: str = "private", tool: str = "status", agent: str | None = "desk") -> str:
    """A call that the session counts; the name of the session."""
    call = Invocation(
        "c-7", "tools/call", ME, datetime.now(UTC), agent, "git", Listed("git", tool, tool, {}, {}, "d" * 64)
    )
    permit = structs.replace(pdp.permit_protocol(call), rules=("p/read",), labels=(label,), facts=("ok",))

    def change(session: Session) -> None:
        session.admit(permit)
        session.charge(Charge("p/read calls 1h", "calls", 3, 9, 3600, "1h"), call.now)

    browser.desk.store.change(call, change)
    return name_of(ME, agent)


# --- waiting ---------------------------------------------------------------------------------------


def test_a_call_is_shown_with_why_it_is_asked(browser: Browser) -> None:
    browser.asks({"force": True, "branch": "main"})
    said = text_of(browser.see())
    for part in (
        "git/push",
        "os-user:ada",
        "desk",
        "Others see it.",
        "p/push",
        "p.yaml:6",
        "args.force == true",
    ):
        assert part in said
    assert "1 call waits" in said
    assert "branch" in said
    assert "Approve a" in said


def test_the_oldest_comes_first_and_each_has_an_address(browser: Browser) -> None:
    now = time.time()
    browser.asks(created=now - 5, expires=now + 50)
    browser.asks({"n": 2}, id="t2", args="b", target="tag", created=now - 1, expires=now + 50)
    assert (
        '<h1 id="what"><bdi><span class="server">git</span><span class="slash">/</span>push' in browser.see()
    )
    assert '<span class="slash">/</span>tag</bdi></h1>' in browser.see("/tickets/t2")
    assert "2 calls wait" in text_of(browser.see())


def test_calls_that_wait_stand_above_tickets_that_nobody_waits_for(browser: Browser) -> None:
    now = time.time()
    browser.asks(created=now - 50, expires=now + 50)
    browser.leave()
    browser.asks({"n": 2}, id="t2", args="b", target="tag", created=now - 1, expires=now + 50)
    said = browser.see()
    assert '<span class="slash">/</span>tag</bdi></h1>' in said
    queue = text_of(said).partition("1 call waits")[2]
    assert queue.index("git/tag") < queue.index("Unanswered, no longer waiting") < queue.index("git/push")
    assert "no call waits" not in text_of(said).lower()
    assert browser.desk.watch.waiting == 1
    browser.leave()
    left = text_of(browser.see("/tickets/t1"))
    assert "No call waits for it any more; an approval is valid for the same call made again until 2" in left
    assert "No call waits Unanswered, no longer waiting" in " ".join(left.split())


def test_a_ticket_says_what_became_of_it(browser: Browser) -> None:
    browser.asks()
    browser.asks(id="t2", args="b", created=time.time() - 99, expires=time.time() - 1)
    answer = TicketAnswer("denied", "os-user:bob", "terminal", reason="Not <b>now</b>.")
    assert browser.desk.store.answer("t1", answer)
    said = browser.see("/tickets/t1")
    assert "by os-user:bob (terminal): “Not <b>now</b>.”" in text_of(said)
    assert "<b>now" not in said
    assert "Nobody answered in time" in browser.see("/tickets/t2")
    for page in (said, browser.see("/tickets/t2")):
        assert 'id="approve"' not in page


def test_a_ticket_that_is_gone_says_so(browser: Browser) -> None:
    for path in ("/tickets/none", "/tickets/none/arguments.txt", "/tickets/<script>"):
        answer = browser.get(browser.root + path)
        assert answer.status_code == 404
        assert "no longer exists" in answer.text
        assert "<script>" not in answer.text.replace('<script src="/static', "")


def test_a_ticket_that_cannot_be_read_is_removed_and_hides_no_other(browser: Browser) -> None:
    browser.asks()
    browser.asks(id="bad", args="b")
    before = browser.desk.watch._waiting()
    browser.desk.store._open().execute("UPDATE tickets SET question = '{' WHERE id = 'bad'")
    assert browser.desk.watch._waiting() != before
    for path in ("/", "/tickets/bad", "/tickets/t1"):
        page = browser.see(path)
        assert "Others see it." in page
        assert "These tickets cannot be read" in page
        assert f'action="{browser.root}/approvals/bad/end"' in page
    answer = browser.get(f"{browser.root}/tickets/bad/arguments.txt")
    assert (answer.status_code, "cannot be read" in answer.text) == (503, True)
    assert browser.post(f"{browser.root}/approvals/bad/end", csrf="").status_code == 303
    assert browser.notices() == ["refusal-ended"]
    assert "These tickets cannot be read" not in browser.see()


def test_what_cannot_be_approved_here_says_why(browser: Browser) -> None:
    browser.asks(terms=AnswerTerms(via=("terminal",)))
    said = browser.see()
    assert "its rule allows an answer at a terminal, not on the console" in said
    assert 'id="approve"' not in said


def test_what_needs_a_passkey_cannot_be_approved_by_a_click(browser: Browser) -> None:
    browser.asks(terms=AnswerTerms(via=("console",), passkey=True))
    assert 'id="approve-button"' not in browser.see()
    answer = browser.post(f"{browser.root}/tickets/t1/approve")
    assert answer.status_code == 409
    assert "passkey" in answer.text


def test_the_whole_arguments_are_plain_text(browser: Browser) -> None:
    browser.asks({"text": HOSTILE["html"] + HOSTILE["bidi"]})
    answer = browser.get(f"{browser.root}/tickets/t1/arguments.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "\\u202e" in answer.text


def test_what_the_session_did_before_stands_with_the_call(browser: Browser) -> None:
    name = used(browser)
    earlier = structs.replace(DECIDED, at=NOW - timedelta(seconds=5), id="c-0", tool="commit")
    browser.records(earlier, structs.replace(earlier, id="c-x", agent="other", tool="foreign"))
    browser.see("/decisions")
    browser.asks(session=name)
    said = text_of(browser.see())
    assert "private since git/status" in said
    assert "git/commit" in said
    assert "foreign" not in said


def test_policies_that_have_changed_are_pointed_out(browser: Browser) -> None:
    browser.desk.rulebook.refresh()
    browser.asks(policies=browser.desk.rulebook.digest)
    assert "have no effect" not in browser.see()
    (browser.folder / "p.yaml").write_text("version: 1\npolicy: p\nrules:\n  - {id: other, effect: allow}\n")
    said = browser.see()
    assert "An approval would have no effect, since the policies have changed" in said
    assert "not in the policies any more" in said


def test_policies_that_are_broken_do_not_break_the_page(browser: Browser) -> None:
    browser.asks()
    (browser.folder / "p.yaml").write_text("no")
    assert "not in the policies any more" in browser.see()
    assert "The policies cannot be read" in browser.see("/servers")


def test_a_store_that_cannot_be_read_is_told(browser: Browser) -> None:
    browser.see()
    browser.desk.store.close()
    path = browser.folder / "sessions" / FILE
    for file in path.parent.iterdir():
        if file.is_file():
            file.unlink()
    path.write_bytes(b"not a database" * 100)
    for view in ("/", "/sessions", "/tickets/t1"):
        assert "The store cannot be read" in browser.see(view)
    assert browser.get(f"{browser.root}/decisions").status_code == 200


def test_answers_and_the_last_decisions_are_there_when_nothing_waits(browser: Browser) -> None:
    said = "ticket ab12 for the call c-1 of os-user:ada: tools/call push, sha256 of the arguments 00"
    browser.records(
        DECIDED,
        Noticed(NOW, "approval-asked", "git", said),
        Noticed(NOW, "approval-given", "", "ticket ab12 of os-user:ada by os-user:bob (console)"),
        Noticed(NOW, "approval-refused", "", "another sentence <b>"),
        Noticed(NOW, "approval-void", "", "ticket ab13 by os-user:bob: too late"),
    )
    browser.see("/decisions")
    page = browser.see()
    said = text_of(page)
    assert "No calls are waiting" in said
    assert "git/push os-user:bob (console)" in said
    assert "another sentence &lt;b&gt;" in page
    assert "void" in said
    assert "Latest decisions" in said


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_in_a_ticket_becomes_anything_but_text(browser: Browser, kind: str) -> None:
    text = HOSTILE[kind]
    shown = {text: text, "nested": {text: [text, {text: text}]}, "command": text, "sql": f"select '{text}'"}
    browser.asks(
        shown, target=text[:200], principal=text[:200], agent=text[:200], message=text, rules=(text[:90],)
    )
    page = browser.see()
    harmless(page)
    assert len(page) < 600_000


def test_a_hundred_calls_with_long_names_leave_a_page_that_can_be_read(browser: Browser) -> None:
    name = "\u202ea" * 2_000
    for number in range(100):
        browser.asks({"uri": name}, id=f"t{number}", args=str(number), method="resources/read", target=name)
    page = browser.see()
    assert len(page) < 2_000_000
    assert text_of(page).count("… 3,744 more characters") == 100


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_in_the_evidence_becomes_anything_but_text(browser: Browser, kind: str) -> None:
    text = HOSTILE[kind][:256]
    one = structs.replace(
        *(DECIDED,), principal=text, agent=text, method=text, server=text, tool=text, rules=(text,), cause=text,
        credentials=(text,), credential=text, labels=(text,), facts=(text,), session_labels=(text,), shadow=text,
        session_facts=(text,), approval=text,
    )  # fmt: skip
    browser.records(
        one,
        Outcome(
            NOW, "c-1", text, 1.0, result=text, findings={text: 2}, rules=(text,), labels=(text,), shadow=text
        ),
        Noticed(NOW, "approval-asked", text, text),
        Noticed(NOW, "approval-given", text, f"ticket ab of x by {text}"),
    )
    for path in ("/decisions", "/", "/calls/c-1", "/servers", "/decisions?q=" + "%22%3E%3Cscript%3E"):
        harmless(browser.see(path))


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_in_a_session_becomes_anything_but_text(browser: Browser, kind: str) -> None:
    used(browser, HOSTILE[kind][:200], HOSTILE[kind][:200], HOSTILE[kind][:200])
    harmless(browser.see("/sessions"))


def harmless(page: str) -> None:
    """Only our own elements with our own attributes, no character that hides or reorders, no other address."""
    assert page.count("<script") == page.count('<script src="/static/') == 2
    assert not re.search(r"<(?:img|iframe|object|embed|base|link(?! rel=\"(?:stylesheet|icon)\"))", page)
    tags = re.findall(r"<[a-z][^<>]*>", page)
    assert not [
        tag
        for tag in tags
        if re.search(r"\s(?:on\w+|style|srcdoc|formaction)=", re.sub(r'"[^"]*"', '""', tag))
    ]
    assert not [tag for tag in tags if re.search(r'(?:href|action|src)="(?!/)(?!#)', tag)]
    assert not re.search(
        "[\u202a-\u202e\u2066-\u2069\x1b\x07\u2028\u2029\x85]", re.sub(r'="[^"]*"', "", page)
    )


# --- decisions -------------------------------------------------------------------------------------


def test_decisions_come_newest_first_with_effect_and_outcome(browser: Browser) -> None:
    browser.records(
        DECIDED,
        Outcome(NOW, "c-1", "ok", 12.4, findings={"email $.x": 2}),
        structs.replace(DECIDED, id="c-2", effect="deny", cause="no-rule", rules=(), tool="send"),
        structs.replace(DECIDED, id="c-3", effect="ask", cause="approval", tool="push"),
        structs.replace(DECIDED, id="c-4", approval="ab by os-user:bob (console)", tool="push"),
        structs.replace(DECIDED, id="c-5"),
        Outcome(NOW, "c-5", "withheld", 1.0),
    )
    page = browser.see("/decisions")
    words = re.findall(r'<span class="effect effect-(\w+)">', page)
    assert words == ["withheld", "approved", "asked", "denied", "allowed"]
    said = text_of(page)
    assert "12 ms 2 redacted" in said
    assert "under way" in said
    assert "no-rule" in said


def test_pages_say_since_when_they_know_calls_and_where_the_older_ones_are(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.records(DECIDED)
    assert "Older ones are in the evidence" not in browser.see("/decisions")
    monkeypatch.setattr(evidence, "MOST_CALLS", 2)
    browser.records(*(structs.replace(DECIDED, id=f"d-{n}") for n in range(3)))
    for query in ("", "?q=c-1"):
        said = text_of(browser.see(f"/decisions{query}"))
        assert re.search(
            r"This page shows the newest 2 calls, since \S.*\. Older ones are in the evidence: "
            r"mcpguard audit query",
            said,
        ), said
    assert "Nothing matches the filter" in browser.see("/decisions?q=c-1")
    assert "Calls are counted since" in text_of(browser.see("/servers"))


def test_a_call_that_a_person_refused_is_denied_and_no_longer_asked(
    browser: Browser,
) -> None:
    asked = structs.replace(DECIDED, effect="ask", cause="approval", ticket="ab12")
    browser.records(asked, structs.replace(asked, effect="deny"), structs.replace(asked, id="c-2"))
    for effect, shown, hidden in (("denied", "c-1", "c-2"), ("asked", "c-2", "c-1")):
        page = browser.see(f"/decisions?effect={effect}")
        assert f'data-key="c-{shown}"' in page
        assert f'data-key="c-{hidden}"' not in page
    assert '<p class="verdict"><span class="effect effect-denied">' in browser.see("/calls/c-1")


def test_a_call_is_unanswered_until_a_person_has_answered_before_its_end(browser: Browser) -> None:
    def noticed(what: str, ticket: str, seconds: int) -> Noticed:
        said = f"ticket {ticket} of git: push by os-user:ada (console)"
        return Noticed(NOW + timedelta(seconds=seconds), what, "git", said, ticket=ticket)

    asked = structs.replace(DECIDED, effect="deny", cause="approval", at=NOW + timedelta(seconds=10))
    tickets = {"a1": None, "a2": ("refused", 5), "a3": ("given", 5), "a4": ("refused", 50), "a5": None}
    for ticket, answer in tickets.items():
        # What is not known to have been asked may have been answered in what is not kept either.
        if ticket != "a5":
            browser.records(noticed("approval-asked", ticket, 1))
        browser.records(structs.replace(asked, id=ticket, ticket=ticket))
        if answer is not None:
            browser.records(noticed(f"approval-{answer[0]}", ticket, answer[1]))
    for effect, found in (("unanswered", ["a4", "a1"]), ("denied", ["a5", "a3", "a2"])):
        page = browser.see(f"/decisions?effect={effect}")
        assert sorted(re.findall(r'<tr data-key="c-([^"]+)"', page)) == sorted(found)
    assert "Denied, since nobody answered" in browser.see("/calls/a1")


def test_lists_are_shown_only_when_asked_for(browser: Browser) -> None:
    lists = structs.replace(DECIDED, method="tools/list", tool="", id="c-2")
    browser.records(DECIDED, lists, structs.replace(lists, id="c-3", effect="deny"))
    for query, found in (("", ["c-3", "c-1"]), ("?lists=1", ["c-3", "c-2", "c-1"])):
        page = browser.see(f"/decisions{query}")
        assert re.findall(r'<tr data-key="c-([^"]+)"', page) == found
    assert "/calls/c-2" not in browser.see("/")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=send", ["c-2"]),
        ("q=PUSH+git", ["c-3"]),
        ("q=email", ["c-1"]),
        ("effect=denied", ["c-2"]),
        ("effect=nonsense", ["c-3", "c-2", "c-1"]),
        ("server=far", ["c-3"]),
        ("principal=os-user%3Abob", ["c-2"]),
        ("since=15m", ["c-3", "c-2"]),
        ("since=never", ["c-3", "c-2", "c-1"]),
        ("q=send&effect=allowed", []),
        ("most=1", ["c-3"]),
        ("most=99999999", ["c-3", "c-2", "c-1"]),
    ],
)
def test_decisions_are_filtered(browser: Browser, query: str, found: list[str]) -> None:
    now = datetime.now(UTC)  # The suite may have been read long ago.
    bob = {"effect": "deny", "cause": "rule", "tool": "send", "principal": "os-user:bob"}
    browser.records(
        structs.replace(DECIDED, at=now - timedelta(hours=2)),
        Outcome(now, "c-1", "ok", 1.0, findings={"email $.x": 2}),
        structs.replace(DECIDED, at=now, id="c-2", **bob),
        structs.replace(DECIDED, at=now, id="c-3", server="far", tool="git-push"),
    )
    page = browser.see(f"/decisions?{query}")
    assert re.findall(r'<tr data-key="c-([^"]+)"', page) == found
    if query == "most=1":
        assert "Show more" in page
    if not found:
        assert "Nothing matches the filter" in page


def test_decisions_say_who_acts_for_a_principal_and_are_filtered_by_it(browser: Browser) -> None:
    browser.records(
        structs.replace(DECIDED, actor="bot9", human=DECIDED.principal, agent="desk"),
        structs.replace(DECIDED, id="c-2", actor="bot<7>", human=DECIDED.principal, agent=None),
        structs.replace(DECIDED, id="c-3"),
    )
    said = text_of(browser.see("/decisions"))
    assert f"{DECIDED.principal} desk as bot9" in said
    assert f"{DECIDED.principal} bot<7>" in said
    for query in ("actor=bot9", "q=BOT9"):
        page = browser.see(f"/decisions?{query}")
        assert re.findall(r'<tr data-key="c-([^"]+)"', page) == ["c-1"], query
    assert '<option value="bot&lt;7&gt;">' in page
    assert 'data-live="/' in page
    assert "actor=bot9" in browser.see("/decisions?actor=bot9&most=1").split("data-subjects")[0]


def test_without_a_decision_in_which_one_acts_for_another_there_is_no_filter_for_it(
    browser: Browser,
) -> None:
    browser.records(DECIDED)
    assert 'name="actor"' not in browser.see("/decisions")


WOULD = ObservedRefusal("rule", ("p/leak",), "Nothing leaves.")


def test_what_was_only_observed_is_shown_with_what_would_have_been(browser: Browser) -> None:
    browser.records(
        structs.replace(DECIDED, rules=(), observed=WOULD),
        Outcome(NOW, "c-1", "ok", 12.4),
        structs.replace(DECIDED, id="c-2", rules=(), observed=ObservedRefusal("no-rule")),
        structs.replace(DECIDED, id="c-3"),
        Outcome(NOW, "c-3", "ok", 1.0, observed=ObservedRefusal("limit", ("p/read",))),
    )
    page = browser.see("/decisions?effect=observed")
    assert re.findall(r'<span class="effect effect-(\w+)">', page) == ["observed"] * 3
    said = text_of(page)
    assert "would be refused p/leak" in said
    assert "would be refused no-rule" in said
    assert re.findall(r'<tr data-key="c-([^"]+)"', browser.see("/decisions?q=leak")) == ["c-1"]
    story = text_of(browser.see("/calls/c-1"))
    assert "Allowed, since the server is only observed" in story
    assert "rule p/leak Nothing leaves." in story
    assert "limit p/read" in text_of(browser.see("/calls/c-3"))


@pytest.mark.parametrize(("days", "said"), [(1, True), (-1, False), (60, False)])
def test_every_page_says_that_servers_are_only_observed(tmp_path: Path, days: int, said: bool) -> None:
    until = (NOW + timedelta(days=days)).date().isoformat()
    browser = Browser(tmp_path, f"observe: {{until: {until}, servers: [git]}}\n").login()
    for path in ("/", "/decisions", "/sessions", "/servers"):
        found = f"Observing git until the end of {until} (UTC): policies are recorded" in browser.see(path)
        assert found == said


def test_records_that_cannot_be_read_are_told(browser: Browser) -> None:
    browser.records(DECIDED)
    (browser.folder / "audit" / "0.jsonl").write_bytes(b"no\nno\n")
    assert "2 records of the evidence cannot be read" in browser.see("/decisions")


def test_a_part_of_a_page_is_only_what_lives(browser: Browser) -> None:
    browser.asks()
    for path in ("/", "/decisions", "/sessions", "/servers", "/tickets/t1"):
        part = browser.see(path + "?part=live")
        assert "<html" not in part
        assert part.strip() in browser.see(path) or path in ("/", "/tickets/t1", "/servers")


# --- sessions --------------------------------------------------------------------------------------


def test_a_session_says_what_it_holds_and_why(browser: Browser) -> None:
    used(browser)
    said = text_of(browser.see("/sessions"))
    for part in (
        "os-user:ada with desk",
        "private",
        "by git/status",
        "p/read",
        "3 of 9 calls in 1h",
        "ok",
        "1git/status",
    ):
        assert part in said
    assert "Rules that read labels: p/leak" in said


def test_without_a_session_the_page_says_what_one_is(browser: Browser) -> None:
    assert "No session has done anything yet" in browser.see("/sessions")


def test_a_session_that_cannot_be_read_can_be_ended(browser: Browser) -> None:
    used(browser)
    browser.desk.store._open().execute("UPDATE sessions SET state = 'no'")
    page = browser.see("/sessions")
    assert "It cannot be read" in page
    assert "End the session" in page


def test_a_limit_of_a_rule_that_is_gone_has_no_most(browser: Browser) -> None:
    used(browser)
    (browser.folder / "p.yaml").write_text("version: 1\npolicy: p\nrules:\n  - {id: other, effect: allow}\n")
    assert "3 calls in 1h" in text_of(browser.see("/sessions"))


# --- servers ---------------------------------------------------------------------------------------


def test_servers_say_what_can_be_reached_and_what_is_unknown(browser: Browser) -> None:
    browser.records(DECIDED, structs.replace(DECIDED, id="c-2", effect="deny", cause="no-rule", tool="send"))
    said = text_of(browser.see("/servers"))
    assert "git git-server not running" in said
    assert "far far.example" in said
    assert "Its tools are unknown until it has been used" in said
    assert "at most 9 calls in 1h (p/read)" in said
    assert "cannot send 1 denied" in said


def test_servers_say_which_clients_see_them(tmp_path: Path) -> None:
    clients = "clients: {desk: {servers: [git]}, phone: {projects: {'/home/<b>': [git]}}}\n"
    said = text_of(Browser(tmp_path, clients).login().see("/servers"))
    assert "seen by desk, phone in /home/<b>" in said
    assert "no client sees it" in said


def test_servers_that_run_say_how_they_are(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "status"
    folder.mkdir()
    monkeypatch.setattr(status_file, "default_folder", lambda: folder)
    health = Health("git", "failing", time.time(), "legacy", "2025-11-25", 2, 0, "it <b>ended</b>")
    mine = status_file.Status(
        os.getpid(),
        1.0,
        status_file.birth_of(os.getpid()),
        str(browser.folder / "mcpguard.yaml"),
        "stdio",
        (health,),
    )
    (folder / f"{os.getpid()}.json").write_bytes(msgspec.json.encode(mine))
    page = browser.see("/servers")
    assert "failing" in page
    assert "2 restarts" in page
    assert "it &lt;b&gt;ended&lt;/b&gt;" in page
    assert "1 process of mcpguard serves this configuration" in text_of(page)


def test_processes_of_a_server_that_are_alike_are_one_line(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "status"
    folder.mkdir()
    monkeypatch.setattr(status_file, "default_folder", lambda: folder)
    running = [Health("git", "running", float(began), restarts=1, open=2) for began in (20, 10, 30)]
    mine = status_file.Status(
        os.getpid(),
        1.0,
        status_file.birth_of(os.getpid()),
        str(browser.folder / "mcpguard.yaml"),
        "127.0.0.1:80",
        (*running, Health("git", "failing", 1.0, problem="it ended")),
    )
    (folder / f"{os.getpid()}.json").write_bytes(msgspec.json.encode(mine))
    page = browser.see("/servers")
    states = re.findall(r"<b>(\w+)</b> <span class=\"dim\">(.*?) since", page)
    here = f"in process {os.getpid()}"
    assert states == [("running", f"\N{MULTIPLICATION SIGN} 3 {here}"), ("failing", here)]
    assert "3 restarts · 6 open" in text_of(page)


def test_reach_is_told_for_each_principal_in_the_evidence(browser: Browser) -> None:
    browser.records(structs.replace(DECIDED, principal="https://idp.example:bob"))
    page = browser.see("/servers?principal=https%3A%2F%2Fidp.example%3Abob")
    assert '<option value="https://idp.example:bob" selected>' in page
    who = operating_system_user()
    assert f'<option value="{who.source}:{who.id}" selected>' in browser.see("/servers?principal=nobody")


# --- a story ---------------------------------------------------------------------------------------


def test_a_story_goes_from_the_question_to_the_outcome(browser: Browser) -> None:
    ticket = browser.asks({"force": True}, id="ab12")
    assert ticket.id == "ab12"
    asked = "ticket ab12 for the call c-0 of os-user:ada: tools/call push, sha256 of the arguments 00"
    browser.records(
        Noticed(NOW, "approval-asked", "git", asked),
        Noticed(NOW, "approval-given", "", 'ticket ab12 of os-user:ada by os-user:bob (console); the assertion of the passkey: {"x":1}'),
        structs.replace(
            DECIDED, tool="push", rules=("p/push",), approval="ab12 by os-user:bob (console)", args="11" * 32,
            credentials=("keyring:git",), session_labels=("private",), policy_digest="d",
        ),
        Outcome(NOW, "c-1", "ok", 12.5, findings={"email $.x": 1}),
    )  # fmt: skip
    said = text_of(browser.see("/calls/c-1"))
    steps = ["A person was asked", "A person approved", "Allowed, with an approval", "The server answered"]
    assert [said.index(step) for step in steps] == sorted(said.index(step) for step in steps)
    for part in (
        "os-user:bob (console) with a passkey",
        "keyring:git",
        "private",
        "12.5 ms",
        "email $.x",
        "p.yaml:6",
    ):
        assert part in said
    assert "Its chain of evidence is intact" in said
    assert "What the person was shown" in said
    assert "not the current ones" in said


def test_a_call_whose_arguments_are_known_is_explained_rule_by_rule(browser: Browser) -> None:
    browser.records(structs.replace(DECIDED, args=sha256(b"{}").hexdigest()))
    said = text_of(browser.see("/calls/c-1"))
    assert "Rule by rule, as it would be decided nowallow: no deny" in said
    assert "allow p/read: held (it has no condition)" in said
    browser.asks({"force": True}, id="ab12")
    args = sha256(b'{"force":true}').hexdigest()
    browser.records(
        structs.replace(DECIDED, id="c-2", tool="push", approval="ab12 by os-user:bob (console)", args=args)
    )
    assert "args.force == true" in text_of(browser.see("/calls/c-2"))
    browser.records(structs.replace(DECIDED, id="c-3", args="11" * 32))
    assert "mcpguard explain c-3 --args-file FILE" in text_of(browser.see("/calls/c-3"))


def test_a_story_shows_what_the_record_has_of_who_why_and_how_long(browser: Browser) -> None:
    steps = Steps(decide=0.5, wait=1500.0, call=12.0)
    browser.records(
        structs.replace(
            DECIDED, client="Desk/2", actor="bot-7", session_labels=("private",), label_causes={"private": "c-0"},
            arguments={"path": "[REDACTED:x#1]"}, limits={"p/read calls 1h": 1},
        ),
        Outcome(NOW, "c-1", "error", 1513.0, steps=steps, sent=120, received=3400, error="no such file"),
    )  # fmt: skip
    page = browser.see("/calls/c-1")
    said = text_of(page)
    for part in (
        "Desk/2",
        "bot-7",
        "p/read calls 1h",
        "no such file",
        "120 sent, 3,400 received",
        "private by c-0",
    ):
        assert part in said
    assert "wait 1,500.0 ms, decide 0.5 ms, call 12.0 ms" in said
    assert "The arguments, as recorded" in said
    assert f'href="{browser.root}/calls/c-0"' in page


def test_a_call_that_waits_is_one_call_before_and_after(browser: Browser) -> None:
    waits = structs.replace(DECIDED, effect="ask", cause="approval", message="Others see it.", ticket="ab12")
    browser.records(waits)
    said = text_of(browser.see("/calls/c-1"))
    assert "Held for a person" in said
    assert "Others see it." in said
    assert len(browser.desk.evidence.calls) == 1
    browser.records(structs.replace(DECIDED, at=NOW + timedelta(seconds=9)), Outcome(NOW, "c-1", "ok", 1.0))
    assert "The server answered" in text_of(browser.see("/calls/c-1"))
    (call,) = browser.desk.evidence.calls
    assert (call.decision.effect, call.version) == ("allow", 2)


def test_an_altered_chain_is_not_trusted(browser: Browser) -> None:
    browser.records(DECIDED)
    (path,) = (browser.folder / "audit").glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"method":"tools/call"', b'"method":"tools/cell"'))
    assert "Do not trust this record" in browser.see("/calls/c-1")


def test_a_planted_chain_does_not_pass_for_the_story_of_a_call(browser: Browser) -> None:
    browser.records(DECIDED, Outcome(NOW, "c-1", "ok", 1.0))
    planted = AuditFile(browser.folder / "audit", "flush")
    planted.write(OPENED)
    planted.write(structs.replace(DECIDED, effect="deny", cause="no-rule", rules=()))
    planted.close(Closed(NOW, "done"))
    page = browser.see("/calls/c-1")
    assert f"{planted.path.name} has another decision under the same id" in page
    assert "The server answered" in text_of(page)


def test_a_call_of_a_compressed_chain_has_its_page(browser: Browser) -> None:
    browser.records(DECIDED, Outcome(NOW, "c-1", "ok", 1.0))
    assert browser.audit is not None
    browser.audit.close(Closed(NOW, "done"))
    (path,) = (browser.folder / "audit").glob("*.jsonl")
    packed = retention.compress(path)
    said = text_of(browser.see("/calls/c-1"))
    assert "The server answered" in said
    assert f"Its chain of evidence is intact: {path.name}" in said
    packed.with_name("20260101T000000Z-1-aaaaaaaa.jsonl").write_bytes(b"")
    packed.unlink()
    assert "its file is gone" in text_of(browser.see("/calls/c-1"))


def test_an_old_call_is_found_in_the_files(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.console.evidence.MOST_CALLS", 1)
    browser.records(
        DECIDED,
        Outcome(NOW, "c-1", "ok", 1.0),
        structs.replace(DECIDED, id="c-2", at=NOW + timedelta(seconds=9)),
    )
    said = text_of(browser.see("/calls/c-1"))
    assert "The server answered" in said


def test_a_call_without_a_record_is_not_made_up(browser: Browser) -> None:
    for path in ("/calls/none", "/calls/<script>"):
        answer = browser.get(browser.root + path)
        assert answer.status_code == 404
        assert "There is no record of a call" in answer.text
    browser.records(DECIDED)
    assert browser.get(f"{browser.root}/calls/none").status_code == 404


def test_a_long_chain_is_left_to_the_command(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.console.views.story.MOST_BYTES", 10)
    browser.records(DECIDED)
    assert "too long to be verified here" in browser.see("/calls/c-1")


@pytest.mark.parametrize("path", ["/nowhere", "/tickets", "/decisions/x"])
def test_other_addresses_say_that_nothing_is_there(browser: Browser, path: str) -> None:
    assert browser.get(browser.root + path).status_code == 404


def test_a_form_is_no_page(browser: Browser) -> None:
    assert browser.get(f"{browser.root}/tickets/t1/approve").status_code == 405
