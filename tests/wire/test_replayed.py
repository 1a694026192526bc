"""Evidence of a real session, replayed: nothing changes under the policies of then, and under others exactly what
they change."""

import pytest
import yaml

from mcpguard.authoring.replay.past import past
from mcpguard.authoring.replay.replaying import Replay
from mcpguard.config.policies import PolicyFile, load_policies
from mcpguard.core.redaction.redactor import OPT_IN
from tests.fakes import SECRET
from tests.wire.session import puppet

RULES = [
    {"id": "all", "effect": "allow", "tools": ["echo"], "redact": ["email"]},
    {
        "id": "act",
        "effect": "allow",
        "tools": ["act"],
        "label": ["private"],
        "limit": {"calls": 2, "per": "1h"},
    },
    {"id": "etc", "effect": "deny", "when": "has(args.text) && args.text == '/etc'"},
    {
        "id": "leak",
        "effect": "deny",
        "tools": ["echo"],
        "when": "'private' in session.labels && args.text == 'leak'",
    },
    {"id": "push", "effect": "ask", "tools": ["echo"], "when": "args.text.startsWith('push')"},
]


@pytest.fixture
def guard(session, tmp_path):
    """A session with a verdict of each kind, that has ended."""
    guard = session(
        {"p": puppet(env={"TOKEN": "${env:CANARY}"})},
        RULES,
        env={"CANARY": SECRET},
        session={"path": str(tmp_path / "s")},
        agent="desk",
    )
    for text in ("a", "leak", "/etc", "push", f"with {SECRET}", "ada@example.com", "\x1b[31mred", "b\u200bc"):
        guard.call("echo", text=text)
    for _ in range(3):
        guard.call("act", code="answer = text('x')")
    guard.call("echo", text="leak")
    guard.call("echo", other=1)
    guard.call("nothing")
    guard.tools()
    assert guard.end() == 0
    return guard


def replayed(guard, rules, before=()):
    policy = {"version": 1, "policy": "test", "owner": "tests", "rules": rules}
    file = guard.folder / "replayed.yaml"
    file.write_text(yaml.safe_dump(policy, sort_keys=False))
    policies = load_policies([PolicyFile(file)], OPT_IN)
    return Replay(policies, before).take(past(guard.audit_folder))


def test_nothing_changes_under_the_policies_of_then_and_one_rule_changes_what_it_is_about(guard):
    then = load_policies([PolicyFile(guard.folder / "policy.yaml")], OPT_IN)
    same = replayed(guard, RULES)
    assert same.policy_digest == then.digest
    assert (same.loosened, same.tightened, same.otherwise, same.unsaid) == (0, 0, 0, 0)
    assert same.same >= 12

    def without(name, before):
        return replayed(guard, [one for one in RULES if one["id"] != name], before)

    found = without("leak", [then])
    # Where `text` is missing, the rule could not be evaluated, and nor can the one that asks.
    assert [(one.before.text(), one.after.text(), one.count) for one in found.changes] == [
        ("deny test/leak", "allow test/all", 1),
        ("deny test/leak (error)", "ask test/push", 1),
    ]
    # What was redacted is of no account: that the other rules did not hold follows from what was decided.
    assert (found.loosened, found.unsaid) == (2, 0)
    # Without the policies of then, it is not known either what they added to a call that stays allowed.
    assert without("leak", ()).unsaid == 9
