"""The controls of Anthropic's zero-trust framework for agents, and how each stands here: `controls.txt` has
them, `judges.py` judges what depends on the configuration.

Law of this package: a tier names tests, settings and records that exist (a test looks), or says why a proxy
cannot do it.

To add one: its three tiers in `controls.txt`, and a line in `JUDGES` for each that is judged.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, convert, structs

from mcpguard.authoring.report.posture.judges import JUDGES, Judge, TierEvidence
from mcpguard.authoring.report.review import ReviewedControl, State
from mcpguard.core.tables import entries

TIERS = ("foundation", "enterprise", "advanced")
_LISTS = ("tests", "settings", "records")


class TierEntry(Struct, frozen=True):
    """One tier: how it stands says `judge`, or `state` and `why` where no configuration changes that."""

    asks: str
    judge: Judge | None = None
    state: State = "not met"
    why: str = ""
    tests: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    records: tuple[str, ...] = ()


class ControlEntry(Struct, frozen=True):
    """A control in its tiers: foundation, enterprise, advanced."""

    name: str
    tiers: tuple[TierEntry, ...]


def _controls() -> tuple[ControlEntry, ...]:
    found: dict[str, list[TierEntry]] = {}
    for title, parts in entries(__package__, "controls.txt").items():
        lists = {key: parts.pop(key, "").split() for key in _LISTS}
        entry = convert({**parts, **lists}, TierEntry)
        found.setdefault(title.partition(": ")[0], []).append(structs.replace(entry, judge=JUDGES.get(title)))
    return tuple(ControlEntry(name, tuple(tiers)) for name, tiers in found.items())


CONTROLS = _controls()
"""In the order of the framework: who may do what, what is on record, what passes, how it is run."""


def judged(present: TierEvidence) -> tuple[ReviewedControl, ...]:
    """Each control in its three tiers."""
    return tuple(ReviewedControl.model_validate(_control(one, present)) for one in CONTROLS)


def _control(control: ControlEntry, present: TierEvidence) -> dict[str, Any]:
    tiers = zip(TIERS, control.tiers, strict=True)
    return {"name": control.name, "tiers": [_tier(name, entry, present) for name, entry in tiers]}


def _tier(name: str, entry: TierEntry, present: TierEvidence) -> dict[str, Any]:
    state, why = (entry.state, entry.why) if entry.judge is None else entry.judge(present)
    lists = {key: getattr(entry, key) for key in _LISTS}
    return {"tier": name.capitalize(), "asks": entry.asks, "state": state, "why": why, **lists}
