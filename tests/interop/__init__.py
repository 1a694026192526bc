"""Clients and servers that others wrote, with mcpguard between them."""
