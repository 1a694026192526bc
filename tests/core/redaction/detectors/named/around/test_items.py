"""A secret is found in the items of a list below its heading, and in columns with one name."""

from __future__ import annotations

import json
from typing import Any

from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

HUMAN = "river.Stone47!"
TOKEN = "q7Zt2Wb9Kx4Lm8Rv1Yd5"


def cleaned(value: Any) -> Any:
    return Redactor(b"key").inspect(value).value


BULLETS = [
    *(
        "1. {}",
        "1) {}",
        "(1) {}",
        "[1] {}",
        "#1 {}",
        "1: {}",
        "a. {}",
        "b) {}",
        "iv) {}",
        "* {}",
        "+ {}",
        "- {}",
    ),
    *("\u2022 {}", "\u2013 {}", "- [ ] {}", "[x] {}", "1. `{}`", "  - {}", "    {}", "> * {}"),
]


@each("bullet", BULLETS)
def test_each_item_of_a_list_below_its_heading_is_found(bullet: str) -> None:
    for head in ("## Tokens\n", "## API keys\n\n", "**Access tokens**\n", "Secrets:\n", "Your tokens:\n\n"):
        text = head + f"{bullet}\n" * 2 + "Keep them."
        cut = text.format(TOKEN, TOKEN[::-1])
        assert cleaned(cut) == text.format("[REDACTED:secret-value#1]", "[REDACTED:secret-value#2]")


@each(
    "form",
    [
        *("# Passwords\n1. {}\n2. {}", "Passwords:\r\n* {}\r\n\r\n* {}\r\n", '{{"a": "## Passwords\\n1. {}\\n2. {}"}}'),
        *("         password\n0  {}\n1  {}\n", "   password\n0  {}\n"),
        *("0    {}\n1    {}\nName: password, dtype: object", "user       ada\nx          {}\nName: password, dtype: object\n"),
        "0  {}\nName: pwd, Length: 90, dtype: object",
        "\u250c\u2500user\u2500\u252c\u2500password\u2500\u2510\n\u2502 ada  \u2502 {} \u2502\n\u2514\u2500\u2500\u2534\u2500\u2518\n",
        "\u2502 user \u2506 password \u2502\n\u2502 ---  \u2506 ---      \u2502\n\u2502 str  \u2506 str      \u2502\n"
        "\u255e\u2550\u2550\u2550\u2550\u2550\u2550\u256a\u2550\u2550\u2550\u2550\u2561\n\u2502 ada \u2506 {} \u2502\n",
        "\u2503 user \u2503 password \u2503\n\u2521\u2501\u2501\u2501\u2501\u2547\u2501\u2501\u2501\u2501\u2529\n\u2502 ada \u2502 {} \u2502\n",
        "+--------+\n|password|\n+--------+\n|{}|\n+--------+\n",
    ],
)  # fmt: skip
def test_each_password_of_a_list_or_of_a_column_is_found(form: str) -> None:
    rest = (HUMAN, "falcon.Rain82!")[: form.count("{}")]
    assert cleaned(form.format(*rest)) == form.format("[REDACTED:password#1]", "[REDACTED:password#2]")


@each(
    "text",
    [
        *("## Tokens\n\n- `T_LNUMBER`\n- `T_DOUBLE_ARROW2`\n", "## Keys\n1. F12\n2. q7Zt2Wb9Kx4Lm8Rv1Yd5\n"),
        *("Tokens:\n1. NUMBER1\n2. STRING2\n", "The tokens\n1. q7Zt2Wb9Kx4Lm8Rv1Yd5\n"),
        *("# Passwords\n1. at least 8 characters\n2. a digit\n", "Tokens:\n    int32_t\n    uint64_t\n"),
        *("  version\n0  q7Zt2Wb9Kx4Lm8Rv1Yd5\n", "      password\n0  river.Stone47!x9\n"),
        *("     password\n0  1234567890\n", "0  1234567890\nName: password, dtype: int64\n"),
        *("0  q7Zt2Wb9Kx4Lm8Rv1Yd5\nName: hash, dtype: object\n", "Name: password, dtype: object", ", dtype: object"),
        *("text\nName: password, dtype: object", "a  river.Stone47!\nUsername: password, dtype: object"),
        "x \u2500password\u2500\u2510\n\u2502 river.Stone47! \u2502\n",
        "\u250c\u2500user\u2500\u252c\u2500tokens\u2500\u2510\n\u2502 ada \u2502 1234 \u2502\n",
    ],
)  # fmt: skip
def test_what_is_below_another_heading_or_no_secret_stays(text: str) -> None:
    assert cleaned(text) == text


