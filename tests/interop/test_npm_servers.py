"""Servers that many people run, from npm, behind mcpguard over standard input and output."""

import json

import pytest

from scripts import node
from tests.conformance.stage import ALLOW_ALL
from tests.wire.session import Guard

pytestmark = pytest.mark.node


@pytest.fixture
def behind(tmp_path, node_home):
    """`behind(name, program, *argv)` gives a client's session with mcpguard in front of the program."""
    guards = []

    def begin(name, program, *argv, env=None, rules=ALLOW_ALL):
        command, *words = node.program(node_home, program)
        entry = {"command": command, "args": [*words, *argv], "env": env or {}}
        guards.append(Guard(tmp_path, {name: entry}, rules))
        guards[-1].hello()
        return guards[-1]

    yield begin
    for guard in guards:
        guard.dispose()


def test_server_filesystem_writes_and_reads_a_real_file(behind, tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    session = behind("files", "mcp-server-filesystem", str(folder))
    assert {"read_text_file", "write_file", "list_directory"} <= set(session.tools())
    path = folder / "note.txt"
    session.text("write_file", path=str(path), content="written through mcpguard\n")
    assert path.read_text() == "written through mcpguard\n"
    assert session.text("read_text_file", path=str(path)) == "written through mcpguard\n"
    assert "note.txt" in session.text("list_directory", path=str(folder))


def test_server_filesystem_says_itself_what_it_refuses(behind, tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    session = behind("files", "mcp-server-filesystem", str(folder))
    answer = session.call("read_text_file", path=str(tmp_path / "policy.yaml"))
    assert answer["result"]["isError"]
    assert "Access denied" in answer["result"]["content"][0]["text"]


def test_a_rule_stops_a_write_before_the_server_sees_it(behind, tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    never = 'args.content == "never"'
    deny = {"id": "no", "effect": "deny", "tools": ["write_*"], "when": never, "message": "Not this, please."}
    session = behind("files", "mcp-server-filesystem", str(folder), rules=[*ALLOW_ALL, deny])
    answer = session.call("write_file", path=str(folder / "note.txt"), content="never")
    assert answer["result"]["isError"]
    assert "Not this, please." in answer["result"]["content"][0]["text"]
    assert list(folder.iterdir()) == []


def test_server_memory_keeps_what_it_was_told(behind, tmp_path):
    kept = tmp_path / "memory.jsonl"
    session = behind("memory", "mcp-server-memory", env={"MEMORY_FILE_PATH": str(kept)})
    assert {"create_entities", "read_graph"} <= set(session.tools())
    ada = {"name": "Ada", "entityType": "person", "observations": ["wrote the first program"]}
    assert "result" in session.call("create_entities", entities=[ada])
    graph = session.call("read_graph")["result"]
    assert graph["structuredContent"]["entities"] == [ada]
    assert json.loads(kept.read_text().splitlines()[0])["name"] == "Ada"


def test_server_everything_lists_and_serves_all_that_it_has(behind):
    session = behind("everything", "mcp-server-everything", "stdio")
    assert "echo" in session.tools()
    assert session.text("echo", message="hello") == "Echo: hello"
    resources = session.ask("resources/list")["result"]["resources"]
    assert resources
    read = session.ask("resources/read", {"uri": resources[0]["uri"]})["result"]
    assert read["contents"][0]["uri"] == resources[0]["uri"]
    prompts = session.ask("prompts/list")["result"]["prompts"]
    assert prompts
    assert session.ask("resources/templates/list")["result"]["resourceTemplates"]
