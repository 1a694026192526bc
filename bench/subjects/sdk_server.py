"""The two tools of `echo_server.py` on the SDK's own server, in both eras: `stdio`, or a port."""

import sys

import anyio
import uvicorn
from mcp.server import Server
from mcp.server.stdio import stdio_server

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}, "size": {"type": "integer"}}}
READ_ONLY = {"readOnlyHint": True}
TOOLS = [
    {"name": name, "description": f"The tool {name}", "inputSchema": SCHEMA, "annotations": READ_ONLY}
    for name in ("echo", "big")
]


async def on_list(_context, _params):
    return {"resultType": "complete", "ttlMs": 0, "cacheScope": "public", "tools": TOOLS}


async def on_call(_context, params):
    args = params.arguments or {}
    text = args["text"] if params.name == "echo" else "lorem ipsum " * (args["size"] // 12)
    return {"resultType": "complete", "content": [{"type": "text", "text": text}], "isError": False}


async def over_stdio():
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


server = Server("bench", on_list_tools=on_list, on_call_tool=on_call, get_tool_input_schema=lambda _: SCHEMA)
if sys.argv[1] == "stdio":
    anyio.run(over_stdio)
else:
    uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
