"""A document that a person wrote: every mistake is told, at its place."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import pytest
import yaml
from pydantic import Field, Tag

from mcpguard.core.document import yaml_tree
from mcpguard.core.document.constraints import Mistake, above, between, filled, matching
from mcpguard.core.document.reading import Document, read
from mcpguard.core.document.written import Filled, Items, Written, by_shape, renamed, whole
from mcpguard.core.errors import ConfigError, DocumentError, PolicyError
from tests.rows import each


class Leaf(Written):
    name: str
    size: int = 1
    weight: float = 1.0
    open: bool = False
    colour: Literal["red", "green"] = "red"
    alias: Annotated[
        Annotated[str, Tag("text")] | Annotated[Items[str], Tag("a list")], by_shape("text", "a list")
    ] = ""
    note: str | None = None
    span: float | None = None
    kind: Annotated[Literal["timber", "steel"], renamed({"wood": "timber"})] = "steel"

    def mistakes(self) -> Iterator[Mistake]:
        if self.name == "forbidden":
            yield ("name",), "this name is taken"


class Root(Written):
    version: Annotated[Literal[1], whole("1")]
    leaves: Items[Leaf] = ()
    table: dict[str, Leaf] = Field({})
    words: Items[str] = ()
    only: Leaf | None = None

    elsewhere: ClassVar[Mapping[str, str]] = {"wordy": "write `words`, one each"}


def mistakes(text: str, type_: type[Written] = Root) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read(text, "f.yaml", type_)
    return [f"{p.line}:{p.column} {p.message}" for p in caught.value.problems]


@pytest.mark.parametrize(("written", "span"), [("3", 3), ("3.5", 3.5), ("~", None)])
def test_a_whole_number_is_a_number_where_there_may_be_none(written: str, span: float | None) -> None:
    text = f"version: 1\nleaves: [{{name: a, span: {written}}}]\n"
    assert read(text, "f", Root).leaves[0].span == span


def test_a_right_document_becomes_the_struct() -> None:
    text = """\
version: 1
leaves:
  - {name: a, size: 3, weight: 2, open: true, colour: green, alias: [x, y], note: ~}
  - {name: "no", weight: 1.5e3, alias: z, note: yes}
