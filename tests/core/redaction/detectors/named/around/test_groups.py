"""A secret is found in what languages print in brackets, behind its label or in the column of that."""

from __future__ import annotations

from typing import Any

from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

HUMAN = "river-Stone47!"
TOKEN = "q7Zt2Wb9Kx4Lm8Rv1Yd5"


def cleaned(value: Any) -> Any:
    return Redactor(b"key").inspect(value).value


PRINTED = [
    # PHP and Perl
    "Array\n(\n    [0] => Array\n        (\n            [0] => id\n            [1] => {label}\n        )\n\n"
    "    [1] => Array\n        (\n            [0] => 1\n            [1] => {}\n        )\n\n)\n",
    "Array\n(\n    [name] => {label}\n    [value] => {}\n)\n",
    'array(2) {{\n  [0]=>\n  array(2) {{\n    [0]=>\n    string(2) "id"\n    [1]=>\n    string(5) "{label}"\n  }}\n  [1]=>\n'
    '  array(2) {{\n    [0]=>\n    int(1)\n    [1]=>\n    string(20) "{}"\n  }}\n}}\n',
    "array (\n  'name' => '{label}',\n  'value' => '{}',\n)",
    "$VAR1 = [\n          [\n            'id',\n            '{label}'\n          ],\n          [\n            1,\n"
    "            '{}'\n          ]\n        ];\n",
    '{{ name => "{label}", value => "{}" }}',
    # Go
    *("map[columns:[id {label}] rows:[[1 {}]]]", "[[id {label}] [1 {}]]", "{{{label} {}}}", "&{{ada {label} {}}}"),
    '[][]string{{[]string{{"id", "{label}"}}, []string{{"1", "{}"}}}}',
    *('main.KV{{Key:"{label}", Val:"{}"}}', "{{Key:{label} Val:{}}}", "{{Columns:[id {label}] Rows:[[1 {}]]}}"),
    # Rust, Swift, Kotlin, Scala, C#
    '[\n    (\n        "{label}",\n        "{}",\n    ),\n]',
    *('["columns": ["id", "{label}"], "rows": [["1", "{}"]]]', '(key: "{label}", value: "{}")'),
    *("({label}, {})", "[({label}, {})]", "Pair(first={label}, second={})", "Some(({label},{}))", "KeyValuePair({label}, {})"),
    *("Table(columns=[id, {label}], rows=[[1, {}]])", "{{columns=[id, {label}], rows=[[0, x], [1, {}]]}}"),
    *("List(List(id, {label}), List(1, {}))", "{{ Name = {label}, Value = {} }}"),
    # Lua, Node, Python, Clojure
    *('{{ {{ "id", "{label}" }}, {{ 1, "{}" }} }}', "{{name:`{label}`,value:`{}`}}", "[[`id`,`{label}`],[1,`{}`]]"),
    *('{{columns:["id","{label}"],rows:[[1,"{}"]]}}', "Row(('id','{label}'))\nRow((1,'{}'))", "Row(id, {label})\nRow(1, {})"),
    *("[['id' '{label}']\n ['1' '{}']]", '[["id" "{label}"] [1 "{}"]]', '{{"{label}" "{}"}}'),
]  # fmt: skip


@each("form", PRINTED)
def test_what_a_label_in_brackets_names_is_found(form: str) -> None:
    for label, value, kind in (("password", HUMAN, "password"), ("apiKey", TOKEN, "secret-value")):
        text = form.replace("{label}", label)
        made = cleaned(text.format(value))
        assert made.startswith(text.partition("{}")[0].format()[:-8]), made
        assert f"[REDACTED:{kind}#1]" in made, made
        assert value not in made, made


@each(
    "form",
    [
        *('{{"token": String("{}")}}', 'Config {{ token: Secret("{}") }}', 'Config {{ token: Ok("{}") }}'),
        *("token: Optional[{}]", "Config(token=Optional[{}])", "token=Some({})"),
    ],
)  # fmt: skip
def test_what_stands_in_a_wrapper_is_found(form: str) -> None:
    assert cleaned(form.format(TOKEN)) == form.format("[REDACTED:secret-value#1]")


@each(
    "text",
    [
        *("(key, 1234567)", "lookup(token, sha256sum)", "f(token, index_1)", "[[id token] [1 bearer]]", "(token, oauth2)"),
        *(f"(tokens_left, {TOKEN})", f"[id token] of many words, which are so many that nobody reads them, and [1 {TOKEN}]", f"token, {TOKEN})"),
        *(f"[id token] {'and so on ' * 20}[1 {TOKEN}]", f"[[id token] [1 2 3] [{TOKEN}]]", f"token) (x {TOKEN}]"),
        *(f"[id token][id secret_names]x[{TOKEN} 1]", f"(key, value)\n(1, {TOKEN})", f"[(x), token, {TOKEN}]"[:-1]),
        *(f"{{name: token, kind: x1}} {TOKEN}", f"(x token1 {TOKEN[:4]}) [1 {TOKEN}]", f"[{'a ' * 70}token 1]"),
        f"[token] [{TOKEN}]",
    ],
)  # fmt: skip
def test_a_call_or_a_list_of_words_stays(text: str) -> None:
    assert cleaned(text) == text
