"""`[REDACTED:KIND#N]` stands where something was removed, and is known again in what a client sends.

Law of this file: a tool that is sent a placeholder would write it in place of the original. Text that only
looks like one, of a kind that does not exist, is anybody's text.
"""

import re

import msgspec

from mcpguard.core.model import Json
from mcpguard.core.redaction.detectors import KINDS

PLACEHOLDER = rb"\[REDACTED:([A-Za-z0-9_.:/-]+)#([0-9]{1,5})\]"
CREDENTIAL = "credential:"
"""Begins the kind of each held value; its name follows."""

_encode = msgspec.json.Encoder().encode
_WORD = b"REDACTED"
# Also as it stands in a URI. It begins with letters, by which it is searched for as fast as for a literal.
_SENT = re.compile(
    _WORD + rb"(?::|%3[Aa])((?:[A-Za-z0-9_.:/-]|%3[Aa]|%2[Ff]){1,400})(?:#|%23)[0-9]{1,5}(?:\]|%5[Dd])"
)
_OPENED = (b"[", b"%5B", b"%5b")


def carries_placeholder(value: Json) -> bool:
    """Whether a placeholder is in a string of `value` or in the name of a member. Those of a held value count
    whatever its name: it may have been held before a restart."""
    payload = _encode(value)
    return _WORD in payload and any(_is_ours(found) for found in _SENT.finditer(payload))


def _is_ours(found: re.Match[bytes]) -> bool:
    if not found.string[max(0, found.start() - 3) : found.start()].endswith(_OPENED):
        return False
    kind = re.sub("%3a", ":", found[1].decode(), flags=re.IGNORECASE)
    return kind in KINDS or kind.startswith(CREDENTIAL)
