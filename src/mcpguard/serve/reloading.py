"""Changes while mcpguard serves: its policies, and the configuration itself.

Law of this file: a changed configuration is applied as a whole or not at all. Everything that can fail is
done before the first change, and in a thread, since it is slow and nobody may wait for it (law 8); no message
of a client is handled between the first change and the last. A change that is not in force is reported on
standard error, in the status file and in evidence (law 13). An observation ends once, by the wall clock or
by the monotonic clock, whichever comes first, so that setting the clock back does not restart it.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial

from msgspec import structs

from mcpguard.adapters.system.disk import HOLD_SECONDS, DiskThread
from mcpguard.adapters.telemetry.status_file import NotInForce
from mcpguard.config.loading import Config, Server
from mcpguard.config.policies import load_policies
from mcpguard.core.errors import DocumentError
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.terms import Observation
from mcpguard.core.redaction.redactor import OPT_IN
from mcpguard.gateway.ports import Clock
from mcpguard.serve.file_watch import SETTLE_SECONDS, FileWatch, in_thread
from mcpguard.serve.settings import Settings
from mcpguard.serve.worlds import Shared, World

_LONG = (
    "tools and prompts are listed as SERVER__NAME from now on, since there are several servers; a name "
    "without its server is understood where only one of them has it"
)
_SHORT = (
    "tools and prompts are listed without their server to clients that connect from now on, since there is "
    "only one; SERVER__NAME is still understood"
)
_KEPT = {
    "agent": "agent",
    "audit": "audit",
    "session_folder": "session.path",
    "session_postgres": "session.postgres",
    "prefix": "clients.prefix",
}
"""The parts of a configuration that stay as they were while mcpguard runs, by the keys in the file."""
_APPLIED = {
    "servers": "servers",
    "credentials": "credentials",
    "policies": "policies",
    "limits": "limits",
    "session_idle_seconds": "session.idle_seconds",
    "approvals": "approvals",
    "observe": "observe",
    "telemetry": "telemetry",
    "alerts": "alerts",
}
"""Those that can be changed."""
_LATE = (
    f"reading the files of the configuration and the policies has taken more than {HOLD_SECONDS:g} seconds "
    "so far: the current version stays in force, and changes are noticed once they have been read"
)
_UNSETTLED = (
    f"the files of {{}} have been changing for more than {SETTLE_SECONDS:g} seconds, even while they were "
    "read: the current version stays in force until they stop changing"
)
_RESTORED = {
    "configuration": "the configuration file matches what is in force again",
    "policies": "the policy files match what is in force again",
}


class Reloading:
    """Keeps what is in force as the files are, as far as that is possible."""

    def __init__(
        self,
        shared: Shared,
        worlds: Callable[[], Iterable[World]],
        over_http: bool,
        told: Callable[[], None],
        export: Callable[[Settings], None],
    ) -> None:
        """`worlds()` gives those that are open; `told()` is called when what `mcpguard status` shows changes;
        `export` exports evidence as settings say."""
        self.not_in_force: NotInForce | None = None
        """What of the files is not in force, and why; None where all of it is."""
        self._late = ""
        """Why a change of the files may not be noticed; "" for nothing."""
        self._unsettled: set[str] = set()
        """What is not loaded because its files change all the time: the configuration, the policies."""
        shared.needs.warned["policies"][:0] = [self._said_not_in_force, lambda: self._late, self._changing]
        self.loaded = time.time()
        """When what is in force was read, in seconds since 1970."""
        self._shared = shared
        self._worlds = worlds
        self._over_http = over_http
        self._told = told
        self._export = export
        self._were_alone = {_alone(shared.settings.config)} - {""}
        """Without a prefix a name must not pass from one server to another."""
        self._thread = DiskThread("mcpguard-reload")
        # One after another: what was read later is in force later.
        self._beside = in_thread(self._thread, asyncio.get_running_loop())
        self._observing: Observing | None = None
        self._passed: datetime | None = None
        """The end of the last observation that is over, which none comes back from."""
        self._config = self._watched_config()
        self._policies = self._watched_policies()
        self._observe(shared.settings.config.observe)

    def close(self) -> None:
        self._thread.end()
        self._policies.close()
        if self._observing is not None:
            self._observing.close()
        if self._config is not None:
            self._config.close()

    def now(self) -> None:
        """Read everything again, whether it looks changed or not."""
        report = self._shared.diagnostics.report
        report("", "asked to read the configuration and the policies again", "info")
        if self._config is None:
            self._policies.now(_nothing)
        else:
            self._config.now(self._policies_too)

    def _policies_too(self) -> None:
        """Where the configuration is not in force, the policies may be."""
        if self.not_in_force is not None:
            self._policies.now(_nothing)

    def _waits(self, seconds: float) -> None:
        """Say that a change of the files is not noticed while they do not answer, and when they do."""
        late = seconds >= HOLD_SECONDS
        if late != bool(self._late):
            self._late = _LATE if late else ""
            said = self._late or "the files of the configuration and the policies can be read again"
            self._shared.diagnostics.report("", said, "warning" if late else "info")
            self._told()

    def _settles(self, what: str, late: bool) -> None:
        """Say that a change is not in force since the files never look the same, and when it is over."""
        self._unsettled = self._unsettled | {what} if late else self._unsettled - {what}
        said = _UNSETTLED.format(what) if late else f"the files of {what} can be read as a whole again"
        self._shared.diagnostics.report("", said, "warning" if late else "info")
        self._told()

    def _changing(self) -> str:
        return "; ".join([_UNSETTLED.format(what) for what in sorted(self._unsettled)])

    # --- the configuration -----------------------------------------------------------------------

    def _watched_config(self) -> FileWatch[Settings] | None:
        settings, clock = self._shared.settings, self._shared.clock
        if settings.reload is None:
            return None
        look = settings.config_look
        changed, refused = self._reconfigured, self._not_reconfigured
        path, beside, waits = settings.config.path, self._beside, self._waits
        unsettled = partial(self._settles, "the configuration")
        return FileWatch([path], look, settings.reload, clock, changed, refused, beside, waits, unsettled)

    def _reconfigured(self, settings: Settings) -> None:
        shared, old, new = self._shared, self._shared.settings.config, settings.config
        kept = self._kept(old, new)
        if kept:
            said = f"{', '.join(kept)} cannot change while mcpguard is running: restart it"
            self._refuse("restart", said)
            return
        changed = [key for field, key in _APPLIED.items() if getattr(old, field) != getattr(new, field)]
        self.loaded = time.time()
        self._were_alone |= {_alone(new)} - {""}
        before = shared.reconfigure(settings)
        self._observe(new.observe, before.observation)
        for world in self._worlds():
            world.reconfigure()
        self._export(settings)
        self._policies.close()
        self._policies = self._watched_policies()
        self._unsettled.discard("the policies")
        late = self.not_in_force
        self._in_force()
        if changed:
            said = ", ".join(changed)
            shared.note("configuration-reloaded", said)
            shared.diagnostics.report("", f"the changed configuration is now in force: {said}", "info")
            if new.prefix is None and (len(old.served) == 1) != (len(new.served) == 1):
                shared.diagnostics.report("", _SHORT if len(new.served) == 1 else _LONG, "info")
        elif late is not None and before.digest == settings.policies.digest:
            self._restored(late.what)
        self._announce(before)

    def _kept(self, old: Config, new: Config) -> list[str]:
        """What the new configuration would change that cannot be changed."""
        kept = [f"`{key}`" for field, key in _KEPT.items() if getattr(old, field) != getattr(new, field)]
        if old.limits.message_bytes != new.limits.message_bytes:
            kept.append("`limits.message_bytes`")
        alone = _alone(new)
        if alone and self._were_alone - {alone}:
            kept.append("the only server")
        if self._over_http and old.http != new.http:
            kept.append("`http`")
        return kept

    def _not_reconfigured(self, problems: DocumentError) -> None:
        self._refuse("refused", str(problems))

    def _refuse(self, state: str, why: str) -> None:
        """Say once of each change that nothing of it is in force."""
        shared = self._shared
        said = f"the changed configuration was not applied: {_in_a_line(why)}"
        shared.note("configuration-refused", _first(why))
        shared.diagnostics.report("", said)
        self.not_in_force = NotInForce("configuration", state, time.time(), _first(why))
        self._told()
        shared.turn.touch()

    def _in_force(self) -> None:
        self.not_in_force = None
        self._told()

    def _said_not_in_force(self) -> str:
        return "" if self.not_in_force is None else self.not_in_force.said

    def _restored(self, what: str) -> None:
        """What was not in force is gone from the files; nothing else would say so."""
        self._shared.diagnostics.report("", _RESTORED[what], "info")

    # --- the policies ----------------------------------------------------------------------------

    def _watched_policies(self) -> FileWatch[PolicySet]:
        shared, files = self._shared, self._shared.settings.config.policies
        return FileWatch(
            tuple(file.path for file in files),
            shared.settings.policy_look,
            lambda: load_policies(files, OPT_IN),
            shared.clock,
            self._reloaded,
            self._not_reloaded,
            self._beside,
            self._waits,
            partial(self._settles, "the policies"),
        )

    def _reloaded(self, policies: PolicySet) -> None:
        before = self._shared.judge.policies
        self._shared.judge.policies = policies.observing(before.observation)
        if self.not_in_force is not None and self.not_in_force.what == "policies":
            self._in_force()
            if before.digest == policies.digest:
                self._restored("policies")
        self._announce(before)

    def _announce(self, before: PolicySet) -> None:
        """Say that others than `before` are in force."""
        shared, policies = self._shared, self._shared.judge.policies
        if before.digest != policies.digest:
            said = f"{before.digest} -> {policies.digest}: {', '.join(policies.names)}"
            shared.note("policy-reloaded", said)
            told = f"changed policies are now in force: {', '.join(policies.names)}"
            shared.diagnostics.report("", told, "info")
        if before.digest != policies.digest or before.observation != policies.observation:
            for world in self._worlds():
                world.gateway.policies_changed(before)
        self._told()
        shared.turn.touch()

    def _not_reloaded(self, problems: DocumentError) -> None:
        shared = self._shared
        count = len(problems.problems)
        said = f"{'1 mistake' if count == 1 else f'{count} mistakes'}; the previous policies stay in force"
        shared.note("policy-refused", said)
        told = "the changed policies were not loaded, the previous ones stay in force"
        shared.diagnostics.report("", f"{told}: {_in_a_line(str(problems))}")
        late = self.not_in_force
        if late is None or late.what == "policies":
            since = time.time() if late is None else late.since
            self.not_in_force = NotInForce("policies", "refused", since, _first(str(problems)))
            self._told()
        shared.turn.touch()

    # --- policies that are only observed ---------------------------------------------------------

    def _observe(self, wanted: Observation | None, before: Observation | None = None) -> None:
        """From now on observe the policies so, as far as servers are served and it is not over."""
        shared = self._shared
        observation = _of_served(wanted, shared.settings.servers)
        on = None if observation is None or not self._is_on(observation) else observation
        shared.judge.policies = shared.judge.policies.observing(on)
        if on == before:
            return
        if self._observing is not None:
            self._observing.close()
            self._observing = None
        if on is not None:
            shared.note("policy-observed", on.said)
            self._observing = Observing(on, shared.clock, self._enforce)
        elif before is not None:
            shared.note("policy-enforced", before.said)
            shared.diagnostics.report("", over(before))

    def _is_on(self, observation: Observation) -> bool:
        """Whether it is on, which the operator is told."""
        now = self._shared.clock.now()
        passed = self._passed is not None and observation.end <= self._passed
        state = "over" if passed else observation.at(now)
        self._shared.diagnostics.report("", observation.reported(state))
        return state == "on"

    def _enforce(self) -> None:
        """The last day is over: policies are enforced for all servers."""
        shared, policies = self._shared, self._shared.judge.policies
        was = policies.observation
        assert was is not None  # noqa: S101 - its end was waited for
        self._passed = was.end
        self._observe(None, was)
        # As it was shown until now.
        until_now = structs.replace(was, end=shared.clock.now() + timedelta(days=1))
        self._announce(policies.observing(until_now))
        self._told()


def _nothing() -> None:
    """Nothing follows."""


def _of_served(wanted: Observation | None, servers: Iterable[Server]) -> Observation | None:
    """As far as it is for these servers."""
    names = frozenset() if wanted is None else wanted.servers & {server.name for server in servers}
    return structs.replace(wanted, servers=names) if wanted is not None and names else None


def _alone(config: Config) -> str:
    """The server whose tools have no prefix, since there is no other; "" for none."""
    served = [*config.served]
    return served[0] if config.prefix is None and len(served) == 1 else ""


def _in_a_line(problems: str) -> str:
    """Each problem without its excerpt, whose mark points nowhere in one line."""
    return "; ".join(line for line in problems.splitlines() if not line.startswith("  "))


def _first(text: str) -> str:
    """What fits into one line: an excerpt of a file may hold anything."""
    return text.partition("\n")[0]


LOOK_SECONDS = 60.0
"""How long a clock that was set forward goes unnoticed here; decisions notice it at once."""


class Observing:
    """Waits for the end of an observation that is on, until it is closed."""

    def __init__(self, observation: Observation, clock: Clock, ended: Callable[[], None]) -> None:
        """`ended()` is called once."""
        self._observation = observation
        self._clock = clock
        self._ended = ended
        self._deadline = clock.seconds() + self._left_by_clock()
        self._stop: Callable[[], None] = lambda: None
        self._again()

    def close(self) -> None:
        self._stop()

    def _again(self) -> None:
        left = min(self._left_by_clock(), self._deadline - self._clock.seconds())
        if left > 0:
            self._stop = self._clock.later(min(left, LOOK_SECONDS), self._again)
        else:
            self._ended()

    def _left_by_clock(self) -> float:
        return (self._observation.end - self._clock.now()).total_seconds()


def over(observation: Observation) -> str:
    """What the operator reads when it is over."""
    return f"policies are enforced from now on for {', '.join(sorted(observation.servers))}"
