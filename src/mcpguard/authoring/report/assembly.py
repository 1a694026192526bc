"""The access review of a configuration: what stands in it, what records say, and what doctor found.

Law of this file: nothing is started or contacted, and no credential is asked for its value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from operator import attrgetter
from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from mcpguard import __version__
from mcpguard.adapters.audit.reader import NothingRecorded, chain_files, chain_name, proof
from mcpguard.authoring.explain.hypothesis import listed
from mcpguard.authoring.explain.reach import offered, reach
from mcpguard.authoring.report import review as shown
from mcpguard.authoring.report.enforcement import cells
from mcpguard.authoring.report.posture import TierEvidence, judged
from mcpguard.authoring.report.tally import RecordTally, TalliedPrincipal, UseCount
from mcpguard.authoring.snapshot import Snapshot
from mcpguard.config.loading import Config, evidence_folder
from mcpguard.core.errors import ConfigError
from mcpguard.core.model import Invocation, Principal, split_principal
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.protocol.catalogue import KINDS

if TYPE_CHECKING:
    from mcpguard.authoring.findings import Report

MOST_DENIED = 50
MOST_ANSWERS = 200
MOST_EXPOSURES = 200
_ANONYMOUS = ("os-user", "http")
"""Sources of principals that have neither groups nor claims."""
_BYPASS = ("mediation",)


class Period(Struct, frozen=True):
    """From when to when the review is."""

    since: datetime
    now: datetime


def reviewed(
    config: Config, policies: PolicySet, snapshot: Snapshot | None, machine: Report, period: Period
) -> shown.AccessReview:
    """The review; `machine` is what doctor found. Raises AuditError where evidence cannot be read."""
    evidence, tally = _evidence(config, period.since)
    reaching = _Reaching(config, policies, snapshot, period.now)
    principals = tuple(_principals(tally, reaching))
    exposures = sorted(tally.dwell.found(period.now), key=lambda one: -one.seconds)
    ended = [one.seconds for one in exposures if one.ended is not None]
    return shown.AccessReview(
        made=period.now,
        since=period.since,
        version=__version__,
        config=str(config.path),
        policies=policies.names,
        listed_from="rules and records" if snapshot is None else "snapshot",
        evidence=evidence,
        days=tuple(
            shown.DayOfCalls(day=day, allowed=allowed, refused=refused, asked=asked)
            for day, (allowed, refused, asked) in sorted(tally.days.items())
        ),
        servers=tuple(_servers(config, tally, period.now)),
        principals=principals,
        unused=(*_unused_rules(policies, tally), *_unused_tools(principals)),
        denied=tuple(_denied(tally)),
        detections=tuple(_detections(tally)),
        credentials=tuple(_credentials(config, tally, period.now)),
        approvals=tuple(_answers(tally)),
        approvers=tuple(
            shown.Tallied(name=name, count=count)
            for name, count in Counter(one.by for one in tally.answers).most_common()
        ),
        exposures=tuple(exposures[:MOST_EXPOSURES]),
        median_dwell_seconds=median(ended) if ended else None,
        coverage=tuple(_coverage(config, tally, machine)),
        bypasses=tuple(
            shown.BypassFinding(code=one.code, severity=one.severity, message=one.message, fix=one.fix)
            for one in machine.findings
            if one.standing != "accepted"
        ),
        unchecked=tuple(f"{one.what}: {one.why}" for one in machine.unchecked),
        posture=judged(TierEvidence(config, policies, machine, tally, evidence)),
        enforcement=cells(),
    )


def _evidence(config: Config, since: datetime) -> tuple[shown.VerifiedEvidence, RecordTally]:
    folder = evidence_folder(config)
    tally = RecordTally(since)
    try:
        files = chain_files(folder)
    except NothingRecorded:
        # Nobody has connected yet.
        files = []
    proven = proof(folder, {}) if files else None
    reports = proven.reports if proven else {}
    missing = proven.missing if proven else []
    altered = tuple(name for name, one in reports.items() if not one.intact)
    tally.read(file for file in files if chain_name(file) not in altered)
    found = shown.VerifiedEvidence(
        intact=not altered and not missing,
        chains=len(reports),
        records=sum(one.records for one in reports.values()),
        altered=altered,
        missing=tuple(missing),
        unclosed=sum(not one.closed for one in reports.values()),
        unfinished=sum(len(one.unfinished) for one in reports.values()),
        begins=tally.begins,
        gaps=tuple(tally.gaps),
        folded=tally.folded,
    )
    return found, tally


def _servers(config: Config, tally: RecordTally, now: datetime) -> Iterator[shown.ConnectedServer]:
    calls: Counter[str] = Counter()
    for (_, where, kind, _name), use in tally.uses.items():
        calls[where] += use.allowed if kind == "tool" else 0
    for name, server in config.servers.items():
        yield shown.ConnectedServer(
            name=name,
            kind="command" if server.url is None else "url",
            disabled=server.disabled,
            observed=config.observe is not None and config.observe.covers(name, now),
            credentials=tuple(_held_by(config, name)),
            calls=calls[name],
            definitions=len(tally.definitions.get(name, ())),
            changed=len(tally.changed.get(name, ())),
            starts=tally.starts[name],
        )


def _held_by(config: Config, server: str) -> Iterator[str]:
    """The names, as records have them, of what a server may get."""
    named = [str(ref) for ref in config.servers[server].credentials]
    chosen = (f"credential:{one.name}" for one in config.credentials.values() if server in one.servers)
    yield from dict.fromkeys([*named, *chosen])


def _credentials(config: Config, tally: RecordTally, now: datetime) -> list[shown.ReviewedCredential]:
    """The oldest first."""
    found = _each_credential(config, tally, now)
    return sorted(found, key=lambda one: (one.age_days is None, -(one.age_days or 0), one.name))


def _each_credential(config: Config, tally: RecordTally, now: datetime) -> Iterator[shown.ReviewedCredential]:
    holders: dict[str, list[str]] = {}
    for server in config.servers:
        for name in _held_by(config, server):
            holders.setdefault(name, []).append(server)
    for full, servers in holders.items():
        source, _, name = full.partition(":")
        entry = config.credentials.get(name) if source == "credential" else None
        renewed = entry is not None and entry.kind != "value"
        spelled = [one for one in (full, name) if one in tally.seen] or [full]
        rotated = max((tally.rotated[one] for one in (full, name) if one in tally.rotated), default=None)
        since = rotated or tally.seen.get(spelled[0])
        yield shown.ReviewedCredential(
            name=name if entry else full,
            kind=entry.kind if entry else source,
            short_lived=renewed,
            servers=tuple(servers),
            rotated=rotated,
            seen=tally.seen.get(spelled[0]),
            age_days=None if since is None or renewed else (now - since).days,
            calls=sum(tally.credential_calls[one] for one in spelled),
        )


class _Reaching(Struct, frozen=True):
    """What a principal can reach under the policies in force."""

    config: Config
    policies: PolicySet
    snapshot: Snapshot | None
    now: datetime

    def of(
        self, name: str, agent: str | None, used: Iterable[tuple[str, str, str]]
    ) -> Iterator[tuple[str, str, str, str]]:
        """(server, kind, name, answer) of everything that the servers of `agent` offer; where the snapshot
        does not have a server, what was `used` of it counts as offered."""
        source, principal = split_principal(name)
        asking = Invocation("report", "", Principal(principal, source), self.now, agent)
        try:
            servers = self.config.view(agent).servers
        except ConfigError:
            return
        served = tuple(one for one, server in servers.items() if not server.disabled)
        found = offered(self.policies, served, self.snapshot)
        targets = {(one.server, one.kind, one.name): one for one in found}
        unlisted = set(served) - (self.snapshot.servers.keys() if self.snapshot else set())
        for server, kind, thing in used:
            for target in listed(server, kind, [{KINDS[kind].id_key: thing}]) if server in unlisted else ():
                targets.setdefault((server, kind, thing), target)
        for target in targets.values():
            yield target.server, target.kind, target.name, reach(self.policies, asking, target).answer


def _principals(tally: RecordTally, reaching: _Reaching) -> Iterator[shown.ReviewedPrincipal]:
    by_use = sorted(tally.principals.items(), key=lambda one: -one[1].use.allowed - one[1].use.refused)
    for name, principal in by_use:
        yield shown.ReviewedPrincipal(
            name=name,
            agents=tuple(sorted(principal.agents)),
            clients=tuple(sorted(principal.clients)),
            humans=tuple(sorted(principal.humans)),
            actors=tuple(
                shown.ActingAgent.model_validate({"name": actor} | structs.asdict(use))
                for actor, use in sorted(
                    principal.actors.items(), key=lambda one: -one[1].allowed - one[1].refused
                )
            ),
            allowed=principal.use.allowed,
            refused=principal.use.refused,
            asked=principal.asked,
            first=principal.first,
            last=principal.use.last,
            groups_unknown=_groups_unknown(name),
            reach=tuple(_reached(name, principal, tally, reaching)),
        )


def _groups_unknown(name: str) -> bool:
    source, _ = split_principal(name)
    return source not in _ANONYMOUS


_BEST = ("yes", "if", "no")


def _reached(
    name: str, principal: TalliedPrincipal, tally: RecordTally, reaching: _Reaching
) -> Iterator[shown.ReachedThing]:
    answers = {(server, kind, thing): "no" for by, server, kind, thing in tally.uses if by == name}
    used = list(answers)
    agents: list[str | None] = [*sorted(principal.agents)] or [None]
    for agent in agents:
        for server, kind, thing, answer in reaching.of(name, agent, used):
            before = answers.get((server, kind, thing), "no")
            answers[server, kind, thing] = min(before, answer, key=_BEST.index)
    for (server, kind, thing), answer in sorted(answers.items()):
        use = tally.uses.get((name, server, kind, thing), UseCount())
        by_group = answer == "no" and use.allowed and _groups_unknown(name)
        about = {"server": server, "kind": kind, "name": thing, "answer": "unknown" if by_group else answer}
        yield shown.ReachedThing.model_validate(about | structs.asdict(use))


def _unused_rules(policies: PolicySet, tally: RecordTally) -> Iterator[shown.UnusedGrant]:
    for rule in policies.rules:
        if rule.effect != "deny" and rule.written.on == "call" and rule.name not in tally.rules:
            yield shown.UnusedGrant(kind="rule", name=rule.name, place=rule.place)


def _unused_tools(principals: Iterable[shown.ReviewedPrincipal]) -> Iterator[shown.UnusedGrant]:
    reached: dict[str, list[str]] = {}
    used = set()
    for principal in principals:
        for thing in principal.reach:
            name = f"{thing.server}/{thing.name}"
            if thing.allowed:
                used.add(name)
            elif thing.answer != "no" and thing.kind == "tool":
                reached.setdefault(name, []).append(principal.name)
    for name, who in sorted(reached.items()):
        if name not in used:
            yield shown.UnusedGrant(kind="tool", name=name, place=", ".join(who))


def _denied(tally: RecordTally) -> Iterator[shown.DeniedCalls]:
    most = sorted(tally.refusals.items(), key=lambda one: -one[1].count)
    for key, group in most[:MOST_DENIED]:
        yield shown.DeniedCalls.model_validate(structs.asdict(key) | structs.asdict(group))


def _detections(tally: RecordTally) -> Iterator[shown.DetectedKind]:
    counts: Counter[str] = Counter()
    servers: dict[str, set[str]] = {}
    for (kind, server), count in tally.found.items():
        counts[kind] += count
        servers.setdefault(kind, set()).add(server)
    for kind, count in counts.most_common():
        yield shown.DetectedKind(kind=kind, count=count, servers=tuple(sorted(filter(None, servers[kind]))))


def _answers(tally: RecordTally) -> Iterator[shown.ReviewedApproval]:
    for one in sorted(tally.answers, key=attrgetter("at"), reverse=True)[:MOST_ANSWERS]:
        yield one.model_copy(update={"uses": tally.ticket_uses[one.ticket]})


def _coverage(config: Config, tally: RecordTally, machine: Report) -> Iterator[shown.CoverageShare]:
    counts = tally.counts
    served = [*config.served]
    around = [one for one in machine.findings if one.control in _BYPASS]
    pinned = {(server, f"tool {name}") for server, names in tally.definitions.items() for name in names}
    changed = {(server, name) for server, names in tally.changed.items() for name in names}
    parts = (
        (
            "Requests decided by an enforced policy",
            counts["enforced"],
            counts["decided"],
            "Every request that reaches mcpguard is decided; the rest was only observed (`observe`).",
        ),
        (
            "Results inspected",
            counts["inspected"],
            counts["brought"],
            "Outcomes with an answer that was inspected or withheld, of all that brought one.",
        ),
        (
            "Allowed calls with an outcome on record",
            counts["ended"],
            max(counts["allowed"], counts["ended"]),
            "The rest is still running, or its process was killed.",
        ),
        (
            "Servers reached through mcpguard only",
            len(served),
            len(served) + len(around),
            "Enabled servers, and what doctor found in the clients of this machine that bypasses mcpguard.",
        ),
        (
            "Tool definitions that did not change",
            len(pinned - changed),
            len(pinned),
            "Tools whose definition is on record, without those of which a change was noticed.",
        ),
    )
    for name, part, whole, note in parts:
        yield shown.CoverageShare(name=name, part=part, whole=whole, note=note)
