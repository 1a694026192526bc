"""What is on record (the log of actions, how it can be traced, what is expected), and how it is run:
anomalies, response, recovery, governance.
"""

from __future__ import annotations

from mcpguard.adapters.system.terminal import counted
from mcpguard.authoring.report.posture.entry import ControlEntry, Present, TierEntry, Verdict, always


def _logged(present: Present) -> Verdict:
    if not present.evidence.records:
        return "not applicable", "nothing is on record yet"
    if present.evidence.gaps:
        gaps = counted(len(present.evidence.gaps), "gap")
        return "partly", f"{gaps}: what could not be recorded was refused"
    return "met", f"{counted(present.evidence.records, 'record')}; what cannot be recorded is refused"


def _tamper_evident(present: Present) -> Verdict:
    if not present.evidence.intact:
        return "not met", "the evidence was altered, or some is missing: `mcpguard audit verify`"
    audit = present.config.audit
    if audit.key is None:
        return "partly", "chains are intact and hold each other; checkpoints are not signed (`audit.key`)"
    if audit.heads is None:
        return "partly", "checkpoints are signed; heads are kept nowhere else (`audit.heads`)"
    return "met", "checkpoints are signed, and heads are kept elsewhere"


def _streamed(present: Present) -> Verdict:
    telemetry = present.config.telemetry
    if not telemetry.sinks:
        return "not met", "evidence is not exported (`telemetry.sinks`)"
    if not telemetry.blocks:
        return "partly", "evidence is exported as it is recorded; calls continue while a sink is unavailable"
    return "met", "evidence is exported as it is recorded, or calls stop; a SIEM correlates it"


def _spans(present: Present) -> Verdict:
    telemetry = present.config.telemetry
    if any(sink.format == "otlp" for sink in telemetry.sinks):
        return "met", "the caller's trace is passed on to the server, and spans are exported"
    return "partly", "the caller's trace is passed on to the server and is on record; no span is exported"


def _traced(present: Present) -> Verdict:
    return "met", "one id names the request in the decision, its outcome and what the client is told"


def _replayable(present: Present) -> Verdict:
    if present.config.audit.arguments == "digest":
        return (
            "partly",
            "only a digest of arguments is recorded (`audit.arguments`), so no decision can be replayed",
        )
    return (
        "partly",
        "decisions can be decided again (`mcpguard replay`); why a model did something is not seen",
    )


def _baseline(present: Present) -> Verdict:
    if not present.policies.rules:
        return "not met", "there is no policy"
    return "met", "the policies are the written expectation; whatever else is tried is refused and recorded"


