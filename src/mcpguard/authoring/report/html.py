"""A small writer of HTML: elements nest, and every text is escaped.

Law of this file: a `str` is text and is escaped, wherever it stands; only what `element` made is markup.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

VOID = frozenset({"meta", "wbr", "rect"})
"""Elements without content: of HTML, and a shape of SVG."""


class Markup:
    """HTML that is complete in itself."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


Content = str | Markup | Iterable["Content"]


def element(name: str, /, *content: Content, **attributes: str | float | None) -> Markup:
    """`<name ...>content</name>`. An attribute is left out where it is None; `class_` is `class`, and an
    underscore in any other name stands for a hyphen."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_visible(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{said}/>")
    return Markup(f"<{name}{said}>{joined(content).text}</{name}>")


def joined(content: Content) -> Markup:
    """Several side by side."""
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return Markup(html.escape(_visible(content)))
    return Markup("".join(joined(one).text for one in content))


def prose(text: str) -> Markup:
    """Text in which what stands between backticks is code."""
    parts = text.split("`")
    return joined(element("code", part) if index % 2 else part for index, part in enumerate(parts))


def name_of(text: str) -> Markup:
    """A name as code, which may be broken behind `_` and `/`."""
    parts: list[Content] = []
    for part in re.split(r"(?<=[_/])", text):
        parts += [part, element("wbr")]
    return element("code", parts[:-1])


def sheet(css: str) -> Markup:
    """A style sheet of our own. It is no text, so it is not escaped."""
    return Markup(f"<style>{css}</style>")


def _visible(text: str) -> str:
    """A control character, or one that changes the direction of a text, as its code."""
    return "".join(one if one.isprintable() or one in "\n\t" else f"[U+{ord(one):04X}]" for one in text)
