"""What is on record: the log of actions, how it can be traced, and what is expected."""

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
    if audit is None or audit.key is None:
        return "partly", "chains are intact and hold each other; checkpoints are not signed (`audit.key`)"
    if audit.heads is None:
        return "partly", "checkpoints are signed; heads are kept nowhere else (`audit.heads`)"
    return "met", "checkpoints are signed, and heads are kept elsewhere"


def _streamed(present: Present) -> Verdict:
    telemetry = present.config.telemetry
    if telemetry is None or not telemetry.sinks:
        return "not met", "evidence is exported nowhere (`telemetry.sinks`)"
    if not telemetry.blocks:
        return "partly", "evidence is exported as it is recorded; calls go on while a sink takes nothing"
    return "met", "evidence is exported as it is recorded, or nothing goes on; a SIEM correlates it"


def _spans(present: Present) -> Verdict:
    telemetry = present.config.telemetry
    if telemetry is not None and any(sink.format == "otlp" for sink in telemetry.sinks):
        return "met", "the caller's trace goes on to the server, and spans are exported"
    return "partly", "the caller's trace goes on to the server and is on record; no span is exported"


def _traced(present: Present) -> Verdict:
    return "met", "one id names the request in the decision, its outcome and what the client is told"


def _replayable(present: Present) -> Verdict:
    audit = present.config.audit
    if audit is not None and audit.arguments == "digest":
        return (
            "partly",
            "arguments leave their digest only (`audit.arguments`), so no decision can be replayed",
        )
    return (
        "partly",
        "decisions can be decided again (`mcpguard replay`); why a model did something is not seen",
    )


def _baseline(present: Present) -> Verdict:
    if not present.policies.rules:
        return "not met", "there is no policy"
    return "met", "the policies are the written expectation; whatever else is tried is refused and recorded"


CONTROLS = (
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
            (
                "authoring/suggest/test_records.py::test_what_was_refused_for_another_reason_is_never_suggested",
            ),
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