RECORD = (
    ControlEntry(
        "Action log",
        TierEntry(
            "All tool calls with identity and context",
            _logged,
            (
                "attack/test_audit_failure.py::test_no_call_that_an_upstream_saw_lacks_its_decision_after_a_kill_at_any_moment",
                "gateway/test_gateway.py::test_a_decision_that_cannot_be_recorded_is_a_refusal_without_effect",
            ),
            ("audit.path", "audit.durability", "audit.arguments"),
            ("decision.id", "decision.principal", "decision.arguments", "outcome.status"),
        ),
        TierEntry(
            "Append-only, with integrity that can be verified, replicated",
            _tamper_evident,
            (
                "core/evidence/test_verification.py::test_no_byte_can_be_changed_unseen",
                "adapters/audit/test_upkeep.py::test_a_checkpoint_holds_the_heads_of_the_other_chains_and_is_signed",
            ),
            ("audit.key", "audit.heads"),
            ("checkpoint.signature", "opened.anchors"),
        ),
        TierEntry(
            "Sent to a SIEM as it happens, and correlated",
            _streamed,
            (
                "wire/test_telemetry.py::test_what_a_sink_missed_it_gets_from_the_next_process",
                "wire/test_telemetry.py::test_where_it_must_not_go_on_everything_is_refused_until_the_sink_is_there_again",
            ),
            ("telemetry.sinks", "telemetry.on_sink_failure"),
        ),
    ),
    ControlEntry(
        "Traceability",
        TierEntry(
            "One id for a request through all that it causes",
            _traced,
            (
                "wire/test_evidence.py::test_evidence_answers_who_did_what_why_and_what_came_of_it",
                "gateway/test_records.py::test_a_decision_names_the_client_the_request_and_the_session",
            ),
            (),
            ("decision.id", "decision.request", "outcome.id"),
        ),
        TierEntry(
            "OpenTelemetry across agents",
            _spans,
            (
                "wire/test_evidence.py::test_the_trace_of_the_client_goes_on_at_the_upstream",
                "wire/test_telemetry.py::test_a_call_is_a_span_under_the_callers_whose_id_went_upstream",
            ),
            ("telemetry.sinks",),
            ("decision.trace",),
        ),
        TierEntry(
            "Provenance from input to output, and replay",
            _replayable,
            (
                "authoring/replay/test_replaying.py::test_a_policy_that_loosens_one_of_many_records_is_found",
                "core/policy/test_pdp.py::test_law_a_verdict_is_a_function_of_policies_request_and_session",
                "gateway/test_records.py::test_arguments_are_recorded_redacted_beside_the_digest_of_what_they_were",
            ),
            ("audit.arguments",),
            ("decision.policy_digest", "decision.args", "decision.tool_digest", "outcome.result"),
        ),
    ),
    ControlEntry(
        "Behaviour baseline",
        TierEntry(
            "Expected behaviour is documented, with the boundaries of an alert",
            _baseline,
            ("gateway/test_gateway.py::test_no_matching_rule_is_a_refusal",),
            ("policies",),
            ("decision.cause",),
        ),
        TierEntry(
            "A baseline is learned",
            always("partly", "`mcpguard suggest` proposes rules from what was refused; a person writes them"),
            ("authoring/test_suggest.py::test_what_was_refused_for_another_reason_is_never_suggested",),
        ),
        TierEntry(
            "Drift is found",
            always(
                "partly", "changed definitions are recorded, and this report counts use; nothing is learned"
            ),
            ("gateway/test_records.py::test_a_tool_whose_definition_changes_is_noted_with_both_digests",),
            (),
            ("decision.tool_digest", "notice.detail"),
        ),
    ),
)


def _thresholds(present: Present) -> Verdict:
    if (alerts := present.config.alerts) is not None:
        thresholds = [f"{alerts.denials_per_minute} refusals", f"{alerts.approvals_per_minute} questions"]
        return ("met", f"an alert with its records at {' or '.join(thresholds)} a minute")
    limited = [rule.name for rule in present.policies.rules if rule.written.limit is not None]
    if not limited:
        return "not met", "no threshold raises an alert (`alerts`), and no rule has a limit"
    return "partly", f"a limit refuses and is recorded ({', '.join(limited)}); nobody is alerted (`alerts`)"


def _alerts(present: Present) -> Verdict:
    if present.config.alerts is not None:
        return "met", "an alert says what happened and which records caused it"
    if not present.config.approvals.targets:
        return "not met", "nobody is alerted (`alerts`, `approvals.notify`)"
    return "partly", "people are alerted about calls that wait for them, and about nothing else (`alerts`)"


def _playbooks(present: Present) -> Verdict:
    if (alerts := present.config.alerts) is not None and (alerts.command or alerts.webhook):
        return "partly", "an alert runs a program or calls a webhook, which may act; mcpguard grades nothing"
    return "not met", "no program and no webhook gets an alert (`alerts`)"


def _owned(present: Present) -> Verdict:
    policies = {rule.name.partition("/")[0] for rule in present.policies.rules}
    if not policies:
        return "not met", "there is no policy"
    if late := present.found("D307"):
        return "not met", f"a policy has expired ({late})"
    return (
        "partly",
        f"{len(policies)} policies can name an owner and an end; that they do is a matter of review",
    )


