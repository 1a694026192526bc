"""Law 12: no refusal is a dead end. Each says what would pass or who can allow it, and each state that refuses can be
seen, explained and ended by a person, which leaves evidence."""

import re
import shlex
from operator import itemgetter

import pytest

from tests.wire.session import puppet
from tests.wire.test_approvals import at_terminal, ticket
from tests.wire.warm import command

TOKEN = "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7"
CANARY = "canary-5f1e0c7b92d84a6e3d"
RULES = [
    {"id": "no", "effect": "deny", "tools": ["echo"], "when": "args.text == 'denied'"},
    {"id": "broken", "effect": "deny", "tools": ["echo"], "when": "args.text == 'x!' && int(args.text) > 3"},
    {"id": "ask", "effect": "ask", "tools": ["echo"], "when": "args.text == 'asked'"},
    {
        "id": "hour",
        "effect": "allow",
        "tools": ["echo"],
        "when": "args.text == 'hour'",
        "limit": {"calls": 1, "per": "1h"},
    },
    {
        "id": "once",
        "effect": "allow",
        "tools": ["echo"],
        "when": "args.text == 'once'",
        "limit": {"calls": 1, "per": "session"},
    },
    {
        "id": "mark",
        "effect": "allow",
        "tools": ["echo"],
        "when": "args.text == 'mark'",
        "label": ["private"],
        "fact": ["seen"],
    },
    {"id": "fine", "effect": "allow", "tools": ["echo"], "when": "args.text.startsWith('fine')"},
    {"id": "act", "effect": "allow", "tools": ["act"]},
    {"id": "bad", "effect": "deny", "on": "result", "when": "result.content[0].text == 'unwanted'"},
    {
        "id": "label",
        "effect": "deny",
        "tools": ["echo"],
        "when": "args.text == 'fine 1' && 'private' in session.labels",
    },
    {
        "id": "fact",
        "effect": "deny",
        "tools": ["echo"],
        "when": "args.text == 'fine 2' && 'seen' in session.facts",
    },
]
SEE_WHY = "A person can see why with `mcpguard explain "
MANY = f"text(' '.join('{TOKEN}%02d' % (n % 100) for n in range(9000)))"
REFUSED = {
    "a deny rule without a message": ("p__echo", {"text": "denied"}, SEE_WHY),
    "no rule": ("p__echo", {"text": "x"}, "The owner of the policy can add one. " + SEE_WHY),
    "a rule that fails": ("p__echo", {"text": "x!"}, SEE_WHY),
    "an ask rule": ("p__echo", {"text": "asked"}, "Make the same call again later, with the same arguments"),
    "a limit in time": ("p__echo", {"text": "hour"}, "Try again at 20"),
    "a limit in a session": (
        "p__echo",
        {"text": "once"},
        "reset it with `mcpguard session clear test/once --config ",
    ),
    "a placeholder": (
        "p__echo",
        {"text": "fine [REDACTED:credential:x#1]"},
        "Leave the original unchanged",
    ),
    "another server's credential": ("p__echo", {"text": f"fine {CANARY}"}, "Leave it out"),
    "a rule on results": ("p__act", {"code": "answer = text('unwanted')"}, SEE_WHY),
    "too much in an answer": ("p__act", {"code": f"answer = {MANY}"}, "A smaller answer may pass."),
    "a server without its command": ("gone__x", {}, "give its full path or fix PATH"),
    "a server without its credential": ("poor__x", {}, "does not exist"),
    "a tool that is not there": ("p__none", {}, "Unknown tool: p__none"),
}
"""What refuses, with a call that it refuses at the latest the second time, and what the model reads."""


@pytest.fixture
def guard(session, tmp_path):
    (tmp_path / "key").write_text(CANARY)
    (tmp_path / "key").chmod(0o600)
    servers = {
        "p": puppet(),
        "rich": puppet(env={"KEY": f"${{file:{tmp_path}/key}}"}),
        "gone": {"command": "/nowhere/program"},
        "poor": puppet(env={"KEY": f"${{file:{tmp_path}/none}}"}),
    }
    return session(servers, RULES, session={"path": str(tmp_path / "s")})


def said(answer):
    """What the model reads."""
    result = answer.get("result", {})
    return result["content"][0]["text"] if result.get("content") else answer["error"]["message"]