table: {on: {name: off}}
words: ["1", 'true', 0x1, 1_0, "\\u00e9"]
"""
    assert read(text, "f", Root) == Root(
        version=1,
        leaves=(
            Leaf(name="a", size=3, weight=2, open=True, colour="green", alias=("x", "y"), note=None),
            Leaf(name="no", weight=1500.0, alias="z", note="yes"),
        ),
        table={"on": Leaf(name="off")},
        words=("1", "true", "0x1", "1_0", "é"),
    )


@each(
    ("text", "expected"),
    [
        ("", "0:0 the file is empty"),
        ("# only a comment\n", "0:0 the file is empty"),
        ("~", "0:0 the file is empty"),
        ("- 1\n", "1:1 expected a mapping with `version`, found a list"),
        ("version: 1\nleaves: [a]\n", "2:10 expected a mapping with `name`, found text"),
        ("version: 2\n", "1:10 expected 1"),
        ("version: '1'\n", "1:10 expected 1, found text"),
        ("version: true\n", "1:10 expected 1, found true or false"),
        ("version: 1.0\n", "1:10 expected 1, found a number"),
        ("words: []\n", "1:1 `version` is missing: write `version: 1`"),
        ("version: 1\nversion: 1\n", "2:1 `version` appears twice; first on line 1"),
        ("version: 1\nleafs: []\n", "2:1 unknown key `leafs`; did you mean `leaves`?"),
        (
            "version: 1\nzzz: []\n",
            "2:1 unknown key `zzz`; the known ones are version, leaves, table, words, only",
        ),
        (
            "version: 1\ntabel_of: []\n",
            "2:1 unknown key `tabel_of`; the known ones are version, leaves, table, words, only",
        ),
        ("version: 1\nwordy: []\n", "2:1 unknown key `wordy`; write `words`, one each"),
        ("version: 1\ncolour: red\n", "2:1 unknown key `colour`; it belongs under `only`"),
        ("version: 1\nonly: {name: a, kind: wood}\n", "2:23 `wood` is `timber` here"),
        ("version: 1\nonly: {name: a, kind: stone}\n", "2:23 expected one of timber, steel"),
        ("version: 1\nonly: {name: a, kind: 1}\n", "2:23 expected one of timber, steel, found a number"),
        ("version: 1\n1: x\n", "2:1 a key must be text"),
        ("version: 1\n[a]: x\n", "2:1 a key must be text"),
        ("version: 1\nwords: [1]\n", "2:9 expected text, found a number; put it in quotes"),
        ("version: 1\nwords: [1.5]\n", "2:9 expected text, found a number; put it in quotes"),
        ("version: 1\nwords: [true]\n", "2:9 expected text, found true or false; put it in quotes"),
        ("version: 1\nwords: [[]]\n", "2:9 expected text, found a list"),
        ("version: 1\nwords:\n", "2:7 expected a list, found nothing"),
        ("version: 1\ntable: []\n", "2:8 expected a mapping, found a list"),
        ("version: 1\ntable: {a: {}}\n", "2:12 `name` is missing"),
        ("version: 1\nleaves: [{name: a, open: yes}]\n", "2:26 expected true or false, found text"),
        ("version: 1\nleaves: [{name: a, size: 1.5}]\n", "2:26 expected a whole number, found a number"),
        ("version: 1\nleaves: [{name: a, weight: x}]\n", "2:28 expected a number, found text"),
        ("version: 1\nleaves: [{name: a, colour: blue}]\n", "2:28 expected one of red, green"),
        (
            "version: 1\nleaves: [{name: a, colour: Green}]\n",
            "2:28 expected one of red, green; did you mean `green`?",
        ),
        ("version: 1\nleaves: [{name: a, colour: 1}]\n", "2:28 expected one of red, green, found a number"),
        (
            "version: 1\nleaves: [{name: a, alias: 1}]\n",
            "2:27 expected text or a list, found a number; put it in quotes",
        ),
        ("version: 1\nleaves: [{name: a, note: []}]\n", "2:26 expected text, found a list"),
        ("version: 1\nleaves: [{name: forbidden}]\n", "2:17 this name is taken"),
        ("version: 1\n---\nversion: 1\n", "2:1 a file may contain one document only"),
        (
            "version: 1\nwords: &a []\n",
            "2:8 anchors (`&name`) are not supported: quote a value that begins with `&`",
        ),
        (
            "version: 1\nwords: [!!str 1]\n",
            "2:9 tags (`!name`) are not supported: quote a value that begins with `!`",
        ),
        ("version: 1\nwords: [\x07]\n", "2:9 this character is not allowed in YAML"),
        ('version: 1\nwords: ["\\0"]\n', "2:9 NUL and halves of surrogate pairs are not allowed"),
        ("version: 1\nwords: ['\ud800']\n", "2:10 this character is not allowed in YAML"),
    ],
)
def test_a_mistake_has_its_place(text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


Size = Annotated[int, between(1, 3)]
Colour = Annotated[Literal["red", "green"], Tag("text")]


class Strict(Written):
    size: Size | None = None
    wait: Annotated[float, above(0, 5, "seconds")] = 1.0
    words: Annotated[
        Items[Annotated[str, matching("[a-z]+", "must be small letters")]], filled("is empty")
    ] = ("a",)
    table: dict[Annotated[str, matching("[a-z]+", "must be small letters")], Leaf] = Field({})
    either: Annotated[Colour | Annotated[Leaf, Tag("a mapping")], by_shape("text", "a mapping")] = "red"
    any: dict[str, Any] = Field({})
    json_: Size = Field(1, alias="json")

    def mistakes(self) -> Iterator[Mistake]:
        if self.words == ("b",):
            yield ("words", 0), "this word is taken"


@each(
    ("text", "expected"),
    [
        ("size: 4\n", ["1:7 must be from 1 to 3"]),
        ("size: true\n", ["1:7 expected a whole number, found true or false"]),
        ("wait: 0\n", ["1:7 must be above 0 and at most 5 seconds"]),
        ("wait: true\n", ["1:7 expected a number, found true or false"]),
        ("words: []\n", ["1:8 is empty"]),
        ("words: [a, B]\n", ["1:12 must be small letters"]),
        ("table: {a: {name: x}, B: {name: x}}\n", ["1:23 must be small letters"]),
        ("either: blue\n", ["1:9 expected one of red, green"]),
        ("either: {nam: x}\n", ["1:9 `name` is missing", "1:10 unknown key `nam`; did you mean `name`?"]),
        ("either: {name: 1}\n", ["1:16 expected text, found a number; put it in quotes"]),
        ("either: [x]\n", ["1:9 expected text or a mapping, found a list"]),
        ("either: ~\n", ["1:9 expected text or a mapping, found nothing"]),
        ("json: 4\n", ["1:7 must be from 1 to 3"]),
        ("jso: 4\n", ["1:1 unknown key `jso`; did you mean `json`?"]),
        ("json_: 4\n", ["1:1 unknown key `json_`; did you mean `json`?"]),
        ("any: [1]\n", ["1:6 expected a mapping, found a list"]),
    ],
)
def test_a_field_says_what_it_takes(text: str, expected: list[str]) -> None:
    assert mistakes(text, Strict) == expected


def test_relations_are_told_beside_values_that_are_wrong_by_themselves() -> None:
    text = "size: 9\nwords: [b]\ntable: {a: {name: forbidden}}\n"
    assert [one.split()[0] for one in mistakes(text, Strict)] == ["1:7", "2:9", "3:19"]


def test_values_of_any_shape_come_back_as_json_has_them() -> None:
    text = "any: {a: [1, 1.5, true, ~, {b: x}]}\n"
    assert read(text, "f", Strict).any == {"a": [1, 1.5, True, None, {"b": "x"}]}


class Whole(Filled):
    when: str | None = None
    part: Size = 1


@pytest.mark.parametrize(
    ("text", "place"), [("when:\n", "1:1"), ("part: 1\nwhen: ~\n", "2:1"), ("part: null\n", "1:1")]
)
def test_a_key_without_a_value_can_be_a_mistake(text: str, place: str) -> None:
    (found,) = mistakes(text, Whole)
    assert found.startswith(f"{place} `")
    assert found.endswith("` has no value: write one, or leave the key out")


def test_a_mistake_never_shows_the_value() -> None:
    text = "size: hunter2\nwords: [Hunter2]\neither: hunter2\nwait: hunter2\nany: hunter2\n"
    assert "unter2" not in "".join(mistakes(text, Strict))


@each("text", ["version: [1\n", 'version: "1\n', "a: b: c\n", "\tx: 1\n", "%YAML 9.9\n---\na"])
def test_broken_yaml_is_one_mistake_with_a_place(text: str) -> None:
    (mistake,) = mistakes(text)
    assert "not YAML: " in mistake
    assert not mistake.startswith("0:")


@each(
    ("text", "place", "advice"),
    [
        ("message: a: b", "1:11", "quote the whole value, or write it on the next line after `key: >-`"),
        ('- when: "a" in args.x', "1:13", "quote the whole value"),
        ("when: [1, 2].exists(x, x > 1)", "1:13", "quote the whole value"),
        ("when: @x", "1:7", "quote this value: it cannot begin with `@`"),
        ("\twhen: x", "1:1", "indent with spaces"),
        ("a: b\n\tc: d", "2:1", "indent with spaces"),
        ('when: "\\d"', "1:8", "in double quotes a backslash begins an escape: use single quotes"),
        ('when: "abc', "1:11", "a quote is not closed"),
        ("a: [1, 2", "2:1", "a bracket is not closed, a comma is missing, or a value needs quotes"),
        ("a: 1\n b: 2", "2:3", "check the indentation of this line"),
        ("a:\n  - b\n - c", "3:2", "check the indentation of this line"),
        ("- a\nb: c", "2:1", "check the indentation of this line"),
        (
            "a:\n<<<<<<< HEAD\n  b: 1\n=======\n  b: 2\n>>>>>>> x",
            "3:4",
            "line 2 belongs to an unresolved merge",
        ),
        (
            "a:\n  b: 1\n \u00a0c: 2\n  d: 3",
            "3:2",
            "indent line 3 with spaces: U+00A0 there only looks like one",
        ),
        ("when: > 5", "1:9", "the text begins on the line after `>` or `|`"),
        ("x: - a", "1:4", "write the list on the next lines, or in brackets"),
        ("when: !args.x", "1:7", "quote a value that begins with `!`"),
        ("when: *x", "1:7", "write the value out, or quote this text"),
        ("when: &x y", "1:7", "quote a value that begins with `&`"),
        ("when: !has(args.x) || args.x", "1:21", "quote this value: it cannot begin with `!`"),
        ("{when: !args.x}", "1:15", "quote this value: it cannot begin with `!`"),
        ("tools: [*]", "1:10", "quote this value: it cannot begin with `*`"),
        ("tools: *", "1:9", "quote this value: it cannot begin with `*`"),
        ("a: ? b", "1:4", "quote this value: it cannot begin with `?`"),
        ("a:\n  when: args.x\n && args.y", "3:3", "what goes on in the next line is indented deeper"),
        ("when: args.x &&\nargs.y", "3:1", "what goes on in the next line is indented deeper than its key"),
        ("version:1\npolicy: p", "2:7", "put a blank after the colon in line 1"),
        ("when: > 5", "1:9", "the text begins on the line after"),
    ],
)
def test_broken_yaml_says_what_to_write(text: str, place: str, advice: str) -> None:
    (mistake, *_) = mistakes(text)
    assert mistake.startswith(f"{place} ")
    assert advice in mistake


def test_all_mistakes_are_told_in_the_order_of_the_lines() -> None:
    text = "words: [1]\nversion: 3\nleaves:\n  - size: x\n    nam: a\n"
    assert [one.split()[0] for one in mistakes(text)] == ["1:9", "2:10", "4:5", "4:11", "5:5"]


def test_aliases_are_refused_so_that_nothing_can_be_multiplied() -> None:
    bomb = "a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\nd: &d [*d]\n"
    found = mistakes(bomb)
    assert "2:8 aliases (`*name`) are not supported: write the value out, or quote this text" in found
    assert len(found) == 8


def test_deep_nesting_is_refused_before_it_costs() -> None:
    assert mistakes("- " * 100_000) == ["1:65 nested deeper than 32 levels"]
    assert len(mistakes("[" * 100_000)) == 1


def test_a_problem_shows_the_line_and_a_caret() -> None:
    with pytest.raises(ConfigError) as caught:
        read("version: 1\nleaves:\n\t# tab\n  - {name: 1}\n".replace("\t", " "), "f.yaml", Root, ConfigError)
    assert str(caught.value).splitlines() == [
        "f.yaml:4:12: expected text, found a number; put it in quotes",
        "    - {name: 1}",
        "             ^",
    ]


@each(
    "text",
    [
        "version: 1\ntable:\n  env:\n    name: hunter2\n    size: x\n",
        "version: 1\ntable: {a: {name: x, env: hunter2, siz: 1}}\n",
        "version: 1\nleaves: [{env: {name: hunter2}}]\n",
        "version: 1\nenv: 'hunter2\n",
        "version: 1\nenv: hunter2\nenv: hunter2\n",
        "version: 1\nleaves: [{name: [env], size: a}]\nwords: [env]\nenv: hunter2\n",
        "version: 1\nemv: hunter2\n",
        "version: 1\ntable: {a: {name: x, passwort: hunter2}}\n",
    ],
)
def test_a_line_that_may_hold_a_credential_is_never_shown(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Document(text, "f", PolicyError, frozenset({"env"})).read(Root)
    assert "hunter2" not in str(caught.value)


def test_an_unknown_key_is_shown_without_its_value() -> None:
    for text, shown in (("emv: hunter2\n", "emv: …"), ("? emv\n: hunter2\n", "? emv")):
        with pytest.raises(PolicyError) as caught:
            Document(f"version: 1\n{text}", "f", PolicyError, frozenset({"env"})).read(Root)
        assert [p.excerpt for p in caught.value.problems] == [shown]


def test_lines_without_credentials_are_shown_all_the_same() -> None:
    with pytest.raises(PolicyError) as caught:
        Document("version: x\nenv: hunter2\n", "f", PolicyError, frozenset({"env"})).read(Root)
    assert [p.excerpt for p in caught.value.problems] == ["version: x", ""]


PLACES = [
    ("when: abc def\n", "abc def", "def", (1, 11)),
    ("when:   'it''s x'\n", "it's x", "x", (1, 16)),
    ("when: 'it''s'\n", "it's", "'", (1, 10)),
    ('when: "\\x41\\t\\"b"\n', 'A\t"b', "b", (1, 16)),
    ('when: "\\u0041\\U0001F600\\x20\\n b"\n', "A😀 \n b", "b", (1, 31)),
    ('when: "a\\\n  b c"\n', "ab c", "c", (2, 5)),
    ('when: "a\\_\\ \\Nb"\n', "a\xa0 \x85b", "b", (1, 15)),
    ("when: |\n  a ==\n    b c\n", "a ==\n  b c\n", "c", (3, 7)),
    ("when: >-\n  a ==\n  b c\n", "a == b c", "c", (3, 5)),
    ("when: |2-\n   a b\n", " a b", "b", (2, 6)),
    ("when: a\n  b\n\n  c\n", "a b\nc", "c", (4, 3)),
    ("when: 'a\n\n  b'\n", "a\nb", "b", (3, 3)),
    ("é: 1\nwhen: 'é😀 b'\n", "é😀 b", "b", (2, 11)),
]


class When(Written):
    when: str


@each(("text", "value", "char", "place"), PLACES)
def test_a_place_inside_a_text_is_found_in_every_style(
    text: str, value: str, char: str, place: tuple[int, int]
) -> None:
    document = Document(text, "f")
    problem = document.problem(("when",), "x", value.rindex(char))
    assert (problem.line, problem.column) == place
    if "é: 1" not in text:
        assert document.read(When).when == value


@each(
    ("text", "offset", "place"),
    [
        ("when: 'ab  '\n", 4, (1, 10)),
        ("when: a b\n", 1, (1, 9)),
        ("when: ''\n", 0, (1, 7)),
        ("when: '  '\n", 1, (1, 7)),
        ("when: |\n  ab\n", 3, (2, 5)),
    ],
)
def test_a_place_on_blanks_is_next_to_them(text: str, offset: int, place: tuple[int, int]) -> None:
    problem = Document(text, "f").problem(("when",), "x", offset)
    assert (problem.line, problem.column) == place


@each(
    ("path", "place"),
    [
        (("rules", 1, "when"), (4, 11)),
        (("rules", 1, "nope"), (4, 5)),
        (("rules", 7), (2, 3)),
        (("rules", "x"), (2, 3)),
        (("nope", 0), (1, 1)),
        (("rules", 0, "when", "deeper"), (2, 11)),
    ],
)
def test_a_path_is_found_or_the_nearest_around_it(
    path: tuple[str | int, ...], place: tuple[int, int]
) -> None:
    document = Document("rules:\n  - when: a\n\n  - when: b\n", "f")
    problem = document.problem(path, "x", 0 if len(path) == 4 else None)
    assert (problem.line, problem.column) == place


def test_an_offset_into_something_that_is_no_text_is_the_place_of_the_value() -> None:
    problem = Document("when: 17\n", "f").problem(("when",), "x", 1)
    assert (problem.line, problem.column) == (1, 7)


@pytest.mark.parametrize("text", [case[0] for case in PLACES] + ["[" * 40, "a: 'x", "a: *b", "- &a !t x"])
def test_the_loader_in_python_reads_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def outline() -> object:
        root, faults = yaml_tree.parse_tree(text)
        return (_outline(root) if root else None), [fault[:1] for fault in faults]

    fast = outline()
    monkeypatch.setattr(yaml_tree, "_LOADER", yaml.SafeLoader)
    assert outline() == fast


@pytest.mark.parametrize("escape", ["\\ud800", "\\U00110000"])
def test_the_loader_in_python_lets_no_broken_character_through(
    escape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_tree, "_LOADER", yaml.SafeLoader)
    assert len(mistakes(f'version: 1\nwords: ["{escape}"]\n')) == 1


def test_an_endless_line_is_not_shown() -> None:
    with pytest.raises(DocumentError) as caught:
        read("version: 1\nwords: [" + "x, " * 100 + "1]\n", "f", Root)
    assert caught.value.problems[0].excerpt == ""


def _outline(node: yaml_tree.Node) -> object:
    inner: object = node.value
    if node.kind == "map":
        inner = [(_outline(key), _outline(value)) for key, value in node.value]
    elif node.kind == "list":
        inner = [_outline(item) for item in node.value]
    return node.kind, node.line, node.column, inner


def test_a_file_of_another_program_may_have_what_ours_may_not_and_each_value_has_its_span() -> None:
    text = "a: &x [1.50, !t b]\nc:\n  - *x\n  - {k: 'v'}\n\n1: |\n  z\n"
    root, faults = yaml_tree.parse_tree(text, foreign=True)
    assert faults == []
    assert root is not None
    spans = {text[value.start : value.end] for _, value in root.value}
    assert spans == {"&x [1.50, !t b]", "- *x\n  - {k: 'v'}", "|\n  z\n"}
    assert yaml_tree.parse_tree(text)[1][0].message.startswith("anchors")
    assert yaml_tree.parse_tree("a: &x 1\nb: &x 2\n", foreign=True)[1] == [(2, 4, "an anchor is there twice")]
    assert len(yaml_tree.parse_tree("a: 1\n---\nb:\n - *x\n", foreign=True)[1]) == 1


def test_the_loader_in_c_is_used_where_there_is_one() -> None:
    assert importlib.import_module("mcpguard.core.document.yaml_tree")._LOADER is yaml.CSafeLoader
    assert sys.modules["yaml"].__with_libyaml__


def test_the_characters_that_are_refused_are_those_that_the_library_refuses() -> None:
    theirs = yaml.reader.Reader.NON_PRINTABLE
    for code in [*range(0x10000), 0x10000, 0x10FFFF]:
        char = chr(code)
        # A byte order mark may stand only at the start of a file, where the adapter takes it away.
        assert bool(yaml_tree._NOT_YAML.search(char)) is (bool(theirs.search(char)) or char == "\ufeff")
