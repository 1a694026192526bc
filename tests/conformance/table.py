"""The counts of all runs as one table, of `scripts/conformance` and of `docs/guides/conformance.md`.

Law of this file: a row is made of what is literal (`runs.PASSED`, `losses.ROWS`), which the runs prove, or of what a
run gave; where all is well the two are the same text.
"""

from tests.conformance import losses, runs

HEAD = ("revision", "upstream speaks", "way", "passed directly", "passed through", "lost, with a reason")
SPOKEN = {"both": "both eras", "legacy": "the legacy era only", "modern": "the modern era only"}


def line(*cells):
    """A row of Markdown."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def row(run, passed, lost, unexplained=0):
    """The row of a run: how many checks pass directly, and how many of these are lost."""
    bad = f", and {unexplained} without" if unexplained else ""
    counts = (passed, passed - lost, f"{lost - unexplained}{bad}")
    return line(run.revision, SPOKEN[run.era], run.way, *counts)


def head():
    """The two first lines."""
    return [line(*HEAD), line(*["---"] * len(HEAD))]


def wanted():
    """The whole table, as it is where the tests pass."""
    known = runs.SAME_ERA + runs.CROSS_ERA
    return [*head(), *(row(run, runs.PASSED[run.revision], len(losses.of(run))) for run in known)]
