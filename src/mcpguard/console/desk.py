"""What all pages look at: the configuration, the store, the evidence, the policies as they are now, and who
is there. One poller notices changes for everybody, whatever the number of pages.

Law of this file: nothing is polled while nobody looks; who looks is told that something changed, not what.
"""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Literal

import anyio
import anyio.to_thread
from msgspec import Struct, structs

from mcpguard.adapters.store.state import SharedState
from mcpguard.adapters.system.clock import elapsed
from mcpguard.adapters.system.own_process import groups_of_user, operating_system_user
from mcpguard.adapters.telemetry.status_file import running
from mcpguard.config.loading import Config, evidence_folder, load_config
from mcpguard.config.policies import present
from mcpguard.console.access import Visits
from mcpguard.console.evidence import Evidence
from mcpguard.core.errors import McpGuardError, PolicyError, SessionError
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.terms import Effect
from mcpguard.core.redaction.redactor import OPT_IN
from mcpguard.serve.file_watch import look_at
from mcpguard.serve.interventions import TicketCheck, store_of


class SeenRule(Struct, frozen=True):
    """A rule: its condition as written, and where it stands; no `effect` for one that is not there any
    more."""

    name: str
    effect: Effect | None = None
    message: str = ""
    when: str = ""
    file: str = ""
    line: int = 0


class Rulebook:
    """The policies of a configuration, read again when a file of theirs has changed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stamp: object = None
        self._rules: dict[str, SeenRule] = {}
        self.policies: PolicySet | None = None
        """None where they cannot be read; `problem` says why."""
        self.problem = ""

    @property
    def digest(self) -> str:
        """Of the policies, as evidence has it; "" where they cannot be read."""
        return "" if self.policies is None else self.policies.digest

    @property
    def asking(self) -> str:
        """The same, as tickets have it."""
        return "" if self.policies is None else self.policies.asking

    def rules(self, names: tuple[str, ...]) -> list[SeenRule]:
        self.refresh()
        return [self._rules.get(name, SeenRule(name)) for name in names]

    def refresh(self) -> None:
        stamp = look_at(self._config.policy_paths)
        if stamp == self._stamp:
            return
        self._stamp, self._rules, self.problem = stamp, {}, ""
        try:
            compiled = [file.load(OPT_IN) for file in present(self._config.policies)]
            self.policies = PolicySet(compiled)
        except PolicyError as problem:
            self.policies, self.problem = None, str(problem)
            return
        for policy in compiled:
            for number, rule in enumerate(policy.rules):
                place = policy.document.problem(("rules", number, "id"), "")
                where = self._near(place.source)
                self._rules[rule.name] = SeenRule(
                    rule.name, rule.effect, rule.message, rule.written.when or "", where, place.line
                )

    def _near(self, file: str) -> str:
        """The file as seen from the configuration, where it is below that."""
        path, folder = Path(file), self._config.path.parent
        return str(path.relative_to(folder)) if path.is_relative_to(folder) else file


POLL_SECONDS = 0.3
MOST_LOOKING = 24
"""Streams of events at a time."""

Subject = Literal["tickets", "evidence", "sessions", "servers"]


class DeskWatch:
    """Looks at the store, the evidence and the status files."""

    def __init__(
        self, config: Path, store: SharedState, evidence: Evidence, lock: Lock, policies: Callable[[], object]
    ) -> None:
        """`config` is the file whose processes count; `lock` is held while the evidence changes; `policies`
        is what changes with them."""
        self._config = config.resolve()
        self._policies = policies
        self._store = store
        self._evidence = evidence
        self._lock = lock
        self._last: dict[Subject, object] = {}
        self.counts: dict[str, int] = {"tickets": 0, "evidence": 0, "sessions": 0, "servers": 0}
        self.waiting = 0
        self.held = 0
        """Definitions that are held back."""
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
            changed = await anyio.to_thread.run_sync(self._poll)
            self._looked = time.monotonic()
        if changed:
            self.wake()

    @property
    def said(self) -> str:
        """What there was when it was looked at last: a number for each subject, how many calls wait, and how
        many definitions are held."""
        found = {**self.counts, "waiting": self.waiting, "held": self.held}
        return " ".join(f"{name}={count}" for name, count in found.items())

    async def wait(self) -> None:
        """Until something changes, or somebody logs out."""
        await self._changed.wait()

    def wake(self) -> None:
        """End every `wait`. Called in the event loop."""
        self._changed.set()
        self._changed = anyio.Event()

    def close(self) -> None:
        self.closed = True
        self._changed.set()

    def _poll(self) -> bool:
        with self._lock:
            self._evidence.poll()
        looks: dict[Subject, Callable[[], object]] = {
            "tickets": self._waiting,
            "evidence": lambda: self._evidence.revision,
            "sessions": self._sessions,
            "servers": self._servers,
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
            since = self._store.waited_for()
            approved = [(one.id, one.uses) for one in self._store.approved()]
            unread = [one.id for one in self._store.unreadable()]
        except SessionError as problem:
            return str(problem)
        self.waiting = sum(one in since for one in ids)
        # What is in force says which of them are void.
        return ids, unread, since, approved, self._policies(), [one.in_force for one in running()]

    def _servers(self) -> object:
        found = running()
        mine = (one for one in found if one.config and Path(one.config).resolve() == self._config)
        self.held = max((sum(one.held.values()) for one in mine), default=0)
        return found

    def _sessions(self) -> object:
        try:
            return [(one.name, one.open, one.state) for one in self._store.known()]
        except SessionError as problem:
            return str(problem)


class Desk:
    """One console. `root` is the folder of all pages in the address."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._stamp = look_at([config.path])
        self.store = store_of(config)
        self.lock = Lock()
        """Held by whoever reads the evidence, or changes what is kept of it."""
        self.evidence = Evidence(evidence_folder(config))
        self.rulebook = Rulebook(config)
        self.watch = DeskWatch(
            config.path, self.store, self.evidence, self.lock, lambda: look_at(config.policy_paths)
        )
        self.visits = Visits(elapsed)
        # A cookie is sent to every port of a host. In a folder that nobody knows it goes to no other program.
        self.root = f"/{secrets.token_urlsafe(16)}"
        self.enrolling: dict[str, tuple[str, tuple[str, ...], bytes]] = {}
        """By visit, the passkey that it is making: whose, in which groups, and the challenge."""
        self.person = operating_system_user().text
        """Who answers."""
        self.groups = groups_of_user()

    def renew(self) -> None:
        """Take over `approvals` where the file of the configuration has changed, as the processes that serve
        do. A file that does not load changes nothing."""
        stamp = look_at([self.config.path])
        if stamp != self._stamp:
            self._stamp = stamp
            with suppress(McpGuardError):
                approvals = load_config(self.config.path).approvals
                self.config = structs.replace(self.config, approvals=approvals)

    def check(self) -> TicketCheck:
        """Says which tickets count for nothing by now."""
        self.rulebook.refresh()
        return TicketCheck(self.config, lambda: self.rulebook.asking)
