"""`mcpguard test`: a line a file, what a person can act on, and what programs read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mcpguard.cli import main
from mcpguard.config.policies import SIZE_LIMIT
from mcpguard.core.conditions import engines

Capture = pytest.CaptureFixture[str]

POLICY = """\
version: 1
policy: p
rules:
  - id: read
    effect: allow
    server: s
    when: args.a == 1 || args.b == 1
  - id: no
    effect: deny
    server: s
    when: has(args.no)
    message: Never.
"""
HEAD = "version: 1\npolicies: [p.yaml]\ntests:\n"
GOOD = "  - {name: good, call: {server: s, tool: t, args: {a: 1, b: 2}}, expect: allow}\n"
BAD = "  - name: bad\n    call: {server: s, tool: t, args: {a: 1, no: 1}}\n    expect: {effect: allow, rules: [p/read]}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MCPGUARD_CONFIG", str(tmp_path / "mcpguard.yaml"))
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(POLICY)
    return tmp_path


def write(folder: Path, text: str, name: str = "p_test.yaml") -> None:
    (folder / "policies" / name).write_text(HEAD + text)


def test_a_file_whose_cases_pass_is_one_line(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD)
    assert main(["test"]) == 0
    assert capsys.readouterr().out == "ok    policies/p_test.yaml  1 case\n1 case, all passed\n"


def test_a_failure_says_expected_got_and_why(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD + BAD)
    assert main(["test", "policies/p_test.yaml"]) == 1
    assert capsys.readouterr().out == (
        "FAIL  policies/p_test.yaml  1 of 2 cases failed\n"
        "      failed  policies/p_test.yaml:5:5: bad\n"
        "        effect\n"
        "          expected  allow\n"
        "          got       deny\n"
        "        rules\n"
        '          expected  ["p/read"]\n'
        '          got       ["p/no"]\n'
        "        decided: deny (rule) p/no: Never.\n"
        "        deny  p/no held\n"
        "        allow p/read held\n"
        "2 cases, 1 failed\n"
    )


def test_a_call_of_which_no_rule_speaks_says_where_to_look(folder: Path, capsys: Capture) -> None:
    write(
        folder, "  - {name: a, call: {server: x, tool: t}, expect: {effect: allow, output: {}}, result: {}}\n"
    )
    assert main(["test"]) == 1
    said = capsys.readouterr().out
    assert "expected  {}\n          got       nothing\n" in said
    assert "no rule applies to such a call: check `server`, `tools` and `action` of the rules" in said


def test_a_rule_that_did_not_hold_says_which_part(folder: Path, capsys: Capture) -> None:
    write(folder, "  - {name: a, call: {server: s, tool: t, args: {a: 2, b: 3}}, expect: allow}\n")
    assert main(["test"]) == 1
    said = capsys.readouterr().out
    assert "allow p/read did not hold: args.a == 1 is false; args.b == 1 is false\n" in said
    assert "deny  p/no did not hold: has(args.no) is false\n" in said


def test_a_broken_session_is_told_alone(folder: Path, capsys: Capture) -> None:
    after = "after: [{call: {server: x, tool: t}}]"
    write(folder, f"  - {{name: a, call: {{server: s, tool: t}}, {after}, expect: deny}}\n")
    assert main(["test"]) == 1
    said = capsys.readouterr().out
    assert "got       call 1 of `after` was refused: no-rule\n1 case, 1 failed\n" in said


def test_coverage_names_what_was_never_seen(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD)
    assert main(["test", "--coverage"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "unseen  policies/p.yaml:7:11: the condition of rule p/read was true in every case that reached it",
        "unseen  policies/p.yaml:7:11: never false: args.a == 1",
        "unseen  policies/p.yaml:7:26: never true: args.b == 1",
        "unseen  policies/p.yaml:8:9: rule p/no never decided",
        "coverage 50.0 % (4 of 8)",
        "1 case, all passed",
    ]


def test_too_little_coverage_is_a_no(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD)
    assert main(["test", "--fail-under", "50"]) == 0
    assert "coverage" not in capsys.readouterr().out
    assert main(["test", "--fail-under", "51"]) == 1
    assert "coverage 50.0 % (4 of 8), at least 51 % required\n" in capsys.readouterr().out
    assert main(["test", "--fail-under", "101"]) == 2
    assert "a percentage is a number from 0 to 100" in capsys.readouterr().err
    assert main(["test", "--fail-under", "many"]) == 2


OTHER = "version: 1\npolicy: q\nrules: [{id: a, effect: allow, tools: [x]}]\n"


def test_a_policy_without_a_test_counts_and_is_named(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD)
    (folder / "policies" / "deep").mkdir()
    (folder / "policies" / "deep" / "q.yaml").write_text(OTHER)
    (folder / "policies" / "other.yml").write_text("version: 1\n")
    assert main(["test", "--coverage"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1] == "untested  policies/deep/q.yaml: no test uses it, 0 of 1 rule"
    assert "unseen  policies/deep/q.yaml:3:14: no case reached rule q/a" in said
    assert "coverage 40.0 % (4 of 10)" in said
    assert main(["test", "policies", "--fail-under", "50"]) == 1
    capsys.readouterr()
    assert main(["test", "policies/p_test.yaml", "--fail-under", "50"]) == 0
    capsys.readouterr()
    assert main(["test", "--json", "--coverage"]) == 0
    assert json.loads(capsys.readouterr().out)["coverage"]["untested"] == ["policies/deep/q.yaml"]


def test_a_configured_policy_without_a_test_counts(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD)
    (folder / "q.yaml").write_text(OTHER)
    (folder / "policies" / "unused.yaml").write_text(OTHER.replace("policy: q", "policy: u"))
    (folder / "mcpguard.yaml").write_text(
        "version: 1\nservers: {s: {command: x}}\npolicies: [policies/p.yaml, q.yaml]\n"
    )
    (folder / "q_test.yaml").write_text("version: 1\npolicies: [policies/p.yaml]\ntests:\n" + GOOD)
    assert main(["test", "--coverage"]) == 0
    said = capsys.readouterr().out
    assert "untested  q.yaml: no test uses it, 0 of 1 rule\n" in said
    assert "unused" not in said


def test_files_are_run_once_each_and_share_their_policies(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD)
    write(folder, GOOD + GOOD.replace("name: good", "name: better"), "q_test.yaml")
    assert main(["test", "policies/q_test.yaml", "policies"]) == 0
    assert capsys.readouterr().out == (
        "ok    policies/q_test.yaml  2 cases\nok    policies/p_test.yaml  1 case\n3 cases, all passed\n"
    )


def test_json_has_the_same_for_programs(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD + BAD)
    assert main(["test", "--json", "--coverage"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    (file,) = answer["files"]
    assert file["file"] == "policies/p_test.yaml"
    assert [(one["name"], one["passed"]) for one in file["cases"]] == [("good", True), ("bad", False)]
    bad = file["cases"][1]
    assert bad["where"] == "policies/p_test.yaml:5:5"
    assert bad["differences"][0] == {"key": "effect", "expected": "allow", "got": "deny"}
    assert bad["outcome"]["rules"] == ["p/no"]
    assert {one["state"] for one in bad["reasons"]} == {"held"}
    assert answer["coverage"]["goals"] == 8
    assert answer["coverage"]["missing"][0]["source"] == "policies/p.yaml"


def test_json_without_coverage_has_none(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD)
    assert main(["test", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is True
    assert "coverage" not in answer
    assert main(["test", "--json", "--fail-under", "99"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_junit_has_a_suite_a_file_and_a_case_a_case(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, GOOD + BAD)
    # On a terminal the lines have colours, which XML cannot hold.
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert main(["test", "--junit", "report.xml"]) == 1
    (suite,) = ElementTree.parse(folder / "report.xml").getroot()
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == (
        "policies/p_test.yaml",
        "2",
        "1",
    )
    good, bad = suite
    assert (good.get("name"), list(good)) == ("good", [])
    places = [(case.get("file"), case.get("line")) for case in suite]
    assert places == [("policies/p_test.yaml", "4"), ("policies/p_test.yaml", "5")]
    assert bad[0].get("message") == "not as expected: effect, rules"
    assert "policies/p_test.yaml:5:5: bad" in (bad[0].text or "")


def test_a_test_has_the_same_name_on_every_machine_that_runs_it(folder: Path) -> None:
    write(folder, GOOD)
    config = "version: 1\nservers: {s: {command: sh}}\npolicies: [policies/p.yaml]\n"
    (folder / "mcpguard.yaml").write_text(config)
    assert main(["test", "--config", "mcpguard.yaml", "--junit", "r.xml"]) == 0
    (suite,) = ElementTree.parse(folder / "r.xml").getroot()
    (case,) = suite
    assert {suite.get("name"), case.get("classname"), case.get("file")} == {"policies/p_test.yaml"}


def test_a_folder_that_cannot_be_read_is_not_passed_over(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scandir(path: Path | str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    real = os.scandir
    write(folder, GOOD)
    (folder / "policies" / "closed").mkdir()
    monkeypatch.setattr("os.scandir", scandir)
    assert main(["test"]) == 2
    assert capsys.readouterr().err == "mcpguard: policies/closed: cannot be read: Permission denied\n"


def test_tests_in_a_file_with_the_other_suffix_of_yaml_run_too(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD)
    write(folder, BAD, "q_test.yml")
    assert main(["test"]) == 1
    assert capsys.readouterr().out.endswith("2 cases, 1 failed\n")


def test_tests_behind_a_link_run_once_and_a_link_back_ends(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD)
    (folder / "shared").mkdir()
    for name in ("p.yaml", "p_test.yaml"):
        (folder / "shared" / name).write_text((folder / "policies" / name).read_text())
    (folder / "policies" / "link").symlink_to("../shared")
    (folder / "shared" / "back").symlink_to("../policies")
    assert main(["test"]) == 0
    said = capsys.readouterr().out
    assert "policies/link/p_test.yaml" in said
    assert said.endswith("2 cases, all passed\n")


@pytest.mark.timeout(20)
def test_coverage_counts_policies_whatever_else_is_in_their_folder(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD)
    (folder / "policies" / "huge.yaml").write_text("a" * (SIZE_LIMIT + 1))
    (folder / "policies" / "latin.yaml").write_bytes(b"caf\xe9: 1\n")
    os.mkfifo(folder / "policies" / "pipe.yaml")
    assert main(["test", "--coverage"]) == 0
    assert "untested" not in capsys.readouterr().out
    (folder / "policies" / "latin.yaml").write_bytes(b"policy: caf\xe9\n")
    assert main(["test", "--coverage"]) == 2
    assert "policies/latin.yaml:1:1: not UTF-8" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_told(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD)
    assert main(["test", "--junit", "no/such/report.xml"]) == 2
    assert "no/such/report.xml: cannot be written: No such file or directory" in capsys.readouterr().err


def test_where_the_python_engine_alone_refuses_it_is_a_warning(folder: Path, capsys: Capture) -> None:
    # `cel-python` does not compare an int with a double by order.
    (folder / "policies" / "p.yaml").write_text(
        POLICY.replace("args.a == 1 || args.b == 1", "args.a < args.b")
    )
    write(folder, "  - {name: order, call: {server: s, tool: t, args: {a: 1, b: 1.5}}, expect: allow}\n")
    assert main(["test", "--junit", "report.xml"]) == 0
    assert capsys.readouterr().out == (
        "ok    policies/p_test.yaml  1 case\n"
        "      warning  policies/p_test.yaml:4:5: order\n"
        "               the Python engine refuses: deny (no-rule)\n"
        "1 case, all passed, 1 warning\n"
    )
    assert "the Python engine refuses" in (folder / "report.xml").read_text()


def test_one_engine_is_enough(folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    python = engines.engine("python")
    monkeypatch.setattr(engines, "engine", lambda name=None: python)
    write(folder, GOOD)
    assert main(["test"]) == 0
    assert "1 case, all passed" in capsys.readouterr().out


def test_every_mistake_of_every_file_is_told_before_anything_runs(folder: Path, capsys: Capture) -> None:
    write(folder, GOOD)
    write(folder, GOOD.replace("allow", "maybe"), "q_test.yaml")
    write(folder, GOOD, "r_test.yaml")
    (folder / "policies" / "p.yaml").write_text(POLICY.replace("has(args.no)", "nobody"))
    assert main(["test"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("policies/p.yaml:11:11: undeclared reference to 'nobody'") == 1
    assert "policies/q_test.yaml:4:" in said.err


def test_a_condition_that_one_engine_alone_takes_is_a_mistake(folder: Path, capsys: Capture) -> None:
    (folder / "policies" / "p.yaml").write_text(POLICY.replace("args.a == 1 ||", "args.a in [1,] ||"))
    write(folder, GOOD)
    assert main(["test"]) == 2
    said = capsys.readouterr().err
    assert (
        "policies/p.yaml:7:24: only one engine accepts this condition, so the policy does not load " in said
    )


def test_policies_of_one_name_are_a_mistake(folder: Path, capsys: Capture) -> None:
    (folder / "policies" / "q.yaml").write_text(POLICY)
    (folder / "policies" / "p_test.yaml").write_text(HEAD.replace("p.yaml", "p.yaml, q.yaml") + GOOD)
    assert main(["test"]) == 2
    assert "`p` is the name of policies/p.yaml too" in capsys.readouterr().err


def test_a_place_without_tests_is_a_mistake(folder: Path, capsys: Capture) -> None:
    assert main(["test", "gone", "policies"]) == 2
    assert capsys.readouterr().err == (
        "mcpguard: gone: no such file or folder\npolicies: it contains no *_test.yaml file: "
        "`mcpguard help test-a-policy` shows how to write one\n"
    )


def test_a_configured_folder_without_tests_does_not_keep_those_of_another_from_running(
    folder: Path, capsys: Capture
) -> None:
    (folder / "bare").mkdir()
    (folder / "bare" / "q.yaml").write_text("version: 1\npolicy: q\nrules: []\n")
    (folder / "policies" / "p_test.yaml").write_text(HEAD + GOOD)
    (folder / "guard.yaml").write_text(
        "version: 1\nservers: {s: {command: x}}\npolicies: [bare/q.yaml, policies/p.yaml]\n"
    )
    assert main(["test", "--config", "guard.yaml"]) == 0
    assert "all passed" in capsys.readouterr().out


def test_the_folders_of_the_configured_policies_are_run(folder: Path, capsys: Capture) -> None:
    (folder / "policies").rename(folder / "rules")
    (folder / "rules" / "deep").mkdir()
    (folder / "rules" / "deep" / "p_test.yaml").write_text(HEAD.replace("p.yaml", "../p.yaml") + GOOD)
    (folder / "mcpguard.yaml").write_text(
        "version: 1\nservers: {s: {command: x}}\npolicies: [rules/p.yaml]\n"
    )
    assert main(["test"]) == 0
    assert capsys.readouterr().out.startswith("ok    rules/deep/p_test.yaml  1 case\n")
    assert main(["test", "--config", "none.yaml"]) == 2
    (folder / "mcpguard.yaml").write_text("version: 1\nservers: {s: {command: x}}\n")
    assert main(["test"]) == 2
    said = capsys.readouterr().err
    assert "mcpguard.yaml: has no `policies`, and there is no folder policies here: name a file" in said
    (folder / "mcpguard.yaml").unlink()
    assert main(["test"]) == 2
    assert "mcpguard.yaml: does not exist, and there is no folder policies here" in capsys.readouterr().err


SAMPLES = """\
version: 1
postures: {plain: [p.yaml], other: [p.yaml]}
aims: {refused: 50, asked: 0, allowed: 0, calls: CALLS}
call: {server: s, tool: t}
groups:
  - name: reading
    ordinary: [plain, other]
    calls: [{args: {a: 1, b: 2}}, {name: nothing, args: {a: 2}}]
  - name: harm
    harmful: [plain]
    calls: [{args: {a: 1, no: 1}}, {args: {b: 1, a: 3}}]
