"""What a policy that is about to be saved would do to the last decisions on record.

Law of this file: it stands beside what is saved and stops nothing; where it is not known, the page says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mcpguard.authoring.replay.past import last
from mcpguard.authoring.replay.replaying import Replay
from mcpguard.core.errors import AuditError
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.redaction.detectors import OPT_IN

if TYPE_CHECKING:
    from mcpguard.authoring.replay.report import ReplayReport
    from mcpguard.authoring.suggest.own_policy import OwnPolicy, Proposal
    from mcpguard.console.desk import Desk

MOST_DECISIONS = 1_000
"""So many of the last decisions are replayed."""


class Foresight(Struct, frozen=True):
    """What would change, None with the `problem` where that is not known."""

    report: ReplayReport | None
    problem: str = ""

    @property
    def changed(self) -> int:
        return 0 if self.report is None else self.report.loosens + self.report.tightened


def foresee(desk: Desk, own: OwnPolicy, made: Proposal) -> Foresight:
    """What the proposal would do. Raises PolicyError where it does not load."""
    own_one = compile_policy(made.policy_text, str(own.path), OPT_IN)
    desk.rulebook.refresh()
    present = desk.rulebook.policies
    replay = Replay(PolicySet([*own.others, own_one]), [] if present is None else [present])
    try:
        found = last(desk.evidence.folder, MOST_DECISIONS)
    except AuditError as problem:
        return Foresight(None, str(problem))
    return Foresight(replay.take(found))
