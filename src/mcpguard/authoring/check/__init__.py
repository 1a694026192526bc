"""What can be wrong with a configuration and its policies. `configuration.py` runs all checks, with
`servers.py` for servers; `codes.py` has their codes. `exposure.py` compares `relied.py`, what is run or
believed, with `writable.py`, what servers can write; both read `words.py`. `lints/` looks at policies."""
