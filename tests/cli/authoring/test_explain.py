"""`mcpguard explain`: why, in words and as JSON, for calls as they could be and as they were; never an argument."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from mcpguard.authoring.asking.story import CAUSES
from mcpguard.authoring.explain.explainer import WHY
from mcpguard.cli import main
from mcpguard.config.loading import evidence_folder
from mcpguard.config.policies import PolicyFile, builtin_read_only, load_policies
from mcpguard.core.evidence.records import Decided, FoldedRecords, Noticed, Outcome, Record
from mcpguard.core.model import Cause, Principal
from mcpguard.core.policy import pdp
from mcpguard.core.policy.session import name_of
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.protocol.jsonrpc import encode
from tests.adapters.audit.audit_records import NOW
from tests.cli.audit.test_verb import chain

Capture = pytest.CaptureFixture[str]
Explain = Callable[..., str]
TOKEN = "ghp" + "_" + "aZ3kQ9xB7mT2" * 3

POLICY = """\
version: 1
policy: p
rules:
  - id: no-force
    effect: deny
    tools: ["*push*"]
    when: has(args.force) && args.force
    message: No force.
  - id: push
    effect: allow
    server: git
    tools: [push]
    when: principal.id == "ada" && args.remote == "origin"
    limit: {calls: 3, per: 1h}
    label: [pushed]
  - id: read
    effect: allow
    server: git
    tools: [log]
    redact: [email]
  - {id: no-mail, on: result, effect: deny, server: git, when: '"email" in findings'}
  - {id: trial, effect: deny, mode: shadow, server: git, tools: [log]}
  - {id: sampling, effect: allow, server: git, action: [sampling/createMessage], when: args.maxTokens < 10}
  - {id: prompts, effect: allow, server: git, action: [prompts/get]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(POLICY)
    (tmp_path / "mcpguard.yaml").write_text(
        "version: 1\nagent: desk\nservers: {git: {command: git-mcp}, web: {command: web-mcp}}\n"
        "policies: [p.yaml]\naudit: {path: audit}\n"
    )
    monkeypatch.setenv("MCPGUARD_CONFIG", "mcpguard.yaml")
    return tmp_path


@pytest.fixture
def explain(folder: Path, capsys: Capture) -> Explain:
    def said(*words: str, code: int = 0) -> str:
        found = main(["explain", *words])
        out = capsys.readouterr()
        assert found == code, out.err
        return out.err if code > 1 else out.out

    return said


def call(tool: str, **args: Any) -> list[str]:
    return ["--server", "git", "--tool", tool, "--args", json.dumps(args)]


def test_a_refusal_is_told_with_its_rules_their_operands_and_what_would_allow_it(explain: Explain) -> None:
    assert explain("p.yaml", *call("push", remote="hush", force=True), "--principal", "ada") == (
        "deny (rule): a matching deny rule overrides every ask rule and every allow rule\n"
        "  by: p/no-force\n"
        "  the client is told: No force.\n"
        "  provided that the server lists this tool, and the arguments match its schema (--snapshot FILE)\n"
        "\n"
        "rules that apply to it, deny before ask before allow:\n"
        "  deny   p/no-force: held  <- decided  (p.yaml:4)\n"
        "         true   has(args.force) && args.force\n"
        "         true     has(args.force)\n"
        "         true     args.force\n"
        "  allow  p/push: did not hold  (p.yaml:9)\n"
        '         false  principal.id == "ada" && args.remote == "origin"\n'
        '         true     principal.id == "ada"\n'
        '         false    args.remote == "origin"   (`args.remote` is a string)\n'
        "\n"
        "it would be allowed if all of this changed and nothing else did:\n"
        "  p/no-force must not hold\n"
        "    false  args.force\n"
        "  p/push must hold\n"
        '    true   args.remote == "origin"   (`args.remote` is a string)\n'
    )


def test_a_call_that_is_allowed_is_told_with_what_is_done(explain: Explain) -> None:
    said = explain(*call("log"), "--result", result_file(content="none"))
    assert said == (
        "allow: no deny rule and no ask rule matches, and an allow rule does\n"
        "  by: p/read\n"
        "  provided that the server lists this tool, and the arguments match its schema (--snapshot FILE)\n"
        "  redacts: email\n"
        "\n"
        "rules that apply to it, deny before ask before allow:\n"
        "  deny   p/trial: held (it has no condition)  (shadow: no effect)  (p.yaml:22)\n"
        "  allow  p/read: held (it has no condition)  <- decided  (p.yaml:16)\n"
        "  rules in shadow mode would have made it: deny (rule) p/trial\n"
        "\n"
        "the result: allow: no deny on results holds\n"
        "\n"
        "rules on results that apply to it:\n"
        "  deny   p/no-mail: did not hold  (p.yaml:21)\n"
        '         false  "email" in findings   (`findings` is a list)\n'
    )


def result_file(**result: Any) -> str:
    Path("result.json").write_text(json.dumps(result))
    return "result.json"


def test_a_result_is_inspected_as_the_gateway_would_before_its_rules(explain: Explain) -> None:
    said = explain(*call("log"), "--result", result_file(content=f"jane@example.com {TOKEN}"), "--json")
    found = json.loads(said)
    assert found["result"]["effect"] == "withhold"
    assert "email" in found["result"]["findings"]
    assert "jane" not in said
    assert TOKEN not in said
    refused = json.loads(explain(*call("push"), "--result", "result.json", "--json"))
    assert "result" not in refused


def test_a_tool_that_lists_do_not_show_says_so_and_that_no_rule_speaks_of_it(explain: Explain) -> None:
    said = explain(*call("commit"))
    assert "not listed: it is refused as if it did not exist" in said
    assert "no rule applies to it" in said
    assert "an allow rule must be written (no allow rule applies to such a request)" in said


def test_the_options_are_what_conditions_see(explain: Explain, folder: Path) -> None:
    conditions = {
        "principal": '"ops" in principal.groups && principal.claims.a == 1 && principal.source == "https://i"',
        "client": 'client.agent == "desk"',
        "tool": "tool.annotations.readOnlyHint",
        "now": 'now == timestamp("2026-01-02T03:04:05Z")',
        "session": '"l" in session.labels && "f" in session.facts && session.calls == 7',
        "args": "args.a == 1",
    }
    lines = [f"  - {{id: {name}, effect: allow, when: '{when}'}}" for name, when in conditions.items()]
    (folder / "q.yaml").write_text("\n".join(["version: 1", "policy: q", "rules:", *lines]))
    (folder / "args.json").write_text('{"a": 1}')
    (folder / "session.json").write_text('{"calls": 7}')
    words = ["q.yaml", "--server", "s", "--tool", "t", "--args-file", "args.json", "--agent", "desk"]
    words += [
        "--principal",
        "ada",
        "--source",
        "https://i",
        "--group",
        "ops",
        "--claims",
        '{"a": 1}',
        "--json",
    ]
    words += ["--annotations", '{"readOnlyHint": true}', "--now", "2026-01-02T03:04:05"]
    words += ["--session", "session.json", "--label", "l", "--fact", "f"]
    assert sorted(json.loads(explain(*words))["rules"]) == sorted(f"q/{name}" for name in conditions)


def test_the_agent_is_that_of_the_configuration_and_arguments_come_from_standard_input(
    explain: Explain, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: q\nrules:\n"
        "  - {id: r, effect: allow, when: 'client.agent == \"desk\" && args.a == 1'}\n"
    )
    monkeypatch.setattr("sys.stdin", io.StringIO('{"a": 1}'))
    words = ["--server", "git", "--tool", "t", "--args-file", "-"]
    assert explain(*words).startswith("allow:")


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (["--prompt", "x"], "allow"),
        (["--resource", "file:///x"], "deny (no-rule)"),
        (["--action", "sampling/createMessage", "--args", '{"maxTokens": 3}'], "allow"),
        (["--action", "sampling/createMessage"], "deny (no-rule)"),
    ],
)
def test_other_methods_are_explained_too(explain: Explain, words: list[str], start: str) -> None:
    assert explain("--server", "git", *words).startswith(start)


