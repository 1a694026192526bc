"""What can be wrong with a configuration and its policies. `configuration.py` runs all checks, with
`servers.py` and `starting.py` for servers; `codes.py` has their codes. `lints/` looks at policies."""
