"""Secrets in JSON that stands in a text, whole, in lines, in part, and cut off."""

import json

from mcpguard.core.redaction.detectors.named.documents import Documents
from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

SECRET = "q7Zk2vX9pL4mT8wR1nB6"
OF_A_NAME = f'{{"name": "db_password", "note": "{"x" * 450}", "value": "{SECRET}"}}'
"""Too long for what is read beside a value."""

FOUND = {
    "whole": OF_A_NAME,
    "spaces around": f"\n\n {OF_A_NAME}\n",
    "a line": f'{{"a": 1}}\n{OF_A_NAME}\n{{"b": 2}}',
    "a part of a line": f"answer [7]: {OF_A_NAME} (in 7 ms)",
    "in lines of a log": f'read:\n[\n{{"a": "b"}},\n{OF_A_NAME}\n]\ndone',
    "one of several": f'{{"a": 1}}, {OF_A_NAME},',
    "within other brackets": f"call({{ x: [1, 2], y: {OF_A_NAME} }})",
    "cut off in a text": f'[{OF_A_NAME}, {{"name": "api_tok',
    "cut off in a list": f'{{"of": [{OF_A_NAME}, [1, 2',
    "cut off in a member": OF_A_NAME[:-1] + ', "more": "',
    "nested lists alone": f'[["db", "password"], "{SECRET}"]',
    "a mark": f'{{"sensitive": true, "note": "{"x" * 450}", "value": "{SECRET}"}}',
    "an owner": f'{{"api_key": {{"of": "{"x" * 450}", "value": {{"stringValue": "{SECRET}"}}}}}}',
    "a heading in few letters": f'[["user", "pw"], ["ada", "{SECRET}"]]',
    "a heading in another language": f'[["Name","Passwort"],["ada","{SECRET}"]]',
    "lines of Windows": f'[\r\n  [\r\n    "user",\r\n    "password"\r\n  ],\r\n  [\r\n    "ada",\r\n    "{SECRET}"\r\n  ]\r\n]',
    "a name twice": f'{{"a": 1, "a": "x", "name": "password", "note": "{"x" * 450}", "value": "{SECRET}"}}',
    "a name twice in one of several": f'{{"a": {{"b": 1, "b": "x"}}}}\n{OF_A_NAME}',
    "spaces around a mark": f'{{"sensitive"\t: true, "note": "{"x" * 450}", "value": "{SECRET}"}}',
    "the name of a key": f'{{"keyName" : "key1", "note": "{"x" * 450}", "value": "{SECRET}"}}',
    "a table in a part of a line": f'rows [2]: [["user", "password2"], ["ada", "{SECRET}"]] (in 7 ms)',
    "columns with something between": f'{{"fields": [{{"name": "id"}}, null, {{"name": "password"}}], "rows": [[1, "{SECRET}"]]}}',
    "behind objects of many names": f'{{"of": {json.dumps({f"a{i}": {f"b{i}": {}} for i in range(2000)})}, "password": {{"now": "{SECRET}"}}, "n": [[1]]}}',
    "above other JSON": f"x {OF_A_NAME}\n[1]",
    "behind many brackets": f'f(a[1], b[2], c[3], d[4], e[5], {{"a": {{"b": 1}}, {OF_A_NAME[1:]})',
    "cells that are objects": f'{{"columns": ["id", "password"], "rows": [{{"f": [{{"v": 1}}, {{"v": "{SECRET}"}}]}}]}}',
    "one text twice": f'{{"name": "password", "note": "{"x" * 450}", "value": "{SECRET}", "a": [1, "{SECRET[:-1]}"]}}',
    "below headers": f'HTTP/1.1 200 OK\r\n\r\n{{"items": [{OF_A_NAME}, {{"name": "secret", "value": 1}}]}}',
    "behind a word": f'data: {{"items": [{OF_A_NAME}, {{"name": "secret", "value": 1}}]}} [DONE]',
    "behind a time in brackets": f'[07:12] [info] got {{"items": [{OF_A_NAME}]}}, took 7 ms',
    "objects without a list": f'x {{"name": "secret", "value": 1}}, {OF_A_NAME}, {{"name": "a',
    "objects with other text between": f'x {{"name": "secret", "value": 1}} y {{"a": [1]}} z {OF_A_NAME}',
    "cut off by a remark": f'{{"items": [{OF_A_NAME}, {{"name": "a\n[truncated]',
    "a number that is no number": f'{{"n": 1e999, "of": [{OF_A_NAME}]}}',
    "an escaped text": f'{{"name": "password", "note": "{"x" * 450}", "value": "\\u0071{SECRET[1:]}"}}'.replace(
        "\\u0071", "q"
    ),
    "columns": f'{{"columns": ["id", "password"], "rows": [[1, "{SECRET}"]]}}',
}

