"""Two clients of one configuration, with the official SDK's client in both eras: each sees what is its own."""

import os
import sys

import pytest
from mcp.shared.exceptions import MCPError

from tests.conformance import stage
from tests.interop.clients import MODERN, Place, run
from tests.wire.session import puppet, write_config

pytestmark = [
    pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning"),
    pytest.mark.parametrize("mode", ["legacy", MODERN]),
]

PROJECT = "/home/me/shop"
SECRET = "sk-of-{}-4f1c9a7d2e"
START = """
state["tools"] = [tool(one) for one in state["names"]]
reply = "send({'id': request_id, 'result': %s})"
about = "{'protocolVersion': params['protocolVersion'], 'serverInfo': {'name': 'puppet', 'version': '1'}"
note = "{'uri': state['name'] + '://note', 'name': 'note'}"
state["on"] = {
    "initialize": reply % (about + ", 'capabilities': {'tools': {}, 'resources': {}, 'prompts': {}}}"),
    "resources/list": reply % ("{'resources': [" + note + "]}"),
    "resources/templates/list": reply % "{'resourceTemplates': []}",
    "resources/read": reply % "{'contents': [{'uri': params['uri'], 'text': 'mine'}]}",
    "prompts/list": reply % "{'prompts': [{'name': 'hello'}]}",
}
"""


def server(name, *tools):
    """A server with these tools, a resource and a prompt, and a credential."""
    start = f"state.update(name={name!r}, names={tools!r})"
    return puppet("--start", start + START, env={"TOKEN": f"${{credential:{name}}}"})


def credential(folder, name):
    """What prints the credential of a server, and counts how often it was asked."""
    count = f"open({str(folder / f'asked-{name}')!r}, 'a').write('x')"
    said = f"{count}; print({SECRET.format(name)!r})"
    return {"servers": [name], "command": [sys.executable, "-c", said]}


@pytest.fixture
def config(tmp_path):
    """Servers of which one client has two, and another has one, or two others in a project."""
    servers = {
        "git": server("git", "read", "push", "act"),
        "files": server("files", "read", "find"),
        "shop": server("shop", "read", "query", "git__push"),
    }
    clients = {
        "cursor": {"servers": ["git", "files"]},
        "claude": {"servers": ["files"], "projects": {PROJECT: ["files", "shop"]}, "prefix": "always"},
        "zed": {"servers": ["shop"]},
    }
    credentials = {name: credential(tmp_path, name) for name in servers}
    return write_config(tmp_path, servers, stage.ALLOW_ALL, credentials=credentials, clients=clients)


@pytest.fixture
def connected(config, mode, tmp_path):
    """`connected(body, *words)` runs a body with a client of a mcpguard that has these further options."""

    def connect(body, *words, over="stdio"):
        place = Place("mcpguard", over)
        if over == "stdio":
            return run(place, mode, [*stage.over_stdio(config), *words], tmp_path, body)
        with stage.guard(tmp_path, config, *words) as origin:
            return run(place, mode, origin, tmp_path, body)

    return connect


def asked(folder):
    return sorted(path.name for path in folder.glob("asked-*"))


async def names(client):
    return [tool.name for tool in (await client.list_tools()).tools]


async def refused(awaitable):
    with pytest.raises(MCPError) as caught:
        await awaitable
    return caught.value.error.message


@pytest.mark.parametrize("over", ["stdio", "http"])
def test_each_client_has_its_own_servers_by_their_own_names_and_no_other(connected, tmp_path, over):
    async def body(client, _heard):
        assert await names(client) == ["git__read", "push", "act", "files__read", "find"]
        assert [str(one.uri) for one in (await client.list_resources()).resources] == [
            "git://note",
            "files://note",
        ]
        assert [one.name for one in (await client.list_prompts()).prompts] == ["git__hello", "files__hello"]
        for name in ("push", "git__push", "files__read", "find"):
            said = await client.call_tool(name, {"text": "x"})
            assert said.content[0].text == "x"
        for name in ("query", "shop__query", "shop__read", "git__query"):
            assert await refused(client.call_tool(name, {})) == f"Unknown tool: {name}"
        assert "not found" in (await refused(client.read_resource("shop://note"))).lower()
        assert (await client.read_resource("git://note")).contents[0].text == "mine"

    connected(body, "--agent", "cursor", over=over)
    assert asked(tmp_path) == ["asked-files", "asked-git"]


def test_no_tool_can_get_hold_of_a_credential_that_is_not_in_the_view(connected, tmp_path):
    read = "answer = text(str(sorted(environ.items())))"

    async def body(client, _heard):
        said = await client.call_tool("act", {"code": read})
        assert SECRET.format("git") not in said.content[0].text
        assert "[REDACTED" in said.content[0].text

    connected(body, "--agent", "cursor")
    assert "asked-shop" not in asked(tmp_path)
    state = b"".join(path.read_bytes() for path in (tmp_path / "audit").iterdir())
    assert b"shop" not in state


def test_a_project_has_its_own_servers_and_each_name_its_server_where_that_is_wanted(connected, tmp_path):
    async def user(client, _heard):
        assert await names(client) == ["files__read", "files__find"]
        assert await refused(client.call_tool("find", {})) == "Unknown tool: find"

    async def project(client, _heard):
        assert await names(client) == [
            "files__read",
            "files__find",
            "shop__read",
            "shop__query",
            "shop__git__push",
        ]
        assert (await client.call_tool("shop__query", {"text": "rows"})).content[0].text == "rows"

    connected(user, "--agent", "claude")
    assert asked(tmp_path) == ["asked-files"]
    connected(project, "--agent", "claude", "--project", os.path.join(PROJECT, "."))
    assert asked(tmp_path) == ["asked-files", "asked-shop"]


def test_a_name_that_looks_like_one_of_a_server_that_is_not_there_stays(connected):
    async def body(client, _heard):
        assert await names(client) == ["read", "query", "git__push"]
        assert (await client.call_tool("git__push", {"text": "of shop"})).content[0].text == "of shop"

    connected(body, "--agent", "zed")
