"""What may leave, and in which form: `inspector.py` looks through it, here or in a thread; `handles.py` keeps
usable what a client gives back."""
