"""A plain proxy on the official SDK's server and client; no guard."""

import sys

import anyio
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.server import Server
from mcp.server.stdio import stdio_server


async def main():
    parameters = StdioServerParameters(command=sys.argv[1], args=sys.argv[2:])
    async with stdio_client(parameters) as streams, ClientSession(*streams) as upstream:
        await upstream.initialize()
        schemas = {tool.name: tool.input_schema for tool in (await upstream.list_tools()).tools}

        async def on_list(_context, _params):
            return await upstream.list_tools()

        async def on_call(_context, params):
            return await upstream.call_tool(params.name, params.arguments)

        server = Server(
            "bench", on_list_tools=on_list, on_call_tool=on_call, get_tool_input_schema=schemas.get
        )
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())


anyio.run(main)
