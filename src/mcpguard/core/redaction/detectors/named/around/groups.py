"""Secrets in what languages print in brackets: `map[columns:[id token] rows:[[1 …]]]`, `(token, …)`.

Law of this file: that of `apart`, whose readers these are. A group is what stands between two brackets and
has none in it. Its items may be bare words, so that a value has to look random.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from mcpguard.core.expressions import expression
from mcpguard.core.redaction.detectors.named.around.beside import Seen, singular
from mcpguard.core.redaction.detectors.named.around.columns import CELLS
from mcpguard.core.redaction.detectors.named.around.grids import Grids
from mcpguard.core.redaction.detectors.named.roles import NAMING, PLAIN
from mcpguard.core.redaction.detectors.named.values import DIGIT, Found, said

NAMES = "password", "passwd", "passphrase", "passcode", "pwd", "token", "secret", "key"
"""How a label ends, in lower case."""
_SAYS, _QUOTE = r"""[^\s"'`,()\[\]{}\x00-\x1f\xff]""", r"[\"'`]?"
_KEY = r"[\"'\[.:]?[A-Za-z0-9_]{1,12}[\"'\]]{0,2}[ ]?(?:=>|[:=])\s{0,4}(?:string\([0-9]{1,4}\)[ ])?"
GROUPED = (
    rf"{_QUOTE}(?:(?:,\s{{0,16}}|\s{{1,16}}-?[ ]?)(?:{_KEY})?:?{_QUOTE}"
    rf"{_SAYS[:-1]}0-9]{{0,48}}[0-9]{_SAYS}{{0,64}}{_QUOTE}\s{{0,16}},?\s{{0,16}}[\])}}]"
    r"|(?:[\s,][^\[\](){}\x1f\xff]{0,64})?[\])}]{1,2}[\s,:=>\w.\"'-]{0,48}(?:\[\w{0,16}\]\w{0,16})?[\[({]{1,3}"
    r"[^\[\](){}0-9\x1f\xff]{0,100}[0-9])"
)
"""What stands behind that in a pair up to its end, and in a row of names up to a digit in the next one."""
_LABEL = expression(rf"(?i:{'|'.join(NAMES)})s?(?=[\s\"'`,\])}}])".encode())
_LAST_LABEL = expression(rf"(?<=[\s\"'`,\])}}])(?i:s?(?:{'|'.join(one[::-1] for one in NAMES)}))".encode())
"""The same backwards, so that the last one is met first."""
_PHP = expression(
    rb"\[(\"?[\w:]{1,24}\"?)\](?=\s{0,4}=>)|(?:string|array)\([0-9]{1,6}\)(?=[ ][\"{])|int\(([0-9]{1,20})\)"
)
"""Brackets that PHP writes around names, lengths and numbers."""
_OPENS, _CLOSES = (b"[", b"(", b"{"), (b"]", b")", b"}")
_GROUP = expression(rb"[\[({]([^\[\](){}\x1f\xff]{1,1024})[\])}]")
_ITEM = expression(
    rb"(?:[\"'.:]?(\w{1,24})[\"']?\s{0,4}(?:=>|[:=])\s{0,16})?"
    rb"(?:\"([^\"]{0,512})\"|'([^']{0,512})'|`([^`]{0,512})`|:?([^\s\"'`,;]{1,512}))"
)
_BEFORE, _BEHIND, _APART = 400, 4096, 160
"""Bytes before and behind a place that are read, and between two groups."""
_LONGEST, _NEAR = 1024, 100
_COST_OF_PHP, _COST_OF_A_ROW = 200, 6
_OF_PHP = expression(rb"\](?:=>|[ ]=>[ ])")
_NAMING = frozenset(name.lower() for name in NAMING)
_VALUES = frozenset(name.lower() for name in PLAIN) | {"value", "val"}


class _Item(NamedTuple):
    key: str
    start: int
    end: int
    text: str


class Groups(Grids):
    """The groups in brackets of one text. Each public method reads from the end of what shows one on."""

    __slots__ = ()

    def grouped(self, at: int) -> Seen:
        """What a label names that stands in a group shortly before a place: the item behind it, the value
        beside that name, or the same item of the groups that follow."""
        begin = max(0, at - _BEFORE)
        window = self._text[begin : at + _BEHIND]
        if _OF_PHP.search(window, at - begin - _NEAR, at - begin + _NEAR):
            self._spend(_COST_OF_PHP)
            window = _PHP.sub(lambda found: (found[1] or found[2] or b"").rjust(len(found[0])), window)
        last = _LAST_LABEL.search(window[: at - begin][::-1])
        label = at - begin - last.start() if last else 0
        opening = max(window.rfind(one, 0, label) for one in _OPENS)
        found = _GROUP.match(window, opening) if opening >= 0 else None
        if found is None or found.end() <= label:
            return [], at
        items = _items(window, *found.span(1))
        index = next((nth for nth, one in enumerate(items) if one.start < label <= one.end), -1)
        strength = said(singular(items[index].text)) if index >= 0 else ""
        if not strength:
            return [], at
        named = items[index].key.lower()
        if named in _NAMING and not named.isdigit():
            likely = [one for one in items if one.key.lower() in _VALUES]
        else:
            likely = items[index + 1 : index + 2]
            if not any(DIGIT.search(self._text, begin + one.start, begin + one.end) for one in items):
                likely += [row[index] for row in self._rows_behind(window, found.end(), len(items))]
        hits: list[Found] = []
        for one in likely:
            span = begin + one.start, begin + one.end
            if DIGIT.search(self._text, *span) and (hit := self._secret(*span, strength, known_end=False)):
                hits.append(hit)
        return hits, at

    def _rows_behind(self, window: bytes, at: int, count: int) -> Iterator[list[_Item]]:
        """The next groups of as many items, up to one that has a label itself."""
        while (found := _GROUP.search(window, at, at + _APART + _LONGEST)) and found.start() - at < _APART:
            at = found.end()
            if _LABEL.search(window, found.start(), at):
                return
            items = _items(window, *found.span(1))
            self._spend(_COST_OF_A_ROW + len(items))
            if count > 1 and len(items) == count:
                yield items


def _items(window: bytes, start: int, end: int) -> list[_Item]:
    made: list[_Item] = []
    for found in islice(_ITEM.finditer(window, start, end), CELLS):
        which = found.lastindex or 0
        text = found[which].decode("utf-8", "replace")
        made.append(_Item((found[1] or b"").decode(), *found.span(which), text))
    return made
