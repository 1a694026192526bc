"""Values that stand in where a schema does not let a placeholder stand: of its type, format and pattern.

Law of this file: a stand-in is made of the schema alone, and of a number that is the same for equal values.
What could be taken for real is reserved for examples (RFC 2606, RFC 5737, RFC 3849), or of 1970.
"""

from collections.abc import Callable, Iterator
from math import ceil, floor
from urllib.parse import quote

from mcpguard.core.model import Json

_MOST = 4_096
"""Characters of a stand-in."""
_SMALL, _LARGE = 1e-9, 1e15
_BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")


def _clock(n: int) -> str:
    return f"{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z"


def _day(n: int) -> str:
    return f"{1970 + n // 336 % 1000:04}-{n // 28 % 12 + 1:02}-{n % 28 + 1:02}"


def _uri(n: int) -> str:
    return f"https://redacted.invalid/{n}"


_FORMATS: dict[str, Callable[[int], str]] = {
    "email": lambda n: f"redacted-{n}@redacted.invalid",
    "uri": _uri,
    "uri-reference": _uri,
    "url": _uri,
    "uuid": lambda n: f"00000000-0000-4000-8000-{n:012}",
    "date-time": lambda n: f"1970-01-01T{_clock(n)}",
    "date": _day,
    "time": _clock,
    "duration": lambda n: f"PT{n}S",
    "ipv4": lambda n: f"192.0.2.{n % 256}",
    "ipv6": lambda n: f"2001:db8::{n:x}",
    "hostname": lambda n: f"redacted-{n}.invalid",
    "json-pointer": lambda n: f"/redacted-{n}",
    "regex": lambda n: f"redacted-{n}",
    "uri-template": _uri,
}
_FORMATS |= {f"idn-{name}": _FORMATS[name] for name in ("email", "hostname")}
_FORMATS |= {"iri": _uri, "iri-reference": _uri}


def standins(parts: list[dict[str, Json]], placeholder: Json, n: int) -> Iterator[Json]:
    """What may stand for a removed value to which the schemas `parts` apply, the most telling first;
    `placeholder` is what stands there now, and equal values have equal n."""
    formats = [one for part in parts if type(one := part.get("format")) is str and one in _FORMATS]
    if not formats:
        yield placeholder
    for name in formats:
        if _FORMATS[name] is _uri and type(placeholder) is str and "://" in placeholder[:16]:
            yield quote(placeholder, safe="/:?&=@!$'()*+,;%~-._")
        yield _FORMATS[name](n)
    for part in parts:
        yield from _chosen(part, n)
    least = max([_length(part, "minLength", 0) for part in parts], default=0)
    most = min([_length(part, "maxLength", _MOST) for part in parts], default=_MOST)
    for part in parts:
        if type(text := part.get("pattern")) is str:
            yield from _matching(text, n, least)
    yield f"redacted-{n}"[:most].ljust(min(least, _MOST), "-")
    yield from _numbers(parts, n)
    yield from (False, True)


def _length(part: dict[str, Json], key: str, otherwise: int) -> int:
    bound: Json = part.get(key)
    return int(bound) if type(bound) in (int, float) and 0 <= bound <= _MOST else otherwise


def _chosen(part: dict[str, Json], n: int) -> Iterator[Json]:
    if "const" in part:
        yield part["const"]
    choices = part.get("enum")
    if type(choices) is list and choices:
        start = n % len(choices)
        yield from (choices[start:] + choices[:start])[:100]


def _numbers(parts: list[dict[str, Json]], n: int) -> Iterator[float]:
    bounds = [bound for part in parts for key in _BOUNDS for bound in _number(part, key)]
    step = max([one for part in parts for one in _number(part, "multipleOf") if one > 0], default=1)
    yield from (n * step, 0, step)
    for bound in bounds:
        for near in (floor(bound / step), ceil(bound / step)):
            yield from ((near + more) * step for more in (n, -n, 1, -1, 0))
        yield from (bound, bound + 1, bound - 1)
    for low in bounds:
        for high in bounds:
            yield low + (high - low) / 2


def _number(part: dict[str, Json], key: str) -> list[float]:
    value: Json = part.get(key)
    return [value] if type(value) in (int, float) and (not value or _SMALL <= abs(value) <= _LARGE) else []


