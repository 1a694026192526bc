"""Secrets in lists and objects as Python, JavaScript and Ruby print them, and in JSON within JSON."""

import json
from collections.abc import Callable
from itertools import cycle, product
from typing import Any

import pytest

from mcpguard.core.redaction.detectors.named.literals import (
    PrintedText,
    as_json,
    is_called,
    part_as_json,
    part_undone,
)
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.redactor import Redactor
from tests.rows import each

SECRET = "q7Zk2vX9pL4mT8wR1nB6"

FOUND = {
    "columns and rows": f"{{'columns': ['user', 'password'], 'rows': [['ada', '{SECRET}']]}}",
    "rows": f"[['user', 'password'], ['ada', '{SECRET}']]",
    "two columns, of which the first is secret": f"[('password', 'user'), ('{SECRET}', 'ada')]",
    "tuples": f"[('user', 'password'), ('ada', '{SECRET}')]",
    "cells that JSON lacks": f"[('id', 'on', 'password'), (1, None, '{SECRET}'), (True, Decimal('1.5'), 'x')]",
    "a time": f"[('at', 'password'), (datetime.datetime(2024, 1, 2, 0, 0), '{SECRET}')]",
    "a single item": f"{{'of': ('x',), 'columns': ('id', 'token'), 'rows': [('1', '{SECRET}')]}}",
    "a name and a value": f"{{'name': 'password', 'note': '{'x' * 450}', 'value': '{SECRET}'}}",
    "a text with a quote": f"{{'name': 'password', 'note': \"it's\", 'value': '{SECRET}', 'x': [\"it's\"]}}",
    "a text with quotes": f"{{'fields': [{{'name': 'password'}}, {{'name': '\"a\"'}}], 'rows': [['{SECRET}', '\"it\\'s\"']]}}",
    "escapes that JSON lacks": f"{{'values': [['a\\x41', 'token'], ['\\n', '{SECRET}']]}}",
    "texts of bytes": f"{{b'columns': [b'id', b'token'], b'rows': [[b'1', b'{SECRET}']]}}",
    "in a text in quotes": f"{{\"said\": \"{{'columns': ['id', 'token'], 'rows': [['1', '{SECRET}']]}}\"}}",
    "behind an apostrophe": f"can't send [['user', 'token'], ['ada', '{SECRET}']], isn't allowed",
    "a mark": f"{{'sensitive': True, 'note': '{'x' * 450}', 'value': '{SECRET}'}}",
    "Node": f"{{\n  columns: [ 'user', 'password' ],\n  x: undefined,\n  rows: [ [ 'ada', '{SECRET}' ] ]\n}}",
    "names of Node": f"{{ name: 'password', note: '{'x' * 450}', value: '{SECRET}' }}",
    "names without quotes": f'{{columns: ["id", "token"], rows: [["1","{SECRET}"]]}}',
    "a name and a value without quotes": f'{{key: "token", val: "{SECRET}"}}',
    "a value far from its name": f'{{ name: "token", note: "{"x" * 450}", value: "{SECRET}" }}',
    "tuples in double quotes": f'(("id","token"),("1","{SECRET}"))',
    "a list of tuples": f'[("id", "token"), ("1", "{SECRET}")]',
    "Ruby": f"{{:columns=>['id', 'token'], :x=>nil, :rows=>[['1', '{SECRET}']]}}",
    "members of Ruby with arrows": f'{{"name"=>"token", "value"=>"{SECRET}"}}',
    "members of Ruby with spaces": f'{{"name" => "token", "value" => "{SECRET}", "at" => nil}}',
    "symbols of Ruby": f'[{{:name=>"DB_PASSWORD", :value=>"{SECRET}"}}]',
    "a table of Ruby": f'{{:columns=>["id", "token"], :rows=>[[nil, "{SECRET}"]]}}',
    "a table of Elixir": f'%{{"rows" => [[1, "{SECRET}"]], "columns" => [ "id", "token" ]}}',
    "lines of Node in JSON": f"{{\"out\": \"[\\n  [\\n    'id',\\n    'token'\\n  ],\\n  [ 1, '{SECRET}' ]\\n]\"}}",
    "lines of a log": f"12:01 INFO [('id', 1)]\n12:02 INFO [('id', 'token'), (1, '{SECRET}')]\n",
}

NAMES = ["user's token", "o'p'q token", 'user"s token', "it's a \\ token", 'us\'er "s" token']
"""Names with quotes in them, each of which some languages escape."""

