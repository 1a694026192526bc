"""Connections to other hosts: `outbound.py` makes them all, `hosts.py` says which host is private,
and where an OAuth issuer publishes its metadata.
"""
