"""The record of every decision: the chain that binds records (`chain.py`) and its proof (`verification.py`).

The two share only the file format.
"""
