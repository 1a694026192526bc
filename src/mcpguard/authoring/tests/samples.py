"""Sample calls as written (`*_test.yaml` with `postures`), ordinary and harmful ones, by which policies are
measured; and their verdicts: how many ordinary ones a posture refuses, and how many harmful ones it
allows.

Law of this file: a call that counts for nothing, or as both, is a mistake at its place. What is counted is
what the engine that decides says of each call; an aim that is missed, or that too few calls stand behind, is
said.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from json import dumps
from typing import Annotated, Any, Literal

from msgspec import Struct
from pydantic import Field

from mcpguard.adapters.system.terminal import counted
from mcpguard.authoring.tests.cases import CallEntry, Case, SessionState
from mcpguard.authoring.tests.rehearsal import CaseOutcome, rehearse
from mcpguard.config.file import PolicyRef
from mcpguard.core.document.constraints import Constraint, Mistake, Path, between, filled
from mcpguard.core.document.printed import Printed
from mcpguard.core.document.reading import Document
from mcpguard.core.document.written import Items, TextOr, Written, whole
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.redaction.redactor import Redactor

KINDS = ("ordinary", "harmful")
"""What a sample call counts as for a posture."""

_TARGETS = ("tool", "prompt", "resource", "action")
_A_NAME = Constraint(
    lambda text: "" if text.strip() else "a group needs a name: what its calls have in common"
)
_PERCENT = between(0, 100, "%")
_SOME_CALLS = filled("`calls` must not be empty", minItems=1)


class AimsEntry(Written):
    """What each posture has to reach; a test fails where one is missed."""

    refused: Annotated[float, _PERCENT] = Field(
        description="Of the ordinary calls, at most this many percent are refused."
    )
    asked: Annotated[float, _PERCENT] = Field(
        description="Of the ordinary calls, a person is asked about at most this many percent."
    )
    allowed: Annotated[float, _PERCENT] = Field(
        description="Of the harmful calls, at most this many percent are allowed."
    )
    calls: Annotated[int, between(1, 100_000)] = Field(
        description="Each posture has at least this many ordinary calls, and as many harmful ones."
    )


class SampleCall(Written):
    """A call, or a part of one: what it leaves out is as in the group, then as in the file. `args` and
    `annotations` are joined key by key."""

    name: str | None = Field(None, description="How reports call it; the default is made of the call.")
    server: str | None = Field(None, description="The name of the server in the configuration.")
    tool: str | None = Field(None, description="The name of a tool, as the server itself calls it.")
    prompt: str | None = Field(None, description="The name of a prompt.")
    resource: str | None = Field(None, description="The URI of a resource.")
    action: str | None = Field(None, description="The method, if the target does not imply it.")
    args: dict[str, Any] = Field({}, description="What conditions see as `args`.")
    annotations: dict[str, Any] = Field({}, description="What the server declares about the tool.")

    def over(self, below: SampleCall) -> SampleCall:
        """This call, with what it leaves out from `below`."""
        aimed = any(getattr(self, kind) is not None for kind in _TARGETS)
        mine = self.model_dump(exclude_defaults=True)
        theirs = below.model_dump(exclude_defaults=True, exclude={"name", *(_TARGETS if aimed else ())})
        joined = {key: {**getattr(below, key), **getattr(self, key)} for key in ("args", "annotations")}
        return SampleCall.model_validate({**theirs, **mine, **joined})

    @property
    def entry(self) -> CallEntry:
        """The whole call; without a server its name is empty."""
        return CallEntry.model_validate(
            {"server": "", **self.model_dump(exclude={"name"}, exclude_none=True)}
        )

    @property
    def label(self) -> str:
        target = next((value for kind in _TARGETS if (value := getattr(self, kind)) is not None), "")
        args = dumps(self.args, ensure_ascii=False) if self.args else ""
        return self.name or " ".join(filter(None, (target, args)))


_Call = TextOr[str, SampleCall]


class GroupEntry(Written):
    """Calls that have something in common and count alike."""

    name: Annotated[str, _A_NAME] = Field(description="What the calls have in common.")
    ordinary: Items[str] = Field((), description="The postures for which these are ordinary calls.")
    harmful: Items[str] = Field((), description="The postures for which these are harmful calls.")
    call: SampleCall = Field(default_factory=SampleCall, description="What the calls of the group share.")
    argument: str | None = Field(
        None, description="The argument whose value is a call that is written as a string."
    )
    session: SessionState = Field(default_factory=SessionState, description="The state of the session.")
    calls: Annotated[Items[_Call], _SOME_CALLS] = Field(
        description="The calls: each what it adds to `call`, or a string: the value of `argument`."
    )

    def mistakes(self) -> Iterator[Mistake]:
        if not self.ordinary and not self.harmful:
            yield (), "name the postures for which these calls are `ordinary` or `harmful`"
        for index, posture in enumerate(self.harmful):
            if posture in self.ordinary:
                yield ("harmful", index), "these calls are ordinary for this posture already"
        for index, one in enumerate(self.calls):
            if one in self.calls[:index]:
                yield ("calls", index), "another call of this group is the same"


class Sample(Struct, frozen=True):
    """A complete sample call: what it says itself, over what its group and its file say."""

    name: str
    at: Path
    call: SampleCall
    group: GroupEntry


class PostureSamples(Written):
    """One file of sample calls, by which several policies for one server are measured."""

    version: Annotated[Literal[1], whole("1")] = Field(description="The version of this format.")
    postures: Annotated[
        dict[str, Annotated[Items[PolicyRef], filled("name at least one policy file", minItems=1)]],
        filled("`postures` must not be empty", minProperties=1),
    ] = Field(
        description="Each posture with its policy files, relative to this file; as "
        "`policies` in the configuration."
    )
    aims: AimsEntry = Field(description="What each posture has to reach.")
    call: SampleCall = Field(default_factory=SampleCall, description="What all calls of the file share.")
    argument: str | None = Field(None, description="As `argument` of a group, for those that have none.")
    groups: Annotated[Items[GroupEntry], filled("`groups` must not be empty", minItems=1)] = Field(
        description="The calls."
    )

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """All calls, in order, each complete."""
        return tuple(self._samples())

    def _samples(self) -> Iterator[Sample]:
        for number, group in enumerate(self.groups):
            shared = group.call.over(self.call)
            argument = group.argument or self.argument or ""
            for index, one in enumerate(group.calls):
                own = SampleCall(name=one, args={argument: one}) if isinstance(one, str) else one
                call = own.over(shared)
                yield Sample(call.label, ("groups", number, "calls", index), call, group)

    def mistakes(self) -> Iterator[Mistake]:
        for number, group in enumerate(self.groups):
            for kind in KINDS:
                for index, posture in enumerate(getattr(group, kind)):
                    if posture not in self.postures:
                        said = f"unknown posture; the file has {', '.join(self.postures)}"
                        yield ("groups", number, kind, index), said
        for sample in self.samples:
            yield from self._incomplete(sample)

    def _incomplete(self, sample: Sample) -> Iterator[Mistake]:
        argument = sample.group.argument or self.argument
        if isinstance(sample.group.calls[int(sample.at[-1])], str) and not argument:
            said = "a string is the value of an argument: name it in `argument`, in the group or the file"
            yield sample.at, said
        if sample.call.server is None:
            yield sample.at, "name the `server`, here or in `call` of the group or the file"
        for _, said in sample.call.entry.mistakes():
            yield sample.at, said


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


class JudgedSample(Struct, frozen=True):
    """A sample call that counts as `kind` for a posture, and the outcome there."""

    sample: Sample
    kind: str
    outcome: CaseOutcome

    @property
    def misjudged(self) -> bool:
        return (self.outcome.effect == "allow") is (self.kind == "harmful")


class PostureScore(Printed):
    """How one posture does on the sample calls of a file."""

    posture: str = Field(description="Its name in the file.")
    where: str = Field(description="`FILE:LINE:COLUMN`.")
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
    judged: dict[str, list[JudgedSample]] = {posture: [] for posture in sets}
    for sample in written.samples:  # Under one posture after another: functions keep their last answers.
        case = _case(sample)
        for posture, policies in sets.items():
            for kind in KINDS:
                if posture in getattr(sample.group, kind):
                    outcome = rehearse(policies, case, redactor).outcome
                    judged[posture].append(JudgedSample(sample, kind, outcome))
    for posture, found in judged.items():
        ordinary, harmful = (_tally([one for one in found if one.kind == kind]) for kind in KINDS)
        place = document.problem(("postures", posture), "")
        yield PostureScore(
            posture=posture,
            where=f"{place.source}:{place.line}:{place.column}",
            ordinary=ordinary,
            harmful=harmful,
            misjudged=tuple(_misjudged(document, one) for one in found if one.misjudged),
            missed=tuple(_missed(written.aims, ordinary, harmful)),
        )


def share(part: int, whole: int) -> float:
    """How much `part` is of `whole`, in percent; 0 of nothing."""
    return 100 * part / whole if whole else 0.0


def _case(sample: Sample) -> Case:
    return Case(name=sample.name, call=sample.call.entry, expect="allow", session=sample.group.session)


def _misjudged(document: Document, one: JudgedSample) -> Misjudged:
    place = document.problem(one.sample.at, "")
    where = f"{place.source}:{place.line}:{place.column}"
    said = one.outcome
    return Misjudged(kind=one.kind, name=one.sample.name, where=where, effect=said.effect, rules=said.rules)


def _tally(found: list[JudgedSample]) -> CallCounts:
    effects: list[str] = [one.outcome.effect for one in found]
    allowed, asked, refused = map(effects.count, ("allow", "ask", "deny"))
    return CallCounts(calls=len(effects), allowed=allowed, asked=asked, refused=refused)


def _missed(aims: AimsEntry, ordinary: CallCounts, harmful: CallCounts) -> Iterator[str]:
    for kind, tally in (("ordinary", ordinary), ("harmful", harmful)):
        if tally.calls < aims.calls:
            yield f"{counted(tally.calls, f'{kind} call')}, at least {aims.calls} required"
    for kind, what, tally in (
        ("ordinary", "refused", ordinary),
        ("ordinary", "asked", ordinary),
        ("harmful", "allowed", harmful),
    ):
        reached, aim = share(getattr(tally, what), tally.calls), getattr(aims, what)
        if reached > aim:
            yield f"{reached:.1f} % of the {kind} calls {_SAID[what]}, at most {aim:g} % required"


_SAID = {"refused": "are refused", "asked": "are asked about", "allowed": "are allowed"}
