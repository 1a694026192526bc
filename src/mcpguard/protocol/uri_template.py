"""Whether a URI can come of a URI template (RFC 6570), without regard to which values are allowed.

Law of this file: templates come from upstreams, so the time is bounded by the two lengths, whatever they say
(law 8): no backtracking. A set of positions in the URI is the bits of one integer.
"""

from functools import lru_cache

from mcpguard.core.expressions import expression

MAX_EXPRESSIONS = 32
"""What a template may have; more is not an address that anybody wrote."""

_EXPRESSION = expression(r"\{([+#./;?&]?)[^{}]*\}")
_EXCLUDED = {"": "/?#", "+": "", "#": "", "/": "?#"}
"""What the expansion of each kind of expression cannot hold; that of the others only no fragment."""


class _Wild:
    """Text that holds none of `excluded`; it may be missing, and if not, it starts with `first`."""

    __slots__ = ("excluded", "first")

    def __init__(self, operator: str) -> None:
        self.excluded = _EXCLUDED.get(operator, "#")
        self.first = "/" if operator == "/" else ""


def matches(template: str, uri: str) -> bool:
    """Whether `uri` as a whole can be an expansion of `template`."""
    parts = _parts(template)
    # What it must begin and end with is cheap, and rules out nearly every URI of others.
    for part, stands in ((parts[0], uri.startswith), (parts[-1], uri.endswith)) if parts else ():
        if isinstance(part, str) and not stands(part):
            return False
    at = 1
    for part in parts:
        if isinstance(part, str):
            at = _after(part, uri, at)
        else:
            started = _after(part.first, uri, at) if part.first else at
            at |= _run(started, _allowed(part.excluded, uri))
        if not at:
            return False
    return bool(at >> len(uri) & 1)


def expressions(template: str) -> int:
    """How many expressions it has."""
    return len(_EXPRESSION.findall(template))


def breadth(template: str) -> tuple[int, int]:
    """Sorts the most specific template first: the longest text before the first expression, then the most
    text in all. So a template that begins with an expression comes after each one that names a scheme."""
    parts = _parts(template)
    texts = [len(part) for part in parts if isinstance(part, str)]
    begins = bool(parts) and isinstance(parts[0], str)
    return -(texts[0] if begins else 0), -sum(texts)


@lru_cache(maxsize=1024)
def _parts(template: str) -> tuple[str | _Wild, ...]:
    parts: list[str | _Wild] = []
    at = 0
    for found in _EXPRESSION.finditer(template):
        parts += [template[at : found.start()], _Wild(found[1])]
        at = found.end()
    return tuple(part for part in [*parts, template[at:]] if part != "")


def _after(text: str, uri: str, at: int) -> int:
    """The positions after `text`, where it stands at one of the positions `at`."""
    places = _places(uri)
    for character in text:
        at = (at & places.get(character, 0)) << 1
    return at


@lru_cache(maxsize=8)
def _places(uri: str) -> dict[str, int]:
    """The positions of each character."""
    places: dict[str, int] = {}
    for position, character in enumerate(uri):
        places[character] = places.get(character, 0) | 1 << position
    return places


@lru_cache(maxsize=8)
def _allowed(excluded: str, uri: str) -> int:
    """The positions whose character is not in `excluded`."""
    return int("".join("0" if character in excluded else "1" for character in reversed(uri)) or "0", 2)


def _run(at: int, allowed: int) -> int:
    """The positions that are reached from `at` over allowed characters only, `at` among them. The sum
    carries from each position through its run; what it changed was passed."""
    return ((((at & allowed) + allowed) ^ allowed) | at) if at else 0
