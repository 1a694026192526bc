"""Findings: what `mcpguard check`, its lints and `mcpguard doctor` report.

Law of this file: every finding has a code that keeps its meaning, and none ever contains the value of a
credential.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, structs

from mcpguard.core.errors import Problem
from mcpguard.core.redaction.redactor import Redactor

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""Worst first."""

Standing = Literal["now", "limit", "accepted"]
"""Whether a finding is to be dealt with now, is a known limit of the setup, or was accepted by a person."""


class Code(Struct, frozen=True):
    """What all findings with one code have in common.

    `meaning` is one sentence. `fix` is what to do where a finding has no fix of its own, and `control` the
    zero-trust control that the code belongs to; both may be empty. `limit`: it stays until the setup is
    another one, so there is nothing to do now.
    """

    severity: Severity
    meaning: str
    fix: str = ""
    control: str = ""
    limit: bool = False


class Finding(Struct, frozen=True):
    """One thing that was found. `severity` "ok" says that something is in order; then there is no `code`.

    `line` and `column` count from 1; a line of 0 is the whole of `file`, a column of 0 the whole line.
    `excerpt` shows the place. `fix` is what to do, a command that works as it is printed if `is_command`.
    `subject` is what it is about, such as a server ("": `file`), `accepted` why a person accepted it.
    """

    code: str
    severity: Severity | Literal["ok"]
    file: str
    line: int
    column: int
    message: str
    meaning: str = ""
    fix: str = ""
    control: str = ""
    excerpt: str = ""
    is_command: bool = False
    subject: str = ""
    standing: Standing = "now"
    accepted: str = ""

    @property
    def where(self) -> str:
        """FILE:LINE:COLUMN, FILE:LINE or FILE."""
        return ":".join([self.file, *(str(one) for one in (self.line, self.column) if one)])


class Unchecked(Struct, frozen=True):
    """What could not be checked, and why, in one sentence."""

    what: str
    why: str


class Report(Struct, frozen=True):
    """The findings of one run; `ignored` is how many were left out on request. `ok` decides the exit code."""

    findings: tuple[Finding, ...]
    ok: bool
    unchecked: tuple[Unchecked, ...] = ()
    ignored: int = 0


def at(code: str, about: Code, problem: Problem, *, excerpt: bool = False) -> Finding:
    """The finding that `problem` is. Only with `excerpt` does it show the line: one of a configuration may
    contain a credential."""
    return Finding(
        code,
        about.severity,
        problem.source,
        problem.line,
        problem.column,
        problem.message,
        about.meaning,
        about.fix,
        about.control,
        str(problem).partition("\n")[2] if excerpt and problem.line else "",
    )


def fine(place: Problem | str, message: str) -> Finding:
    """Something that is in order."""
    if isinstance(place, str):
        return Finding("", "ok", place, 0, 0, message)
    return Finding("", "ok", place.source, place.line, place.column, message)


def inspected(one: Finding, redactor: Redactor) -> Finding:
    """`one` without what `redactor` holds, and without anything in the format of a token: people put
    credentials where nobody looks for them, such as in a name, a command or a condition."""
    keys = ("file", "message", "fix", "excerpt", "subject", "accepted")
    texts = {key: redactor.inspect_text(getattr(one, key)) for key in keys}
    return structs.replace(one, **texts)


def passes(findings: Iterable[Finding], fail_on: Severity) -> bool:
    """Whether none of `findings` that are to be dealt with now is of the severity `fail_on` or worse."""
    bad = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    return all(one.severity not in bad for one in findings if one.standing == "now")
