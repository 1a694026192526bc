"""Secrets that nothing but their name gives away: `DB_PASSWORD=…`, `"apiKey": "…"`, `Cookie: session=…`.

Law of this file: the name says how much a value has to look like a secret, and both are read where they
stand, forwards and backwards from one place, over a bounded number of bytes. What is no literal value, such
as a template, a call or a word of a language, is left alone.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType

from mcpguard.core.redaction.detectors.naming import Signal, is_of_secrets, signal, words_of

KINDS = "password", "secret-value", "authorization"

Found = tuple[int, int, str]
"""Start and end of a value, and its kind."""
Judge = Callable[[str, bytes, bool], bool]
"""Whether a value is a secret under a name that says so much; and whether it is known where it ends."""

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
    rf"[ \t]{{0,32}}{_TYPE}(?:=>|:=|[:=])(?:[ \t]{{0,32}}|{_BLOCK})(?:[bru]{{0,2}}[\"'`\\]{{1,4}})?"
    r"|>(?:<!\[cdata\[)?"
    rf"|[\s,;]{{1,40}}{_QUOTED}value{_QUOTED}\s{{0,4}}[:=]\s{{0,4}}{_QUOTED}"
    r"|[ \t]{1,3}'"
    rf"|[ ](?:is|was|to)(?: set to| now)?:? {_QUOTED}"
    rf"){_FIRST}{_MORE}{{5}}"
)
"""What stands between a word of a name and a value, and the beginning of this. For each beginning it ends in
one place, so that the value begins `VALUE` bytes before it."""

COOKIE = "cookie"
BASIC = "basic"
"""What is said of base64 of a user and a password."""
LONGEST = 1024
"""Bytes. A longer value is a format that is looked for by itself, such as a key."""
_SHORTEST = {"password": 6, "token": 10, "weak": 16, BASIC: 8}
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
    "websocket", "socket",
    "rspauth", "cnonce", "lifecycle", "task",
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
    if not _HANDLES.isdisjoint(words):
        return ""
    strength = signal(name)
    return "" if strength == "weak" and not is_of_secrets(words[-1]) else strength


def name_at_end(text: bytes) -> str:
    """The name that `text` ends with."""
    bare = text.rstrip(_NAME)
    name = text[len(bare) :]
    if bare.endswith(b"\\") and name[:1] in (b"n", b"r", b"t"):
        name = name[1:]
    return name.decode()


# --- what stands around a value ---------------------------------------------------------------------------

_DIGIT = re.compile(rb"[0-9]")
_BARE = re.compile(rb"""[^\s"'`\\<>(){}\[\],;|\x00-\x1f\xff]{1,512}""")
_LINE = re.compile(rb"""[^\s\\\x00-\x1f\xff]{1,512}""")
_DOUBLE = re.compile(rb"""(?:[^"\\\x00-\x1f\xff]|\\[^\x00-\x1f\xff]){1,4096}+(?=")""")
_SINGLE = re.compile(rb"""(?:[^'\\\x00-\x1f\xff]|\\[^\x00-\x1f\xff]){1,4096}+(?=')""")
_ESCAPED = re.compile(rb"""[^"'`\\\x00-\x1f\xff]{1,4096}+(?=["'`\\])""")
_TICKED = re.compile(rb"[^`\x00-\x1f\xff]{1,4096}+(?=`)")
_TYPED = re.compile(rb":\s?&?[A-Za-z' |\[\]]{3,16}$")
_IS = re.compile(rb"(?i) (?:is|was|to)(?: set to| now)?$")
_SETS = re.compile(rb"(?:^|[\r\n\x1f]|\\n|export |ENV |ARG |set |SET )$")
_ALONE = re.compile(rb"(?:^|[\r\n\x1f]|\\n)[ \t]*(?:- )?$")
_ENDS = b"\n\r\x1f\xff\\"
_ANY = b"\n\r\t "
_PREFIXES = (b"b", b"r", b"u", b"B", b"R", b"U")
_COOKIES = re.compile(rb"""[^"'\r\n\\\x00-\x1f\xff]{1,4096}""")
_CRUMB = re.compile(rb"([A-Za-z0-9_.-]{1,64})=([^;\s]{16,1024})")
_OF_SESSIONS = re.compile(rb"(?i)sess|sid|auth|token|jwt|remember|user|login|id$")
_OF_COUNTERS = (b"_ga", b"_gid", b"_utm")
_BASIC = re.compile(rb"[A-Za-z0-9+/]{8,2048}={0,2}")
_BEARER = re.compile(rb"[A-Za-z0-9+/._~=%-]{16,4096}")
_OPTION = re.compile(
    rb"""([a-z0-9_-]{0,24})(?:[ \t]{1,3}["'\\]{0,3}|["'\\]{1,3},\s{0,8}["'\\]{1,3}|=["'\\]{1,3})"""
    rb"""(?=[^\s"'\\-])"""
)
_USER = re.compile(rb"""["']?[^\s:"'\\$<>{]{1,64}:(?=[^\s"'\\$<>{])""")
_IDENTIFIED = re.compile(rb"(?i)(?: with \S{1,32})? by \\?(['\"])")
_LOGIN = re.compile(rb"\s{1,8}\S{1,64}\s{1,8}password\s{1,8}")


