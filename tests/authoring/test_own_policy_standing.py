"""A call that is approved for good: the rule means that call, its tests show it, and what stands there stays."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.adapters.system.files import take_lock
from mcpguard.authoring.own_policy import SuggestError, constant, own_policy, with_item
from mcpguard.authoring.suggest import apply, proposal
from mcpguard.cli import main
from mcpguard.config.loading import load_config
from mcpguard.config.policies import load_policies
from mcpguard.core.conditions import engines
from mcpguard.core.conditions.cel import EngineName
from mcpguard.core.errors import AuditError, PolicyError
from mcpguard.core.model import Invocation, Json, Listed, Permit, Principal
from mcpguard.core.policy.pdp import decide
from mcpguard.core.policy.session import Session, name_of
from mcpguard.core.policy.tickets import Ticket, arguments_digest
from mcpguard.core.redaction.detectors import OPT_IN
from tests.authoring.explain.explaining import NOW
from tests.cli.operating.test_session import notices
from tests.rows import each
from tests.wire.warm import python

ROOT = Path(__file__).parents[2]
ADA = Principal("ada", "os-user")
CONFIG = """
version: 1
servers: {git: {command: x}, other: {command: x}}
policies: [{file: work.yaml, params: {protected: [prod]}}]
approvals: {policy: my-approvals.yaml}
audit: {path: audit}
session: {path: sessions}
"""
WORK = """
version: 1
policy: work
params: {protected: {type: strings}}
rules:
  - {id: push, effect: ask, tools: ["push*"], message: Others see it.}
  - {id: no, effect: deny, tools: [push], when: has(args.branch) && args.branch in params.protected}
