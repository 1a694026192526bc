"""What `mcpguard report --json` prints, and what the page shows: the access review as a model, and what in it
deserves a look first.

Law of this file: it has names, counts and times, and no argument, no result and no value of a credential.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from msgspec import Struct
from pydantic import Field

from mcpguard.adapters.system.terminal import counted
from mcpguard.core.document.printed import Printed

State = Literal["met", "partly", "not met", "not applicable", "a proxy cannot"]
"""How a control stands in the present configuration."""


class Tallied(Printed):
    """Something with how often it occurred."""

    name: str = Field(description="What was counted.")
    count: int = Field(description="How often.")


class ConnectedServer(Printed):
    """An upstream of the configuration, and what the evidence says about it."""

    name: str = Field(description="Its name in the configuration.")
    kind: Literal["command", "url"] = Field(description="Whether mcpguard starts it or connects to it.")
    disabled: bool = Field(description="Whether it is disabled.")
    observed: bool = Field(description="Whether its policies are recorded and not enforced.")
    credentials: tuple[str, ...] = Field(description="Names of the credentials that it may get.")
    calls: int = Field(description="Tool calls to it that were allowed.")
    definitions: int = Field(description="Its tools whose definition is on record with a digest.")
    changed: int = Field(description="Its tools and prompts whose definition changed.")
    starts: int = Field(description="How often it was started or connected to.")


class ReachedThing(Printed):
    """Something that a principal can reach, or has used."""

    server: str = Field(description="The upstream.")
    kind: str = Field(description="tool, prompt, resource or template.")
    name: str = Field(description="The upstream's own name for it.")
    answer: Literal["yes", "if", "no", "unknown"] = Field(
        description="`yes`: every call is allowed. `if`: depending on arguments, session or a person. `no`: "
        "none is. `unknown`: calls were allowed in the period, and no rule in force allows one without the "
        "groups or claims of a token, which no record has."
    )
    allowed: int = Field(description="How many uses were allowed.")
    refused: int = Field(description="How many were refused.")
    last: datetime | None = Field(description="When it was last used.")


class ActingAgent(Printed):
    """An agent that acted for a principal, by a verified token."""

    name: str = Field(description="As the token calls it (RFC 8693: `sub` in `act`).")
    allowed: int = Field(description="How many of its requests were allowed.")
    refused: int = Field(description="How many were refused.")
    last: datetime | None = Field(description="Its last one.")


class ReviewedPrincipal(Printed):
    """Somebody who used mcpguard, and what they can reach and used."""

    name: str = Field(description="`SOURCE:ID`, verified.")
    agents: tuple[str, ...] = Field(description="The agents by the labels of their launchers: claims.")
    clients: tuple[str, ...] = Field(description="What their clients call themselves: claims.")
    humans: tuple[str, ...] = Field(description="For whom they acted, where a verified token says so.")
    actors: tuple[ActingAgent, ...] = Field(
        description="Agents that acted for them, the busiest first: their requests are among those below."
    )
    allowed: int = Field(description="Requests that were allowed.")
    refused: int = Field(description="Requests that were refused.")
    asked: int = Field(description="Requests that a person was asked about.")
    first: datetime | None = Field(description="Their first request in the period.")
    last: datetime | None = Field(description="Their last one.")
    groups_unknown: bool = Field(
        description="Whether `answer` leaves out what rules grant to groups or claims of a token, which no "
        "record has."
    )
    reach: tuple[ReachedThing, ...] = Field(description="What they can reach or have used.")


class UnusedGrant(Printed):
    """Something that is granted and was not used in the period."""

    kind: Literal["rule", "tool"] = Field(description="A rule of a policy, or a tool of a server.")
    name: str = Field(description="`POLICY/ID`, or `SERVER/TOOL`.")
    place: str = Field(description="Where the rule stands, as FILE:LINE; for a tool who can reach it.")


class DeniedCalls(Printed):
    """Requests that were refused for the same reason."""

    principal: str = Field(description="Who made them.")
    actor: str = Field(description='The agent that acted for them, by a verified token; "" for none.')
    what: str = Field(description="`SERVER/TOOL`, or the method.")
    cause: str = Field(description="As in a record.")
    rules: tuple[str, ...] = Field(description="The rules that refused.")
    count: int = Field(description="How many.")
    last: datetime = Field(description="The last one.")
    example: str = Field(description="Its id: `mcpguard audit show ID`.")


class DetectedKind(Printed):
    """What was removed from results and notifications, of one kind."""

    kind: str = Field(description="The kind of secret or personal data.")
    count: int = Field(description="How often.")
    servers: tuple[str, ...] = Field(description="The servers from which it came.")


class ReviewedCredential(Printed):
    """A credential by its name."""

    name: str = Field(description="Its name: of an entry of `credentials`, else `SOURCE:NAME`.")
    kind: str = Field(description="The kind of the entry, else the source.")
    short_lived: bool = Field(description="Whether it expires and is renewed automatically.")
    servers: tuple[str, ...] = Field(description="The servers that may get it.")
    rotated: datetime | None = Field(description="When evidence last says that it has another value.")
    seen: datetime | None = Field(
        description="The first record, as far back as evidence goes, that names it."
    )
    age_days: int | None = Field(
        description="At least this many days old: since it was rotated, else since it was first seen. Null "
        "for one that is renewed automatically, and where no record names it."
    )
    calls: int = Field(description="How many allowed calls went to a server that holds it.")


class ReviewedApproval(Printed):
    """An answer of a person to a call that waited."""

    at: datetime = Field(description="When.")
    verdict: Literal["approved", "denied", "void", "ended"] = Field(description="What it was.")
    ticket: str = Field(description="The ticket.")
    by: str = Field(description="Who answered, with the channel.")
    principal: str = Field(description="Whose call it was.")
    uses: int = Field(description="How many calls used it.")


class DwellTime(Printed):
    """Dwell time: how long something that deserves a person's attention went on."""

    session: str = Field(description="The session; `PRINCIPAL AGENT` where a record has no name of one.")
    principal: str = Field(description="Whose session it is.")
    began: datetime = Field(description="The first refusal, or the first label.")
    because: str = Field(description="What that was.")
    ended: datetime | None = Field(description="When it ended; null where it goes on.")
    by: Literal["person", "process end", "open"] = Field(
        description="`person`: somebody answered a ticket of it, cleared a label or ended the session. "
        "`process end`: the process that served it ended. `open`: none of these yet."
    )
    seconds: float = Field(description="How long it was, or has been so far.")


