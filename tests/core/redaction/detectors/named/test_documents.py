"""Secrets in JSON that stands in a text, whole, in lines, in part, and cut off."""

from typing import Any

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
    "columns": f'{{"columns": ["id", "password"], "rows": [[1, "{SECRET}"]]}}',
}

LEFT = {
    "no JSON": f"{{ name: 'token', \"password\", {SECRET} }}",
    "brackets that do not match": f'{{"a": ["password"], (1]}} "{SECRET}"',
    "a bracket that closes another": f'{{"name": "password", ] "{SECRET}"',
    "a list of names": f'{{"topics": ["token", "cli", "password"], "id": "{SECRET}"}}',
    "a type": f'{{"type": "token", "note": "{"x" * 450}", "value": "{SECRET}"}}',
    "too deep": "[" * 120 + '"password", "x"' + f', "{SECRET}"',
    "no bracket": f'"password", "name": "{SECRET}"',
    "many brackets": "}" * 40 + f', "name": "password", "x": "{SECRET}"',
    "behind it": f'{{"name": "password"}} and {SECRET}',
    "a name twice": f'{{"a": 1, "a": 2, "name": "password", "note": "{"x" * 450}", "value": "{SECRET}"}}',
    "key": f'{{"name": "key", "x": ["key", "key"], "value": "{SECRET}"}}',
}


@each("name", FOUND)
def test_what_json_in_a_text_names_is_removed_and_nothing_else(name: str) -> None:
    made = Redactor(b"key").inspect({"any": FOUND[name]})
    said = made.value["any"]
    kind = made.findings[0].kind
    assert said == FOUND[name].replace(SECRET, f"[REDACTED:{kind}#1]")


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


class Searched(bytes):
    """Counts over how many bytes it is searched for the end of a line."""

    count = 0

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        Searched.count += (len(self) if end is None else min(end, len(self))) - start if sub == b"\n" else 0
        return super().find(sub, start, end)


def test_a_long_line_is_not_searched_to_its_end_from_each_place_in_it() -> None:
    one = b'{"name":"password","value":"x1"},'
    counts = []
    for many in (1_000, 4_000):
        Searched.count, text = 0, Searched(one * many + b'{"name":' + b"\xff" * 64)
        documents = Documents(text, lambda _cost: None)
        for number in range(many):
            at = number * len(one) + len(b'{"name":"password",')
            assert documents.secrets(at, lambda _strength, _value: False) == ([], (number + 1) * len(one) - 1)
        counts.append(Searched.count)
    assert counts[1] < 5 * counts[0]
