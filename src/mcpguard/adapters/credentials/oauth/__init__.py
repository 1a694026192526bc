"""OAuth for servers: mcpguard as an OAuth 2.1 client (basic/authorization).

`login.py` has a person log in, `grants.py` keeps what that leaves, and `mints.py` gives out tokens.
`asking.py` makes each request and finds the authorization server that a resource trusts; `clients.py` proves
who we are.
"""
