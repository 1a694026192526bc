"""Where heads of chains are kept besides the chains (`audit.heads`): a file, standard output, a URL.

Law of this file: no destination waits for another one, and no caller waits for a destination. If one does
not accept a head, it gets it again with the next one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial

from msgspec import json

from mcpguard.adapters.audit.upkeep import SendHeads
from mcpguard.adapters.system.disk import DiskThread
from mcpguard.config.evidence import HeadsEntry
from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.records import Anchor
from mcpguard.core.secret import Secret

MOST_UNSENT = 1_000
"""Heads that wait for a place that takes none. Each holds those before it, so the oldest can be left out."""


class HeadPlace:
    """A place with a thread of its own."""

    def __init__(self, take: Callable[[Anchor], None]) -> None:
        """`take` stores a head; it may block, and raises AuditError."""
        self._take = take
        self._guard = threading.Lock()
        self._unsent: dict[Anchor, None] = {}
        self._sending: Future[None] | None = None
        self._thread = DiskThread("mcpguard-heads")

    def send(self, heads: Sequence[Anchor]) -> Future[None]:
        """Over when the place has taken these and all before; fails with AuditError."""
        with self._guard:
            self._unsent.update(dict.fromkeys(heads))
            while len(self._unsent) > MOST_UNSENT:
                del self._unsent[next(iter(self._unsent))]
            if self._sending is None or self._sending.done():
                self._sending = self._thread.submit(self._send)
            return self._sending

    def _send(self) -> None:
        while (head := self._next()) is not None:
            self._take(head)
            with self._guard:
                self._unsent.pop(head, None)

    def _next(self) -> Anchor | None:
        with self._guard:
            head = next(iter(self._unsent), None)
            if head is None:
                self._sending = None
            return head


def head_sender(heads: HeadsEntry, over_http: bool) -> SendHeads:
    """What sends heads to the places of `audit.heads`. Only a process that serves `over_http` has a standard
    output for them: a client reads it otherwise."""
    places: dict[str, HeadPlace] = {}
    if heads.file is not None:
        places[heads.file] = HeadPlace(partial(_append, heads.file))
    if heads.stdout and over_http:
        places["standard output"] = HeadPlace(_print)
    if heads.url is not None:
        # Imported where it is needed: most processes post nothing.
        from mcpguard.adapters.telemetry.destinations import shown

        places[shown(heads.url)] = HeadPlace(partial(_post, heads.url))

    def send(some: Sequence[Anchor]) -> Mapping[str, Future[None]]:
        return {name: place.send(some) for name, place in places.items()}

    return send


def _line(head: Anchor) -> bytes:
    return f"{head.file}:{head.head}\n".encode()


def _append(name: str, head: Anchor) -> None:
    from mcpguard.adapters.telemetry.destinations import append_whole

    try:
        file = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            append_whole(file, _line(head))
        finally:
            os.close(file)
    except OSError as error:
        raise AuditError(str(error.strerror)) from None


def _print(head: Anchor) -> None:
    try:
        os.write(1, _line(head))
    except OSError as error:
        raise AuditError(str(error.strerror)) from None


def _post(url: str, head: Anchor) -> None:
    from mcpguard.adapters.telemetry.destinations import posted

    body = json.encode({"file": head.file, "head": head.head})
    if problem := posted(Secret(url), body):
        raise AuditError(problem)
