"""What cannot pass through a proxy or a bridge: literal rows, each with its reason.

Law of this file: a row is a check that no proxy can pass on that way, not one that ours does not pass yet. A row
whose check passes is as wrong as a check that is lost without a row; the test says both.
"""

from typing import NamedTuple


class Row(NamedTuple):
    """A scenario, or one check of it if `id` is given, that is lost on the runs that fit; None fits all."""

    reason: str
    scenario: str
    id: str | None = None
    revision: str | None = None
    way: str | None = None
    era: str | None = None

    def fits(self, run):
        """Whether the row speaks of the run."""
        asked = ((self.revision, run.revision), (self.way, run.way), (self.era, run.era))
        return all(wanted in (None, given) for wanted, given in asked)

    def explains(self, check):
        """Whether the row speaks of the check."""
        return check.scenario == self.scenario and self.id in (None, check.id)


TASKS = (
    "a legacy server has at most the tasks of 2025-11-25, and the two forms of tasks are not translated into"
    " each other"
)
STREAM = "an upstream over stdio has no response stream that it could close in the middle of a call"
RESUME = (
    "the modern era cannot resume a stream, so an upstream of it never closes one in the middle of a call"
)
NAMES = (
    "a request of a legacy server has no name, so the bridge makes one, and the suite expects the upstream's"
)
STATELESS = "answers without a question: a legacy server that has not asked yet has no use for them"

LEGACY = {"revision": "2026-07-28", "era": "legacy"}
ROWS = (
    Row(STREAM, "server-sse-polling", revision="2025-11-25", way="stdio", era="both"),
    Row(RESUME, "server-sse-polling", revision="2025-11-25", era="modern"),
    Row(NAMES, "input-required-result-basic-elicitation", "sep-2322-elicitation-incomplete", **LEGACY),
    Row(NAMES, "input-required-result-basic-elicitation", "sep-2322-elicitation-complete", **LEGACY),
    Row(
        STATELESS, "input-required-result-ignore-extra-params", "sep-2322-ignore-unexpected-params", **LEGACY
    ),
    Row(TASKS, "tasks-lifecycle", **LEGACY),
    Row(TASKS, "tasks-capability-negotiation", **LEGACY),
    Row(TASKS, "tasks-wire-fields", **LEGACY),
    Row(TASKS, "tasks-request-state-removal", **LEGACY),
    Row(TASKS, "tasks-mrtr-input", **LEGACY),
    Row(TASKS, "tasks-request-headers", **LEGACY),
    Row(TASKS, "tasks-dispatch-and-envelope", **LEGACY),
    Row(TASKS, "tasks-required-task-error", **LEGACY),
    Row(TASKS, "tasks-mrtr-composition", **LEGACY),
)


def unexplained(run, lost):
    """The lost checks of a run that no row explains."""
    rows = [row for row in ROWS if row.fits(run)]
    return {check: other for check, other in lost.items() if not any(row.explains(check) for row in rows)}


def stale(run, lost):
    """The rows that speak of a run and explain nothing, because no such check was lost."""
    return [row for row in ROWS if row.fits(run) and not any(row.explains(check) for check in lost)]
