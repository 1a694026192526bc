"""Undo of files that were changed after the import: their entries go back, and nothing else is touched."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpguard.cli import main
from mcpguard.config.loading import find_config
from mcpguard.onboarding.changed import put_back
from mcpguard.onboarding.discovery.reading import PARSERS, existing
from mcpguard.onboarding.edit import replaced
from mcpguard.onboarding.formats import Unreadable, jsonc
from mcpguard.onboarding.journal import default_folder
from tests.adapters.credentials.fake_keyring import FakeKeyring
from tests.onboarding.corpus import CASES, WRITTEN, Case, Person, tree
from tests.onboarding.test_crash import MOVED, Killed, files, killed_at, left_by, start_over
from tests.onboarding.test_edit import ENTRY, VALUES, documents, of

Capture = pytest.CaptureFixture[str]
CLAUDE = CASES[1]
CODEX = CASES[9]


def changed(data: bytes) -> bytes:
    """What a client or a person adds to a file of any format."""
    mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
    rest = data.removeprefix(mark)
    if rest.lstrip().startswith((b"{", b"//", b"/*")):
        at = rest.index(b"{") + 1
        return mark + rest[:at] + b'"numStartups": 42, /* mcpguard */' + rest[at:]
    line = b"\r\n" if b"\r\n" in data else b"\n"
    return mark + b"# mcpguard: mine" + line + rest


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(("case", "form"), WRITTEN, ids=lambda one: getattr(one, "name", one))
def test_entries_go_back_into_a_file_that_was_changed(
    case: Case, form: str, person: Person, capsys: Capture
) -> None:
    path = person.has(case, form)
    before = tree(*person)
    path.chmod(0o640)
    assert main(["import", "--yes", "--project"]) in (0, 1)
    (found,) = existing(person.places)
    moved = path.read_bytes()
    path.write_bytes(changed(moved))
    capsys.readouterr()
    assert main(["undo"]) == 0
    assert f"{path} (changed since; only its entries were restored)" in capsys.readouterr().out
    parse = PARSERS[found.file.format]
    want = parse(changed(before[path]).decode("utf-8-sig")).plain()
    assert parse(path.read_bytes().decode("utf-8-sig")).plain() == want
    assert path.stat().st_mode & 0o777 == 0o640
    after = tree(*person)
    assert [one for one in after if one not in before and default_folder() not in one.parents] == []
    assert main(["undo"]) == 0
    assert tree(*person) == after


@settings(deadline=None)
@given(documents(), VALUES, st.sampled_from(["", " ", "\n", "// }{\n", '/* " */']), st.booleans())
def test_whatever_else_was_changed_stays_byte_for_byte(
    drawn: tuple[str, list[str], list[str]], value: Any, gap: str, more: bool
) -> None:
    text, names, gone = drawn
    was = of(text)
    ways: list[tuple[str | int, ...]] = [("mcpServers", name) for name in gone]
    after = replaced(was, ways, ENTRY)
    table = jsonc.parse(after).at(("mcpServers",))
    first = jsonc.parse(after).at(("a",))
    assert table is not None
    assert first is not None
    if more:
        after = f'{after[: table.start + 1]}{gap}"new\\"one": {{"x": 1}},{after[table.start + 1 :]}'
    after = f"{gap}{after[: first.start]}{json.dumps(value)}{after[first.end :]}{gap}"
    now = of(after)
    back, lost = put_back(was, now, ways, ENTRY)
    ours = next(one for one in jsonc.parse(after).at(("mcpServers",)).value if one.key == "mcpguard")  # type: ignore[union-attr]
    assert lost == []
    assert back.startswith(after[: ours.start])
    assert back.endswith(after[ours.node.end :])
    servers = jsonc.parse(back).plain()["mcpServers"]
    want = jsonc.parse(text).plain()["mcpServers"] | ({'new"one': {"x": 1}} if more else {})
    assert servers == want
    assert put_back(was, of(back), ways, ENTRY) == (back, [])
    assert set(names) <= set(servers)


BEFORE = '{"mcpServers": {"a": {"command": "x"}, "b": {"command": "y"}}}'
REFUSED = [
    (lambda text: text.replace('"run"', '"run", "--quiet"'), "its entry mcpguard was changed"),
    (
        lambda text: text.replace('"mcpguard": {', '"guard": {'),
        "its mcpguard entry was renamed after the import",
    ),
    (lambda text: text.replace("]} }}", ']}, "b": {"command": "z"}}}'), "now has another server named b"),
]


@pytest.mark.parametrize(("edit", "why"), REFUSED)
def test_what_could_overwrite_something_is_refused(edit: Callable[[str], str], why: str) -> None:
    was = of(BEFORE)
    ways: list[tuple[str | int, ...]] = [("mcpServers", "a"), ("mcpServers", "b")]
    after = replaced(was, ways, ENTRY)
    now = edit(after)
    assert now != after
    with pytest.raises(Unreadable, match=why):
        put_back(was, of(now), ways, ENTRY)


def test_a_file_that_its_client_writes_after_an_early_crash_holds_nothing_up(
    person: Person, backend: FakeKeyring
) -> None:
    path = person.home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    servers = {name: {"command": "node", "env": {"TOKEN": f"secret-of-{name}"}} for name in "abc"}
    path.write_text(json.dumps({"mcpServers": servers}))
    assert main(["import", "--yes", "--server", "a"]) == 0
    for number in range(8):
        with killed_at(number, backend), pytest.raises(Killed):
            main(["import", "--yes"])
        path.write_bytes(b" " + path.read_bytes())
        assert main(["import", "--yes", "--client", "junie"]) == 0, number
    assert main(["undo"]) == 0
    assert json.loads(path.read_bytes())["mcpServers"] == servers


def test_a_secret_that_somebody_stores_meanwhile_is_not_overwritten(
    person: Person, backend: FakeKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    path = person.has(CASES[0])
    before = path.read_bytes()
    name = "github/GITHUB_PERSONAL_ACCESS_TOKEN"

    def meanwhile(*_: Any) -> bool:
        backend.set_password("mcpguard", name, "the-other-value")
        return True

    terminal = io.StringIO("acme\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr("mcpguard.cli.onboarding.import.confirmed", meanwhile)
    assert main(["import"]) == 2
    assert f"the secret {name} was stored by another program in the meantime" in capsys.readouterr().err
    assert backend.entries["mcpguard", name] == "the-other-value"
    assert path.read_bytes() == before


def test_a_secret_that_another_configuration_uses_stays_when_one_client_goes_back(
    person: Person, backend: FakeKeyring
) -> None:
    server = {"mcpServers": {"a": {"command": "node", "env": {"TOKEN": "secret-of-both"}}}}
    for name in (".cursor", ".lmstudio"):
        (person.home / name).mkdir()
        (person.home / name / "mcp.json").write_text(json.dumps(server))
    assert main(["import", "--yes", "--client", "cursor"]) == 0
    other = str(person.home / "other" / "mcpguard.yaml")
    assert main(["import", "--yes", "--client", "lmstudio", "--config", other]) == 0
    assert main(["undo", "--client", "cursor"]) == 0
    assert backend.entries["mcpguard", "a/TOKEN"] == "secret-of-both"
    assert main(["undo"]) == 0


@pytest.mark.usefixtures("backend")
def test_a_changed_file_that_is_broken_stays(person: Person, capsys: Capture) -> None:
    path = person.has(CLAUDE)
    assert main(["import", "--yes"]) == 0
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert main(["undo"]) == 1
    assert "so it was left alone" in capsys.readouterr().out
    assert path.read_bytes() == whole[:-20]
    path.write_bytes(b"\n" + whole)
    assert main(["undo"]) == 0


@pytest.mark.usefixtures("backend")
def test_a_project_that_its_client_forgot_does_not_hold_the_others_up(
    person: Person, capsys: Capture
) -> None:
    path = person.has(CLAUDE)
    before = json.loads(path.read_bytes())
    assert main(["import", "--yes"]) == 0
    now = json.loads(path.read_bytes())
    now["projects"] = {}
    path.write_text(json.dumps(now))
    assert main(["undo"]) == 0
    assert "is missing, and so are the servers that it contained" in capsys.readouterr().out
    assert json.loads(path.read_bytes()) == before | {"projects": {}}


def test_two_imports_of_one_file_go_back_one_after_the_other(person: Person, backend: FakeKeyring) -> None:
    path = person.home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    servers = {name: {"command": "node", "env": {"TOKEN": f"secret-of-{name}"}} for name in "abc"}
    path.write_text(json.dumps({"mcpServers": servers}, indent=2))
    for name in "ab":
        assert main(["import", "--yes", "--server", name]) == 0
    path.write_bytes(changed(path.read_bytes()))
    assert main(["undo"]) == 0
    text = path.read_text()
    assert jsonc.parse(text).plain() == {"numStartups": 42, "mcpServers": servers}
    assert [key for key in backend.entries if key[0] == "mcpguard"] == []
    assert main(["import", "--yes"]) == 0
    assert main(["undo"]) == 0
    assert path.read_text() == text


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("case", [CLAUDE, CODEX], ids=lambda case: case.name)
def test_what_install_added_goes_out_of_a_file_that_was_changed(case: Case, person: Person) -> None:
    config = person.home / ".config" / "mcpguard" / "mcpguard.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("version: 1\nservers:\n  a:\n    command: /bin/true\n")
    assert main(["install", case.client]) == 0
    path = person.path(case)
    path.write_bytes(changed(path.read_bytes()))
    assert main(["undo"]) == 0
    assert b"run" not in path.read_bytes()
    assert b"mcpguard" in path.read_bytes()


def test_an_undo_of_changed_files_that_ends_at_any_step_is_finished_by_the_next(
    person: Person, backend: FakeKeyring
) -> None:
    start_over(person, backend)
    paths = [person.path(case) for case in MOVED]
    want = [
        PARSERS[form](changed(path.read_bytes()).decode()).plain()
        for form, path in zip(("jsonc", "toml"), paths, strict=True)
    ]
    assert main(["import", "--yes"]) == 0
    for path in paths:
        path.write_bytes(changed(path.read_bytes()))
    for number in left_by(["undo"], person, backend):
        assert main(["undo"]) == 0, number
        got = [
            PARSERS[form](path.read_text()).plain()
            for form, path in zip(("jsonc", "toml"), paths, strict=True)
        ]
        assert got == want, number
        assert set(files(person)) == set(paths)
        assert [key for key in backend.entries if key[0] == "mcpguard"] == []
    assert number > 20


def test_what_takes_the_place_of_a_projects_file_does_not_keep_others_from_being_restored(
    person: Person, capsys: Capture
) -> None:
    mine, others = person.home / ".cursor" / "mcp.json", person.project / ".mcp.json"
    mine.parent.mkdir()
    before = json.dumps({"mcpServers": {"a": {"command": "node"}}})
    for path in (mine, others):
        path.write_text(before)
    assert main(["import", "--yes", "--project"]) == 0
    others.unlink()
    os.mkfifo(others)
    main(["undo"])
    assert mine.read_text() == before
    assert f"{others} was changed after the import, so it was left alone" in capsys.readouterr().out


@pytest.mark.usefixtures("backend")
def test_what_a_client_noted_in_the_entry_goes_with_it(person: Person, capsys: Capture) -> None:
    path = person.home / ".gemini" / "settings.json"
    path.parent.mkdir()
    was = {"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}
    path.write_text(json.dumps(was))
    assert main(["import", "--yes"]) == 0
    entry = json.loads(path.read_text())["mcpServers"]["mcpguard"]
    noted = {"trust": True, "timeout": 9, "excludeTools": ["x"]}
    path.write_text(json.dumps({"mcpServers": {"mcpguard": entry | {"env": {"A": "b"}}}}))
    assert main(["undo"]) == 1
    path.write_text(json.dumps({"ui": {}, "mcpServers": {"mcpguard": entry | noted}}))
    assert main(["undo"]) == 0
    assert json.loads(path.read_text()) == {"ui": {}, **was}


@pytest.mark.usefixtures("backend")
def test_only_the_files_of_the_client_that_goes_back_are_offered(person: Person, capsys: Capture) -> None:
    paths = [person.home / ".cursor" / "mcp.json", person.home / ".gemini" / "settings.json"]
    for path in paths:
        path.parent.mkdir()
        path.write_text(json.dumps({"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}))
    assert main(["import", "--yes"]) == 0
    for path in paths:
        path.write_text(path.read_text().replace('"--agent"', '"--mine", "--agent"'))
    capsys.readouterr()
    assert main(["undo", "--client", "gemini"]) == 1
    said = capsys.readouterr().out
    assert (
        f"`mcpguard undo --client gemini --beside` writes the original content, with its secrets, to {paths[1]}"
        in said
    )
    assert str(paths[0]) not in said


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("last", [["--client", "gemini"], []], ids=["client", "refused"])
def test_what_was_set_since_stays_while_another_client_uses_it(
    last: list[str], person: Person, capsys: Capture
) -> None:
    cursor, gemini = paths = [person.home / ".cursor" / "mcp.json", person.home / ".gemini" / "settings.json"]
    for path in paths:
        path.parent.mkdir()
        server = {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-github"]}
        path.write_text(json.dumps({"mcpServers": {"github": server}}))
    before = [path.read_bytes() for path in paths]
    assert main(["import", "--yes"]) == 0
    assert main(["import", "--yes", "--set", "github.owners=acme"]) == 0
    config = find_config(None, os.environ)
    was, moved = config.read_bytes(), cursor.read_bytes()
    assert b"acme" in was
    if not last:
        cursor.write_bytes(moved.replace(b'"--agent"', b'"--mine", "--agent"'))
    capsys.readouterr()
    assert main(["undo", *last]) == (0 if last else 1)
    assert f"restored {config}" not in capsys.readouterr().out
    assert config.read_bytes() == was
    assert gemini.read_bytes() == before[1]
    cursor.write_bytes(moved)
    assert main(["undo"]) == 0
    assert [path.read_bytes() for path in paths] == before
    assert not config.exists()
