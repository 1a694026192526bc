"""`json(text)`: the value that a JSON text holds.

Law of this file: one reading or none (RFC 8259, with the choices of RFC 7493). What one reader takes and
another drops, such as the first of two equal keys, is refused.
"""

from __future__ import annotations

import msgspec

from mcpguard.core.functions.function import Function, FunctionError, Parameter, check_size
from mcpguard.core.model import Json

LIMIT = 131_072
"""Characters of a text."""

MAX_DEPTH = 64
"""Levels of nesting, as in a message."""

_LARGEST = 2**63 - 1
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def value_of(text: str) -> Json:
    """The value. Raises FunctionError for what is not JSON, for equal keys in one object, for NaN and
    infinities, lone surrogates, integers that CEL cannot hold (64 bits, signed) and deep nesting."""
    check_size("json", text, LIMIT)
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
    summary="Parses a JSON text strictly: duplicate keys, NaN, integers beyond 64 bits, deep nesting and "
    "anything "
    "after the value are errors.",
    parameters=(Parameter("text", "string"),),
    gives="the JSON value",
    call=value_of,
    examples=(
        'json("{\\"to\\": [\\"a\\", \\"b\\"]}").to[1] == "b"',
        'json(" [1, true, null] ")[0] == 1',
        'json("\\"text\\"") == "text"',
        'has(json("{\\"force\\": false}").force) && !json("{\\"force\\": false}").force',
    ),
    errors=(
        'json("{\\"a\\": 1, \\"a\\": 2}").a == 1',
        'json("{\\"a\\": 1, \\"\\\\u0061\\": 2}").a == 1',
        'json("NaN") == 0.0',
        'json("[1] [2]")[0] == 1',
        'json("9223372036854775808") == 0',
        'json("") == ""',
    ),
)
