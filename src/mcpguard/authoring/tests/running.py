"""Tests of policies, run: files in, a report for each case out, and which rules and which branches of their
conditions they have seen.

Law of this file: nothing is started and nothing is connected to; each case runs on every engine that is
installed, and a file that cannot be run is reported before any case runs. A branch counts as seen only for a
request that its rule was asked about, and only with the value that it has by itself; an error is neither true
nor false.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from msgspec import Struct, json, structs
from pydantic import Field

from mcpguard.authoring.tests import files_below
from mcpguard.authoring.tests.cases import CallEntry, Case, PolicyTests, method_of, target_of
from mcpguard.authoring.tests.rehearsal import (
    CaseOutcome,
    Look,
    Reason,
    UnexpectedValue,
    judge,
    reasons,
    rehearse,
)
from mcpguard.authoring.tests.samples import PostureSamples, PostureScore, scores
from mcpguard.config.file import PolicyEntry
from mcpguard.config.policies import PolicyFile, policy_files, read_document
from mcpguard.core.conditions import engines
from mcpguard.core.conditions.cel import TRUE, Bound, Condition, Engine, EngineName, Verdict
from mcpguard.core.conditions.tree import parts_of, value_of
from mcpguard.core.document.printed import Printed
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import PolicyError, Problem
from mcpguard.core.policy.compiled import CompiledPolicy, CompiledRule, PolicySet
from mcpguard.core.policy.terms import ANY_ACTION, as_tuple
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.core.redaction.redactor import Redactor

REACHED = "reached"
DECIDED = "decided"
LEFT = "left"
"""The rule had no say in a case: its condition did not hold, or it applies to other calls."""


class CoverageGoal(Printed):
    """One thing that tests should show."""

    source: str = Field(description="The file of the policy.")
    line: int = Field(description="The line, from 1.")
    column: int = Field(description="The column, from 1.")
    missing: str = Field(description="What no case showed; empty where one did.")


class Coverage:
    """What was seen so far, of any number of test files. A policy is known by its source."""

    def __init__(self) -> None:
        self._policies: dict[str, CompiledPolicy] = {}
        self.seen: set[tuple[str, str, object]] = set()
        """Of which policy and rule, what."""

    def add(self, policies: Iterable[CompiledPolicy], looks: Iterable[Look]) -> None:
        """Count the decisions of one case, which was run with `policies`."""
        decisions = tuple(looks)
        for policy in policies:
            self._policies.setdefault(policy.document.source, policy)
            for rule in policy.rules:
                for look in decisions:
                    if look.on == rule.written.on:
                        self._count(policy.document.source, rule, look)

    def goals(self) -> list[CoverageGoal]:
        """All of them, by policy, in the order of the text."""
        return [
            goal
            for _, policy in sorted(self._policies.items())
            for index, rule in enumerate(policy.rules)
            for goal in self._goals(policy, index, rule)
        ]

    def _count(self, source: str, rule: CompiledRule, look: Look) -> None:
        known = look.candidates.trial or look.candidates
        if rule.name in look.decided:
            self.seen.add((source, rule.name, DECIDED))
        if all(one.name != rule.name for one in known.all):
            if rule.condition is None:
                self.seen.add((source, rule.name, LEFT))
            return
        self.seen.add((source, rule.name, REACHED))
        if rule.condition is None:
            return
        left = (source, rule.name, LEFT)
        if left not in self.seen and rule.condition.verdict(look.bound) is not TRUE:
            self.seen.add(left)
        for start, end, text in _branches(rule):
            shown = {value: (source, rule.name, (start, end, value)) for value in (True, False)}
            if self.seen.issuperset(shown.values()):
                continue
            value = value_of(text, look.bound)
            if isinstance(value, bool):
                self.seen.add(shown[value])

    def _goals(self, policy: CompiledPolicy, index: int, rule: CompiledRule) -> Iterator[CoverageGoal]:
        source, name = policy.document.source, rule.name
        at = ("rules", index)
        unreached = "" if (source, name, REACHED) in self.seen else f"no case reached rule {name}"

        def goal(
            path: tuple[str | int, ...], key: object, missing: str, offset: int | None = None
        ) -> CoverageGoal:
            if unreached:
                path, offset = (*at, "id"), None
            place = policy.document.problem(path, "", offset)
            seen = (source, name, key) in self.seen
            said = "" if seen else unreached or missing
            return CoverageGoal(source=source, line=place.line, column=place.column, missing=said)

        yield goal((*at, "id"), DECIDED, f"rule {name} never decided")
        if rule.condition is not None:
            yield goal(
                (*at, "when"), LEFT, f"the condition of rule {name} was true in every case that reached it"
            )
        elif not _speaks_of_all(rule):
            yield goal((*at, "id"), LEFT, f"rule {name} applied to the call in every case")
        for start, end, _ in _branches(rule):
            for value in (True, False):
                missing = f"never {str(value).lower()}: {(rule.written.when or '')[start:end]}"
                yield goal((*at, "when"), (start, end, value), missing, start)


def unseen(goals: list[CoverageGoal]) -> list[CoverageGoal]:
    """Those that were not reached, with one for all goals of a rule that no case reached."""
    return list(dict.fromkeys(goal for goal in goals if goal.missing))


def percent(goals: list[CoverageGoal]) -> float:
    """How many of `goals` were reached, in percent; 100 where there are none."""
    reached = sum(not goal.missing for goal in goals)
    return 100.0 * reached / len(goals) if goals else 100.0


def _branches(rule: CompiledRule) -> Iterator[tuple[int, int, str]]:
    """Where each is in the condition as written, and what is evaluated of it; without the whole condition,
    which the rule itself stands for."""
    if rule.placed is not None:
        for part in parts_of(rule.placed.text):
            if part.branch and part.role != "whole":
                yield rule.placed.origin(part.start), rule.placed.origin(part.end), part.text


def _speaks_of_all(rule: CompiledRule) -> bool:
    written = rule.written
    return "*" in as_tuple(written.server) and written.tools is None and ANY_ACTION in written.action


class CaseReport(Printed):
    """A case that was run."""

    name: str = Field(description="Of the case.")
    where: str = Field(description="`FILE:LINE:COLUMN`.")
    seconds: float = Field(exclude=True)
    passed: bool = Field(description="Whether everything is as expected.")
    warning: str = Field(
        description="How the Python engine refuses it, where only that one does, or which name seems "
        "misspelt; else empty."
    )
    differences: tuple[UnexpectedValue, ...] = Field(description="What is not as expected.")
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
    missing: tuple[CoverageGoal, ...] = Field(
        description="The goals that were not reached, with one entry for a rule that no case reached."
    )
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


def load(files: list[Path], known: CompiledPolicies) -> list[Loaded]:
    """All files with their policies. Raises PolicyError with the mistakes of all of them."""
    problems: dict[str, Problem] = {}
    loaded: list[Loaded] = []
    for file in files:
        try:
            loaded.append(_loaded(file, known))
        except PolicyError as error:
            problems.update((str(problem), problem) for problem in error.problems)
    if problems:
        raise PolicyError(list(problems.values()))
    return loaded


def policies_named_below(folder: Path) -> set[Path]:
    """The files of policies, resolved, that the tests in a folder and those below name, without the tests
    and folders that cannot be read: what `mcpguard test` would report."""
    found: set[Path] = set()
    files: list[Path] = []
    with suppress(PolicyError):
        files = files_below(folder)
    for file in files:
        with suppress(PolicyError):
            document = Document(read_document(file, PolicyError), str(file), PolicyError)
            if document.has("postures"):
                lists = list(document.read(PostureSamples).postures.values())
            else:
                lists = [document.read(PolicyTests).policies]
            found.update(one.path.resolve() for named in lists for one in _files(file, named))
    return found


def _loaded(file: Path, known: CompiledPolicies) -> Loaded:
    document = Document(read_document(file, PolicyError), str(file), PolicyError)
    return _samples(file, document, known) if document.has("postures") else _tests(file, document, known)


def _tests(file: Path, document: Document, known: CompiledPolicies) -> LoadedTests:
    tests = document.read(PolicyTests)
    files = _files(file, tests.policies)
    first, *others = known.engines
    by_engine = [[known.policy(one, first) for one in files]]
    for engine in others:
        by_engine.append([_also(known, one, engine) for one in files])
    sets = tuple(PolicySet(compiled) for compiled in by_engine)
    return LoadedTests(file, document, tests, tuple(by_engine[0]), sets)


def _samples(file: Path, document: Document, known: CompiledPolicies) -> LoadedSamples:
    samples = document.read(PostureSamples)
    compiled = {
        posture: [known.policy(one, known.engines[0]) for one in _files(file, names, "postures", posture)]
        for posture, names in samples.postures.items()
    }
    sets = {posture: PolicySet(policies) for posture, policies in compiled.items()}
    every = tuple(policy for policies in compiled.values() for policy in policies)
    return LoadedSamples(file, document, samples, every, sets)


def _files(file: Path, policies: Iterable[str | PolicyEntry], *way: str) -> list[PolicyFile]:
    found = policy_files(file, policies, way or ("policies",))
    return [structs.replace(one, path=Path(os.path.normpath(one.path))) for one in found]


def _also(known: CompiledPolicies, file: PolicyFile, engine: Engine) -> CompiledPolicy:
    """The policy for a second engine. What the first took and this one does not is a mistake of its own."""
    try:
        return known.policy(file, engine)
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


class CompiledPolicies:
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
        warning=judgement.warning or _misspelt(loaded.compiled, case.call),
        differences=judgement.differences,
        outcome=first.outcome,
        reasons=() if judgement.passed else tuple(reasons(first.looks)),
    )


def _misspelt(policies: Iterable[CompiledPolicy], call: CallEntry) -> str:
    """Which name of a call that no rule applies to is nearly one in a rule, so that any test that it is
    refused passes; "" for none."""
    kind, tool = target_of(call)
    rules = [rule for policy in policies for rule in policy.rules]
    if kind != "tool" or any(rule.can_match(call.server, tool, method_of(call)) for rule in rules):
        return ""
    servers = [name for rule in rules for name in as_tuple(rule.written.server)]
    tools = [name for rule in rules for name in as_tuple(rule.written.tools or ())]
    for name, names in ((call.server, servers), (tool, tools)):
        for meant in names if name not in names else ():
            if _is_slip(name, meant):
                return f"no rule applies to `{name}`, so it is refused anyway: did you mean `{meant}`?"
    return ""


def _is_slip(name: str, meant: str) -> bool:
    """Whether only the order of letters, their case or what separates words differs, or one letter is
    missing or too many. Another letter may be another tool: `get_user`, `set_user`."""
    one, two = ("".join(filter(str.isalnum, text)).lower() for text in (name, meant))
    short, long = sorted((one, two), key=len)
    lacks_one = any(short == long[:at] + long[at + 1 :] for at in range(len(long)))
    return len(short) > 2 and (sorted(one) == sorted(two) or lacks_one)


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
