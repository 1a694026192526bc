"""What recorded decisions would be under other policies, and what cannot be said."""

from __future__ import annotations

import gzip
import os
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.audit.calls import read_record
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.authoring.replay import past as past_module
from mcpguard.authoring.replay.comparing import RESULTS, UNRECORDED
from mcpguard.authoring.replay.past import PastOutcome, _is_before, last, past, past_of
from mcpguard.authoring.replay.replaying import (
    ALTERED,
    CHANGED,
    FREED,
    GONE,
    NOTE_RESULTS,
    OTHER,
    REFUSED,
    Replay,
)
from mcpguard.authoring.replay.report import ReplayReport, summary, tables
from mcpguard.authoring.snapshot import Offer, Snapshot
from mcpguard.core.evidence.records import Closed, Decided, Noticed, ObservedRefusal, Opened, Outcome, Record
from mcpguard.core.model import Json, Principal
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.session import name_of
from mcpguard.core.redaction.redactor import OPT_IN
from mcpguard.protocol.jsonrpc import encode, ordered
from tests.rows import each

NOW = datetime(2026, 8, 1, 7, 0, tzinfo=UTC)
ALL = "{id: all, effect: allow}"


def rules(*written: str, name: str = "p") -> PolicySet:
    listed = "\n".join(f"  - {one}" for one in written)
    return PolicySet(
        [compile_policy(f"version: 1\npolicy: {name}\nrules:\n{listed}\n", f"{name}.yaml", OPT_IN)]
    )


THEN = rules(
    ALL,
    "{id: some, effect: allow, tools: [never]}",
    "{id: ask, effect: ask, tools: [never]}",
    "{id: also, effect: ask, tools: [never]}",
)
"""The policies under which calls were recorded, if nothing else is said."""


def call(number: int = 1, given: Json = None, **more: Any) -> Decided:
    """A recorded call of `echo` with the arguments `given`, which `p/all` allowed."""
    given = {} if given is None else given
    fields = {
        "at": NOW + timedelta(seconds=number),
        "id": f"c-{number}",
        "principal": "os-user:ada",
        "method": "tools/call",
        "effect": "allow",
        "server": "git",
        "tool": "echo",
        "rules": ("p/all",),
        "args": sha256(encode(given)).hexdigest(),
        "arguments": given,
        "session": "s",
        "policy_digest": THEN.digest,
    }
    return Decided(**{**fields, **more})


def refused(number: int = 1, given: Json = None, **more: Any) -> Decided:
    return call(number, given, **{"effect": "deny", "cause": "no-rule", "rules": (), **more})


def replay(policies: PolicySet, *records: Record, **more: Any) -> ReplayReport:
    """A replay of records that need not be in a file."""
    found = [past_of(one, 2) for one in records if isinstance(one, Decided)]
    return Replay(policies, [THEN, *more.pop("before", ())], **more).take(found)


def same_but(*written: str) -> PolicySet:
    """Policies of then with these rules, and one more that no call meets."""
    return rules(*written, "{id: more, effect: deny, tools: [never]}")


def under(then: PolicySet, *records: Decided) -> list[Decided]:
    """The records, as made under `then`."""
    return [structs.replace(one, policy_digest=then.digest) for one in records]


def counts(report: ReplayReport) -> tuple[int, int, int, int, int]:
    return report.same, report.loosened, report.tightened, report.otherwise, report.unsaid


def chain(folder: Path, *records: Record, version: int = 2) -> Path:
    """A chain with these records."""
    audit = AuditFile(folder)
    audit.write(Opened(NOW, "0", 1, "os-user:ada", ("p",), "d", format=version))
    for one in records:
        audit.write(one)
    audit.close(Closed(NOW, "done"))
    return sorted(folder.glob("*.jsonl"))[-1]


def test_a_policy_that_loosens_one_of_many_records_is_found(tmp_path: Path) -> None:
    calls = [call(number, {"path": f"/srv/{number}"}) for number in range(500)]
    calls[321] = call(321, {"path": "/etc/321"}, effect="deny", cause="rule", rules=("p/etc",))
    chain(tmp_path, *calls)
    report = Replay(
        rules(
            ALL, '{id: etc, effect: deny, when: \'args.path.startsWith("/etc/") && args.path != "/etc/321"\'}'
        ),
        [THEN],
    ).take(past(tmp_path))
    assert counts(report) == (499, 1, 0, 0, 0)
    (change,) = report.changes
    assert (change.direction, change.server, change.what, change.examples) == (
        "loosened",
        "git",
        "echo",
        ("c-321",),
    )
    assert (change.before.text(), change.after.text()) == ("deny p/etc", "allow p/all")
    assert summary(report).startswith("1 of 500 decisions on record would change: 1 loosened, 0 tightened")


def test_under_the_same_policies_nothing_changes() -> None:
    policies = rules(
        ALL, "{id: no, effect: deny, when: 'has(args.no)'}", "{id: ask, effect: ask, tools: [push]}"
    )
    report = replay(
        policies,
        call(1),
        call(2, {"no": 1}, effect="deny", cause="rule", rules=("p/no",)),
        call(3, tool="push", effect="ask", cause="approval", rules=("p/ask",)),
        call(4, tool="push", approval="t by os-user:ada", rules=("p/all", "p/ask")),
        call(5, tool="push", effect="deny", cause="approval", rules=(), policy_digest=policies.digest),
    )
    assert counts(report) == (5, 0, 0, 0, 0)
    assert list(tables(report)) == []


def test_loosening_and_tightening_stand_apart_and_are_grouped() -> None:
    policies = rules("{id: all, effect: allow, tools: [echo]}", "{id: ask, effect: ask, tools: [push]}")
    report = replay(
        policies,
        *(refused(number) for number in range(5)),
        call(6, tool="push"),
        refused(7, tool="push"),
        call(8, tool="rm"),
        call(9, rules=("p/some",)),
    )
    assert counts(report) == (0, 6, 2, 1, 0)
    first = report.changes[0]
    assert (first.direction, first.count, first.examples) == ("loosened", 5, ("c-2", "c-3", "c-4"))
    rows = {title.partition(":")[0]: [row[1:4] for row in table[1:]] for title, table in tables(report)}
    assert rows == {
        "LOOSENED": [
            ("git/echo", "deny no-rule", "allow p/all"),
            ("git/push", "deny no-rule", "ask p/ask"),
        ],
        "TIGHTENED": [
            ("git/push", "allow p/all", "ask p/ask"),
            ("git/rm", "allow p/all", "deny no-rule"),
        ],
        "the same effect for another reason": [("git/echo", "allow p/some", "allow p/all")],
    }
    assert "1 has the same effect for another reason" in summary(report)


def test_what_asked_a_person_is_one_decision_however_it_ended(tmp_path: Path) -> None:
    waits = call(1, effect="ask", cause="approval", rules=("p/ask",), ticket="t")
    chain(
        tmp_path,
        waits,
        call(1, approval="t by os-user:ada", rules=("p/all", "p/ask"), ticket="t"),
        Outcome(NOW, "c-1", "ok", 1.0),
    )
    assert counts(Replay(rules(ALL), [THEN]).take(past(tmp_path))) == (0, 1, 0, 0, 0)


def test_one_change_is_one_row_whatever_became_of_the_question() -> None:
    by = {"tool": "push", "rules": ("p/ask",)}
    report = replay(
        rules(ALL),
        call(1, effect="ask", cause="approval", ticket="t", **by),
        call(2, effect="deny", cause="approval", **by),
        call(3, approval="t by os-user:ada", **by),
        call(4, approval="standing by os-user:ada", **by),
        call(5, effect="deny", cause="limit", approval="t by os-user:ada", **by),
        call(6, effect="deny", cause="limit", approval="t by os-user:ada", tool="push", rules=()),
    )
    rows = [row[:4] for _, (_, *table) in tables(report) for row in table]
    assert rows == [
        ("4", "git/push", "ask p/ask", "allow p/all"),
        ("1", "git/push", "ask p/ask (limit)", "allow p/all"),
        ("1", "git/push", "ask limit", "deny limit"),
    ]


def test_what_no_rule_decides_is_not_replayed() -> None:
    report = replay(
        rules(ALL),
        call(1, method="tools/list", tool="", rules=()),
        *(
            refused(number, cause=cause)
            for number, cause in enumerate(("arguments", "pin", "credential", "unknown"), 2)
        ),
    )
    assert (report.no_rule_asked, *counts(report)) == (5, 0, 0, 0, 0, 0)
    assert "5 are not decided by rules" in summary(report)


