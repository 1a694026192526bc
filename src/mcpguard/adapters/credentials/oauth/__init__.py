"""OAuth towards servers: mcpguard as an OAuth 2.1 client (basic/authorization)."""
