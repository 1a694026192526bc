"""What a person does with mouse and keys, in a real browser, while a real mcpguard serves a client."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
import yaml
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.console.chromium import Terminal, authenticator, chromium, logged_in, window
from tests.wire.session import Guard, eventually, puppet

pytestmark = pytest.mark.browser

RULES = [
    {
        "id": "read",
        "effect": "allow",
        "tools": ["seen"],
        "label": ["private"],
        "limit": {"calls": 50, "per": "1h"},
    },
    {"id": "echo", "effect": "ask", "tools": ["echo"], "message": "Others hear it."},
    {"id": "no", "effect": "deny", "tools": ["forbidden"], "message": "Never."},
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        started = chromium(play)
        yield started
        started.close()


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    folder = tmp_path_factory.mktemp("guard")
    more = {
        "approvals": {"wait_seconds": 60, "policy": "mine.yaml"},
        "session": {"path": str(folder / "state")},
        "agent": "desk",
    }
    one = Guard(folder, {"p": puppet()}, RULES, **more)
    one.hello()
    yield one
    one.dispose()


@pytest.fixture(scope="module")
def terminal(guard: Guard) -> Iterator[Terminal]:
    one = Terminal(guard.config)
    one.link()
    yield one
    assert one.end() == 0


@pytest.fixture
def page(browser: Browser, terminal: Terminal) -> Iterator[Page]:
    """A window that is logged in and live."""
    with window(browser) as one:
        logged_in(one, terminal)
        expect(one.locator("#state-word")).to_have_text("live")
        yield one


def calls(guard: Guard, name: str, **args: Any) -> int:
    """Begin a call."""
    number: int = guard.request("tools/call", {"name": name, "arguments": args})
    return number


def text(guard: Guard, number: int) -> str:
    answer: str = guard.answer(number)["result"]["content"][0]["text"]
    return answer


def root(page: Page) -> str:
    """The address of all pages."""
    return "/".join(page.url.split("/")[:4])


def view(page: Page, key: str) -> None:
    """Change the view by its key."""
    expect(page.locator("#state-word")).to_have_text("live")
    page.keyboard.press(key)
    name = {"2": "decisions", "3": "sessions", "4": "servers"}[key]
    page.wait_for_url(f"**/{name}")
    expect(page.locator("#state-word")).to_have_text("live")


def quiet(page: Page) -> None:
    """Wait until buttons that have just come count."""
    expect(page.locator("#state-word")).to_have_text("live")
    expect(page.locator("[data-held]")).to_have_count(0)


def test_a_link_opens_the_console_once(browser: Browser, terminal: Terminal) -> None:
    link = terminal.another_link()
    with window(browser) as page:
        page.goto(link)
        expect(page.locator("h1")).to_have_text("No calls are waiting")
        assert "key=" not in page.evaluate("document.referrer + location.href")
    with window(browser) as page:
        answer = page.request.get(link)
        assert answer.status == 403
        assert "was used" in answer.text()


def test_a_call_that_waits_appears_and_is_approved_by_a_click(guard: Guard, page: Page) -> None:
    number = calls(guard, "echo", text="hello <b>there</b> \u202e")
    expect(page.locator("h1")).to_have_text("p/echo")
    expect(page.locator("#announce")).to_have_text("A call waits for you: p/echo")
    expect(page).to_have_title("(1) p/echo · mcpguard".replace("p/echo", "Waiting"))
    expect(page.locator(".value").first).to_have_text("hello <b>there</b> [U+202E]")
    quiet(page)
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".said")).to_have_text("Approved: the call continues.")
    assert "hello" in text(guard, number)
    expect(page.locator("h1")).to_have_text("No calls are waiting")


def test_a_call_is_denied_with_a_reason_by_keys(guard: Guard, page: Page) -> None:
    number = calls(guard, "echo", text="again")
    expect(page.locator("h1")).to_have_text("p/echo")
    quiet(page)
    page.keyboard.press("d")
    page.keyboard.type("Not a day for it: a, d and j are letters here.")
    page.keyboard.press("Enter")
    expect(page.locator(".said")).to_have_text("Denied: the agent was notified.")
    assert "A person refused this call: Not a day for it" in text(guard, number)


def test_approving_by_keys_takes_two(guard: Guard, page: Page) -> None:
    number = calls(guard, "echo", text="keys")
    expect(page.locator("h1")).to_have_text("p/echo")
    quiet(page)
    page.keyboard.press("a")
    expect(page.locator("#approve-button")).to_be_focused()
    expect(page.locator("#approve-hint")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#approve-button")).not_to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("p/echo")
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.locator(".said")).to_have_text("Approved: the call continues.")
    assert "keys" in text(guard, number)


def test_an_approval_for_the_session_is_given_and_ended(guard: Guard, page: Page) -> None:
    number = calls(guard, "echo", text="lasting", to="a")
    expect(page.locator("h1")).to_have_text("p/echo")
    quiet(page)
    expect(page.locator(".any").first).to_be_hidden()
    page.get_by_label("How long").select_option("session")
    page.locator('[name=free][value="to"]').check()
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".said")).to_have_text("Approved: the call continues.")
    assert "lasting" in text(guard, number)
    assert guard.text("echo", text="lasting", to="b") == "lasting"
    view(page, "3")
    expect(page.locator(".approvals")).to_contain_text("used 2 times")
    page.get_by_text("End…", exact=True).click()
    page.get_by_role("button", name="End the approval").click()
    expect(page.locator(".said")).to_contain_text("The approval has ended")
    expect(page.locator(".approvals")).to_have_count(0)


def test_what_would_be_approved_for_good_is_shown_as_a_diff(guard: Guard, page: Page) -> None:
    number = calls(guard, "echo", text="for good")
    expect(page.locator("h1")).to_have_text("p/echo")
    quiet(page)
    page.get_by_label("How long").select_option("always")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("h1")).to_have_text("Approve p/echo for good")
    expect(page.locator(".line.plus").first).to_contain_text("approved for good")
    assert not (guard.folder / "mine.yaml").exists()
    quiet(page)
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.locator(".said")).to_contain_text("The rule is written")
    assert text(guard, number) == "for good"
    assert "approves: [test/echo]" in (guard.folder / "mine.yaml").read_text()
    eventually(lambda: b"policies" in guard.stderr, "the rule is in force")
    assert guard.text("echo", text="for good") == "for good"


def test_a_button_that_has_just_come_does_nothing(guard: Guard, page: Page) -> None:
    number = calls(guard, "echo", text="sudden")
    page.wait_for_selector("#approve-button")
    quiet(page)
    page.evaluate("hold()")
    page.locator("#approve-button").click()
    expect(page.locator("h1")).to_have_text("p/echo")
    quiet(page)
    page.locator("#deny-button").click()
    expect(page.locator(".said")).to_have_text("Denied: the agent was notified.")
    assert "A person refused" in text(guard, number)


def test_a_second_call_does_not_move_the_first(guard: Guard, page: Page) -> None:
    first = calls(guard, "echo", text="one")
    expect(page.locator("h1")).to_have_text("p/echo")
    page.locator("#reason").fill("half a sentence")
    place = page.locator("#approve-button").bounding_box()
    second = calls(guard, "echo", text="two")
    expect(page.locator(".queue .row")).to_have_count(2)
    expect(page.locator("#waiting-count")).to_have_text("2")
    assert page.locator("#approve-button").bounding_box() == place
    expect(page.locator("#reason")).to_have_value("half a sentence")
    page.locator("#reason").blur()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".value").first).to_have_text("two")
    quiet(page)
    page.locator("#deny-button").click()
    assert "A person refused" in text(guard, second)
    expect(page.locator(".value").first).to_have_text("one")
    quiet(page)
    page.locator("#deny-button").click()
    expect(page.locator("h1")).to_have_text("No calls are waiting")
    assert "A person refused" in text(guard, first)


def test_an_answer_from_elsewhere_is_seen_at_once(guard: Guard, page: Page) -> None:
    number = calls(guard, "echo", text="elsewhere")
    expect(page.locator("h1")).to_have_text("p/echo")
    with window(page.context.browser) as other:  # type: ignore[arg-type]
        other.context.add_cookies(page.context.cookies())
        other.goto(page.url)
        quiet(other)
        other.locator("#reason").fill("By another.")
        other.locator("#deny-button").click()
        other.wait_for_selector(".said")
    expect(page.locator(".outcome")).to_contain_text("By another.")
    expect(page.locator("#approve")).to_have_count(0)
    assert "By another." in text(guard, number)


def test_a_person_approves_without_scripts(guard: Guard, browser: Browser, terminal: Terminal) -> None:
    number = calls(guard, "echo", text="plain")
    with window(browser, java_script_enabled=False) as page:
        page.goto(terminal.another_link())
        page.get_by_role("button", name="Open the console").click()
        expect(page.locator("h1")).to_have_text("p/echo")
        page.get_by_role("button", name="Approve").click()
        expect(page.locator(".said")).to_have_text("Approved: the call continues.")
        assert "plain" in text(guard, number)
        page.get_by_role("link", name="Decisions", exact=True).click()
        expect(page.locator("tbody tr").first).to_contain_text("approved")


def test_decisions_come_live_and_are_filtered(guard: Guard, page: Page) -> None:
    view(page, "2")
    expect(page.locator("#state-word")).to_have_text("live")
    before = page.locator("tbody tr").count()
    guard.call("forbidden")
    expect(page.locator("tbody tr")).to_have_count(before + 1)
    expect(page.locator("tbody tr").first).to_contain_text("denied")
    page.keyboard.press("/")
    expect(page.locator("#filter")).to_be_focused()
    page.keyboard.type("forbidden")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    guard.call("seen")
    guard.call("forbidden")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_label("any effect").select_option("allowed")
    expect(page.locator("h1")).to_have_text("Nothing matches the filter")


def test_a_story_is_opened_by_keys(guard: Guard, page: Page) -> None:
    guard.call("seen", a=1)
    view(page, "2")
    expect(page.locator("tbody tr").first).to_contain_text("seen")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("p/seen")
    expect(page.locator(".timeline")).to_contain_text("The server answered")
    expect(page.locator(".verified")).to_contain_text("is intact")


def test_a_label_is_cleared_and_the_session_ended(guard: Guard, page: Page) -> None:
    guard.call("seen")
    view(page, "3")
    expect(page.locator(".label")).to_have_text("private")
    page.locator("[data-key=labels]").get_by_text("Clear…").click()
    page.get_by_role("button", name="Clear private").click()
    expect(page.locator(".said")).to_have_text("The label was cleared.")
    expect(page.locator(".label")).to_have_count(0)
    guard.call("seen")
    expect(page.locator(".label")).to_have_text("private")
    page.get_by_text("End the session…").click()
    page.get_by_role("button", name="End the session").click()
    expect(page.locator(".said")).to_contain_text("The session has ended")
    expect(page.locator(".label")).to_have_count(0)
    notices = [one["what"] for one in records(guard) if one["kind"] == "notice"]
    assert {"label-cleared", "session-ended"} <= set(notices)


def records(guard: Guard) -> list[dict[str, Any]]:
    lines = [
        line
        for file in sorted(Path(guard.audit_folder).glob("*.jsonl"))
        for line in file.read_bytes().splitlines()
    ]
    return [json.loads(line) for line in lines]


def test_servers_say_how_they_are(guard: Guard, page: Page) -> None:
    view(page, "4")
    expect(page.locator(".card h2")).to_contain_text("p")
    expect(page.locator(".health")).to_contain_text("in process")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone(
    guard: Guard, browser: Browser, terminal: Terminal, scheme: Any
) -> None:
    number = calls(
        guard, "echo", text=scheme * 60, query="select 1", edits=[{"oldText": "a" * 200, "newText": "b"}]
    )
    with window(browser, color_scheme=scheme) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        home = logged_in(page, terminal)
        expect(page.locator("h1")).to_have_text("p/echo")
        one = records(guard)[-1]
        call = next(one["id"] for one in records(guard) if one["kind"] == "decision")
        assert one
        ground = set()
        for path in ("/", "/decisions", "/sessions", "/servers", f"/calls/{call}"):
            page.goto(home + path)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 390, path
            ground.add(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        assert len(ground) == 1
        (colour,) = ground
        assert ("246, 246, 244" in colour) == (scheme == "light")
        page.goto(home + "/")
        quiet(page)
        page.locator("#deny-button").click()
        page.wait_for_selector(".said")
    text(guard, number)


def test_keys_are_explained_and_focus_is_seen(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("1")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Keys").click()
    page.get_by_role("button", name="Close").click()


class Elsewhere(BaseHTTPRequestHandler):
    """A page of another port of this host, which knows the address of a ticket."""

    ticket = ""
    cookies: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        type(self).cookies.append(self.headers["cookie"])
        page = f"""<iframe src="{self.ticket}"></iframe>
            <form method="post" action="{self.ticket}/approve" target="in"><input name="csrf" value="x"></form>
            <iframe name="in"></iframe><script>
            fetch("{self.ticket}/approve", {{method: "POST", mode: "no-cors", credentials: "include", body: "csrf=x"}});
            new EventSource("{self.ticket.split("/tickets")[0]}/events", {{withCredentials: true}});
            document.forms[0].submit();</script>"""
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def test_a_page_on_another_port_can_neither_see_nor_approve(guard: Guard, page: Page) -> None:
    number = calls(guard, "echo", text="elsewhere on this host")
    expect(page.locator("h1")).to_have_text("p/echo")
    ticket = page.locator("[data-ticket]").get_attribute("data-ticket")
    Elsewhere.ticket = f"{root(page)}/tickets/{ticket}"
    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = Thread(target=server.serve_forever)
    thread.start()
    other = page.context.new_page()  # With the cookies of the person who is logged in.
    answers: list[tuple[str, int]] = []
    other.on("response", lambda one: answers.append((one.request.method, one.status)))
    other.goto(f"http://localhost:{server.server_port}/")
    other.wait_for_load_state("networkidle")
    server.shutdown()
    thread.join()
    server.server_close()
    other.close()
    assert [one for one in answers if one[0] == "POST" and one[1] != 403] == []
    assert [status for method, status in answers if method == "POST"]
    assert set(Elsewhere.cookies) == {None}
    expect(page.locator("#approve")).to_have_count(1)
    quiet(page)
    page.locator("#deny-button").click()
    expect(page.locator(".said")).to_have_text("Denied: the agent was notified.")
    assert "A person refused" in text(guard, number)


def test_who_logs_out_sees_nothing_more(page: Page) -> None:
    address = page.url
    other = page.context.new_page()
    other.goto(address)
    expect(other.locator("#state-word")).to_have_text("live")
    page.get_by_role("button", name="Log out").click()
    expect(page.locator("h1")).to_have_text("This page opens by its link")
    assert page.request.get(address).status == 401
    expect(other.locator("h1")).to_have_text("You are not logged in")
    expect(other.get_by_role("button", name="Approve")).to_have_count(0)


def test_when_the_console_ends_the_page_says_so(guard: Guard, browser: Browser) -> None:
    own = Terminal(guard.config)
    context = browser.new_context()
    page = context.new_page()
    page.goto(own.link())
    expect(page.locator("#state-word")).to_have_text("live")
    began = time.monotonic()
    own.type(b"\x04")
    assert own.end() == 0
    assert time.monotonic() - began < 10
    expect(page.locator("#state")).to_have_attribute("data-state", "lost")
    context.close()


PROVEN = [{"id": "echo", "effect": "ask", "tools": ["echo"], "message": "Others hear it.",
           "ask": {"via": "console", "proof": "passkey", "approvers": ["group:operators"]}}]  # fmt: skip


@contextmanager
def proving(folder: Path, **approvals: Any) -> Iterator[tuple[Guard, Terminal]]:
    """mcpguard and a console, with a rule that asks for a passkey."""
    more = {"approvals": {"wait_seconds": 60, **approvals}, "session": {"path": str(folder / "state")}}
    guard = Guard(folder, {"p": puppet()}, PROVEN, **more)
    terminal = Terminal(guard.config)
    try:
        guard.hello()
        terminal.link()
        yield guard, terminal
        assert terminal.end() == 0
    finally:
        guard.dispose()


def test_a_passkey_is_made_and_approves_what_nothing_else_can(browser: Browser, tmp_path: Path) -> None:
    with window(browser) as page:
        device = authenticator(page)
        with proving(tmp_path) as (_, terminal):
            logged_in(page, terminal, "/passkeys")
            page.get_by_label("Person").fill("grace")
            page.get_by_role("button", name="Create a passkey").click()
            expect(page.locator("[data-problem]")).to_have_text(
                "Write a person as SOURCE:ID, such as os-user:ada."
            )
            page.get_by_label("Person").fill("os-user:grace")
            page.get_by_label("Groups").fill("operators, night")
            page.get_by_role("button", name="Create a passkey").click()
            entry = yaml.safe_load(page.locator("#entry").inner_text())["approvals"]
            page.goto("about:blank")
        with proving(tmp_path, **entry) as (guard, terminal):
            logged_in(page, terminal)
            number = calls(guard, "echo", text="signed")
            button = page.get_by_role("button", name="Approve with a passkey")
            expect(button).to_be_visible()
            device.confirms(False)
            quiet(page)
            button.click()
            expect(page.locator("[data-problem]")).to_have_text("The passkey was not confirmed.")
            device.confirms(True)
            with page.expect_navigation():
                button.click()
            expect(page.locator(".said")).to_have_text("Approved: the call continues.")
            assert text(guard, number) == "signed"
            (approval,) = [one["approval"] for one in guard.records("decision") if one.get("approval")]
            assert approval.endswith("by os-user:grace (console, passkey)")
            number = calls(guard, "echo", text="for longer")
            expect(page.locator("h1")).to_have_text("p/echo")
            page.get_by_label("How long the approval lasts").select_option("10m")
            page.locator('input[name="free"]').check()
            quiet(page)
            with page.expect_navigation():
                page.get_by_role("button", name="Approve with a passkey").click()
            expect(page.locator(".said")).to_have_text("Approved: the call continues.")
            assert text(guard, number) == "for longer"
            assert text(guard, calls(guard, "echo", text="anything")) == "anything"
            page.goto("about:blank")
