"""What may leave, and in which form: `inspector.py` looks through it, here or in a thread, and together what
came in one turn; `handles.py` keeps usable what a client gives back."""
