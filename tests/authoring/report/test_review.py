"""What an access review says of a month of evidence."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.authoring.findings import Finding, Report, Unchecked
from mcpguard.authoring.report.assembly import Period, reviewed
from mcpguard.authoring.report.page import page
from mcpguard.authoring.report.review import AccessReview, ReachedThing, looks
from mcpguard.authoring.report.tally import DwellWatch, RecordTally
from mcpguard.authoring.snapshot import Snapshot
from mcpguard.config.loading import load_config
from mcpguard.config.policies import load_policies
from mcpguard.core.evidence.records import Closed, Decided, Noticed, Opened, Outcome
from mcpguard.core.redaction.redactor import OPT_IN
from tests.authoring.report import month
from tests.authoring.report.month import ADA, BOT, NOW

QUIET = Report((), True)
BYPASS = Finding("D201", "warning", "client.json", 3, 0, "cursor starts git directly", control="mediation")


def review(
    config: Path, days: int = 30, machine: Report = QUIET, snapshot: Snapshot | None = None
) -> AccessReview:
    """Of the last `days`."""
    loaded = load_config(config)
    policies = load_policies(loaded.policies, OPT_IN).observing(loaded.observe)
    return reviewed(loaded, policies, snapshot, machine, Period(NOW - timedelta(days=days), NOW))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month of evidence."""
    return month.write(tmp_path_factory.mktemp("month"))


def reached(found: AccessReview, principal: str, name: str) -> ReachedThing:
    """What one principal can do with a tool."""
    (who,) = [one for one in found.principals if one.name == principal]
    (thing,) = [one for one in who.reach if f"{one.server}/{one.name}" == name]
    return thing


def test_it_says_what_is_connected(written: Path) -> None:
    found = {one.name: one for one in review(written).servers}
    assert list(found) == ["github", "warehouse", "files", "calendar"]
    assert (found["github"].kind, found["files"].kind) == ("url", "command")
    assert [one.disabled for one in found.values()] == [False, False, False, True]
    assert found["warehouse"].credentials == ("keyring:warehouse/uri",)
    assert found["github"].credentials == ("credential:github",)
    assert (found["github"].changed, found["github"].starts, found["files"].definitions) == (1, 1, 1)


def test_a_definition_that_changed_counts_once_however_many_clients_noticed(tmp_path: Path) -> None:
    config = month.write(tmp_path)
    audit = AuditFile(tmp_path / "audit", "flush")
    audit.write(Opened(NOW - timedelta(hours=2), "0.1.0", 1, ADA, ("team",), "d", format=2))
    for said in (
        "tool get_issue: sha256 d0, now d1",
        "prompt get_file: sha256 d0, now d1",
        "3 more tools",
    ) * 2:
        audit.write(Noticed(NOW - timedelta(hours=1), "pin-changed", "github", said))
    audit.close(Closed(NOW, "client-ended"))
    found = review(config)
    (github,) = [one for one in found.servers if one.name == "github"]
    whole = sum(one.definitions for one in found.servers)
    (share,) = [one for one in found.coverage if one.name == "Tool definitions that did not change"]
    assert (github.changed, share.part, share.whole) == (5, whole - 1, whole)


def test_it_says_who_can_reach_what_and_what_they_used(written: Path) -> None:
    found = review(written)
    assert [one.name for one in found.principals] == [ADA, BOT]
    ada, bot = found.principals
    assert (ada.agents, ada.clients, ada.humans) == (("claude-code",), ("claude-code/2.1.0",), ())
    assert (bot.humans, ada.groups_unknown, bot.groups_unknown) == (
        ("https://login.example:ada",),
        False,
        True,
    )
    assert ada.actors == ()
    assert [(one.name, one.allowed, one.refused) for one in bot.actors] == [
        ("build-agent", bot.allowed, bot.refused)
    ]
    assert {one.actor for one in found.denied if one.principal == BOT} == {"build-agent"}
    assert {one.actor for one in found.denied if one.principal == ADA} == {""}
    assert reached(found, ADA, "github/list_issues").answer == "if"
    assert reached(found, ADA, "files/read_file").answer == "yes"
    dropped = reached(found, ADA, "warehouse/drop_table")
    assert (dropped.answer, dropped.allowed, dropped.refused > 0) == ("no", 0, True)
    unused = reached(found, ADA, "files/delete_file")
    assert (unused.answer, unused.allowed, unused.last) == ("if", 0, None)


