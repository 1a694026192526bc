"""URLs, hosts and addresses: `url`, `hostIn`, `isPrivateHost`, `cidr`, one module each; they read with
`urls.py`, `hosts.py` and `networks.py`."""
