"""What a refusal says where a condition has no answer: why, without a value of the request, and what its author wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mcpguard.core.conditions import engines
from mcpguard.core.conditions.cel import EngineName
from mcpguard.core.model import Deny, Invocation, Principal
from mcpguard.core.policy.compiled import PolicySet, compile_policy
from mcpguard.core.policy.pdp import decide
from mcpguard.core.policy.wording import and_then

PATH = "!pathWithin(args.path, '/srv')"
URL = "has(args.url) && isPrivateHost(args.url)"


def said(engine: EngineName, args: dict[str, Any], *rules: tuple[str, str]) -> str:
    written = "".join(
        f'  - id: r{number}\n    effect: deny\n    when: "{when}"\n'
        + (f"    message: {message}\n" if message else "")
        for number, (when, message) in enumerate(rules)
    )
    policy = compile_policy(
        f"version: 1\npolicy: p\nrules:\n{written}", "p.yaml", frozenset(), engines.engine(engine)
    )
    now = datetime(2026, 1, 1, tzinfo=UTC)
    call = Invocation("i", "tools/call", Principal("ada", "os-user"), now, server="s", args=args)
    verdict = decide(PolicySet([policy]), call)
    assert isinstance(verdict, Deny)
    assert verdict.cause.value == "error"
    return verdict.message


@pytest.mark.parametrize("engine", ["cpp", "python"])
def test_what_a_function_cannot_read_is_said_with_what_the_author_wrote(engine: EngineName) -> None:
    message = said(engine, {"path": "~/secret-name"}, (PATH, "Only below /srv."))
    assert message.startswith("Reason: `~` is not expanded: ")
    assert message.endswith(". Its message: Only below /srv.")
    assert "secret-name" not in message
    assert said(engine, {"path": ""}, (PATH, "")) == "Reason: a path must not be empty."


def test_of_several_authors_none_is_quoted_beside_the_reason() -> None:
    rules = (PATH, "Only below /srv."), ("pathWithin(args.path, '/srv/x')", "Not below x.")
    assert said("cpp", {"path": ""}, *rules) == "Reason: a path must not be empty."
    assert said("cpp", {"path": ""}, rules[0], (rules[1][0], "")).endswith("Its message: Only below /srv.")


def test_what_is_not_there_is_no_reason() -> None:
    assert said("cpp", {}, (PATH, "Say which path.")) == "Its message: Say which path."
    assert said("cpp", {}, (URL, ""), (PATH, "")) == ""


@pytest.mark.parametrize(
    ("message", "ended"),
    [
        ("careful", "careful."),
        ("Really? ", "Really?"),
        ("No.", "No."),
        ("Ask ada:", "Ask ada:"),
        ("a…", "a…"),
    ],
)
def test_what_follows_an_authors_message_begins_a_sentence_of_its_own(message: str, ended: str) -> None:
    assert and_then(message, "A person was asked.") == f"{ended} A person was asked."
