"""Where the formats of detectors are in a text: the one scan of redaction and of conditions.

Law of this file: a scan tells what it found to its end or raises InspectionError.
"""

from collections.abc import Iterator
from functools import cache

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.detectors import DETECTORS, PERSONAL
from mcpguard.core.redaction.leaves import Leaves
from mcpguard.core.redaction.matching import HIT_CAP, PAD, Matcher, compile_literals

OPT_IN_DETECTORS = {detector.kind: detector for detector in PERSONAL}
"""The detectors of personal data, by kind."""

MEMBERS = {name: detector for detector in DETECTORS for name in detector.members}
"""By name of a member whose value a detector looks at."""

_REACH = 2048
_STARTS = [(start.encode(), detector) for detector in DETECTORS for start in detector.starts]
_TRIGGERS = [detector.trigger.encode() or start for start, detector in _STARTS]


@cache
def triggers() -> Matcher:
    """The compiled literals of all token formats."""
    return compile_literals(_TRIGGERS)


def confirm(index: int, _from: int, end: int, _flags: int, text: bytes) -> bool:
    """A Visit of `triggers`: whether the format that a trigger belongs to is there too."""
    start = _start(index, end, text)
    return start >= 0 and _STARTS[index][1].match(text, start) is not None


def tokens(text: bytes) -> list[tuple[int, int, str]]:
    """The token formats in `text`, which ends in PAD: start, end and kind, in no order, overlaps too.

    Raises InspectionError for more than HIT_CAP.
    """
    tried: set[tuple[int, int]] = set()
    hits: list[tuple[int, int, str]] = []

    def visit(index: int, _from: int, end: int, _flags: int, _text: bytes) -> None:
        start = _start(index, end, text)
        if start < 0 or (index, start) in tried:
            return
        tried.add((index, start))
        detector = _STARTS[index][1]
        span = detector.match(text, start)
        if span:
            if len(hits) == HIT_CAP:
                raise InspectionError(f"more than {HIT_CAP} hits")
            hits.append((*span, detector.kind))

    triggers().search(text, visit)
    return hits


def members(leaves: Leaves) -> Iterator[tuple[int, int, str]]:
    """Values whose member's name says what they are, such as AWS's SecretAccessKey: start, end and kind."""
    for name, at, value in leaves.placed(MEMBERS):
        named = f"{name}={value}".encode("utf-8", "surrogatepass")
        span = MEMBERS[name].match(named + PAD, 0)
        if span:
            shift = at - len(name) - 1
            yield span[0] + shift, span[1] + shift, MEMBERS[name].kind


def kinds_in(text: bytes, wanted: frozenset[str]) -> set[str]:
    """The kinds of formats in `text`, which ends in PAD: all those of tokens, of personal data the `wanted`.

    Raises InspectionError as `tokens` does.
    """
    found = {kind for _, _, kind in tokens(text)}
    found |= {kind for kind in wanted & OPT_IN_DETECTORS.keys() if OPT_IN_DETECTORS[kind].every(text)}
    return found


def kinds_of_members(leaves: Leaves) -> set[str]:
    """The kinds that `members` finds."""
    return {kind for _, _, kind in members(leaves)}


def _start(index: int, end: int, text: bytes) -> int:
    return text.rfind(_STARTS[index][0], max(0, end - _REACH), end)