def test_another_rule_that_asks_is_another_reason() -> None:
    both = ("p/also", "p/ask")
    asked = call(effect="ask", cause="approval", rules=both)
    assert counts(replay(rules("{id: ask, effect: ask}"), asked)) == (0, 0, 0, 1, 0)
    assert counts(replay(rules("{id: ask, effect: ask}", "{id: also, effect: ask}"), asked)) == (
        1,
        0,
        0,
        0,
        0,
    )
    observed = call(observed=ObservedRefusal("approval", ("p/ask",)))
    assert counts(replay(rules("{id: ask, effect: ask}"), observed)) == (1, 0, 0, 0, 0)


REDACTED = {"path": "/srv/x", "token": "[REDACTED:github-token#1]", "n": 1}


def redacted(number: int = 1, **more: Any) -> Decided:
    return call(number, REDACTED, **{"args": "a" * 64, **more})


ALLOWED = "allow", "", ("p/all",)
ASKED = "ask", "approval", ("p/ask",)
READS_NOTHING = "{id: bare, effect: allow, tools: [echo]}"


def missing(report: ReplayReport) -> list[str]:
    """The rules that are said to read what is not on record."""
    return [name for one in report.missing for name in re.findall(r"\(read by ([^)]+)\)", one.why)]


READS_TOKEN = "{id: no, effect: deny, when: 'args.token.startsWith(\"x\")'}"


def test_where_a_rule_reads_what_was_redacted_it_cannot_be_said() -> None:
    report = replay(rules(ALL, READS_TOKEN), redacted())
    assert counts(report) == (0, 0, 0, 0, 1)
    assert report.missing[0].why == "its arguments were redacted, or are not on record (read by p/no)"
    assert [*tables(report)] == []
    assert "1 cannot be determined" in summary(report)


@each(
    ("when", "unsaid"),
    [
        ('args.path == "/etc"', 0),
        ("args.n == 2", 0),
        ('args.n == 2 && args.token == "x"', 0),
        # Cautious: what is left out would be taken for what is not there.
        ('has(args.token) && args.path == "/etc"', 1),
        ("!has(args.token)", 1),
        ("args.size() > 7", 1),
        ('"other" in args', 1),
        ('args["token"] == ""', 1),
        ("texts(args, ['x']).exists(one, one == 'x')", 1),
    ],
)
def test_only_the_member_that_was_redacted_is_unknown(when: str, unsaid: int) -> None:
    report = replay(
        rules(ALL, f"{{id: no, effect: deny, when: '{when.replace(chr(39), chr(39) * 2)}'}}"), redacted()
    )
    assert counts(report) == (1 - unsaid, 0, 0, 0, unsaid)


@pytest.mark.parametrize(
    "more",
    [
        {"arguments": None, "arguments_omitted": "setting"},
        {"arguments": {"path": "/srv"}, "arguments_neutralised": {"terminal": 1}},
        {"arguments": {"path": "/srv", "[REDACTED:github-token#1]": 1}},
        {"arguments": {"path": "/srv"}},
    ],
    ids=["not recorded", "something was dropped", "a name was redacted", "other arguments"],
)
def test_arguments_that_are_not_those_of_then_are_unknown(more: dict[str, Any]) -> None:
    report = replay(rules(ALL, "{id: no, effect: deny, when: 'args.path == \"/etc\"'}"), redacted(**more))
    assert counts(report) == (0, 0, 0, 0, 1)
    assert counts(replay(rules(ALL), redacted(**more))) == (1, 0, 0, 0, 0)


def test_a_call_without_arguments_is_known_without_them() -> None:
    report = replay(rules(ALL, "{id: no, effect: deny, when: 'has(args.x)'}"), call(arguments=None))
    assert counts(report) == (1, 0, 0, 0, 0)


def test_a_rule_that_was_there_then_has_the_value_that_the_record_proves() -> None:
    then = rules(ALL, READS_TOKEN)
    now = rules(ALL, READS_TOKEN, "{id: also, effect: deny, tools: [rm]}")
    record = redacted(policy_digest=then.digest)
    assert counts(replay(now, record)) == (0, 0, 0, 0, 1)
    assert counts(replay(now, record, before=[then])) == (1, 0, 0, 0, 0)


@each(
    ("effect", "cause", "by"),
    [
        ("allow", "", ("p/some",)),
        ("deny", "no-rule", ()),
        ("deny", "rule", ("p/no",)),
        ("deny", "error", ("p/no",)),
        ("ask", "approval", ("p/ask",)),
    ],
)
def test_every_verdict_proves_itself(effect: str, cause: str, by: tuple[str, ...]) -> None:
    same = rules(
        "{id: some, effect: allow, when: 'args.token == \"a\"'}",
        "{id: other, effect: allow, when: 'args.token == \"b\"'}",
        "{id: ask, effect: ask, when: 'args.token == \"c\"'}",
        "{id: no, effect: deny, when: 'args.token == \"d\"'}",
        "{id: not, effect: deny, when: 'args.token == \"e\"'}",
        "{id: mask, effect: allow, redact: [email], when: 'args.token == \"f\"'}",
    )
    record = redacted(policy_digest=same.digest, effect=effect, cause=cause, rules=by)
    assert counts(replay(same, record)) == (1, 0, 0, 0, 0)
    assert counts(replay(same, of_others(record))) == (0, 0, 0, 0, 1)


LIMITED = "limit: {calls: 2, per: 1h}"
COUNTED = "session.calls > 100"


@each(
    ("written", "effect", "cause", "by"),
    [
        # Another rule reads what is not on record, and did not hold.
        (
            (f"{{id: all, effect: allow, {LIMITED}}}", f"{{id: no, effect: deny, when: '{COUNTED}'}}"),
            *ALLOWED,
        ),
        (
            ("{id: all, effect: allow, credential: key}", f"{{id: no, effect: deny, when: '{COUNTED}'}}"),
            *ALLOWED,
        ),
        # The rule itself reads it, and held.
        ((f"{{id: all, effect: allow, credential: key, {LIMITED}, when: '!({COUNTED})'}}",), *ALLOWED),
        # So does what it costs.
        (("{id: all, effect: allow, limit: {units: 5, cost: args.token, per: session}}",), *ALLOWED),
        (("{id: all, effect: allow, argument: {mode: safe}}",), *ALLOWED),
        # Which rules allow what is asked about is not on record.
        (("{id: ask, effect: ask}", f"{{id: all, effect: allow, {LIMITED}, when: '{COUNTED}'}}"), *ASKED),
        (
            ("{id: ask, effect: ask}", f"{{id: all, effect: allow, approves: [p/ask], when: '{COUNTED}'}}"),
            *ASKED,
        ),
        # Which rules would take a placeholder depends on what was redacted.
        (
            ("{id: all, effect: allow, placeholders: true, when: 'args.token == \"a\"'}",),
            "deny",
            "placeholder",
            (),
        ),
        # Two that choose different credentials refuse what both allow.
        (
            (
                f"{{id: all, effect: allow, credential: key, when: '{COUNTED}'}}",
                f"{{id: other, effect: allow, credential: another, when: '{COUNTED}'}}",
            ),
            *("deny", "error", ("p/all", "p/other")),
        ),
    ],
)
def test_what_the_same_policies_decided_they_decide_again(
    written: tuple[str, ...], effect: str, cause: str, by: tuple[str, ...]
) -> None:
    same = rules(*written)
    record = redacted(policy_digest=same.digest, effect=effect, cause=cause, rules=by)
    record = structs.replace(record, credential="key" if "credential: key" in written[0] else "")
    assert counts(replay(same, record)) == (1, 0, 0, 0, 0)


def test_limits_count_though_another_rule_reads_what_is_not_on_record() -> None:
    deny = f"{{id: no, effect: deny, when: '{COUNTED}'}}"
    then = same_but(ALL, deny)
    records = under(then, *(call(number) for number in range(4)))
    report = replay(rules(f"{{id: all, effect: allow, {LIMITED}}}", deny), *records, before=[then])
    assert report.unsaid == 0
    assert [(one.count, one.after.text()) for one in report.changes if one.after.effect == "deny"] == [
        (2, "deny p/all (limit)")
    ]