def test_a_session_with_a_key_that_none_has_is_refused(explain: Explain, folder: Path) -> None:
    for key, hint in (("lables", "did you mean `labels`?"), ("x", "it has calls, tools, labels, facts")):
        (folder / "session.json").write_text(json.dumps({"calls": 1, key: ["hush"]}))
        said = explain(*call("log"), "--session", "session.json", code=2)
        assert f"session.json: a session has no `{key}`; {hint}" in said
        assert "hush" not in said


def test_a_method_of_an_extension_is_explained_where_it_may_be_one(explain: Explain, folder: Path) -> None:
    server = "{command: x, extensions: {com.example/x: [skills/get]}}"
    (folder / "more.yaml").write_text(f"version: 1\nservers: {{git: {server}}}\npolicies: [p.yaml]\n")
    asked = ["--server", "git", "--action", "skills/get"]
    assert explain(*asked, "--config", "more.yaml").startswith("deny (no-rule)")
    assert explain("p.yaml", *asked).startswith("deny (no-rule)")
    assert "no rule decides `skills/get`" in explain(*asked, code=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tool", "log"], "or name a request: --server NAME with --tool NAME"),
        (["--server", "git"], "give the id of a recorded call, or name a request"),
        (["--server", "git", "--action", "tools/call"], "name what `tools/call` is for: --tool NAME"),
        (["--server", "git", "--action", "nope"], "no rule decides `nope`: mcpguard refuses it"),
        (
            ["--server", "git", "--tool", "x", "--action", "tasks/get"],
            "`tasks/get` has no tool: leave --tool out",
        ),
        (["--server", "git", "--action", "extension"], "no rule decides `extension`: mcpguard refuses it"),
        (["--server", "git", "--action", "ping"], "decides `ping`: it is answered by mcpguard itself"),
        (["--server", "git", "--action", "task/get"], "refuses it; did you mean `tasks/get`?"),
        (["--server", "git", "--tool", "a\nb"], "no server can list a tool by that name"),
        ([*call("log")[:-1], '{"a": "hush'], "it must be a JSON object"),
        ([*call("log")[:-1], '["hush"]'], "it must be a JSON object"),
        ([*call("log")[:-1], '{"a": {"hush": 1, "hush": 2}}'], "it has the same key twice"),
        (["--server", "git", "--tool", "t", "--args-file", "p.yaml"], "p.yaml: it must be a JSON object"),
        ([*call("log"), "--now", "hush"], "write a time as 2026-01-02T03:04:05Z"),
        ([*call("log"), "--session", "p.yaml"], "p.yaml: not a session"),
        ([*call("log"), "--result", "p.yaml"], "p.yaml: a result is a JSON object"),
        ([*call("log"), "--result", "gone.json"], "gone.json: cannot be read"),
        (["gone.yaml", *call("log")], "gone.yaml: cannot be read"),
        (["--reach", "--snapshot", "p.yaml"], "p.yaml: not a snapshot"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence_that_quotes_no_value(
    explain: Explain, words: list[str], said: str
) -> None:
    told = explain(*words, code=2)
    assert said in told
    assert "hush" not in told


def test_a_secret_in_a_condition_is_taken_out(explain: Explain, folder: Path) -> None:
    (folder / "q.yaml").write_text(
        f"version: 1\npolicy: q\nrules: [{{id: r, effect: allow, when: 'args.t == \"{TOKEN}\"'}}]\n"
    )
    for words in (["--json"], []):
        said = explain("q.yaml", *call("t"), *words)
        assert TOKEN not in said
        assert "[REDACTED:" in said


# --- what is on record -----------------------------------------------------------------------------


def decision(args: dict[str, Any] | None, **more: Any) -> Decided:
    digest = load_policies([PolicyFile(Path("p.yaml"))], OPT_IN).digest
    found = Decided(
        NOW, "n-1", "os-user:ada", "tools/call", "deny", "git", "push", cause="no-rule", policy_digest=digest
    )
    return structs.replace(found, args="" if args is None else sha256(encode(args)).hexdigest(), **more)


def record(folder: Path, *records: Record) -> None:
    chain(folder / "audit", *records)


def test_without_its_arguments_a_recorded_call_is_told_as_it_is_on_record(
    explain: Explain, folder: Path
) -> None:
    record(folder, decision({"remote": "hush"}, agent="desk", rules=("p/x",)))
    chain(folder / "audit")
    assert explain("n-1") == (
        "recorded: deny (no-rule)  tools/call git/push\n"
        "  at 2026-08-01T07:00:00Z by os-user:ada with desk\n"
        "  rules: p/x\n"
        "  policies: the current ones\n"
        "  note: only the sha256 of its arguments was recorded; pass them with --args-file FILE for an explanation\n"
    )


def test_what_was_done_to_the_result_of_a_recorded_call_is_told(explain: Explain, folder: Path) -> None:
    done = Outcome(
        NOW, "n-1", "withheld", 1.0, error="too deep", findings={"jwt /a": 2}, unredacted={"slack /b": 1},
        neutralised={"tag": 3}, rules=("p/late",), message="Not for you.",
    )  # fmt: skip
    record(folder, decision({"remote": "hush"}), done)
    assert (
        "  outcome: withheld: too deep\n"
        "  rules on the result: p/late\n"
        "  message about the result: Not for you.\n"
        "  removed from the result: jwt /a\n"
        "  left in the result: slack /b\n"
        "  hidden characters neutralised: tag\n"
    ) in explain("n-1", code=1)


def test_a_call_is_explained_with_the_arguments_on_record(explain: Explain, folder: Path) -> None:
    record(folder, decision({"remote": "hush"}, arguments={"remote": "hush"}))
    assert "deny (no-rule): no allow rule matches" in explain("n-1")
    assert '  arguments: {"remote":"hush"}\n' in explain("n-1")


def test_groups_and_claims_on_record_are_those_of_the_explanation(explain: Explain, folder: Path) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules:\n  - id: ops\n    effect: allow\n"
        """    when: 'principal.id == "b:ada" && "ops" in principal.groups && principal.claims.team == "red"'\n"""
    )
    token = {
        "principal": "https://idp/a:b:ada",
        "session": name_of(Principal("b:ada", "https://idp/a"), None),
        "groups": ("ops",),
        "claims": {"team": "red"},
    }
    record(folder, decision({}, arguments={}, policy_digest="old", **token))
    said = explain("n-1")
    assert "  groups: ops\n  claims: team\n" in said
    assert "  allow  p/ops: held  <- decided" in said
    assert "the decision would be different now" in said
    assert "groups and claims were not recorded" not in said
    assert "p/ops: not known" in explain("n-1", "--principal", "b:ada", "--source", "https://idp/a")


def test_of_redacted_arguments_somebody_has_to_bring_those_that_were(explain: Explain, folder: Path) -> None:
    record(folder, decision({"remote": "hush"}, arguments={"remote": "[REDACTED:x#1]"}))
    said = explain("n-1")
    assert "note: its arguments were redacted in the record; pass them as they were with" in said
    assert "deny (no-rule): no allow rule matches" in explain("n-1", "--args", '{"remote": "hush"}')


def test_who_what_and_in_which_state_is_told_of_a_recorded_call(explain: Explain, folder: Path) -> None:
    about = {
        "human": "https://id:ada",
        "actor": "bot",
        "client": "Desk/2",
        "message": "Never.",
        "ticket": "f00d",
    }
    state = {"session_labels": ("a", "b"), "label_causes": {"b": "n-0"}, "credentials": ("env:X",)}
    record(folder, decision({"t": "x" * 900}, arguments={"t": "x" * 900}, **about, **state))
    said = explain("n-1")
    assert (
        "  message: Never.\n"
        "  approval: f00d\n"
        "  on behalf of: https://id:ada by bot\n"
        "  client: Desk/2\n"
        f'  arguments: {{"t":"{"x" * 494}...\n'
        "  session labels: a, b (by n-0)\n"
        "  credentials: env:X\n"
    ) in said


@pytest.mark.parametrize(
    ("effect", "cause"), [("ask", "approval"), ("deny", "cancelled"), ("deny", "abandoned")]
)
def test_a_call_that_waits_or_was_taken_back_is_told_as_such(
    explain: Explain, folder: Path, effect: str, cause: str
) -> None:
    record(folder, decision({}, effect=effect, cause=cause))
    assert explain("n-1").startswith(f"recorded: deny ({cause})  tools/call git/push\n")


@pytest.mark.parametrize("cause", CAUSES)
def test_a_refusal_for_whatever_cause_is_explained(explain: Explain, folder: Path, cause: str) -> None:
    record(folder, decision({}, effect="deny", cause=cause))
    assert explain("n-1").startswith(f"recorded: deny ({cause})  tools/call git/push\n")


def test_every_cause_of_a_verdict_is_explained() -> None:
    assert set(WHY) == set(Cause)


def test_a_call_that_was_taken_back_while_a_person_was_asked_is_explained_by_the_rules_that_asked(
    explain: Explain, folder: Path
) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules: [{id: write, effect: ask, tools: [push], message: Ask.}]\n"
    )
    asked = decision({"a": 1}, effect="ask", cause="approval", rules=("p/write",), ticket="f00d")
    taken = decision({"a": 1}, cause="cancelled", ticket="f00d")
    record(folder, asked, taken)
    said = explain("n-1", "--args", '{"a": 1}')
    assert said.startswith("recorded: deny (cancelled)  tools/call git/push\n")
    assert "  note: the client cancelled it before a person answered\n" in said
    assert "  ask    p/write: held (it has no condition)  <- decided  (p.yaml:3)\n" in said
    assert "not listed" not in said