"""
ARGS: dict[str, Json] = {"branch": "b", "force": False}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "mcpguard.yaml").write_text(CONFIG)
    (tmp_path / "work.yaml").write_text(WORK)
    return tmp_path


def asked(args: dict[str, Json] | None = None, shown: dict[str, Json] | None = None, **more: Any) -> Ticket:
    args = ARGS if args is None else args
    agent = more.pop("agent", "desk")
    who = more.pop("who", ADA)
    fields = {
        "id": "4f1c09aa7d31",
        "created": 1.0,
        "expires": 2.0,
        "principal": f"{who.source}:{who.id}",
        "agent": agent,
        "session": name_of(who, agent),
        "server": "git",
        "method": "tools/call",
        "target": "push",
        "args": arguments_digest(args),
        "parts": {name: arguments_digest(value) for name, value in args.items()},
        "definition": "d",
        "policies": "p",
        "rules": ("work/push",),
        "message": "",
        "shown": json.dumps(args if shown is None else shown),
    }
    return Ticket(**{**fields, **more})


def effect(home: Path, args: dict[str, Json], engine: EngineName = "cpp", **more: Any) -> str:
    config = load_config(home / "mcpguard.yaml")
    policies = load_policies(config.policies, OPT_IN, engines.engine(engine))
    tool = more.get("tool", "push")
    target = Listed("git", tool, tool, {}, {"name": tool, "annotations": {}}, "")
    who, agent = more.get("who", ADA), more.get("agent", "desk")
    found = decide(policies, Invocation("i", "tools/call", who, NOW, agent, "git", target, args), Session())
    return "allow" if isinstance(found, Permit) else found.cause.value


def applied(home: Path, ticket: Ticket, *free: str) -> str:
    apply(load_config(home / "mcpguard.yaml"), ticket, free, "os-user:ada")
    return (home / "my-approvals.yaml").read_text()


def test_the_rule_and_its_tests_are_shown_before_they_are_written(home: Path) -> None:
    own = structs.replace(own_policy(load_config(home / "mcpguard.yaml")), owner="ada")
    made = proposal(own, asked(), ("branch",))
    assert made.policy_text == (
        "# What was approved for good (`mcpguard approve --always`, `mcpguard suggest`).\n"
        "version: 1\n"
        "policy: my-approvals\n"
        'owner: "ada"\n'
        "rules:\n"
        "  # Asked by work/push, approved with ticket 4f1c09aa7d31.\n"
        "  - id: push-4f1c09aa7d31\n"
        "    effect: allow\n"
        '    server: "git"\n'
        '    tools: ["push"]\n'
        "    approves: [work/push]\n"
        "    when: |\n"
        '      principal.source == "os-user" && principal.id == "ada"\n'
        '      && client.agent == "desk"\n'
        "      && size(args) == 2\n"
        "      && has(args.branch)\n"
        "      && args.force == false\n"
    )
    assert '+  - name: "push as approved with ticket 4f1c09aa7d31 is allowed"' in made.diff
    assert "but with another force, is asked about" in made.diff
    assert not (home / "my-approvals.yaml").exists()


@pytest.mark.parametrize("engine", ["cpp", "python"])
def test_what_is_written_means_the_call_and_no_other(home: Path, engine: EngineName) -> None:
    applied(home, asked())
    assert effect(home, ARGS, engine) == "allow"
    assert effect(home, dict(reversed(ARGS.items())), engine) == "allow"
    for other in (
        {**ARGS, "branch": "c"},
        {**ARGS, "force": True},
        {**ARGS, "force": 0},
        {**ARGS, "more": 1},
        {"branch": "b"},
        {"br\u0430nch": "b", "force": False},
        {},
    ):
        assert effect(home, other, engine) == "approval", other
    assert effect(home, ARGS, engine, agent="other") == "approval"
    assert effect(home, ARGS, engine, who=Principal("eve", "os-user")) == "approval"
    assert effect(home, ARGS, engine, tool="push-all") == "approval"


@pytest.mark.parametrize("engine", ["cpp", "python"])
def test_a_free_argument_has_any_value_and_a_deny_still_refuses(home: Path, engine: EngineName) -> None:
    applied(home, asked(), "branch")
    for value in ("c", 1, None, {"a": [1]}, ""):
        assert effect(home, {**ARGS, "branch": value}, engine) == "allow"
    assert effect(home, {**ARGS, "branch": "prod"}, engine) == "rule"
    assert effect(home, {"force": False}, engine) != "allow"


HARD: list[dict[str, Json]] = [
    {},
    {"a": 'b" || true || "', "b": "c\\"},
    {"a": "x\ny\t\u202e\u2028\x7f\U000e0001\U0001f600"},
    {'we"ird-name': 1, "in": 2, "a b": None, "true": "x"},
    {"deep": {"a": [1, 2.5, -3, {"b": None, "c": [True, ""]}], "d-e": "\u00e9"}},
    {"n": 9007199254740991, "m": 1e300, "k": -0.5},
    {"a": "${x} {{secret:y}} %s"},
    {"a": "# no comment", "b": "- item", "c": ": ", "d": "'"},
]


@pytest.mark.uncounted
@pytest.mark.parametrize("args", HARD)
@pytest.mark.parametrize("engine", ["cpp", "python"])
def test_whatever_the_arguments_are_the_rule_means_them(
    home: Path, args: dict[str, Json], engine: EngineName
) -> None:
    text = applied(home, asked(args))
    assert all(one.isprintable() or one == "\n" for one in text)
    assert effect(home, args, engine) == "allow"
    assert effect(home, {**args, "more": 1}, engine) == "approval"
    for name in args:
        assert effect(home, {**args, name: "other"}, engine) == "approval"


@pytest.mark.parametrize("args", HARD[3:5])
def test_any_name_can_be_free(home: Path, args: dict[str, Json]) -> None:
    applied(home, asked(args), *args)
    assert effect(home, dict.fromkeys(args, 0)) == "allow"
    assert effect(home, {}) == "approval"


def test_a_tool_whose_name_is_a_pattern_is_that_tool_alone(home: Path) -> None:
    applied(home, asked(target="push[*]?"))
    assert effect(home, ARGS, tool="push[*]?") == "allow"
    assert effect(home, ARGS, tool="pushXY") == "approval"


def test_an_identity_may_have_colons(home: Path) -> None:
    who = Principal("a:b", "https://issuer.example")
    applied(home, asked(who=who, agent=None))
    assert effect(home, ARGS, who=who, agent=None) == "allow"
    assert effect(home, ARGS, who=Principal("//issuer.example:a:b", "https"), agent=None) == "approval"
    with pytest.raises(SuggestError, match="it is not known who made the call"):
        applied(home, asked(session="other", id="t2"))


@pytest.mark.parametrize(
    ("ticket", "free", "why"),
    [
        (
            asked(shown={"branch": "[redacted:aws-key]", "force": False}),
            (),
            'the argument "branch" was redacted',
        ),
        (
            asked(shown={"[redacted]": "b", "force": False}),
            ("branch", "force"),
            "the names of the arguments were",
        ),
        (asked(shown="x"), (), "the names of the arguments were redacted"),  # type: ignore[arg-type]
        (structs.replace(asked(), shown="{"), (), "the names of the arguments were redacted"),
        (
            asked(method="resources/read"),
            (),
            "only calls of tools can be approved for good, not resources/read",
        ),
    ],
)
def test_what_a_person_did_not_see_becomes_no_condition(
    home: Path, ticket: Ticket, free: tuple[str, ...], why: str
) -> None:
    with pytest.raises(SuggestError) as refused:
        applied(home, ticket, *free)
    assert why in str(refused.value)
    assert not (home / "my-approvals.yaml").exists()
    assert not (home / "audit").exists()


def test_a_call_by_who_acts_for_another_gets_no_rule_that_would_allow_others_too(home: Path) -> None:
    with pytest.raises(SuggestError, match="the rule would not name who acts for os-user:ada"):
        applied(home, asked(actor="bot-7"))
    assert not (home / "my-approvals.yaml").exists()


def test_an_address_on_one_host_is_not_opened_for_good(home: Path) -> None:
    with pytest.raises(SuggestError, match=r"write one that approves with `hostIn\(args.branch, \[HOST\]\)`"):
        applied(home, asked(hosts={"branch": "h"}), "branch")
    assert applied(home, asked(hosts={"branch": "h"}), "force")


def test_what_was_redacted_can_be_left_open(home: Path) -> None:
    text = applied(home, asked(shown={"branch": "[redacted]", "force": False}), "branch")
    assert "redacted" not in text
    assert effect(home, ARGS) == "allow"


OWN = """\
# Mine.
version: 1
policy:   my-approvals   # a name
rules:
- {id: first, effect: allow, server: other}   # kept

