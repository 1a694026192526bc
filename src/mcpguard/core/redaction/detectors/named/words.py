"""The lists of words by which names and values are judged: those of `words.txt`."""

from mcpguard.core.tables import names, sections

WORDS = {title: names(text) for title, text in sections(__package__, "words.txt").items()}
"""By title."""
