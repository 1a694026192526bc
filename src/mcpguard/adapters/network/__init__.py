"""Connections to other hosts: `outbound.py` makes them all, `posting.py` posts from a thread, `hosts.py` says
which host is private, and where an OAuth issuer publishes its metadata.
"""
