"""A real `mcpguard console` at a terminal of its own, and a headless Chromium that looks at it."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from tests.wire.session import DEADLINE, ready

WAIT_MS = 10_000
NAMES = ("chromium-headless-shell", "chromium")
"""The shell has no windows, and takes half of the processor time."""
MISSING = "Chromium is missing: install it (Debian: apt-get install chromium-headless-shell), or leave these out (-m 'not browser')"


class Terminal:
    """A console process and what is printed at its terminal."""

    def __init__(self, config: Path, *words: str) -> None:
        self.controller, its_side = pty.openpty()
        command = [
            sys.executable,
            "-m",
            "mcpguard",
            "console",
            "--config",
            str(config),
            "--no-browser",
            *words,
        ]
        self.process = subprocess.Popen(
            command, stdin=its_side, stdout=its_side, stderr=its_side, start_new_session=True
        )
        os.close(its_side)
        self.seen = ""

    def read(self, pattern: str) -> re.Match[str]:
        """Wait until this is printed, and take everything up to it."""
        end = time.monotonic() + DEADLINE
        while not (found := re.search(pattern, self.seen)):
            left = end - time.monotonic()
            assert left > 0, self.seen
            if ready([self.controller], [], left)[0]:
                self.seen += os.read(self.controller, 65536).decode()
        self.seen = self.seen[found.end() :]
        return found

    def link(self) -> str:
        """The link that was printed last."""
        return self.read(r"http://localhost:\d+/login\?key=[\w-]{43}\b")[0]

    def another_link(self) -> str:
        """Press Enter."""
        os.write(self.controller, b"\n")
        return self.link()

    def type(self, keys: bytes) -> None:
        os.write(self.controller, keys)

    def end(self) -> int:
        """As Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(2)
        code = self.process.wait(DEADLINE)
        os.close(self.controller)
        return code


def chromium(play: Any) -> Browser:
    """One for all tests of a run; a test fails, and is not skipped, where it is missing."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, MISSING
    flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    started: Browser = play.chromium.launch(executable_path=found, args=flags)
    return started


@contextmanager
def window(browser: Browser, **more: Any) -> Iterator[Page]:
    """A window without a past. Whatever its console says, or its policy forbids, fails the test."""
    context: BrowserContext = browser.new_context(viewport={"width": 1200, "height": 800}, **more)
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda one: said.append(f"{one.type}: {one.text}"))
    page.on("pageerror", lambda one: said.append(f"error: {one}"))
    page.on("request", lambda one: asked.append(one.url))
    yield page
    outside = [url for url in asked if not url.startswith("http://localhost:")]
    context.close()
    assert said == [], said
    assert outside == []


def logged_in(page: Page, terminal: Terminal, path: str = "") -> str:
    """By a new link; gives the address of all pages."""
    page.goto(terminal.another_link())
    page.wait_for_url(re.compile(r"http://localhost:\d+/[\w-]{22}/"))
    found = re.match(r"(http://localhost:\d+/[\w-]{22})/", page.url)
    assert found
    if path:
        page.goto(found[1] + path)
    return found[1]


class VirtualAuthenticator:
    """A device with passkeys, which a person confirms or not (Chrome DevTools Protocol, WebAuthn)."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        about = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self._id = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": about})[
            "authenticatorId"
        ]

    def confirms(self, yes: bool) -> None:
        """Whether the person shows who they are from now on."""
        about = {"authenticatorId": self._id, "isUserVerified": yes}
        self._session.send("WebAuthn.setUserVerified", about)


def authenticator(page: Page) -> VirtualAuthenticator:
    """One for this window."""
    return VirtualAuthenticator(page)
