"""Who gets in: a link works once, and nothing that another page or another name of the host asks for is served."""

from __future__ import annotations

import re

import pytest

from mcpguard.adapters.system import clock
from mcpguard.console.access import (
    COOKIE,
    IDLE_SECONDS,
    LINK_SECONDS,
    MOST_BYTES,
    MOST_VISITS,
    POLICY,
    VISIT_SECONDS,
    Visits,
)
from tests.console.desk import HERE, PORT, Browser


class Hours:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_link_lets_one_browser_in_once(stranger: Browser) -> None:
    key = stranger.desk.visits.link()
    landing = stranger.get(f"/login?key={key}")
    assert landing.status_code == 200
    assert "set-cookie" not in landing.headers
    answer = stranger.post("/login", key=key, csrf=None)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{stranger.root}/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", f"Path={stranger.root}", "SameSite=strict"} <= set(cookie.split("; "))
    assert "No calls are waiting" in stranger.see()


def test_a_link_that_was_used_says_so_and_how_to_get_another(stranger: Browser) -> None:
    key = stranger.desk.visits.link()
    assert stranger.post("/login", key=key, csrf=None).status_code == 303
    stranger.client.cookies.clear()
    for answer in (stranger.post("/login", key=key, csrf=None), stranger.get(f"/login?key={key}")):
        assert answer.status_code == 403
        assert "works once" in answer.text
        assert "Press Enter in the terminal" in answer.text
        assert stranger.root not in answer.text


def test_who_looks_at_a_link_does_not_use_it_up(stranger: Browser) -> None:
    key = stranger.desk.visits.link()
    for _ in range(3):
        assert stranger.get(
            f"/login?key={key}", **{"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        )
    assert stranger.post("/login", key=key, csrf=None).status_code == 303


@pytest.mark.parametrize("key", ["", "a", "\u202e" * 9, "x" * 3000])
def test_a_made_up_key_opens_nothing(stranger: Browser, key: str) -> None:
    stranger.desk.visits.link()
    assert stranger.post("/login", key=key, csrf=None).status_code == 403


def test_a_link_is_over_after_two_minutes_and_when_there_is_another() -> None:
    hours = Hours()
    visits = Visits(hours)
    first = visits.link()
    second = visits.link()
    assert visits.enter(first) is None
    hours.now = LINK_SECONDS
    assert visits.enter(second) is None
    assert visits.enter("") is None


def test_a_visit_ends_after_twelve_hours_without_a_person() -> None:
    hours = Hours()
    visits = Visits(hours)
    visit = visits.enter(visits.link())
    assert visit is not None
    hours.now = IDLE_SECONDS - 1
    assert visits.visit(visit.key, by_person=False) is visit
    hours.now = IDLE_SECONDS
    assert visits.visit(visit.key) is None


def test_what_a_person_does_prolongs_a_visit_and_logging_out_ends_it() -> None:
    hours = Hours()
    visits = Visits(hours)
    visit = visits.enter(visits.link())
    assert visit is not None
    hours.now = IDLE_SECONDS - 1
    assert visits.visit(visit.key) is visit
    hours.now = IDLE_SECONDS + 1
    assert visits.visit(visit.key) is visit
    visits.leave(visit)
    assert visits.visit(visit.key) is None


def test_a_visit_ends_after_a_day_however_much_it_is_used() -> None:
    hours = Hours()
    visits = Visits(hours)
    visit = visits.enter(visits.link())
    assert visit is not None
    while hours.now < VISIT_SECONDS:
        assert visits.visit(visit.key) is visit
        hours.now += 3600
    assert visits.visit(visit.key) is None


def test_links_and_visits_end_also_while_the_machine_sleeps(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, awake = browser.desk.visits.link(), clock.time.clock_gettime
    assert browser.get(f"{browser.root}/").status_code == 200
    # What only goes on while the machine is awake stays as it is.
    monkeypatch.setattr(clock.time, "clock_gettime", lambda which: awake(which) + IDLE_SECONDS)
    assert not browser.desk.visits.opens(link)
    assert browser.get(f"{browser.root}/").status_code == 401


def test_so_many_browsers_are_let_in_and_the_quietest_goes_first() -> None:
    hours = Hours()
    visits = Visits(hours)
    all_of_them = []
    for hours.now in range(MOST_VISITS + 1):
        one = visits.enter(visits.link())
        assert one is not None
        all_of_them.append(one)
    assert visits.visit(all_of_them[0].key) is None
    assert visits.visit(all_of_them[1].key) is all_of_them[1]


PAGES = ["/", "/decisions", "/sessions", "/servers", "/tickets/t1", "/tickets/t1/arguments.txt", "/calls/c-1"]


@pytest.mark.parametrize("path", [*PAGES, "/events"])
def test_without_a_visit_nothing_is_served(stranger: Browser, path: str) -> None:
    stranger.asks()
    answer = stranger.get(stranger.root + path)
    assert answer.status_code == 401
    assert "push" not in answer.text
    assert stranger.root not in answer.text


@pytest.mark.parametrize("path", ["/tickets/t1/approve", "/tickets/t1/deny", "/sessions/x/end", "/logout"])
def test_without_a_visit_nothing_is_done(stranger: Browser, path: str) -> None:
    stranger.asks()
    assert stranger.post(stranger.root + path, csrf="guess").status_code == 401
    assert stranger.notices() == []


def test_a_stolen_cookie_of_another_console_is_worth_nothing(browser: Browser) -> None:
    browser.client.cookies.set(COOKIE, "other", domain="localhost.local", path=browser.root)
    browser.client.cookies.clear()
    assert browser.get(f"{browser.root}/", cookie=f"{COOKIE}=made-up").status_code == 401


def test_who_logs_out_has_to_come_again(browser: Browser) -> None:
    answer = browser.post(f"{browser.root}/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.get(f"{browser.root}/").status_code == 401


@pytest.mark.parametrize("path", ["/", "/login?key=x", "/static/console.js"])
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "localhost",
        "localhost:1",
        f"localhost.evil:{PORT}",
        f"[::1]:{PORT}",
        "",
    ],
)
def test_another_name_of_the_host_is_refused(stranger: Browser, host: str, path: str) -> None:
    answer = stranger.get(path, host=host)
    assert answer.status_code == 421
    assert "localhost only" in answer.text


def test_both_names_of_this_host_are_served(stranger: Browser) -> None:
    for host in (f"localhost:{PORT}", f"127.0.0.1:{PORT}", f"LOCALHOST:{PORT}"):
        assert stranger.get("/login?key=x", host=host).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": None},
        {"origin": "http://localhost:3000"},
        {"origin": f"http://127.0.0.1:{PORT}"},
        {"origin": f"https://localhost:{PORT}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_of_another_page_does_nothing(browser: Browser, headers: dict[str, str | None]) -> None:
    browser.asks()
    answer = browser.post(f"{browser.root}/tickets/t1/approve", headers)
    assert answer.status_code == 403
    assert "Another site sent this form" in answer.text
    assert browser.notices() == []


@pytest.mark.parametrize("csrf", [None, "guess", "\u202e"])
def test_a_form_without_the_word_of_its_page_does_nothing(browser: Browser, csrf: str | None) -> None:
    browser.asks()
    for path in (
        "/tickets/t1/approve",
        "/tickets/t1/deny",
        "/sessions/x/clear",
        "/sessions/x/end",
        "/logout",
    ):
        assert browser.post(browser.root + path, csrf=csrf).status_code == 403
    assert browser.notices() == []
    assert "waits" in browser.see()


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("mode", ["no-cors", "cors", "navigate"])
def test_another_page_gets_nothing_to_read(browser: Browser, site: str, mode: str) -> None:
    for path in ("/", "/events", "/decisions"):
        answer = browser.get(browser.root + path, **{"sec-fetch-site": site, "sec-fetch-mode": mode})
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ("application/json", b'{"csrf": "x"}'),
        ("text/plain", b"csrf=x"),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(500))),
        ("application/x-www-form-urlencoded", b"\xff=\xfe"),
    ],
)
def test_a_body_that_no_form_of_ours_has_does_nothing(browser: Browser, content: str, body: bytes) -> None:
    browser.asks()
    headers = {"origin": HERE, "content-type": content}
    answer = browser.client.post(f"{browser.root}/tickets/t1/approve", content=body, headers=headers)
    assert answer.status_code == 403
    assert browser.notices() == []


