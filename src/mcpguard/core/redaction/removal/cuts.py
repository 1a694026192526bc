"""What is found becomes what is removed: spans of a text become cuts in the leaves of a value, and each cut a
placeholder."""

from collections.abc import Iterable

from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.detectors.named import values
from mcpguard.core.redaction.engine.matching import Span
from mcpguard.core.redaction.leaves import Layout, Leaves, Order
from mcpguard.core.redaction.removal.placeholder import CREDENTIAL, NUMBERED
from mcpguard.core.redaction.removal.rebuilding import EditedLeaf

_FORM = frozenset(
    [
        *("code", "message", "data", "type", "text", "content", "contents", "messages", "role", "uri"),
        *("title", "description", "mimeType", "isError", "result", "resultType", "structuredContent", "task"),
        *("inputSchema", "properties", "completion", "values", "_meta", "name"),
        *("inputRequests", "requestState", "method", "params", "requestedSchema", "mode", "url", "action"),
        *("tools", "prompts", "resources", "resourceTemplates", "nextCursor", "resource", "blob", "enum"),
        *("taskId", "status", "progressToken", "progress", "level", "logger", "elicitations", "arguments"),
        "required",
    ]
)
"""Names without which a result or an error is another thing (specification: schema)."""


class Numbers:
    """The numbers of the placeholders in one value. They mean nothing beyond it: a number that did would say
    whether somebody has seen a value before. `taken` is the highest one that is there already."""

    def __init__(self, taken: int) -> None:
        self._next = taken + 1
        self._of: dict[bytes, int] = {}

    def label(self, span: Span) -> str:
        """The placeholder for this span: the same for equal values."""
        number = self._of.get(span.mark)
        if number is None:
            number = self._of[span.mark] = self._next if self._next <= NUMBERED else 0
            self._next += 1
        return f"[REDACTED:{span.kind}#{number}]"


def by_part(spans: list[Span], order: Order, arranged: list[str], budget: Budget) -> dict[int, list[Span]]:
    """The spans of a text that is `arranged` in this order, by the part in which they lie. They are used up:
    there may be many."""
    cuts: dict[int, list[Span]] = {}
    layout = Layout(arranged)
    spans.reverse()
    while spans:
        first, last, kind, mark = spans.pop()
        place, begin = layout.part(first)
        if last < layout.starts[place + 1]:  # As nearly all.
            cuts.setdefault(order.part(place), []).append(Span(first - begin, last - begin, kind, mark))
            continue
        count = layout.count(first, last)
        budget.hit(count - 1)
        for place, start, end in layout.touched(first, last):
            # A name that gives a value its form is not part of a secret that is cut up around it.
            if count == 1 or arranged[place] not in _FORM:
                cuts.setdefault(order.part(place), []).append(Span(start, end, kind, mark))
    return {index: merged_spans(sorted(each)) if len(each) > 1 else each for index, each in cuts.items()}


def edited_parts(
    leaves: Leaves, parts: list[str], cuts: dict[int, list[Span]], numbers: Numbers
) -> list[str]:
    """These parts with placeholders in place of the `cuts`. Both are used up: there may be many."""
    digits = leaves.numbered()
    # In the order in which the texts stand, so that numbers ascend.
    for index in sorted(cuts):
        spans = cuts.pop(index)
        whole = [spans[0]._replace(start=0, end=len(parts[index]))] if index in digits else spans
        parts[index] = _cut(parts[index].encode("utf-8", "surrogatepass"), whole, numbers)
    return parts


def _cut(text: bytes, spans: list[Span], numbers: Numbers) -> EditedLeaf:
    kept: list[bytes] = []
    at = 0
    for span in spans:
        kept += text[at : span.start], numbers.label(span).encode()
        at = span.end
    kept.append(text[at:])
    new = EditedLeaf(b"".join(kept).decode("utf-8", "surrogatepass"))
    new.kinds = tuple(dict.fromkeys(span.kind for span in spans))
    return new


def _says_most(span: Span) -> tuple[bool, int, bool]:
    return span.kind.startswith(CREDENTIAL), span.end - span.start, span.kind not in values.KINDS


def merged_spans(spans: Iterable[Span]) -> list[Span]:
    """Overlapping spans become one, by the kind of the held value, else of the longest, else of a format."""
    merged: list[Span] = []
    for span in spans:
        if merged and span.start < merged[-1].end:
            last = merged[-1]
            winner = max(last, span, key=_says_most)
            merged[-1] = Span(last.start, max(last.end, span.end), winner.kind, winner.mark)
        else:
            merged.append(span)
    return merged
