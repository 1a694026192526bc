"""What a regular expression (RE2) that a text matches says of the JSON of that text.

Law of this file: JSON of a text that matches is never left out; JSON of another one may be let through. A
character stands for itself in JSON or is escaped, and an anchor may be dropped. What is not listed here, such
as a flag in the middle, is not followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, json

_FLAGS = re.compile(r"\(\?(?:i|s|is|si)\)")
_STEP = re.compile(
    r"""(?P<open>\((?!\?)|\(\?:|\(\?P?<\w+>)|(?P<close>\))|(?P<or>\|)
    |(?P<times>(?:[*+?]|\{\d+(?:,\d*)?\})\??)|(?P<any>\.)|(?P<edge>[\^$]|\\[bBAz])
    |(?P<one>\\[^\w]|\\[fnrtv]|[^\\\[{|()*?+.^$]|\[[^\\\[\]^]\])
    |(?P<some>\\[dDwWsS]|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\])""",
    re.VERBOSE | re.DOTALL,
)
_UNESCAPED = re.compile(
    r"\\[dw]|\[(?:[0-9]-[0-9]|[a-z]-[a-z]|[A-Z]-[A-Z]|\[:(?:alnum|alpha|digit|lower|upper|word|xdigit):\]"
    r"|[\w./:@](?!-[^\]]))+-?\]",
    re.ASCII,
)
"""Sets of characters that JSON never escapes."""
_ESCAPE = r"|\\[^u]|\\u[0-9a-f]{4})"
_OTHER = re.compile(r"[^\x00-\x7f]+")
"""Characters whose other case the index does not know."""
_TIMES = ("*", "+", "?", "{")
_CONTROL = {r"\f": "\f", r"\n": "\n", r"\r": "\r", r"\t": "\t", r"\v": "\v"}


class LinePattern(Struct, frozen=True):
    """A regular expression for a line of JSON."""

    source: str


class JsonPattern(Struct, frozen=True):
    """`lines` is what the JSON of a text has; `ways` are texts that are in it: all of one of these lists, in
    `any_case` of ASCII letters or as they are."""

    lines: LinePattern
    ways: list[list[str]]
    any_case: bool


def pattern_of(text: str) -> JsonPattern | None:
    """What follows from the pattern `text`; None for one that is not followed."""
    flags = _FLAGS.match(text)
    at = begin = flags.end() if flags else 0
    source, ways, depth = [flags[0] if flags else ""], [[""]], 0
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            return None
        kind, word, at = str(step.lastgroup), step[0], step.end()
        depth += (kind == "open") - (kind == "close")
        begins = word in ("^", r"\A") and step.start() == begin and text[at : at + 1] not in _TIMES
        ends = word in ("$", r"\z") and at == len(text) and depth == 0
        source.append('"' if begins or ends else _translated(kind, word))
        runs = ways[-1]
        if kind == "one" and depth == 0:
            runs[-1] += _character(word)
        elif kind == "or" and depth == 0:
            ways.append([""])
        else:
            # What is repeated may be left out, but for `+`.
            runs[-1] = runs[-1][:-1] if kind == "times" and word[0] != "+" else runs[-1]
            runs.append("")
    any_case = flags is not None and "i" in flags[0]
    cut = _OTHER.split if any_case else lambda run: [run]
    some = [[part for run in runs for part in cut(run) if part] for runs in ways]
    return JsonPattern(LinePattern("".join(source)), some, any_case)


def compiled(some: Iterable[bytes | LinePattern]) -> Any:
    """One expression of RE2 for lines that have one of these texts or patterns. Raises re2.error for one that
    is too large."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_nl = True
    sources = [
        f"(?:{one.source})" if isinstance(one, LinePattern) else re2.escape(one).decode() for one in some
    ]
    return re2.compile("|".join(sources).encode(), options)


def _translated(kind: str, word: str) -> str:
    if kind == "one":
        literals = [re.escape(one) for one in json.encode(_character(word)).decode()[1:-1]]
        return literals[0] if len(literals) == 1 else f"(?:{''.join(literals)})"
    if kind == "edge":
        return "(?:)"
    if kind == "any":
        return rf'(?:[^"\\]{_ESCAPE}'
    if kind == "some":
        return word if _UNESCAPED.fullmatch(word) else f"(?:{word}{_ESCAPE}"
    return "(?:" if kind == "open" else word


def _character(word: str) -> str:
    return _CONTROL.get(word) or (word[1] if word[0] == "[" else word[-1])
