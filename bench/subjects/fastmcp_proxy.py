"""FastMCP's proxy, as its documentation says to make one; no guard."""

import sys

from fastmcp.client.transports import StdioTransport
from fastmcp.server import create_proxy

proxy = create_proxy(StdioTransport(sys.argv[1], sys.argv[2:]), name="bench")
proxy.run(transport="stdio", show_banner=False)
