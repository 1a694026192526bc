"""The values that mcpguard holds, found wherever they appear: in the clear, cut up or encoded.

Law of this file: nothing else in `core/` calls `Secret.reveal()`, and nothing here keeps a value in a form
that can be printed. What an encoder leaves in place is what is searched for: a text without its
punctuation and case (its skeleton) against the skeletons of all encodings of each value, computed once.
So nothing is ever decoded, and line breaks, spacing, quoting and case do not matter.

`Holding.hold` returns when the value is searched for, and not before. What it takes to prepare that is done
by whoever holds, so that who inspects never waits for it. The values of long ago and the newest few are two
sets, and only the small one is rebuilt for each new value.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from threading import Lock

from msgspec import Struct

from mcpguard.core.errors import CredentialError
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.disguise import SKELETON, Needle, locate, needles, skeleton
from mcpguard.core.redaction.matching import Matcher, Span, compile_literals
from mcpguard.core.secret import Secret

SHORTEST = 6
"""Characters. Anything shorter occurs in ordinary text by chance."""

LONGEST = 16_384
"""Characters. A longer value would make a set of patterns that takes seconds to compile."""

_JOINED = 64


class Held(Struct, frozen=True):
    """One held value under one name. `mark` identifies the value to who has the key only."""

    kind: str
    mark: bytes
    needles: tuple[Needle, ...]

    def __repr__(self) -> str:
        return f"<Held {self.kind}>"


def mark_of(secret: Secret, key: bytes) -> bytes:
    """HMAC-SHA256 of the value under `key`: equal values have equal marks."""
    return hmac.digest(key, secret.reveal().encode("utf-8", "surrogatepass"), hashlib.sha256)


def held(name: str, kind: str, secret: Secret, mark: bytes) -> Held:
    """Prepare a value to be searched for. Takes some 0.3 ms for a token.

    Raises CredentialError, naming `name`, for a value that cannot be guarded.
    """
    value = secret.reveal()
    if len(value) < SHORTEST:
        raise CredentialError(
            f"{name}: the value is too short to be distinguished from ordinary text (at least {SHORTEST} "
            "characters)"
        )
    if len(value) > LONGEST:
        raise CredentialError(f"{name}: the value is too long to be redacted (at most {LONGEST} characters)")
    return Held(kind, mark, tuple(needles(value)))


def _stop(_index: int, _start: int, _end: int, _flags: int, _padded: bytes) -> bool:
    return True


class HeldSet:
    """An immutable set of held values; any number of threads may search with it."""

    __slots__ = ("_exact", "_exact_matcher", "_loose", "_loose_matcher", "_shared")

    def __init__(self, values: Iterable[Held]) -> None:
        loose: dict[bytes, tuple[Held, Needle]] = {}
        exact: dict[bytes, tuple[Held, Needle]] = {}
        shared: dict[bytes, list[Held]] = {}
        for value in values:
            for needle in value.needles:
                first, _ = (loose if needle.loose else exact).setdefault(needle.pattern, (value, needle))
                if first is not value:
                    shared.setdefault(needle.pattern, []).append(value)
        self._loose = list(loose.values())
        self._exact = list(exact.values())
        self._shared = shared
        self._loose_matcher: Matcher | None = None
        self._exact_matcher: Matcher | None = None

    def __bool__(self) -> bool:
        return bool(self._loose or self._exact)

    def prepare(self) -> None:
        """Compile what is searched with, so that no search has to."""
        if self._loose:
            self._compile()
        if self._exact:
            self._compile_exact()

    def found(self, padded: bytes) -> bool:
        """Whether any held value is in `padded` (which ends in PAD) in any form."""
        if self._loose:
            matcher = self._loose_matcher or self._compile()
            if matcher.search(padded.translate(*SKELETON), _stop):
                return True
        if self._exact:
            matcher = self._exact_matcher or self._compile_exact()
            return matcher.search(padded, _stop)
        return False

    def spans(self, padded: bytes, budget: Budget | None = None) -> list[Span]:
        """Every stretch of `padded` that is a form of a held value, in order, widened to all of it. Raises
        InspectionError where `budget`, by default one for `padded` alone, is used up."""
        budget = budget or Budget(len(padded))
        hits: list[tuple[int, int, Held, Needle]] = []
        if self._loose:
            view = skeleton(padded)
            found = _hits(self._loose_matcher or self._compile(), view, self._loose, budget)
            places = locate(padded, sorted({at for s, e, _, _ in found for at in (s, e - 1)}))
            hits += [(places[s], places[e - 1] + 1, value, needle) for s, e, value, needle in found]
        if self._exact:
            hits += _hits(self._exact_matcher or self._compile_exact(), padded, self._exact, budget)
        spans = [Span(*needle.widen(padded, s, e), value.kind, value.mark) for s, e, value, needle in hits]
        return _joined(padded, sorted(spans))

    def marks(self, padded: bytes, budget: Budget) -> dict[bytes, set[bytes]]:
        """By each form that is in `padded`, the marks of all values that have it."""
        found: dict[bytes, set[bytes]] = {}
        hits: list[tuple[int, int, Held, Needle]] = []
        if self._loose:
            hits += _hits(self._loose_matcher or self._compile(), skeleton(padded), self._loose, budget)
        if self._exact:
            hits += _hits(self._exact_matcher or self._compile_exact(), padded, self._exact, budget)
        for _start, _end, value, needle in hits:
            others = self._shared.get(needle.pattern, ())
            found[needle.pattern] = {value.mark, *[other.mark for other in others]}
        return found

    def _compile(self) -> Matcher:
        self._loose_matcher = compile_literals([n.pattern for _, n in self._loose])
        return self._loose_matcher

    def _compile_exact(self) -> Matcher:
        self._exact_matcher = compile_literals([n.pattern for _, n in self._exact])
        return self._exact_matcher


def _hits(
    matcher: Matcher, padded: bytes, table: Sequence[tuple[Held, Needle]], budget: Budget
) -> list[tuple[int, int, Held, Needle]]:
    hits: list[tuple[int, int, Held, Needle]] = []

    def visit(index: int, _start: int, end: int, _flags: int, _padded: bytes) -> None:
        budget.hit()
        value, needle = table[index]
        hits.append((end - len(needle.pattern), end, value, needle))

    matcher.search(padded, visit)
    return hits


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


RECENT = 16
"""So many new values are a set of their own; then all are one. Preparing takes some 2.5 ms for each."""
FORMER = 256
"""So many values that are in use no more stay held; an older one could come back only from who kept it for
longer than all of those lasted."""

Key = tuple[str, bytes]
"""The name of a value and its mark."""


class Holding:
    """All values that are held, over the life of a process in which they come and go. Any number of threads
    may use it at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._preparing = Lock()
        self._values: dict[Key, Held] = {}
        self._former: dict[Key, None] = {}
        self._settled: dict[Key, Held] = {}
        self._sets = (HeldSet(()), HeldSet(()))
        self.busy: tuple[HeldSet, ...] = ()
        """What has to be searched for."""
        self._searched: frozenset[Key] = frozenset()

    def has(self, key: Key) -> bool:
        """Whether it is searched for; if it was let go of, it is in use again."""
        if key not in self._searched:
            return False
        with self._lock:
            self._former.pop(key, None)
            return key in self._values

    def hold(self, key: Key, kind: str, secret: Secret) -> None:
        """Search for this value from now on. Raises CredentialError for one that cannot be guarded."""
        value = held(key[0], kind, secret, key[1])
        with self._lock:
            self._values[key] = value
            self._former.pop(key, None)
        with self._preparing:
            if key not in self._searched:
                self._prepare()

    def release(self, key: Key) -> None:
        """It is in use no more. It stays held, until there are FORMER newer ones like it."""
        with self._lock:
            if key in self._values:
                self._former.pop(key, None)
                self._former[key] = None
            while len(self._former) > FORMER:
                oldest = next(iter(self._former))
                del self._former[oldest], self._values[oldest]
                self._searched -= {oldest}

    def found(self, padded: bytes) -> bool:
        """Whether any held value is in `padded` (which ends in PAD) in any form."""
        for one in self.busy:  # noqa: SIM110 - a generator costs each inspection as much as the search
            if one.found(padded):
                return True
        return False

    def strays(self, padded: bytes, names: frozenset[str], budget: Budget) -> set[str]:
        """The names of the held values of which a form is in `padded`, without the forms of a value that has
        one of `names` too. Raises InspectionError where `budget` is used up."""
        found: dict[bytes, set[bytes]] = {}
        for one in self._sets:
            for form, marks in one.marks(padded, budget).items():
                found.setdefault(form, set()).update(marks)
        if not found:
            return set()
        with self._lock:
            keys = list(self._values)
        named = [{name for name, mark in keys if mark in marks} for marks in found.values()]
        return set().union(*[each for each in named if each.isdisjoint(names)])

    def spans(self, padded: bytes, budget: Budget) -> list[Span]:
        """Every stretch of `padded` that is a form of a held value, in order."""
        settled, recent = (one.spans(padded, budget) for one in self._sets)
        return sorted(settled + recent)

    def _prepare(self) -> None:
        with self._lock:
            values = dict(self._values)
        recent = {key: value for key, value in values.items() if key not in self._settled}
        settled, searching = self._sets[0], self._settled
        if len(recent) > RECENT:
            settled, searching, recent = HeldSet(values.values()), values, {}
            settled.prepare()
        newest = HeldSet(recent.values())
        newest.prepare()
        self._sets = settled, newest
        self.busy = tuple(one for one in self._sets if one)
        self._settled = searching
        with self._lock:
            self._searched = frozenset(values.keys() & self._values.keys())
