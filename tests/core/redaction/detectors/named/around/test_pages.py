"""A secret in an element of a page is found beside the element that is its name."""

from __future__ import annotations

from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

TOKEN = "q7Zt2Wb9Kx4Lm8Rv1Yd5"


def cleaned(text: str) -> str:
    return str(Redactor(b"key").inspect(text).value)


@each(
    "form",
    [
        *('- cell "API key" [ref=e6]\n- cell "{}" [ref=e7]\n', "- term: API token\n- definition: {}\n"),
        '- rowheader "Token":\n- cell [ref=e7]:\n  - code: {}\n',
        "- generic [ref=e5]: Client secret\n- generic [ref=e6]:\n  - code [ref=e7]: {}\n",
        *('- row "API key {}" [ref=e5]\n', '- row "Prod API key {} Copy Revoke"\n'),
        *("<label>API key</label> <code>{}</code>", '<div class="l">Token</div>\n<div class="v">{}</div>'),
        *("<strong>API key</strong><br>{}<br>", "<dt>Secret</dt>\n<dd><p>{}</p></dd>"),
        '<label for="p">API token</label><input id="p" type="text" value="{}">',
        '<input\n  name="auth_token"\n  type="hidden"\n  value="{}"\n/>',
        '<meta name="api-key" class="x" content="{}">',
        *("<auth_token>\n    {}\n</auth_token>", '<auth_token id="3">{}</auth_token>'),
        '<property name="token">\n  <value>{}</value>\n</property>',
        "&lt;a:token&gt;{}&lt;/a:token&gt;",
    ],
)
def test_a_secret_is_found_behind_the_element_that_is_its_name(form: str) -> None:
    assert cleaned(form.format(TOKEN)) == form.format("[REDACTED:secret-value#1]")


@each(
    "text",
    [
        *(
            '- cell "API key" [ref=e6]\n- cell "Version2" [ref=e7]\n',
            "- term: Name\n- definition: abc12345\n",
        ),
        '- columnheader "Token"\n- columnheader "q7Zt2Wb9Kx4Lm8Rv1Yd5"\n',
        *(
            '- row "Token count 12345678"',
            '- row "ada q7Zt2Wb9Kx4Lm8Rv1Yd5"',
            "- code: token\n- link: q7Zt2Wb9",
        ),
        *("<label>Token</label> <b>Base64 text</b>", "<th>Token</th><th>q7Zt2Wb9Kx4Lm8Rv1Yd5</th>"),
        "<p>What is a good password and a bad password</p><p>Winter2024</p>",
        *(
            '<label>Password</label><input type="submit" value="Login2024x">',
            "<i>Key</i><b>q7Zt2Wb9Kx4Lm</b>",
        ),
        *(
            '<input name="user" title="token" class="x" value="q7Zt2Wb9Kx4Lm8Rv1Yd5">',
            'say "token" q7Zt2Wb9Kx4Lm8Rv1Yd5',
        ),
        *("<a.token>\nq7Zt2Wb9Kx4Lm8Rv1Yd5\nx\n</a.token>", "token&gt;q7Zt2Wb9Kx4Lm8Rv1Yd5&lt;/b&gt;"),
        '<x id="1">token"><value>q7Zt2Wb9Kx4Lm8Rv1Yd5</value>',
    ],
)
def test_what_has_another_label_stays(text: str) -> None:
    assert cleaned(text) == text


@each(
    "form",
    [
        '{{"content": [{{"type": "text", "text": "API key: ", "marks": [{{"type": "strong"}}]}},'
        ' {{"type": "text", "text": "{}"}}]}}',
        '{{"API key": {{"id": "x", "rich_text": [{{"text": {{"content": "{}", "link": null}},'
        ' "plain_text": "{}"}}]}}}}',
        '{{"Token": {{"rich_text": [{{"text": {{"content": "{}"}}, "plain_text": "the token"}}]}}}}',
        '{{"Rows": [{{"Data": [{{"VarCharValue": "id"}}, {{"VarCharValue": "token"}}]}},'
        ' {{"Data": [{{"VarCharValue": "1"}}, {{"VarCharValue": "{}"}}]}}]}}',
        "{{'id': [1], 'token': ['{}', 'b']}}",
    ],
)
def test_a_secret_is_found_in_the_pieces_of_a_document(form: str) -> None:
    count = form.count("{}")
    made = form.format(*["[REDACTED:secret-value#1]"] * count)
    assert cleaned(form.format(*[TOKEN] * count)) == made


@each(
    "text",
    [
        '[{"text": "Token: "}, {"text": "see chapter 2"}]',
        '[{"text": "Token: "}, {"type": "Version2", "text": "Chapter2"}]',
        '[{"text": "Name: "}, {"text": "q7Zt2Wb9Kx4Lm8Rv1Yd5"}]',
        '{"password": {"text": "correcthorse"}, "monkey": {"content": "q7Zt2Wb9Kx4Lm8Rv1Yd5"}}',
    ],
)
def test_other_pieces_of_a_document_stay(text: str) -> None:
    assert cleaned(text) == text
