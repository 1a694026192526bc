"""The codes of `mcpguard check` that are not lints of policies, and how a finding with one is made.

To add one: an entry in `codes.txt`, a `wrong` or `shown` with it in the module of its subject, and its two
scenes in `tests/authoring/check/test_codes.py`.

Law of this file: a code keeps its meaning for ever.
"""

from collections.abc import Iterator

from mcpguard.authoring.findings import Code, Finding, at, codes_in
from mcpguard.core.errors import DocumentError, Problem

CODES: dict[str, Code] = codes_in(__package__)
"""By code. The lints of policies are `LINTS` in `lints/__init__.py`."""


def wrong(code: str, place: Problem | str, message: str = "") -> Finding:
    """A finding of `CODES`, without an excerpt: lines of a configuration may contain a credential."""
    if isinstance(place, str):
        place = Problem(place, 0, 0, message)
    return at(code, CODES[code], place)


def shown(code: str, problem: Problem) -> Finding:
    """The same for a place in a policy, with an excerpt."""
    return at(code, CODES[code], problem, excerpt=True)


def problems(code: str, error: DocumentError) -> Iterator[Finding]:
    """Each problem of `error`."""
    for problem in error.problems:
        yield shown(code, problem)