def test_a_snapshot_has_what_nobody_named(written: Path) -> None:
    offer = {"files": {"tools": [{"name": "read_file"}, {"name": "move_file"}]}}
    snapshot = Snapshot.model_validate({"version": 1, "servers": offer})
    found = review(written, snapshot=snapshot)
    assert found.listed_from == "snapshot"
    assert reached(found, ADA, "files/move_file").answer == "no"
    # A server that the snapshot does not have is not left out.
    assert reached(found, ADA, "github/list_issues").answer == "if"
    assert reached(found, ADA, "warehouse/drop_table").answer == "no"


def test_what_only_records_name_is_reached_by_the_rules_that_match_it(tmp_path: Path) -> None:
    config = month.write(tmp_path)
    policy = tmp_path / "team.yaml"
    policy.write_text(f"{month.POLICY}  - {{id: all, effect: allow, server: github, tools: ['create_*']}}\n")
    assert reached(review(config), ADA, "github/create_issue").answer == "if"
    assert reached(review(config), ADA, "warehouse/drop_table").answer == "no"


def test_what_groups_may_have_granted_is_no_plain_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(month, "BOT", "http://127.0.0.1:9401:ci-bot")
    config = month.write(tmp_path)
    rule = """{id: all, effect: allow, tools: ["*"], when: '"team" in principal.groups'}"""
    (tmp_path / "team.yaml").write_text(f"version: 1\npolicy: team\nrules:\n  - {rule}\n")
    found = review(config)
    assert [one.groups_unknown for one in found.principals] == [False, True]
    granted, dropped = (
        reached(found, month.BOT, f"{one}") for one in ("files/read_file", "warehouse/drop_table")
    )
    assert (granted.answer, granted.allowed > 0) == ("unknown", True)
    assert (dropped.answer, dropped.allowed) == ("no", 0)
    mine = reached(found, ADA, "files/read_file")
    assert (mine.answer, mine.allowed > 0) == ("no", True)
    made = page(found)
    assert "unknown</span>" in made
    assert "no longer</span>" in made


def test_a_rule_and_a_tool_that_nobody_used_are_unused_grants(written: Path) -> None:
    found = {(one.kind, one.name) for one in review(written).unused}
    assert ("rule", "team/cleanup") in found
    assert ("tool", "files/delete_file") in found
    assert ("rule", "team/read") not in found
    assert ("rule", "team/no-leak") not in found
    assert ("tool", "warehouse/drop_table") not in found


def test_what_was_refused_most_comes_first_with_an_example(written: Path) -> None:
    found = review(written).denied
    assert {one.what for one in found} == {"github/create_issue", "warehouse/drop_table"}
    assert [one.count for one in found] == sorted((one.count for one in found), reverse=True)
    leak = next(one for one in found if one.what == "github/create_issue")
    assert (leak.cause, leak.rules) == ("rule", ("team/no-leak",))
    assert leak.example


def test_what_was_removed_is_counted_by_kind(written: Path) -> None:
    found = {one.kind: one for one in review(written).detections}
    assert found["email"].count == 2 * found["github-token"].count
    assert found["aws-access-key"].servers == ("files",)


def test_a_credential_has_an_age_by_its_last_change_and_one_that_is_renewed_has_none(written: Path) -> None:
    found = {one.name: one for one in review(written).credentials}
    static, renewed = found["keyring:warehouse/uri"], found["github"]
    assert (static.kind, static.short_lived, static.age_days) == ("keyring", False, 12)
    assert (renewed.kind, renewed.short_lived, renewed.age_days) == ("command", True, None)
    assert renewed.calls > 0


