"""The official SDK's client, in both eras, asks its user about a call where the rule allows it."""

import pytest

from tests.conformance import stage
from tests.interop.clients import FORM, MODERN, Place, run
from tests.wire.session import puppet, write_config

RULES = [{"id": "push", "effect": "ask", "tools": ["echo"], "message": "Seen.", "ask": {"via": "client"}}]

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")


@pytest.mark.parametrize("mode", ["legacy", MODERN])
@pytest.mark.parametrize("over", ["stdio", "http"])
@pytest.mark.parametrize(
    ("decision", "said"), [("approve", "hello"), ("deny", "A person refused this call: No.")]
)
def test_what_its_user_chooses_becomes_of_the_call(tmp_path, monkeypatch, mode, over, decision, said):
    monkeypatch.setitem(FORM, "decision", decision)
    monkeypatch.setitem(FORM, "reason", "No.")
    config = write_config(tmp_path, {"p": puppet()}, RULES, session={"path": str(tmp_path / "s")})

    async def body(client, heard):
        result = await client.call_tool("echo", {"text": "hello"})
        (asked,) = heard.asked
        assert "tools/call p/echo" in asked.message
        assert asked.requested_schema["required"] == ["decision"]
        return result.content[0].text

    if over == "stdio":
        found = run(Place("mcpguard", over), mode, stage.over_stdio(config), tmp_path, body)
    else:
        with stage.guard(tmp_path, config) as origin:
            found = run(Place("mcpguard", over), mode, origin, tmp_path, body)
    assert said in found
