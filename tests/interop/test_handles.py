"""The official SDK's client follows cursors and URIs that hold a secret, in both eras, and never sees it."""

import json
import sys
from hashlib import sha256

import pytest

from tests.conformance import stage
from tests.interop.clients import MODERN, Place, run
from tests.wire.session import SERVERS, write_config

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3
URI = f"https://files.example.com/report?key={TOKEN}"
CURSOR = f"page-2:{TOKEN}"


@pytest.mark.parametrize("mode", ["legacy", MODERN])
def test_the_client_follows_a_cursor_and_a_uri_that_it_never_sees(tmp_path, mode):
    schema = {"type": "object"}
    answer = {
        "structuredContent": {"rows": [1], "nextCursor": CURSOR},
        "content": [{"type": "resource_link", "uri": URI, "name": "report"}],
    }
    said = {
        "tools": [{"name": name, "inputSchema": schema} for name in ("rows", "digest")],
        "results": {"rows": answer},
        "resources": [{"uri": URI, "name": "report"}],
    }
    (tmp_path / "said.json").write_text(json.dumps(said))
    entry = {"command": sys.executable, "args": [str(SERVERS / "replayed.py"), str(tmp_path / "said.json")]}
    rules = [
        {"id": "all", "effect": "allow", "action": ["*"]},
        {"id": "secrets", "effect": "deny", "action": ["*"], "when": 'detect(args, "secret") != []'},
    ]
    command = stage.over_stdio(write_config(tmp_path, {"replayed": entry}, rules))

    async def body(client, _heard):
        (listed,) = (await client.list_resources()).resources
        rows = await client.call_tool("rows", {})
        read = await client.read_resource(rows.content[0].uri)
        digest = await client.call_tool("digest", {"cursor": rows.structured_content["nextCursor"]})
        refused = await client.call_tool("digest", {"cursor": CURSOR})
        return listed, rows, read, digest, refused

    listed, rows, read, digest, refused = run(Place("mcpguard", "stdio"), mode, command, tmp_path, body)
    assert str(listed.uri) == str(rows.content[0].uri) == str(read.contents[0].uri)
    assert read.contents[0].text == sha256(URI.encode()).hexdigest()
    assert digest.content[0].text == sha256(CURSOR.encode()).hexdigest()
    assert refused.is_error
    for one in (listed, rows, read, digest, refused):
        assert TOKEN not in one.model_dump_json()