class CoverageShare(Printed):
    """A share of what mcpguard should see, decide, inspect or record."""

    name: str = Field(description="What is measured.")
    part: int = Field(description="How many have it.")
    whole: int = Field(description="Of how many.")
    note: str = Field(description="How it is counted, in one sentence.")


class DayOfCalls(Printed):
    """The requests of one day (UTC)."""

    day: str = Field(description="YYYY-MM-DD.")
    allowed: int = Field(description="Allowed.")
    refused: int = Field(description="Refused.")
    asked: int = Field(description="Left to a person.")


class VerifiedEvidence(Printed):
    """Whether the chains are unaltered, and what they lack."""

    intact: bool = Field(description="Whether no chain was altered and none is missing.")
    chains: int = Field(description="How many chains there are.")
    records: int = Field(description="How many records they have.")
    altered: tuple[str, ...] = Field(description="Files that were altered; their records do not count here.")
    missing: tuple[str, ...] = Field(description="Files that another chain names and that are gone.")
    unclosed: int = Field(description="Chains that are still written, or ended by a crash.")
    unfinished: int = Field(description="Allowed calls without an outcome.")
    begins: datetime | None = Field(description="The oldest record.")
    gaps: tuple[str, ...] = Field(description="When nothing could be written, as it was recorded after.")
    folded: int = Field(
        description="How many more refusals were only counted (`refusals-folded`) and are in no other figure."
    )


class BypassFinding(Printed):
    """Something that bypasses mcpguard, or weakens it, as `mcpguard doctor` reports it."""

    code: str = Field(description="Its code.")
    severity: str = Field(description="error, warning or note.")
    message: str = Field(description="What was found.")
    fix: str = Field(description="What to do about it.")


class ReviewedTier(Printed):
    """One tier of a control, and how it stands."""

    tier: Literal["Foundation", "Enterprise", "Advanced"] = Field(description="The tier.")
    asks: str = Field(description="What the framework asks, in our words.")
    state: State = Field(description="How it stands in the present configuration.")
    why: str = Field(description="Why.")
    tests: tuple[str, ...] = Field(description="Tests that prove it, as PATH::NAME below `tests/`.")
    settings: tuple[str, ...] = Field(description="The keys that it depends on, as FILE.KEY.")
    records: tuple[str, ...] = Field(description="Where it is seen in the evidence, as KIND.FIELD.")


class ReviewedControl(Printed):
    """A control of the framework in its three tiers."""

    name: str = Field(description="The control.")
    tiers: tuple[ReviewedTier, ...] = Field(description="Foundation, Enterprise, Advanced.")


class EnforcedCell(Printed):
    """How one method is enforced in one era over one transport."""

    direction: Literal["from the client", "from an upstream"] = Field(description="Who sends it.")
    method: str = Field(description="The method.")
    era: Literal["legacy", "modern"] = Field(description="The era of the side that sends it.")
    transport: Literal["stdio", "http"] = Field(description="The transport of that side.")
    decided: str = Field(description="How it is decided.")
    inspected: str = Field(description="What of it is inspected.")
    recorded: str = Field(description="What is recorded.")
    tests: tuple[str, ...] = Field(description="Tests that prove it, as PATH::NAME below `tests/`.")


