"""Text of others as a person may see it: nothing in it steers what shows it, and nothing is hidden."""

import re

_UNSEEN = re.compile(
    "[\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u2800\\u3164\\ufe00-\\ufe0f\\uffa0\\U000e0100-\\U000e01ef]"
)
"""Default_Ignorable_Code_Point (Unicode 15, DerivedCoreProperties) that `isprintable` takes, and the blank of
Braille."""


def plain(text: str) -> str:
    """`text` in which everything that could steer a terminal or hide (controls, bidi marks, what is printable
    and yet not seen) is escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if not c.isprintable() or _UNSEEN.match(c) else c for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
