"""What a format of a secret is, and how an entry of a table is written."""

import re
from abc import abstractmethod
from collections.abc import Callable
from functools import cache

from msgspec import Struct

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.shapes import is_of_words

ALONE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
"""Nothing that belongs to a word stands before; an escape such as \\n or %3D may."""


class Detector(Struct, frozen=True, eq=False):
    """One format of a secret or of personal data.

    `kind` is its public name. `starts` are literals, one of which begins every match; where one of
    them is too common to be looked for, `trigger` is a literal that is looked for instead, and the
    match begins at the last of `starts` before it. `pattern` is the whole of it, matched at the start;
    its group 1, if there is one, is what is removed. It never runs over a control character other than
    white space, nor over 0xFF, and its work is bounded by what it can remove. `accept` checks further
    and answers how many bytes of the match count, 0 if none do. `members` are names of JSON members
    whose whole value is removed if `pattern` matches "name=value". Without `joins` it is not put
    together from several texts, since these would be one by chance. With `any_case`, `starts` are in lower
    case and found in any. With `back` there are no `starts`: a match begins this many bytes before `trigger`.
    `rare`, where its `starts` are met in most texts, is an expression for Hyperscan of how each match begins,
    which then is ALONE: only where that is, or where something is cut up, `starts` are looked for.
    `hits` and `misses` are made-up examples that the tests run. There are nine hundred, so what can be made
    of the rest is made when somebody asks for it.
    """

    kind: str
    starts: tuple[str, ...] = ()
    trigger: str = ""
    accept: Callable[[bytes], int] | None = None
    members: tuple[str, ...] = ()
    joins: bool = True
    any_case: bool = False
    back: tuple[int, ...] = ()
    rare: str = ""

    @property
    @abstractmethod
    def pattern(self) -> str:
        """See above, and so for the other two."""

    @property
    @abstractmethod
    def hits(self) -> tuple[str, ...]:
        """Texts in which it is found."""

    @property
    @abstractmethod
    def misses(self) -> tuple[str, ...]:
        """Texts in which it is not found."""

    @property
    def stops(self) -> bool:
        """Whether it counts only where something does not go on behind it."""
        return "(?!" in self.pattern[-24:]

    @property
    def regex(self) -> re.Pattern[bytes]:
        """`pattern`, compiled at first use."""
        return _regex(self)

    def match(self, text: bytes, start: int) -> tuple[int, int] | None:
        """The span to remove if a match starts at `start`."""
        found = self.regex.match(text, start)
        if found is None or (self.accept and not self.accept(found[0])):
            return None
        return found.span(found.re.groups)

    def every(self, text: bytes) -> list[tuple[int, int]]:
        """All spans to remove, for a detector without `starts`."""
        spans: list[tuple[int, int]] = []
        pattern = self.regex
        found = pattern.search(text)
        while found:
            length = self.accept(found[0]) if self.accept else len(found[0])
            if length:
                spans.append((found.start(), found.start() + length))
            found = pattern.search(text, found.start() + (length or 1))
        return spans


class Format(Detector, frozen=True, eq=False, kw_only=True):
    """One that is written out in a table."""

    pattern: str
    hits: tuple[str, ...]
    misses: tuple[str, ...]


@cache
def _regex(detector: Detector) -> re.Pattern[bytes]:
    return compiled(detector.pattern)


@cache
def compiled(pattern: str) -> re.Pattern[bytes]:
    """Compiled at first use: most formats are never met, and each costs some 0.3 ms."""
    return re.compile(pattern.encode())


END = r"(?![A-Za-z0-9])"
IS = r"""["'\\]{0,4}\s{0,4}(?:=>|[:=>])\s{0,4}["'\\]{0,4}"""
HEX = "0a1b2c3d" * 16
MIX = "aZ3kQ9xB7mT2" * 22
UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"

