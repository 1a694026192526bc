"""The secret members of a value that is made of several: a file, a URL, a header, a pair.

Law of this file: a member is secret if its place or its name says so and it looks like one; a host, a user, a
region or a kind is not, so that it stays in every result. Nothing here knows for whom a value is.
"""

import re
from base64 import b64decode
from binascii import Error
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import unquote, unquote_plus

import msgspec

from mcpguard.core.expressions import expression
from mcpguard.core.model import Json
from mcpguard.core.redaction.detectors.named.naming import Signal, signal, words_of
from mcpguard.core.redaction.detectors.named.shapes import (
    is_literal,
    is_secret,
    is_token,
    is_uuid,
    looks_random,
)

MOST = 512
"""How many members of one value are held."""
_DEPTH = 4
_READ = 128 * 1024
"""How many characters are read, members of members too."""
_LEAST = 6
_LONG = 16
"""A member of letters only that is shorter is met in ordinary text."""

_DIGITS = 12
"""A member of digits only that is shorter is one of few."""

Member = tuple[Signal, str]
"""What its place or its name says of a member, and the member."""

_URL = expression(r"[A-Za-z][A-Za-z0-9+.-]{0,31}://([^\s\"'<>/?#]*)([^\s\"'<>]*)")
_QUOTED = expression(
    r"""(?<![\w./:-])([A-Za-z_][\w./:-]{0,127})["']?\s{0,8}(?:=>|:=|=|:)\s{0,8}
    (?:"((?:[^"\\]|\\.){1,8192})"|'((?:[^'\\]|\\.){1,8192})'|\{([^{}\n]{1,1024})\})""",
    re.VERBOSE,
)
_PAIR = expression(
    r"(?:export |set |env |- )?\W{0,3}([\w./:@ -]{1,128}?)[\"']?\s*(?:=>|:=|=|:(?=\s))\s*(\S.*?)\W?"
)
_BREAKS = ("\n", ";", "&", ",", None)
_COMMENT = expression(r"\s#\s.*")
_ENTRY = expression(
    r"""key\s*=\s*["']([^"']{1,128})["']\s+value\s*=\s*["']([^"']{1,4096})["']""", re.IGNORECASE
)
_ELEMENT = expression(r"<([A-Za-z_][\w.:-]{0,127})(?:\s[^<>]{0,256})?>([^<>]{1,4096})</")
_SCHEME = expression(
    r"\b(?:bearer|basic|token|api-?key|bot|jwt|ssws|geniekey|splunk|oauth|dpop|negotiate|key|sharedaccesssignature"
    r"|[a-z]+-api-key)[ \t]+([^\s,;\"']{6,8192})",
    re.IGNORECASE,
)
_KEY = expression(
    r"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----(?:[^-]|-(?!----)){16,16384}-----END \1-----"
)
_JWT = expression(r"eyJ(?<![\w-]eyJ)[\w-]+\.[\w-]+\.([\w-]{16,})")
_ORACLE = expression(r"(?<![\w$#])[\w$#]{1,64}/([^\s@/]{6,256})@")
_USER = expression(r"[^\s:/@={}\"'<>]{1,256}:(\S[^\n]*)")
_PGPASS = expression(r"(?:(?:[^:\\\n]|\\.)*:){4}((?:[^\\\n]|\\.)+)")
_BASE64 = expression(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_STANDARD = str.maketrans("-_", "+/")
_CONSTANT = frozenset(("x-oauth-basic", "x-token-auth", "x-access-token", "oauth2accesstoken"))
_PUBLIC = frozenset(("certificate", "cert", "certs", "ca", "public", "publishable", "pubkey"))
_PLACE = frozenset([
    "host", "hostname", "hosts", "server", "endpoint", "url", "uri", "email", "mail", "region", "path",
    "file", "domain", "issuer", "user", "username", "login", "name", "database", "bucket", "project",
    "account", "zone", "cluster", "context", "type", "audience", "scope", "scopes", "address",
])  # fmt: skip
"""The last word of the name of what is not a secret, whatever it looks like."""
_TIME = expression(r"[0-9:.,+TZ-]*")
_LONE = expression("-{0,2}[A-Za-z]+(?:[_-][A-Za-z]+)*")
_WORD = expression(r"[A-Z]?[a-z]+[0-9]{0,4}|[0-9]+|[A-Z]+|.{1,2}")
_SPLIT = expression(r"(?:\\[nrt]|[^A-Za-z0-9+/=_.\\-])+")


def parts(value: str) -> list[str]:
    """The members of `value` that are secret by themselves, in no order and at most MOST; not `value`."""
    found: dict[str, None] = {}
    seen = {value}
    left = deque[tuple[str, int, Signal, bool]]([(value, _DEPTH, "", True)])
    budget = _READ
    while left and budget > 0:
        text, depth, outer, pairs = left.popleft()
        budget -= len(text)
        for said, member in _members(text, outer, pairs):
            strength: Signal = said or ("weak" if outer else "")
            if member != value and _is_secret(strength, member):
                found[member] = None
            if depth and member not in seen:
                seen.add(member)
                left.append((member, depth - 1, strength, bool(strength)))
    return list(found)[:MOST]


def _is_secret(said: Signal, member: str) -> bool:
    text = member.strip()
    if len(text) < _LEAST or not is_literal(text) or text in _CONSTANT:
        return False
    if (text.isalpha() and len(text) < _LONG) or (text.isdigit() and len(text) < _DIGITS):
        return False
    if said == "password":
        return "://" not in text and not _TIME.fullmatch(text)
    if said == "token":
        return is_secret(said, text)
    return is_token(text) or (said == "weak" and looks_random(text) and not is_uuid(text))


def _members(text: str, said: Signal, pairs: bool) -> Iterator[Member]:
    """What `text`, of which its name says `said`, is made of, each with its signal; what holds others
    itself too. `pairs`: it may be a user and a password, and not a host and a port."""
    try:
        decoded = msgspec.json.decode(text) if text.lstrip()[:1] in ("{", "[", '"') else None
    except (msgspec.DecodeError, UnicodeEncodeError):
        decoded = None
    if isinstance(decoded, (dict, list, str)):
        yield from _json("", decoded)
        return
    yield from _of_urls(text)
    yield from _in_places(text)
    if pairs:
        yield from _logins(text)
    yield from _named(text)
    yield from _encoded(text, said)


def _json(name: str, value: Json) -> Iterator[Member]:
    """Iterative, since a value may be nested as deep as it is long."""
    left: list[tuple[str, Json]] = [(name, value)]
    while left:
        name, value = left.pop()
        if isinstance(value, str):
            yield _said(name), value
        elif isinstance(value, dict):
            own = value.get("name") or value.get("key")
            for member, child in value.items():
                left.append((own if member == "value" and isinstance(own, str) else member, child))
        elif isinstance(value, list):
            left += [(name, child) for child in value]


def _said(name: str) -> Signal:
    """What a name says; "" for that of a place or of something public."""
    words = words_of(name)
    if not words or words[-1] in _PLACE or not _PUBLIC.isdisjoint(words):
        return ""
    return signal(name)


def _of_urls(text: str) -> Iterator[Member]:
    # A search for a mark takes a hundredth of one with an expression, and a token has none.
    for found in _URL.finditer(text) if "://" in text else ():
        authority, rest = found.groups()
        login, at, _host = authority.rpartition("@")
        user, _, password = login.partition(":")
        if at:
            yield from _both("password", password)
            yield from _both("weak", user)
        path, _, query = rest.partition("?")
        for piece in path.replace("#", "/").split("/"):
            yield from _both("weak", piece.removeprefix("bot"))
        for pair in query.replace("#", "&").split("&"):
            name, _, value = pair.partition("=")
            yield from _both(_said(name) or "weak", value)
    for found in _ORACLE.finditer(text) if "/" in text and "@" in text else ():
        yield "password", found[1]


def _both(said: Signal, text: str) -> Iterator[Member]:
    yield said, text
    if "%" in text or "+" in text:
        yield said, unquote(text)
        yield said, unquote_plus(text)


def _in_places(text: str) -> Iterator[Member]:
    """What stands where a secret does, without a name."""
    for found in _KEY.finditer(text):
        yield "token", found[0]
    for pattern, is_there in ((_SCHEME, " " in text or "\t" in text), (_JWT, "eyJ" in text)):
        for found in pattern.finditer(text) if is_there else ():
            yield "token", found[1]


def _logins(text: str) -> Iterator[Member]:
    """The password of each line that has one behind a user."""
    for line in text.split("\n") if ":" in text else ():
        bare = line.strip()
        for pattern in (_USER, _PGPASS):
            pair = pattern.fullmatch(bare)
            if pair is not None and not pair[1].startswith("//"):
                yield "password", pair[1].replace("\\:", ":")


def _named(text: str) -> Iterator[Member]:
    quoted = _QUOTED.finditer(text) if '"' in text or "'" in text or "{" in text else ()
    for found in (*quoted, *_ENTRY.finditer(text), *_ELEMENT.finditer(text)):
        value = next(filter(None, found.groups()[1:]), "")
        yield _said(found[1]), value
        if "\\" in value:
            yield _said(found[1]), re.sub(r"\\(.)", r"\1", value)
    for separator in _BREAKS if "=" in text or ":" in text else ():
        pieces = text.split(separator)
        for piece in pieces:
            pair = _PAIR.fullmatch(_COMMENT.sub("", piece.strip()))
            if pair is not None:
                yield from _both(_said(pair[1].strip()), pair[2])
    for name, value in pairwise(text.split()):
        if _LONE.fullmatch(name) and _said(name) in ("password", "token"):
            yield "password", value
        elif name in ("-u", "--user"):
            yield "password", value.partition(":")[2]


def _encoded(text: str, said: Signal) -> Iterator[Member]:
    """What base64 says, where that is a text."""
    bare = "".join(text.split())
    if not _BASE64.fullmatch(bare):
        return
    core = bare.rstrip("=").translate(_STANDARD)
    try:
        plain = b64decode(core + "=" * (-len(core) % 4)).decode()
    except (Error, UnicodeDecodeError):
        return
    if plain.replace("\n", "").replace("\t", "").replace("\r", "").isprintable():
        yield said, plain.strip()
        yield from _logins(plain)


def words(value: str) -> Iterator[str]:
    """The lines of a key and other long words of a text: each is as secret as the whole. One without a digit
    is a label ("service_account", a PEM header), and one of words and numbers is a name."""
    for word in _SPLIT.split(_URL.sub(_without_host, value) if "://" in value else value):
        runs = re.findall("[A-Za-z0-9]+", word)
        if (
            word != value
            and sum(map(len, runs)) >= _LONG
            and re.search("[0-9]", word)
            and not is_uuid(word)
            and not all(map(_WORD.fullmatch, runs))
        ):
            yield word


def _without_host(found: re.Match[str]) -> str:
    login, _, _ = found[1].rpartition("@")
    return f"{login} {found[2]}"
