"""Servers' lists and notifications: `fetching.py` requests lists, `listing.py` answers clients,
`subscriptions.py` knows who is subscribed to a change, `notices.py` passes on notifications."""