def test_a_call_that_was_taken_back_before_all_else_is_only_told_as_that(
    explain: Explain, folder: Path
) -> None:
    record(folder, decision({"a": 1}, cause="cancelled"))
    said = explain("n-1")
    assert "  note: the client cancelled it before it was decided\n" in said
    assert "not listed" not in said
    assert "no rule applies" not in said


def test_a_refusal_that_was_only_counted_is_told_as_audit_show_tells_it(
    explain: Explain, folder: Path
) -> None:
    folded = FoldedRecords(9, NOW, NOW, "ab-3", "ab-11", "d" * 64)
    record(folder, Noticed(NOW, "refusals-folded", detail="9 between x and y", folded=folded))
    assert "'ab-7' has no record of its own. It may be among the requests" in explain("ab-7", code=2)


def test_where_nothing_is_on_record_there_is_no_call_to_explain(
    explain: Explain, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    assert "nothing is on record yet" in explain("n-1", code=2)


def test_what_wrap_recorded_is_explained_without_a_configuration(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MCPGUARD_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "none"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    policies = builtin_read_only()
    call = decision({}, server="server", tool="write", policy_digest=policies.digest)
    chain(evidence_folder(None), call)
    assert main(["explain", "n-1"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "  policies: the current ones\n" in said.out
    assert "deny (no-rule): no allow rule matches" in said.out
    assert main(["explain", "--tool", "write"]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_call_of_a_configuration_that_is_not_found_is_explained_with_a_note(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MCPGUARD_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "none"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    chain(evidence_folder(None), decision({}))
    assert main(["explain", "n-1"]) == 0
    assert "name the configuration that it was decided with, as --config FILE" in capsys.readouterr().err


def test_what_wrap_recorded_is_explained_by_its_own_policy_beside_a_configuration(
    explain: Explain, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    wrapped = decision({}, server="server", tool="write", policy_digest=builtin_read_only().digest)
    chain(evidence_folder(None), wrapped)
    for _ in range(2):
        said = explain("n-1")
        assert "  policies: the current ones\n" in said
        assert "deny (no-rule): no allow rule matches" in said
        record(folder, structs.replace(decision({}), id="n-2"))
    assert "no call 'n-9' is on record" in explain("n-9", code=2)
    assert "policies: the current ones" not in explain("n-1", "p.yaml")


def test_with_its_arguments_a_recorded_call_is_explained(explain: Explain, folder: Path) -> None:
    record(folder, decision({"remote": "hush"}), Outcome(NOW, "n-1", "ok", 1.0))
    # An outcome of a call that was denied is one that nobody wrote.
    said = explain("n-1", "--args", '{"remote": "hush"}', code=1)
    assert "  outcome: ok\n" in said
    assert "deny (no-rule): no allow rule matches" in said
    assert "not in the list" not in said
    assert "otherwise" not in said
    assert "hush" not in said
    found = json.loads(explain("n-1", "--args", '{"remote": "hush"}', "--json", code=1))
    assert found["same_policies"]
    assert found["explanation"]["cause"] == "no-rule"


def test_a_recorded_call_is_explained_in_the_session_as_it_was(explain: Explain, folder: Path) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules:\n  - {id: all, effect: allow}\n"
        "  - {id: leak, effect: deny, when: '\"private\" in session.labels'}\n"
    )
    had = {"session_labels": ("private",), "session_facts": ("ok",)}
    record(folder, decision({"remote": "x"}, cause="rule", rules=("p/leak",), **had))
    said = explain("n-1", "--args", '{"remote": "x"}')
    assert "deny (rule)" in said
    assert "would be different now" not in said


def test_a_record_in_a_file_that_was_altered_is_told_as_such_first(explain: Explain, folder: Path) -> None:
    record(folder, decision(None, rules=("p/x",)))
    (file,) = (folder / "audit").glob("*.jsonl")
    file.write_bytes(file.read_bytes().replace(b'"os-user:ada"', b'"os-user:bob"', 1))
    said = explain("n-1", code=1).splitlines()
    told = f"do not trust this record: its file was altered: {file.name}, line 2 was altered: its bytes do not match its hash"
    assert said[0] == told
    assert json.loads(explain("n-1", "--json", code=1))["altered"] in told


DEEP = b'"rules":["p/x"],"arguments":%b"hush"%b' % (b'{"a":' * 300, b"}" * 300)


@pytest.mark.parametrize("change", [b'"rules":["hush",7]', b'"rules":{"hush":7}', b'"rules":7', DEEP])
def test_a_record_that_was_altered_into_another_form_is_refused_and_not_quoted(
    explain: Explain, folder: Path, change: bytes
) -> None:
    record(folder, decision(None, rules=("p/x",)))
    (file,) = (folder / "audit").glob("*.jsonl")
    file.write_bytes(file.read_bytes().replace(b'"rules":["p/x"]', change, 1))
    said = explain("n-1", code=2)
    assert "the record of this call has a different form" in said
    assert f"{file.name}, line 2 was altered" in said
    assert "hush" not in said


def test_a_file_whose_end_was_cut_off_is_told_by_the_chain_that_continues_it(
    explain: Explain, folder: Path
) -> None:
    record(folder, decision(None, rules=("p/x",)), Outcome(NOW, "n-1", "ok", 1.0))
    (file,) = (folder / "audit").glob("*.jsonl")
    chain(folder / "audit")
    whole = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(whole[:2]))
    assert "its end was cut off or it was rewritten" in explain("n-1", code=1).splitlines()[0]


@pytest.mark.parametrize("change", [b"", b'{"id": "n-2"}\n', b"nonsense\n"])
def test_a_record_that_is_gone_from_an_altered_file_may_have_been_there(
    explain: Explain, folder: Path, change: bytes
) -> None:
    record(folder, decision(None, rules=("p/x",)), Outcome(NOW, "n-1", "ok", 1.0))
    (file,) = (folder / "audit").glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], change, *lines[2:]]))
    said = explain("n-1", code=2)
    assert f", but it may have been removed: {file.name}, line 2 " in said


def test_other_arguments_than_those_on_record_are_refused(explain: Explain, folder: Path) -> None:
    record(folder, decision({"remote": "hush"}))
    assert "these are not the arguments of that call" in explain("n-1", "--args", "{}", code=2)


def test_a_call_without_arguments_needs_none(explain: Explain, folder: Path) -> None:
    record(folder, decision({}, tool="log", effect="allow", cause="", rules=("p/read",)))
    assert "  by: p/read\n" in explain("n-1")


def test_arguments_that_rules_set_are_those_on_record(explain: Explain, folder: Path) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules: [{id: r, effect: allow, argument: {limit: 9}}]\n"
    )
    record(folder, decision({"a": 1, "limit": 9}, effect="allow", cause=""))
    assert "  sets the arguments: limit\n" in explain("n-1", "--args", '{"a": 1}')