def test_only_rules_that_read_what_is_missing_are_said_to_read_it() -> None:
    limits = f"{{id: few, effect: allow, {LIMITED}, when: '{COUNTED}'}}"
    assert missing(replay(rules(ALL, limits), redacted())) == ["p/few"]
    chooses = f"{{id: key, effect: allow, credential: key, when: '{COUNTED}'}}"
    assert missing(replay(rules(ALL, chooses, READS_NOTHING), redacted())) == ["p/key"]
    costs = "{id: cost, effect: allow, limit: {units: 5, cost: args.token, per: session}}"
    then = same_but(costs)
    record = redacted(policy_digest=then.digest, rules=("p/cost",))
    assert missing(replay(rules(costs), record, before=[then])) == ["p/cost"]


def test_two_credentials_for_one_call_are_refused_whatever_else_is_unknown() -> None:
    keys = [f"{{id: {name}, effect: allow, credential: {name}}}" for name in ("one", "two")]
    maybe = f"{{id: any, effect: allow, when: '{COUNTED}'}}"
    report = replay(rules(*keys, maybe), call())
    assert report.changes[0].after.text() == "deny p/one, p/two (error)"


def test_an_answer_in_advance_leaves_open_who_would_have_asked() -> None:
    same = rules(
        "{id: ask, effect: ask}",
        "{id: also, effect: ask, when: 'args.token == \"a\"'}",
        "{id: ahead, effect: allow, approves: [p/also]}",
    )
    record = redacted(policy_digest=same.digest, effect="ask", cause="approval", rules=("p/ask",))
    assert counts(replay(same, record)) == (1, 0, 0, 0, 0)


def test_verdicts_are_kept_for_a_bounded_number_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.authoring.replay.judging.MOST_KEPT", 2)
    assert counts(replay(rules(ALL), *(call(1, {"n": number}) for number in range(9)))) == (9, 0, 0, 0, 0)


def of_others(record: Decided) -> Decided:
    """The same record under policies that nobody has any more."""
    return structs.replace(record, policy_digest="f" * 64)


def test_what_is_certain_in_any_case_is_said() -> None:
    unknown = "{id: maybe, effect: allow, when: 'args.token == \"a\"'}"
    assert counts(replay(rules(unknown, "{id: ask, effect: ask}"), redacted())) == (0, 0, 1, 0, 0)
    # Whichever of the two it is, it was refused before.
    either = rules("{id: ask, effect: ask, when: 'args.token == \"a\"'}", ALL)
    report = replay(either, redacted(effect="deny", cause="no-rule", rules=()))
    assert counts(report) == (0, 1, 0, 0, 0)
    assert report.changes[0].after.effect == "allow or ask"
    denied = rules(READS_TOKEN, "{id: never, effect: deny, when: args.n == 1}", ALL)
    assert replay(denied, redacted()).changes[0].after.text() == "deny p/never"


def test_who_approves_in_advance_is_among_what_is_possible() -> None:
    policies = rules(
        "{id: ask, effect: ask}", "{id: ahead, effect: allow, approves: [p/ask], when: 'args.token == \"a\"'}"
    )
    assert counts(replay(policies, redacted())) == (0, 0, 0, 0, 1)
    asked = redacted(effect="ask", cause="approval", rules=("p/ask",))
    assert counts(replay(policies, asked)) == (0, 0, 0, 0, 1)


TOOL = {"name": "echo", "annotations": {"readOnlyHint": True}, "inputSchema": {"type": "object"}}
READ_ONLY = "{id: all, effect: allow, when: 'tool.annotations.readOnlyHint == true'}"


def test_what_the_tool_says_is_known_by_a_snapshot_of_the_same_definition() -> None:
    snapshot = Snapshot(version=1, servers={"git": Offer(tools=(TOOL,))})
    same = sha256(ordered(TOOL)).hexdigest()
    assert counts(replay(rules(READ_ONLY), call(tool_digest=same), snapshot=snapshot)) == (1, 0, 0, 0, 0)
    report = replay(rules(READ_ONLY), call(tool_digest="e" * 64), snapshot=snapshot)
    assert counts(report) == (0, 0, 0, 0, 1)
    said = "what the server says about the tool is not on record (--snapshot FILE) (read by p/all)"
    assert report.missing[0].why == said
    assert counts(replay(rules(READ_ONLY), call(tool_digest=same))) == (0, 0, 0, 0, 1)
    assert counts(replay(rules("{id: all, effect: allow, when: 'tool.name == \"echo\"'}"), call())) == (
        1,
        0,
        0,
        0,
        0,
    )


def test_the_session_is_the_one_on_record() -> None:
    policies = rules(ALL, "{id: no, effect: deny, when: '\"seen\" in session.labels'}")
    before = {"session_labels": ("seen",), "label_causes": {"seen": "c-0"}}
    denied = {"effect": "deny", "cause": "rule", "rules": ("p/no",)}
    assert counts(replay(policies, call(1), call(2, **before, **denied))) == (2, 0, 0, 0, 0)
    assert counts(replay(policies, call(2, **before))) == (0, 0, 1, 0, 0)
    counting = rules(ALL, "{id: no, effect: deny, when: session.calls > 3}")
    said = "what the session had counted is not on record (read by p/no)"
    assert replay(counting, call()).missing[0].why == said
    many = [f"{{id: no{n}, effect: deny, when: session.calls > {n}}}" for n in range(6)]
    read = "(read by p/no0, p/no1, p/no2 and 3 more)"
    assert replay(rules(ALL, *many), call()).missing[0].why.endswith(read)


def test_labels_that_only_the_new_policies_set_are_said_to_be_missing() -> None:
    reads = "{id: no, effect: deny, when: '\"seen\" in session.labels'}"
    report = replay(rules("{id: all, effect: allow, label: [seen]}", reads), call())
    assert counts(report) == (0, 0, 1, 0, 0)
    assert [note for note in report.notes if note.endswith("are not in it: seen")]
    assert report.changes[0].note == "with the label seen"


def test_less_redaction_loosens_a_call_that_stays_allowed() -> None:
    before = call(redact=("email",), labels=("seen",), credential="one")
    assert counts(replay(rules(ALL), before)) == (0, 1, 0, 0, 0)
    assert replay(rules(ALL), before).changes[0].note == (
        "redacts less (email), without the label seen, with the credential of the server"
    )
    more = rules("{id: all, effect: allow, redact: [email], unredacted: [jwt]}")
    assert replay(more, call()).changes[0].note == "redacts less (-jwt), redacts more (email)"
    assert counts(replay(more, call(redact=("email", "-jwt")))) == (1, 0, 0, 0, 0)
    assert counts(replay(rules("{id: all, effect: allow, redact: [email]}"), call())) == (0, 0, 1, 0, 0)
    other = replay(rules("{id: all, effect: allow, credential: two}"), call())
    assert (counts(other), other.changes[0].note) == ((0, 0, 0, 0, 0), "with the credential two")
    assert (other.credential, other.changes[0].direction) == (1, "credential")
    assert "1 with another credential" in summary(other)
    about = rules("{id: all, effect: allow, action: [tasks/get]}")
    assert counts(replay(about, call(method="tasks/get", credential="one"))) == (1, 0, 0, 0, 0)
    # Records of earlier versions do not say what was redacted.
    assert counts(Replay(rules(ALL), [THEN]).take([past_of(before, 1)])) == (1, 0, 0, 0, 0)


def test_what_is_only_observed_counts_as_the_policies_have_it() -> None:
    observed = call(observed=ObservedRefusal("rule", ("p/no",)), rules=("p/all",))
    assert counts(replay(rules(ALL), observed)) == (0, 1, 0, 0, 0)
    assert counts(replay(rules(ALL, "{id: no, effect: deny}"), observed)) == (1, 0, 0, 0, 0)


