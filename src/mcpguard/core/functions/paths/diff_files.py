"""`diffFiles(value)`: the names of all files that the diffs in a value show.

Law of this file: a line that can be a header of a diff is read as one, so there may be a name too many, and
never one too few. In JSON a part of a diff has no header, and its file is named beside it. Sources: the
manual of git-diff, "Generating patch text with -p"; the REST interfaces of GitHub (commits, pull requests,
code search) and of GitLab (merge requests).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from mcpguard.core.functions.function import MOST_TEXTS, Function, FunctionError, Parameter, check_amount
from mcpguard.core.model import Json

LIMIT = 4_000_000
"""Characters of all texts in a value."""

MOST_VALUES = 20_000
"""Texts, and what holds them."""

MOST_LINES = 200_000
"""Of all texts."""

MOST_IN_HEADERS = 250_000
"""Characters of all lines that name files, and _OF_A_HEADER for each: some 30 ms."""
_OF_A_HEADER = 30

# Behind a line break, which is found much faster than the beginning of a line.
_HEADER = re.compile(
    r"\n(?:(diff --git )|--- |\+\+\+ |diff --(?:cc|combined) |(?:rename|copy) (?:from|to) )(.+)"
)
_PARTS = ("patch", "diff", "diff_hunk", "text_matches")
_BESIDE = ("filename", "previous_filename", "path", "old_path", "new_path")
_PART = re.compile(rf'"(?:{"|".join(_PARTS)})"\s*:\s*["\[]')
_decode = msgspec.json.Decoder().decode
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")
_MEANS = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11}


def diff_files(value: Json) -> list[Json]:
    """The names, sorted, each once, without the prefixes of git. Raises FunctionError for a value
    of more than LIMIT characters, with more in it, more lines or more lines that name files than it may have,
    for more than MOST_TEXTS names, and for JSON with parts of diffs that cannot be read."""
    found: set[str] = set()
    left, lines, headers = LIMIT, MOST_LINES, MOST_IN_HEADERS
    check_amount("diffFiles", value, MOST_VALUES)
    for one in _all_read(value):
        if isinstance(one, dict):
            found.update(_beside_parts(one))
        if not isinstance(one, str):
            continue
        left -= len(one)
        lines -= one.count("\n")
        if left < 0 or lines < 0:
            raise FunctionError(f"diffFiles() reads at most {LIMIT:,} characters in {MOST_LINES:,} lines")
        for header in _HEADER.finditer(f"\n{one}"):
            headers -= len(header[0]) + _OF_A_HEADER
            if headers < 0:
                raise FunctionError(
                    f"diffFiles() reads at most {MOST_IN_HEADERS:,} characters of lines that name files"
                )
            found.update(_names(header[2], bool(header[1])))
        if len(found) > MOST_TEXTS:
            raise FunctionError(f"diffFiles() returns at most {MOST_TEXTS} names")
    return sorted(found - {"", "/dev/null"})


def _all(value: Json) -> Iterator[Json]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()


def _all_read(value: Json) -> Iterator[Json]:
    """Also what is in a text that is JSON with parts of diffs."""
    for one in _all(value):
        yield one
        if isinstance(one, str) and one.lstrip()[:1] in ("{", "[") and _PART.search(one):
            yield from _all(_value_of(one))


def _beside_parts(shown: dict[str, Json]) -> Iterator[str]:
    """The names of a file beside what is shown of it."""
    if any(shown.get(part) for part in _PARTS):
        yield from (name for key in _BESIDE if isinstance(name := shown.get(key), str))


def _value_of(text: str) -> Json:
    try:
        value: Json = _decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise FunctionError("diffFiles() cannot read the JSON that parts of diffs are in") from None
    check_amount("diffFiles", value, MOST_VALUES)
    return value


def _names(header: str, two: bool) -> list[str]:
    """Those of one header. Where `two` stand side by side, they are the same; of a file with two names both
    have headers of their own."""
    text = header.rstrip("\r").partition("\t")[0]
    quoted = [_plain(_unquoted(inner)) for inner in _QUOTED.findall(text)]
    middle = len(text) // 2
    if two and _plain(text[:middle]) == _plain(text[middle + 1 :]):
        return [_plain(text[:middle])]
    return quoted or [_plain(text)]


def _plain(name: str) -> str:
    return re.sub(r"^[a-z]/", "", name)


def _unquoted(text: str) -> str:
    """A name as git quotes it: `\\303\\251` is a byte each."""
    whole = _ESCAPE.sub(lambda found: chr(_byte(found[1])), text.encode(errors="replace").decode("latin-1"))
    return whole.encode("latin-1").decode(errors="replace")


def _byte(code: str) -> int:
    return int(code, 8) & 255 if len(code) == 3 else _MEANS.get(code, ord(code))


DIFF_FILES = Function(
    name="diffFiles",
    parameters=(Parameter("value", "any"),),
    call=diff_files,
    slow=65_536,
)
