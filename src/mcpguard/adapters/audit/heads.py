"""The heads of the chains of a folder that no chain there holds yet: what a new record anchors.

Law of this file: names and times decide nothing, except which chains a start looks at first. A chain is
anchored until its present head is on record in another one, whatever it is called, so none can lose its end
or vanish where processes overlap or a clock was wrong. What cannot be read is left out. What a chain says
that it anchors is believed: whoever could plant a lie could at that moment remove what it is about.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.json import Decoder

from mcpguard.adapters.system.files import without_waiting
from mcpguard.core.evidence.chain import MAX_LINE, SEAL, decoded
from mcpguard.core.evidence.records import Anchor
from mcpguard.core.expressions import expression

MOST_ANCHORS = 2_000
"""Of one record; a line has at most 1 MiB. The rest is left to the next one."""
AT_START = 64
"""How many chains are looked at by a process that serves before its first record. Its upkeep looks at all of
them right after that: a folder with many chains does not slow a start."""
TAIL = 8 << 10
"""Bytes at the end of a chain that are read first; where its last line is longer, more are."""

_SEAL = expression(rb',"hash":"([0-9a-f]{64})"\}\n')


class _First(Struct):
    """What the first line of a chain holds; earlier versions wrote `previous`."""

    previous: Anchor | None = None
    anchors: tuple[Anchor, ...] = ()


_first = Decoder(_First).decode


class _Seen(Struct):
    """A chain as it was when it was looked at last; `head` is "" before its first record."""

    size: int = -1
    changed: int = 0
    inode: int = 0
    head: str = ""
    began: bool = False


class Heads:
    """What is known of the chains in a folder. A second look reads only those that changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, _Seen] = {}
        self._held: set[Anchor] = set()

    def take_unanchored(self, own: str = "", most: int = 0) -> tuple[Anchor, ...]:
        """The present heads of all chains but `own` that no first record of a chain, and no earlier answer
        of this method, holds, in the order of their names. With `most`, only this many chains are looked at,
        those with the latest names.

        Raises OSError where the folder cannot be listed.
        """
        names = (name for name in os.listdir(self._folder) if name.endswith(".jsonl") and name != own)
        for name in sorted(names)[-most:]:
            # A name that no record can hold would keep every process from writing one.
            if name.isprintable():
                self._look(name)
        found = (Anchor(name, seen.head) for name, seen in sorted(self._seen.items()) if seen.head)
        unanchored = tuple(head for head in found if head not in self._held)[:MOST_ANCHORS]
        self._held.update(unanchored)
        return unanchored

    def settled(self) -> set[str]:
        """The chains whose head, as of the last look, is on record elsewhere."""
        return {name for name, seen in self._seen.items() if Anchor(name, seen.head) in self._held}

    def _look(self, name: str) -> None:
        seen, path = self._seen.setdefault(name, _Seen()), self._folder / name
        try:
            now = path.stat()
            if (now.st_size, now.st_mtime_ns, now.st_ino) == (seen.size, seen.changed, seen.inode):
                return
            if not stat.S_ISREG(now.st_mode):
                return
            with open(path, "rb", opener=without_waiting) as file:
                if not seen.began:
                    first = file.readline(MAX_LINE)
                    seen.began = first.endswith(b"\n")
                    self._held.update(_claims(first))
                seen.head = next(_heads(file.fileno(), now.st_size), seen.head)
        except OSError:
            return
        seen.size, seen.changed, seen.inode = now.st_size, now.st_mtime_ns, now.st_ino


def _claims(line: bytes) -> tuple[Anchor, ...]:
    first = decoded(_first, line)
    if first is None:
        return ()
    return first.anchors if first.previous is None else (first.previous, *first.anchors)


def _heads(file: int, size: int) -> Iterator[str]:
    """The hash of the last whole line, if there is one."""
    for length in (TAIL, 2 * MAX_LINE):
        tail = os.pread(file, length, max(0, size - length))
        end = tail.rfind(b"\n") + 1
        if found := _SEAL.fullmatch(tail[max(0, end - SEAL) : end]):
            yield found[1].decode()
