"""`mcpguard demo`: the newcomer's first minute. Nothing here is a part of the proxy."""
