"""The upstream of the benchmarks: the least that an MCP server can do in either era, so that the proxies are
what counts. An argument is a number of further tools."""

import sys

import msgspec

decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
TOOLS = [
    {
        "name": name,
        "description": f"The tool {name}",
        "inputSchema": {
            "type": "object",
            "properties": {"text": {"type": "string"}, "size": {"type": "integer"}},
        },
        "annotations": {"readOnlyHint": True},
    }
    for name in ("echo", "big", *(f"tool_{number}" for number in range(int(*sys.argv[1:] or "0"))))
]


VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
COMPLETE = {"resultType": "complete"}
PRIVATE = {**COMPLETE, "ttlMs": 0, "cacheScope": "private"}


def answer(message):
    method, params = message["method"], message.get("params", {})
    if VERSION_KEY in params.get("_meta", {}):
        if method == "server/discover":
            return {**PRIVATE, "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
        return {**(PRIVATE if method == "tools/list" else COMPLETE), **legacy_answer(method, params)}
    return legacy_answer(method, params)


def legacy_answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "bench", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        args = params.get("arguments", {})
        text = args["text"] if params["name"] == "echo" else "lorem ipsum " * (args["size"] // 12)
        return {"content": [{"type": "text", "text": text}], "isError": False}
    return {}


METHODS = ("initialize", "server/discover", "tools/list", "tools/call", "ping")


def main():
    reading, writing = sys.stdin.buffer, sys.stdout.buffer
    for line in reading:
        message = decode(line)
        if "id" in message and "method" in message:
            known = message["method"] in METHODS
            body = {"result": answer(message)} if known else {"error": {"code": -32601, "message": "no"}}
            writing.write(encode({"jsonrpc": "2.0", "id": message["id"], **body}) + b"\n")
            writing.flush()


if __name__ == "__main__":
    main()