LABELLED = [
    *("{label}\n{{}}\n", "{label}\r\n\r\n{{}}", "  {label} \n    {{}}", "{label}:\n\n{{}}\n", "{label}?\n{{}}"),
    *("{label}\n-----\n{{}}\n", "{label}\n========\n\n{{}}", "## {label}\n\n{{}}", "*{label}*\n`{{}}`\n", "[{label}]\n{{}}"),
    *("- {label}\n- {{}}\n", "1. {label}\n2. {{}}", "\u2022 **{label}**\n\u2022 `{{}}`", "* Name\n* ada\n* {label}\n* {{}}\n* Host"),
    *("- {label}\n  - {{}}\n", "{label}\n: {{}}\n", "> {label}\n> {{}}", "{label}\n```text\n{{}}\n```", "{label}\n\t{{}}"),
    *("Name\nada\n{label}\n{{}}\nHost\ndb1\n", '"{label}"\n"{{}}"', "=== {label} ===\n{{}}", "{label}\n>>> {{}}\n"),
    *("|{label}\n|{{}}\n", "! {label}\n| {{}}\n", '{{{{"out": "{label}\\n{{}}\\n"}}}}', '["{label}\\n\\n{{}}"]'),
]  # fmt: skip


@each("form", LABELLED)
def test_what_stands_alone_below_a_label_is_found(form: str) -> None:
    labels = (
        ("Password", HUMAN, "password"),
        ("Root password", HUMAN, "password"),
        ("API key", TOKEN, "secret-value"),
    )
    for label, value, kind in (*labels, ("Personal access token", TOKEN, "secret-value")):
        text = form.format(label=label)
        assert cleaned(text.format(value)) == text.format(f"[REDACTED:{kind}#1]"), text


@each(
    "text",
    [
        *(
            "Password\n\nUse at least 12 characters.\n",
            "Password\nUsername\nRemember me",
            "Password\n12345678\n",
        ),
        *(
            "Your token\n\nhttps://example.com/a1b2c3\n",
            "API key\nAES-256-GCM\n",
            "Password policy\nriver.Stone47!\n",
        ),
        *(
            "Write down the password\nand keep it, as river.Stone47! is.",
            "the next token\nq7Zt2Wb9Kx4Lm8Rv1Yd5\n",
        ),
        *(
            "The API has a token\nq7Zt2Wb9Kx4Lm8Rv1Yd5 which",
            "Please send us all of your old password\nriver.Stone47!",
        ),
        *("Token\nx\nq7Zt2Wb9Kx4Lm8Rv1Yd5", 'f("password")\n\nriver.Stone47!'),
        *("Tokens\n\n\n\n\n\n1. Buy 2 of them", "Key\nq7Zt2Wb9Kx4Lm8Rv1Yd5"),
        "-----BEGIN PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n",
    ],
)
def test_what_stands_below_prose_or_another_label_stays(text: str) -> None:
    assert cleaned(text) == text


BESIDE_LABELS: list[Any] = [
    *(["{label}", "{}"], {"cells": ["Name", "ada", "{label}", "{}", "x", 1]}, [["a", "b", "{label}", "`{}`"]]),
    {"content": [{"type": "text", "text": "{label}"}, {"type": "text", "text": "{}"}]},
    {"content": [{"type": "text", "text": "Here it is.\n**{label}:** "}, {"type": "text", "text": "{}\n"}]},
    *('["Name", "ada", "{label}", "{}", "x"]', "['Name', 'ada', '{label}', '{}']", '("x", 1, "{label}", "{}")'),
    *('[\n  "ada",\n  "{label}",\n  "{}"\n]', 'KV("{label}", "{}")', '[("{label}", "{}")]', '[]string{"{label}", "{}"}'),
    '[{"type": "text", "text": "{label}"}, {"type": "text", "text": "{}"}]',
    "<ul><li>{label}</li> <li>{}</li></ul>",
]  # fmt: skip


def filled(value: Any, label: str, secret: str) -> Any:
    text = json.dumps(value).replace("{label}", label)
    return json.loads(text.replace("{}", secret))


@each("form", BESIDE_LABELS)
def test_the_text_behind_a_label_is_found_in_lists_and_blocks(form: Any) -> None:
    for label, value in (("Password", HUMAN), ("Root password", HUMAN), ("Access token", TOKEN)):
        made = json.dumps(cleaned(filled(form, label, value)))
        assert value not in made, (label, made)
        assert "ada" not in json.dumps(form) or "ada" in made


@each(
    "value",
    [
        *(["id", "password", "created_at2"], ["token", "oauth2_token"], ["Password", "a few words, 12 of them"]),
        *(["Password", 12345678], ["Password policy", HUMAN], ["x", HUMAN], [{"text": "Token"}, "x", {"text": TOKEN}]),
        *('["password", "oauth2_token", "sha256"]', 'f("see the password", "v2.0.1")', '["key", "' + TOKEN + '", 1]'),
        {"content": [{"type": "text", "text": "Enter the password."}, {"type": "text", "text": "Use 8 letters."}]},
        *(["key", *(["x"] * 9), TOKEN], "<ul><li>Password</li><li>OAuth2Login</li></ul>"),
    ],
)  # fmt: skip
def test_a_list_of_words_stays(value: Any) -> None:
    assert cleaned(value) == value