# and this
"""


def test_what_stands_there_stays_as_it_is(home: Path) -> None:
    (home / "my-approvals.yaml").write_text(OWN)
    first = applied(home, asked())
    assert first.startswith(OWN)
    second = applied(home, asked({**ARGS, "branch": "c"}, id="another"))
    assert second.startswith(first)
    assert effect(home, ARGS) == effect(home, {**ARGS, "branch": "c"}) == "allow"
    assert main(["test", str(home / "my-approvals_test.yaml")]) == 0
    assert (home / "my-approvals_test.yaml").read_text().count("- name:") == 4


def test_rules_that_are_not_the_last_key_get_it_at_their_end(home: Path) -> None:
    (home / "my-approvals.yaml").write_text(
        "version: 1\npolicy: mine\nrules:\n    - {id: first, effect: allow, server: other}\n\n# about\nowner: ada\n"
    )
    text = applied(home, asked())
    assert text.endswith("\n\n# about\nowner: ada\n")
    assert effect(home, ARGS) == "allow"


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\npolicy: mine\nrules: [{id: first, effect: allow, server: other}]\n",
        "version: 1\npolicy: mine\nrules:\n  [{id: first, effect: allow, server: other}]\n",
        "{version: 1, policy: mine, rules: [{id: first, effect: allow, server: other}]}\n",
        "version: 1\npolicy: mine\nrules: &x\n  - {id: first, effect: allow, server: other}\n",
    ],
)
def test_another_layout_is_left_alone_and_the_person_gets_the_rule(home: Path, text: str) -> None:
    (home / "my-approvals.yaml").write_text(text)
    with pytest.raises((SuggestError, PolicyError)) as refused:
        applied(home, asked())
    assert "add it yourself:\n\n# Asked by work/push" in str(refused.value) or "anchor" in str(refused.value)
    assert (home / "my-approvals.yaml").read_text() == text


def test_what_cannot_load_takes_no_place(home: Path) -> None:
    work = WORK.replace('tools: ["push*"]', 'tools: ["push*"], ask: {approvers: [os-user:bob]}')
    (home / "work.yaml").write_text(work)
    with pytest.raises(SuggestError, match=r"^`work/push` wants approvers for each call"):
        applied(home, asked())
    (home / "work.yaml").write_text(WORK)
    applied(home, asked())
    before = (home / "my-approvals.yaml").read_text()
    with pytest.raises(SuggestError, match="appears twice"):
        applied(home, asked())
    assert (home / "my-approvals.yaml").read_text() == before


def test_a_call_that_would_not_be_allowed_by_it_gets_no_rule(home: Path) -> None:
    (home / "work.yaml").write_text(WORK + "  - {id: also, effect: ask, tools: [push]}\n")
    with pytest.raises(SuggestError, match="even with this rule the call would not be allowed"):
        applied(home, asked())
    assert not (home / "my-approvals.yaml").exists()


def test_evidence_comes_first_and_names_what_is_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    applied(home, asked())
    ((what, detail),) = notices(home)
    assert what == "approval-standing"
    assert "push-4f1c09aa7d31 in my-approvals by os-user:ada for ticket 4f1c09aa7d31 of os-user:ada" in detail

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mcpguard.authoring.own_policy.write_whole", full)
    with pytest.raises(SuggestError, match="cannot be written: No space left on device"):
        applied(home, asked(id="another"))
    assert [what for what, _ in notices(home)].count("approval-void") == 1


def test_without_evidence_nothing_is_written(home: Path) -> None:
    (home / "audit").write_text("")
    with pytest.raises(AuditError):
        applied(home, asked())
    assert not (home / "my-approvals.yaml").exists()


def test_without_a_file_of_ones_own_it_says_what_to_add(home: Path) -> None:
    (home / "mcpguard.yaml").write_text(CONFIG.replace("approvals: {policy: my-approvals.yaml}\n", ""))
    with pytest.raises(SuggestError, match=r"add `approvals: \{policy: my-approvals.yaml\}` to "):
        applied(home, asked())


def test_one_that_is_listed_among_the_policies_is_in_force_once(home: Path) -> None:
    listed = CONFIG.replace("policies: [", "policies: [my-approvals.yaml, ")
    (home / "mcpguard.yaml").write_text(listed)
    assert effect(home, ARGS) == "approval"
    applied(home, asked())
    assert effect(home, ARGS) == "allow"


def test_a_policy_that_came_later_is_added_to_the_tests(home: Path) -> None:
    applied(home, asked())
    (home / "more.yaml").write_text(
        "version: 1\npolicy: more\nrules:\n  - {id: pull, effect: ask, tools: [pull]}\n"
    )
    (home / "mcpguard.yaml").write_text(CONFIG.replace("policies: [", "policies: [more.yaml, "))
    applied(home, asked(target="pull", rules=("more/pull",), id="t2"))
    assert '  - "more.yaml"\n' in (home / "my-approvals_test.yaml").read_text()
    assert main(["test", str(home / "my-approvals_test.yaml")]) == 0


WRITER = """
import sys
from pathlib import Path
from mcpguard.authoring.suggest import apply
from mcpguard.config.loading import load_config
from tests.authoring.test_own_policy_standing import asked
home = Path(sys.argv[1])
for number in range(5):
    ticket = asked({"branch": f"{sys.argv[2]}{number}"}, id=f"{sys.argv[2]}{number}")
    apply(load_config(home / "mcpguard.yaml"), ticket, (), "os-user:ada")
