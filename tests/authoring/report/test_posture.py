"""Each tier of each control names tests, settings and records that exist, or says why a proxy cannot."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec import structs
from pydantic import BaseModel

from mcpguard.authoring.findings import Finding, Report
from mcpguard.authoring.report.assembly import Period, reviewed
from mcpguard.authoring.report.posture import CONTROLS, JUDGES, TIERS, TierEntry
from mcpguard.authoring.report.review import AccessReview, ReviewedTier
from mcpguard.config.file import ConfigFile
from mcpguard.config.loading import load_config
from mcpguard.config.policies import load_policies
from mcpguard.core.evidence import records
from mcpguard.core.policy.written import Policy, Rule
from mcpguard.core.redaction.redactor import OPT_IN
from tests.authoring.report import month
from tests.requirements.test_ledger import TESTS, names_in
from tests.rows import each

ENTRIES = [
    (control.name, tier, entry)
    for control in CONTROLS
    for tier, entry in zip(TIERS, control.tiers, strict=True)
]
KINDS = {kind.__struct_config__.tag: kind for kind in get_args(records.Record)}


def inside(annotation: Any) -> list[type[BaseModel]]:
    """The models within a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for one in get_args(annotation) for model in inside(one)]


def is_key(name: str) -> bool:
    """Whether `name` is a key of the configuration, or of a policy or a rule."""
    first, *rest = name.split(".")
    models: list[type[BaseModel]] = {"rule": [Rule], "policy": [Policy]}.get(first, [])
    if not models:
        models, rest = [ConfigFile], [first, *rest]
    for step in rest:
        fields = [model.model_fields[step] for model in models if step in model.model_fields]
        if not fields:
            return False
        models = [model for field in fields for model in inside(field.annotation)]
    return True


@each(("control", "tier", "entry"), ENTRIES, ids=lambda one: one if isinstance(one, str) else "")
def test_what_a_tier_names_exists(control: str, tier: str, entry: TierEntry) -> None:
    for name in entry.tests:
        path, _, function = name.partition("::")
        assert (TESTS / path).exists(), name
        assert function in names_in(path), name
    assert [name for name in entry.settings if not is_key(name)] == []
    for name in entry.records:
        kind, _, field = name.partition(".")
        assert field in {one.name for one in structs.fields(KINDS[kind])}, name
    assert (entry.judge is None) is bool(entry.why)
    assert not (entry.state == "a proxy cannot" and entry.tests)


def test_a_key_that_does_not_exist_is_none() -> None:
    assert is_key("credentials.oauth")
    assert not is_key("audit.nothing")
    assert not is_key("rule.nothing")


def test_the_framework_has_its_three_tiers_of_each_control() -> None:
    assert len(CONTROLS) == len({control.name for control in CONTROLS}) == 15
    assert {f"{name}: {tier}" for name, tier, entry in ENTRIES if entry.judge} == JUDGES.keys()


# --- judged --------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 27, tzinfo=UTC)
NOBODY = "version: 1\npolicy: team\nrules:\n  - {id: one, effect: allow, tools: [x], server: files}\n"
CONFIG = "version: 1\nservers: {files: {command: x}}\npolicies: [team.yaml]\naudit: {path: audit}\n"


TESTS_OF = """\
version: 1
policies: [{}]
tests:
  - {{name: a tool, call: {{server: files, tool: x}}, expect: allow}}
"""


def found(
    folder: Path, config: str = CONFIG, policy: str = NOBODY, codes: tuple[str, ...] = ()
) -> AccessReview:
    """The review of a configuration where doctor found `codes`."""
    (folder / "team.yaml").write_text(policy)
    (folder / "mcpguard.yaml").write_text(config)
    loaded = load_config(folder / "mcpguard.yaml")
    policies = load_policies(loaded.policies, OPT_IN).observing(loaded.observe)
    machine = Report(tuple(Finding(code, "error", "f", 1, 0, "m") for code in codes), not codes)
    return reviewed(loaded, policies, None, machine, Period(datetime(2026, 11, 1, tzinfo=UTC), NOW))


def tier(review: AccessReview, control: str, name: str = "foundation") -> ReviewedTier:
    """How one stands."""
    (one,) = [one for one in review.posture if one.name == control]
    return one.tiers[TIERS.index(name)]


