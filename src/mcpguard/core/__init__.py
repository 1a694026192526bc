"""The pure core: decides, redacts and seals. No IO, no clock, no event loop, no MCP."""
