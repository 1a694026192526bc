"""What is in a text: the one reading of redaction and of conditions.

Law of this file: a scan tells what it found to its end or raises InspectionError. Whether something is found
and what the `hits` are is looked for in the same: the text itself, what is cut up over its leaves, and its
`views`.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any

from mcpguard.core.model import Json
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.detectors import DETECTORS, HELD, PERSONAL, Detector, compiled
from mcpguard.core.redaction.leaves import Leaves, padded
from mcpguard.core.redaction.matching import PAD, HyperscanMatcher, Matcher, compile_literals
from mcpguard.core.redaction.views import Flat, View, in_run, may_hide, signs, views

OPT_IN_DETECTORS = {detector.kind: detector for detector in PERSONAL}
"""The detectors of personal data, by kind."""

MEMBERS = {name: detector for detector in DETECTORS for name in detector.members}
"""By name of a member whose value a detector looks at."""

_REACH = 2048
_STARTS = [(start.encode(), detector) for detector in DETECTORS for start in detector.starts]
_TRIGGERS = [detector.trigger.encode() or start for start, detector in _STARTS]
_AT = _TRIGGERS.index(b"@")
_LEAVES = 64
_PIECE = 4096
_BEHIND = 8
_FAR = 40_000
_UNLIKE_WORDS = re.compile(rb"[0-9+/=]")
_SOME = 2
"""40 random letters and digits have fewer digits in one of 200 cases; words one after another have none."""


class TooMuchAtOnce(Exception):
    """It would take long, and the caller wants to know before."""


Hit = tuple[int, int, str]
"""Start, end and kind."""


@cache
def triggers() -> Matcher:
    """The compiled literals of all token formats."""
    return compile_literals(_TRIGGERS)


@cache
def first() -> tuple[Matcher, bool]:
    """What each inspection begins with: the literals of all token formats and the signs of all disguises in
    one search, which takes no longer than one for the first alone. Without Hyperscan that would take as long
    as there are literals: then these are `triggers` alone, and the answer says that signs are not in it."""
    marks, beginnings = signs()
    try:
        return HyperscanMatcher([*_TRIGGERS, *beginnings, *marks]), False
    except ImportError:
        return triggers(), True


def look(index: int, begin: int, end: int, flags: int, flat: bytes) -> bool:
    """A Visit of `first`: whether to look closer. A lone "@" is in so many texts that it is worth a look at
    what stands before it, and so are a few letters that may be base64."""
    if index == _AT:
        start = _start(index, end, flat)
        return start >= 0 and _STARTS[index][1].match(flat, start) is not None
    return not len(_TRIGGERS) <= index < _marks_begin() or in_run(index, begin, end, flags, flat)


@cache
def _marks_begin() -> int:
    return len(_TRIGGERS) + len(signs()[1])


def watch(left: list[int], index: int, begin: int, end: int, flags: int, flat: bytes) -> bool:
    """The same, and true for a flood too: `left` is how many visits are none."""
    left[0] -= 1
    return left[0] < 0 or look(index, begin, end, flags, flat)


def found_behind(text: bytes, holds: Callable[[bytes], bool], also: tuple[str, ...], budget: Budget) -> bool:
    """Whether a view of `text` has a format of a token, a held value, or personal data of the kinds `also`.
    Raises InspectionError where `hits` does."""
    for view in islice(views(text, bool(also), budget), 1, None):
        if holds(view.text) or any(OPT_IN_DETECTORS[kind].every(view.text) for kind in also):
            return True
        if any(True for _ in _tokens(view, budget)):
            return True
    return False


def hits(seen: list[View], also: tuple[str, ...], budget: Budget) -> list[Hit]:
    """The formats of tokens in a text, of which `seen` are all views, and the personal data of the kinds
    `also`: in no order, overlaps too. Raises InspectionError where `budget` is used up."""
    made: list[Hit] = []
    for view in seen:
        for start, end, kind in _tokens(view, budget):
            made.append((*view.place(start, end), kind))
        for kind in also:
            spans = OPT_IN_DETECTORS[kind].every(view.text)
            budget.hit(len(spans))
            made += [(*view.place(*span), kind) for span in spans]
    return made


def tokens(text: bytes) -> list[Hit]:
    """The formats of tokens that stand in `text` itself, which ends in PAD and is one leaf."""
    return list(_tokens(View(text), Budget(len(text))))


def confirm(
    kept: list[Any], budget: Budget, index: int, _from: int, end: int, _flags: int, flat: bytes
) -> bool:
    """A Visit of `triggers`: whether the format is there too. `kept` begins with how many visits are no
    flood, and the text that `flat` is made of. Raises TooMuchAtOnce for a flood, and InspectionError where
    `budget` is used up."""
    budget.trigger()
    kept[0] -= 1
    if kept[0] < 0:
        raise TooMuchAtOnce
    start = _start(index, end, flat)
    if start < 0:
        return False
    if len(kept) == 2:  # Made at the first trigger: most texts have none.
        kept.append(View(kept[1]).flat)
    return _match(kept[2], _STARTS[index][1], start, budget) is not None


def _tokens(view: View, budget: Budget) -> Iterator[Hit]:
    flat = view.flat
    seen: set[tuple[int, int]] = set()

    def visit(index: int, _from: int, end: int, _flags: int, text: bytes) -> None:
        start = _start(index, end, text)
        budget.trigger()
        if start >= 0:
            seen.add((start, index))

    triggers().search(flat.text, visit)
    for start, index in sorted(seen):
        detector = _STARTS[index][1]
        span = _match(flat, detector, start, budget)
        if span:
            budget.hit()
            yield (*span, detector.kind)


def _match(flat: Flat, detector: Detector, start: int, budget: Budget) -> tuple[int, int] | None:
    """The span of a format that begins at `start` in `flat`, in the text that this is made of."""
    span = detector.match(flat.source, flat.at(start))
    if span or not detector.joins or not flat.bounds:
        return span
    return _across(flat, detector, start, budget)


def _across(flat: Flat, detector: Detector, start: int, budget: Budget) -> tuple[int, int] | None:
    """The same for one that is cut up over leaves. What must not go on behind it is looked for as if each of
    the next leaves were the last one."""
    bounds, text = flat.bounds, flat.text
    leaf = bisect_right(bounds, start)
    if leaf == len(bounds) or bounds[leaf] - start > _PIECE:
        return None
    begin = max(bounds[leaf - 1] if leaf else 0, start - _BEHIND)
    piece = text[begin : min(len(text) - len(PAD), start + _FAR)]
    ends = [end - begin for end in bounds[leaf + 1 : leaf + _LEAVES]] if detector.stops else []
    for end in (len(piece), *ends):
        budget.trigger()
        found = compiled(detector.pattern).match(piece, start - begin, end)
        if found and found.end() + begin > bounds[leaf]:
            first, last = found.span(found.re.groups)
            if len(_UNLIKE_WORDS.findall(piece, first, last)) < _SOME:
                continue  # The names of tools in their order, such as secret_length, leak and slow.
            return flat.at(first + begin), flat.at(last + begin - 1, 1)
    return None


def members(leaves: Leaves) -> Iterator[Hit]:
    """Values whose member's name says what they are, such as AWS's SecretAccessKey."""
    for name, at, value in leaves.placed(MEMBERS):
        named = f"{name}={value}".encode("utf-8", "surrogatepass")
        span = MEMBERS[name].match(named + PAD, 0)
        if span:
            shift = at - len(name) - 1
            yield span[0] + shift, span[1] + shift, MEMBERS[name].kind


def kinds_in(value: Json, wanted: frozenset[str], holds: Callable[[bytes], bool], most: int) -> set[str]:
    """Those of the `wanted` kinds, "held" too, that redaction would remove from `value`. Raises
    InspectionError as `hits` does, and ValueError for more than `most` bytes of text."""
    leaves = Leaves(value)
    also = tuple(wanted & OPT_IN_DETECTORS.keys())
    kinds = {kind for _, _, kind in members(leaves)}
    parts = leaves.parts()
    budget: Budget | None = None
    for order in leaves.orders(parts):
        text = padded(order.arranged(parts))
        if len(text) > most:
            raise ValueError
        budget = budget or Budget(len(text))
        seen = list(views(text, bool(also), budget)) if also or may_hide(text) else [View(text)]
        kinds |= {kind for _, _, kind in hits(seen, also, budget)}
        if HELD in wanted and any(holds(view.text) for view in seen):
            kinds.add(HELD)
    return kinds & wanted


def _start(index: int, end: int, text: bytes) -> int:
    return text.rfind(_STARTS[index][0], max(0, end - _REACH), end)
