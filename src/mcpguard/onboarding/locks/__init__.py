"""A client locked, so that it starts no other server than mcpguard: `lockable.py` says what clients offer for
that, `allowed.py` what is to be allowed, `forms.py` what that is in a client's file, `locking.py` does it and
takes it back."""
