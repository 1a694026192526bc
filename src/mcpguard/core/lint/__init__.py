"""Lint: what is right in a policy and still not what its author means.

To add a lint: an entry in a module here, and its name in the tuple at the end of that module.
"""

from __future__ import annotations

from mcpguard.core.lint.arguments import ARGUMENTS
from mcpguard.core.lint.care import CARE
from mcpguard.core.lint.coverage import COVERAGE
from mcpguard.core.lint.engines import ENGINES
from mcpguard.core.lint.entry import Flaw, Lint, Severity, Subject
from mcpguard.core.lint.limits import LIMITS
from mcpguard.core.lint.marks import MARKS
from mcpguard.core.lint.reach import REACH

LINTS: dict[str, Lint] = {
    one.code: one for one in (*REACH, *LIMITS, *ARGUMENTS, *MARKS, *COVERAGE, *CARE, *ENGINES)
}
"""By code, in the order of the reference."""


def lint(subject: Subject) -> list[Flaw]:
    """Everything that the lints find, in the order of places."""
    found = [
        Flaw(one.code, one.severity, problem)
        for one in LINTS.values()
        if subject.whole or not one.whole
        for problem in one.find(subject)
    ]
    return sorted(found, key=_place)


def _place(flaw: Flaw) -> tuple[str, int, int, str]:
    problem = flaw.problem
    return problem.source, problem.line, problem.column, flaw.code


__all__ = ["LINTS", "Flaw", "Lint", "Severity", "Subject", "lint"]
