"""What a control is: three tiers, each with what it asks, what proves it, and how it is judged.

Law of this package: a tier names tests, settings and records that exist (a test looks), or says why a proxy
cannot do it. Whether it is met is judged by the configuration and the evidence at hand, never assumed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from mcpguard.authoring.report.review import State, VerifiedEvidence

if TYPE_CHECKING:
    from mcpguard.authoring.findings import Report
    from mcpguard.authoring.report.tally import RecordTally
    from mcpguard.config.loading import Config
    from mcpguard.core.policy.compiled import CompiledRule, PolicySet


class Present(Struct, frozen=True):
    """What a tier is judged by."""

    config: Config
    policies: PolicySet
    machine: Report
    tally: RecordTally
    evidence: VerifiedEvidence

    @property
    def codes(self) -> frozenset[str]:
        """The codes of what doctor found and no person accepted."""
        return frozenset(one.code for one in self.machine.findings if one.standing != "accepted")

    def found(self, *codes: str) -> str:
        """Those of `codes` that doctor found, as a text; empty for none."""
        return ", ".join(code for code in codes if code in self.codes)

    def rules(self, effect: str) -> list[CompiledRule]:
        """The rules in force with that effect, without those in shadow mode."""
        return [rule for rule in self.policies.rules if rule.effect == effect and not rule.shadow]

    @property
    def static(self) -> list[str]:
        """The credentials that stay the same until a person changes them."""
        entries = self.config.credentials
        kept = [f"{name}" for name, one in entries.items() if one.kind == "value"]
        refs = {ref for server in self.config.servers.values() for ref in server.credentials}
        return sorted([*kept, *(str(ref) for ref in refs if ref.source != "credential")])

    @property
    def renewed(self) -> list[str]:
        """The credentials that expire and are renewed by themselves."""
        return sorted(name for name, one in self.config.credentials.items() if one.kind != "value")


Verdict = tuple[State, str]
"""How a tier stands, and why in one sentence."""
Judge = Callable[[Present], Verdict]


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
