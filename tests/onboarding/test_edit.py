"""Entries become one of mcpguard, and every other character stays."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpguard.onboarding.changed import put_back
from mcpguard.onboarding.discovery.clients import CLIENTS, File
from mcpguard.onboarding.discovery.reading import PARSERS, ClientFile, existing, parsed
from mcpguard.onboarding.edit import added, new_text, replaced
from mcpguard.onboarding.formats import Unreadable, jsonc
from tests.onboarding.corpus import CASES, FORMS, Case, Person, planted
from tests.rows import each

ENTRY = {"command": "/opt/mcpguard", "args": ["run", "--config", "/c/ü.yaml"]}


def of(
    text: str, format_: Any = "jsonc", table: tuple[str, ...] = ("mcpServers",), listed: bool = False
) -> ClientFile:
    file = File("~/x", "user", tables=(table,), format=format_, listed=listed)
    found = parsed(
        ClientFile(client=CLIENTS[0], file=file, path=Path("/x"), target=Path("/x")), text.encode()
    )
    assert not found.problem, found.problem
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_real_file_keeps_all_but_its_entries(case: Case, form: str, person: Person) -> None:
    person.has(case, form)
    (found,) = existing(person.places)
    text = replaced(found, [entry.where for entry in found.entries], ENTRY)
    assert not [secret for secret in planted(case) if secret in text]
    again = PARSERS[found.file.format](text).plain()
    assert json.dumps(again).count("/opt/mcpguard") == len({one.where[:-1] for one in found.entries})
    ends = text.count("\r\n"), text.count("\n")
    assert ends[0] == (ends[1] if form == "with CRLF" else 0)
    outside = [
        line
        for line in found.text.splitlines()
        if line.strip()
        and ("//" in line[:4] or line.lstrip().startswith(("#", '"theme', '"editor', "[tui]")))
    ]
    assert [line for line in outside if line not in text] == []


CASES_JSON = [
    # before, which go, after
    ('{"mcpServers":{"a":{"command":"x"}}}', "a", '{"mcpServers":{M}}'),
    ('{"mcpServers":{"a":{"command":"x"},"b":{"command":"y"}}}', "ab", '{"mcpServers":{M}}'),
    ('{"mcpServers":{"a":{"command":"x"},"b":{"command":"y"}}}', "a", '{"mcpServers":{M,"b":{"command":"y"}}}'),
    ('{"mcpServers":{"a":{"command":"x"},"b":{"command":"y"}}}', "b", '{"mcpServers":{"a":{"command":"x"},M}}'),
    ('{"mcpServers": {"a": {"command": "x"}, "b": {"command": "y"}, "c": {"command": "z"}, }}', "ac", '{"mcpServers": {M, "b": {"command": "y"}, }}'),
    ('{"mcpServers": {"a": {"command": "x"} /* k */, "b": {"command": "y"} /* l */ }}', "ab", '{"mcpServers": {M /* k */  /* l */ }}'),
    ('{"mcpServers": {\n  "k": {"command": "q"},\n  "a": {"command": "x"},\n  // keep\n  "b": {"command": "y"}, // too\n  "c": {"command": "z"}\n}}', "abc", '{"mcpServers": {\n  "k": {"command": "q"},\n  M\n  // keep\n   // too\n}}'),
]  # fmt: skip


@each(("before", "gone", "after"), CASES_JSON)
def test_commas_and_comments_are_right_afterwards(before: str, gone: str, after: str) -> None:
    text = replaced(of(before), [("mcpServers", name) for name in gone], ENTRY)
    member = f'"mcpguard": {json.dumps(ENTRY, ensure_ascii=False)}'
    assert text.split() == after.replace("M", member).split()
    jsonc.parse(text)


def test_a_server_that_is_called_mcpguard_already_keeps_its_name() -> None:
    text = replaced(
        of('{"mcpServers": {"mcpguard": {"command": "x"}, "b": {"command": "y"}}}'),
        [("mcpServers", "b")],
        ENTRY,
    )
    assert set(json.loads(text)["mcpServers"]) == {"mcpguard", "mcpguard-2"}


def test_where_mcpguard_stands_already_entries_only_go() -> None:
    program = json.dumps(str(Path(sys.executable).with_name("mcpguard")))
    ours = f'{{"command": {program}, "args": ["run", "--config", "/c/ü.yaml"]}}'
    before = f'{{"mcpServers": {{"mcpguard": {ours}, "b": {{"command": "y"}}}}}}'
    text = replaced(of(before), [("mcpServers", "b")], ENTRY)
    assert json.loads(text) == {"mcpServers": {"mcpguard": json.loads(ours)}}


@pytest.mark.parametrize(
    ("before", "gone", "after"),
    [
        ('[s]\na = {command="x"}\n# c\nb.command = "y"\nb.args = []\n', "ab", "[s]\nmcpguard = I\n# c\n"),
        ('s.a.command = "x"\ns.a.args = [\n "]",\n]\nz = 1\n', "a", "s.mcpguard = I\nz = 1\n"),
        (
            "[s.a]\r\ncommand = 'x'\r\n\r\n[s.a.env] # e\r\nK = '''\r\n[s.b]\r\n'''\r\n[z]\r\n",
            "a",
            "T\r\n[z]\r\n",
        ),
        ('[s."a"]\ncommand = "x"', "a", "T"),
    ],
)
def test_toml_is_edited_by_statements(before: str, gone: str, after: str) -> None:
    text = replaced(of(before, "toml", ("s",)), [("s", name) for name in gone], ENTRY)
    args = '["run", "--config", "/c/ü.yaml"]'
    inline = f'{{ command = "/opt/mcpguard", args = {args} }}'
    end = "\r\n" if "\r\n" in before else "\n"
    table = f'[s.mcpguard]{end}command = "/opt/mcpguard"{end}args = {args}{end}'
    assert text == after.replace("I", inline).replace("T", table)


@pytest.mark.parametrize(
    ("text", "format_", "where", "said"),
    [
        ('s = { a = { command = "x" } }', "toml", ("s", "a"), "give each a table of its own"),
        ("s: [{name: a, command: x}, {name: b, command: y}]", "yaml", ("s", 0), "write one server per line"),
        ("s:\n - &x\n  name: a\n  command: x\nt: *x\n", "yaml", ("s", 0), "cannot be edited safely"),
    ],
)  # fmt: skip
def test_what_cannot_be_edited_safely_is_refused(
    text: str, format_: str, where: tuple[Any, ...], said: str
) -> None:
    found = of(text, format_, ("s",), format_ == "yaml")
    with pytest.raises(Unreadable, match=said):
        replaced(found, [where], ENTRY)


@each("text", ["", "{}", '{"a": 1}', '{\n\t"a": 1, // c\n}\n', '{"mcpServers": {}}', '{"mcpServers": {"x": {"command": "y"}}}', '{\r\n  "mcpServers": {\r\n    "x": {}\r\n  }\r\n}'])  # fmt: skip
def test_mcpguard_is_added_where_there_is_none(text: str) -> None:
    found = of(text)
    after = added(found, ENTRY)
    before = jsonc.parse(text).plain() if text else {}
    want = {**before, "mcpServers": {**before.get("mcpServers", {}), "mcpguard": ENTRY}}
    assert jsonc.parse(after).plain() == want
    assert after.count("\r\n") == (after.count("\n") if "\r\n" in text else 0)


def test_a_server_of_another_kind_with_its_name_stays_when_it_is_added() -> None:
    text = added(of('{"mcpServers": {"mcpguard": {"command": "x"}}}'), ENTRY)
    assert jsonc.parse(text).plain() == {"mcpServers": {"mcpguard": {"command": "x"}, "mcpguard-2": ENTRY}}
    was = of('{"mcpServers": {"mcpguard": {"command": "x"}}}')
    back, _ = put_back(was, of(text), [], ENTRY)
    assert back.replace("} }}", "}}}") == was.text


def test_it_is_added_to_toml_and_as_a_file_of_its_own() -> None:
    assert added(of("a = 1", "toml", ("s",)), ENTRY).startswith("a = 1\n\n[s.mcpguard]\ncommand")
    text = new_text(File("~/x", "user", format="yaml", listed=True), ENTRY)
    assert PARSERS["yaml"](text).plain()["mcpServers"] == [{"name": "mcpguard", **ENTRY}]
    assert "[mcpServers.mcpguard]" in added(of("", "toml"), ENTRY)


@pytest.mark.parametrize("text", ["[]", '{"mcpServers": []}', '{"mcpServers": 1}'])
def test_where_there_is_no_mapping_nothing_is_added(text: str) -> None:
    with pytest.raises(Unreadable, match="is not a mapping"):
        added(of(text), ENTRY)


GAPS = st.sampled_from(["", " ", "\n", "\n\t", "  // note, {}\n", '/* a " , } */', "\r\n  ", "\t"])
WORDS = st.text(alphabet='ab"\\/ü☂{}[],:#\n', max_size=6)
VALUES = st.recursive(
    st.one_of(WORDS, st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[str], list[str]]:
    """A document with servers written any way, the servers, and those that go."""

    def gap() -> str:
        return draw(GAPS)

    def written(value: Any) -> str:
        if isinstance(value, dict):
            rows = [f"{gap()}{json.dumps(k)}{gap()}:{gap()}{written(v)}{gap()}" for k, v in value.items()]
            return "{" + ",".join(rows) + ("," if rows and draw(st.booleans()) else "") + gap() + "}"
        if isinstance(value, list):
            return "[" + ",".join(f"{gap()}{written(one)}{gap()}" for one in value) + gap() + "]"
        return json.dumps(value, ensure_ascii=draw(st.booleans()))

    names = draw(st.lists(WORDS.filter(lambda word: word != "mcpguard"), min_size=1, max_size=5, unique=True))
    servers = {name: {"command": draw(WORDS), "x": draw(VALUES)} for name in names}
    whole = {"a": draw(VALUES), "mcpServers": servers, "z": draw(VALUES)}
    gone = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    return f"{gap()}{written(whole)}{gap()}", names, gone


@settings(deadline=None)
@given(documents())
def test_any_document_keeps_every_byte_outside_of_the_entries(
    drawn: tuple[str, list[str], list[str]],
) -> None:
    text, names, gone = drawn
    found = of(text)
    after = replaced(found, [("mcpServers", name) for name in gone], ENTRY)
    table = jsonc.parse(text).at(("mcpServers",))
    new = jsonc.parse(after).at(("mcpServers",))
    assert table is not None
    assert new is not None
    assert after[: new.start] == text[: table.start]
    assert after[new.end :] == text[table.end :]
    kept = [text[one.start : one.node.end] for one in table.value if one.key not in gone]
    assert [after[one.start : one.node.end] for one in new.value if one.key != "mcpguard"] == kept
    assert len(new.value) == len(names) - len(gone) + 1


def test_a_huge_file_is_edited() -> None:
    history = ",".join(f'"{number}": "{"x" * 100}"' for number in range(50_000))
    text = f'{{"history": {{{history}}}, "mcpServers": {{"a": {{"command": "x"}}}}}}'
    after = replaced(of(text), [("mcpServers", "a")], ENTRY)
    assert after.startswith(text[: text.index('"a": {"command')])
