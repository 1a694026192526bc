"""How a running mcpguard is: its status file, and lines on standard error."""
