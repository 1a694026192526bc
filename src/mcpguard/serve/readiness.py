"""Whether requests can be served: what that needs, and what of it is missing.

Law of this file: a look never waits. What may wait for a disk or a service is asked in a thread, and nobody
is asked to unlock anything.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable

from msgspec import structs

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.adapters.credentials.broker import Broker
from mcpguard.adapters.credentials.keychain import is_unlocked
from mcpguard.adapters.store.state import SharedState
from mcpguard.adapters.system.clock import elapsed
from mcpguard.adapters.telemetry.diagnostics import Level
from mcpguard.gateway.ports import Need

LOOK_SECONDS = 4.0
"""How long the result of a thread counts; a look after that asks again."""
LATE_SECONDS = 5.0
"""What has not answered for this long is a problem."""
FORGET_SECONDS = 60.0
"""A keychain that was locked, and that cannot be asked, is taken to be usable again after this long: the next
request tries it."""

_SAID_HERE = ("store", "keychain")
"""The others say it themselves."""


class BlockingCheck:
    """A check that may block, so it runs in a thread, one at a time."""

    def __init__(self, ask: Callable[[], str], told: Callable[[], None], first: str = "") -> None:
        """`ask()` returns what is wrong, or ""; `told()` is called in the thread when the answer has changed,
        at the beginning from `first`."""
        self._ask = ask
        self._told = told
        self._answer = first
        self._asked_at = float("-inf")
        self._open = False

    def look(self) -> str:
        """The last answer, and ask again if that is old."""
        now = time.monotonic()
        if self._open:
            late = now - self._asked_at
            return f"it has not answered for {late:.0f} seconds" if late > LATE_SECONDS else self._answer
        if now - self._asked_at >= LOOK_SECONDS:
            self._open, self._asked_at = True, now
            threading.Thread(target=self._run, name="mcpguard-look", daemon=True).start()
        return self._answer

    def forget(self) -> None:
        """The last answer no longer counts."""
        self._answer = ""

    def _run(self) -> None:
        before = self._answer
        answer = "it could not be asked, because of a defect"
        try:
            answer = self._ask()
        finally:
            self._answer, self._open = answer, False
            if answer != before:
                self._told()


class ServingNeeds:
    """What serving needs, as it is now. `stopping` says why no new work is taken."""

    def __init__(
        self,
        audit: AuditFile,
        store: SharedState,
        credentials: Broker,
        report: Callable[[str, str, Level], None],
        changed: Callable[[], None],
        blocked: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`report("", line, level)` tells the operator when one is missing or there again; `changed()` is
        called, in any thread, when another look is due. `blocked()` says which sink stops serving and why,
        "" for none; None where no sink may."""
        self.also: dict[str, Callable[[], str]] = {}
        """Further needs, by their name; each gives what is wrong, "" for nothing, and says itself when that
        changes."""
        self.warned: defaultdict[str, list[Callable[[], str]]] = defaultdict(list)
        """What an operator should know of a need though it is met, by its name; each gives "" for nothing."""
        self.warned["serving"].append(lambda: credentials.warning)
        self.stopping = ""
        self.always = False
        """Whether the store is looked at though nothing has needed it yet."""
        self._audit = audit
        self._store = store
        self._unasked = store.failing
        """What is wrong with a store that has not been asked yet: nobody needs to be told."""
        self._told = set[str]()
        self._credentials = credentials
        self._report = report
        self._ask_store = BlockingCheck(store.problem, changed)
        self._failing = False
        self._changed = changed
        self._ask_keychain: BlockingCheck | None = None
        self._blocked = blocked
        looks = ("serving", "evidence", "policies", "store", "keychain")
        self._found = {name: Need(name, True, time.time()) for name in looks}

    def look(self) -> tuple[Need, ...]:
        """How each is now."""
        problems = {
            "serving": self.stopping,
            "evidence": self._audit.health.problem,
            "store": self._state(),
            "keychain": self._keychain(),
            **{name: problem() for name, problem in self.also.items()},
        }
        for name in self.also:
            self._found.setdefault(name, Need(name, True, time.time()))
        if (blocked := self._blocked()) is None:
            self._found.pop("telemetry", None)
        else:
            problems["telemetry"] = blocked
            self._found.setdefault("telemetry", Need("telemetry", True, time.time()))
        for name, warned in self.warned.items():
            warning = "; ".join([said for one in warned if (said := one())])
            self._found[name] = structs.replace(self._found[name], warning=warning)
        for name, problem in problems.items():
            before = self._found[name]
            if problem == before.problem:
                continue
            same = before.ok == (not problem)
            since = before.since if same else time.time()
            self._found[name] = Need(name, not problem, since, problem, before.warning)
            if (
                name in _SAID_HERE
                and bool(problem) != (name in self._told)
                and not (problem and problem == self._unasked)
            ):
                self._told ^= {name}
                said = f"not ready, {name}: {problem}" if problem else f"the {name} can be used again"
                self._report("", said, "error" if problem else "info")
        return tuple(self._found.values())

    def _state(self) -> str:
        store = self._store
        if not (store.in_use or self.always):
            return ""
        failing = store.failing  # Before the look, which may find that it can be written again.
        if self._failing and not failing:
            self._ask_store.forget()  # A change was stored since.
        self._failing = bool(failing)
        found = self._ask_store.look()
        if found:
            store.mend()
        return failing or found

    def _keychain(self) -> str:
        locked = self._credentials.unavailable.get("keyring")
        if locked is None:
            self._ask_keychain = None
            return ""
        problem, at = locked
        if self._ask_keychain is None:
            self._ask_keychain = BlockingCheck(
                lambda: "" if is_unlocked() else "locked", self._changed, "locked"
            )
        if self._ask_keychain.look() and elapsed() - at < FORGET_SECONDS:
            return problem
        self._credentials.unavailable.pop("keyring", None)
        return ""