def test_a_call_that_a_person_approved_is_told_as_such(explain: Explain, folder: Path) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules: [{id: r, effect: ask, argument: {limit: 9}, message: Look.}]\n"
    )
    given = {"effect": "allow", "cause": "", "rules": ("p/r",), "approval": "4f1c by os-user:ada"}
    record(folder, decision({"a": 1, "limit": 9}, **given))
    said = explain("n-1", "--args", '{"a": 1}')
    assert "  approval: 4f1c by os-user:ada\n" in said
    assert "allow: " in said
    assert "  ask    p/r: held (it has no condition)  <- decided  (p.yaml:3)\n" in said
    assert "would be different now" not in said
    assert "must be written" not in said


def test_it_says_where_policies_and_verdict_are_others_now(explain: Explain, folder: Path) -> None:
    record(folder, decision({}, tool="log", policy_digest="d" * 64))
    said = explain("n-1")
    assert "  policies: not the current ones\n" in said
    assert "the decision would be different now" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"method": "prompts/get", "tool": "", "subject": "x"}, "prompts/get git/x"),
        ({"method": "resources/read", "tool": "", "subject": "file:///x"}, "resources/read git/file:///x"),
        ({"principal": "https://issuer.example:ada"}, "by https://issuer.example:ada"),
        ({"principal": "http:anonymous"}, "by http:anonymous"),
        ({"method": "roots/list", "tool": ""}, "roots/list git"),
    ],
)
def test_all_that_is_on_record_in_full_is_explained(
    explain: Explain, folder: Path, more: dict[str, Any], said: str
) -> None:
    record(folder, decision({}, **more))
    told = explain("n-1")
    assert said in told
    assert "rules that apply to it" in told or "no rule applies to it" in told


