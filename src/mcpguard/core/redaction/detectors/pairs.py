"""Secrets that nothing but their name gives away: `DB_PASSWORD=…`, `"apiKey": "…"`, `Cookie: session=…`.

Law of this file: the name says how much a value has to look like a secret, and both are read where they
stand, forwards and backwards from one place, over a bounded number of bytes. What is no literal value, such
as a template, a call or a word of a language, is left alone.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType

from mcpguard.core.redaction.detectors.naming import Signal, signal, words_of

KINDS = "password", "secret-value", "authorization"

Found = tuple[int, int, str]
"""Start and end of a value, and its kind."""
Read = Callable[[bytes, int], Found | None]
"""What is to be removed where a value begins at a place in a text, if anything."""

VALUE = 6
"""So many bytes of a value are in a match of `WORDS` and `REST`."""
WORDS = ("pass", "pwd", "secret", "token", "key", "auth")
"""In lower case; one of them, in any case, begins what `REST` goes on with."""

_FIRST = r"""[^\s"'`\\=:<>()\[{,;\x00-\x1f\xff]"""
_MORE = r"""[^\s"'`\\\x00-\x1f\xff]"""
_QUOTED = r"""["'`\\\]]{0,4}"""
_TYPE = r"(?::[ ]?&?(?:'static )?(?:str|string|bytes|secretstr|str \| none|optional\[str\])[ ]?)?"
_BLOCK = r"[ \t]?[|>][+-]?\r?\n[ \t]{1,16}"
REST = (
    rf"[a-z0-9_.-]{{0,24}}{_QUOTED}(?:"
    rf"[ \t]{{0,8}}{_TYPE}(?:=>|:=|[:=])(?:[ \t]{{0,8}}|{_BLOCK})(?:[bru]{{0,2}}[\"'`\\]{{1,4}})?"
    r"|>(?:<!\[cdata\[)?"
    rf"|[\s,;]{{1,40}}{_QUOTED}value{_QUOTED}\s{{0,4}}[:=]\s{{0,4}}{_QUOTED}"
    r"|[ \t]{1,3}'"
    rf"|[ ](?:is|was|to)(?: set to| now)?:? {_QUOTED}"
    rf"){_FIRST}{_MORE}{{5}}"
)
"""What stands between a word of a name and a value, and the beginning of this. For each beginning it ends in
one place, so that the value begins `VALUE` bytes before it."""

_QUOTES = b"\"'`\\"
_NAME = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
_LONGEST = 4096
_BACK = 112
_NEAR = 48
_LONGEST_NAME = 64

# --- names ------------------------------------------------------------------------------------------------

_HANDLES = frozenset([
    "page", "next", "prev", "previous", "cursor", "continuation", "continue", "progress", "sync", "resume",
    "start", "stop", "end", "eos", "bos", "pad", "unk", "mask", "sep", "cls", "csrf", "xsrf", "cancel",
    "cancellation", "cache", "trace", "etag", "parser", "lexer", "request", "idempotency", "sort", "primary",
    "public", "max", "min", "num", "total", "input", "output", "prompt", "completion", "change", "delta",
    "watch", "concurrency", "design", "syntax", "nonce", "callback", "verifier", "challenge", "hash",
])  # fmt: skip
"""Words of a name that make it that of a handle, a number or a piece of a language."""
_SAY_LITTLE = frozenset(["key", "keys", "auth", "session", "k", "t", "p", "bot", "login", "hook"])


def said(name: str) -> Signal:
    """What the name of a pair says."""
    return _said_by(name) if len(name) <= _LONGEST_NAME else ""


@lru_cache(4096)
def _said_by(name: str) -> Signal:
    words = words_of(name)
    if not words or len(words) > 8 or (len(words) == 1 and words[0] in _SAY_LITTLE):
        return ""
    return "" if not _HANDLES.isdisjoint(words) else signal(name)


def name_at_end(text: bytes) -> str:
    """The name that `text` ends with."""
    bare = text.rstrip(_NAME)
    name = text[len(bare) :]
    if bare.endswith(b"\\") and name[:1] in (b"n", b"r", b"t"):
        name = name[1:]
    return name.decode()


# --- what stands around a value ---------------------------------------------------------------------------

_DIGIT = re.compile(rb"[0-9]")
_BARE = re.compile(rb"""[^\s"'`\\<>(){}\[\],;|\x00-\x1f\xff]{1,4096}""")
_LINE = re.compile(rb"""[^\s\\\x00-\x1f\xff]{1,4096}""")
_DOUBLE = re.compile(rb"""(?:[^"\\\x00-\x1f\xff]|\\[^\x00-\x1f\xff]){1,4096}+(?=")""")
_SINGLE = re.compile(rb"""(?:[^'\\\x00-\x1f\xff]|\\[^\x00-\x1f\xff]){1,4096}+(?=')""")
_ESCAPED = re.compile(rb"""[^"'`\\\x00-\x1f\xff]{1,4096}+(?=["'`\\])""")
_TICKED = re.compile(rb"[^`\x00-\x1f\xff]{1,4096}+(?=`)")
_TYPED = re.compile(rb":\s?&?[A-Za-z' |\[\]]{3,16}$")
_SETS = re.compile(rb"(?:^|[\r\n\x1f]|\\n|export |ENV |ARG |set |SET )$")
_ALONE = re.compile(rb"(?:^|[\r\n\x1f]|\\n)[ \t]*(?:- )?$")
_ENDS = frozenset((b"\n", b"\r", b"\x1f", b"\xff", b"\\"))
_NAMED = re.compile(
    rb"""([A-Za-z0-9_.-]{1,64})["'`\\\]]{0,4}[\s,;]{1,40}["'`\\\]]{0,4}value["'`\\\]]{0,4}\s{0,4}[:=]\s{0,4}["'`\\\]]{0,4}$""",
    re.IGNORECASE,
)
_PROSE = re.compile(
    rb"""([A-Za-z0-9_.-]{1,64})["'`\\\]]{0,4} (?:is|was|to)(?: set to| now)?:? ["'`\\\]]{0,4}$""", re.I
)


def pair(text: bytes, at: int) -> Found | None:
    """A Read of what `WORDS` and `REST` match."""
    if _DIGIT.search(text, at, at + _NEAR) is None:
        return None
    before = text[max(0, at - _BACK) : at]
    bare, opening = _opened(before)
    last = bare.rstrip(b" \t")[-1:]
    if before.endswith((b">", b"[")):
        return _element(text, at, before)
    if last in (b":", b"=", b">", b"\n", b"|", b"-", b"+") or bare[-2:] == b"=>":
        return _assigned(text, at, bare, opening) or (
            _named(text, at, opening) if b"alue" in bare[-12:].lower() else None
        )
    return _said(text, at, bare, opening)


def _opened(before: bytes) -> tuple[bytes, bytes]:
    """`before` without the quotes that open a value, and these."""
    bare = before.rstrip(_QUOTES)
    opening = before[len(bare) :]
    if (
        opening
        and bare[-1:] in (b"b", b"r", b"u", b"B", b"R", b"U")
        and bare[-2:-1] in (b"=", b" ", b":", b"(")
    ):
        bare = bare[:-1]
    return bare, opening


def _assigned(text: bytes, at: int, before: bytes, opening: bytes) -> Found | None:
    bare = before.rstrip(b" \t")
    spaced = len(bare) < len(before)
    if bare.endswith(b"\n"):
        bare = bare.rstrip(b"\r\n").rstrip(b"+-").rstrip(b"|>").rstrip(b" \t")
    equals = bare.endswith(b"=")
    if not opening and not spaced and bare.endswith(b":"):
        return None
    bare = bare[:-2] if bare.endswith((b"=>", b":=")) else bare[:-1]
    typed = _TYPED.search(bare) if equals else None
    bare = (bare[: typed.start()] if typed else bare).rstrip(b" \t").rstrip(b"\"'`\\]")
    name = name_at_end(bare)
    strength = said(name)
    if not strength:
        return None
    ahead = bare[: len(bare) - len(name)]
    line = equals and not spaced and name.isupper() and _SETS.search(ahead) is not None
    alone = not opening and _ALONE.search(ahead) is not None
    if name.lower().endswith("authorization"):
        return _header(text, at)
    return _judged(
        text, at, strength, opening, whole_line=line, query=ahead.endswith((b"?", b"&")), alone=alone
    )


def _element(text: bytes, at: int, before: bytes) -> Found | None:
    """XML: `<password>…<`, `<entry key="db.password">…<`."""
    data = before.endswith(b"[")
    head = (before[: -len("<![CDATA[")] if data else before)[:-1].rstrip(b"\"'\\")
    name = name_at_end(head)
    strength = said(name)
    if not strength or not head[: len(head) - len(name)].endswith((b"<", b":", b'"', b"'")):
        return None
    end = text.find(b"]]>" if data else b"<", at, at + _LONGEST)
    if end < 0 or not text[at:end].isascii() or b"\n" in text[at:end]:
        return None
    return _secret(text, at, end, strength, known_end=True)


def _named(text: bytes, at: int, opening: bytes) -> Found | None:
    """`name: DB_PASSWORD`, and `value: …` behind it."""
    found = _NAMED.search(text, max(0, at - 160), at)
    strength = said(found[1].decode()) if found else ""
    return _judged(text, at, strength, opening) if strength else None


def _said(text: bytes, at: int, before: bytes, opening: bytes) -> Found | None:
    """`PASSWORD '…'` in SQL, `the password is …` in prose."""
    if opening == b"'" and name_at_end(before.rstrip(b" \t")).lower() == "password":
        return _judged(text, at, "password", opening)
    found = _PROSE.search(text, max(0, at - 96), at)
    strength = said(found[1].decode()) if found else ""
    if not opening and strength != "password":
        strength = "weak" if strength else ""
    return _judged(text, at, strength, opening) if strength else None


def _header(text: bytes, at: int) -> Found | None:
    """The value of a header of the name Authorization: a word that says how, or the secret itself."""
    found = _BARE.match(text, at)
    if found and text[found.end() : found.end() + 1] == b" ":
        return _credentials(text, found.end() + 1, "token")
    return _credentials(text, at, "token")


def cookie(text: bytes, at: int) -> Found | None:
    """A Read of a header of the name Cookie or Set-Cookie: the first secret in it."""
    line = _COOKIES.match(text, at)
    for one in _CRUMB.finditer(line[0]) if line else ():
        start, end = at + one.start(2), at + one.end(2)
        found = _secret(text, start, end, "weak", known_end=True) if said_of_cookie(one[1]) else None
        if found:
            return found
    return None


_COOKIES = re.compile(rb"""[^"'\r\n\\\x00-\x1f\xff]{1,4096}""")
_CRUMB = re.compile(rb"([A-Za-z0-9_.-]{1,64})=([^;\s]{16,4096})")
_CRUMBS = re.compile(rb"(?i)sess|sid|auth|token|jwt|remember|user|login|id$")


def said_of_cookie(name: bytes) -> bool:
    """Whether a cookie of this name lets somebody in."""
    return _CRUMBS.search(name) is not None and not name.startswith((b"_ga", b"_gid", b"_utm"))


_BASIC = re.compile(rb"[A-Za-z0-9+/]{8,2048}={0,2}")
_BEARER = re.compile(rb"[A-Za-z0-9+/._~=%-]{16,4096}")


def bearer(text: bytes, at: int) -> Found | None:
    """A Read of what stands behind `Bearer `."""
    return _credentials(text, at, "token" if b"uthorization" in text[max(0, at - 32) : at] else "weak")


def token(text: bytes, at: int) -> Found | None:
    """A Read of what stands behind `token `, the scheme of a header of GitHub and others."""
    return _credentials(text, at, "token") if b"uthorization" in text[max(0, at - 32) : at] else None


def basic(text: bytes, at: int) -> Found | None:
    """A Read of what stands behind `Basic `: base64 of a user and a password."""
    found = _BASIC.match(text, at)
    return (at, found.end(), KINDS[2]) if found and _plausible().is_basic(found[0]) else None


def _credentials(text: bytes, at: int, strength: Signal) -> Found | None:
    found = _BEARER.match(text, at)
    if found is None:
        return None
    end = at + len(found[0].rstrip(b"."))
    one = _secret(text, at, end, strength, known_end=True)
    return (at, end, KINDS[2]) if one else None


_OPTION = re.compile(
    rb"""([a-z0-9_-]{0,24})(?:[ \t]{1,3}["'\\]{0,3}|["'\\]{1,3},\s{0,8}["'\\]{1,3}|=["'\\]{1,3})"""
    rb"""(?=[^\s"'\\-])"""
)


def option(text: bytes, at: int) -> Found | None:
    """A Read of what stands behind the first word of an option such as `--api`, or is the next of a list."""
    found = _OPTION.match(text, at)
    if found is None:
        return None
    name = name_at_end(text[max(0, at - 32) : found.end(1)]).lstrip("-")
    strength = said(name)
    opening = _opened(found[0])[1]
    return _judged(text, found.end(), strength, opening, word=True) if strength else None


_USER = re.compile(rb"""["']?[^\s:"'\\$<>{]{1,64}:(?=[^\s"'\\$<>{])""")


def user(text: bytes, at: int) -> Found | None:
    """A Read of what stands behind an option for USER:PASSWORD."""
    found = _USER.match(text, at)
    opening = found[0][:1] if found and found[0][:1] in b"\"'" else b""
    return _judged(text, found.end(), "password", opening, whole_line=not opening) if found else None


_IDENTIFIED = re.compile(rb"(?i)(?: with \S{1,32})? by \\?(['\"])")
_LOGIN = re.compile(rb"\s{1,8}\S{1,64}\s{1,8}password\s{1,8}")


def identified(text: bytes, at: int) -> Found | None:
    """A Read of SQL behind `IDENTIFIED`: `BY '…'`."""
    found = _IDENTIFIED.match(text, at)
    return _judged(text, found.end(), "password", found[1]) if found else None


def login(text: bytes, at: int) -> Found | None:
    """A Read of a line of `.netrc` behind `login`: `USER password …`."""
    found = _LOGIN.match(text, at)
    return _judged(text, found.end(), "password", b"", whole_line=True) if found else None


_NEXT_DIGIT = r"[^\x00-\x1f\x7f\xff]{0,48}[0-9]"
_LOOKS = (
    (("Bearer ", "bearer ", "BEARER "), r"[A-Za-z0-9+/._~=%-]{16}", bearer),
    (("token ", "Token "), r"[A-Za-z0-9+/._~=%-]{16}", token),
    (("ookie: ", 'ookie": "'), r"[^\x00-\x1f\x7f\xff]{1,512}=", cookie),
    (("Basic ", "basic ", "BASIC "), r"[A-Za-z0-9+/]{8}", basic),
    (
        tuple(f"--{word}" for word in ("pass", "token", "api", "secret", "auth", "access", "client", "db")),
        _NEXT_DIGIT,
        option,
    ),
    ((" -u ", " --user ", " --proxy-user "), _NEXT_DIGIT, user),
    (("IDENTIFIED", "identified"), _NEXT_DIGIT, identified),
    (("login",), _LOGIN.pattern.decode(), login),
)
LITERALS: tuple[tuple[bytes, str, Read], ...] = tuple(
    (word.encode(), peek, read) for words, peek, read in _LOOKS for word in words
)
"""Other ways to write a pair: what stands before it, what has to follow, and how it is read from the end of
the former on."""


# --- judging ---------------------------------------------------------------------------------------------


def _judged(
    text: bytes,
    at: int,
    strength: Signal,
    opening: bytes = b"",
    *,
    whole_line: bool = False,
    query: bool = False,
    word: bool = False,
    alone: bool = False,
) -> Found | None:
    found = _value(text, at, opening, whole_line)
    if found is None:
        return None
    end = found.end()
    if opening:
        return _secret(text, at, end, strength, known_end=True)
    if text[end : end + 1] in (b"(", b"[") or text[end : end + 2] == b"?.":
        return None  # A call, or a part of something.
    value = found[0]
    if whole_line:
        value = value.rstrip(b"\"'")
    else:
        value = (value.partition(b"&")[0] if query else value).rstrip(
            b".:," if strength == "password" else b".:,!?"
        )
    known = whole_line or query or word or (alone and text[end : end + 1] in _ENDS)
    return _secret(text, at, at + len(value), strength, known_end=known)


def _value(text: bytes, at: int, opening: bytes, whole_line: bool) -> re.Match[bytes] | None:
    if not opening:
        return (_LINE if whole_line else _BARE).match(text, at)
    if opening[-2:-1] == b"\\":
        return _ESCAPED.match(text, at)
    return {b'"': _DOUBLE, b"'": _SINGLE}.get(opening[-1:], _TICKED).match(text, at)


def _secret(text: bytes, start: int, end: int, strength: Signal, *, known_end: bool) -> Found | None:
    value = text[start:end].decode("utf-8", "replace")
    if not _plausible().is_secret(strength, value, known_end):
        return None
    return start, end, _kind(strength)


def _kind(strength: Signal) -> str:
    return KINDS[0] if strength == "password" else KINDS[1]


def named(name: str, value: str) -> str:
    """The kind of a text that stands under a name, "" if it is no secret."""
    strength = said(name)
    if not strength or not _plausible().is_secret(strength, value, True):
        return ""
    return _kind(strength)


def stands_in(value: bytes) -> bool:
    """Whether the password of a URL is none, but stands for one."""
    return bool(_plausible().is_stand_in(value.decode("utf-8", "replace")))


def is_example(kind: str, match: bytes) -> bool:
    """Whether what is written as a format is an example of documentation."""
    return bool(_plausible().is_example(kind, match))


def _plausible() -> ModuleType:
    # Its expressions take some milliseconds to compile, and most messages have no pair.
    from mcpguard.core.redaction.detectors import plausible

    return plausible
