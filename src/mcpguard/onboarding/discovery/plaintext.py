"""Which parts of a server's entry are secrets that stand there in the clear.

Law of this file: rather one too many than one too few, since moving a value that is not secret does no harm;
and what is found is a place, never a value.
"""

import re
from collections import Counter
from collections.abc import Iterator
from math import log2
from urllib.parse import urlsplit

from mcpguard.core.redaction.detectors import DETECTORS, Detector
from mcpguard.onboarding.discovery.entry import Entry, Place, Plaintext

_WORDS = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_SECRET = re.compile(
    r".*(?:token|secret|password|passwd|passphrase|apikey|credential)s?|pwd|pw|keys?|auth|authorization|bearer"
    r"|pat|dsn|cookie|jwt|sig|signature"
)
_SURELY = re.compile(r".*(?:secret|password|passwd|passphrase)s?|pwd|pw")
# The last word of a name: `..._KEY_ID` names a key and is not one.
_NAMED = re.compile(
    "ids?|name|file|path|dir|folder|limit|count|max|min|ttl|timeout|type|ur[li]|host|port|region"
)
_PLAIN = re.compile(r"(?i)true|false|yes|no|on|off|none|null|[0-9]{1,9}|(?:~|\.{0,2})/\S*")
_SCHEME = re.compile(r"(?i)(?:bearer|basic|token|bot|apikey|api-key|key|digest|negotiate)\s+")
_REFERENCE = re.compile(r"\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_]*|\$\{\{[^}]*\}\}")
_FLAG = re.compile(r"(--?[A-Za-z][\w.-]*|[A-Za-z_]\w*)=(.+)", re.DOTALL)
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]*):\s*(\S.*)", re.DOTALL)
_URL = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,31}://\S+")
_PARAMETER = re.compile(r"[?&;]([^=&;#]+)=([^&;#\s]+)")
_SEGMENT = re.compile(r"(?<=/)[A-Za-z0-9_.~-]{20,}(?=[/?#]|$)")

# Settings inside a text: JSON, connection strings, options in one variable.
_INNER = (
    re.compile(
        r"""(?<![\w.])(?<![\w.]-)([A-Za-z][\w.-]{0,63})["']?\s{0,4}[=:]\s{0,4}(["'])"""
        r"""(?:(?:bearer|basic|token|bot)\s{1,4})?((?:\\.|(?!\2)[^\\]){6,8192})\2""",
        re.IGNORECASE | re.DOTALL,
    ),
    re.compile(
        r"""(?<![\w.])(?<![\w.]-)([A-Za-z][\w.-]{0,63})()\s{0,4}[=:]\s{0,4}(?:(?:bearer|basic|bot)\s{1,4})?([^\s"',;&]{6,8192})""",
        re.IGNORECASE,
    ),
    re.compile(r"""(?<!\S)(--?[A-Za-z][\w.-]{0,63})()\s{1,4}([^\s"'-][^\s"']{5,8191})"""),
)
_INNERLY = re.compile(r".*(?:token|secret|password|passwd|passphrase|apikey)|pwd|authorization")
_AGAIN = 8
"""Characters of a secret that is looked for in the other values of its entry."""

_MANY = 100


def secrets_of(entry: Entry) -> tuple[Plaintext, ...]:
    """Every secret of `entry`, in the order of their places; spans of one value do not overlap."""
    found: list[Plaintext] = []
    for name, value in entry.env.items():
        found += _of_pair(("env", name), name, value, 0)
    for name, value in entry.headers.items():
        found += _of_header(("headers", name), name, value, 0)
    if entry.url:
        found += list(_of_text(("url",), entry.url, 0)) or _segments(("url",), entry.url)
    before = ""
    for index, word in enumerate(entry.args):
        found += _of_argument(("args", index), before, word)
        before = word
    found += _of_text(("command",), entry.command, 0)
    return tuple(_apart([*found, *_again(entry, found)]))


def _again(entry: Entry, found: list[Plaintext]) -> Iterator[Plaintext]:
    texts: dict[Place, str] = {("args", index): word for index, word in enumerate(entry.args)}
    texts |= {("env", name): value for name, value in entry.env.items()}
    texts |= {("headers", name): value for name, value in entry.headers.items()}
    texts |= {("url",): entry.url, ("command",): entry.command}
    values = dict.fromkeys(
        texts[one.place][one.start : one.end] for one in found if one.end - one.start >= _AGAIN
    )
    for place, text in texts.items():
        for value in list(values)[:_MANY]:
            at = text.find(value)
            while at >= 0:
                yield Plaintext(place, at, at + len(value), "again")
                at = text.find(value, at + len(value))


def names_a_secret(name: str) -> bool:
    """Whether a variable, header, option or parameter of this name holds a secret."""
    words = [word.lower() for word in _WORDS.split(name) if word]
    return bool(words) and not _NAMED.fullmatch(words[-1]) and any(map(_SECRET.fullmatch, words))


