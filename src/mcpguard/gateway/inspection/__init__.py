"""What may leave, and in which form: `inspector.py` inspects it, here or in a thread, and together everything
that arrived in one turn; `handles.py` keeps values usable that a client sends back."""
