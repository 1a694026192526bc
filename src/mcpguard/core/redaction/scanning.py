"""What is in a text: the one reading of redaction and of conditions.

Law of this file: a scan tells what it found to its end or raises InspectionError. Whether something is found
and what the `hits` are is looked for in the same: the text itself, what is cut up over its leaves, and its
`views`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from mcpguard.core.model import Json
from mcpguard.core.redaction.beginnings import Hit
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.detectors import DETECTORS, HELD, PERSONAL
from mcpguard.core.redaction.detectors.named import objects, roles, values
from mcpguard.core.redaction.detectors.named.naming import that_end_so
from mcpguard.core.redaction.engine.matching import PAD, stop
from mcpguard.core.redaction.engine.patterns import shapes
from mcpguard.core.redaction.leaves import Layout, Leaves, padded
from mcpguard.core.redaction.reading import ViewReading, judged
from mcpguard.core.redaction.views import View, views

OPT_IN_DETECTORS = {detector.kind: detector for detector in PERSONAL}
"""The detectors of personal data, by kind."""

MEMBERS = {name: detector for detector in DETECTORS for name in detector.members}
"""By name of a member whose value a detector looks at."""

_TELLING = roles.GATES | MEMBERS.keys()

IMPATIENT = 0.4
"""A condition is decided while all wait: whatever it looks through takes less than some 50 ms."""

_SOME = 8
_KNOWN = 1_000
_COST_OF_A_NAME = 8
_COST_OF_A_ROW = 16
"""Of a table, and of a judgement of its cell."""
_COST_OF_A_MEMBER = 12
"""Less than in a text, where the name has to be found: a table has one in each row."""


def found_behind(
    behind: Iterable[View], holds: Callable[[bytes], bool], also: tuple[str, ...], budget: Budget
) -> bool:
    """Whether one of these views has a format of a token, a held value, or personal data of the kinds `also`.
    Raises InspectionError where `hits` does."""
    for view in behind:
        if holds(view.text) or (
            not view.joined and any(OPT_IN_DETECTORS[kind].every(view.text) for kind in also)
        ):
            return True
        if ViewReading(view, budget, once=True).any():
            return True
    return False


def hits(
    seen: Iterable[View], also: tuple[str, ...], budget: Budget, begun: set[int] | None = None
) -> list[Hit]:
    """The formats of tokens in a text, of which `seen` are all views, and the personal data of the kinds
    `also`: in no order, overlaps too. `begun` is where those begin that were found in views before. Raises
    InspectionError where `budget` is used up."""
    made: list[Hit] = []
    begun = set() if begun is None else begun
    for view in seen:
        for start, end, kind in ViewReading(view, budget).all():
            place = view.place(start, end)
            if not view.stretches or place[0] not in begun:
                begun.add(place[0])
                made.append((*place, kind))
        for kind in () if view.joined else also:
            spans = OPT_IN_DETECTORS[kind].every(view.text)
            budget.hit(len(spans))
            made += [(*view.place(*span), kind) for span in spans]
    return made


def tokens(text: bytes, patience: int = 1) -> list[Hit]:
    """The formats of tokens that stand in `text` itself, which ends in PAD and is one leaf. `patience` as in
    `Budget`."""
    return ViewReading(View(text), Budget(len(text), patience)).all()


def telling(names: Iterable[str], budget: Budget | None = None) -> set[str]:
    """Those of the names of members that say something of their values. Raises InspectionError where `budget`
    is used up."""
    new = [*names]
    likely = that_end_so(new)
    if budget is not None:
        budget.trigger(_COST_OF_A_NAME * len(likely))
    said = {name for name in likely if roles.is_value(name) or values.said_of_member(name)}
    return said.union(_TELLING.intersection(new))


def regather(leaves: Leaves, value: Json) -> None:
    """Put those of `value` in place of the `leaves`, most of whose names are known."""
    told, known = leaves.telling or set(), leaves.columns.keys() if leaves.telling is not None else ()
    made = Leaves(value)
    new = [name for name in made.naming() if name not in known]
    leaves.become(made)
    del known, made  # There may be as many names as numbers.
    leaves.telling = (leaves.columns.keys() & told) | telling(new)


def is_named(columns: Mapping[str, list[str]]) -> bool:
    """Whether a text may be the name of another that stands in a member beside it."""
    if roles.SIGNS.isdisjoint(columns) or roles.PLAIN.isdisjoint(columns):
        return False
    return any(
        any(map(objects.says, column if len(column) < _SOME else that_end_so(column)))
        for name in roles.NAMING.intersection(columns)
        if (column := columns[name])
    )


def is_labelled(text: bytes) -> bool:
    """Whether a text of these leaves may be the label of the next one, under the same name. Not asked on the
    road of an answer with one text of each name."""
    return shapes("labelled", objects.LABELLED).search(text, stop)


def members(leaves: Leaves, budget: Budget, text: bytes | None = None, once: bool = False) -> Iterator[Hit]:
    """Values whose member's name says what they are, such as AWS's SecretAccessKey, or another text of the
    value, as in `{"name": "DB_PASSWORD", "value": "…"}`. `text` is that of the leaves. With `once` only
    whether there is one matters, not where it is."""
    if leaves.telling is None:
        leaves.telling = telling(leaves.naming(), budget)
    # What has a name of a secret and no text has others below it.
    beside = {
        name
        for name in leaves.telling
        if name in roles.GATES or roles.is_value(name) or not leaves.columns[name]
    }
    text = leaves.text()[0] if text is None else text
    if beside or leaves.tables or is_named(leaves.columns) or is_labelled(text):
        yield from _beside(leaves, budget, text, once)
    known: dict[tuple[str, str], str] = {}
    for name, at, value in leaves.placed(leaves.telling - beside):
        data = value.encode("utf-8", "surrogatepass")
        if span := _of_member(name, data):
            budget.hit()
            yield at + span[0], at + span[1], MEMBERS[name].kind
        elif kind := _kind_of(name, value, budget, known):
            budget.hit()
            yield at, at + len(data), kind


class _Enough(Exception):
    """One is found."""


def _beside(leaves: Leaves, budget: Budget, text: bytes, once: bool) -> Iterator[Hit]:
    """What another text of the value names."""
    if not objects.words().search(text, stop):
        return

    verdicts = bytearray()

    def judge(strength: str, value: bytes) -> bool:
        budget.trigger()
        is_one = judged(budget, _COST_OF_A_ROW, strength, value, True)
        verdicts.append(is_one)
        if is_one:
            budget.hit()
        return is_one

    if once:
        yield from [(0, 0, "")] if _is_one_beside(leaves.value, judge) else ()
    elif objects.ObjectReading(judge, leaves.value).found:
        # Only now, since texts that know their place take much, and an answer may have too many hits.
        yield from _each_beside(leaves, iter(verdicts))


def _each_beside(leaves: Leaves, verdicts: Iterator[int]) -> Iterator[Hit]:
    starts = Layout(leaves.parts()).starts
    for leaf, ahead, kind in objects.ObjectReading(lambda *_: bool(next(verdicts)), leaves.marked()).found:
        assert isinstance(leaf, objects.NumberedLeaf)  # noqa: S101 - as all of that value
        start = starts[leaf.part]
        yield start + ahead, start + len(leaf.encode("utf-8", "surrogatepass")), kind


def _is_one_beside(value: Json, judge: objects.Judge) -> bool:
    def first(strength: str, text: bytes) -> bool:
        if judge(strength, text):
            raise _Enough
        return False

    try:
        return bool(objects.ObjectReading(first, value).found)
    except _Enough:
        return True


def _kind_of(name: str, value: str, budget: Budget, known: dict[tuple[str, str], str]) -> str:
    """The kind of secret that the value is, "" for none. `known` is what was judged before: rows of a table
    often have the same."""
    said = values.named(name, value)
    if said is None:
        return ""
    kind = known.get((name, value))
    if kind is None:
        budget.trigger(_COST_OF_A_MEMBER)
        kind = values.kind_of(said[0]) if values.is_secret(*said, True) else ""
        if len(known) < _KNOWN:
            known[name, value] = kind
    return kind


def _of_member(name: str, data: bytes) -> tuple[int, int] | None:
    if name not in MEMBERS:
        return None
    ahead = f"{name}=".encode()
    span = MEMBERS[name].match(ahead + data + PAD, 0)
    return (span[0] - len(ahead), span[1] - len(ahead)) if span else None


def kinds_in(value: Json, wanted: frozenset[str], holds: Callable[[bytes], bool], most: int) -> set[str]:
    """Those of the `wanted` kinds, "held" too, that redaction would remove from `value`. Raises
    InspectionError as `hits` does, and ValueError for more than `most` bytes of text."""
    leaves = Leaves(value)
    also = tuple(wanted & OPT_IN_DETECTORS.keys())
    parts = leaves.parts()
    budget = Budget(sum(map(len, parts)), IMPATIENT)
    kinds = {kind for _, _, kind in members(leaves, budget)}
    for order in leaves.orders():
        text = padded(order.arranged(parts))
        if len(text) > most:
            raise ValueError
        seen = list(views(text, bool(also), budget))
        kinds |= {kind for _, _, kind in hits(seen, also, budget)}
        if HELD in wanted and any(holds(view.text) for view in seen):
            kinds.add(HELD)
    return kinds & wanted
