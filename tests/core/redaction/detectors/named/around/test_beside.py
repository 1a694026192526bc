"""A secret is found beside or below its name, in tags, cells, lines and members."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from mcpguard.core.redaction.detectors.named.apart import ApartFromName
from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

HUMAN = "river.Stone47!"
TOKEN = "q7Zt2Wb9Kx4Lm8Rv1Yd5"


def cleaned(value: Any) -> Any:
    return Redactor(b"key").inspect(value).value


PACKAGE = {
    "version": "6.0.0",
    "resolved": "https://registry.npmjs.org/@octokit/auth-token/-/auth-token-6.0.0.tgz",
    "integrity": "sha512-P4YJBPdPSpWTQ1NU4XYdvHvXJJDxM6YwpS0FZHRgP7YFkdVxsWcpWGy/NVqlAA7PcPCnMacXlRm1y2PFZRWL/w==",
}


@each(
    "form",
    [
        *(
            "Password:\n{}\n",
            "Your new password:\r\n\r\n    {}\r\n\r\nChange it.",
            "**Passphrase:**\n\n`{}`\n",
        ),
        *('<input type="password" value="{}">', "<input id='x' value='{}' type='password' />"),
        *("| Field | Value |\n|---|---|\n| Password | {} |\n", "| password   | {} |\n| user | bob |\n"),
        *("{{|\n|-\n| password || {}\n|}}\n", "\u2551 DB_PASSWORD \u2502 {} \u2551\n", "|db.password |{}\n"),
        *(
            '{{"password": {{"current": "{}", "minLength": 8}}}}',
            '"passwords": {{\n  "bob": "{}",\n  "x": 1}}',
        ),
        *("<b>Password:</b> {} <br>", "Password:&nbsp;{}", "<p>Password: <code>{}</code></p>"),
        *("<td>Password:</td>\n  <td class='x'>{}</td>", "Password:{}\n", "user=bob;pwd:{};", "a pwd:{}, b"),
        *("Log in with bob and password `{}`.", "net use z: \\\\h\\s {} /user:bob"),
        *("password:\n  current: {}\n  previous: none\nhost: h\n", "passwords:\n  bob: '{}'\n"),
        *("<member><name>password</name><value><string>{}</string></value></member>",),
    ],
)
def test_a_password_is_found_beside_or_below_its_name(form: str) -> None:
    assert cleaned(form.format(HUMAN)) == form.format("[REDACTED:password#1]")


@each("ahead", ["", "x" * 5000])
def test_the_headings_of_a_table_are_read_once(ahead: str) -> None:
    heads = "<th>password</th>" * 3
    text = f"{ahead}<table><tr>{heads}</tr><tr>{f'<td>{HUMAN}</td>' * 3}</tr></table>".encode()
    judged: list[bytes] = []
    reader = ApartFromName(text, lambda _strength, value, _end: not judged.append(value), lambda _cost: None)
    ends = [found.end() for found in re.finditer(b"</th>", text)]
    assert [len(reader.headed(at)[0]) for at in ends] == [3, 0, 0]
    assert judged == [HUMAN.encode()] * 3


def test_headings_far_behind_where_their_row_begins_are_not_read() -> None:
    text = f"<tr>{'<th>password</th>' * 400}</tr><tr>{f'<td>{HUMAN}</td>' * 400}</tr>"
    judged: list[bytes] = []
    reader = ApartFromName(text.encode(), lambda *_: not judged.append(b""), lambda _cost: None)
    assert reader.headed(text.index("</tr>")) == ([], text.index("</tr>"))
    assert not judged


def test_a_token_is_found_below_its_name() -> None:
    for form in ("API key:\n{}\n", "Here is your token:\n\n  {}\n"):
        assert cleaned(form.format(TOKEN)) == form.format("[REDACTED:secret-value#1]")


@each(
    "text",
    [
        *("Password:\nUsername2:\n", "Password:\nis 12 letters long\n", "key:\nq7Zt2Wb9Kx4Lm8Rv1Yd5\n"),
        *(
            "password:\n  secretKeyRef:\n    name: db-creds-2\n",
            "Password:\nweb1.example.com\n",
            "token:\n- a1b2c3",
        ),
        *(
            '<input type="password" value="">',
            '<input type="password" placeholder="abc123"><b>value="c0lor-Blue1"',
        ),
        *(
            "<b>Password:</b> 8 to 12 letters",
            "Password: <b>the minimum8</b>",
            "To call it, pass `-DLIB2_EXPORTS`",
            "<p>Password:</p><p>utf8mb4</p>",
        ),
        *("{{password:t1.x2!}}", "x.password:h1b2c3", "password:e.t1[2];", "the password `md5` or `field1`"),
        *("Secrets:v1.2.3-rc4", "password:varchar(255)", "password:3.11-slim", "Password:x1,Y"),
        *('type="password" value="Abc-123x"', '<input type="password" value="{{{{ pw1 }}}}">'),
        *("| password | string1 | the word |\n", "| Password | harboursunshine |\n", "the key | a1b2c3d4\n"),
        *('{{"password": {{"type": "string", "example": "Abc-123x", "pattern": "^[a-zA-Z0-9]{{8}}$"}}}}',),
        *(
            "password:\n  description: Abc-123x\n  title: b\nother: Abc-123x\n",
            '"password": {{"a": "correcthorse"}}',
        ),
        *(
            '{{"sort_key": {{"current": "q7Zt2Wb9Kx4Lm8Rv1Yd5"}}}}',
            "passwords:\n  bob: none\n    x: Abc-123x\n",
        ),
    ],
)
def test_what_only_stands_there_is_left_alone(text: str) -> None:
    assert cleaned(text) == text


@pytest.mark.parametrize(
    "value",
    [
        {"auth": ["bob", HUMAN]},
        {"password": {"current": HUMAN, "type": "string"}},
        {"a": [{"passwords": {"bob": HUMAN, "email": "b0b@example.com"}}]},
    ],
)
def test_a_password_in_a_list_or_an_object_of_its_own_is_found(value: Any) -> None:
    for made in (
        json.dumps(cleaned(value)),
        cleaned(json.dumps(value)),
        cleaned(json.dumps(value, indent=2)),
    ):
        assert HUMAN not in made
        assert json.loads(made) == json.loads(json.dumps(value).replace(HUMAN, "[REDACTED:password#1]"))


def test_a_schema_of_a_password_and_methods_of_authentication_stay() -> None:
    value = {
        "password": {"type": "string", "example": "Abc-123x", "description": "8-Letters"},
        "auth": ["basic", "digest"],
        "credentials": ["a1", "b2", "c3"],
    }
    assert cleaned(value) is value


@each(
    "value",
    [
        {"node_modules/@octokit/auth-token": PACKAGE},
        *({"cookie": PACKAGE}, {"node_modules/js-tokens": PACKAGE}, {"cookies": {"x": PACKAGE["integrity"]}}),
        {"secret": {"name": "db-creds-v2", "uid": "3f2b8c1e-9d4a-4e7b-8f60-1a2b3c4d5e6f"}},
        {"token": {"symbol": "USDC", "mint": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"}},
        {"password": {"text": "foo.py\n12:00\nquick7"}},
        {"password": {"icon": "lock-24px", "label1": "Contrase\u00f1a1", "testid": "pw1-field"}},
    ],
)
def test_what_is_known_of_a_package_or_a_thing_called_a_token_stays(value: dict[str, Any]) -> None:
    assert cleaned({"dependencies": value, "node_modules": value}) == {
        "dependencies": value,
        "node_modules": value,
    }


def test_a_token_in_an_object_of_its_own_is_found_where_its_name_says_which() -> None:
    for value in ({"tokens": {"bob": TOKEN}}, {"token": {"current": TOKEN}}, {"api_key": {"prod": TOKEN}}):
        assert cleaned(json.dumps(cleaned(value))).count("[REDACTED:secret-value#1]") == 1


PRINTED = [
    *(
        "db_password -> {}\n",
        "password \u2192 {}",
        "- **DB Password** \u2013 `{}`\n",
        "* API Key \u2014 {}\n",
    ),
    *("Map(user -> x, api_key -> {})", "db_password ........ {}\n", '((user . "x") (api-key . "{}"))'),
    *("DB Password:: {}\n", "- Client Secret :: {}\n", '      ~ db_password = "old" -> "{}"\n'),
    *('[{{user,<<"x">>}},{{api_key,<<"{}">>}}]', '#{{<<"db_password">> => <<"{}">>}}'),
    *(' $ api_key: chr "{}"\n', "map[api_key:[{}] host:[h]]", '    token: Some(\n        "{}",\n    ),'),
    *('Config(apiKey: Optional("{}"))', 'Config {{ api_key: SecretString("{}") }}'),
    *("db_password = <<EOT\n{}\nEOT\n", "  api_key = <<-EOF\n    {}\n  EOF\n", 'token = """\n{}"""'),
    *("[db]\ndb_password =\n    {}\n", "db.apiKey=\\\n    {}\n"),
    *(
        '  ["api_key":protected]=>\n  string(24) "{}"\n',
        '  ["token":"Config":private]=>\n  string(24) "{}"\n',
    ),
    *("    [api_key:protected] => {}\n", "    [db_password:Config:private] => {}\n"),
    *(
        "{{Name:my app ApiKey:{} Host:h}}",
        "&{{Token:{} User:x}}",
        "Config(user:x, apiKey:{})",
        "user:x,token:{}",
    ),
    *("[[:db_password, '{}'], [:user, 'x']]", "INSERT INTO settings VALUES('api_key','{}');"),
    *(
        "## DB Password\n\n{}\n",
        "## API Key\n\n```\n{}\n```\n",
        "# Token\n`{}`",
        "Client secret:\n\n```text\n{}\n```\n",
    ),
    *('<property value="{}" name="apiKey"/>', "<input value='{}' type='text' name='db_password'>"),
    *('1) "user"\n2) "x"\n3) "db_password"\n4) "{}"\n', '1) "requirepass"\n2) "{}"\n'),
    *("- name: db_password\n  type: string\n  value: {}\n", 'config.setApiKey("{}");'),
    *('"user","db_password"\n"x","{}"\n', "DB_PASSWORD                                  {}\n"),
]


@each("form", PRINTED)
def test_what_languages_and_programs_print_is_found(form: str) -> None:
    kept, removed = form.format(TOKEN), cleaned(form.format(TOKEN))
    assert removed in (form.format(f"[REDACTED:{kind}#1]") for kind in ("password", "secret-value"))
    assert cleaned({"a": kept, "b": "x"}) == {"a": removed, "b": "x"}


@each(
    "text",
    [
        *(
            "def read(token) -> Str4ng3Type:\n",
            "password -> see page 12\n",
            "the token \u2014 Abcdef12 or so",
        ),
        *("ns:: Abc123def456 . x", "a :: Abc123def456", "token:[A-Za-z0-9]{8,64}", "| a | b |\n|---|\n"),
        *("cat <<EOT\nabc123def456\nEOT\n", "x =\n    abc123def456\n", "see the key\n\nabc123def456\n"),
        *(
            "# A word\n\nabc123def456\n",
            "# Key\n\nabc123def456 and more\n",
            '<b value="abc123def456" name="color">',
        ),
        *('3) "color"\n4) "abc123def456"\n', '3) "color"\n  "token"\n4) "q7Zt2Wb9Kx4Lm8Rv"\n'),
        *("- name: color\n  type: string\n  value: abc123def456\n", 'getApiKey("q7Zt2Wb9Kx4Lm8Rv");'),
        *("value: abc123def456 x\n", "[id:protected] => q7Zt2Wb9Kx4Lm8Rv\n", "password -> 'hunting'\n"),
        "${TOKEN:-q7Zt2Wb9Kx4Lm8Rv",
    ],
)
def test_what_stands_behind_the_same_marks_without_a_name_or_a_secret_stays(text: str) -> None:
    assert cleaned(text) == text


@each(
    "text",
    [
        *(
            "    DB_PASSWORD=\n    DB_HOST2=db.internal",
            "  PASSWORD=\n  PORT=5432",
            "  PASSWORD=\n\tDB_PORT2: 5432\n",
        ),
        *("  password = \n  host=db1.internal", "  POSTGRES_PASSWORD= \n  POSTGRES_USER=app1"),
        *("--password=\n  --user2=ada", "--password=\n  --user2 ada", "requirepass=\n  port6379=1"),
        *("password=\n  [section12]", "password=\n  #comment12", "password=\n  ;comment12"),
        *("token=\n  'host12': db", "DB_PASSWORD= \\\n  DB_HOST2=db.internal run"),
    ],
)
def test_an_entry_below_an_empty_password_stays(text: str) -> None:
    assert cleaned(text) == text


@each("value", [TOKEN, f"{TOKEN}=="])
def test_a_value_in_the_line_below_its_name_is_found(value: str) -> None:
    assert cleaned(f"  DB_PASSWORD=\n    {value}\n  HOST=x\n").startswith(
        "  DB_PASSWORD=\n    [REDACTED:password#1]"
    )


SEVERAL = [
    *("api_keys:\n  prod: {}\n", '"access_keys": {{\n  "prod": "{}"}}', "auth_token:\n  value: {}\n"),
    *(
        "tokens: [{}, b]\n",
        "api_keys: [b, {}]",
        "API Keys:\n{}\n",
        "API Keys:\n- {}\n",
        "Tokens:\r\n\r\n{}\r\n",
    ),
    *("## API Keys\n\n- `{}`\n", "**Tokens**\n{}\n", "__API Key__\n{}\n", "/app/auth_token\n{}\n/app/x\n"),
    *('{{"text": "*Token:*\\n{}"}}', '{{"md": "## API Key\\n\\n{}\\n"}}', '{{"m": "Tokens:\\r\\n{}\\r\\n"}}'),
    "app/host:db\napp/auth_token:{}\n",
    *("[(b'host', b'x'), (b'x-api-key', b'{}')]", '{{"api_keys": {{"prod": "{}"}}}}'),
    "[SQL: INSERT INTO users (name, token) VALUES (?, ?)]\n[parameters: ('ada', '{}')]",
    "[SQL: INSERT INTO users (token) VALUES (%s)]\n[parameters: [('{}',), ('x',)]]",
]


@each("form", SEVERAL)
def test_what_stands_below_the_name_of_several_or_of_a_heading_is_found(form: str) -> None:
    assert cleaned(form.format(TOKEN)) == form.format("[REDACTED:secret-value#1]")


@each(
    "text",
    [
        *(
            "tokens: [a1b2c3, utf8mb4]\n",
            "secret:\n  name: q7Zt2Wb9Kx4Lm8Rv1Yd5\n",
            "api_keys: [see, docs]\n",
        ),
        *('{"token": {"type": "q7Zt2Wb9Kx4Lm8Rv1Yd5", "line": 3}}', "/etc/auth/token\n/etc/auth/id2\n"),
        *(
            "**Token**\nUsage3\n",
            "class:\nq7Zt2Wb9Kx4Lm8Rv1Yd5\n",
            '{"a": "API keys:\\n1. Open the page\\n"}',
        ),
        "[SQL: INSERT INTO users (name) VALUES (?)]\n[parameters: ('q7Zt2Wb9Kx4Lm8Rv1Yd5',)]",
    ],
)
def test_what_stands_below_another_heading_stays(text: str) -> None:
    assert cleaned(text) == text