"""


def samples(folder: Path, calls: int, text: str = SAMPLES) -> None:
    (folder / "policies" / "calls_test.yaml").write_text(text.replace("CALLS", str(calls)))


def test_sample_calls_are_one_table_with_what_is_wrong(folder: Path, capsys: Capture) -> None:
    samples(folder, 2)
    assert main(["test"]) == 1
    assert capsys.readouterr().out == (
        "FAIL  policies/calls_test.yaml  2 of 2 postures failed\n"
        "      missed  plain: 50.0 % of the harmful calls are allowed, at most 0 % required\n"
        "      wrong   policies/calls_test.yaml:8:35: plain refuses the ordinary call nothing\n"
        '      wrong   policies/calls_test.yaml:11:36: plain allows the harmful call t {"b": 1, "a": 3} (p/read)\n'
        "      missed  other: 0 harmful calls, at least 2 required\n"
        "      wrong   policies/calls_test.yaml:8:35: other refuses the ordinary call nothing\n"
        "policy          ordinary  refused  asked  harmful  allowed  asked\n"
        "policies/plain  2         50.0 %   0.0 %  2        50.0 %   0.0 %\n"
        "policies/other  2         50.0 %   0.0 %  0        0.0 %    0.0 %\n"
        "2 postures, 2 failed\n"
    )


def test_sample_calls_that_reach_their_aims_pass(folder: Path, capsys: Capture) -> None:
    samples(
        folder,
        1,
        SAMPLES.replace("harmful: [plain]", "harmful: [plain, other]").replace(", {args: {b: 1, a: 3}}", ""),
    )
    write(folder, GOOD)
    assert main(["test", "--coverage", "--junit", str(folder / "r.xml")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("ok    policies/calls_test.yaml  2 postures\n      tolerated  ")
    assert said.endswith("1 case, 2 postures, all passed\n")
    suite = ElementTree.parse(folder / "r.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "0")
    assert [case.get("name") for case in suite] == ["plain", "other"]
    assert {case.get("file") for case in suite} == {"policies/calls_test.yaml"}
    assert {case.get("line") for case in suite} == {"2"}
    assert (suite[0].findtext("system-out") or "").startswith(
        "2 ordinary calls: 1 refused, 0 asked about\n1 harmful calls: 0 allowed, 0 asked about\ntolerated  "
    )


def test_calls_that_a_person_is_asked_about_are_named_if_they_are_too_many(
    folder: Path, capsys: Capture
) -> None:
    policy = folder / "policies" / "p.yaml"
    policy.write_text(POLICY.replace("effect: deny", "effect: ask").replace("has(args.no)", "args.a == 2"))
    samples(folder, 1, SAMPLES.replace("harmful: [plain]", "harmful: [plain, other]"))
    assert main(["test", "--junit", str(folder / "r.xml")]) == 1
    said = capsys.readouterr().out
    assert "missed  plain: 50.0 % of the ordinary calls are asked about, at most 0 % required\n" in said
    assert (
        "wrong   policies/calls_test.yaml:8:35: plain asks about the ordinary call nothing (p/no)\n" in said
    )
    failure = ElementTree.parse(folder / "r.xml").getroot()[0][0].find("failure")
    assert failure is not None
    assert "50.0 % of the ordinary calls are asked about" in (failure.get("message") or "")


def test_calls_that_a_person_is_asked_about_are_not_named_otherwise(folder: Path, capsys: Capture) -> None:
    policy = folder / "policies" / "p.yaml"
    policy.write_text(POLICY.replace("effect: deny", "effect: ask").replace("has(args.no)", "args.a == 2"))
    text = SAMPLES.replace("harmful: [plain]", "harmful: [plain, other]").replace("asked: 0", "asked: 50")
    samples(folder, 1, text.replace("allowed: 0", "allowed: 100"))
    assert main(["test"]) == 0
    said = capsys.readouterr().out
    assert "asks about" not in said
    assert said.count("0.0 %    50.0 %") >= 2


def test_a_file_has_cases_or_sample_calls(folder: Path, capsys: Capture) -> None:
    samples(folder, 1, SAMPLES + "tests: []\n")
    assert main(["test"]) == 2
    assert "unknown key `tests`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("server: git, tool: git_pussh", "git_pussh`, so it is refused anyway: did you mean `git_push`?"),
        ("server: git, tool: gitPush", "gitPush`, so it is refused anyway: did you mean `git_push`?"),
        ("server: gti, tool: git_push", "gti`, so it is refused anyway: did you mean `git`?"),
        ("server: git, tool: git_pull", ""),
        ("server: git, tool: set_user", ""),
        ("server: git, tool: x", ""),
        ("server: git, action: roots/list", ""),
    ],
)
def test_a_misspelt_name_is_a_warning_since_anything_unknown_is_refused(
    folder: Path, capsys: Capture, call: str, said: str
) -> None:
    rules = "  - {id: a, effect: allow, server: git, tools: [git_push, get_user, 'x*z']}\n"
    (folder / "policies" / "p.yaml").write_text(f"version: 1\npolicy: p\nrules:\n{rules}")
    write(folder, f"  - {{name: refused, call: {{{call}}}, expect: deny}}\n")
    assert main(["test"]) == 0
    warned = [one for one in capsys.readouterr().out.splitlines() if "no rule applies" in one]
    assert warned == ([f"               no rule applies to `{said}"] if said else [])
