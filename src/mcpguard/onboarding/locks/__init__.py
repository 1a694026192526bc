"""A client locked, so that it starts no other server than mcpguard: `lockable.py` says what clients offer for
that and what a lock is to allow, `forms.py` what that is in a client's file, `locking.py` sets it and takes
it back.
"""
