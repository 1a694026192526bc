"""Who may do what (identity, authentication of services, permissions, privileges, boundaries), and what
passes: input, output, and the integrity of the configuration that decides about both.
"""

from __future__ import annotations

from mcpguard.adapters.system.terminal import counted
from mcpguard.authoring.report.posture.entry import ControlEntry, Present, TierEntry, Verdict, always
from mcpguard.authoring.report.review import State
from mcpguard.core.policy.terms import as_tuple


def _identity(present: Present) -> Verdict:
    if present.config.http.token is not None:
        return "met", "over HTTP every principal comes from a verified token"
    return (
        "partly",
        "on stdio the principal is the operating system's user; agents of one user differ by a claim only",
    )


def _service_tokens(present: Present) -> Verdict:
    if plain := present.found("D101", "D102", "D103", "D104"):
        return "not met", f"credentials are in plain text ({plain}; `mcpguard doctor`)"
    if not present.static and not present.renewed:
        return "not applicable", "no server needs a credential"
    if not present.static:
        return "met", f"all are issued for minutes and renewed: {', '.join(present.renewed)}"
    state: State = "partly" if present.renewed else "not met"
    return state, f"static until a person replaces them: {', '.join(present.static)}"


def _pinned_peers(present: Present) -> Verdict:
    if all(server.url is None for server in present.config.servers.values()):
        return "not applicable", "every server is a process that mcpguard starts"
    return ("not met", "servers are verified by their certificates; mcpguard has none of its own")


def _denied_by_default(present: Present) -> Verdict:
    if not present.policies.rules:
        return "not met", "there is no policy: every call is refused, and nobody decided that"
    if observed := present.found("D210"):
        return "not met", f"policies are observed and not enforced for some servers ({observed})"
    return "met", f"{counted(len(present.policies.rules), 'rule')}; what none allows is refused"


def _conditions(present: Present) -> Verdict:
    conditional = [rule for rule in present.policies.rules if rule.condition is not None]
    if not conditional:
        return "not met", "no rule has a condition (`when`)"
    return "met", f"{len(conditional)} of {len(present.policies.rules)} rules have a condition on the request"


def _each_action(present: Present) -> Verdict:
    reading = [rule.name for rule in present.policies.rules if "session" in (rule.written.when or "")]
    if not reading:
        return "partly", "each request is decided on its own, but no rule reads what the session did before"
    reads = ", ".join(reading)
    return "met", f"each request is decided on its own; what the session did before is read by {reads}"


def _least_privilege(present: Present) -> Verdict:
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


def _elevation(present: Present) -> Verdict:
    asking = ", ".join(rule.name for rule in present.rules("ask"))
    if not asking:
        return "not met", "no rule has a person approve anything (`effect: ask`)"
    return "met", f"a person approves a call, a session or a time: {asking}"


def _just_in_time(present: Present) -> Verdict:
    ending = [rule.name for rule in present.rules("allow") if rule.until is not None]
    if present.static:
        return "partly" if present.renewed or ending else "not met", (
            f"authority without an end: {', '.join(present.static)}"
        )
    if present.renewed or ending:
        return "met", "credentials and grants expire automatically"
    return "partly", "no credential is needed, and no policy has an end (`expires`)"


def _callers(present: Present) -> Verdict:
    if around := present.found("D201", "D202", "D203", "D204", "D205"):
        return "partly", f"this machine has ways around mcpguard ({around}; `mcpguard doctor`)"
    return ("partly", "credentials are bound to servers and principals; the host closes other paths")


def _sandboxes(present: Present) -> Verdict:
    if shared := present.found("D401", "D402", "D403"):
        return "partly", f"servers have a minimal environment, but share the agent's user ({shared})"
    return "partly", "servers have a minimal environment and a folder of their own; a sandbox is the host's"


