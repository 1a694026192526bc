"""Approvals outside the agent's channel: `alerts.py` reports a ticket, `passkeys.py` proves who answered."""