def _of_argument(place: Place, before: str, word: str) -> Iterator[Plaintext]:
    pair = _FLAG.fullmatch(word)
    if pair:
        yield from _of_pair(place, pair[1], pair[2], pair.start(2))
        return
    header = _HEADER.fullmatch(word)
    if header and "://" not in word[: header.start(2) + 2]:
        yield from _of_header(place, header[1], header[2], header.start(2))
        return
    if before.startswith("-") and "=" not in before and not word.startswith("-"):
        yield from _of_pair(place, before, word, 0)
    else:
        yield from _of_text(place, word, 0)


def _of_pair(place: Place, name: str, value: str, offset: int) -> Iterator[Plaintext]:
    within = list(_of_text(place, value, offset, name))
    if within and "://" in value:
        yield from within  # The rest of an address says where it leads.
    elif names_a_secret(name) and not _is_plain(name, value):
        yield from _literal(place, value, offset)
    else:
        yield from within


def _is_plain(name: str, value: str) -> bool:
    words = {word.lower() for word in _WORDS.split(name)}
    return not value.strip() or (bool(_PLAIN.fullmatch(value)) and not any(map(_SURELY.fullmatch, words)))


def _of_header(place: Place, name: str, value: str, offset: int) -> Iterator[Plaintext]:
    if names_a_secret(name):
        scheme = _SCHEME.match(value)
        begin = scheme.end() if scheme else 0
        yield from _literal(place, value[begin:], offset + begin)
    else:
        yield from _of_text(place, value, offset, name)


def _literal(place: Place, value: str, offset: int) -> Iterator[Plaintext]:
    """The whole of `value`, if it is not a reference of the client."""
    if _REFERENCE.sub("", value).strip():
        bare = _REFERENCE.split(value)
        if len(bare) == 1:
            yield Plaintext(place, offset, offset + len(value), "name")
            return
        yield from _of_text(place, value, offset)


def _of_text(place: Place, text: str, offset: int, name: str = "") -> Iterator[Plaintext]:
    """Secrets that their form betrays, and those of addresses."""
    found = [*_tokens(place, text, offset, name)]
    for url in _URL.finditer(text):
        for parameter in _PARAMETER.finditer(text, url.start(), url.end()):
            if names_a_secret(parameter[1]) and not _REFERENCE.search(parameter[2]):
                start, end = parameter.span(2)
                found.append(Plaintext(place, offset + start, offset + end, "url"))
    yield from found
    yield from _inner(place, text, offset)


def _inner(place: Place, text: str, offset: int) -> Iterator[Plaintext]:
    """Settings in `text` whose name surely says that they are secret."""
    for pattern in _INNER:
        for one in pattern.finditer(text):
            words = [word.lower() for word in _WORDS.split(one[1])]
            joined = "".join(words)
            sure = any(map(_INNERLY.fullmatch, [*words, joined])) and not _NAMED.fullmatch(words[-1])
            if sure and not _PLAIN.fullmatch(one[3]) and not _REFERENCE.search(one[3]):
                start, end = one.span(3)
                yield Plaintext(place, offset + start, offset + end, "name")


def _segments(place: Place, url: str) -> Iterator[Plaintext]:
    try:
        path = urlsplit(url).path
    except ValueError:
        return
    start = url.find(path) if len(path) > 1 else len(url)
    for found in _SEGMENT.finditer(url, start):
        if looks_random(found[0]):
            yield Plaintext(place, found.start(), found.end(), "url")


def looks_random(text: str) -> bool:
    """Whether `text` has letters, digits and more than 3.5 bits a character (Shannon), as keys have."""
    counts = Counter(text)
    bits = -sum(count / len(text) * log2(count / len(text)) for count in counts.values())
    mixed = any(c.isdigit() for c in text) and any(c.isalpha() for c in text)
    return mixed and bits > 3.5


def _tokens(place: Place, text: str, offset: int, name: str) -> Iterator[Plaintext]:
    # The name of a variable is a part of some formats.
    before = f"{name}=".encode() if name else b""
    data = before + text.encode(errors="surrogatepass")
    for detector in DETECTORS:
        for start, end in _spans(detector, data):
            if start >= len(before):
                chars = data[len(before) : start].decode(errors="replace")
                begin = offset + len(chars)
                length = len(data[start:end].decode(errors="replace"))
                if not _REFERENCE.fullmatch(text[begin - offset : begin - offset + length]):
                    yield Plaintext(place, begin, begin + length, detector.kind)


def _spans(detector: Detector, data: bytes) -> Iterator[tuple[int, int]]:
    for literal in detector.starts:
        at = data.find(literal.encode())
        while at >= 0:
            span = detector.match(data, at)
            if span:
                yield span
            at = data.find(literal.encode(), at + 1)


def _apart(found: list[Plaintext]) -> Iterator[Plaintext]:
    last: Plaintext | None = None
    order = sorted(found, key=lambda one: (tuple(map(str, one.place)), one.start, -one.end))
    for one in order:
        if last is None or last.place != one.place or one.start >= last.end:
            last = one
            yield one
