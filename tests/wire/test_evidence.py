"""Who did what, under which policy, and what is the evidence: asked of a real session, answered by what
`mcpguard audit show` prints and by nothing else."""

import getpass
import json
import re
import socket
from hashlib import sha256
from signal import SIGKILL

import pytest
from jsonschema import Draft202012Validator

from mcpguard.cli.authoring.schema import schema_of
from mcpguard.config.loading import load_config
from mcpguard.config.policies import load_policies
from mcpguard.core.redaction.redactor import OPT_IN
from mcpguard.protocol.trace import ids_of
from tests.fakes import SECRET
from tests.wire.session import puppet
from tests.wire.test_approvals import at_terminal, ticket
from tests.wire.warm import command

RULES = [
    {"id": "look", "effect": "allow", "tools": ["act"], "label": ["private"]},
    {
        "id": "push",
        "effect": "ask",
        "tools": ["echo"],
        "when": "'private' in session.labels",
        "message": "Others see it.",
        "limit": {"calls": 5, "per": "1h"},
    },
]
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
ME = f"os-user:{getpass.getuser()}"


def records_of(folder):
    """The records, as the command prints them; each has the form of the published schema."""
    done = command("audit", "show", "-n", "999", "--json", str(folder))
    found = [json.loads(line) for line in done.stdout.splitlines()]
    validator = Draft202012Validator(schema_of("audit-record"))
    for one in found:
        validator.validate(one)
    return found


@pytest.fixture
def evidence(session, tmp_path):
    """That of a session: a call that labels it, one that a person approves, one to a tool that is not there."""
    guard = session(
        {"p": puppet(env={"TOKEN": "${env:CANARY}"})},
        RULES,
        env={"CANARY": SECRET},
        approvals={"wait_seconds": 60},
        session={"path": str(tmp_path / "s")},
        agent="desk",
    )
    assert guard.text("act", code="answer = text('seen ' + token)").startswith("seen [REDACTED:")
    params = {"name": "echo", "arguments": {"text": f"to {SECRET}"}, "_meta": {"traceparent": PARENT}}
    call = guard.request("tools/call", params)
    at_terminal("approve", ticket(guard.config), "--config", str(guard.config))
    given = guard.answer(call)["result"]
    guard.call("nothing", a=1)
    assert guard.end() == 0
    return guard, given, records_of(guard.audit_folder)


def kinds(records, kind, **fields):
    return [one for one in records if one["kind"] == kind and fields.items() <= one.items()]


def test_evidence_answers_who_did_what_why_and_what_came_of_it(evidence):
    guard, given, records = evidence
    opened = records[0]
    (pushed,) = kinds(records, "decision", effect="allow", tool="echo")
    (waited,) = kinds(records, "decision", effect="ask")
    (outcome,) = kinds(records, "outcome", id=pushed["id"])

    # Who started it, with which client, as which agent.
    assert (opened["principal"], opened["host"], opened["agent"]) == (ME, socket.gethostname(), "desk")
    assert (pushed["principal"], pushed["client"], pushed["agent"]) == (ME, "t/1", "desk")

    # Which rule of which policy, evaluated by what.
    config = load_config(guard.config)
    assert pushed["policy_digest"] == load_policies(config.policies, OPT_IN).digest
    assert pushed["rules"] == ["test/push"]
    assert opened["format"] == 2
    assert opened["engine"].keys() == {"cel-expr-python", "cel-python"}
    assert list(pushed["limits"].values()) == [1]

    # In which state of the session, and which call brought that about.
    assert pushed["session_labels"] == ["private"]
    (cause,) = kinds(records, "decision", id=pushed["label_causes"]["private"])
    assert (cause["tool"], cause["labels"], cause["session"]) == ("act", ["private"], pushed["session"])

    # With which credentials, and who approved it.
    assert pushed["credentials"] == ["env:CANARY"]
    assert pushed["ticket"] == waited["ticket"] != ""
    assert pushed["approval"] == f"{pushed['ticket']} by {ME} (terminal)"
    assert (waited["id"], waited["cause"], waited["message"]) == (pushed["id"], "approval", "Others see it.")
    what = [one["what"] for one in kinds(records, "notice", ticket=pushed["ticket"])]
    assert "approval-asked" in what

    # What was sent, and what came back.
    assert pushed["arguments"] == {"text": "to [REDACTED:credential:env:CANARY#1]"}
    assert (
        pushed["args"]
        == sha256(json.dumps({"text": f"to {SECRET}"}, separators=(",", ":")).encode()).hexdigest()
    )
    assert outcome["result"] == sha256(json.dumps(given, separators=(",", ":")).encode()).hexdigest()
    assert sum(outcome["findings"].values()) == 1
    assert outcome["steps"].keys() == {"decide", "wait", "record", "inject", "call", "inspect"}
    assert min(outcome["sent"], outcome["received"]) > 50

    # And nothing of a credential.
    assert SECRET.encode() not in guard.audit_bytes


