"""The controls of Anthropic's zero-trust framework for agents, and how each stands here. `controls.txt` has
them; functions here judge what depends on the configuration, in the order of that file.

Law of this file: a tier names tests, settings and records that exist (a test looks), or says why a proxy
cannot do it. Whether one is met is judged by the configuration and the evidence, never assumed.

To add a control: its three tiers in `controls.txt`, and a line in `JUDGES` for each that is judged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, convert, structs

from mcpguard.adapters.system.terminal import counted
from mcpguard.authoring.report.review import ReviewedControl, State, VerifiedEvidence
from mcpguard.authoring.tests.running import policies_named_below
from mcpguard.config.loading import evidence_folder
from mcpguard.core.policy.terms import as_tuple
from mcpguard.core.tables import entries

if TYPE_CHECKING:
    from mcpguard.authoring.findings import Report
    from mcpguard.authoring.report.tally import RecordTally
    from mcpguard.config.loading import Config
    from mcpguard.core.policy.compiled import CompiledRule, PolicySet


class TierEvidence(Struct, frozen=True):
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
Judge = Callable[[TierEvidence], Verdict]


def _identity(present: TierEvidence) -> Verdict:
    if present.config.http.token is not None:
        return "met", "over HTTP every principal comes from a verified token"
    return (
        "partly",
        "on stdio the principal is the operating system's user; agents of one user differ by a claim only",
    )


def _service_tokens(present: TierEvidence) -> Verdict:
    if plain := present.found("D101", "D102", "D103", "D104"):
        return "not met", f"credentials are in plain text ({plain}; `mcpguard doctor`)"
    if not present.static and not present.renewed:
        return "not applicable", "no server needs a credential"
    if not present.static:
        return "met", f"all are issued for minutes and renewed: {', '.join(present.renewed)}"
    state: State = "partly" if present.renewed else "not met"
    return state, f"static until a person replaces them: {', '.join(present.static)}"


def _pinned_peers(present: TierEvidence) -> Verdict:
    if all(server.url is None for server in present.config.servers.values()):
        return "not applicable", "every server is a process that mcpguard starts"
    return ("not met", "servers are verified by their certificates; mcpguard has none of its own")


def _denied_by_default(present: TierEvidence) -> Verdict:
    if not present.policies.rules:
        return "not met", "there is no policy: every call is refused, and nobody decided that"
    if observed := present.found("D210"):
        return "not met", f"policies are observed and not enforced for some servers ({observed})"
    return "met", f"{counted(len(present.policies.rules), 'rule')}; what none allows is refused"


def _conditions(present: TierEvidence) -> Verdict:
    conditional = [rule for rule in present.policies.rules if rule.condition is not None]
    if not conditional:
        return "not met", "no rule has a condition (`when`)"
    return "met", f"{len(conditional)} of {len(present.policies.rules)} rules have a condition on the request"


def _each_action(present: TierEvidence) -> Verdict:
    reading = [rule.name for rule in present.policies.rules if "session" in (rule.written.when or "")]
    if not reading:
        return "partly", "each request is decided on its own, but no rule reads what the session did before"
    reads = ", ".join(reading)
    return "met", f"each request is decided on its own; what the session did before is read by {reads}"


def _least_privilege(present: TierEvidence) -> Verdict:
    wide = [
        rule.name
        for rule in present.rules("allow")
        if rule.condition is None
        and "*" in as_tuple(rule.written.server)
        and (rule.written.tools is None or "*" in rule.written.tools)
    ]
    if wide:
        return "not met", f"allows every tool of every server: {', '.join(wide)}"
    idle = [rule.name for rule in present.rules("allow") if rule.name not in present.tally.rules]
    if idle:
        return "partly", f"not used in this period: {', '.join(idle)}; drop what nobody needs"
    return "met", "no rule allows everything, and every allow rule was used in this period"


def _elevation(present: TierEvidence) -> Verdict:
    asking = ", ".join(rule.name for rule in present.rules("ask"))
    if not asking:
        return "not met", "no rule has a person approve anything (`effect: ask`)"
    return "met", f"a person approves a call, a session or a time: {asking}"


def _just_in_time(present: TierEvidence) -> Verdict:
    ending = [rule.name for rule in present.rules("allow") if rule.until is not None]
    if present.static:
        return "partly" if present.renewed or ending else "not met", (
            f"authority without an end: {', '.join(present.static)}"
        )
    if present.renewed or ending:
        return "met", "credentials and grants expire automatically"
    return "partly", "no credential is needed, and no policy has an end (`expires`)"


def _callers(present: TierEvidence) -> Verdict:
    if around := present.found("D201", "D202", "D203", "D204", "D205"):
        return "partly", f"this machine has ways around mcpguard ({around}; `mcpguard doctor`)"
    return ("partly", "credentials are bound to servers and principals; the host closes other paths")


def _sandboxes(present: TierEvidence) -> Verdict:
    if shared := present.found("D401", "D402", "D403"):
        return "partly", f"servers have a minimal environment, but share the agent's user ({shared})"
    return "partly", "servers have a minimal environment and a folder of their own; a sandbox is the host's"


def _spotlit(present: TierEvidence) -> Verdict:
    if any(rule.written.spotlight for rule in present.policies.rules):
        return "partly", "texts of some results stand between random markers; there is no classifier"
    return "not met", "no rule marks results as data (`spotlight`); there is no classifier"


def _approved(present: TierEvidence) -> Verdict:
    asking = ", ".join(rule.name for rule in present.rules("ask"))
    if not asking:
        return "not met", "no rule has a person approve anything (`effect: ask`)"
    return ("met", f"a person is asked by {asking}; how carefully they read is up to them")


def _integrity(present: TierEvidence) -> Verdict:
    if writable := present.found("D501", "D504", "D505"):
        return "not met", f"others can change what decides ({writable}; `mcpguard doctor`)"
    return "met", "each record has the digest of the policies that decided"


def _logged(present: TierEvidence) -> Verdict:
    if not present.evidence.records:
        return "not applicable", "nothing is on record yet"
    if present.evidence.gaps:
        gaps = counted(len(present.evidence.gaps), "gap")
        return "partly", f"{gaps}: what could not be recorded was refused"
    return "met", f"{counted(present.evidence.records, 'record')}; what cannot be recorded is refused"


def _tamper_evident(present: TierEvidence) -> Verdict:
    if not present.evidence.intact:
        return "not met", "the evidence was altered, or some is missing: `mcpguard audit verify`"
    audit = present.config.audit
    if audit.key is None:
        return "partly", "chains are intact and hold each other; checkpoints are not signed (`audit.key`)"
    if audit.heads is None:
        return "partly", "checkpoints are signed; heads are kept nowhere else (`audit.heads`)"
    file, elsewhere = audit.heads.file, audit.heads.url or audit.heads.stdout
    if (
        file
        and not elsewhere
        and Path(file).resolve().is_relative_to(evidence_folder(present.config).resolve())
    ):
        return "partly", "checkpoints are signed; heads are kept in the audit folder itself (`audit.heads`)"
    return "met", "checkpoints are signed, and heads are kept elsewhere"


def _streamed(present: TierEvidence) -> Verdict:
    telemetry = present.config.telemetry
    if not telemetry.sinks:
        return "not met", "evidence is not exported (`telemetry.sinks`)"
    if not telemetry.blocks:
        return "partly", "evidence is exported as it is recorded; calls continue while a sink is unavailable"
    return "met", "evidence is exported as it is recorded, or calls stop; a SIEM correlates it"


def _spans(present: TierEvidence) -> Verdict:
    telemetry = present.config.telemetry
    if any(sink.format == "otlp" for sink in telemetry.sinks):
        return "met", "the caller's trace is passed on to the server, and spans are exported"
    return "partly", "the caller's trace is passed on to the server and is on record; no span is exported"


def _replayable(present: TierEvidence) -> Verdict:
    if present.config.audit.arguments == "digest":
        return (
            "partly",
            "only a digest of arguments is recorded (`audit.arguments`), so no decision can be replayed",
        )
    return (
        "partly",
        "decisions can be decided again (`mcpguard replay`); why a model did something is not seen",
    )


def _baseline(present: TierEvidence) -> Verdict:
    if not present.policies.rules:
        return "not met", "there is no policy"
    return "met", "the policies are the written expectation; whatever else is tried is refused and recorded"


def _thresholds(present: TierEvidence) -> Verdict:
    if (alerts := present.config.alerts) is not None:
        thresholds = [f"{alerts.denials_per_minute} refusals", f"{alerts.approvals_per_minute} questions"]
        return ("met", f"an alert with its records at {' or '.join(thresholds)} a minute")
    limited = [rule.name for rule in present.policies.rules if rule.written.limit is not None]
    if not limited:
        return "not met", "no threshold raises an alert (`alerts`), and no rule has a limit"
    return "partly", f"a limit refuses and is recorded ({', '.join(limited)}); nobody is alerted (`alerts`)"


def _alerts(present: TierEvidence) -> Verdict:
    if present.config.alerts is not None:
        return "met", "an alert says what happened and which records caused it"
    if not present.config.approvals.targets:
        return "not met", "nobody is alerted (`alerts`, `approvals.notify`)"
    return "partly", "people are alerted about calls that wait for them, and about nothing else (`alerts`)"


def _playbooks(present: TierEvidence) -> Verdict:
    if (alerts := present.config.alerts) is not None and (alerts.command or alerts.webhook):
        return "partly", "an alert runs a program or calls a webhook, which may act; mcpguard grades nothing"
    return "not met", "no program and no webhook gets an alert (`alerts`)"


def _owned(present: TierEvidence) -> Verdict:
    policies = {rule.name.partition("/")[0] for rule in present.policies.rules}
    if not policies:
        return "not met", "there is no policy"
    if late := present.found("D307"):
        return "not met", f"a policy has expired ({late})"
    return (
        "partly",
        f"{counted(len(policies), 'policy', 'policies')} can name an owner and an end; whether that is done "
        "is a matter of review",
    )


def _tested(present: TierEvidence) -> Verdict:
    paths = [path for path in present.config.policy_paths if path.exists()]
    named: set[Path] = set().union(*(policies_named_below(one) for one in {path.parent for path in paths}))
    bare = sorted(path.name for path in paths if path.resolve() not in named)
    if not paths:
        return "not met", "there is no policy to test"
    if bare:
        return "partly", f"no policy test that can be read names {', '.join(bare)}"
    return "met", "every policy has its tests: `mcpguard test` runs them in a pipeline"


JUDGES: dict[str, Judge] = {
    "Agent identity: foundation": _identity,
    "Service authentication: foundation": _service_tokens,
    "Service authentication: enterprise": _pinned_peers,
    "Permission model: foundation": _denied_by_default,
    "Permission model: enterprise": _conditions,
    "Permission model: advanced": _each_action,
    "Privilege scope: foundation": _least_privilege,
    "Privilege scope: enterprise": _elevation,
    "Privilege scope: advanced": _just_in_time,
    "Resource boundary: foundation": _callers,
    "Resource boundary: enterprise": _sandboxes,
    "Action log: foundation": _logged,
    "Action log: enterprise": _tamper_evident,
    "Action log: advanced": _streamed,
    "Traceability: enterprise": _spans,
    "Traceability: advanced": _replayable,
    "Behaviour baseline: foundation": _baseline,
    "Input validation: advanced": _spotlit,
    "Output filtering: advanced": _approved,
    "Configuration integrity: foundation": _integrity,
    "Anomaly detection: foundation": _thresholds,
    "Response: foundation": _alerts,
    "Response: advanced": _playbooks,
    "Governance: foundation": _owned,
    "Governance: advanced": _tested,
}
"""By the name of the tier in `controls.txt`."""


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
