"""What is done for evidence now and then, in a thread: checkpoints, new files, compression and removal.

Law of this file: nothing here holds up a decision. The thread looks and prepares; what is written is written
by the loop, in order with everything else.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, wait
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol

from mcpguard.adapters.audit.chain_file import ChainFile, GrowthLimit
from mcpguard.adapters.audit.retention import HELD_SECONDS, compress, expired
from mcpguard.adapters.audit.writer import AuditFile
from mcpguard.config.terms import UpkeepTerms
from mcpguard.core.errors import AuditError, CredentialError
from mcpguard.core.evidence.records import Anchor
from mcpguard.core.secret import Secret
from mcpguard.gateway.flight import Wait

CHECKPOINT_RECORDS = 1_000
"""After this many records there is a checkpoint, whatever the time."""
TIDY_SECONDS = 3_600.0
"""How often it is looked for chains to compress or remove."""
SIZE_SECONDS = 60.0
"""The same where the folder must not grow beyond a size, or chains are kept until they have arrived."""
STORE_SECONDS = 10.0
"""How long is waited for a checkpoint to be durable."""
PLACE_SECONDS = 5.0
"""How often it is looked whether the chain is in its place, where nothing is written that would notice, and
how much of a disk is free that is nearly full."""
SEND_SECONDS = 15.0
"""How long to wait for the places where heads are kept."""
AGAIN_SECONDS = 1.0
"""The same if one of them took nothing last time."""
LAST_SECONDS = 2.0
"""The same when the process ends."""

FREE_INODES = 100
"""With fewer, the disk is nearly full: each new file takes one."""

CATCH_UP_SECONDS = 60.0
"""For this long after the start no chain is removed that has not arrived at a sink: a sink may have begun to
get what an earlier process left."""


def _lacking(folder: Path, least: int) -> str:
    """What is nearly used up where `folder` is, if fewer than `least` bytes are free, or too few inodes; ""
    for nothing."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < least:
        return f"only {free // 1_000_000:,} MB are free" if free >= 1_000_000 else "less than 1 MB is free"
    if found.f_files and found.f_favail < FREE_INODES:  # Some file systems do not count them.
        return f"only {found.f_favail:,} inodes are free"
    return ""


class SinkPositions(Protocol):
    """How far evidence has arrived where it is sent. Called in a thread."""

    def unsent(self, chain: Path) -> tuple[str, ...]:
        """The sinks that have not received all of a chain."""

    def lose(self, chains: Sequence[Path], last: str) -> None:
        """Have evidence and the operator told how much of these chains, up to the one named `last`, sinks
        have not received: they are removed."""


SendHeads = Callable[[Sequence[Anchor]], Mapping[str, "Future[None]"]]
"""Begins to send heads to each place where they are kept besides the chains, after those that it has not
taken so far, and does not block. Gives a future for each place, by its name, which fails with AuditError."""