SHAPES: dict[str, Callable[[str], Any]] = {
    "rows": lambda name: [[name, "kind"], [SECRET, "x"]],
    "rows whose last column is secret": lambda name: [["user", name], ["it's", SECRET]],
    "rows of three columns": lambda name: [["id", name, "kind"], ['say "hi"', SECRET, "x"]],
    "columns and rows": lambda name: {"columns": ["user's id", name], "user's rows": [["it's", SECRET]]},
    "pairs": lambda name: [["user's kind", "it's"], [name, SECRET]],
    "headers": lambda name: {"headers": ["x-it's", "y", name, SECRET]},
    "a name and a value": lambda name: {"user's name": name, "note": "it's " * 100, "its value": SECRET},
    "a value and a name": lambda name: {"value": SECRET, "note": 'a "b" ' * 100, "name": name},
}


def quoted(text: str, quote: str) -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote


def of_node(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{of_node(key)}: {of_node(of)}" for key, of in value.items()) + " }"
    if isinstance(value, list):
        return f"[ {', '.join(map(of_node, value))} ]"
    return quoted(value, '"' if "'" in value and '"' not in value else "'")


def of_ruby(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{of_ruby(key)} => {of_ruby(of)}" for key, of in value.items()) + "}"
    return f"[{', '.join(map(of_ruby, value))}]" if isinstance(value, list) else quoted(value, "'")


PRINTERS: dict[str, Callable[[Any], str]] = {
    "Python": repr,
    "Python, as tuples": lambda value: repr(value).translate(str.maketrans("[]", "()")),
    "Python, in a line": lambda value: f"can't use {value!r} isn't it\nand 'more'",
    "Node": of_node,
    "Ruby": of_ruby,
    "JSON": json.dumps,
    "JSON within JSON": lambda value: json.dumps({"body": json.dumps(value)}),
}


def of_javascript(text: str) -> str:
    return quoted(text.replace("\n", "\\n"), next((one for one in "'\"" if one not in text), "`"))


WRAPPED: dict[str, Callable[[str], str]] = {
    "JSON": lambda text: json.dumps({"body": text, "ok": True}),
    "a list in JSON in lines": lambda text: json.dumps([{"type": "text", "text": text}], indent=1),
    "Python": lambda text: repr({"body": text, "ok": True}),
    "tuples of Python": lambda text: repr([("x", text)]),
    "Node": lambda text: f"{{ body: {of_javascript(text)}, ok: true }}",
    "Ruby": lambda text: f'{{"body" => {quoted(text, chr(34))}}}',
}

IN_JSON = {
    "columns and rows": {"columns": ["user", "password"], "rows": [["ada", SECRET]]},
    "rows": [["user", "password"], ["ada", SECRET]],
    "other texts": {
        "a\n": 'say "x\\"',
        "columns": ["id", "token"],
        "rows": [['"\\\n', SECRET], ["\u00dc", ""]],
    },
    "a name and a value": {"name": "password", "note": "x" * 450, "value": SECRET},
    "a member": {"api_key": {"0": SECRET}},
    "a mark": {"a": 1, "sensitive": True, "note": "x" * 450, "value": SECRET},
}

LEFT = {
    "a template in JSON": json.dumps({"m": json.dumps([["user", "password"], ["ada", "{password}"]])}),
    "a variable in JSON": json.dumps({"m": json.dumps([["user", "password"], ["ada", "${PASSWORD}"]])}),
    "a quote that is open": f'{{"m": "\\"token\\", \\"x {SECRET}"}}',
    "names in JSON": json.dumps({"m": json.dumps({"topics": ["token", "password"], "id": SECRET})}),
    "a list of names": f"['token', 'password'] {SECRET}",
    "a call": f"assertNotIn('password', 'x') and {SECRET}",
    "what names nothing": f"{{'name': 'note', 'topics': ['token'], 'id': '{SECRET}'}}",
    "a template": "[('user', 'password'), ('ada', '{password}')]",
    "a variable": "[('user', 'password'), ('ada', '${DB_PASSWORD}')]",
    "a stand-in": "[('user', 'password'), ('user', '<password>')]",
    "pairs of which the first is a password": "[('password', 'x'), ('realm', 'pypi'), ('ipv4', 'y'), ('md5', 1)]",
    "the same in JSON": '[["password", "x"], ["repository", "https://example.com/a"], ["user", "ada"]]',
    "an arrow to a name without a value": f'{{"name"=>"token", "id"=>"{SECRET}"}}',
    "code with arrows": f'["token", "x"].each {{ |one| one => "token", "x" "{SECRET}" }}',
    "no brackets": f"'token', 'x' {SECRET}",
    "a call with an apostrophe": f"expect(\"user's token\", 'x'), '{SECRET}'",
    "a list of names with apostrophes": f"[\"user's token\", 'kind'], ['x', '{SECRET}']",
    "a name without a value": f"{{'name': \"user's token\", 'id': '{SECRET}'}}",
}


