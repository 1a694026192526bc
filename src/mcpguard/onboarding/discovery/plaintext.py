"""Which parts of a server's entry are secrets that stand there in the clear; of an address, only that part
without which the rest opens nothing.

Law of this file: what is found is a place, never a value. A value is judged by its name and by its form
together: what is held disappears from every result, so an ordinary word must not be.
"""

import os
import re
from collections.abc import Iterator
from functools import cache
from urllib.parse import unquote

from mcpguard.core.redaction.detectors import DETECTORS, Detector
from mcpguard.core.redaction.detectors.named.naming import Signal, is_about, names_a_pair, signal, words_of
from mcpguard.core.redaction.detectors.named.shapes import (
    has_reference,
    is_known_to_all,
    is_literal,
    is_nothing_but_random,
    is_of_both_cases,
    is_reference,
    is_secret,
    is_token,
    is_uuid,
    looks_random,
    names_a_thing,
)
from mcpguard.core.redaction.engine.matching import PAD, Matcher, compile_literals
from mcpguard.onboarding.discovery.entry import Entry, Place, Plaintext
from mcpguard.onboarding.discovery.programs import known

Span = tuple[int, int]

_URL = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,31}://[^\s\"'<>]+")
_USER = re.compile(
    r"://([^\s/?#\"'@:]{0,256})(?::([^\s/\"']{0,1024}"
    # A raw "/" in a password, as in the detector of passwords in URLs.
    r"|(?!\d{1,5}[/?#])(?<!\.[a-z]{2}:)(?<!\.[a-z]{3}:)[^\s\"'/?#@]{1,64}[/?#]"
    r"(?=[^\s\"'@\d]{0,64}\d)[^\s\"'@]{1,128}(?=@[A-Za-z0-9.-]{1,253}[:/])))?@"
)
_PARAMETER = re.compile(r"[?&;]([^=&;#]{1,128})=([^&;#\s]+)")
_MYSQL = re.compile(r"(?<![^\s\"'=])([^\s:/@\"']{1,64}):([^\s@/\"']{1,256})@(?:tcp|unix)\(")
_ORACLE = re.compile(r"([A-Za-z][\w$#]{0,63})/([^\s/@\"']{6,128})@[\w.-]+(?::[0-9]+)?(?:/[\w.-]+)?")
_SEGMENT = re.compile(r"(?<=/)[^/?#\s]+")
_OPENS = re.compile(
    r"v[0-9]+|mcp|s|u|k|t|p|in|key|token|hooks?|webhooks?|catch|rpc|server|api|sse|connect|ping|push|heartbeat|ingest|services"
)
"""A part of a path behind which a random one opens something; elsewhere it is the name of a thing."""
_THING = re.compile(r".*s|d|org|project|workspace|team|tenant|account|user|app|site|database|blob|tree")
_HOOKS = frozenset(("hook", "hooks", "webhook", "webhooks"))
_CONNECTS = frozenset(["dsn", "conn", "connection", "connect", "connstr", "oracle", "ora", "db", "database"])
_SAYS_SO = ("private-", "secret-", "token-", "key-")
_LONG_PATH = 20


def secrets_of_addresses(text: str, name: str = "", *, serves: bool = False) -> Iterator[Span]:
    """The secrets in the addresses that are in `text`, the value of `name`; `serves`: it is a server's."""
    for user, password in _pairs(text, name):
        value = unquote(text[slice(*password)])
        if is_literal(value) and not has_reference(value) and value != unquote(text[slice(*user)]):
            yield password
    for url in _URL.finditer(text):
        for one in _PARAMETER.finditer(text, *url.span()):
            if is_secret(_of_parameter(one[1]), unquote(one[2])) and not has_reference(one[2]):
                yield one.span(2)
        yield from _of_path(text, url.span(), name, serves)


def _of_parameter(name: str) -> Signal:
    # Azure's functions call their key `code`, many services theirs `key`.
    return {"code": "weak", "key": "token"}.get(name) or signal(name)  # type: ignore[return-value]


def _pairs(text: str, name: str) -> Iterator[tuple[Span, Span]]:
    """(user, password) of each address in `text`; a random user without a password is one."""
    for one in _USER.finditer(text):
        if one[2]:
            yield one.span(1), one.span(2)
        elif one[2] is None and looks_random(one[1]):
            yield (0, 0), one.span(1)
    for one in _MYSQL.finditer(text):
        yield one.span(1), one.span(2)
    if _CONNECTS & set(words_of(name)) and (whole := _ORACLE.fullmatch(text)):
        yield whole.span(1), whole.span(2)


