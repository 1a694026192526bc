"""The parts that touch the world. Families never import each other; `app.py` joins them."""
