"""What `everything.py` serves: one module for each kind of thing that MCP knows."""