def _of_path(text: str, url: Span, name: str, serves: bool) -> Iterator[Span]:
    host = text.index("://", url[0]) + 3
    if _HOOKS & {*words_of(name)}:
        label = re.compile(r"[a-z0-9]{12,63}(?=\.)").match(text, host, url[1])
        if label and looks_random(label[0]):
            yield label.span()
    begin = text.find("/", host, url[1])
    if begin < 0:
        return
    end = min(at for at in (text.find("?", begin), text.find("#", begin), url[1]) if at >= 0)
    end = min(end, url[1])
    hook = bool(_HOOKS & {*words_of(name), *words_of(text[url[0] : min(end, url[0] + 1000)])})
    found: list[Span] = []
    before = ""
    for one in _SEGMENT.finditer(text, begin, end):
        segment = one[0]
        if segment.startswith("bot") and is_token(segment[3:]):
            found.append((one.start() + 3, one.end()))
        elif _is_key(segment, before, hook, serves):
            found.append(one.span())
        before = segment
    # Between the random parts of a hook stands what belongs to them.
    yield from [(found[0][0], found[-1][1])] if hook and found else found


def _is_key(segment: str, before: str, hook: bool, serves: bool) -> bool:
    if is_known_to_all(segment) or has_reference(segment) or "." in segment[-6:]:
        return False
    if names_a_thing(segment):
        return False
    if (
        hook
        and not (_THING.fullmatch(before) and not _OPENS.fullmatch(before))
        and (looks_random(segment) or _is_short_key(segment))
    ):
        return True
    if not (is_uuid(segment) or is_token(segment) or (len(segment) >= _LONG_PATH and looks_random(segment))):
        return False
    if not before or _OPENS.fullmatch(before) or segment.startswith(_SAYS_SO):
        return True
    return serves and not _THING.fullmatch(before)


def _is_short_key(segment: str) -> bool:
    return len(segment) >= 6 and bool(re.search(r"[0-9][a-z]|[a-z][A-Z]|[0-9][A-Z]", segment))


_SCHEME = re.compile(r"(?i)(?:bearer|basic|token|bot|apikey|api-key|key|digest|negotiate)\s+(?=\S+$)")
_FLAG = re.compile(r"(--?[A-Za-z][\w.-]*|[A-Za-z_]\w*)=(.+)", re.DOTALL)
_JOINED = re.compile(r"-e([A-Za-z_]\w*=.+)", re.DOTALL)
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]*):\s*(\S.*)", re.DOTALL)
_SETS = ("-e", "--env", "-D", "--set")
"""Options whose value is `NAME=VALUE`."""
_TWO = ("-H", "--header", "--headers")
"""Options that some programs give the name and the value of a header as two words."""
_OF_RUNNERS = frozenset(("docker", "podman", "nerdctl", "kubectl", "sudo", "doas"))
"""Programs whose `-u A:B` is a user and a group."""
_PAIR = re.compile(r"([^\s:/]{1,128}):([^\s]{6,512})")
_ACCOUNT = re.compile(r'\{.{0,4000}"private_key"\s{0,8}:', re.DOTALL)

_REFERRED = re.compile(r"\$?\{\{[^}]{0,200}\}\}|\$\{[^}]{0,200}\}")
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
    re.compile(r"""(?<!\S)(--?[A-Za-z][\w.-]{0,63})\s{1,4}(["']?)([^\s"'-][^\s"']{5,8191})"""),
)
_LONG = 48
"""Random characters of both cases that are a secret under any name: identifiers are shorter."""
_DIGITS = re.compile(r"[0-9a-f]{129,}")
"""More hexadecimal digits than a digest has."""
_AGAIN = 8
"""Characters of a secret that is looked for in the other values of its entry."""

_MANY = 100


def secrets_of(entry: Entry) -> tuple[Plaintext, ...]:
    """Every secret of `entry`, in the order of their places; spans of one value do not overlap."""
    found: list[Plaintext] = []
    program = known(entry)
    sure = frozenset() if program is None else program.takes
    for name, value in entry.env.items():
        found += _of_pair(("env", name), name, value, 0, "token" if name in sure else signal(name))
    for name, value in entry.headers.items():
        found += _of_header(("headers", name), name, value, 0)
    if entry.url:
        found += _of_text(("url",), entry.url, 0, serves=True)
    found += _of_arguments(entry, sure)
    found += _of_text(("command",), entry.command, 0)
    return tuple(_apart([*found, *_again(entry, found)]))


