"""The packs of `policies/`: each loads, decides as its tests say, and fits the tools of the real server."""
