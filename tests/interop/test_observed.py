"""A server whose policies are only observed, until its last day passes while mcpguard serves: the official SDK's client
in both eras."""

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.interop.clients import MODERN, Place, run
from tests.interop.test_slow_servers import changes, names
from tests.wire.session import puppet, write_config

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")

SERVING = """
import datetime, os, sys
from mcpguard.adapters.system.clock import SystemClock
from mcpguard.cli import main
from mcpguard.serve import reloading

reloading.LOOK_SECONDS = 0.02
days = lambda: 3 if os.path.exists(sys.argv[1]) else 0
SystemClock.now = lambda _self=None: datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days())
sys.exit(main(sys.argv[2:]))
"""
"""mcpguard, whose clock is three days ahead once a file is there."""
RULES = [
    {
        "id": "said",
        "effect": "allow",
        "tools": ["echo"],
        "when": "args.text == 'fine'",
        "message": "Say fine.",
    }
]
OURS, OTHERS = (
    {f"{server}__{tool}" for tool in ("act", "echo", "forbidden", "seen")} for server in ("one", "two")
)


@pytest.mark.parametrize("mode", ["legacy", MODERN])
def test_what_policy_refuses_goes_on_there_and_nowhere_else_until_the_day_is_over(tmp_path, mode):
    until = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    observe = {"until": until, "servers": ["one"]}
    config = write_config(tmp_path, {"one": puppet(), "two": puppet()}, RULES, observe=observe)
    later = tmp_path / "later"

    async def said(client, tool, text):
        answer = await client.call_tool(tool, {"text": text})
        return answer.content[0].text

    async def body(client, heard):
        async with changes(client, heard) as changed:
            assert await names(client) == OURS | {"two__echo"}
            assert await said(client, "one__echo", "anything") == "anything"
            assert "Say fine." in await said(client, "two__echo", "anything")
            later.touch()
            await changed()
        assert await names(client) == {"one__echo", "two__echo"}
        assert "Say fine." in await said(client, "one__echo", "anything")
        assert await said(client, "one__echo", "fine") == "fine"

    words = [sys.executable, "-c", SERVING, str(later), "run", "--config", str(config)]
    run(Place("mcpguard", "stdio"), mode, words, tmp_path, body)
    (chain,) = (tmp_path / "audit").glob("*.jsonl")
    records = [json.loads(line) for line in chain.read_text().splitlines()]
    calls = [one for one in records if one.get("method") == "tools/call"]
    told = "no rule allows this call as it is. Say fine."
    assert [one.get("observed") for one in calls] == [{"cause": "no-rule", "message": told}, None, None, None]
    assert [one["effect"] for one in calls] == ["allow", "deny", "deny", "allow"]
    noted = [one for one in records if one["kind"] == "notice" and one["what"].startswith("policy-")]
    notices = [(one["what"], one["detail"]) for one in noted]
    detail = f"one until the end of {until} (UTC)"
    assert notices == [("policy-observed", detail), ("policy-enforced", detail)]
    errors = (tmp_path / "client.err").read_text()
    assert f"observing {detail}: policies are recorded and not enforced" in errors
    assert "[one] would refuse tools/call echo (no-rule)" in errors
    assert "policies are enforced from now on for one" in errors
