"""The command line of the MCP Inspector through mcpguard, over each transport."""

import json
import subprocess

import pytest

from scripts import node
from tests.conformance import stage
from tests.interop.clients import Place

SECONDS = 40
PLACES = [
    Place("direct", "stdio"),
    Place("mcpguard", "stdio"),
    *(Place(what, over) for over in ("http", "sse") for what in ("direct", "mcpguard")),
]

pytestmark = pytest.mark.node


def through(over):
    """Through mcpguard over this transport: each method over one of them, since `test_sdk_client` has each over all."""
    return pytest.mark.parametrize("place", [Place("mcpguard", over)], ids=str)


@pytest.fixture
def inspect(places, place, node_home):
    """`inspect(method, *words)` gives what the inspector printed."""
    folder, reached = places(place)

    def target():
        if place.over != "stdio":
            return [f"{reached}/{'sse' if place.over == 'sse' else 'mcp'}", "--transport", place.over]
        if place.what == "direct":
            return reached
        # The inspector takes every `--config` for its own, so the path goes through the environment.
        config = folder / "mcpguard.yaml"
        return ["-e", f"MCPGUARD_CONFIG={config}", *stage.forked("run")]

    def begin(method, *words):
        command = [*node.program(node_home, "mcp-inspector-cli"), "--cli", *target(), "--method", method]
        done = subprocess.run(
            [*command, *words],
            cwd=stage.root(),
            env=node.environment(node_home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return begin


@through("stdio")
def test_the_inspector_lists_tools(inspect):
    names = [tool["name"] for tool in inspect("tools/list")["tools"]]
    assert {"echo", "add", "test_simple_text"} <= set(names)


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_inspector_calls_a_tool(inspect):
    """Over each transport, and without mcpguard as well: that the inspector and the server agree is looked at."""
    result = inspect("tools/call", "--tool-name", "add", "--tool-arg", "a=2", "--tool-arg", "b=40")
    assert result["structuredContent"] == {"sum": 42}


@through("http")
def test_the_inspector_lists_resources(inspect):
    uris = {resource["uri"] for resource in inspect("resources/list")["resources"]}
    assert {"test://static-text", "test://watched-resource"} <= uris


@through("sse")
def test_the_inspector_reads_a_resource(inspect):
    contents = inspect("resources/read", "--uri", "test://static-text")["contents"]
    assert contents[0]["text"] == "This is the content of the static text resource."


@through("http")
def test_the_inspector_lists_prompts(inspect):
    names = {prompt["name"] for prompt in inspect("prompts/list")["prompts"]}
    assert "test_prompt_with_arguments" in names