LEFT = {
    "no JSON": f"{{ name: 'token', \"password\", 'x', {SECRET} }}",
    "brackets that do not match": f'{{"a": ["password"], (1]}} "{SECRET}"',
    "a bracket that closes another": f'{{"name": "password", ] "{SECRET}"',
    "a list of names": f'{{"topics": ["token", "cli", "password"], "id": "{SECRET}"}}',
    "a type": f'{{"type": "token", "note": "{"x" * 450}", "value": "{SECRET}"}}',
    "too deep": "[" * 120 + '"password", "x"' + f', "{SECRET}"',
    "no bracket": f'"password", "name": "{SECRET}"',
    "many brackets with a value": "}" * 40 + f', "name": "password", "x": "{SECRET}", "value": 1',
    "no bracket with a value": f'"name": "password", "x": "{SECRET}", "value": 1',
    "a table that names nothing": f'[[1, "a"], ["b", "{SECRET}"]]',
    "many brackets": "}" * 40 + f', "name": "password", "x": "{SECRET}"',
    "behind it": f'{{"name": "password"}} and {SECRET}',
    "a quote that is open": f'{{"name": "password" "x, value": {SECRET}',
    "no value": f'{{"name": "password", "note": "{SECRET}"}}',
    "a text without signs": f'{{"name" "password" : "a", value, {SECRET}',
    "key": f'{{"name": "key", "x": ["key", "key"], "value": "{SECRET}"}}',
}


@each("name", FOUND)
def test_what_json_in_a_text_names_is_removed_and_nothing_else(name: str) -> None:
    made = Redactor(b"key").inspect({"any": FOUND[name]})
    said = made.value["any"]
    kind = made.findings[0].kind
    assert said == FOUND[name].replace(SECRET, f"[REDACTED:{kind}#1]")


HEADINGS = (
    *("password_prod", "password2", "api_key_prod", "token_value", "DB_PASSWORD_1", "password ", "Passwort"),
    *("api_keys", "pw", "psk", "clientSecret", "db.password", "Database Password", "creds", "passphrase_old"),
)
SPACES = ("", " ", "\t", "\n", "\r\n  ", " " * 40, "\n" + " " * 70)


def test_only_that_of_two_equal_texts_is_removed_which_is_named() -> None:
    text = json.dumps(
        {"a": [1, {"of": SECRET}], "name": "password", "note": "x" * 450, "value": SECRET, "n": None}
    )
    said = Redactor(b"key").inspect({"any": text}).value["any"]
    assert said == text.replace(f'"value": "{SECRET}"', '"value": "[REDACTED:password#1]"')


def test_both_values_of_one_name_are_removed() -> None:
    text = f'{{"name": "password", "value": "{SECRET}", "note": "{"x" * 450}", "value": "q7Zk2vX9pL4m"}}'
    said = Redactor(b"key").inspect({"any": text}).value["any"]
    assert said.count("[REDACTED:password#") == 2


@each("heading", HEADINGS)
@each("space", SPACES)
@each("other", ["ada", "[REDACTED:password#1]"])
def test_a_table_is_read_under_any_heading_with_any_space_and_beside_what_was_removed(
    heading: str, space: str, other: str
) -> None:
    rows = [["user", heading], [other, SECRET], ["bob", other]]
    for table in (rows, {"columns": rows[0], "of": {"n": 1.5}, "rows": rows[1:]}):
        text = json.dumps(table, separators=(f"{space},{space}", ":"))
        text = text.replace("[[", f"[{space}[").replace('"]', f'"{space}]')
        made = Redactor(b"key").inspect({"any": text})
        mark = f"[REDACTED:{made.findings[0].kind}#{1 + text.count('#1]') // 2}]"
        assert made.value["any"] == text.replace(SECRET, mark)


