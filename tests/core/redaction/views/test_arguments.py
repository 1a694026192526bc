"""The arguments of a command are read as its command line, in a text and in a value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcpguard.core.redaction.redactor import Redactor

SECRET = "Tr4verse-kite9"


def cleaned(value: Any) -> Any:
    return Redactor(b"key").inspect(value).value


@pytest.mark.parametrize(
    "words",
    [
        ["sshpass", "-p", SECRET, "ssh", "host"],
        ["curl", "-s", "-u", f"bob:{SECRET}", "https://x.example"],
        ["mysql", "-u", "root", f"-p{SECRET}", "shop"],
        ["tool", "--password", SECRET],
    ],
)
def test_a_password_in_a_list_of_arguments_is_found(words: list[str]) -> None:
    hidden = [word.replace(SECRET, "[REDACTED:password#1]") for word in words]
    assert cleaned({"argv": words}) == {"argv": hidden}
    for dumped in (json.dumps, lambda value: json.dumps(value, indent=1), repr):
        assert cleaned(f"run {dumped(words)} x") == f"run {dumped(hidden)} x"
    command = {"command": words[0], "args": words[1:]}
    assert SECRET not in cleaned(json.dumps(command))


@pytest.mark.parametrize(
    "text",
    [
        'add_argument("-p", "--port"), ["-p", "Tr4verse-kite9"]',
        '["a", "b"], ["mkdir", "-p", "Tr4verse-kite9"]',
        '["sshpass", "-p"], "Tr4verse-kite9"',
        'x = "a", "-b"',
    ],
)
def test_what_is_no_password_of_a_command_stays(text: str) -> None:
    assert cleaned(text) == text
