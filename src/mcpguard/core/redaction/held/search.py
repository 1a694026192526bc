"""The values that mcpguard holds, found wherever they appear: in the clear, cut up or encoded.

Law of this file: nothing else in `core/` calls `Secret.reveal()`, and nothing here keeps a value in a form
that can be printed. What an encoder leaves in place is what is searched for: a text without its
punctuation and case (its skeleton) against the skeletons of all encodings of each value, computed once.
So nothing is ever decoded, and line breaks, spacing, quoting and case do not matter.
"""

import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from mcpguard.core.errors import CredentialError
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD, Matcher, Span, Visit, compile_literals, stop
from mcpguard.core.redaction.held.blocks import (
    COST_OF_A_LATE_ONE,
    NOWHERE,
    Block,
    Covered,
    Held,
    Hit,
    Piece,
    fragments,
    last_ones,
    runs_of,
)
from mcpguard.core.redaction.held.chains import SeparatedRuns, separated, shards, without_parts
from mcpguard.core.redaction.held.disguise import HeldForm, anchor, needles
from mcpguard.core.redaction.held.fragments import UnguessablePiece, cores, single, stretches
from mcpguard.core.redaction.held.guessing import FEWEST_DIGITS, guessed
from mcpguard.core.redaction.held.parts import parts
from mcpguard.core.redaction.held.payloads import payloads
from mcpguard.core.redaction.held.reduced import (
    RUNS,
    SENTENCES,
    SKELETON,
    SLICE,
    ReducedText,
    capitals_in,
    letters_in,
    locate,
    skeleton_of,
)
from mcpguard.core.redaction.held.sampled import Sampled, may_be_sampled
from mcpguard.core.redaction.held.scattered import ScatteredLetters, scattered, signs
from mcpguard.core.secret import Secret

SHORTEST = 6
"""Characters. Anything shorter occurs in ordinary text by chance."""

LONGEST = 16_384
"""Characters. A longer value would make a set of patterns that takes seconds to compile."""

_JOINED = 64
_BACKSLASH = ord("\\")
_PROBE = 24
"""Bytes at the end of a form that are searched for: longer literals take longer to compile, and forms of one
value end alike."""
_AT_ONCE = 8_192
"""Literals. Hyperscan takes more than twice as long for twice as many."""
_MANY = 4 * _AT_ONCE
"""Ends of forms and blocks of cores, of which there is one for some bytes. More are not compiled: to search
for these takes as long as to look at every fourth place."""
_FOR_A_BLOCK = 5


def mark_of(secret: Secret, key: bytes) -> bytes:
    """HMAC-SHA256 of the value under `key`: equal values have equal marks."""
    return hmac.digest(key, secret.reveal().encode("utf-8", "surrogatepass"), "sha256")