def test_what_was_removed_names_nothing_and_is_not_removed_again() -> None:
    texts = [
        '[["user", "[REDACTED:password#1]"], ["ada", "q7Zk2vX9pL4m"]]',
        '[["a", "password"], ["b", "q[REDACTED:jwt#1]7"]]',
    ]
    assert not Redactor(b"key").inspect({"any": texts}).findings


@each("name", FOUND)
def test_scan_finds_the_same(name: str) -> None:
    text = FOUND[name].encode()
    assert [text[span.start : span.end] for span in Redactor(b"key").places(text)] == [SECRET.encode()]


@each("name", LEFT)
def test_what_is_no_json_is_read_as_text_alone(name: str) -> None:
    assert not Redactor(b"key").inspect({"any": LEFT[name]}).findings


def test_each_text_is_read_on_its_own() -> None:
    texts = [
        '{"name": "x", "of": "password"',
        f', "value": "{SECRET}"}}',
        f'"password", "token", {OF_A_NAME}',
    ]
    made = Redactor(b"key").inspect({"any": texts}).value["any"]
    assert made[:2] == texts[:2]
    assert SECRET not in made[2]


def test_a_text_without_an_end_is_read_as_far_as_it_goes() -> None:
    text = f"[{OF_A_NAME}, " + '{"a": ["b", {"c": 1}]}, ' * 4000
    made = Redactor(b"key").inspect({"any": text})
    assert SECRET not in made.value["any"]


def test_tables_that_are_cut_off_in_each_line_take_little_and_hide_none() -> None:
    lines = [f'2026-12-02 rows=[["name{n}", "city of user {n}"], ["pass" ...' for n in range(500)]
    lines[400] = f'rows=[["user", "password"], ["ada", "{SECRET}"]]'
    made = Redactor(b"key").inspect({"any": "\n".join(lines)})
    mark = f"[REDACTED:{made.findings[0].kind}#1]"
    assert made.value["any"] == "\n".join(lines).replace(SECRET, mark)


def test_a_log_in_which_most_tables_are_cut_off_is_not_withheld_for_a_secret() -> None:
    line = 'INFO query returned [["id", "name", "token_count"], [{n}, "user{n}"], [1, "us...(truncated)'
    table = f'[["user", "db_password_prod"], ["ada", "{SECRET}"]]'
    usual = f'[["user", "password"], ["ada", "{SECRET}"]]'
    lines = [line.format(n=n) for n in range(2_000)]
    made = Redactor(b"key").inspect({"any": "\n".join([*lines[:40], f"INFO {table}", *lines[40:], usual])})
    assert len(made.findings) == 1
    assert SECRET not in made.value["any"]


def test_brackets_in_brackets_that_are_no_json_are_not_each_read_to_the_end() -> None:
    one, counts = b'[["id", NaN, ', []
    for many in (8_000, 32_000):
        spent: list[int] = []
        documents = Documents(
            one * many + b'"key"' + b"\xff" * 64, lambda _strength, _value: False, spent.append
        )
        for number in range(many):
            documents.table(number * len(one) + 3)
        counts.append(sum(spent))
    assert counts[1] < 5 * counts[0]


@each(
    "unit",
    [
        'x {"name":"password","value":"x1"} ',
        '{"name":"password","value":"x1"},',
        '{"name":"password","value":{',
    ],
)
@each("ahead", ["", "x ", "x\n["])
def test_reading_from_each_place_takes_no_more_for_each_byte_of_a_longer_text(unit: str, ahead: str) -> None:
    spent = []
    for many in (250, 1_000):
        costs: list[int] = []
        text = (ahead + unit * many).encode() + b"\xff" * 64
        documents = Documents(text, lambda _strength, _value: False, costs.append)
        at = text.find(b'password",')
        while at >= 0:
            documents.secrets(at + len(b'password",'))
            at = text.find(b'password",', at + 1)
        spent.append(sum(costs))
    assert spent[1] < 5 * spent[0]
