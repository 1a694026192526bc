"""Notifications of an upstream: inspected, recorded if something was removed, and passed on to the clients
that want them."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from mcpguard.core.errors import AuditError, InspectionError, McpGuardError
from mcpguard.core.model import Caller, Json, Redacted
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.redaction.redactor import AT_ONCE, TooMuchAtOnce
from mcpguard.gateway.flight import Flight, Wait
from mcpguard.gateway.inspection.handles import usable
from mcpguard.gateway.inspection.inspector import EMPTY
from mcpguard.gateway.lists.listing import Listing
from mcpguard.gateway.lists.subscriptions import LISTS, Subscriptions
from mcpguard.gateway.ports import RawAnswer, RequestId
from mcpguard.gateway.questions.relayed import Questions
from mcpguard.gateway.recorder import finding_counts
from mcpguard.gateway.scope import ClientScope, Request
from mcpguard.gateway.tasks import Tasks
from mcpguard.protocol import eras, origins
from mcpguard.protocol.catalogue import KINDS, Kind
from mcpguard.protocol.methods import FROM_UPSTREAM, Treatment

_WAITING_BYTES = 4096
"""What a notification counts for that waits for others or for its session, so that a flood is not read."""

RELIST_SECONDS = 1.0
"""How often a list that an upstream says has changed is fetched, at most."""


class Notices:
    """Nothing is passed on to a legacy client before it has initialized."""

    def __init__(
        self,
        scope: ClientScope,
        listing: Listing,
        subscriptions: Subscriptions,
        tasks: Tasks,
        questions: Questions,
        client: Callable[[], Caller | None],
    ) -> None:
        """`client()` is a legacy client that has initialized, a modern one, or None before both."""
        self._scope = scope
        self._listing = listing
        self._subscriptions = subscriptions
        self._tasks = tasks
        self._questions = questions
        self._client = client
        listing.changed = self._listed_anew
        listing.failed = self._failed
        self.level: str | None = None
        """The level of log messages that a legacy client has set."""
        self._relisting: dict[tuple[str, str], bool] = {}
        self._relisted_at: dict[tuple[str, str], float] = {}
        self._unsaid: dict[str, Wait[None]] = {}
        """The newest of what each server said that is inspected elsewhere: what it says next comes later."""

    def notified(
        self, server: str, method: str, params: dict[str, Json], related: Wait[RawAnswer] | None = None
    ) -> None:
        """Take a notification of `server` that is not progress."""
        row, client = FROM_UPSTREAM.get(method), self._client()
        if row is None or client is None:
            return
        if row.treatment is Treatment.RELISTED:
            self._relist(server, method, client)
        elif row.treatment is Treatment.SUBSCRIBED:
            for request_id in self._subscriptions.interested(server, method, params):
                self._pass_on(server, method, self._subscriptions.tagged(request_id, params), request_id)
        elif row.treatment is Treatment.INSPECTED:
            self._inspected(server, method, params, related, client)

    def renewed(self, server: str) -> None:
        """List again what `server` had listed before it was restarted, and report what has changed."""
        client = self._client()
        if client is not None:
            for method in LISTS:
                Flight(self._compared(server, method, client))

    async def _compared(self, server: str, method: str, client: Caller) -> None:
        key, announced = (server, method.split("/")[1]), self._listing.announced
        read = Wait[None]()
        announced.setdefault(key, read)
        try:
            if await self._listing.fetching.has_changed(*key, client):
                self._tell_changed(server, method, client)
        finally:
            read.set(None)
            if announced.get(key) is read:
                del announced[key]

    def _listed_anew(self, server: str, kind: Kind, client: Caller) -> None:
        self._tell_changed(server, f"notifications/{kind.capability}/list_changed", client)

    def policies_changed(self, before: PolicySet) -> None:
        """Announce each list that shows other things than under the policies `before`, and end what is not
        allowed any more."""
        Flight(self._subscriptions.review())
        client = self._client()
        if client is None:
            return
        for server in self._scope.servers:
            changed = [kind for kind in KINDS.values() if self._listing.differs(server, kind, before)]
            for capability in sorted({kind.capability for kind in changed}):
                self._tell_changed(server, f"notifications/{capability}/list_changed", client)

    def _failed(self, server: str, problem: str, client: Caller, related: RequestId | None) -> None:
        """Tell the client's user, as a log message of ours (server/utilities/logging), if that is wanted."""
        params = {"level": "error", "logger": origins.OURS, "data": problem}
        if _reaches("error", client.log_level if client.modern else self.level):
            self._pass_on(server, "notifications/message", params, related)

    def reconfigured(self) -> None:
        """Other servers than before: every list may be another one."""
        client = self._client()
        if client is not None:
            for method in LISTS:
                self._tell_changed("", method, client)

    def parted(self, related: Wait[RawAnswer] | None) -> None:
        """Let the client come back for the answer, as the upstream lets us."""
        request = None if related is None else self._request_of("", related)
        if request is not None:
            Flight(self._part(request.id))

    async def _part(self, request_id: RequestId) -> None:
        with suppress(AuditError):
            await self._scope.settled()
            self._scope.client.part(request_id)

    def progress_of(self, request: Request) -> Callable[[Json], None]:
        """What takes the progress of `request`, whose client wants to know about it."""

        def progress(params: Json) -> None:
            if request.progress_token is None or self._scope.requests.get(request.id) is not request:
                return  # Its client has an answer that asks first, and waits for nothing now.
            shown = {**params, "progressToken": request.progress_token}
            first = [request] if type(params.get("message")) is str else []
            self._pass_on(request.server, "notifications/progress", shown, request.id, request.redact, first)

        return progress

    def _request_of(self, server: str, related: Wait[RawAnswer] | None) -> Request | None:
        """The request that something `server` says is about; where that is not stated, the oldest of a modern
        client, and over HTTP the only one: another may be that of another agent."""
        requests = self._scope.requests.values()
        if related is not None:
            return next((one for one in requests if one.wait is related), None)
        about = [one for one in requests if one.server == server and one.caller.modern]
        return about[0] if about and (len(about) == 1 or about[0].headers is None) else None

    def _inspected(
        self,
        server: str,
        method: str,
        params: dict[str, Json],
        related: Wait[RawAnswer] | None,
        client: Caller,
    ) -> None:
        request = self._request_of(server, related)
        if method == "notifications/tasks/status" and not self._tasks.owned(server, params.get("taskId")):
            return
        if method == "notifications/elicitation/complete" and not self._questions.asked_to_visit(
            server, params.get("elicitationId")
        ):
            return  # Only who asked for a visit can say that it is over.
        if client.modern and (request is None or not _reaches(params.get("level"), request.caller.log_level)):
            return  # Revision 2026-07-28, server/utilities/logging: only for a request that asked for it.
        redact = self._scope.redact_of(server, related) + self._tasks.redact_of(params.get("taskId"))
        if method == "notifications/message":
            params = origins.log_message(server, params, self._scope.several)
        about = self._scope.about(server, related)
        self._pass_on(server, method, params, None if request is None else request.id, redact, about)

    def _relist(self, server: str, method: str, client: Caller) -> None:
        """List it again, one at a time: changes that arrive before that begins count as one."""
        key, announced = (server, method), self._listing.announced
        idle = key not in self._relisting
        if not self._relisting.get(key):
            announced[server, method.split("/")[1]] = Wait()
        self._relisting[key] = True
        if idle:
            Flight(self._relisted(server, method, client))

    async def _relisted(self, server: str, method: str, client: Caller) -> None:
        key, announced = (server, method), self._listing.announced
        word = method.split("/")[1]
        kinds = [kind for kind in KINDS.values() if kind.capability == word]
        try:
            while self._relisting[key]:
                await self._scope.pause(self._relist_in(key))
                self._relisting[key], read = False, announced[server, word]
                for kind in kinds:
                    try:
                        await self._listing.fetching.refresh_anew(server, kind, client)
                    except McpGuardError as problem:
                        self._scope.report(server, str(problem))
                self._tell_changed(server, method, client)
                read.set(None)
        finally:
            del self._relisting[key]
            announced.pop((server, word)).set(None)

    def _relist_in(self, key: tuple[str, str]) -> float:
        """Seconds until this list may be fetched again: a flood of changes is not one of fetches."""
        now, last = self._scope.clock.seconds(), self._relisted_at.get(key)
        pause = 0.0 if last is None else max(0.0, last + RELIST_SECONDS - now)
        self._relisted_at[key] = now + pause
        return pause

    def _tell_changed(self, server: str, method: str, client: Caller) -> None:
        if not client.modern:
            self._scope.client.notify(method, EMPTY)
            return
        for request_id in self._subscriptions.interested(server, method, {}):
            self._pass_on(server, method, self._subscriptions.tagged(request_id, {}), request_id)

    def _pass_on(
        self,
        server: str,
        method: str,
        params: dict[str, Json],
        related: RequestId | None,
        redact: tuple[str, ...] = (),
        about: Sequence[Request] = (),
    ) -> None:
        """Pass it on, behind what this server said before, and behind the labels of the requests that it is
        `about`."""
        inspector, before = self._scope.inspector, self._unsaid.get(server)
        unlabelled = [one for one in about if one.policies.reviewing and not one.foretold]
        found: Redacted | InspectionError | None = None
        size = 0
        try:
            found = inspector.redactor.inspect(params, redact, AT_ONCE)
            if found.changed:
                found = self._aliased(server, params, redact, found)
        except InspectionError as problem:
            found = problem
        except TooMuchAtOnce as much:
            size = max(much.args, default=0)
        if found is not None and before is None and not unlabelled:
            self._leave(server, method, found, related)
            return
        said = self._unsaid[server] = Wait[None]()

        async def later() -> None:
            try:
                inspected = found or await self._elsewhere(params, redact, size, server)
                with inspector.kept(_WAITING_BYTES, server):
                    if before is not None:
                        await before
                    try:
                        await self._scope.foresee(unlabelled)
                    except InspectionError as problem:
                        inspected = problem
                self._leave(server, method, inspected, related)
            finally:
                if self._unsaid.get(server) is said:
                    del self._unsaid[server]
                said.set(None)

        Flight(later())

    async def _elsewhere(
        self, params: dict[str, Json], redact: tuple[str, ...], size: int, server: str
    ) -> Redacted | InspectionError:
        inspector = self._scope.inspector
        then = partial(self._aliased, server, params, redact)
        try:
            return (
                await inspector.elsewhere(partial(inspector.seal_now, params, redact, then), size, server)
            )[0]
        except InspectionError as problem:
            return problem

    def _aliased(
        self, server: str, params: dict[str, Json], redact: tuple[str, ...], found: Redacted
    ) -> Redacted:
        scope = self._scope
        return usable(scope.handles, server, scope.inspector.redactor, params, redact, found)

    def _leave(
        self, server: str, method: str, found: Redacted | InspectionError, related: RequestId | None
    ) -> None:
        scope = self._scope
        if isinstance(found, InspectionError):
            scope.audit.write(scope.recorder.noticed("notification-withheld", server, str(found)))
            return
        if found.findings or found.neutralised:
            what = "notification-redacted" if found.findings else "notification-neutralised"
            counts, hidden = finding_counts(found.findings), dict(found.neutralised)
            scope.audit.write(scope.recorder.noticed(what, server, method, counts, hidden))
        Flight(self._deliver(method, found, related))

    async def _deliver(self, method: str, inspected: Redacted, related: RequestId | None) -> None:
        try:
            # Behind the answers that wait for their records, so that nothing overtakes them.
            await self._scope.settled()
        except AuditError:
            return  # Nothing leaves without its record.
        self._scope.client.notify(method, inspected, related)


def _reaches(level: Json, wanted: str | None) -> bool:
    """Whether a message of that level is for somebody who wants this one; unknown ones are for nobody."""
    levels = eras.LEVELS
    return level in levels and wanted in levels and levels.index(level) >= levels.index(wanted)
