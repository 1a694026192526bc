"""A lane: a server's process with one set of credentials, and those before it that are not done yet.

Law of this file: a call is sent to a process only while the credentials that this was started with are those
that are in force; a process whose are not takes nothing more but what belongs to a task that was begun in
it, and ends when its calls and its tasks are over (law 3). What a process or an open call uses is renewed as
long as its source allows.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from msgspec import structs

from mcpguard.adapters.relay.background import Background
from mcpguard.adapters.relay.turn import Turn
from mcpguard.adapters.upstreams.process.environment import Environment
from mcpguard.adapters.upstreams.session.connecting import Inheritance
from mcpguard.adapters.upstreams.session.instance import Instance
from mcpguard.adapters.upstreams.session.open_requests import OpenRequest
from mcpguard.adapters.upstreams.supply import CredentialSupply, LeaseRenewal
from mcpguard.config.references import ENTRY
from mcpguard.core.errors import CredentialError
from mcpguard.core.model import Json
from mcpguard.core.secret import CredentialRef
from mcpguard.gateway.ports import Health
from mcpguard.protocol.eras import task_of, task_over, task_seconds

IDLE_SECONDS = 300.0
"""How long the process of a credential that a rule chose stays without a call, and any process for the sake
of a task that is over."""
KEEP_SECONDS = 3600.0
"""How long after its last call a process that has no idle time has its leases renewed."""
TASK_SECONDS = 3600.0
"""A task that was begun in it may run on for its own time, but no longer than this."""
MOST_TASKS = 10_000
"""Of one process; the oldest no longer keeps it alive."""
LEAST_SECONDS = 1.0
"""A process whose lease is over sooner has this long, so that starts do not follow one another at once."""
MOST_OLD = 4
"""Processes of one lane that may be waiting for the end of their calls and tasks; above it the oldest is
ended."""


MakeInstance = Callable[[Inheritance | None, Callable[[], None]], Instance]
"""Makes one that continues from a past and calls back when its state changes."""


class Lane:
    """The processes that have one credential, one of which takes calls."""

    def __init__(
        self,
        make: MakeInstance,
        turn: Turn,
        past: Inheritance | None = None,
        idle_seconds: float | None = None,
        supply: CredentialSupply | None = None,
        sent_with: Mapping[str, Iterable[CredentialRef]] | None = None,
        asks_again: bool = False,
    ) -> None:
        """`idle_seconds` is how long a process stays without a call, None for ever. `supply` renews what is
        in use. `sent_with` are the references that go with each request of a server with a `url`, by the
        credential that a rule chose for it. With `asks_again` a lease that is over may be followed by another
        one of the same value, so its process stays until the next call, which asks."""
        self._make = make
        self._turn = turn
        self._idle_seconds = idle_seconds
        self._asks_again = asks_again
        self._sent_with = {key: _leased(refs) for key, refs in (sent_with or {}).items()}
        self._renewal = None if supply is None else LeaseRenewal(supply, self._in_use)
        self._old: dict[Instance, asyncio.TimerHandle | None] = {}
        self._ending = Background("a process of a server could not be ended")
        self._background = Background("the credentials of a server could not be checked")
        self._waiting: list[OpenRequest] = []
        self._checking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.used = 0.0
        """When the last call was over, in seconds of the event loop."""
        self._ends: asyncio.TimerHandle | None = None
        self.instance = make(past, self._changed)
        """The one that takes calls."""
        self.instances = [self.instance]
        """All that may be alive, the one that takes calls first."""
        changing = () if self.instance.environment is None else self.instance.environment.changing
        self._lasting = _leased(changing)
        self.endless = not changing and idle_seconds is None and not any(self._sent_with.values())
        """Whether its process takes calls as long as mcpguard runs: nothing has to be found out first, or
        renewed."""

    @property
    def alive(self) -> bool:
        """Whether it has a process that takes calls, or is about to."""
        return self.instance.alive or bool(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether its process has nothing to do: no call, no task, no subscription."""
        instance = self.instance
        busy = instance.open or self._waiting or instance.past.memory.uris
        return instance.running and not busy and _of_tasks(instance) <= 0

    def rest(self) -> None:
        """End its process, which is idle, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._replace()

    def health(self, name: str) -> Health:
        """Its present state, under this name."""
        return structs.replace(self.instance.health, name=name)

    def send(self, call: OpenRequest) -> None:
        """Send a call, as soon as it is known that the process may have it."""
        instance = self.instance
        if (having := self._having_task(call)) is not None:
            self._give(call, having)
        elif self.endless or instance.environment is None or not instance.running:
            self._give(call)  # One that has to be started is started with what is in force then.
        elif self._checking is None and instance.environment.seen_in_force:
            self._give(call)
        else:
            self._waiting.append(call)
            if self._checking is None:
                self._checking = self._background.start(self._checked(instance, instance.environment))

    async def _checked(self, instance: Instance, environment: Environment) -> None:
        """Find out whether the credentials of `instance` are in force, for all calls that have come."""
        problem: CredentialError | None = None
        while self._waiting:
            calls, self._waiting = self._waiting, []
            try:
                if not await environment.in_force() and instance is self.instance:
                    self._replace()
            except CredentialError as lost:
                problem = lost
                if instance is self.instance:
                    self._replace()
            for call in [one for one in calls if not one.done]:
                if problem is not None:
                    call.fail(problem)
                else:
                    self._give(call)
            if instance is not self.instance or not self.instance.running:
                break
        self._checking = None
        waiting, self._waiting = self._waiting, []
        for call in [one for one in waiting if not one.done]:
            self.send(call)
        self._turn.touch()

    def _having_task(self, call: OpenRequest) -> Instance | None:
        """The process in which the task was begun that the call is about."""
        task_id = _task_id(call) if call.method.startswith("tasks/") else None
        return next((one for one in self.instances if task_id in one.tasks), None)

    def _give(self, call: OpenRequest, having: Instance | None = None) -> None:
        instance = having or self.instance
        if self._timer is not None and instance is self.instance:
            self._timer.cancel()
            self._timer = None
        if self.endless and not call.values:
            instance.take(call)
            return
        instance.open[call] = None
        instance.take(call)
        call.then(lambda _: self._over(instance, call))
        self._renew((*self._lasting, *self._sent(call)))

    def _over(self, instance: Instance, call: OpenRequest) -> None:
        del instance.open[call]
        self.used = asyncio.get_running_loop().time()
        if call.value is not None and type(body := call.value.body) is dict:
            _note_task(instance, call, body)
        if instance.open:
            return
        if instance in self._old:
            self._end_old(instance)
        elif instance is self.instance and self._idle_seconds is not None and self._timer is None:
            self._idle_later(self._idle_seconds)

    # --- renewing what is in use -----------------------------------------------------------------

    def _renew(self, refs: tuple[CredentialRef, ...]) -> None:
        if refs and self._renewal is not None:
            self._renewal.look(refs)

    def _in_use(self) -> tuple[CredentialRef, ...]:
        """The credentials that the process uses, and those of open calls."""
        calls = chain.from_iterable(instance.open for instance in self.instances)
        sent = chain.from_iterable(map(self._sent, calls))
        return tuple(dict.fromkeys((*(self._lasting if self._is_kept else ()), *sent)))

    def _sent(self, call: OpenRequest) -> tuple[CredentialRef, ...]:
        """Those that are sent with a call, or in it."""
        return (*self._sent_with.get(call.credential, ()), *_leased(call.values))

    @property
    def _is_kept(self) -> bool:
        """Whether its process is to stay as it is."""
        recent = asyncio.get_running_loop().time() - self.used < KEEP_SECONDS
        return self.instance.running and (recent or not self.idle)

    # --- the end of a process --------------------------------------------------------------------

    def _changed(self) -> None:
        """The state of the process has changed."""
        if self._ends is not None:
            self._ends.cancel()
            self._ends = None
        if self.instance.running:
            self.used = asyncio.get_running_loop().time()
            self._watch()
            self._renew(self._lasting)
        for old in list(self._old):
            self._end_old(old)

    def _watch(self) -> None:
        environment = self.instance.environment
        left = None if environment is None else environment.remaining
        if left is not None:
            self._ends = asyncio.get_running_loop().call_later(max(left, LEAST_SECONDS), self._lease_over)

    def _lease_over(self) -> None:
        environment = self.instance.environment
        left = None if environment is None else environment.remaining
        if left is not None and left > 0:
            self._watch()  # It was renewed.
        elif not self._asks_again or self.instance.past.memory.uris:
            if self.instance.open or _of_tasks(self.instance) > 0:
                self.instance.report_expired()
            self._replace()

    def _idle_later(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._idle)

    def _idle(self) -> None:
        self._timer = None
        left = _of_tasks(self.instance)
        if left > 0:
            self._idle_later(left)
        elif self.instance.running and not self.instance.past.memory.uris:
            self._replace()

    def _replace(self) -> None:
        """The process takes nothing more; another one is started when it is needed."""
        old = self.instance
        self.instance = self._make(old.past, self._changed)
        self._changed()
        if old.past.memory.uris:
            self.instance.ready()  # What was subscribed to goes on.
        self._old[old] = None
        self.instances.insert(0, self.instance)
        self._end_old(old)
        if len(self._old) > MOST_OLD:
            self._end(next(iter(self._old)))

    def _end_old(self, instance: Instance) -> None:
        """End an old process as soon as its calls and its tasks are over."""
        if instance.open or instance not in self._old:
            return
        if (timer := self._old[instance]) is not None:
            timer.cancel()
        left = _of_tasks(instance)
        if left > 0:
            later = asyncio.get_running_loop().call_later
            self._old[instance] = later(left, self._end_old, instance)
        else:
            self._end(instance)

    def _end(self, instance: Instance) -> None:
        timer = self._old.pop(instance)
        if timer is not None:
            timer.cancel()
        self.instances.remove(instance)
        self._ending.start(instance.close(True))

    async def close(self, gently: bool, why: str = "") -> None:
        """End every process of it; whoever waits for an answer gets `why`."""
        for timer in (self._timer, self._ends, *self._old.values()):
            if timer is not None:
                timer.cancel()
        await self._background.close()
        if self._renewal is not None:
            await self._renewal.close()
        instances, self._idle_seconds = list(self.instances), None
        self._old.clear()  # Nobody ends them once more, and more gently, when their calls are over.
        await asyncio.gather(*(one.close(gently, why) for one in instances), self._ending.over())


def _task_id(call: OpenRequest) -> Json:
    params = None if call.permit is None else call.permit.invocation.params
    return None if params is None else params.get("taskId")


def _note_task(instance: Instance, call: OpenRequest, body: dict[str, Json]) -> None:
    """Keep what the answer to a call says about a task of the process: until when it keeps the process."""
    now, tasks = asyncio.get_running_loop().time(), instance.tasks
    task = task_of(body) if call.method == "tools/call" else None
    if task is not None and type(task_id := task.get("taskId")) is str:
        if len(tasks) >= MOST_TASKS:
            del tasks[next(iter(tasks))]
        tasks[task_id] = now + min(task_seconds(body), TASK_SECONDS)
    elif type(known := _task_id(call)) is str and known in tasks and task_over(call.method, body):
        tasks[known] = min(tasks[known], now + IDLE_SECONDS)


def _of_tasks(instance: Instance) -> float:
    """How many seconds the tasks of the process still keep it."""
    now = asyncio.get_running_loop().time()
    return max(instance.tasks.values(), default=now) - now


def _leased(refs: Iterable[CredentialRef]) -> tuple[CredentialRef, ...]:
    """Those that may have a lease: entries of `credentials`."""
    return tuple(ref for ref in refs if ref.source == ENTRY)
