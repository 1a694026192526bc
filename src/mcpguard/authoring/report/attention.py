"""What of a review deserves a look first, worst first: for the top of the page and for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from mcpguard.adapters.system.terminal import counted
from mcpguard.authoring.report.review import AccessReview

Level = Literal["bad", "look", "good"]


class Attention(Struct, frozen=True):
    """One sentence, and the section of the page that has more."""

    level: Level
    text: str
    section: str


def looks(review: AccessReview) -> list[Attention]:
    """What to look at; where there is nothing, one that says so."""
    found = [*_evidence(review), *_machine(review), *_access(review), *_persons(review)]
    order = ("bad", "look", "good")
    return sorted(found, key=lambda one: order.index(one.level)) or [
        Attention("good", "Nothing stands out.", "evidence")
    ]


def _evidence(review: AccessReview) -> Iterator[Attention]:
    evidence = review.evidence
    if not evidence.chains and not evidence.missing:
        yield Attention("look", "Nothing is on record yet, or the evidence was removed.", "evidence")
        return
    for name in evidence.altered:
        yield Attention("bad", f"The evidence in {name} was altered.", "evidence")
    for name in evidence.missing:
        yield Attention("bad", f"The evidence in {name} is gone.", "evidence")
    if evidence.gaps:
        yield Attention("look", f"{counted(len(evidence.gaps), 'gap')} in the evidence.", "evidence")
    if evidence.folded:
        said = counted(evidence.folded, "refusal was", "refusals were")
        text = f"{said} only counted (refusals-folded), and no other figure has them."
        yield Attention("look", text, "evidence")
    if evidence.begins is not None and evidence.begins > review.since:
        day = evidence.begins.date().isoformat()
        yield Attention("look", f"Evidence begins on {day}: earlier activity is not counted.", "evidence")


def _machine(review: AccessReview) -> Iterator[Attention]:
    errors = [one for one in review.bypasses if one.severity == "error"]
    if errors:
        said = counted(len(errors), "way")
        yield Attention("bad", f"{said} to bypass or weaken mcpguard on this machine.", "coverage")
    observed = [one.name for one in review.servers if one.observed]
    if observed:
        yield Attention("bad", f"Policies are not enforced for {', '.join(observed)}.", "connected")
    changed = [one for one in review.servers if one.changed]
    if changed:
        yield Attention(
            "look", f"Definitions of tools changed at {', '.join(one.name for one in changed)}.", "connected"
        )


def _access(review: AccessReview) -> Iterator[Attention]:
    unused = {kind: sum(one.kind == kind for one in review.unused) for kind in ("rule", "tool")}
    if any(unused.values()):
        said = " and ".join(counted(count, kind) for kind, count in unused.items() if count)
        was = "was" if sum(unused.values()) == 1 else "were"
        yield Attention("look", f"{said} {was} granted but never used.", "unused")
    static = [one for one in review.credentials if not one.short_lived]
    if static:
        said = counted(len(static), "credential")
        yield Attention("look", f"{said} without a known expiry.", "credentials")
    unmet = sum(tier.state == "not met" for one in review.posture for tier in one.tiers[:1])
    if unmet:
        said = counted(unmet, "control")
        yield Attention("look", f"{said} of the tier Foundation not met.", "posture")


def _persons(review: AccessReview) -> Iterator[Attention]:
    open_ = sum(one.by == "open" for one in review.exposures)
    if open_:
        said = counted(open_, "session")
        yield Attention("look", f"{said} with a refusal or a label that no person has looked at.", "dwell")