def test_the_trace_of_the_client_goes_on_at_the_upstream(session, tmp_path):
    log = tmp_path / "log"
    guard = session({"p": puppet("--log", str(log))})
    params = {"name": "echo", "arguments": {"text": "x"}, "_meta": {"traceparent": PARENT}}
    guard.ask("tools/call", params)
    (one,) = [one for one in guard.records("decision") if one.get("tool") == "echo"]
    assert one["trace"] == PARENT
    assert f"00-{TRACE}-{ids_of(one['id'], '')[1].hex()}-01" in log.read_text()


def test_what_is_refused_is_recorded_alike(evidence):
    _guard, _given, records = evidence
    (one,) = kinds(records, "decision", cause="unknown")
    assert (one["tool"], one["arguments"], one["client"]) == ("nothing", {"a": 1}, "t/1")
    assert one["request"].isdecimal()


def test_the_life_of_the_process_and_of_its_servers_is_on_record(evidence):
    _guard, _given, records = evidence
    life = [
        (one["what"], one.get("server", ""))
        for one in kinds(records, "notice")
        if "approval" not in one["what"]
    ]
    known = [("credentials-read", ""), ("credentials-recognised", "")]
    begun = [("started", ""), *known, ("upstream-started", "p")]
    assert life == [*begun, ("stopping", ""), ("upstream-ended", "p")]
    assert kinds(records, "notice", what="stopping")[0]["detail"] == "client-ended"
    assert records[-1]["kind"] == "closed"


def test_where_it_is_configured_arguments_leave_their_digest_only(session, tmp_path):
    guard = session({"p": puppet()}, audit={"path": str(tmp_path / "audit"), "arguments": "digest"})
    guard.text("echo", text="what it says")
    (one,) = [one for one in guard.records("decision") if one.get("tool") == "echo"]
    assert (one.get("arguments"), one["arguments_omitted"], len(one["args"])) == (None, "setting", 64)
    assert b"what it says" not in guard.audit_bytes


ENDS = {
    "redacted": (
        r"rule test/look allowed",
        r"answered, and the client got .* of the kind credential:env:CANARY",
    ),
    "denied": (r"rule test/no denied", r"Nothing was sent to the server"),
    "approved": (
        r"rule test/push allowed .*was approved by os-user:\w+ \(terminal\)",
        r"answered, and the",
    ),
    "failed": (r"rule test/look allowed", r"answered with an error.* went wrong: “.*no room.*”"),
    "cancelled": (r"rule test/look allowed", r"The client cancelled the call"),
    "pending": (
        r"test/push asks .*had to be asked .*No answer is on record",
        r"Nothing was sent to the server so",
    ),
    "killed": (
        r"rule test/look allowed",
        r"No outcome is on record: it may still be running, or the process was",
    ),
}
"""How a call may end -> what is said of why, and of what came of it."""


def test_of_every_end_of_a_call_the_command_alone_says_who_which_policy_and_what_evidence(session, tmp_path):
    guard = session(
        {"p": puppet(env={"TOKEN": "${env:CANARY}"})},
        [*RULES, {"id": "no", "effect": "deny", "tools": ["act"], "when": "args.code == 'no'"}],
        env={"CANARY": SECRET},
        approvals={"wait_seconds": 60},
        session={"path": str(tmp_path / "s")},
        agent="desk",
    )
    guard.text("act", code="answer = text('seen ' + token)")
    guard.call("act", code="no")
    call = guard.request("tools/call", {"name": "echo", "arguments": {"text": "approved"}})
    at_terminal("approve", ticket(guard.config), "--config", str(guard.config))
    guard.answer(call)
    guard.call("act", code="error = {'code': -32000, 'message': 'no room'}")
    hangs = {"name": "act", "arguments": {"code": "silent = True; say('hangs')"}}
    call = guard.request("tools/call", hangs)
    guard.wait_stderr("hangs")
    guard.notify("notifications/cancelled", requestId=call)
    guard.wait_stderr("cancelled")
    guard.request("tools/call", {"name": "echo", "arguments": {"text": "pending"}})
    ticket(guard.config)
    guard.request("tools/call", {"name": "act", "arguments": {"code": "silent = True; say('killed')"}})
    guard.wait_stderr("killed")
    guard.signal(SIGKILL)
    guard.wait()

    listed = command(
        "audit", "query", "method == 'tools/call'", "-n", "99", str(guard.audit_folder)
    ).stdout.decode()
    calls = [line.split()[-1] for line in listed.splitlines() if " p/" in line]
    assert len(calls) == len(ENDS)
    for call, (end, (why, came)) in zip(calls, ENDS.items(), strict=True):
        said = " ".join(command("audit", "show", call, str(guard.audit_folder)).stdout.decode().split())
        assert re.search(rf"who {ME} asked for it: .* calls the agent desk", said), end
        assert re.search(r"policies in force \(test\) have the sha256 [0-9a-f]{64}", said), end
        assert re.search(rf"why .*{why}", said), (end, said)
        assert re.search(rf"result .*{came}", said), (end, said)
        assert re.search(r"evidence .*decision is line \d+ of (\S+)\. .*The chain \1 is intact", said), end
        assert SECRET not in said
