"""What all pages look at: the configuration, the store, the evidence, the policies, and who is there. One
poller notices changes for everybody, whatever the number of pages.

Law of this file: nothing is polled while nobody looks; who looks is told that something changed, not what.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Literal

import anyio
import anyio.to_thread

from mcpguard.adapters.system.identity import groups_of_user, operating_system_user
from mcpguard.adapters.telemetry.status_file import running
from mcpguard.config.loading import evidence_folder
from mcpguard.console.door import Visits
from mcpguard.console.evidence import Evidence
from mcpguard.console.rulebook import Rulebook
from mcpguard.core.errors import SessionError
from mcpguard.serve.interventions import store_of

if TYPE_CHECKING:
    from mcpguard.adapters.store.sqlite import SqliteStore
    from mcpguard.config.loading import Config

POLL_SECONDS = 0.3
MOST_LOOKING = 24
"""Streams of events at a time."""

Subject = Literal["tickets", "evidence", "sessions", "servers"]


class Watch:
    """Looks at the store, the evidence and the status files."""

    def __init__(self, store: SqliteStore, evidence: Evidence, lock: Lock) -> None:
        """`lock` is held while the evidence changes."""
        self._store = store
        self._evidence = evidence
        self._lock = lock
        self._last: dict[Subject, object] = {}
        self.counts: dict[str, int] = {"tickets": 0, "evidence": 0, "sessions": 0, "servers": 0}
        self.waiting = 0
        self._changed = anyio.Event()
        self.looking = 0
        self.closed = False
        self._one = anyio.Lock()
        self._looked = 0.0

    async def run(self) -> None:
        """Poll while somebody looks, until cancelled."""
        took = 0.0
        while True:
            # However much there is to read, most of the time is left to the pages.
            await anyio.sleep(max(POLL_SECONDS, 4 * took))
            if self.looking:
                began = time.monotonic()
                await self.look()
                took = time.monotonic() - began

    async def look(self) -> None:
        """Look now, unless that was done just now."""
        async with self._one:
            if time.monotonic() - self._looked < POLL_SECONDS / 2:
                return
            changed = await anyio.to_thread.run_sync(self._look)
            self._looked = time.monotonic()
        if changed:
            self._changed.set()
            self._changed = anyio.Event()

    @property
    def said(self) -> str:
        """What there was when it was looked at last: a number for each subject, and how many calls wait."""
        return " ".join(f"{name}={count}" for name, count in {**self.counts, "waiting": self.waiting}.items())

    async def wait(self) -> None:
        """Until something changes."""
        await self._changed.wait()

    def close(self) -> None:
        self.closed = True
        self._changed.set()

    def _look(self) -> bool:
        with self._lock:
            self._evidence.poll()
        looks: dict[Subject, Callable[[], object]] = {
            "tickets": self._waiting,
            "evidence": lambda: self._evidence.revision,
            "sessions": self._sessions,
            "servers": running,
        }
        changed = False
        for subject, look in looks.items():
            now = look()
            if now != self._last.get(subject):
                self._last[subject] = now
                self.counts[subject] += 1
                changed = True
        return changed

    def _waiting(self) -> object:
        try:
            ids = [one.id for one in self._store.waiting()]
            approved = [(one.id, one.uses) for one in self._store.approved()]
        except SessionError as problem:
            return str(problem)
        self.waiting = len(ids)
        return ids, approved

    def _sessions(self) -> object:
        try:
            return [(one.name, one.open, one.state) for one in self._store.known()]
        except SessionError as problem:
            return str(problem)


class Desk:
    """One console. `root` is the folder of all pages in the address."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.store = store_of(config)
        self.lock = Lock()
        """Held by who reads the evidence, or changes what is kept of it."""
        self.evidence = Evidence(evidence_folder(config))
        self.rulebook = Rulebook(config)
        self.watch = Watch(self.store, self.evidence, self.lock)
        self.visits = Visits(time.monotonic)
        # A cookie is sent to every port of a host. In a folder that nobody knows it goes to no other program.
        self.root = f"/{secrets.token_urlsafe(16)}"
        self.enrolling: dict[str, tuple[str, tuple[str, ...], bytes]] = {}
        """By visit, the passkey that it is making: whose, in which groups, and the challenge."""
        user = operating_system_user()
        self.person = f"{user.source}:{user.id}"
        """Who answers."""
        self.groups = groups_of_user()
