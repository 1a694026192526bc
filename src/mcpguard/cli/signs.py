"""Signs and colours of what became of a call, for all that is printed live."""

from __future__ import annotations

import sys

LOOKS = {
    "allowed": ("✓", "+", "green"),
    "denied": ("✗", "x", "red"),
    "redacted": ("■", "#", "yellow"),
    "verified": ("◆", "*", "cyan"),
    "altered": ("≠", "!", "magenta"),
    "waiting": ("?", "?", "yellow"),
    "failed": ("!", "!", "magenta"),
    "running": ("○", "o", "dim"),
    "noted": ("·", "-", "dim"),
}
"""Name -> its sign, the sign where the encoding lacks it, its colour."""
_ASCII = str.maketrans(
    {"→": ">", "│": "|", "·": "-", "…": "..."}
    | {sign: other for sign, other, _ in LOOKS.values()}
    | dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True))
)


def shown(text: str) -> str:
    """`text` in characters that the encoding of standard output has."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_ASCII)
    return text.encode(encoding, "backslashreplace").decode(encoding)
