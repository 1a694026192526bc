"""The values that mcpguard holds, found wherever they appear: in the clear, cut up or encoded.

Law of this file: nothing else in `core/` calls `Secret.reveal()`, and nothing here keeps a value in a form
that can be printed. What an encoder leaves in place is what is searched for: a text without its
punctuation and case (its skeleton) against the skeletons of all encodings of each value, computed once.
So nothing is ever decoded, and line breaks, spacing, quoting and case do not matter.

`Holding.hold` returns when the values are searched for, and not before: at first as they are, with what
needs no preparing, until a thread has compiled them. So nobody waits for that, and what comes meanwhile is
compiled together. The values of long ago and the newest few are two sets, and mostly only the small one is
compiled.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from math import isqrt
from threading import Lock, Thread

from msgspec import Struct

from mcpguard.core.errors import CredentialError
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.disguise import SKELETON, Needle, locate, needles, skeleton
from mcpguard.core.redaction.matching import Matcher, PlainMatcher, Span, compile_literals
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


_Hit = tuple[int, int, Held, Needle]


class _Table:
    """The forms of some values that are searched for in one kind of text, and what searches."""

    __slots__ = ("forms", "matcher")

    def __init__(
        self,
        forms: dict[bytes, tuple[Held, Needle]],
        made: Callable[[Sequence[bytes]], Matcher],
    ) -> None:
        self.forms = list(forms.values())
        self.matcher = made(list(forms)) if forms else None

    def found(self, padded: bytes) -> bool:
        return self.matcher is not None and self.matcher.search(padded, _stop)

    def hits(self, padded: bytes, budget: Budget) -> list[_Hit]:
        """Where each form is. Raises InspectionError where `budget` is used up."""
        hits: list[_Hit] = []

        def visit(index: int, _start: int, end: int, _flags: int, _padded: bytes) -> None:
            budget.hit()
            value, needle = self.forms[index]
            hits.append((end - len(needle.pattern), end, value, needle))

        if self.matcher is not None:
            self.matcher.search(padded, visit)
        return hits


class HeldSet:
    """An immutable set of held values; any number of threads may search with it. `made` is what searches."""

    __slots__ = ("_exact", "_loose", "_made", "_shared", "_values")

    def __init__(
        self, values: Iterable[Held], made: Callable[[Sequence[bytes]], Matcher] = compile_literals
    ) -> None:
        self._values = tuple(values)
        self._made = made
        self._shared: dict[bytes, list[Held]] = {}
        self._loose: _Table | None = None
        self._exact: _Table | None = None

    def __bool__(self) -> bool:
        return bool(self._values)

    def prepare(self) -> tuple[_Table, _Table]:
        """Compile what is searched with, so that no search has to."""
        loose: dict[bytes, tuple[Held, Needle]] = {}
        exact: dict[bytes, tuple[Held, Needle]] = {}
        shared: dict[bytes, list[Held]] = {}
        for value in self._values:
            for needle in value.needles:
                first, _ = (loose if needle.loose else exact).setdefault(needle.pattern, (value, needle))
                if first is not value:
                    shared.setdefault(needle.pattern, []).append(value)
        self._shared = shared
        self._exact = _Table(exact, self._made)
        self._loose = _Table(loose, self._made)
        return self._loose, self._exact

    def found(self, padded: bytes, bones: bytes) -> bool:
        """Whether any held value is in `padded` (which ends in PAD) in any form; `bones` is its skeleton."""
        loose, exact = self._tables()
        return loose.found(bones) or exact.found(padded)

    def spans(self, padded: bytes, bones: bytes, budget: Budget) -> list[Span]:
        """Every stretch of `padded` that is a form of a held value, in order, widened to all of it. Raises
        InspectionError where `budget` is used up."""
        loose, exact = self._tables()
        found = loose.hits(bones, budget)
        places = locate(padded, sorted({at for s, e, _, _ in found for at in (s, e - 1)}))
        hits = [(places[s], places[e - 1] + 1, value, needle) for s, e, value, needle in found]
        hits += exact.hits(padded, budget)
        spans = [Span(*needle.widen(padded, s, e), value.kind, value.mark) for s, e, value, needle in hits]
        return _joined(padded, sorted(spans))

    def marks(self, padded: bytes, bones: bytes, budget: Budget) -> dict[bytes, set[bytes]]:
        """By each form that is in `padded`, the marks of all values that have it."""
        loose, exact = self._tables()
        found: dict[bytes, set[bytes]] = {}
        for _start, _end, value, needle in loose.hits(bones, budget) + exact.hits(padded, budget):
            others = self._shared.get(needle.pattern, ())
            found[needle.pattern] = {value.mark, *[other.mark for other in others]}
        return found

    def _tables(self) -> tuple[_Table, _Table]:
        if self._loose is None or self._exact is None:
            return self.prepare()
        return self._loose, self._exact


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
"""So many values that were prepared last are a set of their own; then all are one."""
FORMER = 256
"""So many values that are in use no more stay held; an older one could come back only from who kept it for
longer than all of those lasted."""

PREPARING = "held values"
"""The name of the thread that compiles."""

Key = tuple[str, bytes]
"""The name of a value and its mark."""


class Holding:
    """All values that are held, over the life of a process in which they come and go. Any number of threads
    may use it at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._values: dict[Key, Held] = {}
        self._former: dict[Key, None] = {}
        self._fresh: dict[Key, Held] = {}
        self._settled: dict[Key, Held] = {}
        self._sets = (HeldSet(()), HeldSet(()))
        self._preparing: Thread | None = None
        self.busy: tuple[HeldSet, ...] = ()
        """What has to be searched for."""

    def has(self, key: Key) -> bool:
        """Whether it is searched for; if it was let go of, it is in use again."""
        with self._lock:
            self._former.pop(key, None)
            return key in self._values

    def hold(self, values: Iterable[tuple[Key, str, Secret]]) -> None:
        """Search for these values from now on: the key of each, its kind and itself. Raises CredentialError
        for one that cannot be guarded; then none of them is held."""
        made = {key: held(key[0], kind, secret, key[1]) for key, kind, secret in values}
        with self._lock:
            new = {key: value for key, value in made.items() if key not in self._values}
            for key in made:
                self._former.pop(key, None)
            if not new:
                return
            self._values |= new
            self._fresh |= new
            self._publish()
            if self._preparing is None:
                self._preparing = Thread(target=self._prepare, name=PREPARING)
                self._preparing.start()

    def release(self, key: Key) -> None:
        """It is in use no more. It stays held, until there are FORMER newer ones like it."""
        with self._lock:
            if key in self._values:
                self._former.pop(key, None)
                self._former[key] = None
            while len(self._former) > FORMER:
                oldest = next(iter(self._former))
                del self._former[oldest], self._values[oldest]

    def settle(self) -> None:
        """Wait until what is held has been prepared."""
        preparing = self._preparing
        if preparing is not None:
            preparing.join()

    def found(self, padded: bytes) -> bool:
        """Whether any held value is in `padded` (which ends in PAD) in any form."""
        busy = self.busy
        if not busy:
            return False
        bones = padded.translate(*SKELETON)
        for one in busy:  # noqa: SIM110 - a generator costs each inspection as much as the search
            if one.found(padded, bones):
                return True
        return False

    def strays(self, padded: bytes, names: frozenset[str], budget: Budget) -> set[str]:
        """The names of the held values of which a form is in `padded`, without the forms of a value that has
        one of `names` too. Raises InspectionError where `budget` is used up."""
        found: dict[bytes, set[bytes]] = {}
        bones = skeleton(padded)
        for one in self.busy:
            for form, marks in one.marks(padded, bones, budget).items():
                found.setdefault(form, set()).update(marks)
        if not found:
            return set()
        with self._lock:
            keys = list(self._values)
        named = [{name for name, mark in keys if mark in marks} for marks in found.values()]
        return set().union(*[each for each in named if each.isdisjoint(names)])

    def spans(self, padded: bytes, budget: Budget) -> list[Span]:
        """Every stretch of `padded` that is a form of a held value, in order."""
        bones = skeleton(padded)
        return sorted(span for one in self.busy for span in one.spans(padded, bones, budget))

    # --- preparing ---------------------------------------------------------------------------------

    def _publish(self) -> None:
        self.busy = tuple(one for one in (*self._sets, HeldSet(self._fresh.values(), PlainMatcher)) if one)

    def _prepare(self) -> None:
        """Compile all that is fresh, until nothing is. What comes meanwhile is compiled together, so that
        many values take as long as they have forms."""
        try:
            while fresh := self._next():
                self._compile(fresh)
        except Exception:
            # They are searched for as they are, and compiled with what comes next.
            with self._lock:
                self._preparing = None

    def _next(self) -> dict[Key, Held]:
        with self._lock:
            if not self._fresh:
                self._preparing = None
            return dict(self._fresh)

    def _compile(self, fresh: dict[Key, Held]) -> None:
        with self._lock:
            values = dict(self._values)
        settled, searching = self._sets[0], self._settled
        recent = {key: value for key, value in values.items() if searching.get(key) is not value}
        if len(recent) > max(RECENT, isqrt(2 * len(searching))):
            settled, searching, recent = HeldSet(values.values()), values, {}
            settled.prepare()
        newest = HeldSet(recent.values())
        newest.prepare()
        with self._lock:
            self._sets, self._settled = (settled, newest), searching
            for key, value in fresh.items():
                if self._fresh.get(key) is value:
                    del self._fresh[key]
            self._publish()