def test_what_was_enforced_and_would_only_be_observed_is_loosened(tmp_path: Path) -> None:
    no = "{id: no, effect: deny, when: 'has(args.no)'}"
    policies = rules(ALL, no)
    denied = {"effect": "deny", "cause": "rule", "rules": ("p/no",)}
    would = ObservedRefusal("rule", ("p/no",))
    records = under(
        policies,
        call(1),
        call(2, {"no": 1}, **denied),
        call(3, {"no": 1}, observed=would),
        call(4, {"no": 1}, **{**denied, "server": "other"}),
        call(6, effect="ask", cause="approval", rules=("p/ask",)),
        call(7),
    )
    withheld = Outcome(NOW, "c-7", "withheld", 1.0, rules=("p/all",))
    chain(tmp_path, *records, withheld)
    replaying = Replay(policies, observed=frozenset({"git"}))
    report = replaying.take(past(tmp_path, outcomes=replaying.reviewing))
    assert report.loosened == 3
    assert {
        one for change in report.changes if change.direction == "loosened" for one in change.examples
    } == {
        "c-2",
        "c-6",
        "c-7",
    }
    assert report.changes[0].note == "only observed"
    # What no rule refuses stays refused, and what was only observed then is so now.
    assert not past_of(refused(5, cause="placeholder"), 2).enforced
    assert not past_of(call(8), 2, PastOutcome("withheld", ("p/no",), observed=True)).enforced
    assert "the configuration only observes what the policies refuse of git" in report.notes


@each(
    ("then", "now", "expected"),
    [
        # It goes on as it did.
        (ALL, (ALL, "{id: no, effect: deny}"), ("otherwise", "deny p/no", "only observed")),
        (ALL, ("{id: ask, effect: ask}",), ("otherwise", "ask p/ask", "only observed")),
        (ALL, ("{id: x, effect: allow, tools: [x]}",), ("otherwise", "deny no-rule", "only observed")),
        # It is allowed for what else it wants.
        (
            "{id: all, effect: allow, redact: [email]}",
            (ALL, "{id: no, effect: deny}"),
            ("loosened", "deny p/no", "redacts less (email), only observed"),
        ),
        (
            ALL,
            ("{id: all, effect: allow, redact: [email]}", "{id: no, effect: deny}"),
            ("tightened", "deny p/no", "redacts more (email), only observed"),
        ),
    ],
)
def test_what_would_be_refused_and_only_observed_is_no_change_of_effect(
    then: str, now: tuple[str, ...], expected: tuple[str, str, str]
) -> None:
    old = same_but(then)
    record = call(redact=("email",) if "email" in then else ())
    report = replay(rules(*now), *under(old, record), before=[old], observed=frozenset({"git"}))
    (change,) = report.changes
    assert (change.direction, change.after.text(), change.note) == expected


def test_what_may_be_refused_and_only_observed_is_compared_by_what_else_it_wants() -> None:
    old = same_but(ALL)
    new = rules(ALL, "{id: no, effect: deny, when: 'args.token == \"a\"'}")
    records = under(old, redacted())
    assert counts(replay(new, *records, before=[old], observed=frozenset({"git"}))) == (0, 0, 0, 1, 0)
    # A placeholder would be refused all the same, and what came with it is not on record.
    wrong = under(old, redacted(effect="deny", cause="placeholder", rules=()))
    assert replay(rules("{id: all, effect: deny}"), *wrong, before=[old], observed=frozenset({"git"})).same


def test_time_and_caller_are_those_of_then() -> None:
    early = rules("{id: all, effect: allow, when: 'now < timestamp(\"2026-08-01T07:00:02Z\")'}")
    assert counts(replay(early, call(1), call(2), call(1))) == (2, 0, 1, 0, 0)
    agent = rules('{id: all, effect: allow, when: \'client.agent == "desk" && principal.id == "ada"\'}')
    assert counts(replay(agent, call(agent="desk"), call(2, agent="other"))) == (1, 0, 1, 0, 0)


@each(
    ("principal", "when", "unsaid"),
    [
        ("http:anonymous", 'principal.source == "http"', 0),
        ("https://idp:ada", 'principal.id == "ada"', 0),
        ("https://idp:8443:ada", 'principal.id == "ada"', 1),
        ("https://idp:ada", '"ops" in principal.groups', 1),
        ("os-user:ada", '!("ops" in principal.groups)', 0),
    ],
)
def test_of_a_principal_is_known_what_the_record_says(principal: str, when: str, unsaid: int) -> None:
    policies = rules(f"{{id: all, effect: allow, when: '{when}'}}")
    assert counts(replay(policies, call(principal=principal))) == (1 - unsaid, 0, 0, 0, unsaid)


def test_the_session_says_where_an_issuer_ends_and_a_subject_begins() -> None:
    policies = rules("{id: all, effect: allow, when: 'principal.id == \"b:ada\"'}")
    session = name_of(Principal("b:ada", "https://idp:8443/a"), None)
    known = call(principal="https://idp:8443/a:b:ada", session=session)
    assert counts(replay(policies, known)) == (1, 0, 0, 0, 0)


@each(
    ("when", "expected"),
    [
        ('"ops" in principal.groups', (1, 0, 0, 0, 0)),
        ('"dev" in principal.groups', (0, 0, 1, 0, 0)),
        ('principal.claims.team == "red"', (1, 0, 0, 0, 0)),
        ('principal.id == "ada"', (0, 0, 0, 0, 1)),
    ],
)
def test_groups_and_claims_on_record_are_known_also_where_the_name_is_not_certain(
    when: str, expected: tuple[int, ...]
) -> None:
    policies = rules(f"{{id: all, effect: allow, when: '{when}'}}")
    token = {"principal": "https://idp:8443:ada", "groups": ("ops",), "claims": {"team": "red"}}
    assert counts(replay(policies, call(**token))) == expected


def test_the_same_request_of_others_with_other_groups_is_decided_by_theirs() -> None:
    policies = rules("{id: all, effect: allow, when: '\"ops\" in principal.groups'}")
    token = {"principal": "https://idp:ada", "claims": {}}
    asked = (call(one, groups=groups, **token) for one, groups in enumerate((("ops",), ("dev",), ("ops",))))
    assert counts(replay(policies, *asked)) == (2, 0, 1, 0, 0)


@pytest.mark.parametrize(
    ("client", "unsaid"), [("code/1.2", 0), ("", 1), ("a/b/c", 1), ("code/" + "1" * 256, 1)]
)
def test_of_a_client_is_known_what_the_record_says(client: str, unsaid: int) -> None:
    policies = rules(ALL, '{id: no, effect: deny, when: client.claims.name == "other"}')
    assert counts(replay(policies, call(client=client))) == (1 - unsaid, 0, 0, 0, unsaid)


def test_resources_and_prompts_are_known_by_their_names() -> None:
    read = {"method": "resources/read", "tool": "", "args": "", "arguments": None}
    policies = rules(
        "{id: all, effect: allow, action: [resources/read, prompts/get], when: 'resource.uri == \"file:///x\"'}"
    )
    assert counts(replay(policies, call(subject="file:///x", **read))) == (1, 0, 0, 0, 0)
    assert counts(replay(policies, call(subject="file:///" + "x" * 250, **read))) == (0, 0, 0, 0, 1)
    prompt = {**read, "method": "prompts/get", "subject": "greet"}
    named = rules("{id: all, effect: allow, action: [prompts/get], when: 'prompt.name == \"greet\"'}")
    assert counts(replay(named, call(**prompt))) == (1, 0, 0, 0, 0)
    ask = rules("{id: all, effect: allow, action: [sampling/createMessage], when: 'args.n == 1'}")
    sampling = call(1, {"n": 1}, method="sampling/createMessage", tool="")
    assert counts(replay(ask, sampling)) == (1, 0, 0, 0, 0)


PLACED = {"text": "[REDACTED:github-token#1]"}


def test_a_placeholder_that_was_sent_is_refused_again_unless_rules_want_it() -> None:
    sent = call(1, PLACED, effect="deny", cause="placeholder", rules=())
    wanted = rules("{id: all, effect: allow, placeholders: true}")
    assert counts(replay(rules(ALL), sent)) == (1, 0, 0, 0, 0)
    assert counts(replay(wanted, sent)) == (0, 1, 0, 0, 0)
    unclear = redacted(effect="deny", cause="placeholder", rules=())
    assert counts(replay(rules(ALL), unclear)) == (1, 0, 0, 0, 0)
    assert counts(replay(wanted, unclear)) == (0, 0, 0, 0, 1)


def test_a_session_that_could_not_be_read_then_decides_nothing_now() -> None:
    report = replay(rules(ALL), refused(cause="error"))
    assert (counts(report), report.missing[0].why) == (
        (0, 0, 0, 0, 1),
        "the state of its session could not be read then",
    )


