"""Values that a hostile server may send to make inspection slow: by name, for any size in bytes.

`bench/redaction.py` measures them; `test_work.py` counts what they cost.
"""

from __future__ import annotations

import base64
import gzip
import random
from collections.abc import Callable
from typing import Any

TOKEN = "ghp_" + "aB3kQ9xZ7mT2" * 3
HELD = "tok-9f3Kq7Zx1Lm5Wb8e"
"""What is held while they are inspected."""

Make = Callable[[int], Any]


def _hidden(text: str) -> str:
    return "".join(f"%{ord(char):02x}" for char in text)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


UNITS = {
    "@": "@",
    "://u:@@": "://u:@@",
    "://u: and many @": "://u:" + "p@" * 1000 + "h/ ",
    "://a:b@": "://a:b@ ",
    "ghp_": "ghp_",
    "eyJ": "eyJ",
    "eyJ in words": " eyJ",
    "eyJ with a dot": "eyJ" + "a" * 40 + ".",
    "SG.": "SG.",
    "SG. with a dot": "SG.aaaaaaa.",
    "sk-": "sk-",
    "T3BlbkFJ": "T3Blbk" + "FJ",
    "BEGIN": "-----BEGIN ",
    "BEGIN PRIVATE": "-----BEGIN PRIVATE " + "KEY-----",
    "AKIA": "AKIA",
    "secret_access_key": "secret_access_key= ",
    "password=": "password=",
    "api_key: x": "api_key: x ",
    "percent": "%41",
    "percent of percent": "%25",
    "\\u": "\\u0061",
    "entities": "&#x41;",
    "zero width": "\u200b",
    "ANSI": "\x1b[0m",
    "controls": "\x00",
    "separators": "\x1f",
    "backslashes": "\\",
    "\\n": "\\n",
    "quotes": '"',
    "mixed escapes": "%41\\u0061&#x41;\u200b",
    "base64 of a beginning": "Z2hw",
    "base64 in lines": "Z2hwXw==\n",
    "hexadecimal of a beginning": "6768705f",
    "gzip in base64": "H4sIAAAA",
    "placeholders": "[REDACTED:jwt#1]",
    "tokens": TOKEN + " ",
    "tokens in hexadecimal": TOKEN.encode().hex() + " ",
    "tokens in percent": _hidden(TOKEN) + " ",
    "tokens in base64": _base64(TOKEN) + "\n",
    "held": HELD + " ",
    "held in hexadecimal": HELD.encode().hex() + " ",
    "held in base64": _base64(HELD) + " ",
    "nearly held": HELD[:-1] + " ",
    "words": "a sphere of many words and https://example.com/a/b in a line\n",
    "e-mail": "jane@example.com ",
    "digits": "4111 1111 1111 1112 ",
    "CHR": "CHR(97)||",
    "rows of bytes": "00000000: 7361 7920 7a71 3348 7637 6b50  say zq3Hv7kP\n",
    "rows of bits": "00000000: 01110011 01100001  sa\n",
    "token: x": "token: word1234567 ",
    "default=": 'default="',
    "${TOKEN:-": "TOKEN:-",
}
"""What is repeated in one text."""

_MANY = ("@", "ghp_", "eyJ", "tokens", "held", "words", "tokens in base64", "percent of percent")


def filled(unit: str, size: int) -> str:
    """`unit` again and again, `size` characters."""
    return (unit * (size // len(unit) + 1))[:size]


def _text(unit: str) -> Make:
    return lambda size: {"text": filled(unit, size)}


def _leaves(unit: str) -> Make:
    leaf = filled(unit, max(len(unit), 24))
    return lambda size: [leaf] * (size // (len(leaf) + 3))


def _names(unit: str) -> Make:
    name = filled(unit, max(len(unit), 24))
    return lambda size: {f"{name}{i}": i for i in range(size // (len(name) + 12))}


def _deep(leaf: str, name: str = "a", levels: int = 120) -> Make:
    def make(size: int) -> Any:
        made: list[Any] = []
        for _ in range(max(1, size // (levels * (len(name) + 5)))):
            value: Any = leaf
            for _ in range(levels):
                value = {name: value}
            made.append(value)
        return made

    return make


def _long_path(size: int) -> Any:
    value: Any = [HELD] * (size // 50)
    for _ in range(120):
        value = {"n" * max(1, size // 240): value}
    return value


def _one_placeholder(size: int) -> Any:
    """Names that differ in what redaction drops, so that all become the same."""
    marks = ".-_ /"
    return {
        "".join(char + marks[i // 5**at % 5] * (at < 6) for at, char in enumerate(HELD)): 0
        for i in range(min(size // 32, 5**6))
    }


def _copies(size: int) -> Any:
    """Names as renamed ones would be called."""
    half = size // 80
    return {f"[REDACTED:credential:env:A#1]({i})": 0 for i in range(half)} | _one_placeholder(32 * half)


def _nested(size: int) -> Any:
    data = (TOKEN + " ").encode() * max(1, size // 100)
    for _ in range(3):
        data = base64.b64encode(data)
    return {"text": data.decode()[:size]}


def _bomb(size: int) -> Any:
    return {"text": base64.b64encode(gzip.compress(b"\0" * (size * 100))).decode()}


def _random(size: int) -> bytes:
    return random.Random(1).randbytes(size * 3 // 4)


SHAPES: dict[str, Make] = {
    **{name: _text(unit) for name, unit in UNITS.items()},
    **{f"leaves of {name}": _leaves(UNITS[name]) for name in _MANY},
    **{f"names of {name}": _names(UNITS[name]) for name in _MANY},
    "names that become one": _one_placeholder,
    "names as copies have": _copies,
    "small names": lambda size: {f"name{i}": i for i in range(size // 15)},
    "small numbers": lambda size: [1] * (size // 2),
    "small texts": lambda size: ["a"] * (size // 4),
    "small objects": lambda size: [{"a": 1}] * (size // 8),
    "empty objects": lambda size: [{}] * (size // 3),
    "deep": _deep("x"),
    "held and deep": _deep(HELD),
    "held below long names": _long_path,
    "held in many long names": lambda size: {"k" * 200 + str(i): HELD for i in range(size // 230)},
    "held in single letters": lambda size: [HELD[i % len(HELD)] for i in range(size // 4)],
    "a token in single letters": lambda size: [TOKEN[i % len(TOKEN)] for i in range(size // 4)],
    "pieces of a token": lambda size: ["AKIAQ3X7"] * (size // 11),
    "members that say so": lambda size: [{"SecretAccessKey": "a/+Z" * 10}] * (size // 62),
    "rows": lambda size: [
        {"id": i, "name": f"name {i}", "mail": f"u{i}@example.com"} for i in range(size // 55)
    ],
    "numbers": lambda size: [840193000 + i for i in range(size // 10)],
    "placeholders and one held": lambda size: {"text": HELD + filled(UNITS["placeholders"], size)},
    "random base64": lambda size: {"text": base64.b64encode(_random(size)).decode()},
    "random base64 in lines": lambda size: {"text": base64.encodebytes(_random(size)).decode()},
    "base64 of base64 of base64": _nested,
    "a gzip bomb": _bomb,
}
"""Each makes a value of about so many bytes."""