def states(review: AccessReview, *wanted: tuple[str, str]) -> list[str]:
    """How these stand."""
    return [tier(review, control, name).state for control, name in wanted]


def test_a_bare_configuration_meets_little_and_says_why(tmp_path: Path) -> None:
    review = found(tmp_path, CONFIG.replace("policies: [team.yaml]\n", ""))
    assert tier(review, "Permission model").state == "not met"
    assert "there is no policy" in tier(review, "Permission model").why
    assert states(
        review,
        ("Action log", "foundation"),
        ("Service authentication", "foundation"),
        ("Service authentication", "enterprise"),
        ("Behaviour baseline", "foundation"),
        ("Governance", "foundation"),
        ("Governance", "advanced"),
        ("Anomaly detection", "foundation"),
        ("Output filtering", "advanced"),
    ) == ["not applicable", "not applicable", "not applicable", *["not met"] * 5]
    for control in review.posture:
        assert all(one.why for one in control.tiers)


def test_a_rule_for_everything_is_no_least_privilege(tmp_path: Path) -> None:
    policy = "version: 1\npolicy: team\nrules:\n  - {id: all, effect: allow, tools: ['*']}\n"
    one = tier(found(tmp_path, policy=policy), "Privilege scope")
    assert (one.state, one.why) == ("not met", "allows every tool of every server: team/all")


def test_what_a_policy_uses_is_met(tmp_path: Path) -> None:
    policy = """\
version: 1
policy: team
expires: 2027-01-31
rules:
  - {id: one, effect: allow, server: files, tools: [x], when: '!("private" in session.labels)', spotlight: true, limit: {calls: 3, per: 1h}}
  - {id: two, effect: ask, server: files, tools: [x]}
"""
    (tmp_path / "team_test.yaml").write_text(TESTS_OF.format("team.yaml"))
    review = found(tmp_path, policy=policy)
    assert states(
        review,
        ("Permission model", "enterprise"),
        ("Permission model", "advanced"),
        ("Privilege scope", "enterprise"),
        ("Privilege scope", "advanced"),
        ("Input validation", "advanced"),
        ("Output filtering", "advanced"),
        ("Governance", "advanced"),
        ("Anomaly detection", "foundation"),
    ) == ["met", "met", "met", "met", "partly", "met", "met", "partly"]


def test_a_policy_is_tested_where_a_test_names_it(tmp_path: Path) -> None:
    def governance() -> tuple[str, str]:
        one = tier(found(tmp_path, config), "Governance", "advanced")
        return one.state, one.why

    config = CONFIG.replace("[team.yaml]", "[team.yaml, other/more.yaml]")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "more.yaml").write_text(NOBODY.replace("policy: team", "policy: more"))
    (tmp_path / "team_test.yaml").write_text(TESTS_OF.format("elsewhere.yaml"))
    (tmp_path / "broken_test.yaml").write_text("no tests")
    assert governance() == ("partly", "no policy test that can be read names more.yaml, team.yaml")
    (tmp_path / "team_test.yaml").write_text(TESTS_OF.format("team.yaml"))
    assert governance() == ("partly", "no policy test that can be read names more.yaml")
    samples = (
        "version: 1\npostures: {more: [more.yaml]}\naims: {refused: 5, asked: 10, allowed: 2, calls: 1}\n"
        "call: {server: files, tool: x}\ngroups: [{name: g, ordinary: [more], calls: [{args: {}}]}]\n"
    )
    (tmp_path / "other" / "calls_test.yaml").write_text(samples)
    assert governance()[0] == "met"


def test_one_policy_is_counted_as_one(tmp_path: Path) -> None:
    assert tier(found(tmp_path), "Governance").why.startswith("1 policy can name an owner and an end;")


@pytest.mark.parametrize(
    ("code", "control", "name", "state"),
    [
        ("D103", "Service authentication", "foundation", "not met"),
        ("D201", "Resource boundary", "foundation", "partly"),
        ("D210", "Permission model", "foundation", "not met"),
        ("D307", "Governance", "foundation", "not met"),
        ("D401", "Resource boundary", "enterprise", "partly"),
        ("D501", "Configuration integrity", "foundation", "not met"),
    ],
)
def test_what_doctor_found_counts(tmp_path: Path, code: str, control: str, name: str, state: str) -> None:
    one = tier(found(tmp_path, codes=(code,)), control, name)
    assert one.state == state
    assert code in one.why


