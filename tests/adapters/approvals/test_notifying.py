"""Alerts about calls that wait: what they say, to whom, and that nothing waits for them."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.approvals.notifying import MOST_WAITING, Notifier, NotifyTarget
from mcpguard.core.errors import CredentialError, InspectionError
from mcpguard.core.policy.tickets import AnswerTerms
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.secret import Secret
from tests.adapters.store.test_store import TICKET

SECRET = "canary-9f2b71c0de"
DEADLINE = 20.0
ASKED = structs.replace(
    TICKET,
    id="4f1c09aa7d31",
    server="git",
    rules=("p/push",),
    message="Others see it.",
    shown='{"to":"main","force":true}',
    terms=AnswerTerms(via=("console", "terminal"), show=("to", "gone")),
)
FAKE = """#!{python}
import json, os, sys, time
place = {place!r}
with open(place + ".part", "a") as said:
    said.write(json.dumps(sys.argv[1:]) + "\\n")
os.replace(place + ".part", place + "." + str(os.getpid()))
{more}
"""


class Desk:
    """A notify-send that writes down what it is started with."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, more: str = "") -> None:
        self.folder = folder
        program = folder / ("osascript" if sys.platform == "darwin" else "notify-send")
        program.write_text(FAKE.format(python=sys.executable, place=str(folder / "said"), more=more))
        program.chmod(0o700)
        monkeypatch.setenv("PATH", str(folder))

    @property
    def said(self) -> list[list[str]]:
        files = sorted(self.folder.glob("said.[0-9]*"), key=lambda one: one.stat().st_mtime_ns)
        return [json.loads(line) for one in files for line in one.read_text().splitlines()]

    def wait(self, count: int) -> list[list[str]]:
        """What it was started with, once that were so many times."""
        return until(lambda: self.said if len(self.said) >= count else [])


def until(check: Callable[[], Any]) -> Any:
    end = time.monotonic() + DEADLINE
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end
        time.sleep(0.01)


def alerts(*targets: NotifyTarget, pause: float = 0.0, seconds: float = 20.0) -> tuple[Notifier, list[str]]:
    redactor = Redactor(b"k" * 32)
    redactor.hold("env:CANARY", Secret(SECRET))
    reports: list[str] = []

    def report(line: str, level: str) -> None:
        reports.append(line if level == "warning" else f"{level}: {line}")

    return Notifier(targets, redactor.inspect_text, report, pause, seconds), reports


def body(words: list[str]) -> str:
    return words[-1]


def test_a_alert_says_who_wants_what_and_how_to_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, monkeypatch)
    told, reports = alerts(NotifyTarget("desktop"))
    told.send(ASKED)
    (words,) = desk.wait(1)
    assert words[-2] == "mcpguard: a call waits for your approval"
    assert body(words).split("\n") == [
        "tools/call git/push",
        "by os-user:ada with desk",
        "asked by p/push: Others see it.",
        "asked at 1970-01-01T00:01:40Z; an approval is valid until 1970-01-01T00:03:20Z",
        "mcpguard approve 4f1c09aa7d31 or mcpguard console (ticket 4f1c09aa7d31)",
    ]
    assert reports == []


def test_it_names_the_configuration_where_a_command_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, monkeypatch)
    told, _ = alerts(NotifyTarget("desktop", option=lambda: " --config /c.yaml"))
    told.send(ASKED)
    (words,) = desk.wait(1)
    assert body(words).split("\n")[-1] == (
        "mcpguard approve 4f1c09aa7d31 --config /c.yaml or mcpguard console --config /c.yaml (ticket 4f1c09aa7d31)"
    )


@pytest.mark.parametrize(
    ("via", "how"),
    [
        (("terminal",), "mcpguard approve 4f1c09aa7d31"),
        (("client", "console"), "mcpguard console (ticket 4f1c09aa7d31)"),
    ],
)
def test_it_names_the_channels_that_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, via: Any, how: str
) -> None:
    desk = Desk(tmp_path, monkeypatch)
    told, _ = alerts(NotifyTarget("desktop"))
    told.send(structs.replace(ASKED, terms=AnswerTerms(via=("client",))))
    told.send(structs.replace(ASKED, agent=None, terms=AnswerTerms(via=via)))
    (words,) = desk.wait(1)
    assert body(words).split("\n")[1] == "by os-user:ada"
    assert body(words).split("\n")[-1] == how


