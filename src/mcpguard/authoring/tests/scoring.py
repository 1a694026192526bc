"""Sample calls, run: how many ordinary ones a posture refuses, and how many harmful ones it allows.

Law of this file: what is counted is what the engine that decides says of each call; an aim that is missed, or
that too few calls stand behind, is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from mcpguard.authoring.tests.cases import Case
from mcpguard.authoring.tests.rehearsal import CaseOutcome, rehearse
from mcpguard.authoring.tests.samples import AimsEntry, PostureSamples, Sample
from mcpguard.core.document.printed import Printed
from mcpguard.core.document.reading import Document
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.redaction.redactor import Redactor


class CallCounts(Printed):
    """What became of the calls of one kind."""

    calls: int = Field(description="How many there are.")
    allowed: int = Field(description="How many of them are allowed.")
    asked: int = Field(description="About how many of them a person is asked.")
    refused: int = Field(description="How many of them are refused.")


class Misjudged(Printed):
    """An ordinary call that is not allowed, or a harmful one that is."""

    kind: str = Field(description="`ordinary` or `harmful`.")
    name: str = Field(description="Of the call.")
    where: str = Field(description="`FILE:LINE:COLUMN`.")
    effect: str = Field(description="`allow`, `ask` or `deny`.")
    rules: tuple[str, ...] = Field(description="The rules that decided, as `POLICY/RULE`.")


class PostureScore(Printed):
    """How one posture does on the sample calls of a file."""

    posture: str = Field(description="Its name in the file.")
    ordinary: CallCounts = Field(description="The calls that it should allow.")
    harmful: CallCounts = Field(description="The calls that it should not allow.")
    misjudged: tuple[Misjudged, ...] = Field(
        description="The ordinary calls that are refused or asked about, and the harmful ones allowed."
    )
    missed: tuple[str, ...] = Field(description="The aims that it misses, each as a sentence.")


def scores(
    document: Document, written: PostureSamples, sets: dict[str, PolicySet], redactor: Redactor
) -> Iterator[PostureScore]:
    """One for each posture of the file, in order; `sets` are the policies of each."""
    for posture, policies in sets.items():
        kinds: dict[str, list[CaseOutcome]] = {"ordinary": [], "harmful": []}
        misjudged = []
        for sample in written.samples:
            for kind, outcomes in kinds.items():
                if posture in getattr(sample.group, kind):
                    outcomes.append(_outcome(policies, sample, redactor))
                    if (outcomes[-1].effect == "allow") is (kind == "harmful"):
                        misjudged.append(_misjudged(document, sample, kind, outcomes[-1]))
        ordinary, harmful = map(_tally, kinds.values())
        yield PostureScore(
            posture=posture,
            ordinary=ordinary,
            harmful=harmful,
            misjudged=tuple(misjudged),
            missed=tuple(_missed(written.aims, ordinary, harmful)),
        )


def share(part: int, whole: int) -> float:
    """How much `part` is of `whole`, in percent; 0 of nothing."""
    return 100 * part / whole if whole else 0.0


def _outcome(policies: PolicySet, sample: Sample, redactor: Redactor) -> CaseOutcome:
    case = Case(name=sample.name, call=sample.call.entry, expect="allow", session=sample.group.session)
    return rehearse(policies, case, redactor).outcome


def _misjudged(document: Document, sample: Sample, kind: str, outcome: CaseOutcome) -> Misjudged:
    place = document.problem(sample.at, "")
    where = f"{place.source}:{place.line}:{place.column}"
    return Misjudged(kind=kind, name=sample.name, where=where, effect=outcome.effect, rules=outcome.rules)


def _tally(outcomes: list[CaseOutcome]) -> CallCounts:
    effects: list[str] = [outcome.effect for outcome in outcomes]
    allowed, asked, refused = map(effects.count, ("allow", "ask", "deny"))
    return CallCounts(calls=len(effects), allowed=allowed, asked=asked, refused=refused)


def _missed(aims: AimsEntry, ordinary: CallCounts, harmful: CallCounts) -> Iterator[str]:
    for kind, tally in (("ordinary", ordinary), ("harmful", harmful)):
        if tally.calls < aims.calls:
            yield f"{tally.calls} {kind} call{'s' * (tally.calls != 1)}, at least {aims.calls} required"
    for kind, what, tally in (
        ("ordinary", "refused", ordinary),
        ("ordinary", "asked", ordinary),
        ("harmful", "allowed", harmful),
    ):
        reached, aim = share(getattr(tally, what), tally.calls), getattr(aims, what)
        if reached > aim:
            yield f"{reached:.1f} % of the {kind} calls {_SAID[what]}, at most {aim:g} % required"


_SAID = {"refused": "are refused", "asked": "are asked about", "allowed": "are allowed"}