def secrets_of_setting(name: str, value: str) -> list[str]:
    """The secrets in `value`, as a variable of the name `name` has it."""
    found = _apart(list(_of_pair((name,), name, value, 0, signal(name))))
    return [value[one.start : one.end] for one in found]


def _again(entry: Entry, found: list[Plaintext]) -> Iterator[Plaintext]:
    texts = entry.texts
    values = dict.fromkeys(
        texts[one.place][one.start : one.end] for one in found if one.end - one.start >= _AGAIN
    )
    for place, text in texts.items():
        for value in list(values)[:_MANY]:
            at = text.find(value)
            while at >= 0:
                yield Plaintext(place, at, at + len(value), "again")
                at = text.find(value, at + len(value))


def _of_arguments(entry: Entry, sure: frozenset[str]) -> Iterator[Plaintext]:
    runner = os.path.basename(entry.command) in _OF_RUNNERS
    option = before = ""
    for index, word in enumerate(entry.args):
        place: Place = ("args", index)
        if option in _TWO and _HEADER.fullmatch(f"{before}: x"):
            yield from _of_header(place, before, word, 0)
        else:
            yield from _of_argument(place, before, word, sure, runner)
        option, before = before, word


def _of_argument(
    place: Place, before: str, word: str, sure: frozenset[str], runner: bool
) -> Iterator[Plaintext]:
    pair = _FLAG.fullmatch(word)
    joined = _JOINED.fullmatch(word)
    header = _HEADER.fullmatch(word)
    if pair and pair[1] in _SETS and (inner := _FLAG.fullmatch(pair[2])):
        yield from _of_pair(place, inner[1], inner[2], pair.start(2) + inner.start(2), signal(inner[1]))
    elif joined and runner and (inner := _FLAG.fullmatch(joined[1])):
        yield from _of_pair(place, inner[1], inner[2], joined.start(1) + inner.start(2), signal(inner[1]))
    elif pair:
        yield from _of_option(place, pair[1], pair[2], pair.start(2), sure, runner)
        yield from _tokens(place, word, 0, "")
    elif header and "://" not in word[: header.start(2) + 2] and not names_a_pair(before):
        yield from _of_header(place, header[1], header[2], header.start(2))
        yield from _tokens(place, word, 0, "")
        yield from _of_form(place, word)
    elif before.startswith("-") and "=" not in before and not word.startswith("-"):
        yield from _of_option(place, before, word, 0, sure, runner)
    else:
        yield from _of_text(place, word, 0)
        yield from _of_form(place, word)


def _of_form(place: Place, word: str) -> Iterator[Plaintext]:
    if is_nothing_but_random(word) or is_token(word):
        yield Plaintext(place, 0, len(word), "form")


def _of_option(
    place: Place, option: str, value: str, offset: int, sure: frozenset[str], runner: bool
) -> Iterator[Plaintext]:
    found = _PAIR.fullmatch(value)
    if found and names_a_pair(option) and not runner and _is_user_and_password(found):
        yield Plaintext(place, offset + found.start(2), offset + found.end(2), "name")
        return
    yield from _of_pair(place, option, value, offset, "token" if option in sure else signal(option))


def _of_pair(place: Place, name: str, value: str, offset: int, said: Signal) -> Iterator[Plaintext]:
    scheme = _SCHEME.match(value)
    if scheme and said and is_secret("token", value[scheme.end() :]):
        begin = scheme.end()
        yield Plaintext(place, offset + begin, offset + len(value), "name")
        return
    if _ACCOUNT.match(value) and not has_reference(value):
        yield Plaintext(place, offset, offset + len(value), "service account")
        return
    within = list(_of_text(place, value, offset, name))
    if within and "://" in value:
        yield from within  # The rest of an address says where it leads.
    elif (is_secret(said, value) or _is_pair(name, value)) and not has_reference(value):
        yield Plaintext(place, offset, offset + len(value), "name")
    elif not within and not is_about(name) and (is_token(value) or _is_long(value)):
        yield Plaintext(place, offset, offset + len(value), "form")
    else:
        yield from within