def test_a_credential_that_is_new_on_record_was_not_changed(tmp_path: Path) -> None:
    found = review(month.write(tmp_path, days=1, now=NOW))
    (credential,) = [one for one in found.credentials if one.name == "keyring:warehouse/uri"]
    for rotated, said in ((None, "first seen today"), (NOW, "changed today")):
        today = credential.model_copy(update={"rotated": rotated, "seen": NOW, "age_days": 0})
        made = page(found.model_copy(update={"credentials": (today,)}))
        assert [one for one in ("first seen today", "changed today") if one in made] == [said]


def test_it_says_who_approved_what(written: Path) -> None:
    found = review(written)
    (one,) = found.approvals
    assert (one.verdict, one.ticket, one.principal, one.uses) == ("approved", month.TICKET, ADA, 1)
    assert [(one.name, one.count) for one in found.approvers] == [(f"{ADA} (console)", 1)]


def test_dwell_time_ends_with_a_person_or_the_process(written: Path) -> None:
    found = review(written)
    assert sorted(one.by for one in found.exposures) == ["person", "process end", "process end"]
    assert found.median_dwell_seconds is not None


def test_only_the_period_counts_but_a_credential_is_as_old_as_it_is(written: Path) -> None:
    whole, week = review(written), review(written, days=7)
    assert sum(one.allowed for one in week.days) < sum(one.allowed for one in whole.days)
    assert week.approvals == ()
    assert next(one for one in week.credentials if not one.short_lived).age_days == 12
    assert week.evidence == whole.evidence


def test_coverage_counts_what_goes_around(written: Path) -> None:
    machine = Report((BYPASS,), False, (Unchecked("the keychain", "locked"),))
    found = review(written, machine=machine)
    shares = {one.name: (one.part, one.whole) for one in found.coverage}
    assert shares["Servers reached through mcpguard only"] == (3, 4)
    inspected = shares["Results inspected"]
    assert inspected[0] == inspected[1] > 0
    assert [one.code for one in found.bypasses] == ["D201"]
    assert found.unchecked == ("the keychain: locked",)


def test_altered_evidence_does_not_count_and_is_said_first(tmp_path: Path) -> None:
    config = month.write(tmp_path)
    (chain,) = (tmp_path / "audit").iterdir()
    chain.write_bytes(chain.read_bytes().replace(b"create_issue", b"delete_issue", 1))
    found = review(config)
    assert (found.evidence.intact, found.evidence.altered) == (False, (chain.name,))
    assert (found.principals, found.days) == ((), ())
    assert looks(found)[0].level == "bad"
    assert chain.name in looks(found)[0].text


def test_without_evidence_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(month.POLICY)
    (tmp_path / "mcpguard.yaml").write_text(month.CONFIG)
    found = review(tmp_path / "mcpguard.yaml")
    assert (found.evidence.chains, found.evidence.intact) == (0, True)
    assert "Nothing is on record yet, or the evidence was removed." in [one.text for one in looks(found)]


def test_an_agent_that_is_no_client_of_the_configuration_reaches_nothing(tmp_path: Path) -> None:
    config = month.write(tmp_path)
    config.write_text(config.read_text() + "clients: {ci: {servers: [files]}}\n")
    assert {one.answer for one in review(config).principals[0].reach} == {"no"}


def test_where_nothing_stands_out_that_is_said(written: Path) -> None:
    calm = review(written).model_copy(
        update={"unused": (), "credentials": (), "exposures": (), "posture": (), "servers": ()}
    )
    begins = calm.evidence.model_copy(update={"begins": calm.since})
    assert [one.level for one in looks(calm.model_copy(update={"evidence": begins}))] == ["good"]


