"""A secret whose name stands apart is removed, in each row, and its neighbours stay."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.detectors.named.around.columns import CELLS, delimited
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.reading import ViewReading
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.views import View
from tests.rows import each

TOKEN = "q7Zt2Wb9Kx4Lm8Rv1Yd5"
KINDS = ("password", "secret-value")
VALUES = ("SunshineHarbor", "correcthorse", "Tr0ub4dorAnd3")


def cleaned(text: str) -> str:
    return str(Redactor(b"key").inspect(text).value)


FORMS = [
    "id,name,password\n1,bob,{}\n2,al,none\n\nx",
    "id,password,name\n1,{},bob\n",
    'id,"password"\n1,"{}"\n',
    "id;db_password\n1;{}\n",
    "id\tname\tpassword\n1\tbob\t{}\n",
    "| id | password |\n|----|----------|\n| 1  | {} |\n| 2  | |\n\nmore",
    "| id | password |\n| :-- | --- |\n| 1 | `{}` |",
    " id |  password   \n----+-------------\n  1 | {}\n(1 row)",
    "+----+-----------+\n| id | password  |\n+----+-----------+\n|  1 | {} |\n+----+-----------+\n1 row",
    "┌────┬──────────┐\n│ id │ password │\n├────┼──────────┤\n│ 1  │ {} │\n└────┴──────────┘",
    "id  password\n--  --------\n1   {}\n",
    " password \n----------\n {}\n(1 row)",
    "-[ RECORD 1 ]--\nid       | 1\npassword | {}\n\n",
    "INSERT INTO users (name, password) VALUES ('bob', '{}');",
    "insert into users (id, password, at) values (1, 'none', NOW()), (2, '{}', NULL);",
    'REPLACE INTO users (name, password) VALUES ("bob", "{}")',
    "INSERT INTO config (name, value) VALUES ('db_password', '{}'), ('level', 'harboursunshine');",
    "COPY public.users (id, password) FROM stdin;\n1\t{}\n\\.\n",
    "name,value\ndb_password,{}\nlevel,harboursunshine\n",
    '{{"value": "{}", "name": "DB_PASSWORD"}}',
    '{{"name": "DB_PASSWORD", "type": "PLAINTEXT", "value": "{}"}}',
    '"{{\\"value\\": \\"{}\\", \\"name\\": \\"DB_PASSWORD\\"}}"',
    '"outputs": {{"db_password": {{"value": "{}", "type": "string"}}}}',
    "- value: {}\n  name: DB_PASSWORD\n",
    'variable "db_password" {{\n  type    = string\n  default = "{}"\n}}',
    "id|password|name\n1|{}|bob\n",
    "'id','password'\n'1','{}'\n",
    "create table `users` (id int, name varchar(20), `password` text);\n-- x\nINSERT INTO `users` VALUES (1,'bob','{}');",
    "CREATE TABLE IF NOT EXISTS \"u\"(name, password, PRIMARY KEY (name));\nINSERT INTO u VALUES('a','{}');\n",
    "<key>dbPassword</key>\n\t<string>{}</string>\n",
    "<property>\n  <name>db.password</name>\n  <value>{}</value>\n</property>",
    "<dl><dt>Password</dt> <dd>{}</dd></dl>",
    '{{"ParameterKey": "DbPassword", "ParameterValue": "{}"}}',
    '{{"Value": "{}", "ParameterKey": "DbPassword"}}',
    "host,db_pass,port\nh,{},5432\n",
    "Key         Value\n---         -----\npassword    {}\nusername    ada\n",
    "db.example:5432:*:postgres:{}\n",
    "*:*:*:postgres:{}",
    "apiVersion: v1\nkind: Secret\nstringData:\n  username: bob\n  db: {}\n",
    "<table><tr><th>id</th><th>password</th></tr><tr><td>1</td><td>{}</td></tr></table>",
    "<thead>\n<tr>\n<th class='a'>Password</th>\n<th>id</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td><code>{}</code></td>\n<td>1</td>\n</tr>",
]


@each("form", FORMS)
def test_what_is_named_elsewhere_is_removed(form: str) -> None:
    for value in VALUES:
        assert cleaned(form.format(value)) == form.format("[REDACTED:password#1]"), value


@pytest.mark.parametrize(
    "form",
    [
        "NAME    PASSWORD                ROLE\nada     {}    admin\nbob     <none>                  user\n",
        "  id  Token\n  1   {}\n",
        "NAMESPACE   NAME   API_KEY\ndefault     a      {}\n\nend",
    ],
)
def test_columns_between_which_are_spaces_are_read(form: str) -> None:
    assert "REDACTED" in cleaned(form.format(TOKEN))
    assert TOKEN not in cleaned(form.format(TOKEN))


def test_every_row_of_a_long_table_is_read() -> None:
    rows = "".join(f"{i},bob{i},{VALUES[0]}{chr(97 + i % 26)}x\n" for i in range(200))
    assert VALUES[0] not in cleaned(f"id,name,password\n{rows}")


def test_the_data_of_a_secret_of_kubernetes_are_removed() -> None:
    secret, user = b64encode(b"correcthorse").decode(), b64encode(b"bob").decode()
    token, sample = b64encode(TOKEN.encode()).decode(), b64encode(b"changeme").decode()
    yaml = f"apiVersion: v1\ndata:\n  db: {{}}\n  token: {{}}\n  username: {user}\n  x: {sample}\n  y: {secret[:-1]}\nkind: Secret\n"
    made = cleaned(yaml.format(secret, token))
    assert made == yaml.format("[REDACTED:secret-value#1]", "[REDACTED:secret-value#2]")
    found = cleaned(json.dumps({"kind": "Secret", "data": {"db": secret, "username": user}}))
    assert found == json.dumps(
        {"kind": "Secret", "data": {"db": "[REDACTED:secret-value#1]", "username": user}}
    )


def test_the_private_members_of_a_key_in_json_are_removed() -> None:
    n, d = (
        "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bO",
        "VFCWOqXr8nvZNyaaJLXdnNPXZKRaWCjkU5Q2egQQpTBMwhpr",
    )
    key = {"kty": "RSA", "n": n, "e": "AQAB", "d": d, "p": d[::-1]}
    made = json.loads(cleaned(json.dumps(key)))
    assert made["n"] == n
    assert made["d"] == "[REDACTED:secret-value#1]"
    assert made["p"] == "[REDACTED:secret-value#2]"
    assert d not in cleaned('{"kty": "oct", "k": "' + d + '"')


PRIVATE = "    00:9f:1c:22:8e:b7:4a:51:c0:7d:93:3e:d1:55:\n    6a:0b:e4"
PUBLIC = "modulus:\n    00:b3:1c:22:8e:b7:4a:51:c0:7d:93:3e:d1:55\n"


@pytest.mark.parametrize("name", ["privateExponent", "prime1", "coefficient", "priv"])
def test_the_private_numbers_of_a_key_that_openssl_prints_are_removed(name: str) -> None:
    said = cleaned(f"{PUBLIC}{name}:\n{PRIVATE}\npub:\n    04:b3")
    assert said == f"{PUBLIC}{name}:\n    [REDACTED:private-key#1]\npub:\n    04:b3"


def test_a_cell_beside_its_name_is_removed_where_it_is_no_word() -> None:
    row = "<table><tr><td>Password</td>\n<td>{}</td></tr></table>"
    assert cleaned(row.format("hG7kq2Lw9Zx")) == row.format("[REDACTED:password#1]")


LEFT_ALONE = [
    "parameter,parametr\npassword,heslo\npaste,vlozit\npermission,opravneni\n",
    "<tr><td>Password</td><td>Mailbox</td></tr>",
    "<tr><td>Colour</td><td>hG7kq2Lw9Zx</td></tr>",
    "<key>dbPassword</key><array/>",
    "prime1:\n    12:30 is the time of 12:30:00:12:13:14:15:16 and so on",
    "CREATE TABLE u (name text);\nINSERT INTO u VALUES ('SunshineHarbor');",
    "INSERT INTO u VALUES ('1', 'SunshineHarbor');",
    "create table if x",
    "a < b </key> <string>SunshineHarbor</string>",
    "def login(user, password, token):\n    return harboursunshine, x, y\n",
    "user, password, token = read()\nharboursunshine\n",
    "id,name,password\n\n1,bob,correcthorse",
    "id,name,password\n1,correcthorse\n",
    "a,password\n",
    "password\n--------\n\nEach user has one.",
    "| word | count |\n|------|-------|\n| harboursunshine | 2 |",
    "a -+- b password\nharboursunshine",
    "|---|---|\n| password | harboursunshine |",
    "| program | how |\n| --- | --- |\n| 1Password | op |\n| Bitwarden | bw |",
    "-[ RECORD 1 ]\nname | harboursunshine\nend",
    "+---+---+\n| a | b |\n+---+---+\n| *Change Password* | c |\n+---+---+\n| *Truncate* | d |\n+---+---+\n",
    "INSERT INTO t (id, name) VALUES (1, 'harboursunshine');",
    "INSERT INTO t (id, password) VALUES (1, :password);",
    "INSERT INTO t (id, password) VALUES (1, 'correcthorse', 2);",
    "INSERT INTO t (id, password) VALUES row",
    "INSERT INTO t SELECT 1",
    "INSERT INTO t (id, password) VALUES ('a",
    '{"kty": "RSA", "n": "VFCWOqXr8nvZNyaaJLXdnNPXZKRaWCjkU5Q2egQQpTBMwhpr", "e": "AQAB"}',
    '{"value": "harboursunshine", "name": "LEVEL"}',
    '"value": "harboursunshine"',
    '{"value": "harboursunshine"}',
    "- value: harboursunshine\n  name: LEVEL",
    'variable "level" { default = "harboursunshine" }',
    "http://db.example:5432:x:y:harboursunshine z",
    "a b:5432:db:bob:harboursunshine",
    "option    password  meaning\n--secret  keyspace  the name of a space\n",
    "  password  the word that you chose\n  token     what the page shows\n",
    "NAME  PASSWORD\nada and q7Zt2Wb9Kx4Lm8Rv1Yd5\n",
    "The password  is q, and\nmore\n",
    "<tr><th>id</th><th>n</th></tr><tr><td>1</td><td>SunshineHarbor</td></tr>",
    "<tr><th>id</th><th>password</th></tr><tr><td>SunshineHarbor</td></tr>",
    "<tr><th>password</th></tr><p>SunshineHarbor</p>",
    "password</th></tr><tr><td>SunshineHarbor</td></tr>",
    "kind: Secret",
    "kind: Secret\nstringData:\n  a: changeme\n",
]


@each("text", LEFT_ALONE)
def test_what_only_looks_like_a_table_is_left_alone(text: str) -> None:
    assert cleaned(text) == text


@each(
    "leaves",
    [
        ["sshpass ", "-p SunshineHarbor"],
        ["tool --password", " SunshineHarbor"],
        ["login bob pass", "word river.Stone47"],
        ["IDENTIFIED", " BY 'SunshineHarbor'"],
        ["ENV ", "DB_PASSWORD SunshineHarbor"],
        ["INSERT INTO t (a, password) VAL", "UES (1, 'SunshineHarbor')"],
        ['"value"', ': "SunshineHarbor", "name": "DB_PASSWORD"'],
        ["value: ", "SunshineHarbor\n  name: DB_PASSWORD"],
        ['variable "', 'db_password" { default = "SunshineHarbor" }'],
        ["a:5432:", "db:bob:SunshineHarbor"],
        ["create table ", "u (password text)"],
    ],
)
def test_what_stands_in_several_texts_is_not_put_together(leaves: list[str]) -> None:
    assert Redactor(b"key").inspect(leaves).value == leaves


def test_a_table_is_read_up_to_a_number_of_rows_and_columns() -> None:
    row = f"1,bob,{VALUES[0]}\n"
    assert cleaned("id,name,password\n" + "1,bob,none\n" * 1998 + row * 2).count("REDACTED") == 2
    assert cleaned("id,name,password\n" + "1,bob,none\n" * 2000 + row).count("REDACTED") == 0
    values = ", ".join("(1, 'none')" for _ in range(2000))
    assert "REDACTED" not in cleaned(f"INSERT INTO t (id, password) VALUES {values}, (1, '{VALUES[0]}')")
    lines = "a | b\n" * 64
    assert "REDACTED" not in cleaned(f"-[ RECORD 1 ]\n{lines}password | {VALUES[0]}\n")
    names = ",".join(f"n{i}" for i in range(70))
    assert "REDACTED" not in cleaned(f"{names},password\n{names},{VALUES[0]}\n")
    many = ", ".join("1" for _ in range(70))
    assert "REDACTED" not in cleaned(f"INSERT INTO t (id, password) VALUES ({many}, '{VALUES[0]}')")


def test_a_word_under_a_column_that_says_nothing_stays() -> None:
    for text in (
        "| value | token |\n|---|---|\n| harboursunshine | 12 |",
        "+---+---+\n| value | n |\n+---+---+\n| harboursunshine | 1 |",
        "-+-",
        "x\n-+-",
        "| a |\n| -- |\n| b |",
        "password  (x)  y\ncorrecthorse1  a  b\n",
        "INSERT INTO t VALUES ('correcthorse1');\nINSERT INTO t (a, b) VALUES ('correcthorse1', 'b');",
        "create table t (a text);\nINSERT INTO t VALUES ('correcthorse1');",
    ):
        assert cleaned(text) == text


LISTS = [
    '{{"passwords": ["{}", "none"]}}',
    '{{"attributes": {{"userPassword": ["{}"]}}}}',
    '{{"X-Api-Key": ["{}"]}}',
    "password:\n  - {}\n",
    '{{\\"passwords\\": [\\"{}\\"]}}',
    'api_keys = [\n    "{}",\n    "{}",\n]\n',
    "apiKeys: ['{}', 'x']",
    "TOKENS = ['{}']",
    "db:\n  passwords:\n    - {}\n    - '{}'\n  hosts:\n    - h1\n",
]


@each("form", LISTS)
def test_each_item_of_a_list_under_the_name_of_several_is_removed(form: str) -> None:
    said = cleaned(form.format(TOKEN, TOKEN[::-1]))
    assert said.count("[REDACTED:") == form.count("{}")
    assert TOKEN not in said


@each(
    "text",
    [
        '{"tokens": ["the", "cat", "sat"], "passwords": ["hunter", "letmein"]}',
        "passwords: changed weekly",
        '{"errors": {"password": ["too_short8", "This field is required 1."]}}',
        '{"x_tokens": [1, 2], "secrets": []}',
        "secrets:\n  - db-password-prod\n  - API_TOKEN\n",
        '{"primary_tokens": ["q7Zt2Wb9Kx4Lm8Rv1Yd5"]}',
    ],
)
def test_a_list_of_words_or_of_handles_stays(text: str) -> None:
    assert cleaned(text) == text


def test_a_line_with_quotes_has_no_more_cells_than_a_table() -> None:
    for line in (b'"a",' * 70, b"a," * 70):
        assert len(delimited(line, 0, b",")) == CELLS


def test_rows_amid_others_are_passed_over_at_once() -> None:
    rows = "".join(f"row{letter},token\n" for letter in "abcdefghij" * 100)
    budget = Budget(len(rows))
    before = budget.work
    assert not ViewReading(View(rows.encode() + PAD), budget).all()
    assert before - budget.work < 8 * 1000


@pytest.mark.parametrize("between", ["", 'x,"y"\n', "a\tb,c\n", "alone\n", "a,b,c\n", f"{'x' * 3000},y\n"])
def test_a_heading_below_other_rows_is_read(between: str) -> None:
    made = cleaned(f"a,token\nb,token\n{between}\nid,password\n1,{VALUES[0]}\n")
    assert made == f"a,token\nb,token\n{between}\nid,password\n1,[REDACTED:password#1]\n"


@each(
    "form",
    [
        "    name              password\n0    bob  {}\n1     al                 none\n",
        "               password  age\n0  {}   41\n1                  none    7\n",
        "<wsse:Password Type='x#PasswordText'>{}</wsse:Password>",
        '<password encoding="plain">{}</password>',
        '<ns2:apiKey xmlns:ns2="urn:x">{}</ns2:apiKey>\n',
    ],
)
def test_what_ends_where_its_column_does_or_has_attributes_is_removed(form: str) -> None:
    assert cleaned(form.format(TOKEN)) in (form.format(f"[REDACTED:{kind}#1]") for kind in KINDS)


@each(
    "text",
    [
        "    name          password\n0    bob  the word you chose\n",
        "    name  password\n0    bob  changed  twice a1b2c3d4\n",
        '<password type="x">the word that you chose</password>',
        '<passwordRule a="b">q7Zt2Wb9Kx4Lm8Rv1Yd5</password>',
        '<color name="x">q7Zt2Wb9Kx4L</color></password>',
        "https://example.com/reset/password>",
        "usage: login <user>:password>",
    ],
)
def test_another_column_and_another_element_stay(text: str) -> None:
    assert cleaned(text) == text


@pytest.mark.parametrize("line", ['if [[ "$a" == "b" ]]; then echo "$token"; fi\n', '    use("a", $token,\n'])
def test_a_long_script_that_uses_a_variable_in_each_line_passes(line: str) -> None:
    text = line * (300_000 // len(line))
    assert cleaned(text) == text
