"""Policies that come with mcpguard."""