def test_gaps_and_missing_chains_and_observed_servers_are_said(written: Path) -> None:
    found = review(written)
    evidence = found.evidence.model_copy(update={"missing": ("a.jsonl",), "gaps": ("since then",)})
    servers = tuple(one.model_copy(update={"observed": True}) for one in found.servers[:1])
    bad = [Finding("D101", "error", "f", 1, 0, "m")]
    texts = [
        one.text
        for one in looks(
            review(written, machine=Report(tuple(bad), False)).model_copy(
                update={"evidence": evidence, "servers": servers}
            )
        )
    ]
    assert any("a.jsonl is gone" in text for text in texts)
    assert any("1 gap in the evidence" in text for text in texts)
    assert any("not enforced for github" in text for text in texts)
    assert any("1 way to bypass or weaken mcpguard" in text for text in texts)


@pytest.mark.parametrize(
    ("what", "detail", "wanted"),
    [
        ("approval-given", "ticket t of https://a.example:bot by https://a.example:ada (console)", "approved"),
        ("approval-refused", "ticket t of https://a.example:bot by https://a.example:ada (console), for the session", "denied"),
        ("approval-void", "ticket t by https://a.example:ada (console): somebody else answered", "void"),
        ("approval-void", "approval-given: ticket t of https://a.example:bot by https://a.example:ada (console): late", "void"),
        ("approval-ended", "ticket t of https://a.example:bot by https://a.example:ada (console), used 3 times", "ended"),
        ("refusal-ended", "ticket t of https://a.example:bot by https://a.example:ada (console)", "ended"),
        ("change-void", "refusal-ended: ticket t of https://a.example:bot by https://a.example:ada (console): locked", "void"),
    ],
)  # fmt: skip
def test_who_answered_is_read_whole(what: str, detail: str, wanted: str) -> None:
    tally = RecordTally(T)
    tally._take(noticed(1, what, detail), "a", "a", {})
    (one,) = tally.answers
    assert (one.verdict, one.by) == (wanted, "https://a.example:ada (console)")


# --- dwell time ----------------------------------------------------------------------------------

T = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SESSION = "a" * 32


def decision(minutes: float, effect: str = "allow", name: str = "1", **more: object) -> Decided:
    """Of the one session."""
    return structs.replace(
        Decided(T + timedelta(minutes=minutes), name, ADA, "tools/call", effect, session=SESSION), **more
    )


def dwelt(*records: tuple[str, object]) -> list[tuple[float, float | None, str]]:
    """Begin and end of each in minutes, and what ended it, out of records and the chains that they are of."""
    watch = DwellWatch()
    for file, record in records:
        assert isinstance(record, Opened | Decided | Outcome | Noticed | Closed)
        watch.take(record, file, file)
    return [
        (
            (one.began - T).total_seconds() / 60,
            None if one.ended is None else (one.ended - T).total_seconds() / 60,
            one.by,
        )
        for one in watch.found(T)
    ]


def noticed(minutes: float, what: str, detail: str = "", **more: str) -> Noticed:
    """Of a person."""
    return structs.replace(Noticed(T + timedelta(minutes=minutes), what, detail=detail), **more)


def test_it_begins_with_a_refusal_and_goes_on_until_a_person_acts() -> None:
    ended = noticed(5, "session-ended", f"session {SESSION} of {ADA}")
    assert dwelt(
        ("a", decision(1)), ("a", decision(2, "deny")), ("a", decision(3, "deny")), ("b", ended)
    ) == [(2, 5, "person")]


def test_a_chain_of_a_person_may_be_read_before_or_after() -> None:
    ended = noticed(5, "label-cleared", f"private of session {SESSION} of {ADA}")
    late = decision(9, "deny")
    wanted = [(2, 5, "person"), (9, None, "open")]
    assert dwelt(("a", ended), ("b", decision(2, "deny")), ("b", late)) == wanted
    assert dwelt(("b", decision(2, "deny")), ("b", late), ("c", ended)) == wanted


def test_a_label_of_a_result_begins_it_and_the_end_of_the_process_ends_it() -> None:
    labelled = Outcome(T + timedelta(minutes=3), "1", "ok", 1.0, labels=("private",))
    closed = Closed(T + timedelta(minutes=8), "client-ended")
    assert dwelt(("a", decision(1)), ("a", labelled), ("a", closed), ("b", closed)) == [(3, 8, "process end")]


