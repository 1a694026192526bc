"""The values that mcpguard holds, found wherever they appear: in the clear, cut up or encoded.

Law of this file: nothing else in `core/` calls `Secret.reveal()`, and nothing here keeps a value in a form
that can be printed. What an encoder leaves in place is what is searched for: a text without its
punctuation and case (its skeleton) against the skeletons of all encodings of each value, computed once.
So nothing is ever decoded, and line breaks, spacing, quoting and case do not matter.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from msgspec import Struct

from mcpguard.core.errors import CredentialError
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.held.disguise import Needle, anchor, needles
from mcpguard.core.redaction.held.fragments import Core, cores, stretches
from mcpguard.core.redaction.held.guessing import FEWEST_DIGITS, guessed
from mcpguard.core.redaction.held.parts import parts
from mcpguard.core.redaction.held.payloads import Dumped, payloads
from mcpguard.core.redaction.held.reduced import (
    RUNS,
    SENTENCES,
    SKELETON,
    SLICE,
    Reduced,
    capitals_in,
    letters_in,
    locate,
    skeleton,
)
from mcpguard.core.redaction.held.shards import Shards, shards
from mcpguard.core.redaction.held.strewn import Rows, Strewn, signs, strewn
from mcpguard.core.redaction.matching import PAD, Matcher, Span, compile_literals, stop
from mcpguard.core.secret import Secret

SHORTEST = 6
"""Characters. Anything shorter occurs in ordinary text by chance."""

LONGEST = 16_384
"""Characters. A longer value would make a set of patterns that takes seconds to compile."""

_JOINED = 64
_HEXADECIMAL = frozenset(b"0123456789abcdef")
_BACKSLASH = ord("\\")
_CHANCES, _SIZE = 1_000, 64
"""How many blocks, and one per how many bytes, may be in a text by chance: fewer than Reduced has patience
for."""
_AT_PLACE, _PLACES = 2_048, 8
"""A block is looked at where it is, once for each so many bytes of a text and at so many places at most,
before all of the text is."""
_LARGE, _KEPT = 8_192, 64
"""Bytes of a text that is searched for what may be beside a block with a matcher. For as many blocks one is
kept: what is met by chance is mostly met in the next text too."""
_AT_ONCE = 8_192
"""Literals. Hyperscan takes more than twice as long for twice as many."""


Piece = Core | Shards | Strewn


class Held(Struct, frozen=True):
    """One held value under one name. `mark` identifies the value only to whoever has the key. `anchors`:
    where one of them is, some of the value may be escaped. `guess` says how it can be guessed."""

    kind: str
    mark: bytes
    needles: tuple[Needle, ...]
    cores: tuple[Piece, ...]
    anchors: tuple[bytes, ...]
    guess: str

    def __repr__(self) -> str:
        return f"<Held {self.kind}>"


def mark_of(secret: Secret, key: bytes) -> bytes:
    """HMAC-SHA256 of the value under `key`: equal values have equal marks."""
    return hmac.digest(key, secret.reveal().encode("utf-8", "surrogatepass"), hashlib.sha256)


def held(name: str, kind: str, secret: Secret, mark: bytes) -> Held:
    """Prepare a value to be searched for. Takes some 0.5 ms for a token.

    Raises CredentialError, naming `name`, for a value that cannot be guarded.
    """
    value = secret.reveal()
    if fault := unguardable(value):
        raise CredentialError(f"{name}: the value {fault}")
    members = parts(value)
    random = [*stretches((value, *members)), *payloads((value, *members))]
    whole = tuple(cores(random))
    return Held(
        kind,
        mark,
        tuple(needles(value, members)),
        (*whole, *shards(whole), *strewn(random)),
        tuple(found for found in map(anchor, members or (value,)) if found is not None),
        guessed(value),
    )


def weakness(secret: Secret) -> str:
    """How the value can be guessed, as what follows "it"; "" where that is hard."""
    return guessed(secret.reveal())


def unguardable(value: str) -> str:
    """Why `value` cannot be guarded, as what follows "the value"; "" where it can."""
    if len(value) < SHORTEST:
        return f"is too short to be distinguished from ordinary text (at least {SHORTEST} characters)"
    if len(value) > LONGEST:
        return f"is too long to be redacted (at most {LONGEST} characters)"
    if value.strip().isdigit() and len(value.strip()) < FEWEST_DIGITS:
        return f"is a number of fewer than {FEWEST_DIGITS} digits, and ordinary text may contain it"
    return ""


_Hit = tuple[int, int, Held, Needle | Rows | Dumped]


class _Table:
    """The forms of some values that are searched for in one kind of text, the blocks of their cores, their
    anchors, and what searches for all of them."""

    __slots__ = ("_beside", "_blocks", "_forms", "_made", "matchers")

    def __init__(
        self,
        forms: dict[bytes, tuple[Held, Needle]],
        blocks: dict[bytes, list[tuple[Held, Piece, int]]],
        anchors: Iterable[bytes],
        made: Callable[[Sequence[bytes]], Matcher],
    ) -> None:
        self._forms = list(forms.values())
        self._blocks = list(blocks.values())
        self._beside: dict[int, Matcher] = {}
        self._made = made
        literals = [*forms, *blocks, *anchors]
        starts = range(0, len(literals), _AT_ONCE)
        self.matchers = [(start, made(literals[start : start + _AT_ONCE])) for start in starts]
        """What searches for the literals, each with the index of its first one."""

    def found(self, text: bytes, of: Reduced) -> bool:
        """Whether a form or a fragment is in `text`, which is one `of` a whole."""
        return any(matcher.search(text, partial(self._is_hit, start, of)) for start, matcher in self.matchers)

    def _is_hit(
        self, first: int, of: Reduced, index: int, _start: int, end: int, _flags: int, text: bytes
    ) -> bool:
        block = first + index - len(self._forms)
        if block < 0:
            return True
        if block >= len(self._blocks):
            of.near = True
            return False
        for _, core, at in self._blocks[block]:
            of.patience -= core.cost
            if of.patience < 0 or core.runs(text, end, at):
                return True
        return False

    def may_lead(self, text: bytes) -> bool:
        """Whether anything in `text` may be of a value: all but blocks of Shards that lead to nothing. One
        that is often there is not looked at each time, if the text has no piece that may be next to it."""
        left, at_place = _CHANCES + len(text) // _SIZE, min(_PLACES, len(text) // _AT_PLACE)
        seen: dict[int, int] = {}
        alone: dict[int, int] = {}

        def visit(first: int, index: int, _start: int, end: int, _flags: int, text: bytes) -> bool:
            nonlocal left
            block = first + index - len(self._forms)
            if block in alone:
                left -= alone[block]
                return left < 0
            if not 0 <= block < len(self._blocks):
                return True
            pieces = self._blocks[block]
            left -= len(pieces)
            seen[block] = seen.get(block, -1) + 1
            if seen[block] == at_place and self._is_alone(block, text):
                alone[block] = len(pieces)
                return left < 0
            for _, core, at in pieces:
                if type(core) is not Shards or core.runs(text, end, at):
                    return True
            return left < 0

        return any(matcher.search(text, partial(visit, start)) for start, matcher in self.matchers)

    def _is_alone(self, block: int, text: bytes) -> bool:
        """Whether nothing that may be beside a block is in `text`, and the block is one of Shards alone."""
        matcher = self._beside.get(block)
        if matcher is None:
            pieces = self._blocks[block]
            if any(type(core) is not Shards for _, core, _ in pieces):
                return False
            beside = {one for _, core, at in pieces if type(core) is Shards for one in core.beside(at)}
            if len(text) < _LARGE or len(self._beside) == _KEPT:
                return not any(one in text for one in beside)
            matcher = self._beside[block] = self._made([*beside])
        return not matcher.search(text, stop)

    def hits(self, text: bytes, of: Reduced, budget: Budget, *, each: bool = False) -> list[_Hit]:
        """Where each form and each fragment is in `text`, which is one `of` a whole. A fragment that several
        values have is one hit, with `each` one of each of them. Raises InspectionError where `budget` is used
        up."""
        hits: list[_Hit] = []
        covered: dict[tuple[bytes, int], int] = {}

        def visit(first: int, index: int, _start: int, end: int, _flags: int, _text: bytes) -> None:
            if first + index < len(self._forms):
                budget.hit()
                value, needle = self._forms[first + index]
                hits.append((end - len(needle.pattern), end, value, needle))
                return
            if first + index >= len(self._forms) + len(self._blocks):
                of.near = True
                return
            longest = self._longest(first + index - len(self._forms), end, text, covered, budget)
            known: dict[tuple[tuple[int, int], ...], list[_Hit]] = {}
            for key, found in longest.items():
                covered[key] = found[-1][1]
                if len(found) > 1 or key[1] == 1:  # Else it is the hit of a core too.
                    one = known.setdefault(tuple(hit[:2] for hit in found), found)
                    if each or one is found:
                        hits.extend(found)
            budget.hit(sum(map(len, known)))

        for start, matcher in self.matchers:
            covered.clear()
            matcher.search(text, partial(visit, start))
        return hits

    def _longest(
        self, block: int, end: int, text: bytes, covered: dict[tuple[bytes, int], int], budget: Budget
    ) -> dict[tuple[bytes, int], list[_Hit]]:
        """The longest run around a block that ends at `end`, for each value and cost of a core; no run that
        was `covered` by an earlier block."""
        longest: dict[tuple[bytes, int], list[_Hit]] = {}
        for value, core, at in self._blocks[block]:
            key = value.mark, core.cost
            if covered.get(key, 0) >= end:
                continue  # One run has many blocks.
            runs = core.runs(text, end, at)
            _count(budget, core, len(runs))
            if runs:
                made = [(*run, value, _form(core, run, end, at)) for run in runs]
                longest[key] = max(longest[key], made, key=_length) if key in longest else made
        return longest


def _form(core: Piece, run: tuple[int, int], end: int, at: int) -> Needle | Rows | Dumped:
    """What is found where a `run` of `core` is, around a block."""
    if type(core) is Strewn:
        return core.rows(*run, end, at)
    return Dumped(core.text) if _HEXADECIMAL.issuperset(core.text) else Needle(core.text, True, b"", 0, 0)


def _count(budget: Budget, core: Piece, runs: int) -> None:
    """Count a place at which so many `runs` were found; one that counts alone is a place of a core too."""
    if runs != 1 or type(core) is not Shards:
        budget.trigger(1 if runs else core.cost)


def _length(hits: list[_Hit]) -> int:
    return sum(end - start for start, end, _, _ in hits)


class HeldSet:
    """An immutable set of held values; any number of threads may search with it. `made` is what searches."""

    __slots__ = ("_always", "_exact", "_loose", "_made", "_shared", "_signs", "_values")

    def __init__(
        self, values: Iterable[Held], made: Callable[[Sequence[bytes]], Matcher] = compile_literals
    ) -> None:
        self._values = tuple(values)
        self._made = made
        self._always = any(b"" in value.anchors for value in self._values)
        self._signs = b"", b""
        self._shared: dict[bytes, list[Held]] = {}
        self._loose: _Table | None = None
        self._exact: _Table | None = None

    def __bool__(self) -> bool:
        return bool(self._values)

    def prepare(self) -> tuple[_Table, _Table]:
        """Compile what is searched with, so that no search has to."""
        loose: dict[bytes, tuple[Held, Needle]] = {}
        exact: dict[bytes, tuple[Held, Needle]] = {}
        blocks: dict[bytes, list[tuple[Held, Piece, int]]] = {}
        shared: dict[bytes, list[Held]] = {}
        anchors = {anchor for value in self._values for anchor in value.anchors}
        for value in self._values:
            for needle in value.needles:
                first, _ = (loose if needle.loose else exact).setdefault(needle.pattern, (value, needle))
                if first is not value:
                    shared.setdefault(needle.pattern, []).append(value)
            for core in value.cores:
                for block, at in core.blocks():
                    known = blocks.setdefault(block, [])
                    # A value that several servers have is looked at once.
                    if (value.mark, core, at) not in [(one.mark, *place) for one, *place in known]:
                        known.append((value, core, at))
        self._shared = shared
        self._signs = signs(core for value in self._values for core in value.cores if type(core) is Strewn)
        self._exact = _Table(exact, {}, (), self._made)
        self._loose = _Table(loose, blocks, anchors - {b""}, self._made)
        return self._loose, self._exact

    def may_be_in(self, padded: bytes, bones: bytes, several: bool = False) -> bool:
        """Whether `padded`, with the skeleton `bones`, has anything that `found` looks for, or base64 that
        may be wrapped: hardly any text has, so that to ask this first is faster. Where it is `several` texts,
        one of them may have rows."""
        loose, exact = self._loose, self._exact
        if loose is None or exact is None:
            loose, exact = self.prepare()
        # A search for one byte costs a tenth of one for two, and for a number an eighth of one for bytes.
        if self._always or (_BACKSLASH in padded and b"\\n" in padded):
            return True
        # `share_of`, which would be a call.
        share = 0.0 if several else (len(bones) - len(PAD)) / (len(padded) - len(PAD) + 1)
        capitals, letters = self._signs
        rows = capitals_in(padded) if share < RUNS and _has_one(padded, capitals) else b""
        if share < SENTENCES and _has_one(bones, letters):
            rows += letters_in(bones)
        bones += rows  # One search is faster than two.
        for _, matcher in loose.matchers:
            if matcher.search(bones, stop):
                if loose.may_lead(bones):
                    return True
                break
        for _, matcher in exact.matchers:  # noqa: SIM110 - a generator takes as long as the search
            if matcher.search(padded, stop):
                return True
        return False

    def found(self, text: Reduced) -> bool:
        """Whether any held value is in `text` in any form, or a fragment of one."""
        loose, exact = self._tables()
        if loose.found(text.bones, text) or exact.found(text.padded, text) or loose.found(text.sown, text):
            return True
        again = self._again(text)
        return again is not None and loose.found(again, text)

    def spans(self, text: Reduced, budget: Budget) -> list[Span]:
        """Every stretch of `text` that is a form of a held value, in order, widened to all of it. Raises
        InspectionError where `budget` is used up."""
        loose, exact = self._tables()
        found = exact.hits(text.padded, text, budget)
        found += _placed(loose.hits(text.bones, text, budget), partial(locate, text.padded))
        again = self._again(text)
        if again is not None:
            found += _placed(loose.hits(again, text, budget), text.places)
        if not found:  # A value that stands there in another form has all of its letters there too.
            found = _placed(loose.hits(text.sown, text, budget), text.sources)
        padded = text.padded
        spans = [Span(*form.widen(padded, s, e), value.kind, value.mark) for s, e, value, form in found]
        return _joined(padded, sorted(spans))

    def marks(self, text: Reduced, budget: Budget) -> dict[bytes, set[bytes]]:
        """By each form that is in `text`, the marks of all values that have it."""
        loose, exact = self._tables()
        found: dict[bytes, set[bytes]] = {}
        hits = exact.hits(text.padded, text, budget, each=True)
        hits += loose.hits(text.bones, text, budget, each=True) + loose.hits(
            text.sown, text, budget, each=True
        )
        again = self._again(text)
        if again is not None:
            hits += loose.hits(again, text, budget, each=True)
        for _start, _end, value, needle in hits:
            others = self._shared.get(needle.pattern, ())
            found.setdefault(needle.pattern, set()).update({value.mark, *[other.mark for other in others]})
        return found

    def _again(self, text: Reduced) -> bytes | None:
        text.near = text.near or self._always
        return text.again

    def _tables(self) -> tuple[_Table, _Table]:
        if self._loose is None or self._exact is None:
            return self.prepare()
        return self._loose, self._exact


def found_in(sets: Sequence[HeldSet], padded: bytes) -> bool:
    """Whether any value of these is in `padded`, which ends in PAD, in any form."""
    if not sets:
        return False
    # As `skeleton` does, on the road of every answer.
    bones = skeleton(padded) if len(padded) > SLICE else padded.translate(*SKELETON)
    text: Reduced | None = None
    for one in sets:
        if one.may_be_in(padded, bones):
            text = text or Reduced(padded, False, bones)
            if one.found(text):
                return True
    return False


def _has_one(text: bytes, of: bytes) -> bool:
    for one in of:  # noqa: SIM110 - a generator takes as long as the search
        if one in text:
            return True
    return False


def _placed(hits: list[_Hit], places: Callable[[list[int]], dict[int, int]]) -> list[_Hit]:
    at = places(sorted({place for start, end, _, _ in hits for place in (start, end - 1)}))
    return [(at[start], at[end - 1] + 1, value, needle) for start, end, value, needle in hits]


def _joined(padded: bytes, spans: list[Span]) -> list[Span]:
    """Pieces of one value with nothing but punctuation between them are one span."""
    joined: list[Span] = []
    for span in spans:
        last = joined[-1] if joined else None
        if last and last.mark == span.mark and _no_text(padded[last.end : span.start]):
            joined[-1] = Span(last.start, max(last.end, span.end), last.kind, last.mark)
        else:
            joined.append(span)
    return joined


def _no_text(gap: bytes) -> bool:
    return len(gap) <= _JOINED and not skeleton(gap)
