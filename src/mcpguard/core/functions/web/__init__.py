"""URLs, hosts and addresses: `urls.py` is for `url`, `networks.py` for `hostIn`, `isPrivateHost` and `cidr`;
`hosts.py` reads hosts for both."""
