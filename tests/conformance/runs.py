"""Which runs there are: each revision directly, through mcpguard over each way to the upstream, and across eras."""

import contextlib
from typing import NamedTuple

from tests.conformance import stage, suite

PASSED = {"2025-11-25": 84, "2026-07-28": 194}
"""How many checks are decided, and pass, in the direct run of a revision. Fewer would lower the bar for all others."""
OTHER_ERA = {"2025-11-25": "modern", "2026-07-28": "legacy"}
"""The upstream that does not speak a revision itself: mcpguard has to be the bridge."""


class Run(NamedTuple):
    """One run: the revision of the suite, how mcpguard reaches the upstream, and what the upstream speaks."""

    revision: str
    way: str
    era: str = "both"

    def __str__(self):
        return f"{self.revision}-{self.way}-{self.era}"


SAME_ERA = [Run(revision, way) for revision in suite.REVISIONS for way in ("stdio", "http")]
CROSS_ERA = [Run(revision, way, era) for revision, era in OTHER_ERA.items() for way in ("stdio", "http")]


def direct(revision, folder):
    """The outcome of each check against the upstream itself, which speaks both eras.

    Raises AssertionError where not all of `PASSED` pass, or others are decided.
    """
    with stage.upstream(folder, "--tasks") as origin:
        found = suite.run(f"{origin}/mcp", revision, folder / "checks")
    wanted = (PASSED[revision], PASSED[revision])
    assert suite.passed(found) == wanted, f"{suite.passed(found)} and not {wanted}: {suite.failed(found)}"
    return found


def through(run, folder):
    """The outcome of each check against mcpguard with an allow-all policy in front of the upstream."""
    with contextlib.ExitStack() as stack:
        entry = stack.enter_context(stage.server_entry(folder, run.way, "--era", run.era, "--tasks"))
        origin = stack.enter_context(stage.guard(folder, stage.configured(folder, entry)))
        return suite.run(f"{origin}/mcp", run.revision, folder / "checks")
