"""A small MCP server of the legacy era: `offering.py LABEL TOOL…`. Each of its tools reads only and answers with
LABEL, and with the length of $TOKEN; what looks like a URI is a resource, URI=TEXT one that can be read, URI={…} one
whose reading gives this result, and URI=never one whose reading is not answered. It writes nothing but answers."""

import json
import os
import sys

LABEL, TOOLS = sys.argv[1], [one for one in sys.argv[2:] if "://" not in one]
RESOURCES = dict(one.partition("=")[::2] for one in sys.argv[2:] if "://" in one)


def result(method, params):
    if method == "initialize":
        said = {"name": LABEL, "version": "1"}
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}, "resources": {}},
            "serverInfo": said,
        }
    if method == "tools/list":
        hints = {"readOnlyHint": True, "openWorldHint": False}
        return {
            "tools": [{"name": one, "inputSchema": {"type": "object"}, "annotations": hints} for one in TOOLS]
        }
    if method == "tools/call":
        return {
            "content": [
                {"type": "text", "text": f"{LABEL}.{params['name']} {len(os.environ.get('TOKEN', ''))}"}
            ]
        }
    if method == "resources/list":
        return {"resources": [{"uri": one, "name": one} for one in RESOURCES]}
    if method == "resources/read" and (text := RESOURCES.get(params["uri"])):
        if text.startswith("{"):
            return json.loads(text)
        return {"contents": [{"uri": params["uri"], "mimeType": "application/json", "text": text}]}
    return {} if method == "ping" else None


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    if RESOURCES.get((message.get("params") or {}).get("uri")) == "never":
        continue
    answer = {"jsonrpc": "2.0", "id": message["id"]}
    found = result(message.get("method", ""), message.get("params") or {})
    if found is None:
        answer["error"] = {"code": -32601, "message": "no such method"}
    else:
        answer["result"] = found
    print(json.dumps(answer), flush=True)
