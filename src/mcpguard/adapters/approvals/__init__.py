"""Approvals outside the agent's channel: `notifying.py` reports a ticket, `passkeys.py` says who answered."""
