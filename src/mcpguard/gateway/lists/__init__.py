"""What servers list, and what they send unasked: `fetching.py` asks them, `listing.py` answers clients,
`subscriptions.py` knows who wants to know about a change, `notices.py` passes on what servers say."""
