"""Tests of policies, run: files in, a report for each case out.

Law of this file: nothing is started and nothing is connected to; each case runs on every engine that is
installed, and a file that cannot be run is reported before any case runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from msgspec import Struct, json
from pydantic import Field

from mcpguard.authoring.tests.cases import Case, PolicyTests
from mcpguard.authoring.tests.coverage import Coverage, Goal
from mcpguard.authoring.tests.expectations import Difference, Reason, judge, reasons
from mcpguard.authoring.tests.rehearsal import CaseOutcome, rehearse
from mcpguard.authoring.tests.samples import PostureSamples
from mcpguard.authoring.tests.scoring import PostureScore, scores
from mcpguard.config.file import PolicyEntry
from mcpguard.config.policies import PolicyFile, policy_files, read_document
from mcpguard.core.conditions import engines
from mcpguard.core.conditions.cel import Bound, Condition, Engine, EngineName, Verdict
from mcpguard.core.document.printed import Printed
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import PolicyError, Problem
from mcpguard.core.policy.compiled import CompiledPolicy, PolicySet
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.core.redaction.redactor import Redactor


class CaseReport(Printed):
    """A case that was run."""

    name: str = Field(description="Of the case.")
    where: str = Field(description="`FILE:LINE:COLUMN`.")
    seconds: float = Field(exclude=True)
    passed: bool = Field(description="Whether everything is as expected.")
    warning: str = Field(
        description="How the Python engine refuses it, where only that one does; else empty."
    )
    differences: tuple[Difference, ...] = Field(description="What is not as expected.")
    outcome: CaseOutcome = Field(description="What became of it.")
    reasons: tuple[Reason, ...] = Field(
        description="Where it failed, why each rule that applies did what it did."
    )


class FileReport(Printed):
    """A file that was run."""

    file: str = Field(description="Its path.")
    cases: tuple[CaseReport, ...] = Field((), description="Its cases, in order.")
    postures: tuple[PostureScore, ...] = Field(
        (), description="How each posture does on the sample calls, if the file has some."
    )

    @property
    def failed(self) -> int:
        """How many cases did not pass, and how many postures miss an aim."""
        return sum(not case.passed for case in self.cases) + sum(bool(one.missed) for one in self.postures)


class CoverageReport(Printed):
    """What the tests have shown of the rules."""

    percent: float = Field(description="How many of the goals were reached, in percent.")
    goals: int = Field(description="How many goals there are: two for each rule and for each branch.")
    missing: tuple[Goal, ...] = Field(description="The goals that were not reached.")
    untested: tuple[str, ...] = Field(description="The files of policies that no test uses.")


class SuiteReport(Printed):
    """What `mcpguard test --json` prints."""

    ok: bool = Field(
        description="Whether the exit code is 0: all cases passed, no aim was missed, coverage is enough."
    )
    files: tuple[FileReport, ...] = Field(description="The files that were run.")
    coverage: CoverageReport | None = Field(
        None,
        exclude_if=lambda found: found is None,
        description="Only with `--coverage` or `--fail-under`: how much the tests have shown.",
    )


class LoadedTests(Struct, frozen=True):
    """A file of cases that can be run; `sets` are its policies by engine, the fastest first."""

    path: Path
    document: Document
    tests: PolicyTests
    compiled: tuple[CompiledPolicy, ...]
    sets: tuple[PolicySet, ...]


class LoadedSamples(Struct, frozen=True):
    """A file of sample calls that can be run; `sets` are the policies of each posture, on the engine that
    decides."""

    path: Path
    document: Document
    samples: PostureSamples
    compiled: tuple[CompiledPolicy, ...]
    sets: dict[str, PolicySet]


Loaded = LoadedTests | LoadedSamples


def load(files: list[Path], shelf: Shelf) -> list[Loaded]:
    """All files with their policies. Raises PolicyError with the mistakes of all of them."""
    problems: dict[str, Problem] = {}
    loaded: list[Loaded] = []
    for file in files:
        try:
            loaded.append(_loaded(file, shelf))
        except PolicyError as error:
            problems.update((str(problem), problem) for problem in error.problems)
    if problems:
        raise PolicyError(list(problems.values()))
    return loaded


def _loaded(file: Path, shelf: Shelf) -> Loaded:
    document = Document(read_document(file, PolicyError), str(file), PolicyError)
    return _samples(file, document, shelf) if document.has("postures") else _tests(file, document, shelf)


def _tests(file: Path, document: Document, shelf: Shelf) -> LoadedTests:
    tests = document.read(PolicyTests)
    files = _files(file, tests.policies)
    first, *others = shelf.engines
    by_engine = [[shelf.policy(one, first) for one in files]]
    for engine in others:
        by_engine.append([_also(shelf, one, engine) for one in files])
    sets = tuple(PolicySet(compiled) for compiled in by_engine)
    return LoadedTests(file, document, tests, tuple(by_engine[0]), sets)


def _samples(file: Path, document: Document, shelf: Shelf) -> LoadedSamples:
    samples = document.read(PostureSamples)
    compiled = {
        posture: [shelf.policy(one, shelf.engines[0]) for one in _files(file, names)]
        for posture, names in samples.postures.items()
    }
    sets = {posture: PolicySet(policies) for posture, policies in compiled.items()}
    every = tuple(policy for policies in compiled.values() for policy in policies)
    return LoadedSamples(file, document, samples, every, sets)


def _files(file: Path, policies: Iterable[str | PolicyEntry]) -> list[PolicyFile]:
    found = policy_files(file.parent, policies)
    return [PolicyFile(Path(os.path.normpath(one.path)), one.params) for one in found]


def _also(shelf: Shelf, file: PolicyFile, engine: Engine) -> CompiledPolicy:
    """The policy for a second engine. What the first took and this one does not is a mistake of its own."""
    try:
        return shelf.policy(file, engine)
    except PolicyError as error:
        said = (
            "only one engine accepts this condition, so the policy does not load where only the other is "
            "installed: "
        )
        raise PolicyError(
            [
                Problem(one.source, one.line, one.column, said + one.message, one.excerpt)
                for one in error.problems
            ]
        ) from None


class Shelf:
    """Policies that were compiled already: several files of tests may use one."""

    def __init__(self) -> None:
        fastest, python = engines.engine(), RememberingEngine(engines.engine("python"))
        self.engines: tuple[Engine, ...] = (python,) if fastest.name == python.name else (fastest, python)
        self._known: dict[tuple[Path, bytes, str], CompiledPolicy] = {}

    def policy(self, file: PolicyFile, engine: Engine) -> CompiledPolicy:
        """Raises PolicyError with all mistakes in it."""
        key = (file.path, json.encode(file.params), engine.name)
        if key not in self._known:
            self._known[key] = file.load(OPT_IN, engine)
        return self._known[key]


# --- cases ---------------------------------------------------------------------------------------


def run(loaded: Loaded, redactor: Redactor, coverage: Coverage | None) -> FileReport:
    """What became of a file. What its cases decided is added to `coverage`, if any."""
    if isinstance(loaded, LoadedSamples):
        found = scores(loaded.document, loaded.samples, loaded.sets, redactor)
        return FileReport(file=str(loaded.path), postures=tuple(found))
    return FileReport(file=str(loaded.path), cases=tuple(_run(loaded, redactor, coverage)))


def _run(loaded: LoadedTests, redactor: Redactor, coverage: Coverage | None) -> Iterator[CaseReport]:
    for index, case in enumerate(loaded.tests.tests):
        place = loaded.document.problem(("tests", index), "")
        where = f"{place.source}:{place.line}:{place.column}"
        yield _run_case(loaded, case, where, redactor, coverage)


def _run_case(
    loaded: LoadedTests, case: Case, where: str, redactor: Redactor, coverage: Coverage | None
) -> CaseReport:
    started = perf_counter()
    first, *others = [rehearse(policies, case, redactor) for policies in loaded.sets]
    if coverage is not None:
        coverage.add(loaded.compiled, first.looks)
    judgement = judge(case.expected, first.outcome, others[0].outcome if others else None)
    return CaseReport(
        name=case.name,
        where=where,
        seconds=perf_counter() - started,
        passed=judgement.passed,
        warning=judgement.warning,
        differences=judgement.differences,
        outcome=first.outcome,
        reasons=() if judgement.passed else tuple(reasons(first.looks)),
    )


_ABSENT = object()


class RememberingEngine:
    """`engine`, whose conditions remember what they read last and what they said of it.

    A value is the same only if it is the same object, so nobody may change one that a decision has read.
    """

    def __init__(self, engine: Engine) -> None:
        self.name: EngineName = engine.name
        self._engine = engine

    def compile(self, text: str) -> Condition:
        return _Remembering(self, self._engine.compile(text))

    def either(self, conditions: Sequence[Condition]) -> None:
        """See `Engine.either`: what is joined would be remembered together only."""


class _Remembering:
    __slots__ = ("_condition", "_last", "calls", "engine", "members", "reads", "text")

    def __init__(self, owner: Engine, condition: Condition) -> None:
        self.engine = owner
        self.text = condition.text
        self.reads = condition.reads
        self.calls = condition.calls
        self.members = condition.members
        self._condition = condition
        self._last: tuple[list[Any], Verdict] | None = None

    def verdict(self, bound: Bound) -> Verdict:
        values = [bound.holds, *(bound.view.get(name, _ABSENT) for name in self.reads)]
        if self._last is not None:
            last, said = self._last
            if all(one is two for one, two in zip(values, last, strict=True)):
                return said
        said = self._condition.verdict(bound)
        self._last = values, said
        return said