def test_a_process_that_goes_on_in_another_chain_has_not_ended() -> None:
    rotated, closed = Closed(T + timedelta(minutes=3), "rotated"), Closed(T + timedelta(minutes=8), "eof")
    opened = Opened(T, "0.1.0", 1, ADA, (), "", continues="a")
    before = ("a", decision(2, "deny")), ("a", rotated)
    assert dwelt(*before, ("b", opened), ("b", closed)) == [(2, 8, "process end")]
    assert dwelt(*before, ("b", opened)) == dwelt(*before) == [(2, None, "open")]


def test_a_chain_of_another_process_labels_no_session(tmp_path: Path) -> None:
    labelled = Outcome(T + timedelta(minutes=3), "1", "ok", 1.0, labels=("private",))
    opened = Opened(T, "0.1.0", 1, ADA, (), "", format=2)
    first, planted = AuditFile(tmp_path, "flush"), AuditFile(tmp_path, "flush")
    for sink, records in ((first, [opened, decision(1)]), (planted, [opened, labelled])):
        for record in records:
            sink.write(record)
        sink.close(Closed(T + timedelta(minutes=8), "rotated"))
    tally = RecordTally(T)
    tally.read([first.path, planted.path])
    assert tally.dwell.found(NOW) == []
    later = AuditFile(tmp_path, "flush")
    later.write(structs.replace(opened, continues=first.path.name))
    later.write(labelled)
    later.close(Closed(T + timedelta(minutes=9), "eof"))
    tally = RecordTally(T)
    tally.read([first.path, planted.path, later.path])
    (dwelt,) = tally.dwell.found(NOW)
    assert dwelt.because == "label private"


def test_what_a_client_takes_back_is_no_refusal() -> None:
    for cause in ("cancelled", "disconnected", "abandoned"):
        assert dwelt(("a", decision(2, "deny", cause=cause))) == []


def test_an_answer_to_a_ticket_of_the_session_ends_it() -> None:
    asked = decision(3, "ask", ticket="t1")
    answer = noticed(4, "approval-refused", "ticket t1 of os-user:ada by os-user:bob (console)")
    other = noticed(4, "approval-refused", "ticket t2 of os-user:eve by os-user:bob (console)")
    assert dwelt(("a", decision(2, "deny")), ("a", asked), ("b", answer)) == [(2, 4, "person")]
    assert dwelt(("a", decision(2, "deny")), ("a", asked), ("b", other)) == [(2, None, "open")]


def test_an_act_that_names_its_session_ends_that_one() -> None:
    answer = noticed(4, "approval-given", "by the client", session=SESSION)
    assert dwelt(("a", decision(2, session_labels=("private",))), ("a", answer)) == [(2, 4, "person")]


def test_many_reasons_of_one_minute_are_two_in_memory() -> None:
    watch = DwellWatch()
    for second in range(60):
        watch.take(decision(second / 60, "deny"), "a", "a")
    (seen,) = watch.sessions.values()
    assert [len(kept) for kept in seen.reasons.values()] == [2]


def test_the_json_has_no_argument_and_no_result(written: Path) -> None:
    said = json.dumps(review(written).model_dump(mode="json"))
    assert "[0].text" not in said
    assert month.sha("policy") not in said


def test_a_damaged_line_costs_its_chain_only(tmp_path: Path) -> None:
    config = month.write(tmp_path)
    other = AuditFile(tmp_path / "audit", "flush")
    other.write(Opened(NOW, "0.1.0", 1, ADA, (), "", format=2))
    other.write(noticed(1, "evidence-gap", "from then to then"))
    other.close(Closed(NOW, "done"))
    found = review(config, days=60)
    assert found.evidence.chains == 2
    assert found.evidence.gaps == ("from then to then",)
    assert found.principals
