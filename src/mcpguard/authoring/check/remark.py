"""One line of what `mcpguard check` says, and the codes that are no lints of policies.

Law of this file: whatever is wrong has a code, so that a program can tell it from anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from mcpguard.core.errors import DocumentError, Problem

Level = Literal["ok", "note", "warning", "error"]

CODES: dict[str, tuple[Level, str]] = {
    "C001": (
        "error",
        "The configuration is missing, unreadable or wrong. What else is wrong cannot be told.",
    ),
    "C002": ("warning", "A configuration without `policies`: every call is refused."),
    "C003": ("warning", "A server that is disabled."),
    "C101": ("error", "The command of a server was not found, or its working folder is none."),
    "C102": (
        "error",
        "A credential that could not be injected: it is not there, or too short to be guarded, or the "
        "program that gives it was not found.",
    ),
    "C103": ("warning", "What looks like a credential stands in the file in plain text."),
    "C104": (
        "warning",
        "A server works in a folder that holds the configuration, a policy (or a link to one) or the folder "
        "of sessions: what an agent writes there could change its own rules, or what they go by. Folders are "
        "its `cwd` and those among its arguments.",
    ),
    "C105": ("error", "With `--live`: a server could not be listed."),
    "C106": (
        "error",
        "A rule chooses a credential, or puts one into an argument, that the configuration does not have, "
        "that is not for a server of the rule, or that has no place there.",
    ),
    "C107": (
        "warning",
        "A credential in the query of a `url`: servers and proxies write URLs into their logs.",
    ),
    "C201": ("error", "The audit folder cannot be used, so nothing would be served."),
    "P001": (
        "error",
        "A policy is missing, unreadable or wrong: an unknown key, an unknown name or a syntax error in a "
        "condition, a condition that is not boolean, a key that has no effect.",
    ),
}
"""Code -> how grave, and what it means. The lints of policies are `LINTS` in `lints/__init__.py`."""


class Remark(Struct, frozen=True):
    """One thing that was found. `level` "ok" says that something is in order, and then has no `code`.

    `line` and `column` count from 1; 0 is the whole of `file`. `excerpt` shows the place.
    """

    level: Level
    code: str
    file: str
    line: int
    column: int
    message: str
    excerpt: str = ""

    @property
    def where(self) -> str:
        """FILE:LINE:COLUMN, or FILE."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


def fine(place: Problem | str, message: str) -> Remark:
    """Something that is in order."""
    if isinstance(place, str):
        return Remark("ok", "", place, 0, 0, message)
    return Remark("ok", "", place.source, place.line, place.column, message)


def wrong(code: str, place: Problem | str, message: str = "") -> Remark:
    """Something of `CODES`, without an excerpt: lines of a configuration may hold a credential."""
    level = CODES[code][0]
    if isinstance(place, str):
        return Remark(level, code, place, 0, 0, message)
    return Remark(level, code, place.source, place.line, place.column, message or place.message)


def shown(level: Level, code: str, problem: Problem) -> Remark:
    """A problem with the place in the file as a person sees it."""
    excerpt = str(problem).partition("\n")[2] if problem.line else ""
    return Remark(level, code, problem.source, problem.line, problem.column, problem.message, excerpt)


def problems(code: str, error: DocumentError) -> Iterator[Remark]:
    """Each problem of `error`."""
    for problem in error.problems:
        yield shown(CODES[code][0], code, problem)