@each("name", FOUND)
def test_what_a_program_prints_is_read_as_its_json(name: str) -> None:
    made = Redactor(b"key").inspect({"any": FOUND[name]})
    said = made.value["any"]
    kind = made.findings[0].kind
    assert said == FOUND[name].replace(SECRET, f"[REDACTED:{kind}#1]")


@each("name", NAMES)
@each("shape", SHAPES)
@each("printer", PRINTERS)
def test_a_quote_in_a_name_or_beside_it_hides_nothing(name: str, shape: str, printer: str) -> None:
    text = PRINTERS[printer](SHAPES[shape](name))
    said = Redactor(b"key").inspect({"any": text}).value["any"]
    assert SECRET in text
    assert SECRET not in said


@each("printer", PRINTERS)
@each("outer", [*WRAPPED, ""])
@each("inner", WRAPPED)
def test_what_was_printed_is_read_in_a_text_that_was_printed(printer: str, outer: str, inner: str) -> None:
    names = (*NAMES[:3], "token")
    shapes = SHAPES.values()
    for shape, name in zip(shapes, cycle(names), strict=False) if outer else product(shapes, names):
        text = WRAPPED[inner](PRINTERS[printer](shape(name)))
        text = WRAPPED[outer](text) if outer else text
        said = Redactor(b"key").inspect({"any": text}).value["any"]
        assert SECRET in text
        assert SECRET not in said


def test_what_was_printed_again_keeps_what_is_around_a_secret() -> None:
    text = repr(repr([["id", "user's token"], ["it's", SECRET]]))
    made = Redactor(b"key").inspect({"any": text})
    assert made.value["any"] == text.replace(SECRET, f"[REDACTED:{made.findings[0].kind}#1]")


def test_a_place_without_a_text_in_quotes_has_nothing() -> None:
    text = b"token, x" + PAD
    assert PrintedText(text, lambda _strength, _value: True, lambda _cost: None).secrets(6) == ([], 6)


def within(value: object, levels: int, indent: int | None = None) -> str:
    for level in range(levels):
        value = {"level": level, "body": json.dumps(value, indent=indent), "ok": True}
    return json.dumps(value)


@each("name", IN_JSON)
@each("levels", [1, 2, 3])
@each("indent", [None, 2])
def test_json_within_json_is_read_at_each_level(name: str, levels: int, indent: int | None) -> None:
    text = within(IN_JSON[name], levels, indent)
    for any_text in (text, f"12:01 INFO {text}\n12:02 INFO done\n", f"{text}\n{text}"):
        said = Redactor(b"key").inspect({"any": any_text}).value["any"]
        assert SECRET not in said
        for line in filter(None, said.splitlines()[:1]):
            value = json.loads(line.removeprefix("12:01 INFO "))
            for _ in range(levels):
                value = json.loads(value["body"])
            assert type(value) is type(IN_JSON[name])


@each("name", LEFT)
def test_what_names_no_secret_stays(name: str) -> None:
    assert not Redactor(b"key").inspect({"any": LEFT[name]}).findings


@each("before", [0, 3, 5_000])
@each("behind", [0, 9_000])
def test_what_is_printed_in_a_long_text_is_read(before: int, behind: int) -> None:
    """It is exchanged in parts, and what is read in one of them has its place in the whole."""
    line = "made = [first, made_of('token', another), and_some_more_of_it(that='is', here=True)]\n"
    printed = FOUND["rows"] + "\n"
    text = before * line + printed + behind * line + printed
    made = Redactor(b"key").inspect({"any": text})
    assert made.value["any"].count(SECRET) == 0
    assert len(made.value["any"].splitlines()) == len(text.splitlines())


def test_what_is_printed_in_a_long_line_is_read() -> None:
    rows = ", ".join(
        f"{{'name': 'password', 'note': '{'x' * 450}', 'value': '{SECRET}{n}'}}" for n in range(100)
    )
    assert SECRET not in Redactor(b"key").inspect({"any": f"[{rows}]"}).value["any"]