# --- patterns ------------------------------------------------------------------------------------

_CHARACTERS = "x0X" + "".join(sorted(set(map(chr, range(32, 127))) - set("x0X")))
_DIGITS = "0123456789"
_WORD = "x0X" + "".join(one for one in _CHARACTERS[3:] if one.isalnum()) + "_"
_SETS = {"d": _DIGITS, "w": _WORD, "s": " "}
_SETS |= {name.upper(): "".join(one for one in _CHARACTERS if one not in of) for name, of in _SETS.items()}
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}


def _matching(text: str, n: int, least: int) -> Iterator[str]:
    """Texts that may match a pattern, at least this long where the pattern has room."""
    for more in dict.fromkeys((0, least, 1)):
        try:
            made = _Sample(text, more, n).alternatives()
        except (ValueError, IndexError, RecursionError):
            return
        yield made
        if len(made) < least:
            yield made.ljust(least, "x")


class _Sample:
    """Reads a pattern and writes what it matches: of alternatives the first, of repeats the fewest and
    `more`. Raises ValueError and IndexError for what it does not read; who asks checks what was made."""

    def __init__(self, text: str, more: int, n: int) -> None:
        self._text = text
        self._more = more
        self._n = n
        self._at = 0
        self._room = _MOST

    def alternatives(self) -> str:
        made = self._sequence()
        while self._at < len(self._text) and self._text[self._at] == "|":
            self._at += 1
            self._sequence()
        return made

    def _sequence(self) -> str:
        made: list[str] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            choices = self._atom()
            fewest, most = self._repeats()
            count = min(fewest + self._more, most)
            self._room -= len(choices[0]) * count
            if self._room < 0:
                raise ValueError
            made += [self._one(choices) for _ in range(count)] if len(choices) > 1 else [choices[0] * count]
        return "".join(made)

    def _one(self, choices: list[str]) -> str:
        """Of n the last digit, so that texts differ which stand for different values."""
        self._n, digit = divmod(self._n, len(choices))
        return choices[digit]

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _atom(self) -> list[str]:
        mark = self._next()
        if mark == "(":
            return [self._group()]
        if mark == "[":
            return self._set()
        if mark == "\\":
            return self._escape()
        if mark in "^$":
            return [""]
        if mark in "*+?{":
            raise ValueError
        return list(_CHARACTERS) if mark == "." else [mark]

    def _group(self) -> str:
        if self._text[self._at] == "?":
            if self._text[self._at + 1] != ":":
                raise ValueError
            self._at += 2
        made = self.alternatives()
        self._next()  # The end of the group, which it has.
        return made

    def _escape(self) -> list[str]:
        mark = self._next()
        if mark in _SETS:
            return list(_SETS[mark])
        if mark in _ESCAPED:
            return [_ESCAPED[mark]]
        if mark.isalnum():
            raise ValueError
        return [mark]

    def _set(self) -> list[str]:
        others = self._text[self._at] == "^"
        self._at += others
        found: set[str] = set()
        while (mark := self._next()) != "]":
            one = self._escape() if mark == "\\" else [mark]
            if len(one) == 1 and self._text[self._at] == "-" and self._text[self._at + 1] != "]":
                self._at += 1
                last = self._next()
                last = self._escape()[0] if last == "\\" else last
                found |= {char for char in _CHARACTERS if one[0] <= char <= last}
            else:
                found |= set(one)
        return [char for char in _CHARACTERS if (char in found) is not others] or sorted(found)[:1]

    def _repeats(self) -> tuple[int, int]:
        mark = self._text[self._at] if self._at < len(self._text) else ""
        if mark not in ("*", "+", "?", "{"):
            return 1, 1
        self._at += 1
        bounds = {"*": (0, _MOST), "+": (1, _MOST), "?": (0, 1)}
        if mark == "{":
            end = self._text.index("}", self._at)
            low, comma, high = self._text[self._at : end].partition(",")
            self._at = end + 1
            found = int(low), int(high) if high else (_MOST if comma else int(low))
        else:
            found = bounds[mark]
        if self._at < len(self._text) and self._text[self._at] == "?":
            self._at += 1  # Lazy.
        return found
