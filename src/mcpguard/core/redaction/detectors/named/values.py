"""A value that stands under a name: what the name says, where the value ends, and whether it is a secret.

Law of this file: the value is read from its beginning on, over a bounded number of bytes, as the quote before
it or the language around it has it; `plausible` judges its form.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from types import ModuleType

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.languages import WORDS, is_foreign, is_foreign_key
from mcpguard.core.redaction.detectors.named.naming import (
    GIVEN,
    Signal,
    may_end_so,
    opens_with,
    signal_of,
    words_of,
)
from mcpguard.core.redaction.detectors.named.owners import says_little
from mcpguard.core.redaction.detectors.named.shapes import LONG, looks_random

KINDS = "password", "secret-value", "authorization"

Found = tuple[int, int, str]
"""Start and end of a value, and its kind."""
Judge = Callable[[str, bytes, bool], bool]
"""Whether a value is a secret under a name that says so much; and whether it is known where it ends."""

BASIC = "basic"
"""The strength of base64 of a user and a password."""
LONGEST = 1024
"""Bytes. A longer value is a format that is looked for by itself, such as a key."""
SPACE = b"\n\r\t "
"""Where arguments of a command end."""
NEAR = 48
"""Bytes of a value in which a digit is looked for."""
BACK = 112
"""Bytes before a value that are read."""
QUOTES = b"\"'`\\"
DIGIT = expression(rb"[0-9]")
_LETTERS = expression(rb"[A-Za-z]{%d,64}" % LONG)
ENDS = r"[ \t]{0,8}(?:[\r\n\x1f\xff]|$)"
"""The end of a line or of a text. Where a beginning is looked for, nothing shows where a text ends."""
_SHORTEST = {"password": 6, "token": 10, "weak": 16, BASIC: 8, GIVEN: 4}
_NEAR_END = expression(
    rb"""(?<=(["'`]))[^"'`\\\x00-\x1f\xff]{6,40}\1"""
    rb"""|(?<!["'`\\])[^\s"'`\\<>(){}\[\],;|\x00-\x1f\xff]{6,40}[ \t\r\n]"""
)
_CLOSING = (b'"', b"'")
_NAME = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
_LONGEST_NAME = 64
_ENDS_BARE = r"""\s"'`\\<>(){}\[\],;|\x00-\x1f\xff"""
BARE = expression(f"[^{_ENDS_BARE}]{{1,512}}".encode())
_AT_LEAST = {size: expression(f"[^{_ENDS_BARE}]{{{size}}}".encode()) for size in _SHORTEST.values()}
"""The beginning of a bare value of so many bytes, and of one that ends before the next part of a form."""
_AT_LEAST_OF_FORM = {size: expression(f"[^{_ENDS_BARE}&]{{{size}}}".encode()) for size in _SHORTEST.values()}
LINE = expression(rb"""[^\s\\\x00-\x1f\xff]{1,512}""")
_DOUBLE = expression(rb"""(?:[^"\\\x00-\x1f\xff]|\\[^\x00-\x1f\xff]){1,4096}+(?=")""")
_SINGLE = expression(rb"""(?:[^'\\\x00-\x1f\xff]|\\[^\x00-\x1f\xff]){1,4096}+(?=')""")
_ESCAPED = expression(rb"""[^"'`\\\x00-\x1f\xff]{1,4096}+(?=["'`\\])""")
_TICKED = expression(rb"[^`\x00-\x1f\xff]{1,4096}+(?=`)")
_OF_FORM = expression(rb"([^&=]{1,512})&[\w.-]{1,64}=")
_OF_GO = expression(rb"""(?:map\[|(?<!\$)\{)(?:[\w.-]{1,64}:[^\s{}\[\]"',;]{0,64} ){0,16}$""")
_APART = expression(rb"(?:^|(?<!\?)[\s;,(\x1f\xff]|(?:^|\n)[A-Za-z][\w-]{0,64}/(?:[\w-]{1,64}/){0,6})$")
_PAIR = expression(rb"(?:^|[\s,\[({\x1f\xff]|(?i:values))[\[({]\s{0,4}[:b]?$")
_END_OF_PAIR = expression(rb"""\\?["'`]\s{0,4}[\])}]""")
_ITEM = expression(rb"""(?:["'`0-9\]})]|null|None|nil|true|false|True|False),\s{0,16}[:b]?$|[\w!>][({]$""")
_END_OF_ITEM = expression(rb"""\\?["'`]\s{0,16}[,\])}]""")
_WORDS_AHEAD = expression(rb"(?<=[\"'`])((?:[A-Za-z][\w.-]{0,24} ){1,4})$")
WORDS_OF_LINE = expression(
    rb"(?:^|(?<=[\r\n\x1f\"]))[ |]{0,8}(?!(?i:the|an?|this|that) )(?:[A-Za-z][\w.-]{0,24} ){1,4}$"
)
"""Of a label, ahead of its last word; and of one that begins a line or a text."""
_PREFIXES = (b"b", b"r", b"u", b"n", b"B", b"R", b"U", b"N", b"@", b"$")
WRAPS = "some|ok|sensitive|secret|secretstr|secretstring|cow|string|string::from|new string|std::string"
_WRAPPED = expression(f"(?i)(?:{WRAPS})\\($".encode() + rb"|string\([0-9]{1,4}\) $|(;)s:[0-9]{1,4}:$")
"""Before a text that stands in a call of these, or that PHP shows with its length."""
_TAG = expression(rb"(?<=[:=-][ \t])(?:!{1,2}[A-Za-z][\w/.:-]{0,24}|&[\w-]{1,24})[ \t]+$")
"""What YAML says of a value ahead of it."""
_KEY_OF = expression(
    rb"(?i)(?<![a-z0-9])(?:api|access|secret|encryption|signing|master|private|preshared|shared|recovery|deploy"
    rb"|account|root)( )keys?$"
)

_LEADS = expression(
    rb"(?:\$\{(?:[\w.-]{1,64}:[-=+?]?|\w{1,64}[-=+?])[\"']?){1,4}"
    rb"|\$\((?:echo|printf)[ ](?:-n[ ]|'?%s'?[ ])?[\"']?"
)
_LED_TO = expression(rb"""[^\s"'`{}$\\<>()\x00-\x1f\xff]{4,512}(?=[\"']?[})`])""")
"""What a shell takes where nothing is set, and what a command in it prints."""
_CRUMB = expression(rb"([A-Za-z0-9_.-]{1,64})=([^;\s]{16,1024})")
_OF_SESSIONS = expression(rb"(?i)sess|sid|auth|token|jwt|remember|user|login|id$")
_OF_COUNTERS = (b"_ga", b"_gid", b"_utm")

# --- names ------------------------------------------------------------------------------------------------

_HANDLES = WORDS["handles"]
_NONE = WORDS["none"]
_NUMBER = expression("[0-9]{3,}$")
_HUMPS = expression("[a-z0-9][A-Z]")
_MOST_WORDS = 8
_SAY_LITTLE = WORDS["say little"]


_MARKED = expression(r"[^\w.-]$|[ _](?:for|of)[ _]")
_ASIDE = expression(r"[ _]*(?:\([^()]*\)|\[[^\[\]]*\]|[^\w.-]+|[ _](?:for|of)[ _].*)$")
"""What says of a label which one it is: `Password (initial)`, `Password *`, `Token for CI`."""


def said(name: str) -> Signal:
    """What the name of a pair says."""
    if len(name) > _LONGEST_NAME:
        return ""
    # Of numbers it matters that they are there.
    return _said_by(_NUMBER.sub("000", name) if name[-1:].isdigit() else name)


@lru_cache(4096)
def _said_by(name: str) -> Signal:
    if _MARKED.search(name):
        name = _ASIDE.sub("", name)
    # Most of what is not a name goes up and down more often than a name, and is not taken apart.
    words = words_of(name) if may_end_so(name) and len(_HUMPS.findall(name)) < _MOST_WORDS else []
    if not words or len(words) > _MOST_WORDS or (len(words) == 1 and words[0] in _SAY_LITTLE):
        return ""
    if words[0] in _NONE:
        return ""
    strength = signal_of(name, words, words[-1:])
    # `primary_access_key` of a cache is one that opens it, whatever stands ahead.
    joined = words[-1].removeprefix("24").removesuffix("token")  # `$skiptoken`, `%24skiptoken`
    of_handle = not _HANDLES.isdisjoint((*words, joined)) and not (len(words) > 1 and opens_with(words[-2]))
    return "" if strength != "password" and of_handle else strength


def name_at_end(text: bytes) -> str:
    """The name that `text` ends with."""
    bare = text.rstrip(_NAME)
    name = text[len(bare) :]
    if name[:3].lower() == b"key" and (found := _KEY_OF.search(text[-16:])):
        name = found[0].replace(b" ", b"_")
    if bare.endswith(b"\\") and name[:1] in (b"n", b"r", b"t"):
        name = name[1:]
    return name.decode()


# --- where a value ends -----------------------------------------------------------------------------------


class Values:
    """The values of one text."""

    __slots__ = ("_text", "judge")

    def __init__(self, text: bytes, judge: Judge) -> None:
        self._text = text
        self.judge = judge

    def _judged(
        self, at: int, strength: str, opening: bytes, *, whole_line: bool = False, ends: bytes = b""
    ) -> Found | None:
        """`ends` are the bytes behind which nothing of it can come: then it is known where it ends."""
        if lead := _LEADS.match(self._text, at):
            other = _LED_TO.match(self._text, lead.end())
            return self._secret(*other.span(), strength) if other and DIGIT.search(other[0]) else None
        found = value_at(self._text, at, opening, whole_line)
        if found is None or (not opening and self._text.startswith((b"(", b"[", b"?."), found.end())):
            return None  # A call, or a part of something.
        end, value = found.end(), found[0]
        if opening:
            return self._secret(at, end, strength)
        if whole_line:
            return self._secret(at, at + len(value.rstrip(b"\"'")), strength)
        known = self._text[end : end + 1] in ends or ends == SPACE
        if ends == b"&":
            value, known = value.partition(b"&")[0], True
        of_password = strength in ("password", GIVEN)
        if not of_password and b"=" in value.rstrip(b"="):
            if not (form := _OF_FORM.match(value)):
                return None  # Pairs themselves.
            value, known = form[1], True
        value = value.rstrip(b".:," if of_password else b".:,!?")
        return self._secret(at, at + len(value), strength, known_end=known)

    def _dumped(self, at: int, ahead: bytes, strength: Signal) -> Found | None:
        """`map[user:ada password:…]` and `{User:ada Password:…}`, as Go shows them, and `Password:…`
        alone or in a row."""
        of_go = _OF_GO.search(ahead)
        if not of_go and not _APART.search(ahead):
            return None
        found = self._judged(at, strength, b"", ends=b" ]}" if of_go else b"\r\n\x1f\xff")
        if found is None or DIGIT.search(self._text, *found[:2]) is None:
            return None
        behind = (b" ", b"]", b"}") if of_go else (b" ", b",", b";", b")", b"\r", b"\n", b"\x1f", b"\xff")
        return found if self._text[found[1] : found[1] + 1] in behind else None

    def _paired(self, at: int, name: str, ahead: bytes, opening: bytes) -> Found | None:
        """`("password", "…")`, `["password", "…"]`, and the same further on in a list or in a call, where the
        second may be any word as well."""
        more = _WORDS_AHEAD.search(ahead)
        ahead, name = (ahead[: more.start()], f"{more[1].decode()}{name}") if more else (ahead, name)
        ahead = ahead.rstrip(QUOTES)
        is_pair = _PAIR.search(ahead) is not None
        strength = said(name.replace(" ", "_")) if opening and (is_pair or _ITEM.search(ahead)) else ""
        found = self._judged(at, strength, opening) if strength else None
        if found is None or DIGIT.search(self._text, *found[:2]) is None:
            return None
        if not (_END_OF_PAIR if is_pair else _END_OF_ITEM).match(self._text, found[1]):
            return None
        return found if is_pair else self._secret(*found[:2], strength, known_end=False)

    def _secret(self, start: int, end: int, strength: str, *, known_end: bool = True) -> Found | None:
        if not self.judge(strength, self._text[start:end], known_end):
            return None
        return start, end, kind_of(strength)


def opened(before: bytes) -> tuple[bytes, bytes]:
    """`before` without the quotes that open a value, and these."""
    bare = before.rstrip(QUOTES)
    opening = before[len(bare) :]
    if opening and bare[-1:] in _PREFIXES and bare[-2:-1] in (b"=", b" ", b":", b"("):
        bare = bare[:-1]
    elif opening and (found := _WRAPPED.search(bare[-16:])):
        bare = bare[: -len(found[0])] + (b"=" if found[1] else b"")
    return _TAG.sub(b"", bare), opening


def left_open(words: bytes) -> bytes:
    """The quote that is open at the end of some words of a command."""
    for quote in (b"'", b'"'):
        if words.count(quote) % 2:
            return b"\\" + quote if words[: words.rfind(quote)].endswith(b"\\") else quote
    return b""


def value_at(text: bytes, at: int, opening: bytes, whole_line: bool) -> re.Match[bytes] | None:
    """The value that begins at a place, as far as the quote before it or its line says."""
    if not opening:
        return (LINE if whole_line else BARE).match(text, at)
    if opening[-2:-1] == b"\\":
        return _ESCAPED.match(text, at)
    return {b'"': _DOUBLE, b"'": _SINGLE}.get(opening[-1:], _TICKED).match(text, at)


def is_short(text: bytes, at: int, strength: str, opening: bytes, in_a_form: bool = False) -> bool:
    """Whether the value that begins at a place ends before it is long enough to be a secret: at a quote, or
    at what no bare value has in it."""
    if text.startswith(b"${", at):
        return False  # What is taken where nothing is set may be longer.
    if not opening:
        return (_AT_LEAST_OF_FORM if in_a_form else _AT_LEAST)[_SHORTEST[strength]].match(text, at) is None
    piece = text[at : at + _SHORTEST[strength]]
    return opening in _CLOSING and opening in piece and b"\\" not in piece


def surroundings(text: bytes, at: int) -> bytes:
    """All that is looked at ahead of a value that begins at a place, and what is read of one that
    `ends_near`."""
    return text[max(0, at - BACK) : at + NEAR]


def ends_near(text: bytes, at: int) -> bool:
    """Whether all that is read of a value that begins at a place is within its `surroundings`."""
    if _NEAR_END.match(text, at) is None or b"uthoriz" in text[max(0, at - BACK) : at]:
        return False
    return not says_little(text, at)


def kind_of(strength: str) -> str:
    """The kind of a value whose name says so much."""
    return KINDS[0] if strength in ("password", GIVEN) else KINDS[1]


def given(strength: str) -> str:
    """What is said where nothing but the value can stand, since a program reads it."""
    return GIVEN if strength == "password" else strength


def crumbs(line: bytes) -> Iterator[tuple[int, int]]:
    """Where the values of the cookies in a header are that may open something."""
    for one in _CRUMB.finditer(line):
        if of_session(one[1]):
            yield one.span(2)


def of_session(name: bytes) -> bool:
    """Whether a cookie of this name may open something."""
    return _OF_SESSIONS.search(name) is not None and not name.startswith(_OF_COUNTERS)


# --- judging ---------------------------------------------------------------------------------------------


def may_be(strength: str, value: bytes) -> bool:
    """Whether a value is worth a closer look."""
    if not _SHORTEST[strength] <= len(value) <= LONGEST:
        return False
    return strength in (BASIC, GIVEN, "password") or shows(value, 0)


def shows(text: bytes, at: int) -> bool:
    """Whether there is a digit near the beginning of a value, as in nearly all secrets, or letters that make
    no words."""
    if DIGIT.search(text, at, at + NEAR) is not None:
        return True
    letters = _LETTERS.match(text, at)
    return letters is not None and looks_random(letters[0].decode())


def named(name: str, value: str) -> tuple[Signal, bytes] | None:
    """What a text that stands under a name may be: what the name says, and the text."""
    if value.isascii() and len(value) < _SHORTEST["password"]:
        return None
    strength = said_of_member(name)
    data = value.encode("utf-8", "replace") if strength and len(value) <= LONGEST else b""
    if not strength or not may_be(strength, data) or (_may_name_words(name) and DIGIT.search(data) is None):
        return None
    return strength, data


def said_of_member(name: str) -> Signal:
    """What the name of a member says of the texts in it, of which there may be a list. What stands under a
    type, such as `AWS::IAM::AccessKey`, is not a key."""
    # An s of many passwords does not count.
    return _said_of_member(name) if len(name) <= _LONGEST_NAME + 1 else ""


@lru_cache(4096)
def _said_of_member(name: str) -> Signal:
    if "::" in name and name.rpartition("::")[2][:1].isupper():
        return ""
    if len(name) <= _LONGEST_NAME and is_foreign(name):
        return "password"
    strength = said(name[:-1] if _is_plural(name) else name)
    return strength or ("weak" if len(name) <= _LONGEST_NAME and is_foreign_key(name) else "")


@lru_cache(4096)
def _may_name_words(name: str) -> bool:
    """Whether what stands under a name, which says something, may be words without a digit."""
    return _is_plural(name) or is_foreign(name) or is_label(name)


def is_label(name: str) -> bool:
    """Whether a text under such a name is more likely what a page calls a field: `yourpassword`."""
    return "your" in name[-_LONGEST_NAME:].lower()


def _is_plural(name: str) -> bool:
    return name[-_LONGEST_NAME:].lower().endswith(("passwords", "passphrases"))


def is_secret(strength: str, value: bytes, known_end: bool) -> bool:
    """Whether a value is a secret under a name that says so much."""
    if strength == BASIC:
        return bool(_plausible().is_basic(value))
    return bool(_plausible().is_secret(strength, value.decode("utf-8", "replace"), known_end))


def stands_in(value: bytes) -> bool:
    """Whether the password of a URL only stands for one."""
    return bool(_plausible().is_sample_of_a_url(value.decode("utf-8", "replace")))


def is_template(value: bytes) -> bool:
    """Whether a value is to be replaced, or says where the secret is."""
    return bool(_plausible().is_template(value.decode("utf-8", "replace")))


def is_example(kind: str, match: bytes) -> bool:
    """Whether what is written as a format is an example of documentation."""
    return bool(_plausible().is_example(kind, match))


@cache
def _plausible() -> ModuleType:
    # Its expressions take some milliseconds to compile, and most messages have no pair.
    from mcpguard.core.redaction.detectors.named import plausible

    return plausible
