"""Conditions and requests made by chance: over every type that CEL has, mostly of types that fit."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

INTS = "0 1 2 -1 7 -3 9007199254740993 9223372036854775807 -9223372036854775808 -9223372036854775807"
UINTS = "0u 1u 2u 7u 9223372036854775808u 18446744073709551615u"
DOUBLES = "0.0 1.0 -1.0 0.5 2.5 -0.0 1e308 9007199254740992.0 9223372036854775807.0 1e-320 3.0 1.0e19"
STRINGS = [
    *("", "a", "abc", "1", "-1", "01", "1.5", "true", "True", "null", "k", "x.y", "a\nb", " 1", "+1", "1e3"),
    *(
        "é",
        "e\u0301",
        "😀",
        "a😀b",
        "ß",
        "İ",
        "\u2028",
        "\ufeff",
        "\u00a0",
        "٣",
        "٣4",
        "ǆ",
        "\x7f",
        "\t",
        "NaN",
    ),
    *("inf", "-0", "0x1", "9223372036854775807", "9223372036854775808", "18446744073709551616", "1_0"),
    *("5s", "1.5s", "2026-01-02T03:04:05Z", "UTC", "+01:00"),
]
SPANS = [
    *(
        "5s",
        "-5s",
        "1h30m",
        "1.5s",
        "1d",
        "1ms1us1ns",
        "315576000000s",
        "315576000001s",
        "s",
        "1s ",
        ".5s",
        "0s",
    ),
    *(
        "1.0005s",
        "0.1s",
        "0.3s",
        "1ns",
        "999ns",
        "1us",
        "-1.5h",
        "-90.5s",
        "2m1h",
        "1h-30m",
        "+5s",
        "1.s",
        "0",
        "5",
    ),
    *(
        "-0.0015s",
        "0.000001s",
        "1e3s",
        "1µs",
        "1m1.5s",
        "86399.999999s",
        "1s\n",
        "-315576000000s",
        "87660000h",
    ),
]
TIMES = [
    *(
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.123456789Z",
        "0001-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
    ),
    *("9999-12-31T23:59:59.999999999Z", "2026-01-02T03:04:05+01:00", "2026-01-02", "2026-02-29T00:00:00Z"),
    *("2026-01-02t03:04:05z", "2026-01-02 03:04:05Z", "2016-12-31T23:59:60Z", "10000-01-01T00:00:00Z"),
    *(
        "2026-01-02T03:04:05.123456Z",
        "2026-01-02T03:04:05.1Z",
        "1969-12-31T23:59:59.5Z",
        "1900-03-01T00:00:00Z",
    ),
    *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-01-02T03:04Z", "2026-01-02T03:04:05"),
    *(
        "2026-03-29T02:30:00+02:00",
        "2024-02-29T23:59:59.999Z",
        "2026-01-02T24:00:00Z",
        "2026-W01-1T00:00:00Z",
    ),
    *("20260102T030405Z", "2026-01-02T03:04:05+0100", "2026-01-02T03:04:05+25:00", "2026-01-02T03:04:05Z\n"),
]
PATTERNS = [
    *(
        "a",
        "^a",
        "a$",
        "^$",
        ".",
        "a.b",
        "(?i)A",
        "\\\\d",
        "\\\\w+",
        "\\\\s",
        "\\\\b",
        "[a-z]+",
        "(?s).",
        "é",
        "^.$",
    ),
    *(
        "(",
        "[",
        "a{1000}",
        "a{1001}",
        "(?=a)",
        "(a)\\\\1",
        "\\\\pL",
        "\\\\p{Greek}",
        "(?P<n>a)",
        "(?<n>a)",
        "\\\\C",
    ),
    *(
        "(?m)^b",
        "a**",
        "*",
        "\\\\z",
        "\\\\Z",
        "\\\\A",
        "\\\\Qa.b\\\\E",
        "[[:alpha:]]",
        "a|",
        "x*",
        "\\\\x{1F600}",
        "\\\\u00e9",
    ),
]
ZONES = [
    "UTC",
    "utc",
    "local",
    "CET",
    "GMT",
    "EST5EDT",
    "+1:00",
    "-00:30",
    "+14:00",
    "+01:60",
    "Europe/berlin",
    "Europe/Berlin",
    "+01:00",
    "-08:30",
    "01:00",
    "America/New_York",
    "nowhere",
    "",
    "+25:00",
    "Z",
]
GETTERS = [
    *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours"),
    *("getMinutes", "getSeconds", "getMilliseconds"),
]
TYPES = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "timestamp",
    "duration",
    "null",
    "any",
]
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
NAMED = [
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "bool",
    "list",
    "map",
    "null_type",
    "type",
    "google.protobuf.Timestamp",
]


def quoted(text: str) -> str:
    """A CEL literal for a text without quotes and backslashes of its own, or with doubled ones."""
    return '"' + text.replace("\n", "\\n").replace("\t", "\\t") + '"'


class Conditions:
    """Makes conditions and the values that they read, all of it from `chance`."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._loops: list[str] = []

    def values(self) -> dict[str, Any]:
        """`args`: JSON values."""
        made = {name: self._json(2) for name in ("v", "w")}
        return {**made, "s": self._text(), "i": self._integer(), "l": [self._json(1) for _ in range(3)]}

    def condition(self, depth: int) -> str:
        """A condition of at most so many levels."""
        return self._of("bool", depth)

    def _pick(self, *options: Any) -> Any:
        return self._chance.choice(options)

    def _text(self) -> str:
        return str(self._chance.choice(self._pick(STRINGS, STRINGS, STRINGS, SPANS, TIMES)))

    def _integer(self) -> int:
        return int(
            self._pick(0, 1, -1, 2, 7, 1 << 53, (1 << 53) + 1, (1 << 63) - 1, -(1 << 63), 1 << 63, 1 << 70)
        )

    def _json(self, depth: int) -> Any:
        kind = self._chance.randrange(9 if depth else 6)
        if kind < 6:
            real = self._pick(0.0, -0.0, 1.0, 1.5, -2.5, 1e308, float(1 << 53), float(1 << 63))
            return (None, bool(self._chance.randrange(2)), self._integer(), real, self._text(), self._text())[
                kind
            ]
        inner = [self._json(depth - 1) for _ in range(self._chance.randrange(4))]
        return inner if kind == 6 else dict(zip(("k", "a", "1", "é"), inner, strict=False))

    def _of(self, kind: str, depth: int) -> str:
        if self._chance.random() < 0.06:
            kind = self._chance.choice(TYPES)
        if depth <= 0 or self._chance.random() < 0.1:
            return self._leaf(kind)
        made = getattr(self, f"_{kind}")(depth - 1)
        if self._chance.random() < 0.08:
            return f"dyn({made})"
        if self._chance.random() < 0.05:
            return f"({self._of('bool', depth - 1)} ? {made} : {self._of(kind, depth - 1)})"
        return str(made)

    def _leaf(self, kind: str) -> str:
        if self._chance.random() < 0.5:
            return self._read(kind)
        leaves = {
            "bool": lambda: self._pick("true", "false"),
            "int": lambda: self._pick(*INTS.split()),
            "uint": lambda: self._pick(*UINTS.split()),
            "double": lambda: self._pick(*DOUBLES.split(), "double('NaN')", "(1.0 / 0.0)", "(0.0 / 0.0)"),
            "string": lambda: quoted(self._text()),
            "bytes": lambda: self._pick(
                "b''", "b'a'", "b'abc'", "b'\\xff'", "b'\\xc3\\xa9'", "bytes(args.s)"
            ),
            "list": lambda: self._pick("[]", "[1, 2]", "['a']", "[1, 1.0, 'a', null]", "args.l", "[[1], []]"),
            "map": lambda: self._pick(
                "{}", "{'k': 1}", "{1: 'a', 'k': 2}", "{true: 1, 2u: 2}", "{1: 1, 1u: 2}", "args"
            ),
            "timestamp": lambda: self._pick(
                f"timestamp({quoted(self._chance.choice(TIMES))})", "timestamp(args.s)"
            ),
            "duration": lambda: self._pick(
                f"duration({quoted(self._chance.choice(SPANS))})", "duration(args.s)"
            ),
            "null": lambda: "null",
            "any": lambda: self._leaf(self._chance.choice(TYPES[:-1])),
        }
        return str(leaves[kind]())

    def _read(self, kind: str) -> str:
        if self._loops and self._chance.random() < 0.6:
            return self._chance.choice(self._loops)
        if kind == "string":
            return str(self._pick("args.s", "args.v", "args.v.k", "action", "args['s']"))
        if kind == "timestamp":
            return "now"
        names = (
            "args.v",
            "args.w",
            "args.i",
            "args.l[0]",
            "args.v.k",
            "args.w[0]",
            "args.missing",
            "args.l[1]",
        )
        return str(self._chance.choice(names))

    def _any(self, depth: int) -> str:
        return self._of(self._chance.choice(TYPES[:-1]), depth)

    def _null(self, depth: int) -> str:
        return self._leaf("null")

    def _bool(self, depth: int) -> str:
        of, kind = self._of, self._chance.choice(TYPES)
        other = self._chance.choice(TYPES) if self._chance.random() < 0.3 else kind
        pick = self._chance.randrange(18)
        if pick < 3:
            return f"({of('bool', depth)} {self._pick('&&', '||')} {of('bool', depth)})"
        if pick < 6:
            return f"({of(kind, depth)} {self._pick('==', '!=')} {of(other, depth)})"
        if pick < 9:
            return f"({of(kind, depth)} {self._pick('<', '<=', '>', '>=')} {of(other, depth)})"
        if pick == 9:
            return f"!{of('bool', depth)}"
        if pick == 10:
            return f"({of(kind, depth)} in {of(self._pick('list', 'map'), depth)})"
        if pick == 11:
            return f"{of('string', depth)}.{self._pick('contains', 'startsWith', 'endsWith')}({of('string', depth)})"
        if pick == 12:
            return self._matches(depth)
        if pick < 16:
            return self._macro(self._pick("all", "exists", "exists_one"), "bool", depth)
        if pick == 16:
            return f"has({self._pick('args', 'args.v', 'args.w', of('map', depth))}.{self._pick('k', 'a', 'v', 'missing')})"
        return f"(type({of(kind, depth)}) {self._pick('==', '!=')} {self._pick(*NAMED)})"

    def _matches(self, depth: int) -> str:
        pattern = (
            f'"{self._chance.choice(PATTERNS)}"' if self._chance.random() < 0.6 else self._of("string", depth)
        )
        return f"{self._of('string', depth)}.matches(dyn({pattern}))"

    def _macro(self, name: str, kind: str, depth: int) -> str:
        over = self._of(self._pick("list", "list", "map"), depth)
        variable = self._pick("x", "y")
        self._loops.append(variable)
        inner = self._of(kind, depth)
        self._loops.pop()
        return f"{over}.{name}({variable}, {inner})"

    def _int(self, depth: int) -> str:
        of = self._of
        pick = self._chance.randrange(9)
        if pick < 4:
            return f"({of('int', depth)} {self._pick('+', '-', '*', '/', '%')} {of('int', depth)})"
        if pick == 4:
            return f"int({of(self._pick('int', 'uint', 'double', 'string', 'timestamp', 'any'), depth)})"
        if pick == 5:
            return f"size({of(self._pick('string', 'bytes', 'list', 'map'), depth)})"
        if pick == 6:
            return f"(-{of('int', depth)})"
        if pick == 7:
            return f"{of('duration', depth)}.{self._pick('getHours', 'getMinutes', 'getSeconds', 'getMilliseconds')}()"
        zone = quoted(self._chance.choice(ZONES)) if self._chance.random() < 0.4 else ""
        return f"{of('timestamp', depth)}.{self._chance.choice(GETTERS)}({zone})"

    def _uint(self, depth: int) -> str:
        if self._chance.random() < 0.5:
            return f"uint({self._of(self._pick('int', 'uint', 'double', 'string', 'any'), depth)})"
        return f"({self._of('uint', depth)} {self._pick('+', '-', '*', '/', '%')} {self._of('uint', depth)})"

    def _double(self, depth: int) -> str:
        if self._chance.random() < 0.4:
            return f"double({self._of(self._pick('int', 'uint', 'double', 'string', 'any'), depth)})"
        if self._chance.random() < 0.2:
            return f"(-{self._of('double', depth)})"
        return f"({self._of('double', depth)} {self._pick('+', '-', '*', '/')} {self._of('double', depth)})"

    def _string(self, depth: int) -> str:
        if self._chance.random() < 0.5:
            return f"string({self._of(self._chance.choice(TYPES), depth)})"
        return f"({self._of('string', depth)} + {self._of('string', depth)})"

    def _bytes(self, depth: int) -> str:
        if self._chance.random() < 0.5:
            return f"bytes({self._of(self._pick('string', 'bytes', 'any'), depth)})"
        return f"({self._of('bytes', depth)} + {self._of('bytes', depth)})"

    def _list(self, depth: int) -> str:
        pick = self._chance.randrange(5)
        if pick == 0:
            return self._macro("map", self._chance.choice(TYPES), depth)
        if pick == 1:
            return self._macro("filter", "bool", depth)
        if pick == 2:
            return f"({self._of('list', depth)} + {self._of('list', depth)})"
        return f"[{', '.join(f'dyn({self._any(depth)})' for _ in range(self._chance.randrange(4)))}]"

    def _map(self, depth: int) -> str:
        kinds = ("string", "string", "int", "uint", "bool", "double", "any")
        entries = [
            f"dyn({self._of(self._chance.choice(kinds), depth - 1)}): dyn({self._any(depth)})"
            for _ in range(self._chance.randrange(3))
        ]
        return "{" + ", ".join(entries) + "}"

    def _timestamp(self, depth: int) -> str:
        if self._chance.random() < 0.4:
            return f"timestamp({self._of(self._pick('string', 'int', 'timestamp', 'any'), depth)})"
        return f"({self._of('timestamp', depth)} {self._pick('+', '-')} {self._of('duration', depth)})"

    def _duration(self, depth: int) -> str:
        if self._chance.random() < 0.4:
            return f"duration({self._of(self._pick('string', 'int', 'duration', 'any'), depth)})"
        if self._chance.random() < 0.4:
            return f"({self._of('timestamp', depth)} - {self._of('timestamp', depth)})"
        return f"({self._of('duration', depth)} {self._pick('+', '-')} {self._of('duration', depth)})"
