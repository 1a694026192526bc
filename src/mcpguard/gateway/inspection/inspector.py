"""INSPECT: where a value becomes one that may leave; small ones at once, and together with what came in the
same turn, big ones in a thread.

Law of this file: what cannot be inspected does not leave.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

from mcpguard.core.advised import completed, completed_in
from mcpguard.core.errors import InspectionError
from mcpguard.core.model import Json, Redacted
from mcpguard.core.redaction.redactor import AT_ONCE, Redactor, TooMuchAtOnce, authored
from mcpguard.gateway.flight import Wait
from mcpguard.protocol import refusals
from mcpguard.protocol.jsonrpc import REFUSED

INLINE_BYTES = 64 * 1024
"""Above this a hop to a thread (50-80 microseconds) costs less than the scan holds up the others. Where there
may be something to remove the same holds from AT_ONCE on."""

CROWDED = 256 * 1024
"""Bytes of one server that are inspected elsewhere, above which that server is not read."""

FULL = 64 * 1024 * 1024
"""Bytes of all servers, above which the client is not read either."""

TEXT = 64 * 1024
"""Characters of a line, a name or a message of an error that are shown at most."""

EMPTY = authored({})
"""The empty result, and the params of a notification that has none."""

T = TypeVar("T")
Sealed = tuple[Redacted, str]
AfterRedaction = Callable[[Redacted], Redacted]
Offload = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Does the work in a thread."""


class InspectionBatch:
    """What came in one turn, inspected together: nearly always there is nothing in any of it. Whoever waits
    is resumed at the end of the same turn, in the order of asking, and what is not certainly clean is left to
    them. One per process. The turn sets `several`, and calls `settle` while something is `pending`."""

    def __init__(self, redactor: Redactor) -> None:
        self.several = False
        """Whether this message is small, and enough came in its turn to inspect them together."""
        self.pending: list[tuple[Json, bool, Wait[Redacted | None]]] = []
        self._redactor = redactor

    def clean(self, value: Json, sent: bool = True) -> Wait[Redacted | None]:
        """What `Redactor.inspect` gives for `value` if it is certainly clean, else None; `sent` as there."""
        wait: Wait[Redacted | None] = Wait()
        self.pending.append((value, sent, wait))
        return wait

    def settle(self) -> None:
        """Inspect what is pending, and resume whoever waits."""
        pending, self.pending = self.pending, []
        found = self._redactor.inspect_several([(value, sent) for value, sent, _ in pending])
        for (_, _, wait), one in zip(pending, found, strict=True):
            wait.set(one)


class Inspector:
    """Inspects and digests. Raises InspectionError where the whole value must be withheld."""

    def __init__(
        self,
        redactor: Redactor,
        offload: Offload,
        together: InspectionBatch | None = None,
        option: Callable[[], str] = str,
        strain: Callable[[], None] = lambda: None,
    ) -> None:
        """`together` is that of the process; without it everything is inspected alone. `option` as in
        `advised.completed`. `strain()` has flow control look whether a server is `crowded`."""
        self.waiting = 0
        """Bytes that are being inspected elsewhere: they are not sent yet, so they count as unsent."""
        self.redactor = redactor
        self.together = together or InspectionBatch(redactor)
        self._of: dict[str, int] = {}
        self._offload = offload
        self._option = option
        self._strain = strain

    @property
    def full(self) -> bool:
        """Whether so much is inspected elsewhere that nothing more should come."""
        return self.waiting > FULL

    def crowded(self, server: str) -> bool:
        """Whether much of what `server` sent is inspected elsewhere, so that no more of it should come."""
        return self._of.get(server, 0) > CROWDED

    async def seal(
        self,
        value: Json,
        size: int,
        also: tuple[str, ...] = (),
        then: AfterRedaction | None = None,
        *,
        server: str = "",
    ) -> Sealed:
        """The inspected value and the sha256 (hex) of its payload; `size` is in bytes on the wire, and
        `server` is who sent it. `then` gets a value from which something was removed, and gives what leaves.
        """
        if size <= INLINE_BYTES:
            try:
                return self._sealed(self.redactor.inspect(value, also, AT_ONCE), then)
            except TooMuchAtOnce as much:
                size = max(size, *much.args)
        return await self.elsewhere(partial(self.seal_now, value, also, then), size, server)

    def seal_now(self, value: Json, also: tuple[str, ...] = (), then: AfterRedaction | None = None) -> Sealed:
        """As `seal`, in this thread."""
        return self._sealed(self.redactor.inspect(value, also), then)

    def _sealed(self, redacted: Redacted, then: AfterRedaction | None) -> Sealed:
        if then is not None and redacted.changed:
            redacted = then(redacted)
        return redacted, sha256(redacted.payload).hexdigest()

    async def apart(self, work: Callable[[], T], size: int) -> T:
        """What `work` makes of something of `size` bytes, in a thread where that is much."""
        if size <= INLINE_BYTES:
            return work()
        return await self.elsewhere(work, size)

    async def elsewhere(self, work: Callable[[], T], size: int, server: str = "") -> T:
        """The same for what takes long, however small it is; `server` is whose it is."""
        with self.kept(size, server):
            made: T = await self._offload(work)
        return made

    @contextmanager
    def kept(self, size: int, server: str) -> Iterator[None]:
        """In the block `size` bytes of `server` are not sent yet, so that it may have to wait."""
        self._strain()
        self.waiting += size
        self._of[server] = self._of.get(server, 0) + size
        try:
            yield
        finally:
            self.waiting -= size
            self._of[server] -= size

    def ours(self, value: Json) -> Redacted:
        """What we wrote around a name or a sentence that came from elsewhere; never raises."""
        try:
            return self.redactor.inspect(completed_in(value, self._option))
        except InspectionError:
            return authored(refusals.error(REFUSED, "refused by mcpguard"))

    def advice(self, text: str) -> str:
        """A sentence of ours, with commands that work as they stand."""
        return completed(text, self._option)

    def text(self, text: str) -> str:
        """A line of text that is not a message: an upstream's stderr, a name in a record. No more of it than
        TEXT."""
        return self.redactor.inspect_text(text[:TEXT])