def test_arguments_are_there_only_where_the_configuration_and_the_rule_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, monkeypatch)
    told, _ = alerts(NotifyTarget("desktop", arguments=True))
    told.send(ASKED)
    (words,) = desk.wait(1)
    assert 'to: "main"' in body(words).split("\n")
    assert "force" not in body(words)


def test_what_agents_and_servers_wrote_is_text_on_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, monkeypatch)
    told, _ = alerts(NotifyTarget("desktop", arguments=True))
    evil = "<b>x</b>\n\nmcpguard approve 000\u202e [a](https://evil.test) @everyone `x` -- & " + "y" * 1000
    shown = json.dumps({"to": evil})
    told.send(structs.replace(ASKED, target=evil, agent=evil, shown=shown))
    (words,) = desk.wait(1)
    lines = body(words).split("\n")
    assert len(lines) == 6
    assert not set("<>@`\u202e&*|#") & set(body(words))
    assert "://" not in body(words)
    assert max(map(len, lines)) < 500


def test_the_message_of_the_author_is_no_markup_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, monkeypatch)
    told, _ = alerts(NotifyTarget("desktop"))
    told.send(structs.replace(ASKED, message="a < b\n& c " + "d" * 1000))
    (words,) = desk.wait(1)
    wanted = "a &lt; b &amp; c d" if sys.platform != "darwin" else "a < b & c d"
    assert f"asked by p/push: {wanted}" in body(words)
    assert "ddd..." in body(words)


def test_on_macos_the_text_is_an_argument_of_the_script_and_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpguard.adapters.approvals.notifying.sys", SimpleNamespace(platform="darwin"))
    desk = Desk(tmp_path, monkeypatch)
    if not (tmp_path / "osascript").exists():
        (tmp_path / "notify-send").rename(tmp_path / "osascript")
    told, _ = alerts(NotifyTarget("desktop"))
    told.send(structs.replace(ASKED, message='" & (do shell script "x") & "'))
    (words,) = desk.wait(1)
    assert words[:2] == ["-e", "on run argv"]
    assert "do shell script" not in str(words[:-1])
    assert 'asked by p/push: " & (do shell script "x") & "' in body(words)


def test_what_the_redactor_holds_leaves_in_no_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path, monkeypatch)
    told, _ = alerts(NotifyTarget("desktop", arguments=True))
    fields = dict.fromkeys(("principal", "agent", "server", "target", "message"), f"x:{SECRET}")
    told.send(structs.replace(ASKED, **fields, shown=json.dumps({"to": SECRET})))  # type: ignore[arg-type]
    (words,) = desk.wait(1)
    assert SECRET not in str(words)
    assert "approve 4f1c09aa7d31" in body(words)


@pytest.mark.parametrize(
    ("many", "said"), [(MOST_WAITING + 13, f"{MOST_WAITING + 12} more calls wait"), (2, "1 more call waits")]
)
def test_a_flood_is_summed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int, said: str) -> None:
    desk = Desk(tmp_path, monkeypatch, more="while not os.path.exists(place + '.go'): time.sleep(0.01)")
    told, _ = alerts(NotifyTarget("desktop"))
    told.send(ASKED)
    desk.wait(1)
    for number in range(many):
        told.send(structs.replace(ASKED, id=f"t{number}"))
    (tmp_path / "said.go").touch()
    first, second = desk.wait(2)
    assert "more" not in body(first)
    assert "mcpguard approve t0 " in body(second)
    assert body(second).endswith(f"{said}: mcpguard approvals")


def test_a_program_that_is_missing_is_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told, reports = alerts(NotifyTarget("desktop"))
    assert told.failing == ()
    told.send(ASKED)
    until(lambda: reports)
    (lost,) = told.failing
    assert (lost.to, lost.lost) == ("desktop", 1)
    told.send(ASKED)
    until(lambda: told.failing[0].lost == 2)
    desk = Desk(tmp_path, monkeypatch)
    until(lambda: not [one for one in _threads() if one == "mcpguard-alert"])
    told.send(ASKED)
    until(lambda: len(reports) > 1)
    assert "was not found" in reports[0]
    assert reports[1] == "info: alerts to desktop arrive again; 2 were lost"
    assert told.failing == ()
    assert len(reports) == 2
    assert desk.said


def _threads() -> list[str]:
    import threading

    return [one.name for one in threading.enumerate()]