CALLED = [
    ("f('token'", True),
    ("f(a, 'token'", True),
    ("f()['token'", True),
    ("f(g(1), 'token'", True),
    ("x = ('token'", False),
    ("('token'", False),
    ("[g(1), 'token'", False),
    ("f({'token'", False),
    ("'token'", False),
    ("[" + "(1), " * 9 + "'token'", False),
]


@pytest.mark.parametrize(("text", "is_one"), CALLED)
def test_a_call_and_an_index_are_not_what_was_printed(text: str, is_one: bool) -> None:
    assert is_called(text.encode(), len(text)) is is_one


def test_two_texts_are_not_read_as_one() -> None:
    value = {"any": ["[[1, 'token'", f"], [2, '{SECRET}']]"]}
    assert Redactor(b"key").inspect(value).value is value


SAID = [
    ("{'a': None, u'b': (1,), 'c': Decimal('1')}", '{"a": null,  "b": [1 ], "c":        ["1"]}'),
    ("{:a=>nil, 'b' => 'x'}", '{"a":0  , "b" :  "x"}'),
    ("{ a: undefined, b: [ 'x' ] }", '{"a":null     ,"b":[ "x" ] }'),
    ("['\\x41\\\\', 'say \"x\"', \"it's\"]", '["/x41\\\\", "say \'x\'", "it\'s"]'),
    ("%{'a' => true}", ' {"a" :  true}'),
    ("", ""),
    ('\\"a [\'b\'] "c"', '\\\udcffa ["b"] "c"'),
    ("\"a ['b']\"", '\udcffa ["b"]\udcff'),
]


ESCAPED = [
    (b'"', '{"a": "{\\"b\\":\\n \\\\"}', '{\udcffa\udcff: \udcff{"b":\n \\\udcff}'),
    (b'"', "'it\\'s', \\\\'x\\\\'", "'it's', \\'x\\'"),
    (b"'", "'it\\'s \"x\"', \\t", '\udcffit\'s "x"\udcff, t'),
    (b"`", "`it's \\`x\\``", "\udcffit's `x`\udcff"),
    (b'"', "", ""),
]


@pytest.mark.parametrize(("quote", "text", "undone"), ESCAPED)
def test_one_level_of_escapes_is_undone(quote: bytes, text: str, undone: str) -> None:
    part = part_undone(text.encode(), 0, quote)
    assert part.text[: -len(PAD)] == undone.encode("utf-8", "surrogateescape")


def test_each_byte_of_a_text_without_its_escapes_knows_its_place() -> None:
    text = rb"a \"b\\c\\\"d\n"
    part = part_undone(text, 3, b'"')
    made = part.text[: -len(PAD)]
    assert made == b'a "b\\c\\"d\n'
    for place, byte in enumerate(made):
        there = part.outside(place)
        assert part.inside(there) == place
        assert text[there] == byte or text[there : there + 1] == b"n"


def test_each_byte_of_a_text_with_names_in_quotes_knows_its_place() -> None:
    text = b"[{a:'x',bc: 'y', 'd':{e:1}}]"
    part = part_as_json(text, 3)
    assert part.text[: -len(PAD)] == b'[{"a":"x","bc": "y", "d":{"e":1}}]'
    for place, byte in enumerate(text):
        there = part.inside(place)
        assert part.outside(there) == place
        assert part.text[there] in (byte, ord('"'))


def test_bytes_that_are_no_text_keep_their_place() -> None:
    text = b"['a\xfe', \xfd 'b\xfc']"
    made = (
        as_json(text),
        part_undone(text, 0, b'"').text[: -len(PAD)],
        part_as_json(text, 0).text[: -len(PAD)],
    )
    for one in made:
        assert len(one) == len(text)
        assert b"\xfe" not in one


@pytest.mark.parametrize(("printed", "json"), SAID)
def test_each_byte_stays_in_its_place(printed: str, json: str) -> None:
    assert as_json(printed.encode()) == json.encode("utf-8", "surrogateescape")


def test_a_long_text_is_exchanged_in_parts_of_whole_lines() -> None:
    for text in (b"['a', None]\n" * 40_000, b"['a', None], " * 40_000):
        made = as_json(text)
        assert len(made) == len(text)
        assert made.count(b'["a", null]') >= 40_000 - 6