def test_what_limits_had_counted_is_not_on_record(explain: Explain, folder: Path) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules: [{id: r, effect: allow, limit: {calls: 9, per: 1h}}]\n"
    )
    record(folder, decision({}, effect="allow", cause="", rules=("p/r",)))
    assert "charges: calls: 1; an unknown number of 9 in 1h were used before" in explain("n-1")


def test_the_principal_on_record_is_who_asks(explain: Explain, folder: Path) -> None:
    (folder / "p.yaml").write_text(
        'version: 1\npolicy: p\nrules: [{id: r, effect: allow, when: \'principal.id == "ada" && principal.source =='
        ' "https://issuer.example"\'}]\n'
    )
    record(
        folder, decision({}, principal="https://issuer.example:ada", effect="allow", cause="", rules=("p/r",))
    )
    assert "  by: p/r\n" in explain("n-1")


def test_what_is_on_record_in_part_only_is_not_explained(explain: Explain, folder: Path) -> None:
    record(folder, decision({}, method="tasks/get", tool="", subject="t"))
    assert "the evidence does not contain everything" in explain("n-1")


def test_a_request_about_a_task_leads_to_the_call_that_began_it(explain: Explain, folder: Path) -> None:
    allowed = {"method": "tasks/get", "tool": "", "effect": "allow", "cause": "", "rules": ("p/r",)}
    record(folder, decision({}, began="n-0", **allowed))
    assert "it is part of the call n-0, which began its task: `mcpguard explain n-0`" in explain("n-1")