def test_arguments_that_rules_set_are_decided_too() -> None:
    schema = {**TOOL, "inputSchema": {"type": "object", "properties": {"mode": {"type": "integer"}}}}
    snapshot = Snapshot(version=1, servers={"git": Offer(tools=(schema,))})
    sets = rules("{id: all, effect: allow, argument: {mode: safe}}")
    record = call(1, {"mode": 1}, tool_digest=sha256(ordered(schema)).hexdigest())
    assert replay(sets, record, snapshot=snapshot).changes[0].after.text() == "deny arguments"
    lost = call(1, REDACTED, args="a" * 64, tool_digest=sha256(ordered(schema)).hexdigest())
    assert counts(replay(sets, lost, snapshot=snapshot)) == (0, 0, 0, 0, 1)
    maybe = rules(
        "{id: all, effect: allow, argument: {mode: safe}, when: 'args.token != \"x\"'}",
        "{id: any, effect: allow}",
    )
    assert counts(replay(maybe, redacted())) == (0, 0, 0, 0, 1)
    assert counts(replay(sets, redacted())) == (0, 0, 0, 0, 1)
    then = same_but("{id: all, effect: allow, argument: {mode: safe}}")
    assert counts(replay(sets, *under(then, redacted()), before=[then])) == (1, 0, 0, 0, 0)


# --- limits ----------------------------------------------------------------------------------------


FEW = "{id: all, effect: allow, limit: {calls: 2, per: 1h}}"


def test_limits_are_counted_within_the_replay() -> None:
    then = same_but(FEW)
    calls = under(then, *(call(number) for number in range(5)))
    report = replay(rules(FEW), *calls, before=[then])
    assert counts(report) == (2, 0, 3, 0, 0)
    assert report.changes[0].after.text() == "deny p/all (limit)"
    assert "limits were counted from the first of these records on" in report.notes
    agents = [structs.replace(one, session="", agent=one.id) for one in calls]
    other = replay(rules(FEW), *agents, before=[then])
    assert counts(other) == (5, 0, 0, 0, 0)


def test_under_the_policies_of_then_limits_did_what_is_on_record() -> None:
    policies = rules(FEW)
    denied = {"effect": "deny", "cause": "limit", "rules": ("p/all",)}
    records = [call(1), call(2, **denied), call(3), call(4), call(5)]
    marked = [structs.replace(one, policy_digest=policies.digest) for one in records]
    assert counts(replay(policies, *marked)) == (5, 0, 0, 0, 0)
    assert counts(replay(rules(ALL), call(2, **denied))) == (0, 1, 0, 0, 0)


def test_a_limit_that_nobody_changed_refuses_what_it_refused() -> None:
    then = same_but(FEW)
    denied = under(then, refused(1, cause="limit", rules=("p/all",)))
    assert counts(replay(rules(FEW), *denied, before=[then])) == (1, 0, 0, 0, 0)
    assert counts(replay(rules(FEW.replace("2,", "3,")), *denied, before=[then])) == (0, 1, 0, 0, 0)
    assert counts(replay(rules(FEW, "{id: no, effect: deny}"), *denied, before=[then])) == (0, 0, 0, 1, 0)


def test_a_limit_that_calls_used_up_which_are_refused_now_cannot_be_said() -> None:
    then, now = same_but(FEW), rules(FEW, "{id: no, effect: deny, when: 'has(args.spam)'}")
    spam = [call(number, {"spam": 1}) for number in (1, 2)]
    denied = refused(3, cause="limit", rules=("p/all",))
    report = replay(now, *under(then, *spam, denied), before=[then])
    assert (counts(report), report.missing[0].why) == ((0, 0, 2, 0, 1), FREED)
    # Under the policies of now it is no other: the session went on.
    later = under(now, structs.replace(denied, id="c-4"))
    assert counts(replay(now, *under(then, *spam), *later, before=[then])) == (0, 0, 2, 0, 1)
    asked = call(1, {"spam": 1}, effect="ask", cause="approval", rules=("p/ask",))
    assert counts(replay(now, *under(then, asked, denied), before=[then])) == (0, 0, 1, 0, 1)
    # In another session nothing was freed, nor where the same calls use it up.
    other = structs.replace(denied, session="t")
    assert counts(replay(now, *under(then, *spam, other), before=[then])) == (1, 0, 2, 0, 0)
    kept = call(1), call(2), denied
    assert counts(replay(now, *under(then, *kept), before=[then])) == (3, 0, 0, 0, 0)


@pytest.mark.parametrize("per", ["1h", "session"])
def test_what_used_up_a_limit_before_the_time_or_at_another_server_is_decided_again(
    tmp_path: Path, per: str
) -> None:
    few = FEW.replace("1h", per)
    then, now = same_but(few), rules(few, "{id: no, effect: deny, when: 'has(args.spam)'}")
    spam = call(1, {"spam": 1}), call(2, {"spam": 1}, server="other")
    denied = refused(100, cause="limit", rules=("p/all",))
    lists = call(3, method="tools/list", tool="", rules=(), args="", arguments=None)
    asked = call(4, effect="ask", cause="approval", rules=("p/ask",), session="t")
    given = call(99, approval="t by os-user:ada", rules=("p/ask",), session="t", id="c-4")
    chain(tmp_path, *under(then, *spam, lists, asked, given, denied))
    since = NOW + timedelta(seconds=50)
    for about in ({"since": since}, {"server": "git"}, {"since": since, "server": "git"}):
        replaying = Replay(now, [then], since=about.get("since"))  # type: ignore[arg-type]
        found = past(tmp_path, **about, outcomes=False, aside=replaying.aside)  # type: ignore[arg-type]
        report = replaying.take(found)
        assert [one.why for one in report.missing if one.what == "echo" and "c-100" in one.examples] == [
            FREED
        ]
    only = Replay(now, [then], since=since).take(past(tmp_path, since))
    assert (only.unsaid, only.decisions) == (0, 2)


def test_where_no_rule_has_a_limit_nothing_else_is_read() -> None:
    assert Replay(rules(ALL), [THEN]).aside is None
    hour = Replay(rules(FEW), [THEN], since=NOW).aside
    assert hour is not None
    assert timedelta(hours=1) < NOW - hour < timedelta(hours=1, minutes=2)


def test_nobody_is_asked_about_what_a_limit_refuses() -> None:
    few = "{id: ask, effect: ask, limit: {calls: 2, per: 1h}}"
    asks, then = rules(few), same_but(few)
    approved = {"approval": "t by os-user:ada", "rules": ("p/ask",)}
    calls = under(then, *(call(number, **approved) for number in range(3)))
    report = replay(asks, *calls, before=[then])
    assert (counts(report), report.changes[0].after.text()) == ((2, 0, 1, 0, 0), "deny p/ask (limit)")
    waiting = {"effect": "ask", "cause": "approval", "rules": ("p/ask",)}
    calls = under(then, *(call(number, **waiting) for number in range(3)))
    assert counts(replay(asks, *calls, before=[then])) == (3, 0, 0, 0, 0)
    refused = call(effect="deny", cause="limit", rules=("p/ask",), policy_digest=asks.digest)
    assert counts(replay(asks, refused)) == (1, 0, 0, 0, 0)
    never = rules("{id: ask, effect: ask, limit: {units: 1, cost: 2, per: 1h}}")
    assert replay(never, call()).changes[0].after.text() == "deny p/ask (limit)"


def test_bytes_and_ended_sessions_are_counted_as_they_came(tmp_path: Path) -> None:
    def done(number: int) -> tuple[Record, ...]:
        return *under(then, call(number)), Outcome(NOW, f"c-{number}", "ok", 1.0, received=60)

    limited = "{id: all, effect: allow, limit: {bytes: 100, per: session}}"
    then = same_but(limited)
    at = NOW + timedelta(seconds=3.5)
    ended = Noticed(at, "session-ended", session="s"), Noticed(at, "session-ended", session="t")
    chain(tmp_path, *done(1), *done(2), *done(3), *ended, *done(4))
    report = Replay(rules(limited), [then]).take(past(tmp_path))
    assert (counts(report), report.changes[0].examples) == ((3, 0, 1, 0, 0), ("c-3",))


