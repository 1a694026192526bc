"""The shop of the demo: nothing without the right token, and everything with it, the token included."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import Any

import pytest

TOKEN = "token-for-tests"


def answer(method: str, params: dict[str, Any], token: str = TOKEN) -> dict[str, Any]:
    request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    notification = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    done = subprocess.run(
        [sys.executable, "-m", "mcpguard.demo.token_server"],
        input=f"{json.dumps(notification)}\n{json.dumps(request)}\n",
        env={"SHOP_TOKEN": token, "SHOP_TOKEN_SHA256": hashlib.sha256(TOKEN.encode()).hexdigest()},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stdout.splitlines()
    said: dict[str, Any] = json.loads(line)
    assert (said.pop("jsonrpc"), said.pop("id")) == ("2.0", 7)
    return said


@pytest.mark.parametrize("token", ["", "another-token"])
@pytest.mark.parametrize("tool", ["list_orders", "debug_settings"])
def test_without_the_right_token_every_tool_fails(tool: str, token: str) -> None:
    result = answer("tools/call", {"name": tool}, token)["result"]
    assert result["isError"] is True
    assert result["content"][0]["text"] == "401: a valid token is needed"


def test_with_it_the_orders_come_and_the_debugging_tool_leaks() -> None:
    orders = answer("tools/call", {"name": "list_orders"})["result"]
    assert orders["isError"] is False
    assert "1001" in orders["content"][0]["text"]
    leak = answer("tools/call", {"name": "debug_settings"})["result"]["content"][0]["text"]
    assert TOKEN in leak
    assert TOKEN.encode().hex() in leak


def test_it_greets_lists_and_refuses_what_it_does_not_know() -> None:
    greeting = answer("initialize", {"protocolVersion": "2025-11-25"})["result"]
    assert greeting["protocolVersion"] == "2025-11-25"
    tools = answer("tools/list", {})["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["list_orders", "debug_settings"]
    assert answer("resources/list", {})["error"]["code"] == -32601