REACH = 24
"""How many characters of a body are in `rare`."""
_DIGIT = "(?=[A-Za-z_-]{0,64}[0-9])"
_WORD = expression("[a-z]{1,8}[-_]")
_PART = expression(r"(\[[^]]+\]|\\.|[^\[\\])(?:\{([0-9]+)(?:,([0-9]+))?\})?")


_LONGEST_NAME = 80


def token(
    kind: str,
    starts: str,
    body: str,
    tail: str = "",
    *,
    alone: bool = False,
    digit: bool = False,
    often: bool = False,
    joins: bool = True,
) -> Detector:
    """A format that is a prefix and a run of characters.

    `starts` are its prefixes, with spaces between. `body` is a sequence of characters and classes, each with
    how often it comes; with `$` at its end no letter or digit may follow. `tail` is a pattern of what may
    follow. `alone`: the prefix is short or a word, and counts only where nothing stands before it.
    `digit`: there must be one, since code has names that are such words. `often`: words of any text begin
    or end as a prefix does, and it is `alone` too. `joins` as in `Detector`. What follows a prefix that is a
    word must not be made of words itself, as names are. The examples are made of `body`: the shortest that it
    allows, and without its last character.
    """
    prefixes = tuple(starts.split(" "))
    either = "|".join(map(re.escape, prefixes))
    follows = END if body.endswith("$") else ""
    return _Token(
        kind,
        pattern=f"{ALONE if alone else ''}(?:{either}){_DIGIT if digit else ''}{body.removesuffix('$')}"
        f"{tail}{follows}",
        starts=prefixes,
        rare=f"(?:{either}){_least(body)}" if often else "",
        accept=_unlike_a_name if "A-Za-z" in body and all(map(_WORD.fullmatch, prefixes)) else None,
        joins=joins,
        body=body,
        alone=alone,
    )


def _unlike_a_name(match: bytes) -> int:
    # A name is no longer; a flood of beginnings is, and each begins such a match.
    return 0 if is_of_words(match[:_LONGEST_NAME].decode()) else len(match)


class _Token(Detector, frozen=True, eq=False, kw_only=True):
    pattern: str
    body: str
    alone: bool

    @property
    def hits(self) -> tuple[str, ...]:
        return tuple(start + filled(self.body) for start in self.starts)

    @property
    def misses(self) -> tuple[str, ...]:
        prefix, rest = self.starts[0], filled(self.body)
        return (prefix, prefix + rest[:-1], *(["x" + prefix + rest] if self.alone else []))


def inner(kind: str, ahead: str, literal: str, body: str) -> Detector:
    """A format that has a literal in it, and before that other characters, `ahead`, which count only where
    nothing stands before them. `ahead` and `body` are written as for `token`."""
    least, most = (sum(int(one[at] or one[1] or 1) for one in _PART.findall(ahead)) for at in (1, 2))
    follows = END if body.endswith("$") else ""
    before, rest = filled(ahead), filled(body)
    return Format(
        kind,
        pattern=f"{ALONE}{ahead}{re.escape(literal)}{body.removesuffix('$')}{follows}",
        trigger=literal,
        back=tuple(range(most, least - 1, -1)),
        hits=(before + literal + rest,),
        misses=(before + literal[:-1] + rest, "xx" + before + literal + rest, before[1:] + literal + rest),
    )


def _least(body: str) -> str:
    """The first REACH characters, at most, of what `body` allows."""
    made, left = "", REACH
    for one, count, _ in _PART.findall(body.removesuffix("$")):
        size = min(left, int(count or 1))
        made += f"{one}{{{size}}}"
        left -= size
        if not left:
            break
    return made


@cache
def filled(body: str) -> str:
    """The shortest text that `body` allows."""
    return "".join(_filled(one, int(count or 1)) for one, count, _ in _PART.findall(body.removesuffix("$")))


@cache
def _filled(one: str, count: int) -> str:
    """This many characters of a class, or of the one that is written."""
    if one[0] != "[":
        return one[-1] * count
    allowed = re.compile(one)
    return (("".join(filter(allowed.match, MIX[:12])) or one[1]) * count)[:count]