def test_what_a_person_did_to_a_session_counts_from_when_it_was_done(tmp_path: Path) -> None:
    limited = "{id: all, effect: allow, limit: {calls: 1, per: 1d}}"
    then = same_but(limited)
    decided = [under(then, structs.replace(call(n), at=NOW + timedelta(minutes=n)))[0] for n in range(1, 5)]
    chain(tmp_path, *decided)
    at = NOW + timedelta(minutes=2, seconds=30)
    # A person's command has a chain of its own, which is read after the one that goes on meanwhile.
    chain(tmp_path, Noticed(at, "limit-cleared", session="s", detail="p/all of session s"))
    assert Replay(rules(limited), [then]).take(past(tmp_path)).changes[0].examples == ("c-2", "c-4")
    (tmp_path / "other").mkdir()
    chain(
        tmp_path / "other", *decided, Noticed(at, "limit-cleared", session="s", detail="p/few of session s")
    )
    found = Replay(rules(limited), [then]).take(past(tmp_path / "other"))
    assert found.changes[0].examples == ("c-2", "c-3", "c-4")


def test_what_a_person_could_not_change_does_not_count(tmp_path: Path) -> None:
    limited = "{id: all, effect: allow, limit: {calls: 1, per: 1d}}"
    decided = [under(same_but(limited), call(number))[0] for number in range(3)]
    at, said = NOW + timedelta(seconds=0.5), "p/all of session s"
    void = Noticed(
        at + timedelta(seconds=1), "change-void", session="s", detail=f"limit-cleared: {said}: it is locked"
    )
    # Each notice has a chain of its own, and these may be read in any order.
    chain(tmp_path, void)
    chain(tmp_path, Noticed(at, "limit-cleared", session="s", detail=said))
    chain(tmp_path, *decided)
    found = Replay(rules(limited), [same_but(limited)]).take(past(tmp_path))
    assert found.changes[0].examples == ("c-1", "c-2")


def test_a_limit_whose_cost_was_redacted_cannot_be_counted() -> None:
    costs = "{id: all, effect: allow, limit: {units: 5, cost: args.token, per: session}}"
    # Within it or beyond: it is limited where it was not.
    assert counts(replay(rules(costs), redacted())) == (0, 0, 1, 0, 0)
    then = same_but(costs)
    assert counts(replay(rules(costs), *under(then, redacted()), before=[then])) == (0, 0, 0, 0, 1)
    denied = under(then, redacted(effect="deny", cause="limit", rules=("p/all",)))
    assert counts(replay(rules(costs), *denied, before=[then])) == (1, 0, 0, 0, 0)


# --- files -----------------------------------------------------------------------------------------


def test_an_altered_file_is_counted_and_never_replayed(tmp_path: Path) -> None:
    file = chain(tmp_path, refused(1))
    file.write_bytes(file.read_bytes().replace(b'"effect":"deny"', b'"effect":"allow"'))
    report = Replay(rules(ALL), [THEN]).take(past(tmp_path))
    assert (counts(report), report.missing[0].why) == ((0, 0, 0, 0, 1), ALTERED)
    assert report.altered == (file.name,)
    assert [one.standing for one in last(tmp_path, 3)] == ["altered"]
    late = Replay(rules(ALL), [THEN]).take(past(tmp_path, NOW + timedelta(days=1)))
    assert (late.decisions, late.altered) == (1, (file.name,))
    other = past_of(call(2, server="other"), 2).record
    chain(tmp_path, other)
    assert Replay(rules(ALL), [THEN]).take(past(tmp_path, server="other")).decisions == 1


def test_a_chain_that_says_it_is_of_a_newer_version_is_never_replayed(tmp_path: Path) -> None:
    file = chain(tmp_path, refused(1))
    text = file.read_bytes().replace(b'"format":2', b'"format":999')
    file.write_bytes(text.replace(b'"effect":"deny"', b'"effect":"allow"'))
    reviewing = rules(ALL, "{id: no, effect: deny, on: result}")
    report = Replay(reviewing, [THEN]).take(past(tmp_path))
    assert (counts(report), report.altered) == ((0, 0, 0, 0, 1), (file.name,))


def test_an_outcome_that_no_rule_touched_changes_nothing(tmp_path: Path) -> None:
    chain(tmp_path, call(1), Outcome(NOW, "c-1", "ok", 1.0, findings={"rules": 1}))
    assert counts(Replay(rules(ALL), [THEN]).take(past(tmp_path))) == (1, 0, 0, 0, 0)


def test_since_and_server_leave_out_the_others(tmp_path: Path) -> None:
    chain(tmp_path, call(1), call(100), call(101, server="other"))
    assert Replay(rules(ALL), [THEN]).take(past(tmp_path, NOW + timedelta(seconds=50), "git")).decisions == 1
    assert (
        Replay(rules(ALL), [THEN]).take(past(tmp_path, datetime.now(UTC) + timedelta(days=1))).decisions == 0
    )


def test_records_from_before_the_time_are_not_even_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [Outcome(NOW + timedelta(seconds=n), f"c-{n}", "ok", 1.0, received=9) for n in (1, 100)]
    chain(tmp_path, call(1), ends[0], call(100), ends[1])
    decoded: list[bytes] = []

    def reading(line: bytes) -> Record | None:
        decoded.append(line)
        return read_record(line)

    monkeypatch.setattr(past_module, "read_record", reading)
    assert [type(one).__name__ for one in past(tmp_path, NOW + timedelta(seconds=100))] == [
        *("PastDecision", "Received"),
    ]
    assert not any(b'c-1"' in line for line in decoded)


def test_a_time_that_is_written_otherwise_is_read(tmp_path: Path) -> None:
    line = encode(call(100)).replace(b"2026-08-01T07:01:40Z", b"2026-08-01T06:01:40-01:00")
    assert not _is_before(b'{"kind":"decision",' + line[1:], b'{"kind":"decision"', b"2026-08-01T07:01:00")


def test_the_time_of_a_record_counts_and_not_that_of_its_file(tmp_path: Path) -> None:
    os.utime(chain(tmp_path, refused(1), refused(100)), (0, 0))
    report = Replay(rules(ALL), [THEN]).take(past(tmp_path, NOW + timedelta(seconds=50)))
    assert counts(report) == (0, 1, 0, 0, 0)


def test_packed_chains_and_lines_of_others_are_read(tmp_path: Path) -> None:
    file = chain(tmp_path, call(1), version=1)
    text = file.read_bytes() + b'{"kind":"decision","at":"'
    file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(text))
    file.unlink()
    assert Replay(rules(ALL), [THEN]).take(past(tmp_path)).decisions == 1


def test_the_last_decisions_are_those_of_the_newest_chains(tmp_path: Path) -> None:
    chain(tmp_path, call(1), call(2)).rename(tmp_path / "0.jsonl")
    chain(tmp_path, call(3), call(4))
    assert [one.record.id for one in last(tmp_path, 3)] == ["c-2", "c-3", "c-4"]
    assert [one.record.id for one in last(tmp_path, 1)] == ["c-4"]


def test_results_are_said_not_to_be_replayed() -> None:
    late = "{id: late, effect: deny, on: result, when: '\"email\" in findings'}"
    assert replay(rules(ALL, late), call()).notes == (NOTE_RESULTS,)


# --- what rules want besides their effect ----------------------------------------------------------

AT_ONCE = {"via": "console", "timeout": "1m", "proof": "passkey", "approvers": "['group:ops', 'group:sec']"}


def asking(**more: str) -> str:
    """An `ask` rule with these terms."""
    terms = ", ".join(f"{key}: {value}" for key, value in more.items() if value)
    return f"{{id: ask, effect: ask, ask: {{{terms}}}}}"


def became(then: str, now: str, record: Decided) -> tuple[str, str]:
    """The class and the note of a call of `then` under `now`."""
    old = same_but(then, "{id: base, effect: allow, tools: [x]}")
    new = rules(now, "{id: base, effect: allow, tools: [x]}")
    report = replay(new, *under(old, record), before=[old])
    if report.changes:
        return report.changes[0].direction, report.changes[0].note
    return ("unsaid", report.missing[0].why) if report.unsaid else ("same", "")


def with_(key: str) -> str:
    return f"{{id: all, effect: allow, {key}}}" if key else ALL


