"""Statements, command lines and documents in colour.

Law of this file: colour adds nothing and takes nothing away: the text is that of `texts.marked`.
"""

from __future__ import annotations

from itertools import groupby

from markupsafe import Markup

from mcpguard.console.rendering.languages import Language, classes_of
from mcpguard.console.rendering.texts import marked


def highlighted(text: str, language: Language) -> Markup:
    """`text` as markup, in colour where a lexer knows it."""
    kinds = classes_of(text, language)
    if not kinds:
        return marked(text)
    parts: list[Markup] = []
    at = 0
    for kind, run in groupby(kinds):
        end = at + len(list(run))
        piece = marked(text[at:end])
        plain = kind in ("", "redacted")
        parts.append(piece if plain else Markup('<span class="{}">{}</span>').format(f"tok-{kind}", piece))
        at = end
    return Markup("").join(parts)
