"""The upstream side: the only adapters that reveal a secret, each to the upstream it is bound to."""
