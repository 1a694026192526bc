"""Notifications: somebody hears that a call waits for an approval, on the desktop or by whatever apprise
reaches.

Law of this file: a notification says that a call waits, and nothing in it answers. It holds nothing up: each
target has a thread, and a program with a deadline does the sending. What an agent or a server wrote stands in
it on one line, short, and without what a notifier takes for more than text.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from html import escape
from threading import Lock, Thread
from time import sleep, time
from typing import Literal

from msgspec import Struct, structs

from mcpguard.adapters.approvals import apprise_child
from mcpguard.adapters.system.files import failure_of
from mcpguard.adapters.system.guarded import end, found, lack_of, start
from mcpguard.adapters.system.shipped import command_for_extra
from mcpguard.core.errors import CredentialError, InspectionError
from mcpguard.core.legible import plain, utc
from mcpguard.core.policy.tickets import Ticket
from mcpguard.core.secret import Secret
from mcpguard.gateway.ports import LostAlerts

MOST_WAITING = 20
"""How many tickets are kept for one alert; of more only the number is known."""
SECONDS = 30.0
"""How long the sending of one alert may take."""
PAUSE_SECONDS = 10.0
"""Between two alerts: what comes meanwhile is summed up in one."""

_MOST_FIELD = 200
_MOST_MESSAGE = 400
_MOST_SHOWN = 5
_MOST_URL = 8_192
_MARKUP = re.compile(r"[^\w .,:;/+=?\"'{}()\[\]-]")
_OSASCRIPT = (
    "-e", "on run argv",
    "-e", "display notification (item 2 of argv) with title (item 1 of argv)",
    "-e", "end run",
)  # fmt: skip
_TOLD = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy",
    "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
"""Variables that a program gets which sends an alert."""


class NotifyTarget(Struct, frozen=True):
    """Where alerts go. `name` is what the configuration writes; `url` gives the URL of apprise and may
    block, None for the desktop. With `arguments` an alert has those that the rules of its ticket show.
    `option` is what a command needs besides to find the configuration, such as ` --config FILE`."""

    name: str
    url: Callable[[], Secret] | None = None
    arguments: bool = False
    option: Callable[[], str] = str


class Notifier:
    """Tells all targets. `report(line, level)` takes a line for the operator, from any thread."""

    def __init__(
        self,
        targets: Iterable[NotifyTarget],
        inspect: Callable[[str], str],
        report: Callable[[str, Literal["info", "warning"]], None],
        pause: float = PAUSE_SECONDS,
        seconds: float = SECONDS,
    ) -> None:
        """`inspect` takes out what must not be seen."""
        self._outboxes = [_Outbox(one, inspect, report, pause, seconds) for one in targets]

    def send(self, ticket: Ticket) -> None:
        """Tell that a call waits by this ticket; nothing where nobody who hears it could answer."""
        if set(ticket.terms.via) != {"client"}:
            for one in self._outboxes:
                one.put(ticket)

    @property
    def failing(self) -> tuple[LostAlerts, ...]:
        """The targets that take none now."""
        return tuple(filter(None, [one.failing for one in self._outboxes]))


class _Outbox:
    """What is to be sent to one target, one alert at a time."""

    def __init__(
        self,
        target: NotifyTarget,
        inspect: Callable[[str], str],
        report: Callable[[str, Literal["info", "warning"]], None],
        pause: float,
        seconds: float,
    ) -> None:
        self._target = target
        self._inspect = inspect
        self._report = report
        self._pause = pause
        self._seconds = seconds
        self._lock = Lock()
        self._waiting: list[Ticket] = []
        self._beyond = 0
        self._sending = False
        self.failing: LostAlerts | None = None

    def put(self, ticket: Ticket) -> None:
        with self._lock:
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(ticket)
            else:
                self._beyond += 1
            idle, self._sending = not self._sending, True
        if idle:
            try:
                Thread(target=self._run, name="mcpguard-alert", daemon=True).start()
            except RuntimeError:  # There are too many; the next ticket tries again.
                self._sending = False
                self._settle("no thread can be started")

    def _run(self) -> None:
        while True:
            with self._lock:
                waiting, beyond = self._waiting, self._beyond
                self._waiting, self._beyond = [], 0
                self._sending = bool(waiting)
            if not waiting:
                return
            self._settle(self._sent(waiting[0], len(waiting) - 1 + beyond))
            sleep(self._pause)

    def _settle(self, problem: str) -> None:
        """Say that alerts fail, once, and how many were lost when they arrive again."""
        name, before = self._target.name, self.failing
        if problem and before is None:
            self.failing = LostAlerts(name, time(), 1, problem)
            self._report(f"alerts to {name} are failing (reported once): {problem}", "warning")
        elif before is not None and problem:
            self.failing = structs.replace(before, lost=before.lost + 1)
        elif before is not None:
            self.failing = None
            self._report(f"alerts to {name} arrive again; {before.lost} were lost", "info")

    def _sent(self, ticket: Ticket, more: int) -> str:
        """Why the alert was not sent, "" where it was."""
        try:
            title, body = _text(ticket, more, self._target, self._inspect)
            url = None if self._target.url is None else self._target.url()
        except (CredentialError, InspectionError) as problem:
            return str(problem)
        return told(url, title, body, self._seconds)


def _text(ticket: Ticket, more: int, target: NotifyTarget, inspect: Callable[[str], str]) -> tuple[str, str]:
    """The title and the body."""
    option = target.option()

    def tame(text: str) -> str:
        line = _line(inspect(text)).replace("://", ":/ /")
        return _cut(_MARKUP.sub("?", line), _MOST_FIELD)

    lines = [
        tame(ticket.summary),
        f"by {tame(ticket.principal)}" + (f" with {tame(ticket.acting)}" if ticket.acting else ""),
        f"asked by {tame(', '.join(ticket.rules))}: {_cut(_line(inspect(ticket.message)), _MOST_MESSAGE)}",
    ]
    # It may be read late.
    lines.append(f"asked at {utc(ticket.created)}; an approval is valid until {utc(ticket.expires)}")
    if target.arguments:
        lines += [f"{tame(name)}: {tame(value)}" for name, value in _shown(ticket)]
    commands = []
    if "terminal" in ticket.terms.via:
        commands.append(f"mcpguard approve {ticket.id}{option}")
    if "console" in ticket.terms.via:
        commands.append(f"mcpguard console{option} (ticket {ticket.id})")
    lines.append(" or ".join(commands))
    if more:
        lines.append(f"{more} more {'call waits' if more == 1 else 'calls wait'}: mcpguard approvals{option}")
    return "mcpguard: a call waits for your approval", inspect("\n".join(lines))


def _shown(ticket: Ticket) -> Iterator[tuple[str, str]]:
    args = json.loads(ticket.shown)
    for name in ticket.terms.show[:_MOST_SHOWN]:
        if name in args:
            yield name, json.dumps(args[name], ensure_ascii=False)


def _line(text: str) -> str:
    return " ".join(plain(" ".join(text.split())).split())


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


# --- ways to send ---------------------------------------------------------------------------------


def told(url: Secret | None, title: str, body: str, seconds: float) -> str:
    """Send a text of our own by apprise, or to the desktop where `url` is None; gives why not, "" for sent.
    May block for `seconds`."""
    try:
        if url is None:
            return _on_desktop(title, body, seconds)
        return _by_apprise(url.reveal(), title, body, seconds)
    except OSError as problem:
        return f"the program that sends them cannot be started: {failure_of(problem)}"
    except subprocess.TimeoutExpired:
        return f"sending one took longer than {seconds:g} seconds"


def by_command(words: list[str], given: bytes, seconds: float) -> str:
    """Run a program, which gets `given` (no more than a pipe holds) on its standard input; gives why that
    failed, "" where it ended with 0. May block for `seconds`."""
    environment = _environment()
    path = found(words[0], environment.get("PATH"))
    if path is None:
        return f"`{words[0]}` {lack_of(words[0], environment.get('PATH'))}"
    shell = "/bin/sh", "-c", 'pipe=$0; exec "$@" </dev/fd/$pipe'
    try:
        status = _status(lambda pipe: [*shell, pipe, path, *words[1:]], environment, seconds, given)
    except OSError as problem:
        return f"it cannot be started: {failure_of(problem)}"
    except subprocess.TimeoutExpired:
        return f"it took longer than {seconds:g} seconds"
    return f"it ended with status {status}" if status else ""


def _on_desktop(title: str, body: str, seconds: float) -> str:
    environment, mac = _environment(), sys.platform == "darwin"
    program = "osascript" if mac else "notify-send"
    path = found(program, environment.get("PATH"))
    if path is None:
        return f"`{program}` was not found; on Linux it belongs to libnotify"
    # The bodies of notify-send are markup (Desktop Notifications Specification, 1.2).
    words = (*_OSASCRIPT, title, body) if mac else ("--app-name=mcpguard", "--", title, escape(body, False))
    status = _status(lambda _pipe: [path, *words], environment, seconds)
    return f"`{program}` ended with status {status}" if status else ""


def _by_apprise(url: str, title: str, body: str, seconds: float) -> str:
    if len(url) > _MOST_URL:
        return f"its URL is longer than {_MOST_URL} characters"
    # By a pipe: an argv or an environment can be read by other programs. It holds more than all of this.
    words = sys.executable, "-I", apprise_child.__file__
    given = json.dumps([url, title, body]).encode()
    status = _status(lambda pipe: [*words, pipe], _environment(), seconds, given)
    known = {
        apprise_child.SENT: "",
        apprise_child.MISSING: f"the package `apprise` is missing: run `{command_for_extra('notify')}`",
        apprise_child.UNKNOWN: "it is not a URL that apprise knows",
    }
    return known.get(status, "the service did not accept it")


def _status(
    words: Callable[[str], list[str]], environment: dict[str, str], seconds: float, given: bytes = b""
) -> int:
    """What a program ends with; `words(FD)` are its words, with the descriptor of a pipe that has `given`."""
    reading, writing = os.pipe()
    try:
        with open(writing, "wb") as pipe:
            pipe.write(given)
        process = start(words(str(reading)), environment, "mcpguard-alert", subprocess.DEVNULL, (reading,))
    finally:
        os.close(reading)
    try:
        return process.wait(seconds)
    finally:
        end(process)


def _environment() -> dict[str, str]:
    environment = {name: os.environ[name] for name in _TOLD if name in os.environ}
    # A client may start us without it, and the bus of the desktop is found by it (XDG Base Directory).
    place = f"/run/user/{os.getuid()}"
    if "XDG_RUNTIME_DIR" not in environment and os.path.isdir(place):
        environment["XDG_RUNTIME_DIR"] = place
    return environment
