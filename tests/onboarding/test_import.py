"""`mcpguard import` and `mcpguard undo` on real-shaped configurations of every client."""

from __future__ import annotations

import io
import json
import os
import sys
import tomllib
from pathlib import Path

import pytest

from mcpguard.cli import main
from mcpguard.cli.onboarding import first_look
from mcpguard.config.loading import find_config, load_config
from mcpguard.core.errors import ConfigError, Problem
from mcpguard.onboarding import disk
from mcpguard.onboarding.journal import default_folder
from tests.adapters.credentials.fake_keyring import FakeKeyring
from tests.onboarding.corpus import CASES, WRITTEN, Case, Person, planted, tree, with_a_secret

Capture = pytest.CaptureFixture[str]
GITHUB = CASES[0]


def state() -> Path:
    return default_folder()


def config() -> Path:
    return find_config(None, os.environ)


@pytest.mark.parametrize(("case", "form"), WRITTEN, ids=lambda one: getattr(one, "name", one))
def test_no_secret_is_left_in_any_file_and_undo_is_byte_exact(
    case: Case, form: str, person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    path = person.has(case, form)
    path.chmod(0o640)
    before = tree(*person)
    assert main(["import", "--yes", "--project"]) == (1 if case.name == "vscode.json" else 0)
    said = capsys.readouterr().out
    assert not [secret for secret in planted(case) if secret in said]
    assert with_a_secret(tree(*person), planted(case)) == []
    assert set(planted(case)) <= set(backend.entries.values())
    assert path.stat().st_mode & 0o7777 == 0o640
    assert load_config(config()).servers
    assert main(["check"]) == 0, capsys.readouterr().out
    capsys.readouterr()
    assert main(["undo"]) == 0
    after = tree(*person)
    assert {path: data for path, data in after.items() if state() not in path.parents} == before
    assert path.stat().st_mode & 0o7777 == 0o640
    assert [key for key in backend.entries if key[0] == "mcpguard"] == []


def test_all_clients_move_in_together_and_out_again(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    for case in CASES:
        person.has(case)
    before = tree(*person)
    secrets = [secret for case in CASES for secret in planted(case)]
    assert main(["import", "--yes", "--project"]) == 1
    said = capsys.readouterr().out
    assert not [secret for secret in secrets if secret in said]
    assert with_a_secret(tree(*person), secrets) == []
    names = set(load_config(config()).servers)
    assert {"search", "search-2", "weather", "git-tools", "issues", "shell"} <= names
    assert "stays    perplexity (VS Code) asks for a value when it starts" in said
    assert main(["check"]) == 0, capsys.readouterr().out
    capsys.readouterr()
    assert main(["undo"]) == 0
    assert "restart these clients" in capsys.readouterr().out
    assert main(["undo"]) == 0
    assert capsys.readouterr().out == "there is nothing to undo\n"
    assert {path: data for path, data in tree(*person).items() if state() not in path.parents} == before
    assert [key for key in backend.entries if key[0] == "mcpguard"] == []


def test_a_dry_run_touches_nothing_and_needs_no_keychain(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    person.has(GITHUB)
    backend.error = RuntimeError("no keychain")
    before = tree(*person)
    assert main(["import", "--dry-run"]) == 2
    said = capsys.readouterr().out
    assert '"GITHUB_PERSONAL_ACCESS_TOKEN": "********"' in said
    assert "${keyring:github/GITHUB_PERSONAL_ACCESS_TOKEN}" in said
    assert [secret for secret in planted(GITHUB) if secret in said] == []
    assert tree(*person) == before


def test_without_a_keychain_one_sentence_comes_before_anything_is_touched(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    person.has(GITHUB)
    backend.error = RuntimeError("no keychain")
    before = tree(*person)
    assert main(["import", "--yes"]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "mcpguard: this machine has no keychain" in said.err or "mcpguard: the keychain (" in said.err
    assert "`mcpguard import --to file` stores secrets in files" in said.err
    assert said.err.endswith("Nothing was changed\n")
    assert {path: data for path, data in tree(*person).items() if path.name != "lock"} == before


def test_a_dry_run_says_that_there_is_no_keychain_and_that_nothing_was_changed(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    person.has(GITHUB)
    backend.error = RuntimeError("no keychain")
    assert main(["import", "--dry-run"]) == 2
    missing, nothing = capsys.readouterr().out.splitlines()[-2:]
    assert missing.startswith("to do    the keychain (")
    assert missing.endswith(". `mcpguard import --to file` stores secrets in files that only you can read")
    assert nothing == "nothing was changed; fix this first, then run `mcpguard import` again"


def test_where_nothing_is_to_move_no_keychain_is_needed(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    backend.error = RuntimeError("no keychain")
    assert main(["import", "--yes"]) == 0
    assert capsys.readouterr().out == (
        "there is nothing to import: no client has a server in its settings; `mcpguard help start` shows "
        "how to begin without one\n"
    )
    assert [*person.home.rglob("mcpguard.yaml")] == []


@pytest.mark.parametrize("folder", [".config/mcpguard", "Library/Application Support/mcpguard"])
def test_secrets_can_go_to_files_that_only_their_owner_reads(
    folder: str, person: Person, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("MCPGUARD_CONFIG", str(person.home / folder / "mcpguard.yaml"))
    path = person.has(GITHUB)
    before = path.read_bytes()
    assert main(["import", "--yes", "--to", "file"]) == 0
    assert "weaker than a keychain" in capsys.readouterr().out
    secrets = person.home / folder / "secrets"
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in secrets.iterdir()} == {0o600}
    assert with_a_secret(tree(person.home), planted(GITHUB)) == sorted(
        one for one in secrets.iterdir() if "import" not in one.name
    )
    assert main(["check"]) == 0
    kept = [one for one in secrets.iterdir() if "import" not in one.name]
    policies = [*(config().parent / "policies").iterdir()]
    capsys.readouterr()
    assert main(["undo"]) == 0
    said = capsys.readouterr().out
    assert kept
    assert policies
    assert [one for one in (*kept, *policies, config()) if f"removed  {one}\n" not in said] == []
    assert path.read_bytes() == before
    assert not config().parent.exists()


def test_a_folder_for_secrets_that_others_can_read_is_refused(person: Person, capsys: Capture) -> None:
    person.has(GITHUB)
    folder = config().parent / "secrets"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    assert main(["import", "--yes", "--to", "file"]) == 2
    assert f"chmod 700 {folder}" in capsys.readouterr().err


def test_a_folder_for_secrets_that_no_reference_can_name_is_refused_with_what_to_do(
    person: Person, capsys: Capture
) -> None:
    person.has(GITHUB)
    config = str(person.home / "${x}" / "mcpguard.yaml")
    assert main(["import", "--yes", "--to", "file", "--config", config]) == 2
    assert "name a file in another folder with --config" in capsys.readouterr().err


@pytest.mark.usefixtures("backend")
def test_importing_twice_is_harmless(person: Person, capsys: Capture) -> None:
    person.has(GITHUB)
    assert main(["import", "--yes"]) == 0
    before = tree(*person)
    capsys.readouterr()
    assert main(["import", "--yes"]) == 0
    assert capsys.readouterr().out == "there is nothing to import\n"
    assert tree(*person) == before


@pytest.mark.usefixtures("backend")
def test_nothing_is_done_unless_somebody_agrees(
    person: Person, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    path = person.has(GITHUB)
    before = path.read_bytes()
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main(["import"]) == 2
    assert "confirm with --yes" in capsys.readouterr().out
    for answer, code in (("", 2), ("\nn", 2), ("\n", 2), ("acme\ny", 0)):
        terminal = io.StringIO(f"{answer}\n")
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", terminal)
        assert path.read_bytes() == before
        assert main(["import"]) == code
    assert path.read_bytes() != before


@pytest.mark.usefixtures("backend")
def test_only_what_is_asked_for_moves(person: Person) -> None:
    person.has(GITHUB)
    cursor = person.has(CASES[3])
    before = cursor.read_bytes()
    assert main(["import", "--yes", "--client", "claude-desktop", "--server", "github"]) == 0
    assert set(load_config(config()).servers) == {"github"}
    assert cursor.read_bytes() == before
    assert b'"filesystem"' in person.path(GITHUB).read_bytes()


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    "option", [["--server", "nope"], ["--secret", "nope.env.A"], ["--not-secret", "nope.url"]]
)
def test_a_server_that_no_client_has_is_said(option: list[str], person: Person, capsys: Capture) -> None:
    person.has(GITHUB)
    assert main(["import", "--dry-run", *option]) == 2
    assert capsys.readouterr().err == (
        "mcpguard: no client has a server named nope: they have filesystem, github, weather ☂. Nothing was changed\n"
    )


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("option", ["--secret", "--not-secret"])
def test_a_value_that_its_server_does_not_have_is_said(option: str, person: Person, capsys: Capture) -> None:
    person.has(GITHUB)
    assert main(["import", "--dry-run", option, "filesystem.args.9"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mcpguard: filesystem has no args.9; it has ")
    assert "args.0" in said
    assert said.endswith(". Nothing was changed\n")


@pytest.mark.usefixtures("backend")
def test_servers_that_moved_are_known_and_others_are_not(person: Person, capsys: Capture) -> None:
    person.has(GITHUB)
    assert main(["import", "--yes", "--no-start"]) == 0
    assert main(["import", "--yes", "--server", "github"]) == 0
    assert main(["import", "--yes", "--server", "nope"]) == 2
    assert "named nope: no server is left to import" in capsys.readouterr().err


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("stopped", "code", "why"),
    [(KeyboardInterrupt(), 130, ""), (ConfigError([Problem("mcpguard.yaml", 1, 1, "broken")]), 1, ": mcp")],
)
def test_a_look_that_is_cut_short_says_that_the_import_is_done(
    person: Person,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    stopped: BaseException,
    code: int,
    why: str,
) -> None:
    def look(_: object) -> None:
        raise stopped

    person.has(GITHUB)
    monkeypatch.setattr(first_look, "first_look", look)
    assert main(["import", "--yes"]) == code
    said = capsys.readouterr()
    assert f"stopped  the import is done; only this check of the servers was interrupted{why}" in said.out
    assert "; restart " in said.out
    assert "`mcpguard undo` restores every file" in said.out
    assert said.err == ""
    assert main(["undo"]) == 0


@pytest.mark.usefixtures("backend")
def test_a_server_that_has_instructions_starts_with_its_client_from_then_on(
    person: Person, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = {name: {"command": "node", "args": [f"/opt/{name}.js"]} for name in ("one", "two")}
    (person.home / ".cursor").mkdir()
    (person.home / ".cursor/mcp.json").write_text(json.dumps({"mcpServers": servers}))
    monkeypatch.setattr(first_look, "first_look", lambda _: first_look.FirstLook(instructed=("two",)))
    assert main(["import", "--yes"]) == 0
    said = "two has instructions for the model, so it starts when a client connects (`eager`)\n"
    assert said in capsys.readouterr().out
    assert [one.eager for one in load_config(config()).servers.values()] == [False, True]
    assert main(["undo"]) == 0
    undone = capsys.readouterr().out
    assert undone.count(f" {config()}\n") == undone.count(f"removed  {config()}\n") == 1
    assert not config().exists()


@pytest.mark.usefixtures("backend")
def test_servers_of_which_the_same_is_said_share_a_line(person: Person, capsys: Capture) -> None:
    servers = {name: {"command": "node", "args": [f"/opt/{name}.js"]} for name in ("one", "two")}
    (person.home / ".cursor").mkdir()
    (person.home / ".cursor/mcp.json").write_text(json.dumps({"mcpServers": servers}))
    assert main(["import", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.count("tools that declare themselves read-only pass") == 1
    assert "guarded  one, two: tools that declare" in said


@pytest.mark.usefixtures("backend")
def test_commands_that_are_printed_can_be_typed_as_they_are(
    person: Person, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.has(GITHUB)
    bin_ = os.path.dirname(sys.executable)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert main(["import", "--yes", "--no-start"]) == 0
    note = f"note: `mcpguard` is not in your PATH; for this shell: `alias mcpguard={bin_}/mcpguard`\n"
    assert note in capsys.readouterr().out
    assert main(["undo"]) == 0
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin")
    assert main(["import", "--yes", "--no-start"]) == 0
    assert "not in your PATH" not in capsys.readouterr().out


def test_an_import_keeps_secrets_where_the_last_one_did(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    person.has(GITHUB)
    backend.error = RuntimeError("no keychain")
    assert main(["import", "--yes", "--no-start", "--to", "file"]) == 0
    person.has(CASES[3])
    assert main(["import", "--yes", "--no-start", "--set", "github.owners=acme"]) in (0, 1)
    assert "files that only you can read" in capsys.readouterr().out
    assert main(["undo"]) == 0


@pytest.mark.usefixtures("backend")
def test_the_last_three_lines_say_what_is_guarded_what_stays_and_how_to_go_back(
    person: Person, capsys: Capture
) -> None:
    person.has(CASES[4])
    assert main(["import", "--yes"]) == 1
    guarded, stays, undo = capsys.readouterr().out.splitlines()[-3:]
    assert guarded.startswith("guarded  ")
    assert guarded.endswith("; restart VS Code")
    assert stays.startswith("stays    perplexity (VS Code) asks for a value when it starts")
    assert undo.startswith("undo     `mcpguard undo` restores every file")
    person.path(CASES[4]).write_text('{"servers": {"notes": {"command": "node"}}}')
    assert main(["import", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "stays    nothing",
        "undo     `mcpguard undo` restores every file",
    ]


def test_a_person_says_what_is_a_secret_and_what_is_none(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    path = person.path(GITHUB)
    path.parent.mkdir(parents=True)
    path.write_text(
        '{"mcpServers": {"a.b": {"command": "node", "env": {"USER_NAME": "somebody", "SORT_KEY": "created"}}}}'
    )
    words = ["--secret", "a.b.env.USER_NAME", "--not-secret", "a.b.env.SORT_KEY"]
    assert main(["import", "--yes", *words]) == 0
    text = config().read_text()
    assert '"SORT_KEY": "created"' in text
    assert backend.entries["mcpguard", "a-b/USER_NAME"] == "somebody"
    assert main(["import", "--secret", "nonsense"]) == 2
    assert "name the value" in capsys.readouterr().err


@pytest.mark.usefixtures("backend")
def test_servers_of_codex_stand_between_tables_of_an_array(person: Person, backend: FakeKeyring) -> None:
    text = """\
model = "x" # [mcp_servers.none]
note = \'\'\'
[[skills.config]]
\'\'\'
[mcp_servers.a]
command = "node"
[[skills.config]] # one
path = ["[", {x = "]"}]
  [mcp_servers.b]
  command = "npx"
  [mcp_servers.b.env]
  A = "1"
[[skills.config]]
path = "two"
"""
    path = person.home / ".codex/config.toml"
    path.parent.mkdir()
    path.write_text(text)
    assert main(["import", "--yes"]) == 0
    after = tomllib.loads(path.read_text())
    assert list(after.pop("mcp_servers")) == ["mcpguard"]
    before = tomllib.loads(text)
    assert list(load_config(config()).servers) == list(before.pop("mcp_servers"))
    assert after == before
    path.write_text(path.read_text() + "# later\n")
    assert main(["undo"]) == 0
    assert tomllib.loads(path.read_text()) == tomllib.loads(text)


def test_a_link_stays_a_link(person: Person) -> None:
    path = person.has(GITHUB)
    target = person.home / "dotfiles" / "claude.json"
    target.parent.mkdir()
    path.rename(target)
    path.symlink_to(target)
    before = target.read_bytes()
    assert main(["import", "--yes"]) == 0
    assert path.is_symlink()
    assert planted(GITHUB)[0].encode() not in target.read_bytes()
    assert main(["undo"]) == 0
    assert (path.is_symlink(), target.read_bytes()) == (True, before)


@pytest.mark.usefixtures("backend")
def test_a_read_only_file_is_left_alone_and_the_others_go_on(person: Person, capsys: Capture) -> None:
    path = person.has(GITHUB)
    person.has(CASES[3])
    path.chmod(0o444)
    before = path.read_bytes()
    assert main(["import", "--yes"]) == 1
    assert f"{path} is read-only and was left alone" in capsys.readouterr().out
    assert path.read_bytes() == before
    assert set(load_config(config()).servers) == {"linear", "notes"}


@pytest.mark.usefixtures("backend")
def test_a_file_with_another_name_is_left_alone(person: Person, capsys: Capture) -> None:
    path = person.has(GITHUB)
    os.link(path, person.home / "copy.json")
    before = tree(*person)
    assert main(["import", "--yes"]) == 1
    assert "has another hard link" in capsys.readouterr().out
    assert {one: data for one, data in tree(*person).items() if one in before} == before


@pytest.mark.usefixtures("backend")
def test_every_folder_that_it_makes_is_for_its_user_alone(person: Person) -> None:
    path = person.has(CASES[3])
    before = {one for one in person.home.rglob("*") if one.is_dir()}
    umask = os.umask(0)
    try:
        assert main(["import", "--yes"]) == 0
    finally:
        os.umask(umask)
    made = {one for one in person.home.rglob("*") if one.is_dir()} - before
    assert len(made) > 5
    assert {one.stat().st_mode & 0o777 for one in made} == {0o700}
    assert path.is_file()


@pytest.mark.usefixtures("backend")
def test_a_broken_file_is_told_and_the_others_go_on(person: Person, capsys: Capture) -> None:
    person.has(GITHUB)
    path = person.has(CASES[3])
    path.write_text('{"mcpServers": ')
    assert main(["import", "--yes"]) == 1
    assert f"{path}:1:16: the file ends too early" in capsys.readouterr().out
    assert len(load_config(config()).servers) == 3


@pytest.mark.usefixtures("backend")
def test_a_file_that_changes_after_it_was_read_is_not_overwritten(
    person: Person, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    path = person.has(GITHUB)
    first = path.read_bytes()
    write = disk.write

    def meanwhile(to: Path, data: bytes, **more: object) -> None:
        if to == path:
            path.write_bytes(first + b"\n")
        write(to, data, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(disk, "write", meanwhile)
    assert main(["import", "--yes"]) == 2
    assert "was changed by another program in the meantime" in capsys.readouterr().err
    assert path.read_bytes() == first + b"\n"
    assert not config().exists()
    assert sorted(one.name for one in path.parent.iterdir()) == [path.name]


def test_an_original_that_cannot_be_decrypted_is_not_offered(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    path = person.has(GITHUB)
    assert main(["import", "--yes"]) == 0
    path.write_bytes(path.read_bytes().replace(b'"run"', b'"run", "--mine"'))
    for entry in [key for key in backend.entries if key[1].startswith("mcpguard-import/")]:
        del backend.entries[entry]
    capsys.readouterr()
    for words in (["undo"], ["undo", "--beside"]):
        assert main(words) == 1
        said = capsys.readouterr().out
        assert "its original content cannot be decrypted" in said
        assert "--beside" not in said
        assert "written: " not in said


def test_a_file_whose_entry_of_mcpguard_was_changed_stays(
    person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    path = person.has(GITHUB)
    before = path.read_bytes()
    assert main(["import", "--yes"]) == 0
    mine = path.read_bytes().replace(b'"run"', b'"run", "--mine"')
    path.write_bytes(mine)
    capsys.readouterr()
    assert main(["undo"]) == 1
    said = f"{path} was changed after the import, so it was left alone (its entry mcpguard was changed"
    assert said in capsys.readouterr().out
    assert path.read_bytes() == mine
    assert config().exists()
    assert backend.entries["mcpguard", "github/GITHUB_PERSONAL_ACCESS_TOKEN"] == planted(GITHUB)[0]
    assert main(["undo", "--beside"]) == 1
    aside = path.with_name(f"{path.name}.before-mcpguard")
    assert (aside.read_bytes(), aside.stat().st_mode & 0o777) == (before, 0o600)
    assert "once that file has no mcpguard entry" in capsys.readouterr().out
    assert main(["undo", "--beside"]) == 2
    path.write_bytes(before)
    assert main(["undo"]) == 0
    assert f"removed  {config()}" in capsys.readouterr().out
    assert not config().exists()


@pytest.mark.usefixtures("backend")
def test_a_file_that_its_owner_put_back_does_not_hold_undo_up(person: Person, capsys: Capture) -> None:
    path = person.has(GITHUB)
    assert main(["import", "--yes"]) == 0
    path.write_text("{}")
    assert main(["undo"]) == 0
    assert "so it was left alone" in capsys.readouterr().out
    assert (path.read_text(), config().exists()) == ("{}", False)


@pytest.mark.parametrize("to", ["keyring", "file"])
def test_a_secret_that_was_replaced_after_the_import_is_not_lost(
    to: str, person: Person, backend: FakeKeyring, capsys: Capture
) -> None:
    path = person.has(GITHUB)
    before = path.read_bytes()
    assert main(["import", "--yes", "--to", to]) == 0
    name = "github/GITHUB_PERSONAL_ACCESS_TOKEN"
    if to == "keyring":
        backend.set_password("mcpguard", name, "replaced-where-it-was-issued")
    else:
        (kept,) = (config().parent / "secrets").glob("github-*")
        kept.write_text("replaced-where-it-was-issued\n")
    for _ in range(2):
        assert main(["undo"]) == 0
    assert f"note: the secret {name} was changed after the import, so it was kept" in capsys.readouterr().out
    assert path.read_bytes() == before
    if to == "keyring":
        assert backend.entries["mcpguard", name] == "replaced-where-it-was-issued"
        assert [user for service, user in backend.entries if service == "mcpguard"] == [name]
    else:
        assert kept.read_text() == "replaced-where-it-was-issued\n"


def test_what_the_owner_changed_of_mcpguard_stays_with_its_secrets(
    person: Person, backend: FakeKeyring
) -> None:
    person.has(GITHUB)
    assert main(["import", "--yes"]) == 0
    text = config().read_text().replace("version: 1", "version: 1\nagent: mine")
    config().write_text(text)
    policy = config().parent / "policies" / "github.yaml"
    policy.write_text(policy.read_text() + "# mine\n")
    assert main(["undo"]) == 0
    assert config().read_text() == text
    assert policy.read_text().endswith("# mine\n")
    assert backend.entries["mcpguard", "github/GITHUB_PERSONAL_ACCESS_TOKEN"] == planted(GITHUB)[0]
    assert not [key for key in backend.entries if "import" in key[1]]


def test_one_client_can_go_back_alone(person: Person, backend: FakeKeyring) -> None:
    desktop, cursor = person.has(GITHUB), person.has(CASES[3])
    before = desktop.read_bytes(), cursor.read_bytes()
    assert main(["import", "--yes", "--client", "claude-desktop"]) == 0
    assert main(["import", "--yes", "--client", "cursor"]) == 0
    assert main(["undo", "--client", "claude-desktop"]) == 0
    assert desktop.read_bytes() == before[0]
    assert cursor.read_bytes() != before[1]
    assert {"linear", "github"} <= set(load_config(config()).servers)
    assert main(["undo"]) == 0
    assert (desktop.read_bytes(), cursor.read_bytes()) == before
    assert not config().exists()
    assert [key for key in backend.entries if key[0] == "mcpguard"] == []
    assert main(["undo"]) == 0


@pytest.mark.usefixtures("backend")
def test_two_at_once_are_refused(person: Person, capsys: Capture) -> None:
    person.has(GITHUB)
    with disk.locked(state() / "lock"):
        assert main(["import", "--yes"]) == 2
        assert main(["undo"]) == 2
    assert capsys.readouterr().err.count("is running: wait until it has finished") == 2


def test_the_same_server_of_two_clients_is_one_and_another_one_has_another_name(
    person: Person, backend: FakeKeyring
) -> None:
    entry = '{"mcpServers": {"db": {"command": "node", "env": {"DB_TOKEN": "%s"}}}}'
    for path, value in (
        (".cursor/mcp.json", "same-value-1"),
        (".junie/mcp/mcp.json", "same-value-1"),
        (".lmstudio/mcp.json", "other-value-2"),
    ):
        file = person.home / path
        file.parent.mkdir(parents=True)
        file.write_text(entry % value)
    backend.entries["mcpguard", "db/DB_TOKEN"] = "somebody-elses"
    assert main(["import", "--yes"]) == 0
    servers = load_config(config()).servers
    assert sorted(servers) == ["db", "db-2"]
    stored = {
        key[1]: value
        for key, value in backend.entries.items()
        if key[0] == "mcpguard" and "import" not in key[1]
    }
    assert stored == {
        "db/DB_TOKEN": "somebody-elses",
        "db/DB_TOKEN-2": "same-value-1",
        "db-2/DB_TOKEN": "other-value-2",
    }
    assert main(["undo"]) == 0
    assert {key for key in backend.entries if key[0] == "mcpguard"} == {("mcpguard", "db/DB_TOKEN")}


@pytest.mark.usefixtures("backend")
def test_a_server_stays_the_same_whatever_was_set_for_how_mcpguard_treats_it(person: Person) -> None:
    entry = {"mcpServers": {"db": {"command": "node", "args": ["/opt/db.js"]}}}
    for path in (".cursor/mcp.json", ".junie/mcp/mcp.json"):
        (person.home / path).parent.mkdir(parents=True)
    (person.home / ".cursor/mcp.json").write_text(json.dumps(entry))
    assert main(["import", "--yes"]) == 0
    said = config().read_text()
    treated = "  db:\n    eager: true\n    max_lanes: 3\n    start_timeout_seconds: 90\n"
    config().write_text(said.replace("  db:\n", treated))
    (person.home / ".junie/mcp/mcp.json").write_text(json.dumps(entry))
    assert main(["import", "--yes"]) == 0
    loaded = load_config(config())
    assert list(loaded.servers) == ["db"]
    assert (loaded.servers["db"].eager, loaded.servers["db"].max_lanes) == (True, 3)


@pytest.mark.usefixtures("backend")
def test_a_configuration_that_is_there_keeps_its_comments(person: Person) -> None:
    config().parent.mkdir(parents=True)
    text = "# mine\nversion: 1\nservers:\n    notes: # keep\n        command: node\n\n# the end\naudit: { path: /tmp/a }"
    config().write_text(text)
    person.has(GITHUB)
    assert main(["import", "--yes"]) == 0
    after = config().read_text()
    assert after.startswith(
        "# mine\nversion: 1\nservers:\n    notes: # keep\n        command: node\n    filesystem:\n"
    )
    assert "\n# the end\naudit: { path: /tmp/a }\npolicies:\n  - " in after
    assert main(["undo"]) == 0
    assert config().read_text() == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\nservers:\n  a: {command: x}\npolicies:\n", "expected a list, found nothing"),
        ("version: 2\n", "expected 1"),
    ],
)
@pytest.mark.usefixtures("backend")
def test_a_configuration_that_cannot_be_added_to_is_told_and_nothing_is_done(
    text: str, said: str, person: Person, capsys: Capture
) -> None:
    config().parent.mkdir(parents=True)
    config().write_text(text)
    path = person.has(GITHUB)
    before = path.read_bytes()
    assert main(["import", "--yes"]) == 2
    assert said in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (CASES[2], '"env": {\n\t\t\t\t"SEARCH_KEY": "${SEARCH_KEY}"\n'),
        (CASES[3], '"env": {\n        "REGION": "${env:REGION}"\n'),
        (CASES[9], 'env_vars = ["FIGMA_OAUTH_TOKEN"]\n'),
        (CASES[10], '"env": {\n        "LOG_KEY": "$LOG_KEY"\n'),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
@pytest.mark.usefixtures("backend")
def test_variables_that_a_server_needs_are_passed_on_to_mcpguard(
    case: Case, said: str, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGION", "q7Xk2LmW9vR4tZ")
    path = person.has(case)
    assert main(["import", "--yes", "--project"]) == 0
    assert said in path.read_text()


@pytest.mark.usefixtures("backend")
def test_the_home_folder_in_a_setting_does_not_become_a_secret(person: Person, capsys: Capture) -> None:
    (person.home / ".cursor").mkdir()
    entry = {"command": "node", "env": {"DATA_DIR": "${env:HOME}/data", "KEY": "${env:SEARCH_KEY}"}}
    (person.home / ".cursor" / "mcp.json").write_text(json.dumps({"mcpServers": {"a": entry}}))
    assert main(["import", "--yes"]) == 0
    assert "environment that the client gives to mcpguard, which guards SEARCH_KEY as a secret\n" in (
        capsys.readouterr().out
    )
    made = load_config(config())
    assert {str(ref) for ref in made.plain_references} == {"env:SEARCH_KEY"}
    assert made.servers["a"].env["DATA_DIR"].texts == (f"{person.home}/data",)


@pytest.mark.usefixtures("backend")
def test_files_of_a_project_do_not_move_in_unseen(
    person: Person, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.has(CASES[2])
    person.has(GITHUB)
    before = path.read_bytes()
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main(["import"]) == 2
    said = capsys.readouterr().out
    assert f"{path} belongs to the project and is left alone" in said
    assert "search" not in said
    assert main(["import", "--yes"]) == 0
    assert f"{path} belongs to the project and is left alone" in capsys.readouterr().out
    assert path.read_bytes() == before
    assert "search" not in load_config(config()).servers


@pytest.mark.usefixtures("backend")
def test_undo_says_what_a_person_changed_between_two_imports(person: Person, capsys: Capture) -> None:
    person.has(GITHUB)
    assert main(["import", "--yes", "--no-start"]) == 0
    edited = f"{config().read_text()}# mine\n"
    config().write_text(edited)
    assert main(["import", "--yes", "--set", "github.owners=acme"]) == 0
    assert config().read_text() != edited
    capsys.readouterr()
    assert main(["undo"]) == 0
    said = capsys.readouterr().out
    assert f"restored {config()}\n" in said
    assert f"note: {config()} stays with the changes that you made to it\n" in said
    assert config().read_text() == edited


@pytest.mark.usefixtures("backend")
def test_undo_counts_the_policies_that_stay(person: Person, capsys: Capture) -> None:
    person.has(next(case for case in CASES if case.name == "cursor.json"))
    assert main(["import", "--yes", "--no-start"]) == 0
    config().write_text(f"{config().read_text()}# mine\n")
    capsys.readouterr()
    assert main(["undo"]) == 0
    said = capsys.readouterr().out
    policies = config().parent / "policies"
    kept = len([*policies.glob("*.yaml")])
    assert f"note: {kept} policies in {policies} stay: they are in use\n" in said
    assert said.count("in use") == 1


@pytest.mark.usefixtures("backend")
def test_an_entry_of_mcpguard_for_another_configuration_does_not_stand_for_this_one(person: Person) -> None:
    path = person.path(GITHUB)
    path.parent.mkdir(parents=True)
    program = json.dumps(str(Path(sys.executable).with_name("mcpguard")))
    other = f'"mcpguard": {{"command": {program}, "args": ["run", "--config", "/other.yaml"]}}'
    path.write_text(f'{{"mcpServers": {{{other}, "a": {{"command": "node"}}}}}}')
    assert main(["import", "--yes"]) == 0
    assert other in path.read_text()
    assert '"mcpguard-2": {' in path.read_text()
    path.write_text(path.read_text().replace("}}}", '}, "b": {"command": "node", "args": ["b"]}}}'))
    assert main(["import", "--yes"]) == 0
    assert "mcpguard-3" not in path.read_text()
    assert set(load_config(config()).servers) == {"a", "b"}


@pytest.mark.usefixtures("backend")
def test_what_stays_of_a_secret_in_a_comment_is_told(person: Person, capsys: Capture) -> None:
    path = person.has(CASES[3])
    secret = planted(CASES[3])[0]
    path.write_text(f"// was {secret}\n{path.read_text()}")
    assert main(["import", "--yes"]) == 0
    said = capsys.readouterr().out
    assert f"{path} line 1 still contains a secret that was moved" in said
    assert secret not in said


@pytest.mark.usefixtures("backend")
def test_what_stays_of_a_secret_in_another_way_of_writing_is_told(person: Person, capsys: Capture) -> None:
    path = person.path(CASES[3])
    path.parent.mkdir(parents=True)
    path.write_text(
        '{"mcpServers": {"a": {"command": "node", "env": {"TOKEN": "abc/def\\"ghi"}}},\n'
        '"history": ["\\u0061bc\\/def\\"ghi"]}'
    )
    assert main(["import", "--yes"]) == 0
    assert f"{path} line 2 still contains a secret that was moved" in capsys.readouterr().out


@pytest.mark.usefixtures("backend")
def test_what_is_shown_cannot_steer_a_terminal(person: Person, capsys: Capture) -> None:
    path = person.path(GITHUB)
    path.parent.mkdir(parents=True)
    path.write_text('{"mcpServers": {"a\x9b2J": {"command": "node", "args": ["\u202e\x7f"]}}}')
    assert main(["import", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "\\x9b2J" in said
    assert all(char.isprintable() or char == "\n" for char in said)


@pytest.mark.parametrize("mark", [".git", ".hg", ".jj"])
def test_no_file_with_a_secret_comes_into_a_repository(mark: str, person: Person, capsys: Capture) -> None:
    path = person.has(GITHUB)
    before = path.read_bytes()
    (person.project / mark).mkdir()
    own = person.project / "guard" / "mcpguard.yaml"
    assert main(["import", "--yes", "--to", "file", "--config", str(own)]) == 0
    folder = config().parent / "secrets"
    assert (
        f"note: the secrets are in {folder}, since {own.parent} is in a repository" in capsys.readouterr().out
    )
    assert with_a_secret(tree(person.project), planted(GITHUB)) == []
    assert main(["check", "--config", str(own)]) == 0
    assert main(["undo"]) == 0
    assert (path.read_bytes(), folder.exists()) == (before, False)


def test_where_every_place_is_in_a_repository_nothing_is_written(person: Person, capsys: Capture) -> None:
    person.has(GITHUB)
    (person.home / ".git").mkdir()
    before = tree(*person)
    assert main(["import", "--yes", "--to", "file"]) == 2
    assert "use the keychain, or set XDG_STATE_HOME to a folder outside of it" in capsys.readouterr().err
    assert {path: data for path, data in tree(*person).items() if path.name != "lock"} == before
    assert main(["import", "--yes"]) != 70


@pytest.mark.usefixtures("backend")
def test_rules_for_good_outlive_an_undo_and_both_say_so(person: Person, capsys: Capture) -> None:
    path = person.home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}))
    assert main(["import", "--yes"]) == 0
    own = find_config(None, os.environ).with_name("my-approvals.yaml")
    own.write_text("version: 1\npolicy: mine\nowner: ada\nrules:\n  - {id: a, effect: deny}\n")
    capsys.readouterr()
    assert main(["undo"]) == 0
    assert f"note: {own} stays: it has the rules for what you allowed for good" in capsys.readouterr().out
    assert main(["import", "--yes"]) == 0
    said = f"note: {own} is from before, and what it allows for good is allowed again"
    assert said in capsys.readouterr().out
