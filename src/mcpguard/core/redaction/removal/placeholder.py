"""`[REDACTED:KIND#N]` stands where something was removed, and is known again in what a client sends.

Law of this file: a tool that is sent a placeholder would write it in place of the original. Text that only
looks like one, of a kind that does not exist, is anybody's text.
"""

import re
from collections.abc import Container, Iterator, Mapping
from sys import maxunicode

import msgspec

from mcpguard.core.expressions import expression
from mcpguard.core.legible import HIDDEN
from mcpguard.core.model import Json
from mcpguard.core.redaction.detectors import KINDS

PLACEHOLDER = rb"\[REDACTED:([A-Za-z0-9_.:/-]+)#([0-9]{1,5})\]"
_PLACEHOLDER = expression(PLACEHOLDER)
NUMBERED = 10_000
"""The highest number of a placeholder; what would have a higher one gets 0."""
CREDENTIAL = "credential:"
"""Begins the kind of each held value; its name follows."""
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/-")
_encode = msgspec.json.Encoder().encode
WORD = b"REDACTED"
VISIBLE = b"[U+"
"""What has neither of the two in its JSON carries no placeholder."""
# Also as it stands in a URI. It begins with letters, by which it is searched for as fast as for a literal.
_SENT = expression(
    WORD + rb"(?::|%3[Aa])((?:[A-Za-z0-9_.:/-]|%3[Aa]|%2[Ff]){1,400})(?:#|%23)[0-9]{1,5}(?:\]|%5[Dd])"
)
_VISIBLE = expression(rb"\[U\+([0-9A-F]{4,6})(?: and [0-9]{1,9} more hidden characters)?\]")
_HIDDEN = expression(f"[{HIDDEN}]")
_OPENED = (b"[", b"%5B", b"%5b")


def kind_of(name: str, shown: Mapping[str, str]) -> str:
    """The kind of the value that is held under `name`; `shown` has what placeholders call it instead. A path
    would say where on this machine the value is."""
    called = shown.get(name, "file" if name.startswith("file:") else name).removeprefix(CREDENTIAL)
    return CREDENTIAL + "".join(char if char in _NAME else "_" for char in called[:128])


def _ours(text: bytes, kinds: Container[str]) -> Iterator[re.Match[bytes]]:
    """Those of these kinds that stand in the text."""
    known: dict[bytes, bool] = {}  # A text may have nothing else in it.
    for found in _PLACEHOLDER.finditer(text):
        is_ours = known.get(found[0])
        if is_ours is None:
            is_ours = known[found[0]] = found[1].decode() in kinds and int(found[2]) <= NUMBERED
        if is_ours:
            yield found


def masked(text: bytes, kinds: Container[str]) -> bytes:
    """The text with placeholders of these `kinds` covered: nothing is found in them or across them."""
    made: bytearray | None = None
    for found in _ours(text, kinds):
        made = made or bytearray(text)
        made[found.start() : found.end()] = b"\xff" * len(found[0])
    if made is None:
        return text
    del text  # Three times as much otherwise.
    return bytes(made)


def taken(text: bytes, kinds: Container[str]) -> int:
    """The highest number of a placeholder that is there already: other values get others."""
    return max((int(found[2]) for found in _ours(text, kinds)), default=0)


def carries_placeholder(value: Json) -> bool:
    """Whether a placeholder, or a hidden character as `neutral` writes it, is in a string of `value` or in
    the name of a member. Those of held values count whatever their name: they may be of before a restart."""
    payload = _encode(value)
    if WORD in payload and any(map(_is_ours, _SENT.finditer(payload))):
        return True
    return VISIBLE in payload and any(map(_was_hidden, _VISIBLE.finditer(payload)))


def _was_hidden(found: re.Match[bytes]) -> bool:
    code = int(found[1], 16)
    return code <= maxunicode and _HIDDEN.match(chr(code)) is not None


def _is_ours(found: re.Match[bytes]) -> bool:
    if not found.string[max(0, found.start() - 3) : found.start()].endswith(_OPENED):
        return False
    kind = re.sub("%3a", ":", found[1].decode(), flags=re.IGNORECASE)
    return kind in KINDS or kind.startswith(CREDENTIAL)
