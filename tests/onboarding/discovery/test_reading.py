"""Every client's configuration is found and read, with the place of each secret, and nothing is written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mcpguard.onboarding.discovery.clients import CLIENTS
from mcpguard.onboarding.discovery.entry import Entry
from mcpguard.onboarding.discovery.reading import SERVERS_LIMIT, SIZE_LIMIT, ClientFile, existing, here
from tests.onboarding.corpus import CASES, FORMS, Case, Person, content, planted


def value_at(entry: Entry, place: tuple[str | int, ...]) -> str:
    value = getattr(entry, str(place[0]))
    return str(value[place[1]]) if len(place) > 1 else str(value)


def secrets(found: ClientFile) -> list[str]:
    return [
        value_at(entry, one.place)[one.start : one.end] for entry in found.entries for one in entry.secrets
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_client_is_read_and_every_secret_is_seen(case: Case, form: str, person: Person) -> None:
    path = person.has(case, form)
    before = path.read_bytes()
    (found,) = existing(person.places)
    assert (found.problem, found.client.name, found.path) == ("", case.client, path)
    assert secrets(found) == planted(case)
    assert path.read_bytes() == before
    assert found.mark == (form == "with a byte order mark")


def test_every_client_has_a_case() -> None:
    assert {case.client for case in CASES} == {client.name for client in CLIENTS}


def test_all_clients_are_found_together_each_file_once(person: Person) -> None:
    for case in CASES:
        person.has(case)
    paths = [found.path for found in existing(person.places)]
    assert len(paths) == len(set(paths)) == len(CASES)


def test_what_an_entry_means(person: Person) -> None:
    for case in CASES:
        person.has(case)
    entries = {
        (found.client.name, entry.name): entry for found in existing(person.places) for entry in found.entries
    }
    github = entries["claude-desktop", "github"]
    assert (github.command, github.args) == ("npx", ("-y", "@modelcontextprotocol/server-github"))
    assert entries["claude-code", "db"].where == ("projects", "/home/u/work", "mcpServers", "db")
    zed = entries["zed", "postgres-tools"]
    assert (zed.command, zed.args) == ("pg-tools", ("serve",))
    figma = entries["codex", "figma"]
    assert figma.headers == {
        "X-Figma-Region": "us-east-1",
        "Authorization": "Bearer ${env:FIGMA_OAUTH_TOKEN}",
    }
    assert entries["windsurf", "zapier"].url.startswith("https://actions.zapier.example/mcp/")
    assert entries["gemini", "things"].type == "http"
    assert entries["continue", "Issues"].headers["Authorization"].startswith("Bearer ")
    assert entries["codex", "git tools"].env["GIT_AUTHOR_NAME"] == "Zoë"
    assert entries["codex", "git tools"].line == 18


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        (
            ".cursor/mcp.json",
            '{\n  "mcpServers": {\n    "a" {}\n  }\n}\n',
            ":3:9: `:` is expected after a key",
        ),
        (".cursor/mcp.json", '{"a": 1} x', ":1:10: nothing may follow the end of the value"),
        (".cursor/mcp.json", '{"a": [1, 2', ":1:12: `,` or `]` is expected here"),
        (".cursor/mcp.json", '{"a": ', ":1:7: the file ends too early"),
        (".cursor/mcp.json", '{"a": ?}', ":1:7: a value is expected here"),
        (".cursor/mcp.json", '{"a": "\\q"}', ":1:7: this text has an escape that JSON does not know"),
        (".cursor/mcp.json", "{a: 1}", ":1:2: text in double quotes is expected here"),
        (".cursor/mcp.json", "/* {}", ":1:1: this comment is not closed"),
        (".cursor/mcp.json", "[" * 100 + "]" * 100, ":1:66: nested deeper than 64 levels"),
        (".cursor/mcp.json", f'{{"a": {"9" * 5000}}}', ":1:7: this number has too many digits"),
        (
            ".cursor/mcp.json",
            '{"mcpServers": {},\n"mcpServers": {}}',
            ":2:1: this key is a duplicate: delete one of the two, and run the command again",
        ),
        (
            ".cursor/mcp.json",
            '{"mcpServers": {"a": {},\n"a": {}}}',
            ":2:1: this key is a duplicate: delete one of the two, and run the command again",
        ),
        (".codex/config.toml", f"a = {'9' * 5000}\n", ":1:1: a number has too many digits"),
        (".codex/config.toml", f"{'a.' * 6000}b = 1\n", ":1:1: nested deeper than 64 levels"),
        (".codex/config.toml", f"\n[{'a.' * 6000}b]\n", ":2:1: nested deeper than 64 levels"),
        (".continue/config.yaml", "a: &x 1\nb: [&x 2, *x]\n", ":2:5: an anchor is there twice"),
        (
            ".continue/config.yaml",
            "mcpServers: []\nmcpServers: []\n",
            ":2:1: this key is a duplicate: delete one of the two, and run the command again",
        ),
        (".codex/config.toml", "[a]\nb = \n", ":2:5: not TOML"),
        (".codex/config.toml", "[a", ":1:3: not TOML"),
        (".codex/config.toml", f"[a]\nb = {'[' * 150}{']' * 150}\n", ":2:1: nested deeper than 64 levels"),
        (".continue/config.yaml", "a: [1\nb: 2\n", "2:2: not YAML: "),
        (".continue/config.yaml", "a: 1\n---\nb: 1\n", ":2:1: a file may contain one document only"),
        (".continue/config.yaml", "a: \x01\n", ":1:4: this character is not allowed in YAML"),
        (".continue/config.yaml", "[" * 100 + "]" * 100, ":1:65: nested deeper than 64 levels"),
    ],
)
def test_a_broken_file_is_one_sentence_with_its_place_and_the_others_go_on(
    path: str, text: str, said: str, person: Person
) -> None:
    file = person.home / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    person.has(CASES[0])
    good, bad = sorted(existing(person.places), key=lambda found: found.problem)
    assert len(good.entries) == 3
    assert bad.problem.startswith(str(file))
    assert said in bad.problem
    assert "\n" not in bad.problem


def test_what_is_no_text_or_no_file_is_said(person: Person) -> None:
    (person.home / ".cursor").mkdir()
    file = person.home / ".cursor" / "mcp.json"
    file.write_bytes(b'{\n"\xff": 1}')
    (person.home / ".junie" / "mcp" / "mcp.json").mkdir(parents=True)
    (person.home / ".lmstudio").mkdir()
    with (person.home / ".lmstudio" / "mcp.json").open("wb") as huge:
        huge.truncate(SIZE_LIMIT + 1)
    (person.home / ".claude.json").symlink_to("nowhere")
    (person.home / ".codex").mkdir()
    (person.home / ".codex" / "config.toml").symlink_to("config.toml")
    said = [found.problem.partition(str(person.home))[2] for found in existing(person.places)]
    assert said == [
        "/.claude.json: not a regular file",
        "/.cursor/mcp.json:2:1: not UTF-8",
        "/.codex/config.toml: not a regular file",
        "/.junie/mcp/mcp.json: not a regular file",
        f"/.lmstudio/mcp.json: larger than {SIZE_LIMIT} bytes",
    ]


@pytest.mark.parametrize("name", [".cursor/mcp.json", ".mcp.json"])
def test_a_file_that_would_hold_the_command_up_is_left_out(name: str, person: Person) -> None:
    folder = person.home if name == ".cursor/mcp.json" else person.project
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    limit = SERVERS_LIMIT["user" if folder == person.home else "project"]
    for count, said in ((limit, ""), (limit + 1, f"{path}: more than {limit} servers")):
        path.write_text(json.dumps({"mcpServers": {f"s{one}": {"command": "x"} for one in range(count)}}))
        (found,) = existing(person.places)
        assert found.problem == said


def test_an_empty_file_has_no_servers(person: Person) -> None:
    path = person.has(CASES[0])
    path.write_text("")
    (found,) = existing(person.places)
    assert (found.problem, found.entries) == ("", ())


def test_an_entry_that_cannot_be_guarded_says_why(person: Person) -> None:
    path = person.has(CASES[0])
    path.write_text(
        '{"mcpServers": {"a": 1, "b": {}, "c": {"command": "x", "envFile": [".env"]}, "d": {"command": "x", "args": "y"},'
        ' "e": {"command": "OURS", "args": ["run"]}, "f": {"command": "x", "env": {"A": null, "B": true}}}}'.replace(
            "OURS", str(Path(sys.executable).with_name("mcpguard"))
        )
    )
    (found,) = existing(person.places)
    assert [entry.problem for entry in found.entries] == [
        "is not a mapping",
        "has neither a command nor a URL",
        "has several files of variables (envFile)",
        "sets `args` to something other than a list",
        "",
        "",
    ]
    assert [entry.guarded for entry in found.entries] == [False] * 4 + [True, False]
    assert found.entries[5].env == {"A": "", "B": "true"}


def test_a_server_of_an_extension_says_so(person: Person) -> None:
    path = person.has(CASES[0])
    entries = {"a": {"source": "extension", "enabled": True}, "b": {"settings": {"key": "x"}}}
    path.write_text(json.dumps({"mcpServers": entries}))
    (found,) = existing(person.places)
    said = "is started by an extension of its client: enter its command or URL there instead"
    assert [entry.problem for entry in found.entries] == [said, said]


def test_a_key_with_another_form_than_clients_read_is_said(person: Person) -> None:
    path = person.has(CASES[0])
    wrong = {"command": ["uvx", "server"], "env": ["A=1"], "headers": ["A: 1"], "cwd": ["/srv"], "url": 1}
    entries = {key: {"command": "x", key: value} for key, value in wrong.items()}
    path.write_text(json.dumps({"mcpServers": entries}))
    (found,) = existing(person.places)
    assert [entry.problem for entry in found.entries] == [
        "sets `command` to something other than a string",
        "sets `env` to something other than a mapping",
        "sets `headers` to something other than a mapping",
        "sets `cwd` to something other than a string",
        "sets `url` to something other than a string",
    ]


def test_what_would_be_taken_for_something_else_is_not_guarded(person: Person) -> None:
    path = person.has(CASES[0])
    path.write_text(
        '{"mcpServers": {"a\\ud800": {"command": "x"}, "b": {"command": "x", "env": {"A": {"b": 1}}},'
        ' "c": {"command": "x", "args": [["y"]]}, "d": {"command": "x", "env": {"\\ud800": 1}}}}'
    )
    (found,) = existing(person.places)
    said = [entry.problem for entry in found.entries]
    no_text = "has a list or a mapping where a string is expected"
    half = "contains half of a surrogate pair"
    assert said == [half, no_text, no_text, half]
    path.unlink()
    yaml = person.home / ".continue" / "config.yaml"
    yaml.parent.mkdir()
    yaml.write_text(
        "x: &x {TOKEN: abc}\nmcpServers:\n- {name: a, command: x, env: *x}\n- {name: b, command: x, env: {<<: *x}}\n"
        "- {name: c, command: x, <<: {env: {}}}\n- {name: [d], command: x}\n"
    )
    (found,) = existing(person.places)
    alias = "has a YAML alias: write out its value"
    assert [entry.problem for entry in found.entries] == [alias, alias, alias, ""]


def test_nothing_that_is_shown_holds_a_value(person: Person) -> None:
    person.has(CASES[0])
    (found,) = existing(person.places)
    shown = repr(found) + repr(found.entries)
    assert planted(CASES[0])[0] not in shown
    assert planted(CASES[0])[0] in content(CASES[0])


def test_the_folders_are_those_of_the_environment(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert here({"HOME": "/h"}, None).config == Path("/h/.config")
    assert here({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}, None).config == Path("/c")
    monkeypatch.setattr("sys.platform", "darwin")
    assert here({"HOME": "/h"}, Path("/p")).config == Path("/h/Library/Application Support")
    assert [found.path for found in existing(here({"HOME": str(person.home)}, None))] == []
