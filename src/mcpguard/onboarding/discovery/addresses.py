"""Secrets in addresses: passwords of users, parameters, and the paths that are as good as a password.

Law of this file: only that part is a secret without which the rest opens nothing.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from mcpguard.core.redaction.detectors.named.naming import Signal, signal, words_of
from mcpguard.core.redaction.detectors.named.shapes import (
    has_reference,
    is_known_to_all,
    is_literal,
    is_secret,
    is_token,
    is_uuid,
    looks_random,
    names_a_thing,
)

Span = tuple[int, int]

_URL = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,31}://[^\s\"'<>]+")
_USER = re.compile(r"://([^\s/?#\"'@:]{0,256})(?::([^\s/\"']{0,1024}))?@")
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
_LONG = 20


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
    if not (is_uuid(segment) or is_token(segment) or (len(segment) >= _LONG and looks_random(segment))):
        return False
    if not before or _OPENS.fullmatch(before) or segment.startswith(_SAYS_SO):
        return True
    return serves and not _THING.fullmatch(before)


def _is_short_key(segment: str) -> bool:
    return len(segment) >= 6 and bool(re.search(r"[0-9][a-z]|[a-z][A-Z]|[0-9][A-Z]", segment))
