"""What passes directly and not through mcpguard: literal rows, one a check, each with its reason.

Law of this file: a row names one check of the suite, by scenario and id, on the runs that fit, and its reason says
what mcpguard does not do or cannot know there. A row whose check passes, or names no check of the direct run, is as
wrong as a check that is lost without a row; the test says both.
"""

from typing import NamedTuple


class Row(NamedTuple):
    """A check that is lost on the runs that fit; None fits all."""

    reason: str
    scenario: str
    id: str
    revision: str | None = None
    way: str | None = None
    era: str | None = None

    def fits(self, run):
        """Whether the row speaks of the run."""
        asked = ((self.revision, run.revision), (self.way, run.way), (self.era, run.era))
        return all(wanted in (None, given) for wanted, given in asked)

    def explains(self, check):
        """Whether the row speaks of the check."""
        return (self.scenario, self.id) == (check.scenario, check.id)


TASKS = (
    "a legacy server has at most the tasks of 2025-11-25, and the two forms of tasks are not translated into"
    " each other"
)
STREAM = (
    "an upstream over stdio has no response stream that it could close in the middle of a call, and mcpguard"
    " does not close the client's by itself"
)
RESUME = (
    "the modern era cannot resume a stream, so an upstream of it never closes one in the middle of a call, and"
    " mcpguard does not close the client's by itself"
)
NAMES = (
    "a question of a legacy server has no name, so the bridge makes one, and the suite expects the one that the"
    " upstream has in the modern era"
)
UNASKED = (
    "the suite sends an answer before it was asked, under the name that the upstream has for the question in the"
    " modern era; a question of a legacy server has no name, so nothing says that this is its answer"
)

LEGACY = {"revision": "2026-07-28", "era": "legacy"}
POLLING = ("server-sse-polling", "server-sse-disconnect-resume")
FORM = "input-required-result-basic-elicitation"
ROWS = (
    Row(STREAM, *POLLING, revision="2025-11-25", way="stdio", era="both"),
    Row(RESUME, *POLLING, revision="2025-11-25", era="modern"),
    Row(NAMES, FORM, "sep-2322-elicitation-incomplete", **LEGACY),
    Row(NAMES, FORM, "sep-2322-elicitation-complete", **LEGACY),
    Row(UNASKED, "input-required-result-ignore-extra-params", "sep-2322-ignore-unexpected-params", **LEGACY),
    Row(TASKS, "tasks-capability-negotiation", "tasks-extension-advertised", **LEGACY),
    Row(TASKS, "tasks-capability-negotiation", "tasks-per-request-meta-opt-in", **LEGACY),
    Row(TASKS, "tasks-dispatch-and-envelope", "tasks-server-directed-creation-no-hint", **LEGACY),
    Row(TASKS, "tasks-dispatch-and-envelope", "sep-2663-durable-create-strong-consistency", **LEGACY),
    Row(TASKS, "tasks-lifecycle", "sep-2663-result-type-task-on-create", **LEGACY),
    Row(TASKS, "tasks-lifecycle", "sep-2663-tasks-get-status-working", **LEGACY),
    Row(TASKS, "tasks-lifecycle", "sep-2663-tasks-get-status-completed", **LEGACY),
    Row(TASKS, "tasks-lifecycle", "sep-2663-tool-error-uses-completed-status", **LEGACY),
    Row(TASKS, "tasks-lifecycle", "sep-2663-tasks-get-status-failed", **LEGACY),
    Row(TASKS, "tasks-lifecycle", "sep-2663-cancel-ack-empty-result", **LEGACY),
    Row(TASKS, "tasks-lifecycle", "tasks-cancel-terminal-idempotent-ack", **LEGACY),
    Row(TASKS, "tasks-mrtr-composition", "sep-2663-mrtr-synchronous-before-task-creation", **LEGACY),
    Row(TASKS, "tasks-mrtr-input", "sep-2663-tasks-get-status-input-required", **LEGACY),
    Row(TASKS, "tasks-mrtr-input", "tasks-mrtr-tasks-update-resumes", **LEGACY),
    Row(TASKS, "tasks-mrtr-input", "tasks-mrtr-partial-fulfillment", **LEGACY),
    Row(TASKS, "tasks-request-headers", "sep-2663-routing-headers-accepted-on-tasks-get", **LEGACY),
    Row(TASKS, "tasks-request-headers", "sep-2663-server-rejects-mismatched-mcp-name-on-tasks-get", **LEGACY),
    Row(TASKS, "tasks-request-state-removal", "tasks-create-result-no-request-state", **LEGACY),
    Row(TASKS, "tasks-request-state-removal", "tasks-get-detailed-no-request-state", **LEGACY),
    Row(
        TASKS,
        "tasks-required-task-error",
        "sep-2663-server-returns-missing-capability-when-required",
        **LEGACY,
    ),
    Row(
        TASKS, "tasks-required-task-error", "sep-2663-server-returns-missing-capability-data-shape", **LEGACY
    ),
    Row(TASKS, "tasks-wire-fields", "tasks-wire-field-renames", **LEGACY),
    Row(TASKS, "tasks-wire-fields", "tasks-no-early-ttl-expiry", **LEGACY),
    Row(TASKS, "tasks-wire-fields", "tasks-no-related-task-meta-on-inlined-result", **LEGACY),
)


def of(run):
    """The rows that speak of the run."""
    return [row for row in ROWS if row.fits(run)]


def unexplained(run, lost):
    """The lost checks of a run that no row explains."""
    return {check: other for check, other in lost.items() if not any(row.explains(check) for row in of(run))}


def stale(run, direct, lost):
    """The rows that speak of a run and are not true of it: not of exactly one check that passes directly, and lost."""

    def true(row):
        spoken = [check for check in direct if row.explains(check)]
        return len(spoken) == 1 and spoken[0] in lost

    return [row for row in of(run) if not true(row)]
