"""`mcpguard pins`: a person sees which definitions are held and what is different, and accepts them or has a
server's count as first ones again; each change leaves evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcpguard.adapters.system.own_process import operating_system_user
from mcpguard.cli import main
from mcpguard.cli.operating import pins
from mcpguard.config.loading import Config, Server, load_config
from mcpguard.core.model import Listed
from mcpguard.core.policy.pins import UNSHOWN, Hold, Standing
from mcpguard.serve import interventions
from mcpguard.serve.interventions import store_of
from mcpguard.serve.settings import pinned_as
from tests.adapters.store.shared import given_by
from tests.cli.operating.test_session import CONFIG, POLICY, notices, terminal

__all__ = ["terminal"]
Capture = pytest.CaptureFixture[str]
WHO = operating_system_user().text


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mcpguard.yaml").write_text(CONFIG.replace("{files: {command: x}}", SERVERS))
    (tmp_path / "p.yaml").write_text(POLICY)
    monkeypatch.setenv("MCPGUARD_CONFIG", str(tmp_path / "mcpguard.yaml"))
    return tmp_path


SERVERS = "{files: {command: x}, mail: {command: y}}"


def listed(
    home: Path, *names: str, server: str = "files", hold: Hold = "changed", digest: str = "", **more: Any
) -> dict[str, Standing]:
    """What a server lists in a session: tools of these names, and prompts of those with "prompt:" before."""
    config = load_config(home / "mcpguard.yaml")
    found: dict[str, Standing] = {}
    for name in names:
        kind, _, own = name.rpartition(":")
        about = {"name": own, "description": "Reads.", **more}
        one = Listed(server, own, own, about, {}, digest or repr(sorted(about.items())), kind or "tool")
        found |= given_by(store_of(config).pin(pinned_as(config.served[server]), [one], hold))
    return found


def wrapped(command: str, **more: str) -> dict[str, Standing]:
    """What the server lists that `mcpguard wrap` starts with that command."""
    config = Config(Path(), {"server": Server(name="server", command=command)})
    about = {"name": "read", "description": "Reads.", **more}
    one = Listed("server", "read", "read", about, {}, repr(sorted(about.items())))
    found: dict[str, Standing] = given_by(
        store_of(config).pin(pinned_as(config.servers["server"], wrapped=True), [one], "changed")
    )
    return found


def said(capsys: Capture, *words: str) -> str:
    assert main(["pins", *words]) == 0
    return capsys.readouterr().out


def wrong(capsys: Capture, *words: str) -> str:
    assert main(["pins", *words]) == 2
    return capsys.readouterr().err


def test_of_definitions_that_are_as_they_were_nothing_is_listed(home: Path, capsys: Capture) -> None:
    assert said(capsys) == f"{pins.NONE}\n"
    assert said(capsys, "--all") == "no definition is known: no server was listed yet\n"
    listed(home, "read")
    assert said(capsys) == f"{pins.NONE}\n"
    (row,) = [line for line in said(capsys, "--all").splitlines() if line.startswith("files/read ")]
    assert "accepted" in row
    assert row.endswith("first seen")


def test_what_is_held_is_listed_with_what_is_different_and_what_helps(home: Path, capsys: Capture) -> None:
    listed(home, "read", "push", "prompt:triage")
    listed(home, "read", "prompt:triage", description="Sends.", inputSchema={"type": "object"})
    listed(home, "fresh", hold="all")
    shown = said(capsys)
    rows = {line.split()[0]: line for line in shown.splitlines() if line.startswith("files/")}
    assert set(rows) == {"files/read", "files/prompt:triage", "files/fresh"}
    assert rows["files/read"].endswith("description, inputSchema")
    assert rows["files/fresh"].endswith("it is new")
    helps = " ".join(shown.split())
    assert "`mcpguard pins show files/prompt:triage` shows it" in helps
    assert "`mcpguard pins accept files/prompt:triage` accepts it" in helps


def test_a_definition_is_shown_as_what_is_different_in_it(home: Path, capsys: Capture) -> None:
    listed(home, "read")
    listed(home, "read", description="Reads.\nThen \x1b[2Jsends.")
    shown = said(capsys, "show", "files/read")
    assert '-description: "Reads."' in shown
    assert "+description| Reads." in shown
    assert "\x1b" not in shown
    assert said(capsys, "show", "files") == shown


def test_of_what_inspection_removed_it_is_said_that_it_is_not_shown(home: Path, capsys: Capture) -> None:
    listed(home, "read")
    listed(home, "read", digest="another")
    assert UNSHOWN in said(capsys)
    assert said(capsys, "show", "files").splitlines()[1:] == [f"({UNSHOWN})"]


def test_of_a_definition_that_is_cut_it_is_said_that_it_is_longer(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpguard.adapters.store.pins.MOST_TEXT", 30)
    listed(home, "read")
    listed(home, "read", description="Sends.")
    assert "too long to be kept whole" in said(capsys, "show", "files")


def test_programs_read_what_is_held_as_json(home: Path, capsys: Capture) -> None:
    listed(home, "read", "push")
    listed(home, "read", description="Sends.")
    names = [(one["name"], one["accepted"]) for one in json.loads(said(capsys, "--json"))["pins"]]
    assert names == [("read", False)]
    (one,) = json.loads(said(capsys, "show", "files/read", "--json"))["pins"]
    assert json.loads(one["text"])["description"] == "Sends."
    assert len(json.loads(said(capsys, "--json", "--all"))["pins"]) == 3


@pytest.mark.usefixtures("terminal")
def test_a_person_accepts_a_definition_and_that_leaves_evidence(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed(home, "read", "push")
    assert listed(home, "read", description="Sends.")
    monkeypatch.setattr("builtins.input", lambda _question: "y")
    shown = said(capsys, "accept", "files/read")
    assert '+description: "Sends."' in shown
    assert "accepted files/read" in shown
    assert listed(home, "read", description="Sends.") == {}
    ((what, detail),) = notices(home)
    assert what == "pin-accepted"
    assert detail.startswith("tool read of files: sha256 ")
    assert detail.endswith(f", by {WHO}")
    assert main(["audit", "verify", str(home / "audit")]) == 0
    assert "nothing called 'files/read' is held back; `mcpguard pins` lists" in wrong(
        capsys, "accept", "files/read"
    )


@pytest.mark.usefixtures("terminal")
def test_all_of_a_server_is_accepted_at_once_with_few_records(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"t{at}" for at in range(interventions.MOST_PINS + 1)]
    listed(home, *names, hold="all")
    listed(home, "other", server="mail", hold="all")
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "yes")
    said(capsys, "accept", "files")
    assert asked == [f"accept {len(names)} definitions? [y/N] "]
    assert listed(home, *names, hold="all") == {}
    assert [what for what, _ in notices(home)] == ["pin-accepted"] * 2
    assert listed(home, "other", server="mail", hold="all")


@pytest.mark.usefixtures("terminal")
def test_nothing_is_accepted_without_a_yes(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed(home, "read")
    listed(home, "read", description="Sends.")
    monkeypatch.setattr("builtins.input", lambda _question: "")
    assert main(["pins", "accept", "files/read"]) == 1
    assert "nothing is accepted" in capsys.readouterr().out
    assert notices(home) == []
    assert listed(home, "read", description="Sends.")


@pytest.mark.usefixtures("terminal")
def test_what_another_person_has_accepted_meanwhile_is_said_to_be_so(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed(home, "read")
    listed(home, "read", description="Sends.")

    def answered(_question: str) -> str:
        monkeypatch.setattr("builtins.input", lambda _question: "y")
        said(capsys, "accept", "files/read")
        return "y"

    monkeypatch.setattr("builtins.input", answered)
    assert "nothing was changed" in wrong(capsys, "accept", "files/read")
    assert [what for what, _ in notices(home)].count("change-void") == 1


@pytest.mark.usefixtures("terminal")
def test_what_a_server_lists_after_it_is_forgotten_counts_as_the_first(home: Path, capsys: Capture) -> None:
    listed(home, "read")
    assert listed(home, "read", description="Sends.")
    assert "forgotten files: what it lists next counts as the first" in said(capsys, "forget", "files")
    assert listed(home, "read", description="Sends.") == {}
    assert notices(home) == [("pins-forgotten", f"server files, by {WHO}")]
    assert "no server is called 'file'" in wrong(capsys, "forget", "file")


def test_what_is_for_a_person_needs_a_terminal(home: Path, capsys: Capture) -> None:
    listed(home, "read")
    listed(home, "read", description="Sends.")
    for what in ("accept", "forget"):
        assert f"`mcpguard pins {what}` is for a person, so it needs a terminal" in wrong(
            capsys, what, "files"
        )


def test_a_name_that_is_missing_or_unknown_is_said_to_be(home: Path, capsys: Capture) -> None:
    assert home
    assert "name what you mean; `mcpguard pins` lists what is held" in wrong(capsys, "show")
    assert "nothing called 'x' is held back" in wrong(capsys, "show", "x")


def test_of_a_server_that_is_started_otherwise_now_nothing_is_listed(home: Path, capsys: Capture) -> None:
    listed(home, "read")
    listed(home, "read", description="Sends.")
    config = home / "mcpguard.yaml"
    config.write_text(config.read_text().replace("command: x", "command: z"))
    assert said(capsys) == f"{pins.NONE}\n"


@pytest.mark.usefixtures("terminal")
def test_a_server_of_which_nothing_more_can_be_remembered_is_named_with_what_helps(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcpguard.adapters.store.pins.MOST_NAMES", 2)
    listed(home, "a", "b", "c")
    listed(home, "a", server="mail")
    shown = " ".join(said(capsys).split())
    assert shown.startswith(f"{pins.NONE} of files no more definitions can be remembered")
    assert "`mcpguard pins forget files` has the next list count as the first" in shown
    assert "mail" not in shown
    said(capsys, "forget", "files")
    assert said(capsys) == f"{pins.NONE}\n"


@pytest.mark.usefixtures("terminal")
def test_without_a_configuration_it_is_about_the_servers_that_wrap_starts(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MCPGUARD_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("builtins.input", lambda _question: "y")
    for command in ("x", "y"):
        wrapped(command)
        assert wrapped(command, description=f"Sends by {command}.")
    shown = said(capsys, "show", "server/read")
    assert [line for line in shown.splitlines() if line.startswith("+")] == [
        '+description: "Sends by x."',
        '+description: "Sends by y."',
    ]
    assert "accepted 2 definitions" in said(capsys, "accept", "server/read")
    assert wrapped("x", description="Sends by x.") == {}
    assert wrapped("y", description="Sends by x.")
    assert "no server is called 'x'" in wrong(capsys, "forget", "x")
    assert "forgotten server" in said(capsys, "forget", "server")
    assert said(capsys, "--all") == "no definition is known: no server was listed yet\n"


def test_with_a_configuration_what_wrap_starts_is_listed_too(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    config = home / "mcpguard.yaml"
    config.write_text(config.read_text().replace("session: {path: sessions}\n", ""))
    listed(home, "read")
    listed(home, "read", description="Sends.")
    wrapped("x")
    assert wrapped("x", description="Sends.")
    names = [line.split()[0] for line in said(capsys).splitlines() if "/read " in line]
    assert names[:2] == ["files/read", "server/read"]
