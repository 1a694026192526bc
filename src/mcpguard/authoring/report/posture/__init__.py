"""The controls of Anthropic's zero-trust framework for agents, and how each stands here: `access.py` and
`operation.py` have them, `entry.py` says what one is.

To add one: an entry in a table of this package; `CONTROLS` names the tables.
"""

from __future__ import annotations

from typing import Any

from mcpguard.authoring.report.posture.access import ACCESS, CONTENT
from mcpguard.authoring.report.posture.entry import ControlEntry, Present, TierEntry
from mcpguard.authoring.report.posture.operation import OPERATION, RECORD
from mcpguard.authoring.report.review import ReviewedControl

CONTROLS: tuple[ControlEntry, ...] = (*ACCESS, *RECORD, *CONTENT, *OPERATION)
"""In the order of the framework: who may do what, what is on record, what passes, how it is run."""

TIERS = ("foundation", "enterprise", "advanced")


def judged(present: Present) -> tuple[ReviewedControl, ...]:
    """Each control in its three tiers."""
    return tuple(
        ReviewedControl.model_validate(
            {"name": control.name, "tiers": [_tier(name, getattr(control, name), present) for name in TIERS]}
        )
        for control in CONTROLS
    )


def _tier(name: str, entry: TierEntry, present: Present) -> dict[str, Any]:
    state, why = ("a proxy cannot", entry.beyond) if entry.judge is None else entry.judge(present)
    return {
        "tier": name.capitalize(),
        "asks": entry.asks,
        "state": state,
        "why": why,
        "tests": entry.tests,
        "settings": entry.settings,
        "records": entry.records,
    }
