"""Lines of files that hold nothing but users and their passwords: `rsyncd.secrets`, `.htpasswd`, `.pgpass`.

Law of this file: such a line is nothing else from its beginning to its end, and the password has to look like
one, since no name says that it is.
"""

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.values import DIGIT, Found, Judge, kind_of

_CHAR = r"""[^\s/"'`<>(){}\[\],;\\|=\x00-\x1f\xff]"""
LINE = rf"(?:^|[\n\x1f])[A-Za-z0-9*][A-Za-z0-9_.@+-]*:{_CHAR}+(?:[\r\n\x1f]|$)"
"""Such a line, with what ends it."""

_LINE = expression(
    (
        rf"[A-Za-z][A-Za-z0-9_.@+-]{{1,63}}:(?:[^:\s]{{1,128}}:)?((?:(?!:){_CHAR}){{6,64}})(?=[\r\n\x1f\xff])"
        r"|[A-Za-z0-9*][A-Za-z0-9_.-]{0,63}:(?:[0-9]{2,5}|\*):[^:\s]{1,64}:[^:\s]{1,64}"
        r":([^\s:\x00-\x1f\xff]{6,128})(?=[\r\n\x1f\xff])"
    ).encode()
)
_NEXT = expression(rb"\r?\n")
_LONGEST = 400
_MOST = 2000
_ENDS = b"\r\n\x1f"


def passwords(text: bytes, end: int, judge: Judge) -> tuple[list[Found], int]:
    """Those of the line that ends at `end`, and of such lines behind it; and up to where it was read."""
    at = end - (text[end - 1] in _ENDS)
    least = max(0, at - _LONGEST)
    start = max(text.rfind(b"\n", least, at), text.rfind(b"\x1f", least, at), least - 1) + 1
    found: list[Found] = []
    for _ in range(_MOST):
        line = _LINE.match(text, start)
        if line is None:
            break
        end = line.end()
        span = line.span(line.lastindex or 1)
        if DIGIT.search(text, *span) and judge("password", text[slice(*span)], False):
            found.append((*span, kind_of("password")))
        below = _NEXT.match(text, end)
        if below is None:
            break
        start = below.end()
    return found, end
