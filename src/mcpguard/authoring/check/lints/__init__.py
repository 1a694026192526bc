"""Lints: what is valid in a policy but probably not what its author meant.

`reach.py` is about what never decides, `limits.py` about limits, `coverage.py` about names that no rule
mentions or no server has, `evaluation.py` about what fails or is slow, `readings.py` about what is read by
half, `shapes.py` about what another spelling passes, `labels.py` about labels and facts, `attention.py` about
what a person should look at. `entry.py` says what a lint is, `conditions.py` what a condition reads.

To add a lint: an entry in the module of its subject, with the next free code there, and its name in the tuple
at the end of that module. A new subject is a module with its tuple, which `LINTS` unpacks.
"""

from mcpguard.authoring.check.lints.attention import ATTENTION
from mcpguard.authoring.check.lints.coverage import COVERAGE
from mcpguard.authoring.check.lints.entry import Lint, LintSubject
from mcpguard.authoring.check.lints.evaluation import ARGUMENTS, ENGINES
from mcpguard.authoring.check.lints.labels import LABELS
from mcpguard.authoring.check.lints.limits import LIMITS
from mcpguard.authoring.check.lints.reach import REACH
from mcpguard.authoring.check.lints.readings import READINGS
from mcpguard.authoring.check.lints.shapes import SHAPES
from mcpguard.authoring.findings import Finding, at

LINTS: dict[str, Lint] = {
    one.code: one
    for one in sorted(
        (*REACH, *LIMITS, *ARGUMENTS, *LABELS, *COVERAGE, *ATTENTION, *ENGINES, *SHAPES, *READINGS),
        key=lambda one: one.code,
    )
}
"""By code, in the order of the reference."""


def lint(subject: LintSubject) -> list[Finding]:
    """Everything that the lints find, in the order of places."""
    found = [
        at(one.code, one.about, problem, excerpt=True)
        for one in LINTS.values()
        if subject.whole or not one.whole
        for problem in one.find(subject)
    ]
    return sorted(found, key=lambda one: (one.file, one.line, one.column, one.code))


__all__ = ["LINTS", "Lint", "LintSubject", "lint"]
