"""Servers that many people run, from npm, behind mcpguard over standard input and output."""

import json

import pytest

from scripts import node
from tests.conformance import stage
from tests.conformance.stage import ALLOW_ALL
from tests.interop.clients import MODERN, Place, run
from tests.wire.session import Guard

pytestmark = pytest.mark.node


@pytest.fixture
def behind(tmp_path, node_home):
    """`behind(name, program, *argv)` gives a client's session with mcpguard in front of the program."""
    guards = []

    def begin(name, program, *argv, env=None, rules=ALLOW_ALL, capabilities=None):
        command, *words = node.program(node_home, program)
        entry = {"command": command, "args": [*words, *argv], "env": env or {}}
        guards.append(Guard(tmp_path, {name: entry}, rules))
        guards[-1].hello(capabilities=capabilities)
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


def begun(session, **arguments):
    """The id of a task of revision 2025-11-25 that `server-everything` has begun."""
    params = {"name": "simulate-research-query", "arguments": arguments, "task": {"ttl": 60_000}}
    task = session.ask("tools/call", params)["result"]["task"]
    assert task["status"] == "working"
    return task["taskId"]


def test_a_task_asks_its_client_and_gives_its_result(behind):
    session = behind("everything", "mcp-server-everything", "stdio", capabilities={"elicitation": {}})
    task_id = begun(session, topic="python", ambiguous=True)
    listed = session.ask("tasks/list")["result"]["tasks"]
    assert [task["taskId"] for task in listed] == [task_id]
    waiting = session.request("tasks/result", {"taskId": task_id})
    question = session.wait_message(lambda message: message.get("method") == "elicitation/create")
    assert question["params"]["_meta"]["io.modelcontextprotocol/related-task"] == {"taskId": task_id}
    assert session.ask("tasks/get", {"taskId": task_id})["result"]["status"] == "input_required"
    chosen = {"action": "accept", "content": {"interpretation": "snake"}}
    session.send({"jsonrpc": "2.0", "id": question["id"], "result": chosen})
    report = session.answer(waiting)["result"]
    assert report["content"][0]["text"].startswith("# Research Report: python (snake)")
    assert session.ask("tasks/get", {"taskId": task_id})["result"]["status"] == "completed"


def test_a_task_is_cancelled_at_its_server(behind):
    session = behind("everything", "mcp-server-everything", "stdio")
    task_id = begun(session, topic="python")
    assert session.ask("tasks/cancel", {"taskId": task_id})["result"]["status"] == "cancelled"
    assert session.ask("tasks/get", {"taskId": task_id})["result"]["status"] == "cancelled"


def test_a_modern_client_over_http_uses_all_of_server_everything(node_home, tmp_path):
    async def body(client, heard):
        assert client.protocol_version == MODERN
        assert "echo" in {tool.name for tool in (await client.list_tools()).tools}
        assert (await client.call_tool("echo", {"message": "hello"})).content[0].text == "Echo: hello"
        first = (await client.list_resources()).resources[0]
        assert (await client.read_resource(first.uri)).contents[0].uri == first.uri
        assert (await client.list_prompts()).prompts
        assert (await client.list_resource_templates()).resource_templates
        said = await client.call_tool("trigger-sampling-request", {"prompt": "Which capital?"})
        assert "Paris" in said.content[0].text
        # The server itself asks for roots 350 ms after its handshake; a call that is open then carries that question.
        assert heard.asked.count("roots") <= 1
        (question,) = (asked for asked in heard.asked if asked != "roots")
        assert "Which capital?" in question.messages[0].content.text

    command, *words = node.program(node_home, "mcp-server-everything")
    config = stage.configured(tmp_path, {"command": command, "args": [*words, "stdio"]})
    with stage.guard(tmp_path, config) as origin:
        run(Place("mcpguard", "http"), MODERN, origin, tmp_path, body)