def _is_long(value: str) -> bool:
    return len(value) >= _LONG and (is_of_both_cases(value) or bool(_DIGITS.fullmatch(value)))


def _is_pair(name: str, value: str) -> bool:
    """Whether it is `USER:PASSWORD`, as a variable for basic authentication has it."""
    found = _PAIR.fullmatch(value)
    return found is not None and names_a_pair(name) and bool(signal(name)) and _is_user_and_password(found)


def _is_user_and_password(pair: re.Match[str]) -> bool:
    return pair[1] != pair[2] and is_literal(pair[2]) and not pair[2].isdigit()


def _of_header(place: Place, name: str, value: str, offset: int) -> Iterator[Plaintext]:
    scheme = _SCHEME.match(value)
    begin = scheme.end() if scheme else 0
    said = "token" if scheme and signal(name) else signal(name)
    alone = is_of_both_cases(value[begin:]) and not is_about(name)
    if (alone or is_secret(said, value[begin:])) and not has_reference(value):
        yield Plaintext(place, offset + begin, offset + len(value), "name")
    else:
        yield from _of_text(place, value, offset, name)


def _of_text(
    place: Place, text: str, offset: int, name: str = "", *, serves: bool = False
) -> Iterator[Plaintext]:
    """Secrets that their form betrays, those of addresses, and settings that `text` is made of."""
    yield from _tokens(place, text, offset, name)
    for start, end in secrets_of_addresses(text, name, serves=serves):
        yield Plaintext(place, offset + start, offset + end, "url")
    referred = [one.span() for one in _REFERRED.finditer(text)]
    for pattern in _INNER:
        for one in pattern.finditer(text):
            start, end = one.span(3)
            if any(begin < start < stop for begin, stop in referred):
                continue
            if names_a_pair(one[1]) and one[1].startswith("-") and (pair := _PAIR.fullmatch(one[3])):
                if is_literal(pair[2]):
                    yield Plaintext(place, offset + start + pair.start(2), offset + end, "name")
            elif is_secret(signal(one[1]), one[3]) and not has_reference(one[3]):
                yield Plaintext(place, offset + start, offset + end, "name")


def _tokens(place: Place, text: str, offset: int, name: str) -> Iterator[Plaintext]:
    # The name of a variable is a part of some formats.
    before = f"{name}=".encode() if name else b""
    data = before + text.encode(errors="surrogatepass")
    found: set[int] = set()
    _matcher().search(data + PAD, lambda index, *_: found.add(index))
    for literal, detector in (_beginnings()[index] for index in sorted(found)):
        for start, end in _spans(detector, literal, data):
            if start >= len(before):
                chars = data[len(before) : start].decode(errors="replace")
                value = data[start:end].decode(errors="replace")
                if not is_reference(value) and not is_known_to_all(value):
                    begin = offset + len(chars)
                    yield Plaintext(place, begin, begin + len(value), detector.kind)


@cache
def _beginnings() -> tuple[tuple[bytes, Detector], ...]:
    """What a token begins with, or has in it. Addresses are read as a whole."""
    found = [one for one in DETECTORS if one.kind != "url-password"]
    return tuple((start.encode(), one) for one in found for start in one.starts or (one.trigger,))


@cache
def _matcher() -> Matcher:
    any_case = {index for index, (_, one) in enumerate(_beginnings()) if one.any_case}
    return compile_literals([literal for literal, _ in _beginnings()], any_case, "tokens")


def _spans(detector: Detector, literal: bytes, data: bytes) -> Iterator[tuple[int, int]]:
    text = data.lower() if detector.any_case else data
    at = text.find(literal)
    while at >= 0:
        for before in detector.back or (0,):
            span = detector.match(data, at - before) if at >= before else None
            if span:
                yield span
        at = text.find(literal, at + 1)


def _apart(found: list[Plaintext]) -> Iterator[Plaintext]:
    """`found` in order, with those of one value that overlap as one."""
    last: Plaintext | None = None
    for one in sorted(found, key=lambda one: (tuple(map(str, one.place)), one.start, -one.end)):
        if last is None or last.place != one.place or one.start >= last.end:
            if last is not None:
                yield last
            last = one
        elif one.end > last.end:
            last = Plaintext(last.place, last.start, one.end, last.why)
    if last is not None:
        yield last