class Pairs:
    """The pairs of one text. Each public method says what is to be removed where a value begins."""

    __slots__ = ("_judge", "_text")

    def __init__(self, text: bytes, judge: Judge) -> None:
        self._text = text
        self._judge = judge

    def pair(self, at: int) -> Found | None:
        """Of what `WORDS` and `REST` match."""
        before = self._text[max(0, at - _BACK) : at]
        if before.endswith((b">", b"[")):
            return self._element(at, before)
        bare, opening = _opened(before)
        if bare.rstrip(b" \t").endswith((b":", b"=", b">", b"\n")):
            return self._assigned(at, bare, opening) or self._named(at, bare, opening)
        return self._said(at, bare, opening)

    def _assigned(self, at: int, before: bytes, opening: bytes) -> Found | None:
        bare = before.rstrip(b" \t")
        spaced = len(bare) < len(before)
        if bare.endswith(b"\n"):
            bare = bare.rstrip(b"\r\n").rstrip(b"+-").rstrip(b"|>").rstrip(b" \t")
        equals = bare.endswith(b"=")
        if not opening and not spaced and bare.endswith(b":"):
            return None
        bare = bare[:-2] if bare.endswith((b"=>", b":=")) else bare[:-1]
        typed = _TYPED.search(bare[-24:]) if equals else None
        bare = (bare[: -len(typed[0])] if typed else bare).rstrip(b" \t").rstrip(b"\"'`\\]")
        name = name_at_end(bare)
        strength = said(name)
        if not strength:
            return None
        if name.lower().endswith("authorization"):
            return self._header(at)
        ahead = bare[: len(bare) - len(name)]
        if equals and not spaced and name.isupper() and _SETS.search(ahead[-8:]):
            return self._judged(at, strength, opening, whole_line=True)
        if ahead.endswith((b"?", b"&")):
            return self._judged(at, strength, opening, ends=b"&")
        alone = not opening and _ALONE.search(ahead) is not None
        return self._judged(at, strength, opening, ends=_ENDS if alone else b"")

    def _element(self, at: int, before: bytes) -> Found | None:
        """XML: `<password>…<`, `<entry key="db.password">…<`."""
        data = before.endswith(b"[")
        head = (before[: -len("<![CDATA[")] if data else before)[:-1].rstrip(b"\"'\\")
        name = name_at_end(head)
        strength = said(name)
        if not strength or not head[: len(head) - len(name)].endswith((b"<", b":", b'"', b"'")):
            return None
        found = (_LINE if data else _BARE).match(self._text, at)
        if found is None:
            return None
        value = found[0].partition(b"]]>")[0] if data else found[0]
        closed = data or self._text.startswith(b"<", found.end())
        return self._secret(at, at + len(value), strength) if closed else None

    def _named(self, at: int, before: bytes, opening: bytes) -> Found | None:
        """`name: DB_PASSWORD`, and `value: …` behind it."""
        bare = before.rstrip(b" \t")[:-1].rstrip(b" \t").rstrip(b"\"'`\\]")
        if bare[-5:].lower() != b"value":
            return None
        bare = bare[:-5].rstrip(_QUOTES).rstrip(b" \t\r\n,;").rstrip(b"\"'`\\]")
        strength = said(name_at_end(bare))
        return self._judged(at, strength, opening, ends=_ENDS) if strength else None

    def _said(self, at: int, before: bytes, opening: bytes) -> Found | None:
        """`PASSWORD '…'` in SQL, `the password is …` in prose."""
        bare = before.rstrip(b" \t:")
        if opening == b"'" and name_at_end(bare).lower() == "password":
            return self._judged(at, "password", opening)
        found = _IS.search(bare[-16:])
        strength = said(name_at_end(bare[: -len(found[0])].rstrip(_QUOTES))) if found else ""
        if strength and strength != "password" and not opening:
            strength = "weak"
        return self._judged(at, strength, opening) if strength else None

    def _header(self, at: int) -> Found | None:
        """The value of a header of the name Authorization: a word that says how, or the secret itself."""
        found = _BARE.match(self._text, at)
        spaced = found is not None and self._text.startswith(b" ", found.end())
        return self._credentials(found.end() + 1 if found and spaced else at, "token")

    def cookie(self, at: int) -> Found | None:
        """Of a header of the name Cookie or Set-Cookie: the first secret in it."""
        line = _COOKIES.match(self._text, at)
        for one in _CRUMB.finditer(line[0]) if line else ():
            if _OF_SESSIONS.search(one[1]) and not one[1].startswith(_OF_COUNTERS):
                found = self._secret(at + one.start(2), at + one.end(2), "weak")
                if found:
                    return found
        return None

    def bearer(self, at: int) -> Found | None:
        """Of `Bearer …`."""
        return self._credentials(at, "token" if self._is_header(at) else "weak")

    def token(self, at: int) -> Found | None:
        """Of `token …`, as GitHub and others have it in a header."""
        return self._credentials(at, "token") if self._is_header(at) else None

    def basic(self, at: int) -> Found | None:
        """Of `Basic …`: base64 of a user and a password."""
        found = _BASIC.match(self._text, at)
        return (at, found.end(), KINDS[2]) if found and self._judge(BASIC, found[0], True) else None

    def _is_header(self, at: int) -> bool:
        return b"uthorization" in self._text[max(0, at - 32) : at]

    def _credentials(self, at: int, strength: Signal) -> Found | None:
        found = _BEARER.match(self._text, at)
        if found is None:
            return None
        end = at + len(found[0].rstrip(b"."))
        return (at, end, KINDS[2]) if self._secret(at, end, strength) else None

    def option(self, at: int) -> Found | None:
        """Of an option, behind its first word such as `--api`; it may be the next text of a list."""
        found = _OPTION.match(self._text, at)
        if found is None:
            return None
        strength = said(name_at_end(self._text[max(0, at - 32) : found.end(1)]).lstrip("-"))
        return self._judged(found.end(), strength, _opened(found[0])[1], ends=_ANY) if strength else None

    def user(self, at: int) -> Found | None:
        """Of an option for USER:PASSWORD."""
        found = _USER.match(self._text, at)
        if found is None:
            return None
        opening = found[0][:1] if found[0][:1] in (b'"', b"'") else b""
        return self._judged(found.end(), "password", opening, whole_line=not opening)

    def identified(self, at: int) -> Found | None:
        """Of SQL, behind `IDENTIFIED`: `BY '…'`."""
        found = _IDENTIFIED.match(self._text, at)
        return self._judged(found.end(), "password", found[1]) if found else None

    def login(self, at: int) -> Found | None:
        """Of a line of `.netrc`, behind `login`: `USER password …`."""
        found = _LOGIN.match(self._text, at)
        return self._judged(found.end(), "password", b"", whole_line=True) if found else None

    def _judged(
        self, at: int, strength: Signal, opening: bytes, *, whole_line: bool = False, ends: bytes = b""
    ) -> Found | None:
        """`ends` are the bytes behind which nothing of it can come: then it is known where it ends."""
        found = _value(self._text, at, opening, whole_line)
        if found is None:
            return None
        end, value = found.end(), found[0]
        if opening:
            return self._secret(at, end, strength)
        if self._text.startswith((b"(", b"[", b"?."), end):
            return None  # A call, or a part of something.
        if whole_line:
            return self._secret(at, at + len(value.rstrip(b"\"'")), strength)
        known = self._text[end : end + 1] in ends or ends == _ANY
        if ends == b"&":
            value, known = value.partition(b"&")[0], True
        if strength != "password" and b"=" in value.rstrip(b"="):
            return None  # Pairs themselves.
        value = value.rstrip(b".:," if strength == "password" else b".:,!?")
        return self._secret(at, at + len(value), strength, known_end=known)

    def _secret(self, start: int, end: int, strength: Signal, *, known_end: bool = True) -> Found | None:
        if not self._judge(strength, self._text[start:end], known_end):
            return None
        return start, end, kind_of(strength)


