"""Findings: what `mcpguard check`, its lints and `mcpguard doctor` report, and how they are printed: lines or
paragraphs for a person, or SARIF. `cli/outputs.py` has the JSON.

Law of this file: every finding has a code that keeps its meaning, and none ever contains the value of a
credential. All forms say the same; only SARIF leaves out what needs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from msgspec import Struct, convert, json, structs

from mcpguard import __version__
from mcpguard.adapters.system.terminal import broken, counted, plain, style
from mcpguard.core.advised import completed
from mcpguard.core.errors import Problem
from mcpguard.core.model import Json
from mcpguard.core.tables import entries

if TYPE_CHECKING:
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
    another one, so there is nothing to do now. `machine`: it is about what a machine has or lacks, and the
    same files are right on another one.
    """

    severity: Severity
    meaning: str
    fix: str = ""
    control: str = ""
    limit: bool = False
    machine: bool = False


def codes_in(package: str) -> dict[str, Code]:
    """The codes in the table of a package, each as `CODE SEVERITY: CONTROL` above its other parts."""
    found = {}
    for title, parts in entries(package, "codes.txt").items():
        first, _, control = title.partition(": ")
        code, severity = first.split()
        found[code] = convert({"severity": severity, "control": control, **parts}, Code, strict=False)
    return found


class Finding(Struct, frozen=True):
    """One thing that was found. `severity` "ok" is for a check that passed; then there is no `code`.

    `line` and `column` count from 1; a line of 0 is the whole of `file`, a column of 0 the whole line.
    `excerpt` shows the place. `fix` is what to do, a command that works as it is printed if `is_command`.
    `subject` is what it is about, such as a server ("": `file`), `accepted` why a person accepted it,
    `machine` that of its code.
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
    machine: bool = False

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
        machine=about.machine,
    )


def fine(place: Problem | str, message: str) -> Finding:
    """A check that passed."""
    if isinstance(place, str):
        return Finding("", "ok", place, 0, 0, message)
    return Finding("", "ok", place.source, place.line, place.column, message)


def inspected(one: Finding, redactor: Redactor, option: Callable[[], str]) -> Finding:
    """`one` without what `redactor` holds, and without anything in the format of a token: people put
    credentials where nobody looks for them, such as in a name, a command or a condition. `option` as in
    `advised.completed`."""
    keys = ("file", "message", "fix", "excerpt", "subject", "accepted")
    texts = {key: redactor.inspect_text(getattr(one, key)) for key in keys}
    said = {key: completed(texts[key], option) for key in ("message", "fix")}
    return structs.replace(one, **texts | said)


def passes(findings: Iterable[Finding], fail_on: Severity) -> bool:
    """Whether none of `findings` that are to be dealt with now is of the severity `fail_on` or worse."""
    bad = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    return all(one.severity not in bad for one in findings if one.standing == "now")


_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_COLOURS = {"ok": "green", "note": "dim", "warning": "yellow", "error": "red"}


def as_lines(findings: Sequence[Finding]) -> str:
    """One line each, with the excerpt where there is one, and a last line that counts."""
    lines = []
    for one in findings:
        level = style(f"{one.severity:<7}", _COLOURS[one.severity])
        code = f" [{one.code}]" if one.code else ""
        said = f"{level}  {plain(one.where)}: {plain(one.message)}{code}"
        lines.append(broken(said, indent=9))
        lines += [f"         {plain(line)}" for line in one.excerpt.splitlines()]
    return "\n".join([*lines, ", ".join(_counts(findings)) or style("all fine", "green")])


def as_paragraphs(report: Report) -> str:
    """What to do now, the limits of the setup, what was accepted, and a last line that counts. A paragraph
    for each code, with its places and its fixes; a fix that is a command stands on a line of its own."""
    now, limits, accepted = (
        [one for one in report.findings if one.standing == standing]
        for standing in ("now", "limit", "accepted")
    )
    lines = [*_section("to do now:", now), *_section("known limits of this setup:", limits)]
    if accepted:
        lines += ["accepted:", *map(_accepted, accepted), ""]
    if report.unchecked:
        lines += ["could not be checked:"]
        lines += [broken(f"  {plain(one.what)}: {plain(one.why)}") for one in report.unchecked] + [""]
    counts = _counts(now)
    counts += [counted(len(limits), "known limit")] if limits else []
    counts += [f"{len(accepted)} accepted"] if accepted else []
    counts += [f"{report.ignored} ignored"] if report.ignored else []
    counts += [f"{len(report.unchecked)} not checked"] if report.unchecked else []
    done = style("nothing to do", "green") if limits or accepted else style("nothing found", "green")
    said = counts if now or report.unchecked else [done, *counts]
    return "\n".join([*lines, ", ".join(said)])


def _section(head: str, findings: list[Finding]) -> Iterator[str]:
    if findings:
        yield style(head, "bold")
        yield ""
    for code in dict.fromkeys(one.code for one in findings):
        yield from _paragraph([one for one in findings if one.code == code])
        yield ""


def _paragraph(findings: list[Finding]) -> Iterator[str]:
    first = findings[0]
    level = style(first.severity, _COLOURS[first.severity])
    yield broken(f"{level} {style(first.code, 'bold')} [{first.control}] {first.meaning}")
    for fix, several in groupby(findings, key=lambda one: (one.fix, one.is_command)):
        yield from (broken(f"  {plain(one.where)}: {plain(one.message)}", indent=6) for one in several)
        yield f"    {plain(fix[0])}" if fix[1] else broken(f"    fix: {plain(fix[0])}")


def _accepted(one: Finding) -> str:
    said = f"{plain(one.where)}: {plain(one.message)} ({plain(one.accepted)})"
    return broken(f"  {style(one.code, 'bold')} {said}")


def _counts(findings: Iterable[Finding]) -> list[str]:
    found = [one.severity for one in findings]
    counts = {severity: found.count(severity) for severity in SEVERITIES}
    return [counted(count, severity) for severity, count in counts.items() if count]


def as_sarif(report: Report) -> str:
    """SARIF 2.1.0 (OASIS): one run, with a rule for each code that was found."""
    found = [one for one in report.findings if one.code]
    return sarif_of({one.code: (one.meaning, one.severity) for one in found}, map(_result, found))


def sarif_of(rules: Mapping[str, tuple[str, str]], results: Iterable[dict[str, Any]], **more: Json) -> str:
    """SARIF 2.1.0 (OASIS) of one run. `rules`: id -> what it means, and its level; `more` are other members
    of the run."""
    described = [
        {"id": one, "shortDescription": {"text": meaning}, "defaultConfiguration": {"level": level}}
        for one, (meaning, level) in sorted(rules.items())
    ]
    driver = {"name": "mcpguard", "version": __version__, "rules": described}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", **more, "results": list(results)}
    return json.encode({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}).decode()


def _result(one: Finding) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": address(one.file)}}
    if one.line:
        place["region"] = {"startLine": one.line, **({"startColumn": one.column} if one.column else {})}
    return {
        "ruleId": one.code,
        "level": one.severity,
        "message": {"text": one.message},
        "locations": [{"physicalLocation": place}],
    }


def address(file: str) -> str:
    """The URI of a file, relative to the current folder where it is below it, as a forge wants it; of a link,
    that of the file itself, which is the one that has lines in a repository."""
    path, here = Path(os.path.realpath(file)), Path.cwd()
    return quote(os.fsencode(path.relative_to(here))) if path.is_relative_to(here) else path.as_uri()