def test_a_call_that_is_not_on_record_is_an_error(explain: Explain, folder: Path) -> None:
    record(folder, decision({}))
    (folder / "audit" / "a.jsonl").write_text('{"id":"n-9"\n{"id":"n-99"}\n')
    said = explain("n-9", code=2)
    assert "no call 'n-9' is on record" in said
    assert "`mcpguard audit show` lists the last ones. Another configuration? `--config FILE`" in said
    assert (
        "explain takes the id of one recorded call; for a call that was not made, name it with --server"
        in explain("n-1", "n-2", code=2)
    )


RECORDED = """\
version: 1
policy: p
rules:
  - {id: all, effect: allow, argument: {b: 1}}
  - {id: other, effect: allow, when: session.calls > 4, argument: {b: 2}}
  - {id: few, effect: allow, limit: {calls: 1, per: 1h}}
  - {id: big, effect: allow, when: has(args.cost), limit: {units: 5, per: session, cost: args.cost}}
  - {id: asks, effect: ask, when: session.calls > 7}
  - {id: errs, effect: deny, when: "session.tools['git/push'] > 7", message: Try later.}
"""


@pytest.mark.parametrize(
    ("cause", "rules", "message"),
    [
        ("limit", ("p/few",), "the limit of 1 call in 1h is reached"),
        ("limit", ("p/gone",), ""),
        ("approval", ("p/asks",), "a person has to approve this call."),
        ("error", ("p/errs",), "Its message: Try later."),
        ("error", ("p/all", "p/other"), ""),
        (
            "error",
            (),
            pdp.NO_SESSION,
        ),
        ("credential", (), "this contains a credential that is not for this server, so nothing was sent."),
        ("placeholder", (), "this contains [REDACTED:...] or [U+...], which mcpguard wrote"),
        ("rule", ("p/errs",), "Try later."),
    ],
)
def test_the_record_is_right_about_what_was_decided(
    explain: Explain, folder: Path, cause: str, rules: tuple[str, ...], message: str
) -> None:
    (folder / "p.yaml").write_text(RECORDED)
    record(folder, decision({"a": 1}, cause=cause, rules=rules))
    found = json.loads(explain("n-1", "--args", '{"a": 1}', "--json"))["explanation"]
    assert found["cause"] == cause
    assert found["effect"] == ("ask" if cause == "approval" else "deny")
    assert tuple(found.get("rules", ())) == rules
    assert found.get("message", "").startswith(message)
    assert ("changes" in found) is (cause == "limit")


def test_arguments_that_no_rules_together_would_set_are_not_those_on_record(
    explain: Explain, folder: Path
) -> None:
    (folder / "p.yaml").write_text(RECORDED)
    record(folder, decision({"a": 1, "b": 3}))
    assert "these are not the arguments of that call" in explain("n-1", "--args", '{"a": 1}', code=2)


def test_a_record_of_arguments_that_other_rules_set_now_is_explained(explain: Explain, folder: Path) -> None:
    (folder / "p.yaml").write_text(RECORDED)
    allowed = {"effect": "allow", "cause": "", "rules": ("p/few", "p/other")}
    record(folder, decision({"a": 1, "b": 2}, **allowed))
    found = json.loads(explain("n-1", "--args", '{"a": 1}', "--json"))["explanation"]
    assert (found["effect"], found["rules"]) == ("allow", ["p/few", "p/other"])
    assert [one["rule"] for one in found["candidates"] if one["decided"]] == ["p/few", "p/other"]


def test_a_deny_that_fails_refuses_whatever_another_one_does(explain: Explain, folder: Path) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules:\n"
        "  - {id: a, effect: deny, when: args.gone}\n"
        "  - {id: b, effect: deny, when: tool.annotations.readOnlyHint}\n"
        "  - {id: c, effect: allow}\n"
    )
    said = explain(*call("push"))
    assert said.startswith("deny: a deny rule refuses it; which one depends on what is not known here\n")
    assert "  not known: what the server lists about this tool" in said


def test_what_was_hidden_then_is_told_as_that(explain: Explain, folder: Path) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules:\n"
        "  - {id: a, effect: deny, when: session.calls > 1}\n  - {id: b, effect: allow, tools: [x]}\n"
    )
    record(folder, decision({"a": 1}, cause="rule", rules=("p/a",)))
    found = json.loads(explain("n-1", "--args", '{"a": 1}', "--json"))["explanation"]
    assert (found["cause"], found["listed"]) == ("rule", False)
    assert found["message"] == "Unknown tool: git__push"


