"""Servers' lists and notifications: `fetching.py` requests lists, `pinning.py` holds back what was not
accepted, `listing.py` answers clients, `subscriptions.py` knows who is subscribed to a change, `notices.py`
passes on notifications."""
