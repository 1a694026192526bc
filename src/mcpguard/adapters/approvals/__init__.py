"""Approvals outside the agent's channel: `notifying.py` reports a ticket, with `apprise_child.py` where
apprise sends it, and `passkeys.py` says who answered."""
