"""The parts that touch the world. Families never import each other; `serve/app.py` joins them."""
