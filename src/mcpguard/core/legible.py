"""What is hidden in a text, and how a person may see it in one line; and a time, as a person sees it.

Source: the Unicode Character Database 15.0 (DerivedCoreProperties: Default_Ignorable_Code_Point; PropList:
Bidi_Control).
"""

from datetime import UTC, datetime
from typing import Literal

from mcpguard.core.expressions import expression

GROUPS: dict[str, list[tuple[int, int]]] = {
    "control": [(0, 8), (0x0B, 0x0B), (0x0E, 0x1F), (0x7F, 0x9F), (0xD800, 0xDFFF), (0xFFF9, 0xFFFB)],
    "bidirectional": [(0x61C, 0x61C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x206F)],
    "tag": [(0xE0000, 0xE007F)],
    "invisible": [
        *((0xAD, 0xAD), (0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
        *((0x200B, 0x200D), (0x2060, 0x2065), (0x2800, 0x2800), (0x3164, 0x3164), (0xFE00, 0xFE0F)),
        *((0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3)),
        *((0x1D173, 0x1D17A), (0xE0080, 0xE0FFF)),
    ],
    "separator": [(0x2028, 0x2029)],
}
"""Cc but for tab, line feed, form feed and carriage return, unpaired surrogates and the marks of annotations;
Bidi_Control, with the deprecated shaping controls behind it; tags; the rest of Default_Ignorable_Code_Point,
the blank of Braille and what joins hieroglyphs; the ends of lines and paragraphs that look like others."""


def charset(*ranges: tuple[int, int]) -> str:
    """The inside of a class of a regular expression."""
    return "".join(f"\\U{start:08x}-\\U{end:08x}" for start, end in ranges)


HIDDEN = charset(*(one for ranges in GROUPS.values() for one in ranges))
"""All of these characters."""

_HIDDEN = expression(f"[{HIDDEN}]")


def plain(text: str) -> str:
    """`text` in which everything that could steer a terminal or hide is escaped, and the end of a line too.
    Here nothing stays for its neighbours, and nothing is dropped: `neutral` is for whole documents."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) if not c.isprintable() or _HIDDEN.match(c) else c for c in text)


def utc(at: datetime | float, to: Literal["minutes", "seconds", "milliseconds"] = "seconds") -> str:
    """A time (a number: in seconds since 1970) as in evidence, RFC 3339 in UTC: `2026-08-01T09:00:00Z`. "?"
    where there is no such time. Where there is little room, its end is enough: it says `Z`, too."""
    try:
        moment = datetime.fromtimestamp(at, UTC) if isinstance(at, float | int) else at.astimezone(UTC)
    except (OverflowError, ValueError, OSError):
        return "?"
    return moment.replace(tzinfo=None).isoformat(timespec=to) + "Z"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
