"""`mcpguard session`: a person sees what was done, and ends what refuses; each change leaves evidence."""

from __future__ import annotations

import json
import shlex
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from mcpguard.adapters.audit.signing import SigningKey, new_key
from mcpguard.adapters.store.sqlite import FILE, SqliteStore
from mcpguard.adapters.system.clock import SystemClock
from mcpguard.adapters.system.own_process import operating_system_user
from mcpguard.cli import main
from mcpguard.cli.operating import session
from mcpguard.core.model import Charge, Invocation, Listed
from mcpguard.core.policy import pdp
from mcpguard.core.policy.session import NO_PLACES, ServerPlaces, Session, name_of
from mcpguard.core.secret import Secret
from tests.adapters.store.test_store import labels

Capture = pytest.CaptureFixture[str]

CONFIG = """
version: 1
agent: desk
servers: {files: {command: x}}
policies: [p.yaml]
audit: {path: audit}
session: {path: sessions}
"""
POLICY = """
version: 1
policy: p
rules:
  - {id: all, effect: allow}
  - {id: leak, effect: deny, tools: [send], when: '"private" in session.labels', message: Nothing leaves.}
"""
TOOL = Listed("files", "read", "read", {}, {}, "d1")
CALL = Invocation("c-7", "tools/call", operating_system_user(), datetime.now(UTC), "desk", "files", TOOL)
NAME = name_of(CALL.principal, CALL.agent)
DAILY = Charge("p/all calls 1d", "calls", 1, 10, 86_400, "1d")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mcpguard.yaml").write_text(CONFIG)
    (tmp_path / "p.yaml").write_text(POLICY)
    monkeypatch.setenv("MCPGUARD_CONFIG", str(tmp_path / "mcpguard.yaml"))
    return tmp_path


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcpguard.cli.parser.at_terminal", lambda: True)


def store(home: Path) -> SqliteStore:
    return SqliteStore(home / "sessions", 3600, SystemClock())


def used(home: Path, call: Invocation = CALL, places: ServerPlaces = NO_PLACES) -> None:
    permit = structs.replace(pdp.permit_protocol(call), rules=("p/all",), labels=("private",), facts=("ok",))

    def change(session: Session) -> None:
        session.places = places
        session.admit(permit)
        session.charge(DAILY, call.now)

    store(home).change(call, change)


def who() -> str:
    return f"{CALL.principal.source}:{CALL.principal.id}"


def noticed(home: Path) -> list[dict[str, str]]:
    lines = [
        line for file in sorted((home / "audit").glob("*.jsonl")) for line in file.read_bytes().splitlines()
    ]
    return [one for one in map(json.loads, lines) if one["kind"] == "notice"]


def notices(home: Path) -> list[tuple[str, str]]:
    return [(one["what"], one["detail"]) for one in noticed(home)]


def test_a_fact_is_shown_with_the_configuration_for_which_it_counts(home: Path, capsys: Capture) -> None:
    used(home, places=ServerPlaces("/etc/staging.yaml", {CALL.server: "a"}))
    main(["session", "show"])
    assert "fact  ok  stated under /etc/staging.yaml, and valid there" in capsys.readouterr().out


def test_what_a_session_did_is_listed_and_shown_with_the_cause_of_its_labels(
    home: Path, capsys: Capture
) -> None:
    used(home)
    assert main(["session", "list"]) == 0
    listed = capsys.readouterr().out
    assert NAME[:8] in listed
    assert "private" in listed
    assert main(["session", "show"]) == 0
    shown = capsys.readouterr().out
    assert "label private  by files/read at" in shown
    assert "call c-7 (p/all)" in shown
    assert "fact  ok" in shown
    assert f"until you clear it: `mcpguard session clear LABEL {NAME[:8]}`" in shown
    assert "limit p/all calls 1d: 1 used" in shown
    assert f"clearing a limit resets it to zero: `mcpguard session clear RULE {NAME[:8]}`" in shown
    assert "1  files/read" in shown


@pytest.mark.usefixtures("terminal")
def test_what_has_left_its_window_is_neither_shown_nor_cleared(home: Path, capsys: Capture) -> None:
    used(home, structs.replace(CALL, now=CALL.now - timedelta(days=2)))
    assert main(["session", "show", NAME[:8]]) == 0
    assert "limit" not in capsys.readouterr().out
    assert main(["session", "clear", "p/all"]) == 2
    assert "neither a label nor a limit in use that is called 'p/all'" in capsys.readouterr().err


def test_nothing_was_done_yet(home: Path, capsys: Capture) -> None:
    assert main(["session", "list"]) == 0
    assert capsys.readouterr().out == f"{session.NONE}\n"
    assert main(["session", "show"]) == 2
    assert capsys.readouterr().err == f"mcpguard: {session.NONE}\n"