def held(name: str, kind: str, secret: Secret, mark: bytes) -> Held:
    """Prepare a value to be searched for. Takes some 0.5 ms for a token.

    Raises CredentialError, naming `name`, for a value that cannot be guarded.
    """
    value = secret.reveal()
    if fault := unguardable(value):
        raise CredentialError(f"{name}: the value {fault}")
    members = parts(value)
    texts = value, *members
    random = [*stretches(texts), *payloads(texts)]
    whole = without_parts(cores(random))
    return Held(
        kind,
        mark,
        tuple(needles(value, members)),
        (
            *whole,
            *without_parts(shards(whole)),
            *dict.fromkeys(scattered(random)),
            *dict.fromkeys(separated(single(texts))),
        ),
        tuple(found for found in map(anchor, members or (value,)) if found is not None),
        guessed(value, members),
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


_Forms = dict[bytes, tuple[list[Held], HeldForm]]
"""By pattern, a form and the values that have it."""
_Ends = dict[int, _Forms]
"""By their length, the forms that end alike."""
_What = _Ends | Block | None
"""What a literal leads to: forms, of which one may be there, a block, or an anchor."""
_Visit = Callable[[_What, int], object]
"""Gets what is met and where it ends in the text. A true answer ends the search."""


class _Table:
    """The forms of some values that are searched for in one kind of text, the blocks of their pieces, their
    anchors, and what searches for all of them."""

    __slots__ = ("matchers", "sampled")

    def __init__(
        self,
        forms: _Forms,
        pieces: Sequence[tuple[Held, Piece]],
        anchors: Iterable[bytes],
        made: Callable[[Sequence[bytes]], Matcher],
    ) -> None:
        ends: dict[bytes, _Ends] = {}
        for pattern, form in forms.items():
            ends.setdefault(pattern[-_PROBE:], {}).setdefault(len(pattern), {})[pattern] = form
        self.sampled: Sampled[_Ends] | None = None
        """What finds most of it, where it is very much."""
        cores = [(value, piece) for value, piece in pieces if type(piece) is UnguessablePiece]
        if len(ends) + sum(len(core.text) for _, core in cores) // _FOR_A_BLOCK > _MANY:
            self.sampled = Sampled({end: ends.pop(end) for end in [*filter(may_be_sampled, ends)]}, cores)
            pieces = [one for one in pieces if type(one[1]) is not UnguessablePiece]
        blocks: dict[bytes, Block] = {}
        for value, piece in pieces:
            for block, at in piece.blocks():
                (blocks.get(block) or blocks.setdefault(block, Block(len(block)))).add((value, piece, at))
        led: list[tuple[bytes, _What]] = [
            *ends.items(),
            *blocks.items(),
            *((one, None) for one in anchors),
        ]
        some = [led[at : at + _AT_ONCE] for at in range(0, len(led), _AT_ONCE)]
        self.matchers = [(made([one for one, _ in each]), [what for _, what in each]) for each in some]
        """What searches for the literals, each with what they lead to."""

    def _searches(self) -> Iterator[Callable[[bytes, _Visit], bool]]:
        for matcher, led in self.matchers:
            yield partial(_search, matcher, led)
        if self.sampled is not None:
            yield self.sampled.search

    def found(self, text: bytes, of: ReducedText) -> bool:
        """Whether a form or a fragment is in `text`, which is one `of` a whole."""
        return any(search(text, partial(self._is_hit, of, text)) for search in self._searches())

    def _is_hit(self, of: ReducedText, text: bytes, what: _What, end: int) -> bool:
        if type(what) is dict:
            return bool(_forms_at(what, text, end))
        if type(what) is not Block:
            of.near = True
            return False
        for _, places in what.alike(text, end):
            for (_, core, _), runs in runs_of(places, text, end):
                of.attempts -= core.cost(len(runs))
                if of.attempts < 0 or runs:
                    return True
        return False

    def hits(self, text: bytes, of: ReducedText, budget: Budget) -> list[Hit]:
        """Where each form and each fragment is in `text`, which is one `of` a whole, each with one of the
        values that have it. Raises InspectionError where `budget` is used up."""
        hits: list[Hit] = []
        late: list[tuple[Block, int]] = []
        seen: set[Block] = set()

        def visit(what: _What, end: int) -> None:
            if type(what) is dict:
                for values, needle in _forms_at(what, text, end):
                    budget.hit()
                    hits.append((end - len(needle.pattern), end, values[0], needle))
            elif type(what) is not Block:
                of.near = True
            elif what.mark is None and what.are_many():
                budget.trigger(COST_OF_A_LATE_ONE)
                late.append((what, end))
            else:
                hits.extend(fragments(what, text, end, covered, budget, what in seen))
                seen.add(what)

        for matcher, led in self.matchers:
            covered = Covered()
            matcher.search(text, _but_for(covered, led, seen, visit))
        if self.sampled is not None:
            covered = Covered()
            self.sampled.search(text, visit)
        return [*hits, *last_ones(late, hits, text, budget)] if late else hits

    def forms(self, text: bytes, of: ReducedText, budget: Budget) -> list[tuple[bytes, list[Held]]]:
        """Each form in `text`, and all values that have it; of a fragment, what any that counts has in it.
        Raises InspectionError where `budget` is used up."""
        made: list[tuple[bytes, list[Held]]] = []
        seen: set[Block] = set()

        def visit(what: _What, end: int) -> None:
            if type(what) is dict:
                for values, needle in _forms_at(what, text, end):
                    budget.hit()
                    made.append((needle.pattern, values))
                return
            if type(what) is not Block:
                of.near = True
                return
            for shared, places in what.alike(text, end):
                for (_, core, _), runs in runs_of(places, text, end):
                    budget.trigger(core.cost(len(runs)) if what in seen else 1)
                    if runs:
                        values = [value for value, _, _ in places]
                        keys = [shared] if shared else core.said(text, runs, end)
                        made.extend((key, values) for key in keys)
            seen.add(what)

        for search in self._searches():
            search(text, visit)
        return made


def _search(matcher: Matcher, led: Sequence[_What], text: bytes, visit: _Visit) -> bool:
    return matcher.search(text, lambda index, _from, end, _flags, _text: visit(led[index], end))


def _but_for(covered: Covered, led: Sequence[_What], seen: set[Block], visit: _Visit) -> Visit:
    """What visits all that is met but for blocks that are `covered`, as most are where a value is."""
    last, chain = covered.last, covered.chain

    def see(index: int, _from: int, end: int, _flags: int, _text: bytes) -> None:
        what = led[index]
        if type(what) is Block and (mark := what.mark) is not None:
            # As `Covered.has`, without a call for each.
            first, stop = last.get(mark, NOWHERE)
            if not first < end <= stop and what.leads_on:
                first, stop = chain.get(mark, NOWHERE)
            if first < end <= stop:
                seen.add(what)
                return
        visit(what, end)

    return see


def _forms_at(ends: _Ends, text: bytes, end: int) -> list[tuple[list[Held], HeldForm]]:
    """The forms that end at `end` of `text`, of those that end alike."""
    return [form for size, known in ends.items() if (form := known.get(text[end - size : end]))]


class HeldSet:
    """An immutable set of held values; any number of threads may search with it. `made` is what searches."""

    __slots__ = ("_always", "_exact", "_has_more", "_loose", "_made", "_signs", "_values")

    def __init__(
        self, values: Iterable[Held], made: Callable[[Sequence[bytes]], Matcher] = compile_literals
    ) -> None:
        self._values = tuple(values)
        self._made = made
        self._always = any(b"" in value.anchors for value in self._values)
        self._signs = b"", b""
        self._has_more = False
        self._loose: _Table | None = None
        self._exact: _Table | None = None

    def __bool__(self) -> bool:
        return bool(self._values)

    def prepare(self) -> tuple[_Table, _Table]:
        """Compile what is searched with, so that no search has to."""
        loose: _Forms = {}
        exact: _Forms = {}
        pieces: list[tuple[Held, Piece]] = []
        anchors = {anchor for value in self._values for anchor in value.anchors}
        seen: set[bytes] = set()
        for value in self._values:
            for needle in value.needles:
                (loose if needle.loose else exact).setdefault(needle.pattern, ([], needle))[0].append(value)
            # A value that several servers have is looked at once.
            pieces += [(value, piece) for piece in value.cores if value.mark not in seen]
            seen.add(value.mark)
        self._signs = signs(
            core for value in self._values for core in value.cores if type(core) is ScatteredLetters
        )
        exact_pieces = [one for one in pieces if type(one[1]) is SeparatedRuns]
        pieces = [one for one in pieces if type(one[1]) is not SeparatedRuns]
        self._exact = _Table(exact, exact_pieces, (), self._made)
        self._loose = _Table(loose, pieces, anchors - {b""}, self._made)
        self._has_more = bool(exact or exact_pieces) or self._loose.sampled is not None
        return self._loose, self._exact

    def may_be_in(self, padded: bytes, skeleton: bytes, several: bool = False) -> bool:
        """Whether `padded`, with this `skeleton`, has a literal that may lead to something, or base64 that
        may be wrapped: hardly any text has, so that to ask this first is faster. Where it is `several` texts,
        one of them may have rows."""
        loose, exact = self._loose, self._exact
        if loose is None or exact is None:
            loose, exact = self.prepare()
        # A search for one byte costs a tenth of one for two, and for a number an eighth of one for bytes.
        if self._always or (_BACKSLASH in padded and b"\\n" in padded):
            return True
        # `share_of`, which would be a call.
        share = 0.0 if several else (len(skeleton) - len(PAD)) / (len(padded) - len(PAD) + 1)
        capitals, letters = self._signs
        rows = share < RUNS and _has_one(padded, capitals), share < SENTENCES and _has_one(skeleton, letters)
        if len(padded) < SLICE:
            # One search is faster than several.
            texts: Iterable[bytes] = (
                (b"".join(_searched(padded, skeleton, *rows)),) if any(rows) else (skeleton,)
            )
        else:
            texts = _searched(padded, skeleton, *rows)
        for text in texts:
            for matcher, _ in loose.matchers:
                if matcher.search(text, stop):
                    return True
        return self._has_more and self._may_have_more(padded, skeleton)

    def _may_have_more(self, padded: bytes, skeleton: bytes) -> bool:
        """The same for what hardly any set has: forms that are too short for a skeleton, and very many."""
        loose, exact = self._tables()
        for table, text in (loose, skeleton), (exact, padded):
            if table.sampled is not None and table.sampled.may_be_in(text):
                return True
        return any(matcher.search(padded, stop) for matcher, _ in exact.matchers)

    def found(self, text: ReducedText) -> bool:
        """Whether any held value is in `text` in any form, or a fragment of one."""
        loose, exact = self._tables()
        if (
            loose.found(text.skeleton, text)
            or exact.found(text.padded, text)
            or loose.found(text.spread, text)
        ):
            return True
        unescaped = self._unescaped(text)
        return unescaped is not None and loose.found(unescaped, text)

    def spans(self, text: ReducedText, budget: Budget) -> list[Span]:
        """Every stretch of `text` that is a form of a held value, in order, widened to all of it. Raises
        InspectionError where `budget` is used up."""
        loose, exact = self._tables()
        found = exact.hits(text.padded, text, budget)
        found += _placed(loose.hits(text.skeleton, text, budget), partial(locate, text.padded))
        unescaped = self._unescaped(text)
        if unescaped is not None:
            found += _placed(loose.hits(unescaped, text, budget), text.places)
        if not found:  # A value that stands there in another form has all of its letters there too.
            found = _placed(loose.hits(text.spread, text, budget), text.sources)
        padded = text.padded
        spans = [Span(*form.widen(padded, s, e), value.kind, value.mark) for s, e, value, form in found]
        return _joined(padded, sorted(spans))

    def forms(self, text: ReducedText, budget: Budget) -> Iterator[tuple[bytes, list[Held]]]:
        """Each form that is in `text`, and all values that have it. Raises InspectionError where `budget` is
        used up."""
        loose, exact = self._tables()
        yield from exact.forms(text.padded, text, budget)
        yield from loose.forms(text.skeleton, text, budget)
        yield from loose.forms(text.spread, text, budget)
        unescaped = self._unescaped(text)
        if unescaped is not None:
            yield from loose.forms(unescaped, text, budget)

    def _unescaped(self, text: ReducedText) -> bytes | None:
        text.near = text.near or self._always
        return text.unescaped

    def _tables(self) -> tuple[_Table, _Table]:
        if self._loose is None or self._exact is None:
            return self.prepare()
        return self._loose, self._exact


def found_in(sets: Sequence[HeldSet], padded: bytes) -> bool:
    """Whether any value of these is in `padded`, which ends in PAD, in any form."""
    if not sets:
        return False
    # As `skeleton_of` does, on the road of every answer.
    skeleton = skeleton_of(padded) if len(padded) > SLICE else padded.translate(*SKELETON)
    text: ReducedText | None = None
    for one in sets:
        if one.may_be_in(padded, skeleton):
            text = text or ReducedText(padded, False, skeleton)
            if one.found(text):
                return True
    return False


def _searched(padded: bytes, skeleton: bytes, capitals: bool, letters: bool) -> Iterator[bytes]:
    """What is searched of a text: one at a time, since each is up to as much as the text."""
    yield skeleton
    if capitals:
        yield capitals_in(padded)
    if letters:
        yield letters_in(skeleton)


def _has_one(text: bytes, of: bytes) -> bool:
    for one in of:  # noqa: SIM110 - a generator takes as long as the search
        if one in text:
            return True
    return False


def _placed(hits: list[Hit], places: Callable[[list[int]], dict[int, int]]) -> list[Hit]:
    if not hits:
        return []
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
    return len(gap) <= _JOINED and not skeleton_of(gap)
