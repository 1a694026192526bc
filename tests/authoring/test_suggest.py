"""What records suggest: the narrowest rule that they support, closed where they do not say enough."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.authoring.own_policy import Proposal
from mcpguard.authoring.suggest import Suggestion, Suggestions, suggested
from mcpguard.config.loading import load_config
from mcpguard.core.errors import AuditError, SessionError
from mcpguard.core.evidence.records import Closed, Decided, ObservedRefusal, Opened
from mcpguard.core.model import Json
from mcpguard.core.policy.tickets import Ticket, arguments_digest
from tests.authoring.test_own_policy_standing import ARGS, WORK, asked, effect, home

__all__ = ["home"]

TODAY = datetime.now(UTC)
WEEK = TODAY - timedelta(days=7)


def record(home: Path, *decisions: Decided) -> Path:
    """A chain with these decisions."""
    audit = AuditFile(home / "audit")
    audit.write(Opened(TODAY, "0", os.getpid(), "os-user:ada", (), "d"))
    for one in decisions:
        audit.write(one)
    audit.close(Closed(TODAY, "end"))
    (*_, newest) = sorted((home / "audit").glob("*.jsonl"))
    return newest


def decided(number: int = 1, **more: Any) -> Decided:
    fields = {
        "at": TODAY,
        "id": f"c-{number}",
        "principal": "os-user:ada",
        "agent": "desk",
        "method": "tools/call",
        "effect": "deny",
        "cause": "no-rule",
        "server": "git",
        "tool": "log",
    }
    return Decided(**{**fields, **more})


def approval(number: int = 1, ticket: str = "4f1c09aa7d31", **more: Any) -> Decided:
    by = f"{ticket} by os-user:ada (terminal)"
    fields = {
        "effect": "allow",
        "cause": "",
        "approval": by,
        "tool": "push",
        "rules": ("work/push", "work/x"),
    }
    return decided(number, **{**fields, **more})


def gone(_: str) -> Ticket | None:
    return None


def found(home: Path, known: Any = gone, server: str | None = None) -> tuple[Suggestions, Proposal | None]:
    return suggested(load_config(home / "mcpguard.yaml"), WEEK, server, known)


def only(home: Path, known: Any = gone) -> Suggestion:
    (one,) = found(home, known)[0].suggestions
    return one


def test_calls_that_no_rule_allows_get_a_rule_that_is_closed(home: Path) -> None:
    record(home, *(decided(number) for number in range(5)))
    told, proposal = found(home)
    (one,) = told.suggestions
    assert (one.why, one.count, one.closed, one.note) == ("no-rule", 5, True, "")
    assert one.examples == ("c-2", "c-3", "c-4")
    assert proposal is not None
    assert (
        f"# Since {WEEK.date()}, 5 calls were refused because no rule allows them; the last: c-4."
        in told.diff
    )
    assert "+      && false\n" in told.diff
    (home / "my-approvals.yaml").write_text(proposal.policy_text)
    assert effect(home, {}, tool="log") == "no-rule"
    (home / "my-approvals.yaml").write_text(proposal.policy_text.replace("&& false", '&& args.n == "x"'))
    assert effect(home, {"n": "x"}, tool="log") == "allow"
    assert effect(home, {"n": "y"}, tool="log") == "no-rule"
    assert effect(home, {"n": "x"}, tool="log", agent="other") == "no-rule"


def test_calls_that_went_on_for_want_of_a_rule_are_suggested_too(home: Path) -> None:
    more: dict[str, Any] = {"effect": "allow", "cause": ""}
    denied = ObservedRefusal("rule", ("work/no",))
    record(
        home,
        decided(1, **more, observed=ObservedRefusal("no-rule")),
        decided(2),
        decided(3, **more, tool="drop", observed=denied),
        decided(4, **more, tool="push", observed=ObservedRefusal("approval", ("work/push",))),
    )
    told, proposal = found(home)
    (one,) = told.suggestions
    assert (one.why, one.tool, one.examples, one.closed) == ("no-rule", "log", ("c-1", "c-2"), True)
    assert f"# Since {WEEK.date()}, 2 calls were allowed by no rule; the last: c-2." in told.diff
    assert proposal is not None


def test_what_persons_approved_gets_the_rule_of_its_ticket_while_that_is_there(home: Path) -> None:
    record(home, approval(1), approval(2), approval(3, "t2"))
    tickets = {"4f1c09aa7d31": asked(), "t2": asked({"branch": "c"}, id="t2")}
    told, proposal = found(home, tickets.get)
    (one,) = told.suggestions
    assert (one.why, one.count, one.closed, one.asked_by) == ("approved", 3, False, ("work/push",))
    assert one.rules == ("push-4f1c09aa7d31", "push-t2")
    assert proposal is not None
    (home / "my-approvals.yaml").write_text(proposal.policy_text)
    assert effect(home, ARGS) == effect(home, {"branch": "c"}) == "allow"
    assert effect(home, {"branch": "d"}) == "approval"


def test_what_persons_approved_is_closed_once_its_ticket_is_gone(home: Path) -> None:
    record(home, approval())
    told, proposal = found(home)
    assert told.suggestions[0].closed
    assert "approves: [work/push]" in told.diff
    assert "# Since" in told.diff
    assert "1 call was approved by a person" in told.diff
    assert proposal is not None
    (home / "my-approvals.yaml").write_text(proposal.policy_text)
    assert effect(home, ARGS) == "approval"


@pytest.mark.parametrize("trouble", [SessionError("no"), asked(target="other"), asked(shown={"branch": "x"})])
def test_a_ticket_that_does_not_say_is_as_good_as_gone(home: Path, trouble: Any) -> None:
    record(home, approval())

    def known(_: str) -> Ticket:
        if isinstance(trouble, Exception):
            raise trouble
        return trouble

    assert only(home, known).closed


@pytest.mark.parametrize(
    "cause",
    ["rule", "error", "limit", "pin", "credential", "placeholder", "approval", "arguments", "unknown"],
)
def test_what_was_refused_for_another_reason_is_never_suggested(home: Path, cause: str) -> None:
    record(home, decided(cause=cause))
    told, proposal = found(home)
    assert told.suggestions == ()
    assert proposal is None
    assert told.diff == ""


def test_other_methods_and_calls_that_nobody_approved_are_not_suggested(home: Path) -> None:
    record(home, decided(method="resources/read", tool="", subject="a"), decided(effect="allow", cause=""))
    assert found(home)[0].suggestions == ()


@pytest.mark.parametrize("use", ["", ", use 2"])
def test_what_a_client_approved_is_not_suggested(home: Path, use: str) -> None:
    record(home, approval(approval=f"4f1c09aa7d31 by os-user:ada (client){use}"))
    assert found(home)[0].suggestions == ()


def test_older_records_and_other_servers_do_not_count(home: Path) -> None:
    old = record(home, decided(1, at=TODAY - timedelta(days=8)), decided(2, server="other"))
    assert [one.server for one in found(home)[0].suggestions] == ["other"]
    assert found(home, server="git")[0].suggestions == ()
    # The time of the record counts, and not that of its file.
    os.utime(old, (0, 0))
    assert [one.server for one in found(home)[0].suggestions] == ["other"]


def test_the_most_frequent_come_first(home: Path) -> None:
    record(
        home,
        decided(1, tool="a"),
        decided(2, tool="b"),
        decided(3, tool="b"),
        decided(4, agent="x", tool="b"),
    )
    assert [(one.tool, one.agent, one.count) for one in found(home)[0].suggestions] == [
        ("b", "desk", 2),
        ("a", "desk", 1),
        ("b", "x", 1),
    ]


def test_evidence_that_was_altered_does_not_count(home: Path) -> None:
    chain = record(home, decided(1, tool="reset"))
    chain.write_bytes(chain.read_bytes().replace(b'"reset"', b'"erase"'))
    told, _ = found(home)
    assert told.suggestions == ()
    assert told.altered == (chain.name,)
    chain.write_bytes(re.sub(rb'"format":\d+', b'"format":999', chain.read_bytes(), count=1))
    told, _ = found(home)
    assert (told.suggestions, told.altered) == ((), (chain.name,))


def test_what_is_written_already_or_allowed_by_now_is_not_suggested_again(home: Path) -> None:
    record(home, decided())
    _, proposal = found(home)
    assert proposal is not None
    (home / "my-approvals.yaml").write_text(proposal.policy_text)
    assert "is in my-approvals.yaml already" in only(home).note
    (home / "my-approvals.yaml").write_text(
        "version: 1\npolicy: my-approvals\nrules:\n  - {id: all, effect: allow, tools: [log]}\n"
    )
    assert only(home).note == "a rule allows such calls by now"


def test_an_approval_whose_rule_has_another_name_now_or_wants_approvers_is_not_suggested(home: Path) -> None:
    record(home, approval(rules=("work/old",)))
    assert only(home).note == "the rules that asked are not among the policies any more"
    for chain in (home / "audit").iterdir():
        chain.unlink()
    record(home, approval())
    work = (home / "work.yaml").read_text()
    (home / "work.yaml").write_text(work.replace('"push*"]', '"push*"], ask: {approvers: [os-user:bob]}'))
    assert only(home).note.startswith("`work/push` wants approvers for each call; its author can")
    assert not (home / "my-approvals.yaml").exists()


def test_a_ticket_that_is_written_already_is_not_suggested_again(home: Path) -> None:
    record(home, approval())
    _, proposal = found(home, lambda _: asked())
    assert proposal is not None
    (home / "my-approvals.yaml").write_text(proposal.policy_text)
    assert only(home, lambda _: asked()).rules != ("push-4f1c09aa7d31",)


def test_strange_names_are_written_as_what_they_are(home: Path) -> None:
    record(home, decided(tool='a*"\n\u202e', principal="https://i:x:y", agent=None))
    told, proposal = found(home)
    assert proposal is not None
    assert told.suggestions[0].note == ""
    assert all(one.isprintable() or one == "\n" for one in proposal.policy_text + proposal.tests_text)


def test_records_that_cannot_be_read_do_not_count(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = record(home, decided())
    chain.write_bytes(chain.read_bytes() + b'{"kind":"decision"}\n')
    monkeypatch.setattr(
        "mcpguard.authoring.suggest.examined",
        lambda *_: type("Sound", (), {"intact": True, "newer": ""}),
    )
    assert len(found(home)[0].suggestions) == 1


def test_without_evidence_it_says_so(home: Path) -> None:
    with pytest.raises(AuditError, match="no audit log"):
        found(home)


def test_without_a_file_of_ones_own_it_shows_one(home: Path) -> None:
    (home / "mcpguard.yaml").write_text(
        (home / "mcpguard.yaml").read_text().replace("approvals: {policy: my-approvals.yaml}\n", "")
    )
    record(home, decided())
    assert "+++ my-approvals.yaml" in found(home)[0].diff


OPEN_ONLY = (
    "  - {id: open, effect: allow, tools: [log], when: '!has(args.state) || args.state == \"open\"'}\n"
)


def with_args(number: int, args: dict[str, Json], **more: Any) -> Decided:
    return decided(number, args=arguments_digest(args), arguments=args, **more)


def test_recorded_calls_are_decided_with_the_arguments_that_they_had(home: Path) -> None:
    (home / "work.yaml").write_text(WORK + OPEN_ONLY)
    record(home, with_args(1, {"state": "open"}), with_args(2, {"state": "closed"}))
    told, proposal = found(home)
    (one,) = told.suggestions
    assert (one.count, one.examples, one.note) == (1, ("c-2",), "")
    assert '+    call: {server: "git", tool: "log", args: {"state": "closed"}}\n' in told.diff
    assert proposal is not None
    (home / "my-approvals.yaml").write_text(
        proposal.policy_text.replace("&& false", '&& args.state == "closed"')
    )
    (one,) = found(home)[0].suggestions
    assert (one.count, one.examples, one.note) == (2, ("c-1", "c-2"), "a rule allows such calls by now")


def test_no_rule_is_suggested_where_no_test_could_show_that_it_allows_nothing(home: Path) -> None:
    (home / "work.yaml").write_text(WORK + OPEN_ONLY)
    record(home, decided(args="0" * 64))
    told, proposal = found(home)
    assert proposal is None
    assert told.suggestions[0].note.startswith("a rule allows such calls with other arguments")


def test_a_call_with_other_arguments_than_the_rules_allow_is_never_said_to_be_allowed(home: Path) -> None:
    (home / "work.yaml").write_text(WORK + OPEN_ONLY.replace("!has(args.state)", "!has(args.n)"))
    redacted = {"n": "[REDACTED:password#1]", "state": "x"}
    record(home, decided(args="0" * 64, arguments=redacted), with_args(2, {"n": "1", "state": "x"}))
    assert only(home).examples == ("c-1", "c-2")