def refused(guard, name, args):
    """The refusal of a call that is made twice."""
    answers = [guard.call(name, **args) for _ in range(2)]
    assert "error" in answers[1] or "mcpguard/decision" in answers[1]["result"]["_meta"], answers
    return said(answers[1])


def test_each_refusal_says_what_would_pass_or_who_can_allow_it(guard):
    assert guard.text("rich__echo", text="fine") == "fine"
    told = {why: refused(guard, name, args) for why, (name, args, _) in REFUSED.items()}
    assert [why for why, (_, _, wanted) in REFUSED.items() if wanted not in told[why]] == []
    assert "can list it under `extensions`" in said(guard.ask("no/method"))


def test_whatever_is_refused_the_operator_has_a_command_that_explains_it(guard):
    for name, args, _ in REFUSED.values():
        guard.call(name, **args)
    lines = guard.stderr.decode().splitlines()
    asked = [shlex.split(found) for line in lines for found in re.findall("`mcpguard (explain .*?)`", line)]
    decisions = {one["id"]: one for one in guard.records("decision") if one["method"] == "tools/call"}
    outcomes = {one["id"]: one["status"] for one in guard.records("outcome")}
    failed = {"withheld", "unavailable"}
    assert {words[1] for words in asked} == {
        one for one in decisions if decisions[one]["effect"] == "deny" or outcomes.get(one) in failed
    }
    for words in asked:
        done = command(*words)
        assert done.returncode == 0, done
        assert done.stdout.startswith(b"recorded: "), done


STATES = {
    "label": ({"text": "fine 1"}, "private", "label-cleared"),
    "limit in time": ({"text": "hour"}, "test/hour", "limit-cleared"),
    "limit in a session": ({"text": "once"}, "test/once", "limit-cleared"),
    "fact": ({"text": "fine 2"}, "seen", "session-ended"),
}
"""What a session is kept from, by what, and the notice that is left once a person ended that."""


@pytest.mark.parametrize("state", STATES)
def test_what_a_session_is_kept_from_is_seen_explained_and_ended_by_a_person(guard, state):
    args, name, notice = STATES[state]
    config = "--config", str(guard.config)
    guard.call("p__echo", text="mark")
    assert "Refused by mcpguard" in refused(guard, "p__echo", args)
    assert name in command("session", "show", *config).stdout.decode()
    words = ("session", "end") if state == "fact" else ("session", "clear", name)
    last = guard.decided()["id"]
    explained = command("explain", last, *config).stdout.decode()
    assert state == "fact" or f"`mcpguard {' '.join((*words, *config))}`" in explained
    assert b"is for a person" in command(*words, *config).stderr
    assert said(guard.call("p__echo", **args)).startswith("Refused")
    seen = at_terminal(*words, *config)
    assert (b"ended" if state == "fact" else b"cleared") in seen
    assert said(guard.call("p__echo", **args)) == args["text"]
    assert [
        one["what"] for one in sorted(guard.records("notice"), key=itemgetter("at")) if one["what"] == notice
    ] == [notice]


def test_a_person_takes_a_refusal_back(guard):
    config = "--config", str(guard.config)
    assert "Make the same call again later" in said(guard.call("p__echo", text="asked"))
    one = ticket(guard.config)
    at_terminal("deny", one, *config)
    assert "It can be asked about again from 20" in said(guard.call("p__echo", text="asked"))
    listed = command("approvals", *config).stdout.decode()
    assert re.search(f"{one} .*tools/call p/echo .*terminal", listed)
    assert b"needs a terminal" in command("approvals", "end", one, *config).stderr
    assert b"the next such call is asked about" in at_terminal("approvals", "end", one, *config)
    assert "A person was asked and has not answered yet" in said(guard.call("p__echo", text="asked"))
    at_terminal("approve", ticket(guard.config), *config)
    assert said(guard.call("p__echo", text="asked")) == "asked"
    answered = [
        one["what"]
        for one in sorted(guard.records("notice"), key=itemgetter("at"))
        if one["what"].startswith(("approval-", "refusal-"))
    ]
    assert answered == [
        "approval-asked",
        "approval-refused",
        "refusal-ended",
        "approval-asked",
        "approval-given",
    ]
