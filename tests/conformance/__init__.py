"""The official conformance suite against our upstream directly, and through mcpguard."""
