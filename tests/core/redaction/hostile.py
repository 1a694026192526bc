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
PASSWORD = "Kq9!vR2#mZ5$pLw8&dT4"
"""What is held while they are inspected."""
COMMON = "xaB3kQ9z"
ALIKE = tuple(
    COMMON
    + "".join(random.Random(number).choices("abcdefghkmnpqrstuvwxyzABCDEFGHKMNPQRSTUVWXYZ23456789", k=32))
    for number in range(20)
)
"""What a server holds that gives all of its tokens one beginning."""

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
    "END PRIVATE in a line": ("a" * 64 + "\n") * 250 + "-----END RSA PRIVATE KEY " * 160 + "\n",
    "AKIA": "AKIA",
    "secret_access_key": "secret_access_key= ",
    "password=": "password=",
    "values below labels": "Password\n- a1b2c3 x\n",
    "tables of markup": "|a|token|\n|x|1|\n",
    "groups in brackets": "[id token] [1 a1]",
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
    "two cells": "<td>password</td><td>word</td>",
    "insert": "insert into t (password) values ('x1');",
    "create table": "create table t (password text);",
    "name and value": '{"name":"password","value":"x1"},',
    "a list of passwords": '"passwords": ["a1b2", "c"],',
    "kind: Secret": "kind: Secret\ndata:\n a: b\n",
    "borders": "-+-",
    "rows of a table": "| a | b |\n",
    "heads of columns": "a,password\n1,2\n",
    "lines of pgpass": ":5432:a:b:c1d2\n",
    "curl -u": "curl -u a:b1c2 ",
    "names of programs": "mysql a",
    "commands that print a secret": "get secret a",
    "words for a password": "contraseña a",
    "getenv": 'getenv("TOKEN","")',
    "elements": "<password>a1</password>",
    "a connection string": "Server=a;Password=b1;",
    "queries": "?token=a1&key=b2&",
    "tags in a word": "a<b>b</b>",
    "full width": "\uff41\uff42",
    "letters of tags": "\U000e0061\U000e0062",
    "quoted-printable": "=61=62",
    "octal": "\\101\\102",
    "soft hyphens": "a\u00ad",
    "selectors": "a\ufe0f",
    "hidden and percent": "\u200b%41",
    "rows of od": "0000000 6173 2079 717a 4833 3776 506b\n",
    "rows of hexyl": "\u2502"
    + "00000000\u2502 73 61 79 20 7a 71 33 48 \u250a 76 37 6b 50 39 78 57 62 \u2502say\u2502\n",
    "pairs of codes": "[0,97],[1,98],",
    "codes with a fraction": "97.0, 98.0, ",
    "short rows": "1 a\n2 b\n3 c\n",
    "lines that go on": "zq3Hv7kP9xWb5nT2\n",
    "half of a held one": HELD[4:14] + " ",
    "pieces of a held one": f"{HELD[4:8]} {HELD[8:12]}|",
    "parts of a password": f"{PASSWORD[4:7]} {PASSWORD[:3]} ",
    "held ones that begin alike": " ".join(ALIKE) + " ",
    "how held ones begin": COMMON + " ",
    "an escaped password": PASSWORD.replace("#", "=23") + " ",
}
"""What is repeated in one text."""

HOLDS = {name: ALIKE for name in ("held ones that begin alike", "how held ones begin")}
"""What is held besides while a shape is inspected."""

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


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def _chance(size: int, letters: str = _LETTERS) -> Callable[[int], str]:
    """`size` letters for each number, the same in each run."""
    return lambda number: "".join(random.Random(number).choices(letters, k=size))


def _each(shape: str, one: Callable[[int], str]) -> Make:
    """A text of units each of which has another `one` in it."""

    def make(size: int) -> Any:
        width = len(shape.replace("{}", one(0)))
        return {"text": "".join(shape.replace("{}", one(number)) for number in range(size // width))}

    return make


def _items(item: Callable[[str], Any], width: int) -> Make:
    one = _chance(12)
    return lambda size: [item(one(number)) for number in range(size // width)]


def _named(one: Callable[[int], str], width: int) -> Make:
    return lambda size: {one(number): 1 for number in range(size // width)}


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
    "pairs of passwords": _each("password={}\n", _chance(12)),
    "pairs of words": _each("token = {}1\n", _chance(14, "abcdefgh")),
    "random runs": _each("{} ", _chance(24)),
    "random lines": _each("{}\n", _chance(16)),
    "random digests": _each("{} ", _chance(32, "0123456789abcdef")),
    "random base32": _each("{} ", _chance(32, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")),
    "percent of random letters": _each("{} ", lambda number: _hidden(_chance(20)(number))),
    "members of passwords": _items(lambda one: {"password": one}, 27),
    "objects of names and values": _items(lambda one: {"name": "DB_PASSWORD", "value": one}, 45),
    "rows below heads": lambda size: {
        "columns": ["id", "password"],
        "rows": [[i, f"b{i}"] for i in range(size // 16)],
    },
    "random leaves": _items(str, 15),
    "random names": _named(_chance(12), 17),
    "random names to be decoded": _named(_chance(26), 31),
    "names of passwords": _named(lambda number: f"password{number}", 17),
    "hidden names": _named(lambda number: f"a\u200b{number}", 13),
}
"""Each makes a value of about so many bytes."""