def unsent(
    sent: Mapping[str, Future[None]], seconds: float, ended: threading.Event | None = None
) -> dict[str, str]:
    """Wait for what was `sent`, for `seconds` at most and until `ended`; gives the places that have not taken
    it, each with the reason."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not (ended is not None and ended.is_set()):
        if not wait(sent.values(), min(left, 0.1)).not_done:
            break
    found = {}
    for place, future in sent.items():
        if not future.done():
            found[place] = "it does not respond"
        elif (error := future.exception()) is not None:
            found[place] = str(error) if isinstance(error, AuditError) else type(error).__name__
    return found


class Upkeep:
    """One per process that serves."""

    def __init__(
        self,
        audit: AuditFile,
        folder: Path,
        terms: UpkeepTerms,
        report: Callable[[str, Literal["info", "warning"]], None],
        key: Callable[[], Secret] | None = None,
        send: SendHeads | None = None,
        sinks: SinkPositions | None = None,
    ) -> None:
        """`report` takes a line for the operator, and its level, in any thread. `key` reads the private key,
        and may block; `send` is given the head of each checkpoint, and the last one of each chain."""
        self._disk = self._large = self._held = ""
        self._sinks = sinks
        self._catches_up = time.monotonic() + CATCH_UP_SECONDS
        self._audit = audit
        self._folder = folder
        self._terms = terms
        self._report = report
        self._key = key
        self._send = send
        self._written = audit.file
        """The chain of which a head was sent last."""
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mcpguard-upkeep", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done = ("", 0)
        """The chain and its length at the last checkpoint."""
        self._keyed = False
        """Whether the key was there when that was decided."""
        self._began = time.monotonic()
        self._least = 1
        """How long a chain is in which nothing happened: it is not rotated for its age."""
        self._tidied = 0.0
        self._failing: dict[str, str] = {}
        """What is failing -> how that was reported."""
        self._unsent: set[str] = set()
        """The places that have not taken all heads."""

    @property
    def warning(self) -> str:
        """What is missing, or will be soon, "" for nothing."""
        return "; ".join(filter(None, (self._disk, self._large, self._held, *self._failing.values())))

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin; `loop` is where evidence is written."""
        self._loop = loop
        self._audit.due = self._due(self._aged)
        self._thread.start()
        if self._key is not None:
            read = threading.Thread(target=self._read_key, args=(self._key,), daemon=True)
            read.start()

    def _read_key(self, key: Callable[[], Secret]) -> None:
        """In a thread of its own: a keychain may wait for a person."""
        from mcpguard.adapters.audit.signing import SigningKey

        while not self._ended.is_set():
            try:
                self._audit.signer = SigningKey(key())
            except (AuditError, CredentialError) as error:
                said = f"checkpoints are not signed, since the key is not available: {error}"
                self._complain("key", said)
            else:
                self._settle("key", "checkpoints are signed from now on")
                self._wake.set()
                return
            self._ended.wait(self._terms.checkpoint_seconds)

    def close(self, seconds: float = 1.0) -> None:
        """End, soon."""
        self._ended.set()
        self._wake.set()
        self._thread.join(seconds)

    def send_last(self) -> None:
        """After the end, and once the chain is closed: send the last head, or say what it is."""
        file = self._audit.file
        if self._send is not None and file.chain.seq:
            for place, problem in unsent(self._send(self._heads(file.head)), LAST_SECONDS).items():
                said = f"the last head of the chain could not be sent to {place} ({problem})"
                self._report(f"{said}: keep {file.head.file}:{file.head.head}", "warning")

    # --- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended.is_set():
            self._wake.clear()
            try:
                self._look()
            except (OSError, AuditError) as error:
                if not self._audit.file.in_place:
                    # It was removed in the meantime: the next look notices, and the next write reports it.
                    self._wake.set()
                    continue
                reason = getattr(error, "strerror", None) or str(error)
                failed = True
                self._complain("upkeep", f"maintenance of the evidence failed and will be retried: {reason}")
            else:
                failed = False
                self._settle("upkeep", "maintenance of the evidence works again")
            aged = self._aged
            self._audit.due = due = self._due(aged)
            # Of what was written before that, nobody tells.
            if failed or not self._has_come(due):
                self._rest(self._pause(aged))

    def _has_come(self, due: GrowthLimit) -> bool:
        file = self._audit.file
        grown = file.chain.seq >= due.length or file.size >= due.size
        return grown and self._audit.health.ok and file.in_place

    def _rest(self, seconds: float) -> None:
        """Until something is due, or the chain is not where readers look for it any more."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._wake.wait(min(left, PLACE_SECONDS)):
            if self._audit.health.ok and not self._audit.file.in_place:
                return
            if self._disk:
                self._look_again()

    def _complain(self, what: str, said: str) -> None:
        if said != self._failing.get(what) and not self._ended.is_set():
            self._failing[what] = said
            self._report(said, "warning")

    def _settle(self, what: str, said: str) -> None:
        if self._failing.pop(what, "") and not self._ended.is_set():
            self._report(said, "info")

    def _pause(self, aged: bool) -> float:
        if not self._terms.rotate_seconds or aged:
            return self._terms.checkpoint_seconds
        left = self._began + self._terms.rotate_seconds - time.monotonic()
        return min(self._terms.checkpoint_seconds, max(left, 0.01))

    @property
    def _aged(self) -> bool:
        """Whether it is to be rotated as soon as there is something to rotate."""
        seconds = self._terms.rotate_seconds
        return bool(seconds) and time.monotonic() - self._began >= seconds

    def _look(self) -> None:
        audit = self._audit
        if not audit.health.ok:
            self._look_again()
            return
        if not audit.file.in_place:
            # What is written says so; where no call comes, nothing else would be.
            audit.file.look_at = 0.0
            with suppress(AuditError):
                self._stored(lambda: audit.checkpoint(()))
            return
        self._look_for_room()
        if self._rotates():
            self._rotate()
        at = (audit.file.path.name, audit.file.chain.seq)
        if audit.file.chain.seq and (at != self._done or self._keyed != (audit.signer is not None)):
            self._checkpoint(0, "")
        elif self._unsent:
            self._send_heads(())
        if self._tidies():
            self._tidy()

    def _look_again(self) -> None:
        with suppress(OSError):  # The next full look reports it.
            self._look_for_room()

    def _look_for_room(self) -> None:
        """Warn where the disk is nearly full: what comes then is that every request is refused."""
        room, before = _lacking(self._folder, self._terms.free_bytes), self._disk
        if not room:
            self._disk = ""
            if before:
                self._report("the disk has enough free space again", "info")
            return
        self._disk = f"{room} in {self._folder}; requests are refused when evidence cannot be written"
        if not before:
            self._report(f"the disk is nearly full: {self._disk}", "warning")

    def _rotates(self) -> bool:
        terms, file = self._terms, self._audit.file
        if terms.rotate_bytes and file.size >= terms.rotate_bytes:
            return True
        return self._aged and file.chain.seq > self._least

    def _rotate(self) -> None:
        audit = self._audit
        new = ChainFile(self._folder, audit.syncs, audit.file)
        try:
            others = audit.others.take_unanchored(audit.file.path.name)
        except OSError:
            new.close()
            raise
        try:
            head = self._stored(lambda: audit.switch(new, others))
        except AuditError:
            self._call(lambda: None if audit.file is new else new.close())
            raise
        self._least = audit.file.chain.seq
        self._began = time.monotonic()
        self._tidied = 0.0
        self._send_heads(self._heads(head))

    def _checkpoint(self, removed: int, until: str) -> None:
        audit = self._audit
        self._keyed = audit.signer is not None
        heads = audit.others.take_unanchored(audit.file.path.name)
        if heads or until or self._keyed:
            head = self._stored(lambda: audit.checkpoint(heads, removed, until))
        else:
            head = self._stored(audit.settled)
        self._send_heads(self._heads(head))

    def _heads(self, head: Anchor) -> tuple[Anchor, ...]:
        """What to send: `head`, after the last head of the chain before where that is another one.

        A head that was kept proves who wrote the chain, so none of another process is sent. What a killed one
        wrote is proven by the heads of this process as well, since its chain holds that of the other."""
        before, self._written = self._written, self._audit.file
        return (before.head, head) if before is not self._written and before.chain.seq else (head,)

    def _send_heads(self, heads: Sequence[Anchor]) -> None:
        sent = {} if self._send is None else self._send(heads)
        problems = unsent(sent, AGAIN_SECONDS if self._unsent else SEND_SECONDS, self._ended)
        for place, problem in problems.items():
            self._complain(place, f"the head of the chain could not be sent to {place}: {problem}")
        for place in sent.keys() - problems.keys():
            self._settle(place, f"heads of the chain are sent to {place} again")
        self._unsent = {*problems}

    def _due(self, aged: bool) -> GrowthLimit:
        length = self._least + 1 if aged else self._done[1] + CHECKPOINT_RECORDS
        return GrowthLimit(self._wake.set, length, self._terms.rotate_bytes or sys.maxsize)

    def _tidies(self) -> bool:
        wanted = self._terms.compress or self._terms.keep_days or self._terms.keep_bytes
        return bool(wanted) and time.monotonic() >= self._tidied

    def _tidy(self) -> None:
        days, most = self._terms.keep_days, self._terms.keep_bytes
        self._tidied = time.monotonic() + (SIZE_SECONDS if most else TIDY_SECONDS)
        settled = self._audit.others.settled()
        if days or most:
            self._remove(settled, days, most)
        if self._terms.compress:
            for path in sorted(self._folder / name for name in settled):
                if self._ended.is_set():
                    return
                compress(path)

    def _remove(self, settled: Collection[str], days: float, most: int) -> None:
        sinks, now = self._sinks, time.monotonic()
        longer = math.inf if now < self._catches_up else HELD_SECONDS
        unsent = (lambda path: bool(sinks.unsent(path))) if sinks is not None else (lambda _path: False)
        old = expired(self._folder, settled, time.time(), days, most, unsent, longer)
        if old.chains:
            last = old.chains[-1].name.removesuffix(".gz")
            if sinks is not None:
                sinks.lose(old.chains, last)
            self._checkpoint(len(old.chains), last)
            for path in old.chains:
                path.unlink(missing_ok=True)
        self._tell_surplus(old.surplus)
        if old.held is not None:
            again = self._catches_up if longer == math.inf else time.monotonic() + SIZE_SECONDS
            self._tidied = min(self._tidied, again)
        if sinks is not None and longer != math.inf:
            self._tell_held(sinks.unsent(old.held) if old.held is not None else ())

    def _tell_held(self, sinks: tuple[str, ...]) -> None:
        """Warn where chains stay for the sake of these sinks."""
        before, days = self._held, HELD_SECONDS / 86_400
        kept = f"chains that are due to be removed are kept for up to {days:g} more days"
        self._held = f"{kept}, since they have not arrived: {', '.join(sinks)}" if sinks else ""
        if sinks and not before:
            self._report(self._held, "warning")

    def _tell_surplus(self, surplus: int) -> None:
        """Warn where the folder stays larger than it should be."""
        before = self._large
        why = "is kept, since it is less than a day old, may still be written, or has not arrived at a sink"
        kept = f"{surplus / 1e6:.1f} MB more than `audit.keep_bytes` in {self._folder} {why}"
        self._large = kept if surplus else ""
        if surplus and not before:
            self._report(kept, "warning")

    # --- the loop --------------------------------------------------------------------------------

    def _stored(self, what: Callable[[], Wait[None]]) -> Anchor:
        """Do it; gives the head after it, once that is durable. Raises AuditError."""
        future: Future[Anchor] = Future()

        def call() -> None:
            wait = what()
            file = self._audit.file
            head, self._done = file.head, (file.path.name, file.chain.seq)

            def done(_: Wait[None]) -> None:
                try:
                    next(wait.__await__(), None)
                except AuditError as error:
                    future.set_exception(error)
                else:
                    future.set_result(head)

            wait.then(done)

        self._call(call)
        deadline = time.monotonic() + STORE_SECONDS
        while time.monotonic() < deadline and not self._ended.is_set():
            with suppress(NotInTime):
                return future.result(0.05)
        raise AuditError("a checkpoint was not stored in time")

    def _call(self, what: Callable[[], None]) -> None:
        assert self._loop is not None  # noqa: S101 - it was started
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            self._ended.set()
            raise AuditError("the process ends") from None
