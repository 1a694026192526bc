"""The parts that touch the world: families that never import each other, and what they share.

`transports/` face clients, `upstreams/` tool servers; `credentials/` fetch and mint, `audit/` writes
evidence, `store/` keeps state, `telemetry/` says how a running mcpguard is. `network/`, `relay/` and
`system/` are shared.
"""
