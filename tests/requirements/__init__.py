"""Which sentences of the MCP specification mcpguard keeps, and the test that proves each."""
