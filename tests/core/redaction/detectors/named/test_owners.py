"""A key whose owner says what it opens is removed; other keys stay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcpguard.core.redaction.detectors.named.owners import signal_of_owner
from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

TOKEN = "q7Zt2Wb9Kx4Lm8Rv1Yd5"


def cleaned(value: Any) -> Any:
    return Redactor(b"key").inspect(value).value


@each(
    "form",
    [
        '{{"Jwt": {{"Issuer": "https://x.example/", "Audience": "y", "Key": "{}"}}}}',
        '{{\n  "Jwt": {{\n    "Expires": [1, {{"a": 2}}],\n    "Key": "{}"\n  }}\n}}',
        "jwt:\n  issuer: x\n  key: {}\n  a: b\n",
        "api:\n  encryption:\n    key: '{}'\n",
        "- stripe:\n    a: 1\n    key: {}\n",
        "[stripe]\nmode = live\nkey = {}\n",
        "[x]\na = 1\n\n['services.sendgrid']\nkey = {}\n".replace("'", ""),
        "Jwt:Key = {}\n",
        "'crypt' => [\n    'key' => '{}',\n],",
        "stripe({{key: '{}'}})",
    ],
)
def test_the_key_of_something_that_is_opened_by_one_is_removed(form: str) -> None:
    assert cleaned(form.format(TOKEN)) == form.format("[REDACTED:secret-value#1]")


@pytest.mark.parametrize("name", ["key", "Key"])
def test_a_member_is_removed_by_what_it_is_in(name: str) -> None:
    made = cleaned({"Jwt": {name: TOKEN, "Issuer": "x"}, "Item": {name: TOKEN}})
    assert made == {"Jwt": {name: "[REDACTED:secret-value#1]", "Issuer": "x"}, "Item": {name: TOKEN}}


@each(
    "text",
    [
        json.dumps({"item": {"key": TOKEN}, "a": {"jwt": {}, "key": TOKEN}}),
        f"key: {TOKEN}\n",
        f"items:\n- key: {TOKEN}\n",
        f"jwt:\n  a: 1\nkey: {TOKEN}\n",
        f"[jwt]\n[cache]\nkey = {TOKEN}\n",
        f"(a)\nkey = {TOKEN}\n",
        f"{{}}: key: {TOKEN}\n",
        f"::key: {TOKEN}\n",
        '{"jwt": {"key": "main"}, "stripe": {"key": "key_of_the_first_customer"}}',
    ],
)
def test_the_key_of_anything_else_stays(text: str) -> None:
    assert cleaned(text) == text


def test_equal_keys_in_other_things_are_told_apart() -> None:
    pair = f'{{"a": "{"x" * 200}", "key": "{TOKEN}"}}'
    text = f'{{"item": {pair}, "jwt": {pair}}}'
    assert cleaned(text).count("[REDACTED:") == 1
    assert cleaned(text).count(TOKEN) == 1


def test_the_last_word_of_the_owner_counts() -> None:
    assert signal_of_owner("services.Jwt") == "token"
    assert signal_of_owner("OpenAI") == ""
    assert signal_of_owner("openai") == "weak"
    assert signal_of_owner("") == ""
    assert signal_of_owner("-") == ""
