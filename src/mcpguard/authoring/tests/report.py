"""What `mcpguard test` found, for a person, for a program and for a CI server.

Law of this file: a failure says what was expected, what came instead, and why each rule did what it did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import json

from mcpguard.adapters.system.terminal import counted, from_here, plain, style, table
from mcpguard.authoring.tests.rehearsal import Reason
from mcpguard.authoring.tests.running import (
    CaseReport,
    CoverageGoal,
    CoverageReport,
    FileReport,
    SuiteReport,
    percent,
    unseen,
)
from mcpguard.authoring.tests.samples import Misjudged, PostureScore, share
from mcpguard.core.errors import PolicyError, Problem
from mcpguard.core.model import Json
from mcpguard.core.policy.compiled import CompiledPolicy

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_STATES = {"held": "held", "not-held": "did not hold", "failed": "failed"}


def print_lines(
    reports: list[FileReport],
    goals: list[CoverageGoal] | None,
    threshold: float | None,
    untested: list[CompiledPolicy],
) -> None:
    """One line a file, then what a person has to do something about. `goals` are those of coverage, None
    where nobody wants to see them; `untested` are policies that no test uses."""
    for report in reports:
        many, one = (report.postures, "posture") if report.postures else (report.cases, "case")
        count = counted(len(many), one)
        said = f"{report.failed} of {count} failed" if report.failed else count
        level = style("FAIL", "red") if report.failed else style("ok  ", "green")
        print(f"{level}  {_short(report.file)}  {said}")
        for case in report.cases:
            for line in _case_lines(case, style):
                print(f"      {line}")
        for score in report.postures:
            for line in _score_lines(score, style):
                print(f"      {line}")
    _print_scores(reports)
    if goals is not None:
        _print_coverage(goals, threshold, untested)
    _print_sum(reports)


def _case_lines(case: CaseReport, paint: Callable[[str, str], str]) -> Iterator[str]:
    if case.warning:
        yield f"{paint('warning', 'yellow')}  {_short(case.where)}: {plain(case.name)}"
        yield f"         {plain(case.warning)}"
    if case.passed:
        return
    yield f"{paint('failed', 'red')}  {_short(case.where)}: {plain(case.name)}"
    for one in case.differences:
        yield f"  {one.key}"
        yield f"    expected  {_value(one.expected)}"
        yield f"    got       {_value(one.got)}"
    outcome = case.outcome
    if outcome.broken:
        return
    facts = filter(None, (outcome.effect, f"({outcome.cause})" if outcome.cause else "", *outcome.rules))
    yield f"  decided: {plain(' '.join(facts))}" + (f": {plain(outcome.message)}" if outcome.message else "")
    if not case.reasons:
        yield "  no rule applies to such a call: check `server`, `tools` and `action` of the rules"
    for reason in case.reasons:
        yield f"  {_reason(reason)}"


def _reason(reason: Reason) -> str:
    said = f"{reason.effect:<5} {reason.rule} {_STATES[reason.state]}"
    because = "; ".join(" ".join(one.split()) for one in reason.because)
    return plain(f"{said}: {because}" if because else said)


def _print_coverage(
    goals: list[CoverageGoal], threshold: float | None, untested: list[CompiledPolicy]
) -> None:
    for policy in untested:
        rules = f"0 of {counted(len(policy.rules), 'rule')}"
        print(f"{style('untested', 'yellow')}  {_short(policy.document.source)}: no test uses it, {rules}")
    for goal in unseen(goals):
        where = f"{_short(goal.source)}:{goal.line}:{goal.column}"
        print(f"{style('unseen', 'yellow')}  {where}: {plain(' '.join(goal.missing.split()))}")
    reached = sum(not goal.missing for goal in goals)
    wanted = "" if threshold is None else f", at least {threshold:g} % required"
    print(f"coverage {percent(goals):.1f} % ({reached} of {len(goals)}){wanted}")


def _print_sum(reports: list[FileReport]) -> None:
    cases = [case for report in reports for case in report.cases]
    postures = [score for report in reports for score in report.postures]
    failed = sum(report.failed for report in reports)
    warned = sum(bool(case.warning) for case in cases)
    said = [counted(len(cases), "case")] if cases or not postures else []
    said += [counted(len(postures), "posture")] if postures else []
    said += [f"{failed} failed" if failed else "all passed"]
    said += [counted(warned, "warning")] if warned else []
    print(style(", ".join(said), "red" if failed else "green"))


def suite_of(
    reports: list[FileReport],
    goals: list[CoverageGoal] | None,
    threshold: float | None,
    untested: list[CompiledPolicy],
) -> SuiteReport:
    """All of it. `goals` are those of coverage, None where it was not measured; `threshold` is in percent."""
    passed = not any(report.failed for report in reports)
    if goals is None:
        return SuiteReport(ok=passed, files=tuple(reports))
    coverage = CoverageReport(
        percent=round(percent(goals), 2),
        goals=len(goals),
        missing=tuple(unseen(goals)),
        untested=tuple(policy.document.source for policy in untested),
    )
    enough = threshold is None or percent(goals) >= threshold
    return SuiteReport(ok=passed and enough, files=tuple(reports), coverage=coverage)


def write_junit(path: Path, reports: list[FileReport]) -> None:
    """The results as CI servers read them. Raises PolicyError where the file cannot be written."""
    from xml.etree import ElementTree as Xml

    root = Xml.Element("testsuites")
    for report in reports:
        seconds = f"{sum(case.seconds for case in report.cases):.4f}"
        counts = {
            "tests": str(len(report.cases) + len(report.postures)),
            "failures": str(report.failed),
            "errors": "0",
            "time": seconds,
        }
        suite = Xml.SubElement(root, "testsuite", {"name": _short(report.file), **counts})
        for score in report.postures:
            lines = (*_figures(score), *_score_lines(score, _unpainted))
            _add_test(suite, score.where, (score.posture, "0"), "; ".join(score.missed), lines)
        for case in report.cases:
            keys = ", ".join(one.key for one in case.differences)
            failure = "" if case.passed else f"not as expected: {keys}"
            about = case.name, f"{case.seconds:.4f}"
            _add_test(suite, case.where, about, failure, _case_lines(case, _unpainted))
    try:
        Xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise PolicyError([Problem(str(path), 0, 0, f"cannot be written: {error.strerror}")]) from None


def _score_lines(score: PostureScore, paint: Callable[[str, str], str]) -> Iterator[str]:
    """The aims that are missed, and the calls that are wrong, or tolerated where no aim is missed; those that
    are asked about only where there are too many."""
    name = plain(score.posture)
    for missed in score.missed:
        yield f"{paint('missed', 'red')}  {name}: {missed}"
    too_many = any("asked" in missed for missed in score.missed)
    for one in score.misjudged:
        if one.effect != "ask" or too_many:
            level = paint("wrong", "yellow") + " " if score.missed else paint("tolerated", "dim")
            yield f"{level}  {_short(one.where)}: {name} {_DOES[one.effect]} {_call(one)}"


_DOES = {"deny": "refuses", "ask": "asks about", "allow": "allows"}


def _call(one: Misjudged) -> str:
    rules = f" ({', '.join(one.rules)})" if one.rules else ""
    return plain(f"the {one.kind} call {' '.join(one.name.split())}{rules}")


def _print_scores(reports: list[FileReport]) -> None:
    """One table of all postures."""
    rows = [("policy", "ordinary", "refused", "asked", "harmful", "allowed", "asked")]
    for report in reports:
        folder = Path(report.file).absolute().parent.name
        for one in report.postures:
            ordinary, harmful = one.ordinary, one.harmful
            refused, asked = (_share(part, ordinary.calls) for part in (ordinary.refused, ordinary.asked))
            allowed, late = (_share(part, harmful.calls) for part in (harmful.allowed, harmful.asked))
            name = f"{folder}/{one.posture}"
            rows.append((name, str(ordinary.calls), refused, asked, str(harmful.calls), allowed, late))
    if len(rows) > 1:
        print(table(rows))


def _share(part: int, of: int) -> str:
    return f"{share(part, of):.1f} %"


def _add_test(suite: Element, where: str, about: tuple[str, str], failure: str, lines: Iterable[str]) -> None:
    """A case or a posture as a test of a suite: where it is (`FILE:LINE:COLUMN`), its name and seconds, why
    it failed, and the text."""
    from xml.etree import ElementTree as Xml

    file, line, _ = where.rsplit(":", 2)
    place = {"classname": _short(file), "file": _short(file), "line": line}
    names = {"name": plain(about[0]), "time": about[1], **place}
    element, text = Xml.SubElement(suite, "testcase", names), "\n".join(lines)
    if failure:
        Xml.SubElement(element, "failure", {"message": failure}).text = text
    elif text:
        Xml.SubElement(element, "system-out").text = text


def _figures(score: PostureScore) -> Iterator[str]:
    ordinary, harmful = score.ordinary, score.harmful
    yield f"{ordinary.calls} ordinary calls: {ordinary.refused} refused, {ordinary.asked} asked about"
    yield f"{harmful.calls} harmful calls: {harmful.allowed} allowed, {harmful.asked} asked about"


def _unpainted(text: str, _colour: str) -> str:
    return text


def _value(value: Json) -> str:
    if value is None:
        return "nothing"
    return plain(value if isinstance(value, str) and value else json.encode(value).decode())


def _short(where: str) -> str:
    return plain(from_here(where))