def _tested(present: Present) -> Verdict:
    paths = [path for path in present.config.policy_paths if path.exists()]
    bare = sorted(path.name for path in paths if not any(path.parent.glob("*_test.yaml")))
    if not paths:
        return "not met", "there is no policy to test"
    if bare:
        return "partly", f"no policy test is next to {', '.join(bare)}"
    return "met", "every policy has its tests: `mcpguard test` runs them in a pipeline"


OPERATION = (
    ControlEntry(
        "Anomaly detection",
        TierEntry(
            "Thresholds, with an automatic first look",
            _thresholds,
            (
                "wire/test_telemetry.py::test_many_refusals_raise_one_alert_with_the_calls_that_caused_it",
                "core/policy/test_session.py::test_law_no_window_ever_holds_more_than_the_limit",
            ),
            ("alerts", "rule.limit"),
            ("decision.limits", "decision.cause"),
        ),
        TierEntry(
            "Statistics",
            beyond="it counts and reports; a statistical model belongs where the records of many are",
        ),
        TierEntry(
            "Machine learning",
            beyond="a model that decides would be one more thing to attack; it belongs behind the evidence",
        ),
    ),
    ControlEntry(
        "Response",
        TierEntry(
            "Alerts reach a person, with their context",
            _alerts,
            (
                "wire/test_telemetry.py::test_a_held_secret_in_a_result_raises_an_alert_that_does_not_show_it",
                "adapters/approvals/test_notifying.py::test_a_alert_says_who_wants_what_and_how_to_answer",
            ),
            ("alerts", "approvals.notify"),
            ("notice.ticket",),
        ),
        TierEntry(
            "A session is ended, a credential revoked",
            always(
                "partly",
                "a person ends sessions and approvals, and a changed configuration decides the next call; "
                "no single command quarantines a principal",
            ),
            (
                "wire/test_approvals.py::test_a_session_that_a_person_ends_in_the_middle_of_a_call_ends_what_it_approved",
                "wire/test_lanes.py::test_a_rotated_secret_is_in_force_at_the_next_call_and_a_removed_one_refuses_it",
            ),
            (),
            ("notice.what",),
        ),
        TierEntry(
            "Graduated playbooks",
            _playbooks,
            ("adapters/telemetry/test_alerts.py::test_a_program_gets_the_alert_on_its_standard_input",),
            ("alerts.command", "alerts.webhook"),
        ),
    ),
    ControlEntry(
        "Recovery",
        TierEntry(
            "Roll back to what was good",
            always("met", "a policy with a mistake never takes the place of one that works"),
            (
                "wire/test_policies.py::test_a_bad_policy_never_takes_the_place_of_a_good_one",
                "wire/test_reloading.py::test_an_invalid_configuration_is_reported_once_and_changes_nothing",
            ),
            (),
            ("notice.what",),
        ),
        TierEntry(
            "Health is checked",
            always("met", "`mcpguard status` shows each process and each server, and what is not in force"),
            ("wire/test_lanes.py::test_the_status_shows_each_lane",),
        ),
        TierEntry(
            "It heals itself, behind a circuit breaker",
            always("met", "a server that ended is started by the next call, after a pause that doubles"),
            (
                "attack/test_hostile_upstream.py::test_a_crash_in_a_call_is_one_clear_error_at_once_and_the_upstream_comes_back",
                "adapters/upstreams/session/test_life.py::test_the_pause_doubles_from_half_a_second_to_a_minute",
            ),
            (),
            ("notice.what",),
        ),
    ),
    ControlEntry(
        "Governance",
        TierEntry(
            "Written policies with an owner and an end",
            _owned,
            ("core/policy/test_policy.py::test_an_expiry_that_is_no_day_is_refused",),
            ("policy.owner", "policy.expires"),
        ),
        TierEntry("A committee reviews them", beyond="people meet; this report is what they can read"),
        TierEntry(
            "Checks in the pipeline, and measures of compliance",
            _tested,
            ("cli/authoring/test_test.py::test_too_little_coverage_is_a_no",),
            ("policies",),
        ),
    ),
)
