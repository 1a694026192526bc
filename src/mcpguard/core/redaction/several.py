"""Several small values, searched at once: most messages have nothing in them, and to search the texts of all
that came in one turn costs little more than to search one of them.

Law of this file: a value is called clean only where `Redactor.inspect` would leave it as it is. Whatever may
be a sign of something in a text makes that text doubtful, and a sign whose place is not known makes all of
them doubtful; what is doubtful is inspected alone. Between two texts stands a byte that no text has, so that
nothing is found across them.
"""

from collections.abc import Callable, Iterable, Sequence

from mcpguard.core.errors import InspectionError
from mcpguard.core.model import Json
from mcpguard.core.redaction.beginnings import BEGINNINGS, COMPILED, triggers
from mcpguard.core.redaction.detectors.named.roles import SIGNS
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.held.reduced import skeleton_of
from mcpguard.core.redaction.held.search import HeldSet, found_in
from mcpguard.core.redaction.leaves import Leaves
from mcpguard.core.redaction.scanning import is_labelled
from mcpguard.core.redaction.views.runs import has_code
from mcpguard.core.redaction.views.signs import EXPRESSIONS, SignsOfText, expressions

_BETWEEN = PAD[:1]
_END = -len(PAD)
_VISITS = 500
"""Signs in all of the texts; where there are more, each text is doubtful."""


def clean(
    values: Sequence[Json], most: int, are_plain: Callable[[Iterable[str]], bool], held: Sequence[HeldSet]
) -> list[bool]:
    """Whether there is certainly nothing in each value: no format, no pair, no value of `held`, nothing
    hidden and nothing encoded. That is never certain of one with more than `most` bytes of text. `are_plain`
    tells whether none of these names of members describes a secret."""
    texts = [_text_of(value, most, are_plain) for value in values]
    both = _BETWEEN.join([text or b"" for text in texts]) + PAD
    seen, skeleton = _Doubts(both), skeleton_of(both)
    if seen.anywhere():
        return [False] * len(texts)
    may_be_held = any([one.may_be_in(both, skeleton, several=True) for one in held])
    return [
        text is not None and index not in seen.doubtful and not (may_be_held and found_in(held, text + PAD))
        for index, text in enumerate(texts)
    ]


def _text_of(value: Json, most: int, are_plain: Callable[[Iterable[str]], bool]) -> bytes | None:
    """The text of a value, without PAD; None where `inspect` looks at more than that."""
    try:
        leaves = Leaves(value)
        text, count = leaves.text()
    except InspectionError:
        return None
    apart = leaves.tables or leaves.reordered() or not SIGNS.isdisjoint(leaves.columns)
    several = max(map(len, leaves.columns.values()), default=0) > 1
    apart = apart or (several and is_labelled(text))
    if apart or len(text) > most or text.count(b"\x1f") >= (count or 1) or not are_plain(leaves.columns):
        return None
    return text[:_END]


class _Doubts(SignsOfText):
    """In which of the texts there may be something, by index."""

    __slots__ = ("_visits", "doubtful")

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.doubtful: set[int] = set()
        self._visits = 0

    def anywhere(self) -> bool:
        """Whether there may be something of which it is not known in which text it is."""
        flat = self._text.replace(b"\x1f", b"")
        some, others = COMPILED[0] if COMPILED else triggers()
        return (
            expressions().search(self._text, self.see)
            or some.search(flat, self._literal)
            or (self.rare and others.search(flat, self._literal))
            or (self.may_be_marked and self.marked())
            or (self.may_be_coded and has_code(self._text, set()))
        )

    def see(self, index: int, begin: int, end: int, flags: int, text: bytes) -> bool:
        """As `SignsOfText.see`. What is reported only once may be in other texts too."""
        if super().see(index, begin, end, flags, text):
            return True
        if not self.found:
            return False
        self.found.clear()
        return EXPRESSIONS[index].once or self._doubt(text, end)

    def read(self, _index: int, end: int, text: bytes) -> bool:
        return self._doubt(text, end)

    def _literal(self, index: int, _begin: int, end: int, _flags: int, flat: bytes) -> bool:
        """A Visit of `triggers`."""
        one = BEGINNINGS[index]
        start = end - one.ahead if one.ahead >= 0 else one.start(flat, end)
        return start >= 0 and one.may(flat, start) is not None and self._doubt(flat, end)

    def _doubt(self, text: bytes, end: int) -> bool:
        """Note the text in which `end` is; whether there are too many signs."""
        self.doubtful.add(text.count(_BETWEEN, 0, end))
        self._visits += 1
        return self._visits > _VISITS
