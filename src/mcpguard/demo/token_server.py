"""A small tool server that needs a token, and is as careless with it as real ones are.

Plain newline-delimited JSON-RPC without an SDK, so that it starts in milliseconds. It answers only with the
right token in `SHOP_TOKEN`, of which it knows no more than the SHA-256 (`SHOP_TOKEN_SHA256`).
"""

import base64
import hashlib
import json
import os
import sys
from typing import Any

_TOOLS = {"list_orders": "The open orders of the shop", "debug_settings": "The settings of this server"}


def main() -> None:
    """Serve until standard input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        if "id" in request and "method" in request:
            answer = {"jsonrpc": "2.0", "id": request["id"], **_answer(request)}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    params = request.get("params", {})
    if request["method"] == "initialize":
        version = params["protocolVersion"]
        server = {"name": "shop", "version": "1"}
        return {"result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}}
    if request["method"] == "tools/list":
        anything = {"inputSchema": {"type": "object"}}
        tools = [{"name": name, "description": about, **anything} for name, about in _TOOLS.items()]
        return {"result": {"tools": tools}}
    if request["method"] == "tools/call":
        return {"result": _call(params.get("name"))}
    return {"error": {"code": -32601, "message": "method not found"}}


def _call(name: str | None) -> dict[str, Any]:
    token = os.environ.get("SHOP_TOKEN", "")
    right = hashlib.sha256(token.encode()).hexdigest() == os.environ.get("SHOP_TOKEN_SHA256")
    if not right:
        return _text("401: a valid token is needed", failed=True)
    if name == "list_orders":
        return _text("signed in; 2 open orders: 1001 (tea), 1002 (cups)")
    basic = base64.b64encode(f"shop:{token}".encode()).decode()
    return _text(f"token = {token}\nAuthorization: Basic {basic}\nhex = {token.encode().hex()}")


def _text(text: str, failed: bool = False) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": failed}


if __name__ == "__main__":
    main()
