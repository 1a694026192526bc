"""What passes: input, output, and the integrity of the configuration that decides about both."""

from __future__ import annotations

from mcpguard.authoring.report.posture.entry import ControlEntry, Present, TierEntry, Verdict, always


def _spotlit(present: Present) -> Verdict:
    if any(rule.written.spotlight for rule in present.policies.rules):
        return "partly", "texts of some results stand between random markers; there is no classifier"
    return "not met", "no rule marks results as data (`spotlight`); there is no classifier"


def _approved(present: Present) -> Verdict:
    asking = ", ".join(rule.name for rule in present.rules("ask"))
    if not asking:
        return "not met", "no rule has a person approve anything (`effect: ask`)"
    return (
        "met",
        f"a person is asked by {asking}; how carefully they read is up to them",
    )


def _integrity(present: Present) -> Verdict:
    if writable := present.found("D501", "D504", "D505"):
        return "not met", f"others can change what decides ({writable}; `mcpguard doctor`)"
    return "met", "each record has the digest of the policies that decided"


CONTROLS = (
    ControlEntry(
        "Input validation",
        TierEntry(
            "Schema and length",
            always(
                "met",
                "arguments fit the schema that the server lists, and a message its limits, or it is refused",
            ),
            (
                "gateway/test_gateway.py::test_arguments_that_do_not_fit_the_schema_go_nowhere_and_the_model_reads_what_does",
                "attack/test_hostile_client.py::test_a_message_with_the_same_key_twice_is_refused",
            ),
            ("limits.message_bytes",),
            ("decision.cause",),
        ),
        TierEntry(
            "Known patterns, and payloads that are encoded",
            always(
                "partly",
                "SQL, commands, URLs and paths are parsed or refused, and held credentials are found in "
                "disguise; the rest is friction",
            ),
            (
                "core/functions/sql/test_sql.py::test_an_attack_does_not_pass_its_guard",
                "gateway/test_egress.py::test_the_credential_of_another_server_in_arguments_is_refused_in_every_form",
            ),
            ("rule.when",),
            ("decision.rules",),
        ),
        TierEntry(
            "Classifiers and spotlighting",
            _spotlit,
            (
                "gateway/inspection/test_spotlight.py::test_each_text_of_a_result_is_marked_and_its_structured_form_is_not",
            ),
            ("rule.spotlight",),
        ),
    ),
    ControlEntry(
        "Output filtering",
        TierEntry(
            "Patterns are found, blocked or redacted, and logged",
            always(
                "met", "every message to the client is inspected before its first byte leaves, or withheld"
            ),
            (
                "attack/test_leaks.py::test_an_upstream_cannot_give_its_secret_away",
                "core/redaction/detectors/test_tables.py::test_a_hit_is_found_wherever_it_stands",
            ),
            ("rule.redact", "rule.unredacted"),
            ("outcome.findings", "notice.findings"),
        ),
        TierEntry(
            "Meaning, and exfiltration in encodings",
            always(
                "partly", "held values are found in the listed encodings; what a text means is not judged"
            ),
            ("attack/test_leaks_everywhere.py::test_no_disguise_of_a_secret_can_be_read_on_any_way",),
            (),
            ("outcome.findings",),
        ),
        TierEntry(
            "A person approves what is of high risk, with a clear description, logged",
            _approved,
            (
                "gateway/questions/test_approvals.py::test_a_call_that_waits_goes_on_when_a_person_approves",
                "gateway/questions/test_approvals.py::test_other_arguments_are_another_call",
                "wire/test_approvals.py::test_an_approval_outlives_the_process_that_asked",
            ),
            ("rule.ask", "approvals.passkeys"),
            ("decision.ticket", "decision.approval"),
        ),
    ),
    ControlEntry(
        "Configuration integrity",
        TierEntry(
            "Versions and review",
            _integrity,
            ("core/policy/test_policy.py::test_the_digest_is_of_the_content_and_not_of_the_layout_or_order",),
            ("policies",),
            ("opened.policy_digest", "decision.policy_digest"),
        ),
        TierEntry(
            "Signed; what is not signed is refused",
            always(
                "not met", "policies are files that the user owns; signatures of policies are not supported"
            ),
        ),
        TierEntry(
            "Immutable and attested",
            always("not met", "the configuration may be read-only, but nothing attests it"),
        ),
    ),
)
