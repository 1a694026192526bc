"""`mcpguard run --agent NAME --project FOLDER`: what the process has, and who is refused at the start."""

import json
from pathlib import Path

import pytest

from tests.attack.processes import family, needs_proc
from tests.wire import warm
from tests.wire.session import eventually, puppet, write_config

MINE, OTHER = "sk-mine-3b8d1f6a90", "sk-other-7c2e5a4d18"
CLIENTS = {
    "cursor": {"servers": ["git", "web"]},
    "claude": {"projects": {"/home/me/shop": ["shop"]}},
}


def servers():
    return {
        "git": puppet(env={"TOKEN": "${env:GIT_TOKEN}"}),
        "web": puppet("--tools", json.dumps([{"name": "find", "inputSchema": {"type": "object"}}])),
        "shop": puppet("--mark", "of-the-shop", env={"TOKEN": "${env:SHOP_TOKEN}"}),
    }


@needs_proc
def test_what_is_for_other_clients_is_wiped_from_the_environment(session):
    variables = {"GIT_TOKEN": MINE, "SHOP_TOKEN": OTHER}
    words = ("--agent", "cursor")
    guard = session(servers(), clients=CLIENTS, env=variables, words=words, cold=True)
    assert "find" in guard.tools()
    code = f"answer = text(str(token == '{MINE}'))"
    assert guard.text("act", code=code) == "True"
    running = family()
    assert not [line for line in running.values() if "of-the-shop" in line]
    for pid in running:
        assert OTHER.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    assert guard.records("opened")[0]["agent"] == "cursor"


def test_the_status_says_whom_a_process_serves(session, tmp_path):
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    words = ("--agent", "claude", "--project", "/home/me/shop")
    guard = session(servers(), clients=CLIENTS, words=words, env={**state, "SHOP_TOKEN": OTHER})
    guard.tools()

    def status(*more):
        return warm.command("status", *more, environment=state).stdout.decode()

    said = eventually(lambda: "shop " in status() and status(), "a status with the server")
    assert f"{guard.config} for claude in /home/me/shop\n" in said
    (found,) = json.loads(status("--json"))["running"]
    assert (found["agent"], found["project"]) == ("claude", "/home/me/shop")
    assert [one["name"] for one in found["upstreams"]] == ["shop"]


@pytest.mark.parametrize("over", [[], ["--http", "127.0.0.1:0"]])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name the client with `--agent NAME`; `clients` has cursor, claude"),
        (["--agent", "zed"], "there is no client `zed`; `clients` has cursor, claude"),
        (
            ["--agent", "claude"],
            "the client `claude` has servers in projects only: choose one with `--project FOLDER`; its "
            "projects "
            "are /home/me/shop",
        ),
        (
            ["--agent", "claude", "--project", "/home/me"],
            "the client `claude` has no project /home/me; its projects are /home/me/shop",
        ),
    ],
)
def test_who_is_not_named_is_refused_with_one_sentence_before_anything_starts(tmp_path, words, said, over):
    config = write_config(tmp_path, servers(), clients=CLIENTS)
    done = warm.command("run", "--config", str(config), *words, *over)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == f"mcpguard: {config}: {said}\n"
    assert not (tmp_path / "audit").exists()
