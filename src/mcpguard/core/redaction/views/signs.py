"""What is met only where a disguise may be: shapes of text, found by regular expressions in one pass."""

import re
from collections.abc import Container, Sequence

from mcpguard.core.redaction.matching import PAD, HyperscanMatcher, Matcher, Visit


class HyperscanShapes(HyperscanMatcher):
    """Shapes in Hyperscan. Raises ImportError where there is no wheel."""

    def __init__(self, shapes: Sequence[str], every: Container[int]) -> None:
        import hyperscan

        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        once = hyperscan.HS_FLAG_SINGLEMATCH
        database.compile(
            expressions=[shape.encode() for shape in shapes],
            ids=list(range(len(shapes))),
            elements=len(shapes),
            flags=[0 if index in every else once for index in range(len(shapes))],
        )
        self._use(hyperscan, database)


class PlainShapes:
    """The same from the standard library."""

    def __init__(self, shapes: Sequence[str], every: Container[int]) -> None:
        self._shapes = [re.compile(shape.encode()) for shape in shapes]
        self._every = every

    def search(self, padded: bytes, visit: Visit) -> bool:
        """See Matcher. Of matches that overlap it has the first."""
        for index, shape in enumerate(self._shapes):
            for found in shape.finditer(padded, 0, len(padded) - len(PAD)):
                if visit(index, 0, found.end(), 0, padded):
                    return True
                if index not in self._every:
                    break
        return False


def compile_shapes(shapes: Sequence[str], every: Container[int] = ()) -> Matcher:
    """The best matcher that this machine has, for regular expressions that both engines read in one way. It
    visits one match of each of them, and of those with an index in `every` each end of one."""
    try:
        return HyperscanShapes(shapes, every)
    except ImportError:
        return PlainShapes(shapes, every)


def stop(_index: int, _from: int, _end: int, _flags: int, _text: bytes) -> bool:
    """A Visit: one hit is enough."""
    return True