def test_a_record_of_an_altered_file_does_not_overrule_what_is_decided_now(
    explain: Explain, folder: Path
) -> None:
    record(folder, decision({"remote": "x"}, effect="allow", cause="", rules=("p/push",)))
    (file,) = (folder / "audit").glob("*.jsonl")
    file.write_bytes(file.read_bytes().replace(b'"os-user:ada"', b'"os-user:bob"', 1))
    said = explain("n-1", "--args", '{"remote": "x"}', code=1)
    assert "note: the following is how it would be decided now, whatever the record says" in said
    assert "deny (no-rule)" in said


def test_what_other_policies_decided_may_not_be_known(explain: Explain, folder: Path) -> None:
    (folder / "p.yaml").write_text(RECORDED)
    record(folder, decision({"a": 1}, policy_digest="d" * 64))
    said = explain("n-1", "--args", '{"a": 1}')
    assert "unknown: it depends on what is not known here\n" in said
    assert "  not known: what the session had counted (--session FILE)\n" in said
    assert "would be different now" not in said


@pytest.mark.parametrize(
    ("more", "why", "told"),
    [
        ({"cause": "unknown", "tool": "x"}, "no server has anything with that name", "Unknown tool: x"),
        ({"cause": "unavailable", "tool": "x"}, "could not be asked what it offers", None),
        (
            {"cause": "unknown", "tool": "", "subject": "f:x", "method": "resources/read"},
            "no server has anything",
            "Resource not found",
        ),
        (
            {"cause": "unknown", "tool": "", "subject": "x", "method": "prompts/get"},
            "no server has anything",
            "Unknown prompt: x",
        ),
    ],
)
def test_what_came_to_no_server_is_explained_as_that(
    explain: Explain, folder: Path, more: dict[str, Any], why: str, told: str | None
) -> None:
    record(folder, decision({"a": 1}, server="", **more))
    found = json.loads(explain("n-1", "--json"))["explanation"]
    assert (found["effect"], found["cause"]) == ("deny", more["cause"])
    assert why in found["why"]
    assert found.get("message") == told


@pytest.mark.parametrize("alone", [True, False])
def test_a_resource_that_is_not_listed_is_one_of_the_only_server(
    explain: Explain, folder: Path, alone: bool
) -> None:
    if alone:
        file = folder / "mcpguard.yaml"
        file.write_text(file.read_text().replace(", web: {command: web-mcp}", ""))
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules:\n"
        "  - {id: r, effect: allow, action: [resources/read], when: '!resource.listed'}\n"
    )
    offer = {"resources": [{"uri": "f:a", "name": "a"}], "templates": [{"uriTemplate": "t:{x}", "name": "x"}]}
    (folder / "snapshot.json").write_text(json.dumps({"version": 1, "servers": {"git": offer}}))
    words = ["--server", "git", "--snapshot", "snapshot.json", "--resource"]
    assert explain(*words, "f:a").startswith("deny (no-rule):")
    assert explain(*words, "t:1").startswith("allow:")
    assert explain(*words, "f:b").startswith("allow:" if alone else "deny (unknown):")


@pytest.mark.parametrize(("uri", "said"), [("file:///srv/a", "allow:"), ("file:///etc/a", "deny (no-rule):")])
def test_the_uri_of_a_resource_is_in_its_arguments(
    explain: Explain, folder: Path, uri: str, said: str
) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules:\n"
        "  - {id: r, effect: allow, action: [resources/read], when: 'pathWithin(filePath(args.uri), \"/srv\")'}\n"
    )
    assert explain("--server", "git", "--resource", uri).startswith(said)


def test_groups_and_claims_of_somebody_elsewhere_are_not_known(explain: Explain, folder: Path) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules:\n"
        "  - {id: r, effect: allow, when: '\"ops\" in principal.groups || principal.claims.a == 1'}\n"
    )
    words = [*call("push"), "--source", "https://issuer.example"]
    assert "not known: the groups and claims of the principal (--group, --claims)" in explain(*words)
    assert explain(*words, "--group", "ops").startswith("allow:")
    assert explain(*words, "--group", "dev").startswith("unknown:")
    assert explain(*words, "--group", "dev", "--claims", "{}").startswith("deny (no-rule):")


def test_a_rule_that_is_not_known_takes_nothing_from_a_verdict_that_is(
    explain: Explain, folder: Path
) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules:\n"
        "  - {id: a, effect: deny, when: args.no, message: No.}\n"
        "  - {id: b, effect: allow, when: tool.annotations.readOnlyHint}\n"
        "  - {id: c, effect: ask, when: args.ask}\n"
        "  - {id: d, effect: deny, when: has(tool.annotations.bad)}\n"
    )
    refused = json.loads(explain(*call("push", no=True), "--json"))
    assert (refused["effect"], refused["rules"]) == ("deny", ["p/a"])
    assert "changes" not in refused
    assert json.loads(explain(*call("push", no=False, ask=True), "--json"))["effect"] == "unknown"
    file = folder / "p.yaml"
    file.write_text(file.read_text().replace("id: d, effect: deny", "id: d, effect: ask"))
    asked = json.loads(explain(*call("push", no=False, ask=True), "--json"))
    assert (asked["effect"], asked["rules"]) == ("ask", ["p/c"])
    assert asked["assumed"][-1] == "nobody has answered about this very call by other rules"