ACCESS = (
    ControlEntry(
        "Agent identity",
        TierEntry(
            "A unique identity for each agent, backed by cryptography, in every record",
            _identity,
            (
                "attack/test_http_identity.py::test_a_good_token_gives_the_principal_on_record",
                "adapters/transports/http/test_bearer.py::test_a_forged_token_is_refused",
                "gateway/test_gateway.py::test_claims_of_the_client_never_change_a_verdict_or_the_recorded_principal",
            ),
            ("http.token",),
            ("decision.principal", "decision.human", "decision.actor"),
        ),
        TierEntry(
            "X.509 certificates with a lifecycle, presented on every connection",
            always("not met", "over HTTP mcpguard verifies tokens; it does not ask for client certificates"),
        ),
        TierEntry(
            "Keys in hardware, attested",
            beyond="it sees a token or a user, and cannot attest the machine or the model behind it",
        ),
    ),
    ControlEntry(
        "Service authentication",
        TierEntry(
            "Tokens of an identity provider that live for minutes, none in code or configuration",
            _service_tokens,
            (
                "adapters/credentials/test_broker.py::test_a_lease_is_made_again_a_margin_before_its_end",
                "adapters/credentials/oauth/test_login.py::test_nothing_of_a_login_is_on_the_disk",
                "onboarding/test_import.py::test_no_secret_is_left_in_any_file_and_undo_is_byte_exact",
            ),
            ("credentials.oauth", "credentials.vault", "credentials.github_app", "credentials.postgres"),
            ("decision.credential_kinds",),
        ),
        TierEntry(
            "Mutual TLS, with pinned peers",
            _pinned_peers,
            (
                "adapters/test_network.py::test_a_certificate_that_nobody_vouches_for_is_refused_even_for_a_named_host",
            ),
            ("servers.url",),
        ),
        TierEntry(
            "Credentials bound to hardware", always("not met", "DPoP and keys in hardware are not supported")
        ),
    ),
    ControlEntry(
        "Permission model",
        TierEntry(
            "Roles, and nothing that is not granted",
            _denied_by_default,
            (
                "core/policy/test_pdp.py::test_law_every_table_of_three_rules_is_closed",
                "gateway/test_eras.py::test_without_a_rule_no_decided_method_reaches_an_upstream",
            ),
            ("policies", "observe", "rule.effect"),
            ("decision.cause",),
        ),
        TierEntry(
            "Attributes: who, when, where, how sensitive; a missing one refuses",
            _conditions,
            (
                "core/policy/test_pdp.py::test_a_condition_sees_the_request",
                "core/policy/test_pdp.py::test_law_an_error_in_a_rule_only_tightens",
            ),
            ("rule.when",),
            ("decision.rules",),
        ),
        TierEntry(
            "Decided at each action, with signals of behaviour; revoked at once",
            _each_action,
            (
                "wire/test_policies.py::test_a_changed_policy_decides_the_next_call_on_the_open_connection",
                "wire/test_policies.py::test_what_one_server_gave_closes_the_way_out_through_another",
                "wire/test_lanes.py::test_a_rotated_secret_is_in_force_at_the_next_call_and_a_removed_one_refuses_it",
            ),
            ("rule.when", "rule.label", "rule.limit"),
            ("decision.session_labels", "decision.label_causes"),
        ),
    ),
    ControlEntry(
        "Privilege scope",
        TierEntry(
            "Static roles with the least privilege, reviewed; what is unused is dropped",
            _least_privilege,
            (
                "authoring/report/test_review.py::test_a_rule_and_a_tool_that_nobody_used_are_unused_grants",
                "authoring/explain/test_reach.py::test_no_is_what_lists_hide_and_yes_is_what_every_call_may",
            ),
            ("rule.tools", "rule.server"),
            ("decision.rules",),
        ),
        TierEntry(
            "Elevated for a task, given back, logged",
            _elevation,
            (
                "gateway/questions/test_approvals.py::test_an_approval_counts_for_one_call",
                "gateway/questions/test_lasting_approvals.py::test_it_ends_exactly_when_it_says",
            ),
            ("rule.ask", "approvals.wait_seconds"),
            ("decision.approval", "notice.detail"),
        ),
        TierEntry(
            "Just in time and just enough, expiring automatically",
            _just_in_time,
            (
                "core/policy/test_pdp.py::test_what_an_allow_that_has_ended_redacts_and_labels_goes_on_where_another_allows",
                "adapters/credentials/test_broker.py::test_at_the_end_every_lease_is_ended_and_nothing_is_given_any_more",
            ),
            ("policy.expires", "credentials.cache_seconds", "rule.limit"),
            ("decision.limits",),
        ),
    ),
    ControlEntry(
        "Resource boundary",
        TierEntry(
            "Services accept named callers only; segments behind that",
            _callers,
            (
                "adapters/credentials/test_broker.py::test_another_server_gets_nothing_and_the_source_is_not_asked",
                "attack/test_egress.py::test_the_credential_of_one_server_does_not_reach_another_in_a_call",
                "onboarding/locks/test_lock.py::test_a_locked_client_starts_mcpguard_and_nothing_else",
            ),
            ("credentials.servers", "credentials.hosts", "credentials.principals", "clients"),
            ("decision.server",),
        ),
        TierEntry(
            "A sandbox for each agent",
            _sandboxes,
            (
                "attack/test_leaks.py::test_the_environment_of_an_upstream_has_the_allowed_names_and_its_own_and_nothing_else",
                "adapters/upstreams/process/test_own_folder.py::test_each_start_has_a_new_empty_folder_that_only_its_user_can_enter",
            ),
            ("servers.cwd", "servers.env"),
            ("notice.what",),
        ),
        TierEntry("Enclaves and microVMs", beyond="where a process runs is for the host to arrange"),
    ),
)


def _spotlit(present: Present) -> Verdict:
    if any(rule.written.spotlight for rule in present.policies.rules):
        return "partly", "texts of some results stand between random markers; there is no classifier"
    return "not met", "no rule marks results as data (`spotlight`); there is no classifier"


def _approved(present: Present) -> Verdict:
    asking = ", ".join(rule.name for rule in present.rules("ask"))
    if not asking:
        return "not met", "no rule has a person approve anything (`effect: ask`)"
    return ("met", f"a person is asked by {asking}; how carefully they read is up to them")


def _integrity(present: Present) -> Verdict:
    if writable := present.found("D501", "D504", "D505"):
        return "not met", f"others can change what decides ({writable}; `mcpguard doctor`)"
    return "met", "each record has the digest of the policies that decided"


CONTENT = (
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
                "core/redaction/detectors/test_detectors.py::test_a_hit_is_found_wherever_it_stands",
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
