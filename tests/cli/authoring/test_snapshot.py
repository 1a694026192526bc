"""`mcpguard snapshot` and `mcpguard check --live`, with real servers behind a real `mcpguard run`."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import mcp
import pytest

from mcpguard.adapters.audit.signing import SigningKey, new_key
from mcpguard.authoring import snapshot
from mcpguard.cli import main
from mcpguard.config.loading import load_config
from mcpguard.core.secret import Secret
from tests.wire import warm
from tests.wire.session import SERVERS, Guard, write_config

Capture = pytest.CaptureFixture[str]
HELD = "hunter2-of-the-snapshot"


def forked(socket: str, *words: str) -> dict[str, Any]:
    """What runs with these words in a process that has its imports already."""
    return {"command": sys.executable, "args": ["-S", str(SERVERS / "warm.py"), socket, *words]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def parameters(*, command: str, args: list[str], env: dict[str, str]) -> object:
        assert [command, *args[:3]] == [sys.executable, "-P", "-m", "mcpguard"]
        return real(env=env, **forked(warm.socket_of_mcpguard(), *args[3:]))

    real = mcp.StdioServerParameters
    monkeypatch.setattr(mcp, "StdioServerParameters", parameters)
    monkeypatch.chdir(tmp_path)
    policy = "version: 1\npolicy: p\nowner: me\nrules:\n  - {id: all, effect: deny, tools: [big, no-such]}\n"
    (tmp_path / "p.yaml").write_text(policy)
    return tmp_path


def write(folder: Path, **servers: object) -> None:
    config = {"version": 1, "servers": servers, "policies": ["p.yaml"], "audit": {"path": "audit"}}
    (folder / "mcpguard.yaml").write_text(json.dumps(config))


def server(name: str, *words: str) -> dict[str, object]:
    return {"command": sys.executable, "args": [str(SERVERS / name), *words]}


def changed(folder: Path, old: str, new: str) -> dict[str, object]:
    """`echo.py` with something else in it."""
    code = (SERVERS / "echo.py").read_text()
    assert old in code
    (folder / "changed.py").write_text(code.replace(old, new))
    shutil.copy(SERVERS / "plain_json.py", folder)
    return {"command": sys.executable, "args": [str(folder / "changed.py")]}


def test_all_tools_are_written_whatever_policy_says_and_evidence_is_left(
    folder: Path, capsys: Capture
) -> None:
    everything = warm.common_socket_of(str(SERVERS / "everything.py"), "--warm")
    write(folder, one=server("echo.py") | {"cwd": "."}, two=forked(everything, "--stdio"))
    assert main(["snapshot", "--config", "mcpguard.yaml", "--out", "s.json"]) == 0
    found = json.loads((folder / "s.json").read_text())
    assert list(found["servers"]) == ["one", "two"]
    names = [tool["name"] for tool in found["servers"]["one"]["tools"]]
    assert "big" in names
    assert names == sorted(names)
    assert found["servers"]["two"]["prompts"]
    assert found["servers"]["two"]["resources"]
    assert found["servers"]["two"]["templates"]
    assert [one["instructions"] for one in found["servers"].values()] == ["", "A server for tests."]
    assert main(["audit", "verify", "audit"]) == 0
    capsys.readouterr()
    assert main(["snapshot", "--config", "mcpguard.yaml"]) == 0
    assert capsys.readouterr().out == (folder / "s.json").read_text()


def test_a_survey_reads_the_resources_that_it_was_asked_for_and_no_others(folder: Path) -> None:
    at = "db://a.example/"
    write(folder, one=server("offering.py", "db", f"{at}x=of x", f"{at}y", f"{at}x/z=of z"))
    config = load_config(folder / "mcpguard.yaml")
    found, failed = snapshot.survey(config, ["one"], read="db://[^/]+/[a-z]+")
    read = {one["uri"]: one.get("text") for one in found.servers["one"].resources}
    assert (read, failed) == ({f"{at}x": "of x", f"{at}x/z": None, f"{at}y": None}, {})
    chains = [path.read_text() for path in (folder / "audit").glob("*.jsonl")]
    records = [json.loads(line) for chain in chains for line in chain.splitlines()]
    decided = (one for one in records if one["kind"] == "decision" and one["method"] == "resources/read")
    assert [one["subject"] for one in decided] == [f"{at}x", f"{at}y"]


def test_what_is_no_resource_has_no_text(folder: Path) -> None:
    odd = ("{}", '{"contents": 7}', '{"contents": ["x", ["y"], {"text": 5}, {"blob": ""}]}')
    write(folder, one=server("offering.py", "db", *(f"db://a/{at}={text}" for at, text in enumerate(odd))))
    found, failed = snapshot.survey(load_config(folder / "mcpguard.yaml"), ["one"], read="db://.*")
    assert [one.get("text", "") for one in found.servers["one"].resources] == ["", "", ""]
    assert failed == {}


def test_a_server_that_lets_nothing_be_read_is_still_listed(folder: Path) -> None:
    write(folder, one=server("offering.py", "db", "act", "db://a/x=never"))
    found, failed = snapshot.survey(load_config(folder / "mcpguard.yaml"), ["one"], 6, read="db://.*")
    assert [tool["name"] for tool in found.servers["one"].tools] == ["act"]
    assert failed == {}


def test_where_mcpguard_itself_ends_a_survey_says_why(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(folder, one=server("echo.py"))
    (folder / "audit").write_text("not a folder")
    found, failed = snapshot.survey(load_config(folder / "mcpguard.yaml"), ["one"])
    assert found.servers == {}
    assert failed["one"].startswith("one could not be listed: `mcpguard run` ended before it answered: ")
    assert "audit" in failed["one"].partition("answered: ")[2]
    assert capfd.readouterr().err == ""


def test_a_server_that_a_client_would_hear_of_later_is_waited_for(folder: Path, capsys: Capture) -> None:
    slow = {
        "command": "/bin/sh",
        "args": [
            "-c",
            f'read first; sleep 0.5; (echo "$first"; cat) | exec {sys.executable} {SERVERS / "offering.py"} notes read',
        ],
    }
    config = {
        "version": 1,
        "servers": {"slow": slow},
        "limits": {"list_seconds": 0},
        "audit": {"path": "audit"},
    }
    (folder / "mcpguard.yaml").write_text(json.dumps(config))
    assert main(["snapshot", "--config", "mcpguard.yaml"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [tool["name"] for tool in found["servers"]["slow"]["tools"]] == ["read"]


def test_a_server_is_started_with_the_entry_that_it_refers_to_and_alone(
    folder: Path, capsys: Capture
) -> None:
    one = {**server("echo.py"), "env": {"TOKEN": "${credential:key}"}}
    far = {"url": "https://far.example/mcp"}
    key = {
        "command": {"argv": ["printf", HELD], "ttl_seconds": 60},
        "servers": ["one", "far"],
        "hosts": ["far.example"],
        "env": {"TOKEN": "${credential:key}"},
        "headers": {"Authorization": "${credential:key}"},
    }
    other = {"command": ["no-such-helper"], "servers": ["far"]}
    entries = {"credentials": {"key": key, "other": other}}
    config = {"version": 1, "servers": {"one": one, "far": far}, "policies": ["p.yaml"], **entries}
    (folder / "mcpguard.yaml").write_text(json.dumps({**config, "audit": {"path": "audit"}}))
    assert main(["snapshot", "--config", "mcpguard.yaml", "one"]) == 0
    said = capsys.readouterr()
    assert list(json.loads(said.out)["servers"]) == ["one"]
    assert HELD not in said.out + said.err


def test_only_the_named_servers_are_started(folder: Path, capsys: Capture) -> None:
    write(folder, one=server("echo.py"), two={"command": "no-such-command"})
    assert main(["snapshot", "--config", "mcpguard.yaml", "one"]) == 0
    assert list(json.loads(capsys.readouterr().out)["servers"]) == ["one"]
    assert main(["snapshot", "--config", "mcpguard.yaml", "three"]) == 2
    assert "there is no server 'three'; there are one, two" in capsys.readouterr().err


def test_the_servers_that_answered_are_written_and_the_others_reported(folder: Path, capsys: Capture) -> None:
    write(folder, one=server("echo.py"), two={"command": "no-such-command"})
    assert main(["snapshot", "--config", "mcpguard.yaml", "--out", "s.json"]) == 1
    assert "upstream 'two'" in capsys.readouterr().err
    assert list(json.loads((folder / "s.json").read_text())["servers"]) == ["one"]


def test_a_file_of_before_stays_where_no_server_answers(folder: Path, capsys: Capture) -> None:
    write(folder, two={"command": "no-such-command"})
    (folder / "s.json").write_text("of before")
    assert main(["snapshot", "--config", "mcpguard.yaml", "--out", "s.json"]) == 1
    assert "upstream 'two'" in capsys.readouterr().err
    assert (folder / "s.json").read_text() == "of before"


def test_what_a_server_lists_is_written_though_another_of_its_lists_fails(
    folder: Path, capsys: Capture
) -> None:
    code = (SERVERS / "offering.py").read_text()
    failing = code.replace('if method == "resources/list":', 'if method == "resources/list" and 0:')
    (folder / "failing.py").write_text(failing)
    write(folder, one={"command": sys.executable, "args": [str(folder / "failing.py"), "x", "read"]})
    assert main(["snapshot", "--config", "mcpguard.yaml"]) == 1
    said = capsys.readouterr()
    assert "upstream 'one' answered resources/list with error" in said.err
    assert [tool["name"] for tool in json.loads(said.out)["servers"]["one"]["tools"]] == ["read"]


def test_a_server_whose_tools_cannot_be_listed_is_left_out(folder: Path, capsys: Capture) -> None:
    code = (SERVERS / "offering.py").read_text()
    failing = code.replace('if method == "tools/list":', 'if method == "tools/list" and 0:')
    (folder / "failing.py").write_text(failing)
    words = [str(folder / "failing.py"), "x", "file:///a"]
    write(folder, one={"command": sys.executable, "args": words}, two=server("echo.py"))
    assert main(["snapshot", "--config", "mcpguard.yaml", "--out", "s.json"]) == 1
    assert "upstream 'one' answered tools/list with error" in capsys.readouterr().err
    assert list(json.loads((folder / "s.json").read_text())["servers"]) == ["two"]
    assert main(["check", "--config", "mcpguard.yaml", "--snapshot", "s.json", "--strict"]) == 1
    assert "the snapshot does not have one, so rules about it are not compared" in capsys.readouterr().out


def test_a_server_over_a_url_is_asked_with_the_keys_that_it_has(folder: Path, capsys: Capture) -> None:
    write(folder, far={"url": "https://nowhere.invalid/mcp"})
    assert main(["snapshot", "--config", "mcpguard.yaml"]) == 1
    said = capsys.readouterr().err
    assert "nowhere.invalid" in said
    assert "cannot be combined with" not in said


def test_a_run_that_cannot_begin_is_said(folder: Path, capsys: Capture) -> None:
    write(folder, one=server("echo.py"))
    (folder / "audit").write_text("no folder")
    assert main(["snapshot", "--config", "mcpguard.yaml"]) == 1
    assert "one could not be listed: `mcpguard run` ended" in capsys.readouterr().err


def test_a_list_that_strict_clients_refuse_is_written_as_it_is_served_with_a_warning(
    folder: Path, capsys: Capture
) -> None:
    odd = changed(folder, '"inputSchema": {"type": "object"}', '"inputSchema": {}')
    write(folder, odd=odd, one=server("echo.py"))
    assert main(["snapshot", "--config", "mcpguard.yaml", "--out", "s.json"]) == 0
    said = capsys.readouterr().err
    assert "mcpguard: warning: odd offers " in said
    assert "clients that validate lists refuse all its tools" in said
    assert json.loads((folder / "s.json").read_text())["servers"]["odd"]["tools"][0]["inputSchema"] == {}
    for words in (["--live"], ["--snapshot", "s.json"]):
        assert main(["check", "--config", "mcpguard.yaml", *words]) == 0
        assert re.search(r"mcpguard.yaml:.*: odd offers .* \[C118\]", capsys.readouterr().out)


def test_a_change_is_recorded_once_whether_a_client_or_a_snapshot_sees_it_first(
    folder: Path, capsys: Capture
) -> None:
    for text in ("An old tool", "A new tool"):
        servers, kept = {"one": changed(folder, "The tool", text)}, {"path": "kept"}
        write_config(folder, servers, session=kept)
        assert main(["snapshot", "--config", "mcpguard.yaml"]) == 0
        guard = Guard(folder, servers, session=kept)
        try:
            guard.hello()
            guard.text("echo", text="x")
            noted = [one["detail"] for one in guard.records("notice") if one["what"] == "pin-changed"]
        finally:
            guard.dispose()
    capsys.readouterr()
    assert noted
    assert len(noted) == len({one.partition(":")[0] for one in noted})


def test_the_evidence_of_a_snapshot_is_signed_like_that_of_a_client(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    monkeypatch.setenv("AUDIT_KEY", key)
    audit = {"path": "audit", "key": "${env:AUDIT_KEY}", "heads": {"file": "heads.txt"}}
    write_config(folder, {"one": server("echo.py")}, audit=audit)
    assert main(["snapshot", "--config", "mcpguard.yaml"]) == 0
    assert key not in capsys.readouterr().out
    public = str(SigningKey(Secret(key)).public)
    assert main(["audit", "verify", "audit", "--public-key", public, "--heads", "heads.txt"]) == 0
    assert (folder / "heads.txt").read_text()


def test_a_server_that_never_answers_is_given_up(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "LIST_SECONDS", -28.0)
    silent = {"command": sys.executable, "args": ["-c", "import sys; sys.stdin.read()"]}
    write(folder, one={**silent, "start_timeout_seconds": 30})
    assert main(["snapshot", "--config", "mcpguard.yaml"]) == 1
    assert "one could not be listed: it did not answer within 2 seconds" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_said(folder: Path, capsys: Capture) -> None:
    write(folder, one=server("echo.py"))
    assert main(["snapshot", "--config", "mcpguard.yaml", "--out", "no/such/folder.json"]) == 2
    assert "no/such/folder.json cannot be written" in capsys.readouterr().err


def test_what_the_server_was_given_is_not_in_the_snapshot(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAPSHOT_TOKEN", HELD)
    telling = changed(folder, 'f"The tool', 'os.environ["T"] + f"The tool')
    write(folder, one={**telling, "env": {"T": "${env:SNAPSHOT_TOKEN}"}})
    assert main(["snapshot", "--config", "mcpguard.yaml"]) == 0
    said = capsys.readouterr().out
    assert HELD not in said
    assert "[REDACTED:credential:env:SNAPSHOT_TOKEN#1]" in said


def test_check_can_ask_the_servers_now(folder: Path, capsys: Capture) -> None:
    write(folder, one=server("echo.py"), two={"command": "no-such-command"})
    assert main(["check", "--config", "mcpguard.yaml", "--live"]) == 1
    said = capsys.readouterr().out
    assert "[C105]" in said
    assert "one answers" in said
    assert "two can be started" not in said
    assert "two answers" not in said
    write(folder, one=server("echo.py"))
    assert main(["check", "--config", "mcpguard.yaml", "--live"]) == 0
    said = capsys.readouterr().out
    assert "rule all: no tool of the servers that it names matches `no-such` [P402]" in said
