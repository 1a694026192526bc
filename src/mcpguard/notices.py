"""What an upstream says outside of an answer: inspected, recorded where something was removed, passed on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from mcpguard.core.errors import InspectionError, McpGuardError
from mcpguard.core.model import Json
from mcpguard.core.redaction import authored
from mcpguard.flight import Flight
from mcpguard.inspection import Inspector
from mcpguard.ports import AuditSink, Client, RequestId
from mcpguard.protocol.methods import FROM_UPSTREAM, Treatment
from mcpguard.recorder import Recorder, finding_counts

EMPTY = authored({})


class Notices:
    """Nothing is passed on before `open` is set: a client hears nothing before it has initialized."""

    def __init__(
        self,
        inspector: Inspector,
        audit: AuditSink,
        recorder: Recorder,
        client: Client,
        refresh: Callable[[str], Coroutine[Any, Any, None]],
        report: Callable[[str, str], None],
    ) -> None:
        """`refresh(server)` lists it anew; `report(server, sentence)` tells the operator."""
        self.open = False
        self._inspector = inspector
        self._audit = audit
        self._recorder = recorder
        self._client = client
        self._refresh = refresh
        self._relisting: dict[str, bool] = {}
        self._report = report

    def notified(self, server: str, method: str, params: dict[str, Json]) -> None:
        """Take a notification of `server` that belongs to no request."""
        row = FROM_UPSTREAM.get(method)
        if row is None or not self.open:
            return
        if row.treatment is Treatment.RELISTED:
            self._relist(server, method)
        elif row.treatment is Treatment.INSPECTED:
            self._pass_on(server, method, params)

    def progress_to(self, token: RequestId | None) -> Callable[[Json], None] | None:
        """What takes the progress of a request whose client gave `token`; None if it gave none."""
        if token is None:
            return None

        def progress(params: Json) -> None:
            self._pass_on("", "notifications/progress", {**params, "progressToken": token})

        return progress

    def _relist(self, server: str, method: str) -> None:
        """List it anew, one after the other: changes that come meanwhile are one more change."""
        idle = server not in self._relisting
        self._relisting[server] = True
        if idle:
            Flight(self._relisted(server, method))

    async def _relisted(self, server: str, method: str) -> None:
        try:
            while self._relisting[server]:
                self._relisting[server] = False
                try:
                    await self._refresh(server)
                except McpGuardError as problem:
                    self._report(server, str(problem))
                self._client.notify(method, EMPTY)
        finally:
            del self._relisting[server]

    def _pass_on(self, server: str, method: str, params: dict[str, Json]) -> None:
        try:
            inspected, _digest = self._inspector.seal_now(params)
        except InspectionError as problem:
            self._audit.write(self._recorder.noticed("notification-withheld", server, str(problem)))
            return
        if inspected.findings:
            counts = finding_counts(inspected.findings)
            self._audit.write(self._recorder.noticed("notification-redacted", server, method, counts))
        # Behind the answers that wait for their records, so that nothing overtakes them.
        self._audit.settled().then(lambda _: self._client.notify(method, inspected))