def _opened(before: bytes) -> tuple[bytes, bytes]:
    """`before` without the quotes that open a value, and these."""
    bare = before.rstrip(_QUOTES)
    opening = before[len(bare) :]
    if opening and bare[-1:] in _PREFIXES and bare[-2:-1] in (b"=", b" ", b":", b"("):
        bare = bare[:-1]
    return bare, opening


def _value(text: bytes, at: int, opening: bytes, whole_line: bool) -> re.Match[bytes] | None:
    if not opening:
        return (_LINE if whole_line else _BARE).match(text, at)
    if opening[-2:-1] == b"\\":
        return _ESCAPED.match(text, at)
    return {b'"': _DOUBLE, b"'": _SINGLE}.get(opening[-1:], _TICKED).match(text, at)


def kind_of(strength: Signal) -> str:
    """The kind of a value whose name says so much."""
    return KINDS[0] if strength == "password" else KINDS[1]


Read = Callable[[Pairs, int], Found | None]
"""A method of Pairs."""

_NEXT_DIGIT = r"[^\x00-\x1f\x7f\xff]{0,48}[0-9]"
_OPTIONS = ("--pass", "--token", "--api", "--secret", "--auth", "--access", "--client", "--db")
_LOOKS: tuple[tuple[tuple[str, ...], str, Read], ...] = (
    (("Bearer ", "bearer ", "BEARER "), r"[A-Za-z0-9+/._~=%-]{16}", Pairs.bearer),
    (("token ", "Token "), r"[A-Za-z0-9+/._~=%-]{16}", Pairs.token),
    (("ookie: ", 'ookie": "'), r"[^\x00-\x1f\x7f\xff]{1,512}=", Pairs.cookie),
    (("Basic ", "basic ", "BASIC "), r"[A-Za-z0-9+/]{8}", Pairs.basic),
    (_OPTIONS, _NEXT_DIGIT, Pairs.option),
    ((" -u ", " --user ", " --proxy-user "), _NEXT_DIGIT, Pairs.user),
    (("IDENTIFIED", "identified"), _NEXT_DIGIT, Pairs.identified),
    (("login",), _LOGIN.pattern.decode(), Pairs.login),
)
LITERALS: tuple[tuple[bytes, str, Read], ...] = tuple(
    (word.encode(), peek, read) for words, peek, read in _LOOKS for word in words
)
"""Other ways to write a pair: what stands before it, what has to follow, and how it is read from the end of
the former on."""