@pytest.mark.parametrize(
    ("audit", "integrity"),
    [
        ("", "partly"),
        (", key: '${keyring:audit/key}'", "partly"),
        (", key: '${keyring:audit/key}', heads: {url: https://x.example/h}", "met"),
        (", key: '${keyring:audit/key}', heads: {file: elsewhere/heads.txt}", "met"),
        (", key: '${keyring:audit/key}', heads: {file: audit/heads.txt}", "partly"),
        (", key: '${keyring:audit/key}', heads: {file: audit/heads.txt, url: https://x.example/h}", "met"),
        (", arguments: digest", "partly"),
    ],
)
def test_how_evidence_is_kept_counts(tmp_path: Path, audit: str, integrity: str) -> None:
    review = found(tmp_path, CONFIG.replace("{path: audit}", f"{{path: audit{audit}}}"))
    assert states(review, ("Action log", "enterprise")) == [integrity]
    assert ("audit.arguments" in tier(review, "Traceability", "advanced").why) is ("digest" in audit)


@pytest.mark.parametrize(
    ("telemetry", "stream", "spans"),
    [
        ("", "not met", "partly"),
        ("telemetry: {sinks: [{to: a.jsonl, format: jsonl}]}\n", "partly", "partly"),
        ("telemetry: {sinks: [{to: 'http://127.0.0.1:4318', format: otlp}]}\n", "partly", "met"),
        (
            "telemetry: {sinks: [{to: a.jsonl, format: jsonl}], on_sink_failure: block}\n",
            "met",
            "partly",
        ),
    ],
)
def test_where_evidence_is_exported_counts(tmp_path: Path, telemetry: str, stream: str, spans: str) -> None:
    review = found(tmp_path, CONFIG + telemetry)
    assert states(review, ("Action log", "advanced"), ("Traceability", "enterprise")) == [stream, spans]


@pytest.mark.parametrize(
    ("entry", "state"),
    [
        ("env: {A: '${keyring:k}'}", "not met"),
        ("env: {A: '${credential:c}'}", "met"),
        ("env: {A: '${credential:c}', B: '${keyring:k}'}", "partly"),
    ],
)
def test_a_static_credential_counts(tmp_path: Path, entry: str, state: str) -> None:
    config = CONFIG.replace("{command: x}", f"{{command: x, {entry}}}")
    if "credential:" in entry:
        config += "credentials: {c: {command: {argv: [/usr/bin/x]}, servers: [files]}}\n"
    review = found(tmp_path, config)
    assert tier(review, "Service authentication").state == state
    assert tier(review, "Privilege scope", "advanced").state == ("met" if state == "met" else state)


def test_a_verified_token_and_an_alert_count(tmp_path: Path) -> None:
    config = CONFIG + (
        "http: {token: {issuer: https://login.example, audience: https://guard.example}}\n"
        "approvals: {notify: [{to: desktop}]}\n"
    )
    review = found(tmp_path, config)
    assert states(review, ("Agent identity", "foundation"), ("Response", "foundation")) == ["met", "partly"]


@pytest.mark.parametrize(
    ("alerts", "wanted"),
    [
        ("", ["not met", "not met", "not met"]),
        ("approvals: {notify: [{to: desktop}]}\nalerts: {notify: true}\n", ["met", "met", "not met"]),
        ("alerts: {command: [/usr/bin/page-me]}\n", ["met", "met", "partly"]),
    ],
)
def test_alerts_on_thresholds_count(tmp_path: Path, alerts: str, wanted: list[str]) -> None:
    review = found(tmp_path, CONFIG + alerts)
    asked = (("Anomaly detection", "foundation"), ("Response", "foundation"), ("Response", "advanced"))
    assert states(review, *asked) == wanted


def test_altered_evidence_is_no_integrity(tmp_path: Path) -> None:
    month.write(tmp_path)
    (chain,) = (tmp_path / "audit").iterdir()
    chain.write_bytes(chain.read_bytes().replace(b"create_issue", b"delete_issue", 1))
    one = tier(found(tmp_path), "Action log", "enterprise")
    assert one.state == "not met"
