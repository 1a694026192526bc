"""Connections to other hosts: `outbound.py` makes them all, `hosts.py` says which URL may be plain,
`issuers.py` where an OAuth issuer publishes its metadata.
"""
