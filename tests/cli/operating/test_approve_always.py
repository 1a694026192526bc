"""`mcpguard approve --always`: the person sees the rule and its tests before they are written."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.cli import main
from mcpguard.core.errors import SessionError
from mcpguard.serve import interventions
from tests.adapters.store.test_store import given_by
from tests.authoring.test_own_policy_standing import CONFIG, asked, effect, home
from tests.cli.operating.test_session import notices, store

Capture = pytest.CaptureFixture[str]

__all__ = ["home"]


@pytest.fixture
def ticket(home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MCPGUARD_CONFIG", str(home / "mcpguard.yaml"))
    monkeypatch.setattr("mcpguard.cli.parser.at_terminal", lambda: True)
    monkeypatch.setattr(interventions, "TAKEN_SECONDS", 0.0)
    now = time.time()
    given_by(store(home).ask(structs.replace(asked(), created=now, expires=now + 60)))
    return asked().id


def says(monkeypatch: pytest.MonkeyPatch, word: str) -> list[str]:
    prompts: list[str] = []
    monkeypatch.setattr("builtins.input", lambda prompt: prompts.append(prompt) or word)
    return prompts


def state(home: Path) -> str:
    found = store(home).known_ticket(asked().id)
    assert found is not None
    return found.state


def test_a_person_sees_the_rule_and_its_tests_and_writes_them(
    home: Path, ticket: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = says(monkeypatch, "y")
    assert main(["approve", ticket, "--always", "--any", "branch"]) == 0
    (asked_about,) = prompts
    assert "+    approves: [work/push]" in asked_about
    assert "+      && has(args.branch)" in asked_about
    assert "+    expect: ask" in asked_about
    assert asked_about.endswith("write this and approve tools/call git/push? [y/N] ")
    assert "written push-4f1c09aa7d31 to " in capsys.readouterr().out
    assert state(home) == "ended"  # The rule changes the policies, so it would count for nothing.
    assert effect(home, {"branch": "any", "force": False}) == "allow"
    assert sorted(what for what, _ in notices(home)) == [
        "approval-ended",
        "approval-given",
        "approval-standing",
    ]
    capsys.readouterr()
    assert main(["test", str(home / "my-approvals_test.yaml")]) == 0


def test_an_approval_that_cannot_be_ended_leaves_the_rule_in_force(
    home: Path, ticket: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise SessionError("it was used meanwhile")

    says(monkeypatch, "y")
    monkeypatch.setattr(interventions, "end_answer", failing)
    assert main(["approve", ticket, "--always"]) == 0
    assert "the rule lets the call through" in capsys.readouterr().out


def test_whoever_does_not_say_yes_writes_nothing(
    home: Path, ticket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, "n")
    assert main(["approve", ticket, "--always"]) == 1
    assert state(home) == "waiting"
    assert not (home / "my-approvals.yaml").exists()
    assert notices(home) == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--any", "brunch"], "the call has no argument brunch; its arguments are: branch, force"),
        (["--minutes", "5"], "not allowed with argument"),
    ],
)
def test_what_cannot_be_written_is_not_asked(
    home: Path, ticket: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch, words: list[str], why: str
) -> None:
    prompts = says(monkeypatch, "y")
    assert main(["approve", ticket, "--always", *words]) == 2
    assert why in capsys.readouterr().err
    assert prompts == []
    assert state(home) == "waiting"


def test_without_a_file_of_ones_own_it_says_what_to_add(
    home: Path, ticket: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "mcpguard.yaml").write_text(CONFIG.replace("approvals: {policy: my-approvals.yaml}\n", ""))
    says(monkeypatch, "y")
    assert main(["approve", ticket, "--always"]) == 2
    assert "add `approvals: {policy: my-approvals.yaml}` to" in capsys.readouterr().err
    assert state(home) == "waiting"
