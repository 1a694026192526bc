"""The values that are held over the life of a process, in which they come and go.

Law of this file: `HeldValues.hold` returns when the values are searched for, and not before: at first as they
are, with what needs no preparing, until a thread has compiled them. So nobody waits for that, and what
comes meanwhile is compiled together. The values of long ago and the newest few are two sets, and mostly
only the small one is compiled.
"""

from collections import Counter
from collections.abc import Iterable
from math import isqrt
from threading import Lock, Thread

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PlainMatcher, Span
from mcpguard.core.redaction.held.blocks import Held
from mcpguard.core.redaction.held.reduced import ReducedText
from mcpguard.core.redaction.held.search import HeldSet, held
from mcpguard.core.secret import Secret
from mcpguard.core.uncollected import uncollected

RECENT = 16
"""How many values that were prepared last are a set of their own; then all are one."""
FEW = 32
"""How many values are always one set, since each set is one more search of each answer; to compile them takes
30 ms."""
FORMER = 256
"""How many values that are in use no more stay held; an older one could come back only from whoever kept it
for longer than all of those lasted."""

GUESSES = 8
"""How often a value that can be guessed may be in one text: more are tries, or a word of any text."""
PREPARING = "held values"
"""The name of the thread that compiles."""

Key = tuple[str, bytes]
"""The name of a value and its mark."""


class HeldValues:
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
        self._guessed: set[bytes] = set()
        self.busy: tuple[HeldSet, ...] = ()
        """What has to be searched for."""

    def has(self, key: Key) -> bool:
        """Whether it is searched for; if it was dropped, it is in use again."""
        with self._lock:
            self._former.pop(key, None)
            return key in self._values

    def hold(self, values: Iterable[tuple[Key, str, Secret]]) -> None:
        """Search for these values from now on: the key of each, its kind and itself. Raises CredentialError
        for one that cannot be guarded; then none of them is held."""
        with uncollected():
            made = {key: held(key[0], kind, secret, key[1]) for key, kind, secret in values}
        with self._lock:
            new = {key: value for key, value in made.items() if key not in self._values}
            for key in made:
                self._former.pop(key, None)
            if not new:
                return
            self._values |= new
            self._fresh |= new
            self._guessed |= {value.mark for value in new.values() if value.guess}
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
                self._guessed.discard(oldest[1])

    def settle(self) -> None:
        """Wait until what is held has been prepared."""
        preparing = self._preparing
        if preparing is not None:
            preparing.join()

    def foreign(self, padded: bytes, names: frozenset[str], budget: Budget) -> set[str]:
        """The names of the held values of which a form is in `padded`, without the forms of a value that has
        one of `names` too. Raises InspectionError where `budget` is used up."""
        found: dict[bytes, list[list[Held]]] = {}
        text = ReducedText(padded, False)
        for one in self.busy:
            for form, values in one.forms(text, budget):
                found.setdefault(form, []).append(values)
        if not found:
            return set()
        with self._lock:
            keys = list(self._values)
        allowed = {mark for name, mark in keys if name in names}
        marks = {frozenset([value.mark for values in each for value in values]) for each in found.values()}
        strays = set[bytes]().union(*[each for each in marks if allowed.isdisjoint(each)])
        return {name for name, mark in keys if mark in strays}

    def spans(self, padded: bytes, budget: Budget) -> list[Span]:
        """Every stretch of `padded` that is a form of a held value, in order. Raises InspectionError where
        `budget` is used up, and for more than GUESSES of one value that can be guessed."""
        text = ReducedText(padded, False)
        spans = sorted({span for one in self.busy for span in one.spans(text, budget)})
        for (mark, kind), count in Counter((span.mark, span.kind) for span in spans).items():
            if count > GUESSES and mark in self._guessed:
                raise InspectionError(f"more than {GUESSES} hits of {kind}")
        return spans

    # --- preparing ---------------------------------------------------------------------------------

    def _publish(self) -> None:
        fresh = HeldSet(self._fresh.values(), PlainMatcher)
        self.busy = tuple(one for one in (*self._sets, fresh) if one)

    def _prepare(self) -> None:
        """Compile all that is fresh, until nothing is. What comes meanwhile is compiled together, so that
        many values take as long as they have forms."""
        try:
            while fresh := self._next():
                with uncollected():
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
        if len(values) <= FEW or len(recent) > max(RECENT, isqrt(2 * len(searching))):
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