def test_sessions_of_an_earlier_version_are_not_taken_for_none(home: Path, capsys: Capture) -> None:
    folder = home / "sessions"
    folder.mkdir()
    for name in ("a", "b", "definitions"):
        (folder / f"{name}.json").write_text("{}")
    said = f"2 sessions {session.EARLIER}"
    assert main(["session", "list"]) == 0
    assert capsys.readouterr().out == f"{said}\n"
    assert main(["session", "show"]) == 2
    assert capsys.readouterr().err == f"mcpguard: {said}\n"
    used(home)
    assert main(["session", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == said


@pytest.mark.usefixtures("terminal")
def test_a_label_is_cleared_and_leaves_evidence(home: Path, capsys: Capture) -> None:
    used(home)
    assert main(["session", "clear", "private"]) == 0
    assert f"cleared private of session {NAME[:8]}" in capsys.readouterr().out
    assert labels(store(home), CALL) == []
    assert notices(home) == [("label-cleared", f"private of session {NAME} of {who()} with desk, by {who()}")]
    assert main(["audit", "verify", str(home / "audit")]) == 0
    assert main(["session", "clear", "private"]) == 2
    said = capsys.readouterr().err
    assert "neither a label nor a limit in use that is called 'private'" in said
    assert f"`mcpguard session show {NAME[:8]}` lists them" in said


@pytest.mark.usefixtures("terminal")
def test_a_limit_is_cleared_and_leaves_evidence(home: Path, capsys: Capture) -> None:
    used(home)
    assert main(["session", "clear", "p/al"]) == 2
    assert main(["session", "clear", "p/all"]) == 0
    assert f"cleared p/all of session {NAME[:8]}" in capsys.readouterr().out
    (one,) = store(home).known()
    assert one.state is not None
    assert (one.state.spent, one.state.labels) == ({}, ["private"])
    assert notices(home) == [
        ("limit-cleared", f"p/all of session {NAME} of {who()} with desk, by {who()} (calls 1d: 1 used)")
    ]
    assert [(one["session"], one["principal"]) for one in noticed(home)] == [(NAME, who())]


@pytest.mark.usefixtures("terminal")
def test_the_evidence_of_a_command_is_signed_where_nobody_is_asked_for_the_key(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = SigningKey(Secret(private := new_key()))
    text = (home / "mcpguard.yaml").read_text()
    (home / "mcpguard.yaml").write_text(text.replace("{path: audit}", '{path: audit, key: "${env:SEALS}"}'))
    monkeypatch.setenv("SEALS", private)
    used(home)
    assert main(["session", "clear", "private"]) == 0
    capsys.readouterr()
    verified = ["audit", "verify", str(home / "audit"), "--public-key", str(key.public)]
    assert main(verified) == 0
    assert "unsigned" not in capsys.readouterr().out
    for value in ("no key", ""):  # It is not the key, or not at hand: the change is recorded all the same.
        monkeypatch.setenv("SEALS", value)
        used(home)
        assert main(["session", "clear", "private"]) == 0
    capsys.readouterr()
    assert main(verified) == 1
    assert capsys.readouterr().out.count("nothing signed by this key vouches for") == 2
    assert len(notices(home)) == 3


@pytest.mark.usefixtures("terminal")
def test_what_lists_labels_and_limits_is_named_with_the_configuration(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    used(home)
    named = ["--config", str(home / "mcpguard.yaml")]
    assert main(["session", "clear", "nosuch", *named]) == 2
    assert f"`mcpguard session show {NAME[:8]}` lists them" in capsys.readouterr().err
    monkeypatch.delenv("MCPGUARD_CONFIG")
    assert main(["session", "clear", "nosuch", *named]) == 2
    assert f"`mcpguard session show {NAME[:8]} {shlex.join(named)}` lists them" in capsys.readouterr().err


@pytest.mark.usefixtures("terminal")
def test_a_session_is_ended_and_its_limits_go_on(home: Path, capsys: Capture) -> None:
    used(home)
    assert main(["session", "end", NAME[:6]]) == 0
    assert "it starts over with the next call" in capsys.readouterr().out
    (one,) = store(home).known()
    assert one.state is not None
    assert (one.state.labels, one.state.calls, list(one.state.spent)) == ([], 0, ["p/all calls 1d"])
    assert [what for what, _ in notices(home)] == ["session-ended"]


@pytest.mark.usefixtures("terminal")
def test_what_cannot_be_read_is_seen_and_starts_over(home: Path, capsys: Capture) -> None:
    used(home)
    with sqlite3.connect(home / "sessions" / FILE) as database:
        database.execute("UPDATE sessions SET state = '{'")
    assert main(["session", "list"]) == 0
    assert "cannot be read" in capsys.readouterr().out
    assert main(["session", "show"]) == 0
    assert f"`mcpguard session end {NAME[:8]}` starts a new session" in capsys.readouterr().out
    assert main(["session", "clear", "private"]) == 2
    assert main(["session", "end"]) == 0
    assert labels(store(home), CALL) == []


def test_an_agent_without_a_terminal_changes_nothing(home: Path, capsys: Capture) -> None:
    used(home)
    for words in (["clear", "private"], ["end"]):
        assert main(["session", *words]) == 2
        assert "is for a person, so it needs a terminal" in capsys.readouterr().err
    assert labels(store(home), CALL) == ["private"]
    assert not (home / "audit").exists()


@pytest.mark.usefixtures("terminal")
def test_nothing_changes_without_evidence(home: Path, capsys: Capture) -> None:
    used(home)
    (home / "audit").write_text("")
    assert main(["session", "end"]) == 2
    assert "the audit folder" in capsys.readouterr().err
    assert labels(store(home), CALL) == ["private"]


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["clear", "private"], "label-cleared"),
        (["clear", "p/all"], "limit-cleared"),
        (["end"], "session-ended"),
    ],
)
def test_a_change_that_could_not_be_stored_is_void_in_evidence(
    home: Path, capsys: Capture, words: list[str], what: str
) -> None:
    used(home)
    other = sqlite3.connect(home / "sessions" / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert main(["session", *words]) == 2
    other.execute("ROLLBACK")
    assert "is locked by another program" in capsys.readouterr().err
    assert labels(store(home), CALL) == ["private"]
    said = dict(notices(home))
    assert said.keys() == {what, "change-void"}
    assert said["change-void"].startswith(f"{what}: {said[what]}: ")
    assert {(one["session"], one["principal"]) for one in noticed(home)} == {(NAME, who())}


def test_of_several_one_must_be_named(home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    used(home)
    used(home, structs.replace(CALL, agent="other"))
    assert main(["session", "show"]) == 2
    assert "say which session: " in capsys.readouterr().err
    assert main(["session", "show", "zz"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "mcpguard: no session 'zz' is stored (`mcpguard session list`): one is stored only"
    )
    assert "`mcpguard audit query --session zz`" in said
    monkeypatch.delenv("MCPGUARD_CONFIG")
    named = ["--config", str(home / "mcpguard.yaml")]
    assert main(["session", "show", "zz", *named]) == 2
    option = shlex.join(named)
    said = capsys.readouterr().err
    assert f"(`mcpguard session list {option}`)" in said
    assert f"`mcpguard audit query --session zz {option}`" in said
    assert main(["session", "show", NAME[:8], *named]) == 0
    assert f"`mcpguard session clear LABEL {NAME[:8]} {option}`" in capsys.readouterr().out
    monkeypatch.setenv("MCPGUARD_CONFIG", named[1])
    assert main(["session", "show", NAME[:8], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == NAME


def test_a_state_that_cannot_be_used_is_one_sentence(home: Path, capsys: Capture) -> None:
    (home / "sessions").write_text("")
    assert main(["session", "list"]) == 2
    assert "the folder of sessions " in capsys.readouterr().err
    (home / "sessions").unlink()
    (home / "sessions").mkdir()
    (home / "sessions" / FILE).write_bytes(b"x" * 5000)
    assert main(["session", "list"]) == 2
    assert "file is not a database" in capsys.readouterr().err


def test_explain_goes_by_the_session_as_it_is_now(home: Path, capsys: Capture) -> None:
    send = ["explain", "--server", "files", "--tool", "send"]
    assert main(send) == 0
    assert "allow" in capsys.readouterr().out
    used(home)
    assert main(send) == 0
    said = capsys.readouterr()
    assert "p/leak" in said.out
    assert said.err == "note: in the session as it is now; its labels: private\n"
    empty = home / "empty.json"
    empty.write_text("{}")
    assert main([*send, "--session", str(empty)]) == 0
    assert "p/leak" not in capsys.readouterr().out.split("rules")[0]


def test_explain_knows_no_server_that_is_not_there(home: Path, capsys: Capture) -> None:
    assert main(["explain", "--server", "file", "--tool", "send"]) == 2
    assert "there is no server `file`; did you mean `files`?" in capsys.readouterr().err
    assert main(["explain", "--server", "x", "--tool", "send"]) == 2
    assert "there is no server `x`; it has files" in capsys.readouterr().err
