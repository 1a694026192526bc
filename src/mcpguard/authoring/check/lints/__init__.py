"""Lints: what is valid in a policy but probably not what its author meant.

`reach.py` is about what never decides and limits that are never reached, `names.py` about names that no rule
mentions or no server has, labels and facts, `evaluation.py` about what fails or is slow, `kinds.py` about
values that are never found, `contradictions.py` about operands that exclude each other, `readings.py` about
what is read by half, `shapes.py` about what another spelling passes, `attention.py` about what a person
should look at. `entry.py` says what a lint is.

To add a lint: its section in `lints.txt`, with the next free code of its subject, and a line in the table at
the end of that module. A new subject is a module with its table, which `LINTS` unpacks.
"""

import re

from msgspec import convert

from mcpguard.authoring.check.lints.attention import ATTENTION
from mcpguard.authoring.check.lints.contradictions import CONTRADICTIONS
from mcpguard.authoring.check.lints.entry import Lint, LintSubject
from mcpguard.authoring.check.lints.evaluation import EVALUATION
from mcpguard.authoring.check.lints.kinds import KINDS
from mcpguard.authoring.check.lints.names import NAMES
from mcpguard.authoring.check.lints.reach import REACH
from mcpguard.authoring.check.lints.readings import READINGS
from mcpguard.authoring.check.lints.shapes import SHAPES
from mcpguard.authoring.findings import Finding, Severity, at
from mcpguard.core.tables import sections

FINDERS = REACH | EVALUATION | KINDS | CONTRADICTIONS | NAMES | ATTENTION | SHAPES | READINGS
"""What finds what a lint is about, by its code."""
_HEAD = "version: 1\npolicy: example\nowner: ada\nrules:\n"


def _lint(title: str, text: str) -> Lint:
    code, severity, *missing = title.replace(",", "").split()
    meaning, *examples = re.split(r"(?m)^(?:bad|good):\n", text)
    bad, good = (f"{_HEAD if one.startswith(' ') else ''}{one.rstrip()}\n" for one in examples)
    level: Severity = convert(severity, Severity)
    return Lint(code, level, " ".join(meaning.split()), FINDERS[code], bad, good, bool(missing))


LINTS: dict[str, Lint] = {
    one.code: one for one in (_lint(*part) for part in sections(__package__, "lints.txt").items())
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


__all__ = ["FINDERS", "LINTS", "Lint", "LintSubject", "lint"]