# --- judging ---------------------------------------------------------------------------------------------


def has_digit(text: bytes, at: int) -> bool:
    """Whether there is a digit in a value that begins at a place: there is one in nearly all secrets."""
    return _DIGIT.search(text, at, at + _NEAR) is not None


def length_of_cookies(text: bytes, at: int) -> int:
    """How much of a header of cookies there is from a place on."""
    found = _COOKIES.match(text, at)
    return len(found[0]) if found else 0


def may_be(strength: str, value: bytes) -> bool:
    """Whether a value is worth a closer look."""
    if not _SHORTEST[strength] <= len(value) <= LONGEST:
        return False
    return strength == BASIC or _DIGIT.search(value) is not None


def named(name: str, value: str) -> tuple[Signal, bytes] | None:
    """What a text that stands under a name may be: what the name says, and the text."""
    strength = said(name)
    data = value.encode("utf-8", "replace") if strength and len(value) <= LONGEST else b""
    return (strength, data) if strength and may_be(strength, data) else None


def is_secret(strength: str, value: bytes, known_end: bool) -> bool:
    """Whether a value is a secret under a name that says so much."""
    if strength == BASIC:
        return bool(_plausible().is_basic(value))
    return bool(_plausible().is_secret(strength, value.decode("utf-8", "replace"), known_end))


def stands_in(value: bytes) -> bool:
    """Whether the password of a URL is none, but stands for one."""
    return bool(_plausible().is_sample_of_a_url(value.decode("utf-8", "replace")))


def is_example(kind: str, match: bytes) -> bool:
    """Whether what is written as a format is an example of documentation."""
    return bool(_plausible().is_example(kind, match))


def _plausible() -> ModuleType:
    # Its expressions take some milliseconds to compile, and most messages have no pair.
    from mcpguard.core.redaction.detectors import plausible

    return plausible
