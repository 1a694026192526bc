"""Characters that are not seen, and letters in another shape: what is seen of a text, in plain letters.

Law of this file: what a character comes to does not depend on its neighbours, but for a space of tags. So
each is replaced in all of a piece at once, and only a piece with very many of them is gone through.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from unicodedata import normalize

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.views.view import REPLACED, WHOLE, View, slices

_CHARACTERS = expression(
    # What comes to a letter of ASCII, or to nothing: the rest of them says nothing that is looked for.
    # A control that begins a sequence of a terminal goes with that (`escapes`).
    rb"(\xc2(?:[\x80-\x9a\x9c-\x9f]|\xad)|\xcd\x8f|\xd8\x9c"
    rb"|\xe1(?:\xa0[\x8b-\x8f]|\x85[\x9f\xa0]|[\xb4\xb5][\x80-\xbf])"
    rb"|\xe2(?:\x80[\x8b-\x8f\xa8-\xae]|\x81[\xa0-\xbf]|\x82[\x80-\x9c]|\x84[\x80-\xbf]|\x91[\xa0-\xbf]"
    rb"|[\x92\x93][\x80-\xbf])"
    rb"|\xe3\x85\xa4"
    # Full width (U+FF01 to U+FF5E).
    rb"|\xef(?:\xbb\xbf|\xb8[\x80-\x8f]|\xbe\xa0|\xbf[\xb9-\xbb]|\xbc[\x81-\xbf]|\xbd[\x80-\x9e])"
    # Controls of hieroglyphs, shorthand and music; letters and digits in another shape.
    rb"|\xf0(?:\x93\x90[\xb0-\xbf]|\x9b\xb2[\xa0-\xa3]|\x9d[\x90-\x9f][\x80-\xbf]|\x9d\x85[\xb3-\xba]"
    rb"|\x9f[\x84\x85][\x80-\xbf]|\x9f\xaf[\xb0-\xb9])"
    # Letters of tags (U+E0020 to U+E007E), and selectors.
    rb"|\xf3\xa0[\x80\x81\x84-\x87][\x80-\xbf])"
)
_SHAPED = re.compile("[\u1d00-\u1d7f\u2070-\u213f\u2460-\u24ff\uff01-\uff5e\U0001d400-\U0001fbf9]")
"""Letters and digits in another shape are plain ones (compatibility equivalents of UAX 15)."""
_FIRST_TAG, _LAST_TAG, _DELETED_TAG = 0xE0000, 0xE007F, 0x7F
_TAG = b"\xf3\xa0"
_TAG_SPACE = b"\xf3\xa0\x80\xa0"
_SLICE = 32 * 1024
_FEW = 32
"""Up to this many different ones are each replaced at once."""
_FOR_ONE, _FOR_ONE_AT_ONCE = 2, 16
"""Characters that cost as much as one place where something may begin, one by one and at once."""
_COST_OF_A_KIND = 4
"""To search for one, and to replace it in a piece in which it is once."""


class PlainCharacters(View):
    """A view without the characters that are not seen, and with plain letters for those in another shape."""

    __slots__ = ("_source",)

    def __init__(self, outer: View, budget: Budget) -> None:
        self._source = outer.text
        text = bytearray()
        for at, end in slices(self._source, _SLICE):
            text += _plainly(self._source[at:end], budget)
        super().__init__(bytes(text + PAD), outer)

    def at(self, place: int, more: int = 0) -> int:
        if not self._made:
            self._make()
        return super().at(place, more)

    def _make(self) -> None:
        size = at = 0
        for begin, end in slices(self._source, _SLICE):
            for text, character, plain in _each(_CHARACTERS.split(self._source[begin:end])):
                if text:
                    self.add(size, at, at + len(text), WHOLE)
                    size, at = size + len(text), at + len(text)
                if plain:
                    self.add(size, at, at + len(character), REPLACED)
                    size += len(plain)
                at += len(character)
        self.add(size, at, len(self._source), WHOLE)


def plain_characters(view: View, budget: Budget) -> View:
    """A view in plain characters: `view` itself where it has no others."""
    made = PlainCharacters(view, budget)
    return view if made.text == view.text else made


def _plainly(piece: bytes, budget: Budget) -> bytes:
    if piece.isascii():
        return piece
    met = at = 0
    while found := _CHARACTERS.search(piece, at):
        met += 1
        if met > _FEW or _TAG_SPACE in piece:
            parts = _CHARACTERS.split(piece)
            budget.piece(len(parts) // 2 // _FOR_ONE)
            return b"".join([text + plain for text, _, plain in _each(parts)])
        one, at = found[0], found.start()
        plain = _plain(one)
        budget.piece(_COST_OF_A_KIND + piece.count(one, at) // _FOR_ONE_AT_ONCE)
        if plain == one:
            at = found.end()
        else:
            piece = piece.replace(one, plain)
    return piece


def _each(parts: list[bytes]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Each text, the character behind it, and what that comes to; at the end neither."""
    last = b""
    for text, character in zip(parts[::2], [*parts[1::2], b""], strict=True):
        plain = _plain(character)
        if character == _TAG_SPACE and (text or not last.startswith(_TAG)):
            plain = b""  # Between other characters it is not seen.
        yield text, character, plain
        last = character


@lru_cache(4096)
def _plain(character: bytes) -> bytes:
    """What it comes to, "" for nothing."""
    letter = character.decode()
    code = ord(letter) if letter else 0
    if _FIRST_TAG <= code <= _LAST_TAG:
        code -= _FIRST_TAG
        return bytes([code]) if 0x20 <= code < _DELETED_TAG else b""
    if not _SHAPED.match(letter):
        return b""
    plain = normalize("NFKC", letter)
    return plain.encode() if plain.isascii() else character
