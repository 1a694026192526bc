"""One sink: evidence is read on from where the sink stopped, put into its format, and delivered.

Law of this file: what was not delivered stays to be read, however long that takes. A sink that is down costs
it alone, and is reported once.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from msgspec import structs

from mcpguard.adapters.telemetry import destinations
from mcpguard.adapters.telemetry.diagnostics import Level
from mcpguard.adapters.telemetry.evidence_events import CallJoiner, EvidenceEvent, single
from mcpguard.adapters.telemetry.formats import cef, csv_rows, ocsf, otlp
from mcpguard.core.errors import AuditError, TelemetryError
from mcpguard.gateway.ports import SinkState

MOST = 2_000
"""Lines that are read at once."""
LOOK_SECONDS = 1.0
"""How often the sink looks for new evidence."""
LEAST_PAUSE, MOST_PAUSE = 1.0, 60.0
"""Between two attempts at a sink that is down, in seconds."""
LATE_SECONDS = 30.0
"""A sink that has not answered for this long fails; a disk that hangs gives no error."""
MOST_AFTER = 600.0
"""How long a sink that asks for it is left alone, in seconds."""
IN_A_ROW = 10
"""After this many records are skipped in a row, without any accepted, the sink itself counts as failing."""
GIVEN_UP = timedelta(hours=1)
"""A call without an outcome for this long is exported as it is: its process was killed."""


class EvidenceLine(Protocol):
    """A line of a chain."""

    @property
    def file(self) -> str:
        """The name of the chain."""

    @property
    def data(self) -> bytes:
        """The line, its LF included."""


LineT = TypeVar("LineT", bound=EvidenceLine)


class EvidenceSource(Protocol[LineT]):
    """Evidence that is read on from where it was kept; `Following` of `adapters/audit` is one."""

    def begin(self) -> list[LineT] | None:
        """Take it; None where another process has it. Gives the lines that are still open."""

    def read(self, most: int) -> list[LineT]:
        """The next lines, the same ones until `keep`."""

    def origin(self, name: str) -> str:
        """The first chain of the process that wrote the chain `name`."""

    def lag(self) -> int:
        """How many bytes are unread."""

    def keep(self, lines: list[LineT], opened: Mapping[str, LineT]) -> None:
        """`lines` have arrived; `opened` are still open."""

    def publish_problem(self, problem: str) -> None:
        """Tell processes that have to wait why the sink fails; "" if it does not."""

    def published_problem(self) -> str:
        """What the process that exports to the sink has published."""

    def close(self) -> None:
        """Let another process continue."""


class Exporter(Generic[LineT]):
    """Exports to one sink. `report` takes a line for the operator, `changed` is called when `state`
    changes; both in the thread that calls `step`."""

    def __init__(
        self,
        to: str,
        form: str,
        source: EvidenceSource[LineT],
        sink: destinations.Destination[Any],
        host: str,
        report: Callable[[str, Level], None] = lambda _line, _level: None,
        changed: Callable[[SinkState], None] = lambda _state: None,
        since: datetime | None = None,
    ) -> None:
        """What was over before `since` is left out."""
        self.state = SinkState(destinations.shown(to), form)
        self._source = source
        self._sink = sink
        self._render = rendering(form, host)
        self._report = report
        self._changed = changed
        self._since = since
        self._joining: CallJoiner[LineT] | None = None
        self._most = MOST
        self._pause = LEAST_PAUSE
        self._skipped = 0
        """Batches that were skipped since the last one that was accepted."""
        self._is_kept = True
        """Whether the position of what was delivered is saved."""
        self._delivering: float | None = None
        """Since when the sink has been taking what it gets, None while it gets nothing."""
        self._ended = threading.Event()

    def run(self) -> None:
        """Export until `end` is called, and then what is still there."""
        while not self._ended.is_set():
            self._ended.wait(0.0 if self.step() else self._pause if self.state.since else LOOK_SECONDS)
        while not self.state.since and self.step():
            pass
        self.close()

    def close(self) -> None:
        self._source.close()
        self._sink.close()

    def end(self) -> None:
        """Have `run` return soon."""
        self._ended.set()

    def flush(self) -> None:
        """Deliver calls that have no outcome so far, as they are. Raises TelemetryError."""
        if self._joining is not None:
            wanted = self._rendered(self._joining.overdue(datetime.max.replace(tzinfo=UTC)))
            if wanted and self.state.format != "jsonl":
                self._sink.deliver(wanted)

    def look(self) -> None:
        """Say that the sink fails where it has not taken for long what it was given; from any thread."""
        since = self._delivering
        if since is not None and time.monotonic() - since > LATE_SECONDS and not self.state.since:
            problem = f"it has accepted nothing for {LATE_SECONDS:g} seconds"
            self._report(f"{self._named()} is failing (reported once): {problem}", "warning")
            self._is(since=time.time(), problem=problem)

    def step(self) -> bool:
        """Export what is there, at most `MOST` lines; whether to go on at once."""
        try:
            if not self._begun():
                self._tell_of_loss()
                return False
            lines = self._source.read(self._most)
            return self._export(lines)
        except TelemetryError as problem:
            self._failed(str(problem), problem.after)
        except AuditError as problem:
            self._tell_of_loss()
            self._failed(str(problem))
        except BrokenPipeError:
            raise  # Nobody reads the standard output any more.
        except OSError as problem:
            self._failed(f"the position of the export cannot be saved: {problem.strerror}")
        except Exception as defect:  # The thread goes on, so that a stopped export is noticed.
            self._failed(_defect(defect))
        return False

    def _tell_of_loss(self) -> None:
        """Have alerts say that this process cannot write evidence, though it cannot read any, or another
        process reads it: nobody else would. A target that takes no alert is tried again at the next step."""
        with suppress(TelemetryError):
            self._deliver([])

    def _begun(self) -> bool:
        if self._joining is None:
            lines = self._source.begin()
            if lines is None:
                problem = self._source.published_problem()
                since = (self.state.since or time.time()) if problem else 0.0
                self._is(standby=True, since=since, problem=problem)
                return False
            self._source.publish_problem("")
            self._is(standby=False)
            self._joining = CallJoiner(self._source.origin)
            for line in lines:
                self._joining.add(line.file, line.data, line)
        return True

    def _export(self, lines: list[LineT]) -> bool:
        assert self._joining is not None  # noqa: S101 - it has begun
        joining = self._joining.copy()
        wanted: list[Any] = []
        try:
            wanted = self._happened(joining, lines)
            self._deliver(wanted)
        except OSError:
            raise
        except Exception as error:  # One record must not end the export of all others.
            problem = (
                error if isinstance(error, TelemetryError) else TelemetryError(_defect(error), final=True)
            )
            if (problem.final or problem.slow) and len(lines) > 1:
                self._most = len(lines) // 2
                if problem.final:
                    return True  # One of them is at fault: find it.
            if not problem.final:
                raise problem from None
            self._skip(len(wanted), problem)
            self._keep(lines, joining)
        else:
            self._keep(lines if lines or wanted else None, joining)
            self._works(bool(wanted), self._source.lag() if lines else 0)
        return bool(lines)

    def _happened(self, joining: CallJoiner[LineT], lines: list[LineT]) -> list[Any]:
        """What the sink is given. Each event is rendered and dropped before the next one is read, which
        takes a quarter less of time than one after the other for all."""
        if self.state.format == "jsonl":
            since = self._since
            return [one for line in lines for one in _raw(line) if since is None or one[0].at >= since]
        if not lines:  # Else its outcome may be among what is still to be read.
            return self._rendered(joining.overdue(datetime.now(UTC) - GIVEN_UP))
        return self._rendered(one for line in lines for one in joining.add(line.file, line.data, line))

    def _rendered(self, happened: Iterable[EvidenceEvent]) -> list[Any]:
        return [self._render(one) for one in happened if self._since is None or one.at >= self._since]

    def _deliver(self, wanted: list[Any]) -> None:
        self._delivering = time.monotonic()
        try:
            # Alerts are also raised by the time.
            if refused := self._sink.deliver(wanted) if wanted or self.state.format == "alerts" else 0:
                self._refused(refused, "its answers say so")
        finally:
            self._delivering = None

    def _keep(self, lines: list[LineT] | None, joining: CallJoiner[LineT]) -> None:
        """Save the position after the delivered `lines`, None for none; save it again if that failed before.
        This process does not deliver them again, whether the position is saved or not."""
        self._joining = joining
        if lines is not None or not self._is_kept:
            self._is_kept = False
            self._source.keep(lines or [], joining.marks)
            self._is_kept = True

    def _works(self, accepted: bool, lag: int) -> None:
        if self.state.since:
            self._report(f"{self._named()} works again", "info")
        self._pause = LEAST_PAUSE
        if accepted:
            self._skipped, self._most = 0, min(2 * self._most, MOST)
        self._is(since=0.0, problem="", lag=lag)

    def _skip(self, count: int, problem: TelemetryError) -> None:
        """Leave out records that the sink rejects, unless it rejects everything."""
        if self._skipped >= IN_A_ROW:
            raise TelemetryError(f"it no longer accepts any record: {problem}", after=problem.after)
        self._skipped += 1
        self._refused(max(1, count), str(problem))

    def _refused(self, count: int, problem: str) -> None:
        if not self.state.refused:
            said = "some records were not accepted and are skipped (reported once)"
            self._report(f"{self._named()}: {said}: {problem}", "warning")
        self._is(refused=self.state.refused + count)

    def _failed(self, problem: str, after: float = 0.0) -> None:
        if self.state.since:
            self._pause = min(self._pause * 2, MOST_PAUSE)
        else:
            self._report(f"{self._named()} is failing (reported once): {problem}", "warning")
        self._pause = max(self._pause, min(after, MOST_AFTER))
        try:
            lag = self._source.lag()
        except AuditError:
            lag = self.state.lag
        self._is(since=self.state.since or time.time(), problem=problem, lag=lag)

    def _named(self) -> str:
        return "sending alerts" if self.state.format == "alerts" else f"export to {self.state.to}"

    def _is(self, **changes: Any) -> None:
        now = structs.replace(self.state, **changes)
        if now != self.state:
            if now.problem != self.state.problem and not now.standby:
                self._source.publish_problem(now.problem)
            self.state = now
            self._changed(now)


def _defect(error: Exception) -> str:
    return f"an internal error ({type(error).__name__})"


class LineFormat(NamedTuple):
    """A format with a line for each event, which `line(event, host)` gives on the machine of that name.
    `header` is the first line of a file."""

    media_type: str
    line: Callable[[EvidenceEvent, str], str]
    header: str = ""


LINES = {
    "jsonl": LineFormat("application/x-ndjson", lambda _one, _host: ""),
    "csv": LineFormat("text/csv", csv_rows.line, csv_rows.header()),
    "cef": LineFormat("text/plain", cef.line),
    "ocsf": LineFormat("application/x-ndjson", ocsf.line),
}
"""All but OTLP. The line of `jsonl` is that of the chain, and alerts need none."""


def rendering(form: str, host: str) -> Callable[[EvidenceEvent], Any]:
    """What makes of an event what a sink is given."""
    if form == "otlp":
        return otlp.signals
    line = LINES.get(form, LINES["jsonl"]).line
    return lambda one: (one, line(one, host))


def sink_of(
    to: str, form: str, host: str, headers: destinations.Headers = lambda: {}
) -> destinations.Destination[Any]:
    """Where a format goes. Raises TelemetryError."""
    if form == "otlp":
        return destinations.OtlpPoints(to, host, headers)
    return destinations.destination(to, host, LINES[form].media_type, LINES[form].header, headers)


def _raw(line: EvidenceLine) -> list[destinations.Rendered]:
    """The record as it is in the chain."""
    one = single(line.file, line.data)
    return [] if one is None else [(one, line.data.decode().rstrip("\n"))]