def test_of_a_placeholder_it_is_not_known_whether_a_rule_lets_it_through(
    explain: Explain, folder: Path
) -> None:
    (folder / "p.yaml").write_text(
        "version: 1\npolicy: p\nrules:\n"
        "  - {id: a, effect: allow}\n"
        "  - {id: b, effect: allow, when: tool.annotations.readOnlyHint}\n"
        "  - {id: c, effect: allow, when: 'false', placeholders: true}\n"
    )
    refused = json.loads(explain(*call("push", text="[REDACTED:email#1]"), "--json"))
    assert (refused["effect"], refused["cause"]) == ("deny", "placeholder")
    file = folder / "p.yaml"
    file.write_text(file.read_text().replace("'false'", "tool.annotations.readOnlyHint"))
    assert json.loads(explain(*call("push", text="[REDACTED:email#1]"), "--json"))["effect"] == "unknown"


# --- what can be reached -----------------------------------------------------------------------------


def test_reach_tells_of_the_tools_that_rules_name(explain: Explain) -> None:
    assert explain("--reach", "--principal", "ada") == (
        "git: 1 yes, 1 if, 0 no\n"
        "  yes  log\n"
        "  if   push\n"
        '       if  args.remote == "origin"  (p/push)\n'
        "       unless  has(args.force) && args.force  (p/no-force)\n"
        "       limit  3 calls in 1h (p/push)\n"
        "`unless` includes conditions that cannot be evaluated; what rules on results withhold is not listed\n"
        "rules match tools by pattern: add --snapshot FILE to list them\n"
    )
    assert "git: 1 yes, 0 if, 1 no\n" in explain("p.yaml", "--reach", "--principal", "bob")


def test_reach_tells_of_all_that_a_snapshot_lists(explain: Explain, folder: Path) -> None:
    lists = {
        "git": {
            "tools": [{"name": "log"}, {"name": "commit"}, {"name": 7}],
            "prompts": [{"name": "review"}],
            "resources": [{"uri": "file:///x", "name": "x"}],
            "templates": [{"uriTemplate": "file:///{x}", "name": "x"}],
        },
        "other": {"tools": [{"name": "t"}]},
    }
    (folder / "snapshot.json").write_text(json.dumps({"version": 1, "servers": lists}))
    assert explain("--reach", "--snapshot", "snapshot.json") == (
        "git: 2 yes, 0 if, 3 no\n"
        "  yes  log\n"
        "  no   commit\n"
        "  yes  prompt review\n"
        "  no   resource file:///x\n"
        "  no   template file:///{x}\n"
        "the snapshot does not have web: for it, only tools named in rules are listed\n"
    )
    found = json.loads(explain("--reach", "--snapshot", "snapshot.json", "--json"))["reach"]
    assert found[0] == {
        "server": "git",
        "kind": "tool",
        "name": "log",
        "answer": "yes",
        "allowed_by": [{"rule": "p/read"}],
    }


def test_reach_tells_of_approvals_and_conflicts(explain: Explain, folder: Path) -> None:
    (folder / "q.yaml").write_text(
        "version: 1\npolicy: q\nrules:\n"
        "  - {id: a, effect: allow, server: s, tools: [t], argument: {x: 1}}\n"
        "  - {id: b, effect: allow, server: s, tools: [t], argument: {x: 2}}\n"
        "  - {id: c, effect: ask, server: s, tools: [t]}\n"
    )
    assert explain("q.yaml", "--reach") == (
        "s: 0 yes, 1 if, 0 no\n"
        "  if   t\n"
        "       if  always  (q/a)\n"
        "       if  always  (q/b)\n"
        "       approval  always  (q/c)\n"
        "       rules that allow it may set different arguments or credentials; then it is refused\n"
    )


def test_reach_of_nothing_says_so(explain: Explain) -> None:
    assert explain("--reach", "--server", "nobody") == (
        "there is nothing to list: no rule names a server and a tool\n"
        "rules match tools by pattern: add --snapshot FILE to list them\n"
    )


def test_reach_of_a_server_that_the_snapshot_does_not_have_is_what_rules_name(
    explain: Explain, folder: Path
) -> None:
    (folder / "q.yaml").write_text(
        "version: 1\npolicy: q\nrules: [{id: r, effect: allow, server: [new, old], tools: [t]}]\n"
    )
    tool = {"name": "t", "inputSchema": {"type": "object"}}
    (folder / "s.json").write_text(json.dumps({"version": 1, "servers": {"old": {"tools": [tool]}}}))
    assert explain("q.yaml", "--reach", "--snapshot", "s.json") == (
        "new: 1 yes, 0 if, 0 no\n  yes  t\n"
        "old: 1 yes, 0 if, 0 no\n  yes  t\n"
        "the snapshot does not have new: for it, only tools named in rules are listed\n"
    )


def test_a_snapshot_says_what_a_tool_says_of_itself(explain: Explain, folder: Path) -> None:
    (folder / "q.yaml").write_text(
        "version: 1\npolicy: q\nrules: [{id: r, effect: allow, when: tool.annotations.readOnlyHint}]\n"
    )
    tools = [{"name": "t", "annotations": {"readOnlyHint": True}}]
    (folder / "snapshot.json").write_text(json.dumps({"version": 1, "servers": {"git": {"tools": tools}}}))
    words = ["q.yaml", "--server", "git", "--snapshot", "snapshot.json", "--tool"]
    assert explain(*words, "t").startswith("allow:")
    absent = explain(*words, "u")
    assert absent.startswith(
        "deny (unknown): according to the snapshot, the server has nothing with that name\n"
    )
    assert "the client is told: Unknown tool: u\n" in absent
    assert explain(*words, "t", "--annotations", '{"readOnlyHint": false}').startswith("deny (no-rule):")
