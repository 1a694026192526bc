"""How `mcpguard doctor` says what it found: lines for a person, or JSON.

Law of this file: both say the same, worst first, and everything in them was inspected.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from mcpguard.adapters.system.terminal import plain, style
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.doctor.codes import AILMENTS, SEVERITIES
from mcpguard.doctor.finding import Finding, Unseen

_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}
_ORDER = list(AILMENTS)


class Report(Struct, frozen=True):
    """All that was found, worst first; `ignored` is how many findings were left out on request."""

    findings: tuple[Finding, ...]
    unseen: tuple[Unseen, ...]
    ignored: int
    ok: bool


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Each finding once: by severity, then by code, then by place."""
    return tuple(
        sorted(
            dict.fromkeys(findings),
            key=lambda one: (
                SEVERITIES.index(one.ailment.severity),
                _ORDER.index(one.code),
                one.file,
                one.line,
                one.message,
            ),
        )
    )


def inspected(one: Finding, redactor: Redactor) -> Finding:
    """`one` without what `redactor` holds, and without formats of tokens: names are what authors make
    them."""
    message, file, fix = map(redactor.inspect_text, (one.message, one.file, one.fix))
    return Finding(one.code, file, one.line, message, fix)


def as_json(report: Report) -> str:
    """`ok`, `findings`, `unseen` and `ignored`; a finding has all that the table says of its code too."""
    from msgspec.json import encode

    unseen = [{"what": one.what, "why": one.why} for one in report.unseen]
    said = {"ok": report.ok, "findings": list(map(_object, report.findings)), "unseen": unseen}
    return encode({**said, "ignored": report.ignored}).decode()


def _object(one: Finding) -> dict[str, Any]:
    return {
        "code": one.code,
        "severity": one.ailment.severity,
        "control": one.ailment.control,
        "where": one.where,
        "file": one.file,
        "line": one.line,
        "message": one.message,
        "what": one.ailment.what,
        "fix": one.fix,
    }


def as_lines(report: Report) -> str:
    """A paragraph for each code, with its places and its fixes, and a last line that counts."""
    lines: list[str] = []
    for code in dict.fromkeys(one.code for one in report.findings):
        lines += [*_group(code, [one for one in report.findings if one.code == code]), ""]
    if report.unseen:
        lines += ["could not be looked at:"]
        lines += [f"  {plain(one.what)}: {plain(one.why)}" for one in report.unseen] + [""]
    return "\n".join([*lines, _count(report)])


def _group(code: str, findings: list[Finding]) -> Iterator[str]:
    ailment = AILMENTS[code]
    level = style(ailment.severity, _COLOURS[ailment.severity])
    yield f"{level} {style(code, 'bold')} [{ailment.control}] {ailment.what}"
    fixes = list(dict.fromkeys(one.fix for one in findings))
    for one in findings:
        yield f"  {plain(one.where)}: {plain(one.message)}"
        if len(fixes) > 1:
            yield f"    fix: {plain(one.fix)}"
    if len(fixes) == 1:
        yield f"  fix: {plain(fixes[0])}"


def _count(report: Report) -> str:
    counts = {
        severity: sum(one.ailment.severity == severity for one in report.findings) for severity in SEVERITIES
    }
    said = [f"{count} {severity}{'s' * (count != 1)}" for severity, count in counts.items() if count]
    said += [f"{report.ignored} ignored"] if report.ignored else []
    said += [f"{len(report.unseen)} not looked at"] if report.unseen else []
    return ", ".join(said) or style("nothing found", "green")
