"""What goes with an approval outside of the agent's channel: `passkeys.py` proves who gave it."""