@each(
    ("then", "now", "direction"),
    [
        ("argument: {dry_run: true}", "", "loosened"),
        ("argument: {dry_run: true}", "argument: {dry_run: false}", "loosened"),
        ("", "argument: {dry_run: true}", "unsaid"),
        ("spotlight: true", "", "loosened"),
        ("", "spotlight: true", "tightened"),
        ("", "placeholders: true", "loosened"),
        ("placeholders: true", "", "tightened"),
        ("", "fact: [seen]", "loosened"),
        ("fact: [seen]", "", "tightened"),
        ("limit: {calls: 5, per: 1h}", "limit: {calls: 500, per: 1h}", "loosened"),
        ("limit: {calls: 5, per: 1h}", "limit: {calls: 4, per: 1h}", "tightened"),
        ("limit: {calls: 5, per: 1h}", "limit: {calls: 5, per: 1m}", "loosened"),
        ("limit: {calls: 5, per: 1h}", "limit: {bytes: 5, per: 1h}", "loosened"),
        ("limit: {calls: 5, per: 1h}", "", "loosened"),
        ("", "limit: {calls: 5, per: 1h}", "tightened"),
        ("spotlight: true, argument: {n: 1}", "spotlight: true, argument: {n: 1}", "same"),
    ],
)
def test_an_obligation_that_is_dropped_loosens(then: str, now: str, direction: str) -> None:
    record = call(facts=("seen",) if "fact" in then else ())
    assert became(with_(then), with_(now), record)[0] == direction


def test_another_credential_is_neither_the_same_nor_another_reason() -> None:
    record = call(credential="lo")
    lo, hi = with_("credential: lo"), with_("credential: hi")
    assert became(lo, hi, record) == ("credential", "with the credential hi")
    assert became(lo, lo, record) == ("same", "")


@each(
    ("changed", "direction"),
    [
        ({}, "same"),
        ({"proof": ""}, "loosened"),
        ({"approvers": "['group:ops', 'group:sec', 'group:all']"}, "loosened"),
        ({"approvers": "[]"}, "loosened"),
        ({"approvers": "['group:ops']"}, "tightened"),
        ({"timeout": "1h"}, "loosened"),
        ({"timeout": "30s"}, "tightened"),
        ({"timeout": ""}, "loosened"),
        ({"standing": "true"}, "loosened"),
        ({"same_host": "[url]"}, "tightened"),
        ({"via": "[console, terminal]", "proof": ""}, "loosened"),
    ],
)
def test_less_that_is_asked_of_an_answer_loosens(changed: dict[str, str], direction: str) -> None:
    asked = call(effect="ask", cause="approval", rules=("p/ask",))
    assert became(asking(**AT_ONCE), asking(**{**AT_ONCE, **changed}), asked)[0] == direction


def test_a_time_to_answer_of_the_configuration_is_not_known() -> None:
    asked = call(effect="ask", cause="approval", rules=("p/ask",))
    assert became(asking(via="console"), asking(via="console", timeout="1m"), asked) == (
        "unsaid",
        "the time to answer was that of the configuration",
    )


def test_rules_that_allow_what_is_approved_are_compared() -> None:
    asked = call(effect="ask", cause="approval", rules=("p/ask",))
    ask = "{id: ask, effect: ask}"
    some = "{id: all, effect: allow, redact: [email], label: [seen], credential: lo, unredacted: [jwt]}"
    old, new = same_but(ask, some), rules(ask, ALL)
    (change,) = replay(new, *under(old, asked), before=[old]).changes
    assert (change.direction, change.note) == (
        "both",
        "redacts less (email), without the label seen, redacts more (-jwt), with the credential of the server",
    )
    placed = "{id: all, effect: allow, unredacted: [{kind: jwt, path: /content}]}"
    (change,) = replay(rules(ask, placed), *under(old, asked), before=[old]).changes
    assert "redacts less (-jwt /content, email)" in change.note
    old = same_but(ask)
    assert replay(rules(ask, some), *under(old, asked), before=[old]).both == 1


def test_what_is_not_at_hand_is_not_the_same() -> None:
    report = replay(rules(ALL), of_others(call()))
    assert (counts(report), report.missing[0].why[:47]) == (
        (0, 0, 0, 0, 1),
        "the policies in force then are not available (-",
    )
    unnamed = call(rules=("q/other",))
    assert counts(replay(rules(ALL), unnamed)) == (0, 0, 0, 0, 1)
    assert counts(replay(rules(ALL), of_others(call(redact=("email",))))) == (0, 1, 0, 0, 0)
    maybe = "{id: mask, effect: allow, redact: [email], when: 'args.token == \"f\"'}"
    report = replay(rules(ALL, maybe), redacted())
    assert (
        report.missing[0].why == "whether a rule holds that adds something depends on what is not on record"
    )


LATE = "{id: late, effect: deny, on: result, when: '\"email\" in findings'}"


