"""Evidence in files: one append-only chain a process, durable in groups.

Law of this file: what `commit` has acknowledged is in the file, in order and verifiable; what could not
be stored is cut off again and its waits fail. The records of a turn share one write (and one sync).

Where a write fails, everything is refused until a thread can begin a new chain, whose first record holds the
head of the one before as this process knows it, and whose second says what was refused, and why.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mcpguard.adapters.audit.chain_file import (
    DURABLE,
    END_SECONDS,
    ENOUGH,
    GATHER_SECONDS,
    MANY,
    RETRY_SECONDS,
    STALL_SECONDS,
    ChainFile,
    Flying,
    GrowthLimit,
    LineGroup,
    Outage,
    settle,
    successor,
    tell,
)
from mcpguard.adapters.audit.heads import Heads
from mcpguard.adapters.system.disk import HOLD_SECONDS, TRUST_SECONDS, DiskThread
from mcpguard.adapters.system.files import remedy
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.records import Checkpoint, Closed, Decided, Noticed, Opened, Outcome
from mcpguard.gateway.flight import Wait
from mcpguard.gateway.ports import AuditHealth

if TYPE_CHECKING:
    from mcpguard.adapters.audit.bounded import EvidenceBounds
    from mcpguard.adapters.audit.signing import SigningKey
    from mcpguard.adapters.relay.turn import Turn
    from mcpguard.config.terms import Durability
    from mcpguard.core.evidence.records import Anchor, Record


class AuditFile:
    """Implements `ports.AuditSink` in chains of `folder`, the first of which is made at once.

    The owner calls `commit` at the end of each turn of the loop (`while sink.pending: sink.commit()`). A
    record that is written outside a turn, and a commit that ended in a thread, ask `turn` to end soon.
    `on_health` is called when `health` changes.

    Raises AuditError, with a sentence that says what to do, where the file cannot be made.
    """

    def __init__(
        self, folder: Path, durability: Durability = "flush", turn: Turn | None = None, looks: int = 0
    ) -> None:
        """The first record holds heads of this many chains as `looks` says, 0 for all."""
        self.pending = False
        """Whether `commit` has something to do now."""
        self.health = AuditHealth(True, time.time())
        self.on_health: Callable[[AuditHealth], None] | None = None
        self.opening: Callable[[], Opened] | None = None
        """What a later chain of this process begins with; None for what the first one began with."""
        self.bound: EvidenceBounds | None = None
        """Knows what is not to be written, since there is too much of it."""
        self._folder = folder
        self.syncs = durability != "flush"
        self._gather = GATHER_SECONDS if durability == "group" else 0.0
        self._turn = turn
        self._opened: Opened | None = None
        self._lost: AuditError | None = None
        self._outage: Outage | None = None
        self._closed = False
        self._ending = threading.Event()
        self._gathering: asyncio.TimerHandle | None = None
        self._flying: Flying | None = None
        self._hung: Flying | None = None
        self._disk = DiskThread("mcpguard-audit")
        self._trusted_until = 0.0
        self._queue: deque[LineGroup] = deque()
        try:
            self.file = ChainFile(folder, self.syncs)
            """The chain that is being written, some of which is not durable yet."""
            self.others = Heads(folder)
            """What is known of the other chains of the folder; not for two threads at once."""
            self._anchors = self.others.take_unanchored(self.file.path.name, looks)
        except OSError as error:
            raise AuditError(
                f"the audit folder {folder} cannot be used ({error.strerror}): {remedy(error)}, or name "
                "another one in the configuration (`audit: {path: …}`)"
            ) from None
        self._batch = LineGroup(self.file, self.file.chain.mark)
        self.due: GrowthLimit | None = None
        """When somebody is to be told that the chain has grown."""
        self.signer: SigningKey | None = None
        """What signs checkpoints."""

    @property
    def path(self) -> Path:
        """The chain that is being written."""
        return self.file.path

    def write(self, record: Record) -> Wait[None]:
        """Append `record`. The wait is over, or fails with AuditError, in the commit that stores it.

        All records until the next commit share one wait. An `Opened` record gets its `anchors` here.
        """
        batch = self._batch
        try:
            if self._lost is not None:
                if self._outage is not None and isinstance(record, Decided):
                    self._outage.refused += 1
                raise self._lost
            # `isinstance` takes several times as long where the answer is no. Nothing is looked up for what
            # servers are asked to do: each such request comes here twice.
            if (bound := self.bound) is not None and (
                (type(record) is Decided and (record.effect != "allow" or not record.server))
                or (type(record) is Outcome and record.id in bound.counted)
                or type(record) is Noticed
            ):
                if (counted := bound.take(record)) is not None:
                    return counted
            elif type(record) is Opened:
                record = self._opened = replace(record, anchors=self._anchors)
            line = batch.file.chain.seal(record)
        except AuditError as error:
            failed: Wait[None] = Wait()
            failed.fail(error)
            return failed
        batch.lines.append(line)
        self.pending = self._flying is None
        if (turn := self._turn) is not None and not turn.inside:
            turn.touch()
        return batch

    def checkpoint(self, heads: tuple[Anchor, ...], removed: int = 0, until: str = "") -> Wait[None]:
        """Append a checkpoint, signed if there is a key."""
        record = Checkpoint(datetime.now(UTC), heads, removed, until)
        if self.signer is not None:
            record = self.signer.signed(record, self.file.path.name, self.file.chain.head)
        return self.write(record)

    def switch(self, new: ChainFile, others: tuple[Anchor, ...]) -> Wait[None]:
        """Go on in `new`, which is empty and is to hold the heads `others`; the chain until now is closed."""
        old = self.file
        if self._lost is not None or not old.chain.seq:
            new.close()
            return self.settled()
        if self.signer is not None:
            self.checkpoint(())
        last = self._batch
        last.lines.append(old.chain.seal(Closed(datetime.now(UTC), "rotated")))
        last.is_last = True
        self._queue.append(last)
        opened = replace(self._opening(old), anchors=(old.head, *others))
        new.continues = opened.continues
        self.file = new
        self._batch = LineGroup(new, new.chain.mark)
        self._batch.lines.append(new.chain.seal(opened))
        if self.signer is not None:  # Nothing else may be recorded for a long time.
            self.checkpoint(())
        self.pending = self._flying is None
        if self._turn is not None:
            self._turn.touch()
        return self._batch

    def settled(self) -> Wait[None]:
        """Over when all that was written so far is durable; at once if it is."""
        if self._batch.lines:
            return self._batch
        if self._queue:
            return self._queue[-1]
        return DURABLE if self._flying is None else self._flying[1]

    def commit(self) -> None:
        """Store what was written since the last commit, and resume who waits for it.

        Flights that are resumed may write again: that is the next batch, and `pending` says so. While a
        thread is at it this does nothing: its end asks for another turn.
        """
        if not self.pending:
            return
        if self._gather and not self._queue and len(self._batch.lines) < ENOUGH:
            self.pending = False
            if self._gathering is None:
                self._gathering = asyncio.get_running_loop().call_later(self._gather, self._gathered)
            return
        if self.syncs:
            self._hand_over()
            return
        batch = self._take()
        try:
            if len(batch.lines) < MANY and time.monotonic() < self._trusted_until:
                batch.file.append(batch.lines, False, batch.is_last)
            elif not self._stored_in_time(batch):
                return
        except Exception as error:
            self._lose(batch, error)
        else:
            self._trusted_until = time.monotonic() + TRUST_SECONDS
            self._is_stored(batch)

    def close(self, record: Closed) -> None:
        """Store what is pending, then `record` as the last one, and close the file.

        Blocks until it is durable, and no longer than a few seconds. Raises AuditError where `record` could
        not be stored. What is written later fails. A second close does nothing.
        """
        if self._closed:
            return
        self._closed = True
        self._ending.set()
        try:
            self._drain()
            if self._lost is not None:
                self._resume_to_end()
            if self.due is not None:
                self._last_checkpoint()
            last = self.write(record)
            self._drain()
        finally:
            self._end()
        next(last.__await__(), None)

    def discard(self) -> None:
        """Close the file after a start that failed; remove it if it holds nothing."""
        self._closed = True
        self._ending.set()
        self._end()

    def _last_checkpoint(self) -> None:
        with suppress(OSError, RuntimeError):  # The thread that looks at them may not have ended.
            heads = self.others.take_unanchored(self.file.path.name)
            if heads or self.signer is not None:
                self.checkpoint(heads)

    def _end(self) -> None:
        self._lost = self._lost or AuditError("the audit log is closed")
        self._disk.end()
        if self._hung is None:
            self.file.close()
        else:  # Whether it ends is unknown, so `head` is that of what was stored before.
            self.file.chain.rewind(self._hung[1].start)

    # --- batches ---------------------------------------------------------------------------------

    def _take(self) -> LineGroup:
        if self._queue:
            batch = self._queue.popleft()
        else:
            batch, self._batch = self._batch, LineGroup(self.file, self.file.chain.mark)
        self.pending = bool(self._queue or self._batch.lines)
        return batch

    def _stored_in_time(self, batch: LineGroup) -> bool:
        """Store it in a thread that is waited for; False where that takes too long, and failed by that."""
        batch.end = batch.file.chain.mark
        work = partial(batch.file.append, batch.lines, False, batch.is_last)
        future = self._disk.within(HOLD_SECONDS, work)
        if future.done():
            future.result()
            return True
        self._flying = (future, batch)
        self._stalled(batch)
        return False

    def _is_stored(self, batch: LineGroup) -> None:
        if batch.ends_outage:
            self._outage = None
            self._is_now(AuditHealth(True, time.time()))
        due, file = self.due, batch.file
        if due is not None and not due.told and (file.chain.seq >= due.length or file.size >= due.size):
            due.told = True
            due.tell()
        batch.set(None)

    def _drain(self) -> None:
        while True:
            if (flying := self._flying) is not None:
                with suppress(TimeoutError):
                    flying[0].exception(END_SECONDS)
                if not flying[0].done():
                    self._stalled(flying[1])
                    return
                self._land(flying)
            elif self._queue or self._batch.lines:
                (self._hand_over if self.syncs else self.commit)()
            else:
                return

    # --- in a thread -----------------------------------------------------------------------------

    def _gathered(self) -> None:
        self._gathering = None
        if self._flying is None and self._batch.lines:
            self._hand_over()

    def _hand_over(self) -> None:
        """Have a thread store the next batch."""
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        batch = self._take()
        batch.end = batch.file.chain.mark
        self.pending = False
        future = self._disk.submit(partial(batch.file.append, batch.lines, True, batch.is_last))
        self._flying = (future, batch)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # The process ends: `_drain` waits for it.
            return
        timer = loop.call_later(STALL_SECONDS, self._stalled, batch)
        # Nothing here leads back to the future: what a group needs goes without the collector.
        future.add_done_callback(lambda _: tell(loop, partial(self._landed, batch, timer)))

    def _landed(self, batch: LineGroup, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        if (flying := self._flying) is None or flying[1] is not batch:
            return
        if (turn := self._turn) is not None:
            turn.inside = True  # Who is resumed needs no turn of its own.
        try:
            self._land(flying)
        finally:
            (self.commit if turn is None else turn.end)()

    def _land(self, flying: Flying) -> None:
        future, batch = flying
        error = future.exception()
        self._flying = None
        self.pending = bool(self._queue or self._batch.lines)
        if error is None:
            self._is_stored(batch)
        else:
            self._lose(batch, error)

    def _stalled(self, batch: LineGroup) -> None:
        """A write does not end: nobody waits for it any more, and its outcome is seen when it does."""
        flying = self._flying
        if flying is not None and flying[1] is batch:
            self._flying, self._hung = None, flying
            self._fail(batch, batch.file.failure("the disk has not responded for several seconds"))

    # --- failure and recovery --------------------------------------------------------------------

    def _lose(self, batch: LineGroup, error: BaseException) -> None:
        """Cut `batch` off, with all that was sealed after it."""
        batch.file.chain.rewind(batch.start)
        batch.file.cut()
        if isinstance(error, AuditError):
            self._fail(batch, error)
        else:
            reason = getattr(error, "strerror", None) or type(error).__name__
            self._fail(batch, batch.file.failure(reason))

    def _fail(self, batch: LineGroup, failure: AuditError) -> None:
        """From now on everything is refused, until evidence can be written again."""
        failed = [batch, *self._queue, self._batch]
        if self.file is not batch.file:
            self.file.close()
        self.file = batch.file
        self._queue.clear()
        self._batch = LineGroup(self.file, self.file.chain.mark)
        self.pending = False
        self._lost = failure
        if self._outage is None:
            self._outage = Outage(time.time(), str(failure))
        self._outage.refused += sum(one.decisions for one in failed)
        self._is_now(AuditHealth(False, self._outage.since, str(failure)))
        if self.due is not None:
            self.due.tell()  # What was free on the disk may be used up by now.
        self._mend()
        for one in failed:
            one.fail(failure)

    def _mend(self) -> None:
        """Try in a thread whether evidence can be written again."""
        with suppress(RuntimeError):  # Without a loop nothing goes on for long.
            loop = asyncio.get_running_loop()
            if self._opened is not None:
                threading.Thread(target=self._try, args=(loop, self.file, self._hung), daemon=True).start()

    def _try(self, loop: asyncio.AbstractEventLoop, old: ChainFile, hung: Flying | None) -> None:
        if hung is not None:
            settle(*hung)
        while not self._ending.wait(RETRY_SECONDS):
            try:
                new = self._successor(old)
            except (OSError, AuditError):
                continue
            tell(loop, partial(self._mended, old, new))
            return

    def _successor(self, old: ChainFile) -> ChainFile:
        opened = self._opening(old)
        old.finish(Closed(opened.at, "evidence-gap"), self.syncs)
        heads = Heads(self._folder)
        new = successor(old, opened, self._folder, heads, self.syncs)
        self.others = heads
        return new

    def _opening(self, old: ChainFile) -> Opened:
        """What a chain begins with that continues `old`."""
        opened = self._opened if self.opening is None else self.opening()
        assert opened is not None  # noqa: S101 - only a chain that was begun is continued
        continued = old.path.name if old.chain.seq else old.continues
        key = "" if self.signer is None else self.signer.public.id
        return replace(opened, at=datetime.now(UTC), continues=continued, key=key)

    def _mended(self, old: ChainFile, new: ChainFile) -> None:
        if self._closed:
            new.close()
        else:
            self._go_on(old, new)

    def _go_on(self, old: ChainFile, new: ChainFile) -> None:
        """Evidence can be written again."""
        old.close()
        self._hung = None
        self.file = new
        self._batch = batch = LineGroup(new, new.chain.mark)
        self._lost = None
        assert self._outage is not None  # noqa: S101 - nothing else is repaired
        batch.ends_outage = True
        self.write(Noticed(datetime.now(UTC), "evidence-gap", detail=self._outage.said()))

    def _resume_to_end(self) -> None:
        """Try once more, so that the end and what was refused before it are on record."""
        if self._hung is None and self._opened is not None and self._outage is not None:
            with suppress(OSError, AuditError):
                self._go_on(self.file, self._successor(self.file))

    def _is_now(self, health: AuditHealth) -> None:
        before, self.health = self.health, health
        if before.ok != health.ok and self.on_health is not None:
            self.on_health(health)
