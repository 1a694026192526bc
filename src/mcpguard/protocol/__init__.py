"""What MCP is, as pure values and tables: messages, methods, names. No IO, no SDK, no event loop."""
