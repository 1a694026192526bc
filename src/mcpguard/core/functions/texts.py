"""`texts()`, `glob()` and `json()`: the texts in some members of a map, such as all paths of a call; whether
a text matches one of the globs; and the value that a JSON text holds.

Law of this file: a member that is there is wholly in the answer, or there is no answer. A text in place of a
list, or a list in place of a text, is an error: which of them a server takes is for the author to know. Globs
are those of a rule's `tools`, and mean the same; the work is bounded by the length of the text times that of
the patterns: each `*` is tried once (an atomic group), never again. A JSON text has one reading or none (RFC
8259, with the choices of RFC 7493): what one reader takes and another drops, such as the first of two equal
keys, is refused.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache

import msgspec

from mcpguard.core.functions.function import (
    Function,
    FunctionError,
    Parameter,
    as_list,
    check_amount,
    check_size,
    of_kind,
)
from mcpguard.core.model import Json

MOST_GIVEN = 20_000
"""Texts in lists."""

MOST_CHARACTERS = 4_000_000
"""Of all texts."""


def texts(value: Json, names: str | list[str], lists: str | list[str] | None = None) -> list[Json]:
    """The texts of the members `names`, then those of the members `lists`. Raises FunctionError for what is
    not a map, for a member of another kind, and as `as_list` does."""
    if type(value) is not dict:
        raise FunctionError("texts() reads the members of a map")
    single = [value[name] for name in as_list(names) if name in value]
    several = [value[name] for name in as_list(lists or []) if name in value]
    check_amount("texts", several, MOST_GIVEN)
    if not of_kind("list", single) or not all(of_kind("list", member) for member in several):
        raise FunctionError("texts() found a member that is not a text, or not a list of texts")
    found = [*single, *(text for member in several for text in member)]
    if sum(map(len, found)) > MOST_CHARACTERS:
        raise FunctionError(f"texts() returns at most {MOST_CHARACTERS:,} characters")
    return found


TEXTS = Function(
    name="texts",
    parameters=(
        Parameter("value", "any"),
        Parameter("names", "strings"),
        Parameter("lists", "strings", optional=True),
    ),
    call=texts,
)


GLOB_LIMIT = 4096
"""Characters of the text, and of all patterns together."""


def glob(text: str, patterns: str | list[str]) -> bool:
    """Whether the whole of `text` matches one of `patterns`. Raises FunctionError for a text or patterns
    above GLOB_LIMIT, for an empty pattern and for a NUL in either."""
    check_size("glob", text, GLOB_LIMIT)
    globs = as_list(patterns)
    check_size("glob", "".join(globs), GLOB_LIMIT)
    if not all(globs):
        raise FunctionError("glob() does not accept an empty pattern")
    return any(_compiled(one).match(text) is not None for one in globs)


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


GLOB = Function(
    name="glob",
    parameters=(Parameter("text", "string"), Parameter("patterns", "strings")),
    call=glob,
)


JSON_LIMIT = 131_072
"""Characters of a text."""

MAX_DEPTH = 64
"""Levels of nesting, as in a message."""

_LARGEST = 2**63 - 1
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def value_of(text: str) -> Json:
    """The value. Raises FunctionError for what is not JSON, for equal keys in one object, for NaN and
    infinities, lone surrogates, integers that CEL cannot hold (64 bits, signed) and deep nesting."""
    check_size("json", text, JSON_LIMIT)
    try:
        raw = text.encode()
        value = _decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise FunctionError("json() cannot read the text as JSON") from None
    _check(value)
    if _encode(value) != raw:
        _check_keys(raw)
    return value


def _check(value: Json) -> None:
    level: list[Json] = [value]
    depth = 0
    while level:
        below: list[Json] = []
        for one in level:
            if type(one) is dict:
                below.extend(one.values())
            elif type(one) is list:
                below.extend(one)
            elif type(one) is int and not -_LARGEST - 1 <= one <= _LARGEST:
                raise FunctionError("json() reads integers of at most 64 bits")
        if depth == MAX_DEPTH and any(type(one) in (dict, list) for one in level):
            raise FunctionError(f"json() reads at most {MAX_DEPTH} levels")
        level = below
        depth += 1


def _check_keys(raw: bytes) -> None:
    # Only a text that is not in compact form comes here.
    import json

    def unique(pairs: list[tuple[str, Json]]) -> None:
        if len({key for key, _ in pairs}) != len(pairs):
            raise FunctionError("json() does not read an object with the same key twice")

    # Numbers were read already; `len` spares a second, slower conversion of a huge one.
    json.loads(raw, object_pairs_hook=unique, parse_int=len, parse_float=len)


JSON = Function(
    name="json",
    parameters=(Parameter("text", "string"),),
    call=value_of,
)
