"""`detect(value, kinds)`: which detectors find something in a value. A seam over `redaction/scanning.py`.

Law of this file: what cannot be scanned to its end is an error, never "nothing found". One layer of percent
escapes or of base64 is undone, no more: this is a net, and who wants to hide a secret can.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64
from urllib.parse import unquote_to_bytes

from mcpguard.core.errors import InspectionError
from mcpguard.core.functions.function import Function, FunctionError, Holds, Parameter, nothing_held
from mcpguard.core.functions.web.networks import as_list
from mcpguard.core.model import Json
from mcpguard.core.redaction.detectors import GROUPS, HELD
from mcpguard.core.redaction.leaves import Leaves, padded
from mcpguard.core.redaction.matching import PAD
from mcpguard.core.redaction.scanning import kinds_in, kinds_of_members

LIMIT = 65_536
"""Bytes of all texts in a value."""

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_STANDARD = bytes.maketrans(b"-_", b"+/")


def detect(value: Json, kinds: str | list[str] | None = None, holds: Holds = nothing_held) -> list[Json]:
    """The kinds that hit, sorted, each once: all of them, or those of `kinds` alone, kinds and GROUPS.

    Raises FunctionError for an unknown kind, for a value of more than LIMIT bytes of text or nested deeper
    than 128 levels, and for a flood of hits.
    """
    named = ["all"] if kinds is None else as_list(kinds)
    wanted = frozenset[str]().union(*(GROUPS.get(name, {name}) for name in named))
    if not wanted <= GROUPS["all"]:
        raise FunctionError("detect() knows no such kind")
    try:
        leaves = Leaves(value)
        text = padded(leaves.parts())
        if len(text) > LIMIT:
            raise FunctionError(f"detect() reads at most {LIMIT:,} bytes")
        found = kinds_in(text, wanted) | kinds_of_members(leaves)
        if HELD in wanted and holds(text):
            found.add(HELD)
        for plain in _decoded(text[: -len(PAD)]):
            found |= kinds_in(plain + PAD, wanted)
    except InspectionError:
        raise FunctionError("detect() cannot scan the value to its end") from None
    return sorted(found & wanted)


def _decoded(text: bytes) -> list[bytes]:
    plain = [unquote_to_bytes(text)] if b"%" in text else []
    runs = [decoded for run in _BASE64.findall(text) if (decoded := _from_base64(run))]
    return [*plain, b"\x1f".join(runs)] if runs else plain


def _from_base64(run: bytes) -> bytes:
    """What a run of base64 (RFC 4648, sections 4 and 5) says if that is text, else nothing."""
    try:
        decoded = a2b_base64(run.translate(_STANDARD) + b"=" * (-len(run) % 4))
        decoded.decode()
    except (Error, UnicodeDecodeError):
        return b""
    return decoded


DETECT = Function(
    name="detect",
    summary="Which detectors of secrets and personal data match anywhere in a value, including member "
    "names and numbers. One layer of percent escapes or base64 is undone. `kinds` restricts the "
    "answer; `secret`, `personal` and `all` stand for several. `held` are the values that mcpguard holds.",
    parameters=(
        Parameter("value", "any"),
        Parameter("kinds", "strings", optional=True, choices=tuple(sorted({*GROUPS["all"], *GROUPS}))),
    ),
    gives="a list of kinds, sorted",
    call=detect,
    searches=True,
    examples=(
        'detect("write to jane@example.com") == ["email"]',
        'detect({"a": ["IBAN DE89 3704 0044 0532 0130 00"], "jane@example.com": 1}) == ["email", "iban"]',
        'detect("jane@example.com", ["iban", "payment-card"]) == []',
        'detect("jane@example.com", "personal") == ["email"] && detect("jane@example.com", "secret") == []',
        'size(detect("postgres://app:pa55-w0rd@db:5432/x", "url-password")) == 1',
        '"email" in detect("jane%40example.com") && "email" in detect("amFuZUBleGFtcGxlLmNvbQ==")',
        'detect("nothing to see") == [] && detect(7) == []',
    ),
    errors=('detect("x", {\'a\': "email"}.a + "s") == []',),
)
"""The entry of the table."""