def reviewed(folder: Path, old: PolicySet, new: PolicySet, outcome: Outcome) -> ReplayReport:
    chain(folder, *under(old, call()), outcome)
    return Replay(new, [old]).take(past(folder))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ((), (0, 1, 0, 0, 0)),
        ((LATE,), (1, 0, 0, 0, 0)),
        ((LATE.replace("deny", "allow, label: [x]"),), (0, 1, 0, 0, 0)),
        ((LATE.replace("email", "iban"),), (0, 1, 0, 0, 0)),
        (("{id: other, effect: deny, on: result, when: 'size(findings) > 0'}",), (1, 0, 0, 0, 0)),
        (("{id: other, effect: deny, on: result, when: 'result.isError == true'}",), (0, 0, 0, 0, 1)),
    ],
)
def test_a_result_that_was_withheld_stays_so_or_loosens(
    tmp_path: Path, now: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    withheld = Outcome(NOW, "c-1", "withheld", 1.0, rules=("p/late",), findings={"email /content/0/text": 1})
    report = reviewed(tmp_path, same_but(ALL, LATE), rules(ALL, *now), withheld)
    assert counts(report) == expected
    assert NOTE_RESULTS in report.notes


OF_OTHERS = LATE.replace("late", "late, tools: [never]")
MASKS = "{id: late, effect: allow, on: result, redact: [email], when: 'size(findings) > 0'}"
READS = "{id: late, effect: deny, on: result, when: 'result.isError == true'}"
FOUND = {"findings": {"iban /content/0/text": 1}}


@pytest.mark.parametrize(
    ("then", "now", "ended", "direction"),
    [
        # What the rules of then did is in the outcome.
        ((LATE,), (), {}, "same"),
        ((LATE,), (LATE,), {}, "same"),
        ((READS,), (READS,), {}, "same"),
        ((MASKS,), (), FOUND, "same"),
        ((MASKS,), (), {**FOUND, "rules": ("p/late",)}, "loosened"),
        ((MASKS,), (MASKS,), {**FOUND, "rules": ("p/late",)}, "same"),
        # What others would do follows from what was found, or it does not.
        ((), (LATE,), {}, "same"),
        ((), (LATE.replace("email", "iban"),), FOUND, "tightened"),
        ((), (MASKS,), FOUND, "tightened"),
        ((), (READS,), {}, "unsaid"),
        ((), ("{id: late, effect: deny, on: result, when: '\"x\" in session.labels'}",), {}, "unsaid"),
        ((LATE,), (READS,), {}, "unsaid"),
        # What rules took out may be all that was found.
        (
            (MASKS,),
            (MASKS, "{id: no, effect: deny, on: result, when: '\"iban\" in findings'}"),
            {**FOUND, "rules": ("p/late",)},
            "unsaid",
        ),
        # Nothing came of it, or it is not on record what.
        ((LATE,), (), {"status": "cancelled"}, "same"),
        ((LATE,), (), None, "loosened"),
        ((MASKS,), (), None, "loosened"),
        ((LATE,), (LATE,), None, "same"),
        ((), (LATE.replace("late", "late, tools: [never]"),), None, "same"),
        ((), (LATE,), None, "unsaid"),
        # A limit is no rule on results.
        ((LATE,), (LATE,), {"status": "withheld", "rules": ("p/all",)}, "same"),
        ((OF_OTHERS,), (OF_OTHERS,), {"status": "withheld", "rules": ("p/all",)}, "same"),
        # What is withheld was not looked at by the rules that let through.
        (
            (MASKS.replace("late", "mask"), LATE),
            (MASKS.replace("late", "mask"), LATE),
            {"status": "withheld", "rules": ("p/late",)},
            "same",
        ),
        ((), (READS.replace("deny", "allow, label: [x]"),), {}, "unsaid"),
    ],
)
def test_rules_on_results_are_replayed_as_far_as_outcomes_say(
    tmp_path: Path, then: tuple[str, ...], now: tuple[str, ...], ended: dict[str, Any] | None, direction: str
) -> None:
    old, new = same_but(ALL, *then), rules(ALL, *now)
    outcome = None if ended is None else Outcome(NOW, "c-1", **{"status": "ok", "ms": 1.0, **ended})
    chain(tmp_path, *under(old, call()), *([] if outcome is None else [outcome]))
    report = Replay(new, [old]).take(past(tmp_path))
    directions = [one.direction for one in report.changes] or ["unsaid" if report.unsaid else "same"]
    assert directions == [direction]
    if direction == "unsaid" and outcome is not None:
        why = UNRECORDED["session" if "session" in now[-1] else "findings" if len(now) == 2 else "result"]
        assert report.missing[0].why == RESULTS.format("p/late" if len(now) == 1 else "p/no", why)


def test_more_redaction_before_leaves_open_what_a_rule_on_results_would_see(tmp_path: Path) -> None:
    old, new = same_but(ALL, READS), rules("{id: all, effect: allow, redact: [email]}", READS)
    chain(tmp_path, *under(old, call()), Outcome(NOW, "c-1", "ok", 1.0))
    report = Replay(new, [old]).take(past(tmp_path))
    assert (counts(report), report.missing[0].why) == (
        (0, 0, 0, 0, 1),
        RESULTS.format("p/late", UNRECORDED["result"]),
    )


def test_what_policies_would_withhold_of_an_observed_server_counts(tmp_path: Path) -> None:
    seen = Outcome(NOW, "c-1", "ok", 1.0, observed=ObservedRefusal("rule", ("p/late",)))
    assert counts(reviewed(tmp_path, same_but(ALL, LATE), rules(ALL), seen)) == (0, 1, 0, 0, 0)


def test_results_of_policies_that_are_not_at_hand_cannot_be_said(tmp_path: Path) -> None:
    withheld = Outcome(NOW, "c-1", "withheld", 1.0, rules=("p/late",))
    chain(tmp_path, of_others(call()), withheld)
    assert counts(Replay(rules(ALL)).take(past(tmp_path))) == (0, 1, 0, 0, 0)
    assert counts(Replay(rules(ALL, READS)).take(past(tmp_path))) == (0, 0, 0, 0, 1)


def test_how_calls_ended_is_read_only_where_rules_on_results_are(tmp_path: Path) -> None:
    chain(tmp_path, call(), Outcome(NOW, "c-1", "ok", 1.0))
    came = [[one.outcome for one in past(tmp_path, outcomes=read)] for read in (True, False)]
    assert came == [[PastOutcome("ok")], [None]]


# --- stricter in one thing, less strict in another -------------------------------------------------

ASKS = "{id: ask, effect: ask}"


@each(
    ("then", "now", "direction"),
    [
        ("", ASKS, "tightened"),
        ("redact: [email]", ASKS, "both"),
        ("redact: [email]", "{id: ask, effect: ask, redact: [email]}", "tightened"),
        ("label: [seen]", ASKS, "both"),
        ("spotlight: true", ASKS, "both"),
        ("limit: {calls: 5, per: 1h}", ASKS, "both"),
        ("argument: {dry_run: true}", ASKS, "both"),
        ("", "{id: ask, effect: ask, placeholders: true}", "both"),
        ("", "{id: ask, effect: ask, fact: [seen]}", "both"),
        ("credential: lo", ASKS, "credential"),
        ("", "{id: ask, effect: ask, argument: {n: 1}}", "unsaid"),
        ("redact: [email]", "{id: no, effect: deny}", "tightened"),
    ],
)
def test_a_question_does_not_make_up_for_an_obligation_that_is_dropped(
    then: str, now: str, direction: str
) -> None:
    given: dict[str, Any] = {"credential": "lo"} if "credential" in then else {}
    given |= {"labels": ("seen",)} if "label" in then else {"redact": ("email",)} if "redact" in then else {}
    assert became(with_(then), now, call(**given))[0] == direction


def test_what_nobody_asks_any_more_is_compared_as_well() -> None:
    asked = call(approval="t by os-user:ada", rules=("p/all", "p/ask"))
    old, new = same_but(ALL, ASKS), rules("{id: all, effect: allow, redact: [email]}")
    report = replay(new, *under(old, asked), before=[old])
    assert [(one.direction, one.note) for one in report.changes] == [("both", "redacts more (email)")]
    assert (report.both, report.loosens, counts(report)) == (1, 1, (0, 0, 0, 0, 0))
    assert summary(report).startswith(
        "1 of 1 decision on record would change: 0 loosened, 0 tightened, 1 both"
    )
    assert [title for title, _ in tables(report)] == ["LOOSENED in one thing, tightened in another"]


def test_a_question_of_policies_that_are_not_at_hand_may_drop_something() -> None:
    report = replay(rules(ASKS), of_others(call()))
    assert counts(report) == (0, 0, 0, 0, 1)
    assert report.missing[0].why.startswith(
        "ask instead of allow; the policies in force then are not available"
    )
    assert counts(replay(rules(ASKS), of_others(call(redact=("email",))))) == (0, 0, 0, 0, 0)


def test_an_allow_whose_condition_changed_no_longer_wants_what_it_wanted() -> None:
    asked = call(1, {"n": 1}, effect="ask", cause="approval", rules=("p/ask",))
    old = same_but(ASKS, "{id: all, effect: allow, redact: [email], when: args.n == 1}")
    new = rules(ASKS, "{id: all, effect: allow, redact: [email], when: args.n == 2}")
    assert counts(replay(new, *under(old, asked), before=[old])) == (0, 1, 0, 0, 0)


@pytest.mark.parametrize(("when", "unsaid"), [('args.token == "a"', 0), ('args.token == "b"', 1)])
def test_what_an_unknown_rule_adds_to_what_is_asked_is_the_same_only_with_that_rule(
    when: str, unsaid: int
) -> None:
    mask = "{{id: mask, effect: allow, redact: [email], when: '{}'}}"
    asked = redacted(effect="ask", cause="approval", rules=("p/ask",))
    old, new = same_but(ASKS, mask.format('args.token == "a"')), rules(ASKS, mask.format(when))
    assert counts(replay(new, *under(old, asked), before=[old])) == (1 - unsaid, 0, 0, 0, unsaid)


def test_what_ended_with_its_policy_redacts_all_the_same() -> None:
    ended = PolicySet(
        [
            compile_policy(
                "version: 1\npolicy: p\nexpires: 2026-07-01\nrules:\n"
                "  - {id: all, effect: allow, redact: [email], fact: [seen]}\n"
                "  - {id: maybe, effect: allow, label: [x], when: 'args.token == \"a\"'}\n"
                "  - {id: ask, effect: ask}\n",
                "p.yaml",
                OPT_IN,
            )
        ]
    )
    asked = redacted(effect="ask", cause="approval", rules=("p/ask",))
    old = same_but(ASKS)
    assert counts(replay(ended, *under(old, asked), before=[old])) == (0, 0, 1, 0, 0)
    known = call(1, {"token": "z"}, effect="ask", cause="approval", rules=("p/ask",))
    (change,) = replay(ended, *under(old, known), before=[old]).changes
    assert (change.direction, change.note) == ("tightened", "redacts more (email)")


def test_what_became_of_definitions_is_said_and_not_replayed() -> None:
    same = sha256(ordered(TOOL)).hexdigest()
    snapshot = Snapshot(version=1, servers={"git": Offer(tools=(TOOL, {**TOOL, "name": "push"}))})
    records = [
        call(1, tool_digest=same),
        call(2, tool="push", tool_digest="d" * 64),
        call(3, tool="push", tool_digest="e" * 64, effect="deny", cause="pin", rules=()),
        *(call(number, tool=f"rm{number}", tool_digest="e" * 64) for number in range(4, 10)),
        call(10, tool="gone", server="other", tool_digest="e" * 64),
    ]
    said = [REFUSED.format("1 call was"), CHANGED.format("git/push")]
    assert replay(rules(ALL), *records).notes == tuple(said)
    gone = "git/rm4, git/rm5, git/rm6, git/rm7, git/rm8 and 1 more"
    said += [OTHER.format("git/push"), GONE.format(gone)]
    assert replay(rules(ALL), *records, snapshot=snapshot).notes == tuple(said)


def test_a_request_about_a_task_stands_with_the_call_that_began_it() -> None:
    followed = call(1, method="tasks/get", tool="", began="c-0")
    report = replay(rules("{id: never, effect: allow, tools: [never]}"), followed)
    assert (report.tightened, report.loosened) == (0, 0)
