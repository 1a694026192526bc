"""How one chain of a process follows another: after evidence could not be written, or when one is long
enough."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from mcpguard.adapters.audit.chain_file import ChainFile, LineGroup
from mcpguard.adapters.audit.heads import Heads
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.records import Opened

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from concurrent.futures import Future


Flying: TypeAlias = "tuple[Future[None], LineGroup]"
"""What a thread stores."""


class Outage(Struct):
    """A time in which evidence could not be written. `since` is in seconds since 1970, `why` a sentence;
    `refused` counts requests."""

    since: float
    why: str
    refused: int = 0

    def said(self) -> str:
        """What the record of it says."""
        began = datetime.fromtimestamp(self.since, UTC)
        refused = "1 request" if self.refused == 1 else f"{self.refused} requests"
        return f"from {began:%Y-%m-%dT%H:%M:%SZ} to this record, {refused} refused: {self.why}"


def settle(future: Future[None], batch: LineGroup) -> None:
    """Wait for a write that hangs, and see what is in its file."""
    failed = future.exception() is not None
    batch.file.chain.rewind(batch.start if failed else batch.end)
    if failed:
        batch.file.cut()


def successor(old: ChainFile, opened: Opened, folder: Path, heads: Heads, sync: bool) -> ChainFile:
    """A new chain that begins with `opened` and holds the head of `old` as this process knows it. Raises
    OSError, AuditError."""
    new = ChainFile(folder, sync, old)
    new.continues = opened.continues
    try:
        mine = (old.head,) if old.chain.seq else ()
        others = (one for one in heads.loose(new.path.name) if one.file != old.path.name)
        new.append(new.chain.seal(replace(opened, anchors=(*mine, *others))), sync)
    except (OSError, AuditError):
        new.cut()
        new.close()
        raise
    return new


def tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    """Call `what` in the loop, from any thread."""
    with suppress(RuntimeError):  # The loop has ended meanwhile.
        loop.call_soon_threadsafe(what)