class AccessReview(Printed):
    """What `mcpguard report --json` prints."""

    made: datetime = Field(description="When it was made.")
    since: datetime = Field(description="The time from which records count.")
    version: str = Field(description="The version of mcpguard that made it.")
    config: str = Field(description="The configuration that it is about.")
    policies: tuple[str, ...] = Field(description="The policies in force.")
    listed_from: Literal["snapshot", "rules and records"] = Field(
        description="Where the names of tools come from: what servers offer, or what rules and records name."
    )
    evidence: VerifiedEvidence = Field(description="How the evidence stands.")
    days: tuple[DayOfCalls, ...] = Field(description="The requests of each day of the period.")
    servers: tuple[ConnectedServer, ...] = Field(description="What is connected.")
    principals: tuple[ReviewedPrincipal, ...] = Field(description="Who can reach what, the busiest first.")
    unused: tuple[UnusedGrant, ...] = Field(description="Grants that were not used.")
    denied: tuple[DeniedCalls, ...] = Field(description="What was refused most, at most 50 groups.")
    detections: tuple[DetectedKind, ...] = Field(description="What was removed, the most frequent first.")
    credentials: tuple[ReviewedCredential, ...] = Field(description="Credentials, the oldest first.")
    approvals: tuple[ReviewedApproval, ...] = Field(description="Answers of people, the last 200.")
    approvers: tuple[Tallied, ...] = Field(description="Who answered, and how often.")
    exposures: tuple[DwellTime, ...] = Field(description="Dwell time, the longest first, at most 200.")
    median_dwell_seconds: float | None = Field(
        description="The median of those that ended; null where none did."
    )
    coverage: tuple[CoverageShare, ...] = Field(description="What part is decided, inspected and recorded.")
    bypasses: tuple[BypassFinding, ...] = Field(
        description="What bypasses or weakens mcpguard on this machine, by `mcpguard doctor`."
    )
    unchecked: tuple[str, ...] = Field(description="What `mcpguard doctor` could not check.")
    posture: tuple[ReviewedControl, ...] = Field(description="The controls of the zero-trust framework.")
    enforcement: tuple[EnforcedCell, ...] = Field(description="The enforcement matrix.")


Level = Literal["bad", "look", "good"]


class AttentionItem(Struct, frozen=True):
    """One sentence, and the section of the page that has more."""

    level: Level
    text: str
    section: str


def looks(review: AccessReview) -> list[AttentionItem]:
    """What to look at; where there is nothing, one that says so."""
    found = [*_evidence(review), *_machine(review), *_access(review), *_persons(review)]
    order = ("bad", "look", "good")
    return sorted(found, key=lambda one: order.index(one.level)) or [
        AttentionItem("good", "Nothing stands out.", "evidence")
    ]


def _evidence(review: AccessReview) -> Iterator[AttentionItem]:
    evidence = review.evidence
    if not evidence.chains and not evidence.missing:
        yield AttentionItem("look", "Nothing is on record yet, or the evidence was removed.", "evidence")
        return
    for name in evidence.altered:
        yield AttentionItem("bad", f"The evidence in {name} was altered.", "evidence")
    for name in evidence.missing:
        yield AttentionItem("bad", f"The evidence in {name} is gone.", "evidence")
    if evidence.gaps:
        yield AttentionItem("look", f"{counted(len(evidence.gaps), 'gap')} in the evidence.", "evidence")
    if evidence.folded:
        said = counted(evidence.folded, "refusal was", "refusals were")
        text = f"{said} only counted (refusals-folded), and no other figure has them."
        yield AttentionItem("look", text, "evidence")
    if evidence.begins is not None and evidence.begins > review.since:
        day = evidence.begins.date().isoformat()
        yield AttentionItem("look", f"Evidence begins on {day}: earlier activity is not counted.", "evidence")


def _machine(review: AccessReview) -> Iterator[AttentionItem]:
    errors = [one for one in review.bypasses if one.severity == "error"]
    if errors:
        said = counted(len(errors), "way")
        yield AttentionItem("bad", f"{said} to bypass or weaken mcpguard on this machine.", "coverage")
    observed = [one.name for one in review.servers if one.observed]
    if observed:
        yield AttentionItem("bad", f"Policies are not enforced for {', '.join(observed)}.", "connected")
    changed = [one for one in review.servers if one.changed]
    if changed:
        yield AttentionItem(
            "look", f"Definitions of tools changed at {', '.join(one.name for one in changed)}.", "connected"
        )


def _access(review: AccessReview) -> Iterator[AttentionItem]:
    unused = {kind: sum(one.kind == kind for one in review.unused) for kind in ("rule", "tool")}
    if any(unused.values()):
        said = " and ".join(counted(count, kind) for kind, count in unused.items() if count)
        was = "was" if sum(unused.values()) == 1 else "were"
        yield AttentionItem("look", f"{said} {was} granted but never used.", "unused")
    static = [one for one in review.credentials if not one.short_lived]
    if static:
        said = counted(len(static), "credential")
        yield AttentionItem("look", f"{said} without a known expiry.", "credentials")
    unmet = sum(tier.state == "not met" for one in review.posture for tier in one.tiers[:1])
    if unmet:
        said = counted(unmet, "control")
        yield AttentionItem("look", f"{said} of the tier Foundation not met.", "posture")


def _persons(review: AccessReview) -> Iterator[AttentionItem]:
    open_ = sum(one.by == "open" for one in review.exposures)
    if open_:
        said = counted(open_, "session")
        yield AttentionItem(
            "look", f"{said} with a refusal or a label that no person has looked at.", "dwell"
        )
