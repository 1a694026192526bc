"""Lines of files that hold nothing but users and their passwords: `rsyncd.secrets`, `.htpasswd`, `.pgpass`.

Law of this file: such a line is nothing else from its beginning to its end, and stands in a text of nothing
but such lines and comments, or names an account that is known as one: `sha256:…`, `main:3f2a9c1b` and
`npm:left-pad@1.3.0` look the same. The password has to look like one, since no name says that it is.
"""

import re

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.values import DIGIT, Found, Judge, kind_of

_CHAR = r"""[^\s/"'`<>(){}\[\],;\\|=\x00-\x1f\xff]"""
LINE = rf"(?:^|[\n\x1f])[A-Za-z0-9*][A-Za-z0-9_.@+-]*:{_CHAR}+(?:[\r\n\x1f]|$)"
"""Such a line, with what ends it."""

_LINE = expression(
    (
        rf"([A-Za-z][A-Za-z0-9_.@+-]{{1,63}}):((?:[^:\s]{{1,128}}:)?)((?:(?!:){_CHAR}){{1,64}})(?=[\r\n\x1f\xff])"
        r"|[A-Za-z0-9*][A-Za-z0-9_.-]{0,63}:(?:[0-9]{2,5}|\*):[^:\s]{1,64}:[^:\s]{1,64}"
        r":([^\s:\x00-\x1f\xff]{6,128})(?=[\r\n\x1f\xff])"
    ).encode()
)
_COMMENT = r"[ \t]{0,16}(?:#[^\r\n\x1f\xff]{0,256})?"
_NEXT = expression(rf"\r?\n(?:{_COMMENT}\r?\n){{0,64}}".encode())
_HEAD = expression(rf"(?:^|[\x1f\xff])(?:{_COMMENT}\r?\n){{0,64}}\Z".encode())
_TAIL = expression(rf"(?:\r?\n{_COMMENT}){{0,64}}(?=[\x1f\xff])".encode())
_LABEL = expression(rb"(?i)sha-?[0-9]{1,3}|md5|blake[0-9][a-z]?")
_DIGEST = expression(rb"(?:[a-z0-9]{1,12}-)?[0-9a-f]{7,64}")
_VERSION = expression(rb"[0-9]\.[0-9]")
_ACCOUNTS = frozenset([b"root", b"admin", b"administrator", b"backup", b"sa"])
_LONGEST, _REACH = 400, 4096
_MOST = 2000
_SHORTEST = 6
_ENDS = b"\r\n\x1f"


def passwords(text: bytes, end: int, judge: Judge) -> tuple[list[Found], int]:
    """Those of the line that ends at `end`, and of such lines behind it; and up to where it was read."""
    at = end - (text[end - 1] in _ENDS)
    start = first = _start_of_line(text, at)
    lines: list[re.Match[bytes]] = []
    while len(lines) < _MOST and (line := _LINE.match(text, start)):
        lines.append(line)
        end = start = line.end()
        if below := _NEXT.match(text, end):
            start = below.end()
        else:
            break
    in_file = bool(lines) and _are_a_file(text, first, lines)
    found = [
        (*span, kind_of("password"))
        for line in lines
        if (in_file or _is_account(line)) and _may_be_one(line)
        for span in [line.span(line.lastindex or 1)]
        if DIGIT.search(text, *span) and judge("password", text[slice(*span)], False)
    ]
    return found, end + (text[end] in _ENDS)


def _start_of_line(text: bytes, at: int) -> int:
    least = max(0, at - _LONGEST)
    return max(text.rfind(b"\n", least, at), text.rfind(b"\x1f", least, at), least - 1) + 1


def _are_a_file(text: bytes, first: int, lines: list[re.Match[bytes]]) -> bool:
    """Whether nothing else is in the text of these `lines`, the first of which begins at `first`; and one
    line alone has an end, as in a file."""
    end = lines[-1].end()
    if len(lines) < _MOST and not _TAIL.match(text, end):
        return False
    if _HEAD.search(text, max(0, first - _REACH), first):
        return len(lines) > 1 or text[end] in b"\r\n"
    # It goes on behind the most that are read at once.
    return _LINE.match(text, _start_of_line(text, text.rfind(b"\n", 0, first))) is not None


def _is_account(line: re.Match[bytes]) -> bool:
    """Whether what stands before the password can be nothing but an account."""
    user = line[1]
    return user is None or b"@" in user or user.lower() in _ACCOUNTS


def _may_be_one(line: re.Match[bytes]) -> bool:
    """Whether it is not the digest of something, or a version of it."""
    user, realm, value, _ = line.groups()
    if user is None:
        return True
    return len(value) >= _SHORTEST and (
        bool(realm) or not (_LABEL.fullmatch(user) or _DIGEST.fullmatch(value) or _VERSION.search(value))
    )
