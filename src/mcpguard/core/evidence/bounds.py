"""How much evidence one session may make: what it is given a minute, and what refusals beyond that become.

Law of this file: nothing is lost without a number. A refusal that is not on record by itself is counted in a
record, with a digest that its id went into; arguments that are left out leave their digest and their length.
"""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

from msgspec import Struct

from mcpguard.core.evidence.records import Decided, FoldedRecords, Noticed, Outcome, Record

REFUSALS_A_MINUTE = 60
"""Refusals of a session that are recorded one by one, in the long run."""
ARGUMENTS_A_MINUTE = 1024 * 1024
"""Bytes of arguments of a session that are recorded, in the long run; refused and allowed requests apart."""
MINUTES = 4
"""An allowance that was not used adds up to this many minutes of it."""
SMALL = 1024
"""Bytes of arguments of an allowed request that are always recorded: its two records are no smaller."""
MOST_KINDS = 20
"""Kinds of refusals that one record tells apart."""
NOTICES = frozenset(
    ("message-refused", "notification-redacted", "notification-neutralised", "notification-withheld")
)
"""Notices of what a client or a server can repeat as often as it wants."""
LISTS = frozenset(
    (
        "logging/setLevel", "prompts/list", "resources/list", "resources/templates/list",
        "subscriptions/listen", "tasks/list", "tools/list",
    )
)  # fmt: skip
"""Methods that no rule is asked about and that change nothing. Each request that is sent to a server because
of one is on record and has an allowance in EvidenceRoom.asks; subscriptions are decided by policy."""
NO_CALLS = LISTS | {"initialize", "server/discover"}
"""What is not counted where calls are: no rule is asked about lists and greetings, and they take as long as
servers take to start."""
Countable = Decided | Noticed | Outcome
"""What may be counted and not recorded."""
OTHERS = "others"
"""The kind of all that are of no kind among the first MOST_KINDS."""


class BoundTerms(Struct, frozen=True):
    """What a session may leave a minute; 0 for no bound."""

    refusals: int = REFUSALS_A_MINUTE
    arguments: int = ARGUMENTS_A_MINUTE


UNCHANGED = BoundTerms()
"""The defaults."""


class Allowance:
    """An amount per minute; what is not used is kept, up to MINUTES of it. 0 is unlimited."""

    def __init__(self, a_minute: float) -> None:
        self._a_second = a_minute / 60
        self._most = self._left = a_minute * MINUTES
        self._at: float | None = None

    def take(self, amount: float, now: float) -> bool:
        """Whether this much is left at `now`, in seconds of a monotonic clock; it is used up then."""
        if not self._most:
            return True
        if self._at is not None:
            self._left = min(self._most, self._left + (now - self._at) * self._a_second)
        self._at = now
        if amount > self._left:
            return False
        self._left -= amount
        return True


class EvidenceRoom:
    """What a session may still add to the evidence: bytes of arguments (of allowed requests those above
    SMALL) and requests that are sent to its servers without a rule. Refusals cost a client nothing, so they
    do not use up the allowance of allowed requests."""

    def __init__(
        self,
        terms: BoundTerms = UNCHANGED,
        cut: Callable[[], None] = lambda: None,
        unasked: Callable[[], None] = lambda: None,
    ) -> None:
        """`cut()` is called for each allowed request whose arguments are not recorded, `unasked()` for each
        request that is not sent to a server."""
        self._cut = cut
        self._unasked = unasked
        self._allowed = Allowance(terms.arguments)
        self._refused = Allowance(terms.arguments)
        self._a_minute = terms.refusals
        self._servers: dict[str, Allowance] = {}

    def take(self, size: int, is_allowed: bool, now: float) -> bool:
        """Whether arguments of `size` bytes are recorded now."""
        if not is_allowed:
            return self._refused.take(size, now)
        if self._allowed.take(size, now):
            return True
        self._cut()
        return False

    def asks(self, server: str, now: float) -> bool:
        """Whether a request that no rule decides about may be sent to `server`: each leaves two records."""
        if self._servers.setdefault(server, Allowance(self._a_minute)).take(1, now):
            return True
        self._unasked()
        return False


class RefusalFolding:
    """Refusals that become one record."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = sha256()
        self._kinds: dict[str, int] = {}
        self._since = self._until = datetime.min
        self._first = self._last = ""

    def add(self, record: Decided | Noticed) -> None:
        """Count it too."""
        if not self.count:
            self._since, self._first = record.at, record.id
        self.count += 1
        self._until, self._last = record.at, record.id
        args = record.args if isinstance(record, Decided) else ""
        self._digest.update(f"{record.id} {args}\n".encode("utf-8", "surrogatepass"))
        kind = _kind(record)
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            kind = OTHERS
        self._kinds[kind] = self._kinds.get(kind, 0) + 1

    def folded(self) -> FoldedRecords:
        """What stands for all of them."""
        return FoldedRecords(
            self.count,
            self._since,
            self._until,
            self._first,
            self._last,
            self._digest.hexdigest(),
            self._kinds,
        )


def lists(record: Record) -> bool:
    """Whether it is the decision of a request of a client that mcpguard itself answers (LISTS)."""
    return (
        isinstance(record, Decided)
        and record.effect == "allow"
        and not record.server
        and record.method in LISTS
    )


def folds(record: Record) -> bool:
    """Whether it may become part of another record: nothing was done because of it, and whoever caused it can
    cause it again at once."""
    if isinstance(record, Decided):
        return record.effect != "allow" or lists(record)
    return isinstance(record, Noticed) and record.what in NOTICES


def folded_about(folded: FoldedRecords, *names: str) -> int:
    """How many of them are of kinds in which all these names are; "" is in each."""
    wanted = set(names) - {""}
    return sum(count for kind, count in folded.kinds.items() if wanted <= set(kind.split(" ")))


def only_counted(count: int) -> str:
    """What a reader of evidence says of this many folded refusals."""
    said = "refusal was" if count == 1 else "refusals were"
    return f"and {count:,} more {said} only counted (refusals-folded)"


def _kind(record: Decided | Noticed) -> str:
    """Without what a client makes up: a name that no server lists is not in it."""
    if isinstance(record, Noticed):
        return " ".join(filter(None, (record.what, record.server)))
    about = record.server and record.tool
    why = record.rules[0] if record.rules else record.cause or record.effect
    return " ".join(filter(None, (record.method, record.server, about, why)))
