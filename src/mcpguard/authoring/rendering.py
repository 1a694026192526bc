"""How findings are printed: lines or paragraphs for a person, or SARIF. `cli/outputs.py` has the JSON.

Law of this file: all forms say the same; only SARIF leaves out what is in order.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import json

from mcpguard import __version__
from mcpguard.adapters.system.terminal import counted, plain, style
from mcpguard.authoring.findings import SEVERITIES, Finding, Report
from mcpguard.core.model import Json

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_COLOURS = {"ok": "green", "note": "dim", "warning": "yellow", "error": "red"}


def as_lines(findings: Sequence[Finding]) -> str:
    """One line each, with the excerpt where there is one, and a last line that counts."""
    here = f"{os.getcwd()}/"
    lines = []
    for one in findings:
        level = style(f"{one.severity:<7}", _COLOURS[one.severity])
        code = f" [{one.code}]" if one.code else ""
        lines.append(f"{level}  {plain(one.where.removeprefix(here))}: {plain(one.message)}{code}")
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
        lines += [f"  {plain(one.what)}: {plain(one.why)}" for one in report.unchecked] + [""]
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
    yield f"{level} {style(first.code, 'bold')} [{first.control}] {first.meaning}"
    for fix, several in groupby(findings, key=lambda one: (one.fix, one.is_command)):
        yield from (f"  {plain(one.where)}: {plain(one.message)}" for one in several)
        yield f"    {plain(fix[0])}" if fix[1] else f"    fix: {plain(fix[0])}"


def _accepted(one: Finding) -> str:
    return f"  {style(one.code, 'bold')} {plain(one.where)}: {plain(one.message)} ({plain(one.accepted)})"


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
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        **more,
        "results": list(results),
    }
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
    """The URI of a file, relative to the current folder where it is below it, as a forge wants it."""
    path, here = Path(os.path.abspath(file)), Path.cwd()
    return quote(os.fsencode(path.relative_to(here))) if path.is_relative_to(here) else path.as_uri()