"""


def test_two_who_write_at_once_lose_nothing(home: Path) -> None:
    command = [*python(), "-c", WRITER, str(home)]
    running = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("x", "y")]
    assert [process.wait(60) for process in running] == [0, 0]
    for name in ("x", "y"):
        assert [effect(home, {"branch": f"{name}{number}"}) for number in range(5)] == ["allow"] * 5


def test_check_finds_nothing_wrong_with_what_was_written(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    applied(home, asked(), "branch")
    main(["check", "--config", str(home / "mcpguard.yaml")])
    said = capsys.readouterr().out
    assert not re.search("my-approvals.yaml:.* \\[P[0-9]+\\]", said)
    assert "P001" not in said


@each("value", ["a", "\u202e", '"\\', "\U0001f600", 1, 1.5, None, True, {"a": [1]}, "\x00"])
def test_a_constant_is_json_that_can_be_seen(value: Json) -> None:
    text = constant(value)
    assert text.isprintable()
    assert "\U000e0001" in json.loads(constant("\U000e0001").replace("\\U000e0001", "\U000e0001"))


def test_a_list_without_items_takes_the_first_one() -> None:
    assert with_item("a: 1\nrules:\n", "rules", ["- x"]) == "a: 1\nrules:\n  - x\n"
    assert with_item("rules:  # none\nb: 1\n", "rules", ["- x"]) == "rules:  # none\n  - x\nb: 1\n"
    assert with_item("rules:\n- a", "rules", ["- x"]) == "rules:\n- a\n- x\n"
    assert with_item("other:\n", "rules", ["- x"]) is None
    assert with_item("rules:\n  a: 1\n", "rules", ["- x"]) is None


def test_a_file_of_tests_of_another_layout_is_left_alone(home: Path) -> None:
    tests = (
        "version: 1\npolicies: [work.yaml, my-approvals.yaml]\n"
        "tests: [{name: a, call: {server: git, tool: x}, expect: deny}]\n"
    )
    (home / "my-approvals_test.yaml").write_text(tests)
    with pytest.raises(SuggestError, match="not laid out so that a test can be added"):
        applied(home, asked())
    assert not (home / "my-approvals.yaml").exists()


def test_what_only_another_agent_is_asked_about_has_a_test_all_the_same(home: Path) -> None:
    made = proposal(own_policy(load_config(home / "mcpguard.yaml")), asked({"n": 1}), ("n",))
    assert "but with one more argument, is asked about" in made.tests_text


def test_a_file_that_would_be_too_large_to_read_is_not_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpguard.authoring.own_policy.SIZE_LIMIT", 300)
    with pytest.raises(SuggestError, match="would become larger than 300 bytes"):
        applied(home, asked())
    assert not (home / "my-approvals.yaml").exists()


def test_a_value_that_only_others_are_asked_about_is_told_apart_by_what_is(home: Path) -> None:
    (home / "work.yaml").write_text(WORK.replace("message: Others see it.", "when: args.branch == 'b'"))
    text = proposal(own_policy(load_config(home / "mcpguard.yaml")), asked()).tests_text
    assert "but with another force, is asked about" in text


def test_where_nothing_else_is_asked_about_there_is_one_test(home: Path) -> None:
    (home / "work.yaml").write_text(
        WORK.replace("message: Others see it.", 'when: \'args == {"branch": "b"} && client.agent == "desk"\'')
    )
    text = proposal(own_policy(load_config(home / "mcpguard.yaml")), asked({"branch": "b"})).tests_text
    assert text.count("- name:") == 1


def test_who_waits_too_long_for_another_writer_hears_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.authoring.own_policy.PATIENCE", 0.0)
    (home / "sessions").mkdir()
    held = take_lock(home / "sessions" / "own-policy.lock", 0, 0.01)
    try:
        with pytest.raises(SuggestError, match="another is writing to your policy file"):
            applied(home, asked())
    finally:
        os.close(held)
    assert not (home / "my-approvals.yaml").exists()


@pytest.mark.parametrize("beside", ["{id: all, effect: allow}", "{id: all, effect: allow, tools: [push]}"])
def test_check_does_not_take_it_for_idle_beside_a_wide_allow(
    home: Path, capsys: pytest.CaptureFixture[str], beside: str
) -> None:
    (home / "work.yaml").write_text(WORK + f"  - {beside}\n")
    applied(home, asked())
    main(["check", "--config", str(home / "mcpguard.yaml")])
    assert "it changes nothing" not in capsys.readouterr().out
