"""The parts that touch the world: families that never import each other, and what they share.

`transports/` face clients, `upstreams/` tool servers; `credentials/` fetch and mint, `approvals/` reach
those who approve, `audit/` writes evidence and reads it back, `store/` keeps state, `telemetry/` exports.
`network.py`, `postgresql.py`, `tls_failures.py`, `relay/` and `system/` are shared.
"""