def test_large_requests_are_refused(browser: Browser) -> None:
    headers = {"origin": HERE, "content-type": "application/x-www-form-urlencoded"}
    answer = browser.client.post("/login", content=b"a" * (MOST_BYTES + 1), headers=headers)
    assert answer.status_code == 413
    answer = browser.client.post("/login", content=iter([b"a"]), headers=headers)
    assert (answer.status_code, "too large" in answer.text) == (411, False)
    assert browser.get("/login?key=" + "a" * 9000).status_code == 414
    assert browser.client.put("/login").status_code == 405


def test_each_answer_says_what_a_browser_may_do_with_it(browser: Browser) -> None:
    browser.asks()
    paths = [*(browser.root + path for path in PAGES), "/", "/login?key=x", "/static/console.css", "/nowhere"]
    for answer in [*(browser.get(path) for path in paths), browser.get("/", host="evil.example")]:
        said = answer.headers
        assert said["content-security-policy"] == POLICY
        assert said["x-content-type-options"] == "nosniff"
        assert said["x-frame-options"] == "DENY"
        assert said["referrer-policy"] == "same-origin"
        assert said["cache-control"] == "no-store"
        assert said["cross-origin-opener-policy"] == said["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in said
    assert "unsafe" not in POLICY
    assert "default-src 'none'" in POLICY


def test_a_page_has_no_script_and_no_style_of_its_own(browser: Browser) -> None:
    browser.asks()
    for path in PAGES[:5]:
        text = browser.see(path)
        assert " style=" not in text
        assert "<style" not in text
        assert not re.search(r"<[^>]+\son\w+=", text)
        assert text.count("<script") == text.count('<script src="/static/') == 2
        assert '<script src="/static/console.js' in text
        assert "http://" not in text
        assert "https://" not in text.replace("https://far.example", "")


def test_only_our_own_files_are_served(stranger: Browser) -> None:
    assert stranger.get("/static/console.css").headers["content-type"].startswith("text/css")
    for name in ("../app.py", "..%2fapp.py", "%2e%2e/app.py", "x"):
        assert stranger.get(f"/static/{name}").status_code in (404, 401)