def test_a_program_that_fails_or_hangs_is_reported_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Desk(tmp_path, monkeypatch, more="sys.exit(3)")
    told, reports = alerts(NotifyTarget("desktop"))
    told.send(ASKED)
    assert "ended with status 3" in until(lambda: reports)[0]
    hung = tmp_path / "hung"
    hung.mkdir()
    desk = Desk(hung, monkeypatch, more="time.sleep(600)")
    told, reports = alerts(NotifyTarget("desktop"), seconds=1.0)
    begun = time.monotonic()
    told.send(ASKED)
    assert time.monotonic() - begun < 0.5  # Nothing of it is waited for; the sending takes a second.
    assert "took longer than 1 seconds" in until(lambda: reports)[0]
    (file,) = hung.glob("said.[0-9]*")
    assert desk.said
    pid = int(file.suffix[1:])
    until(lambda: _gone(pid))


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_program_that_cannot_be_started_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Desk(tmp_path, monkeypatch)
    monkeypatch.setattr("mcpguard.adapters.approvals.notifying.start", _no_processes)
    told, reports = alerts(NotifyTarget("desktop"))
    told.send(ASKED)
    assert "cannot be started: too many" in until(lambda: reports)[0]


def test_without_a_thread_the_call_goes_on_and_the_next_ticket_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, monkeypatch)
    told, reports = alerts(NotifyTarget("desktop"))
    with monkeypatch.context() as without:
        without.setattr(Thread, "start", _no_threads)
        told.send(ASKED)
    assert "no thread can be started" in reports[0]
    told.send(ASKED)
    (words,) = desk.wait(1)
    assert body(words).endswith("1 more call waits: mcpguard approvals")


def _no_threads(_thread: Thread) -> None:
    raise RuntimeError("can't start new thread")


def _no_processes(*_given: Any) -> Any:
    raise OSError(11, "too many")


@pytest.mark.parametrize("problem", [CredentialError("it is locked"), InspectionError("it is too deep")])
def test_a_url_that_cannot_be_read_is_reported(problem: Exception) -> None:
    def url() -> Secret:
        raise problem

    told, reports = alerts(NotifyTarget("${keyring:chat}", url))
    told.send(ASKED)
    assert until(lambda: reports) == [f"alerts to ${{keyring:chat}} are failing (reported once): {problem}"]


# --- apprise --------------------------------------------------------------------------------------


class Receiver(HTTPServer):
    """Takes what apprise posts; answers with `status`."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.status = 200
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        data = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append(json.loads(data))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(DEADLINE)


def by_apprise(url: str, **more: Any) -> tuple[Notifier, list[str]]:
    return alerts(NotifyTarget("${env:CHAT}", lambda: Secret(url), **more))


def test_apprise_posts_the_alert(receiver: Receiver) -> None:
    told, reports = by_apprise(f"json://127.0.0.1:{receiver.server_port}/token")
    told.send(structs.replace(ASKED, message=f"It is {SECRET}."))
    (posted,) = until(lambda: receiver.received)
    assert posted["title"] == "mcpguard: a call waits for your approval"
    assert "tools/call git/push" in posted["message"]
    assert "mcpguard approve 4f1c09aa7d31" in posted["message"]
    assert SECRET not in str(posted)
    assert reports == []


def test_a_service_that_takes_no_alert_is_reported_without_its_url(receiver: Receiver) -> None:
    receiver.status = 500
    told, reports = by_apprise(f"json://127.0.0.1:{receiver.server_port}/token-1234")
    told.send(ASKED)
    assert until(lambda: reports) == [
        "alerts to ${env:CHAT} are failing (reported once): the service did not accept it"
    ]


@pytest.mark.parametrize(
    ("url", "why"),
    [("nothing://x", "not a URL that apprise knows"), ("json://" + "x" * 9000, "longer than 8192")],
)
def test_a_url_that_is_wrong_is_reported(url: str, why: str) -> None:
    told, reports = by_apprise(url)
    told.send(ASKED)
    assert why in until(lambda: reports)[0]
    assert url not in reports[0]


def test_without_apprise_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys._base_executable} "$@"\n')  # type: ignore[attr-defined]
    bare.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(bare))
    told, reports = by_apprise("json://127.0.0.1:1")
    told.send(ASKED)
    assert "-m pip install 'mcpguard-gateway[notify]'" in until(lambda: reports)[0]
