"""How it is run: anomalies, response, recovery, governance."""

from __future__ import annotations

from mcpguard.authoring.report.posture.entry import ControlEntry, Present, TierEntry, Verdict, always


def _thresholds(present: Present) -> Verdict:
    if (alerts := present.config.alerts) is not None:
        thresholds = [f"{alerts.denials_per_minute} refusals", f"{alerts.approvals_per_minute} questions"]
        return (
            "met",
            f"an alert with its records at {' or '.join(thresholds)} a minute",
        )
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
        return "partly", f"no policy test stands beside {', '.join(bare)}"
    return "met", "policy tests stand beside every policy: `mcpguard test` runs them in a pipeline"


CONTROLS = (
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
                "adapters/upstreams/test_life.py::test_the_pause_doubles_from_half_a_second_to_a_minute",
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
        TierEntry(
            "A committee reviews them",
            beyond="people meet; this report is what they can read",
        ),
        TierEntry(
            "Checks in the pipeline, and measures of compliance",
            _tested,
            ("cli/authoring/test_test.py::test_too_little_coverage_is_a_no",),
            ("policies",),
        ),
    ),
)
